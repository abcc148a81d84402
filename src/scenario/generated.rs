//! What KServe would create, for whoever inspects a policy without running it.

use crate::manifest::{Bundle, Document, ScaledObject};
use crate::scenario::kserve_policy::generated_scaled_objects;
use crate::scenario::ledger::Ledger;
use crate::units::Diagnostics;

/// The ScaledObjects that KServe would create for one InferenceService or LLMInferenceService, with the messages met on
/// the way.
pub fn generated_by_kserve(service: &Document) -> (Vec<ScaledObject>, Diagnostics) {
    let bundle = Bundle { documents: vec![service.clone()], skipped: Vec::new() };
    let mut ledger = Ledger::default();
    let objects = generated_scaled_objects(&bundle, &mut ledger);
    (objects, ledger.diagnostics)
}
