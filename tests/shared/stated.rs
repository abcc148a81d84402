//! The errors that built-in profiles state, from the runs that stand for them.

use crate::compared::{Fitted, Outcome, Quantity};
use crate::gates::mean_error;
use kedasim::replica::{ProfileKind, built_in_profile};

/// A simulated TTFT so many times the measured one is a queue that grows: the run saturates, and has no error to speak of.
const QUEUE: f64 = 10.0;

/// Whether the row's server kept up in the simulation, as all measured ones did.
pub fn keeps_up(outcome: &Outcome) -> bool {
    outcome.pair(Quantity::Ttft).is_none_or(|(measured, simulated)| simulated < QUEUE * measured)
}

/// What each built-in profile with judged rows must state first, by name, in order of its first row. A profile from kernels
/// states how it fits the kernels, not a server.
pub fn stated(outcomes: &[Outcome]) -> Vec<(String, String)> {
    let mut names: Vec<&str> = Vec::new();
    for outcome in outcomes {
        if !names.contains(&outcome.profile.as_str()) {
            names.push(&outcome.profile);
        }
    }
    let mut stated = Vec::new();
    for name in names {
        let Some(built_in) = built_in_profile(name) else { continue };
        let rows: Vec<&Outcome> =
            outcomes.iter().filter(|own| own.profile == name && own.case.fitted != Fitted::HeldOut).collect();
        let text = match (built_in.kind, rows[0].case.table) {
            (ProfileKind::Estimate, _) => ranges(&rows),
            (ProfileKind::Fitted, "1") => format!(
                "throughput {:.1} %, latency {:.1} %",
                mean_error(&rows, Quantity::TokensPerSecond),
                mean_error(&rows, Quantity::E2e)
            ),
            (ProfileKind::Fitted, _) => {
                format!("{}, {}", mean_and_largest(&rows, Quantity::Ttft), mean_and_largest(&rows, Quantity::Tpot))
            }
            _ => continue,
        };
        stated.push((name.to_owned(), text));
    }
    stated
}

/// What every estimate without rows of its own must state: of dense models, of mixtures of experts.
pub fn of_the_method(outcomes: &[Outcome]) -> (String, String) {
    let rows = |is_mixture: bool| -> Vec<&Outcome> {
        let passes = |own: &&Outcome| {
            own.case.fitted == Fitted::Estimate
                && keeps_up(own)
                && own.case.replica.contains("numExperts") == is_mixture
        };
        outcomes.iter().filter(passes).collect()
    };
    (ranges(&rows(false)), ranges(&rows(true)))
}

/// `TPOT -5.0 to +20.7 %, E2E -3.6 to +25.8 %; TTFT ...` of the quantities that were measured; the table of profiles shows what
/// stands before the semicolon.
fn ranges(rows: &[&Outcome]) -> String {
    let range = |quantity: Quantity| {
        let errors: Vec<f64> = rows.iter().filter_map(|own| own.error(quantity)).collect();
        let low = errors.iter().copied().reduce(f64::min)?;
        let high = errors.iter().copied().reduce(f64::max)?;
        Some(format!("{} {low:+.1} to {high:+.1} %", quantity.name()))
    };
    let parts: Vec<String> = [Quantity::Tpot, Quantity::E2e].into_iter().filter_map(range).collect();
    format!("{}; {}", parts.join(", "), range(Quantity::Ttft).expect("every row has a TTFT"))
}

/// `TTFT 6.1 % (max 21.4)`.
fn mean_and_largest(rows: &[&Outcome], quantity: Quantity) -> String {
    let largest = rows.iter().filter_map(|own| own.error(quantity)).map(f64::abs).fold(0.0, f64::max);
    format!("{} {:.1} % (max {largest:.1})", quantity.name(), mean_error(rows, quantity))
}
