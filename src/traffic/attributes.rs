//! What a request may say of itself beyond its lengths (vllm.md section 7).

use std::sync::Arc;

/// The text that a request's tokens belong to, as far as other requests may have the same: one id per `tokens_per_id`
/// tokens from the start. Ids are chained, as in the published traces: two requests with the same id at the same place have
/// the same text up to the end of what both name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedText {
    /// The ids in order.
    pub ids: Arc<[u64]>,
    /// How many tokens an id stands for, at least 1. The last id may stand for fewer.
    pub tokens_per_id: u32,
    /// How many tokens from the start are named. More than the prompt has: what the request generates is named too, as the
    /// next turn of a conversation will send it.
    pub tokens: u32,
}

/// Attributes that most requests do not have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestAttributes {
    /// For engines that schedule by priority; smaller goes first.
    pub priority: i32,
    /// The text that it shares with others; `None` when all its tokens are its own.
    pub text: Option<SharedText>,
    /// The request's own `max_tokens`; `None` leaves what the model's length leaves, and then the answer ends of itself, at
    /// the token that says so. What ends at `max_tokens` was foreseen by the scheduler, what ends of itself was not.
    pub max_tokens: Option<u32>,
}
