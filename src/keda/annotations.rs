//! Annotations that pause or force scaling (keda.md 1.2; `apis/keda/v1alpha1/scaledobject_types.go`,
//! `withtriggers_types.go`).

use crate::keda::KedaVersion;
use crate::keda::metadata::parse_bool;
use crate::manifest::ScaledObject;
use crate::units::{Diagnostic, Diagnostics};

/// The first release with `paused-scale-out` and `force-activation`.
const V2_18: KedaVersion = KedaVersion { major: 2, minor: 18, patch: 0 };

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
        let Some(name) = key.name.strip_prefix("autoscaling.keda.sh/") else { continue };
        let path = format!("metadata.annotations.{}", key.name);
        if name == "paused-replicas" {
            found.paused = true;
            match value.value.parse::<i32>() {
                Ok(count) if count >= 0 => found.paused_replicas = Some(count),
                _ => {
                    let message = format!(
                        "found {:?}, expected a count of replicas: KEDA's reconcile fails and the target stays paused",
                        value.value
                    );
                    diagnostics.push(Diagnostic::error(value.span.clone(), path, message));
                }
            }
            continue;
        }
        let slot = match name {
            "paused" => &mut found.paused,
            "paused-scale-in" => &mut found.paused_scale_in,
            "paused-scale-out" if version >= V2_18 => &mut found.paused_scale_out,
            "force-activation" if version >= V2_18 => &mut found.force_activation,
            _ => continue,
        };
        let read = parse_bool(&value.value);
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
            (&[("paused-scale-in", "1")], NEW, scale_in, 0),                   // one direction
            (&[("paused-scale-out", "1")], NEW, scale_out, 0),                 // the other
            (&[("paused-scale-out", "1")], version(2, 17, 2), NONE, 0),        // unknown then
            (&[("force-activation", "T")], NEW, forced, 0),                    // forced
            (&[("force-activation", "0")], NEW, NONE, 0),                      // not forced
            (&[("force-activation", "T")], version(2, 17, 2), NONE, 0),        // unknown then
            (&[("something", "true")], NEW, NONE, 0),                          // not one of them
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
}
