//! Recording rules: what they store, when it can be seen, and what happens when they fail.

use kedasim::prometheus::{
    PrometheusServer, PrometheusSettings, PrometheusVersion, QueryId, RecordingRule, RuleGroup, RuleGroupId, TargetId,
    TargetRules, rule_phase,
};
use kedasim::series::{Exposition, Labels, MetricKind, QueryValue, SeriesDef};
use kedasim::units::{Seed, SimDuration, SimTime};
use std::sync::Arc;

fn server() -> PrometheusServer {
    PrometheusServer::new(PrometheusSettings {
        version: PrometheusVersion::V3,
        lookback: SimDuration::from_secs(300),
        evaluation_interval: SimDuration::from_secs(60),
        epoch_ms: 1_700_000_000_000,
    })
}

fn rule(record: &str, expr: &str, labels: &[(&str, &str)]) -> RecordingRule {
    RecordingRule {
        record: record.to_owned(),
        expr: expr.to_owned(),
        labels: labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
    }
}

fn group(rules: &[RecordingRule]) -> RuleGroup {
    RuleGroup { name: "g".to_owned(), query_offset: SimDuration::ZERO, limit: 0, rules: rules.to_vec() }
}

fn secs(seconds: u64) -> SimTime {
    SimTime::from_secs(seconds)
}

/// A server with one rule group over pods that expose the gauge `m`.
struct World {
    server: PrometheusServer,
    group: RuleGroupId,
    queries: Vec<QueryId>,
}

impl World {
    fn new(group: &RuleGroup, queries: &[&str]) -> Self {
        let mut server = server();
        // The query of a rule's result is compiled before any rule has given one.
        let queries = queries.iter().map(|query| server.compile(query).expect("a valid query")).collect();
        let group = server.add_rule_group(group).expect("a valid group");
        World { server, group, queries }
    }
    fn pod(&mut self, name: &str) -> TargetId {
        let labels = Labels::from_pairs([("__name__", "m"), ("model_name", "x")]);
        let exposition = Exposition { series: vec![SeriesDef { labels, kind: MetricKind::Gauge }] };
        self.server.add_target(&Labels::from_pairs([("pod", name)]), Arc::new(exposition), &TargetRules::default())
    }
    fn scrape(&mut self, target: TargetId, at: u64, value: Option<f64>) {
        let row = value.map(|value| [value]);
        self.server.commit(target, secs(at), secs(at), row.as_ref().map(<[f64; 1]>::as_slice));
    }
    /// Evaluates the group; the messages of rules that failed.
    fn evaluate(&mut self, at: u64) -> Vec<String> {
        self.server.evaluate_rules(self.group, secs(at)).iter().map(ToString::to_string).collect()
    }
    /// The answer to the n-th query, elements as text in label order.
    fn ask(&mut self, query: usize, at: u64) -> Vec<String> {
        let value = self.server.query(self.queries[query], secs(at), secs(at)).expect("it evaluates");
        let QueryValue::Vector(elements) = value else { panic!("expected a vector, found {value:?}") };
        let mut texts: Vec<String> = elements.iter().map(|(labels, value)| format!("{labels} {value}")).collect();
        texts.sort();
        texts
    }
}

#[test]
fn results_are_stored_under_the_rules_name_at_the_evaluations_time() {
    let rules = [rule("pod:m:sum", "sum by (pod) (m)", &[("team", "a"), ("pod", "")])];
    let mut world = World::new(&group(&rules), &["pod:m:sum", "timestamp(pod:m:sum)"]);
    let pod = world.pod("p");
    world.scrape(pod, 10, Some(4.0));
    assert!(world.ask(0, 12).is_empty(), "nothing is stored before the first evaluation");
    assert!(world.evaluate(13).is_empty());
    assert_eq!(world.ask(0, 13), [r#"pod:m:sum{team="a"} 4"#], "visible at once");
    assert_eq!(world.ask(1, 40), [r#"{team="a"} 1700000013"#]);
    world.scrape(pod, 25, Some(5.0));
    assert_eq!(world.ask(0, 40), [r#"pod:m:sum{team="a"} 4"#], "a newer scrape shows with the next evaluation");
    world.evaluate(43);
    assert_eq!(world.ask(0, 43), [r#"pod:m:sum{team="a"} 5"#]);
    assert_eq!(world.ask(0, 42), [r#"pod:m:sum{team="a"} 4"#], "results are samples with a past");
}

#[test]
fn rules_see_what_those_before_them_wrote() {
    // `late` reads `first`, which stands before it, and `early` reads `late`, which stands after.
    let rules = [rule("early", "late", &[]), rule("first", "sum(m)", &[]), rule("late", "first * 10", &[])];
    let mut world = World::new(&group(&rules), &["early", "late"]);
    let pod = world.pod("p");
    world.scrape(pod, 1, Some(1.0));
    world.evaluate(2);
    assert_eq!((world.ask(0, 2), world.ask(1, 2)), (vec![], vec!["late 10".to_owned()]));
    world.scrape(pod, 16, Some(2.0));
    world.evaluate(32);
    assert_eq!((world.ask(0, 32), world.ask(1, 32)), (vec!["early 10".to_owned()], vec!["late 20".to_owned()]));
}

#[test]
fn a_series_that_is_gone_is_marked_stale_at_the_next_evaluation() {
    let mut world =
        World::new(&group(&[rule("r", "m", &[("model_name", "")])]), &["r", "sum(r)", "count_over_time(r[5m])"]);
    let (a, b) = (world.pod("a"), world.pod("b"));
    world.scrape(a, 1, Some(1.0));
    world.scrape(b, 1, Some(2.0));
    world.evaluate(10);
    assert_eq!(world.ask(0, 10), [r#"r{pod="a"} 1"#, r#"r{pod="b"} 2"#]);
    world.scrape(a, 16, None);
    assert_eq!(world.ask(1, 20), ["{} 3"], "until then the old result stays");
    world.evaluate(40);
    assert_eq!(world.ask(0, 40), [r#"r{pod="b"} 2"#]);
    assert_eq!(world.ask(2, 40), [r#"{pod="a"} 1"#, r#"{pod="b"} 2"#], "markers are no samples of a range");
    world.scrape(a, 46, Some(7.0));
    world.evaluate(70);
    assert_eq!(world.ask(0, 70), [r#"r{pod="a"} 7"#, r#"r{pod="b"} 2"#], "and it comes back");
}

#[test]
fn a_rule_that_fails_keeps_its_last_results_and_stops_no_other() {
    // The second rule fails while two pods are there: two results, one label set.
    let rules = [
        rule("before", "count(m)", &[]),
        rule("one", "m", &[("pod", ""), ("model_name", "")]),
        rule("after", "count(m)", &[]),
    ];
    let mut world = World::new(&group(&rules), &["before", "one", "after"]);
    let a = world.pod("a");
    world.scrape(a, 1, Some(1.0));
    assert!(world.evaluate(10).is_empty());
    let b = world.pod("b");
    world.scrape(a, 16, Some(3.0));
    world.scrape(b, 16, Some(3.0));
    let message =
        "the recording rule one failed: vector contains metrics with the same labelset after applying rule labels";
    assert_eq!(world.evaluate(40), [message]);
    assert_eq!([0, 1, 2].map(|query| world.ask(query, 40)), [["before 2"], ["one 1"], ["after 2"]]);
    // No marker was written: the old result goes only with the lookback.
    assert_eq!(world.ask(1, 309), ["one 1"]);
    assert!(world.ask(1, 311).is_empty());
}

#[test]
fn scalars_are_recorded_and_ranges_and_strings_are_not() {
    let rules = [rule("s", "2 * 3", &[("k", "v")]), rule("m5", "m[5m]", &[]), rule("t", "\"text\"", &[])];
    let mut world = World::new(&group(&rules), &["s"]);
    let pod = world.pod("p");
    world.scrape(pod, 1, Some(1.0));
    assert_eq!(
        world.evaluate(5),
        [
            "the recording rule m5 failed: rule result is not a vector or scalar",
            "the recording rule t failed: rule result is not a vector or scalar"
        ]
    );
    assert_eq!(world.ask(0, 5), [r#"s{k="v"} 6"#]);
}

#[test]
fn a_limit_fails_the_whole_rule() {
    let limited = RuleGroup { limit: 1, ..group(&[rule("r", "m", &[]), rule("n", "count(m)", &[])]) };
    let mut world = World::new(&limited, &["r", "n"]);
    for name in ["a", "b"] {
        let pod = world.pod(name);
        world.scrape(pod, 1, Some(1.0));
    }
    assert_eq!(world.evaluate(5), ["the recording rule r failed: exceeded limit of 1 with 2 series"]);
    assert_eq!((world.ask(0, 5), world.ask(1, 5)), (vec![], vec!["n 2".to_owned()]));
}

#[test]
fn an_offset_moves_the_question_and_the_stamp() {
    let late = RuleGroup { query_offset: SimDuration::from_secs(60), ..group(&[rule("r", "sum(m)", &[])]) };
    let mut world = World::new(&late, &["r", "timestamp(r)"]);
    let pod = world.pod("p");
    for at in 0..20 {
        world.scrape(pod, at * 15, Some(at as f64));
    }
    world.evaluate(200);
    // 200 s - 60 s = 140 s; the newest scrape then was the ninth, at 135 s.
    assert_eq!((world.ask(0, 200), world.ask(1, 200)), (vec!["r 9".to_owned()], vec!["{} 1700000140".to_owned()]));
}

#[test]
fn two_rules_of_one_name_share_their_series_and_the_first_wins() {
    let rules = [rule("r", "sum(m)", &[]), rule("r", "sum(m) * 2", &[]), rule("r", "sum(m) * 3", &[("k", "v")])];
    let mut world = World::new(&group(&rules), &["r"]);
    let pod = world.pod("p");
    world.scrape(pod, 1, Some(1.0));
    // Upstream drops the second sample of one time stamp and calls it no failure of the evaluation.
    assert!(world.evaluate(5).is_empty());
    assert_eq!(world.ask(0, 5), ["r 1", r#"r{k="v"} 3"#]);
}

#[test]
fn rates_of_recorded_series_and_rules_over_ranges_work() {
    let rules = [rule("r", "sum(m)", &[])];
    let mut world = World::new(&group(&rules), &["round(rate(r[2m]), 0.001)", "max_over_time(r[2m])"]);
    let pod = world.pod("p");
    for at in 0..40u64 {
        world.scrape(pod, at * 15, Some((at * 15) as f64));
        world.evaluate(at * 15);
    }
    assert_eq!(world.ask(0, 585), ["{} 1"], "one per second");
    assert_eq!(world.ask(1, 585), ["{} 585"]);
}

#[test]
fn groups_that_prometheus_would_not_load_are_refused_with_a_place() {
    for (refused, field, offset, part) in [
        (rule("", "m", &[]), "record", None, "metric name"),
        (rule("r", "sum(", &[]), "expr", Some(4), "end of the query"),
        (rule("r", "m", &[("__name__", "x")]), "labels", None, "__name__"),
        (rule("r", "m", &[("", "x")]), "labels", None, "label name"),
    ] {
        let error = server().add_rule_group(&group(&[rule("fine", "m", &[]), refused])).expect_err(part);
        assert_eq!((error.rule, error.field, error.offset), (1, field, offset), "{error}");
        assert!(error.to_string().contains(part), "{error}");
    }
    let old = PrometheusSettings {
        version: PrometheusVersion::V2_42,
        lookback: SimDuration::from_secs(300),
        evaluation_interval: SimDuration::from_secs(60),
        epoch_ms: 0,
    };
    // Any UTF-8 is a name only since 3.0.
    let dotted = group(&[rule("a.b", "m", &[])]);
    assert!(server().add_rule_group(&dotted).is_ok());
    assert!(PrometheusServer::new(old).add_rule_group(&dotted).is_err());
}

#[test]
fn a_selector_of_a_rule_that_gave_nothing_is_explained() {
    let rules = [rule("r", "nothing_like_it", &[])];
    let mut world = World::new(&group(&rules), &["r"]);
    let pod = world.pod("p");
    world.scrape(pod, 1, Some(1.0));
    world.evaluate(5);
    let matches = world.server.selector_matches(world.queries[0]);
    assert!(!matches[0].matched);
    assert_eq!(matches[0].nearest.as_deref(), Some("the recording rule r never had a result"));
    let of_rule = world.server.rule_queries(world.group);
    assert!(!world.server.selector_matches(of_rule[0])[0].matched, "the rule's own selector can be asked about too");
}

#[test]
fn phases_are_fixed_per_group_and_lie_within_the_interval() {
    let interval = SimDuration::from_secs(30);
    let phase = |group: &str| rule_phase(Seed(1), group, interval);
    assert_eq!(phase("monitoring/rules/a"), phase("monitoring/rules/a"));
    assert_ne!(phase("monitoring/rules/a"), phase("monitoring/rules/b"));
    assert!((0..100).all(|n| phase(&n.to_string()) < interval));
}
