//! The fluid limit of the token counters: what they would show if every pod got exactly its share of the expected load.
//!
//! A diagnostic world (verdicts.md 2.3): requests arrive, queue and are answered as ever, but `vllm:prompt_tokens_total` and
//! `vllm:generation_tokens_total` grow at the expected rate of the arrivals, split evenly over the pods that the router
//! knows. Scrapes, windows, lag and everything behind them stay; only chance is gone. A request's tokens count at its
//! arrival, and a capacity that binds is not seen.

use crate::cluster::PodId;
use crate::keda::TriggerKind;
use crate::record::{Counted, LoadStep};
use crate::scenario::ResolvedRun;
use crate::series::Exposition;
use crate::sim::loop_info::loop_info;
use crate::units::SimTime;
use std::collections::BTreeMap;

/// Whether the expectation of every query is exact in the world without chance.
///
/// # Errors
/// Why not: the load follows no law, or a query is no sum of rates of the token counters.
pub fn has_expectation(run: &ResolvedRun) -> Result<(), String> {
    let info = loop_info(run);
    if info.load.law.is_none() {
        return Err("the traffic follows no law whose mean is known".to_owned());
    }
    let Some(keda) = &run.keda else { return Err("the metrics are not KEDA's".to_owned()) };
    let exact = |what: Counted| matches!(what, Counted::PromptTokens | Counted::GeneratedTokens | Counted::AllTokens);
    for (trigger, query) in keda.scaled_object.triggers.iter().zip(&info.queries) {
        let is_constant = matches!(trigger.kind, TriggerKind::Cron(_));
        if !is_constant && !exact(query.counts) {
            return Err(format!("{} is no sum of rates of the token counters", trigger.metric_name));
        }
    }
    Ok(())
}

/// Tokens of one pod.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Tokens {
    prompt: f64,
    generated: f64,
}

/// The expected counters of all pods.
pub(super) struct ExpectedCounters {
    law: Vec<LoadStep>,
    /// Up to when the pods' counters have grown.
    grown: SimTime,
    pods: BTreeMap<PodId, Tokens>,
    /// Columns of the exposition: prompt, generated.
    columns: (Vec<usize>, Vec<usize>),
}

impl ExpectedCounters {
    /// The counters of `run`; `None` when its traffic follows no law whose mean is known.
    pub(super) fn of(run: &ResolvedRun, exposition: &Exposition) -> Option<Self> {
        loop_info(run).load.law.map(|law| Self::of_law(law, exposition))
    }

    /// The counters under the load `law`.
    pub(super) fn of_law(law: Vec<LoadStep>, exposition: &Exposition) -> Self {
        let named = |name: &str| {
            let own = exposition.series.iter().enumerate().filter(|(_, series)| series.labels.metric_name() == name);
            own.map(|(column, _)| column).collect()
        };
        let columns = (named("vllm:prompt_tokens_total"), named("vllm:generation_tokens_total"));
        ExpectedCounters { law, grown: SimTime::ZERO, pods: BTreeMap::new(), columns }
    }

    /// The counters of the pods in `view` grow until `now`; to be called before `view` changes.
    pub(super) fn grow(&mut self, view: &[PodId], now: SimTime) {
        let mut whole = Tokens::default();
        let ends = self.law.iter().skip(1).map(|step| step.from).chain([SimTime::NEVER]);
        for (step, end) in self.law.iter().zip(ends) {
            let seconds = now.min(end).saturating_since(step.from.max(self.grown)).as_secs_f64_exact();
            whole.prompt += step.prompt_tokens * seconds;
            whole.generated += step.generated_tokens * seconds;
        }
        self.grown = now;
        for pod in view {
            let own = self.pods.entry(*pod).or_default();
            own.prompt += whole.prompt / view.len() as f64;
            own.generated += whole.generated / view.len() as f64;
        }
    }

    /// Puts them in the place of the measured ones in a scrape's `row`.
    pub(super) fn show(&self, pod: PodId, row: &mut [f64]) {
        let own = self.pods.get(&pod).copied().unwrap_or_default();
        let (prompt, generated) = &self.columns;
        for (columns, value) in [(prompt, own.prompt), (generated, own.generated)] {
            for column in columns {
                row[*column] = value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::SimDuration;

    #[test]
    fn tokens_are_split_over_the_pods_that_are_known_and_follow_the_steps() {
        let step = |from: u64, rate: f64| LoadStep {
            from: SimTime::from_secs(from),
            requests: rate,
            prompt_tokens: rate,
            generated_tokens: 2.0 * rate,
        };
        let mut counters = ExpectedCounters {
            law: vec![step(0, 0.0), step(10, 6.0), step(30, 12.0)],
            grown: SimTime::ZERO,
            pods: BTreeMap::new(),
            columns: (vec![1], vec![0]),
        };
        counters.grow(&[PodId(0)], SimTime::from_secs(20));
        counters.grow(&[PodId(0), PodId(1)], SimTime::from_secs(40));
        counters.grow(&[], SimTime::from_secs(50));
        let mut row = [0.0; 3];
        counters.show(PodId(0), &mut row);
        // 10 s at 6, then half of 10 s at 6 and 10 s at 12.
        assert_eq!(row, [300.0, 150.0, 0.0]);
        counters.show(PodId(1), &mut row);
        assert_eq!(row, [180.0, 90.0, 0.0]);
        let again = counters.grown + SimDuration::from_secs(1);
        counters.grow(&[PodId(1)], again);
        counters.show(PodId(1), &mut row);
        assert_eq!(row, [204.0, 102.0, 0.0]);
    }
}
