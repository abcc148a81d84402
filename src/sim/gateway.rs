//! A gateway in front of the router: it takes every request, sends it to a pod, holds it or answers it itself, and is
//! scraped as a target of its own.
//!
//! It routes by the endpoints that it knows to be ready (the router's view); kube-proxy's way out, pods that are being
//! deleted, is not open to it. Behaviour per kind: cluster.md 4.2 to 4.6.

use crate::cluster::{Gateway, GatewayEnd, GatewayKind, GatewaySettings, PodId};
use crate::prometheus::{PrometheusServer, TargetId, TargetRules, next_scrape, scrape_phase};
use crate::scenario::ResolvedRun;
use crate::series::Labels;
use crate::sim::SimulateError;
use crate::sim::event::Event;
use crate::sim::flights::FlightKey;
use crate::sim::requests::Failure;
use crate::sim::world::{Flight, World};
use crate::traffic::RequestId;
use crate::units::{SimDuration, SimTime};
use std::collections::VecDeque;
use std::sync::Arc;

/// How often the endpoint picker polls each pod (`refresh-metrics-interval`).
const POLL_INTERVAL: SimDuration = SimDuration::from_millis(50);

/// A gateway and what it waits for.
pub(super) struct GatewayState {
    pub(super) gateway: Gateway,
    /// Its scrape target, when somebody scrapes it.
    target: Option<TargetId>,
    /// When it is scraped next; an event for another instant is of a loop that has ended.
    due: Option<SimTime>,
    /// A look at the held requests is scheduled at this instant.
    release_due: bool,
    /// When the endpoint picker polls the pods next; it does not while nothing is on its way.
    poll_due: Option<SimTime>,
    held: Deadlines,
    header: Deadlines,
    whole: Deadlines,
}

/// One limit for all requests, so that in order of their start is in order of time.
struct Deadlines {
    limit: Option<SimDuration>,
    due: VecDeque<(SimTime, FlightKey)>,
}

/// What a request may take too long for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GatewayLimit {
    /// A pod that takes it.
    Held,
    /// Its first token.
    Header,
    /// All of its response.
    Whole,
}

/// Where the next request may go.
enum Room {
    Nowhere,
    AnyKnown,
    Among(Vec<PodId>),
}

impl GatewayState {
    /// The gateway of `run`, if it has one.
    pub(super) fn of(run: &ResolvedRun) -> Option<Self> {
        let settings = run.gateway.clone()?;
        let deadlines = |limit| Deadlines { limit, due: VecDeque::new() };
        Some(GatewayState {
            target: None,
            due: None,
            release_due: false,
            poll_due: None,
            held: deadlines(settings.buffer_timeout),
            header: deadlines(settings.response_header_timeout),
            whole: deadlines(settings.request_timeout),
            gateway: Gateway::new(settings),
        })
    }

    fn settings(&self) -> &GatewaySettings {
        self.gateway.settings()
    }

    fn deadlines(&mut self, limit: GatewayLimit) -> &mut Deadlines {
        match limit {
            GatewayLimit::Held => &mut self.held,
            GatewayLimit::Header => &mut self.header,
            GatewayLimit::Whole => &mut self.whole,
        }
    }
}

impl World<'_> {
    fn gateway_mut(&mut self) -> &mut GatewayState {
        self.gateway.as_mut().expect("only a run with a gateway comes here")
    }

    /// A request reaches the gateway, behind those that it holds.
    pub(super) fn enter_gateway(&mut self, flight: Flight) {
        let key = flight.key;
        self.gateway_mut().gateway.arrived();
        self.register(flight);
        self.start_limit(GatewayLimit::Whole, key);
        self.start_polling();
        let kind = self.gateway_mut().settings().kind;
        let room = self.gateway_room();
        if self.gateway_mut().gateway.held().is_empty() && !matches!(room, Room::Nowhere) {
            return self.forward(key, &room);
        }
        if !kind.holds() {
            self.gateway_mut().gateway.found_nobody();
            return self.answer_instead(key, 503, "UH");
        }
        if self.gateway_mut().gateway.hold(key.0) {
            self.start_limit(GatewayLimit::Held, key);
        } else {
            self.answer_instead(key, kind.status_when_full(), "-");
        }
    }

    /// Where the gateway may send the next request.
    fn gateway_room(&self) -> Room {
        let Some(state) = &self.gateway else { return Room::Nowhere };
        let (view, settings) = (self.router.view(), state.settings());
        if view.is_empty() {
            return Room::Nowhere;
        }
        if settings.kind == GatewayKind::EppFlowControl {
            let full = state.gateway.saturation(self.now, view) >= 1.0;
            return if full { Room::Nowhere } else { Room::AnyKnown };
        }
        let Some(most) = settings.max_in_flight_per_pod else { return Room::AnyKnown };
        let is_free = |id: &PodId| (self.router.in_flight(*id) as u64) < u64::from(most);
        let free: Vec<PodId> = view.iter().copied().filter(is_free).collect();
        if free.is_empty() { Room::Nowhere } else { Room::Among(free) }
    }

    /// Sends a request to a pod. When that refuses the connection, the gateway tries others as often as it may, those not
    /// tried yet first.
    fn forward(&mut self, key: FlightKey, room: &Room) {
        let Some(flight) = self.traffic.flights.get(key).copied() else { return };
        let settings = self.gateway_mut().settings();
        let (retries, refused) = (settings.retries, settings.kind.status_when_refused());
        let mut tried: Vec<PodId> = Vec::new();
        for _ in 0..=retries {
            let Some(pod) = self.pick_for(flight.request.id, room, &tried) else { break };
            match self.submit(&flight, pod) {
                Ok(seat) => {
                    let flight = self.traffic.flights.get_mut(key).expect("a request on its way is known");
                    (flight.pod, flight.seat) = (Some(pod), Some(seat));
                    self.start_limit(GatewayLimit::Header, key);
                    return self.schedule_wake(pod);
                }
                Err(Failure::Refused) => tried.push(pod),
                Err(failure) => return self.fail_flight(key, failure),
            }
        }
        self.answer_instead(key, refused, "UF");
    }

    fn pick_for(&mut self, id: RequestId, room: &Room, tried: &[PodId]) -> Option<PodId> {
        let candidates = match room {
            Room::Nowhere => return None,
            Room::AnyKnown if tried.is_empty() => return self.router.pick_known(id),
            Room::AnyKnown => self.router.view().to_vec(),
            Room::Among(free) => free.clone(),
        };
        let fresh: Vec<PodId> = candidates.iter().copied().filter(|pod| !tried.contains(pod)).collect();
        self.router.pick(id, if fresh.is_empty() { &candidates } else { &fresh })
    }

    /// The gateway gives the answer.
    fn answer_instead(&mut self, key: FlightKey, status: u16, flag: &'static str) {
        self.fail_flight(key, Failure::Answered { status, flag });
    }

    fn fail_flight(&mut self, key: FlightKey, failure: Failure) {
        if let Some(flight) = self.traffic.flights.get(key).copied() {
            self.fail(flight, failure);
        }
    }

    /// A request has ended, if there is a gateway for it to leave; `None`: it completed.
    pub(super) fn leave_gateway(&mut self, flight: &Flight, failure: Option<Failure>) {
        let Some(state) = self.gateway.as_mut() else { return };
        let began = flight.first_token_came;
        let end = match failure {
            None => GatewayEnd::Completed,
            Some(Failure::Rejected) => GatewayEnd::Rejected,
            Some(Failure::Answered { status, flag }) => GatewayEnd::Answered { status, flag, began },
            Some(Failure::Refused | Failure::Killed) => GatewayEnd::Cut { began },
            Some(Failure::TimedOut) => GatewayEnd::Left { held: flight.pod.is_none(), began },
        };
        state.gateway.ended(flight.key.0, end);
        self.look_at_held();
    }

    /// Held requests may go on: a pod became routable, or one has room again. They are looked at at this instant, when what
    /// set that off is done.
    pub(super) fn look_at_held(&mut self) {
        let Some(state) = self.gateway.as_mut() else { return };
        if !state.release_due && !state.gateway.held().is_empty() {
            state.release_due = true;
            self.queue.push(self.now, Event::GatewayRelease);
        }
    }

    pub(super) fn on_gateway_release(&mut self) {
        self.gateway_mut().release_due = false;
        self.release_held();
    }

    /// Sends on held requests, the oldest first, as long as there is room.
    fn release_held(&mut self) {
        while !self.gateway_mut().gateway.held().is_empty() {
            let room = self.gateway_room();
            if matches!(room, Room::Nowhere) {
                return;
            }
            if let Some(key) = self.gateway_mut().gateway.release().map(FlightKey) {
                self.forward(key, &room);
            }
        }
    }

    fn start_limit(&mut self, limit: GatewayLimit, key: FlightKey) {
        let now = self.now;
        let own = self.gateway_mut().deadlines(limit);
        let Some(at) = own.limit.map(|limit| now.saturating_add(limit)) else { return };
        let first = own.due.is_empty();
        own.due.push_back((at, key));
        if first {
            self.queue.push(at, Event::GatewayTimeout(limit));
        }
    }

    /// The oldest request of a limit is over it, if that limit still concerns it.
    pub(super) fn on_gateway_timeout(&mut self, limit: GatewayLimit) {
        while let Some((at, key)) = self.gateway_mut().deadlines(limit).due.front().copied() {
            let concerns = self.traffic.flights.get(key).is_some_and(|flight| match limit {
                GatewayLimit::Held => flight.pod.is_none(),
                GatewayLimit::Header => !flight.first_token_came,
                GatewayLimit::Whole => true,
            });
            if at > self.now && concerns {
                return self.queue.push(at, Event::GatewayTimeout(limit));
            }
            self.gateway_mut().deadlines(limit).due.pop_front();
            if concerns {
                let held_too_long = self.gateway_mut().settings().kind.status_when_held_too_long();
                let status = if limit == GatewayLimit::Held { held_too_long } else { 504 };
                self.give_up(key, Failure::Answered { status, flag: "UT" });
            }
        }
    }

    /// The endpoint picker polls on while requests are on their way. Without any, all that it would find is zeros, so that
    /// the first request finds what the last poll before it found.
    fn start_polling(&mut self) {
        let state = self.gateway_mut();
        if state.settings().kind != GatewayKind::EppFlowControl || state.poll_due.is_some() {
            return;
        }
        self.poll_pods();
        let phase = self.run.seed.stream("gateway-poll", 0).duration_below(POLL_INTERVAL);
        let first = next_scrape(self.now, phase, POLL_INTERVAL);
        self.gateway_mut().poll_due = Some(first);
        self.queue.push(first, Event::GatewayPoll);
    }

    pub(super) fn on_gateway_poll(&mut self) {
        self.poll_pods();
        self.release_held();
        let next = (!self.traffic.flights.is_empty()).then(|| self.now + POLL_INTERVAL);
        self.gateway_mut().poll_due = next;
        if let Some(next) = next {
            self.queue.push(next, Event::GatewayPoll);
        }
    }

    fn poll_pods(&mut self) {
        let answers = self.pods_in_view();
        let (now, view) = (self.now, self.router.view());
        if let Some(state) = self.gateway.as_mut() {
            state.gateway.polled(now, view, &answers);
        }
    }

    /// (pod, waiting, KV usage) of the pods that the gateway knows and that answer.
    fn pods_in_view(&self) -> Vec<(PodId, u32, f64)> {
        let now = self.now;
        let gauges = |id: &PodId| {
            let engine = self.host(*id)?.engine.as_ref()?;
            let (_, waiting, usage) = engine.gauges(now);
            Some((*id, waiting, usage))
        };
        self.router.view().iter().filter_map(gauges).collect()
    }

    /// The gateway becomes a target of Prometheus, found before the run; nobody asks for its series while the replicas are
    /// fixed.
    pub(super) fn start_gateway(&mut self) {
        let Some(state) = self.gateway.as_mut() else { return };
        let exposition = state.gateway.exposition();
        if self.run.fixed_replicas || exposition.series.is_empty() {
            return;
        }
        let labels = Labels::from_pairs(state.settings().target_labels.iter().map(|(name, value)| (name, value)));
        let rules = TargetRules::default();
        state.target = Some(self.monitoring.server.add_target(&labels, Arc::new(exposition), &rules));
        self.resume_gateway();
    }

    /// Its scrapes begin, or go on in their old phase.
    pub(super) fn resume_gateway(&mut self) {
        let Some(state) = self.gateway.as_mut().filter(|state| state.target.is_some()) else { return };
        let interval = self.run.monitoring.own_scrape.interval;
        let phase = scrape_phase(self.monitoring.seed, "gateway", interval);
        let first = next_scrape(self.now, phase, interval);
        state.due = Some(first);
        self.queue.push(first, Event::ScrapeGateway);
    }

    /// Prometheus stops: the loop ends.
    pub(super) fn stop_scraping_gateway(&mut self) {
        if let Some(state) = self.gateway.as_mut() {
            state.due = None;
        }
    }

    pub(super) fn on_scrape_gateway(&mut self) {
        let now = self.now;
        let pods: Vec<(u32, f64)> =
            self.pods_in_view().into_iter().map(|(_, waiting, usage)| (waiting, usage)).collect();
        let Some(state) = self.gateway.as_mut().filter(|state| state.due == Some(now)) else { return };
        let Some(target) = state.target else { return };
        let scrape = &self.run.monitoring.own_scrape;
        let absent = f64::from_bits(PrometheusServer::STALE_BITS);
        let row: Vec<f64> = state.gateway.expose(&pods).into_iter().map(|value| value.unwrap_or(absent)).collect();
        let in_time = scrape.response_time < scrape.timeout;
        let (visible, next) = (now + scrape.response_time.min(scrape.timeout), now + scrape.interval);
        state.due = Some(next);
        self.queue.push(next, Event::ScrapeGateway);
        if self.prometheus_stops_before(visible).is_none() {
            self.monitoring.server.commit(target, now, visible, in_time.then_some(row.as_slice()));
        }
    }

    /// INV-7: each request on its way is in exactly one place, held or on one pod; no more are held than may be, and none
    /// while the gateway could send it on.
    pub(super) fn requests_are_in_one_place(&self) -> Result<(), SimulateError> {
        let on_pods: usize = self.router.busy().map(|(_, in_flight)| in_flight).sum();
        let held = self.gateway.as_ref().map_or(0, |state| state.gateway.held().len());
        let on_their_way = self.traffic.flights.len();
        if held + on_pods != on_their_way {
            let message = format!("{on_their_way} requests on their way, {held} held and {on_pods} on pods");
            return Err(self.broken("INV-7", message));
        }
        let Some(state) = self.gateway.as_ref().filter(|_| held > 0) else { return Ok(()) };
        let limit = state.settings().buffer_max;
        if limit.is_some_and(|limit| held as u64 > u64::from(limit)) {
            return Err(self.broken("INV-7", format!("{held} requests held, {limit:?} allowed")));
        }
        // What the endpoint picker polled goes stale with time; it looks again at its next poll.
        let polls = state.settings().kind == GatewayKind::EppFlowControl;
        if !polls && !state.release_due && !matches!(self.gateway_room(), Room::Nowhere) {
            return Err(self.broken("INV-7", format!("{held} requests held while a pod could take one")));
        }
        Ok(())
    }
}
