//! Cluster settings as resolved (cluster.md section 6).

use crate::units::{SimDuration, Stream, math};

/// The standard normal's 95th percentile as cluster.md section 6 rounds it.
const NORMAL_P95: f64 = 1.645;

/// A duration that varies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DurationDistribution {
    /// Always the same.
    Constant(SimDuration),
    /// Lognormal by median and 95th percentile: mu = ln median, sigma = ln(p95/median)/1.645.
    Lognormal {
        /// Half of the draws lie below.
        median: SimDuration,
        /// 95 % of the draws lie below; at least `median`.
        p95: SimDuration,
    },
    /// Uniform in [min, max).
    Uniform {
        /// The shortest.
        min: SimDuration,
        /// Longer than every draw, unless equal to `min`.
        max: SimDuration,
    },
}

impl DurationDistribution {
    /// Lognormal from seconds.
    fn lognormal(median: f64, p95: f64) -> Self {
        DurationDistribution::Lognormal {
            median: SimDuration::from_secs_f64(median),
            p95: SimDuration::from_secs_f64(p95),
        }
    }
    /// No time at all.
    pub const ZERO: DurationDistribution = DurationDistribution::Constant(SimDuration::ZERO);

    /// One draw.
    ///
    /// # Panics
    /// When `p95` lies below `median`, or `max` below `min`.
    pub fn draw(&self, stream: &mut Stream) -> SimDuration {
        self.law().draw(stream)
    }
    /// What its draws have in common.
    ///
    /// # Panics
    /// As [`DurationDistribution::draw`].
    pub(super) fn law(&self) -> DurationLaw {
        match *self {
            DurationDistribution::Constant(duration) => DurationLaw::Constant(duration),
            DurationDistribution::Lognormal { median, p95 } => {
                assert!(median <= p95, "a 95th percentile of {p95} lies below the median {median}");
                if median.is_zero() {
                    // The logarithm of zero has no use here; the limit of ever smaller medians is no time at all.
                    return DurationLaw::Constant(SimDuration::ZERO);
                }
                let (median, p95) = (median.as_secs_f64_exact(), p95.as_secs_f64_exact());
                DurationLaw::Lognormal { mu: math::ln(median), sigma: math::ln(p95 / median) / NORMAL_P95 }
            }
            DurationDistribution::Uniform { min, max } => {
                assert!(min <= max, "the range from {min} to {max} is empty");
                DurationLaw::Uniform { min, width: max - min }
            }
        }
    }
    /// The median.
    pub fn median(&self) -> SimDuration {
        match *self {
            DurationDistribution::Constant(duration) => duration,
            DurationDistribution::Lognormal { median, .. } => median,
            DurationDistribution::Uniform { min, max } => SimDuration::from_ps(min.as_ps().midpoint(max.as_ps())),
        }
    }
}

/// A [`DurationDistribution`] in the numbers that a draw needs.
#[derive(Clone, Copy, Debug)]
pub(super) enum DurationLaw {
    Constant(SimDuration),
    Lognormal { mu: f64, sigma: f64 },
    Uniform { min: SimDuration, width: SimDuration },
}

impl DurationLaw {
    pub(super) fn draw(&self, stream: &mut Stream) -> SimDuration {
        match *self {
            DurationLaw::Constant(duration) => duration,
            DurationLaw::Lognormal { mu, sigma } => SimDuration::from_secs_f64(stream.lognormal(mu, sigma)),
            DurationLaw::Uniform { min, width } => min + stream.duration_below(width),
        }
    }
}

/// Named sets of defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// A GPU node with image, weights and compile cache present: about a minute to serving.
    WarmGpu,
    /// The OPT-125M demo on CPU: about a minute, weights downloaded.
    CpuDemo,
}

/// Phases of a start (all drawn per pod).
#[derive(Clone, Debug, PartialEq)]
pub struct StartupSettings {
    /// Scheduler latency.
    pub schedule: DurationDistribution,
    /// Image pull.
    pub image_pull: DurationDistribution,
    /// Sandbox and container start.
    pub sandbox: DurationDistribution,
    /// Weights to disk.
    pub weights_fetch: DurationDistribution,
    /// Weights to GPU.
    pub weights_load: DurationDistribution,
    /// Imports and engine init.
    pub engine_init: DurationDistribution,
    /// torch.compile.
    pub compile: DurationDistribution,
    /// Profiling and CUDA graphs.
    pub graphs: DurationDistribution,
    /// `periodSeconds` of the probe that decides readiness; the wait is uniform in [0, period) (cluster.md 2.6).
    pub probe_period: SimDuration,
    /// `initialDelaySeconds` of that probe.
    pub probe_initial_delay: SimDuration,
    /// Ready to routable.
    pub endpoints: DurationDistribution,
}

/// What the engine does with SIGTERM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TerminationMode {
    /// Requests inside are cut.
    Abort,
    /// Requests inside go on until done or until this long after SIGTERM, then are cut; new ones are refused.
    Drain(SimDuration),
}

/// Phases of a stop.
#[derive(Clone, Debug, PartialEq)]
pub struct TerminationSettings {
    /// `terminationGracePeriodSeconds`.
    pub grace: SimDuration,
    /// preStop sleep.
    pub pre_stop: SimDuration,
    /// Delete to kubelet action.
    pub kubelet_latency: DurationDistribution,
    /// Process end to object gone.
    pub cleanup: DurationDistribution,
    /// What the engine does with SIGTERM.
    pub mode: TerminationMode,
}

/// The cluster as resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterSettings {
    /// Spec written to pods created.
    pub create_latency: DurationDistribution,
    /// Pods created or deleted to `status.replicas` updated.
    pub status_latency: DurationDistribution,
    /// Starts.
    pub startup: StartupSettings,
    /// Stops.
    pub termination: TerminationSettings,
    /// Pods per node (GPUs per node / GPUs per pod), at least 1; nodes are unlimited.
    pub pods_per_node: u32,
}

impl ClusterSettings {
    /// The defaults of `preset` (cluster.md 6.1 and 6.3).
    pub fn preset(preset: Preset) -> Self {
        ClusterSettings {
            create_latency: DurationDistribution::lognormal(0.1, 0.3),
            status_latency: DurationDistribution::lognormal(0.15, 0.5),
            startup: StartupSettings::preset(preset),
            termination: TerminationSettings {
                grace: SimDuration::from_secs(30),
                pre_stop: SimDuration::ZERO,
                kubelet_latency: DurationDistribution::lognormal(0.1, 0.5),
                cleanup: DurationDistribution::lognormal(1.0, 3.0),
                // What plain `vllm serve` does (cluster.md 3.2).
                mode: TerminationMode::Abort,
            },
            pods_per_node: 1,
        }
    }
}

impl StartupSettings {
    /// The phases of `preset`: a model of 16 GB on one GPU with everything cached, or OPT-125M on CPU downloaded at
    /// each start (cluster.md 6.3). The readiness probe is KServe's default, a TCP probe every 10 s.
    fn preset(preset: Preset) -> Self {
        let lognormal = DurationDistribution::lognormal;
        let zero = DurationDistribution::ZERO;
        let (weights_fetch, weights_load, engine_init, compile, graphs) = match preset {
            Preset::WarmGpu => {
                (zero, lognormal(5.0, 12.0), lognormal(20.0, 35.0), lognormal(10.0, 18.0), lognormal(15.0, 30.0))
            }
            Preset::CpuDemo => (lognormal(6.0, 20.0), zero, lognormal(35.0, 60.0), lognormal(10.0, 25.0), zero),
        };
        StartupSettings {
            schedule: lognormal(0.1, 0.5),
            image_pull: zero,
            sandbox: lognormal(2.0, 5.0),
            weights_fetch,
            weights_load,
            engine_init,
            compile,
            graphs,
            probe_period: SimDuration::from_secs(10),
            probe_initial_delay: SimDuration::ZERO,
            endpoints: lognormal(0.3, 1.5),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Seed;

    #[test]
    fn a_lognormal_has_the_median_and_95th_percentile_it_was_given() {
        let distribution = DurationDistribution::lognormal(5.0, 12.0);
        let mut stream = Seed(3).stream("test", 0);
        let mut draws: Vec<f64> = (0..40_000).map(|_| distribution.draw(&mut stream).as_secs_f64()).collect();
        draws.sort_by(f64::total_cmp);
        assert!((draws[20_000] / 5.0 - 1.0).abs() < 0.02, "median {}", draws[20_000]);
        assert!((draws[38_000] / 12.0 - 1.0).abs() < 0.03, "p95 {}", draws[38_000]);
    }

    #[test]
    fn a_uniform_stays_in_its_range_and_fills_it() {
        let distribution =
            DurationDistribution::Uniform { min: SimDuration::from_secs(2), max: SimDuration::from_secs(4) };
        let mut stream = Seed(3).stream("test", 0);
        let draws: Vec<f64> = (0..10_000).map(|_| distribution.draw(&mut stream).as_secs_f64()).collect();
        assert!(draws.iter().all(|draw| (2.0..4.0).contains(draw)));
        assert!((draws.iter().sum::<f64>() / 10_000.0 - 3.0).abs() < 0.02);
        assert_eq!(distribution.median(), SimDuration::from_secs(3));
    }

    #[test]
    fn no_time_is_no_time() {
        let mut stream = Seed(3).stream("test", 0);
        assert_eq!(DurationDistribution::lognormal(0.0, 0.0).draw(&mut stream), SimDuration::ZERO);
        assert_eq!(DurationDistribution::ZERO.draw(&mut stream), SimDuration::ZERO);
    }
}
