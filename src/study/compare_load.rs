//! What the clients of a world offer, seed by seed: the traffic of open loops written down, that of closed loops as they sent it
//! to the largest fixed fleet.

use crate::record::TimelineRow;
use crate::scenario::ResolvedRun;
use crate::sim::simulate;
use crate::study::compare::{CompareError, Simulations, seeded};
use crate::study::oracle::{WorkWeights, fixed_world, offered_rates};
use crate::traffic::{Arrivals, Trace, TrafficSpec, record_traffic};
use crate::units::{Seed, SimDuration, SimTime};
use rayon::prelude::*;

/// Shortest window of a need.
const WINDOW: SimDuration = SimDuration::from_secs(60);
/// Requests per second of the stand-in for a closed loop whose lengths are asked for.
const MIX_RATE: f64 = 1.0;
/// How long it sends.
const MIX_TIME: SimTime = SimTime::from_secs(2000);

/// One seed's load.
pub(super) struct OfferedLoad {
    /// Requests with their lengths; of a closed loop a stand-in.
    mix: Option<Trace>,
    /// Whether `mix` is what is really sent.
    is_recorded: bool,
    rates: Vec<f64>,
}

impl OfferedLoad {
    /// Requests with the lengths of this traffic; `None` when nothing is sent.
    pub(super) fn mix(&self) -> Option<&Trace> {
        self.mix.as_ref()
    }

    /// All that is sent, when it follows no response.
    pub(super) fn recorded(&self) -> Option<&Trace> {
        self.mix.as_ref().filter(|_| self.is_recorded)
    }

    /// Mean requests per second in each window, a request weighed by its work.
    pub(super) fn rates(&self) -> &[f64] {
        &self.rates
    }
}

/// Length of a window: a minute, or the longest limit on the first token if that is longer.
pub(super) fn window(run: &ResolvedRun) -> SimDuration {
    let limits = run.analysis.slo.iter().filter(|own| own.metric == crate::scenario::SloMetric::Ttft);
    limits.map(|own| own.limit).fold(WINDOW, SimDuration::max)
}

/// Of every seed.
pub(super) fn offered_loads(
    run: &ResolvedRun,
    seeds: &[u64],
    ends: &[SimDuration],
    most: u32,
    simulations: &mut Simulations,
) -> Result<Vec<OfferedLoad>, CompareError> {
    let one = |(seed, end): (&u64, &SimDuration)| {
        let windows = usize::try_from(end.as_ps().div_ceil(window(run).as_ps())).expect("windows of a run");
        if let Some(trace) = record_traffic(&run.traffic, Seed(*seed), SimTime::ZERO + *end) {
            let rates = offered_rates(&trace, weights(run, &trace), window(run), windows);
            return Ok((OfferedLoad { mix: Some(trace), is_recorded: true, rates }, 0));
        }
        let count = i32::try_from(most).unwrap_or(i32::MAX);
        let fixed = fixed_world(&seeded(run, *seed), count, Some(*end));
        let record = simulate(&fixed, false).map_err(|error| CompareError::Simulate(*seed, error))?;
        let rates = rates_of(&record.timeline.rows, window(run), windows);
        let mix = record_traffic(&stand_ins(&run.traffic), Seed(*seed), MIX_TIME);
        Ok((OfferedLoad { mix, is_recorded: false, rates }, 1))
    };
    let pairs: Vec<(&u64, &SimDuration)> = seeds.iter().zip(ends).collect();
    let found: Vec<Result<(OfferedLoad, u64), CompareError>> = pairs.into_par_iter().map(one).collect();
    let mut loads = Vec::new();
    for own in found {
        let (load, runs) = own?;
        simulations.fixed += runs;
        loads.push(load);
    }
    Ok(loads)
}

/// Each closed loop replaced by an open one with the same lengths.
fn stand_ins(traffic: &[TrafficSpec]) -> Vec<TrafficSpec> {
    let stand_in = |spec: &TrafficSpec| match spec.arrivals {
        Arrivals::ClosedLoop { .. } => TrafficSpec {
            arrivals: Arrivals::Poisson { rate: MIX_RATE },
            start: SimTime::ZERO,
            stop: SimTime::NEVER,
            ..spec.clone()
        },
        _ => spec.clone(),
    };
    traffic.iter().map(stand_in).collect()
}

/// Requests per second in each window, from a timeline.
fn rates_of(rows: &[TimelineRow], window: SimDuration, windows: usize) -> Vec<f64> {
    let mut rates = vec![0.0; windows];
    let mut before = SimTime::ZERO;
    for row in rows {
        let sent = row.offered_rps * row.t.saturating_since(before).as_secs_f64_exact();
        // A row tells of the time before it.
        let index = usize::try_from(before.as_ps() / window.as_ps()).expect("a window of a run");
        if let Some(rate) = rates.get_mut(index) {
            *rate += sent / window.as_secs_f64_exact();
        }
        before = row.t;
    }
    rates
}

/// What tokens cost in a full batch.
fn weights(run: &ResolvedRun, mix: &Trace) -> WorkWeights {
    let engine = &run.engine;
    let tokens: f64 = mix.rows.iter().map(|row| f64::from(row.prompt_tokens) + f64::from(row.answer_tokens())).sum();
    let context = (tokens / mix.rows.len().max(1) as f64).max(1.0);
    let room = f64::from(engine.kv_blocks) * f64::from(engine.block_size) / context;
    let batch = room.min(f64::from(engine.max_num_seqs)).max(1.0);
    WorkWeights::of(&engine.step_time, engine.max_num_batched_tokens, batch, mix)
}
