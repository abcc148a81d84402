//! The table of key figures, of one run or of several seeds: as text, as Markdown, as JSON.

use crate::analysis::{Estimate, KpiValues, PUBLISHED_KPIS};
use crate::report::replications_text::estimate_text;
use crate::report::text::number;
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::fmt::Write as _;

/// Name, value, and what stands beside it.
fn cells(row: &KpiValues) -> [String; 3] {
    let shown = |estimate: &Estimate, scale: f64| match (estimate.values.len(), estimate.mean) {
        (_, None) => "no data".to_owned(),
        (1, Some(value)) if value.is_infinite() => "infinite".to_owned(),
        (1, Some(value)) => number(value * scale),
        _ => over_seeds(estimate, scale),
    };
    let (scale, unit) = match row.kpi.name {
        "Avg KV cache utilization" | "SLO attainment" => (100.0, " %"),
        "Goodput" => (1.0, " requests/s"),
        _ => (1.0, ""),
    };
    // Beside the value stands what says something else.
    let only_if_different = ["P99 TTFT (ms)", "Max replicas", "Avg queue depth"].contains(&row.kpi.name);
    let is_shown =
        |estimate: &Estimate| estimate.mean.is_some() && !(only_if_different && estimate.values == row.value.values);
    let beside = row.kpi.beside.iter().zip(&row.beside).filter(|(_, estimate)| is_shown(estimate));
    let mut beside: Vec<String> =
        beside.map(|((_, label, _), estimate)| format!("{label} {}", shown(estimate, scale))).collect();
    beside.extend(note(row).map(str::to_owned));
    let unit = if row.value.mean.is_some_and(f64::is_finite) { unit } else { "" };
    [row.kpi.name.to_owned(), shown(&row.value, scale) + unit, beside.join(", ")]
}

/// An estimate over several seeds; one without an interval (percentiles of few seeds) with its smallest and largest value.
fn over_seeds(estimate: &Estimate, scale: f64) -> String {
    let known = estimate.values.iter().flatten().count();
    match estimate.range() {
        Some((low, high)) if known > 2 && estimate.interval.is_none() && low < high && high.is_finite() => {
            format!("{} ({}..{})", estimate_text(estimate, scale).0, number(low * scale), number(high * scale))
        }
        _ => estimate_text(estimate, scale).0,
    }
}

/// How a row came about, or where what it lacks is to be had.
fn note(row: &KpiValues) -> Option<&'static str> {
    match row.kpi.name {
        "Avg KV cache utilization" | "Avg queue depth" if row.value.mean.is_some() => Some("sampled"),
        "Billed / oracle GPU-hours" if row.beside.iter().all(|own| own.mean.is_none()) => match row.value.mean {
            Some(_) => Some("oracle: run kedasim compare"),
            None => Some("no GPU"),
        },
        _ => None,
    }
}

/// The table as lines of text, indented by two.
pub(super) fn kpi_text(rows: &[KpiValues]) -> String {
    let cells: Vec<[String; 3]> = rows.iter().map(cells).collect();
    let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (name, value, beside) = (width(0), width(1), width(2));
    let mut out = String::new();
    for (index, row) in cells.iter().enumerate() {
        if index == PUBLISHED_KPIS {
            let _ = writeln!(out, "  {}", "-".repeat(name + value + beside + 4));
        }
        let line = format!("  {:name$}  {:>value$}  {}", row[0], row[1], row[2]);
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// The table in Markdown; `escape` makes text of ours harmless there.
pub(super) fn kpi_markdown(rows: &[KpiValues], heading: &str, escape: fn(&str) -> String) -> String {
    let mut out = format!("| {heading} | | |\n|---|---|---|\n");
    for (index, row) in rows.iter().enumerate() {
        let [name, value, beside] = cells(row);
        // Markdown knows no rule inside a table.
        let name = if index >= PUBLISHED_KPIS { format!("*{}*", escape(&name)) } else { escape(&name) };
        let _ = writeln!(out, "| {name} | {} | {} |", escape(&value), escape(&beside));
    }
    out
}

/// The rows as a JSON object: per name its `value`, with several seeds `interval` and `rule`, and what stands beside it.
pub(super) struct KpiObject<'a>(pub(super) &'a [KpiValues]);

impl Serialize for KpiObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for row in self.0 {
            map.serialize_entry(row.kpi.name, &Row(row))?;
        }
        map.end()
    }
}

struct Row<'a>(&'a KpiValues);

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let KpiValues { kpi, value, beside } = self.0;
        let mut map = serializer.serialize_map(None)?;
        let finite = |mean: Option<f64>| mean.filter(|mean| mean.is_finite());
        map.serialize_entry("value", &finite(value.mean))?;
        if value.mean.is_some_and(f64::is_infinite) {
            map.serialize_entry("isInf", &true)?;
        }
        if value.values.len() > 1 {
            map.serialize_entry("interval", &value.interval.map(|(interval, _)| interval))?;
            map.serialize_entry("rule", &value.interval.map(|(_, rule)| rule.word()))?;
        }
        for ((key, _, _), estimate) in kpi.beside.iter().zip(beside) {
            map.serialize_entry(key, &finite(estimate.mean))?;
        }
        map.end()
    }
}
