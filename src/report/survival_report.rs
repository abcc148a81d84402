//! The survival map: table, `survival.csv`, and the heat maps.

use crate::report::columns::{Side, columns};
use crate::report::stability_text::load_text;
use crate::report::text::{number, seconds, wrap, wrap_under};
use crate::report::{Heatmap, HeatmapSpec, ResultsRow, ResultsTable};
use crate::scenario::SloMetric;
use crate::study::{SurvivalCell, SurvivalMap};
use serde_json::{Value, json};
use std::fmt::Write as _;

const JUMP: &str = "loadJump";
const STARTUP: &str = "startUpSeconds";
const MINUTES: &str = "minutesOutOfSlo";

/// The table: jumps to the right, start-up times downwards, minutes out of the goals.
pub fn survival_text(map: &SurvivalMap) -> String {
    let mut out = String::new();
    wrap_under(&mut out, "survival: ", 2, &answer(map));
    for is_ramp in [false, true] {
        let how = if is_ramp { format!("a ramp of {}", map.ramp) } else { "a step".to_owned() };
        let _ = writeln!(out, "\n  minutes out of the goals in the {} after {how}", map.watched);
        out.push_str(&grid(map, is_ramp));
    }
    out.push_str("  * not recovered within the time watched; (n): requests lost, where any were\n\n");
    let goals: Vec<String> = map
        .goals
        .iter()
        .map(|own| {
            let metric = match own.metric {
                SloMetric::Ttft => "ttft",
                SloMetric::Tpot => "tpot",
                SloMetric::E2e => "e2e",
            };
            format!("{metric}.{} {}", own.quantile_name, seconds(own.limit.as_secs_f64()))
        })
        .collect();
    let by = if map.goals_assumed { " (the Scenario has no slo)" } else { "" };
    wrap_under(&mut out, "assumed: ", 9, &format!("goals: {}{by}", goals.join(", ")));
    let line = format!(
        "the load before the jump is 0.8 of the share of the fewest replicas, {}, for {}; {} of each cell, the mean is shown; \
         every pod takes exactly the start-up time",
        load_text(&map.scale, map.base),
        map.jump_at,
        if map.seeds.len() == 1 { "1 seed".to_owned() } else { format!("{} seeds", map.seeds.len()) }
    );
    wrap_under(&mut out, "assumed: ", 9, &line);
    wrap(&mut out, "not covered: ", "jumps from other loads, jumps down, nodes that have to be bought first");
    out
}

/// One sentence.
fn answer(map: &SurvivalMap) -> String {
    let steps = || map.cells.iter().filter(|cell| !cell.is_ramp);
    let clean = steps().filter(|cell| cell.miss_minutes == 0.0 && cell.lost == 0.0).count();
    let lost = steps().filter(|cell| cell.recovered < map.seeds.len()).count();
    let worst = steps().map(|cell| cell.miss_minutes).fold(0.0, f64::max);
    format!(
        "of {} jumps at start-ups of {} to {} s, {clean} cost nothing, {lost} are not recovered from within {}; the worst \
         costs {} minutes out of the goals",
        steps().count(),
        map.cells.iter().map(|cell| cell.startup_seconds).min().unwrap_or(0),
        map.cells.iter().map(|cell| cell.startup_seconds).max().unwrap_or(0),
        map.watched,
        number(worst)
    )
}

fn grid(map: &SurvivalMap, is_ramp: bool) -> String {
    let cells: Vec<&SurvivalCell> = map.cells.iter().filter(|cell| cell.is_ramp == is_ramp).collect();
    let mut jumps: Vec<f64> = cells.iter().map(|cell| cell.jump).collect();
    jumps.dedup();
    let mut startups: Vec<u64> = cells.iter().map(|cell| cell.startup_seconds).collect();
    startups.sort_unstable();
    startups.dedup();
    let mut lines =
        vec![std::iter::once("start-up".to_owned()).chain(jumps.iter().map(|own| format!("x{own}"))).collect()];
    for startup in startups {
        let row = cells.iter().filter(|cell| cell.startup_seconds == startup);
        let text = |cell: &&SurvivalCell| {
            let lost = if cell.lost > 0.0 { format!(" ({})", number(cell.lost.round())) } else { String::new() };
            let mark = if cell.recovered < map.seeds.len() { "*" } else { "" };
            format!("{:.1}{mark}{lost}", cell.miss_minutes)
        };
        lines.push(std::iter::once(format!("{startup} s")).chain(row.map(text)).collect::<Vec<String>>());
    }
    columns(&lines, "    ", |_| Side::Right)
}

/// `survival.csv`.
pub fn survival_csv(map: &SurvivalMap) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let written = "writing to memory does not fail";
    let header = [
        "shape",
        "jump",
        "from_requests_per_second",
        "to_requests_per_second",
        "startup_s",
        "seeds",
        "minutes_out_of_slo",
        "longest_minutes_out_of_slo",
        "requests_lost",
        "recovered_seeds",
        "recovery_minutes",
        "peak_replicas",
        "overshoot",
    ];
    writer.write_record(header).expect(written);
    let text = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    for cell in &map.cells {
        let cells = [
            shape(cell).to_owned(),
            cell.jump.to_string(),
            map.base.to_string(),
            (map.base * cell.jump).to_string(),
            cell.startup_seconds.to_string(),
            map.seeds.len().to_string(),
            cell.miss_minutes.to_string(),
            cell.longest_minutes.to_string(),
            cell.lost.to_string(),
            cell.recovered.to_string(),
            text(cell.recovery_minutes),
            cell.peak.to_string(),
            text(cell.overshoot),
        ];
        writer.write_record(cells).expect(written);
    }
    String::from_utf8(writer.into_inner().expect(written)).expect("cells are UTF-8")
}

fn shape(cell: &SurvivalCell) -> &'static str {
    if cell.is_ramp { "ramp" } else { "step" }
}

/// The map in `summary.json`.
pub(super) fn survival_value(map: &SurvivalMap) -> Value {
    let cell = |own: &SurvivalCell| {
        json!({
            "shape": shape(own),
            "jump": own.jump,
            "startUpSeconds": own.startup_seconds,
            "minutesOutOfSlo": own.miss_minutes,
            "longestMinutesOutOfSlo": own.longest_minutes,
            "requestsLost": own.lost,
            "recoveredSeeds": own.recovered,
            "recoveryMinutes": own.recovery_minutes,
            "peakReplicas": own.peak,
            "overshoot": own.overshoot,
        })
    };
    json!({
        "answer": answer(map),
        "baseRequestsPerSecond": map.base,
        "seeds": map.seeds,
        "goalsAssumed": map.goals_assumed,
        "jumpAtSeconds": map.jump_at.as_secs_f64(),
        "watchedSeconds": map.watched.as_secs_f64(),
        "rampSeconds": map.ramp.as_secs_f64(),
        "cells": map.cells.iter().map(cell).collect::<Vec<Value>>(),
    })
}

/// The heat map of steps, or of ramps.
///
/// # Errors
/// What the heat map could not do.
pub(super) fn survival_heatmap(map: &SurvivalMap, is_ramp: bool) -> Result<Heatmap, String> {
    let cells = map.cells.iter().filter(|cell| cell.is_ramp == is_ramp);
    let row = |cell: &SurvivalCell, (seed, minutes): (&u64, &f64)| ResultsRow {
        values: vec![cell.jump.to_string(), cell.startup_seconds.to_string()],
        seed: *seed,
        status: String::new(),
        figures: vec![Some(*minutes)],
    };
    let rows_of = |cell: &SurvivalCell| -> Vec<ResultsRow> {
        map.seeds.iter().zip(&cell.miss_minutes_each).map(|own| row(cell, own)).collect()
    };
    let table = ResultsTable {
        axes: vec![JUMP.to_owned(), STARTUP.to_owned()],
        figures: vec![MINUTES.to_owned()],
        rows: cells.flat_map(rows_of).collect(),
    };
    let name = if is_ramp {
        format!("Survival of a load that rises within {}", map.ramp)
    } else {
        "Survival of a jump of the load".to_owned()
    };
    let spec = HeatmapSpec { x: JUMP.to_owned(), y: STARTUP.to_owned(), value: MINUTES.to_owned() };
    Heatmap::new(&name, &table, &spec)
}
