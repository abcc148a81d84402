//! One measured row, the run that stands for it, and what came out.

use kedasim::manifest::Bundle;
use kedasim::record::{LatencyHistogram, RunRecord};
use kedasim::scenario::{Overrides, ResolvedRun, resolve};
use kedasim::sim::simulate;
use kedasim::units::Seed;
use std::fmt;

/// Where the numbers of a row's profile come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fitted {
    /// Coefficients were fitted to this very row, among others.
    OnIt,
    /// One coefficient was read off this row.
    Partly(&'static str),
    /// From measured kernels; no serving run had a part.
    Kernels,
    /// Computed from architecture and data sheet.
    Estimate,
    /// Coefficients were fitted to other rows of its column, without sight of this one.
    HeldOut,
}

impl fmt::Display for Fitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fitted::OnIt => f.write_str("fitted on it"),
            Fitted::Partly(what) => write!(f, "{what} from it"),
            Fitted::Kernels => f.write_str("not (kernels)"),
            Fitted::Estimate => f.write_str("not (estimate)"),
            Fitted::HeldOut => f.write_str("held out"),
        }
    }
}

/// What was measured of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    Ttft,
    TtftP90,
    TtftP99,
    /// Mean over requests of the time per output token, which is the ITL of the tables: all requests have about the same length.
    Tpot,
    E2e,
    E2eP99,
    /// Prompt and output tokens of completed requests per second, from the first one sent to the last one completed.
    TokensPerSecond,
    /// The same of output tokens.
    OutputPerSecond,
}

impl Quantity {
    pub fn name(self) -> &'static str {
        match self {
            Quantity::Ttft => "TTFT",
            Quantity::TtftP90 => "TTFT p90",
            Quantity::TtftP99 => "TTFT p99",
            Quantity::Tpot => "TPOT",
            Quantity::E2e => "E2E",
            Quantity::E2eP99 => "E2E p99",
            Quantity::TokensPerSecond => "tok/s",
            Quantity::OutputPerSecond => "output tok/s",
        }
    }

    /// In ms, or tokens per second.
    fn of(self, record: &RunRecord) -> f64 {
        let own = &record.latencies;
        let mean = |histogram: &LatencyHistogram| 1e3 * histogram.mean_seconds().expect("requests ended");
        let quantile = |histogram: &LatencyHistogram, q| 1e3 * histogram.quantile_seconds(q).expect("requests ended");
        match self {
            Quantity::Ttft => mean(&own.ttft),
            Quantity::TtftP90 => quantile(&own.ttft, 0.9),
            Quantity::TtftP99 => quantile(&own.ttft, 0.99),
            Quantity::Tpot => mean(&own.tpot),
            Quantity::E2e => mean(&own.e2e),
            Quantity::E2eP99 => quantile(&own.e2e, 0.99),
            Quantity::TokensPerSecond => {
                per_second(record, record.tokens.prompt_completed + record.tokens.generated_completed)
            }
            Quantity::OutputPerSecond => per_second(record, record.tokens.generated_completed),
        }
    }
}

fn per_second(record: &RunRecord, tokens: u64) -> f64 {
    let (first, last) = (record.tokens.first_sent, record.tokens.last_completed);
    tokens as f64 / last.expect("some completed").since(first.expect("some were sent")).as_secs_f64_exact()
}

/// A change to a resolved run.
pub type Adjust = Box<dyn Fn(&mut ResolvedRun) + Send + Sync>;

/// A measured row and the run that stands for it.
pub struct Case {
    /// Of `validation.md`: `4a`.
    pub table: &'static str,
    /// What errors are averaged over: a column of the table, or a model.
    pub group: String,
    /// The row within its group.
    pub row: String,
    pub fitted: Fitted,
    /// Arguments of `vllm serve`, as the run's authors give them.
    pub args: Vec<String>,
    /// Profile or model, and the cache: the Scenario's `replica`.
    pub replica: String,
    /// A `kind: Profile` beside the Scenario, where the profile is not built in.
    pub profile: Option<String>,
    /// The Scenario's `traffic`.
    pub traffic: String,
    /// Changes the traffic where a Scenario has no words for it.
    pub adjust: Option<Adjust>,
    pub seeds: u64,
    pub measured: Vec<(Quantity, f64)>,
}

/// A case and what its run came to, in the order of `measured`.
pub struct Outcome {
    pub case: Case,
    /// Name of the profile that the run had.
    pub profile: String,
    pub simulated: Vec<f64>,
}

impl Outcome {
    /// (measured, simulated).
    pub fn pair(&self, quantity: Quantity) -> Option<(f64, f64)> {
        let at = self.case.measured.iter().position(|(own, _)| *own == quantity)?;
        Some((self.case.measured[at].1, self.simulated[at]))
    }

    /// Relative error in percent.
    pub fn error(&self, quantity: Quantity) -> Option<f64> {
        self.pair(quantity).map(|(measured, simulated)| 100.0 * (simulated / measured - 1.0))
    }

    /// The row's name.
    pub fn name(&self) -> String {
        format!("{} / {} / {}", self.case.table, self.case.group, self.case.row)
    }
}

/// A policy, which has no part in a run with fixed replicas.
const POLICY: &str = r#"apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: fidelity}
spec:
  scaleTargetRef: {name: vllm}
  triggers:
    - {type: cron, metadata: {timezone: UTC, start: 0 6 * * *, end: 0 7 * * *, desiredReplicas: "1"}}
"#;

fn resolved(case: &Case, seed: u64) -> ResolvedRun {
    let args: String = case.args.iter().map(|arg| format!(", {arg:?}")).collect();
    let server = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: vllm}}\nspec:\n  selector: {{matchLabels: {{app: vllm}}}}\n  \
         template:\n    metadata: {{labels: {{app: vllm}}}}\n    spec: {{containers: [{{name: server, args: [serve{args}]}}]}}\n"
    );
    let scenario = format!(
        "apiVersion: kedasim.dev/v1alpha1\nkind: Scenario\nmetadata: {{name: fidelity}}\nspec:\n  replica: {}\n  traffic: {}\n  \
         router: {{policy: least-requests, latency: 0s}}\n  client: {{timeout: 24h}}\n",
        case.replica, case.traffic
    );
    let profile = case.profile.as_deref().map(|profile| format!("---\n{profile}")).unwrap_or_default();
    let bundle = Bundle::from_text(&format!("{POLICY}---\n{server}---\n{scenario}{profile}"), "fidelity.yaml")
        .unwrap_or_else(|errors| panic!("{} {}: {errors}", case.table, case.row));
    let overrides = Overrides { fixed_replicas: Some(1), seed: Some(Seed(seed)), ..Overrides::default() };
    let mut run = resolve(&bundle, &overrides).unwrap_or_else(|errors| panic!("{} {}: {errors}", case.table, case.row));
    if let Some(adjust) = &case.adjust {
        adjust(&mut run);
    }
    run
}

/// Runs the case with its seeds; means over them.
pub fn run(case: Case) -> Outcome {
    let mut sums = vec![0.0; case.measured.len()];
    let mut profile = String::new();
    for seed in 1..=case.seeds {
        let run = resolved(&case, seed);
        let record = simulate(&run, false).unwrap_or_else(|error| panic!("{} {}: {error}", case.table, case.row));
        let requests = record.requests;
        assert!(
            requests.total > 0 && requests.completed == requests.total,
            "{} {}: {requests:?}",
            case.table,
            case.row
        );
        for (sum, (quantity, _)) in sums.iter_mut().zip(&case.measured) {
            *sum += quantity.of(&record);
        }
        profile = run.profile;
    }
    let simulated = sums.iter().map(|sum| sum / case.seeds as f64).collect();
    Outcome { case, profile, simulated }
}
