//! The samples that a query used, and each of its operations asked by itself.
//!
//! What Prometheus had stored is put into a server of its own, as far as it was visible when the query was asked; there each
//! part of the query is asked as a query. The whole must give what the decision recorded, else nothing is shown.

use crate::keda::{KedaVersion, PrometheusTrigger, value_from_query};
use crate::prometheus::{
    PrometheusServer, PrometheusVersion, QueryId, QueryPart, QueryWindow, StoredRow, query_outline,
};
use crate::record::MetricRecord;
use crate::report::{Element, Extrapolated, PartExplained, QueryExplained, SeriesSamples, WindowLooked};
use crate::scenario::ResolvedRun;
use crate::series::{Labels, QueryValue};
use crate::units::{SimDuration, SimTime};
use anyhow::{Context, ensure};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// Longer than any scrape of a target that a query asks about is apart from the query's own reach.
const SLACK: SimDuration = SimDuration::from_secs(60);
/// Sums of the same numbers in another order.
const SAME: f64 = 1e-12;

/// What was stored around the decisions that are explained.
pub(super) struct Samples {
    rows: Vec<StoredRow>,
    /// Time stamps from the first on are kept, ms since the Unix epoch.
    from_ms: i64,
    /// Rows that become visible later are not needed.
    until: SimTime,
}

impl Samples {
    /// Room for what the run's queries see at the instants `asked`.
    pub(super) fn for_run(run: &ResolvedRun, asked: &[SimTime]) -> Self {
        let settings = &run.monitoring.server;
        let mut server = PrometheusServer::new(settings.clone());
        let mut looks_anywhere = false;
        for trigger in run.keda.iter().flat_map(|keda| &keda.scaled_object.triggers) {
            let Some(own) = trigger.prometheus() else { continue };
            let Ok(outline) = query_outline(&own.query, settings.version) else { continue };
            looks_anywhere |= has_fixed_time(&outline);
            // One that is refused was refused in the run, too.
            let _ = server.compile(&own.query);
        }
        let first = asked.iter().min().copied().unwrap_or(SimTime::NEVER);
        let reach = server.longest_reach() + SLACK;
        let millis = |at: SimTime| i64::try_from(at.as_millis_floor()).unwrap_or(i64::MAX);
        let from_ms = settings.epoch_ms.saturating_add(millis(first)).saturating_sub(millis(SimTime::ZERO + reach));
        let until = asked.iter().max().map_or(SimTime::ZERO, |last| *last + SimDuration::from_secs(1));
        Samples { rows: Vec::new(), from_ms: if looks_anywhere { i64::MIN } else { from_ms }, until }
    }

    /// Keeps a row that is needed.
    pub(super) fn add(&mut self, row: &StoredRow) {
        if row.at_ms >= self.from_ms && row.visible <= self.until {
            self.rows.push(row.clone());
        }
    }

    /// Every series with what of it is visible at `now`, in the order of their first samples.
    fn visible_at(&self, now: SimTime) -> Vec<(&Labels, Vec<(i64, f64)>)> {
        let mut places: FxHashMap<&Labels, usize> = FxHashMap::default();
        let mut series: Vec<(&Labels, Vec<(i64, f64)>)> = Vec::new();
        for row in self.rows.iter().filter(|row| row.visible <= now) {
            for (labels, value) in row.samples() {
                let place = *places.entry(labels).or_insert_with(|| {
                    series.push((labels, Vec::new()));
                    series.len() - 1
                });
                series[place].1.push((row.at_ms, value));
            }
        }
        for (_, samples) in &mut series {
            samples.sort_by_key(|(at, _)| *at);
        }
        series
    }
}

/// Whether some selector looks at a fixed instant.
fn has_fixed_time(part: &QueryPart) -> bool {
    part.window.is_some_and(|window| window.at_ms.is_some()) || part.parts.iter().any(has_fixed_time)
}

/// The query of `own` as it was asked for `metric` in a decision at `decided`; `None` where Prometheus did not answer it.
pub(super) fn query_explained(
    run: &ResolvedRun,
    samples: &Samples,
    (own, version): (&PrometheusTrigger, KedaVersion),
    metric: &MetricRecord,
    decided: SimTime,
) -> anyhow::Result<Option<QueryExplained>> {
    let settings = &run.monitoring.server;
    let Ok(outline) = query_outline(&own.query, settings.version) else { return Ok(None) };
    let mut parts = Vec::new();
    flatten(&outline, 0, &mut parts);
    let eval_ms = settings.epoch_ms + i64::try_from(metric.query_time.as_millis_floor())?;
    for now in moments(samples, metric.query_time, decided) {
        let mut asked = Asked::new(run, samples, &parts, now)?;
        let Some(whole) = asked.answer(0, eval_ms) else { return Ok(None) };
        let read = value_from_query(own, version, Ok(&whole));
        let is_same = match (&read, metric.value, &metric.error) {
            (Ok(read), Some(value), _) => is_close(read.value, value),
            (Err(text), None, Some(error)) => text == error,
            _ => false,
        };
        if is_same {
            let work = Work { epoch_ms: settings.epoch_ms, eval_ms, version: settings.version };
            let parts = work.parts(&parts, &mut asked)?;
            return Ok(Some(QueryExplained { unix_seconds: eval_ms as f64 / 1000.0, parts }));
        }
    }
    Ok(None)
}

fn is_close(one: f64, other: f64) -> bool {
    one.to_bits() == other.to_bits() || (one - other).abs() <= SAME * other.abs()
}

/// When the query may have arrived: within the second that its time stamp is cut to, at the latest with the decision. What
/// it saw differs only where a row became visible meanwhile; the latest comes first.
fn moments(samples: &Samples, query_time: SimTime, decided: SimTime) -> Vec<SimTime> {
    let second = SimTime::from_ps((query_time + SimDuration::from_secs(1)).as_ps() - 1);
    let latest = second.min(decided.max(query_time));
    let between = samples.rows.iter().map(|row| row.visible).filter(|at| *at > query_time && *at <= latest);
    let mut moments: Vec<SimTime> = between.map(|at| SimTime::from_ps(at.as_ps() - 1)).chain([latest]).collect();
    moments.sort_unstable();
    moments.dedup();
    moments.reverse();
    moments
}

fn flatten<'q>(part: &'q QueryPart, depth: usize, out: &mut Vec<(usize, &'q QueryPart, Option<&'q QueryPart>)>) {
    fn below<'q>(
        part: &'q QueryPart,
        depth: usize,
        parent: Option<&'q QueryPart>,
        out: &mut Vec<(usize, &'q QueryPart, Option<&'q QueryPart>)>,
    ) {
        out.push((depth, part, parent));
        for inner in &part.parts {
            below(inner, depth + 1, Some(part), out);
        }
    }
    below(part, depth, None, out);
}

/// A server with what was visible, and the compiled parts.
struct Asked {
    server: PrometheusServer,
    /// Per part: itself, and for an instant selector the time stamps of its samples.
    queries: Vec<(QueryId, Option<QueryId>)>,
}

impl Asked {
    fn new(
        run: &ResolvedRun,
        samples: &Samples,
        parts: &[(usize, &QueryPart, Option<&QueryPart>)],
        now: SimTime,
    ) -> anyhow::Result<Self> {
        let mut server = PrometheusServer::new(run.monitoring.server.clone());
        let mut queries = Vec::new();
        for (_, part, _) in parts {
            let own = server.compile(&part.text).with_context(|| format!("a part of a query, {}", part.text))?;
            let is_instant = part.window.is_some_and(|window| window.range.is_none());
            let stamps = if is_instant { Some(server.compile(&format!("timestamp({})", part.text))?) } else { None };
            queries.push((own, stamps));
        }
        for (labels, samples) in samples.visible_at(now) {
            server.add_recorded_series(labels, &samples);
        }
        Ok(Asked { server, queries })
    }

    /// What a part gives; `None` for an error of Prometheus.
    fn answer(&mut self, part: usize, eval_ms: i64) -> Option<QueryValue> {
        self.server.query_recorded(self.queries[part].0, eval_ms).ok()
    }

    /// The time stamps of an instant selector's samples, in the order of its answer.
    fn stamps(&mut self, part: usize, eval_ms: i64) -> Option<Vec<f64>> {
        match self.server.query_recorded(self.queries[part].1?, eval_ms) {
            Ok(QueryValue::Vector(elements)) => Some(elements.into_iter().map(|(_, seconds)| seconds).collect()),
            _ => None,
        }
    }
}

/// What the parts of one query are worked out with.
struct Work {
    epoch_ms: i64,
    eval_ms: i64,
    version: PrometheusVersion,
}

impl Work {
    fn parts(
        &self,
        parts: &[(usize, &QueryPart, Option<&QueryPart>)],
        asked: &mut Asked,
    ) -> anyhow::Result<Vec<PartExplained>> {
        let mut explained: Vec<PartExplained> = Vec::with_capacity(parts.len());
        for (index, (depth, part, parent)) in parts.iter().enumerate() {
            let stamps = asked.stamps(index, self.eval_ms);
            let window = part.window.and_then(|window| self.window(window));
            let mut own = PartExplained {
                depth: *depth,
                text: part.text.clone(),
                short: part.short.clone(),
                operation: part.operation.clone(),
                answer: Vec::new(),
                window: window.map(|(_, _, looked)| looked),
                series: Vec::new(),
            };
            match asked.answer(index, self.eval_ms) {
                None | Some(QueryValue::String(_)) => {}
                Some(QueryValue::Scalar(value)) => {
                    own.answer.push(Element { labels: BTreeMap::new(), value, t: None });
                }
                Some(QueryValue::Vector(elements)) => {
                    let stamps = stamps.into_iter().flatten().map(|at| at - self.epoch_ms as f64 / 1000.0).map(Some);
                    let stamps = stamps.chain(std::iter::repeat(None));
                    own.answer = elements
                        .iter()
                        .zip(stamps)
                        .map(|((labels, value), t)| Element { labels: map_of(labels), value: *value, t })
                        .collect();
                }
                Some(QueryValue::Matrix(series)) => {
                    let function = parent.map_or("", |parent| parent.operation.as_str());
                    let edges = window.map(|(from, to, _)| (from, to));
                    own.series = series.iter().map(|one| self.series(one, function, edges)).collect();
                    if let Some(above) = explained.last().filter(|_| is_extrapolating(function) && edges.is_some()) {
                        check(above, &own)?;
                    }
                }
            }
            explained.push(own);
        }
        Ok(explained)
    }

    /// A range selector's edges, ms, and as they are shown.
    fn window(&self, window: QueryWindow) -> Option<(i64, i64, WindowLooked)> {
        let range = i64::try_from(window.range?.as_millis_floor()).ok()?;
        let to = window.at_ms.unwrap_or(self.eval_ms).saturating_sub(window.offset_ms);
        let from = to.saturating_sub(range);
        let seconds = |ms: i64| (ms - self.epoch_ms) as f64 / 1000.0;
        let open = self.version >= PrometheusVersion::V3_5;
        Some((from, to, WindowLooked { from: seconds(from), open, to: seconds(to) }))
    }

    fn series(
        &self,
        (labels, samples): &(Labels, Vec<(i64, f64)>),
        function: &str,
        edges: Option<(i64, i64)>,
    ) -> SeriesSamples {
        let seconds = |ms: i64| (ms - self.epoch_ms) as f64 / 1000.0;
        let extrapolation = edges
            .filter(|_| is_extrapolating(function))
            .and_then(|edges| extrapolated(samples, edges, function, self.version >= PrometheusVersion::V2_51));
        SeriesSamples {
            labels: map_of(labels),
            samples: samples.iter().map(|(at, value)| (seconds(*at), *value)).collect(),
            extrapolation,
        }
    }
}

fn map_of(labels: &Labels) -> BTreeMap<String, String> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn is_extrapolating(function: &str) -> bool {
    matches!(function, "rate" | "increase" | "delta")
}

/// The numbers that are shown give what Prometheus gave.
fn check(above: &PartExplained, range: &PartExplained) -> anyhow::Result<()> {
    let shown: Vec<f64> = range.series.iter().filter_map(|one| Some(one.extrapolation?.result)).collect();
    let same = shown.len() == above.answer.len()
        && shown.iter().zip(&above.answer).all(|(shown, element)| is_close(*shown, element.value));
    ensure!(same, "{} is worked out as {shown:?}, which is not what it gives; this is a defect of kedasim", above.text);
    Ok(())
}

/// `extrapolatedRate` (promql/functions.go) over samples in the window from the first to the second of `edges`, ms.
fn extrapolated(
    samples: &[(i64, f64)],
    (from, to): (i64, i64),
    function: &str,
    cap_before_zero: bool,
) -> Option<Extrapolated> {
    let [(first_ts, first), .., (last_ts, last)] = samples else { return None };
    let is_counter = function != "delta";
    let resets = samples.windows(2).filter(|pair| is_counter && pair[1].1 < pair[0].1);
    let lost_in_resets = resets.fold(0.0, |lost, pair| lost + pair[0].1);
    let growth = last - first + lost_in_resets;
    let sampled = (last_ts - first_ts) as f64 / 1000.0;
    let average = sampled / (samples.len() - 1) as f64;
    let threshold = average * 1.1;
    let to_start = (first_ts - from) as f64 / 1000.0;
    let to_end = (to - last_ts) as f64 / 1000.0;
    let capped = |gap: f64| if gap >= threshold { average / 2.0 } else { gap };
    let mut start = if cap_before_zero { capped(to_start) } else { to_start };
    let to_zero = sampled * (first / growth);
    let cut_at_zero = is_counter && growth > 0.0 && *first >= 0.0 && to_zero < start;
    if cut_at_zero {
        start = to_zero;
    }
    if !cap_before_zero {
        start = capped(start);
    }
    let end = capped(to_end);
    let range_seconds = (function == "rate").then(|| (to - from) as f64 / 1000.0);
    let factor = (sampled + start + end) / sampled;
    Some(Extrapolated {
        growth,
        lost_in_resets,
        sampled_seconds: sampled,
        to_start_seconds: to_start,
        counted_to_start_seconds: start,
        to_end_seconds: to_end,
        counted_to_end_seconds: end,
        threshold_seconds: threshold,
        cut_at_zero,
        range_seconds,
        result: growth * range_seconds.map_or(factor, |range| factor / range),
    })
}
