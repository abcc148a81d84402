//! How long a pod's start takes: all phases drawn once, at creation, from streams keyed by the pod's number.

use crate::cluster::settings::DurationLaw;
use crate::cluster::{ClusterSettings, DurationDistribution, PodId};
use crate::units::{Seed, SimDuration, SimTime, Streams};

/// Absolute times at which a pod enters its states, if it is not deleted before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartupPlan {
    /// Bound to a node.
    pub scheduled: SimTime,
    /// Container running, IP published.
    pub loading: SimTime,
    /// Port open.
    pub listening: SimTime,
    /// First successful readiness probe.
    pub ready: SimTime,
    /// In the routers' view.
    pub routable: SimTime,
}

impl StartupPlan {
    /// Draws the plan of pod `id` created at `created`, see [`StartupLaw::plan`].
    pub fn draw(settings: &ClusterSettings, seed: Seed, id: PodId, created: SimTime) -> Self {
        StartupLaw::new(settings, seed).plan(id, created)
    }
    /// Median time from created to routable, from 1,001 draws of a seed of their own: a property of the settings, the same
    /// in every run.
    pub fn median_duration(settings: &ClusterSettings) -> SimDuration {
        Self::duration_at(settings, 500)
    }
    /// As [`Self::median_duration`]: what 95 % of the starts do not exceed.
    pub fn slow_duration(settings: &ClusterSettings) -> SimDuration {
        Self::duration_at(settings, 950)
    }
    fn duration_at(settings: &ClusterSettings, rank: usize) -> SimDuration {
        let law = StartupLaw::new(settings, Seed(0));
        let draw = |id| law.plan(PodId(id), SimTime::ZERO).routable.since(SimTime::ZERO);
        let mut durations: Vec<SimDuration> = (0..1001).map(draw).collect();
        *durations.select_nth_unstable(rank).1
    }
    /// A pod that has been serving since the run's start.
    pub fn already_serving() -> Self {
        StartupPlan {
            scheduled: SimTime::ZERO,
            loading: SimTime::ZERO,
            listening: SimTime::ZERO,
            ready: SimTime::ZERO,
            routable: SimTime::ZERO,
        }
    }
}

/// What the plans of a run's pods have in common.
struct StartupLaw {
    schedule: Phase,
    image_pull: Phase,
    sandbox: Phase,
    weights_fetch: Phase,
    weights_load: Phase,
    engine_init: Phase,
    compile: Phase,
    graphs: Phase,
    endpoints: Phase,
    probe: Streams,
    probe_initial_delay: SimDuration,
    probe_period: SimDuration,
}

/// A phase with its own stream per pod, so that changing one phase's settings, or another pod's fate, shifts no other draw.
struct Phase {
    streams: Streams,
    law: DurationLaw,
}

impl Phase {
    fn draw(&self, id: PodId) -> SimDuration {
        self.law.draw(&mut self.streams.of(u64::from(id.0)))
    }
}

impl StartupLaw {
    fn new(settings: &ClusterSettings, seed: Seed) -> Self {
        let startup = &settings.startup;
        let phase = |name: &str, distribution: &DurationDistribution| Phase {
            streams: seed.streams(name),
            law: distribution.law(),
        };
        StartupLaw {
            schedule: phase("startup-schedule", &startup.schedule),
            image_pull: phase("startup-image-pull", &startup.image_pull),
            sandbox: phase("startup-sandbox", &startup.sandbox),
            weights_fetch: phase("startup-weights-fetch", &startup.weights_fetch),
            weights_load: phase("startup-weights-load", &startup.weights_load),
            engine_init: phase("startup-engine-init", &startup.engine_init),
            compile: phase("startup-compile", &startup.compile),
            graphs: phase("startup-graphs", &startup.graphs),
            endpoints: phase("startup-endpoints", &startup.endpoints),
            probe: seed.streams("startup-probe"),
            probe_initial_delay: startup.probe_initial_delay,
            probe_period: startup.probe_period,
        }
    }

    /// The plan of pod `id` created at `created`.
    ///
    /// The pod is ready at the first probe tick after its port opens, and no tick counts before
    /// `initialDelaySeconds` have passed since the container started (kubelet `prober/worker.go: doProbe`). The tick
    /// grid is re-anchored every 60 to 90 s, which makes the wait uniform in [0, period) (cluster.md 2.6).
    fn plan(&self, id: PodId, created: SimTime) -> StartupPlan {
        let scheduled = created.saturating_add(self.schedule.draw(id));
        let loading = scheduled.saturating_add(self.image_pull.draw(id)).saturating_add(self.sandbox.draw(id));
        let listening = loading
            .saturating_add(self.weights_fetch.draw(id))
            .saturating_add(self.weights_load.draw(id))
            .saturating_add(self.engine_init.draw(id))
            .saturating_add(self.compile.draw(id))
            .saturating_add(self.graphs.draw(id));
        let first_probe = listening.max(loading.saturating_add(self.probe_initial_delay));
        let mut probe = self.probe.of(u64::from(id.0));
        let ready = first_probe.saturating_add(probe.duration_below(self.probe_period));
        let routable = ready.saturating_add(self.endpoints.draw(id));
        StartupPlan { scheduled, loading, listening, ready, routable }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Preset;
    use crate::units::SimDuration;

    /// Mean, median and 95th percentile of create to routable over many pods, in seconds.
    fn totals(preset: Preset) -> [f64; 3] {
        let settings = ClusterSettings::preset(preset);
        let pods = 60_000u32;
        let mut totals: Vec<f64> = (0..pods)
            .map(|pod| StartupPlan::draw(&settings, Seed(11), PodId(pod), SimTime::ZERO).routable.as_secs_f64())
            .collect();
        totals.sort_by(f64::total_cmp);
        [totals.iter().sum::<f64>() / f64::from(pods), totals[pods as usize / 2], totals[pods as usize * 95 / 100]]
    }

    #[test]
    fn presets_take_as_long_as_the_published_totals() {
        // Mean, p50, p95 of cluster.md 6.3.
        for (preset, expected) in [(Preset::WarmGpu, [62.0, 61.0, 83.0]), (Preset::CpuDemo, [65.0, 62.0, 94.0])] {
            let found = totals(preset);
            for (found, expected) in found.into_iter().zip(expected) {
                assert!((found / expected - 1.0).abs() < 0.03, "{preset:?}: found {found}, expected {expected}");
            }
        }
    }

    #[test]
    fn one_phase_does_not_shift_another() {
        let settings = ClusterSettings::preset(Preset::WarmGpu);
        let mut slower = settings.clone();
        slower.startup.image_pull = DurationDistribution::Constant(SimDuration::from_secs(100));
        let created = SimTime::from_secs(7);
        let base = StartupPlan::draw(&settings, Seed(5), PodId(3), created);
        let later = StartupPlan::draw(&slower, Seed(5), PodId(3), created);
        assert_eq!(later.scheduled, base.scheduled);
        for (later, base) in [
            (later.loading, base.loading),
            (later.listening, base.listening),
            (later.ready, base.ready),
            (later.routable, base.routable),
        ] {
            assert_eq!(later.since(base), SimDuration::from_secs(100));
        }
    }

    #[test]
    fn ready_follows_the_open_port_within_one_period_and_never_before_the_initial_delay() {
        let mut settings = ClusterSettings::preset(Preset::WarmGpu);
        for (delay, pod) in (0..500u32).flat_map(|pod| [(0, pod), (60, pod), (600, pod)]) {
            settings.startup.probe_initial_delay = SimDuration::from_secs(delay);
            let plan = StartupPlan::draw(&settings, Seed(1), PodId(pod), SimTime::ZERO);
            let first = plan.listening.max(plan.loading + settings.startup.probe_initial_delay);
            assert!(plan.ready >= first && plan.ready.since(first) < settings.startup.probe_period);
            assert!(plan.scheduled <= plan.loading && plan.loading <= plan.listening && plan.ready <= plan.routable);
        }
    }
}
