//! The load that clients offered: its expectation where the traffic follows a law, else what was sent.

use crate::record::{Counted, LoadStep, RunRecord};
use crate::units::{SimDuration, SimTime};

/// The offered load of one run, in requests per second.
pub(super) enum Load<'a> {
    /// The expected load, a step function.
    Law(&'a [LoadStep]),
    /// What was sent, counted at the timeline's instants (each with the requests until then).
    Sent(Vec<(SimTime, f64)>),
}

impl<'a> Load<'a> {
    /// The load of `record`.
    pub fn of(record: &'a RunRecord) -> Self {
        if let Some(law) = &record.loop_info.load.law {
            return Load::Law(law);
        }
        let mut sent = 0.0;
        let mut before = SimTime::ZERO;
        let count = |row: &crate::record::TimelineRow| {
            sent += row.offered_rps * row.t.saturating_since(before).as_secs_f64_exact();
            before = row.t;
            (row.t, sent)
        };
        Load::Sent(record.timeline.rows.iter().map(count).collect())
    }

    /// Whether its mean is known, not estimated from what was sent.
    pub fn is_law(&self) -> bool {
        matches!(self, Load::Law(_))
    }

    /// Requests from the run's start until `t`.
    fn until(&self, t: SimTime) -> f64 {
        match self {
            Load::Law(steps) => {
                let ends = steps.iter().skip(1).map(|step| step.from).chain([SimTime::NEVER]);
                let part = |(step, end): (&LoadStep, SimTime)| {
                    step.requests * t.min(end).saturating_since(step.from).as_secs_f64_exact()
                };
                steps.iter().zip(ends).map(part).sum()
            }
            Load::Sent(rows) => {
                let after = rows.partition_point(|(at, _)| *at <= t);
                after.checked_sub(1).map_or(0.0, |index| rows[index].1)
            }
        }
    }

    /// Mean requests per second in `from..to`; 0 for an empty interval.
    pub fn mean(&self, from: SimTime, to: SimTime) -> f64 {
        let seconds = to.saturating_since(from).as_secs_f64_exact();
        if seconds > 0.0 { (self.until(to) - self.until(from)) / seconds } else { 0.0 }
    }

    /// Whether the mean over `window` before `to` differs from that before `from` by `share` or more; what was sent must also
    /// differ by more than two standard deviations of Poisson counts, which move without any change of the load.
    pub fn moved(&self, from: SimTime, to: SimTime, window: SimDuration, share: f64) -> bool {
        let before = self.mean(earlier(from, window), from);
        let after = self.mean(earlier(to, window), to);
        let change = (after - before).abs();
        let level = before.max(after);
        let noise =
            if self.is_law() { 0.0 } else { 2.0 * ((before + after) / window.as_secs_f64_exact().max(1.0)).sqrt() };
        level > 0.0 && change >= share * level && change > noise
    }

    /// What a query counts per request, in the run's mean.
    pub fn per_request(record: &RunRecord, what: Counted) -> f64 {
        let tokens = &record.tokens;
        let requests = record.requests.total.max(1) as f64;
        match what {
            Counted::Nothing => 0.0,
            Counted::Requests => 1.0,
            Counted::PromptTokens => tokens.prompt as f64 / requests,
            Counted::GeneratedTokens => tokens.generated as f64 / requests,
            Counted::AllTokens => (tokens.prompt + tokens.generated) as f64 / requests,
        }
    }
}

/// `t - duration`, not before the run's start.
pub(super) fn earlier(t: SimTime, duration: SimDuration) -> SimTime {
    SimTime::from_ps(t.as_ps().saturating_sub(duration.as_ps()))
}
