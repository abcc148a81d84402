//! When a run without a duration is over: traffic has ended and drained, and the replicas have settled.

use crate::cluster::PodState;
use crate::keda::TriggerKind;
use crate::scenario::MetricSource;
use crate::series::Signal;
use crate::sim::world::World;
use crate::units::{SimDuration, SimTime};

/// How many times its own reaction time a policy gets to settle, and at least how long.
const SETTLING_REACTIONS: u64 = 8;
const SETTLING_AT_LEAST: SimDuration = SimDuration::from_secs(2 * 3600);

impl World<'_> {
    /// Whether nothing more will happen: no request on its way or to come, every pod either serving or gone, and
    /// `spec.replicas` unchanged for as long as the policy can still react to what it has seen.
    pub(super) fn has_settled(&self) -> bool {
        let traffic = &self.traffic;
        let sending = traffic.sources.iter().any(|source| source.next_arrival().is_some() || !source.exhausted());
        if sending || !traffic.flights.is_empty() {
            return false;
        }
        if self.never_settles() {
            return true;
        }
        let steady = |pod: &crate::cluster::Pod| pod.state == PodState::Routable;
        if !self.deployment.pods.iter().all(steady) {
            return false;
        }
        if self.run.fixed_replicas || self.scaled_object().is_some_and(|own| own.annotations.paused) {
            return true;
        }
        let quiet_since =
            [traffic.last_end, traffic.last_send, Some(self.control.last_change), self.last_outside_change()];
        let quiet_since = quiet_since.into_iter().flatten().max().unwrap_or(SimTime::ZERO);
        self.now >= quiet_since + self.reaction_time()
    }

    /// Whether the policy still scales long after the last request: it goes on for ever (idle below the minimum, a signal
    /// between two counts), and so would the run. The record says that it did not settle.
    pub(super) fn never_settles(&self) -> bool {
        let quiet_since = [self.traffic.last_end, self.traffic.last_send, self.last_outside_change()];
        let quiet_since = quiet_since.into_iter().flatten().max().unwrap_or(SimTime::ZERO);
        self.now >= quiet_since + self.reaction_time().times(SETTLING_REACTIONS).max(SETTLING_AT_LEAST)
    }

    /// The last change from outside.
    fn last_outside_change(&self) -> Option<SimTime> {
        self.last_signal_change().max(self.last_fault_end())
    }

    /// The last change of what the user gives, as far as it ever ends: a policy that it moves has not settled before.
    fn last_signal_change(&self) -> Option<SimTime> {
        let triggers = self.scaled_object().map_or(&[][..], |own| &own.triggers);
        let of_triggers = triggers.iter().filter_map(|trigger| match &trigger.kind {
            TriggerKind::Signal(own) => Some([Some(&own.signal.value), own.signal.active.as_ref()]),
            _ => None,
        });
        let of_metrics = self.run.kubernetes.sources.iter().filter_map(|source| match source {
            MetricSource::ExternalSignal(signal) => Some(signal),
            _ => None,
        });
        let of_series = self.run.signals.iter().map(|series| &series.value);
        of_triggers.flatten().flatten().chain(of_metrics).chain(of_series).filter_map(Signal::last_change).max()
    }

    /// How long the policy may still react to what it has seen: as far back as its queries reach, then the scale-down window
    /// and one policy period, then KEDA's cooldown where it moves to zero or idle.
    fn reaction_time(&self) -> SimDuration {
        let kubernetes = &self.run.kubernetes;
        let window = kubernetes.hpa.behavior.as_ref().map_or(kubernetes.flags.downscale_stabilization, |(_, down)| {
            let longest = down.policies.iter().map(|policy| policy.period).max().unwrap_or_default();
            down.stabilization_window + longest
        });
        let cools_down = self.scaled_object().filter(|own| own.min_replicas == 0 || own.idle_replicas.is_some());
        let cooldown = cools_down.map_or(SimDuration::ZERO, |own| {
            own.cooldown_period.max(own.initial_cooldown_period) + own.polling_interval
        });
        let reach = self.monitoring.server.longest_reach();
        // A query over a rule's results sees as far back as both together.
        let slowest = self.run.monitoring.rules.iter().map(|own| own.interval).max();
        let of_rules = slowest.map_or(SimDuration::ZERO, |interval| reach + interval);
        reach + of_rules + window + cooldown + kubernetes.sync_period.times(2)
    }
}
