//! A trigger whose source is not simulated: its value is a series that the user gives (`signals` of the Scenario).
//!
//! What its type reads from metadata stands in `signal_scalers`; which signal is whose, in `signal_choice`.

use crate::keda::signal_choice::how_to_give;
use crate::keda::signal_scalers::{Absent, Scaler, from_env, scaler};
use crate::keda::trigger_reader::Reader;
use crate::keda::trigger_value::float_to_milli;
use crate::keda::{KedaVersion, TargetType, TriggerValue, metadata};
use crate::manifest::nearest;
use crate::series::TriggerSignal;
use crate::units::{Diagnostic, SimTime};

/// The part of a trigger of any type that is neither queried, counted nor computed.
#[derive(Clone, Debug, PartialEq)]
pub struct SignalTrigger {
    /// `type` as written: `kafka`, `external`, ...
    pub type_name: String,
    /// What the user gives.
    pub signal: TriggerSignal,
    /// Active above this value, where the scaler decides it by the value.
    pub activation: f64,
    /// Whether the scaler pushes its activity (`external-push`): when it turns active, KEDA calls `RequestScale` at once
    /// with active and no error, without asking any trigger and without waiting for the poll. That it turns inactive is not
    /// acted on (`startPushScalers`).
    pub pushes: bool,
}

impl SignalTrigger {
    /// What the scaler answers when it is asked at `t`.
    ///
    /// # Errors
    /// The signal gives no answer at that time.
    pub fn answer_at(&self, t: SimTime, version: KedaVersion) -> Result<TriggerValue, String> {
        let Some(value) = self.signal.value.value_at(t) else {
            return Err(format!("the signal for this {} trigger gives no value at {t}", self.type_name));
        };
        Ok(TriggerValue { value, milli: float_to_milli(value, version), active: self.is_active_at(t) })
    }

    /// What the scaler says to `IsActive` at `t`.
    pub fn is_active_at(&self, t: SimTime) -> bool {
        let (signal, above) = match &self.signal.active {
            Some(active) => (active, 0.0),
            None => (&self.signal.value, self.activation),
        };
        signal.value_at(t).is_some_and(|value| value > above)
    }
}

/// Whether the type is one of KEDA's two scalers that ask a service of the user's own.
pub(super) fn is_external(kind: &str) -> bool {
    matches!(kind, "external" | "external-push")
}

/// The trigger and its target; `None` when something required is wrong or there is no signal. A formula's input needs no
/// target.
pub(super) fn read(
    reader: &mut Reader<'_>,
    index: usize,
    signal: Option<&TriggerSignal>,
    target_type: Option<TargetType>,
    formula: bool,
) -> Option<(SignalTrigger, f64)> {
    let kind = reader.trigger.kind.value.as_str();
    let (target, activation) = match scaler(kind) {
        Some(row) => read_row(reader, row, index, signal, formula),
        None => {
            if is_external(kind) {
                reader.required("scalerAddress");
                reader.optional("enableTLS", metadata::boolean);
                reader.optional("unsafeSsl", metadata::boolean);
            } else {
                warn_unread_activation(reader);
            }
            (told_target(reader, index, signal, formula), Some(0.0))
        }
    };
    reader.warn_misplaced_type(target_type);
    let Some(signal) = signal else {
        let message = format!("the source of type {kind} is not simulated, and no signal stands in for it");
        let path = format!("{}.type", reader.trigger.path);
        let needs_target = !formula && scaler(kind).is_none();
        let help = how_to_give(index, reader.trigger, needs_target);
        reader.diagnostics.push(Diagnostic::error(reader.trigger.kind.span.clone(), path, message).help(help));
        return None;
    };
    note_activity(reader, signal);
    let own = SignalTrigger {
        type_name: kind.to_owned(),
        signal: signal.clone(),
        activation: activation?,
        pushes: kind == "external-push",
    };
    Some((own, target?))
}

/// Target and activation value of a type whose scaler is known.
fn read_row(
    reader: &mut Reader<'_>,
    row: &Scaler,
    index: usize,
    signal: Option<&TriggerSignal>,
    formula: bool,
) -> (Option<f64>, Option<f64>) {
    for key in row.required {
        reader.required(key);
    }
    for key in row.required_or_env.iter().filter(|key| !from_env(reader.trigger, key)) {
        reader.required_in(key, "[triggerMetadata resolvedEnv]");
    }
    let number =
        |text: &str| if row.whole { metadata::integer(text).map(|own| own as f64) } else { metadata::float(text) };
    let key = (row.target)(reader.trigger);
    let written = reader.trigger.metadata(key).is_some();
    let target = match row.absent {
        Absent::Default(value) if !written => Some(value),
        Absent::Required => reader.required_as(key, number),
        Absent::Authentication if !written => told_target(reader, index, signal, formula),
        Absent::Refused(_) if !written => Some(0.0),
        _ => reader.optional(key, number),
    };
    if let Absent::Refused(message) = row.absent
        && target == Some(0.0)
        && !formula
    {
        reader.refuse(key, message, None);
    }
    let activation = match reader.trigger.metadata(row.activation) {
        Some(_) => reader.optional(row.activation, number),
        None => Some(0.0),
    };
    (row.check)(reader, formula);
    warn_misspelt(reader, row, key);
    let spare = signal.and_then(|own| own.target).filter(|_| written || !matches!(row.absent, Absent::Authentication));
    if let (Some(spare), Some(target)) = (spare, target)
        && spare != target
    {
        let message = format!("the signal's target {spare} is passed over: the trigger's own {key} is {target}");
        let path = reader.path(key);
        let diagnostic = Diagnostic::warning(reader.trigger.kind.span.clone(), path, message);
        reader.diagnostics.push(diagnostic.help("remove target from the signal"));
    }
    (target, activation)
}

/// The target that only the signal can tell; 0 for a formula's input, which needs none.
fn told_target(reader: &mut Reader<'_>, index: usize, signal: Option<&TriggerSignal>, formula: bool) -> Option<f64> {
    if formula {
        return Some(0.0);
    }
    // Without any signal the message about that shows the target too.
    let signal = signal?;
    if signal.target.is_none() {
        let kind = reader.trigger.kind.value.as_str();
        let why = if is_external(kind) {
            "the scaler's own service reports it".to_owned()
        } else if scaler(kind).is_some() {
            "it may stand in the TriggerAuthentication".to_owned()
        } else {
            format!("the metadata of type {kind} are not read")
        };
        let message = format!("the target of this trigger must come from its signal: {why}");
        let path = format!("{}.type", reader.trigger.path);
        let help = how_to_give(index, reader.trigger, true);
        reader.diagnostics.push(Diagnostic::error(reader.trigger.kind.span.clone(), path, message).help(help));
    }
    signal.target
}

/// A key that differs a little from one that decides is worth a word; the others of these types are not known here.
fn warn_misspelt(reader: &mut Reader<'_>, row: &Scaler, target: &'static str) {
    let known = [target, row.activation].into_iter().chain(row.required.iter().copied());
    let known: Vec<&str> = known.chain(row.required_or_env.iter().copied()).collect();
    for (key, _) in &reader.trigger.metadata {
        let name = key.name.as_str();
        let near = nearest(name, known.iter().copied());
        let Some(near) = near.filter(|near| reader.trigger.metadata(near).is_none() && !name.ends_with("FromEnv"))
        else {
            continue;
        };
        let message = format!("the key {name:?} is not {near}, which this trigger does not have");
        let diagnostic = Diagnostic::warning(key.span.clone(), reader.path(name), message);
        reader.diagnostics.push(diagnostic.help(format!("did you mean {near}?")));
    }
}

/// An activation value of a type that is not read would change when the workload leaves zero.
fn warn_unread_activation(reader: &mut Reader<'_>) {
    for (key, _) in reader.trigger.metadata.iter().filter(|(key, _)| key.name.starts_with("activation")) {
        let kind = &reader.trigger.kind.value;
        let message = format!("the metadata of type {kind} are not read: the trigger counts as active above 0");
        let diagnostic = Diagnostic::warning(key.span.clone(), reader.path(&key.name), message);
        reader.diagnostics.push(diagnostic.help("give active in the signal: above 0 it means yes"));
    }
}

/// Who decides activity, where that is not as usual.
fn note_activity(reader: &mut Reader<'_>, signal: &TriggerSignal) {
    let kind = reader.trigger.kind.value.as_str();
    let message = match (is_external(kind), &signal.active) {
        (true, None) => {
            "the scaler decides apart from the value whether it is active; without active in the signal it counts \
                         as active above 0"
                .to_owned()
        }
        (false, Some(_)) => {
            format!("the signal's active stands in for what the scaler of type {kind} makes of its value")
        }
        _ => return,
    };
    let path = format!("{}.type", reader.trigger.path);
    reader.diagnostics.push(Diagnostic::note(reader.trigger.kind.span.clone(), path, message));
}

#[cfg(test)]
#[path = "signal_trigger_tests.rs"]
mod tests;
