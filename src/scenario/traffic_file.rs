//! `kind: Traffic` to a resolved source: one key under each of `arrivals`, `prompt` and `output`.

use crate::manifest::{Fields, Node, UnknownKeys, Value};
use crate::scenario::values::{count, non_negative, not_modelled, positive, positive_duration};
use crate::traffic::{Arrivals, LengthDistribution, TrafficSpec};
use crate::units::{Diagnostic, Diagnostics, SimDuration, SimTime, math};

/// Longest length when a distribution names none: no model of today takes more.
const TOKENS_MAX: u32 = 1_000_000;
/// A limit on closed-loop clients, each of which is kept in memory.
const WORKERS_MAX: i64 = 100_000;

/// Reads the `spec` of a Traffic document (or the inline mapping of a Scenario).
///
/// # Errors
/// All mistakes, located.
pub fn read_traffic(spec: &Node, path: &str) -> Result<TrafficSpec, Diagnostics> {
    let mut diagnostics = Diagnostics::new();
    let traffic = traffic_spec(spec, path, &mut diagnostics);
    match traffic {
        Some(traffic) if !diagnostics.has_errors() => Ok(traffic),
        _ => Err(diagnostics),
    }
}

fn traffic_spec(spec: &Node, path: &str, diagnostics: &mut Diagnostics) -> Option<TrafficSpec> {
    let mut fields = Fields::of(spec, path, diagnostics)?;
    let arrivals = fields.node("arrivals");
    let arrivals = fields.required("arrivals", arrivals, diagnostics);
    let arrivals = arrivals.and_then(|node| read_arrivals(node, &fields.path_of("arrivals"), diagnostics));
    let mut lengths = |key: &'static str| {
        let node = fields.node(key);
        let node = fields.required(key, node, diagnostics)?;
        read_lengths(node, &fields.path_of(key), diagnostics)
    };
    let prompt = lengths("prompt");
    let output = lengths("output");
    let max_tokens = count(&mut fields, "maxTokens", diagnostics).map(|given| given.value);
    let (start, stop) = read_window(&mut fields, diagnostics);
    not_modelled(&mut fields, &["sessions", "mix", "classes", "prefix", "slo"], diagnostics);
    fields.finish(UnknownKeys::Error, diagnostics);
    Some(TrafficSpec { arrivals: arrivals?, prompt: prompt?, output: output?, max_tokens, start, stop })
}

/// `start` and `stop` of a source; the whole run when absent.
pub(super) fn read_window(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> (SimTime, SimTime) {
    let start = fields.duration("start", diagnostics).map_or(SimDuration::ZERO, |given| given.value);
    let Some(stop) = fields.duration("stop", diagnostics) else {
        return (SimTime::ZERO + start, SimTime::NEVER);
    };
    if stop.value <= start {
        let message = format!("found stop {} with start {start}, expected stop after start", stop.value);
        diagnostics.push(Diagnostic::error(stop.span, fields.path_of("stop"), message));
    }
    (SimTime::ZERO + start, SimTime::ZERO + stop.value)
}

/// The single key of a mapping such as `{poisson: {rate: 10}}`.
fn single_key<'n>(node: &'n Node, path: &str, diagnostics: &mut Diagnostics) -> Option<&'n str> {
    let Value::Map(entries) = &node.value else {
        let message = format!("found {}, expected a mapping with one key", node.describe());
        diagnostics.push(Diagnostic::error(node.span.clone(), path, message));
        return None;
    };
    if let [(key, _)] = entries.as_slice() {
        return Some(&key.name);
    }
    let names: Vec<&str> = entries.iter().map(|(key, _)| key.name.as_str()).collect();
    let message = format!("found {} keys ({}), expected exactly one", names.len(), names.join(", "));
    diagnostics.push(Diagnostic::error(node.span.clone(), path, message));
    None
}

fn read_arrivals(node: &Node, path: &str, diagnostics: &mut Diagnostics) -> Option<Arrivals> {
    let kind = single_key(node, path, diagnostics)?;
    let mut fields = Fields::of(node, path, diagnostics)?;
    let arrivals = match kind {
        "poisson" => {
            let mut poisson = fields.fields("poisson", diagnostics)?;
            let rate = positive(&mut poisson, "rate", diagnostics);
            let rate = poisson.required("rate", rate, diagnostics);
            poisson.finish(UnknownKeys::Error, diagnostics);
            rate.map(|rate| Arrivals::Poisson { rate: rate.value })
        }
        "gamma" => {
            let mut gamma = fields.fields("gamma", diagnostics)?;
            let rate = positive(&mut gamma, "rate", diagnostics);
            let rate = gamma.required("rate", rate, diagnostics);
            let cv = positive(&mut gamma, "cv", diagnostics);
            let cv = gamma.required("cv", cv, diagnostics);
            gamma.finish(UnknownKeys::Error, diagnostics);
            Some(Arrivals::Gamma { rate: rate?.value, cv: cv?.value })
        }
        "stages" => read_stages(&mut fields, diagnostics),
        "closedLoop" => {
            let mut closed = fields.fields("closedLoop", diagnostics)?;
            let workers = closed.integer("workers", 1..=WORKERS_MAX, diagnostics);
            let workers = closed.required("workers", workers, diagnostics);
            let think = closed.duration("think", diagnostics);
            let think = closed.required("think", think, diagnostics);
            closed.finish(UnknownKeys::Error, diagnostics);
            let workers = u32::try_from(workers?.value).expect("the range was checked");
            Some(Arrivals::ClosedLoop { workers, think: think?.value })
        }
        _ => {
            for key in ["poisson", "gamma", "stages", "closedLoop"] {
                fields.node(key);
            }
            not_modelled(&mut fields, &["profile", "mmpp", "constant", "weibull", "sessions", "onOff"], diagnostics);
            None
        }
    };
    fields.finish(UnknownKeys::Error, diagnostics);
    arrivals
}

fn read_stages(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<Arrivals> {
    let items = fields.list("stages", diagnostics)?;
    let mut stages = Vec::with_capacity(items.len());
    for (path, item) in &items {
        let Some(mut stage) = Fields::of(item, path, diagnostics) else { continue };
        let duration = positive_duration(&mut stage, "duration", diagnostics);
        let duration = stage.required("duration", duration, diagnostics);
        let rate = non_negative(&mut stage, "rate", diagnostics);
        let rate = stage.required("rate", rate, diagnostics);
        stage.finish(UnknownKeys::Error, diagnostics);
        if let (Some(duration), Some(rate)) = (duration, rate) {
            stages.push((duration.value, rate.value));
        }
    }
    if stages.len() == items.len() && !stages.iter().any(|(_, rate)| *rate > 0.0) {
        let message = "found no stage with a rate above 0, expected at least one";
        diagnostics.push(Diagnostic::error(fields.span.clone(), fields.path_of("stages"), message));
        return None;
    }
    (stages.len() == items.len()).then_some(Arrivals::Stages(stages))
}

/// Reads one token-count distribution, e.g. `{constant: 512}`.
fn read_lengths(node: &Node, path: &str, diagnostics: &mut Diagnostics) -> Option<LengthDistribution> {
    let kind = single_key(node, path, diagnostics)?;
    let mut fields = Fields::of(node, path, diagnostics)?;
    let lengths = match kind {
        "constant" => count(&mut fields, "constant", diagnostics).map(|n| LengthDistribution::Constant(n.value)),
        "uniform" => read_uniform(&mut fields, diagnostics),
        "geometric" => read_geometric(&mut fields, diagnostics),
        "lognormal" => read_lognormal(&mut fields, diagnostics),
        "quantiles" => read_quantiles(&mut fields, diagnostics),
        _ => {
            for key in ["constant", "uniform", "geometric", "lognormal", "quantiles"] {
                fields.node(key);
            }
            not_modelled(&mut fields, &["mixture", "file", "zipf", "gamma", "weibull"], diagnostics);
            None
        }
    };
    fields.finish(UnknownKeys::Error, diagnostics);
    lengths
}

fn read_uniform(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<LengthDistribution> {
    let mut uniform = fields.fields("uniform", diagnostics)?;
    let min = count(&mut uniform, "min", diagnostics);
    let min = uniform.required("min", min, diagnostics);
    let max = count(&mut uniform, "max", diagnostics);
    let max = uniform.required("max", max, diagnostics);
    let (path, span) = (uniform.path.clone(), uniform.span.clone());
    uniform.finish(UnknownKeys::Error, diagnostics);
    let (min, max) = (min?.value, max?.value);
    if min > max {
        let message = format!("found min {min} above max {max}, expected min <= max");
        diagnostics.push(Diagnostic::error(span, path, message));
        return None;
    }
    Some(LengthDistribution::Uniform { min, max })
}

fn read_geometric(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<LengthDistribution> {
    let mut geometric = fields.fields("geometric", diagnostics)?;
    let hazard = positive(&mut geometric, "hazard", diagnostics);
    let hazard = geometric.required("hazard", hazard, diagnostics);
    let max = count(&mut geometric, "max", diagnostics).map_or(TOKENS_MAX, |max| max.value);
    let path = geometric.path_of("hazard");
    geometric.finish(UnknownKeys::Error, diagnostics);
    let hazard = hazard?;
    if hazard.value > 1.0 {
        let message = format!("found {}, expected a probability above 0 and at most 1", hazard.value);
        diagnostics.push(Diagnostic::error(hazard.span, path, message));
        return None;
    }
    Some(LengthDistribution::Geometric { hazard: hazard.value, max })
}

/// `{mean, sigma}` or `{p50, p95}`. The mean is that of the tokens before the cut at `max`: mean = exp(mu + sigma^2 / 2).
fn read_lognormal(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<LengthDistribution> {
    /// 95th percentile of the standard normal.
    const Z95: f64 = 1.644_853_626_951_472_7;
    let mut lognormal = fields.fields("lognormal", diagnostics)?;
    let mean = positive(&mut lognormal, "mean", diagnostics);
    let sigma = non_negative(&mut lognormal, "sigma", diagnostics);
    let p50 = positive(&mut lognormal, "p50", diagnostics);
    let p95 = positive(&mut lognormal, "p95", diagnostics);
    let max = count(&mut lognormal, "max", diagnostics).map_or(TOKENS_MAX, |max| max.value);
    let (path, span) = (lognormal.path.clone(), lognormal.span.clone());
    let broken = diagnostics.has_errors();
    lognormal.finish(UnknownKeys::Error, diagnostics);
    match (mean, sigma, p50, p95) {
        (Some(mean), Some(sigma), None, None) => {
            let sigma = sigma.value;
            Some(LengthDistribution::Lognormal { mu: math::ln(mean.value) - sigma * sigma / 2.0, sigma, max })
        }
        (None, None, Some(p50), Some(p95)) if p95.value >= p50.value => {
            let sigma = math::ln(p95.value / p50.value) / Z95;
            Some(LengthDistribution::Lognormal { mu: math::ln(p50.value), sigma, max })
        }
        (None, None, Some(p50), Some(p95)) => {
            let message = format!("found p95 {} below p50 {}, expected p50 <= p95", p95.value, p50.value);
            diagnostics.push(Diagnostic::error(span, path, message));
            None
        }
        _ => {
            if !broken {
                let message = "expected {mean, sigma} or {p50, p95}, each with an optional max";
                diagnostics.push(Diagnostic::error(span, path, message));
            }
            None
        }
    }
}

fn read_quantiles(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<LengthDistribution> {
    let mut quantiles = fields.fields("quantiles", diagnostics)?;
    let mut numbers = |key: &'static str| {
        let items = quantiles.list(key, diagnostics);
        let items = quantiles.required(key, items, diagnostics)?;
        items.iter().map(|(path, item)| number_of(item, path, diagnostics)).collect::<Option<Vec<f64>>>()
    };
    let probabilities = numbers("probabilities");
    let tokens = numbers("tokens");
    let (path, span) = (quantiles.path.clone(), quantiles.span.clone());
    quantiles.finish(UnknownKeys::Error, diagnostics);
    let (probabilities, tokens) = (probabilities?, tokens?);
    let wrong = if probabilities.len() != tokens.len() || probabilities.len() < 2 {
        let (left, right) = (probabilities.len(), tokens.len());
        Some(format!("found {left} probabilities and {right} tokens, expected the same number, at least 2"))
    } else if probabilities.first() != Some(&0.0) || probabilities.last() != Some(&1.0) {
        Some("expected probabilities from 0 to 1".to_owned())
    } else if probabilities.windows(2).any(|pair| pair[0] >= pair[1]) {
        Some("expected probabilities that rise".to_owned())
    } else if tokens[0] < 1.0 || tokens.windows(2).any(|pair| pair[0] > pair[1]) {
        Some("expected tokens of at least 1 that do not fall".to_owned())
    } else {
        None
    };
    if let Some(message) = wrong {
        diagnostics.push(Diagnostic::error(span, path, message));
        return None;
    }
    Some(LengthDistribution::Quantiles { probabilities, tokens })
}

fn number_of(node: &Node, path: &str, diagnostics: &mut Diagnostics) -> Option<f64> {
    match node.value {
        Value::Int(value) => Some(value as f64),
        Value::Float(value) if value.is_finite() => Some(value),
        _ => {
            let message = format!("found {}, expected a number", node.describe());
            diagnostics.push(Diagnostic::error(node.span.clone(), path, message));
            None
        }
    }
}
