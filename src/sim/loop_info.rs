//! What conclusions need to know of the loop's settings and of the load, from the resolved run.

use crate::hpa::{Policy, PolicyKind, ScalingRules, SelectPolicy};
use crate::prometheus::query_shape;
use crate::record::{Counted, LoadInfo, LoadStep, LoopInfo, QueryInfo};
use crate::scenario::{MetricSource, ResolvedRun};
use crate::traffic::{Arrivals, TrafficSpec};
use crate::units::{Seed, SimDuration, SimTime};

/// Draws from which the variation of lengths is estimated, always the same ones.
const SIZE_DRAWS: u32 = 4000;

/// The loop's settings and the load of `run`.
pub fn loop_info(run: &ResolvedRun) -> LoopInfo {
    loop_info_under(run, load_info(&run.traffic))
}

/// The loop's settings of `run`, whose load is known.
pub(super) fn loop_info_under(run: &ResolvedRun, load: LoadInfo) -> LoopInfo {
    let hpa = &run.kubernetes.hpa;
    let windows = hpa.behavior.as_ref().map(|(up, down)| (up.stabilization_window, down.stabilization_window));
    let (up, down) = windows.unwrap_or((SimDuration::ZERO, run.kubernetes.flags.downscale_stabilization));
    let keda = run.keda.as_ref().map(|keda| &keda.scaled_object);
    LoopInfo {
        sync_period: run.kubernetes.sync_period,
        scale_up_window: up,
        scale_down_window: down,
        has_behavior: hpa.behavior.is_some(),
        default_policies: hpa.behavior.as_ref().is_none_or(|(up, down)| has_default_policies(up, down)),
        polling_interval: keda.map(|own| own.polling_interval),
        idle_replicas: keda.and_then(|own| own.idle_replicas),
        scrape_interval: scrape_interval(run),
        lookback: run.monitoring.server.lookback,
        grace_period: run.cluster.termination.grace,
        queries: queries(run),
        load,
    }
}

/// Whether the policies allow what the defaults do: up 4 pods or 100 % per 15 s, down 100 % per 15 s (hpa.md section 1).
fn has_default_policies(up: &ScalingRules, down: &ScalingRules) -> bool {
    let period = SimDuration::from_secs(15);
    let pods = Policy { kind: PolicyKind::Pods, value: 4, period };
    let whole = Policy { kind: PolicyKind::Percent, value: 100, period };
    let widest = |rules: &ScalingRules| rules.select_policy == SelectPolicy::Max;
    widest(up) && widest(down) && up.policies == [pods, whole] && down.policies == [whole]
}

fn scrape_interval(run: &ResolvedRun) -> SimDuration {
    let pools = run.monitoring.pools.iter().map(|pool| pool.scrape.interval);
    pools.max().unwrap_or(run.monitoring.own_scrape.interval)
}

/// Per trigger as [`crate::sim::shown::trigger_infos`] lists them.
fn queries(run: &ResolvedRun) -> Vec<QueryInfo> {
    let version = run.monitoring.server.version;
    let of_query = |query: &str| {
        let shape = query_shape(query, version);
        // A selection among outcomes is no count of requests.
        let selects = shape.matched_labels.iter().any(|label| label == "finished_reason");
        let all = shape.summed_rates.filter(|_| !selects);
        let counts = all.map_or(Counted::Nothing, |names| counted(&names));
        QueryInfo { range: shape.range, counts, is_average: shape.is_average }
    };
    let Some(keda) = &run.keda else {
        let sources = run.kubernetes.sources.iter();
        let shape = |source: &MetricSource| match source {
            MetricSource::PodsMetric(query) => {
                QueryInfo { counts: Counted::Nothing, is_average: false, ..of_query(query) }
            }
            _ => QueryInfo::default(),
        };
        return sources.map(shape).collect();
    };
    let own = &keda.scaled_object;
    let triggers = own.triggers.iter().map(|own| own.prometheus().map(|own| of_query(&own.query)).unwrap_or_default());
    triggers.chain(own.modifiers.iter().map(|_| QueryInfo::default())).collect()
}

/// What a sum of rates of these metrics counts.
fn counted(names: &[String]) -> Counted {
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.sort_unstable();
    match names.as_slice() {
        ["vllm:generation_tokens_total"] => Counted::GeneratedTokens,
        ["vllm:prompt_tokens_total"] => Counted::PromptTokens,
        ["vllm:generation_tokens_total", "vllm:prompt_tokens_total"] => Counted::AllTokens,
        ["vllm:request_success_total"] => Counted::Requests,
        _ => Counted::Nothing,
    }
}

/// The load of these sources.
pub(super) fn load_info(sources: &[TrafficSpec]) -> LoadInfo {
    let laws: Option<Vec<Vec<(SimTime, f64)>>> = sources.iter().map(rate_law).collect();
    LoadInfo {
        law: laws.map(|laws| summed(sources, &laws)),
        closed_loop: sources.iter().any(|own| matches!(own.arrivals, Arrivals::ClosedLoop { .. })),
        size_cv: size_cv(sources),
    }
}

/// The expected requests per second as a step function; `None` for a source that follows no law with a known mean.
fn rate_law(spec: &TrafficSpec) -> Option<Vec<(SimTime, f64)>> {
    let mut steps = vec![(SimTime::ZERO, 0.0)];
    match &spec.arrivals {
        Arrivals::Poisson { rate } | Arrivals::Gamma { rate, .. } => steps.push((spec.start, *rate)),
        Arrivals::Stages(stages) => {
            let mut at = spec.start;
            for (duration, rate) in stages {
                steps.push((at, *rate));
                at = at.saturating_add(*duration);
            }
            steps.push((at, 0.0));
        }
        _ => return None,
    }
    steps.retain(|(at, _)| *at < spec.stop);
    if spec.stop != SimTime::NEVER {
        steps.push((spec.stop, 0.0));
    }
    Some(steps)
}

/// The sum of all sources' laws.
fn summed(sources: &[TrafficSpec], laws: &[Vec<(SimTime, f64)>]) -> Vec<LoadStep> {
    let mut edges: Vec<SimTime> = laws.iter().flatten().map(|(at, _)| *at).collect();
    edges.sort_unstable();
    edges.dedup();
    let step = |from: SimTime| {
        let mut step = LoadStep { from, ..LoadStep::default() };
        for (source, law) in sources.iter().zip(laws) {
            let rate = law.iter().rev().find(|(at, _)| *at <= from).map_or(0.0, |(_, rate)| *rate);
            step.requests += rate;
            step.prompt_tokens += rate * source.prompt.mean();
            step.generated_tokens += rate * source.mean_output();
        }
        step
    };
    edges.into_iter().map(step).collect()
}

/// Coefficient of variation of the tokens of a request of the largest source; `None` where lengths are recorded.
fn size_cv(sources: &[TrafficSpec]) -> Option<f64> {
    if sources.is_empty() || sources.iter().any(|own| matches!(own.arrivals, Arrivals::Recorded(_))) {
        return None;
    }
    let (mut sum, mut squares, mut count) = (0.0, 0.0, 0.0);
    for (number, source) in (0..).zip(sources) {
        let mut prompts = Seed(0).stream("size-variation-prompt", number);
        let mut outputs = Seed(0).stream("size-variation-output", number);
        for _ in 0..SIZE_DRAWS {
            let size = f64::from(source.prompt.draw(&mut prompts)) + f64::from(source.output.draw(&mut outputs));
            sum += size;
            squares += size * size;
            count += 1.0;
        }
    }
    let mean = sum / count;
    Some((squares / count - mean * mean).max(0.0).sqrt() / mean)
}
