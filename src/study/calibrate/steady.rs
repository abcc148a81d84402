//! One engine under a load that does not change, looked at once it is in its steady state: neither the filling of an empty
//! engine nor its draining counts.
//!
//! A run begins with as many requests inside as the load will hold there, each with a random share of its output still to come,
//! as requests that are under way have. From an empty engine the steady state is far: near saturation a gap to it closes over
//! many times the latency.

use crate::replica::{Engine, EngineConfig, EngineEvent, Finished};
use crate::study::calibrate::Lengths;
use crate::study::calibrate::bench::asked_for;
use crate::traffic::{Request, RequestAttributes, RequestId};
use crate::units::{Seed, SimDuration, SimTime, Stream};
use std::sync::Arc;

/// The longest run, s: 92 days, well within what the clock can count.
pub(super) const LONGEST: f64 = 8e6;

/// How requests come.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pressure {
    /// So many are under way at any time.
    Workers(u32),
    /// A Poisson process with so many per second on average, on top of those that are inside at the start.
    Rate { per_second: f64, inside: u32 },
}

/// Which requests count.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// Requests before, beside those of the start.
    pub(super) warm_up: u32,
    /// Requests that count.
    pub(super) counted: u32,
    /// With more than so many inside, an open loop has no steady state.
    pub(super) most_inside: u32,
}

/// What the requests that count saw.
#[derive(Clone, Debug, Default)]
pub(super) struct Steady {
    /// In the order of their ends.
    pub(super) counted: Vec<Finished>,
    /// Their number over the time in which they ended (workers) or arrived (a rate), 1/s.
    pub(super) per_second: f64,
    /// Requests running, mean over the time in which they arrived; a rate only.
    pub(super) running: f64,
    /// Requests waiting in the engine, likewise.
    pub(super) waiting: f64,
}

/// Why a run ended before its window was full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Requests piled up.
    PiledUp,
    /// Who watched had seen enough.
    SeenEnough,
    /// It cannot be simulated.
    Impossible(String),
}

/// Requests as they come.
struct Source<'a> {
    lengths: &'a Lengths,
    prompts: Stream,
    outputs: Stream,
    sent: u64,
}

impl Source<'_> {
    /// The next request, of whose output this `share` is left.
    fn next(&mut self, share: f64) -> (Request, RequestAttributes) {
        let (prompt, output) = self.lengths.draw(self.sent, &mut self.prompts, &mut self.outputs);
        // At least one token, at most all; `as` saturates.
        let left = ((f64::from(output) * share).ceil() as u32).max(1);
        let id = RequestId(self.sent);
        self.sent += 1;
        asked_for(id, (prompt, left))
    }
}

struct Run<'a> {
    source: Source<'a>,
    gaps: Stream,
    engine: Engine,
    now: SimTime,
    /// When the next request of a rate is due.
    due: SimTime,
    inside: u32,
    finished: Vec<Finished>,
    /// When the first request that counts came, and the first after those that count; of a rate.
    begins: [SimTime; 2],
}

impl Run<'_> {
    fn send(&mut self, at: SimTime, share: f64) -> Result<(), Ended> {
        let (request, attributes) = self.source.next(share);
        if !self.engine.accepts(&request) {
            let tokens = request.prompt_tokens;
            return Err(Ended::Impossible(format!("a prompt of {tokens} tokens leaves no room for an answer")));
        }
        self.engine.submit_with(at, request, attributes);
        self.inside += 1;
        Ok(())
    }

    /// The next thing that happens. Requests that ended are at the end of `finished`.
    fn advance(&mut self, pressure: Pressure, events: &mut Vec<EngineEvent>) -> Result<(), Ended> {
        let send = match pressure {
            Pressure::Workers(workers) => (self.inside < workers).then_some(self.now),
            Pressure::Rate { .. } => Some(self.due),
        };
        let wake = self.engine.next_wake();
        // As the simulator orders one instant: steps end, requests arrive, steps start.
        let sends_first = |send: SimTime| {
            wake.is_none_or(|wake| send < wake || (send == wake && self.engine.next_wake_starts_step()))
        };
        if let Some(at) = send.filter(|at| sends_first(*at)) {
            self.now = at;
            self.send(at, 1.0)?;
            if let Pressure::Rate { per_second, .. } = pressure {
                self.due += SimDuration::from_secs_f64(self.gaps.exponential() / per_second);
            }
        } else if let Some(at) = wake {
            self.now = at;
            events.clear();
            self.engine.wake(at, events);
            let done = events.iter().filter_map(|event| match event {
                EngineEvent::Finished(done) => Some(*done),
                _ => None,
            });
            let before = self.finished.len();
            self.finished.extend(done);
            self.inside -= u32::try_from(self.finished.len() - before).unwrap_or(0);
        } else {
            return Err(Ended::Impossible("the engine stands still".to_owned()));
        }
        if self.now.as_secs_f64() > LONGEST {
            let message = format!("it would take more than {} simulated days", (LONGEST / 86_400.0).floor());
            return Err(Ended::Impossible(message));
        }
        Ok(())
    }
}

/// Runs `engine` under `pressure` until the requests that count have ended; `watch` sees each of these as it ends and says
/// whether to go on.
pub(super) fn steady(
    engine: &Arc<EngineConfig>,
    lengths: &Lengths,
    pressure: Pressure,
    window: Window,
    seed: Seed,
    mut watch: impl FnMut(&Finished) -> bool,
) -> Result<Steady, Ended> {
    let overhead = engine.request_overhead;
    let source = Source {
        lengths,
        prompts: seed.stream("prompt-lengths", 0),
        outputs: seed.stream("output-lengths", 0),
        sent: 0,
    };
    let mut run = Run {
        source,
        gaps: seed.stream("arrival-gaps", 0),
        engine: Engine::new(Arc::clone(engine)),
        now: SimTime::ZERO,
        due: SimTime::ZERO,
        inside: 0,
        finished: Vec::new(),
        begins: [SimTime::ZERO; 2],
    };
    let (Pressure::Workers(at_start) | Pressure::Rate { inside: at_start, .. }) = pressure;
    let mut shares = seed.stream("shares", 0);
    for _ in 0..at_start {
        run.send(SimTime::ZERO, shares.uniform_positive())?;
    }
    match pressure {
        Pressure::Workers(_) => closed(run, pressure, window, &mut watch),
        Pressure::Rate { .. } => open(run, pressure, window, at_start, overhead, &mut watch),
    }
}

/// Counts requests by their ends.
fn closed(
    mut run: Run<'_>,
    pressure: Pressure,
    window: Window,
    watch: &mut impl FnMut(&Finished) -> bool,
) -> Result<Steady, Ended> {
    let mut events = Vec::new();
    let (first, last) = (window.warm_up as usize, (window.warm_up + window.counted) as usize);
    let mut seen = 0;
    while run.finished.len() <= last {
        run.advance(pressure, &mut events)?;
        for done in run.finished.iter().take(last).skip(seen.max(first)) {
            if !watch(done) {
                return Err(Ended::SeenEnough);
            }
        }
        seen = run.finished.len();
    }
    let span = run.finished[last].at.since(run.finished[first].at).as_secs_f64_exact().max(1e-9);
    run.finished.truncate(last);
    let counted = run.finished.split_off(first);
    Ok(Steady { per_second: f64::from(window.counted) / span, counted, ..Steady::default() })
}

/// Counts requests by their arrivals; arrivals go on until all that count have ended.
fn open(
    mut run: Run<'_>,
    pressure: Pressure,
    window: Window,
    at_start: u32,
    overhead: SimDuration,
    watch: &mut impl FnMut(&Finished) -> bool,
) -> Result<Steady, Ended> {
    let mut events = Vec::new();
    let first = u64::from(at_start) + u64::from(window.warm_up);
    let last = first + u64::from(window.counted);
    let mut left = last;
    while left > 0 {
        let (before, sent) = (run.finished.len(), run.source.sent);
        run.advance(pressure, &mut events)?;
        if run.source.sent > sent && (sent == first || sent == last) {
            run.begins[usize::from(sent == last)] = run.now;
        }
        if run.inside > window.most_inside {
            return Err(Ended::PiledUp);
        }
        for done in &run.finished[before..] {
            left -= u64::from(done.id.0 < last);
            if (first..last).contains(&done.id.0) && !watch(done) {
                return Err(Ended::SeenEnough);
            }
        }
    }
    // The request after those that count is sent before the window closes, whatever it takes.
    while run.source.sent <= last {
        let sent = run.source.sent;
        run.advance(pressure, &mut events)?;
        if run.source.sent > sent && sent == last {
            run.begins[1] = run.now;
        }
    }
    let [from, to] = run.begins;
    let span = to.since(from).as_secs_f64_exact();
    // Requests that arrive later hold nothing inside the window, and all before have ended.
    let inside = |begin: SimTime, end: SimTime| {
        let (begin, end) = (begin.max(from), end.min(to));
        if end > begin { end.since(begin).as_secs_f64_exact() } else { 0.0 }
    };
    let mut steady = Steady { per_second: f64::from(window.counted) / span, ..Steady::default() };
    for done in &run.finished {
        steady.running += inside(done.scheduled, done.at) / span;
        steady.waiting += inside(done.arrived + overhead, done.scheduled) / span;
    }
    steady.counted = run.finished.into_iter().filter(|done| (first..last).contains(&done.id.0)).collect();
    Ok(steady)
}
