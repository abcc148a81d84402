//! A slow evaluator for a few forms of queries: every series keeps every sample, every answer walks all of them, and each
//! formula is written down as the reference gives it. It shares no code with the room it judges.

use kedasim::prometheus::PrometheusVersion;
use kedasim::series::{Exposition, Labels};
use kedasim::units::SimTime;
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Aggregation {
    Sum,
    Avg,
    Min,
    Max,
    Count,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Function {
    Rate,
    Increase,
    Delta,
    /// An instant selector.
    Newest,
}

/// `aggregation by|without (grouping) (function(metric[range] offset offset @ at))`.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    pub aggregation: Aggregation,
    pub without: bool,
    pub grouping: &'static [&'static str],
    pub function: Function,
    pub metric: &'static str,
    pub range_ms: i64,
    pub offset_ms: i64,
    /// `@`, in seconds since the run's start.
    pub at_s: Option<i64>,
}

impl Question {
    /// As it is asked in a run that starts at `epoch_ms`.
    pub fn text(&self, epoch_ms: i64) -> String {
        let aggregation = format!("{:?}", self.aggregation).to_lowercase();
        let word = if self.without { "without" } else { "by" };
        let at = self.at_s.map_or_else(String::new, |at| format!(" @ {}", epoch_ms / 1000 + at));
        let sign = if self.offset_ms < 0 { "-" } else { "" };
        let (metric, offset) = (self.metric, format!("offset {sign}{}ms{at}", self.offset_ms.abs()));
        let inner = match self.function {
            Function::Newest => format!("{metric} {offset}"),
            function => format!("{}({metric}[{}ms] {offset})", format!("{function:?}").to_lowercase(), self.range_ms),
        };
        format!("{aggregation} {word} ({}) ({inner})", self.grouping.join(", "))
    }
}

/// A sample; `None` is a staleness marker.
#[derive(Clone, Copy, Debug)]
struct Sample {
    ms: i64,
    visible: SimTime,
    value: Option<f64>,
}

#[derive(Clone, Debug)]
struct Series {
    labels: Labels,
    samples: Vec<Sample>,
}

#[derive(Clone, Debug)]
pub struct Store {
    version: PrometheusVersion,
    epoch_ms: i64,
    /// Per target: `up`, then the exposed series.
    targets: Vec<Vec<Series>>,
    /// Per target, which of these the last scrape had.
    had: Vec<Vec<bool>>,
}

impl Store {
    pub fn new(version: PrometheusVersion, epoch_ms: i64) -> Self {
        Store { version, epoch_ms, targets: Vec::new(), had: Vec::new() }
    }

    pub fn add_target(&mut self, own: &Labels, exposition: &Exposition) -> usize {
        let up = Labels::from_pairs([("__name__", "up")]);
        let all = std::iter::once(&up).chain(exposition.series.iter().map(|series| &series.labels));
        let with_own = |labels: &Labels| Labels::from_pairs(labels.iter().chain(own.iter()));
        self.targets.push(all.map(|labels| Series { labels: with_own(labels), samples: Vec::new() }).collect());
        self.had.push(vec![false; exposition.series.len() + 1]);
        self.targets.len() - 1
    }

    pub fn commit(&mut self, target: usize, at: SimTime, visible: SimTime, row: Option<&[f64]>) {
        let ms = self.ms(at);
        let up = if row.is_some() { 1.0 } else { 0.0 };
        for (index, series) in self.targets[target].iter_mut().enumerate() {
            let exposed = match (index, row) {
                (0, _) => Some(up),
                (_, Some(row)) => Some(row[index - 1]).filter(|value| value.to_bits() != Exposition::ABSENT.to_bits()),
                (_, None) => None,
            };
            let had = std::mem::replace(&mut self.had[target][index], exposed.is_some());
            if had || exposed.is_some() {
                series.samples.push(Sample { ms, visible, value: exposed });
            }
        }
    }

    pub fn retire(&mut self, target: usize, at: SimTime, visible: SimTime) {
        let ms = self.ms(at);
        for (index, series) in self.targets[target].iter_mut().enumerate() {
            if index == 0 || self.had[target][index] {
                series.samples.push(Sample { ms, visible, value: None });
            }
        }
    }

    /// The process restarts.
    pub fn forget_writers(&mut self) {
        self.had.iter_mut().for_each(|had| had.fill(false));
    }

    /// The answer at `eval` from what is visible at `now`, in label order, values as bits with one NaN.
    pub fn ask(&self, question: &Question, eval: SimTime, now: SimTime) -> Vec<(Labels, u64)> {
        let at = question.at_s.map_or_else(|| self.ms(eval), |at| self.epoch_ms + at * 1000);
        let end = at - question.offset_ms;
        let mut groups: BTreeMap<Labels, Vec<f64>> = BTreeMap::new();
        for series in self.targets.iter().flatten().filter(|series| series.labels.metric_name() == question.metric) {
            let seen: Vec<&Sample> = series.samples.iter().filter(|s| s.visible <= now && s.ms <= end).collect();
            let value = match question.function {
                Function::Newest => self.newest(&seen, end),
                function => self.extrapolated(function, &seen, end, question.range_ms),
            };
            let listed = |name: &str| question.grouping.contains(&name);
            let kept = |name: &str| if question.without { name != "__name__" && !listed(name) } else { listed(name) };
            let key = Labels::from_pairs(series.labels.iter().filter(|(name, _)| kept(name)));
            if let Some(value) = value {
                groups.entry(key).or_default().push(value);
            }
        }
        let bits = |value: f64| if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() };
        groups.into_iter().map(|(key, values)| (key, bits(self.aggregate(question.aggregation, &values)))).collect()
    }

    fn ms(&self, at: SimTime) -> i64 {
        self.epoch_ms + i64::try_from(at.as_millis_floor()).expect("a short run")
    }

    /// Whether an instant lies after the lower edge of a window.
    fn after(&self, ms: i64, edge: i64) -> bool {
        if self.version >= PrometheusVersion::V3_5 { ms > edge } else { ms >= edge }
    }

    fn newest(&self, seen: &[&Sample], end: i64) -> Option<f64> {
        seen.last().filter(|sample| self.after(sample.ms, end - 300_000))?.value
    }

    fn extrapolated(&self, function: Function, seen: &[&Sample], end: i64, range_ms: i64) -> Option<f64> {
        let start = end - range_ms;
        let samples: Vec<(i64, f64)> =
            seen.iter().filter(|s| self.after(s.ms, start)).filter_map(|s| Some((s.ms, s.value?))).collect();
        let [(first_ms, first), .., (last_ms, last)] = samples[..] else { return None };
        let counter = function != Function::Delta;
        let mut result = last - first;
        for pair in samples.windows(2) {
            if counter && pair[1].1 < pair[0].1 {
                result += pair[0].1;
            }
        }
        let mut to_start = (first_ms - start) as f64 / 1000.0;
        let mut to_end = (end - last_ms) as f64 / 1000.0;
        let sampled = (last_ms - first_ms) as f64 / 1000.0;
        let average = sampled / (samples.len() - 1) as f64;
        let threshold = 1.1 * average;
        let limit_at_zero = |to_start: f64| {
            let to_zero = sampled * (first / result);
            if counter && result > 0.0 && first >= 0.0 && to_zero < to_start { to_zero } else { to_start }
        };
        let cut = |to_start: f64| if to_start >= threshold { average / 2.0 } else { to_start };
        to_start = match self.version {
            PrometheusVersion::V2_42 => cut(limit_at_zero(to_start)),
            _ => limit_at_zero(cut(to_start)),
        };
        to_end = cut(to_end);
        let mut factor = (sampled + to_start + to_end) / sampled;
        if function == Function::Rate {
            factor /= range_ms as f64 / 1000.0;
        }
        Some(result * factor)
    }

    fn aggregate(&self, aggregation: Aggregation, values: &[f64]) -> f64 {
        let n = values.len() as f64;
        let compensated = self.version >= PrometheusVersion::V2_55;
        match aggregation {
            Aggregation::Count => n,
            Aggregation::Sum if compensated => {
                let (sum, rest) = neumaier(values);
                if sum.is_infinite() { sum } else { sum + rest }
            }
            Aggregation::Sum => values.iter().fold(0.0, |sum, value| sum + value),
            Aggregation::Avg if compensated => {
                let (sum, rest) = neumaier(values);
                sum / n + rest / n
            }
            Aggregation::Avg => {
                let mut mean = values[0];
                for (index, value) in values.iter().enumerate().skip(1) {
                    let count = (index + 1) as f64;
                    mean += value / count - mean / count;
                }
                mean
            }
            Aggregation::Min => {
                values.iter().fold(f64::NAN, |best, value| if best.is_nan() || *value < best { *value } else { best })
            }
            Aggregation::Max => {
                values.iter().fold(f64::NAN, |best, value| if best.is_nan() || *value > best { *value } else { best })
            }
        }
    }
}

/// Sum and compensation. Averages of what overflows are not asked for.
fn neumaier(values: &[f64]) -> (f64, f64) {
    let (mut sum, mut rest) = (0.0f64, 0.0f64);
    for value in values {
        let total = sum + value;
        rest += if sum.abs() >= value.abs() { (sum - total) + value } else { (value - total) + sum };
        if total.is_infinite() {
            rest = 0.0;
        }
        sum = total;
    }
    (sum, rest)
}
