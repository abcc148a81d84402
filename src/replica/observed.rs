//! What an observer sees of an engine, between two wakes too. Reads only.

use crate::replica::engine::{Engine, Phase};
use crate::replica::metrics::Gauges;
use crate::traffic::RequestId;
use crate::units::{SimDuration, SimTime};

impl Engine {
    /// Writes the value of every series of [`crate::replica::exposition`] as `/metrics` shows it at `now`, which is at or
    /// before the next wake. The row is cleared first.
    pub fn expose(&self, now: SimTime, row: &mut Vec<f64>) {
        let gauges = self.gauges_at(now);
        let run = self.ended_steps(now).map(|steps| (&self.run, steps, self.decodes.count));
        self.metrics.write(gauges, self.usage(gauges), run, row);
    }

    /// Largest KV usage 0..1 of any completed step so far.
    pub fn peak_kv_usage(&self) -> f64 {
        f64::from(self.config.kv_blocks - self.fewest_free) / f64::from(self.config.kv_blocks)
    }

    /// Requests inside, in any state (what a router that counts in-flight requests sees).
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// (running, waiting, KV usage 0..1) as the gauges show at `now`: the state after the last completed step.
    pub fn gauges(&self, now: SimTime) -> (u32, u32, f64) {
        let gauges = self.gauges_at(now);
        (gauges.running, gauges.waiting, self.usage(gauges))
    }

    fn usage(&self, gauges: Gauges) -> f64 {
        let null_block = u32::from(self.config.null_block_is_in_use());
        f64::from(gauges.used_blocks + null_block) / f64::from(self.config.kv_blocks + null_block)
    }

    /// How many steps of the run in progress have ended, when any has.
    pub(super) fn ended_steps(&self, now: SimTime) -> Option<u64> {
        debug_assert!(self.next_wake().is_none_or(|next| now <= next), "observed at {now}, after a missed wake");
        if self.phase != Phase::Step || self.run.steps() == 1 {
            return None;
        }
        // The last step has not ended before its wake.
        Some(self.run.ended_by(now).min(self.run.steps() - 1)).filter(|ended| *ended > 0)
    }

    pub(super) fn gauges_at(&self, now: SimTime) -> Gauges {
        let Some(ended) = self.ended_steps(now) else { return self.published };
        // Drained when the last step that ended began. At the run's own start the inbox was drained already.
        let drained = if ended > 1 {
            let started = self.run.boundary(ended - 1);
            self.inbox.partition_point(|slot| self.live(*slot).entered <= started)
        } else {
            0
        };
        // With async scheduling the step in progress had its blocks when the last one reported.
        let allocated = self.decodes.blocks_for(ended + u64::from(self.config.async_scheduling));
        let held = u64::from(self.config.kv_blocks - self.free_blocks) + allocated;
        Gauges {
            running: self.running,
            waiting: u32::try_from(self.waiting.len() + drained).unwrap_or(u32::MAX),
            used_blocks: u32::try_from(held).expect("a run is planned within the free blocks"),
        }
    }

    /// Ids of the requests inside, in order of arrival; after a kill they are the ones that failed.
    pub fn request_ids(&self) -> Vec<RequestId> {
        let mut inside: Vec<(u64, RequestId)> =
            self.inside().filter(|live| !live.ended).map(|live| (live.sequence, live.id)).collect();
        inside.sort_unstable();
        inside.into_iter().map(|(_, id)| id).collect()
    }

    /// Time up to `now` during which at least one request was inside.
    pub fn busy_time(&self, now: SimTime) -> SimDuration {
        if self.in_flight == 0 { self.busy_before } else { self.busy_before + now.saturating_since(self.busy_since) }
    }

    /// Tokens generated so far (all, also of requests that later failed), and preemptions so far (at eviction, where the
    /// metric waits for the victim's next token; with async scheduling when the step has ended during which the scheduler
    /// decided it).
    pub fn totals(&self, now: SimTime) -> (u64, u64) {
        let in_run = self.ended_steps(now).map_or(0, |steps| steps * self.decodes.count);
        (self.metrics.generation_tokens + in_run, self.evictions)
    }
}
