//! When a target is scraped and when its disappearance becomes visible (promql.md section 1).

use crate::units::{Seed, SimDuration, SimTime};

/// How one set of targets is scraped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScrapeSettings {
    /// `interval`.
    pub interval: SimDuration,
    /// `scrapeTimeout`, never above the interval.
    pub timeout: SimDuration,
    /// Upper bound of the uniform delay from a pod's IP (or its removal) to the scrape loop's start (or stop), default 5 s + 5 s.
    pub discovery_delay_max: SimDuration,
    /// Time from a scrape's start to its samples being visible.
    pub response_time: SimDuration,
}

/// The target's phase, uniform in [0, interval), fixed for its life and a function of (seed, target) alone.
pub fn scrape_phase(seed: Seed, target: &str, interval: SimDuration) -> SimDuration {
    // A stream of its own per target: neither other targets nor the order of their arrival shift it.
    seed.stream(&format!("scrape-phase/{target}"), 0).duration_below(interval)
}

/// The first instant at or after `from` at which a target of this phase is scraped.
pub fn next_scrape(from: SimTime, phase: SimDuration, interval: SimDuration) -> SimTime {
    assert!(!interval.is_zero(), "a scrape interval is longer than zero");
    let (from, interval) = (from.as_ps(), interval.as_ps());
    let phase = phase.as_ps() % interval;
    let since_grid = (from % interval + interval - phase) % interval;
    if since_grid == 0 {
        SimTime::from_ps(from)
    } else {
        SimTime::from_ps(from).saturating_add(SimDuration::from_ps(interval - since_grid))
    }
}

/// For a target whose last scrape was at `last`: (time stamp of its staleness markers, when they become visible)
/// = (last + interval, last + 2.1 intervals).
pub fn marker_times(last: SimTime, interval: SimDuration) -> (SimTime, SimTime) {
    // `endOfRunStaleness` waits for two more ticks and a tenth of the interval.
    let late = SimDuration::from_ps(interval.as_ps() / 10);
    (last.saturating_add(interval), last.saturating_add(interval).saturating_add(interval).saturating_add(late))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: SimDuration = SimDuration::from_secs(15);

    #[test]
    fn a_phase_is_fixed_per_target_and_spread_over_the_interval() {
        let phase = |pod: u32| scrape_phase(Seed(7), &format!("pod-{pod}:8000"), INTERVAL);
        assert_eq!(phase(3), phase(3));
        assert_ne!(scrape_phase(Seed(8), "pod-3:8000", INTERVAL), phase(3));
        let mut quarters = [0; 4];
        for pod in 0..400 {
            assert!(phase(pod) < INTERVAL);
            quarters[(phase(pod).as_ps() * 4 / INTERVAL.as_ps()) as usize] += 1;
        }
        assert!(quarters.iter().all(|count| (70..=130).contains(count)), "{quarters:?}");
    }

    #[test]
    fn scrapes_happen_on_the_phase_grid() {
        let phase = SimDuration::from_millis(4_250);
        for (from_ms, next_ms) in [(0, 4_250), (4_250, 4_250), (4_251, 19_250), (30_000, 34_250), (34_250, 34_250)] {
            let next = next_scrape(SimTime::from_millis(from_ms), phase, INTERVAL);
            assert_eq!(next, SimTime::from_millis(next_ms), "from {from_ms} ms");
        }
    }

    #[test]
    fn the_last_markers_come_late() {
        let (stamp, visible) = marker_times(SimTime::from_secs(100), INTERVAL);
        assert_eq!((stamp, visible), (SimTime::from_secs(115), SimTime::from_millis(131_500)));
    }
}
