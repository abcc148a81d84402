//! The paired effect of one change, and what it says about a cause (verdicts.md 2.3, 6.2).

use statrs::distribution::{ContinuousCDF, StudentsT};

/// A figure before and after a change, over the same seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effect {
    /// Mean without the change.
    pub before: f64,
    /// Mean with it.
    pub after: f64,
    /// Half the width of the 95 % t interval of the paired difference.
    pub half_width: f64,
}

/// What an effect says about a cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// At least half of the flaps are gone, and the interval excludes 0.
    Confirmed,
    /// A fifth to a half.
    Contributing,
    /// Less.
    Rejected,
}

impl Outcome {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Confirmed => "confirmed",
            Outcome::Contributing => "contributing",
            Outcome::Rejected => "rejected",
        }
    }
}

impl Effect {
    /// The effect on paired values.
    ///
    /// # Panics
    /// Without at least two pairs.
    pub fn of(before: &[f64], after: &[f64]) -> Self {
        assert!(before.len() == after.len() && before.len() >= 2, "an effect needs two pairs or more");
        let count = before.len() as f64;
        let mean = |values: &[f64]| values.iter().sum::<f64>() / count;
        let differences: Vec<f64> = before.iter().zip(after).map(|(before, after)| after - before).collect();
        let centre = mean(&differences);
        let squares: f64 = differences.iter().map(|own| (own - centre) * (own - centre)).sum();
        let deviation = (squares / (count - 1.0)).sqrt();
        let half_width = t_quantile(before.len() - 1) * deviation / count.sqrt();
        Effect { before: mean(before), after: mean(after), half_width }
    }

    /// Mean paired difference, after minus before.
    pub fn difference(&self) -> f64 {
        self.after - self.before
    }

    /// The verdict on the cause that the change takes away, for a figure that it brings about.
    pub fn outcome(&self) -> Outcome {
        let reduction = -self.difference();
        let surely = reduction > self.half_width;
        if surely && reduction >= 0.5 * self.before {
            Outcome::Confirmed
        } else if surely && reduction >= 0.2 * self.before {
            Outcome::Contributing
        } else {
            Outcome::Rejected
        }
    }
}

/// t(0.975, `freedom`), rounded to nine digits: the library's logarithms may differ in the last bit between machines.
fn t_quantile(freedom: usize) -> f64 {
    let t = StudentsT::new(0.0, 1.0, freedom as f64).expect("a positive freedom is valid").inverse_cdf(0.975);
    format!("{t:.8e}").parse().expect("a formatted float is a float")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_of_the_paired_differences() {
        // Differences -8, -9, -10, -11, -12: mean -10, sd 1.5811, t(4) = 2.776.
        let effect = Effect::of(&[10.0, 12.0, 14.0, 16.0, 18.0], &[2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!((effect.before, effect.after, effect.difference()), (14.0, 4.0, -10.0));
        assert!((effect.half_width - 1.963).abs() < 0.001, "{}", effect.half_width);
        assert_eq!(effect.outcome(), Outcome::Confirmed);
    }

    #[test]
    fn outcomes_go_by_the_reduction_and_need_an_interval_without_zero() {
        let outcome = |before, after, half_width| Effect { before, after, half_width }.outcome();
        assert_eq!(outcome(10.0, 5.0, 1.0), Outcome::Confirmed);
        assert_eq!(outcome(10.0, 5.1, 1.0), Outcome::Contributing);
        assert_eq!(outcome(10.0, 8.0, 1.0), Outcome::Contributing);
        assert_eq!(outcome(10.0, 8.1, 1.0), Outcome::Rejected);
        assert_eq!(outcome(10.0, 1.0, 9.0), Outcome::Rejected);
        assert_eq!(outcome(10.0, 12.0, 1.0), Outcome::Rejected);
        assert_eq!(outcome(0.0, 0.0, 0.0), Outcome::Rejected);
    }
}
