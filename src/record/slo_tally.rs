//! What the requests of a run met and missed of its SLO, counted as they end: nothing is kept per request.
//!
//! A request belongs to the minute of the measured interval in which it was sent, wherever it ends.

use crate::units::SimDuration;

/// What an objective limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SloQuantity {
    /// Sent to first token.
    Ttft,
    /// (last token - first token) / (tokens - 1).
    Tpot,
    /// Sent to last token.
    E2e,
}

/// Which objectives a request missed: bit n is objective n.
pub type SloMisses = u64;

/// Requests of one minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SloMinute {
    /// Those whose verdict is known.
    pub requests: u64,
    /// Of them, those that missed an objective.
    pub missed: u64,
}

/// The counts. Requests that the client got wrong (4xx) or gave up of its own will are in none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SloTally {
    /// The objectives' limits, in the scenario's order.
    objectives: Vec<(SloQuantity, SimDuration)>,
    /// Requests whose verdict is known.
    known: u64,
    good: u64,
    /// Open at the end and without a miss so far, so that nobody knows.
    unknown: u64,
    /// Per objective.
    missed: Vec<u64>,
    unknown_of: Vec<u64>,
    minutes: Vec<SloMinute>,
    /// Per minute and objective, objectives innermost.
    minute_missed: Vec<u64>,
}

impl SloTally {
    /// Without requests.
    ///
    /// # Panics
    /// On more than 64 objectives; the scenario's reader knows twelve.
    pub fn new(objectives: Vec<(SloQuantity, SimDuration)>) -> Self {
        assert!(objectives.len() <= 64, "a bit per objective");
        let zeros = vec![0; objectives.len()];
        SloTally { missed: zeros.clone(), unknown_of: zeros, objectives, ..SloTally::default() }
    }
    /// The objectives that it counts.
    pub fn objectives(&self) -> &[(SloQuantity, SimDuration)] {
        &self.objectives
    }
    /// Whether there is anything to count.
    pub fn is_empty(&self) -> bool {
        self.objectives.is_empty()
    }
    /// The objectives on `quantity` that `value` misses; those of a quantity that never came, with `None`.
    pub fn misses(&self, quantity: SloQuantity, value: Option<SimDuration>) -> SloMisses {
        let missed =
            |(own, limit): &(SloQuantity, SimDuration)| *own == quantity && value.is_none_or(|value| value > *limit);
        self.objectives.iter().enumerate().map(|(index, own)| u64::from(missed(own)) << index).sum()
    }
    /// All objectives on `quantity`.
    pub fn all_of(&self, quantity: SloQuantity) -> SloMisses {
        self.misses(quantity, None)
    }
    /// A request that was sent `since_start` after the measured interval's start has ended.
    pub fn ended(&mut self, since_start: SimDuration, missed: SloMisses) {
        let objectives = self.objectives.len();
        let minute = usize::try_from(since_start.as_ps() / MINUTE_PS).expect("a run has fewer minutes");
        if self.minutes.len() <= minute {
            self.minutes.resize(minute + 1, SloMinute::default());
            self.minute_missed.resize((minute + 1) * objectives, 0);
        }
        self.known += 1;
        self.minutes[minute].requests += 1;
        if missed == 0 {
            self.good += 1;
            return;
        }
        self.minutes[minute].missed += 1;
        for index in 0..objectives {
            let own = missed >> index & 1;
            self.missed[index] += own;
            self.minute_missed[minute * objectives + index] += own;
        }
    }
    /// A request is still open at the end: it has missed some objectives already, and of others nobody knows.
    pub fn open(&mut self, since_start: SimDuration, missed: SloMisses, unknown: SloMisses) {
        for (index, count) in self.unknown_of.iter_mut().enumerate() {
            *count += unknown >> index & 1;
        }
        if missed != 0 || unknown == 0 {
            self.ended(since_start, missed);
        } else {
            self.unknown += 1;
        }
    }
    /// All requests that count.
    pub fn counted(&self) -> u64 {
        self.known + self.unknown
    }
    /// Requests that met every objective; with those of which nobody knows.
    pub fn good(&self) -> (u64, u64) {
        (self.good, self.good + self.unknown)
    }
    /// Requests that met objective `index`; with those of which nobody knows.
    pub fn good_of(&self, index: usize) -> (u64, u64) {
        let upper = self.counted() - self.missed[index];
        (upper - self.unknown_of[index], upper)
    }
    /// The minutes of the measured interval up to the last in which a request was sent.
    pub fn minutes(&self) -> &[SloMinute] {
        &self.minutes
    }
    /// Requests of `minute` that missed objective `index`.
    pub fn missed_in(&self, minute: usize, index: usize) -> u64 {
        self.minute_missed[minute * self.objectives.len() + index]
    }
}

const MINUTE_PS: u64 = 60_000_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn tally() -> SloTally {
        let seconds = SimDuration::from_secs;
        SloTally::new(vec![
            (SloQuantity::Ttft, seconds(2)),
            (SloQuantity::E2e, seconds(60)),
            (SloQuantity::Ttft, seconds(5)),
        ])
    }

    #[test]
    fn a_value_at_the_limit_is_within_it() {
        let tally = tally();
        assert_eq!(tally.misses(SloQuantity::Ttft, Some(SimDuration::from_secs(2))), 0b000);
        assert_eq!(tally.misses(SloQuantity::Ttft, Some(SimDuration::from_secs(3))), 0b001);
        assert_eq!(tally.misses(SloQuantity::Ttft, Some(SimDuration::from_secs(6))), 0b101);
        assert_eq!(tally.all_of(SloQuantity::E2e), 0b010);
        assert_eq!(tally.all_of(SloQuantity::Tpot), 0);
    }

    #[test]
    fn a_request_is_good_when_it_met_all_objectives() {
        let mut tally = tally();
        let at = SimDuration::from_secs;
        tally.ended(at(10), 0);
        tally.ended(at(59), 0b001);
        tally.ended(at(60), 0b011);
        tally.open(at(61), 0b001, 0b010);
        tally.open(at(200), 0, 0b010);
        assert_eq!((tally.counted(), tally.good()), (5, (1, 2)));
        assert_eq!((tally.good_of(0), tally.good_of(1), tally.good_of(2)), ((2, 2), (2, 4), (5, 5)));
        let minute = |requests, missed| SloMinute { requests, missed };
        assert_eq!(tally.minutes(), [minute(2, 1), minute(2, 2)]);
        assert_eq!((tally.missed_in(1, 0), tally.missed_in(1, 1)), (2, 1));
    }
}
