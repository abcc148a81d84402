//! Settings of the scheduler beyond its sizes, and what of it depends on vLLM's version (vllm.md 1.2 and 1.4).
//!
//! Read in full upstream: 0.8.5, 0.11.0 and 0.33.0. A version in between has what the table of vllm.md 1.2 dates, and for
//! the two undated changes below it is taken to be on the side that its function says.

use crate::replica::EngineConfig;

/// Scheduler settings with a default of vLLM's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheduling {
    /// `--enable-prefix-caching` (the V1 engine's default) or `--no-enable-prefix-caching`.
    pub prefix_caching: bool,
    /// `--scheduling-policy priority`: smaller priority values first, then earlier arrivals. Otherwise first come, first
    /// served.
    pub by_priority: bool,
    /// Whether a prompt may be computed in pieces. If not, one longer than what is left of the step's tokens waits.
    pub chunked_prefill: bool,
    /// `--long-prefill-token-threshold`: most tokens of one request per step; 0 is no limit.
    pub long_prefill_token_threshold: u32,
    /// `--watermark` in blocks: kept free when a waiting request is admitted beside others.
    pub watermark_blocks: u32,
}

impl Default for Scheduling {
    fn default() -> Self {
        Scheduling {
            prefix_caching: true,
            by_priority: false,
            chunked_prefill: true,
            long_prefill_token_threshold: 0,
            watermark_blocks: 0,
        }
    }
}

impl EngineConfig {
    /// Whether a request that is the only one may exceed the long-prefill threshold (vLLM pull request 57951, 0.33).
    pub(super) fn lone_request_is_uncapped(&self) -> bool {
        self.vllm_version >= (0, 33)
    }

    /// Whether the unhashed, partly filled blocks of a request that ends are taken again first; before, they queued up as
    /// the hashed ones do. Known of 0.11 and 0.33; the versions between are taken to be like 0.11.
    pub(super) fn partial_blocks_go_first(&self) -> bool {
        self.vllm_version >= (0, 33)
    }

    /// Whether every look-up of a waiting request counts in `prefix_cache_queries`, also those of requests that still do
    /// not fit and of victims; newer versions count once, at the first admission. Known of 0.11 and 0.33; the versions
    /// between are taken to be like 0.33.
    pub(super) fn counts_every_lookup(&self) -> bool {
        self.vllm_version < (0, 12)
    }

    /// Whether requests decode before and apart from at most one half-done prompt, the newest: first come, first served
    /// without a threshold.
    pub(super) fn is_plain(&self) -> bool {
        !self.scheduling.by_priority && self.scheduling.long_prefill_token_threshold == 0
    }
}
