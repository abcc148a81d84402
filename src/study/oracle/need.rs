//! How many replicas the traffic needs when (verdicts.md 5.3, step 1: `R_w`).

use crate::replica::StepTime;
use crate::study::oracle::CapacityCurve;
use crate::traffic::{Trace, TraceRow};
use crate::units::SimDuration;

/// What a request costs, relative to the mean request of its traffic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WorkWeights {
    prefill: f64,
    decode: f64,
}

impl WorkWeights {
    /// Seconds per prompt token (in a step of `budget` tokens) and per output token (in a batch of `batch` requests with the
    /// mean context of `mix`), so that long prompts and long outputs weigh as they do in the engine.
    pub fn of(step_time: &StepTime, budget: u32, batch: f64, mix: &Trace) -> Self {
        let budget = u64::from(budget.max(1));
        let batch = batch.round().max(1.0) as u64;
        let context = mean(mix, |row| f64::from(row.prompt_tokens) + f64::from(row.answer_tokens()) / 2.0);
        let cached = (context * batch as f64).round() as u64;
        WorkWeights {
            prefill: step_time.step(budget, 0, 0, 1).as_secs_f64_exact() / budget as f64,
            decode: step_time.step(batch, 0, cached, batch).as_secs_f64_exact() / batch as f64,
        }
    }

    fn seconds(&self, row: &TraceRow) -> f64 {
        self.prefill * f64::from(row.prompt_tokens) + self.decode * f64::from(row.answer_tokens())
    }
}

fn mean(trace: &Trace, of: impl Fn(&TraceRow) -> f64) -> f64 {
    trace.rows.iter().map(of).sum::<f64>() / trace.rows.len().max(1) as f64
}

/// Mean requests offered per second in each window of `window`, a request counted by its work: `windows` of them from the
/// run's start.
pub fn offered_rates(traffic: &Trace, weights: WorkWeights, window: SimDuration, windows: usize) -> Vec<f64> {
    let typical = mean(traffic, |row| weights.seconds(row));
    let mut rates = vec![0.0; windows];
    for row in &traffic.rows {
        let index = usize::try_from(row.at.as_ps() / window.as_ps()).expect("a window of a run");
        if let Some(rate) = rates.get_mut(index) {
            *rate += weights.seconds(row) / typical / window.as_secs_f64_exact();
        }
    }
    rates
}

/// Replicas needed in each window, at least `least`; `None` when the goals cannot be met by any number.
pub fn needed_replicas(rates: &[f64], curve: &CapacityCurve, least: u32) -> Option<Vec<u32>> {
    rates.iter().map(|rate| curve.replicas_for(*rate).map(|count| count.max(least))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::SimTime;

    fn trace(rows: &[(u64, u32, u32)]) -> Trace {
        let row = |&(at, prompt_tokens, output_tokens): &(u64, u32, u32)| TraceRow {
            at: SimTime::from_secs(at),
            prompt_tokens,
            output_tokens,
            max_tokens: None,
        };
        let rows = rows.iter().map(row).collect();
        Trace { name: "t".to_owned(), rows, texts: Vec::new(), notes: Vec::new() }
    }

    #[test]
    fn requests_weigh_by_their_work() {
        let weights = WorkWeights { prefill: 0.001, decode: 0.01 };
        // 0.2 s, 0.2 s and 0.8 s of work: a mean of 0.4 s.
        let rates = offered_rates(
            &trace(&[(0, 100, 10), (59, 100, 10), (60, 700, 10), (600, 1, 1)]),
            weights,
            SimDuration::from_secs(60),
            3,
        );
        let typical = (0.2 + 0.2 + 0.8 + 0.011) / 4.0;
        for (found, expected) in rates.iter().zip([0.4, 0.8, 0.0]) {
            assert!((found - expected / typical / 60.0).abs() < 1e-12, "{found}");
        }
    }

    #[test]
    fn the_least_count_holds_in_empty_windows() {
        let curve = CapacityCurve { measured: vec![(1, 2.0)], simulations: 0 };
        assert_eq!(needed_replicas(&[0.0, 1.0, 5.0], &curve, 1), Some(vec![1, 1, 3]));
        assert_eq!(needed_replicas(&[0.0], &curve, 0), Some(vec![0]));
        assert_eq!(needed_replicas(&[1.0], &CapacityCurve { measured: Vec::new(), simulations: 0 }, 0), None);
    }
}
