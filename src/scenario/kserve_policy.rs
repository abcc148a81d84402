//! The ScaledObjects that KServe creates for its own resources (keda.md 9.2, 9.3), each part with the place in the
//! InferenceService or LLMInferenceService that it comes from.

use crate::manifest::{Bundle, ScaledObject};
use crate::scenario::ledger::Ledger;

/// What KServe would create for the InferenceServices with `autoscalerClass: keda` and the LLMInferenceServices with
/// `scaling` of `bundle`, in order.
pub(super) fn generated_scaled_objects(_bundle: &Bundle, _ledger: &mut Ledger) -> Vec<ScaledObject> {
    Vec::new()
}
