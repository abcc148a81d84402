//! Requests against the SLO's objectives, as they end (verdicts.md 4.1 to 4.3): only what is counted, nothing that anybody
//! decides on.

use crate::record::{SloMisses, SloQuantity, SloTally};
use crate::replica::Finished;
use crate::scenario::{ResolvedRun, SloMetric};
use crate::sim::requests::Failure;
use crate::sim::world::{Flight, World};
use crate::units::SimDuration;

/// The tally for the objectives of `run`.
pub(super) fn slo_tally(run: &ResolvedRun) -> SloTally {
    let quantity = |metric: SloMetric| match metric {
        SloMetric::Ttft => SloQuantity::Ttft,
        SloMetric::Tpot => SloQuantity::Tpot,
        SloMetric::E2e => SloQuantity::E2e,
    };
    SloTally::new(run.analysis.slo.iter().map(|own| (quantity(own.metric), own.limit)).collect())
}

impl World<'_> {
    /// The measured interval's time when `flight` was sent.
    fn sent_after_warmup(&self, flight: &Flight) -> SimDuration {
        SimDuration::from_ps(flight.sent.as_ps() - self.run.warmup.as_ps())
    }

    /// A request was answered whole. One of a single token has no time per token to miss an objective with.
    pub(super) fn judge_completed(&mut self, flight: &Flight, finished: &Finished) {
        let slo = &self.recorded.slo;
        if slo.is_empty() {
            return;
        }
        let mut missed = flight.ttft_misses | slo.misses(SloQuantity::E2e, Some(finished.at.since(flight.sent)));
        let gaps = u64::from(finished.generated_tokens.saturating_sub(1));
        let decode = finished.at.since(finished.first_token);
        if let Some(per_token) = decode.as_ps().checked_div(gaps) {
            missed |= slo.misses(SloQuantity::Tpot, Some(SimDuration::from_ps(per_token)));
        }
        let since_start = self.sent_after_warmup(flight);
        self.recorded.slo.ended(since_start, missed);
    }

    /// A request got no answer: it misses all objectives, but for a first token that came in time. What the client got wrong
    /// is nobody's miss.
    pub(super) fn judge_failed(&mut self, flight: &Flight, failure: Failure) {
        let slo = &self.recorded.slo;
        if slo.is_empty() || failure == Failure::Rejected {
            return;
        }
        let never_came = slo.all_of(SloQuantity::Tpot) | slo.all_of(SloQuantity::E2e);
        let first = if flight.first_token_came { flight.ttft_misses } else { slo.all_of(SloQuantity::Ttft) };
        let since_start = self.sent_after_warmup(flight);
        self.recorded.slo.ended(since_start, never_came | first);
    }

    /// Requests that are still open at the end have missed what their age exceeds; of the rest nobody knows. In no order:
    /// they are only counted.
    ///
    /// # Panics
    /// When a request was judged twice or never: a defect of the simulator.
    pub(super) fn judge_open(&mut self) {
        if self.recorded.slo.is_empty() {
            return;
        }
        let end = self.now;
        let mut slo = std::mem::take(&mut self.recorded.slo);
        let limits: Vec<SloMisses> =
            [SloQuantity::Ttft, SloQuantity::E2e, SloQuantity::Tpot].map(|quantity| slo.all_of(quantity)).to_vec();
        for flight in self.traffic.flights.values().filter(|flight| self.measured(flight.sent)) {
            let age = end.since(flight.sent);
            let late = |quantity: SloQuantity| slo.misses(quantity, Some(age));
            let (first, first_unknown) = if flight.first_token_came {
                (flight.ttft_misses, 0)
            } else {
                let late = late(SloQuantity::Ttft);
                (late, limits[0] & !late)
            };
            let whole = late(SloQuantity::E2e);
            let unknown = first_unknown | (limits[1] & !whole) | limits[2];
            slo.open(self.sent_after_warmup(flight), first | whole, unknown);
        }
        let totals = &self.recorded.requests;
        assert_eq!(
            slo.counted(),
            totals.total - totals.rejected - totals.aborted,
            "every request that counts was judged once"
        );
        self.recorded.slo = slo;
    }
}
