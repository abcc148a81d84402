//! The loop: event queue, clock, world, handlers, invariant checks. The only room that schedules events or changes
//! another room's state.
//!
//! Reading order: `simulate` (the loop), `event` (what can happen, and in which order at one instant), `world` (all
//! state; `flights` holds the requests on their way, `control_state` what belongs to the policy), then one file of handlers per subject: `requests`,
//! `gateway`, `pods`, `monitoring`, `rules`, `usage`, `keda`, `control`, `sampling`, `settle`; `invariants` and `little` check, `shown` names what the
//! policy asks for, `recording` hands over what Prometheus stores, `shared` runs many policies on one world.
//! A handler is three thoughts: observe the world, decide by a pure call into a room, apply the decision.

mod asking;
mod control;
mod control_state;
mod diagnostic;
mod due_tree;
mod event;
mod expected;
mod faults;
mod flights;
mod fluid;
mod gateway;
mod invariants;
mod keda;
mod little;
mod loop_info;
mod monitoring;
mod objectives;
mod pods;
mod recording;
mod requests;
mod rules;
mod sampling;
mod settle;
mod shared;
mod shown;
mod simulate;
mod usage;
mod world;

pub use diagnostic::{MORE_CAPACITY, WorldKnob, fix_loop_times, fix_startup, median_startup, replay, turn_world};
pub use expected::has_expectation;
pub use fluid::MeanResponse;
pub use loop_info::loop_info;
pub use shared::SharedWorld;
pub use shown::trigger_infos;
pub use simulate::{
    SimulateError, simulate, simulate_expected, simulate_fluid, simulate_recording, simulate_with_arrivals,
};
