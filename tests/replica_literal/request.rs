//! A request inside the engine.

use super::cache::Content;
use kedasim::traffic::{RequestAttributes, RequestId};
use kedasim::units::SimTime;

/// Place of a request in the engine's slab.
pub type Slot = u32;

/// A request from the API server to its last token.
#[derive(Clone, Debug)]
pub struct Live {
    pub id: RequestId,
    /// Order of arrival.
    pub sequence: u64,
    /// At the API server.
    pub arrived: SimTime,
    /// Into the engine's input queue.
    pub entered: SimTime,
    /// Drained into the waiting queue.
    pub queued: SimTime,
    /// First scheduled.
    pub scheduled: Option<SimTime>,
    pub first_token: SimTime,
    pub last_token: SimTime,
    pub prompt: u32,
    /// Tokens after which it stops of itself.
    pub wanted: u32,
    /// Tokens after which it is stopped: its `max_tokens`, or what the model's length leaves.
    pub most: u32,
    /// Tokens generated.
    pub out: u32,
    /// Tokens that the scheduled steps will emit: with async scheduling, of the step in progress when the one after it is
    /// scheduled.
    pub placeholders: u32,
    /// Tokens whose keys and values exist or will at the end of the last step scheduled.
    pub computed: u32,
    pub blocks: Vec<usize>,
    /// How many of the blocks, from the start, can be found by others.
    pub findable: usize,
    pub attributes: RequestAttributes,
    /// Found in the cache at the first admission, tokens.
    pub cached: u32,
    /// Charged as a decode. A state, not arithmetic: the last chunk of a prefill may be one token too.
    pub decoding: bool,
    /// Evictions not yet counted by the metric.
    pub evictions: u32,
    pub preemptions: u32,
    pub aborted: bool,
}

impl Live {
    /// Tokens that are known: prompt and generated.
    pub fn length(&self) -> u32 {
        self.prompt + self.out
    }

    /// Whether the token that is on its way is surely its last.
    pub fn will_be_cut(&self) -> bool {
        self.placeholders > 0 && self.out + self.placeholders >= self.most
    }

    /// What its block of this number holds once it is full.
    pub fn content(&self, number: usize, block_size: u32) -> Content {
        let end = (number + 1) * block_size as usize;
        if let Some(text) = &self.attributes.text
            && end <= text.tokens as usize
            && let Some(id) = text.ids.get((end - 1) / text.tokens_per_id as usize)
        {
            return Content::Text(*id, number);
        }
        Content::Own(self.sequence, number)
    }
}
