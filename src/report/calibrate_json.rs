//! A calibration as JSON.

use crate::record::SCHEMA_VERSION;
use crate::report::calibrate_text::{CalibrateReport, TOLERANCE};
use crate::scenario::profile_yaml;
use crate::study::{Fate, LeftOut, Quantity};
use serde_json::{Map, Value, json};

/// The report as JSON, with a line break at its end. Times are in the unit that a key names.
pub fn calibrate_json(report: &CalibrateReport) -> String {
    let calibration = &report.calibration;
    let coefficients: Vec<Value> = calibration
        .coefficients
        .iter()
        .map(|own| {
            let mut row = json!({"name": own.coefficient.key(), "prior": own.prior, "value": own.value});
            match &own.fate {
                Fate::Fitted { deviation } => {
                    row["determined"] = json!(true);
                    row["relativeDeviation"] = json!(deviation);
                }
                Fate::Kept { reason } => {
                    row["determined"] = json!(false);
                    row["reason"] = json!(reason);
                    row["determinedBy"] = json!(own.coefficient.remedy(&report.runs[..report.fitted_runs]));
                }
            }
            row
        })
        .collect();
    let compared: Vec<Value> = calibration
        .compared
        .iter()
        .map(|own| {
            let run = &report.runs[own.run];
            json!({
                "place": run.place.to_string(), "load": run.load_text(), "tokens": run.lengths_text(),
                "quantity": own.quantity.key(), "measured": own.quantity.shown(own.measured),
                "simulated": own.quantity.shown(own.simulated), "error": own.error(), "leftOut": own.left_out.map(|why| match why { LeftOut::OtherSpan => "otherSpan", LeftOut::Arrivals => "arrivals", LeftOut::HeldOut => "heldOut", LeftOut::KvCache => "kvCache" }),
            })
        })
        .collect();
    let mut errors = Map::new();
    for (key, quantity) in Quantity::ALL.map(|own| (own.key(), Some(own))).into_iter().chain([("all", None)]) {
        if let Some((mean, worst)) = calibration.error_of(quantity) {
            errors.insert(key.to_owned(), json!({"mean": mean, "worst": worst}));
        }
    }
    let mut held_out = Map::new();
    for quantity in Quantity::ALL {
        if let Some((mean, worst)) = calibration.error_where(Some(LeftOut::HeldOut), Some(quantity)) {
            held_out.insert(quantity.key().to_owned(), json!({"mean": mean, "worst": worst}));
        }
    }
    let whole = json!({
        "schemaVersion": SCHEMA_VERSION, "kind": "calibration", "prior": calibration.prior,
        "profile": {"name": calibration.profile.name, "yaml": profile_yaml(&calibration.profile)},
        "neverFitted": ["t0Ms", "knee", "gpu", "gpus", "memory", "kvTokens", "maxNumSeqs", "maxNumBatchedTokens", "maxModelLen"],
        "errors": errors, "heldOutErrors": held_out, "coefficients": coefficients, "compared": compared,
        "plateaus": plateaus(report), "capacities": capacities(report),
    });
    let text = serde_json::to_string_pretty(&whole).expect("names and numbers are JSON");
    format!("{text}\n")
}

fn plateaus(report: &CalibrateReport) -> Vec<Value> {
    let one = |own: &crate::study::Plateau| {
        let steps: Vec<Value> = own
            .steps
            .iter()
            .map(|step| {
                json!({
                    "concurrency": step.concurrency, "tokensPerSecond": step.tokens_per_second, "growth": step.growth,
                    "runs": step.runs,
                })
            })
            .collect();
        json!({
            "tokens": own.lengths, "steps": steps, "plateauAt": own.reached,
            "lastGrowing": own.last_growing.concurrency, "threshold": own.threshold(),
        })
    };
    report.plateaus.iter().map(one).collect()
}

fn capacities(report: &CalibrateReport) -> Vec<Value> {
    let one = |own: &crate::study::Capacity| {
        let held = own.rps.is_some();
        let shown = |value: f64| held.then_some(value);
        json!({
            "tokens": own.lengths, "saturatedRps": own.saturated_rps, "floodedRps": own.flooded_rps, "rps": own.rps,
            "boundBy": own.bound_by.map(|goal| goal.text()),
            "tokensPerSecond": shown(own.tokens_per_second), "running": shown(own.running), "waiting": shown(own.waiting),
            "thresholdTokensPerSecond": shown(own.tokens_per_second / TOLERANCE),
            "thresholdRunning": shown(own.running / TOLERANCE),
        })
    };
    report.capacities.iter().map(one).collect()
}
