//! Runs of decode-only steps in closed form (vllm.md section 9).
//!
//! While nobody joins or leaves, step j of a run lasts `first + growth j`: every request adds one cached token per step. With
//! async scheduling the first step may take longer, for slots that are wasted in it. All sums are exact integers, so it does
//! not matter where a run is cut.

use crate::replica::request::Slot;
use crate::units::{SimDuration, SimTime};

/// Consecutive steps of one unchanging batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) start: SimTime,
    /// Duration of the first step without `extra_ps`, ps.
    pub(crate) first_ps: u64,
    /// By how much the first step is longer because of requests that are gone, ps.
    pub(crate) extra_ps: u64,
    /// By how much each step is longer than the one before, ps.
    pub(crate) growth_ps: u64,
    /// Steps planned, at least 1; may be cut while the run lasts.
    steps: u64,
    /// The end of the last one: asked for more often than it changes.
    ends: SimTime,
}

impl Run {
    /// A run of one step.
    pub(crate) fn of_one(start: SimTime, first_ps: u64, extra_ps: u64, growth_ps: u64) -> Run {
        let ends = start.saturating_add(SimDuration::from_ps(first_ps.saturating_add(extra_ps)));
        Run { start, first_ps, extra_ps, growth_ps, steps: 1, ends }
    }

    /// Steps planned.
    pub(crate) fn steps(&self) -> u64 {
        self.steps
    }

    pub(crate) fn set_steps(&mut self, steps: u64) {
        if steps != self.steps {
            self.steps = steps;
            self.ends = self.boundary(steps);
        }
    }

    /// Ends the run after this many steps, if it is not shorter.
    pub(crate) fn cut(&mut self, steps: u64) {
        self.set_steps(self.steps.min(steps));
    }

    /// The instant at which `steps` steps have ended.
    pub(crate) fn boundary(&self, steps: u64) -> SimTime {
        self.start.saturating_add(SimDuration::from_ps(u64::try_from(self.elapsed_ps(steps)).unwrap_or(u64::MAX)))
    }

    /// Length of the first `steps` steps.
    fn elapsed_ps(&self, steps: u64) -> u128 {
        if steps == 0 {
            return 0;
        }
        let m = u128::from(steps);
        // A product of two 64-bit numbers is one multiplication; this many steps are always meant.
        let pairs = if steps <= u64::from(u32::MAX) { u128::from(steps * (steps - 1) / 2) } else { m * (m - 1) / 2 };
        u128::from(self.extra_ps) + m * u128::from(self.first_ps) + u128::from(self.growth_ps) * pairs
    }

    /// Duration of step `index`, from 0.
    pub(crate) fn duration(&self, index: u64) -> SimDuration {
        let extra_ps = if index == 0 { self.extra_ps } else { 0 };
        let regular_ps = self.first_ps.saturating_add(self.growth_ps.saturating_mul(index));
        SimDuration::from_ps(regular_ps.saturating_add(extra_ps))
    }

    /// The same run without its first `steps` steps, at least 1 and fewer than all.
    pub(crate) fn after(&self, steps: u64) -> Run {
        let first_ps = self.duration(steps).as_ps();
        Run { start: self.boundary(steps), first_ps, extra_ps: 0, steps: self.steps - steps, ..*self }
    }

    pub(crate) fn ends(&self) -> SimTime {
        self.ends
    }

    /// How many steps have ended at `at` or before, were the run endless.
    pub(crate) fn ended_by(&self, at: SimTime) -> u64 {
        let span = at.saturating_since(self.start).as_ps();
        let Some(regular) = span.checked_sub(self.extra_ps) else { return 0 };
        if self.growth_ps == 0 {
            return regular / self.first_ps;
        }
        // The inverse of `elapsed_ps` in doubles, in the form without cancellation; the integers have the last word.
        let (h, g) = (regular as f64, self.growth_ps as f64);
        let b = self.first_ps as f64 - g / 2.0;
        let mut steps = (2.0 * h / (b + (b * b + 2.0 * g * h).sqrt())) as u64;
        while self.elapsed_ps(steps) > u128::from(span) {
            steps -= 1;
        }
        while self.elapsed_ps(steps + 1) <= u128::from(span) {
            steps += 1;
        }
        steps
    }

    /// The first boundary at `at` or later, not counting the start.
    pub(crate) fn first_boundary_from(&self, at: SimTime) -> u64 {
        if at <= self.start { 1 } else { self.ended_by(SimTime::from_ps(at.as_ps() - 1)) + 1 }
    }

    /// How many of the first `steps` steps last at most `limit_ps`.
    pub(crate) fn not_longer_than(&self, limit_ps: u64, steps: u64) -> u64 {
        let Some(above) = limit_ps.checked_sub(self.first_ps) else { return 0 };
        let regular = above.checked_div(self.growth_ps).map_or(steps, |last| steps.min(last + 1));
        // With its extra the first one may be longer.
        regular - u64::from(regular > 0 && above < self.extra_ps)
    }

    /// Sum of the durations of the first `steps` steps, ps.
    pub(crate) fn sum_ps(&self, steps: u64) -> u128 {
        if steps == self.steps && self.ends != SimTime::NEVER {
            return u128::from(self.ends.since(self.start).as_ps());
        }
        self.elapsed_ps(steps)
    }
}

/// When a decoding request stops: the step, then the slot, in one number that compares at once. The earliest is the greatest,
/// because it is at the top of a heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finish(u128);

impl Finish {
    pub(crate) fn new(step: u64, slot: Slot) -> Finish {
        Finish(!(u128::from(step) << Slot::BITS | u128::from(slot)))
    }

    pub(crate) fn step(self) -> u64 {
        (!self.0 >> Slot::BITS) as u64
    }

    pub(crate) fn slot(self) -> Slot {
        !self.0 as Slot
    }
}

/// The decoding requests as far as steps change them: how many, how long, and when each needs its next KV block.
///
/// A request that joins stores `origin = computed - steps_done`, so that its `computed` is `origin + steps_done` at any
/// time and nothing loops over requests.
#[derive(Clone, Debug)]
pub(crate) struct Decodes {
    /// Steps ended since the engine started.
    pub(crate) steps_done: u64,
    /// Decoding requests.
    pub(crate) count: u64,
    /// Their cached tokens together.
    pub(crate) cached: u64,
    /// How many have an origin of this remainder modulo the block size.
    residues: Vec<u32>,
    /// The remainder of those whose blocks are full now; one less with each step, round and round.
    full: usize,
}

impl Decodes {
    pub(crate) fn new(block_size: u32) -> Self {
        Decodes { steps_done: 0, count: 0, cached: 0, residues: vec![0; block_size as usize], full: 0 }
    }

    fn block_size(&self) -> u64 {
        self.residues.len() as u64
    }

    /// A request with `computed` cached tokens joins; returns its origin.
    pub(crate) fn join(&mut self, computed: u32) -> i64 {
        let origin = i64::from(computed) - self.steps_done as i64;
        let residue = self.residue(origin);
        self.residues[residue] += 1;
        self.count += 1;
        self.cached += u64::from(computed);
        origin
    }

    /// A request leaves.
    pub(crate) fn leave(&mut self, origin: i64) {
        self.cached -= u64::from(self.computed(origin));
        self.count -= 1;
        let residue = self.residue(origin);
        self.residues[residue] -= 1;
    }

    /// Cached tokens of the request with this origin.
    pub(crate) fn computed(&self, origin: i64) -> u32 {
        u32::try_from(origin + self.steps_done as i64).expect("a request is at most as long as the model allows")
    }

    fn residue(&self, origin: i64) -> usize {
        origin.rem_euclid(self.residues.len() as i64) as usize
    }

    /// Requests whose blocks are full before the next step: they need one more for it.
    #[inline]
    pub(crate) fn due(&self) -> u64 {
        u64::from(self.residues[self.full])
    }

    /// KV blocks that the next `steps` steps need.
    pub(crate) fn blocks_for(&self, steps: u64) -> u64 {
        if steps == 1 {
            return self.due();
        }
        let size = self.block_size();
        let (periods, rest) = if steps < size { (0, steps) } else { (steps / size, steps % size) };
        let sum = |counts: &[u32]| counts.iter().copied().map(u64::from).sum::<u64>();
        // The remainders whose turn comes are `full` and those below it, then the highest.
        let (rest, below) = (rest as usize, self.full + 1);
        let due = match rest.checked_sub(below) {
            None => sum(&self.residues[below - rest..below]),
            Some(highest) => sum(&self.residues[..below]) + sum(&self.residues[self.residues.len() - highest..]),
        };
        periods * self.count + due
    }

    /// The most steps that `free` blocks allow, at most `limit`.
    pub(crate) fn steps_within(&self, free: u64, limit: u64) -> u64 {
        let size = self.block_size();
        if self.count == 0 || limit.div_ceil(size).saturating_mul(self.count) <= free {
            return limit;
        }
        let periods = free / self.count;
        let (mut steps, mut rest) = (periods * size, free % self.count);
        // Ends within one period, which needs `count` blocks.
        let mut place = self.full;
        while let Some(after) = rest.checked_sub(u64::from(self.residues[place])) {
            rest = after;
            steps += 1;
            place = place.checked_sub(1).unwrap_or(self.residues.len() - 1);
        }
        steps.min(limit)
    }

    /// All decoding requests advance by `steps`.
    pub(crate) fn advance(&mut self, steps: u64) {
        self.steps_done += steps;
        self.cached += steps * self.count;
        let size = self.block_size();
        let turn = (if steps < size { steps } else { steps % size }) as usize;
        self.full = if turn <= self.full { self.full - turn } else { self.full + self.residues.len() - turn };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundaries_and_their_inverse_agree() {
        for (first_ps, growth_ps) in [(1, 0), (7, 3), (6_990_000_000, 40_700), (1, 1_000_000), (5, 11)] {
            for extra_ps in [0, 1, 6, 1_000] {
                let mut run = Run::of_one(SimTime::from_ps(1_000), first_ps, extra_ps, growth_ps);
                run.set_steps(1_000);
                let mut at = 1_000u64;
                for step in 0..300u64 {
                    assert_eq!(run.boundary(step), SimTime::from_ps(at), "{first_ps} {extra_ps} {growth_ps} {step}");
                    assert_eq!(run.ended_by(SimTime::from_ps(at)), step);
                    assert_eq!(run.first_boundary_from(SimTime::from_ps(at)), step.max(1));
                    assert_eq!(run.first_boundary_from(SimTime::from_ps(at + 1)), step + 1);
                    at += run.duration(step).as_ps();
                    assert_eq!(run.ended_by(SimTime::from_ps(at - 1)), step);
                }
                let rest = run.after(7);
                assert_eq!((rest.ends(), rest.duration(3)), (run.ends(), run.duration(10)));
            }
        }
    }

    #[test]
    fn bucket_counts_of_a_run() {
        let run = Run::of_one(SimTime::ZERO, 10, 0, 3);
        // Durations 10 13 16 19 22.
        for (limit, count) in [(9, 0), (10, 1), (12, 1), (13, 2), (21, 4), (22, 5), (1000, 5)] {
            assert_eq!(run.not_longer_than(limit, 5), count, "{limit}");
        }
        assert_eq!(run.sum_ps(5), 80);
        // Durations 15 13 16 19 22.
        let longer = Run { extra_ps: 5, ..run };
        for (limit, count) in [(10, 0), (13, 1), (14, 1), (15, 2), (16, 3), (22, 5)] {
            assert_eq!(longer.not_longer_than(limit, 5), count, "{limit}");
        }
        assert_eq!((longer.sum_ps(5), longer.sum_ps(0)), (85, 0));
    }

    #[test]
    fn blocks_of_a_run_are_those_of_its_steps() {
        let mut decodes = Decodes::new(4);
        decodes.advance(7);
        for computed in [1, 2, 4, 4, 9, 15] {
            decodes.join(computed);
        }
        let mut lengths = [1u64, 2, 4, 4, 9, 15];
        let mut needed = 0;
        for steps in 1..30 {
            needed += lengths.iter().filter(|length| **length % 4 == 0).count() as u64;
            lengths.iter_mut().for_each(|length| *length += 1);
            assert_eq!(decodes.blocks_for(steps), needed, "{steps}");
            // Exactly enough blocks allow the steps, one block fewer does not.
            assert!(decodes.steps_within(needed, 100) >= steps);
            if needed > decodes.blocks_for(steps - 1) {
                assert_eq!(decodes.steps_within(needed - 1, 100), steps - 1);
            }
        }
    }
}
