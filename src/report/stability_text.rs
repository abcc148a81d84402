//! The stability map as a person reads it: one sentence, the table of loads, the structure without noise, what was assumed and
//! what is not covered.

use crate::analysis::{
    Finding, NoisyLoad, StabilityBand, StabilityClass, StabilityRow, band_edges, counts_text, noise_free_bands,
    stability_bands, stability_findings,
};
use crate::report::columns::{Side, columns};
use crate::report::markdown::escape;
use crate::report::stability_words::{assumed, not_covered, share_text};
use crate::report::text::{number, wrap, wrap_under};
use crate::scenario::{Assumption, ResolvedRun};
use crate::study::{HysteresisLoop, LoadScale, NoiseFreePass, StabilityMap};
use std::fmt::Write as _;

/// Bands beyond which the first sentence speaks of classes, not of bands.
const BANDS_SHOWN: usize = 5;
/// A share of the time from which a count stands in the table.
const SHOWN_SHARE: f64 = 0.005;

/// A load in the trigger's unit and in requests.
pub(super) fn load_text(scale: &LoadScale, load: f64) -> String {
    match (scale.in_unit(load), scale.unit) {
        (Some(value), Some(unit)) => format!("{} {} ({} requests/s)", number(value), unit.name(), number(load)),
        _ => format!("{} requests/s", number(load)),
    }
}

/// Two loads.
fn loads_text(scale: &LoadScale, (from, to): (f64, f64)) -> String {
    if from >= to {
        return format!("at {}", load_text(scale, from));
    }
    match (scale.in_unit(from).zip(scale.in_unit(to)), scale.unit) {
        (Some((low, high)), Some(unit)) => format!(
            "from {} to {} {} ({} to {} requests/s)",
            number(low),
            number(high),
            unit.name(),
            number(from),
            number(to)
        ),
        _ => format!("from {} to {} requests/s", number(from), number(to)),
    }
}

/// The findings of a map.
pub(super) fn map_findings(map: &StabilityMap) -> Vec<Finding> {
    let mut found = stability_findings(&map.rows, &|loads| loads_text(&map.scale, loads));
    found.extend(crate::report::stability_words::unmoved_triggers(map));
    found
}

/// The whole text.
pub fn stability_text(run: &ResolvedRun, map: &StabilityMap) -> String {
    let mut out = String::new();
    wrap_under(&mut out, &format!("{}: ", title(run)), 2, &answer(map));
    out.push('\n');
    table(&mut out, map);
    structure(&mut out, map);
    let findings = map_findings(map);
    if !findings.is_empty() {
        out.push_str("\nfindings\n");
        for finding in &findings {
            wrap(&mut out, &format!("  {} ", finding.severity), &format!("{}: {}", finding.code, finding.message));
            for evidence in &finding.evidence {
                wrap(&mut out, "    - ", evidence);
            }
        }
    }
    out.push('\n');
    for line in assumed(run, map) {
        wrap_under(&mut out, "assumed: ", 9, &line);
    }
    for Assumption { path, value, why } in kept(&run.assumptions) {
        wrap_under(&mut out, "assumed: ", 9, &format!("{path} = {value} ({why})"));
    }
    for line in not_covered(map) {
        wrap_under(&mut out, "not covered: ", 13, &line);
    }
    out
}

/// What the map itself does not set.
fn kept(assumptions: &[Assumption]) -> impl Iterator<Item = &Assumption> {
    let of_one_run = ["spec.seed", "spec.initialReplicas", "spec.duration", "spec.warmup"];
    assumptions.iter().filter(move |own| !of_one_run.contains(&own.path.as_str()))
}

fn title(run: &ResolvedRun) -> String {
    let mut title = format!("policy {}, scenario {}", run.policy, run.scenario);
    if !run.traffic_name.is_empty() && run.traffic_name != run.scenario {
        let _ = write!(title, ", traffic {}", run.traffic_name);
    }
    let _ = write!(title, ", profile {}", run.profile);
    title
}

/// One sentence.
pub(super) fn answer(map: &StabilityMap) -> String {
    let bands = stability_bands(&map.rows);
    if bands.len() <= BANDS_SHOWN {
        let each = |band: &StabilityBand| {
            format!("{} {} ({})", band.class.verb(), loads_text(&map.scale, band.loads), detail(band))
        };
        return bands.iter().map(each).collect::<Vec<_>>().join("; ");
    }
    let mut classes: Vec<StabilityClass> = bands.iter().map(|band| band.class).collect();
    classes.sort_unstable();
    classes.dedup();
    let edges = band_edges(&bands, (map.range.from, map.range.to));
    let widths: Vec<f64> = edges.iter().map(|(from, to)| to - from).collect();
    let whole: f64 = widths.iter().sum();
    let of_class = |class: StabilityClass| {
        let own: Vec<(&StabilityBand, f64)> =
            bands.iter().zip(widths.iter().copied()).filter(|(band, _)| band.class == class).collect();
        let low = own.iter().map(|(band, _)| band.loads.0).fold(f64::INFINITY, f64::min);
        let high = own.iter().map(|(band, _)| band.loads.1).fold(0.0, f64::max);
        let share = 100.0 * own.iter().map(|(_, width)| width).sum::<f64>() / whole;
        let bands = if own.len() == 1 { "1 band".to_owned() } else { format!("{} bands", own.len()) };
        let mut together = own[0].0.clone();
        for (band, _) in &own[1..] {
            together.absorb(band);
        }
        format!(
            "{} in {bands} {} ({:.0} % of the range; {})",
            class.verb(),
            loads_text(&map.scale, (low, high)).replace("from ", "between ").replacen(" to ", " and ", 1),
            share,
            detail(&together)
        )
    };
    classes.into_iter().map(of_class).collect::<Vec<_>>().join("; ")
}

fn detail(band: &StabilityBand) -> String {
    let counts = counts_text(&band.counts);
    let noun = if band.counts == [1] { "replica" } else { "replicas" };
    let (low, high) = band.flaps_per_hour;
    let flaps = if format!("{low:.1}") == format!("{high:.1}") {
        format!("{high:.1} flaps/h")
    } else {
        format!("{low:.1} to {high:.1} flaps/h")
    };
    match band.class {
        StabilityClass::LimitCycle => match band.periods {
            Some((low, high)) if high - low >= 1.0 => {
                format!("replicas {counts}, a cycle of {low:.0} to {high:.0} s without any noise, {flaps} with it")
            }
            Some((low, _)) => format!("replicas {counts}, a cycle of {low:.0} s without any noise, {flaps} with it"),
            None => format!("replicas {counts}, without any noise, {flaps} with it"),
        },
        StabilityClass::NoiseDriven | StabilityClass::Restless => format!("replicas {counts}, {flaps}"),
        StabilityClass::Undecided => format!("{flaps} so far"),
        _ => format!("{counts} {noun}"),
    }
}

/// The loads of the seeds' pass.
fn table(out: &mut String, map: &StabilityMap) {
    let rows: Vec<&StabilityRow> = map.rows.iter().filter(|row| row.noisy.is_some()).collect();
    let lines: Vec<Vec<String>> = std::iter::once(header(map)).chain(rows.iter().map(|row| cells(map, row))).collect();
    let shares = lines[0].len() - 2;
    out.push_str(&columns(&lines, "   ", |column| if column < shares { Side::Right } else { Side::Left }));
}

fn header(map: &StabilityMap) -> Vec<String> {
    let mut cells = vec!["requests/s".to_owned()];
    if map.scale.in_unit(1.0).is_some() {
        cells.push(map.scale.unit.map_or("", |unit| unit.name()).to_owned());
    }
    if map.scale.target.is_some() {
        cells.push("need".to_owned());
    }
    if knows_capacity(map) {
        cells.push("for SLO".to_owned());
    }
    if !matches!(map.noise_free, NoiseFreePass::Missing(_)) {
        cells.push("no noise".to_owned());
    }
    cells.extend(["flaps/h (95 %)".to_owned(), "h".to_owned(), "mean".to_owned()]);
    if has_goals(map) {
        cells.push("SLO".to_owned());
    }
    cells.extend(["replicas: % of time".to_owned(), "verdict".to_owned()]);
    cells
}

fn knows_capacity(map: &StabilityMap) -> bool {
    map.capacity.as_ref().is_some_and(|curve| !curve.measured.is_empty())
}

fn has_goals(map: &StabilityMap) -> bool {
    map.rows.iter().any(|row| row.noisy.as_ref().is_some_and(|own| own.attainment.is_some()))
}

fn cells(map: &StabilityMap, row: &StabilityRow) -> Vec<String> {
    let noisy = row.noisy.as_ref().expect("the table has rows with a seeds' pass");
    let mut cells = vec![number(row.load)];
    cells.extend(map.scale.in_unit(row.load).map(number));
    if map.scale.target.is_some() {
        cells.push(row.need.map_or_else(String::new, |need| need.to_string()));
    }
    if knows_capacity(map) {
        cells.push(row.need_within_slo.map_or_else(|| "-".to_owned(), |need| need.to_string()));
    }
    if !matches!(map.noise_free, NoiseFreePass::Missing(_)) {
        cells.push(ends_text(row));
    }
    let (low, high) = noisy.flaps_per_hour_interval;
    cells.push(format!("{:.1} ({low:.1}..{high:.1})", noisy.flaps_per_hour));
    cells.push(format!("{}x{:.2}", noisy.seeds.len(), noisy.hours_each));
    cells.push(format!("{:.2}", noisy.replicas_mean.mean.unwrap_or(0.0)));
    if has_goals(map) {
        let share = noisy.attainment.as_ref().and_then(|own| own.mean);
        cells.push(share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", 100.0 * share)));
    }
    cells.push(shares_text(noisy));
    cells.push(row.class.map_or("", StabilityClass::word).to_owned());
    cells
}

/// `2`, `1|2` by the start, `{1,2}` in a cycle, `1>4` still moving.
fn ends_text(row: &StabilityRow) -> String {
    use crate::analysis::LoopEnd;
    let mut ends: Vec<String> = Vec::new();
    for own in &row.noise_free {
        let text = match &own.end {
            LoopEnd::Settled(count) => count.to_string(),
            LoopEnd::Cycle(cycle) => {
                format!("{{{}}}", cycle.counts.iter().map(i32::to_string).collect::<Vec<_>>().join(","))
            }
            LoopEnd::Moving { from, to } => format!("{from}>{to}"),
        };
        if !ends.contains(&text) {
            ends.push(text);
        }
    }
    ends.join("|")
}

fn shares_text(noisy: &NoisyLoad) -> String {
    let shown = noisy.shares.iter().filter(|(_, share)| *share >= SHOWN_SHARE);
    shown.map(|(count, share)| format!("{count}:{}", share_text(*share))).collect::<Vec<_>>().join(" ")
}

/// The bands without noise.
fn structure(out: &mut String, map: &StabilityMap) {
    if let NoiseFreePass::Missing(why) = &map.noise_free {
        out.push('\n');
        wrap(out, "without noise: ", &format!("not looked at, because {why}; a cycle and noise are not told apart"));
        return;
    }
    out.push_str("\nwithout noise\n");
    for band in noise_free_bands(&map.rows) {
        let counts = counts_text(&band.ends);
        let what = match band.ends.as_slice() {
            _ if band.cycles => format!("goes up and down without end between {}", counts.replace(" or ", " and ")),
            [only] => format!("rests at {only}"),
            _ => format!("rests at {counts}, depending on the start"),
        };
        wrap(out, "  ", &format!("{}: {what}", loads_text(&map.scale, band.loads)));
    }
    for own in &map.ramps {
        wrap(out, "  ", &ramp_text(&map.scale, own));
    }
}

/// What a slow ramp through a band in which the start decides found.
fn ramp_text(scale: &LoadScale, own: &HysteresisLoop) -> String {
    let (low, high) = own.counts;
    let way = |count: i32, found: Option<f64>| match found {
        Some(load) => format!("reaches {count} at {}", load_text(scale, load)),
        None => format!("does not reach {count}"),
    };
    let verdict = if own.agrees {
        "the band is the one found by starts".to_owned()
    } else {
        format!("unlike the band found by starts, {}", loads_text(scale, own.band))
    };
    format!("a slow ramp up {}, one down {}: {verdict}", way(high, own.up), way(low, own.down))
}

/// As Markdown.
pub fn stability_markdown(run: &ResolvedRun, map: &StabilityMap) -> String {
    let mut out = format!("### kedasim stability: {}\n\n{}\n\n", escape(&title(run)), escape(&answer(map)));
    let header = header(map);
    let line =
        |cells: &[String]| format!("| {} |\n", cells.iter().map(|own| escape(own)).collect::<Vec<_>>().join(" | "));
    out.push_str(&line(&header));
    out.push_str(&format!("|{}\n", "---|".repeat(header.len())));
    for row in map.rows.iter().filter(|row| row.noisy.is_some()) {
        out.push_str(&line(&cells(map, row)));
    }
    for finding in map_findings(map) {
        let _ = write!(out, "\n- **{}** `{}`: {}", finding.severity, finding.code, escape(&finding.message));
        for evidence in &finding.evidence {
            let _ = write!(out, "\n  - {}", escape(evidence));
        }
    }
    out.push_str("\n\n");
    for line in assumed(run, map).iter().chain(&not_covered(map)) {
        let _ = writeln!(out, "- {}", escape(line));
    }
    out
}
