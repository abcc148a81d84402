//! A pod's life, for accounting.

use crate::units::{SimDuration, SimTime};

/// A pod's life as it stood at the end of the run.
#[derive(Clone, Debug, PartialEq)]
pub struct PodRecord {
    /// Name.
    pub name: String,
    /// Object created.
    pub created: SimTime,
    /// Bound to a node.
    pub scheduled: Option<SimTime>,
    /// Ready condition true.
    pub ready: Option<SimTime>,
    /// Deletion timestamp.
    pub deleted: Option<SimTime>,
    /// Object gone.
    pub gone: Option<SimTime>,
    /// Of the time Ready and not deleted: how long at least one request was in the engine.
    pub busy_while_ready: SimDuration,
}
