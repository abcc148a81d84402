//! What the lines of `decisions.jsonl` have in common, as JSON: a query or a condition's sentence is the same for thousands of
//! lines, and to escape it again costs more than the rest of its line.

use crate::hpa::{Condition, Recommendation};
use crate::record::decision_lines::{StatusConditionLine, condition_line, recommendation_line};
use crate::record::{CommonText, DecisionRecord, HpaSync};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use std::sync::Arc;

/// Texts beyond which those of earlier lines are forgotten: records that do not share their memory are read from a file.
const MAX_TEXTS: usize = 200;

/// The JSON of what decisions share with earlier ones.
#[derive(Default)]
pub(super) struct WrittenOnce {
    texts: Vec<(CommonText, Box<RawValue>)>,
    /// Of the last sync.
    conditions: Option<(Arc<[Condition]>, Box<RawValue>)>,
    /// Of the last sync, place by place.
    recommended: Vec<Recommendation>,
    recommendations: Vec<Box<RawValue>>,
}

impl WrittenOnce {
    /// Makes ready what the line of `decision` takes from here.
    pub(super) fn learn(&mut self, decision: &DecisionRecord) {
        if self.texts.len() > MAX_TEXTS {
            self.texts.clear();
        }
        for metric in decision.metrics() {
            for text in [&metric.trigger, &metric.query, &metric.target_type, &metric.kind] {
                if self.known(text).is_none() {
                    self.texts.push((text.clone(), json(text.as_str())));
                }
            }
        }
        if let Some(sync) = decision.sync() {
            self.learn_conditions(sync);
            self.learn_recommendations(sync);
        }
    }

    fn learn_conditions(&mut self, sync: &HpaSync) {
        let own = &sync.status_conditions;
        if !self.conditions.as_ref().is_some_and(|(known, _)| Arc::ptr_eq(known, own)) {
            let lines: Vec<StatusConditionLine> = own.iter().map(condition_line).collect();
            self.conditions = Some((Arc::clone(own), json(&lines)));
        }
    }

    fn learn_recommendations(&mut self, sync: &HpaSync) {
        let own = sync.recommendations.to_vec();
        self.recommendations.truncate(own.len());
        for (place, recommendation) in own.iter().enumerate() {
            if self.recommended.get(place) == Some(recommendation) {
                continue;
            }
            let written = json(&recommendation_line(*recommendation));
            match self.recommendations.get_mut(place) {
                Some(earlier) => *earlier = written,
                None => self.recommendations.push(written),
            }
        }
        self.recommended = own;
    }

    fn known(&self, text: &CommonText) -> Option<&RawValue> {
        self.texts.iter().find(|(known, _)| known.is_shared_with(text)).map(|(_, json)| &**json)
    }

    /// A metric's text.
    pub(super) fn text(&self, text: &CommonText) -> &RawValue {
        self.known(text).expect("the line's decision was learned")
    }

    /// The recommendations of the sync that was learned last.
    pub(super) fn recommendations(&self) -> &[Box<RawValue>] {
        &self.recommendations
    }

    /// The conditions of the sync that was learned last.
    pub(super) fn conditions(&self) -> &RawValue {
        let (_, json) = self.conditions.as_ref().expect("the line's sync was learned");
        json
    }
}

fn json(value: &(impl Serialize + ?Sized)) -> Box<RawValue> {
    to_raw_value(value).expect("our own line structs always serialise")
}
