//! What the replica tests share: small configurations and a driver that orders one instant as the simulator does.

pub mod settings;

use kedasim::replica::{Engine, EngineConfig, EngineEvent, Finished, Seat, exposition};
use kedasim::traffic::{OutputLength, Request, RequestAttributes, RequestId};
use kedasim::units::SimTime;
pub use settings::config;
use std::collections::HashMap;
use std::sync::Arc;

pub fn request(id: u64, prompt_tokens: u32, output: u32) -> Request {
    Request { id: RequestId(id), prompt_tokens, output: OutputLength::new(output), worker: None }
}

pub fn ms(millis: u64) -> SimTime {
    SimTime::from_millis(millis)
}

/// An engine with its clock and everything it said.
pub struct Driver {
    pub engine: Engine,
    pub config: Arc<EngineConfig>,
    pub events: Vec<EngineEvent>,
    pub now: SimTime,
    seats: HashMap<u64, Seat>,
}

impl Driver {
    pub fn new(config: EngineConfig) -> Self {
        let config = Arc::new(config);
        Driver {
            engine: Engine::new(config.clone()),
            config,
            events: Vec::new(),
            now: SimTime::ZERO,
            seats: HashMap::new(),
        }
    }

    /// Runs all wakes before `to`, and those that end a step at `to`.
    pub fn advance(&mut self, to: SimTime) {
        while let Some(next) = self.engine.next_wake()
            && (next < to || next == to && !self.engine.next_wake_starts_step())
        {
            self.wake(next);
        }
        self.now = to;
    }

    /// Runs all wakes up to and at `to`: what a scrape at `to` sees.
    pub fn settle(&mut self, to: SimTime) {
        self.advance(to);
        while self.engine.next_wake() == Some(to) {
            self.wake(to);
        }
    }

    fn wake(&mut self, at: SimTime) {
        self.engine.wake(at, &mut self.events);
        self.engine.check().expect("invariants hold");
    }

    pub fn submit(&mut self, at: SimTime, request: Request) {
        self.advance(at);
        let seat = self.engine.submit(at, request);
        self.seats.insert(request.id.0, seat);
    }

    pub fn submit_with(&mut self, at: SimTime, request: Request, attributes: RequestAttributes) {
        self.advance(at);
        let seat = self.engine.submit_with(at, request, attributes);
        self.seats.insert(request.id.0, seat);
    }

    /// The client of this request leaves, if it ever was here.
    pub fn abort(&mut self, at: SimTime, id: u64) {
        if let Some(seat) = self.seats.get(&id) {
            self.engine.abort(at, *seat, RequestId(id));
        }
    }

    /// Runs until nothing is left to do.
    pub fn finish(&mut self) {
        while let Some(next) = self.engine.next_wake() {
            self.settle(next);
        }
    }

    pub fn finished(&self) -> Vec<Finished> {
        self.events
            .iter()
            .filter_map(|event| match event {
                EngineEvent::Finished(finished) => Some(*finished),
                _ => None,
            })
            .collect()
    }

    /// (request, milliseconds) of every first token, in order.
    pub fn first_tokens(&self) -> Vec<(u64, u64)> {
        self.events
            .iter()
            .filter_map(|event| match event {
                EngineEvent::FirstToken { id, at } => Some((id.0, at.as_millis_floor())),
                _ => None,
            })
            .collect()
    }

    /// (milliseconds of the step's end, gap in ms, count).
    pub fn gaps(&self) -> Vec<(u64, u64, u64)> {
        self.events
            .iter()
            .flat_map(|event| event.expanded())
            .filter_map(|event| match event {
                EngineEvent::TokenGaps { at, gap, count } => Some((at.as_millis_floor(), gap.as_millis_floor(), count)),
                _ => None,
            })
            .collect()
    }

    /// The value of one series at the current instant; `labels` as they print, e.g. `{le="0.1"}`.
    pub fn series(&self, name: &str, label: Option<(&str, &str)>) -> f64 {
        let mut row = Vec::new();
        self.engine.expose(self.now, &mut row);
        let layout = exposition(&self.config).series;
        assert_eq!(row.len(), layout.len(), "one value per series");
        let place = layout
            .iter()
            .position(|def| {
                def.labels.metric_name() == name && label.is_none_or(|(name, value)| def.labels.get(name) == value)
            })
            .unwrap_or_else(|| panic!("no series {name} {label:?}"));
        row[place]
    }
}
