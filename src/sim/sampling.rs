//! The timeline: what the world looks like at regular instants.

use crate::record::{DecisionRecord, TimelineRow};
use crate::sim::SimulateError;
use crate::sim::event::Event;
use crate::sim::world::World;
use crate::units::SimDuration;
use std::sync::Arc;

impl World<'_> {
    /// Writes a row, checks the invariants, and ends the run when it has settled.
    pub(super) fn on_sample(&mut self) -> Result<(), SimulateError> {
        let row = self.sample_row();
        self.control.note_cells(self.recorded.timeline.rows.len());
        self.recorded.timeline.rows.push(row);
        self.check_invariants()?;
        self.littles_law_holds()?;
        if self.run.duration.is_none() && self.has_settled() {
            self.queue.push(self.now, Event::End);
        } else {
            self.queue.push(self.now + self.run.sample_interval, Event::Sample);
        }
        Ok(())
    }

    fn sample_row(&mut self) -> TimelineRow {
        let now = self.now;
        let (mut running, mut waiting, mut usage_sum, mut serving) = (0, 0, 0.0, 0u32);
        let mut usages = vec![0.0; self.hosts.len()];
        for (host, own_usage) in self.hosts.iter().zip(&mut usages) {
            let Some(engine) = host.as_ref().and_then(|host| host.engine.as_ref()) else { continue };
            let (own_running, own_waiting, usage) = engine.gauges(now);
            running += u64::from(own_running);
            waiting += u64::from(own_waiting);
            usage_sum += usage;
            *own_usage = usage;
            serving += 1;
        }
        let kv_usage = if serving == 0 { 0.0 } else { usage_sum / f64::from(serving) };
        if self.measured(now) {
            self.recorded.kv_sum += kv_usage;
            self.recorded.kv_samples += 1;
            self.sum_fleet(waiting, &usages);
        }
        let ttft_p95 = take_quantile(&mut self.recorded.ttfts_since_row, 95).map(SimDuration::as_secs_f64);
        let sent = std::mem::take(&mut self.recorded.sent_since_row);
        TimelineRow {
            t: now,
            offered_rps: sent as f64 / self.run.sample_interval.as_secs_f64_exact(),
            spec_replicas: self.deployment.spec_replicas,
            status_replicas: self.deployment.status_replicas,
            ready_replicas: self.deployment.ready_replicas(),
            // Each policy has its own (`Decided::fill_cells`).
            triggers: Arc::default(),
            running,
            waiting,
            kv_usage,
            ttft_p95,
        }
    }

    /// Adds the fleet's state to the sums of which means are made; `usages` are those of the KV caches, by pod number.
    fn sum_fleet(&mut self, waiting: u64, usages: &[f64]) {
        let (mut usage, mut ready) = (0.0, 0u32);
        for pod in self.deployment.pods.iter().filter(|pod| pod.is_ready()) {
            usage += usages.get(pod.id.0 as usize).copied().unwrap_or_default();
            ready += 1;
        }
        let held = self.gateway.as_ref().map_or(0, |state| state.gateway.held().len() as u64);
        let unasked = held > 0 && self.nobody_asks_for_more();
        let sums = &mut self.recorded.fleet;
        if unasked {
            sums.held_below_max += self.run.sample_interval;
            sums.most_held = sums.most_held.max(held);
        }
        sums.samples += 1;
        sums.waiting += waiting;
        sums.held += held;
        if ready > 0 {
            sums.ready_samples += 1;
            sums.kv_usage += usage / f64::from(ready);
        }
    }

    /// Whether there could be more replicas, and at the last sync no metric proposed more than there were.
    fn nobody_asks_for_more(&self) -> bool {
        let replicas = self.deployment.spec_replicas;
        let last = self.control.decided.decisions.iter().rev().find_map(DecisionRecord::sync);
        let asks = |own: &i32| *own > replicas;
        replicas < self.run.kubernetes.hpa.max_replicas
            && last.is_some_and(|sync| !sync.metrics.iter().filter_map(|own| own.proposal).any(|own| asks(&own)))
    }
}

/// The smallest value that at least `percent` % of `values` do not exceed; empties `values`.
fn take_quantile(values: &mut Vec<SimDuration>, percent: usize) -> Option<SimDuration> {
    let rank = (values.len() * percent).div_ceil(100);
    let index = rank.checked_sub(1).filter(|index| *index < values.len());
    let value = index.map(|index| *values.select_nth_unstable(index).1);
    values.clear();
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_nearest_rank() {
        let mut values: Vec<SimDuration> = (1..=20).rev().map(SimDuration::from_secs).collect();
        assert_eq!(take_quantile(&mut values, 95), Some(SimDuration::from_secs(19)));
        assert_eq!((values.len(), take_quantile(&mut values, 95)), (0, None));
    }
}
