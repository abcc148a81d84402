//! The scale target: any resource with a `/scale` subresource (`ParseGVKR`, `apis/keda/v1alpha1/gvkr_types.go`).
//!
//! Whether it can be simulated is not decided here.

use crate::manifest::ScaleTargetRef;
use crate::units::{Diagnostic, Diagnostics, Judge};

/// Kind and version of a target, defaulted: an absent or empty kind is `Deployment`, such a version `apps/v1`, each for
/// itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TargetKind {
    pub(super) kind: String,
    pub(super) api_version: String,
}

impl TargetKind {
    pub(super) fn of(reference: &ScaleTargetRef) -> Self {
        let text = |field: &Option<crate::units::Located<String>>, default: &str| {
            let own = field.as_ref().map(|own| own.value.as_str()).filter(|own| !own.is_empty());
            own.unwrap_or(default).to_owned()
        };
        TargetKind { kind: text(&reference.kind, "Deployment"), api_version: text(&reference.api_version, "apps/v1") }
    }

    /// Upstream's `GVKString`: `apps/v1.Deployment`; the core group is empty.
    pub(super) fn shown(&self) -> String {
        let (group, version) = self.api_version.split_once('/').unwrap_or(("", &self.api_version));
        format!("{group}/{version}.{}", self.kind)
    }

    /// Whether the webhook looks into its pod template.
    pub(super) fn has_known_template(&self) -> bool {
        matches!(self.shown().as_str(), "apps/v1.Deployment" | "apps/v1.StatefulSet")
    }
}

/// What is certainly wrong: a version that is none, a kind that `apps/v1` does not have or that cannot be scaled.
pub(super) fn resolve(reference: &ScaleTargetRef, diagnostics: &mut Diagnostics) -> TargetKind {
    let target = TargetKind::of(reference);
    let place = |field: &Option<crate::units::Located<String>>| {
        field.as_ref().map_or_else(|| reference.name.span.clone(), |own| own.span.clone())
    };
    if target.api_version.matches('/').count() > 1 {
        let message = format!("unexpected GroupVersion string: {}", target.api_version);
        let path = "spec.scaleTargetRef.apiVersion";
        let diagnostic = Diagnostic::error(place(&reference.api_version), path, message).by(Judge::Webhook);
        diagnostics.push(diagnostic.help("write group/version, such as apps/v1"));
    } else if target.api_version == "apps/v1" {
        let kind = target.kind.as_str();
        let (message, judge) = match kind {
            "Deployment" | "StatefulSet" | "ReplicaSet" => return target,
            "DaemonSet" | "ControllerRevision" => {
                ("target resource doesn't expose /scale subresource".to_owned(), Judge::Operator)
            }
            _ => (format!("no matches for kind {kind:?} in version \"apps/v1\""), Judge::Webhook),
        };
        let diagnostic = Diagnostic::error(place(&reference.kind), "spec.scaleTargetRef.kind", message).by(judge);
        diagnostics
            .push(diagnostic.help("apps/v1, the default apiVersion, has Deployment, StatefulSet and ReplicaSet"));
    }
    target
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keda::test_support::text;

    fn reference(kind: Option<&str>, api_version: Option<&str>) -> ScaleTargetRef {
        ScaleTargetRef {
            name: text("vllm", 4),
            kind: kind.map(|own| text(own, 5)),
            api_version: api_version.map(|own| text(own, 6)),
        }
    }

    #[test]
    fn targets_are_defaulted_and_shown_as_upstream_does() {
        // kind, apiVersion, shown, the message.
        let table = [
            (None, None, "apps/v1.Deployment", ""),                          // both defaults
            (Some(""), Some(""), "apps/v1.Deployment", ""),                  // empty is absent
            (Some("StatefulSet"), None, "apps/v1.StatefulSet", ""),          // each for itself
            (Some("Deployment"), Some("apps/v1"), "apps/v1.Deployment", ""), // as written
            (Some("ReplicaSet"), Some("apps/v1"), "apps/v1.ReplicaSet", ""), // scalable
            (Some("Workspace"), Some("kaito.sh/v1beta1"), "kaito.sh/v1beta1.Workspace", ""), // foreign
            (Some("ReplicationController"), Some("v1"), "/v1.ReplicationController", ""), // the core group
            (Some("Workspace"), None, "apps/v1.Workspace", "no matches for kind \"Workspace\" in version \"apps/v1\""), // not there
            (Some("DaemonSet"), None, "apps/v1.DaemonSet", "target resource doesn't expose /scale subresource"), // not scalable
            (None, Some("a/b/c"), "a/b/c.Deployment", "unexpected GroupVersion string: a/b/c"), // no version
        ];
        for (kind, api_version, shown, message) in table {
            let mut diagnostics = Diagnostics::new();
            let found = resolve(&reference(kind, api_version), &mut diagnostics);
            assert_eq!(found.shown(), shown);
            let messages: Vec<&str> = diagnostics.0.iter().map(|own| own.message.as_str()).collect();
            assert_eq!(messages, if message.is_empty() { vec![] } else { vec![message] }, "{shown}");
            assert!(diagnostics.0.iter().all(|own| own.judge.is_some() && own.span.is_some()));
        }
    }
}
