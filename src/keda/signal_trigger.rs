//! A trigger whose source is not simulated: its value is a series that the user gives (`signals` of the Scenario).

use crate::keda::trigger_value::float_to_milli;
use crate::keda::{KedaVersion, TriggerValue};
use crate::series::TriggerSignal;
use crate::units::SimTime;

/// The part of a trigger of any type that is neither queried, counted nor computed.
#[derive(Clone, Debug, PartialEq)]
pub struct SignalTrigger {
    /// `type` as written: `kafka`, `external`, ...
    pub type_name: String,
    /// What the user gives.
    pub signal: TriggerSignal,
    /// Active above this value, where the scaler decides it by the value.
    pub activation: f64,
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
        let active = match &self.signal.active {
            Some(active) => active.value_at(t).is_some_and(|word| word > 0.0),
            None => value > self.activation,
        };
        Ok(TriggerValue { value, milli: float_to_milli(value, version), active })
    }
}
