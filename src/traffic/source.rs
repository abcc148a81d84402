//! The running source: at most one pending arrival per open loop, one per thinking worker in a closed loop.
//!
//! Every draw belongs to an arrival's number or to a worker's request number, never to what the system under test did.

use crate::traffic::arrivals::OpenLoop;
use crate::traffic::closed_loop::ClosedLoop;
use crate::traffic::{Arrivals, OutputLength, Request, RequestAttributes, RequestId, Trace, TraceRow, TrafficSpec};
use crate::units::{Seed, SimDuration, SimTime, Stream};
use std::num::NonZero;
use std::sync::Arc;

/// Produces requests in time order. Plain cloneable data.
#[derive(Clone, Debug)]
pub struct TrafficSource {
    spec: TrafficSpec,
    number: u8,
    kind: Kind,
}

/// What is pending, by kind of arrivals.
#[derive(Clone, Debug)]
enum Kind {
    /// Drawn arrivals with drawn lengths; `sent` of them are taken.
    Open { ahead: Arc<[DrawnRequest]>, sent: usize, drawing: Drawing },
    /// Workers that wait for responses.
    Closed(ClosedLoop),
    /// Rows of a trace; `sent` of them are taken.
    Recorded { trace: Arc<Trace>, sent: usize },
}

/// A request that was drawn before it is due.
#[derive(Clone, Copy, Debug)]
struct DrawnRequest {
    at: SimTime,
    prompt_tokens: u32,
    output_tokens: u32,
}

/// What requests are drawn from, in order.
#[derive(Clone, Debug)]
struct Drawing {
    arrivals: OpenLoop,
    prompts: Stream,
    outputs: Stream,
}

impl Drawing {
    /// The next request; `None` once the sending has stopped.
    fn draw(&mut self, spec: &TrafficSpec) -> Option<DrawnRequest> {
        let at = self.arrivals.next()?;
        self.arrivals.advance();
        let prompt_tokens = spec.prompt.draw(&mut self.prompts);
        Some(DrawnRequest { at, prompt_tokens, output_tokens: spec.output.draw(&mut self.outputs) })
    }
}

impl TrafficSource {
    /// A source for `spec`; draws depend on `seed`, never on what the system under test does.
    ///
    /// # Panics
    /// When a rate, coefficient of variation or length distribution is out of its range.
    pub fn new(spec: &TrafficSpec, seed: Seed) -> Self {
        Self::with_number(spec, seed, 0)
    }
    /// A source beside others: its `number` keys its draws and stands in the top bits of its requests' ids.
    ///
    /// # Panics
    /// As [`Self::new`].
    pub fn with_number(spec: &TrafficSpec, seed: Seed, number: u8) -> Self {
        if !matches!(spec.arrivals, Arrivals::Recorded(_)) {
            for (name, lengths) in [("prompt", &spec.prompt), ("output", &spec.output)] {
                if let Err(wrong) = lengths.check() {
                    panic!("{name} tokens cannot be drawn: {wrong}");
                }
            }
        }
        let stream = |purpose: &str| seed.stream(purpose, u64::from(number));
        let kind = match &spec.arrivals {
            Arrivals::ClosedLoop { workers, think } => {
                Kind::Closed(ClosedLoop::new(*workers, *think, spec.start, spec.stop, seed, number))
            }
            Arrivals::Recorded(trace) => Kind::Recorded { trace: Arc::clone(trace), sent: 0 },
            Arrivals::Poisson { .. } | Arrivals::Gamma { .. } | Arrivals::Stages(_) => Kind::Open {
                ahead: Arc::default(),
                sent: 0,
                drawing: Drawing {
                    arrivals: OpenLoop::new(&spec.arrivals, spec.start, spec.stop, stream("arrival-gaps")),
                    prompts: stream("prompt-lengths"),
                    outputs: stream("output-lengths"),
                },
            },
        };
        TrafficSource { spec: spec.clone(), number, kind }
    }
    /// Draws the requests that are sent before `end`, but no more than `most` of them, so that copies of this source share them
    /// and do not draw them again. Nothing else changes: they are the ones that [`Self::pop`] would have drawn.
    ///
    /// # Panics
    /// When a request was taken already.
    pub fn draw_ahead(&mut self, end: SimTime, most: usize) {
        let Kind::Open { ahead, sent, drawing } = &mut self.kind else { return };
        assert!(*sent == 0 && ahead.is_empty(), "requests are drawn ahead of the first one");
        let mut drawn = Vec::new();
        while drawn.len() < most && drawing.arrivals.next().is_some_and(|at| at < end) {
            drawn.extend(drawing.draw(&self.spec));
        }
        *ahead = drawn.into();
    }
    /// When the next request is sent; `None` when nothing is pending (for good, or until a worker's response arrives).
    pub fn next_arrival(&self) -> Option<SimTime> {
        match &self.kind {
            Kind::Open { ahead, sent, drawing } => match ahead.get(*sent) {
                Some(drawn) => Some(drawn.at),
                None => drawing.arrivals.next(),
            },
            Kind::Closed(workers) => workers.next(),
            Kind::Recorded { trace, sent } => {
                let at = self.spec.start.saturating_add(trace.rows.get(*sent)?.at.since(SimTime::ZERO));
                (at < self.spec.stop).then_some(at)
            }
        }
    }
    /// Takes the request that is due at [`Self::next_arrival`].
    ///
    /// # Panics
    /// When nothing is pending.
    pub fn pop(&mut self) -> Request {
        assert!(self.next_arrival().is_some(), "no request is pending");
        match &mut self.kind {
            Kind::Open { ahead, sent, drawing } => {
                let drawn = ahead.get(*sent).copied().or_else(|| drawing.draw(&self.spec));
                let DrawnRequest { prompt_tokens, output_tokens, .. } = drawn.expect("a request is pending");
                let id = RequestId::open_loop(self.number, *sent as u64);
                *sent += 1;
                Request { id, prompt_tokens, output: OutputLength::new(output_tokens), worker: None }
            }
            Kind::Closed(workers) => workers.pop(&self.spec.prompt, &self.spec.output),
            Kind::Recorded { trace, sent } => {
                let row = trace.rows[*sent];
                let id = RequestId::open_loop(self.number, *sent as u64);
                *sent += 1;
                Request {
                    id,
                    prompt_tokens: row.prompt_tokens,
                    output: OutputLength::new(row.output_tokens),
                    worker: None,
                }
            }
        }
    }
    /// What a request of this source says of itself beyond its lengths: its `max_tokens`, the shared text of a trace's row.
    pub fn attributes(&self, id: RequestId) -> RequestAttributes {
        let Kind::Recorded { trace, .. } = &self.kind else {
            return RequestAttributes { max_tokens: self.spec.max_tokens, ..RequestAttributes::default() };
        };
        let Ok(row) = usize::try_from(id.arrival()) else { return RequestAttributes::default() };
        RequestAttributes {
            max_tokens: trace.rows.get(row).and_then(|row| row.max_tokens).map(NonZero::get),
            text: trace.texts.get(row).cloned().flatten(),
            ..RequestAttributes::default()
        }
    }
    /// The row of a trace that says of `request`, sent at `at`, what its lengths are and how far its client lets it go.
    pub(crate) fn recorded(&self, request: &Request, at: SimTime) -> TraceRow {
        let max_tokens = self.attributes(request.id).max_tokens.and_then(NonZero::new);
        TraceRow { max_tokens, ..request.recorded(at) }
    }
    /// A worker's request ended at `now` (completed or failed): the worker thinks, then sends again unless that would be at
    /// or after `stop`. Nothing happens for a request of an open loop.
    ///
    /// # Panics
    /// When the request came from another source, or its worker does not wait for it.
    pub fn response(&mut self, request: &Request, now: SimTime) {
        assert!(request.id.source() == self.number, "a response reached another source than its request left");
        if let Kind::Closed(workers) = &mut self.kind {
            workers.response(request, now);
        }
    }
    /// Whether no request will ever be sent again, given that no worker waits for a response.
    pub fn exhausted(&self) -> bool {
        self.next_arrival().is_none()
    }
    /// Mean requests per second offered at `now` as far as the spec states it (0 outside start..stop); `None` for a closed
    /// loop, whose rate depends on the responses. For a recorded trace: its rows in the minute of trace time around
    /// `now` (minutes count from `start`), per second.
    pub fn nominal_rate(&self, now: SimTime) -> Option<f64> {
        let offered = now >= self.spec.start && now < self.spec.stop;
        let since_start = now.saturating_since(self.spec.start);
        match &self.spec.arrivals {
            Arrivals::ClosedLoop { .. } => None,
            _ if !offered => Some(0.0),
            Arrivals::Poisson { rate } | Arrivals::Gamma { rate, .. } => Some(*rate),
            Arrivals::Stages(stages) => Some(stage_rate(stages, since_start)),
            Arrivals::Recorded(trace) => Some(minute_rate(trace, since_start)),
        }
    }
}

/// The rate of the stage that holds `since_start`, 0 after the last.
fn stage_rate(stages: &[(SimDuration, f64)], since_start: SimDuration) -> f64 {
    let mut left = since_start;
    for (duration, rate) in stages {
        if left < *duration {
            return *rate;
        }
        left = left.saturating_sub(*duration);
    }
    0.0
}

/// Rows per second in the whole minute that holds `since_start`.
fn minute_rate(trace: &Trace, since_start: SimDuration) -> f64 {
    let minute = SimTime::from_ps(since_start.as_ps()).as_secs_floor() / 60;
    let before = |seconds: u64| trace.rows.partition_point(|row| row.at < SimTime::from_secs(seconds));
    (before((minute + 1) * 60) - before(minute * 60)) as f64 / 60.0
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
