//! A signal in words, for people who must not take it for a simulated value.

use crate::series::Signal;

/// `constant 40`, `step 1 -> 5 at 10m`, ...
pub fn signal_text(signal: &Signal) -> String {
    match signal {
        Signal::Constant(value) => format!("constant {value}"),
        Signal::Step { from, to, at } => format!("step {from} -> {to} at {at}"),
        Signal::Ramp { from, to, start, end } => format!("ramp {from} -> {to} from {start} to {end}"),
        Signal::Sine { mean, amplitude, period } => format!("sine {mean} +- {amplitude} every {period}"),
        Signal::Oscillate { low, high, period } => format!("oscillates {high}, {low} every {period}"),
        Signal::Points(_) => "recorded points".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{SimDuration, SimTime};

    #[test]
    fn signals_are_told_with_their_numbers() {
        let period = SimDuration::from_secs(600);
        let table = [
            (Signal::Constant(40.0), "constant 40"),
            (Signal::Step { from: 1.0, to: 5.5, at: SimTime::from_secs(90) }, "step 1 -> 5.5 at 1m30s"),
            (Signal::Sine { mean: 10.0, amplitude: 2.0, period }, "sine 10 +- 2 every 10m"),
            (Signal::Oscillate { low: 0.0, high: 8.0, period }, "oscillates 8, 0 every 10m"),
        ];
        for (signal, text) in table {
            assert_eq!(signal_text(&signal), text);
        }
    }
}
