//! The state of the fleet over time, as far as a mean or a sum is all that anybody asks for.

use crate::units::SimDuration;

/// Sums over the timeline's samples after the warm-up, which are equally far apart: their means are means over time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FleetSums {
    /// Samples.
    pub samples: u64,
    /// Requests waiting in engines.
    pub waiting: u64,
    /// Requests held by the gateway.
    pub held: u64,
    /// Samples with a ready pod.
    pub ready_samples: u64,
    /// Sum over those samples of the ready pods' mean KV usage.
    pub kv_usage: f64,
    /// Time of the samples at which the gateway held requests, fewer than the most replicas were asked for, and no trigger had
    /// proposed more than there were at the last sync.
    pub held_below_max: SimDuration,
    /// The most that the gateway held at such a sample.
    pub most_held: u64,
}

impl FleetSums {
    fn mean(&self, sum: u64) -> Option<f64> {
        (self.samples > 0).then(|| sum as f64 / self.samples as f64)
    }
    /// Mean of the requests that wait in engines; `None` without samples.
    pub fn mean_waiting(&self) -> Option<f64> {
        self.mean(self.waiting)
    }
    /// Mean of the requests that wait in engines or are held by the gateway.
    pub fn mean_queue(&self) -> Option<f64> {
        self.mean(self.waiting + self.held)
    }
    /// Mean over time of the mean over ready pods of the KV usage, 0..1; times without a ready pod are left out.
    pub fn mean_kv_usage(&self) -> Option<f64> {
        (self.ready_samples > 0).then(|| self.kv_usage / self.ready_samples as f64)
    }
}
