//! Architectures of models: what decides weights, KV cache and roofline.

/// Numbers of a model's `config.json`, and how its weights are stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ModelConfig {
    /// `num_hidden_layers`.
    pub layers: u32,
    /// `hidden_size`.
    pub hidden_size: u32,
    /// `num_attention_heads`.
    pub heads: u32,
    /// `num_key_value_heads`.
    pub kv_heads: u32,
    /// `head_dim`.
    pub head_dim: u32,
    /// `intermediate_size`, of one expert in a mixture of experts (`moe_intermediate_size`).
    pub intermediate_size: u32,
    /// `vocab_size`.
    pub vocab_size: u32,
    /// `tie_word_embeddings`.
    pub tied_embeddings: bool,
    /// Experts of a mixture: (`num_experts`, `num_experts_per_tok`).
    pub experts: Option<(u32, u32)>,
    /// `shared_expert_intermediate_size`: of the experts that every token passes through, together; 0 for none.
    pub shared_intermediate_size: u32,
    /// How the linear layers are stored.
    pub weights: WeightFormat,
    /// Size of all weights in GiB where it is known better than the parameters say.
    pub weights_gib: Option<f64>,
    /// `max_position_embeddings`.
    pub max_model_len: u32,
}

/// How the linear layers are stored. Embeddings and the output head are 16 bit in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightFormat {
    /// 16 bit.
    Bf16,
    /// 8 bit, activations too: computed at the FP8 rate where the GPU has one.
    Fp8,
    /// Experts in MXFP4 (4.25 bit with the shared exponents; 0.53 bytes, as the tables reckon), the rest 16 bit, computed in
    /// 16 bit.
    Mxfp4,
}

impl WeightFormat {
    /// Bytes per weight of (the dense layers, the experts).
    fn bytes(self) -> (f64, f64) {
        match self {
            WeightFormat::Bf16 => (2.0, 2.0),
            WeightFormat::Fp8 => (1.0, 1.0),
            WeightFormat::Mxfp4 => (2.0, 0.53),
        }
    }
}

impl ModelConfig {
    /// Parameters of the linear layers without the experts that are chosen per token.
    pub(crate) fn dense_parameters(&self) -> f64 {
        let each = if self.experts.is_some() { self.shared_intermediate_size } else { self.intermediate_size };
        let mlp = self.mlp_parameters(each);
        f64::from(self.layers) * (self.attention_parameters() + mlp)
    }

    /// Parameters of (all experts, those that one token passes through).
    pub(crate) fn expert_parameters(&self) -> (f64, f64) {
        let Some((count, per_token)) = self.experts else { return (0.0, 0.0) };
        let each = f64::from(self.layers) * self.mlp_parameters(self.intermediate_size);
        (f64::from(count) * each, f64::from(per_token) * each)
    }

    fn attention_parameters(&self) -> f64 {
        let heads = f64::from(self.heads) + f64::from(self.kv_heads);
        2.0 * f64::from(self.hidden_size) * heads * f64::from(self.head_dim)
    }

    /// Gate, up and down projection.
    fn mlp_parameters(&self, intermediate_size: u32) -> f64 {
        3.0 * f64::from(self.hidden_size) * f64::from(intermediate_size)
    }

    /// Parameters of the output head, and of the embeddings where they are not the same.
    fn vocabulary_parameters(&self) -> f64 {
        f64::from(self.vocab_size) * f64::from(self.hidden_size)
    }

    /// Bytes that a step reads of (the dense layers and the output head, all experts).
    pub(crate) fn read_bytes(&self) -> (f64, f64) {
        let (dense, expert) = self.weights.bytes();
        let dense = self.dense_parameters() * dense + 2.0 * self.vocabulary_parameters();
        (dense, self.expert_parameters().0 * expert)
    }

    /// Size of all weights, GiB.
    pub fn weights_gib(&self) -> f64 {
        self.weights_gib.unwrap_or_else(|| {
            let (dense, experts) = self.read_bytes();
            let embeddings = if self.tied_embeddings { 0.0 } else { 2.0 * self.vocabulary_parameters() };
            (dense + experts + embeddings) / 1_073_741_824.0
        })
    }

    /// Bytes of KV cache per token on each of `tensor_parallel` GPUs, 16 bit. A head is never cut: with more GPUs than KV
    /// heads each GPU keeps a whole one (`ModelConfig.get_num_kv_heads`).
    pub fn kv_bytes_per_token(&self, tensor_parallel: u32) -> u64 {
        let heads = (self.kv_heads / tensor_parallel.max(1)).max(1);
        2 * 2 * u64::from(self.layers) * u64::from(heads) * u64::from(self.head_dim)
    }
}

/// A model whose architecture is built in.
#[derive(Debug, PartialEq)]
pub struct KnownModel {
    /// In names of profiles: `llama-3.1-8b`.
    pub short: &'static str,
    /// Its name on Hugging Face (of the FP8 and 4-bit rows, where the tables name no repository, without an organisation).
    pub name: &'static str,
    /// Names of models with the same architecture, as [`model_key`] shortens them.
    same: &'static [&'static str],
    /// Its architecture.
    pub config: ModelConfig,
}

/// (layers, hidden size, heads, KV heads, head size, intermediate size, vocabulary).
type Shape = [u32; 7];

const fn dense(shape: Shape, max_model_len: u32, weights_gib: Option<f64>) -> ModelConfig {
    let [layers, hidden_size, heads, kv_heads, head_dim, intermediate_size, vocab_size] = shape;
    ModelConfig {
        layers,
        hidden_size,
        heads,
        kv_heads,
        head_dim,
        intermediate_size,
        vocab_size,
        tied_embeddings: false,
        experts: None,
        shared_intermediate_size: 0,
        weights: WeightFormat::Bf16,
        weights_gib,
        max_model_len,
    }
}

const LLAMA_70B_SHAPE: Shape = [80, 8192, 64, 8, 128, 28672, 128_256];

/// Models of the tables. Architectures: the `config.json` of each; weights: vllm.md 2.2 and 2.3.
pub static KNOWN_MODELS: [KnownModel; 14] = [
    KnownModel {
        short: "gpt-oss-120b",
        name: "openai/gpt-oss-120b",
        same: &[],
        config: ModelConfig {
            experts: Some((128, 4)),
            weights: WeightFormat::Mxfp4,
            ..dense([36, 2880, 64, 8, 64, 2880, 201_088], 131_072, Some(64.4))
        },
    },
    KnownModel {
        short: "gpt-oss-20b",
        name: "openai/gpt-oss-20b",
        same: &[],
        config: ModelConfig {
            experts: Some((32, 4)),
            weights: WeightFormat::Mxfp4,
            ..dense([24, 2880, 64, 8, 64, 2880, 201_088], 131_072, Some(13.4))
        },
    },
    KnownModel {
        short: "llama-2-7b",
        name: "meta-llama/Llama-2-7b-hf",
        same: &["llama-2-7b", "llama-2-7b-chat-hf", "llama-2-7b-chat"],
        config: dense([32, 4096, 32, 32, 128, 11008, 32_000], 4096, None),
    },
    KnownModel {
        short: "llama-3.1-70b",
        name: "meta-llama/Llama-3.1-70B-Instruct",
        same: &["meta-llama-3.1-70b", "llama-3.3-70b"],
        config: dense(LLAMA_70B_SHAPE, 131_072, Some(131.4)),
    },
    KnownModel {
        short: "llama-3.1-70b-fp8",
        name: "Llama-3.1-70B-Instruct-FP8",
        same: &[
            "meta-llama-3.1-70b-instruct-fp8",
            "llama-3.3-70b-instruct-fp8",
            "llama-3.1-70b-instruct-fp8-dynamic",
            "meta-llama-3.1-70b-instruct-fp8-dynamic",
            "llama-3.3-70b-instruct-fp8-dynamic",
        ],
        config: ModelConfig { weights: WeightFormat::Fp8, ..dense(LLAMA_70B_SHAPE, 131_072, None) },
    },
    KnownModel {
        short: "llama-3.1-8b",
        name: "meta-llama/Llama-3.1-8B-Instruct",
        same: &["meta-llama-3.1-8b"],
        config: dense([32, 4096, 32, 8, 128, 14336, 128_256], 131_072, Some(14.96)),
    },
    KnownModel {
        short: "mistral-7b",
        name: "mistralai/Mistral-7B-Instruct-v0.3",
        same: &["mistral-7b-v0.3"],
        config: dense([32, 4096, 32, 8, 128, 14336, 32_768], 32_768, Some(13.5)),
    },
    KnownModel {
        short: "mistral-nemo-12b",
        name: "mistralai/Mistral-Nemo-Instruct-2407",
        same: &["mistral-nemo-base-2407"],
        config: dense([40, 5120, 32, 8, 128, 14336, 131_072], 131_072, None),
    },
    KnownModel {
        short: "qwen2.5-32b",
        name: "Qwen/Qwen2.5-32B-Instruct",
        same: &[],
        config: dense([64, 5120, 40, 8, 128, 27648, 152_064], 32_768, Some(61.0)),
    },
    KnownModel {
        short: "qwen2.5-72b",
        name: "Qwen/Qwen2.5-72B-Instruct",
        same: &[],
        config: dense([80, 8192, 64, 8, 128, 29568, 152_064], 32_768, Some(135.4)),
    },
    KnownModel {
        short: "qwen2.5-7b",
        name: "Qwen/Qwen2.5-7B-Instruct",
        same: &[],
        config: dense([28, 3584, 28, 4, 128, 18944, 152_064], 32_768, Some(14.19)),
    },
    KnownModel {
        short: "qwen3-30b-a3b",
        name: "Qwen/Qwen3-30B-A3B",
        same: &[],
        config: ModelConfig {
            experts: Some((128, 8)),
            ..dense([48, 2048, 32, 4, 128, 768, 151_936], 40_960, Some(56.9))
        },
    },
    KnownModel {
        short: "qwen3-32b",
        name: "Qwen/Qwen3-32B",
        same: &[],
        config: dense([64, 5120, 64, 8, 128, 25600, 151_936], 40_960, Some(61.0)),
    },
    KnownModel {
        short: "yi-34b",
        name: "01-ai/Yi-34B",
        same: &[],
        config: dense([60, 7168, 56, 8, 128, 20480, 64_000], 4096, None),
    },
];

/// The built-in architecture of the model `id`, by any of its names.
pub fn known_model(id: &str) -> Option<&'static KnownModel> {
    let key = last_part(id);
    KNOWN_MODELS
        .iter()
        .find(|model| last_part(model.name) == key || model.short == key || model.same.contains(&key.as_str()))
}

/// One key for all names of one architecture: two ids with the same key take the same profile.
pub fn model_key(id: &str) -> String {
    known_model(id).map_or_else(|| last_part(id), |model| model.short.to_owned())
}

/// The last part of a model's name, without case, and without the suffix that only says it is tuned for chat.
fn last_part(id: &str) -> String {
    let last = id.trim_end_matches('/').rsplit('/').next().unwrap_or(id).to_lowercase();
    last.strip_suffix("-instruct").map_or_else(|| last.clone(), str::to_owned)
}
