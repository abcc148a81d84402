//! What an engine tells the outside.

use crate::traffic::RequestId;
use crate::units::{SimDuration, SimTime};

/// What an engine tells the outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineEvent {
    /// The first token of a request left the engine.
    FirstToken {
        /// Which request.
        id: RequestId,
        /// When.
        at: SimTime,
    },
    /// `count` requests emitted a token `gap` after their previous one, in a step that ended at `at`.
    TokenGaps {
        /// End of the step.
        at: SimTime,
        /// Time since the previous token.
        gap: SimDuration,
        /// How many requests.
        count: u64,
    },
    /// As many [`EngineEvent::TokenGaps`] as there are `steps`: step `j` of a run ends one gap of `first + growth j` after the
    /// step before it, and in each the same `count` requests emit a token ([`EngineEvent::expanded`] writes it out).
    TokenGapRun {
        /// Start of the first step.
        start: SimTime,
        /// Length of the first step.
        first: SimDuration,
        /// By how much each step is longer than the one before.
        growth: SimDuration,
        /// How many steps.
        steps: u64,
        /// How many requests.
        count: u64,
    },
    /// A request is done.
    Finished(Finished),
}

impl EngineEvent {
    /// A [`EngineEvent::TokenGapRun`] as its single [`EngineEvent::TokenGaps`]; any other event as itself.
    pub fn expanded(self) -> Vec<EngineEvent> {
        let EngineEvent::TokenGapRun { start, first, growth, steps, count } = self else { return vec![self] };
        let (mut at, mut gap) = (start, first);
        let mut single = Vec::new();
        for _ in 0..steps {
            at += gap;
            single.push(EngineEvent::TokenGaps { at, gap, count });
            gap += growth;
        }
        single
    }
}

/// A finished request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Which one.
    pub id: RequestId,
    /// When its last token left the engine.
    pub at: SimTime,
    /// When it arrived at the API server.
    pub arrived: SimTime,
    /// When it was first scheduled, as vLLM's SCHEDULED event has it: with async scheduling that may be one step before
    /// its first chunk runs.
    pub scheduled: SimTime,
    /// When its first token left.
    pub first_token: SimTime,
    /// Prompt tokens.
    pub prompt_tokens: u32,
    /// Tokens generated.
    pub generated_tokens: u32,
}
