//! Settings of the scheduler beyond its sizes, and what of it depends on vLLM's version (vllm.md 1.2 and 1.4).
//!
//! The versions named here are the first releases whose source has the change, read upstream in those from 0.8.5 to 0.33.0.

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

/// Which look-ups of the prefix cache count in its two counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CountedLookups {
    /// Each, also of requests that still do not fit and of victims.
    Every,
    /// Each but those of victims, which have counters of their own (`PrefixCacheStats.preempted_queries`).
    EveryButOfVictims,
    /// Of those that are not victims, when they are admitted.
    AtAdmission,
}

impl EngineConfig {
    /// Whether a request that is the only one may exceed the long-prefill threshold (`Scheduler.schedule`).
    pub(super) fn lone_request_is_uncapped(&self) -> bool {
        self.vllm_version >= (0, 31)
    }

    /// Whether the unhashed, partly filled blocks of a request that ends are taken again first; before, they queued up as
    /// the hashed ones do (`BlockPool.free_blocks`).
    pub(super) fn partial_blocks_go_first(&self) -> bool {
        self.vllm_version >= (0, 24)
    }

    /// Which look-ups count (`KVCacheManager.get_computed_blocks`, `record_prefix_cache_stats`).
    pub(super) fn counted_lookups(&self) -> CountedLookups {
        if self.vllm_version < (0, 12) {
            CountedLookups::Every
        } else if self.vllm_version < (0, 27) {
            CountedLookups::EveryButOfVictims
        } else {
            CountedLookups::AtAdmission
        }
    }

    /// Whether look-ups count in blocks instead of tokens (`KVCacheManager.get_computed_blocks`).
    pub(super) fn counts_lookups_in_blocks(&self) -> bool {
        self.vllm_version < (0, 9)
    }

    /// Whether the tokens of an iteration are those that were computed; before, a prompt counted whole, cached or not
    /// (`PrometheusStatLogger.record`).
    pub(super) fn iteration_leaves_cached_out(&self) -> bool {
        self.vllm_version >= (0, 23)
    }

    /// Whether an answer whose own last token is the last that it may have ends by `length`; since then by `stop`
    /// (`check_stop`).
    pub(super) fn length_is_checked_first(&self) -> bool {
        self.vllm_version < (0, 12)
    }

    /// Whether the null block counts as one in use (`BlockPool.get_usage`).
    pub(super) fn null_block_is_in_use(&self) -> bool {
        self.vllm_version < (0, 11)
    }

    /// By priority: whether the loop over the running requests passes over nobody when a victim before its place leaves that
    /// had nothing in the batch (`Scheduler.schedule`).
    pub(super) fn victims_before_move_the_place(&self) -> bool {
        self.vllm_version >= (0, 28)
    }

    /// By priority: whether the loop goes on after a request that evicted itself (`Scheduler.schedule`).
    pub(super) fn goes_on_after_own_eviction(&self) -> bool {
        self.vllm_version >= (0, 33)
    }

    /// Whether requests decode before and apart from at most one half-done prompt, the newest: first come, first served
    /// without a threshold.
    pub(super) fn is_plain(&self) -> bool {
        !self.scheduling.by_priority && self.scheduling.long_prefill_token_threshold == 0
    }
}
