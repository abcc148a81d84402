//! Causes of flaps by their signatures in the record (verdicts.md 2.2). A match is a suspicion; only a run with the cause's
//! knob turned confirms it (`study::confirm`).
//!
//! Reading order: `cause` (the table's rows in words), `flap_view` (a flap with what the record holds about it), then the
//! signatures by group: `plumbing`, `metric`, `dynamics`, `noise`; `suspects` puts them in order.

mod cause;
mod dynamics;
mod flap_view;
mod metric;
mod noise;
mod plumbing;
mod suspects;

pub use cause::Cause;
pub use flap_view::saturated_capacity;
pub(super) use flap_view::winning;
pub use noise::{NoiseIndex, noise_index};
pub use suspects::{CauseMatch, CauseShare, FlapCauses, cause_shares, flap_causes};
