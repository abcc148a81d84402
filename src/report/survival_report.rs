//! The survival map: table, `survival.csv`, and the heat maps.

use crate::analysis::JumpCost;
use crate::report::columns::{Side, columns};
use crate::report::stability_text::load_text;
use crate::report::text::{count, number, seconds, wrap, wrap_under};
use crate::report::{Heatmap, HeatmapSpec, ResultsRow, ResultsTable};
use crate::scenario::SloLimit;
use crate::study::{SurvivalCell, SurvivalMap};
use serde_json::{Value, json};
use std::fmt::Write as _;

const JUMP: &str = "loadJump";
const STARTUP: &str = "startUpSeconds";
const MINUTES: &str = "minutesOutOfSlo";

/// Cells of a family up to which each has a line of its own.
const LINES: usize = 12;

/// Few cells as lines of all figures; many as tables with jumps to the right and start-up times downwards.
pub fn survival_text(map: &SurvivalMap) -> String {
    let mut out = String::new();
    wrap_under(&mut out, "survival: ", 2, &answer(map));
    let is_short = map.cells.iter().filter(|cell| !cell.is_ramp).count() <= LINES;
    for is_ramp in [false, true] {
        let how = if is_ramp { format!("a ramp of {}", map.ramp) } else { "a step".to_owned() };
        if is_short {
            let _ = writeln!(out, "\n  the {} after {how}", map.watched);
            out.push_str(&lines(map, is_ramp));
            continue;
        }
        let _ = writeln!(out, "\n  minutes out of the goals in the {} after {how}", map.watched);
        out.push_str(&grid(map, is_ramp, &|cell| minutes_text(map, cell)));
        if !is_ramp && map.sustained.is_some() {
            let _ = writeln!(out, "\n  by the formula, minutes until the backlog of a step is worked off");
            out.push_str(&grid(map, is_ramp, &|cell| cell.by_formula.map_or_else(|| "-".to_owned(), formula_cell)));
        }
    }
    if is_short {
        out.push_str("  * not recovered within the time watched\n\n");
    } else {
        out.push_str("  * not recovered within the time watched; (n): requests lost, where any were\n");
        wrap_under(&mut out, "  ", 2, &peaks(map));
        out.push('\n');
    }
    for line in assumed(map) {
        wrap_under(&mut out, "assumed: ", 9, &line);
    }
    wrap(&mut out, "not covered: ", "jumps from other loads, jumps down, nodes that have to be bought first");
    out
}

/// What the map rests on.
fn assumed(map: &SurvivalMap) -> Vec<String> {
    let goal = |own: &SloLimit| format!("{} {}", own.name(), seconds(own.limit.as_secs_f64()));
    let goals: Vec<String> = map.goals.iter().map(goal).collect();
    let by = if map.goals_assumed { " (the Scenario has no slo)" } else { "" };
    let before = match map.base {
        Some(base) => {
            format!("0.8 of the share of the fewest replicas, {}, for {}", load_text(&map.scale, base), map.jump_at)
        }
        None => format!("as given, for {}", map.jump_at),
    };
    let seeds = count(map.seeds.len() as u64, "seed");
    let sustained = match map.sustained {
        Some(rate) => format!(
            "the formula: {} requests/s of each replica within the goals at a steady load; requests wait from the jump until the \
             first write of more replicas and for the start-up after it, as many as the replicas at the jump do not sustain; what \
             the replicas that the new load asks for sustain more than the load works them off",
            number(rate)
        ),
        None => "no formula beside it: one replica keeps the goals at no steady load of these lengths that was tried"
            .to_owned(),
    };
    vec![
        format!("goals: {}{by}", goals.join(", ")),
        format!(
            "the load before the jump is {before}; {seeds} of each cell, the mean is shown; every pod takes exactly the start-up \
             time"
        ),
        sustained,
    ]
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

/// Minutes out of the goals, whether it recovered, and what was lost.
fn minutes_text(map: &SurvivalMap, cell: &SurvivalCell) -> String {
    let lost = if cell.lost > 0.0 { format!(" ({})", number(cell.lost.round())) } else { String::new() };
    let mark = if cell.recovered < map.seeds.len() { "*" } else { "" };
    format!("{:.1}{mark}{lost}", cell.miss_minutes)
}

fn formula_cell(cost: JumpCost) -> String {
    match cost {
        JumpCost::Nothing => "0".to_owned(),
        JumpCost::Recovers { minutes, .. } => format!("{minutes:.1}"),
        JumpCost::NoRecovery => "never".to_owned(),
    }
}

/// `about 12 min`.
fn formula_text(cost: JumpCost) -> String {
    match cost {
        JumpCost::Nothing => "no backlog".to_owned(),
        JumpCost::Recovers { minutes, .. } if minutes < 9.95 => format!("about {minutes:.1} min"),
        JumpCost::Recovers { minutes, .. } => format!("about {minutes:.0} min"),
        JumpCost::NoRecovery => "no recovery".to_owned(),
    }
}

/// How high replicas go.
fn peaks(map: &SurvivalMap) -> String {
    let peak = map.cells.iter().map(|cell| cell.peak).max().unwrap_or(0);
    let overshoot = map.cells.iter().filter_map(|cell| cell.overshoot).reduce(f64::max);
    let over = overshoot.map_or_else(String::new, |most| {
        format!(", at most {} times what load / threshold asks for in the end", number(most))
    });
    format!("replicas peak at {peak}{over}; time to recover, peak and overshoot of each cell stand in survival.csv")
}

/// A line per cell.
fn lines(map: &SurvivalMap, is_ramp: bool) -> String {
    let has_formula = !is_ramp && map.sustained.is_some();
    let header = ["requests/s", "start-up", "min out", "longest", "lost", "recovered", "noticed", "peak", "of need"];
    let mut rows: Vec<Vec<String>> = vec![header.map(str::to_owned).into()];
    rows[0].extend(has_formula.then(|| "by the formula".to_owned()));
    for cell in map.cells.iter().filter(|cell| cell.is_ramp == is_ramp) {
        let mark = if cell.recovered < map.seeds.len() { "*" } else { "" };
        let recovered = cell.recovery_minutes.map_or_else(|| "no".to_owned(), |minutes| format!("{minutes:.1} min"));
        let mut row = vec![
            format!("{} to {}", number(cell.load.from), number(cell.load.to)),
            format!("{} s", cell.startup_seconds),
            format!("{:.1}", cell.miss_minutes),
            format!("{:.1}", cell.longest_minutes),
            number(cell.lost.round()),
            format!("{recovered}{mark}"),
            cell.detection_seconds.map_or_else(|| "never".to_owned(), |seconds| format!("{seconds:.0} s")),
            cell.peak.to_string(),
            cell.overshoot.map_or_else(|| "-".to_owned(), |share| format!("x{share:.2}")),
        ];
        row.extend(has_formula.then(|| cell.by_formula.map_or_else(|| "-".to_owned(), formula_text)));
        rows.push(row);
    }
    columns(&rows, "    ", |_| Side::Right)
}

fn grid(map: &SurvivalMap, is_ramp: bool, text: &dyn Fn(&SurvivalCell) -> String) -> String {
    let cells: Vec<&SurvivalCell> = map.cells.iter().filter(|cell| cell.is_ramp == is_ramp).collect();
    let mut jumps: Vec<String> = cells.iter().map(|cell| jump_text(map, cell)).collect();
    jumps.dedup();
    let mut startups: Vec<u64> = cells.iter().map(|cell| cell.startup_seconds).collect();
    startups.sort_unstable();
    startups.dedup();
    let mut lines = vec![std::iter::once("start-up".to_owned()).chain(jumps).collect()];
    for startup in startups {
        let row = cells.iter().filter(|cell| cell.startup_seconds == startup);
        let row = row.map(|cell| text(cell));
        lines.push(std::iter::once(format!("{startup} s")).chain(row).collect::<Vec<String>>());
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
        "detection_s",
        "formula",
        "formula_minutes",
    ];
    writer.write_record(header).expect(written);
    let text = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    for cell in &map.cells {
        let cells = [
            shape(cell).to_owned(),
            cell.jump.to_string(),
            cell.load.from.to_string(),
            cell.load.to.to_string(),
            cell.startup_seconds.to_string(),
            map.seeds.len().to_string(),
            cell.miss_minutes.to_string(),
            cell.longest_minutes.to_string(),
            cell.lost.to_string(),
            cell.recovered.to_string(),
            text(cell.recovery_minutes),
            cell.peak.to_string(),
            text(cell.overshoot),
            text(cell.detection_seconds),
            cell.by_formula.map_or("", formula_word).to_owned(),
            text(cell.by_formula.and_then(formula_minutes)),
        ];
        writer.write_record(cells).expect(written);
    }
    String::from_utf8(writer.into_inner().expect(written)).expect("cells are UTF-8")
}

/// What a column of jumps is called: a factor, or loads that were given.
fn jump_text(map: &SurvivalMap, cell: &SurvivalCell) -> String {
    match map.base {
        Some(_) => format!("x{}", cell.jump),
        None => format!("{}:{}", cell.load.from, cell.load.to),
    }
}

/// The formula's outcome in files.
fn formula_word(cost: JumpCost) -> &'static str {
    match cost {
        JumpCost::Nothing => "no-backlog",
        JumpCost::Recovers { .. } => "recovers",
        JumpCost::NoRecovery => "no-recovery",
    }
}

fn formula_minutes(cost: JumpCost) -> Option<f64> {
    match cost {
        JumpCost::Nothing => Some(0.0),
        JumpCost::Recovers { minutes, .. } => Some(minutes),
        JumpCost::NoRecovery => None,
    }
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
            "fromRequestsPerSecond": own.load.from,
            "toRequestsPerSecond": own.load.to,
            "startUpSeconds": own.startup_seconds,
            "minutesOutOfSlo": own.miss_minutes,
            "longestMinutesOutOfSlo": own.longest_minutes,
            "requestsLost": own.lost,
            "recoveredSeeds": own.recovered,
            "recoveryMinutes": own.recovery_minutes,
            "peakReplicas": own.peak,
            "overshoot": own.overshoot,
            "detectionSeconds": own.detection_seconds,
            "byFormula": own.by_formula.map(|cost| json!({"outcome": formula_word(cost), "minutes": formula_minutes(cost)})),
        })
    };
    json!({
        "answer": answer(map),
        "baseRequestsPerSecond": map.base,
        "seeds": map.seeds,
        "goalsAssumed": map.goals_assumed,
        "sustainedRequestsPerSecond": map.sustained,
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
        values: vec![
            if map.base.is_some() { cell.jump.to_string() } else { jump_text(map, cell) },
            cell.startup_seconds.to_string(),
        ],
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
