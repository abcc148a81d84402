//! The common form `sum by (..) (rate(selector[range]))`: each series' group is known by its position, so that no label set
//! is touched, and the series of a target, which share their time stamps, are computed side by side.
//!
//! What comes out is to the last bit what `aggregate` makes of what `range_functions` give series by series.

use super::aggregate::{Groups, group_of};
use super::ast::{Aggregate, AggregateOp, Kind};
use super::calls::keeps_name;
use super::eval::{Evaluator, Sample};
use super::functions::FunctionId;
use super::memo::Memo;
use super::numbers::kahan_add;
use super::range_functions::{Extrapolation, Window, over_range};
use super::semantics::Semantics;
use crate::prometheus::stored_rows::is_marker;
use crate::prometheus::tsdb::{Edges, Rows, Run};
use std::ops::Range;

impl Evaluator<'_> {
    /// An aggregation's value, if it has this form.
    pub fn aggregate_ranges(&mut self, aggregate: &Aggregate, number: f64, t: i64) -> Option<Vec<Sample>> {
        let Kind::Call { function, args, .. } = &aggregate.inner.unparenthesized().kind else { return None };
        let [range] = args.as_slice() else { return None };
        let Kind::Matrix { selector, .. } = range.unparenthesized().kind else { return None };
        // Without one name, dropping names may make two series the same, which is an error.
        let one_name = self.plan.selectors[selector].exact_name().is_some();
        if !one_name || function.id == FunctionId::AbsentOverTime || keeps_name(function.id) {
            return None;
        }
        let mut memo = std::mem::take(&mut self.memos[aggregate.memo]);
        memo.begin(self.storage.epoch());
        let selected = self.storage.selected(self.first_selector + selector);
        let positions = memo.positions(selected, |memo, nameless| group_of(aggregate, memo, nameless));
        let window = self.window_of(range.unparenthesized(), t);
        let (id, semantics) = (function.id, self.semantics);
        let sums = std::mem::take(&mut memo.sums);
        let mut gathering = Gathering::new(aggregate.op, memo.len(), &semantics, sums);
        let mut samples = std::mem::take(&mut self.scratch);
        let mut values = Vec::new();
        let mut side_by_side = positions.runs.iter();
        self.each_target(selector, &window, |rows, (from, to), run| {
            let side_by_side = side_by_side.next().expect("each run's groups were looked at").as_ref();
            let (all, groups) = (&selected.series[run.series.clone()], &positions.groups[run.series.clone()]);
            match (unbroken(id, rows, (from, to), run, &window, &semantics), &run.columns) {
                (Some((times, edges)), Some(columns)) if edges.full => {
                    times.apply_to_all(&edges.first[columns.clone()], &edges.last[columns.clone()], &mut values);
                    gathering.add_all(groups, side_by_side, &values);
                }
                (Some((times, edges)), _) => {
                    for (one, group) in all.iter().zip(groups) {
                        let [first, last] = [edges.first, edges.last].map(|cells| cells[one.column as usize]);
                        if !is_marker(first) {
                            gathering.add(*group, times.apply(first, last - first));
                        }
                    }
                }
                (None, _) => {
                    for (one, group) in all.iter().zip(groups) {
                        samples.clear();
                        rows.samples(one.column, from, to, &mut samples);
                        let value =
                            if samples.is_empty() { None } else { over_range(id, &samples, &window, &semantics) };
                        if let Some(value) = value {
                            gathering.add(*group, value);
                        }
                    }
                }
            }
        });
        self.scratch = samples;
        memo.keep_positions(positions);
        let result = gathering.finish(number, &mut memo);
        self.memos[aggregate.memo] = memo;
        Some(result)
    }
}

/// For rate, increase and delta over rows without a break: what their time stamps say, and their ends. Without a break a
/// counter's change is that from its first to its last sample.
fn unbroken<'a>(
    function: FunctionId,
    rows: &'a Rows,
    (from, to): (usize, usize),
    run: &Run,
    window: &Window,
    semantics: &Semantics,
) -> Option<(Extrapolation, Edges<'a>)> {
    let (counter, per_second) = match function {
        FunctionId::Rate => (true, true),
        FunctionId::Increase => (true, false),
        FunctionId::Delta => (false, false),
        _ => return None,
    };
    // That a gauge falls is no break.
    if counter && !run.counters {
        return None;
    }
    let edges = rows.edges(from, to)?;
    let times = (edges.first_ts, edges.last_ts, edges.rows);
    Some((Extrapolation::new(times, window, counter, per_second, semantics), edges))
}

/// The groups of one evaluation, while their elements come in.
#[derive(Debug)]
enum Gathering {
    Sums(Sums),
    Others { op: AggregateOp, groups: Groups, semantics: Semantics },
}

impl Gathering {
    /// For groups with numbers below `count`; `sums` are those of an earlier evaluation.
    fn new(op: AggregateOp, count: usize, semantics: &Semantics, sums: Sums) -> Self {
        if op == AggregateOp::Sum {
            Gathering::Sums(sums.anew(count, semantics.kahan_agg))
        } else {
            Gathering::Others { op, groups: Groups::default(), semantics: *semantics }
        }
    }
    fn add(&mut self, group: u32, value: f64) {
        match self {
            Gathering::Sums(sums) => sums.add(group, value),
            Gathering::Others { op, groups, semantics } => groups.next(group).add(*op, value, semantics),
        }
    }
    /// Adds one value to each of `groups`, which are the range `side_by_side` if there is one.
    fn add_all(&mut self, groups: &[u32], side_by_side: Option<&Range<usize>>, values: &[f64]) {
        match (&mut *self, side_by_side) {
            (Gathering::Sums(sums), Some(range)) => sums.add_side_by_side(range.clone(), values),
            _ => groups.iter().zip(values).for_each(|(group, value)| self.add(*group, *value)),
        }
    }
    fn finish(self, parameter: f64, memo: &mut Memo) -> Vec<Sample> {
        match self {
            Gathering::Sums(sums) => {
                let result = sums.finish(memo);
                memo.sums = sums;
                result
            }
            Gathering::Others { op, mut groups, semantics } => groups.finish(op, parameter, &semantics, memo),
        }
    }
}

/// `sum` of many groups: columns, so that those of one target are added side by side.
#[derive(Clone, Debug, Default)]
pub(super) struct Sums {
    /// From 2.55.
    compensated: bool,
    sums: Vec<f64>,
    compensations: Vec<f64>,
    seen: Vec<bool>,
    /// Groups in the order in which they first appeared.
    order: Vec<u32>,
}

impl Sums {
    /// For `count` groups that nothing was added to.
    fn anew(mut self, count: usize, compensated: bool) -> Self {
        self.compensated = compensated;
        for sums in [&mut self.sums, &mut self.compensations] {
            sums.clear();
            sums.resize(count, 0.0);
        }
        self.seen.clear();
        self.seen.resize(count, false);
        self.order.clear();
        self
    }
    fn see(&mut self, group: u32) {
        if !std::mem::replace(&mut self.seen[group as usize], true) {
            self.order.push(group);
        }
    }
    fn add(&mut self, group: u32, value: f64) {
        self.see(group);
        let (sum, compensation) = (&mut self.sums[group as usize], &mut self.compensations[group as usize]);
        if self.compensated {
            (*sum, *compensation) = kahan_add(value, *sum, *compensation);
        } else {
            *sum += value;
        }
    }
    fn add_side_by_side(&mut self, groups: Range<usize>, values: &[f64]) {
        if self.order.len() < self.seen.len() {
            groups.clone().for_each(|group| self.see(group as u32));
        }
        let sums = self.sums[groups.clone()].iter_mut();
        if self.compensated {
            for ((sum, compensation), value) in sums.zip(&mut self.compensations[groups]).zip(values) {
                (*sum, *compensation) = kahan_add(*value, *sum, *compensation);
            }
        } else {
            sums.zip(values).for_each(|(sum, value)| *sum += value);
        }
    }
    fn finish(&self, memo: &Memo) -> Vec<Sample> {
        let element = |group: u32| {
            let (sum, compensation) = (self.sums[group as usize], self.compensations[group as usize]);
            let value = if sum.is_infinite() { sum } else { sum + compensation };
            Sample { labels: memo.labels(group).clone(), value }
        };
        self.order.iter().copied().map(element).collect()
    }
}
