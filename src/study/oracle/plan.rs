//! A schedule as writes to `spec.replicas`, and the world that carries them out.

use crate::scenario::ResolvedRun;
use crate::study::oracle::capacity::fixed_world;
use crate::study::oracle::{Demand, Schedule, cheapest_schedule};
use crate::units::{SimDuration, SimTime};

/// What stands beside a need to make a schedule of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Length of a window.
    pub window: SimDuration,
    /// How long before it must serve a replica is started.
    pub lead: SimDuration,
    /// Replicas that serve when the run begins.
    pub initial: u32,
}

/// Writes to `spec.replicas`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Replicas that serve when the run begins.
    pub initial: i32,
    /// What `spec.replicas` becomes when, in order of time.
    pub writes: Vec<(SimTime, i32)>,
}

impl Timing {
    /// Start-up in windows, rounded up.
    fn startup(&self) -> usize {
        usize::try_from(self.lead.as_ps().div_ceil(self.window.as_ps())).expect("a run has fewer windows")
    }

    /// Windows from the start in which `need` is above the initial replicas and no start can be over.
    pub fn unavoidable(&self, need: &[u32]) -> usize {
        self.demand(need, self.initial).unavoidable().len()
    }

    /// The cheapest schedule. What is needed before a start can be over is there when the run begins, as it is of a fixed
    /// fleet.
    pub fn schedule(&self, need: &[u32]) -> Schedule {
        let early = need.iter().take(self.startup()).copied().max().unwrap_or(0);
        let initial = self.initial.max(early);
        cheapest_schedule(&self.demand(need, initial))
    }

    fn demand(&self, need: &[u32], initial: u32) -> Demand {
        Demand { need: need.to_vec(), startup: self.startup(), initial }
    }

    /// The schedule's writes before `end`: each start `lead` before it must serve, not a whole number of windows.
    pub fn plan(&self, schedule: &Schedule, end: SimDuration) -> Plan {
        let at = |slot: usize| SimTime::from_ps(self.window.as_ps() * slot as u64);
        let mut changes: Vec<(SimTime, i32)> = Vec::new();
        let mut initial = 0;
        for run in &schedule.runs {
            if run.is_start {
                let from = at(run.serves_from).as_ps().saturating_sub(self.lead.as_ps());
                changes.push((SimTime::from_ps(from), 1));
            } else {
                initial += 1;
            }
            changes.push((at(run.until), -1));
        }
        changes.sort_unstable();
        let mut writes: Vec<(SimTime, i32)> = Vec::new();
        let mut count = initial;
        for (when, change) in changes {
            count += change;
            match writes.last_mut() {
                Some(last) if last.0 == when => last.1 = count,
                _ => writes.push((when, count)),
            }
        }
        let mut before = initial;
        writes.retain(|(at, count)| std::mem::replace(&mut before, *count) != *count && *at < SimTime::ZERO + end);
        Plan { initial, writes }
    }
}

impl Plan {
    /// `run`'s world until `end` with this schedule in the autoscaler's place.
    pub fn world(&self, run: &ResolvedRun, end: SimDuration) -> ResolvedRun {
        ResolvedRun { schedule: self.writes.clone(), ..fixed_world(run, self.initial, Some(end)) }
    }

    /// The counts as steps over time.
    pub fn steps(&self) -> Vec<(SimTime, i32)> {
        let mut steps = vec![(SimTime::ZERO, self.initial)];
        for (at, count) in &self.writes {
            if *at == SimTime::ZERO {
                steps[0].1 = *count;
            } else {
                steps.push((*at, *count));
            }
        }
        steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timing(lead: u64, initial: u32) -> Timing {
        Timing { window: SimDuration::from_secs(60), lead: SimDuration::from_secs(lead), initial }
    }

    fn plan(timing: &Timing, need: &[u32]) -> (i32, Vec<(u64, i32)>) {
        let end = SimDuration::from_secs(60 * need.len() as u64);
        let plan = timing.plan(&timing.schedule(need), end);
        (plan.initial, plan.writes.iter().map(|(at, count)| (at.as_ps() / 1_000_000_000_000, *count)).collect())
    }

    #[test]
    fn a_start_comes_its_lead_before_it_serves() {
        let found = plan(&timing(70, 1), &[1, 1, 1, 1, 2, 2, 1, 1, 1]);
        assert_eq!(found, (1, vec![(170, 2), (360, 1)]));
    }

    #[test]
    fn a_gap_shorter_than_a_start_is_held() {
        let found = plan(&timing(70, 1), &[1, 1, 1, 2, 1, 1, 2, 1]);
        assert_eq!(found, (1, vec![(110, 2), (420, 1)]));
        let found = plan(&timing(50, 1), &[1, 1, 1, 2, 1, 1, 2, 1]);
        assert_eq!(found, (1, vec![(130, 2), (240, 1), (310, 2), (420, 1)]));
    }

    #[test]
    fn what_no_start_can_serve_is_there_from_the_beginning() {
        let timing = timing(70, 1);
        assert_eq!(timing.unavoidable(&[3, 2, 3]), 2);
        assert_eq!(plan(&timing, &[3, 3, 1, 1, 1]), (3, vec![(120, 1)]));
    }
}
