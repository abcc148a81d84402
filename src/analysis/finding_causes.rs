//! Findings about why it flaps: one per suspected cause, with what to change. Confirmed ones are `study::confirm`'s.

use crate::analysis::finding_flaps::is_fault;
use crate::analysis::findings::{counted, finding};
use crate::analysis::{Cause, CauseShare, Finding, NoiseIndex, Summary, noise_index};
use crate::record::RunRecord;
use crate::units::{Severity, SimTime};

/// A cause suspected of fewer than this share of the flaps is only named with the flaps.
const LEAST_SHARE: f64 = 0.10;

/// The causes suspected of at least a tenth of the flaps, the most suspected first.
pub(super) fn suspected_causes(record: &RunRecord, summary: &Summary) -> Vec<Finding> {
    let flaps = summary.flapping.flaps;
    let named = summary
        .causes
        .iter()
        .filter(|own| is_fault(own.cause) && own.suspected > 0 && own.suspected as f64 >= LEAST_SHARE * flaps as f64);
    named.map(|share| cause_finding(record, share, flaps)).collect()
}

fn cause_finding(record: &RunRecord, share: &CauseShare, flaps: u64) -> Finding {
    let code = format!("cause-{}", share.cause.code());
    let details = match share.cause {
        Cause::Noise => noise_index(record, SimTime::ZERO + record.info.warmup, record.info.end),
        _ => None,
    };
    let details = details.map(|index| format!(": {}", noise_text(record, &index))).unwrap_or_default();
    let message =
        format!("suspected of {} of {}: {}{details}", share.suspected, counted(flaps, "flap"), share.cause.title());
    let mut evidence = vec![format!("for example: {}", share.example)];
    if share.matched > share.suspected {
        let more = counted(share.matched - share.suspected, "other flap");
        evidence.push(format!("its signature also matches {more}, of which another cause is suspected first"));
    }
    evidence.extend(share.cause.edit().map(|edit| format!("try: {edit}")));
    evidence.push("a suspicion; --confirm runs the policy with the cause removed".to_owned());
    finding(&code, Severity::Note, message, evidence)
}

/// `9.6 requests per rate window of 2m, metric cv 36 %, dead band 10 %, z 0.3 (above 3 is quiet)`.
fn noise_text(record: &RunRecord, index: &NoiseIndex) -> String {
    let assumed = if index.size_assumed { ", sizes taken to vary as much as their mean" } else { "" };
    format!(
        "{:.1} requests per rate window of {}, metric cv {:.0} %, dead band {:.0} %, z {:.2} (from 3 on noise is harmless){assumed}",
        index.requests,
        index.range,
        100.0 * index.cv,
        100.0 * (record.info.tolerance_band.1 - 1.0),
        index.z
    )
}
