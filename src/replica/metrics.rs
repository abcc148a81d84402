//! The numbers behind `/metrics`. Who updates what, and when, is the engine's business.

use crate::replica::EngineConfig;
use crate::replica::exposition::{BOUNDS, Bounds, COMPLETIONS, Family, Source, bound_values, shown};
use crate::replica::histogram::Histogram;
use crate::replica::http_metrics::HttpMetrics;
use crate::replica::run::Run;
use crate::series::MetricKind;
use crate::units::{SimDuration, SimTime};
use std::sync::Arc;

/// When a server process came to be, in seconds since the Unix epoch: what `process_start_time_seconds` and the `_created`
/// gauges show.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProcessTimes {
    /// The run's start.
    pub run_start: f64,
    /// The container's start.
    pub started: f64,
    /// When the server began to listen, just before which its metrics are made: the engine is loaded first (`AsyncLLM`, 0.10
    /// and later; before, they are made at the process' start).
    pub listening: f64,
}

impl ProcessTimes {
    /// Seconds since the Unix epoch at `now`.
    pub(super) fn unix(&self, now: SimTime) -> f64 {
        self.run_start + now.as_secs_f64()
    }
}

/// The counters and histograms of one engine; gauges are the engine's.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    pub(crate) prompt_tokens: u64,
    pub(crate) generation_tokens: u64,
    pub(crate) preemptions: u64,
    pub(crate) prefix_queries: u64,
    pub(crate) prefix_hits: u64,
    /// Of the prompt tokens.
    pub(crate) cached_tokens: u64,
    pub(crate) stopped: u64,
    pub(crate) cut_by_length: u64,
    histograms: [Histogram; BOUNDS.len()],
    /// By family, whether anybody looks at it; and whether at any of [`Family::OF_FINISHED`].
    counted: [bool; BOUNDS.len()],
    pub(crate) counts_finished: bool,
    /// What the HTTP middleware counts, when there is one.
    pub(crate) http: Option<HttpMetrics>,
    pub(crate) times: ProcessTimes,
    /// When the engine's metrics were made.
    created: f64,
    created_at_start: bool,
    /// In the order of [`crate::replica::exposition`].
    layout: Arc<[Shown]>,
}

/// Most series that are filled in one go: for longer pieces the C library takes another way, which starts slowly.
const LONGEST_FILL: usize = 200;

/// What stands next in the exposition.
#[derive(Clone, Copy, Debug)]
enum Shown {
    /// A metric, and whether it has a `_created` beside it.
    Metric(Source, bool),
    /// So many series at which nobody looks.
    Unseen(usize),
}

/// The gauges as published.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Gauges {
    pub(crate) running: u32,
    pub(crate) waiting: u32,
    pub(crate) used_blocks: u32,
}

impl Metrics {
    pub(crate) fn new(config: &EngineConfig) -> Self {
        let histograms = BOUNDS.each_ref().map(|bounds| Histogram::new(bound_values(bounds, config.max_model_len)));
        Metrics {
            prompt_tokens: 0,
            generation_tokens: 0,
            preemptions: 0,
            prefix_queries: 0,
            prefix_hits: 0,
            cached_tokens: 0,
            stopped: 0,
            cut_by_length: 0,
            histograms,
            counted: [true; BOUNDS.len()],
            counts_finished: true,
            http: config.http_metrics.then(HttpMetrics::new),
            times: ProcessTimes::default(),
            created: 0.0,
            created_at_start: config.vllm_version < (0, 10),
            layout: shown(config)
                .map(|metric| Shown::Metric(metric.source, metric.kind != MetricKind::Gauge))
                .collect(),
        }
    }

    /// The process' times become known.
    pub(crate) fn set_times(&mut self, times: ProcessTimes) {
        self.created = if self.created_at_start { times.started } else { times.listening };
        self.times = times;
    }

    /// Nobody looks at other series than these, in the order of [`crate::replica::exposition`].
    pub(crate) fn count_only(&mut self, looked_at: &[bool]) {
        self.counted = [false; BOUNDS.len()];
        let mut rest = looked_at;
        let mut layout: Vec<Shown> = Vec::new();
        for shown in self.layout.iter() {
            let series = match shown {
                Shown::Metric(source, has_created) => self.series_of(*source) + usize::from(*has_created),
                Shown::Unseen(series) => *series,
            };
            let (own, others) = rest.split_at(series);
            rest = others;
            if own.contains(&true) {
                layout.push(*shown);
            } else if let Some(Shown::Unseen(before)) = layout.last_mut()
                && *before + series <= LONGEST_FILL
            {
                *before += series;
            } else {
                layout.push(Shown::Unseen(series));
            }
            if let Shown::Metric(Source::Samples(family), _) = shown {
                self.counted[*family as usize] |= own.contains(&true);
            }
        }
        self.layout = layout.into();
        self.counts_finished = Family::OF_FINISHED.iter().any(|family| self.counted[*family as usize]);
        if let Some(http) = &mut self.http {
            http.count_durations(rest.contains(&true));
        }
    }

    /// Series of a metric, its `_created` apart.
    fn series_of(&self, source: Source) -> usize {
        match source {
            Source::Samples(family) => self.histograms[family as usize].counts.len() + 2,
            Source::Completions => COMPLETIONS.len() + 3,
            _ => 1,
        }
    }

    /// A request that arrived at `arrived` has been answered, or left by its client, at `now`; `refused` with a status of 4xx.
    #[inline]
    pub(crate) fn answer(&mut self, arrived: SimTime, now: SimTime, refused: bool) {
        if let Some(http) = &mut self.http {
            http.answer(now.saturating_since(arrived), refused, || self.times.unix(now));
        }
    }

    /// `times` samples of `value` tokens.
    #[inline(always)]
    pub(crate) fn observe(&mut self, family: Family, value: u64, times: u64) {
        if self.counted[family as usize] {
            self.histograms[family as usize].observe(value, times);
        }
    }

    /// `times` samples of a duration.
    #[inline(always)]
    pub(crate) fn observe_time(&mut self, family: Family, value: SimDuration, times: u64) {
        self.observe(family, value.as_ps(), times);
    }

    /// The first `steps` steps of a decode-only run in which `decodes` requests emit: one gap and one token of each per
    /// step.
    pub(crate) fn observe_run(&mut self, run: &Run, steps: u64, decodes: u64) {
        if steps == 0 || decodes == 0 {
            return;
        }
        if self.counted[Family::InterToken as usize] {
            self.histograms[Family::InterToken as usize].observe_run(run, steps, decodes);
        }
        self.observe(Family::IterationTokens, decodes, steps);
        self.generation_tokens += steps * decodes;
    }

    /// Fills `row` in the order of [`crate::replica::exposition`]; `run` is the completed part of a run in progress: steps and requests.
    pub(crate) fn write(&self, gauges: Gauges, kv_usage: f64, run: Option<(&Run, u64, u64)>, row: &mut Vec<f64>) {
        row.clear();
        let run = run.filter(|(_, steps, decodes)| steps * decodes > 0);
        let in_run = run.map_or(0, |(_, steps, decodes)| steps * decodes);
        for shown in self.layout.iter() {
            let (source, has_created) = match shown {
                Shown::Metric(source, has_created) => (*source, *has_created),
                Shown::Unseen(series) => {
                    row.resize(row.len() + series, 0.0);
                    continue;
                }
            };
            match self.value(source, gauges, kv_usage, in_run) {
                Some(value) => row.push(value),
                None => self.write_histogram(source, run, row),
            }
            if has_created {
                row.push(self.created);
            }
        }
        if let Some(http) = &self.http {
            http.write(self.times.listening, row);
        }
        row.push(self.times.started);
    }

    /// The value of a single series; `None` for a histogram. `in_run` tokens are of a run in progress.
    fn value(&self, source: Source, gauges: Gauges, kv_usage: f64, in_run: u64) -> Option<f64> {
        Some(match source {
            Source::Running => f64::from(gauges.running),
            Source::Waiting => f64::from(gauges.waiting),
            Source::KvUsage => kv_usage,
            Source::PromptTokens => self.prompt_tokens as f64,
            Source::GenerationTokens => (self.generation_tokens + in_run) as f64,
            Source::Preempted => self.preemptions as f64,
            Source::PrefixQueries => self.prefix_queries as f64,
            Source::PrefixHits => self.prefix_hits as f64,
            Source::CachedTokens => self.cached_tokens as f64,
            Source::ComputedTokens => (self.prompt_tokens - self.cached_tokens) as f64,
            Source::Stopped => self.stopped as f64,
            Source::CutByLength => self.cut_by_length as f64,
            Source::Zero => 0.0,
            Source::One | Source::CacheConfig => 1.0,
            Source::Samples(_) | Source::Completions => return None,
        })
    }

    fn write_histogram(&self, source: Source, run: Option<(&Run, u64, u64)>, row: &mut Vec<f64>) {
        if let Source::Samples(family) = source {
            return self.write_samples(family, run, row);
        }
        // Every bucket holds all of them; so do +Inf, the sum and the count.
        let finished = (self.stopped + self.cut_by_length) as f64;
        row.extend(std::iter::repeat_n(finished, COMPLETIONS.len() + 3));
    }

    /// The buckets, the sum and the count of a family.
    fn write_samples(&self, family: Family, run: Option<(&Run, u64, u64)>, row: &mut Vec<f64>) {
        let histogram = &self.histograms[family as usize];
        let gaps = run.filter(|_| family == Family::InterToken);
        let iterations = run.filter(|_| family == Family::IterationTokens);
        let mut cumulative = 0u64;
        for (bucket, count) in histogram.counts.iter().enumerate() {
            cumulative += count;
            let bound = histogram.bounds.get(bucket).copied();
            let more = match (gaps, iterations) {
                (Some((run, steps, decodes)), _) => {
                    bound.map_or(steps, |bound| run.not_longer_than(bound, steps)) * decodes
                }
                (_, Some((_, steps, decodes))) if bound.is_none_or(|bound| decodes <= bound) => steps,
                _ => 0,
            };
            row.push((cumulative + more) as f64);
        }
        let (sum, count) = match (gaps, iterations) {
            (Some((run, steps, decodes)), _) => (run.sum_ps(steps) * u128::from(decodes), steps * decodes),
            (_, Some((_, steps, decodes))) => (u128::from(steps * decodes), steps),
            _ => (0, 0),
        };
        let unit = if matches!(BOUNDS[family as usize], Bounds::Seconds(_)) { 1e12 } else { 1.0 };
        row.push((histogram.sum + sum) as f64 / unit);
        row.push((cumulative + count) as f64);
    }
}
