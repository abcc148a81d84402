//! The table of key figures that users compare runs by (verdicts.md section 8): its rows, their names and what each is.

use crate::analysis::gates::measured_hours;
use crate::analysis::statistics::FigureKind::{self, Mean, Percentile};
use crate::analysis::{Estimate, Summary};

type Value = fn(&Summary) -> Option<f64>;

/// A row.
#[derive(Clone, Copy, Debug)]
pub struct Kpi {
    /// Its name, a contract.
    pub name: &'static str,
    /// How it varies over seeds.
    pub kind: FigureKind,
    /// The value, infinite where a percentile falls among failed requests; `None` where there is nothing to measure.
    pub value: Value,
    /// What stands beside it: key in JSON, label in tables, value.
    pub beside: &'static [(&'static str, &'static str, Value)],
}

/// Number of rows that published tables have; the others are ours and stand under a rule.
pub const PUBLISHED_KPIS: usize = 9;

/// The rows in order.
pub const KPIS: [Kpi; 13] = [
    Kpi {
        name: "P99 TTFT (ms)",
        kind: Percentile,
        value: |s| s.ttft.p99.map(|own| 1000.0 * own),
        beside: &[("completed", "completed only", |s| s.ttft.completed.and_then(|own| own[3]).map(|own| 1000.0 * own))],
    },
    Kpi {
        name: "P99 ITL (ms)",
        kind: Percentile,
        value: |s| s.itl.p99.map(|own| 1000.0 * own),
        beside: &[("p99TpotMs", "P99 TPOT", |s| s.tpot.p99.map(|own| 1000.0 * own))],
    },
    Kpi {
        name: "Avg replicas",
        kind: Mean,
        value: |s| Some(s.ready_mean),
        beside: &[("spec", "spec", |s| Some(s.replicas_mean))],
    },
    Kpi {
        name: "Max replicas",
        kind: Percentile,
        value: |s| Some(f64::from(s.fleet.max_ready)),
        beside: &[("spec", "spec", |s| Some(f64::from(s.replicas_max)))],
    },
    Kpi { name: "Avg KV cache utilization", kind: Mean, value: |s| s.fleet.kv_usage, beside: &[] },
    Kpi {
        name: "Avg queue depth",
        kind: Mean,
        value: |s| s.fleet.queue,
        beside: &[("engine", "in engines", |s| s.fleet.engine_queue)],
    },
    Kpi {
        name: "Error count",
        kind: Mean,
        value: |s| Some((s.requests.failed + s.requests.timed_out) as f64),
        beside: &[("incomplete", "incomplete", |s| Some(s.requests.in_flight as f64))],
    },
    Kpi {
        name: "Avg pod startup (s)",
        kind: Mean,
        value: |s| s.fleet.startup_seconds,
        beside: &[("neverReady", "never ready", |s| Some(s.fleet.never_ready as f64))],
    },
    Kpi {
        name: "Cost (avg replicas x GPU/h)",
        kind: Mean,
        value: |s| {
            let hours = measured_hours(s);
            (hours > 0.0).then(|| price(s) * hours_of(s) / hours)
        },
        beside: &[("readyOnly", "ready only", |s| {
            Some(price(s) * s.ready_mean * f64::from(s.run.gpus_per_replica.max(1)))
        })],
    },
    Kpi {
        name: "Flaps/h",
        kind: Mean,
        value: |s| (measured_hours(s) > 0.0).then_some(s.flapping.flaps_per_hour),
        beside: &[],
    },
    Kpi { name: "SLO attainment", kind: Mean, value: |s| s.slo_attainment, beside: &[] },
    Kpi {
        name: "Goodput",
        kind: Mean,
        value: |s| s.slo_goodput,
        beside: &[("perGpuSecond", "per GPU", |s| s.slo_goodput_per_gpu)],
    },
    Kpi {
        name: "Billed / oracle GPU-hours",
        kind: Mean,
        value: |s| (s.run.gpus_per_replica > 0).then_some(s.gpu_hours.billed),
        // The oracle's schedule takes runs of its own: `kedasim compare` computes it.
        beside: &[("oracle", "oracle", |_| None)],
    },
];

/// Of a GPU-hour; 1 when none is given, and for replicas without GPUs, whose replica-hours are counted.
fn price(summary: &Summary) -> f64 {
    summary.gpu_hour_price.filter(|_| summary.run.gpus_per_replica > 0).unwrap_or(1.0)
}

/// Billed GPU-hours, or replica-hours of replicas without GPUs.
fn hours_of(summary: &Summary) -> f64 {
    if summary.run.gpus_per_replica > 0 { summary.gpu_hours.billed } else { summary.replica_hours.billed }
}

/// The figure of `summary.json` that a percentile here is, so that both have the same bootstrap.
fn stream_name(name: &str) -> &str {
    match name {
        "P99 TTFT (ms)" => "ttftSeconds.p99",
        "completed" => "ttftSeconds.p99Completed",
        "P99 ITL (ms)" => "itlSeconds.p99",
        "p99TpotMs" => "tpotSeconds.p99",
        "spec" => "replicas.max",
        other => other,
    }
}

/// A row with its values, of one run or of several seeds.
#[derive(Clone, Debug)]
pub struct KpiValues {
    /// The row.
    pub kpi: &'static Kpi,
    /// Its value.
    pub value: Estimate,
    /// What stands beside it, in the row's order.
    pub beside: Vec<Estimate>,
}

/// All rows of `summaries`: one run, or one per seed.
pub fn kpi_values(summaries: &[Summary]) -> Vec<KpiValues> {
    let estimate = |name: &str, kind: FigureKind, value: Value| {
        let mut estimate = Estimate::new(stream_name(name), kind, summaries.iter().map(value).collect());
        if name == "Flaps/h" && summaries.len() > 1 {
            estimate.interval = crate::analysis::gates::flap_rate_interval(summaries);
        }
        estimate
    };
    let row = |kpi: &'static Kpi| KpiValues {
        kpi,
        value: estimate(kpi.name, kpi.kind, kpi.value),
        beside: kpi.beside.iter().map(|(key, _, value)| estimate(key, kpi.kind, *value)).collect(),
    };
    KPIS.iter().map(row).collect()
}
