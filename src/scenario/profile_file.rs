//! `kind: Profile` to a profile.

use crate::manifest::{Document, Fields, UnknownKeys};
use crate::replica::{Profile, StepTimeCoefficients};
use crate::scenario::show;
use crate::scenario::values::{count, name_kind, non_negative, not_modelled, positive, spec_of};
use crate::units::{Diagnostic, Diagnostics};

/// Reads a Profile document.
///
/// # Errors
/// All mistakes, located.
pub fn read_profile(document: &Document) -> Result<Profile, Diagnostics> {
    let mut diagnostics = Diagnostics::new();
    let profile = profile(document, &mut diagnostics);
    name_kind("Profile", &mut diagnostics);
    match profile {
        Some(profile) if !diagnostics.has_errors() => Ok(profile),
        _ => Err(diagnostics),
    }
}

fn profile(document: &Document, diagnostics: &mut Diagnostics) -> Option<Profile> {
    let (name, spec) = spec_of(&document.root, diagnostics)?;
    let mut fields = Fields::of(spec, "spec", diagnostics)?;
    if name.is_none() {
        let place = document.root.span.clone();
        diagnostics.push(Diagnostic::error(place, "metadata.name", "the required field name is missing"));
    }
    let model = fields.string("model", diagnostics);
    let model = fields.required("model", model, diagnostics);
    let gpu = fields.string("gpu", diagnostics);
    let gpu = fields.required("gpu", gpu, diagnostics);
    let gpus = fields.integer("gpus", 0..=64, diagnostics).map_or(1, |gpus| gpus.value);
    let step_time = fields.fields("stepTime", diagnostics);
    let step_time = fields.required("stepTime", step_time, diagnostics);
    let step_time = step_time.and_then(|inner| read_step_time(inner, diagnostics));
    let overhead = non_negative(&mut fields, "requestOverheadMs", diagnostics);
    let kv_tokens = fields.integer("kvTokens", 1..=i64::MAX, diagnostics);
    not_modelled(&mut fields, &["memory"], diagnostics);
    let kv_tokens = fields.required("kvTokens", kv_tokens, diagnostics);
    let max_num_seqs = count(&mut fields, "maxNumSeqs", diagnostics);
    let max_num_seqs = fields.required("maxNumSeqs", max_num_seqs, diagnostics);
    let batched = count(&mut fields, "maxNumBatchedTokens", diagnostics);
    let batched = fields.required("maxNumBatchedTokens", batched, diagnostics);
    let max_model_len = count(&mut fields, "maxModelLen", diagnostics);
    let max_model_len = fields.required("maxModelLen", max_model_len, diagnostics);
    let source = fields.string("source", diagnostics);
    let error = fields.string("error", diagnostics);
    fields.finish(UnknownKeys::Error, diagnostics);
    Some(Profile {
        name: name?.value,
        model: model?.value,
        gpu: gpu?.value,
        gpus: u32::try_from(gpus).expect("the range was checked"),
        step_time: step_time?,
        request_overhead_ms: overhead.map_or(10.0, |given| given.value),
        kv_tokens: u64::try_from(kv_tokens?.value).expect("the range was checked"),
        max_num_seqs: max_num_seqs?.value,
        max_num_batched_tokens: batched?.value,
        max_model_len: max_model_len?.value,
        source: source.map_or_else(|| "user".to_owned(), |given| given.value),
        error: error.map_or_else(|| "not stated".to_owned(), |given| given.value),
    })
}

fn read_step_time(mut fields: Fields<'_>, diagnostics: &mut Diagnostics) -> Option<StepTimeCoefficients> {
    let mut coefficient = |key: &'static str| non_negative(&mut fields, key, diagnostics).map(|given| given.value);
    let t0 = coefficient("t0Ms");
    let w = coefficient("wMs");
    let cp = coefficient("cpUsPerToken");
    let ca = coefficient("caNsPerPair");
    let ck = coefficient("ckNsPerToken");
    let cs = coefficient("csUsPerSeq");
    let w = fields.required("wMs", w, diagnostics);
    let cp = fields.required("cpUsPerToken", cp, diagnostics);
    let knee = positive(&mut fields, "knee", diagnostics);
    if let Some(knee) = &knee
        && knee.value < 1.0
    {
        let message = format!("found {}, expected an exponent of at least 1", knee.value);
        diagnostics.push(Diagnostic::error(knee.span.clone(), fields.path_of("knee"), message));
    }
    fields.finish(UnknownKeys::Error, diagnostics);
    Some(StepTimeCoefficients {
        t0_ms: t0.unwrap_or(0.0),
        w_ms: w?,
        cp_us_per_token: cp?,
        ca_ns_per_pair: ca.unwrap_or(0.0),
        ck_ns_per_token: ck.unwrap_or(0.0),
        cs_us_per_seq: cs.unwrap_or(0.0),
        knee: knee.map_or(2.0, |knee| knee.value),
    })
}

/// The profile as a `kind: Profile` document, which [`read_profile`] reads back the same.
pub fn profile_yaml(profile: &Profile) -> String {
    let step = &profile.step_time;
    format!(
        "apiVersion: kedasim.dev/v1alpha1\nkind: Profile\nmetadata: {{name: {}}}\nspec:\n  model: {}\n  gpu: {}\n  gpus: {}\n  \
         stepTime: {{t0Ms: {}, wMs: {}, cpUsPerToken: {}, caNsPerPair: {}, ckNsPerToken: {}, csUsPerSeq: {}, knee: {}}}\n  \
         requestOverheadMs: {}\n  kvTokens: {}\n  maxNumSeqs: {}\n  maxNumBatchedTokens: {}\n  maxModelLen: {}\n  source: {}\n  \
         error: {}\n",
        show::text(&profile.name),
        show::text(&profile.model),
        show::text(&profile.gpu),
        profile.gpus,
        step.t0_ms,
        step.w_ms,
        step.cp_us_per_token,
        step.ca_ns_per_pair,
        step.ck_ns_per_token,
        step.cs_us_per_seq,
        step.knee,
        profile.request_overhead_ms,
        profile.kv_tokens,
        profile.max_num_seqs,
        profile.max_num_batched_tokens,
        profile.max_model_len,
        show::quoted(&profile.source),
        show::quoted(&profile.error),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Bundle;
    use crate::replica::built_in_profiles;

    #[test]
    fn a_built_in_profile_is_read_back_the_same() {
        for profile in built_in_profiles() {
            let bundle = Bundle::from_text(&profile_yaml(&profile), "p.yaml").unwrap_or_else(|found| panic!("{found}"));
            assert_eq!(read_profile(&bundle.documents[0]).unwrap_or_else(|found| panic!("{found}")), profile);
        }
    }
}
