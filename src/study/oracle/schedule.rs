//! The cheapest schedule that serves a known need, start-up included (verdicts.md 5.3, step 2).
//!
//! Time is cut into slots. Layer k is the k-th replica: it must serve in every slot whose need is at least k. A start is
//! billed for the start-up before it serves; holding a layer through a gap is billed for the gap. As needs are nested, the
//! layers can be decided one by one: if a layer holds through a gap, so does every layer below it.

/// What each slot needs, and what starting costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Replicas that must serve, per slot.
    pub need: Vec<u32>,
    /// Start-up time in slots, rounded up.
    pub startup: usize,
    /// Replicas that serve when the first slot begins.
    pub initial: u32,
}

impl Demand {
    /// Slots whose need no schedule can serve: it comes before a start at time 0 is over.
    pub fn unavoidable(&self) -> Vec<usize> {
        let early = self.need.iter().enumerate().take(self.startup);
        early.filter(|(_, need)| **need > self.initial).map(|(slot, _)| slot).collect()
    }
}

/// A schedule of replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Billed slots, those before the first slot included, of starts that came too late.
    pub slots: u64,
    /// Starts.
    pub starts: u64,
    /// Every stretch in which one layer serves.
    pub runs: Vec<LayerRun>,
}

/// The cheapest schedule for `demand`; among equally cheap ones that with the fewest starts.
pub fn cheapest_schedule(demand: &Demand) -> Schedule {
    let mut schedule = Schedule { slots: 0, starts: 0, runs: Vec::new() };
    for layer in 1..=demand.need.iter().copied().max().unwrap_or(0) {
        for run in layer_runs(demand, layer) {
            // What would lie before the first slot is billed too, so that a late start is not cheaper than one in time.
            schedule.slots += (run.until - run.serves_from) as u64;
            if run.is_start {
                schedule.slots += demand.startup as u64;
                schedule.starts += 1;
            }
            schedule.runs.push(run);
        }
    }
    schedule
}

/// A stretch in which one layer serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerRun {
    /// The slot in which it begins to serve.
    pub serves_from: usize,
    /// The slot before which it stops.
    pub until: usize,
    /// Whether it begins with a start; the initial replicas begin without one.
    pub is_start: bool,
}

fn layer_runs(demand: &Demand, layer: u32) -> Vec<LayerRun> {
    let mut runs: Vec<LayerRun> = Vec::new();
    let needed = demand.need.iter().enumerate().filter(|(_, need)| **need >= layer);
    for (slot, _) in needed {
        match runs.last_mut() {
            // Ties hold: fewer starts.
            Some(open) if slot - open.until <= demand.startup => open.until = slot + 1,
            None if layer <= demand.initial && slot <= demand.startup => {
                runs.push(LayerRun { serves_from: 0, until: slot + 1, is_start: false });
            }
            _ => runs.push(LayerRun { serves_from: slot, until: slot + 1, is_start: true }),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Seed;

    fn demand(need: &[u32], startup: usize, initial: u32) -> Demand {
        Demand { need: need.to_vec(), startup, initial }
    }

    /// Replicas that are billed in each slot, starting ones included.
    fn billed(demand: &Demand) -> Vec<u32> {
        let mut billed = vec![0; demand.need.len()];
        for run in cheapest_schedule(demand).runs {
            let from = run.serves_from.saturating_sub(if run.is_start { demand.startup } else { 0 });
            billed[from..run.until].iter_mut().for_each(|count| *count += 1);
        }
        billed
    }

    #[test]
    fn the_reference_s_example() {
        let need = [1, 1, 3, 1, 1, 2, 2, 1, 1, 1, 1, 1, 3, 3, 1];
        for (startup, slots, starts) in [(0, 23, 5), (1, 28, 5), (2, 33, 4), (3, 37, 4), (5, 45, 3)] {
            let found = cheapest_schedule(&demand(&need, startup, 1));
            assert_eq!((found.slots, found.starts), (slots, starts), "start-up of {startup} slots");
        }
    }

    #[test]
    fn what_comes_before_a_start_can_be_over_is_unavoidable() {
        let early = demand(&[2, 2, 1, 2], 2, 1);
        assert_eq!(early.unavoidable(), [0, 1]);
        assert_eq!(billed(&early), [2, 2, 2, 2], "held through a gap of one slot");
        assert_eq!(cheapest_schedule(&demand(&[], 2, 1)).slots, 0);
    }

    #[test]
    fn an_initial_replica_is_kept_for_a_need_that_comes_soon_and_stopped_for_a_late_one() {
        assert_eq!(billed(&demand(&[0, 0, 1], 2, 1)), [1, 1, 1]);
        let late = demand(&[0, 0, 0, 0, 1], 2, 1);
        let found = cheapest_schedule(&late);
        assert_eq!((billed(&late), found.slots, found.starts), (vec![0, 0, 1, 1, 1], 3, 1));
        assert_eq!(billed(&demand(&[0, 1], 2, 3)), [1, 1], "a replica that is never needed stops at once");
    }

    /// The least cost over all schedules, by dynamic programming over (slot, ages of starts): every layer may be off, starting
    /// for some slots, or serving, and the number of layers that serve must be at least the need.
    fn least_cost(demand: &Demand) -> u64 {
        // State: per layer, slots until it serves (0 = serves), or none when off. Layers are interchangeable: kept sorted.
        type State = Vec<Option<usize>>;
        let layers = demand.need.iter().copied().max().unwrap_or(0).max(demand.initial) as usize;
        let before = demand.startup; // Slots before the first in which starts may begin.
        let mut states: Vec<(State, u64)> = vec![{
            let mut state: State = vec![None; layers];
            state.iter_mut().take(demand.initial as usize).for_each(|own| *own = Some(0));
            (state, 0)
        }];
        for slot in 0..before + demand.need.len() {
            let mut next: Vec<(State, u64)> = Vec::new();
            for (state, cost) in &states {
                for choice in choices(state, demand, slot < before) {
                    let serving = choice.iter().filter(|own| **own == Some(0)).count();
                    let initial_serving = demand.initial as usize;
                    let (needed, billed) = if slot < before {
                        // The initial replicas are billed from the first slot on.
                        (0, choice.iter().filter(|own| own.is_some()).count().saturating_sub(initial_serving))
                    } else {
                        (demand.need[slot - before] as usize, choice.iter().filter(|own| own.is_some()).count())
                    };
                    if serving < needed {
                        continue;
                    }
                    let aged: State = choice.iter().map(|own| own.map(|left| left.saturating_sub(1))).collect();
                    let total = cost + billed as u64;
                    match next.iter_mut().find(|(known, _)| *known == aged) {
                        Some(known) => known.1 = known.1.min(total),
                        None => next.push((aged, total)),
                    }
                }
            }
            states = next;
        }
        states.iter().map(|(_, cost)| *cost).min().expect("some schedule serves every need")
    }

    /// What may become of a state in a slot: each layer stays, stops, or starts.
    fn choices(state: &[Option<usize>], demand: &Demand, before: bool) -> Vec<Vec<Option<usize>>> {
        let mut all: Vec<Vec<Option<usize>>> = vec![Vec::new()];
        for (index, own) in state.iter().enumerate() {
            let is_initial = index < demand.initial as usize;
            let options: Vec<Option<usize>> = match own {
                Some(_) if before && is_initial => vec![*own],
                Some(left) => vec![Some(*left), None],
                None => vec![None, Some(demand.startup)],
            };
            all = all.iter().flat_map(|head| options.iter().map(|option| [&head[..], &[*option]].concat())).collect();
        }
        all
    }

    #[test]
    fn no_schedule_is_cheaper() {
        let mut stream = Seed(5).stream("oracle", 0);
        for case in 0..400 {
            let slots = 1 + stream.below(8) as usize;
            let need: Vec<u32> = (0..slots).map(|_| stream.below(4) as u32).collect();
            let own = demand(&need, stream.below(4) as usize, stream.below(3) as u32);
            assert_eq!(cheapest_schedule(&own).slots, least_cost(&own), "case {case}: {own:?}");
        }
    }
}
