//! Runs of decode-only steps in closed form (vllm.md section 9).
//!
//! While nobody joins or leaves, step j of a run lasts `first + growth j`: every request adds one cached token per step. All
//! sums are exact integers, so it does not matter where a run is cut.

use crate::units::{SimDuration, SimTime};

/// Consecutive steps of one unchanging batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) start: SimTime,
    /// Duration of the first step, ps.
    pub(crate) first_ps: u64,
    /// By how much each step is longer than the one before, ps.
    pub(crate) growth_ps: u64,
    /// Steps planned, at least 1; may be cut while the run lasts.
    pub(crate) steps: u64,
}

impl Run {
    /// The instant at which `steps` steps have ended.
    pub(crate) fn boundary(&self, steps: u64) -> SimTime {
        self.start.saturating_add(SimDuration::from_ps(u64::try_from(self.elapsed_ps(steps)).unwrap_or(u64::MAX)))
    }

    /// Length of the first `steps` steps.
    fn elapsed_ps(&self, steps: u64) -> u128 {
        let m = u128::from(steps);
        m * u128::from(self.first_ps) + u128::from(self.growth_ps) * (m * m.saturating_sub(1) / 2)
    }

    /// Duration of step `index`, from 0.
    pub(crate) fn duration(&self, index: u64) -> SimDuration {
        SimDuration::from_ps(self.first_ps.saturating_add(self.growth_ps.saturating_mul(index)))
    }

    pub(crate) fn ends(&self) -> SimTime {
        self.boundary(self.steps)
    }

    /// How many steps have ended at `at` or before, were the run endless.
    pub(crate) fn ended_by(&self, at: SimTime) -> u64 {
        let span = at.saturating_since(self.start).as_ps();
        if self.growth_ps == 0 {
            return span / self.first_ps;
        }
        // The inverse of `elapsed_ps` in doubles, in the form without cancellation; the integers have the last word.
        let (h, g) = (span as f64, self.growth_ps as f64);
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
        if limit_ps < self.first_ps {
            0
        } else {
            (limit_ps - self.first_ps).checked_div(self.growth_ps).map_or(steps, |last| steps.min(last + 1))
        }
    }

    /// Sum of the durations of the first `steps` steps, ps.
    pub(crate) fn sum_ps(&self, steps: u64) -> u128 {
        self.elapsed_ps(steps)
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
}

impl Decodes {
    pub(crate) fn new(block_size: u32) -> Self {
        Decodes { steps_done: 0, count: 0, cached: 0, residues: vec![0; block_size as usize] }
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

    /// Requests whose blocks are full before step `ahead` from now: they need one more for it.
    fn due(&self, ahead: u64) -> u64 {
        let size = self.block_size();
        let place = (size - (self.steps_done + ahead) % size) % size;
        u64::from(self.residues[place as usize])
    }

    /// KV blocks that the next `steps` steps need.
    pub(crate) fn blocks_for(&self, steps: u64) -> u64 {
        let size = self.block_size();
        steps / size * self.count + (0..steps % size).map(|ahead| self.due(ahead)).sum::<u64>()
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
        while let Some(after) = rest.checked_sub(self.due(steps % size)) {
            rest = after;
            steps += 1;
        }
        steps.min(limit)
    }

    /// All decoding requests advance by `steps`.
    pub(crate) fn advance(&mut self, steps: u64) {
        self.steps_done += steps;
        self.cached += steps * self.count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundaries_and_their_inverse_agree() {
        for (first_ps, growth_ps) in [(1, 0), (7, 3), (6_990_000_000, 40_700), (1, 1_000_000), (5, 11)] {
            let run = Run { start: SimTime::from_ps(1_000), first_ps, growth_ps, steps: 1 };
            let mut at = 1_000u64;
            for step in 0..300u64 {
                assert_eq!(run.boundary(step), SimTime::from_ps(at), "{first_ps} {growth_ps} {step}");
                assert_eq!(run.ended_by(SimTime::from_ps(at)), step);
                assert_eq!(run.first_boundary_from(SimTime::from_ps(at)), step.max(1));
                assert_eq!(run.first_boundary_from(SimTime::from_ps(at + 1)), step + 1);
                at += run.duration(step).as_ps();
                assert_eq!(run.ended_by(SimTime::from_ps(at - 1)), step);
            }
        }
    }

    #[test]
    fn bucket_counts_of_a_run() {
        let run = Run { start: SimTime::ZERO, first_ps: 10, growth_ps: 3, steps: 5 };
        // Durations 10 13 16 19 22.
        for (limit, count) in [(9, 0), (10, 1), (12, 1), (13, 2), (21, 4), (22, 5), (1000, 5)] {
            assert_eq!(run.not_longer_than(limit, 5), count, "{limit}");
        }
        assert_eq!(run.sum_ps(5), 80);
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
