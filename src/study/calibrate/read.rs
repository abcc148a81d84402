//! Files of measurements: recognised by content.

use crate::study::calibrate::consistency::refuse_contradictions;
use crate::study::calibrate::{Lengths, Measurement, read_json, read_table};
use crate::traffic::LengthDistribution;
use crate::units::{Diagnostic, Diagnostics, Severity, Span, math};
use std::path::Path;

/// What the user says of lengths, for files that do not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LengthOptions {
    /// Mean prompt tokens.
    pub prompt_tokens: Option<f64>,
    /// Mean output tokens.
    pub output_tokens: Option<f64>,
    /// Outputs end at random, at the latest here: geometric, cut.
    pub max_tokens: Option<u32>,
    /// Both lengths are uniform between these multiples of the nominal ones.
    pub range: Option<(f64, f64)>,
}

/// What the files say, in their order, and what had to be assumed or left out (notes and warnings).
#[derive(Clone, Debug, Default)]
pub struct Measurements {
    /// The runs.
    pub runs: Vec<Measurement>,
    /// The models that files name, and where.
    pub models: Vec<(Span, String)>,
    /// Notes and warnings.
    pub told: Diagnostics,
}

impl Measurements {
    /// Adds a note, once.
    pub(super) fn tell(&mut self, diagnostic: Diagnostic) {
        if !self.told.0.contains(&diagnostic) {
            self.told.push(diagnostic);
        }
    }
}

/// What a file can be; said when it is something else.
pub(super) const FORMATS: &str = "expected the JSON of `vllm bench serve --save-result`, guidellm's JSON report, a CSV with a header, or the table that \
     the calibrate.py of prokube's KServe example prints";

/// The text of a file of measurements.
///
/// # Errors
/// Where it is no UTF-8, and what it seems to be.
pub fn measurements_text(name: &Path, bytes: Vec<u8>) -> Result<String, Diagnostic> {
    let file = name.display().to_string();
    let help = |encoding: &str| format!("save it as UTF-8, for example with iconv -f {encoding} -t UTF-8");
    // With the mark, or by the zero bytes of ASCII characters.
    let is_wide = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    if is_wide || bytes.iter().take(64).any(|byte| *byte == 0) {
        let message = "found UTF-16 or binary data, expected text in UTF-8";
        return Err(Diagnostic::error(Span::new(file, 1, 1), "", message).help(help("UTF-16")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(&error.as_bytes()[..at]).into_owned();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        let number = |own: usize| u32::try_from(own).unwrap_or(u32::MAX);
        let message = format!("found the byte 0x{:02x}, expected text in UTF-8", error.as_bytes()[at]);
        Diagnostic::error(Span::new(file, number(line), number(column)), "", message).help(help("LATIN1"))
    })
}

/// Reads one file's text; `name` as the user gave it.
///
/// # Errors
/// All mistakes, located.
pub fn read_measurements(name: &Path, text: &str, lengths: &LengthOptions) -> Result<Measurements, Diagnostics> {
    let file = name.display().to_string();
    let mut found = Measurements::default();
    let text = text.trim_start_matches('\u{feff}');
    let start = text.trim_start();
    if start.is_empty() {
        return Err(Diagnostic::error(Span::new(file, 1, 1), "", format!("found an empty file, {FORMATS}")).into());
    }
    if start.starts_with(['{', '[']) {
        read_json::read(&file, text, lengths, &mut found);
    } else if read_table::is_printed_table(text) {
        read_table::read_printed(&file, text, lengths, &mut found);
    } else {
        read_table::read_csv(&file, text, lengths, &mut found);
    }
    refuse_contradictions(text, &mut found);
    if !found.told.has_errors() && found.runs.is_empty() {
        let message = format!("found no run in the file, {FORMATS}");
        found.told.push(Diagnostic::error(Span::new(file, 1, 1), "", message));
    }
    if found.told.has_errors() {
        found.told.0.retain(|diagnostic| diagnostic.severity == Severity::Error);
        return Err(found.told);
    }
    Ok(found)
}

/// Lengths of a run: what the file tells goes before the options. `nominal` says that the file's numbers are those before
/// `range` is applied, otherwise they are means.
///
/// # Errors
/// A length that nobody told or that cannot be.
pub(super) fn lengths_of(
    place: &Span,
    (prompt, output): (Option<f64>, Option<f64>),
    nominal: bool,
    options: &LengthOptions,
) -> Result<Lengths, Diagnostic> {
    let given = |told: Option<f64>, own: Option<f64>, what: &str, flag: &str| {
        let missing = || {
            let message = format!("the file does not tell the {what} tokens of a request");
            Diagnostic::error(place.clone(), "", message).help(format!("give their mean with {flag} N"))
        };
        let tokens = told.or(own).ok_or_else(missing)?;
        // Above a thousand million it is no number of tokens.
        if (1.0..=1e9).contains(&tokens) {
            Ok(tokens)
        } else {
            let message = format!("found {tokens} {what} tokens per request, expected 1 to 1000000000");
            Err(Diagnostic::error(place.clone(), "", message).help("leave the run out if it has no such tokens"))
        }
    };
    let prompt = given(prompt, options.prompt_tokens, "prompt", "--prompt-tokens")?;
    let output = given(output, options.output_tokens, "output", "--output-tokens")?;
    let drawn = |tokens: f64| match options.range {
        None => LengthDistribution::Constant(whole(tokens)),
        Some((low, high)) => {
            let base = if nominal { tokens } else { tokens / ((low + high) / 2.0) };
            LengthDistribution::Uniform { min: whole(low * base), max: whole(high * base) }
        }
    };
    let output = match options.max_tokens {
        None => drawn(output),
        Some(max) => {
            let hazard = hazard_of_mean(output, max).ok_or_else(|| {
                let message = format!("a mean of {output} output tokens cannot come of outputs of 1 to {max} tokens");
                Diagnostic::error(place.clone(), "--max-tokens", message).help("give a larger --max-tokens, or none")
            })?;
            LengthDistribution::Geometric { hazard, max }
        }
    };
    Ok(Lengths::Drawn { prompt: drawn(prompt), output })
}

fn whole(tokens: f64) -> u32 {
    // `as` saturates; the bounds were checked.
    (tokens.round() as u32).max(1)
}

/// The hazard with which a geometric length, cut at `max`, has this mean; `None` when none has.
fn hazard_of_mean(mean: f64, max: u32) -> Option<f64> {
    let of = |hazard: f64| (1.0 - math::pow(1.0 - hazard, f64::from(max))) / hazard;
    // The mean falls from nearly max to nearly 1 as the hazard grows.
    let (mut low, mut high) = (1e-9, 1.0 - 1e-9);
    if !(of(high)..=of(low)).contains(&mean) {
        return None;
    }
    for _ in 0..100 {
        let middle = (low + high) / 2.0;
        if of(middle) > mean { low = middle } else { high = middle }
    }
    Some((low + high) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hazard_of_the_demo_is_found_again() {
        // vllm.md 3.5: hazard 0.49 % cut at 200 has a mean of 127.7.
        let hazard = hazard_of_mean(127.7, 200).expect("possible");
        assert!((hazard - 0.0049).abs() < 2e-5, "{hazard}");
        assert_eq!(hazard_of_mean(201.0, 200), None);
    }

    #[test]
    fn a_range_keeps_a_mean_or_scales_a_nominal_length() {
        let place = Span::new("f", 1, 1);
        let options = LengthOptions { range: Some((0.8, 1.0)), ..LengthOptions::default() };
        let means = |nominal| lengths_of(&place, (Some(1000.0), Some(100.0)), nominal, &options).expect("fine").means();
        assert_eq!(means(true), (900.0, 90.0));
        assert_eq!(means(false), (1000.0, 100.0));
    }
}
