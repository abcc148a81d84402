//! `kedasim profiles`.

use crate::cli::args::{LintFormat, ProfilesArgs};
use crate::cli::outcome::{Failure, Outcome, print};
use crate::manifest::nearest;
use crate::record::SCHEMA_VERSION;
use crate::replica::{Profile, built_in_profile, built_in_profiles};
use crate::scenario::profile_yaml;
use crate::units::Diagnostic;
use serde::Serialize;

/// Over a printed profile, which people copy and edit.
const COPY: &str =
    "# A copy with other numbers is another profile: change name, kind (own), source and error as well.\n";

/// Runs the command.
pub(super) fn run(args: &ProfilesArgs) -> Result<Outcome, Failure> {
    let profiles = match &args.name {
        Some(name) => vec![built_in_profile(name).ok_or_else(|| unknown(name))?],
        None => built_in_profiles(),
    };
    print(&match (args.format, &args.name) {
        (LintFormat::Json, _) => json_list(&profiles),
        (LintFormat::Text, Some(_)) => format!("{COPY}{}", profile_yaml(&profiles[0])),
        (LintFormat::Text, None) => table(&profiles),
    })?;
    Ok(Outcome::Fine)
}

fn unknown(name: &str) -> Failure {
    let known: Vec<String> = built_in_profiles().into_iter().map(|profile| profile.name).collect();
    let message = format!("found {name:?}, expected one of {}", known.join(", "));
    let diagnostic = Diagnostic::error(None, "NAME", message);
    let guess = nearest(name, known.iter().map(String::as_str));
    guess.map_or_else(|| diagnostic.clone(), |guess| diagnostic.clone().help(format!("did you mean {guess}?"))).into()
}

/// One line per profile; of source and error the part before the first semicolon.
fn table(profiles: &[Profile]) -> String {
    let mut rows = vec![["name", "model", "GPU", "GPUs", "kind", "source", "stated error"].map(str::to_owned)];
    rows.extend(profiles.iter().map(|profile| {
        [
            profile.name.clone(),
            profile.model.clone(),
            profile.gpu.clone(),
            profile.gpus.to_string(),
            profile.kind.word().to_owned(),
            brief(&profile.source),
            brief(&profile.error),
        ]
    }));
    let widths: Vec<usize> =
        (0..7).map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)).collect();
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text.push_str(
        "\nkind: kernels, sums of operators measured on the GPU; fitted, to a measured server; estimate, computed from data \
         sheets.\nkedasim profiles NAME prints one with its full source and error.\n",
    );
    text
}

fn brief(text: &str) -> String {
    text.split(';').next().unwrap_or(text).to_owned()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct List<'a> {
    schema_version: u32,
    profiles: Vec<Row<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    name: &'a str,
    model: &'a str,
    gpu: &'a str,
    gpus: u32,
    kind: &'static str,
    kv_tokens: u64,
    max_model_len: u32,
    source: &'a str,
    error: &'a str,
}

fn json_list(profiles: &[Profile]) -> String {
    let rows = profiles.iter().map(|profile| Row {
        name: &profile.name,
        model: &profile.model,
        gpu: &profile.gpu,
        gpus: profile.gpus,
        kind: profile.kind.word(),
        kv_tokens: profile.kv_tokens,
        max_model_len: profile.max_model_len,
        source: &profile.source,
        error: &profile.error,
    });
    let list = List { schema_version: SCHEMA_VERSION, profiles: rows.collect() };
    let text = serde_json::to_string_pretty(&list).expect("names and numbers are JSON");
    format!("{text}\n")
}
