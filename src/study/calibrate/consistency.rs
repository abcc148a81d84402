//! What a run says against itself: a unit, a column or a line that was mistaken shows where its numbers cannot all be true.
//!
//! What holds of every run, whatever the engine:
//!
//! * latency = TTFT + time per token x (output tokens - 1), of means over requests (exact for the ITL; for the TPOT when outputs
//!   are equally long);
//! * the first token takes a whole step, and the gaps between tokens are steps, so that TTFT is not far below a gap;
//! * in a closed loop of C workers, requests per second x latency = C (Little), but for the end, when workers have nothing left;
//! * in an open loop no more requests are answered than come, and where fewer are, requests wait as long as the answers lag;
//! * tokens per second are requests per second x tokens, of prompts and outputs or of outputs alone.

use crate::study::calibrate::read::Measurements;
use crate::study::calibrate::{Lengths, Load, Measurement, Quantity, Stop};
use crate::traffic::LengthDistribution;
use crate::units::{Diagnostic, Span};

/// Two numbers that should be equal may differ by this factor, which is more than any definition of theirs makes.
const ALLOWED: f64 = 1.3;
/// TTFT may be this much shorter than a gap between tokens: the mean gap also contains the prefills of others.
const FIRST_TOKEN: f64 = 3.0;
/// A run's longest latency, as a multiple of the mean: a file with the means alone does not tell how lengths differ.
const LONGEST: f64 = 5.0;
/// Units that are mistaken for one another.
const THOUSAND: f64 = 1e3;

/// Two ways to the same number that do not meet.
struct Contradiction {
    /// The value in doubt.
    quantity: Quantity,
    /// What the others make of it, s or tokens/s.
    expected: f64,
    /// How they do.
    because: String,
}

/// Adds an error for each run that contradicts itself.
pub(super) fn refuse_contradictions(text: &str, found: &mut Measurements) {
    let told: Vec<Diagnostic> = found.runs.iter().filter_map(|run| check(text, run)).collect();
    for diagnostic in told {
        found.tell(diagnostic);
    }
}

fn check(text: &str, run: &Measurement) -> Option<Diagnostic> {
    let own = contradiction(run)?;
    let (mut quantity, mut guess) = (own.quantity, None);
    for repair in REPAIRS {
        if repair.of(run).is_some_and(|repaired| contradiction(&repaired).is_none()) {
            quantity = repair.quantity();
            guess = Some(repair.question());
            break;
        }
    }
    let shown = |quantity: Quantity, value: f64| format!("{} {}", brief(quantity.shown(value)), quantity.key());
    let measured = run.value(own.quantity)?;
    let message = format!(
        "found {} where {} gives about {}: the run contradicts itself by a factor of {}",
        shown(own.quantity, measured),
        own.because,
        brief(own.quantity.shown(own.expected)),
        brief((measured / own.expected).max(own.expected / measured))
    );
    let (place, name) = place_of(text, run, quantity);
    let help = guess.unwrap_or_else(|| {
        "compare the units and columns with what the tool printed; tokens_per_second counts prompts and outputs, \
         output_tokens_per_second outputs alone"
            .to_owned()
    });
    Some(Diagnostic::error(place, name, message).help(help))
}

/// At most four significant digits.
fn brief(value: f64) -> String {
    let rounded: f64 = format!("{value:.3e}").parse().unwrap_or(value);
    format!("{rounded}")
}

/// A mistake that people make.
#[derive(Clone, Copy)]
enum Repair {
    /// The value was given in a unit a thousand times as large, or as small.
    Unit(Quantity, f64),
    /// TTFT and the time per token stand in each other's place.
    Swapped(Quantity),
    /// Tokens of the output were given as all, or the other way round.
    Other(Quantity, Quantity),
}

const REPAIRS: [Repair; 11] = [
    Repair::Unit(Quantity::Ttft, THOUSAND),
    Repair::Unit(Quantity::Tpot, THOUSAND),
    Repair::Unit(Quantity::Itl, THOUSAND),
    Repair::Unit(Quantity::Latency, 1.0 / THOUSAND),
    Repair::Unit(Quantity::Ttft, 1.0 / THOUSAND),
    Repair::Unit(Quantity::Tpot, 1.0 / THOUSAND),
    Repair::Unit(Quantity::Itl, 1.0 / THOUSAND),
    Repair::Swapped(Quantity::Tpot),
    Repair::Swapped(Quantity::Itl),
    Repair::Other(Quantity::TokensPerSecond, Quantity::OutputTokensPerSecond),
    Repair::Other(Quantity::OutputTokensPerSecond, Quantity::TokensPerSecond),
];

impl Repair {
    /// The run without the mistake; `None` when it has no such numbers.
    fn of(self, run: &Measurement) -> Option<Measurement> {
        let mut repaired = run.clone();
        let at = |quantity: Quantity| run.observed.iter().position(|own| own.quantity == quantity);
        match self {
            Repair::Unit(quantity, factor) => repaired.observed[at(quantity)?].value *= factor,
            Repair::Swapped(gap) => {
                let (first, gap) = (at(Quantity::Ttft)?, at(gap)?);
                (repaired.observed[first].value, repaired.observed[gap].value) =
                    (run.observed[gap].value, run.observed[first].value);
            }
            Repair::Other(quantity, meant) => {
                let index = at(quantity)?;
                if at(meant).is_some() {
                    return None;
                }
                repaired.observed[index].quantity = meant;
            }
        }
        Some(repaired)
    }

    fn quantity(self) -> Quantity {
        match self {
            Repair::Unit(quantity, _) | Repair::Other(quantity, _) => quantity,
            Repair::Swapped(_) => Quantity::Ttft,
        }
    }

    fn question(self) -> String {
        match self {
            Repair::Unit(Quantity::Latency, factor) if factor < 1.0 => {
                "is latency_s in milliseconds? in seconds all numbers of the run agree".to_owned()
            }
            Repair::Unit(quantity, factor) if factor > 1.0 && quantity != Quantity::Latency => {
                format!("is {} in seconds? in milliseconds all numbers of the run agree", quantity.key())
            }
            Repair::Unit(quantity, _) => {
                format!("is {} in microseconds? in milliseconds all numbers of the run agree", quantity.key())
            }
            Repair::Swapped(gap) => {
                format!("are {} and {} swapped? then all numbers of the run agree", Quantity::Ttft.key(), gap.key())
            }
            Repair::Other(quantity, meant) => {
                format!("is it {} rather than {}? then all numbers of the run agree", meant.key(), quantity.key())
            }
        }
    }
}

/// How much scatter of random lengths the run's means may have, relative, as a multiple of one standard deviation.
fn scatter(run: &Measurement, requests: f64) -> f64 {
    if has_equal_lengths(run) { 0.0 } else { 3.0 / requests.max(1.0).sqrt() }
}

fn has_equal_lengths(run: &Measurement) -> bool {
    let constant = |lengths: &LengthDistribution| matches!(lengths, LengthDistribution::Constant(_));
    matches!(&run.lengths, Lengths::Drawn { prompt, output } if constant(prompt) && constant(output))
}

/// The first of the identities that does not hold.
fn contradiction(run: &Measurement) -> Option<Contradiction> {
    if let (Lengths::Listed(rows), Stop::Requests(requests)) = (&run.lengths, run.stop)
        && rows.len() != requests as usize
    {
        // Lengths of some requests tell nothing of the means of all.
        return None;
    }
    latency_of_parts(run)
        .or_else(|| first_token(run))
        .or_else(|| match run.load {
            Load::Concurrency(workers) => rates(run).into_iter().find_map(|rate| closed(run, workers, rate)),
            Load::Rate { per_second, at_most, .. } => {
                rates(run).into_iter().find_map(|rate| open(run, per_second, at_most, rate))
            }
        })
        .or_else(|| two_rates(run))
}

/// The time per token with its quantity.
fn gap(run: &Measurement) -> Option<(Quantity, f64)> {
    [Quantity::Itl, Quantity::Tpot].into_iter().find_map(|quantity| Some((quantity, run.value(quantity)?)))
}

/// What the parts make of the latency.
fn parts(run: &Measurement) -> Option<f64> {
    let (_, output) = run.lengths.means();
    if output <= 1.0 {
        return run.value(Quantity::Ttft);
    }
    Some(run.value(Quantity::Ttft)? + gap(run)?.1 * (output - 1.0))
}

/// The latency, measured or of its parts.
pub(super) fn latency(run: &Measurement) -> Option<f64> {
    run.value(Quantity::Latency).or_else(|| parts(run))
}

fn latency_of_parts(run: &Measurement) -> Option<Contradiction> {
    let (latency, expected) = (run.value(Quantity::Latency)?, parts(run)?);
    // The mean TPOT weighs short answers as much as long ones.
    let allowed = if run.value(Quantity::Itl).is_some() { ALLOWED } else { ALLOWED * ALLOWED };
    let is_off = latency > expected * allowed || latency < expected / allowed;
    let because = "TTFT + time per token x (output tokens - 1)".to_owned();
    is_off.then_some(Contradiction { quantity: Quantity::Latency, expected, because })
}

fn first_token(run: &Measurement) -> Option<Contradiction> {
    let (ttft, (quantity, gap)) = (run.value(Quantity::Ttft)?, gap(run)?);
    let because = format!("a step of the engine, of which {} is the mean,", quantity.key());
    (ttft * FIRST_TOKEN < gap).then_some(Contradiction { quantity: Quantity::Ttft, expected: gap, because })
}

/// Measured rates of tokens that are taken over the whole run, with the tokens of a request that they count.
fn rates(run: &Measurement) -> Vec<(Quantity, f64, f64)> {
    let (prompt, output) = run.lengths.means();
    let of = |quantity: Quantity, tokens: f64| {
        let own = run.observed.iter().find(|own| own.quantity == quantity && own.fitted)?;
        Some((quantity, own.value, tokens))
    };
    [of(Quantity::TokensPerSecond, prompt + output), of(Quantity::OutputTokensPerSecond, output)]
        .into_iter()
        .flatten()
        .collect()
}

fn two_rates(run: &Measurement) -> Option<Contradiction> {
    let [(quantity, all, tokens), (_, outputs, of_output)] = rates(run)[..] else { return None };
    let expected = outputs * tokens / of_output;
    // Random lengths need not have the stated means.
    let allowed = ALLOWED * (1.0 + scatter(run, requests(run, all / tokens)));
    let is_off = all > expected * allowed || all < expected / allowed;
    let because = "output_tokens_per_second x the tokens of a request / those of its output".to_owned();
    is_off.then_some(Contradiction { quantity, expected, because })
}

/// About how many requests the run had, at this many per second.
pub(super) fn requests(run: &Measurement, per_second: f64) -> f64 {
    match run.stop {
        Stop::Requests(requests) => f64::from(requests),
        Stop::Seconds(seconds) => (seconds * per_second).max(1.0),
    }
}

fn closed(run: &Measurement, workers: u32, (quantity, rate, tokens): (Quantity, f64, f64)) -> Option<Contradiction> {
    let latency = latency(run)?;
    let requests = requests(run, rate / tokens);
    let workers = f64::from(workers).min(requests);
    let expected = workers / latency * tokens;
    let allowed = ALLOWED * (1.0 + scatter(run, requests));
    // Until the last answers come, ever fewer workers are busy: for as long as the longest request takes.
    let idle = 1.0 + LONGEST * (workers - 1.0) / requests;
    let is_off = rate > expected * allowed || rate * allowed * idle < expected;
    let because = format!("workers x tokens of a request / {}", name_of_latency(run));
    is_off.then_some(Contradiction { quantity, expected, because })
}

fn name_of_latency(run: &Measurement) -> &'static str {
    if run.value(Quantity::Latency).is_some() {
        "latency"
    } else {
        "latency (TTFT + time per token x (output tokens - 1))"
    }
}

fn open(
    run: &Measurement,
    per_second: f64,
    at_most: Option<u32>,
    (quantity, rate, tokens): (Quantity, f64, f64),
) -> Option<Contradiction> {
    let (coming, answered) = (per_second * tokens, rate / tokens);
    let requests = requests(run, answered);
    // Arrivals are random, and so are lengths.
    let allowed = ALLOWED * (1.0 + 3.0 / requests.sqrt() + scatter(run, requests));
    if rate > coming * allowed {
        let because = "requests per second x tokens of a request".to_owned();
        return Some(Contradiction { quantity, expected: coming, because });
    }
    let latency = latency(run)?;
    if let Some(most) = at_most {
        // What waits at the client has no latency.
        let expected = f64::from(most) / latency * tokens;
        let because = format!("the most workers x tokens of a request / {}", name_of_latency(run));
        return (rate > expected * allowed).then_some(Contradiction { quantity, expected, because });
    }
    // The last answer lags behind the last arrival by its own latency, in a queue that grows by twice the mean as well.
    let expected = requests / (requests / per_second + 2.0 * LONGEST * latency) * tokens;
    let because = format!("requests per second x tokens of a request, with this {},", name_of_latency(run));
    (rate * allowed < expected).then_some(Contradiction { quantity, expected, because })
}

/// Where the value stands, and its name there.
fn place_of(text: &str, run: &Measurement, quantity: Quantity) -> (Span, String) {
    let (place, key) = (run.place.clone(), quantity.key());
    let header = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#')).unwrap_or("");
    let header = header.trim_start_matches('\u{feff}');
    let column = header.split(',').position(|name| name.trim().trim_matches('"').eq_ignore_ascii_case(key));
    if let Some(column) = column {
        return (
            Span::new(place.file.as_ref(), place.line, u32::try_from(column + 1).unwrap_or(u32::MAX)),
            key.to_owned(),
        );
    }
    let in_json = match quantity {
        Quantity::TokensPerSecond => "total_token_throughput",
        Quantity::OutputTokensPerSecond => "output_throughput",
        Quantity::Ttft => "mean_ttft_ms",
        Quantity::Tpot => "mean_tpot_ms",
        Quantity::Itl => "mean_itl_ms",
        Quantity::Latency => "mean_e2el_ms",
    };
    let is_there = text.contains(&format!("\"{in_json}\""));
    (place, if is_there { in_json.to_owned() } else { key.to_owned() })
}
