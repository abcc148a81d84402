//! The rows of `validation.md` as runs.

use crate::compared::{Case, Fitted, Quantity};
use crate::fits::{ColumnFit, MODEL, ROWS, SEEN};
use crate::measured::{Row, Table, table};
use kedasim::scenario::{ResolvedRun, profile_yaml};
use kedasim::traffic::{Arrivals, SharedText, Trace, TraceRow};
use kedasim::units::{SimDuration, SimTime};
use std::sync::Arc;

fn args<const N: usize>(args: [String; N]) -> Vec<String> {
    args.into()
}

/// Table 1: OPT-125M on CPU by its authors' calibration script: C workers send for 30 s, then all drains.
pub fn opt_125m(tables: &[Table]) -> Vec<Case> {
    let case = |row: Row<'_>| {
        let workers = row.count("C");
        Case {
            table: "1",
            group: "opt-125m on CPU".to_owned(),
            row: format!("C={workers}"),
            fitted: Fitted::OnIt,
            args: args(["facebook/opt-125m".to_owned(), "--max-model-len=512".to_owned()]),
            replica: "{profile: opt-125m-cpu}".to_owned(),
            profile: None,
            traffic: format!(
                "{{arrivals: {{closedLoop: {{workers: {workers}, think: 0s}}}}, prompt: {{constant: 15}}, output: {{geometric: \
                 {{hazard: 0.0049, max: 200}}}}, stop: 30s}}"
            ),
            adjust: None,
            seeds: 50,
            measured: vec![
                (Quantity::TokensPerSecond, row.number("total tok/s")),
                (Quantity::E2e, 1e3 * row.number("mean E2E s")),
            ],
        }
    };
    table(tables, "1", 5).into_iter().map(case).collect()
}

/// How a run of table 2 is simulated.
#[derive(Clone, Copy)]
pub struct OpenLoop {
    /// Gaps between arrivals are all the same instead of exponential.
    pub even: bool,
    /// The server caches prefixes; all requests share the system prompt.
    pub cached: bool,
}

impl OpenLoop {
    fn prefix_caching(self) -> &'static str {
        if self.cached { "--enable-prefix-caching" } else { "--no-enable-prefix-caching" }
    }
}

/// Table 2: H100, open loop, one stage each.
pub fn open_loop(tables: &[Table], how: OpenLoop) -> Vec<Case> {
    let rows = table(tables, "2", 21);
    let key = |row: Row<'_>| ["model", "TP", "bt", "workload"].map(|column| row.text(column).to_owned());
    let mut cases = Vec::new();
    for row in &rows {
        // Two stages of 600 s, or a single one of 1200 s.
        let stages = rows.iter().filter(|other| key(**other) == key(*row)).count();
        cases.push(stage(*row, if stages > 1 { 600 } else { 1200 }, how));
    }
    cases
}

/// Llama-4-Scout's text model as `Llama4TextConfig` of transformers has it; every layer is a mixture.
const SCOUT: &str = "{name: Llama-4-Scout-17B-16E-Instruct-FP8-dynamic, numHiddenLayers: 48, hiddenSize: 5120, \
                     numAttentionHeads: 40, numKeyValueHeads: 8, headDim: 128, intermediateSize: 8192, numExperts: 16, \
                     numExpertsPerTok: 1, sharedExpertIntermediateSize: 8192, vocabSize: 202048, \
                     maxPositionEmbeddings: 131072, weights: fp8}";

fn stage(row: Row<'_>, seconds: u64, how: OpenLoop) -> Case {
    let (model, tp, workload, rate) = (row.text("model"), row.count("TP"), row.text("workload"), row.number("rate"));
    let (name, [system, question, output]) = lengths(workload);
    let described = if model.starts_with("Llama-4-Scout") { SCOUT } else { model };
    let kernels = model == "Llama-3.1-70B-Instruct";
    let fitted = match (kernels, name, row.text("rate")) {
        (true, "general", "2.5") => Fitted::Partly("request overhead"),
        (true, ..) => Fitted::Kernels,
        (false, ..) => Fitted::Estimate,
    };
    let mut measured = vec![
        (Quantity::Ttft, row.number("TTFT mean")),
        (Quantity::TtftP90, row.number("p90")),
        (Quantity::TtftP99, row.number("p99")),
        (Quantity::Tpot, row.number("ITL mean")),
        (Quantity::E2e, row.number("E2E mean")),
        (Quantity::E2eP99, row.number("E2E p99")),
    ];
    if model == "Llama-2-7b-hf" {
        // Its requests end early: 247 tokens at the measured ITL would take longer than the measured E2E.
        measured.retain(|(quantity, _)| *quantity != Quantity::Tpot);
    }
    let stages = vec![(rate, seconds)];
    Case {
        table: "2",
        group: format!("{model} TP{tp}"),
        row: format!("{name} {rate}/s"),
        fitted,
        args: args([
            model.to_owned(),
            format!("--tensor-parallel-size={tp}"),
            "--max-num-seqs=128".to_owned(),
            format!("--max-num-batched-tokens={}", row.count("bt")),
            how.prefix_caching().to_owned(),
        ]),
        replica: format!(
            "{{model: {described}, gpu: H100-80G, tensorParallelSize: {tp}, kvBlocks: {}, vllmVersion: \"0.11\"}}",
            row.count("KV blocks")
        ),
        profile: None,
        traffic: format!(
            "{{arrivals: {{poisson: {{rate: {rate}}}}}, prompt: {{constant: {}}}, output: {{constant: {output}}}, stop: \
             {seconds}s}}",
            system + question
        ),
        adjust: Some(Box::new(move |run| recorded(run, &stages, system, how))),
        seeds: 1,
        measured,
    }
}

/// `general 100+447 -> 248`: a name; tokens of the system prompt, the question and the output.
fn lengths(workload: &str) -> (&str, [u32; 3]) {
    let (name, lengths) = workload.split_once(' ').expect("a name and lengths");
    let numbers: Vec<u32> = lengths.split(['+', '-', '>', ' ']).filter_map(|text| text.parse().ok()).collect();
    (name, numbers.try_into().unwrap_or_else(|_| panic!("found {lengths:?}, expected three lengths")))
}

/// Puts a trace in the place of the Poisson arrivals: stages of (rate, seconds), whose requests begin with the same `system`
/// tokens.
fn recorded(run: &mut ResolvedRun, stages: &[(f64, u64)], system: u32, how: OpenLoop) {
    use kedasim::traffic::LengthDistribution::Constant;
    let mut stream = run.seed.stream("fidelity-arrivals", 0);
    let spec = &mut run.traffic[0];
    let (Constant(prompt_tokens), Constant(output_tokens)) = (&spec.prompt, &spec.output) else {
        unreachable!("the lengths were written as constants")
    };
    let text = SharedText { ids: Arc::new([1]), tokens_per_id: system, tokens: system };
    let (mut rows, mut end) = (Vec::new(), SimTime::ZERO);
    for (rate, seconds) in stages {
        let mut at = end;
        end += SimDuration::from_secs(*seconds);
        while at < end {
            rows.push(TraceRow { at, prompt_tokens: *prompt_tokens, output_tokens: *output_tokens, max_tokens: None });
            let gap = if how.even { 1.0 } else { stream.exponential() };
            at += SimDuration::from_secs_f64(gap / rate);
        }
    }
    let texts = vec![Some(text); rows.len()];
    spec.arrivals = Arrivals::Recorded(Arc::new(Trace { name: "fidelity".to_owned(), rows, texts, notes: Vec::new() }));
}

/// `--max-num-seqs` of the older batch, whose servers do not state it: as that of the newer one.
pub const ASSUMED_SEQS: u32 = 128;

/// The older batch of table 2: both stages of a run in one mean; what its server was told is not stated.
pub fn older_open_loop(tables: &[Table], how: OpenLoop, seqs: u32) -> Vec<Case> {
    let workloads: Vec<&str> = table(tables, "2", 21).iter().map(|row| row.text("workload")).collect();
    let case = |row: Row<'_>| {
        let (model, tp) = (row.text("model"), row.count("TP"));
        let (name, rates) = row.text("workload").split_once(" (").expect("a name and rates");
        let rates: Vec<f64> = rates.split([' ', ')']).filter_map(|text| text.parse().ok()).collect();
        let seconds = if rates.len() > 1 { 600 } else { 1200 };
        let requests: f64 = rates.iter().map(|rate| rate * seconds as f64).sum();
        assert_eq!(requests, row.number("requests"), "{model} {name}: what the stages send");
        let stages: Vec<(f64, u64)> = rates.iter().map(|rate| (*rate, seconds)).collect();
        let workload =
            workloads.iter().find(|own| own.starts_with(name)).expect("the lengths are those of the table above");
        let (_, [system, question, output]) = lengths(workload);
        let described = ARCHITECTURES.iter().find(|(own, _)| *own == model).map_or(model, |(_, config)| config);
        Case {
            table: "2, older",
            group: format!("{model} TP{tp}"),
            row: row.text("workload").to_owned(),
            fitted: Fitted::Estimate,
            args: args([
                model.to_owned(),
                format!("--tensor-parallel-size={tp}"),
                format!("--max-num-seqs={seqs}"),
                "--max-num-batched-tokens=2048".to_owned(),
                how.prefix_caching().to_owned(),
            ]),
            replica: format!("{{model: {described}, gpu: H100-80G, tensorParallelSize: {tp}, vllmVersion: \"0.11\"}}"),
            profile: None,
            traffic: format!(
                "{{arrivals: {{poisson: {{rate: 1}}}}, prompt: {{constant: {}}}, output: {{constant: {output}}}, stop: 1200s}}",
                system + question
            ),
            adjust: Some(Box::new(move |run| recorded(run, &stages, system, how))),
            seeds: 1,
            measured: vec![(Quantity::Ttft, row.number("TTFT mean")), (Quantity::E2e, row.number("E2E mean"))],
        }
    };
    table(tables, "2", 10).into_iter().map(case).collect()
}

/// Architectures of the older batch that are not built in, from the `config.json` of each.
const ARCHITECTURES: [(&str, &str); 3] = [
    (
        "Llama-2-70B",
        "{name: Llama-2-70b-hf, numHiddenLayers: 80, hiddenSize: 8192, numAttentionHeads: 64, numKeyValueHeads: 8, \
         intermediateSize: 28672, vocabSize: 32000, maxPositionEmbeddings: 4096}",
    ),
    (
        "Mixtral-8x7B",
        "{name: Mixtral-8x7B-v0.1, numHiddenLayers: 32, hiddenSize: 4096, numAttentionHeads: 32, numKeyValueHeads: 8, \
         intermediateSize: 14336, numExperts: 8, numExpertsPerTok: 2, vocabSize: 32000, maxPositionEmbeddings: 32768}",
    ),
    (
        "CodeLlama-34B",
        "{name: CodeLlama-34b-hf, numHiddenLayers: 48, hiddenSize: 8192, numAttentionHeads: 64, numKeyValueHeads: 8, \
         intermediateSize: 22016, vocabSize: 32000, maxPositionEmbeddings: 16384}",
    ),
];

/// How a run of tables 4a and 4b is simulated.
#[derive(Clone, Copy)]
pub struct ClosedLoop {
    /// About how many requests each worker sends.
    pub requests: f64,
    /// `--async-scheduling`.
    pub ahead: bool,
    /// 16 bit per cached number whatever the fit's rule says.
    pub sixteen_bit: bool,
}

/// Tables 4a and 4b: Llama-3.1-70B FP8 on H100 and H200.
pub fn public_benchmark(tables: &[Table], fits: &[ColumnFit], how: ClosedLoop) -> Vec<Case> {
    let mut cases = Vec::new();
    for fit in fits {
        for (at, row) in table(tables, fit.column.section, ROWS).into_iter().enumerate() {
            cases.push(closed_loop(fit, at, row, how));
        }
    }
    cases
}

/// Lengths uniform in 0.8 to 1.0 of the nominal ones; about ten requests per worker, the next one sent as soon as one ends.
fn closed_loop(fit: &ColumnFit, at: usize, row: Row<'_>, how: ClosedLoop) -> Case {
    let column = fit.column;
    let name = row.text("ISL/OSL");
    let (input, output) = name.split_once('/').expect("two lengths");
    let [input, output] = [input, output].map(|text| text.parse::<u32>().expect("a length"));
    let (workers, tp) = (row.count("C"), column.gpus);
    let (ttft, tpot) = (row.number(&format!("TP{tp} TTFT")), row.number(&format!("TP{tp} TPOT")));
    // The last request is sent by whoever has ended all before it at the measured pace.
    let seconds = (how.requests - 0.5) * (ttft + tpot * 0.9 * f64::from(output)) / 1e3;
    let length = |nominal: u32| format!("{{uniform: {{min: {}, max: {nominal}}}}}", nominal * 4 / 5);
    let mut args = args([
        MODEL.to_owned(),
        format!("--tensor-parallel-size={tp}"),
        format!("--max-num-seqs={workers}"),
        "--max-num-batched-tokens=8192".to_owned(),
        "--no-enable-prefix-caching".to_owned(),
    ]);
    if how.ahead {
        args.push("--async-scheduling".to_owned());
    }
    if fit.is_eight_bit() && !how.sixteen_bit {
        args.push("--kv-cache-dtype=fp8".to_owned());
    }
    let gpu = if column.is_built_in { format!("gpu: {}, ", column.gpu) } else { String::new() };
    Case {
        table: column.section,
        group: column.name(),
        row: format!("{name} C={workers}"),
        fitted: if column.is_built_in || at < SEEN { Fitted::OnIt } else { Fitted::HeldOut },
        args,
        replica: format!("{{{gpu}vllmVersion: \"0.11\"}}"),
        profile: (!column.is_built_in).then(|| profile_yaml(&fit.seen.profile)),
        traffic: format!(
            "{{arrivals: {{closedLoop: {{workers: {workers}, think: 0s}}}}, prompt: {}, output: {}, stop: {seconds:.3}s}}",
            length(input),
            length(output)
        ),
        adjust: None,
        seeds: 3,
        measured: vec![(Quantity::Ttft, ttft), (Quantity::Tpot, tpot)],
    }
}

/// Table 5: Llama-3.1-8B on one H100, 128 tokens in and out, for 360 s.
pub fn guidellm(tables: &[Table]) -> Vec<Case> {
    let rows = table(tables, "5", 2);
    let first = |row: Row<'_>, column| {
        let text = row.text(column).split('/').next().unwrap_or_default().trim();
        text.parse::<f64>().unwrap_or_else(|_| panic!("table 5, {column}: found {text:?}"))
    };
    let case = |workers: u32, row: &str, length: &str, fitted, measured| Case {
        table: "5",
        group: "Llama-3.1-8B H100".to_owned(),
        row: row.to_owned(),
        fitted,
        args: args(["meta-llama/Llama-3.1-8B-Instruct".to_owned()]),
        replica: "{profile: llama-3.1-8b-h100, vllmVersion: \"0.10\"}".to_owned(),
        profile: None,
        traffic: format!(
            "{{arrivals: {{closedLoop: {{workers: {workers}, think: 0s}}}}, prompt: {length}, output: {length}, stop: \
             360s}}"
        ),
        adjust: None,
        seeds: 1,
        measured,
    };
    let (one, many) = (rows[0], rows[1]);
    let throughput = vec![
        (Quantity::Ttft, first(many, "TTFT")),
        (Quantity::Tpot, first(many, "ITL")),
        (Quantity::E2e, 1e3 * first(many, "request latency")),
        (Quantity::OutputPerSecond, first(many, "out tok/s")),
    ];
    let (same, varied) = ("{constant: 128}", "{uniform: {min: 115, max: 141}}");
    vec![
        case(1, "synchronous", same, Fitted::Partly("t0"), vec![(Quantity::Tpot, first(one, "ITL"))]),
        case(64, "throughput, 64 at once", same, Fitted::Kernels, throughput.clone()),
        case(64, "the same, lengths +-10 %", varied, Fitted::Kernels, throughput),
    ]
}
