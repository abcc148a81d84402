//! Cases after upstream's model/relabel/relabel_test.go and scrape/scrape_test.go, with our own data.

use super::*;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied())
}

/// A rule from `source,source | regex | target | replacement | action`; an empty part is absent.
fn config(text: &str) -> RelabelConfig {
    let padded = format!("{text} ");
    let parts: Vec<&str> = padded.split(" | ").map(str::trim).collect();
    let part = |index: usize| parts.get(index).copied().filter(|part| !part.is_empty()).map(str::to_owned);
    RelabelConfig {
        source_labels: part(0).map(|own| own.split(',').map(str::to_owned).collect()).unwrap_or_default(),
        regex: part(1),
        target_label: part(2).unwrap_or_default(),
        // A replacement of two quotes is the empty one.
        replacement: part(3).map(|own| if own == "''" { String::new() } else { own }),
        action: part(4),
        ..RelabelConfig::default()
    }
}

fn rules(texts: &[&str]) -> Vec<RelabelRule> {
    let rule = |text: &&str| RelabelRule::new(config(text), PrometheusVersion::V3).expect("a valid rule");
    texts.iter().map(rule).collect()
}

#[test]
fn rules_do_what_prometheus_does() {
    let pod = [("pod", "vllm-7f9c-x2"), ("ns", "llm"), ("tier", "gold")];
    // (rules, result over `pod`: pairs that changed ("" is gone), or None when dropped)
    type Case = (&'static [&'static str], Option<&'static [(&'static str, &'static str)]>);
    let cases: &[Case] = &[
        (&["pod | vllm-(.*) | short | x-$1-${1} |"], Some(&[("short", "x-7f9c-x2-7f9c-x2")])),
        // Joined by ';'; the second rule sees what the first made.
        (&["ns,tier | (.+);g(.*) | a | $2/$1 |", "a | old/(.*) | b | $1 |"], Some(&[("a", "old/llm"), ("b", "llm")])),
        // `$1x` is a group of that name, which is not there; `${1}x` is the first one.
        (&["ns | (.*) | a | [$1x] |", "ns | (.*) | b | ${1}x |"], Some(&[("a", "[]"), ("b", "llmx")])),
        (&["ns | (?P<who>l.*) | a | $who-${who} |"], Some(&[("a", "llm-llm")])),
        // `$$` is one `$`; what begins no variable stands for itself; groups that are not there are empty.
        (&["ns | (.*) | a | $$1 |", "ns | (.*) | b | ${1 $ ${} |"], Some(&[("a", "$1"), ("b", "${1 $ ${}")])),
        (&["ns | (.*) | a | <$0$01$9> |"], Some(&[("a", "<llm>")])),
        // The whole value must match; without a match nothing happens.
        (&["ns | ll | a | yes |", "ns | l|lm | b | yes |"], Some(&[])),
        // An empty result removes the label, an absent source is empty.
        (&["absent |  | tier |  |"], Some(&[("tier", "")])),
        (&["ns | .* | tier | '' |"], Some(&[("tier", "")])),
        (&[" |  | fixed | yes |"], Some(&[("fixed", "yes")])),
        // Names from groups; an empty name is skipped.
        (&["ns | (.*)m | $1 | v |", "ns | (l*)(m)(x?) | ${3} | v |"], Some(&[("ll", "v")])),
        (&["ns | llm |  |  | drop"], None),
        (&["ns | other |  |  | drop", "ns | l.* |  |  | keep"], Some(&[])),
        (&["ns | other |  |  | keep", " |  | a | never |"], None),
        (&["absent |  |  |  | keep"], Some(&[])),
        (&["ns |  | tier |  | keepequal"], None),
        (&["ns |  | tier |  | dropequal"], Some(&[])),
        (&["absent |  | gone |  | dropequal"], None),
        (&[" | (n.|t.*r) |  | of_$1 | labelmap"], Some(&[("of_ns", "llm"), ("of_tier", "gold")])),
        // Two labels that become one: in order of name the later stays.
        (&[" | ns|tier |  | both | labelmap"], Some(&[("both", "gold")])),
        // What a rule set comes after what was there.
        (&[" |  | a | new |", " | a|tier |  | both | labelmap"], Some(&[("a", "new"), ("both", "new")])),
        (&[" | n.|pod |  |  | labeldrop"], Some(&[("ns", ""), ("pod", "")])),
        (&[" | ^ns$ |  |  | LabelKeep"], Some(&[("pod", ""), ("tier", "")])),
        (&["tier |  | a |  | Uppercase", "a |  | b |  | lowercase"], Some(&[("a", "GOLD"), ("b", "gold")])),
    ];
    let own = |rules: &[RelabelRule]| relabel(&labels(&pod), rules);
    for (texts, changed) in cases {
        let expected = changed.map(|changed| Labels::from_pairs(pod.iter().chain(changed).copied()));
        assert_eq!(own(&rules(texts)), expected, "{texts:?}");
    }
    assert_eq!(own(&[]), Some(labels(&pod)));
    let separated = RelabelConfig { separator: Some(String::new()), ..config("ns,tier |  | a |  |") };
    let separated = RelabelRule::new(separated, PrometheusVersion::V3).expect("valid");
    assert_eq!(own(&[separated]).map(|own| own.get("a").to_owned()), Some("llmgold".to_owned()));
}

#[test]
fn what_prometheus_refuses_is_refused_in_its_words() {
    // (rule, field, message; "" when it is valid)
    let cases = [
        ("a |  | b |  |", "", ""),
        ("a |  |  |  | rename", "action", "unknown relabel action \"rename\""),
        ("a | ( | b |  |", "regex", "invalid regex ( for relabel configuration: unclosed group"),
        // Balanced only together with the anchoring group.
        ("a | x)|(y | b |  |", "regex", "invalid regex x)|(y for relabel configuration: unopened group"),
        ("a |  |  |  |", "targetLabel", "relabel configuration for replace action requires 'target_label' value"),
        (
            "a |  |  |  | Uppercase",
            "targetLabel",
            "relabel configuration for uppercase action requires 'target_label' value",
        ),
        ("a |  | b |  | hashmod", "modulus", "relabel configuration for hashmod requires non-zero modulus"),
        ("a |  | b | x | lowercase", "replacement", "'replacement' can not be set for lowercase action"),
        (
            "a | x | b |  | keepequal",
            "regex",
            "keepequal action requires only 'source_labels' and `target_label`, and no other fields",
        ),
        ("a | (.*) | b |  | dropequal", "", ""),
        ("a | x |  |  | labeldrop", "sourceLabels", "labeldrop action requires only 'regex', and no other fields"),
        (" | x | b |  | labelkeep", "targetLabel", "labelkeep action requires only 'regex', and no other fields"),
        (" | x |  | r | labelkeep", "replacement", "labelkeep action requires only 'regex', and no other fields"),
        (" | x |  | '' | labelmap", "replacement", "\"\" is invalid 'replacement' for labelmap action"),
    ];
    for (text, field, message) in cases {
        let found = RelabelRule::new(config(text), PrometheusVersion::V3).err();
        let expected = (!field.is_empty()).then(|| RelabelError { field, message: message.to_owned() });
        assert_eq!(found, expected, "{text}");
    }
    let modulus = RelabelConfig { modulus: 8, ..config("a |  | b |  | hashmod") };
    let found = RelabelRule::new(modulus, PrometheusVersion::V3).expect_err("not modelled");
    assert_eq!(found.to_string(), "the action hashmod is not modelled");
}

#[test]
fn before_version_3_names_are_letters_digits_and_underscores() {
    // (target label of `replace`, whether 2.55 takes it); 3.x takes all of them but the empty one.
    let cases = [
        ("label", true),
        ("-label", false),
        ("0label", false),
        ("label${1}", true),
        ("${1}label", true),
        ("$1", true),
        ("asd$2asd", true),
        ("_${1}_0", true),
        ("${", false),
        ("$", false),
        ("${}", false),
        ("foo${", false),
        ("0${3}", false),
        ("-foo${1}bar-", false),
        ("dotted.name", false),
    ];
    for (target, is_valid) in cases {
        let text = format!("a |  | {target} |  |");
        let of = |version| RelabelRule::new(config(&text), version);
        assert_eq!(of(PrometheusVersion::V2_55).is_ok(), is_valid, "{target}");
        assert!(of(PrometheusVersion::V3).is_ok(), "{target}");
    }
    // A dynamic name that comes out invalid is skipped, from 3.0 it is a name.
    let dynamic = |version| {
        let rule = RelabelRule::new(config("a |  | $1 | v |"), version).expect("valid");
        relabel(&labels(&[("a", "x-y")]), &[rule]).expect("kept").len()
    };
    assert_eq!((dynamic(PrometheusVersion::V2_55), dynamic(PrometheusVersion::V3)), (1, 2));
}

#[test]
fn a_target_has_an_instance_and_no_hidden_labels() {
    let found = labels(&[("__address__", "10.0.0.1:8080"), ("__meta_kubernetes_pod_label_app", "web"), ("job", "a/b")]);
    let of = |texts: &[&str]| target_labels(&found, &rules(texts));
    assert_eq!(of(&[]), Some(labels(&[("instance", "10.0.0.1:8080"), ("job", "a/b")])));
    // The instance is the address after relabelling, unless a rule sets it.
    let moved = of(&["__address__ | (.*):.* | __address__ | $1:9 |"]).expect("kept");
    assert_eq!(moved.get("instance"), "10.0.0.1:9");
    let named = of(&["__meta_kubernetes_pod_label_app |  | instance |  |"]).expect("kept");
    assert_eq!((named.get("instance"), named.len()), ("web", 2));
    assert_eq!(of(&["job |  |  |  | drop"]), None);
    assert_eq!(of(&[" | __address__ |  |  | labeldrop"]), None, "no address");
}

#[test]
fn clashing_labels_are_renamed_or_honoured() {
    let target = labels(&[("job", "t"), ("pod", "p"), ("exported_job", "taken")]);
    let exposed = labels(&[("__name__", "m"), ("job", "e"), ("engine", "0")]);
    let of = |honor_labels, exposed: &Labels| {
        stored_labels(exposed, &target, &TargetRules { honor_labels, ..TargetRules::default() }).expect("kept")
    };
    // (honor_labels, exposed, expected)
    let rest = [("__name__", "m"), ("engine", "0"), ("pod", "p"), ("exported_job", "taken")];
    let expected = |more: &[(&str, &str)]| Labels::from_pairs(rest.iter().chain(more).copied());
    assert_eq!(of(false, &exposed), expected(&[("job", "t"), ("exported_exported_job", "e")]));
    assert_eq!(of(true, &exposed), expected(&[("job", "e")]));
    // Both clash: the shorter name is renamed first and takes the free name.
    let both = exposed.with("exported_job", "x");
    let renamed = [("job", "t"), ("exported_exported_job", "e"), ("exported_exported_exported_job", "x")];
    assert_eq!(of(false, &both), expected(&renamed));
    assert_eq!(of(true, &both), expected(&[("job", "e"), ("exported_job", "x")]));
}

#[test]
fn metric_rules_see_the_labels_that_are_stored() {
    let target = labels(&[("job", "t"), ("pod", "p")]);
    let exposed = labels(&[("__name__", "vllm:num_requests_running"), ("engine", "0"), ("pod", "own")]);
    let of = |texts: &[&str]| {
        stored_labels(&exposed, &target, &TargetRules { metric_relabel: rules(texts), ..TargetRules::default() })
    };
    let kept = of(&["__name__ | vllm:(.*) | __name__ | llm_$1 |", " | exported_.*|job |  |  | labeldrop"]);
    let expected = [("__name__", "llm_num_requests_running"), ("engine", "0"), ("pod", "p")];
    assert_eq!(kept, Some(labels(&expected)));
    assert_eq!(of(&["exported_pod | own |  |  | drop"]), None);
    // Nothing left is skipped like a dropped series; a nameless one fails the scrape.
    assert_eq!(of(&[" | .* |  |  | labeldrop"]), None);
    let nameless = of(&[" | __name__ |  |  | labeldrop"]).expect("kept");
    let said = scrape_failure(&nameless, &LabelLimits::default());
    assert_eq!(said.as_deref(), Some("missing metric name (__name__ label)"));
}

#[test]
fn label_limits_fail_a_scrape() {
    let stored = labels(&[("__name__", "m"), ("pod", "vllm-7f9c-x2")]);
    let of = |labels, name_length, value_length| {
        scrape_failure(&stored, &LabelLimits { labels, name_length, value_length }).unwrap_or_default()
    };
    assert_eq!(of(None, None, None), "");
    assert_eq!(of(Some(2), Some(8), Some(12)), "", "the name counts, and reaching a limit is allowed");
    assert_eq!(of(Some(0), Some(0), Some(0)), "", "0 is no limit");
    assert_eq!(of(Some(1), None, None), "label_limit exceeded (metric: m, number of labels: 2, limit: 1)");
    assert!(of(None, Some(7), None).contains("label name: __name__, length: 8, limit: 7"));
    assert!(of(None, None, Some(11)).contains("label name: pod, value: \"vllm-7f9c-x2\", length: 12, limit: 11"));
}
