//! Benchmarks of a server whose truth is known.

use kedasim::replica::{Profile, built_in_profile};
use kedasim::study::{
    Calibration, Coefficient, Lengths, Load, Measurement, Observed, Quantity, Stop, bench_engine, simulate_measurement,
};
use kedasim::traffic::LengthDistribution;
use kedasim::units::{Seed, Span};
use std::sync::Arc;

/// A release that schedules synchronously.
pub const SYNC: (u32, u32) = (0, 11);

/// Where fits start.
pub fn prior() -> Profile {
    built_in_profile("llama-3.1-8b-h100").expect("built in")
}

/// A run of so many requests, equally long.
pub fn loaded(load: Load, requests: u32, prompt: u32, output: u32) -> Measurement {
    let lengths =
        Lengths::Drawn { prompt: LengthDistribution::Constant(prompt), output: LengthDistribution::Constant(output) };
    let (place, stop) = (Span::new("synthetic", 1, 1), Stop::Requests(requests));
    Measurement { place, load, stop, lengths, observed: Vec::new() }
}

/// The run as `truth` would have been measured, with arrivals of this seed.
pub fn measured(mut run: Measurement, truth: &Profile, quantities: &[Quantity], seed: u64) -> Measurement {
    let engine = Arc::new(bench_engine(truth, SYNC).expect("valid"));
    let simulated = simulate_measurement(&engine, &run, Seed(seed)).expect("fits");
    let observe = |quantity: &Quantity| Observed {
        quantity: *quantity,
        value: simulated.value(*quantity).expect("two tokens"),
        fitted: true,
    };
    run.observed = quantities.iter().map(observe).collect();
    run
}

/// What a fit found.
pub fn value(calibration: &Calibration, coefficient: Coefficient) -> f64 {
    coefficient.of(&calibration.profile).expect("a dense profile has it")
}
