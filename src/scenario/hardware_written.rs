//! `replica`: model, GPU and settings that decide on the profile or change its numbers, as written.

use crate::manifest::{Fields, Node, UnknownKeys, Value};
use crate::replica::{KvCacheDtype, ModelConfig, WeightFormat};
use crate::scenario::profile_file::check_knee;
use crate::scenario::values::{choice, count, non_negative, positive};
use crate::units::{Diagnostic, Diagnostics, Located};

/// The part of `replica` that decides on a profile.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HardwareWritten {
    /// `model`.
    pub model: Option<Located<ModelWritten>>,
    /// `gpu`: a GPU's name, or a node label's value.
    pub gpu: Option<Located<String>>,
    /// `tensorParallelSize`.
    pub tensor_parallel_size: Option<Located<u32>>,
    /// `stepTime`: single coefficients, by key, that replace the profile's.
    pub step_time: Vec<(&'static str, Located<f64>)>,
    /// `gpuMemoryUtilization`.
    pub gpu_memory_utilization: Option<Located<f64>>,
    /// `kvCacheDtype`.
    pub kv_cache_dtype: Option<Located<KvCacheDtype>>,
}

/// `replica.model`.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelWritten {
    /// A model's id, such as `Qwen/Qwen2.5-7B-Instruct`.
    Id(String),
    /// An architecture, with its name.
    Config(String, Box<ModelConfig>),
}

/// Coefficients that `stepTime` takes.
pub(super) const COEFFICIENTS: [&str; 7] =
    ["t0Ms", "wMs", "cpUsPerToken", "caNsPerPair", "ckNsPerToken", "csUsPerSeq", "knee"];

/// Names of the cache's data types, as `--kv-cache-dtype` has them. Those of fewer bits are not modelled.
pub(super) const CACHE_TYPES: [(&str, KvCacheDtype); 6] = [
    ("auto", KvCacheDtype::Auto),
    ("bfloat16", KvCacheDtype::Auto),
    ("float16", KvCacheDtype::Auto),
    ("fp8", KvCacheDtype::Fp8),
    ("fp8_e4m3", KvCacheDtype::Fp8),
    ("fp8_e5m2", KvCacheDtype::Fp8),
];

pub(super) const WEIGHT_FORMATS: [(&str, WeightFormat); 3] =
    [("bf16", WeightFormat::Bf16), ("fp8", WeightFormat::Fp8), ("mxfp4", WeightFormat::Mxfp4)];

/// Reads the keys of `replica` that stand in [`HardwareWritten`].
pub(super) fn read_hardware(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> HardwareWritten {
    let mut written = HardwareWritten {
        model: fields.node("model").and_then(|node| read_model(node, fields, diagnostics)),
        gpu: fields.string("gpu", diagnostics),
        tensor_parallel_size: count(fields, "tensorParallelSize", diagnostics),
        step_time: Vec::new(),
        gpu_memory_utilization: positive(fields, "gpuMemoryUtilization", diagnostics),
        kv_cache_dtype: choice(fields, "kvCacheDtype", &CACHE_TYPES, &[], diagnostics),
    };
    if let Some(given) = written.gpu_memory_utilization.take_if(|given| given.value > 1.0) {
        let message = format!("found {}, expected a share above 0 and at most 1", given.value);
        diagnostics.push(Diagnostic::error(given.span, fields.path_of("gpuMemoryUtilization"), message));
    }
    if let Some(mut inner) = fields.fields("stepTime", diagnostics) {
        for key in COEFFICIENTS {
            if let Some(given) = non_negative(&mut inner, key, diagnostics) {
                if key == "knee" {
                    check_knee(&given, &inner.path_of(key), diagnostics);
                }
                written.step_time.push((key, given));
            }
        }
        inner.finish(UnknownKeys::Error, diagnostics);
    }
    written
}

/// An id, or a mapping with the names of `config.json` in camel case.
fn read_model(node: &Node, fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<Located<ModelWritten>> {
    if !matches!(node.value, Value::Map(_)) {
        return fields.string("model", diagnostics).map(|id| id.map(ModelWritten::Id));
    }
    let mut inner = Fields::of(node, &fields.path_of("model"), diagnostics)?;
    let name = inner.string("name", diagnostics);
    let name = inner.required("name", name, diagnostics);
    let config = read_config(&mut inner, diagnostics);
    inner.finish(UnknownKeys::Error, diagnostics);
    Some(Located::new(ModelWritten::Config(name?.value, Box::new(config?)), node.span.clone()))
}

fn read_config(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<ModelConfig> {
    let mut size = |key: &'static str, largest: i64, is_required: bool| {
        let given = fields.integer(key, 1..=largest, diagnostics);
        let given = if is_required { fields.required(key, given, diagnostics) } else { given };
        given.map(|given| given.map(|value| u32::try_from(value).expect("the bounds fit 32 bits")))
    };
    let layers = size("numHiddenLayers", 1_000, true);
    let hidden_size = size("hiddenSize", 1_000_000, true);
    let heads = size("numAttentionHeads", 10_000, true);
    let kv_heads = size("numKeyValueHeads", 10_000, true);
    let head_dim = size("headDim", 10_000, false);
    let intermediate_size = size("intermediateSize", 10_000_000, true);
    let vocab_size = size("vocabSize", 100_000_000, true);
    let max_model_len = size("maxPositionEmbeddings", 1_000_000_000, true);
    let experts = (size("numExperts", 100_000, false), size("numExpertsPerTok", 100_000, false));
    let shared = size("sharedExpertIntermediateSize", 10_000_000, false);
    let weights_gib = positive(fields, "weightsGiB", diagnostics);
    let tied = fields.boolean("tieWordEmbeddings", diagnostics).is_some_and(|given| given.value);
    let weights = choice(fields, "weights", &WEIGHT_FORMATS, &[], diagnostics);
    let experts = match experts {
        (None, None) => None,
        (Some(all), Some(each)) if each.value <= all.value => Some((all.value, each.value)),
        (Some(given), _) | (None, Some(given)) => {
            let message = "expected both numExperts and numExpertsPerTok, the latter not the larger";
            diagnostics.push(Diagnostic::error(given.span, fields.path_of("numExperts"), message));
            return None;
        }
    };
    if let (Some(given), None) = (&shared, experts) {
        let message = "expected numExperts and numExpertsPerTok beside it";
        diagnostics.push(Diagnostic::error(
            given.span.clone(),
            fields.path_of("sharedExpertIntermediateSize"),
            message,
        ));
        return None;
    }
    let (hidden_size, heads) = (hidden_size?.value, heads?);
    let kv_heads = kv_heads?;
    if kv_heads.value > heads.value || !heads.value.is_multiple_of(kv_heads.value) {
        let message = format!("found {} KV heads, expected a divisor of the {} heads", kv_heads.value, heads.value);
        diagnostics.push(Diagnostic::error(kv_heads.span, fields.path_of("numKeyValueHeads"), message));
        return None;
    }
    let head_dim = head_dim.map_or(hidden_size / heads.value, |given| given.value);
    if head_dim == 0 {
        let message =
            format!("found {} heads in a hidden size of {hidden_size}, expected at most as many", heads.value);
        diagnostics.push(Diagnostic::error(heads.span, fields.path_of("numAttentionHeads"), message));
        return None;
    }
    Some(ModelConfig {
        layers: layers?.value,
        hidden_size,
        heads: heads.value,
        kv_heads: kv_heads.value,
        head_dim,
        intermediate_size: intermediate_size?.value,
        vocab_size: vocab_size?.value,
        tied_embeddings: tied,
        experts,
        shared_intermediate_size: shared.map_or(0, |given| given.value),
        weights: weights.map_or(WeightFormat::Bf16, |given| given.value),
        weights_gib: weights_gib.map(|given| given.value),
        max_model_len: max_model_len?.value,
    })
}

/// An architecture as the value of `replica.model`.
pub(super) fn model_yaml(name: &str, config: &ModelConfig) -> String {
    let experts = config.experts.map(|(all, each)| format!(", numExperts: {all}, numExpertsPerTok: {each}"));
    let shared = match config.shared_intermediate_size {
        0 => String::new(),
        size => format!(", sharedExpertIntermediateSize: {size}"),
    };
    let gib = config.weights_gib.map(|gib| format!(", weightsGiB: {gib}"));
    let weights = WEIGHT_FORMATS.iter().find(|(_, format)| *format == config.weights).map_or("bf16", |(word, _)| word);
    format!(
        "{{name: {name}, numHiddenLayers: {}, hiddenSize: {}, numAttentionHeads: {}, numKeyValueHeads: {}, headDim: {}, \
         intermediateSize: {}, vocabSize: {}, tieWordEmbeddings: {}, maxPositionEmbeddings: {}{}{shared}{}, weights: {weights}}}",
        config.layers,
        config.hidden_size,
        config.heads,
        config.kv_heads,
        config.head_dim,
        config.intermediate_size,
        config.vocab_size,
        config.tied_embeddings,
        config.max_model_len,
        experts.unwrap_or_default(),
        gib.unwrap_or_default(),
    )
}
