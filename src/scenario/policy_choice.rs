//! Which of the documents is the policy: a ScaledObject as written, or one that KServe would generate.

use crate::manifest::{Bundle, Document, ScaledObject};
use crate::scenario::Overrides;
use crate::scenario::kserve_policy::generated_scaled_objects;
use crate::scenario::ledger::{Ledger, flag};
use crate::units::Diagnostic;

/// The ScaledObject to run; `None` after an error in the ledger.
pub(super) fn choose_scaled_object(
    bundle: &Bundle,
    overrides: &Overrides,
    ledger: &mut Ledger,
) -> Option<ScaledObject> {
    let documents: Vec<&Document> = bundle.of_kind("ScaledObject").collect();
    let generated = generated_scaled_objects(bundle, ledger);
    let listed = || {
        let shown: Vec<String> =
            documents.iter().map(|document| format!("{} ({})", document.name, document.root.span)).collect();
        shown.join(", ")
    };
    let fitting: Vec<&&Document> =
        documents.iter().filter(|document| overrides.name.as_ref().is_none_or(|name| *name == document.name)).collect();
    let diagnostic = match (fitting.as_slice(), &overrides.name) {
        ([document], _) => return ScaledObject::read(document, &mut ledger.diagnostics),
        ([], None) if documents.is_empty() && !generated.is_empty() => {
            let mut generated = generated;
            if generated.len() == 1 {
                return generated.pop();
            }
            let names: Vec<&str> = generated.iter().map(|own| own.name.value.as_str()).collect();
            let message = format!("KServe would generate {} ScaledObjects: {}", names.len(), names.join(", "));
            Diagnostic::error(None, "", message).help("choose one with --name")
        }
        ([], Some(name)) if generated.iter().any(|own| own.name.value == *name) => {
            return generated.into_iter().find(|own| own.name.value == *name);
        }
        ([], _) if documents.is_empty() && bundle.of_kind("HorizontalPodAutoscaler").next().is_some() => {
            let place = bundle.of_kind("HorizontalPodAutoscaler").next().map(|document| document.root.span.clone());
            Diagnostic::error(place, "", "a plain HorizontalPodAutoscaler is not modelled yet")
                .help("give the ScaledObject whose HPA is to be simulated")
        }
        ([], _) if documents.is_empty() => {
            let skipped: Vec<&str> = bundle.skipped.iter().map(|skipped| skipped.kind.as_str()).collect();
            let found = bundle.documents.iter().map(|document| document.kind.as_str()).chain(skipped);
            let found = found.collect::<Vec<_>>().join(", ");
            let found = if found.is_empty() { "no document".to_owned() } else { found };
            Diagnostic::error(None, "", format!("found no ScaledObject among the input ({found}), expected one"))
                .help("name the file or folder that holds the ScaledObject")
        }
        ([], name) => {
            let name = name.as_deref().unwrap_or_default();
            let message = format!("there is no ScaledObject called {name:?}; found {}", listed());
            Diagnostic::error(flag("--name"), "", message)
        }
        (_, None) => {
            let message = format!("found {} ScaledObjects: {}", documents.len(), listed());
            Diagnostic::error(None, "", message).help("choose one with --name")
        }
        (_, Some(name)) => {
            let message = format!("found {} ScaledObjects called {name:?}: {}", fitting.len(), listed());
            Diagnostic::error(flag("--name"), "", message).help("give only the file of the one that is meant")
        }
    };
    ledger.push(diagnostic);
    None
}
