//! How long a pod's start takes: all phases drawn once, at creation, from streams keyed by the pod's number.

use crate::cluster::{ClusterSettings, DurationDistribution, PodId};
use crate::units::{Seed, SimDuration, SimTime};

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
    /// Draws the plan of pod `id` created at `created`. Each phase has its own stream, so that changing one phase's
    /// settings, or another pod's fate, shifts no other draw.
    ///
    /// The pod is ready at the first probe tick after its port opens, and no tick counts before
    /// `initialDelaySeconds` have passed since the container started (kubelet `prober/worker.go: doProbe`). The tick
    /// grid is re-anchored every 60 to 90 s, which makes the wait uniform in [0, period) (cluster.md 2.6).
    pub fn draw(settings: &ClusterSettings, seed: Seed, id: PodId, created: SimTime) -> Self {
        let startup = &settings.startup;
        let stream = |phase: &str| seed.stream(phase, u64::from(id.0));
        let draw = |phase: &str, distribution: &DurationDistribution| distribution.draw(&mut stream(phase));
        let scheduled = created.saturating_add(draw("startup-schedule", &startup.schedule));
        let loading = scheduled
            .saturating_add(draw("startup-image-pull", &startup.image_pull))
            .saturating_add(draw("startup-sandbox", &startup.sandbox));
        let listening = loading
            .saturating_add(draw("startup-weights-fetch", &startup.weights_fetch))
            .saturating_add(draw("startup-weights-load", &startup.weights_load))
            .saturating_add(draw("startup-engine-init", &startup.engine_init))
            .saturating_add(draw("startup-compile", &startup.compile))
            .saturating_add(draw("startup-graphs", &startup.graphs));
        let first_probe = listening.max(loading.saturating_add(startup.probe_initial_delay));
        let ready = first_probe.saturating_add(stream("startup-probe").duration_below(startup.probe_period));
        let routable = ready.saturating_add(draw("startup-endpoints", &startup.endpoints));
        StartupPlan { scheduled, loading, listening, ready, routable }
    }
    /// Median time from created to routable, from 1,001 draws of a seed of their own: a property of the settings, the same
    /// in every run.
    pub fn median_duration(settings: &ClusterSettings) -> SimDuration {
        let draw = |id| StartupPlan::draw(settings, Seed(0), PodId(id), SimTime::ZERO).routable.since(SimTime::ZERO);
        let mut durations: Vec<SimDuration> = (0..1001).map(draw).collect();
        durations.sort_unstable();
        durations[500]
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
