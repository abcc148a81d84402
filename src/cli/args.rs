//! The command line as typed.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// kedasim: runs a KEDA ScaledObject against simulated LLM traffic and says whether it flaps, misses its latency goals or
/// wastes GPUs.
#[derive(Debug, Parser)]
#[command(name = "kedasim", version, about, long_about = None, max_term_width = 100)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run one policy in one scenario and say how it went.
    Simulate(Box<SimulateArgs>),
    /// Run a grid of settings, the same traffic for every point.
    Sweep(SweepArgs),
    /// Compare policies on the same traffic with each other, with fixed fleets and with perfect foresight.
    Compare(Box<CompareArgs>),
    /// Say which steady loads make a policy settle, cycle or jitter.
    Stability(Box<StabilityArgs>),
    /// Say what the API server, KEDA and Prometheus will say to manifests, without running anything.
    Lint(LintArgs),
    /// Redraw the pictures of a run or a sweep.
    Plot(PlotArgs),
    /// Say why a run scaled, or did not, at one moment: samples, query, proposal, windows, policies, bounds, pods.
    Explain(ExplainArgs),
    /// Write all that Prometheus stored in a run, for a real Prometheus.
    Export(ExportArgs),
    /// Fit a profile to measurements of one replica, and say what threshold they imply.
    Calibrate(CalibrateArgs),
    /// List the built-in profiles, or print one as a file to copy and edit.
    Profiles(ProfilesArgs),
    /// Replay vectors recorded from the real components.
    Conformance(ConformanceArgs),
}

#[derive(Debug, Args)]
pub(super) struct SimulateArgs {
    /// The policy: folders, YAML files, or - for standard input.
    #[arg(required = true, value_name = "POLICY")]
    pub(super) policy: Vec<PathBuf>,
    /// Which ScaledObject, when there are several.
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<String>,
    /// A file with a `kind: Scenario`; replaces one that stands beside the policy.
    #[arg(long, value_name = "FILE")]
    pub(super) scenario: Option<PathBuf>,
    /// A `kind: Traffic` file or a recorded trace (CSV, JSONL).
    #[arg(long, value_name = "FILE")]
    pub(super) traffic: Option<PathBuf>,
    /// A file with the series of triggers that cannot be simulated; replaces `signals` of the Scenario.
    #[arg(long, value_name = "FILE")]
    pub(super) signals: Option<PathBuf>,
    /// A built-in profile's name, or a `kind: Profile` file.
    #[arg(long, value_name = "PROFILE")]
    pub(super) profile: Option<String>,
    /// How long to simulate, e.g. 30m; by default until the traffic has ended and the replicas have settled.
    #[arg(long, value_name = "DURATION")]
    pub(super) duration: Option<String>,
    /// The seed of all random numbers.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    #[arg(value_parser = seed)]
    pub(super) seed: Option<u64>,
    /// Run N seeds, from the seed upwards, and give means with 95 % intervals; gates then judge what all of them say.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) replications: Option<u32>,
    /// Change one value of the policy or scenario, e.g. 'spec.triggers[0].metadata.threshold=6' or 'Scenario:spec.seed=2'.
    #[arg(long, value_name = "PATH=VALUE")]
    pub(super) set: Vec<String>,
    /// A limit that decides the exit code, e.g. flapsPerHour=1, sloAttainment=0.99, gpuHours=40, failedRequests=0.
    #[arg(long, value_name = "NAME=LIMIT")]
    pub(super) gate: Vec<String>,
    /// Switch autoscaling off and keep N replicas.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    #[arg(value_parser = clap::value_parser!(i32).range(0..=10_000))]
    pub(super) fixed_replicas: Option<i32>,
    /// Where it flaps, run it again with each suspected cause taken away and with an edit of the policy, the same five seeds
    /// each (at most 40 runs), and say which cause is confirmed and what the edit costs.
    #[arg(long)]
    pub(super) confirm: bool,
    /// Check every invariant after every event (slow).
    #[arg(long)]
    pub(super) check: bool,
    /// Exit with 1 when a finding is at least this bad.
    #[arg(long, value_name = "LEVEL", default_value = "never")]
    pub(super) fail_on: FailOn,
    /// Where to write the run; by default output/<policy>-<scenario>-<seed>, with --traffic output/<policy>-<scenario>+<traffic>-<seed>.
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// What to print.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(super) format: Format,
}

/// A seed, as a Scenario may have it.
fn seed(text: &str) -> Result<u64, String> {
    let seed = text.parse::<u64>().ok().filter(|seed| i64::try_from(*seed).is_ok());
    seed.ok_or_else(|| format!("expected a whole number from 0 to {}", i64::MAX))
}

#[derive(Debug, Args)]
pub(super) struct CompareArgs {
    /// The policies: one folder or YAML file each, or - for standard input; the first is the baseline.
    #[arg(required = true, value_name = "POLICY")]
    pub(super) policies: Vec<PathBuf>,
    /// Which ScaledObject, when there are several in each.
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<String>,
    /// A file with a `kind: Scenario` for all policies; replaces those that stand beside them.
    #[arg(long, value_name = "FILE")]
    pub(super) scenario: Option<PathBuf>,
    /// A `kind: Traffic` file or a recorded trace (CSV, JSONL) for all policies.
    #[arg(long, value_name = "FILE")]
    pub(super) traffic: Option<PathBuf>,
    /// A file with the series of triggers that cannot be simulated; replaces `signals` of the Scenario.
    #[arg(long, value_name = "FILE")]
    pub(super) signals: Option<PathBuf>,
    /// A built-in profile's name, or a `kind: Profile` file.
    #[arg(long, value_name = "PROFILE")]
    pub(super) profile: Option<String>,
    /// How long to simulate, e.g. 30m; by default until the traffic has ended and the last policy has settled.
    #[arg(long, value_name = "DURATION")]
    pub(super) duration: Option<String>,
    /// The first seed.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    #[arg(value_parser = seed)]
    pub(super) seed: Option<u64>,
    /// Run N seeds, from the seed upwards, the same for everything that is compared; 5 unless the Scenario says how many.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) replications: Option<u32>,
    /// Change one value of the scenario or of every policy, e.g. 'Scenario:spec.slo.ttft.p95=2s'.
    #[arg(long, value_name = "PATH=VALUE")]
    pub(super) set: Vec<String>,
    /// A limit that decides the exit code, for every policy, e.g. flapsPerHour=1, sloAttainment=0.99, gpuHours=40; what is
    /// gated is tested together.
    #[arg(long, value_name = "NAME=LIMIT")]
    pub(super) gate: Vec<String>,
    /// Check every invariant of the policies' runs after every event (slow).
    #[arg(long)]
    pub(super) check: bool,
    /// Exit with 1 when a finding is at least this bad.
    #[arg(long, value_name = "LEVEL", default_value = "never")]
    pub(super) fail_on: FailOn,
    /// Where to write the comparison; by default output/compare-<policies>-<scenario>-seeds-<first>-<last>.
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// What to print.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(super) format: Format,
}

#[derive(Debug, Args)]
pub(super) struct StabilityArgs {
    /// The policy: folders, YAML files, or - for standard input.
    #[arg(required = true, value_name = "POLICY")]
    pub(super) policy: Vec<PathBuf>,
    /// Lowest steady load, requests per second; by default a fifth of one replica's share of the threshold, or a fiftieth of
    /// what one replica completes where no trigger counts work.
    #[arg(long, value_name = "R", allow_negative_numbers = true)]
    pub(super) from: Option<f64>,
    /// Highest steady load, requests per second; by default 1.2 times the share of maxReplicas (at most 20), or 1.1 times what
    /// they complete.
    #[arg(long, value_name = "R", allow_negative_numbers = true)]
    pub(super) to: Option<f64>,
    /// How many loads between them; by default 40, fewer where requests are many. Edges are looked for between them.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    #[arg(value_parser = clap::value_parser!(u32).range(2..=1000))]
    pub(super) steps: Option<u32>,
    /// Seeds of each load, from the seed upwards.
    #[arg(long, value_name = "N", default_value_t = 5, allow_negative_numbers = true)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(super) seeds: u64,
    /// Draw the survival map too: jumps of the load against start-up times.
    #[arg(long)]
    pub(super) survival: bool,
    /// The survival map's jumps, requests per second before and after, e.g. 2:6 or 2:4,2:6; by default 1.25 to 10 times 0.8 of
    /// a replica's share. Draws the map.
    #[arg(long, value_name = "R:R", value_delimiter = ',', value_parser = load_jump)]
    pub(super) from_to: Vec<(f64, f64)>,
    /// The survival map's start-up times, whole seconds, e.g. 0,60,300; by default 0 to 900. Draws the map.
    #[arg(long, value_name = "SECONDS", value_delimiter = ',')]
    pub(super) startup: Vec<u64>,
    /// Which ScaledObject, when there are several.
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<String>,
    /// A file with a `kind: Scenario`; replaces one that stands beside the policy.
    #[arg(long, value_name = "FILE")]
    pub(super) scenario: Option<PathBuf>,
    /// A `kind: Traffic` file or a recorded trace (CSV, JSONL), whose lengths the steady loads have.
    #[arg(long, value_name = "FILE")]
    pub(super) traffic: Option<PathBuf>,
    /// A file with the series of triggers that cannot be simulated; replaces `signals` of the Scenario.
    #[arg(long, value_name = "FILE")]
    pub(super) signals: Option<PathBuf>,
    /// A built-in profile's name, or a `kind: Profile` file.
    #[arg(long, value_name = "PROFILE")]
    pub(super) profile: Option<String>,
    /// The first seed.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    #[arg(value_parser = seed)]
    pub(super) seed: Option<u64>,
    /// Change one value of the policy or scenario, e.g. 'spec.triggers[0].metadata.threshold=6'.
    #[arg(long, value_name = "PATH=VALUE")]
    pub(super) set: Vec<String>,
    /// How many threads; 0 means all cores. The result does not depend on it.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) jobs: usize,
    /// Exit with 1 when a finding is at least this bad.
    #[arg(long, value_name = "LEVEL", default_value = "never")]
    pub(super) fail_on: FailOn,
    /// Where to write the map; by default output/stability-<policy>-<scenario>-<seed>.
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// What to print.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(super) format: Format,
}

#[derive(Debug, Args)]
pub(super) struct SweepArgs {
    /// A file with a `kind: Sweep`.
    #[arg(value_name = "SWEEP.yaml")]
    pub(super) sweep: PathBuf,
    /// How many threads; 0 means all cores. The result does not depend on it.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) jobs: usize,
    /// Where to write the sweep; by default output/sweep-<name>.
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct LintArgs {
    /// What to judge: folders, YAML files, or - for standard input.
    #[arg(required_unless_present = "rules", value_name = "POLICY")]
    pub(super) policy: Vec<PathBuf>,
    /// Report only objects of this name.
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<String>,
    /// The Kubernetes version whose HPA is meant; by default 1.36.
    #[arg(long, value_name = "V")]
    pub(super) kubernetes_version: Option<String>,
    /// The KEDA release; by default 2.20.2.
    #[arg(long, value_name = "V")]
    pub(super) keda_version: Option<String>,
    /// Exit with 1 when a message is at least this bad.
    #[arg(long, value_name = "LEVEL", default_value = "error")]
    pub(super) fail_on: FailOn,
    /// Leave this rule out, e.g. L-09; may be given several times. In a file: # kedasim:ignore L-09.
    #[arg(long, value_name = "CODE")]
    pub(super) ignore: Vec<String>,
    /// Write NAME.fixed.yaml beside each NAME.yaml in which something has a safe edit.
    #[arg(long)]
    pub(super) fix: bool,
    /// List the rules instead.
    #[arg(long, conflicts_with_all = ["fix", "ignore", "name", "policy"])]
    pub(super) rules: bool,
    /// What to print: for people, for scripts, for code scanning, as annotations of a GitHub job.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(super) format: LintReportFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LintReportFormat {
    Text,
    Json,
    Sarif,
    Github,
}

#[derive(Debug, Args)]
pub(super) struct PlotArgs {
    /// A folder that `simulate` or `sweep` has written.
    #[arg(value_name = "RUN_DIR|SWEEP_DIR")]
    pub(super) dir: PathBuf,
    /// Which format; by default both.
    #[arg(long, value_name = "FORMAT")]
    pub(super) format: Option<PlotFormatArg>,
    /// Where to write the pictures; by default the folder's own plots/.
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// A folder that `simulate` has written.
    #[arg(value_name = "RUN_DIR")]
    pub(super) run_dir: PathBuf,
    /// The moment, since the run's start: 12m30s, or seconds.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(super) at: String,
    /// What to print.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(super) format: LintFormat,
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("files").required(true).multiple(true)))]
pub(super) struct ExportArgs {
    /// A folder that `simulate` has written.
    #[arg(value_name = "RUN_DIR")]
    pub(super) run_dir: PathBuf,
    /// Write remote-write requests in order of visibility, staleness markers included.
    #[arg(long, value_name = "FILE", group = "files")]
    pub(super) remote_write: Option<PathBuf>,
    /// Write OpenMetrics text for promtool's backfill, without staleness markers.
    #[arg(long, value_name = "FILE", group = "files")]
    pub(super) openmetrics: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct CalibrateArgs {
    /// Results of `vllm bench serve --save-result`, guidellm's JSON, a CSV, or what calibrate.py printed.
    #[arg(required = true, value_name = "MEASUREMENTS")]
    pub(super) measurements: Vec<PathBuf>,
    /// Measurements to judge the fit by: compared, not fitted.
    #[arg(long, value_name = "MEASUREMENTS")]
    pub(super) holdout: Vec<PathBuf>,
    /// Where to start, and what stays where the data say nothing: a built-in profile's name, or a `kind: Profile` file.
    #[arg(long, value_name = "PROFILE", conflicts_with_all = ["model", "gpu", "gpus"])]
    pub(super) prior: Option<String>,
    /// Instead of --prior: the built-in profile of this model ...
    #[arg(long, value_name = "MODEL", requires = "gpu")]
    pub(super) model: Option<String>,
    /// ... on this GPU (else an estimate).
    #[arg(long, value_name = "GPU", requires = "model")]
    pub(super) gpu: Option<String>,
    /// GPUs per replica, with --model and --gpu.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "model")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(super) gpus: u32,
    /// Mean prompt tokens, where the files do not tell.
    #[arg(long, value_name = "N")]
    pub(super) prompt_tokens: Option<f64>,
    /// Mean output tokens, where the files do not tell.
    #[arg(long, value_name = "N")]
    pub(super) output_tokens: Option<f64>,
    /// Outputs ended at random, at the latest here (by default all were equally long).
    #[arg(long, value_name = "N", conflicts_with = "length_range")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000_000))]
    pub(super) max_tokens: Option<u32>,
    /// Lengths were uniform between these multiples of the nominal ones, e.g. 0.8:1.
    #[arg(long, value_name = "LOW:HIGH")]
    #[arg(value_parser = length_range)]
    pub(super) length_range: Option<(f64, f64)>,
    /// The vLLM release that was measured; by default the newest that is modelled.
    #[arg(long, value_name = "V")]
    #[arg(value_parser = vllm_version)]
    pub(super) vllm_version: Option<(u32, u32)>,
    /// Latency goals that one replica must keep, e.g. ttft=2s,tpot.p99=100ms,e2e.mean=30s; p95 unless said.
    #[arg(long, value_name = "GOALS")]
    pub(super) slo: Option<String>,
    /// Write the profile here.
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
    /// What to print.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(super) format: LintFormat,
}

/// `2:6`.
fn load_jump(text: &str) -> Result<(f64, f64), String> {
    let parsed = text.split_once(':').and_then(|(from, to)| Some((from.trim().parse().ok()?, to.trim().parse().ok()?)));
    parsed.ok_or_else(|| "expected two loads in requests per second, e.g. 2:6".to_owned())
}

/// `0.8:1`.
fn length_range(text: &str) -> Result<(f64, f64), String> {
    let parsed = text.split_once(':').and_then(|(low, high)| Some((low.parse().ok()?, high.parse().ok()?)));
    let valid = |(low, high): &(f64, f64)| *low > 0.0 && low <= high && *high <= 1000.0;
    parsed.filter(valid).ok_or_else(|| "expected two multiples, the lower first, e.g. 0.8:1".to_owned())
}

/// `0.33`, or with a patch release; as `vllmVersion` of a Scenario.
fn vllm_version(text: &str) -> Result<(u32, u32), String> {
    let numbers: Result<Vec<u32>, _> = text.trim_start_matches('v').split('.').map(str::parse).collect();
    let numbers = numbers.ok().filter(|numbers| numbers.len() <= 3).ok_or("expected a release such as 0.33")?;
    Ok(crate::scenario::vllm_version(&numbers)?)
}

#[derive(Debug, Args)]
pub(super) struct ProfilesArgs {
    /// Print this profile as YAML.
    #[arg(value_name = "NAME")]
    pub(super) name: Option<String>,
    /// What to print: the table (of one profile its YAML), or JSON.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(super) format: LintFormat,
}

#[derive(Debug, Args)]
pub(super) struct ConformanceArgs {
    /// Which component.
    pub(super) component: Component,
    /// Files of recorded vectors (JSON lines).
    #[arg(required = true, value_name = "FILES")]
    pub(super) files: Vec<PathBuf>,
    /// The component's version, e.g. 1.32 (hpa) or 2.55 (promql).
    #[arg(long, value_name = "V")]
    pub(super) version: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum FailOn {
    Error,
    Warning,
    Note,
    Undecided,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Text,
    Json,
    Markdown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LintFormat {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum PlotFormatArg {
    Svg,
    Png,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Component {
    Hpa,
    Promql,
}
