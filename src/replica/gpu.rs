//! Data sheets of GPUs, and vLLM's defaults on them.

/// A GPU as the roofline and the KV cache see it (vllm.md 1.2, 2.1, 3.4).
#[derive(Debug, PartialEq)]
pub struct Gpu {
    /// In names of profiles: `h100`.
    pub short: &'static str,
    /// `H100-80G`.
    pub name: &'static str,
    /// Memory as torch sees it, GiB.
    pub memory_gib: f64,
    /// Dense BF16 rate of the tensor cores, TFLOP/s.
    pub bf16_tflops: f64,
    /// Dense FP8 rate, TFLOP/s; `None`: computes FP8 weights at the BF16 rate.
    pub fp8_tflops: Option<f64>,
    /// Bandwidth of the memory, TB/s.
    pub bandwidth_tb: f64,
    /// Share of the bandwidth that reading weights reaches.
    pub weight_efficiency: f64,
    /// Share of the bandwidth that reading the KV cache reaches.
    pub kv_efficiency: f64,
    /// Share of the FLOP rate that the linear layers of a dense model reach, by tensor parallel size.
    pub mfu: &'static [(u32, f64)],
    /// vLLM's default of `--max-num-seqs` for its API server.
    pub max_num_seqs: u32,
    /// vLLM's default of `--max-num-batched-tokens` for its API server.
    pub max_num_batched_tokens: u32,
    /// Values of node labels that name exactly this GPU: of NVIDIA's GPU feature discovery (`nvidia.com/gpu.product`), GKE
    /// (`cloud.google.com/gke-accelerator`) and Karpenter on AWS (`karpenter.k8s.aws/instance-gpu-name`).
    pub labels: &'static [&'static str],
}

const HOPPER_MFU: &[(u32, f64)] = &[(1, 0.70), (2, 0.62), (4, 0.54), (8, 0.50)];

pub(crate) const A100: Gpu = Gpu {
    short: "a100",
    name: "A100-80G",
    memory_gib: 79.1,
    bf16_tflops: 312.0,
    fp8_tflops: None,
    bandwidth_tb: 2.039,
    weight_efficiency: 0.72,
    kv_efficiency: 0.70,
    mfu: &[(1, 0.72), (2, 0.69), (4, 0.63), (8, 0.60)],
    max_num_seqs: 256,
    max_num_batched_tokens: 2048,
    // Plain "a100" is not here: Karpenter says it of the 40 GB model too.
    labels: &["NVIDIA-A100-SXM4-80GB", "nvidia-a100-80gb"],
};
pub(crate) const H100: Gpu = Gpu {
    short: "h100",
    name: "H100-80G",
    memory_gib: 79.1,
    bf16_tflops: 989.5,
    fp8_tflops: Some(1979.0),
    bandwidth_tb: 3.35,
    weight_efficiency: 0.85,
    kv_efficiency: 0.92,
    mfu: HOPPER_MFU,
    max_num_seqs: 1024,
    max_num_batched_tokens: 8192,
    labels: &["NVIDIA-H100-80GB-HBM3", "nvidia-h100-80gb", "nvidia-h100-mega-80gb", "h100"],
};
pub(crate) const H200: Gpu = Gpu {
    short: "h200",
    name: "H200",
    memory_gib: 139.8,
    bf16_tflops: 989.5,
    fp8_tflops: Some(1979.0),
    bandwidth_tb: 4.8,
    weight_efficiency: 0.85,
    kv_efficiency: 0.92,
    mfu: HOPPER_MFU,
    max_num_seqs: 1024,
    max_num_batched_tokens: 8192,
    labels: &["NVIDIA-H200", "nvidia-h200-141gb", "h200"],
};
pub(crate) const L40S: Gpu = Gpu {
    short: "l40s",
    name: "L40S",
    memory_gib: 44.4,
    bf16_tflops: 362.0,
    fp8_tflops: Some(733.0),
    bandwidth_tb: 0.864,
    weight_efficiency: 0.85,
    kv_efficiency: 0.75,
    // Above one GPU the all-reduce over PCIe decides.
    mfu: &[(1, 0.59), (2, 0.39), (4, 0.08)],
    max_num_seqs: 256,
    max_num_batched_tokens: 2048,
    labels: &["NVIDIA-L40S", "l40s"],
};
pub(crate) const L4: Gpu = Gpu {
    short: "l4",
    name: "L4",
    memory_gib: 22.0,
    bf16_tflops: 121.0,
    fp8_tflops: Some(242.0),
    bandwidth_tb: 0.300,
    weight_efficiency: 0.85,
    kv_efficiency: 0.75,
    mfu: &[(1, 0.55)],
    max_num_seqs: 256,
    max_num_batched_tokens: 2048,
    labels: &["NVIDIA-L4", "nvidia-l4", "l4"],
};

/// The GPUs whose data and efficiencies are known. (Of an A40 only the data sheet is, of a B200 only serving runs.)
pub static GPUS: [&Gpu; 5] = [&A100, &H100, &H200, &L40S, &L4];

/// The GPU that a person means by `text`: `h100`, `H100-80G`, or a node label's value.
pub fn gpu_by_name(text: &str) -> Option<&'static Gpu> {
    let is = |own: &str| own.eq_ignore_ascii_case(text);
    GPUS.into_iter().find(|gpu| is(gpu.short) || is(gpu.name) || gpu.labels.iter().any(|label| is(label)))
}

/// The GPU that a node label's value names without doubt.
pub fn gpu_by_label(value: &str) -> Option<&'static Gpu> {
    GPUS.into_iter().find(|gpu| gpu.labels.contains(&value))
}
