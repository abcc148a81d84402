//! Which of the user's signals belongs to which trigger.

use crate::keda::scaler_types::is_simulated;
use crate::keda::signal_scalers::{Absent, metric_name, scaler};
use crate::keda::signal_trigger::is_external;
use crate::manifest::{ScaledObject, Trigger};
use crate::series::{Signal, Signals, TriggerSignal};
use crate::units::{Diagnostic, Diagnostics, Located};

/// Per trigger its signal. A key names its trigger by the trigger's name, its metric's name, `s<index>-<type>` or
/// `triggers[<index>]`; one that names none, several, or a trigger whose value is simulated in any case is an error, and so are two keys for
/// the same trigger.
pub(super) fn assign<'a>(
    written: &ScaledObject,
    signals: &'a Signals,
    diagnostics: &mut Diagnostics,
) -> Vec<Option<&'a TriggerSignal>> {
    let mut chosen: Vec<Option<(&str, &TriggerSignal)>> = vec![None; written.triggers.len()];
    for (name, signal) in &signals.triggers {
        let key = &name.value;
        let mut refuse = |message: String| {
            let diagnostic = Diagnostic::error(name.span.clone(), format!("signals.triggers.{key}"), message);
            diagnostics.push(diagnostic.help(choices(written)));
        };
        let named = |(index, trigger): &(usize, &Trigger)| names(*index, trigger).contains(key);
        let mut matching = written.triggers.iter().enumerate().filter(named);
        let (Some((index, trigger)), other) = (matching.next(), matching.next()) else {
            refuse(format!("found a signal for {key:?}, which is no trigger of {}", written.name.value));
            continue;
        };
        if other.is_some() {
            refuse(format!("{key:?} names several triggers of {}", written.name.value));
        } else if !may_take(trigger) {
            let kind = &trigger.kind.value;
            refuse(format!("{key:?} is a trigger of type {kind}, whose value is simulated and takes no signal"));
        } else if let Some((earlier, _)) = chosen[index] {
            refuse(format!("{key:?} and {earlier:?} are the same trigger, expected one signal for it"));
        } else {
            chosen[index] = Some((key.as_str(), signal));
        }
    }
    chosen.into_iter().map(|own| own.map(|(_, signal)| signal)).collect()
}

/// A signal for every trigger that takes one: never active, value 0, and a target of 1 where only a signal can tell it. With
/// these an object can be judged whose signals nobody gave; they are no answer to how it scales.
pub fn stand_in_signals(written: &ScaledObject) -> Signals {
    let open = written.triggers.iter().enumerate().filter(|(_, own)| !is_simulated(&own.kind.value));
    let stand_in = |(index, own): (usize, &Trigger)| {
        let row = scaler(&own.kind.value);
        let told = row.is_none_or(|row| matches!(row.absent, Absent::Authentication));
        let external = is_external(&own.kind.value);
        let signal = TriggerSignal {
            value: Signal::Constant(0.0),
            active: external.then_some(Signal::Constant(0.0)),
            target: (told && row.is_none_or(|row| own.metadata((row.target)(own)).is_none())).then_some(1.0),
        };
        (Located::new(format!("triggers[{index}]"), own.kind.span.clone()), signal)
    };
    Signals { triggers: open.map(stand_in).collect(), series: Vec::new() }
}

/// Whether a trigger can take a signal: one that is not simulated must, a count of pods may, since pods beside the target's
/// are not simulated.
fn may_take(trigger: &Trigger) -> bool {
    !is_simulated(&trigger.kind.value) || trigger.kind.value == "kubernetes-workload"
}

/// What a signal may call the trigger, the best first.
fn names(index: usize, trigger: &Trigger) -> Vec<String> {
    let own = trigger.name.as_ref().map(|own| own.value.clone()).filter(|own| !own.is_empty());
    let short = format!("s{index}-{}", trigger.kind.value);
    own.into_iter().chain([metric_name(index, trigger), short, format!("triggers[{index}]")]).collect()
}

/// The triggers that take signals.
fn choices(written: &ScaledObject) -> String {
    let open = written.triggers.iter().enumerate().filter(|(_, own)| may_take(own));
    let shown: Vec<String> =
        open.map(|(index, own)| format!("{} (type {})", names(index, own)[0], own.kind.value)).collect();
    if shown.is_empty() {
        return format!("every trigger of {} is simulated: no signal is needed", written.name.value);
    }
    format!("triggers that take a signal: {}", shown.join(", "))
}

/// YAML that gives a trigger its signal.
pub(super) fn how_to_give(index: usize, trigger: &Trigger, with_target: bool) -> String {
    let key = names(index, trigger).swap_remove(0);
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let key = if key.chars().all(plain) { key } else { format!("{key:?}") };
    let target = if with_target { ", target: 10" } else { "" };
    let entry = format!("triggers: {{{key}: {{value: {{constant: 3}}{target}}}}}");
    format!(
        "put this under spec of the Scenario: signals: {{{entry}}}; or {entry} into a file for --signals FILE; instead of \
         constant also step, ramp, sine, oscillate or a CSV file"
    )
}

#[cfg(test)]
#[path = "signal_choice_tests.rs"]
mod tests;
