//! Whose measurements they are: files that name different models are mixed by mistake more often than not.

use crate::replica::{Profile, model_key};
use crate::units::{Diagnostic, Span};
use serde_json::Value;

/// The models that a result of a benchmark names, each once: `model_id` of `vllm bench serve`, the model of guidellm's backend.
pub(super) fn models_in(result: &Value) -> Vec<String> {
    let of_vllm = result.get("model_id");
    let benchmarks = result.get("benchmarks").and_then(Value::as_array).into_iter().flatten();
    let of_guidellm = benchmarks.flat_map(|own| {
        let config = own.pointer("/config/backend/model");
        config.into_iter().chain(own.pointer("/worker/backend_model"))
    });
    let mut models = Vec::new();
    for name in of_vllm.into_iter().chain(of_guidellm).filter_map(Value::as_str).filter(|name| !name.is_empty()) {
        if !models.iter().any(|own| own == name) {
            models.push(name.to_owned());
        }
    }
    models
}

/// Warnings where the files name several models, or another than the profile is of.
pub fn warn_of_models(prior: &Profile, named: &[(Span, String)]) -> Vec<Diagnostic> {
    let mut models: Vec<(&Span, &String)> = Vec::new();
    for (place, model) in named {
        if !models.iter().any(|(_, own)| model_key(own) == model_key(model)) {
            models.push((place, model));
        }
    }
    let mut told = Vec::new();
    if let [(_, first), others @ ..] = &models[..] {
        for (place, model) in others {
            let message = format!("these are measurements of {model}, others of {first}; they are fitted as if of one");
            told.push(Diagnostic::warning((*place).clone(), "", message).help("give the files of one model at a time"));
        }
    }
    for (place, model) in models {
        if model_key(model) != model_key(&prior.model) {
            let message = format!(
                "these are measurements of {model}, the prior {} is of {}, and so will the new profile be",
                prior.name, prior.model
            );
            let help = "take the prior of the same model, unless this is only the name under which it is served";
            told.push(Diagnostic::warning(place.clone(), "", message).help(help));
        }
    }
    told
}
