//! Prometheus evaluates its recording rules.

use crate::prometheus::{RuleGroupId, next_scrape, rule_phase};
use crate::record::EventKind;
use crate::scenario::ResolvedRun;
use crate::sim::SimulateError;
use crate::sim::event::Event;
use crate::sim::world::World;

/// A loaded group.
#[derive(Clone)]
pub(super) struct LoadedGroup {
    pub(super) id: RuleGroupId,
    /// Per rule: whether its last evaluation failed.
    failing: Vec<bool>,
}

/// Loads the groups. All are there before the first target.
pub(super) fn load_rules(
    run: &ResolvedRun,
    server: &mut crate::prometheus::PrometheusServer,
) -> Result<Vec<LoadedGroup>, SimulateError> {
    let load = |own: &crate::scenario::RuleGroupSettings| {
        let id = server.add_rule_group(&own.group).map_err(|error| {
            let place = own.places.get(error.rule).map_or_else(String::new, |span| format!("{span}: "));
            SimulateError::Query(format!("{place}the rules of {} cannot be used: {error}", own.key))
        })?;
        Ok(LoadedGroup { id, failing: vec![false; own.group.rules.len()] })
    };
    run.monitoring.rules.iter().map(load).collect()
}

impl World<'_> {
    /// The first evaluation of each group.
    pub(super) fn start_rules(&mut self) {
        let run = self.run;
        for (number, own) in run.monitoring.rules.iter().enumerate() {
            let phase = rule_phase(self.monitoring.seed, &own.key, own.interval);
            self.queue.push(next_scrape(self.now, phase, own.interval), Event::EvaluateRules(number));
        }
    }

    /// A group is due. That a rule begins to fail is recorded, not each failure.
    pub(super) fn on_evaluate_rules(&mut self, number: usize) {
        let (due, down) = (self.now + self.run.monitoring.rules[number].interval, self.prometheus_is_down());
        self.queue.push(due, Event::EvaluateRules(number));
        if down {
            return;
        }
        let group = &mut self.monitoring.rules[number];
        let failures = self.monitoring.server.evaluate_rules(group.id, self.now);
        let before = std::mem::take(&mut group.failing);
        group.failing = vec![false; before.len()];
        let mut news = Vec::new();
        for failure in failures {
            group.failing[failure.rule] = true;
            if !before[failure.rule] {
                news.push(EventKind::RuleFailed { record: failure.record, message: failure.message });
            }
        }
        for event in news {
            self.note(event);
        }
    }
}
