//! Values as one would write them in a Scenario.

use crate::cluster::{DurationDistribution, RouterPolicy, TerminationMode};
use crate::hpa::KubernetesVersion;
use crate::keda::KedaVersion;
use crate::prometheus::PrometheusVersion;
use crate::scenario::written_sections::ROUTERS;
use crate::traffic::{Arrivals, LengthDistribution};
use crate::units::{SimDuration, SimTime, math};

/// `5s`, `{median: 5s, p95: 12s}`, `{min: 2s, max: 5s}`.
pub(super) fn distribution(value: &DurationDistribution) -> String {
    match value {
        DurationDistribution::Constant(duration) => duration_text(duration),
        DurationDistribution::Lognormal { median, p95 } => {
            format!("{{median: {}, p95: {}}}", duration_text(median), duration_text(p95))
        }
        DurationDistribution::Uniform { min, max } => {
            format!("{{min: {}, max: {}}}", duration_text(min), duration_text(max))
        }
    }
}

/// `1m30s`; finer than a millisecond in nanoseconds, so that reading it back gives the same value.
pub(super) fn duration_text(value: &SimDuration) -> String {
    const PS_PER_MILLI: u64 = 1_000_000_000;
    if value.is_zero() {
        return "0s".to_owned();
    }
    if value.as_ps().is_multiple_of(PS_PER_MILLI) {
        return value.to_string();
    }
    format!("{}ns", value.as_ps() / 1_000)
}

/// A YAML string, quoted where it could be taken for something else.
pub(super) fn text(value: &str) -> String {
    let plain = value.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '.')
        && value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-'))
        && !matches!(
            value.to_lowercase().as_str(),
            "true" | "false" | "yes" | "no" | "on" | "off" | "null" | "y" | "n"
        );
    if plain { value.to_owned() } else { quoted(value) }
}

/// A YAML string in double quotes.
pub(super) fn quoted(value: &str) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| format!("{value:?}"))
}

/// `random`.
pub(super) fn router(value: RouterPolicy) -> String {
    let word = ROUTERS.iter().find(|(policy, _)| *policy == value).map_or("random", |(_, word)| word);
    word.to_owned()
}

/// `abort`, `{drain: 30s}`.
pub(super) fn termination(value: &TerminationMode) -> String {
    match value {
        TerminationMode::Abort => "abort".to_owned(),
        TerminationMode::Drain(limit) => format!("{{drain: {}}}", duration_text(limit)),
    }
}

/// `"1.36"`.
pub(super) fn kubernetes(value: KubernetesVersion) -> String {
    let word = match value {
        KubernetesVersion::V1_32 => "1.32",
        KubernetesVersion::V1_33 => "1.33",
        KubernetesVersion::V1_34 => "1.34",
        KubernetesVersion::V1_35 => "1.35",
        KubernetesVersion::V1_36 => "1.36",
    };
    quoted(word)
}

/// `"2.20.2"`.
pub(super) fn keda(value: KedaVersion) -> String {
    quoted(&format!("{}.{}.{}", value.major, value.minor, value.patch))
}

/// `"3"`.
pub(super) fn prometheus(value: PrometheusVersion) -> String {
    let word = match value {
        PrometheusVersion::V2_42 => "2.42",
        PrometheusVersion::V2_51 => "2.51",
        PrometheusVersion::V2_55 => "2.55",
        PrometheusVersion::V3_5 => "3.5",
        PrometheusVersion::V3_9 => "3.9",
        PrometheusVersion::V3 => "3",
    };
    quoted(word)
}

/// `{poisson: {rate: 10}}`; a recorded trace has its own key.
pub(super) fn arrivals(value: &Arrivals) -> String {
    match value {
        Arrivals::Poisson { rate } => format!("{{poisson: {{rate: {rate}}}}}"),
        Arrivals::Gamma { rate, cv } => format!("{{gamma: {{rate: {rate}, cv: {cv}}}}}"),
        Arrivals::Stages(stages) => {
            let shown: Vec<String> = stages
                .iter()
                .map(|(duration, rate)| format!("{{duration: {}, rate: {rate}}}", duration_text(duration)))
                .collect();
            format!("{{stages: [{}]}}", shown.join(", "))
        }
        Arrivals::ClosedLoop { workers, think } => {
            format!("{{closedLoop: {{workers: {workers}, think: {}}}}}", duration_text(think))
        }
        Arrivals::Recorded(trace) => text(&trace.name),
    }
}

/// `{constant: 512}`.
pub(super) fn lengths(value: &LengthDistribution) -> String {
    match value {
        LengthDistribution::Constant(tokens) => format!("{{constant: {tokens}}}"),
        LengthDistribution::Uniform { min, max } => format!("{{uniform: {{min: {min}, max: {max}}}}}"),
        LengthDistribution::Geometric { hazard, max } => format!("{{geometric: {{hazard: {hazard}, max: {max}}}}}"),
        LengthDistribution::Lognormal { mu, sigma, max } => {
            // Nine decimals: what the author wrote, without the noise of ln and exp.
            let mean = (math::exp(mu + sigma * sigma / 2.0) * 1e9).round() / 1e9;
            format!("{{lognormal: {{mean: {mean}, sigma: {sigma}, max: {max}}}}}")
        }
        LengthDistribution::Quantiles { probabilities, tokens } => {
            format!("{{quantiles: {{probabilities: {}, tokens: {}}}}}", numbers(probabilities), numbers(tokens))
        }
    }
}

fn numbers(values: &[f64]) -> String {
    let shown: Vec<String> = values.iter().map(f64::to_string).collect();
    format!("[{}]", shown.join(", "))
}

/// An instant as an offset from the run's start.
pub(super) fn instant(value: SimTime) -> String {
    duration_text(&value.saturating_since(SimTime::ZERO))
}
