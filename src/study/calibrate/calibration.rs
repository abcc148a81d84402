//! What a calibration gave.

use crate::replica::Profile;
use crate::study::calibrate::{Coefficient, Quantity};

/// What became of a coefficient.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    /// The data determine it, with this relative standard deviation when those kept are right within a factor
    /// of 2.7.
    Fitted {
        /// Relative standard deviation.
        deviation: f64,
    },
    /// It has the prior's value, because of this.
    Kept {
        /// Why the data do not determine it.
        reason: String,
    },
}

/// A coefficient before and after.
#[derive(Clone, Debug, PartialEq)]
pub struct FittedCoefficient {
    /// Which.
    pub coefficient: Coefficient,
    /// The prior's value.
    pub prior: f64,
    /// The new profile's.
    pub value: f64,
    /// Whether the data determined it.
    pub fate: Fate,
}

/// One number, measured and simulated with the new profile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Compared {
    /// Index of the run.
    pub run: usize,
    /// Of what.
    pub quantity: Quantity,
    /// s or tokens/s.
    pub measured: f64,
    /// s or tokens/s, mean over seeds.
    pub simulated: f64,
    /// Relative standard deviation of one simulated run, by its random lengths and arrivals.
    pub spread: f64,
    /// Why the fit did not use it; `None` when it did.
    pub left_out: Option<LeftOut>,
}

/// Why a number is compared but not fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftOut {
    /// The tool takes it over another time span than the simulated benchmark.
    OtherSpan,
    /// The tokens per second of an open loop that the engine kept up with: the luck of arrivals decides them.
    Arrivals,
    /// It was held out to judge the fit.
    HeldOut,
    /// With an unlimited KV cache the simulated value would be another one: the profile's `kvTokens` decides it, which no
    /// coefficient can mend.
    KvCache,
}

impl Compared {
    /// simulated / measured - 1.
    pub fn error(&self) -> f64 {
        self.simulated / self.measured - 1.0
    }
}

/// What a calibration gave.
#[derive(Clone, Debug)]
pub struct Calibration {
    /// The prior's name.
    pub prior: String,
    /// The new profile.
    pub profile: Profile,
    /// Each coefficient that could move.
    pub coefficients: Vec<FittedCoefficient>,
    /// All numbers, run by run.
    pub compared: Vec<Compared>,
}

impl Calibration {
    /// The largest relative deviation that the data may leave of a number that counts as determined by them.
    pub const LARGEST_DEVIATION: f64 = 0.25;

    /// Mean and largest absolute relative error of a quantity (of all with `None`), over the numbers the fit used.
    pub fn error_of(&self, quantity: Option<Quantity>) -> Option<(f64, f64)> {
        self.error_where(None, quantity)
    }

    /// The same, over the numbers that were left out for this reason.
    pub fn error_where(&self, left_out: Option<LeftOut>, quantity: Option<Quantity>) -> Option<(f64, f64)> {
        let is_meant = |own: &&Compared| own.left_out == left_out && quantity.is_none_or(|of| own.quantity == of);
        let errors: Vec<f64> = self.compared.iter().filter(is_meant).map(|own| own.error().abs()).collect();
        let mean = errors.iter().sum::<f64>() / errors.len() as f64;
        (!errors.is_empty()).then(|| (mean, errors.iter().copied().fold(0.0, f64::max)))
    }
}
