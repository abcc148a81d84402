//! The stability map as `summary.json` and `loads.csv` have it.

use crate::analysis::{
    Finding, LoopEnd, NoiseFreeEnd, NoisyLoad, StabilityClass, StabilityRow, Steadiness, noise_free_bands,
    stability_bands,
};
use crate::record::SCHEMA_VERSION;
use crate::report::json::pretty;
use crate::report::stability_text::{answer, map_findings};
use crate::report::stability_words::{assumed, not_covered};
use crate::report::survival_report::survival_value;
use crate::scenario::ResolvedRun;
use crate::study::{HysteresisLoop, NoiseFreePass, RangeOrigin, StabilityMap, SurvivalMap};
use crate::units::{Severity, SimDuration};
use serde_json::{Value, json};

/// The worst finding of a map.
pub fn stability_severity(map: &StabilityMap) -> Option<Severity> {
    map_findings(map).iter().map(|own| own.severity).max()
}

/// `summary.json`.
pub fn stability_json(run: &ResolvedRun, map: &StabilityMap, survival: Option<&SurvivalMap>) -> String {
    let scale = &map.scale;
    let bands = stability_bands(&map.rows);
    let bands: Vec<Value> = bands
        .iter()
        .map(|band| {
            json!({
                "class": band.class.word(),
                "fromRequestsPerSecond": band.loads.0,
                "toRequestsPerSecond": band.loads.1,
                "fromInUnit": scale.in_unit(band.loads.0),
                "toInUnit": scale.in_unit(band.loads.1),
                "replicas": band.counts,
                "flapsPerHour": [band.flaps_per_hour.0, band.flaps_per_hour.1],
                "periodSeconds": band.periods.map(|(low, high)| [low, high]),
            })
        })
        .collect();
    let free: Vec<Value> = noise_free_bands(&map.rows)
        .iter()
        .map(|band| {
            json!({
                "fromRequestsPerSecond": band.loads.0,
                "toRequestsPerSecond": band.loads.1,
                "fromInUnit": scale.in_unit(band.loads.0),
                "toInUnit": scale.in_unit(band.loads.1),
                "replicas": band.ends,
                "cycles": band.cycles,
            })
        })
        .collect();
    let value = json!({
        "schemaVersion": SCHEMA_VERSION,
        "kind": "stability",
        "policy": run.policy,
        "scenario": run.scenario,
        "traffic": run.traffic_name,
        "profile": run.profile,
        "answer": answer(map),
        "seeds": map.seeds,
        "load": load(map),
        "times": times(map),
        "sustainedWithinSlo": map.capacity.as_ref().map(|curve| {
            let size = |(replicas, rate): &(u32, f64)| json!({"replicas": replicas, "requestsPerSecond": rate});
            curve.measured.iter().map(size).collect::<Vec<Value>>()
        }),
        "noiseFreePass": match &map.noise_free {
            NoiseFreePass::Exact => json!({"basis": "expectation"}),
            NoiseFreePass::Measured(names, time) =>
                json!({"basis": "meanResponse", "triggers": names, "watchedSeconds": time.as_secs_f64()}),
            NoiseFreePass::Missing(why) => json!({"basis": null, "why": why}),
        },
        "bands": bands,
        "noiseFreeBands": free,
        "slowRamps": map.ramps.iter().map(ramp).collect::<Vec<Value>>(),
        "loads": map.rows.iter().map(|own| row(map, own)).collect::<Vec<Value>>(),
        "findings": map_findings(map).iter().map(finding).collect::<Vec<Value>>(),
        "assumed": assumed(run, map),
        "notCovered": not_covered(map),
        "survival": survival.map(survival_value),
    });
    pretty(&value)
}

fn finding(own: &Finding) -> Value {
    json!({
        "code": own.code,
        "severity": own.severity.to_string(),
        "message": own.message,
        "evidence": own.evidence,
    })
}

fn load(map: &StabilityMap) -> Value {
    let (scale, range) = (&map.scale, &map.range);
    json!({
        "unit": scale.unit.map(|own| own.name()),
        "unitsPerRequest": scale.unit.map(|own| own.per_request),
        "trigger": scale.trigger.as_ref().map(|(name, _)| name),
        "threshold": scale.trigger.as_ref().map(|(_, threshold)| threshold),
        "replicaShareRequestsPerSecond": scale.share(),
        "replicaShareFrom": if scale.target.is_some() { "threshold" } else { "capacity" },
        "fromRequestsPerSecond": range.from,
        "toRequestsPerSecond": range.to,
        "rangeFrom": match range.origin {
            RangeOrigin::Given => "given",
            RangeOrigin::Target => "threshold",
            RangeOrigin::Capacity => "capacity",
        },
        "steps": map.steps,
        "minReplicas": scale.bounds.0,
        "maxReplicas": scale.bounds.1,
    })
}

fn times(map: &StabilityMap) -> Value {
    let times = &map.times;
    json!({
        "transientSeconds": times.transient.as_secs_f64(),
        "noiseFreeSeconds": times.recorded.as_secs_f64(),
        "phases": times.phases,
        "shortestPerSeedSeconds": times.shortest.as_secs_f64(),
        "longestPerSeedSeconds": times.longest.as_secs_f64(),
    })
}

fn row(map: &StabilityMap, row: &StabilityRow) -> Value {
    json!({
        "requestsPerSecond": row.load,
        "inUnit": map.scale.in_unit(row.load),
        "need": row.need,
        "needWithinSlo": row.need_within_slo,
        "class": row.class.map(StabilityClass::word),
        "noiseFree": row.noise_free.iter().map(end).collect::<Vec<Value>>(),
        "noisy": row.noisy.as_ref().map(noisy),
        "fitsAtMax": row.fits_at_max,
    })
}

fn ramp(own: &HysteresisLoop) -> Value {
    json!({
        "bandFromRequestsPerSecond": own.band.0,
        "bandToRequestsPerSecond": own.band.1,
        "replicas": [own.counts.0, own.counts.1],
        "upAtRequestsPerSecond": own.up,
        "downAtRequestsPerSecond": own.down,
        "agrees": own.agrees,
    })
}

fn end(own: &NoiseFreeEnd) -> Value {
    let (word, period) = match &own.end {
        LoopEnd::Settled(_) => ("settled", None),
        LoopEnd::Cycle(cycle) => ("cycle", cycle.period.map(SimDuration::as_secs_f64)),
        LoopEnd::Moving { .. } => ("moving", None),
    };
    json!({
        "start": own.start,
        "phase": own.phase,
        "end": word,
        "replicas": own.end.counts(),
        "periodSeconds": period,
    })
}

fn noisy(own: &NoisyLoad) -> Value {
    let pair = |(low, high): (f64, f64)| [low, high];
    let shares: Vec<Value> =
        own.shares.iter().map(|(count, share)| json!({"replicas": count, "share": share})).collect();
    let triggers: Vec<Value> = own
        .triggers
        .iter()
        .map(|(name, mean, decided)| json!({"name": name, "mean": mean, "decidedAlone": decided}))
        .collect();
    json!({
        "seeds": own.seeds.len(),
        "hoursEach": own.hours_each,
        "flaps": own.flaps,
        "reversals": own.reversals,
        "flapsPerHour": own.flaps_per_hour,
        "flapsPerHourInterval": pair(own.flaps_per_hour_interval),
        "flapLoad": own.flap_load,
        "flapLoadInterval": pair(own.flap_load_interval),
        "steadiness": steadiness_word(own.steadiness),
        "flapClass": own.verdict.class.word(),
        "periodSeconds": own.period_seconds,
        "replicas": shares,
        "replicasMean": own.replicas_mean.mean,
        "replicasMeanInterval": own.replicas_mean.interval.map(|(interval, _)| pair(interval)),
        "sloAttainment": own.attainment.as_ref().and_then(|own| own.mean),
        "missedObjectives": own.missed_goals,
        "failedShare": own.failed_share,
        "backlogGrowthRequests": own.backlog_growth.mean,
        "keepsUp": own.keeps_up,
        "triggers": triggers,
        "converged": own.converged,
        "brief": own.is_brief,
    })
}

fn steadiness_word(own: Steadiness) -> &'static str {
    match own {
        Steadiness::Steady => "steady",
        Steadiness::Unsteady => "unsteady",
        Steadiness::Undecided => "undecided",
    }
}

/// `loads.csv`: a row per load; cells of a pass that was not made are empty.
pub fn stability_csv(map: &StabilityMap) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let written = "writing to memory does not fail";
    let header = [
        "requests_per_second",
        "load_in_unit",
        "need",
        "need_within_slo",
        "class",
        "noise_free_replicas",
        "noise_free_cycles",
        "noise_free_period_s",
        "flaps_per_hour",
        "flaps_per_hour_low",
        "flaps_per_hour_high",
        "flap_load",
        "seeds",
        "hours_each",
        "replicas_mean",
        "replicas_visited",
        "slo_attainment",
        "failed_share",
        "keeps_up",
    ];
    writer.write_record(header).expect(written);
    let text = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    for row in &map.rows {
        let noisy = row.noisy.as_ref();
        let of = |read: &dyn Fn(&NoisyLoad) -> String| noisy.map_or_else(String::new, read);
        let ends: Vec<String> = row.ends().iter().map(i32::to_string).collect();
        let visited = |own: &NoisyLoad| {
            let shares = own.shares.iter().map(|(count, share)| format!("{count}:{share}"));
            shares.collect::<Vec<_>>().join(" ")
        };
        let cells = [
            row.load.to_string(),
            text(map.scale.in_unit(row.load)),
            row.need.map_or_else(String::new, |need| need.to_string()),
            row.need_within_slo.map_or_else(String::new, |need| need.to_string()),
            row.class.map_or("", |class| class.word()).to_owned(),
            ends.join(" "),
            if row.noise_free.is_empty() { String::new() } else { row.cycles().to_string() },
            text(row.period_seconds()),
            of(&|own| own.flaps_per_hour.to_string()),
            of(&|own| own.flaps_per_hour_interval.0.to_string()),
            of(&|own| own.flaps_per_hour_interval.1.to_string()),
            of(&|own| own.flap_load.to_string()),
            of(&|own| own.seeds.len().to_string()),
            of(&|own| own.hours_each.to_string()),
            of(&|own| text(own.replicas_mean.mean)),
            of(&visited),
            of(&|own| text(own.attainment.as_ref().and_then(|own| own.mean))),
            of(&|own| own.failed_share.to_string()),
            of(&|own| own.keeps_up.to_string()),
        ];
        writer.write_record(cells).expect(written);
    }
    String::from_utf8(writer.into_inner().expect(written)).expect("cells are UTF-8")
}
