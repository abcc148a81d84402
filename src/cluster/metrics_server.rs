//! What metrics-server knows of the pods' use of cpu and memory.
//!
//! Source: kubernetes-sigs/metrics-server v0.7 `pkg/storage/pod.go` (`Store`, `GetMetrics`) and `pkg/storage/types.go`
//! (`resourceUsage`): the last two points of every container are kept, cpu is the difference of its counter over the time
//! between them, memory is the last point's. Must not know what uses the cpu: the caller hands over counters.
//!
//! Left out: the kubelet's own sampling (a point carries the time of the scrape), and scrapes that fail.

use crate::units::{SimDuration, SimTime};

/// `--metric-resolution` of the released manifests: the time between two scrapes.
pub const METRIC_RESOLUTION: SimDuration = SimDuration::from_secs(15);

/// The shortest life of a fresh container whose first point counts alone (`freshContainerMinMetricsResolution`).
const FRESH_CONTAINER_MINIMUM: SimDuration = SimDuration::from_secs(10);

/// Milli cores times picoseconds.
type CpuTime = i128;

/// One scraped point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Point {
    /// Picoseconds since the run's start; before it for pods that were there already.
    at_ps: i128,
    cpu: CpuTime,
    memory_milli: i64,
}

/// The points of one pod's container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PodUsage {
    /// When the container started; `None` before the run's start.
    started: Option<SimTime>,
    last: Option<Point>,
    previous: Option<Point>,
}

/// What the metrics API answers for one pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageSample {
    /// cpu, milli cores, rounded up as a quantity is.
    pub cpu_milli: i64,
    /// memory, milli bytes.
    pub memory_milli: i64,
    /// `timestamp`, whole seconds.
    pub time: SimTime,
    /// `window`.
    pub window: SimDuration,
}

impl PodUsage {
    /// Of a container that starts at `at`.
    pub fn started(at: SimTime) -> Self {
        PodUsage { started: Some(at), last: None, previous: None }
    }

    /// Of a container that has been idle, using `cpu_milli` and `memory_milli`, since long before the run; `phase` is when
    /// the run's first scrape comes.
    pub fn idle_before(phase: SimDuration, cpu_milli: i64, memory_milli: i64) -> Self {
        let point = |scrapes: i128| {
            let at_ps = i128::from(phase.as_ps()) - scrapes * i128::from(METRIC_RESOLUTION.as_ps());
            Point { at_ps, cpu: at_ps * i128::from(cpu_milli), memory_milli }
        };
        PodUsage { started: None, last: Some(point(1)), previous: Some(point(2)) }
    }

    /// A scrape at `now` that finds the cpu counter (milli cores times picoseconds since the container's start, or since the
    /// run's start for one that was there before) and the memory in use.
    pub fn scrape(&mut self, now: SimTime, cpu: i128, memory_milli: i64) {
        let point = Point { at_ps: i128::from(now.as_ps()), cpu, memory_milli };
        let age = self.started.map(|started| now.saturating_since(started));
        match (self.started, age) {
            (Some(started), Some(age)) if age < METRIC_RESOLUTION && age >= FRESH_CONTAINER_MINIMUM => {
                // A fresh container's counter was 0 at its start.
                self.previous = Some(Point { at_ps: i128::from(started.as_ps()), cpu: 0, memory_milli });
            }
            _ => self.previous = self.last,
        }
        self.last = Some(point);
    }

    /// What the metrics API answers now; nothing before two points are known.
    pub fn sample(&self) -> Option<UsageSample> {
        let (last, previous) = (self.last?, self.previous?);
        let window_ps = last.at_ps - previous.at_ps;
        let used = (last.cpu - previous.cpu).max(0);
        // Upstream keeps nano cores; the HPA rounds them up to milli cores.
        let nanos = used * 1_000_000 / window_ps.max(1);
        let cpu_milli = i64::try_from((nanos + 999_999) / 1_000_000).unwrap_or(i64::MAX);
        let at = SimTime::from_ps(u64::try_from(last.at_ps).unwrap_or(0));
        Some(UsageSample {
            cpu_milli,
            memory_milli: last.memory_milli,
            time: at.floor_to_second(),
            window: SimDuration::from_ps(u64::try_from(window_ps).unwrap_or(0)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(ms: u64) -> SimTime {
        SimTime::from_millis(ms)
    }

    /// A counter that has run at `cores` for `ms`.
    fn counter(cores: i128, ms: i128) -> i128 {
        cores * 1000 * ms * 1_000_000_000
    }

    #[test]
    fn a_container_has_a_sample_after_two_scrapes() {
        // Started at 1 s, scraped at 3 s: too fresh. At 18 s: the rate between the two.
        let mut usage = PodUsage::started(millis(1_000));
        usage.scrape(millis(3_000), counter(2, 2_000), 5_000);
        assert_eq!(usage.sample(), None);
        usage.scrape(millis(18_000), counter(2, 2_000) + counter(4, 7_500), 6_000);
        let expected = UsageSample {
            cpu_milli: 2_000,
            memory_milli: 6_000,
            time: millis(18_000),
            window: SimDuration::from_secs(15),
        };
        assert_eq!(usage.sample(), Some(expected), "4 cores for half of the window");
    }

    #[test]
    fn a_first_point_counts_alone_from_ten_to_fifteen_seconds_after_the_start() {
        // age at the first scrape, whether there is a sample.
        for (age, counts) in [(9_999, false), (10_000, true), (14_999, true), (15_000, false)] {
            let mut usage = PodUsage::started(millis(1_000));
            usage.scrape(millis(1_000 + age), counter(3, i128::from(age)), 1);
            let window = usage.sample().map(|sample| (sample.cpu_milli, sample.window));
            assert_eq!(window, counts.then_some((3_000, SimDuration::from_millis(age))), "{age} ms");
        }
    }

    #[test]
    fn a_pod_from_before_the_run_is_known_idle() {
        let phase = SimDuration::from_millis(4_300);
        let mut usage = PodUsage::idle_before(phase, 50, 7_000);
        let sample = usage.sample().expect("scraped before");
        assert_eq!((sample.cpu_milli, sample.memory_milli, sample.window), (50, 7_000, SimDuration::from_secs(15)));
        // Idle until the run's start, two cores from then on: the window holds 10.7 s of the one, 4.3 s of the other.
        usage.scrape(millis(4_300), counter(2, 4_300), 7_000);
        let mean = (50.0 * 10.7 + 2_000.0 * 4.3) / 15.0;
        assert_eq!(usage.sample().map(|sample| sample.cpu_milli), Some(f64::ceil(mean) as i64));
    }

    #[test]
    fn times_are_whole_seconds_and_fractions_of_a_milli_core_round_up() {
        let mut usage = PodUsage::started(SimTime::ZERO);
        usage.scrape(millis(20_400), 0, 0);
        usage.scrape(millis(35_400), counter(1, 1), 0);
        let sample = usage.sample().expect("two points");
        assert_eq!((sample.cpu_milli, sample.time), (1, millis(35_000)), "1 ms of a core in 15 s is 0.067 m");
    }
}
