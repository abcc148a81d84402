//! One run from resolved settings to a record: the loop.

use crate::cluster::StartupPlan;
use crate::hpa::tolerance_band;
use crate::prometheus::{QueryId, SelectorMatch, StoredRow};
use crate::record::{EventKind, Latencies, LoadInfo, LoadStep, OpenRequest, RunInfo, RunRecord, SelectorRecord};
use crate::replica::EngineEvent;
use crate::scenario::ResolvedRun;
use crate::sim::event::Event;
use crate::sim::expected::ExpectedCounters;
use crate::sim::fluid::{Fluid, MeanResponse};
use crate::sim::loop_info::{load_info, loop_info_under};
use crate::sim::recording::Recorder;
use crate::sim::shown::trigger_infos;
use crate::sim::world::{Recorded, World};
use crate::traffic::{RequestId, TraceRow, TrafficSource};
use crate::units::{SimDuration, SimTime};
use thiserror::Error;

/// A run that could not be completed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SimulateError {
    /// An invariant does not hold: a defect of the simulator.
    #[error("invariant {id} broken at {at}: {message}")]
    Invariant {
        /// `INV-1`...
        id: &'static str,
        /// Virtual time.
        at: String,
        /// What is broken.
        message: String,
    },
    /// A query of the policy does not parse.
    #[error("{0}")]
    Query(String),
    /// A limit was reached.
    #[error("{0}")]
    Limit(String),
}

/// Runs `run` to its end. With `check`, the invariants are checked after every event, else at every row of the timeline.
///
/// # Errors
/// [`SimulateError`].
pub fn simulate(run: &ResolvedRun, check: bool) -> Result<RunRecord, SimulateError> {
    run_to_end(World::new(run, check, false)?, None)
}

/// As [`simulate`], in the diagnostic world in which the token counters grow at the load's expected rate: the same loop without
/// chance in its metric (see `sim::expected`). A world for confirming causes; no deployment has it.
///
/// # Errors
/// [`SimulateError`], and a limit when the traffic follows no law whose mean is known.
pub fn simulate_expected(run: &ResolvedRun, check: bool) -> Result<RunRecord, SimulateError> {
    let mut world = World::new(run, check, false)?;
    world.expected = ExpectedCounters::of(run, &world.monitoring.exposition);
    if world.expected.is_none() {
        let message = "the traffic follows no law whose mean is known, so its counters have no expectation";
        return Err(SimulateError::Limit(message.to_owned()));
    }
    run_to_end(world, None)
}

/// The loop of `run` without any request: the token counters grow at the `loads`, each from its own time on, and the triggers
/// that have a mean response (by their position) show that (see `sim::fluid`). `run`'s own traffic is not sent; it needs a
/// duration.
///
/// # Errors
/// [`SimulateError`].
///
/// # Panics
/// When the run has a traffic or no duration: it would never end.
pub fn simulate_fluid(
    run: &ResolvedRun,
    loads: Vec<LoadStep>,
    responses: Vec<Option<MeanResponse>>,
) -> Result<RunRecord, SimulateError> {
    assert!(run.traffic.is_empty() && run.duration.is_some(), "a loop without requests ends by the clock");
    let mut world = World::new(run, false, false)?;
    world.expected = Some(ExpectedCounters::of_law(loads, &world.monitoring.exposition));
    world.fluid = Some(Fluid::new(responses));
    run_to_end(world, None)
}

/// As [`simulate`], and hands over all that Prometheus stores, series that nobody asks for and results of rules included, in
/// the order in which queries can see it.
///
/// # Errors
/// [`SimulateError`].
pub fn simulate_recording(
    run: &ResolvedRun,
    check: bool,
    samples: &mut dyn FnMut(StoredRow),
) -> Result<RunRecord, SimulateError> {
    run_to_end(World::new(run, check, true)?, Some(Recorder::new(samples)))
}

/// As [`simulate`], and what each source of traffic sent, in time order: kept in memory, a row per request.
///
/// # Errors
/// [`SimulateError`].
pub fn simulate_with_arrivals(
    run: &ResolvedRun,
    check: bool,
) -> Result<(RunRecord, Vec<Vec<TraceRow>>), SimulateError> {
    let mut world = World::new(run, check, false)?;
    world.sent = Some(vec![Vec::new(); run.traffic.len()]);
    let mut world = ended(world, None)?;
    let sent = world.sent.take().unwrap_or_default();
    Ok((finish(world), sent))
}

fn run_to_end(world: World<'_>, recorder: Option<Recorder<'_>>) -> Result<RunRecord, SimulateError> {
    ended(world, recorder).map(finish)
}

/// The world after its last event.
fn ended<'w>(mut world: World<'w>, mut recorder: Option<Recorder<'_>>) -> Result<World<'w>, SimulateError> {
    let mut engine_events = Vec::new();
    while let Some((at, event)) = world.queue.pop() {
        world.reach(at, event)?;
        if event == Event::End {
            break;
        }
        world.handle(event, &mut engine_events)?;
        world.follow_writes();
        if world.check {
            world.check_invariants()?;
        }
        if let Some(recorder) = &mut recorder {
            recorder.pass(&mut world.monitoring.server, at);
        }
    }
    if let Some(recorder) = recorder {
        recorder.finish(&mut world.monitoring.server);
    }
    world.check_invariants()?;
    world.littles_law_holds()?;
    Ok(world)
}

impl World<'_> {
    /// The clock goes on to `event`.
    #[inline(always)]
    pub(super) fn reach(&mut self, at: SimTime, event: Event) -> Result<(), SimulateError> {
        if at < self.now {
            return Err(self.broken("INV-3", format!("{event:?} is due at {at}")));
        }
        self.count_requests_until(at);
        self.now = at;
        Ok(())
    }

    /// Does what is due now. Part of both loops, which a call for each event would slow down.
    #[inline(always)]
    pub(super) fn handle(&mut self, event: Event, engine_events: &mut Vec<EngineEvent>) -> Result<(), SimulateError> {
        match event {
            Event::EngineStepEnd(pod) | Event::EngineStepStart(pod) => self.on_engine_wake(pod, engine_events)?,
            Event::PodStep(pod, step) => self.on_pod_step(pod, step),
            Event::ReconcileDeployment => self.on_reconcile_deployment(),
            Event::UpdateStatus => self.deployment.update_status(),
            Event::ClientTimeout => self.on_client_timeout(),
            Event::Arrival(source) => self.on_arrival(source)?,
            Event::FaultStarts(fault) => self.on_fault_starts(fault),
            Event::FaultEnds(fault) => self.on_fault_ends(fault),
            Event::PrometheusBack => self.on_prometheus_back(),
            Event::KedaBack => self.on_keda_back(),
            Event::TargetFound(pod) => self.on_target_found(pod),
            Event::TargetLost(pod) => self.on_target_lost(pod),
            Event::Scrape(pod, pool) => self.on_scrape(pod, pool),
            Event::ScrapeSignals => self.on_scrape_signals(),
            Event::GatewayTimeout(limit) => self.on_gateway_timeout(limit),
            Event::GatewayRelease => self.on_gateway_release(),
            Event::GatewayPoll => self.on_gateway_poll(),
            Event::ScrapeGateway => self.on_scrape_gateway(),
            Event::ScrapeUsage => self.on_scrape_usage(),
            Event::EvaluateRules(group) => self.on_evaluate_rules(group),
            Event::Push(_, trigger) => self.on_push(trigger),
            Event::KedaPoll(_) => self.on_keda_poll(),
            Event::PollAnswer(_) => self.continue_poll(),
            Event::HpaSync(_) => self.on_hpa_sync(),
            Event::SyncAnswer(_) => self.continue_sync(),
            Event::ScheduledScale(position) => self.on_scheduled_scale(position),
            Event::Sample => self.on_sample()?,
            Event::End => {}
        }
        Ok(())
    }
}

fn finish(mut world: World<'_>) -> RunRecord {
    let books = close_books(&mut world);
    record_of(&mut world, books)
}

/// What is the same in the records of all policies on a world.
#[derive(Clone)]
pub(super) struct ClosedBooks {
    recorded: Recorded,
    latencies: Latencies,
    load: LoadInfo,
    startup_p50: SimDuration,
}

/// Files what is still open.
pub(super) fn close_books(world: &mut World<'_>) -> ClosedBooks {
    let end = world.now;
    let living: Vec<_> = world.deployment.pods.iter().map(|pod| pod.id).collect();
    for id in living {
        world.archive_pod(id, end);
        if let Some(mut engine) = world.host_mut(id).engine.take() {
            world.catch_up(&mut engine);
            world.archive_engine(&engine);
        }
    }
    world.recorded.pods.sort_by(|left, right| (left.created, &left.name).cmp(&(right.created, &right.name)));
    if world.recorded.kv_samples > 0 {
        world.recorded.kv.mean_usage = world.recorded.kv_sum / world.recorded.kv_samples as f64;
    }
    world.judge_open();
    let mut recorded = std::mem::take(&mut world.recorded);
    ClosedBooks {
        latencies: std::mem::take(&mut recorded.latencies).finish(),
        recorded,
        load: load_info(&world.run.traffic),
        startup_p50: StartupPlan::median_duration(&world.run.cluster),
    }
}

/// The record of the policy whose controllers are in place.
pub(super) fn record_of(world: &mut World<'_>, books: ClosedBooks) -> RunRecord {
    let ClosedBooks { mut recorded, latencies, load, startup_p50 } = books;
    let mut decided = std::mem::take(&mut world.control.decided);
    decided.fill_cells(&mut recorded.timeline.rows);
    let mut events = decided.take_events(recorded.events);
    let exhausted = world.traffic.sources.iter().all(TrafficSource::exhausted) && world.traffic.flights.is_empty();
    if let Some(at) = world.traffic.last_send.filter(|_| exhausted) {
        events.push(crate::record::Event { t: at, kind: EventKind::TrafficStopped });
        events.sort_by_key(|event| event.t);
    }
    let open_requests = open_requests(world);
    recorded.requests.in_flight = open_requests.len() as u64;
    let unsettled = world.run.duration.is_none() && !world.run.fixed_replicas && world.never_settles();
    RunRecord {
        info: RunInfo { unsettled, ..info(world.run, world.now, startup_p50) },
        loop_info: loop_info_under(world.run, load),
        decisions: decided.decisions,
        events,
        timeline: recorded.timeline,
        pods: recorded.pods,
        requests: recorded.requests,
        open_requests,
        lost_after_first_token: recorded.lost_after_first_token,
        latencies,
        tokens: recorded.tokens,
        kv: recorded.kv,
        slo: recorded.slo,
        fleet: recorded.fleet,
        selectors: selectors(world),
    }
}

/// Requests sent after the warm-up that have not ended, in order of sending (a map has none of its own).
fn open_requests(world: &World<'_>) -> Vec<OpenRequest> {
    let measured = world.traffic.flights.values().filter(|flight| world.measured(flight.sent));
    let mut open: Vec<(SimTime, RequestId, bool)> =
        measured.map(|flight| (flight.sent, flight.request.id, flight.first_token_came)).collect();
    open.sort_unstable();
    let end = world.now;
    open.into_iter().map(|(sent, _, came)| OpenRequest { age: end.since(sent), first_token_came: came }).collect()
}

/// Whether each selector found anything; nothing to say when no query was ever asked.
fn selectors(world: &World<'_>) -> Vec<SelectorRecord> {
    if world.run.fixed_replicas {
        return Vec::new();
    }
    let mut records = Vec::new();
    let triggers = world.scaled_object().map_or(&[][..], |own| &own.triggers);
    for (trigger, query) in triggers.iter().zip(&world.monitoring.queries) {
        let (Some(own), Some(Ok(query))) = (trigger.prometheus(), query) else { continue };
        let (name, place) = (&trigger.metric_name, own.query_span.to_string());
        records.extend(selectors_of(world, *query, name, &place));
    }
    for (own, group) in world.run.monitoring.rules.iter().zip(&world.monitoring.rules) {
        let queries = world.monitoring.server.rule_queries(group.id);
        for ((rule, place), query) in own.group.rules.iter().zip(&own.places).zip(queries) {
            records.extend(selectors_of(world, query, &rule.record, &place.to_string()));
        }
    }
    records
}

fn selectors_of(world: &World<'_>, query: QueryId, name: &str, place: &str) -> Vec<SelectorRecord> {
    let found = world.monitoring.server.selector_matches(query).into_iter();
    let record = |found: SelectorMatch| SelectorRecord {
        trigger: name.to_owned(),
        selector: found.selector,
        matched: found.matched,
        nearest: found.nearest,
        place: place.to_owned(),
    };
    found.map(record).collect()
}

fn info(run: &ResolvedRun, end: SimTime, startup_p50: SimDuration) -> RunInfo {
    let (min_replicas, max_replicas) = run.replica_bounds();
    RunInfo {
        policy: run.policy.clone(),
        scenario: run.scenario.clone(),
        traffic: run.traffic_name.clone(),
        profile: run.profile.clone(),
        seed: run.seed.0,
        end,
        warmup: run.warmup,
        initial_replicas: run.initial_replicas,
        gpus_per_replica: run.gpus_per_replica,
        min_replicas,
        max_replicas,
        startup_p50,
        triggers: trigger_infos(run),
        fixed_replicas: run.fixed_replicas,
        paused: run.keda.as_ref().is_some_and(|keda| keda.scaled_object.annotations.paused),
        unsettled: false,
        initial_assumed: run.assumptions.iter().any(|assumed| assumed.path == "spec.initialReplicas"),
        tolerance_band: tolerance_band(&run.kubernetes.flags, &run.kubernetes.hpa),
    }
}
