//! Hand-made run records for the tests of `analysis` and `report`.

use kedasim::hpa::LimitReason;
use kedasim::record::{
    Counted, DecisionRecord, Event, EventKind, FleetSums, HpaSync, KvTotals, Latencies, LoopInfo, MetricRecord,
    PodRecord, QueryInfo, RequestTotals, RunInfo, RunRecord, ScaleSource, SloTally, Timeline, TokenTotals, TriggerInfo,
};
use kedasim::units::{SimDuration, SimTime};

/// A record in the making: one trigger, one GPU per replica, 1..10 replicas, a start-up of one minute.
pub struct Builder(pub RunRecord);

/// Seconds as an instant.
pub fn at(seconds: u64) -> SimTime {
    SimTime::from_secs(seconds)
}

impl Builder {
    /// A run of `seconds` that starts with `initial` replicas, without requests, pods or events.
    pub fn new(initial: i32, seconds: u64) -> Self {
        let trigger = TriggerInfo {
            name: "s0-prometheus".to_owned(),
            query: "sum(rate(vllm:generation_tokens_total[2m]))".to_owned(),
            threshold: 5.0,
            target_type: "AverageValue".to_owned(),
            kind: "prometheus".to_owned(),
            signal: None,
        };
        let info = RunInfo {
            policy: "opt-125m".to_owned(),
            scenario: "stable-2".to_owned(),
            traffic: String::new(),
            profile: String::new(),
            seed: 1,
            end: at(seconds),
            warmup: SimDuration::ZERO,
            initial_replicas: initial,
            gpus_per_replica: 1,
            min_replicas: 1,
            max_replicas: 10,
            startup_p50: SimDuration::from_secs(60),
            triggers: vec![trigger],
            fixed_replicas: false,
            paused: false,
            unsettled: false,
            initial_assumed: false,
            tolerance_band: (0.9, 1.1),
        };
        let loop_info = LoopInfo {
            sync_period: SimDuration::from_secs(15),
            scale_down_window: SimDuration::from_secs(300),
            grace_period: SimDuration::from_secs(30),
            has_behavior: true,
            scrape_interval: SimDuration::from_secs(15),
            lookback: SimDuration::from_secs(300),
            queries: vec![QueryInfo {
                range: SimDuration::from_secs(120),
                counts: Counted::GeneratedTokens,
                is_average: false,
            }],
            ..LoopInfo::default()
        };
        Builder(RunRecord {
            info,
            loop_info,
            decisions: Vec::new(),
            events: Vec::new(),
            timeline: Timeline::default(),
            pods: Vec::new(),
            requests: RequestTotals::default(),
            open_requests: Vec::new(),
            lost_after_first_token: 0,
            latencies: Latencies::default(),
            tokens: TokenTotals::default(),
            kv: KvTotals::default(),
            slo: SloTally::default(),
            fleet: FleetSums::default(),
            selectors: Vec::new(),
        })
    }

    /// A write of `spec.replicas`.
    pub fn scaled(mut self, t: u64, from: i32, to: i32, source: ScaleSource) -> Self {
        let reason = if to > from { "external metric s0-prometheus above target" } else { "All metrics below target" };
        self.0.events.push(Event { t: at(t), kind: EventKind::Scaled { from, to, source, reason: reason.to_owned() } });
        self
    }

    /// An HPA sync that saw `value` and went from `from` to `to` replicas.
    pub fn sync(mut self, t: u64, value: f64, from: i32, to: i32) -> Self {
        let proposal = (value / 5.0).ceil() as i32;
        let metric = MetricRecord {
            trigger: "s0-prometheus".into(),
            query: self.0.info.triggers[0].query.as_str().into(),
            query_time: at(t),
            value: Some(value),
            milli: Some((value * 1000.0) as i64),
            target_milli: 5000,
            target_type: "AverageValue".into(),
            proposal: Some(proposal),
            ratio: Some(value / 5.0 / f64::from(from)),
            within_tolerance: Some(from == to),
            kind: "prometheus".into(),
            active: Some(value > 0.0),
            fallback: false,
            cached: false,
            null_as_zero: false,
            error: None,
        };
        let (min, max) = (self.0.info.min_replicas, self.0.info.max_replicas);
        let limit = match proposal {
            more if more > max => Some(LimitReason::MaxReplicas(max)),
            fewer if fewer < min => Some(LimitReason::MinReplicas(min)),
            _ => None,
        };
        self.0.decisions.push(DecisionRecord::HpaSync(Box::new(HpaSync {
            t: at(t),
            spec_replicas: from,
            status_replicas: from,
            ready_replicas: from,
            metrics: vec![metric],
            metric_desired: Some(proposal),
            stabilized: Some(proposal),
            new_replicas: to,
            rescaled: from != to,
            able_to_scale: if from == to { "ReadyForNewScale" } else { "SucceededRescale" },
            scaling_active: Some("ValidMetricFound"),
            scaling_limited: Some("DesiredWithinRange"),
            reason: (from != to).then(|| "external metric s0-prometheus above target".to_owned()),
            recommendations: Vec::new().into(),
            bound_by: match limit {
                Some(LimitReason::MaxReplicas(_)) => "maxReplicas",
                Some(_) => "minReplicas",
                None => "none",
            },
            window: None,
            limit,
            status_conditions: [].into(),
        })));
        self
    }

    /// A pod: created and scheduled at `created`, Ready at `ready`, deleted and gone at `deleted`, busy for `busy` seconds.
    pub fn pod(mut self, created: u64, ready: Option<u64>, deleted: Option<(u64, u64)>, busy: u64) -> Self {
        self.0.pods.push(PodRecord {
            name: format!("pod-{}", self.0.pods.len()),
            created: at(created),
            scheduled: Some(at(created)),
            ready: ready.map(at),
            deleted: deleted.map(|(deleted, _)| at(deleted)),
            gone: deleted.map(|(_, gone)| at(gone)),
            busy_while_ready: SimDuration::from_secs(busy),
        });
        self
    }

    /// `completed` requests with a TTFT of 100 ms and an end-to-end time of one second, and `killed` that died with a pod.
    pub fn requests(mut self, completed: u64, killed: u64) -> Self {
        let requests = &mut self.0.requests;
        requests.completed += completed;
        requests.failed += killed;
        requests.killed += killed;
        requests.total += completed + killed;
        self.0.latencies.ttft.record_many(SimDuration::from_millis(100), completed);
        self.0.latencies.e2e.record_many(SimDuration::from_secs(1), completed);
        self
    }
}
