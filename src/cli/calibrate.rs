//! `kedasim calibrate`.

use crate::cli::args::{CalibrateArgs, LintFormat};
use crate::cli::outcome::{Failure, Outcome, print, talk};
use crate::cli::overwritten::refuse_input;
use crate::manifest::{Bundle, Input, nearest};
use crate::replica::{Profile, ProfileKind, built_in_profile, built_in_profiles, gpu_by_name, known_model, model_key};
use crate::report::{CalibrateReport, calibrate_json, calibrate_text};
use crate::scenario::{profile_warnings, profile_yaml, read_profile};
use crate::study::{
    LengthOptions, Measurement, Measurements, calibrate, capacity, judge, measurements_text, parse_slo, plateaus,
    prior_for, read_measurements, rule_cache, warn_of_models,
};
use crate::units::{Diagnostic, Diagnostics, Span};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The profile fitted to the 2025 CPU demo, whose engine scheduled synchronously.
const CPU_DEMO: (&str, (u32, u32)) = ("opt-125m-cpu", (0, 11));
/// The release whose scheduler is modelled.
const NEWEST: (u32, u32) = (0, 33);

/// Runs the command.
pub(super) fn run(args: &CalibrateArgs) -> Result<Outcome, Failure> {
    let slo = match &args.slo {
        None => Vec::new(),
        Some(text) => parse_slo(text).map_err(|why| Diagnostic::error(None, "--slo", why))?,
    };
    refuse_lost_input(args)?;
    let prior = prior(args)?;
    let found = measurements(args, &args.measurements)?;
    let held_out = measurements(args, &args.holdout)?;
    for diagnostic in found.told.0.iter().chain(&held_out.told.0) {
        talk(&diagnostic.to_string());
    }
    let models: Vec<(Span, String)> = found.models.iter().chain(&held_out.models).cloned().collect();
    for diagnostic in warn_of_models(&prior, &models) {
        talk(&diagnostic.to_string());
    }
    let version = args.vllm_version.unwrap_or_else(|| {
        let (default, why) = if prior.name == CPU_DEMO.0 {
            (CPU_DEMO.1, "the demo of 2025, whose engine scheduled synchronously")
        } else {
            (NEWEST, "the release whose scheduler is modelled")
        };
        talk(&format!("assumed: --vllm-version {}.{} ({why})", default.0, default.1));
        default
    });
    let reckoned = prior.kv_tokens;
    let prior = with_possible_cache(prior, &found.runs);
    let (seqs, batched, kv) = (prior.max_num_seqs, prior.max_num_batched_tokens, prior.kv_tokens);
    talk(&format!(
        "assumed: {seqs} sequences, {batched} batched tokens, {kv} tokens of KV cache, as in {}; edit it if the server had others",
        prior.name
    ));
    if args.max_tokens.is_none() && args.length_range.is_none() {
        talk(
            "assumed: all requests of a run are equally long where a file lists no lengths (--length-range, --max-tokens)",
        );
    }
    let files: Vec<String> = args
        .measurements
        .iter()
        .filter_map(|path| path.file_name())
        .map(|name| name.to_string_lossy().into())
        .collect();
    let mut calibration = calibrate(&prior, version, &found.runs, &files.join(", "))?;
    let capacities =
        if slo.is_empty() { Vec::new() } else { capacity(&calibration.profile, version, &found.runs, &slo)? };
    let plateaus = plateaus(&found.runs);
    let mut runs = found.runs;
    let fitted_runs = runs.len();
    for mut compared in judge(&calibration.profile, version, &held_out.runs)? {
        compared.run += fitted_runs;
        calibration.compared.push(compared);
    }
    runs.extend(held_out.runs);
    // The profile's memory is that of any server; a data type is its argument.
    calibration.profile.kv_tokens = reckoned;
    let report = CalibrateReport { calibration, runs, fitted_runs, plateaus, slo, capacities };
    if let Some(out) = &args.out {
        let unwritable =
            |error| Diagnostic::error(None, "--out", format!("{} cannot be written: {error}", out.display()));
        write_whole(out, &profile_yaml(&report.calibration.profile)).map_err(unwritable)?;
    }
    print(&match args.format {
        LintFormat::Text => calibrate_text(&report),
        LintFormat::Json => calibrate_json(&report),
    })?;
    if let Some(out) = &args.out {
        talk(&format!("written to {}; use it with --profile {}", out.display(), out.display()));
    }
    Ok(Outcome::Fine)
}

/// The profile must not take the place of what it is fitted to or starts from.
fn refuse_lost_input(args: &CalibrateArgs) -> Result<(), Failure> {
    let Some(out) = &args.out else { return Ok(()) };
    let measured = args.measurements.iter().map(|path| ("one of MEASUREMENTS", path.as_path()));
    let held_out = args.holdout.iter().map(|path| ("a file of --holdout", path.as_path()));
    // A built-in profile's name goes before a file's.
    let prior = args.prior.as_deref().filter(|name| built_in_profile(name).is_none());
    let prior = prior.map(|name| ("the file of --prior", Path::new(name)));
    Ok(refuse_input("--out", out, measured.chain(held_out).chain(prior))?)
}

/// All files, in order; all their mistakes together.
fn measurements(args: &CalibrateArgs, files: &[PathBuf]) -> Result<Measurements, Failure> {
    let options = LengthOptions {
        prompt_tokens: args.prompt_tokens,
        output_tokens: args.output_tokens,
        max_tokens: args.max_tokens,
        range: args.length_range,
    };
    let (mut all, mut wrong) = (Measurements::default(), Diagnostics::new());
    for path in files {
        let bytes = fs::read(path).map_err(|error| {
            let message = format!("cannot be read: {error}");
            Diagnostic::error(Span::new(path.display().to_string(), 0, 0), "", message)
        });
        let text = bytes.and_then(|bytes| measurements_text(path, bytes)).map_err(Diagnostics::from);
        match text.and_then(|text| read_measurements(path, &text, &options)) {
            Ok(found) => {
                all.runs.extend(found.runs);
                all.models.extend(found.models);
                all.told.0.extend(found.told.0);
            }
            Err(found) => wrong.0.extend(found.0),
        }
    }
    if wrong.has_errors() { Err(wrong.into()) } else { Ok(all) }
}

/// The profile to start from.
fn prior(args: &CalibrateArgs) -> Result<Profile, Failure> {
    if let Some(name) = &args.prior {
        return named(name);
    }
    let (Some(model), Some(gpu)) = (&args.model, &args.gpu) else {
        let message = "no profile to start from is given";
        let help = "give --prior PROFILE (kedasim profiles lists them), or --model and --gpu";
        return Err(Diagnostic::error(None, "--prior", message).help(help).into());
    };
    let gpu = gpu_by_name(gpu).ok_or_else(|| {
        let known: Vec<&str> = crate::replica::GPUS.iter().map(|gpu| gpu.name).collect();
        Diagnostic::error(None, "--gpu", format!("found {gpu:?}, expected one of {}", known.join(", ")))
    })?;
    let key = model_key(model);
    let fits = |own: &Profile| model_key(&own.model) == key && own.gpu == gpu.name && own.gpus == args.gpus;
    let mut fitting: Vec<Profile> = built_in_profiles().into_iter().filter(fits).collect();
    match fitting.len() {
        0 => {}
        1 => return Ok(told(fitting.remove(0))),
        _ => {
            let names: Vec<String> = fitting.into_iter().map(|own| own.name).collect();
            let message = format!("several built-in profiles fit ({})", names.join(", "));
            return Err(Diagnostic::error(None, "--model", message).help("name one with --prior").into());
        }
    }
    let known = known_model(model).ok_or_else(|| {
        let message = format!("no built-in profile and no architecture is known of {model:?}");
        Diagnostic::error(None, "--model", message).help("give a profile of a similar model with --prior")
    })?;
    let prior = prior_for(known, gpu, args.gpus);
    Ok(told(prior.map_err(|why| Diagnostic::error(None, "--gpus", why))?))
}

fn told(profile: Profile) -> Profile {
    let what = if profile.kind == ProfileKind::Estimate {
        format!(", an estimate: {}", profile.source)
    } else {
        String::new()
    };
    talk(&format!("assumed: --prior {}{what}", profile.name));
    profile
}

/// What the runs say against the prior's cache; the prior with the cache that they allow.
fn with_possible_cache(mut prior: Profile, runs: &[Measurement]) -> Profile {
    let Some(ruling) = rule_cache(&prior, runs) else { return prior };
    let place =
        |run: usize| format!("{} ({}, {} tokens)", runs[run].place, runs[run].load_text(), runs[run].lengths_text());
    let found = format!(
        "{} held at least {} tokens at once, and its TTFT, beside that of {}, says that it did not wait for room, but the \
         prior's KV cache holds {}",
        place(ruling.held.run),
        ruling.held.tokens,
        place(ruling.held.beside),
        ruling.reckoned
    );
    if let Some(tokens) = ruling.eight_bit {
        talk(&format!(
            "assumed: the server ran with --kv-cache-dtype fp8, {tokens} tokens: {found}. Give the policy the same argument, or \
             the prior the kvTokens of the server's log"
        ));
        prior.kv_tokens = tokens;
    } else {
        talk(&format!("warning: {found}; give the prior the kvTokens that vLLM logs at start-up (GPU KV cache size)"));
    }
    prior
}

fn named(name: &str) -> Result<Profile, Failure> {
    if let Some(profile) = built_in_profile(name) {
        return Ok(profile);
    }
    if !Path::new(name).exists() {
        let names: Vec<String> = built_in_profiles().into_iter().map(|own| own.name).collect();
        let guess = nearest(name, names.iter().map(String::as_str)).map(|guess| format!("did you mean {guess}? "));
        let message = format!("found {name:?}, which is neither a built-in profile nor a file");
        let help = format!("{}kedasim profiles lists them", guess.unwrap_or_default());
        return Err(Diagnostic::error(None, "--prior", message).help(help).into());
    }
    let bundle = Bundle::load(&[Input::Path(PathBuf::from(name))])?;
    let documents: Vec<_> = bundle.of_kind("Profile").collect();
    match documents.as_slice() {
        [document] => {
            let profile = read_profile(document)?;
            for warning in profile_warnings(&profile, document) {
                talk(&warning.to_string());
            }
            Ok(profile)
        }
        other => {
            let message = format!("found {} Profile documents in {name}, expected one", other.len());
            Err(Diagnostic::error(None, "--prior", message).into())
        }
    }
}

/// The file is there whole or not at all.
fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let name = path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "found no file name"))?;
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "found something that is no regular file"));
    }
    let temporary = path.with_file_name(format!(".{}.tmp-{}", name.to_string_lossy(), std::process::id()));
    let written = fs::write(&temporary, text).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}
