//! Requests on their way: sending, routing, answers, failures.

use crate::cluster::{PodId, PodState};
use crate::record::{EventKind, SloQuantity};
use crate::replica::{Engine, EngineEvent, Finished, Quiet, Seat};
use crate::sim::SimulateError;
use crate::sim::event::Event;
use crate::sim::flights::FlightKey;
use crate::sim::world::{Flight, World};
use crate::traffic::{Request, RequestId};
use crate::units::{SimDuration, SimTime};

/// More requests on their way than any fleet holds: the traffic outruns the replicas without bound.
const MAX_FLIGHTS: usize = 5_000_000;

/// A refused connection comes back at once, but not in no time (cluster.md section 5: under 5 ms).
const SHORTEST_REFUSAL: SimDuration = SimDuration::from_millis(1);

/// How a request ended without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Nobody listens: connection refused.
    Refused,
    /// Cut by its pod's end.
    Killed,
    /// The client gave up.
    TimedOut,
    /// The API server answered 400: the prompt does not fit the model.
    Rejected,
    /// The gateway answered in the pod's place.
    Answered {
        /// HTTP status.
        status: u16,
        /// Envoy's flag for the reason.
        flag: &'static str,
    },
}

fn next_wake(engine: &Engine) -> Option<(SimTime, bool)> {
    engine.next_wake().map(|at| (at, engine.next_wake_starts_step()))
}

impl World<'_> {
    /// Makes sure that the next request of `source` is scheduled (once).
    pub(super) fn schedule_arrival(&mut self, source: usize) {
        let next = self.traffic.sources[source].next_arrival();
        if next != self.traffic.scheduled[source] {
            self.traffic.scheduled[source] = next;
            match next {
                Some(at) => self.queue.push(at, Event::Arrival(source)),
                None => self.queue.drop_arrival(source),
            }
        }
    }

    /// A source sends a request: the router picks a pod, the request enters its engine.
    pub(super) fn on_arrival(&mut self, source: usize) -> Result<(), SimulateError> {
        self.traffic.scheduled[source] = None;
        let request = self.traffic.sources[source].pop();
        self.schedule_arrival(source);
        if self.traffic.last_send.is_none() {
            self.note(EventKind::TrafficStarted);
        }
        self.traffic.last_send = Some(self.now);
        if let Some(sent) = &mut self.sent {
            sent[source].push(self.traffic.sources[source].recorded(&request, self.now));
        }
        self.recorded.sent_since_row += 1;
        self.recorded.sent_in_all += 1;
        if self.measured(self.now) {
            self.recorded.requests.total += 1;
            self.recorded.tokens.first_sent.get_or_insert(self.now);
        }
        self.dispatch(request, source);
        if self.traffic.flights.len() > MAX_FLIGHTS {
            return Err(SimulateError::Limit(format!(
                "{MAX_FLIGHTS} requests are on their way at {}: the traffic outruns the replicas without bound; lower its \
                 rate, raise maxReplicaCount, or give the clients a shorter timeout (spec.client.timeout)",
                self.now
            )));
        }
        Ok(())
    }

    fn dispatch(&mut self, request: Request, source: usize) {
        let (key, sent, first_token_came) = (self.traffic.flights.next_key(), self.now, false);
        let mut flight = Flight { key, request, source, sent, pod: None, seat: None, first_token_came, ttft_misses: 0 };
        if self.gateway.is_some() {
            return self.enter_gateway(flight);
        }
        let Some(pod) = self.route(request.id) else {
            return self.fail(flight, Failure::Refused);
        };
        match self.submit(&flight, pod) {
            Ok(seat) => (flight.pod, flight.seat) = (Some(pod), Some(seat)),
            Err(failure) => return self.fail(flight, failure),
        }
        self.register(flight);
        self.schedule_wake(pod);
    }

    /// The engine of `pod` takes the request, or why it does not.
    pub(super) fn submit(&mut self, flight: &Flight, pod: PodId) -> Result<Seat, Failure> {
        let Flight { key, request, source, .. } = *flight;
        let arrives = self.now + self.run.router_latency;
        let accepting = self.deployment.pod(pod).is_some_and(|pod| pod.accepting);
        let attributes = self.traffic.sources[source].attributes(request.id);
        let host = self.host_mut(pod);
        let Some(engine) = host.engine.as_mut().filter(|_| accepting) else {
            return Err(Failure::Refused);
        };
        if !engine.accepts_with(&request, &attributes) {
            engine.refuse(arrives);
            return Err(Failure::Rejected);
        }
        let seat = engine.submit_with(arrives, Request { id: key.0, ..request }, attributes);
        self.router.entered(pod);
        let now = self.now;
        if let Some(books) = &mut self.little {
            books.entered(request.id, now);
        }
        Ok(seat)
    }

    /// The request is on its way; its client's patience runs.
    pub(super) fn register(&mut self, flight: Flight) {
        self.traffic.flights.insert(flight);
        if !std::mem::replace(&mut self.traffic.timeout_scheduled, true) {
            self.queue.push(self.gives_up(&flight), Event::ClientTimeout);
        }
    }

    fn gives_up(&self, flight: &Flight) -> SimTime {
        flight.sent + self.run.client_timeout
    }

    /// The pod that the router sends `request` to. When it knows none that is ready, kube-proxy falls back to pods that are
    /// being deleted but still serve (`topology.go`, `CategorizeEndpoints`).
    fn route(&mut self, request: RequestId) -> Option<PodId> {
        if !self.router.view().is_empty() {
            return self.router.pick_known(request);
        }
        let terminating = |pod: &&crate::cluster::Pod| {
            pod.state == PodState::Terminating && pod.times.ready.is_some() && pod.accepting
        };
        let pods: Vec<PodId> = self.deployment.pods.iter().filter(terminating).map(|pod| pod.id).collect();
        self.router.pick(request, &pods)
    }

    /// Schedules the engine's next wake if it has moved.
    pub(super) fn schedule_wake(&mut self, pod: PodId) {
        let next = self.host_mut(pod).engine.as_ref().and_then(next_wake);
        self.schedule_wake_at(pod, next);
    }

    fn schedule_wake_at(&mut self, pod: PodId, next: Option<(SimTime, bool)>) {
        let host = self.host_mut(pod);
        if next != host.wake {
            host.wake = next;
            match next {
                Some((at, true)) => self.queue.push(at, Event::EngineStepStart(pod)),
                Some((at, false)) => self.queue.push(at, Event::EngineStepEnd(pod)),
                None => self.queue.drop_wake(pod),
            }
        }
    }

    /// A step ends and answers go out, or a step starts.
    pub(super) fn on_engine_wake(&mut self, pod: PodId, events: &mut Vec<EngineEvent>) -> Result<(), SimulateError> {
        loop {
            self.wake_engine(pod, events)?;
            // The boundary's second half follows at once when nothing else is due at this instant.
            let next = self.host(pod).and_then(|host| host.engine.as_ref()).and_then(next_wake);
            if next != Some((self.now, true)) || !self.queue.is_clear_until(self.now) {
                self.schedule_wake_at(pod, next);
                break;
            }
        }
        self.finish_drain_if_empty(pod);
        Ok(())
    }

    fn wake_engine(&mut self, pod: PodId, events: &mut Vec<EngineEvent>) -> Result<(), SimulateError> {
        let (now, check) = (self.now, self.check);
        // An answer makes a client send or a gateway send on, or else nothing happens at its instant.
        let but_for_answers = self.traffic.is_closed || self.gateway.is_some();
        let quiet = Quiet { until: self.queue.next_at(), but_for_answers };
        let Some(host) = self.hosts.get_mut(pod.0 as usize).and_then(Option::as_mut) else { return Ok(()) };
        host.wake = None;
        let Some(engine) = host.engine.as_mut() else { return Ok(()) };
        events.clear();
        let reached = engine.wake_and_go_on(now, quiet, events);
        if check {
            engine.check().map_err(|message| self.broken("INV-2", message))?;
        }
        // Nothing else happened on the way there.
        if reached > now {
            self.count_requests_until(reached);
            self.now = reached;
        }
        for event in events.iter() {
            self.on_engine_event(event);
        }
        Ok(())
    }

    /// Takes what an engine has done since its last wake, before it is killed or the run ends.
    pub(super) fn catch_up(&mut self, engine: &mut Engine) {
        let mut events = Vec::new();
        engine.catch_up(self.now, &mut events);
        for event in &events {
            self.on_engine_event(event);
        }
    }

    fn on_engine_event(&mut self, event: &EngineEvent) {
        match *event {
            EngineEvent::FirstToken { id, at } => {
                let Some(flight) = self.traffic.flights.get_mut(FlightKey(id)) else { return };
                flight.first_token_came = true;
                let (ttft, sent) = (at.since(flight.sent), flight.sent);
                if !self.recorded.slo.is_empty() {
                    flight.ttft_misses = self.recorded.slo.misses(SloQuantity::Ttft, Some(ttft));
                }
                let prompt = u64::from(flight.request.prompt_tokens);
                self.recorded.ttfts_since_row.push(ttft);
                if self.measured(sent) {
                    self.recorded.latencies.ttft.record(ttft);
                }
                if self.measured(at) {
                    self.recorded.tokens.prompt += prompt;
                    self.recorded.tokens.generated += 1;
                }
            }
            EngineEvent::TokenGaps { at, gap, count } => {
                if self.measured(at) {
                    self.recorded.tokens.generated += count;
                    self.recorded.latencies.itl.record_many(gap, count);
                }
            }
            EngineEvent::TokenGapRun { start, first, growth, steps, count } => {
                if self.measured(start) {
                    self.recorded.tokens.generated += count * steps;
                    self.recorded.latencies.itl.record_series(first, growth, steps, count);
                } else {
                    // The warm-up may end within the run.
                    for single in event.expanded() {
                        self.on_engine_event(&single);
                    }
                }
            }
            EngineEvent::Finished(finished) => self.complete(&finished),
        }
    }

    fn complete(&mut self, finished: &Finished) {
        let Some(flight) = self.traffic.flights.remove(FlightKey(finished.id)) else { return };
        self.ended(&flight);
        if let Some(books) = &mut self.little {
            books.completed(&flight, finished, self.run.router_latency);
        }
        self.leave_gateway(&flight, None);
        if self.measured(flight.sent) {
            let recorded = &mut self.recorded;
            recorded.requests.completed += 1;
            recorded.tokens.prompt_completed += u64::from(finished.prompt_tokens);
            recorded.tokens.generated_completed += u64::from(finished.generated_tokens);
            recorded.tokens.last_completed = Some(finished.at);
            recorded.latencies.e2e.record(finished.at.since(flight.sent));
            recorded.latencies.queue.record(finished.scheduled.since(flight.sent));
            let gaps = u64::from(finished.generated_tokens.saturating_sub(1));
            let decode = finished.at.since(finished.first_token);
            if let Some(per_token) = decode.as_ps().checked_div(gaps) {
                recorded.latencies.tpot.record(SimDuration::from_ps(per_token));
            }
            self.judge_completed(&flight, finished);
        }
        self.answer(&flight, self.now);
    }

    /// A request ends without an answer.
    pub(super) fn fail(&mut self, flight: Flight, failure: Failure) {
        let on_its_way = self.traffic.flights.remove(flight.key).is_some();
        if on_its_way {
            self.ended(&flight);
        } else {
            self.recorded.ended_in_all += 1;
            self.traffic.last_end = Some(self.now);
        }
        let now = self.now;
        if let Some(books) = &mut self.little {
            books.failed(&flight, now);
        }
        self.leave_gateway(&flight, Some(failure));
        if self.measured(flight.sent) {
            self.judge_failed(&flight, failure);
            let lost = !matches!(failure, Failure::Refused | Failure::Rejected);
            self.recorded.lost_after_first_token += u64::from(lost && flight.first_token_came);
            let totals = &mut self.recorded.requests;
            match failure {
                Failure::Refused => {
                    totals.failed += 1;
                    totals.refused += 1;
                }
                Failure::Killed => {
                    totals.failed += 1;
                    totals.killed += 1;
                }
                Failure::TimedOut => totals.timed_out += 1,
                Failure::Rejected => totals.rejected += 1,
                // A gateway's 429 is no mistake of the client's.
                Failure::Answered { status, .. } => {
                    totals.failed += 1;
                    *(if status == 503 { &mut totals.unavailable } else { &mut totals.error }) += 1;
                }
            }
        }
        // A refusal has to travel, too: a worker without think time must not send again at the same instant for ever.
        let refusal = self.run.router_latency.times(2).max(SHORTEST_REFUSAL);
        let at_once = matches!(failure, Failure::Refused | Failure::Rejected | Failure::Answered { .. });
        self.answer(&flight, if at_once { self.now + refusal } else { self.now });
    }

    fn ended(&mut self, flight: &Flight) {
        self.recorded.ended_in_all += 1;
        self.traffic.last_end = Some(self.now);
        if let Some(pod) = flight.pod {
            self.router.left(pod);
        }
    }

    /// The client knows at `at` how its request ended (a closed-loop worker goes on).
    fn answer(&mut self, flight: &Flight, at: SimTime) {
        if flight.request.worker.is_some() {
            self.traffic.sources[flight.source].response(&flight.request, at);
            self.schedule_arrival(flight.source);
        }
    }

    /// The oldest request's client gives up, if its time has come: a request that was older may have ended.
    pub(super) fn on_client_timeout(&mut self) {
        self.traffic.timeout_scheduled = false;
        while let Some(oldest) = self.traffic.flights.oldest() {
            let (at, key) = (self.gives_up(oldest), oldest.key);
            if at > self.now {
                self.traffic.timeout_scheduled = true;
                return self.queue.push(at, Event::ClientTimeout);
            }
            self.give_up(key, Failure::TimedOut);
        }
    }

    /// Nobody waits for the request any more: its engine drops it.
    pub(super) fn give_up(&mut self, key: FlightKey, failure: Failure) {
        let Some(flight) = self.traffic.flights.get(key).copied() else { return };
        let Some(pod) = flight.pod else { return self.fail(flight, failure) };
        let now = self.now;
        if let (Some(engine), Some(seat)) = (self.host_mut(pod).engine.as_mut(), flight.seat) {
            engine.abort(now, seat, key.0);
        }
        self.fail(flight, failure);
        self.schedule_wake(pod);
        self.finish_drain_if_empty(pod);
    }
}
