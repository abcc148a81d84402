//! How many tokens the KV cache of a GPU holds, from its memory (vllm.md 2.1).

use std::fmt;

const GIB: f64 = 1_073_741_824.0;
/// Tokens per block on CUDA.
pub const BLOCK_SIZE_DEFAULT: u32 = 16;
/// The newest vLLM that is modelled.
const NEWEST: (u32, u32) = (0, 33);

/// Memory of one GPU of a replica; every number is per GPU.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KvMemory {
    /// Memory as torch sees it, GiB: 79.1 on an H100 of 80 GB.
    pub gpu_gib: f64,
    /// The GPU's share of the weights, GiB.
    pub weights_gib: f64,
    /// The GPU's share of the cache per token, bytes, at `--kv-cache-dtype auto`.
    pub kv_bytes_per_token: u64,
    /// Activation peak, memory outside torch and CUDA graphs, GiB; `None`: by the rule of [`other_gib`].
    pub other_gib: Option<f64>,
}

/// Data type of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KvCacheDtype {
    /// The model's.
    Auto,
    /// One byte: half of a 16-bit model's.
    Fp8,
}

/// What the operator set, as far as it decides the capacity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KvSettings {
    /// `--gpu-memory-utilization`, above 0 and at most 1.
    pub utilization: f64,
    /// `--kv-cache-memory-bytes`: the cache's size in bytes, whatever the utilization.
    pub cache_bytes: Option<u64>,
    /// `--kv-cache-dtype`.
    pub dtype: KvCacheDtype,
    /// `--block-size`.
    pub block_size: u32,
    /// `--max-num-batched-tokens`: the batch with which vLLM measures the activation peak.
    pub max_num_batched_tokens: u32,
    /// vLLM's (major, minor).
    pub vllm_version: (u32, u32),
    /// More than 4 GPUs, or a mixture of experts.
    pub is_large: bool,
}

impl KvSettings {
    /// The defaults of the newest vLLM.
    pub fn newest(is_large: bool, max_num_batched_tokens: u32) -> Self {
        KvSettings {
            utilization: default_utilization(NEWEST),
            cache_bytes: None,
            dtype: KvCacheDtype::Auto,
            block_size: BLOCK_SIZE_DEFAULT,
            max_num_batched_tokens,
            vllm_version: NEWEST,
            is_large,
        }
    }
}

/// `gpu_memory_utilization` when nobody gives it: 0.92 from vLLM 0.20 on, 0.9 before (vllm.md 1.2; the change lies between
/// 0.17 and 0.20).
pub fn default_utilization(vllm_version: (u32, u32)) -> f64 {
    if vllm_version >= (0, 20) { 0.92 } else { 0.9 }
}

/// GiB per GPU that neither weights nor cache have: 1.2 for up to 2048 batched tokens, else 1.5; 1.0 more for the CUDA
/// graphs that vLLM sets aside from 0.21 on; 0.5 more above 4 GPUs or with a mixture of experts (vllm.md 2.2, after logged
/// values; 1.5 was seen with 8192 batched tokens).
pub fn other_gib(settings: &KvSettings) -> f64 {
    let activations = if settings.max_num_batched_tokens > 2048 { 1.5 } else { 1.2 };
    let graphs = if settings.vllm_version >= (0, 21) { 1.0 } else { 0.0 };
    activations + graphs + if settings.is_large { 0.5 } else { 0.0 }
}

/// The model does not fit: the sum that shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoesNotFit(String);

impl fmt::Display for DoesNotFit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl KvMemory {
    /// Blocks of the cache, as vLLM would log them (`Worker.determine_available_memory`, `get_num_blocks`): the null block
    /// is one of them.
    ///
    /// # Errors
    /// What is left is less than one block; the message has the sum.
    pub fn blocks(&self, settings: &KvSettings) -> Result<u64, DoesNotFit> {
        let bytes_per_token = match settings.dtype {
            KvCacheDtype::Auto => self.kv_bytes_per_token as f64,
            KvCacheDtype::Fp8 => self.kv_bytes_per_token as f64 / 2.0,
        };
        let other = self.other_gib.unwrap_or_else(|| other_gib(settings));
        let free_gib = settings.utilization * self.gpu_gib - self.weights_gib - other;
        let free_bytes = settings.cache_bytes.map_or(free_gib * GIB, |bytes| bytes as f64);
        let block_bytes = f64::from(settings.block_size) * bytes_per_token;
        // `as` saturates, and takes what is below zero for none.
        let blocks = (free_bytes / block_bytes).floor() as u64;
        if blocks > 0 {
            return Ok(blocks);
        }
        let left = match settings.cache_bytes {
            Some(bytes) => format!("the given {bytes} bytes of KV cache are"),
            None => format!(
                "{} of {} GiB, less {:.2} GiB of weights and {other:.2} GiB for activations and CUDA graphs, leaves \
                 {free_gib:.2} GiB per GPU for the KV cache,",
                settings.utilization, self.gpu_gib, self.weights_gib
            ),
        };
        Err(DoesNotFit(format!("{left} less than one block of {block_bytes} bytes")))
    }
}
