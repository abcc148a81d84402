//! Annotations that pause or force scaling (keda.md 1.2; `apis/keda/v1alpha1/scaledobject_types.go`,
//! `withtriggers_types.go`).

use crate::keda::KedaVersion;
use crate::keda::metadata::parse_bool;
use crate::manifest::{ScaledObject, nearest};
use crate::units::{Diagnostic, Diagnostics, Judge};

/// The first release with `paused-scale-out` and `force-activation`.
const V2_18: KedaVersion = KedaVersion { major: 2, minor: 18, patch: 0 };

/// Most replicas that `paused-replicas` may ask for: beyond any cluster that is simulated.
const MOST_REPLICAS: i32 = 10_000;

/// Every annotation of KEDA's on a ScaledObject, the misspelt ones to be told from.
const KNOWN: [&str; 8] = [
    "autoscaling.keda.sh/paused",
    "autoscaling.keda.sh/paused-replicas",
    "autoscaling.keda.sh/paused-scale-in",
    "autoscaling.keda.sh/paused-scale-out",
    "autoscaling.keda.sh/force-activation",
    "scaledobject.keda.sh/transfer-hpa-ownership",
    "scaledobject.keda.sh/hpa-excluded-labels",
    "validations.keda.sh/hpa-ownership",
];

/// What the annotations of a ScaledObject say about scaling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScalingAnnotations {
    /// `paused`, or `paused-replicas` by its mere presence: no scale loop and no HPA.
    pub paused: bool,
    /// `paused-replicas`: the count that the target is set to.
    pub paused_replicas: Option<i32>,
    /// `paused-scale-in`: no way down, neither by the HPA nor to zero or idle.
    pub paused_scale_in: bool,
    /// `paused-scale-out`: no way up by the HPA and no activation.
    pub paused_scale_out: bool,
    /// `force-activation`: as if a trigger were active.
    pub force_activation: bool,
}

/// Reads the annotations. A boolean that cannot be read counts as true (`getBoolAnnotation`).
pub(super) fn resolve(
    written: &ScaledObject,
    version: KedaVersion,
    diagnostics: &mut Diagnostics,
) -> ScalingAnnotations {
    let mut found = ScalingAnnotations::default();
    for (key, value) in &written.annotations {
        let path = format!("metadata.annotations.{}", key.name);
        if is_kedas(&key.name) && !KNOWN.contains(&key.name.as_str()) {
            let message = "KEDA knows no such annotation and passes it over";
            let help = match nearest(&key.name, KNOWN) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("known annotations: {}", KNOWN.join(", ")),
            };
            diagnostics.push(Diagnostic::warning(key.span.clone(), path, message).help(help));
            continue;
        }
        let Some(name) = key.name.strip_prefix("autoscaling.keda.sh/") else { continue };
        if name == "paused-replicas" {
            found.paused = true;
            match value.value.parse::<i32>() {
                Ok(count) if count > MOST_REPLICAS => {
                    let message =
                        format!("found {count}, more than the {MOST_REPLICAS} replicas that can be simulated");
                    let diagnostic = Diagnostic::error(value.span.clone(), path, message);
                    diagnostics.push(diagnostic.help("write a smaller count"));
                }
                Ok(count) if count >= 0 => found.paused_replicas = Some(count),
                _ => {
                    let message = format!(
                        "found {:?}, expected a count of replicas: KEDA's reconcile fails and the target stays paused",
                        value.value
                    );
                    diagnostics.push(Diagnostic::error(value.span.clone(), path, message).by(Judge::Operator));
                }
            }
            continue;
        }
        let slot = match name {
            "paused" => &mut found.paused,
            "paused-scale-in" => &mut found.paused_scale_in,
            "paused-scale-out" if version >= V2_18 => &mut found.paused_scale_out,
            "force-activation" if version >= V2_18 => &mut found.force_activation,
            _ => {
                let message = "this KEDA version does not know the annotation and passes it over";
                diagnostics.push(Diagnostic::warning(key.span.clone(), path, message).help("it needs KEDA 2.18"));
                continue;
            }
        };
        let read = parse_bool(&value.value);
        let stopped = match name {
            "paused-scale-in" => Some("nothing scales in while this annotation stands"),
            "paused-scale-out" => Some("nothing scales out while this annotation stands, and nothing is activated"),
            _ => None,
        };
        if let Some(message) = stopped.filter(|_| read.unwrap_or(true)) {
            diagnostics.push(Diagnostic::warning(value.span.clone(), path.clone(), message));
        }
        // `paused` may already stand by `paused-replicas`.
        *slot |= read.unwrap_or(true);
        if read.is_none() {
            let message = format!("found {:?}, which is no boolean to KEDA and counts as true", value.value);
            diagnostics.push(
                Diagnostic::warning(value.span.clone(), path, message).help("write \"true\", or remove the annotation"),
            );
        }
    }
    found
}

/// Whether an annotation lies in a namespace of KEDA's that is read from ScaledObjects.
fn is_kedas(name: &str) -> bool {
    let prefix = name.split_once('/').map_or("", |(prefix, _)| prefix);
    ["autoscaling.keda.sh", "scaledobject.keda.sh", "validations.keda.sh"].contains(&prefix)
}

/// Says that nothing scales while the object is paused, and that a count lies outside the `bounds`.
pub(super) fn tell_paused(
    written: &ScaledObject,
    annotations: ScalingAnnotations,
    bounds: (i32, i32),
    diagnostics: &mut Diagnostics,
) {
    if !annotations.paused {
        return;
    }
    let find = |name: &str| {
        let own = |key: &crate::manifest::Key| key.name.strip_prefix("autoscaling.keda.sh/") == Some(name);
        written.annotations.iter().find(|(key, _)| own(key))
    };
    let Some((key, value)) = find("paused-replicas").or_else(|| find("paused")) else { return };
    let path = format!("metadata.annotations.{}", key.name);
    let at = annotations.paused_replicas.map_or("where they are".to_owned(), |count| format!("at {count}"));
    let message = format!("the ScaledObject is paused: nothing scales while this stands, the replicas stay {at}");
    let help = "remove the annotation to simulate how it scales";
    diagnostics.push(Diagnostic::warning(key.span.clone(), path.as_str(), message).help(help));
    let (min, max) = bounds;
    if let Some(count) = annotations.paused_replicas.filter(|count| !(min..=max).contains(count)) {
        let message = format!("found {count}, which lies outside minReplicaCount {min} and maxReplicaCount {max}");
        let note = Diagnostic::note(value.span.clone(), path, message);
        diagnostics.push(note.help("KEDA sets the target to it all the same"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keda::test_support::{key, text, version, written};

    const NEW: KedaVersion = version(2, 20, 2);
    type Row<'a> = (&'a [(&'a str, &'a str)], KedaVersion, ScalingAnnotations, usize);

    const NONE: ScalingAnnotations = ScalingAnnotations {
        paused: false,
        paused_replicas: None,
        paused_scale_in: false,
        paused_scale_out: false,
        force_activation: false,
    };

    #[test]
    fn annotations_pause_and_force() {
        let paused = ScalingAnnotations { paused: true, ..NONE };
        let at = |count| ScalingAnnotations { paused_replicas: Some(count), ..paused };
        let scale_in = ScalingAnnotations { paused_scale_in: true, ..NONE };
        let scale_out = ScalingAnnotations { paused_scale_out: true, ..NONE };
        let forced = ScalingAnnotations { force_activation: true, ..NONE };
        // annotations, version, what they say, messages.
        let table: [Row<'_>; 14] = [
            (&[("paused", "true")], NEW, paused, 0),                           // plain
            (&[("paused", "false")], NEW, NONE, 0),                            // switched off
            (&[("paused", "yes")], NEW, paused, 1),                            // unreadable counts as true
            (&[("paused", "")], NEW, paused, 1),                               // so does nothing
            (&[("paused-replicas", "3")], NEW, at(3), 0),                      // with a count
            (&[("paused-replicas", "0")], NEW, at(0), 0),                      // zero is one
            (&[("paused", "false"), ("paused-replicas", "3")], NEW, at(3), 0), // presence alone pauses
            (&[("paused-scale-in", "1")], NEW, scale_in, 1),                   // one direction
            (&[("paused-scale-out", "1")], NEW, scale_out, 1),                 // the other
            (&[("paused-scale-out", "1")], version(2, 17, 2), NONE, 1),        // unknown then
            (&[("force-activation", "T")], NEW, forced, 0),                    // forced
            (&[("force-activation", "0")], NEW, NONE, 0),                      // not forced
            (&[("force-activation", "T")], version(2, 17, 2), NONE, 1),        // unknown then
            (&[("something", "true")], NEW, NONE, 1),                          // not one of them
        ];
        for (annotations, version, expected, messages) in table {
            let mut object = written();
            for (name, value) in annotations {
                object.annotations.push((key(&format!("autoscaling.keda.sh/{name}"), 30), text(value, 31)));
            }
            object.annotations.push((key("example.com/paused", 32), text("true", 32)));
            let mut diagnostics = Diagnostics::new();
            assert_eq!(resolve(&object, version, &mut diagnostics), expected, "{annotations:?}");
            assert_eq!(diagnostics.0.len(), messages, "{annotations:?}: {diagnostics}");
            assert!(!diagnostics.has_errors());
        }
    }

    #[test]
    fn a_paused_count_must_be_one() {
        for value in ["", "x", "1.5", "-1", "99999999999"] {
            let mut object = written();
            object.annotations.push((key("autoscaling.keda.sh/paused-replicas", 30), text(value, 31)));
            let mut diagnostics = Diagnostics::new();
            assert!(resolve(&object, NEW, &mut diagnostics).paused);
            let start = format!(
                "error: so.yaml:31:3: metadata.annotations.autoscaling.keda.sh/paused-replicas: found {value:?}"
            );
            assert!(diagnostics.to_string().starts_with(&start), "{diagnostics}");
        }
    }

    #[test]
    fn misspelt_annotations_are_told_with_the_nearest() {
        // annotation, what is said, or nothing.
        let table = [
            ("autoscaling.keda.sh/pause", "did you mean autoscaling.keda.sh/paused?"), // a letter short
            ("autoscaling.keda.sh/paused-scalein", "did you mean autoscaling.keda.sh/paused-scale-in?"), // a dash short
            ("scaledobject.keda.sh/paused-replicas", "did you mean "),                 // the wrong namespace
            ("scaledobject.keda.sh/transfer-hpa-ownership", ""),                       // known
            ("scaledobject.keda.sh/hpa-excluded-labels", ""),                          // known
            ("validations.keda.sh/hpa-ownership", ""),                                 // known
            ("example.com/pause", ""),                                                 // somebody else's
            ("keda.sh", ""),                                                           // no namespace at all
        ];
        for (name, help) in table {
            let mut object = written();
            object.annotations.push((key(name, 30), text("true", 31)));
            let mut diagnostics = Diagnostics::new();
            assert_eq!(resolve(&object, NEW, &mut diagnostics), NONE);
            let shown = diagnostics.to_string();
            assert_eq!(shown.is_empty(), help.is_empty(), "{name}: {shown}");
            assert!(shown.contains(help), "{name}: {shown}");
            assert!(
                shown.is_empty() || shown.starts_with(&format!("warning: so.yaml:30:3: metadata.annotations.{name}: "))
            );
        }
    }

    #[test]
    fn a_paused_count_has_a_limit_and_bounds() {
        let told = |annotations: &[(&str, &str)]| {
            let mut object = written();
            for (name, value) in annotations {
                object.annotations.push((key(&format!("autoscaling.keda.sh/{name}"), 30), text(value, 31)));
            }
            let mut diagnostics = Diagnostics::new();
            let found = resolve(&object, NEW, &mut diagnostics);
            tell_paused(&object, found, (1, 5), &mut diagnostics);
            diagnostics.to_string()
        };
        let paused = "the ScaledObject is paused: nothing scales while this stands, the replicas stay ";
        assert!(told(&[("paused", "true")]).contains(&format!("keda.sh/paused: {paused}where they are")));
        assert!(told(&[("paused-replicas", "5")]).contains(&format!("keda.sh/paused-replicas: {paused}at 5")));
        assert_eq!(told(&[("paused", "false")]), "");
        assert!(told(&[("paused-scale-in", "true")]).contains("nothing scales in"));
        assert_eq!(told(&[("paused-scale-in", "false")]), "");
        // count, within the bounds, within the limit.
        for (count, inside, simulated) in [
            (0, false, true),
            (1, true, true),
            (5, true, true),
            (6, false, true),
            (10_000, false, true),
            (10_001, true, false),
        ] {
            let found = told(&[("paused-replicas", &count.to_string())]);
            let outside = format!(
                "note: so.yaml:31:3: metadata.annotations.autoscaling.keda.sh/paused-replicas: found {count}, which lies outside"
            );
            assert_eq!(found.contains(&outside), !inside, "{found}");
            assert_eq!(found.contains(&format!("found {count}, more than the 10000 replicas")), !simulated, "{found}");
        }
    }
}
