//! `kedasim profiles`.

use crate::cli::args::ProfilesArgs;
use crate::cli::outcome::{Failure, Outcome, print};
use crate::manifest::nearest;
use crate::replica::{Profile, built_in_profile, built_in_profiles};
use crate::scenario::profile_yaml;
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
        let diagnostic = Diagnostic::error(None, "NAME", message);
        let guess = nearest(name, known.iter().map(String::as_str));
        return Err(guess
            .map_or_else(|| diagnostic.clone(), |guess| diagnostic.clone().help(format!("did you mean {guess}?")))
            .into());
    };
    print(&profile_yaml(&profile))?;
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
