//! What a stability map rests on, in words: ranges, times, assumptions, and what it does not say.

use crate::analysis::Finding;
use crate::record::Counted;
use crate::report::text::number;
use crate::scenario::ResolvedRun;
use crate::study::{CapacityCurve, NoiseFreePass, RangeOrigin, StabilityMap};
use crate::units::Severity;

/// `37 %` without the sign, `<1` of what is hardly there.
pub(super) fn share_text(share: f64) -> String {
    let percent = 100.0 * share;
    if percent < 1.0 { "<1".to_owned() } else { format!("{percent:.0}") }
}

/// What nobody asked for in this form.
pub(super) fn assumed(run: &ResolvedRun, map: &StabilityMap) -> Vec<String> {
    let mut lines = vec![range_line(map), load_line(map), times_line(map)];
    lines.extend(map.capacity.as_ref().map(capacity_line));
    if !run.faults.is_empty() {
        lines.push("nothing is out of order: the Scenario's faults are left out".to_owned());
    }
    lines
}

fn range_line(map: &StabilityMap) -> String {
    let range = &map.range;
    let share = match &map.scale.trigger {
        Some((name, threshold)) => format!(
            "one replica's share of {name}'s threshold {} is {} requests/s",
            number(*threshold),
            number(map.scale.share())
        ),
        None => format!(
            "no trigger counts work, so one replica's share is what a saturated one completes: {} requests/s",
            number(map.scale.share())
        ),
    };
    let span = match range.origin {
        RangeOrigin::Given => "as given".to_owned(),
        RangeOrigin::Target => {
            format!("from 0.2 of it to 1.2 times that of {} replicas where not given", range.replicas)
        }
        RangeOrigin::Capacity => {
            format!("from 0.02 of it to 1.1 times that of {} replicas where not given", range.replicas)
        }
    };
    let cut = if range.is_cut {
        format!(" (maxReplicas is {}; --to looks further)", map.scale.bounds.1)
    } else {
        String::new()
    };
    let coarse = if map.is_coarse { ", fewer than the usual 40 because its requests are many (--steps)" } else { "" };
    format!(
        "loads of {} to {} requests/s, {span}{cut}; {share}; {} loads at equal {}{coarse}",
        number(range.from),
        number(range.to),
        map.steps,
        if range.is_geometric() { "ratios" } else { "distances" }
    )
}

fn load_line(map: &StabilityMap) -> String {
    let law = if map.given.is_gamma { "the traffic's own gamma arrivals" } else { "Poisson arrivals" };
    let (prompt, output) = map.scale.tokens;
    let mut line = format!(
        "each load is {law} at a steady mean, with the traffic's own lengths ({} prompt and {} output tokens on average)",
        number(prompt),
        number(output)
    );
    if map.given.is_recorded {
        line.push_str("; prompt and output lengths of the recorded trace are drawn from its quantiles, each by itself");
    }
    if map.given.is_closed_loop {
        line.push_str("; the traffic's closed loop, which slows down when answers do, is not what is sent here");
    }
    line
}

fn times_line(map: &StabilityMap) -> String {
    let times = &map.times;
    let count = map.seeds.len();
    let seeds = match map.seeds.as_slice() {
        [only] => format!("seed {only}"),
        [first, .., last] => format!("seeds {first} to {last}"),
        [] => "no seed".to_owned(),
    };
    let mut line = format!(
        "{seeds}; each run leaves out its first {} (what a transient takes), then measures {} to {} per seed until {} \
         together call the load stable or not (at most 1 flap/h and a flap load of 2 %, 95 % bounds), fewer at high loads",
        times.transient,
        times.shortest,
        times.longest,
        if count == 1 { "it".to_owned() } else { format!("all {count}") }
    );
    let brief = map.rows.iter().filter(|row| row.noisy.as_ref().is_some_and(|own| own.is_brief)).count();
    if brief > 0 {
        line.push_str(&format!(
            "; at {brief} loads so many requests come per window that their noise cannot reach the tolerance (z > 6): one \
             run of 20m there"
        ));
    }
    match &map.noise_free {
        NoiseFreePass::Exact => line.push_str(&format!(
            "; without noise: counters at their expected rate, {} draws of the phases, {} after the transient",
            times.phases, times.recorded
        )),
        NoiseFreePass::Measured(names, watched) => line.push_str(&format!(
            "; without noise: {} at the mean measured with each count held for {watched}, the rest at its expectation, {} \
             draws of the phases, {} after the transient",
            names.join(", "),
            times.phases,
            times.recorded
        )),
        NoiseFreePass::Missing(_) => {}
    }
    line
}

fn capacity_line(curve: &CapacityCurve) -> String {
    if curve.measured.is_empty() {
        return "one replica keeps the SLO at no steady load of these lengths that was tried, so nothing says how many replicas \
                a load needs for it"
            .to_owned();
    }
    let each: Vec<String> = curve.measured.iter().map(|(size, rate)| format!("{size}: {}", number(*rate))).collect();
    format!(
        "replicas for the SLO: requests/s that fixed fleets sustain within it, by replicas: {} (each to 2 %; between them \
         capacity per replica lies on a straight line)",
        each.join(", ")
    )
}

/// What the map does not say.
pub(super) fn not_covered(map: &StabilityMap) -> Vec<String> {
    let mut lines =
        vec!["loads that change: a daily curve, a burst, a jump (--survival), correlated arrivals".to_owned()];
    if map.given.is_recorded || map.given.is_closed_loop || map.given.is_staged {
        lines.push("the arrivals of the Scenario's own traffic: kedasim simulate runs those".to_owned());
    }
    if !map.clocked.is_empty() {
        lines.push(format!(
            "that {} follows the clock or a given series and not the load: what it does in the hours simulated is in every row",
            map.clocked.join(", ")
        ));
    }
    if let NoiseFreePass::Measured(names, _) = &map.noise_free {
        lines.push(format!(
            "a queue that grows without end: {} has no mean then, and the pass without noise takes what was seen",
            names.join(", ")
        ));
    }
    if map.scale.unit.is_some_and(|unit| unit.counted != Counted::Requests) {
        lines.push(
            "other lengths of requests: the threshold counts tokens, so other lengths move every edge".to_owned(),
        );
    }
    lines
}

/// A trigger whose value is the same at every load.
pub(super) fn unmoved_triggers(map: &StabilityMap) -> Vec<Finding> {
    let rows: Vec<_> = map.rows.iter().filter_map(|row| row.noisy.as_ref()).collect();
    let Some(first) = rows.first().filter(|_| rows.len() > 2) else { return Vec::new() };
    let of = |index: usize| rows.iter().filter_map(move |own| own.triggers.get(index)?.1);
    let unmoved = first.triggers.iter().enumerate().filter(|(index, _)| {
        let (low, high) = of(*index).fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), own| (l.min(own), h.max(own)));
        low == high && of(*index).count() == rows.len()
    });
    let told = unmoved.map(|(index, (name, ..))| Finding {
        code: "load-not-seen".to_owned(),
        severity: Severity::Warning,
        message: format!(
            "{name} shows {} at every load: it does not depend on the load, and rows differ only by the other triggers",
            number(of(index).next().unwrap_or(0.0))
        ),
        evidence: Vec::new(),
    });
    told.collect()
}
