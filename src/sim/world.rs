//! All state of one run.

use crate::cluster::{Deployment, PodId, PodUsage, Router};
use crate::keda::ScaledObjectSpec;
use crate::prometheus::{PrometheusServer, QueryId, TargetId};
use crate::record::{
    Event as RecordedEvent, EventKind, FleetSums, KvTotals, Latencies, LatencyRecorder, PodRecord, RequestTotals,
    SloMisses, SloTally, Timeline, TokenTotals,
};
use crate::replica::{Engine, Seat, exposition};
use crate::scenario::{MetricSource, ResolvedRun};
use crate::series::Exposition;
use crate::sim::SimulateError;
use crate::sim::control_state::ControlState;
use crate::sim::event::{Event, EventQueue, PolicyId};
use crate::sim::expected::ExpectedCounters;
use crate::sim::flights::{FlightKey, Flights};
use crate::sim::fluid::Fluid;
use crate::sim::gateway::GatewayState;
use crate::sim::little::LittleBooks;
use crate::sim::monitoring::{PodTarget, looked_at};
use crate::sim::objectives::slo_tally;
use crate::sim::rules::{LoadedGroup, load_rules};
use crate::traffic::{Arrivals, Request, TraceRow, TrafficSource};
use crate::units::{Seed, SimDuration, SimTime};
use std::sync::Arc;

/// What KEDA's operator needs from a new ScaledObject to its HPA: API round trips and the build of the scalers.
pub(super) const SHORTEST_RECONCILE: SimDuration = SimDuration::from_millis(100);
pub(super) const LONGEST_RECONCILE: SimDuration = SimDuration::from_secs(1);

/// The world and what has been recorded of it.
pub(super) struct World<'r> {
    pub(super) run: &'r ResolvedRun,
    pub(super) now: SimTime,
    pub(super) queue: EventQueue,
    pub(super) traffic: TrafficState,
    pub(super) deployment: Deployment,
    /// By pod number; pods that are gone leave `None`.
    pub(super) hosts: Vec<Option<Host>>,
    pub(super) router: Router,
    /// In the diagnostic world without chance: the token counters.
    pub(super) expected: Option<ExpectedCounters>,
    /// What triggers show in the loop without requests; `None` in every other world.
    pub(super) fluid: Option<Fluid>,
    /// What each source sent so far, where somebody asks for it.
    pub(super) sent: Option<Vec<Vec<TraceRow>>>,
    /// What takes the requests first, if anything does.
    pub(super) gateway: Option<GatewayState>,
    pub(super) monitoring: MonitoringState,
    pub(super) control: ControlState,
    /// Per fault: the pods that it concerns, once it has started; `None` for all.
    pub(super) chosen_pods: Vec<Option<Vec<PodId>>>,
    pub(super) recorded: Recorded,
    pub(super) check: bool,
    /// Kept with `check`.
    pub(super) little: Option<LittleBooks>,
}

/// Clients and the requests on their way.
#[derive(Clone)]
pub(super) struct TrafficState {
    pub(super) sources: Vec<TrafficSource>,
    /// Whether any of them waits for answers before it sends on.
    pub(super) is_closed: bool,
    /// Per source: the send time its pending `Arrival` event carries, so that it is scheduled once.
    pub(super) scheduled: Vec<Option<SimTime>>,
    pub(super) flights: Flights,
    /// Whether a `ClientTimeout` is pending; never later than when the oldest flight's client gives up.
    pub(super) timeout_scheduled: bool,
    pub(super) last_send: Option<SimTime>,
    pub(super) last_end: Option<SimTime>,
}

/// A request that was sent and has not ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flight {
    pub(super) key: FlightKey,
    pub(super) request: Request,
    pub(super) source: usize,
    pub(super) sent: SimTime,
    /// Where it is; `None` while the gateway has it.
    pub(super) pod: Option<PodId>,
    /// Where it sits in that pod's engine.
    pub(super) seat: Option<Seat>,
    pub(super) first_token_came: bool,
    /// The objectives that its first token, once it came, has missed.
    pub(super) ttft_misses: SloMisses,
}

/// What runs on a pod: the engine while its process lives, and Prometheus' view of it.
#[derive(Clone)]
pub(super) struct Host {
    /// From port open to process end.
    pub(super) engine: Option<Engine>,
    /// The wake that is scheduled for the engine and whether it starts a step; an event for another one is stale.
    pub(super) wake: Option<(SimTime, bool)>,
    /// One per scrape job that found it.
    pub(super) targets: Vec<PodTarget>,
    /// What metrics-server knows, when somebody asks it.
    pub(super) usage: Option<PodUsage>,
    /// The process has ended.
    pub(super) stopped: bool,
    /// Set at SIGTERM while requests may still finish: when they are cut.
    pub(super) drains_until: Option<SimTime>,
    /// Time with work, measured when the deletion began.
    pub(super) busy_at_deletion: Option<SimDuration>,
}

/// Prometheus and the queries.
#[derive(Clone)]
pub(super) struct MonitoringState {
    pub(super) server: PrometheusServer,
    /// One per trigger; `None` for one that asks no query, an error for one that Prometheus refuses.
    pub(super) queries: Vec<Option<Result<QueryId, String>>>,
    /// One per metric of the HPA; `None` for one that no adapter over Prometheus answers.
    pub(super) adapter_queries: Vec<Option<QueryId>>,
    /// Groups of recording rules.
    pub(super) rules: Vec<LoadedGroup>,
    /// The target that exposes the user's own series.
    pub(super) signals: Option<TargetId>,
    /// When it is scraped next; an event for another instant is of a loop that has ended.
    pub(super) signals_due: Option<SimTime>,
    pub(super) exposition: Arc<Exposition>,
    /// Which series of it may be stored.
    pub(super) looked_at: Vec<bool>,
    /// Reused by every scrape.
    pub(super) row: Vec<f64>,
    pub(super) seed: Seed,
}

/// What has been recorded of the world, whatever the policy.
#[derive(Clone, Default)]
pub(super) struct Recorded {
    /// But for the writes of the scale, which are the policy's.
    pub(super) events: Vec<RecordedEvent>,
    pub(super) timeline: Timeline,
    pub(super) pods: Vec<PodRecord>,
    pub(super) requests: RequestTotals,
    pub(super) latencies: Latencies<LatencyRecorder>,
    pub(super) tokens: TokenTotals,
    pub(super) kv: KvTotals,
    pub(super) lost_after_first_token: u64,
    pub(super) slo: SloTally,
    pub(super) fleet: FleetSums,
    pub(super) kv_samples: u64,
    pub(super) kv_sum: f64,
    /// Requests sent since the last row of the timeline.
    pub(super) sent_since_row: u64,
    /// TTFTs since the last row of the timeline.
    pub(super) ttfts_since_row: Vec<SimDuration>,
    /// All requests, those of the warm-up included, for the invariants.
    pub(super) sent_in_all: u64,
    pub(super) ended_in_all: u64,
}

impl<'r> World<'r> {
    /// The world at the run's start, with the first events scheduled. With `keep_samples`, all that Prometheus stores is kept.
    pub(super) fn new(run: &'r ResolvedRun, check: bool, keep_samples: bool) -> Result<Self, SimulateError> {
        let mut server = PrometheusServer::new(run.monitoring.server.clone());
        if keep_samples {
            server.keep_rows();
        }
        let mut queries = Vec::new();
        let scaled_object = run.keda.as_ref().map(|keda| &keda.scaled_object);
        for trigger in scaled_object.iter().flat_map(|own| &own.triggers) {
            let compiled = trigger.prometheus().map(|own| (own, server.compile(&own.query)));
            queries.push(match compiled {
                None => None,
                Some((_, Ok(query))) => Some(Ok(query)),
                Some((own, Err(error))) if error.own_limit => {
                    let message = format!("{}: the query cannot be run: {error}", own.query_span);
                    return Err(SimulateError::Query(message));
                }
                // As it would be deployed: Prometheus refuses it whenever it is asked.
                Some((_, Err(error))) => Some(Err(error.to_string())),
            });
        }
        let mut adapter_queries = Vec::new();
        for source in &run.kubernetes.sources {
            let compiled = match source {
                MetricSource::PodsMetric(query) => Some(server.compile(query).map_err(|error| {
                    SimulateError::Query(format!("the query {query} of an adapter cannot be used: {error}"))
                })?),
                _ => None,
            };
            adapter_queries.push(compiled);
        }
        let rules = load_rules(run, &mut server)?;
        let exposition = exposition(&run.engine);
        let looked_at = looked_at(&server, &run.monitoring.pools, &exposition);
        let sources: Vec<TrafficSource> = run
            .traffic
            .iter()
            .enumerate()
            .map(|(number, spec)| {
                let number = u8::try_from(number).expect("the scenario room allows no more than 255 sources");
                TrafficSource::with_number(spec, run.seed, number)
            })
            .collect();
        let mut world = World {
            run,
            now: SimTime::ZERO,
            queue: EventQueue::new(sources.len()),
            traffic: TrafficState {
                scheduled: vec![None; sources.len()],
                is_closed: run.traffic.iter().any(|spec| matches!(spec.arrivals, Arrivals::ClosedLoop { .. })),
                sources,
                flights: Flights::new(),
                timeout_scheduled: false,
                last_send: None,
                last_end: None,
            },
            deployment: Deployment::new(&run.target.name, &run.cluster, run.seed, run.initial_replicas),
            hosts: Vec::new(),
            router: Router::new(run.router, run.seed),
            expected: None,
            fluid: None,
            sent: None,
            gateway: GatewayState::of(run),
            monitoring: MonitoringState {
                server,
                queries,
                adapter_queries,
                rules,
                signals: None,
                signals_due: None,
                exposition: Arc::new(exposition),
                looked_at,
                row: Vec::new(),
                seed: run.seed,
            },
            control: ControlState::new(run, PolicyId::default()),
            chosen_pods: vec![None; run.faults.len()],
            recorded: Recorded { slo: slo_tally(run), ..Recorded::default() },
            check,
            little: check.then(LittleBooks::default),
        };
        world.schedule_first_events();
        Ok(world)
    }

    /// A copy of the world for another policy. Worlds that are looked at beyond their policy's record are not copied.
    pub(super) fn for_policy(&self, run: &'r ResolvedRun, control: ControlState) -> World<'r> {
        let World { expected, fluid, sent, gateway, little, .. } = self;
        let is_plain = expected.is_none() && fluid.is_none() && sent.is_none() && gateway.is_none() && little.is_none();
        assert!(is_plain, "only plain worlds are shared");
        World {
            run,
            now: self.now,
            queue: self.queue.clone(),
            traffic: self.traffic.clone(),
            deployment: self.deployment.clone(),
            hosts: self.hosts.clone(),
            router: self.router.clone(),
            expected: None,
            fluid: None,
            sent: None,
            gateway: None,
            monitoring: self.monitoring.clone(),
            control,
            chosen_pods: self.chosen_pods.clone(),
            recorded: self.recorded.clone(),
            check: self.check,
            little: None,
        }
    }

    fn schedule_first_events(&mut self) {
        self.schedule_faults();
        let serving: Vec<PodId> = self.deployment.pods.iter().map(|pod| pod.id).collect();
        for id in serving {
            self.host_existing_pod(id);
        }
        for source in 0..self.traffic.sources.len() {
            self.schedule_arrival(source);
        }
        if self.run.fixed_replicas {
            for (position, (at, _)) in self.run.schedule.iter().enumerate() {
                self.queue.push(*at, Event::ScheduledScale(position));
            }
        } else {
            self.apply_policy();
            self.start_signals();
            self.start_gateway();
            self.start_rules();
            self.schedule_usage();
        }
        self.queue.push(SimTime::ZERO, Event::Sample);
        if let Some(duration) = self.run.duration {
            self.queue.push(SimTime::ZERO + duration, Event::End);
        }
    }

    /// The policy is applied, and its controllers take it up.
    ///
    /// Nobody applies a policy in phase with the load, so the instant is drawn: within one sync period, and within one polling
    /// interval where polls move the target. KEDA's operator creates the HPA a moment later and starts its scale loop right
    /// after, with a poll at once (`scaledobject_controller.go`, `reconcileScaledObject`; `scale_handler.go`,
    /// `startScaleLoop`). The HPA controller first syncs one period after it sees the HPA (hpa.md section 3).
    pub(super) fn apply_policy(&mut self) {
        let (seed, sync_period) = (self.run.seed, self.run.kubernetes.sync_period);
        let policy = self.control.policy;
        let Some(spec) = self.scaled_object() else {
            let created = SimTime::ZERO + seed.stream("policy-applied", 0).duration_below(sync_period);
            self.queue.push(created + sync_period, Event::HpaSync(policy));
            return;
        };
        let polls_matter = spec.min_replicas == 0
            || spec.idle_replicas.is_some()
            || spec.triggers.iter().any(|own| own.use_cached_metrics);
        let span = if polls_matter { sync_period.max(spec.polling_interval) } else { sync_period };
        let created = SimTime::ZERO + seed.stream("policy-applied", 0).duration_below(span);
        let spread = LONGEST_RECONCILE.saturating_sub(SHORTEST_RECONCILE);
        let hpa_created = created + SHORTEST_RECONCILE + seed.stream("keda-reconcile", 0).duration_below(spread);
        let hpa_created = self.keda_acts_at(hpa_created);
        self.control.created = created;
        self.control.next_poll = Some(hpa_created);
        self.queue.push(hpa_created, Event::KedaPoll(policy));
        self.queue.push(hpa_created + sync_period, Event::HpaSync(policy));
    }

    /// KEDA's policy, if KEDA is there.
    pub(super) fn scaled_object(&self) -> Option<&'r ScaledObjectSpec> {
        self.run.keda.as_ref().map(|keda| &keda.scaled_object)
    }

    /// The host of `id`, made on first use.
    pub(super) fn host_mut(&mut self, id: PodId) -> &mut Host {
        let index = id.0 as usize;
        if self.hosts.len() <= index {
            self.hosts.resize_with(index + 1, || None);
        }
        self.hosts[index].get_or_insert_with(|| Host {
            engine: None,
            wake: None,
            targets: Vec::new(),
            usage: None,
            stopped: false,
            drains_until: None,
            busy_at_deletion: None,
        })
    }

    /// The host of `id`, if it has one.
    pub(super) fn host(&self, id: PodId) -> Option<&Host> {
        self.hosts.get(id.0 as usize).and_then(Option::as_ref)
    }

    /// The expected counters grow until now, before the router's view changes or somebody looks.
    pub(super) fn grow_expected(&mut self) {
        if let Some(expected) = &mut self.expected {
            expected.grow(self.router.view(), self.now);
        }
        if let Some(fluid) = &mut self.fluid {
            fluid.note(self.router.view().len(), self.now);
        }
    }

    /// Records an event that happens now.
    pub(super) fn note(&mut self, kind: EventKind) {
        self.recorded.events.push(RecordedEvent { t: self.now, kind });
    }

    /// Whether the warm-up is over at `t`.
    pub(super) fn measured(&self, t: SimTime) -> bool {
        t.as_ps() >= self.run.warmup.as_ps()
    }
}
