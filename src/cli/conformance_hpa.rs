//! Replays vectors recorded from the real HPA controller against the hpa room: `kedasim conformance hpa FILES...`.
//!
//! One scenario a line; the format is in `tests/golden/hpa/README.md`. Every recorded field of every step is compared.
//! A line that cannot be read is an error with its place; a difference is a printed mismatch.

mod scenario;

use crate::hpa::{
    AbleToScale, Decision, HpaSpec, HpaState, KubernetesVersion, Proposal, RescaleReason, ScalingActive,
    ScalingLimited, ShownMetric, propose, reconcile,
};
use crate::units::Quantity;
use anyhow::{Context, bail};
use std::fmt::{Debug, Write as _};
use std::io::Write;
use std::path::{Path, PathBuf};

use scenario::{Columns, Letters, Scenario};

/// The largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// How many broken lines are named before the rest is only counted.
const BROKEN_LINES_SHOWN_MAX: usize = 20;

/// Replays every scenario of `files` against the controller of `version`, prints each mismatch and a last line
/// `N passed, M failed` to `out`, and returns both counts (of scenarios).
///
/// # Errors
/// A file that cannot be read or holds no scenario, a line that is not a scenario (all of them, with file, line and
/// column), or `out` refusing the text.
pub fn run(files: &[PathBuf], version: KubernetesVersion, out: &mut dyn Write) -> anyhow::Result<(u64, u64)> {
    let mut scenarios = Vec::new();
    let mut broken = Vec::new();
    for file in files {
        read_file(file, version, &mut scenarios, &mut broken)?;
    }
    if !broken.is_empty() {
        let count = broken.len();
        broken.truncate(BROKEN_LINES_SHOWN_MAX);
        let more = count - broken.len();
        if more > 0 {
            broken.push(format!("and {more} more lines"));
        }
        bail!("{}", broken.join("\n"));
    }
    let (mut passed, mut failed) = (0, 0);
    for scenario in &scenarios {
        let mismatches = replay(scenario);
        if mismatches.is_empty() {
            passed += 1;
        } else {
            failed += 1;
        }
        for Mismatch { step, field, expected, found } in mismatches {
            writeln!(
                out,
                "{}: {}: step {step}: {field}: expected {expected}, found {found}",
                scenario.place, scenario.name
            )?;
        }
    }
    writeln!(out, "{passed} passed, {failed} failed")?;
    Ok((passed, failed))
}

fn read_file(
    file: &Path,
    version: KubernetesVersion,
    scenarios: &mut Vec<Scenario>,
    broken: &mut Vec<String>,
) -> anyhow::Result<()> {
    let name = file.display();
    let size = std::fs::metadata(file).with_context(|| format!("failed to read {name}"))?.len();
    if size > FILE_BYTES_MAX {
        bail!("{name}: found {size} bytes, expected at most {FILE_BYTES_MAX}; split the file");
    }
    let text = std::fs::read_to_string(file).with_context(|| format!("failed to read {name}"))?;
    let before = scenarios.len() + broken.len();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let place = format!("{name}:{}", index + 1);
        match Scenario::parse(line, &place, version) {
            Ok(scenario) => scenarios.push(scenario),
            Err(message) => broken.push(message),
        }
    }
    if scenarios.len() + broken.len() == before {
        bail!("{name}: found no scenario, expected one JSON object a line");
    }
    Ok(())
}

/// One recorded field that came out differently.
struct Mismatch {
    step: usize,
    field: String,
    expected: String,
    found: String,
}

/// Collects differences of one step.
struct Comparison<'m> {
    step: usize,
    mismatches: &'m mut Vec<Mismatch>,
}

impl Comparison<'_> {
    fn field<T: PartialEq + Debug>(&mut self, field: &str, expected: &T, found: &T) {
        if expected != found {
            self.mismatches.push(Mismatch {
                step: self.step,
                field: field.to_owned(),
                expected: shown(expected),
                found: shown(found),
            });
        }
    }
}

/// A value for whoever does not read Rust: an absent one is `nothing`.
fn shown<T: Debug>(value: &T) -> String {
    let text = format!("{value:?}");
    match text.strip_prefix("Some(").and_then(|inside| inside.strip_suffix(')')) {
        Some(inside) => inside.to_owned(),
        None if text == "None" => "nothing".to_owned(),
        None => text,
    }
}

/// Runs one scenario from its first step; the recorded `spec` feeds each step, so that one difference does not hide
/// the fields of later steps.
fn replay(scenario: &Scenario) -> Vec<Mismatch> {
    let mut mismatches = Vec::new();
    let mut spec = scenario.spec.clone();
    if let Some(expected) = &scenario.effective_behavior {
        let mut start = Comparison { step: 0, mismatches: &mut mismatches };
        start.field("effective_behavior", expected, &spec.behavior);
    }
    let mut state = HpaState::default();
    let mut replicas = scenario.initial_replicas;
    for step in 0..scenario.steps() {
        let observation = scenario.apply_edits(step, &mut spec, &mut replicas);
        let mut comparison = Comparison { step, mismatches: &mut mismatches };
        comparison.field("spec", &observation.spec_replicas, &replicas);
        let proposals = propose(&scenario.flags, &spec, &observation);
        let decision = reconcile(&scenario.flags, &spec, &state, &observation);
        compare(&scenario.expect, step, &spec, &proposals, &decision, &mut comparison);
        replicas = decision.new_replicas;
        state = decision.next;
    }
    mismatches
}

fn compare(
    expect: &Columns,
    step: usize,
    spec: &HpaSpec,
    proposals: &[Proposal],
    decision: &Decision,
    comparison: &mut Comparison<'_>,
) {
    for (index, proposal) in proposals.iter().enumerate() {
        let found = proposal.decision.proposal;
        comparison.field(&format!("proposals[{index}]"), &expect.proposals[index][step], &found);
        // A sync that looked at metrics must have looked at these.
        if decision.metric_desired.is_some() {
            comparison.field(&format!("metrics[{index}].proposal"), &found, &decision.metrics[index].proposal);
        }
    }
    comparison.field("metric_desired", &expect.metric_desired[step], &decision.metric_desired);
    comparison.field("stabilized", &expect.stabilized[step], &decision.stabilized);
    comparison.field("new_spec", &expect.new_spec[step], &decision.new_replicas);
    comparison.field("status_desired", &expect.status_desired[step], &decision.status_desired);
    let letter = |letters: &Letters| letters.at(step);
    let flag = |value: bool| if value { '1' } else { '0' };
    comparison.field("rescaled", &letter(&expect.rescaled), &flag(decision.rescaled));
    comparison.field("error", &letter(&expect.error), &flag(decision.error));
    comparison.field("able", &letter(&expect.able), &able_letter(decision.able_to_scale));
    comparison.field("active", &letter(&expect.active), &decision.scaling_active.map_or('-', active_letter));
    comparison.field("limited", &letter(&expect.limited), &decision.scaling_limited.map_or('-', limited_letter));
    comparison.field("reason", &letter(&expect.reason), &decision.reason.map_or('-', reason_letter));
    if let Some(letters) = &expect.scaled_to_zero {
        let found = decision.next.scaled_to_zero.map_or('-', |zero| if zero { 'Z' } else { 'N' });
        comparison.field("scaled_to_zero", &letters.at(step), &found);
    }
    if let Some(Some(shown)) = expect.current_metrics.as_ref().map(|steps| &steps[step]) {
        for (index, (expected, proposal)) in shown.iter().zip(proposals).enumerate() {
            let found = shown_text(proposal.shown, expected);
            comparison.field(&format!("current_metrics[{index}]"), expected, &found);
        }
        comparison.field("current_metrics (count)", &shown.len(), &spec.metrics.len());
    }
}

/// What status shows, spelled as `expected` when it is the same quantity.
fn shown_text(shown: Option<ShownMetric>, expected: &str) -> String {
    let mut text = String::new();
    match shown {
        // A failed metric has an empty entry.
        None => {}
        Some(ShownMetric::Percent(percent)) => {
            let _ = write!(text, "{percent}%");
        }
        Some(ShownMetric::Milli(milli)) => match Quantity::parse(expected) {
            Ok(quantity) if quantity.milli_value() == milli => text.push_str(expected),
            _ => text = Quantity::from_milli(milli).to_string(),
        },
    }
    text
}

fn able_letter(condition: AbleToScale) -> char {
    match condition {
        AbleToScale::SucceededGetScale => 'G',
        AbleToScale::ReadyForNewScale => 'R',
        AbleToScale::ScaleUpStabilized => 'U',
        AbleToScale::ScaleDownStabilized => 'D',
        AbleToScale::SucceededRescale => 'S',
    }
}

fn active_letter(condition: ScalingActive) -> char {
    match condition {
        ScalingActive::ValidMetricFound => 'V',
        ScalingActive::FailedGetExternalMetric => 'E',
        ScalingActive::FailedGetPodsMetric => 'P',
        ScalingActive::FailedGetResourceMetric | ScalingActive::FailedGetContainerResourceMetric => 'C',
        ScalingActive::ScalingDisabled => 'X',
    }
}

fn limited_letter(condition: ScalingLimited) -> char {
    match condition {
        ScalingLimited::DesiredWithinRange => 'W',
        ScalingLimited::ScaleUpLimit => 'U',
        ScalingLimited::ScaleDownLimit => 'D',
        ScalingLimited::TooManyReplicas => 'M',
        ScalingLimited::TooFewReplicas => 'm',
    }
}

fn reason_letter(reason: RescaleReason) -> char {
    match reason {
        RescaleReason::MetricAboveTarget(index) => {
            u32::try_from(index).ok().and_then(|digit| char::from_digit(digit, 10)).unwrap_or('?')
        }
        RescaleReason::AllMetricsBelowTarget => 'B',
        RescaleReason::AboveMaxReplicas => 'X',
        RescaleReason::BelowMinReplicas => 'N',
        RescaleReason::Empty => ' ',
    }
}
