//! When a run without a duration is over: traffic has ended and drained, and the replicas have settled.

use crate::cluster::PodState;
use crate::sim::world::World;
use crate::units::{SimDuration, SimTime};

impl World<'_> {
    /// Whether nothing more will happen: no request on its way or to come, every pod either serving or gone, and
    /// `spec.replicas` unchanged for as long as the policy can still react to what it has seen.
    pub(super) fn has_settled(&self) -> bool {
        let traffic = &self.traffic;
        let sending = traffic.sources.iter().any(|source| source.next_arrival().is_some() || !source.exhausted());
        if sending || !traffic.flights.is_empty() {
            return false;
        }
        let steady = |pod: &crate::cluster::Pod| pod.state == PodState::Routable;
        if !self.deployment.pods.iter().all(steady) {
            return false;
        }
        if self.run.fixed_replicas || self.run.keda.scaled_object.annotations.paused {
            return true;
        }
        let quiet_since = [traffic.last_end, traffic.last_send, Some(self.control.last_change)];
        let quiet_since = quiet_since.into_iter().flatten().max().unwrap_or(SimTime::ZERO);
        self.now >= quiet_since + self.reaction_time()
    }

    /// How long the policy may still react to what it has seen: as far back as its queries reach, then the scale-down window
    /// and one policy period, then KEDA's cooldown where it moves to zero or idle.
    fn reaction_time(&self) -> SimDuration {
        let (kubernetes, keda) = (&self.run.kubernetes, &self.run.keda.scaled_object);
        let window = kubernetes.hpa.behavior.as_ref().map_or(kubernetes.flags.downscale_stabilization, |(_, down)| {
            let longest = down.policies.iter().map(|policy| policy.period).max().unwrap_or_default();
            down.stabilization_window + longest
        });
        let cools_down = keda.min_replicas == 0 || keda.idle_replicas.is_some();
        let cooldown = keda.cooldown_period.max(keda.initial_cooldown_period) + keda.polling_interval;
        let cooldown = if cools_down { cooldown } else { SimDuration::ZERO };
        self.monitoring.server.longest_reach() + window + cooldown + kubernetes.sync_period.times(2)
    }
}
