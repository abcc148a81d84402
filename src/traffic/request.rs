//! A request as it leaves a client.

use crate::traffic::TraceRow;
use crate::units::SimTime;

/// Identity of a request within a run; unique, stable under another policy. The top 8 bits hold the source's number
/// (0 for a single source); below, open loop: the arrival's number; closed loop: `worker << 32 | n` for the n-th
/// request of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

impl RequestId {
    /// Bits below the source's number.
    const SOURCE_SHIFT: u32 = 56;
    /// What the bits between the source's number and a worker's counter can hold.
    pub(crate) const MAX_WORKERS: u32 = 1 << (Self::SOURCE_SHIFT - 32);

    /// The `arrival`-th request of an open loop.
    pub(crate) fn open_loop(source: u8, arrival: u64) -> Self {
        debug_assert!(arrival >> Self::SOURCE_SHIFT == 0, "more arrivals than an id can count");
        RequestId(u64::from(source) << Self::SOURCE_SHIFT | arrival)
    }
    /// The `n`-th request of `worker`.
    pub(crate) fn closed_loop(source: u8, worker: u32, n: u32) -> Self {
        debug_assert!(worker < Self::MAX_WORKERS, "more workers than an id can count");
        RequestId(u64::from(source) << Self::SOURCE_SHIFT | u64::from(worker) << 32 | u64::from(n))
    }
    /// Of an open loop: the arrival's number.
    pub(crate) fn arrival(self) -> u64 {
        self.0 & ((1 << Self::SOURCE_SHIFT) - 1)
    }
    /// Number of the traffic source that sent it.
    pub fn source(self) -> u8 {
        // Eight bits are left after the shift.
        (self.0 >> Self::SOURCE_SHIFT) as u8
    }
}

/// How many tokens a request will generate. Sealed: the control plane must not see it, only the engine that generates
/// the tokens may open it ([`OutputLength::reveal_to_engine`]; `tests/architecture.rs` checks who calls it).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLength(u32);

impl OutputLength {
    /// A request that stops after `tokens` (at least 1).
    pub fn new(tokens: u32) -> Self {
        OutputLength(tokens.max(1))
    }
    /// The number of tokens. For the engine only.
    pub fn reveal_to_engine(self) -> u32 {
        self.0
    }
}

/// A request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Which one.
    pub id: RequestId,
    /// Prompt tokens, at least 1.
    pub prompt_tokens: u32,
    /// Tokens it will generate.
    pub output: OutputLength,
    /// The closed-loop worker that sent it and waits for it; `None` in an open loop.
    pub worker: Option<u32>,
}

impl Request {
    /// The row of a trace that records this request: for whoever looks at the traffic itself, outside any run.
    pub(crate) fn recorded(&self, at: SimTime) -> TraceRow {
        let output_tokens = self.output.reveal_to_engine();
        TraceRow { at, prompt_tokens: self.prompt_tokens, output_tokens, max_tokens: None }
    }
}
