//! Several policies on one world, for as long as they write the same scales.
//!
//! A policy acts on the world by nothing but its writes of `spec.replicas`: what its controllers see, remember and decide
//! stands in `control_state`. So one world serves all policies that have written the same until now. When they part, the world is
//! copied once for each different write, and every copy goes on with those who wrote it. Each policy's record is, to the last
//! bit, the one of [`crate::sim::simulate`] (`tests/shared_worlds.rs`).

use crate::record::RunRecord;
use crate::replica::EngineEvent;
use crate::scenario::ResolvedRun;
use crate::sim::SimulateError;
use crate::sim::control_state::{ControlState, ScaleWrite};
use crate::sim::event::{Event, PolicyId};
use crate::sim::simulate::{close_books, record_of};
use crate::sim::world::World;
use crate::units::SimTime;
use std::collections::BTreeMap;

/// Requests that a world draws before its start, for all its copies: 16 bytes each.
const REQUESTS_AHEAD: usize = 1_000_000;

/// A world and the policies that act on it.
pub struct SharedWorld<'r> {
    /// The world, with one policy's controllers in place.
    world: World<'r>,
    /// The other policies.
    others: BTreeMap<PolicyId, (&'r ResolvedRun, ControlState)>,
    /// Who has written the scale at this instant. The world follows once everybody who can write the same has had the chance.
    writers: Vec<PolicyId>,
    /// Reused by every wake of an engine.
    engine_events: Vec<EngineEvent>,
}

impl<'r> SharedWorld<'r> {
    /// The world of `runs`, which share it ([`ResolvedRun::shares_world_with`]).
    ///
    /// # Errors
    /// As [`crate::sim::simulate`], of all of them.
    ///
    /// # Panics
    /// When there are no `runs`, or when they do not share a world.
    pub fn new(runs: &[&'r ResolvedRun]) -> Result<Self, SimulateError> {
        let (first, rest) = runs.split_first().expect("a world has a policy");
        assert!(rest.iter().all(|run| run.shares_world_with(first)), "the policies act on one world");
        let mut world = World::new(first, false, false)?;
        let end = first.duration.map_or(SimTime::NEVER, |duration| SimTime::ZERO + duration);
        for source in &mut world.traffic.sources {
            source.draw_ahead(end, REQUESTS_AHEAD);
        }
        let mut shared = SharedWorld { world, others: BTreeMap::new(), writers: Vec::new(), engine_events: Vec::new() };
        for (policy, run) in (1..).map(PolicyId).zip(rest) {
            shared.others.insert(policy, (run, ControlState::new(run, policy)));
            shared.put_in_place(policy);
            shared.world.apply_policy();
        }
        Ok(shared)
    }

    /// Runs to the end. A world that parts from this one is handed to `parted`, to be run as well; `done` gets the record of each
    /// policy that stayed, with its position among the runs.
    pub fn run_to_end(
        mut self,
        parted: &mut dyn FnMut(SharedWorld<'r>),
        done: &mut dyn FnMut(usize, Result<RunRecord, SimulateError>),
    ) {
        let books = self.go_on(parted).map(|()| close_books(&mut self.world));
        for policy in self.policies() {
            self.put_in_place(policy);
            let record = books.clone().map(|books| record_of(&mut self.world, books));
            done(policy.0 as usize, record);
        }
    }

    fn go_on(&mut self, parted: &mut dyn FnMut(SharedWorld<'r>)) -> Result<(), SimulateError> {
        while let Some((at, event)) = self.world.queue.pop() {
            self.world.reach(at, event)?;
            match event {
                Event::End => break,
                Event::Sample => self.sample()?,
                _ => match event.policy() {
                    Some(policy) => self.act(policy, event)?,
                    None => self.world.handle(event, &mut self.engine_events)?,
                },
            }
            if !self.writers.is_empty() && !self.next_sees_the_same_scale() {
                self.follow(parted);
            }
        }
        self.world.check_invariants()
    }

    /// The policies on this world, in order.
    fn policies(&self) -> Vec<PolicyId> {
        let mut policies: Vec<PolicyId> = self.others.keys().copied().chain([self.world.control.policy]).collect();
        policies.sort_unstable();
        policies
    }

    /// The controllers of `policy` are those that the world's handlers find.
    fn put_in_place(&mut self, policy: PolicyId) {
        if self.world.control.policy == policy {
            return;
        }
        let (run, control) = self.others.remove(&policy).expect("events are those of the world's own policies");
        let run = std::mem::replace(&mut self.world.run, run);
        let control = std::mem::replace(&mut self.world.control, control);
        self.others.insert(control.policy, (run, control));
    }

    /// The controllers of `policy` act. What they write is not the world's yet: the others have not seen it.
    fn act(&mut self, policy: PolicyId, event: Event) -> Result<(), SimulateError> {
        self.put_in_place(policy);
        self.world.handle(event, &mut self.engine_events)?;
        if let Some(first) = self.world.control.writes.first() {
            self.world.deployment.spec_replicas = first.from;
            self.writers.push(policy);
        }
        Ok(())
    }

    /// Whether the next event is one of controllers at this instant who have not written: what they see has not changed.
    fn next_sees_the_same_scale(&self) -> bool {
        let next = self.world.queue.next_policy_at(self.world.now);
        next.is_some_and(|next| !self.writers.contains(&next))
    }

    /// The world follows the writes of this instant: its copies those of who parts from it.
    fn follow(&mut self, parted: &mut dyn FnMut(SharedWorld<'r>)) {
        self.writers.clear();
        let mut by_writes: BTreeMap<Vec<ScaleWrite>, Vec<PolicyId>> = BTreeMap::new();
        let own = std::iter::once(&mut self.world.control);
        for control in own.chain(self.others.values_mut().map(|(_, control)| control)) {
            by_writes.entry(std::mem::take(&mut control.writes)).or_default().push(control.policy);
        }
        // The most go on here.
        let most = by_writes.iter().max_by_key(|(_, policies)| policies.len()).map(|(writes, _)| writes.clone());
        let most = most.unwrap_or_default();
        if let Some(stay) = by_writes.remove(&most).and_then(|policies| policies.first().copied()) {
            self.put_in_place(stay);
        }
        for (writes, policies) in by_writes {
            if let Some(mut copy) = self.part(&policies) {
                copy.world.follow(&writes);
                parted(copy);
            }
        }
        self.world.follow(&most);
    }

    /// A copy of the world with these policies, which leave this one.
    fn part(&mut self, policies: &[PolicyId]) -> Option<SharedWorld<'r>> {
        let mut leaving = policies.iter().filter_map(|policy| self.others.remove_entry(policy));
        let (_, (run, control)) = leaving.next()?;
        let others: BTreeMap<PolicyId, (&ResolvedRun, ControlState)> = leaving.collect();
        let mut world = self.world.for_policy(run, control);
        world.queue.keep_policies(|policy| policies.contains(&policy));
        self.world.queue.keep_policies(|policy| !policies.contains(&policy));
        Some(SharedWorld { world, others, writers: Vec::new(), engine_events: Vec::new() })
    }

    /// A row of the timeline, and what it means to the policies that are not in place.
    fn sample(&mut self) -> Result<(), SimulateError> {
        let row = self.world.recorded.timeline.rows.len();
        self.world.on_sample()?;
        for (run, control) in self.others.values_mut() {
            control.note_cells(row);
            self.world.replicas_are_within_bounds_of(run, control)?;
        }
        Ok(())
    }
}
