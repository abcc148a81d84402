//! `kedasim profiles`.

use crate::cli::args::ProfilesArgs;
use crate::cli::outcome::{Failure, Outcome, print};
use crate::replica::{Profile, built_in_profile, built_in_profiles};
use crate::units::Diagnostic;

/// Runs the command.
pub(super) fn run(args: &ProfilesArgs) -> Result<Outcome, Failure> {
    let Some(name) = &args.name else {
        print(&table(&built_in_profiles()))?;
        return Ok(Outcome::Fine);
    };
    let Some(profile) = built_in_profile(name) else {
        let known: Vec<String> = built_in_profiles().into_iter().map(|profile| profile.name).collect();
        let message = format!("found {name:?}, expected one of {}", known.join(", "));
        return Err(Diagnostic::error(None, "NAME", message).into());
    };
    print(&yaml(&profile))?;
    Ok(Outcome::Fine)
}

fn table(profiles: &[Profile]) -> String {
    let width = |text: &dyn Fn(&Profile) -> &str| profiles.iter().map(|profile| text(profile).len()).max().unwrap_or(0);
    let (name, model, gpu) = (width(&|p| &p.name), width(&|p| &p.model), width(&|p| &p.gpu));
    let mut text = format!("{:name$}  {:model$}  {:gpu$}  GPUs  stated error\n", "name", "model", "GPU");
    for profile in profiles {
        let Profile { name: n, model: m, gpu: g, gpus, error, .. } = profile;
        text.push_str(&format!("{n:name$}  {m:model$}  {g:gpu$}  {gpus:>4}  {error}\n"));
    }
    text
}

/// The profile as a `kind: Profile` document.
fn yaml(profile: &Profile) -> String {
    let step = &profile.step_time;
    format!(
        "apiVersion: kedasim.dev/v1alpha1\nkind: Profile\nmetadata: {{name: {}}}\nspec:\n  model: {}\n  gpu: {}\n  gpus: {}\n  \
         stepTime: {{t0Ms: {}, wMs: {}, cpUsPerToken: {}, caNsPerPair: {}, ckNsPerToken: {}, csUsPerSeq: {}, knee: {}}}\n  \
         requestOverheadMs: {}\n  kvTokens: {}\n  maxNumSeqs: {}\n  maxNumBatchedTokens: {}\n  maxModelLen: {}\n  source: {:?}\n  \
         error: {:?}\n",
        profile.name,
        profile.model,
        profile.gpu,
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
        profile.source,
        profile.error,
    )
}
