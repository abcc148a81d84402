//! What a jump of the load costs by the formula: requests wait until more replicas serve, then the surplus works them off
//! (verdicts.md 3.6). A check of what the simulator finds, not a substitute for it.

/// A jump of the load and the fleet that meets it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoadStepUp {
    /// Requests per second after the jump.
    pub load: f64,
    /// Requests per second that the replicas serving at the jump sustain.
    pub served_before: f64,
    /// Requests per second that the replicas in the end sustain.
    pub served_after: f64,
    /// From the jump until the policy asks for more replicas, and from then until they serve, s.
    pub delay_seconds: f64,
}

/// What comes of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum JumpCost {
    /// The replicas that were there sustain the new load.
    Nothing,
    /// A backlog that is worked off.
    Recovers {
        /// Requests waiting when the new replicas begin to serve.
        backlog: f64,
        /// How long the surplus takes to work them off, s.
        drain_seconds: f64,
        /// From the jump until nothing waits any more, min.
        minutes: f64,
    },
    /// The replicas in the end do not sustain the new load.
    NoRecovery,
}

/// The formula: backlog `(load - before) * delay`, worked off at `after - load`.
pub fn jump_cost(step: &LoadStepUp) -> JumpCost {
    let missing = step.load - step.served_before;
    if missing <= 0.0 {
        return JumpCost::Nothing;
    }
    let surplus = step.served_after - step.load;
    if surplus <= 0.0 {
        return JumpCost::NoRecovery;
    }
    let backlog = missing * step.delay_seconds;
    let drain_seconds = backlog / surplus;
    JumpCost::Recovers { backlog, drain_seconds, minutes: (step.delay_seconds + drain_seconds) / 60.0 }
}
