//! Where throughput stops growing, and the threshold that the rule of thumb makes of it.

use crate::study::calibrate::{Load, Measurement};

/// From this concurrency on a plateau ends the search there.
const ENDS_FROM: u32 = 4;

/// A step of a sweep of concurrencies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlateauStep {
    /// Workers.
    pub concurrency: u32,
    /// Measured tokens per second, prompts and outputs together; the mean of several runs.
    pub tokens_per_second: f64,
    /// How many runs.
    pub runs: u32,
    /// Against the step before.
    pub growth: Option<f64>,
}

impl PlateauStep {
    /// Growth below which a step is a plateau (calibrate.py of prokube's KServe example).
    pub const GROWS: f64 = 0.15;
}

/// A sweep of concurrencies at one mix of lengths.
#[derive(Clone, Debug, PartialEq)]
pub struct Plateau {
    /// Mean tokens, `922 -> 922`.
    pub lengths: String,
    /// Its steps, by concurrency, at least two.
    pub steps: Vec<PlateauStep>,
    /// The first step after the last growing one, which grew by less than 15 %; `None` when the last step grew.
    pub reached: Option<u32>,
    /// The last step that still grew.
    pub last_growing: PlateauStep,
}

impl Plateau {
    /// 80 % of the last growing step, rounded down as the script does.
    pub fn threshold(&self) -> f64 {
        (self.last_growing.tokens_per_second * 0.8).floor()
    }
}

/// The sweeps among the runs, one for each mix of lengths, in the order of the runs.
pub fn plateaus(runs: &[Measurement]) -> Vec<Plateau> {
    let mut mixes: Vec<(String, Vec<PlateauStep>)> = Vec::new();
    for run in runs {
        let (Load::Concurrency(concurrency), Some(tokens_per_second)) = (run.load, run.tokens_per_second()) else {
            continue;
        };
        let step = PlateauStep { concurrency, tokens_per_second, runs: 1, growth: None };
        let lengths = run.lengths_text();
        match mixes.iter_mut().find(|(own, _)| *own == lengths) {
            Some((_, steps)) => steps.push(step),
            None => mixes.push((lengths, vec![step])),
        }
    }
    mixes.into_iter().filter_map(|(lengths, steps)| plateau(lengths, steps)).collect()
}

fn plateau(lengths: String, mut steps: Vec<PlateauStep>) -> Option<Plateau> {
    steps.sort_by_key(|step| step.concurrency);
    steps.dedup_by(|next, kept| {
        let is_same = next.concurrency == kept.concurrency;
        if is_same {
            let before = f64::from(kept.runs);
            kept.tokens_per_second = (kept.tokens_per_second * before + next.tokens_per_second) / (before + 1.0);
            kept.runs += 1;
        }
        is_same
    });
    if steps.len() < 2 {
        return None;
    }
    for index in 1..steps.len() {
        let before = steps[index - 1].tokens_per_second;
        steps[index].growth = Some((steps[index].tokens_per_second - before) / before);
    }
    let mut last_growing = steps[0];
    let mut reached = None;
    for step in &steps {
        if step.growth.is_some_and(|growth| growth < PlateauStep::GROWS) {
            reached.get_or_insert(step.concurrency);
            if step.concurrency >= ENDS_FROM {
                break;
            }
        } else {
            // What did not grow before was no plateau.
            (last_growing, reached) = (*step, None);
        }
    }
    Some(Plateau { lengths, steps, reached, last_growing })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rates: &[(u32, f64)]) -> Plateau {
        let step = |(concurrency, tokens_per_second): &(u32, f64)| PlateauStep {
            concurrency: *concurrency,
            tokens_per_second: *tokens_per_second,
            runs: 1,
            growth: None,
        };
        plateau("m".to_owned(), rates.iter().map(step).collect()).expect("two steps")
    }

    #[test]
    fn the_demo_has_no_plateau_and_implies_106() {
        let found = of(&[(16, 133.1), (1, 20.1), (2, 35.6), (4, 56.6), (8, 81.6)]);
        assert_eq!((found.reached, found.last_growing.concurrency, found.threshold()), (None, 16, 106.0));
    }

    #[test]
    fn a_step_that_hardly_grows_ends_the_search() {
        // The last step is not looked at any more, as in the script.
        let found = of(&[(1, 10.0), (2, 20.0), (4, 22.0), (8, 60.0)]);
        assert_eq!((found.reached, found.last_growing.concurrency, found.threshold()), (Some(4), 2, 16.0));
    }

    #[test]
    fn a_step_after_which_it_grows_again_is_no_plateau() {
        let found = of(&[(1, 10.0), (2, 11.0), (4, 20.0), (8, 21.0), (16, 15.0)]);
        assert_eq!((found.reached, found.last_growing.concurrency, found.threshold()), (Some(8), 4, 16.0));
        let found = of(&[(1, 10.0), (2, 11.0)]);
        assert_eq!((found.reached, found.last_growing.concurrency), (Some(2), 1));
    }

    #[test]
    fn runs_of_one_concurrency_are_averaged() {
        let found = of(&[(1, 10.0), (2, 18.0), (2, 24.0), (2, 21.0)]);
        assert_eq!(found.steps.len(), 2);
        assert_eq!((found.steps[1].tokens_per_second, found.steps[1].runs), (21.0, 3));
    }
}
