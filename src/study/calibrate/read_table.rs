//! A CSV with plain names, and the table that the calibrate.py of prokube's KServe example prints
//! (prokube/examples, `serving/kserve-keda-autoscaling/calibrate.py`, `run_calibration`).

use crate::manifest::nearest;
use crate::study::calibrate::read::{Measurements, lengths_of};
use crate::study::calibrate::{LengthOptions, Load, Measurement, Observed, Quantity, Stop};
use crate::units::{Diagnostic, Span};

/// Columns that are not measured values.
const SETTINGS: [&str; 7] = ["concurrency", "rate", "requests", "duration_s", "prompt_tokens", "output_tokens", "name"];
/// Requests per worker where the file tells neither their number nor the run's length: what public benchmarks send.
const REQUESTS_PER_WORKER: u32 = 10;
/// Requests of an open loop of which neither is told.
const REQUESTS_OF_RATE: u32 = 500;
/// The largest number of workers or requests of a run.
const MOST: f64 = 100_000.0;

fn number_from(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// One row of a CSV and where it stands.
struct Row<'a> {
    file: &'a str,
    line: u32,
    header: &'a [String],
    cells: &'a csv::StringRecord,
}

impl Row<'_> {
    fn place(&self, column: usize) -> Span {
        Span::new(self.file, self.line, number_from(column + 1))
    }

    /// The positive number in the column; `None` when there is no such column or the cell is empty.
    fn number(&self, name: &str) -> Result<Option<f64>, Diagnostic> {
        let Some(column) = self.header.iter().position(|own| own == name) else { return Ok(None) };
        let text = self.cells.get(column).unwrap_or("").trim();
        if text.is_empty() || text.eq_ignore_ascii_case("n/a") {
            return Ok(None);
        }
        let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0);
        let wrong = || {
            let message = format!("found {text:?} in field {}, expected a number above 0", column + 1);
            Diagnostic::error(self.place(column), name, message).help("leave the cell empty where nothing was measured")
        };
        number.map(Some).ok_or_else(wrong)
    }

    /// The same, whole and not above what a run may have.
    fn count(&self, name: &str) -> Result<Option<u32>, Diagnostic> {
        let Some(number) = self.number(name)? else { return Ok(None) };
        if number.fract() == 0.0 && number <= MOST {
            return Ok(Some(number as u32));
        }
        let message = format!("found {number}, expected a whole number from 1 to {MOST}");
        Err(Diagnostic::error(self.place(0), name, message))
    }
}

/// Reads a CSV.
pub(super) fn read_csv(file: &str, text: &str, lengths: &LengthOptions, found: &mut Measurements) {
    if let Err(diagnostic) = refuse_other_separator(file, text) {
        return found.told.push(diagnostic);
    }
    let mut reader = csv::ReaderBuilder::new().comment(Some(b'#')).trim(csv::Trim::All).from_reader(text.as_bytes());
    let header: Vec<String> = match reader.headers() {
        Ok(header) => header.iter().map(str::to_lowercase).collect(),
        Err(error) => return found.told.push(csv_error(file, &error)),
    };
    if let Err(diagnostic) = check_header(file, &header) {
        return found.told.push(diagnostic);
    }
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => return found.told.push(csv_error(file, &error)),
        };
        let line = record.position().map_or(0, |position| u32::try_from(position.line()).unwrap_or(u32::MAX));
        let row = Row { file, line, header: &header, cells: &record };
        match measurement(&row, lengths, found) {
            Ok(run) => found.runs.push(run),
            Err(diagnostic) => found.told.push(diagnostic),
        }
    }
}

fn csv_error(file: &str, error: &csv::Error) -> Diagnostic {
    let line = error.position().map_or(1, |position| u32::try_from(position.line()).unwrap_or(u32::MAX));
    let found = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("found {len} fields, expected the header's {expected_len}")
        }
        _ => format!("found a line that is no CSV ({error})"),
    };
    Diagnostic::error(Span::new(file, line, 1), "", found)
}

fn columns() -> Vec<&'static str> {
    SETTINGS.into_iter().chain(Quantity::ALL.map(Quantity::key)).collect()
}

/// A file whose fields are not separated by commas has one column with all names.
fn refuse_other_separator(file: &str, text: &str) -> Result<(), Diagnostic> {
    let lines = text.lines().enumerate();
    let Some((index, header)) = lines.into_iter().find(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
    else {
        return Ok(());
    };
    let found = [(';', "semicolons"), ('\t', "tabs")].into_iter().find(|(separator, _)| header.contains(*separator));
    match found {
        Some((separator, name)) if !header.contains(',') => {
            let at = header.chars().position(|own| own == separator).unwrap_or(0);
            let place = Span::new(file, number_from(index + 1), number_from(at + 1));
            let message = format!("found fields separated by {name}, expected commas");
            let help = "export the file again with a comma between fields and a point in numbers (1.5, not 1,5)";
            Err(Diagnostic::error(place, "", message).help(help))
        }
        _ => Ok(()),
    }
}

/// What to do about a column that is none: convert it where its name has another unit, else the nearest name with its unit.
fn column_help(name: &str, known: &[&str]) -> String {
    let of_unit = |own: &str| -> Option<(String, &'static str)> {
        let units = [("_ms", "ms"), ("_us", "us"), ("_s", "s"), ("_sec", "s"), ("_seconds", "s")];
        units.into_iter().find_map(|(end, unit)| Some((own.strip_suffix(end)?.to_owned(), unit)))
    };
    let unit = |own: &str| of_unit(own).map_or_else(String::new, |(_, unit)| format!(" (in {unit})"));
    if let Some((quantity, given)) = of_unit(name)
        && let Some(right) = known.iter().find(|own| of_unit(own).is_some_and(|(own, _)| own == quantity))
    {
        let (_, wanted) = of_unit(right).unwrap_or_default();
        return format!("convert its numbers from {given} to {wanted} and call it {right}");
    }
    // A name without its unit, or one that is near.
    let bare = known.iter().copied().find(|own| of_unit(own).is_some_and(|(own, _)| own == name));
    match bare.or_else(|| nearest(name, known.iter().copied())) {
        Some(guess) => format!("did you mean {guess}{}?", unit(guess)),
        None => super::read::FORMATS.to_owned(),
    }
}

fn check_header(file: &str, header: &[String]) -> Result<(), Diagnostic> {
    let place = |column: usize| Span::new(file, 1, number_from(column + 1));
    let known = columns();
    for (column, name) in header.iter().enumerate() {
        if !known.contains(&name.as_str()) {
            let message = format!("found the column {name:?}, expected some of {}", known.join(", "));
            let diagnostic = Diagnostic::error(place(column), "", message);
            return Err(diagnostic.help(column_help(name, &known)));
        }
        if header[..column].contains(name) {
            return Err(Diagnostic::error(place(column), "", format!("found the column {name} twice")));
        }
    }
    let has = |name: &str| header.iter().any(|own| own == name);
    if !has("concurrency") && !has("rate") {
        let message = "found neither the column concurrency nor the column rate (requests per second)";
        return Err(Diagnostic::error(place(0), "", message));
    }
    if !Quantity::ALL.iter().any(|quantity| has(quantity.key())) {
        let names = Quantity::ALL.map(Quantity::key).join(", ");
        return Err(Diagnostic::error(place(0), "", format!("found no measured column, expected some of {names}")));
    }
    Ok(())
}

fn measurement(row: &Row<'_>, lengths: &LengthOptions, found: &mut Measurements) -> Result<Measurement, Diagnostic> {
    let load = match (row.count("concurrency")?, row.number("rate")?) {
        (Some(workers), None) => Load::Concurrency(workers),
        (at_most, Some(per_second)) => Load::Rate { per_second, even: false, at_most },
        (None, None) => {
            let message = "found neither a concurrency nor a rate in this row";
            return Err(Diagnostic::error(row.place(0), "", message));
        }
    };
    let stop = match (row.count("requests")?, row.number("duration_s")?) {
        (Some(requests), None) => Stop::Requests(requests),
        (None, Some(seconds)) => Stop::Seconds(seconds),
        (Some(_), Some(_)) => {
            let message = "found both requests and duration_s, expected the one that ended the run";
            return Err(Diagnostic::error(row.place(0), "", message));
        }
        (None, None) => {
            let message = format!(
                "assumed: {REQUESTS_PER_WORKER} requests per worker of a closed loop, {REQUESTS_OF_RATE} of an open one; \
                 the file tells neither requests nor duration_s"
            );
            found.tell(Diagnostic::note(Span::new(row.file, 0, 0), "", message));
            Stop::Requests(match load {
                Load::Concurrency(workers) => workers.saturating_mul(REQUESTS_PER_WORKER),
                Load::Rate { .. } => REQUESTS_OF_RATE,
            })
        }
    };
    let place = row.place(0);
    let told = (row.number("prompt_tokens")?, row.number("output_tokens")?);
    let lengths = lengths_of(&place, told, true, lengths)?;
    let mut observed = Vec::new();
    for quantity in Quantity::ALL {
        if let Some(shown) = row.number(quantity.key())? {
            observed.push(Observed { quantity, value: shown / quantity.shown(1.0), fitted: true });
        }
    }
    if observed.is_empty() {
        return Err(Diagnostic::error(place, "", "found no measured value in this row"));
    }
    Ok(Measurement { place, load, stop, lengths, observed })
}

/// Whether the text is what calibrate.py prints.
pub(super) fn is_printed_table(text: &str) -> bool {
    text.lines().any(is_table_header)
}

fn is_table_header(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("Concurrency") && line.contains("Throughput (tok/s)") && line.contains("Mean latency (s)")
}

/// Seconds of sending per step, where the text does not say (`DEFAULT_STEP_DURATION`).
const STEP_SECONDS: f64 = 30.0;

/// What the lines before a table say of it.
#[derive(Clone, Copy, Default)]
struct Preamble {
    seconds: Option<f64>,
    max_tokens: Option<u32>,
}

impl Preamble {
    fn take(&mut self, line: &str) {
        if let Some(rest) = line.strip_prefix("Duration:") {
            let seconds = rest.split_once('s').and_then(|(number, _)| number.trim().parse().ok());
            self.seconds = seconds.filter(|seconds: &f64| *seconds > 0.0 && seconds.is_finite());
        } else if let Some(rest) = line.strip_prefix("Max tokens:") {
            self.max_tokens = rest.trim().parse().ok();
        }
    }
}

/// Where a line of the printed text stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Before a table's header, or after its rows.
    Outside,
    /// Among its rows.
    Rows,
    /// Among its rows, after a blank line: more rows, or the text that ends it.
    Gap,
}

/// Reads what calibrate.py printed, from its first line or from the table's header on; of several tables all.
pub(super) fn read_printed(file: &str, text: &str, options: &LengthOptions, found: &mut Measurements) {
    let (mut preamble, mut part) = (Preamble::default(), Part::Outside);
    for (index, line) in text.lines().enumerate() {
        let place = Span::new(file, number_from(index + 1), 1);
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some(first) = words.first() else {
            part = if part == Part::Rows { Part::Gap } else { part };
            continue;
        };
        if is_table_header(line) {
            part = Part::Rows;
        } else if words.iter().all(|word| word.chars().all(|c| c == '-')) {
            // The line under the header.
        } else if part == Part::Outside {
            preamble.take(line.trim_start());
            if is_row(&words) {
                let message = format!("found {:?} outside a table, expected its header above it", words.join(" "));
                let help = "remove the lines between the table's rows, or this one";
                found.told.push(Diagnostic::error(place, "", message).help(help));
            }
        } else if line.trim_start().starts_with("WARNING") {
            let message = format!("calibrate.py printed: {}; the rates of the row after it may be wrong", line.trim());
            found.tell(Diagnostic::warning(place, "", message).help("measure again if the row looks wrong"));
        } else if part == Part::Gap && !first.starts_with(|c: char| c.is_ascii_digit()) {
            // The advice that ends the table.
            part = Part::Outside;
        } else {
            part = Part::Rows;
            match printed_row(&place, &words, &preamble, options, found) {
                Ok(run) => found.runs.push(run),
                Err(diagnostic) => found.told.push(diagnostic),
            }
        }
    }
}

fn is_latency(word: &str) -> bool {
    word == "n/a" || word.parse::<f64>().is_ok()
}

/// Whether the words are those of a row: concurrency, tok/s, latency.
fn is_row(words: &[&str]) -> bool {
    words.len() >= 3 && words[0].parse::<u32>().is_ok() && words[1].parse::<f64>().is_ok() && is_latency(words[2])
}

fn printed_row(
    place: &Span,
    words: &[&str],
    preamble: &Preamble,
    options: &LengthOptions,
    found: &mut Measurements,
) -> Result<Measurement, Diagnostic> {
    let options = &LengthOptions { max_tokens: options.max_tokens.or(preamble.max_tokens), ..*options };
    let seconds = preamble.seconds.unwrap_or_else(|| {
        let message = format!("assumed: {STEP_SECONDS} s of sending per step, as calibrate.py does");
        found.tell(Diagnostic::note(Span::new(place.file.clone(), 0, 0), "", message));
        STEP_SECONDS
    });
    let workers = words[0].parse::<u32>().ok().filter(|workers| *workers >= 1 && f64::from(*workers) <= MOST);
    let positive = |word: &str| word.parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0);
    let rate = words.get(1).and_then(|word| positive(word));
    let latency = words.get(2).and_then(|word| if *word == "n/a" { Some(None) } else { positive(word).map(Some) });
    let (Some(workers), Some(rate), Some(latency)) = (workers, rate, latency) else {
        let shown = words.iter().take(3).copied().collect::<Vec<_>>().join(" ");
        let message = format!("found {shown:?}, expected concurrency, tok/s and mean latency in s (or n/a)");
        let help = "give the table as calibrate.py printed it, or remove the line";
        return Err(Diagnostic::error(place.clone(), "", message).help(help));
    };
    if words.iter().any(|word| word.contains("errors)")) {
        let message = "requests of this step failed; they are not simulated";
        found.tell(Diagnostic::warning(place.clone(), "", message));
    }
    let lengths = lengths_of(place, (None, None), true, options).map_err(|diagnostic| match latency {
        Some(latency) if options.prompt_tokens.is_none() || options.output_tokens.is_none() => {
            let tokens = rate * latency / f64::from(workers);
            let hint = diagnostic.help.clone().unwrap_or_default();
            diagnostic.help(format!("{hint}; this row implies about {tokens:.0} tokens per request, prompt and output"))
        }
        _ => diagnostic,
    })?;
    let number = |quantity, value| Observed { quantity, value, fitted: true };
    let mut observed = vec![number(Quantity::TokensPerSecond, rate)];
    observed.extend(latency.map(|value| number(Quantity::Latency, value)));
    let (load, stop) = (Load::Concurrency(workers), Stop::Seconds(seconds));
    Ok(Measurement { place: place.clone(), load, stop, lengths, observed })
}
