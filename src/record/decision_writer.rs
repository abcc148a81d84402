//! Writes `decisions.jsonl`; `decision_lines` has what its lines hold, and reads them.
//!
//! The sentences (`why`, `explanation`) are made from the numbers here and never kept. What a line has in common with the lines
//! before it is not made again, see `written_once`.

use crate::record::decision_lines::{conditions_line, limit_line, window_line};
use crate::record::json_text::Object;
use crate::record::lines::SCHEMA_VERSION;
use crate::record::reasons::{ToleranceBand, explain_poll, explain_sync, metric_why};
use crate::record::written_once::WrittenOnce;
use crate::record::{DecisionRecord, HpaSync, KedaPoll, MetricRecord, RunRecord};
use std::io::{self, Write};

/// More than what a file's own memory holds.
const MANY_BYTES: usize = 32 * 1024;

/// Writes `decisions.jsonl`: one line per HPA sync and per KEDA poll.
///
/// # Errors
/// Those of `out`.
pub fn write_decisions(record: &RunRecord, out: &mut impl Write) -> io::Result<()> {
    let band = ToleranceBand::from(record.info.tolerance_band);
    let (mut written, mut lines) = (WrittenOnce::default(), Vec::new());
    for decision in &record.decisions {
        written.learn(decision);
        let mut object = Object::begin(&mut lines);
        object.field("schemaVersion", &SCHEMA_VERSION);
        match decision {
            DecisionRecord::HpaSync(sync) => write_sync(object, sync, &band, &written),
            DecisionRecord::KedaPoll(poll) => write_poll(object, poll, &written),
        }
        lines.push(b'\n');
        // Lines go out many at a time, which saves copying each of them once more.
        if lines.len() > MANY_BYTES {
            out.write_all(&lines)?;
            lines.clear();
        }
    }
    out.write_all(&lines)
}

/// As [`write_decisions`], to a text.
pub fn decisions_to_jsonl(record: &RunRecord) -> String {
    let mut out = Vec::new();
    write_decisions(record, &mut out).expect("writing to memory does not fail");
    String::from_utf8(out).expect("JSON is UTF-8")
}

fn write_sync(mut line: Object<'_>, sync: &HpaSync, band: &ToleranceBand, written: &WrittenOnce) {
    line.field("t", &sync.t);
    line.text("kind", "hpaSync");
    line.objects("metrics", &sync.metrics, |metric, mut object| {
        write_metric(&mut object, metric, written);
        object.text("why", &metric_why(metric, sync, band));
        object.end();
    });
    line.field("metricDesired", &sync.metric_desired);
    line.field("stabilized", &sync.stabilized);
    line.field("newReplicas", &sync.new_replicas);
    line.field("rescaled", &sync.rescaled);
    line.field("conditions", &conditions_line(sync));
    line.field("reason", &sync.reason);
    line.field("recommendations", written.recommendations());
    line.text("boundBy", sync.bound_by);
    line.field("specReplicas", &sync.spec_replicas);
    line.field("statusReplicas", &sync.status_replicas);
    line.field("readyReplicas", &sync.ready_replicas);
    line.field("window", &sync.window.map(window_line));
    line.field("limit", &sync.limit.map(limit_line));
    line.field("statusConditions", written.conditions());
    line.text("explanation", &explain_sync(sync));
    line.end();
}

fn write_poll(mut line: Object<'_>, poll: &KedaPoll, written: &WrittenOnce) {
    line.field("t", &poll.t);
    line.text("kind", "kedaPoll");
    line.objects("metrics", &poll.metrics, |metric, mut object| {
        write_metric(&mut object, metric, written);
        object.end();
    });
    line.field("active", &poll.active);
    line.field("error", &poll.error);
    line.text("rule", poll.rule);
    line.field_if_some("cooldownEnd", poll.cooldown_end.as_ref());
    line.text("action", poll.action);
    line.field("specReplicas", &poll.spec_replicas);
    line.field("newReplicas", &poll.new_replicas);
    line.text("explanation", &explain_poll(poll));
    line.end();
}

/// All fields but `why`.
fn write_metric(object: &mut Object<'_>, metric: &MetricRecord, written: &WrittenOnce) {
    object.field("trigger", written.text(&metric.trigger));
    object.field("query", written.text(&metric.query));
    object.field("queryTime", &metric.query_time);
    object.field("value", &metric.value.and_then(finite));
    object.field_if_some("valueText", metric.value.and_then(non_finite_text).as_ref());
    object.field("milli", &metric.milli);
    object.field("target", &(metric.target_milli as f64 / 1000.0));
    object.field("type", written.text(&metric.target_type));
    object.field("proposal", &metric.proposal);
    object.field("ratio", &metric.ratio.and_then(finite));
    object.field_if_some("ratioText", metric.ratio.and_then(non_finite_text).as_ref());
    object.field("withinTolerance", &metric.within_tolerance);
    object.field("triggerKind", written.text(&metric.kind));
    object.field("active", &metric.active);
    object.field_if_true("fallback", metric.fallback);
    object.field_if_true("cached", metric.cached);
    object.field_if_true("nullAsZero", metric.null_as_zero);
    object.field("error", &metric.error);
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

fn non_finite_text(value: f64) -> Option<String> {
    (!value.is_finite()).then(|| value.to_string())
}
