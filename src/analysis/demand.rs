//! Flapping, or following the load? (verdicts.md 1.4)

use crate::analysis::flapping::measured;
use crate::analysis::load::earlier;
use crate::analysis::{Flapping, Need, Reversal, ReversalKind};
use crate::record::RunRecord;
use crate::units::{SimDuration, SimTime};

/// How a run's flaps stand to the need.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FlapDemand {
    /// Per reversal of [`Flapping::turns`]: whether the need asked for it.
    pub justified: Vec<bool>,
    /// Flaps that the need asked for.
    pub justified_flaps: u64,
    /// Flaps that it did not ask for.
    pub spurious_flaps: u64,
    /// Dips shorter than a start-up, justified or not: holding would have cost less than starting again.
    pub uneconomic_flaps: u64,
    /// Flaps that count for the class: spurious or uneconomic.
    pub faulty_flaps: u64,
    /// Reversals of `spec.replicas` minus those of the need, per hour.
    pub reversal_excess: f64,
    /// How the need came about.
    pub provenance: String,
}

/// Least time that the need must have been above the lower level for a peak to be justified.
const SHORTEST_NEED: SimDuration = SimDuration::from_secs(60);

/// Judges each reversal by `need`. A need that stays the same around a flap has asked for none, whatever its level.
pub fn flap_demand(record: &RunRecord, flapping: &Flapping, need: &Need) -> FlapDemand {
    let lag = reaction_lag(record);
    let justified: Vec<bool> =
        flapping.turns.iter().map(|turn| is_justified(turn, need, lag, flapping.window)).collect();
    let startup = record.info.startup_p50;
    let uneconomic = |turn: &Reversal| turn.kind == ReversalKind::Dip && turn.turn_time() < startup;
    let count = |wanted: &dyn Fn(&Reversal, bool) -> bool| {
        let flaps = flapping.turns.iter().zip(&justified).filter(|(turn, _)| turn.is_flap);
        flaps.filter(|(turn, justified)| wanted(turn, **justified)).count() as u64
    };
    let (start, time) = measured(record);
    let hours = time.as_secs_f64_exact() / 3600.0;
    let excess = flapping.reversals as f64 - need.reversals(start) as f64;
    FlapDemand {
        justified_flaps: count(&|_, justified| justified),
        spurious_flaps: count(&|_, justified| !justified),
        uneconomic_flaps: count(&|turn, _| uneconomic(turn)),
        faulty_flaps: count(&|turn, justified| !justified || uneconomic(turn)),
        reversal_excess: if hours > 0.0 { excess / hours } else { 0.0 },
        provenance: need.provenance().to_owned(),
        justified,
    }
}

/// How late the loop may answer the load: the longest range of a query until it is full, one scrape, and the 90th percentile
/// of the start-ups seen (the median of the settings when none was).
fn reaction_lag(record: &RunRecord) -> SimDuration {
    let range = record.loop_info.queries.iter().map(|query| query.range).max().unwrap_or(SimDuration::ZERO);
    let started = record.pods.iter().filter(|pod| pod.created > SimTime::ZERO);
    let mut startups: Vec<SimDuration> =
        started.filter_map(|pod| pod.ready.map(|ready| ready.since(pod.created))).collect();
    startups.sort_unstable();
    let rank = (startups.len() * 9).div_ceil(10);
    let startup = rank.checked_sub(1).map_or(record.info.startup_p50, |index| startups[index]);
    range + record.loop_info.scrape_interval + startup
}

fn is_justified(turn: &Reversal, need: &Need, lag: SimDuration, window: SimDuration) -> bool {
    let (t1, t2) = (turn.old.t, turn.new.t);
    let after = t2.saturating_add(window);
    if need.is_constant(earlier(t1, lag + window), after) {
        return false;
    }
    match turn.kind {
        ReversalKind::Peak => {
            let low = turn.level_before.max(turn.level_after);
            let tenth = SimDuration::from_ps(turn.turn_time().as_ps() / 10);
            need.time_above(low, earlier(t1, lag), t2) >= SHORTEST_NEED.max(tenth)
        }
        ReversalKind::Dip => {
            let low = turn.level_turn;
            let turned = earlier(t2, lag);
            !need.is_above(low, t1, turned.max(t1)) && need.is_above(low, turned, after)
        }
    }
}
