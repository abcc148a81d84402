//! The loop without requests: what triggers show is what the load brings about on average.
//!
//! A diagnostic world (verdicts.md 3.3, pass A): nobody sends anything. The token counters grow at the load's expected rate
//! (see `sim::expected`), and a trigger for which no such expectation is exact shows its mean response to the count of
//! ready replicas, as somebody measured it with that count held. Scrapes, windows, polls, syncs and starts stay.

use crate::units::{SimDuration, SimTime};
use std::collections::BTreeMap;

/// What a trigger's query yields on average at each count of ready replicas, all else constant.
#[derive(Clone, Debug, PartialEq)]
pub struct MeanResponse {
    /// Mean value by count; between and beyond those known, that of the nearest lower count, else of the lowest.
    pub by_replicas: BTreeMap<usize, f64>,
    /// Whether a load without any replica is seen too (a gateway holds its requests); else the value is 0 then.
    pub seen_without_replicas: bool,
    /// How far back the query looks; the value is the mean over it.
    pub window: SimDuration,
    /// The mean age of what it sees: half a scrape interval.
    pub age: SimDuration,
}

impl MeanResponse {
    fn at(&self, replicas: usize) -> f64 {
        if replicas == 0 && !self.seen_without_replicas {
            return 0.0;
        }
        let lower = self.by_replicas.range(..=replicas).next_back();
        lower.or_else(|| self.by_replicas.first_key_value()).map_or(0.0, |(_, value)| *value)
    }
}

/// The responses of all triggers, and how many replicas were ready when.
pub(super) struct Fluid {
    responses: Vec<Option<MeanResponse>>,
    /// (until when, how many), in order of time.
    ready: Vec<(SimTime, usize)>,
}

impl Fluid {
    pub(super) fn new(responses: Vec<Option<MeanResponse>>) -> Self {
        Fluid { responses, ready: Vec::new() }
    }

    /// `count` replicas were ready until `now`.
    pub(super) fn note(&mut self, count: usize, now: SimTime) {
        match self.ready.last_mut() {
            Some((until, known)) if *known == count || *until == now => {
                *until = now;
                *known = count;
            }
            _ => self.ready.push((now, count)),
        }
    }

    /// What `trigger` shows at `now`; `None` when it has no response.
    pub(super) fn value(&self, trigger: usize, now: SimTime) -> Option<f64> {
        let response = self.responses.get(trigger)?.as_ref()?;
        let back = |t: SimTime, duration: SimDuration| SimTime::from_ps(t.as_ps().saturating_sub(duration.as_ps()));
        let to = back(now, response.age);
        let from = back(to, response.window);
        let (mut sum, mut seconds, mut start) = (0.0, 0.0, SimTime::ZERO);
        for (until, count) in &self.ready {
            let part = to.min(*until).saturating_since(from.max(start)).as_secs_f64_exact();
            sum += part * response.at(*count);
            seconds += part;
            start = *until;
            if start >= to {
                break;
            }
        }
        // A gauge, or the run's first instant.
        let at = self.ready.iter().find(|(until, _)| *until >= to).or(self.ready.last());
        Some(if seconds > 0.0 { sum / seconds } else { response.at(at.map_or(0, |(_, count)| *count)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(window: u64, age: u64) -> MeanResponse {
        MeanResponse {
            by_replicas: BTreeMap::from([(1, 12.0), (2, 6.0), (4, 3.0)]),
            seen_without_replicas: false,
            window: SimDuration::from_secs(window),
            age: SimDuration::from_secs(age),
        }
    }

    #[test]
    fn a_value_is_the_mean_over_its_window_of_what_was_ready_then() {
        let mut fluid = Fluid::new(vec![Some(response(100, 10)), None, Some(response(0, 10))]);
        fluid.note(1, SimTime::from_secs(200));
        fluid.note(2, SimTime::from_secs(260));
        fluid.note(2, SimTime::from_secs(300));
        // 190..290: ten seconds of 12 and ninety of 6.
        assert_eq!(fluid.value(0, SimTime::from_secs(300)), Some(6.6));
        assert_eq!(fluid.value(1, SimTime::from_secs(300)), None);
        assert_eq!(fluid.value(7, SimTime::from_secs(300)), None);
        assert_eq!(fluid.value(2, SimTime::from_secs(205)), Some(12.0));
        assert_eq!(fluid.value(2, SimTime::from_secs(300)), Some(6.0));
    }

    #[test]
    fn a_count_that_nobody_measured_has_the_value_of_the_next_lower_one() {
        let own = response(0, 0);
        assert_eq!([0, 1, 2, 3, 4, 9].map(|count| own.at(count)), [0.0, 12.0, 6.0, 6.0, 3.0, 3.0]);
        let seen = MeanResponse { seen_without_replicas: true, ..own };
        assert_eq!(seen.at(0), 12.0);
    }
}
