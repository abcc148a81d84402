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
    /// A run of that many steps, at least 1.
    #[inline]
    pub(crate) fn new(start: SimTime, first_ps: u64, extra_ps: u64, growth_ps: u64, steps: u64) -> Run {
        let mut run = Run { start, first_ps, extra_ps, growth_ps, steps, ends: start };
        run.ends = run.boundary(steps);
        run
    }

    /// Steps planned.
    pub(crate) fn steps(&self) -> u64 {
        self.steps
    }

    /// Ends the run `more` steps (0 or 1) after the boundary after `steps` steps, if it is not shorter.
    pub(crate) fn cut(&mut self, (steps, boundary): (u64, SimTime), more: u64) {
        if steps + more < self.steps {
            self.steps = steps + more;
            self.ends = if more == 0 { boundary } else { boundary.saturating_add(self.duration(steps)) };
        }
    }

    /// The instant at which `steps` steps have ended.
    pub(crate) fn boundary(&self, steps: u64) -> SimTime {
        self.start.saturating_add(SimDuration::from_ps(self.elapsed_ps(steps)))
    }

    /// Length of the first `steps` steps, or the longest there is. Of sums and products of whole numbers, saturated ones
    /// are the exact ones cut off, and cheaper than twice the width.
    fn elapsed_ps(&self, steps: u64) -> u64 {
        if steps == 0 {
            return 0;
        }
        // More steps are never meant; the product below would not be exact.
        if steps > u64::from(u32::MAX) {
            return u64::try_from(self.exact_elapsed_ps(steps)).unwrap_or(u64::MAX);
        }
        let pairs = steps * (steps - 1) / 2;
        let level = self.extra_ps.saturating_add(steps.saturating_mul(self.first_ps));
        level.saturating_add(self.growth_ps.saturating_mul(pairs))
    }

    #[cold]
    fn exact_elapsed_ps(&self, steps: u64) -> u128 {
        if steps == 0 {
            return 0;
        }
        let m = u128::from(steps);
        u128::from(self.extra_ps) + m * u128::from(self.first_ps) + u128::from(self.growth_ps) * (m * (m - 1) / 2)
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
        self.ended_within(at.saturating_since(self.start).as_ps()).0
    }

    /// How many steps end within `span_ps`, were the run endless, and how long they take.
    fn ended_within(&self, span_ps: u64) -> (u64, u64) {
        let Some(regular) = span_ps.checked_sub(self.extra_ps) else { return (0, 0) };
        let mut steps = if self.growth_ps == 0 {
            regular / self.first_ps
        } else {
            // The inverse of `elapsed_ps` in doubles, in the form without cancellation; the integers have the last word.
            let (h, g) = (rough(regular), rough(self.growth_ps));
            let b = rough(self.first_ps) - g / 2.0;
            (2.0 * h / (b + (b * b + 2.0 * g * h).sqrt())) as i64 as u64
        };
        let mut elapsed = self.elapsed_ps(steps);
        while elapsed > span_ps {
            steps -= 1;
            elapsed = self.elapsed_ps(steps);
        }
        while let Some(next) = elapsed.checked_add(self.duration(steps).as_ps())
            && next <= span_ps
        {
            steps += 1;
            elapsed = next;
        }
        (steps, elapsed)
    }

    /// The first boundary at `at` or later, not counting the start: after how many steps, and when.
    pub(crate) fn first_boundary_from(&self, at: SimTime) -> (u64, SimTime) {
        let span_ps = at.saturating_since(self.start).as_ps().saturating_sub(1);
        let (before, elapsed_ps) = self.ended_within(span_ps);
        let elapsed = SimDuration::from_ps(elapsed_ps.saturating_add(self.duration(before).as_ps()));
        (before + 1, self.start.saturating_add(elapsed))
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
        self.exact_elapsed_ps(steps)
    }
}

/// A number below 2^63 as a double, which takes one instruction where one of 64 bits takes many.
#[inline]
fn rough(ps: u64) -> f64 {
    ps.min(i64::MAX as u64) as i64 as f64
}

/// When a decoding request stops: the step, then the slot, in one number that compares at once. The earliest is the greatest,
/// because it is at the top of a heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finish(u128);

impl Finish {
    pub(crate) fn new(step: u64, slot: Slot) -> Finish {
        Finish(!(u128::from(step) << u64::BITS | u128::from(slot)))
    }

    pub(crate) fn step(self) -> u64 {
        (!self.0 >> u64::BITS) as u64
    }

    pub(crate) fn slot(self) -> Slot {
        !self.0 as Slot
    }
}

/// Tokens per KV block. vLLM's sizes are powers of two, where a shift takes the place of a division.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockSize {
    size: u32,
    shift: Option<u32>,
}

impl BlockSize {
    pub(crate) fn new(size: u32) -> Self {
        BlockSize { size, shift: size.is_power_of_two().then(|| size.trailing_zeros()) }
    }

    /// Full blocks of so many tokens, and the tokens beyond them.
    #[inline]
    pub(crate) fn split(self, tokens: u64) -> (u64, u32) {
        match self.shift {
            Some(shift) => (tokens >> shift, tokens as u32 & (self.size - 1)),
            None => (tokens / u64::from(self.size), (tokens % u64::from(self.size)) as u32),
        }
    }

    /// Tokens beyond the full blocks of so many.
    #[inline]
    pub(crate) fn partial(self, tokens: u32) -> u32 {
        match self.shift {
            Some(_) => tokens & (self.size - 1),
            None => tokens % self.size,
        }
    }

    /// Full blocks of so many tokens.
    #[inline]
    pub(crate) fn full(self, tokens: u32) -> u32 {
        match self.shift {
            Some(shift) => tokens >> shift,
            None => tokens / self.size,
        }
    }

    /// Blocks that so many tokens need.
    #[inline]
    pub(crate) fn for_tokens(self, tokens: u32) -> u32 {
        let full = self.full(tokens);
        full + u32::from(full * self.size < tokens)
    }
}

/// Remainders whose sums change together: all, with vLLM's usual block size.
const GROUP: usize = 16;

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
    pub(crate) block: BlockSize,
    /// How many have an origin whose remainder modulo the block size is at most the index: sums, so that the steps of a run
    /// need no loop over the remainders whose turn comes.
    up_to: Vec<[u32; GROUP]>,
    /// The remainder of those whose blocks are full now; one less with each step, round and round.
    full: u32,
    /// How many they are: asked for more often than it changes.
    due: u32,
}

impl Decodes {
    pub(crate) fn new(block_size: u32) -> Self {
        let up_to = vec![[0; GROUP]; (block_size as usize).div_ceil(GROUP)];
        Decodes { steps_done: 0, count: 0, cached: 0, block: BlockSize::new(block_size), up_to, full: 0, due: 0 }
    }

    /// A request with `computed` cached tokens joins; returns its origin.
    pub(crate) fn join(&mut self, computed: u32) -> i64 {
        let remainder = self.remainder(computed);
        self.count_from(remainder, 1);
        self.due += u32::from(remainder == self.full);
        self.count += 1;
        self.cached += u64::from(computed);
        i64::from(computed) - self.steps_done as i64
    }

    /// A request with `computed` cached tokens leaves.
    pub(crate) fn leave(&mut self, computed: u32) {
        let remainder = self.remainder(computed);
        self.count_from(remainder, 1u32.wrapping_neg());
        self.due -= u32::from(remainder == self.full);
        self.count -= 1;
        self.cached -= u64::from(computed);
    }

    /// Adds to the sums from this remainder on, to all in the same number of steps: wide, and no end of a loop to guess.
    #[inline]
    fn count_from(&mut self, remainder: u32, more: u32) {
        for (group, sums) in (0i32..).zip(&mut self.up_to) {
            let from = remainder as i32 - group * GROUP as i32;
            for (index, sum) in (0i32..).zip(sums) {
                *sum = sum.wrapping_add(if index >= from { more } else { 0 });
            }
        }
    }

    /// Cached tokens of the request with this origin.
    pub(crate) fn computed(&self, origin: i64) -> u32 {
        u32::try_from(origin + self.steps_done as i64).expect("a request is at most as long as the model allows")
    }

    /// Of the origin of a request with `computed` cached tokens.
    fn remainder(&self, computed: u32) -> u32 {
        let remainder = self.full + self.block.partial(computed);
        if remainder < self.block.size { remainder } else { remainder - self.block.size }
    }

    /// Requests whose blocks are full before the next step: they need one more for it.
    #[inline]
    pub(crate) fn due(&self) -> u64 {
        u64::from(self.due)
    }

    /// Blocks that the next `steps` steps need, at most as many as a block has tokens; and whose are full then.
    #[inline]
    fn due_within(&self, steps: u32) -> (u64, u32) {
        // The remainders whose turn comes are `full` and those below it, then the highest.
        let wraps = u32::from(steps > self.full);
        let next = self.full + self.block.size * wraps - steps;
        (self.sum(self.full) + self.count * u64::from(wraps) - self.sum(next), next)
    }

    #[inline]
    fn sum(&self, remainder: u32) -> u64 {
        u64::from(self.up_to.as_flattened()[remainder as usize])
    }

    /// KV blocks that the next `steps` steps need.
    #[inline]
    pub(crate) fn blocks_for(&self, steps: u64) -> u64 {
        let (periods, rest) = self.block.split(steps);
        periods * self.count + self.due_within(rest).0
    }

    /// The most steps that `free` blocks allow, at most `limit`.
    #[inline]
    pub(crate) fn steps_within(&self, free: u64, limit: u64) -> u64 {
        // As a rule there are plenty: without rounding this asks for more than is needed.
        let (periods, _) = self.block.split(limit);
        if (periods + 1).saturating_mul(self.count) <= free { limit } else { self.scarce_steps(free, limit) }
    }

    #[inline(never)]
    fn scarce_steps(&self, free: u64, limit: u64) -> u64 {
        let (periods, rest) = (free / self.count, free % self.count);
        // Ends within one period, which needs `count` blocks.
        let mut within = 0;
        while self.due_within(within + 1).0 <= rest {
            within += 1;
        }
        (periods * u64::from(self.block.size) + u64::from(within)).min(limit)
    }

    /// All decoding requests advance by `steps`; the blocks that they take for it.
    #[inline]
    pub(crate) fn advance(&mut self, steps: u64) -> u64 {
        let (periods, rest) = self.block.split(steps);
        let (due, full) = self.due_within(rest);
        let blocks = periods * self.count + due;
        self.steps_done += steps;
        self.cached += steps * self.count;
        let below = if full > 0 { self.sum(full - 1) } else { 0 };
        (self.full, self.due) = (full, (self.sum(full) - below) as u32);
        blocks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundaries_and_their_inverse_agree() {
        for (first_ps, growth_ps) in [(1, 0), (7, 3), (6_990_000_000, 40_700), (1, 1_000_000), (5, 11)] {
            for extra_ps in [0, 1, 6, 1_000] {
                let run = Run::new(SimTime::from_ps(1_000), first_ps, extra_ps, growth_ps, 1_000);
                let mut at = 1_000u64;
                for step in 0..300u64 {
                    assert_eq!(run.boundary(step), SimTime::from_ps(at), "{first_ps} {extra_ps} {growth_ps} {step}");
                    assert_eq!(run.ended_by(SimTime::from_ps(at)), step);
                    assert_eq!(run.first_boundary_from(SimTime::from_ps(at)).0, step.max(1));
                    assert_eq!(run.first_boundary_from(SimTime::from_ps(at + 1)), (step + 1, run.boundary(step + 1)));
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
        let run = Run::new(SimTime::ZERO, 10, 0, 3, 1);
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
        // Powers of two and others, of one group and of several.
        for size in [1u32, 3, 4, 16, 20, 48, 64] {
            let mut decodes = Decodes::new(size);
            decodes.advance(7);
            let mut lengths = vec![1u64, 2, 4, 4, 9, 15, 16, 40, 63, 100];
            for length in lengths.iter().chain(&[5, 48]) {
                decodes.join(*length as u32);
            }
            decodes.leave(48);
            decodes.leave(5);
            let (mut needed, mut taken) = (0, 0);
            for steps in 1..150 {
                needed += lengths.iter().filter(|length| **length % u64::from(size) == 0).count() as u64;
                lengths.iter_mut().for_each(|length| *length += 1);
                assert_eq!(decodes.blocks_for(steps), needed, "{size} {steps}");
                // Exactly enough blocks allow the steps, one block fewer does not.
                assert!(decodes.steps_within(needed, 200) >= steps);
                if needed > decodes.blocks_for(steps - 1) {
                    assert_eq!(decodes.steps_within(needed - 1, 200), steps - 1);
                }
            }
            for steps in [1, 2, 15, 16, 17, 48, 50] {
                taken += decodes.advance(steps);
            }
            assert_eq!((taken, decodes.steps_done, decodes.count), (needed, 156, 10), "{size}");
            let due = lengths.iter().filter(|length| **length % u64::from(size) == 0).count() as u64;
            assert_eq!((decodes.due(), decodes.cached), (due, lengths.iter().sum()), "{size}");
        }
    }
}
