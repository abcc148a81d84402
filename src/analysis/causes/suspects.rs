//! Which signatures match which flap, in the order of verdicts.md 2.2.

use super::flap_view::{FlapView, RunView};
use super::{Cause, dynamics, metric, noise, plumbing};
use crate::analysis::{FlapDemand, Flapping, Period, Reversal};
use crate::record::{DecisionRecord, RunRecord};

/// A signature that matches a flap.
#[derive(Clone, Debug, PartialEq)]
pub struct CauseMatch {
    /// Which.
    pub cause: Cause,
    /// What in the record matches.
    pub evidence: String,
}

/// A flap with the causes whose signatures match, in the order of testing: the first is the suspect.
#[derive(Clone, Debug, PartialEq)]
pub struct FlapCauses {
    /// Its place among [`Flapping::turns`].
    pub turn: usize,
    /// The matches.
    pub matches: Vec<CauseMatch>,
}

impl FlapCauses {
    /// The suspected cause.
    pub fn suspect(&self) -> Option<&CauseMatch> {
        self.matches.first()
    }
}

/// How many flaps a cause is suspected of.
#[derive(Clone, Debug, PartialEq)]
pub struct CauseShare {
    /// Which.
    pub cause: Cause,
    /// Flaps of which it is the suspect.
    pub suspected: u64,
    /// Flaps that its signature matches, suspect or not.
    pub matched: u64,
    /// The evidence of the first flap of which it is the suspect (or that it matches).
    pub example: String,
}

/// The causes of every flap of a run.
pub fn flap_causes(record: &RunRecord, flapping: &Flapping, demand: &FlapDemand) -> Vec<FlapCauses> {
    let is_cycle = matches!(flapping.period, Period::Regular(_));
    let run = RunView { is_cycle, ..RunView::of(record, flapping.window) };
    let decision = |index: Option<usize>| index.and_then(|index| record.decisions.get(index));
    let flaps = flapping.turns.iter().enumerate().filter(|(_, turn)| turn.is_flap);
    let judge = |(turn, flap): (usize, &Reversal)| {
        let (old, new): (Option<&DecisionRecord>, _) = (decision(flap.old.decision), decision(flap.new.decision));
        let is_justified = demand.justified.get(turn).copied().unwrap_or(false);
        let view = FlapView { run: &run, flap, old, new, is_justified };
        let found = Cause::ORDER.into_iter();
        let matches = found.filter_map(|cause| signature(cause, &view).map(|evidence| CauseMatch { cause, evidence }));
        FlapCauses { turn, matches: matches.collect() }
    };
    flaps.map(judge).collect()
}

/// The signature of `cause`: what in the record matches, if it does.
fn signature(cause: Cause, view: &FlapView<'_>) -> Option<String> {
    match cause {
        Cause::Load => view.is_justified.then(|| "the need rose above and fell below the lower count".to_owned()),
        Cause::NullAsZero => plumbing::null_read_as_zero(view),
        Cause::CutToZero => plumbing::cut_to_zero(view),
        Cause::IdleMode => plumbing::idle_step(view),
        Cause::CronEdge => plumbing::cron_edge(view),
        Cause::FallbackEdge => plumbing::fallback_edge(view),
        Cause::InitialState => plumbing::initial_state(view),
        Cause::PastMaximum => plumbing::past_maximum(view),
        Cause::StatusNotSpec => plumbing::status_not_spec(view),
        Cause::AverageOfAverage => metric::average_of_average(view),
        Cause::TriggerTug => metric::trigger_tug(view),
        Cause::Saturation => metric::saturation(view),
        Cause::ClosedLoop => metric::closed_loop(view),
        Cause::ColdStart => dynamics::cold_start(view),
        Cause::RateWindowLag => dynamics::rate_window_lag(view),
        Cause::LargeStep => dynamics::large_step(view),
        Cause::Tolerance => dynamics::tolerance_flip(view),
        Cause::ShortDownWindow => dynamics::short_down_window(view),
        Cause::Noise => noise::noise_near_step(view),
    }
}

/// Per cause that matches some flap: how often, the most suspected first; equal ones in the order of testing.
pub fn cause_shares(causes: &[FlapCauses]) -> Vec<CauseShare> {
    let share = |cause: Cause| {
        let suspects = || causes.iter().filter_map(FlapCauses::suspect).filter(move |own| own.cause == cause);
        let matched = || causes.iter().flat_map(|own| &own.matches).filter(move |own| own.cause == cause);
        let example = suspects().next().or_else(|| matched().next())?;
        Some(CauseShare {
            cause,
            suspected: suspects().count() as u64,
            matched: matched().count() as u64,
            example: example.evidence.clone(),
        })
    };
    let mut shares: Vec<CauseShare> = Cause::ORDER.into_iter().filter_map(share).collect();
    shares.sort_by_key(|own| std::cmp::Reverse(own.suspected));
    shares
}
