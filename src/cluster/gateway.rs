//! What stands in front of the router: whether it holds requests, what it answers itself, and what it counts.
//!
//! Sources: cluster.md 4.2 to 4.6. Names, types and labels of the metrics: the endpoint picker's `pkg/epp/metrics/metrics.go`
//! and `pkg/epp/backend/metrics/logger.go`; production-stack's `services/metrics_service`; KEDA HTTP add-on's
//! `interceptor/metrics/instruments.go`; Istio's standard metrics; Envoy's `ClusterManagerImpl`.

use crate::cluster::PodId;
use crate::series::{Exposition, Labels, MetricKind, SeriesDef};
use crate::traffic::RequestId;
use crate::units::{SimDuration, SimTime};
use std::collections::{BTreeMap, VecDeque};

/// Which gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GatewayKind {
    /// One that holds requests while no pod takes them, and exposes nothing.
    Generic,
    /// The Gateway API inference extension's endpoint picker with its flow control on.
    EppFlowControl,
    /// The router of vLLM's production-stack.
    ProductionStack,
    /// Istio's ingress gateway (Envoy).
    Istio,
    /// The interceptor of KEDA's HTTP add-on.
    KedaHttp,
}

impl GatewayKind {
    /// All, with the words for them.
    pub const ALL: [(&'static str, GatewayKind); 5] = [
        ("generic", GatewayKind::Generic),
        ("epp-flow-control", GatewayKind::EppFlowControl),
        ("production-stack", GatewayKind::ProductionStack),
        ("istio", GatewayKind::Istio),
        ("keda-http", GatewayKind::KedaHttp),
    ];

    /// The word for it in a Scenario.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, kind)| *kind == self).map_or("generic", |(word, _)| word)
    }

    /// Whether it holds requests while no pod takes them.
    pub fn holds(self) -> bool {
        matches!(self, GatewayKind::Generic | GatewayKind::EppFlowControl | GatewayKind::KedaHttp)
    }

    /// The status that it answers when it holds as many as it may: the add-on's `cold_start.go` says 503.
    pub fn status_when_full(self) -> u16 {
        if self == GatewayKind::KedaHttp { 503 } else { 429 }
    }

    /// The status for a request that it held for too long: the add-on's `endpoint_resolver.go` says 504.
    pub fn status_when_held_too_long(self) -> u16 {
        if self == GatewayKind::EppFlowControl { 503 } else { 504 }
    }

    /// The status for a request whose connection the chosen pod refused: Envoy's is 503, that of other proxies 502.
    pub fn status_when_refused(self) -> u16 {
        if matches!(self, GatewayKind::Istio | GatewayKind::EppFlowControl) { 503 } else { 502 }
    }
}

/// A gateway as resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct GatewaySettings {
    /// Which.
    pub kind: GatewayKind,
    /// Most requests held at once; `None`: no limit. Means nothing for a kind that holds none.
    pub buffer_max: Option<u32>,
    /// How long one is held at most; `None`: for ever.
    pub buffer_timeout: Option<SimDuration>,
    /// Requests that a pod may have at once before the gateway holds the next one.
    pub max_in_flight_per_pod: Option<u32>,
    /// From a request's arrival to the end of its response.
    pub request_timeout: Option<SimDuration>,
    /// From a request's way to a pod to its first token.
    pub response_header_timeout: Option<SimDuration>,
    /// Further tries after a pod refused a connection, or (Istio) after none was there.
    pub retries: u32,
    /// Labels of the gateway as a scrape target.
    pub target_labels: Vec<(String, String)>,
    /// Labels of its series that name what it fronts: (name, value).
    pub own_labels: Vec<(String, String)>,
}

/// The endpoint picker's limits of a pod that is as full as it should be (waiting requests, share of KV cache).
const EPP_FULL_QUEUE: f64 = 5.0;
const EPP_FULL_KV: f64 = 0.8;
/// A pod whose metrics are older counts as full.
const EPP_STALE: SimDuration = SimDuration::from_millis(200);

/// How a request left the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GatewayEnd {
    /// Its answer went through whole.
    Completed,
    /// The pod answered with an error of the client's making.
    Rejected,
    /// The gateway itself gave this status.
    Answered {
        /// HTTP status.
        status: u16,
        /// Envoy's response flag for the reason.
        flag: &'static str,
        /// Whether the response had begun, which fixed its status.
        began: bool,
    },
    /// The pod ended in the middle.
    Cut {
        /// Whether the response had begun.
        began: bool,
    },
    /// The client gave up.
    Left {
        /// Whether it was held.
        held: bool,
        /// Whether the response had begun.
        began: bool,
    },
}

impl GatewayEnd {
    /// (status, Envoy's response flag) as Istio counts it: a client that leaves before the response begins has status 0.
    fn in_istio(self) -> (u16, &'static str) {
        match self {
            GatewayEnd::Completed => (200, "-"),
            GatewayEnd::Rejected => (400, "-"),
            GatewayEnd::Answered { status, flag, began } => (if began { 200 } else { status }, flag),
            GatewayEnd::Cut { began } => (if began { 200 } else { 503 }, "UC"),
            GatewayEnd::Left { began, .. } => (if began { 200 } else { 0 }, "DC"),
        }
    }

    /// The status as the interceptor counts it: Go's proxy answers 502 for what the pod or the client broke off, and the
    /// resolver 504 for who leaves while held.
    fn in_interceptor(self) -> u16 {
        match self {
            GatewayEnd::Completed => 200,
            GatewayEnd::Rejected => 400,
            GatewayEnd::Answered { status, began, .. } => {
                if began {
                    200
                } else {
                    status
                }
            }
            GatewayEnd::Left { held: true, .. } => 504,
            GatewayEnd::Cut { began } | GatewayEnd::Left { began, .. } => {
                if began {
                    200
                } else {
                    502
                }
            }
        }
    }
}

/// All that Istio's counter may show here.
const ISTIO_ENDS: [(u16, &str); 10] = [
    (200, "-"),
    (200, "UC"),
    (200, "UT"),
    (200, "DC"),
    (400, "-"),
    (503, "UH"),
    (503, "UF"),
    (503, "UC"),
    (504, "UT"),
    (0, "DC"),
];
/// All that the interceptor's counter may show here.
const INTERCEPTOR_ENDS: [u16; 5] = [200, 400, 502, 503, 504];

/// A gateway at work. Plain cloneable data: who schedules and sends is `sim`.
#[derive(Clone, Debug)]
pub struct Gateway {
    settings: GatewaySettings,
    /// Held requests, first come first.
    held: VecDeque<RequestId>,
    /// Requests that have not left it, those on pods included.
    inside: u64,
    incoming: u64,
    none_healthy: u64,
    turned_away: u64,
    /// In the order of the kind's list of ends.
    ends: Vec<u64>,
    /// Per pod: when it was last polled, and what it told.
    polled: BTreeMap<PodId, (SimTime, f64)>,
    /// Averages over pods (waiting, KV usage) when there last were any.
    averages: Option<(f64, f64)>,
}

impl Gateway {
    /// An empty one.
    pub fn new(settings: GatewaySettings) -> Self {
        let ends = match settings.kind {
            GatewayKind::Istio => ISTIO_ENDS.len(),
            GatewayKind::KedaHttp => INTERCEPTOR_ENDS.len(),
            _ => 0,
        };
        Gateway {
            settings,
            held: VecDeque::new(),
            inside: 0,
            incoming: 0,
            none_healthy: 0,
            turned_away: 0,
            ends: vec![0; ends],
            polled: BTreeMap::new(),
            averages: None,
        }
    }

    /// Its settings.
    pub fn settings(&self) -> &GatewaySettings {
        &self.settings
    }

    /// A request has arrived.
    pub fn arrived(&mut self) {
        self.incoming += 1;
        self.inside += 1;
    }

    /// No pod was there for a request that is not held: each try counts.
    pub fn found_nobody(&mut self) {
        self.none_healthy += 1 + u64::from(self.settings.retries);
    }

    /// Holds a request behind those already held; `false` when there is no room for it.
    pub fn hold(&mut self, id: RequestId) -> bool {
        let limit = self.settings.buffer_max.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        if self.held.len() >= limit {
            self.turned_away += 1;
            return false;
        }
        self.held.push_back(id);
        true
    }

    /// Held requests, the oldest first.
    pub fn held(&self) -> &VecDeque<RequestId> {
        &self.held
    }

    /// Takes out the oldest held request.
    pub fn release(&mut self) -> Option<RequestId> {
        self.held.pop_front()
    }

    /// A request has left the gateway, one that was held included.
    pub fn ended(&mut self, id: RequestId, end: GatewayEnd) {
        self.inside = self.inside.saturating_sub(1);
        // Clients and timeouts give up the oldest first, so the search ends early.
        if let Some(place) = self.held.iter().position(|held| *held == id) {
            self.held.remove(place);
        }
        let place = match self.settings.kind {
            GatewayKind::Istio => ISTIO_ENDS.iter().position(|own| *own == end.in_istio()),
            GatewayKind::KedaHttp => INTERCEPTOR_ENDS.iter().position(|own| *own == end.in_interceptor()),
            _ => return,
        };
        let place = place.unwrap_or_else(|| panic!("{end:?} is not among what the gateway exposes"));
        self.ends[place] += 1;
    }

    /// What a poll at `now` found on the pods that answer: (pod, waiting, KV usage 0..1). Pods that are not among `known`
    /// are forgotten; one that does not answer keeps what it told last.
    pub fn polled(&mut self, now: SimTime, known: &[PodId], answers: &[(PodId, u32, f64)]) {
        self.polled.retain(|pod, _| known.contains(pod));
        for (pod, waiting, kv) in answers {
            let full = (f64::from(*waiting) / EPP_FULL_QUEUE).max(kv / EPP_FULL_KV);
            self.polled.insert(*pod, (now, full));
        }
    }

    /// How full the endpoint picker takes the pods to be; it dispatches while this is below 1. Without pods it is 1.
    pub fn saturation(&self, now: SimTime, known: &[PodId]) -> f64 {
        if known.is_empty() {
            return 1.0;
        }
        let of_pod = |pod: &PodId| match self.polled.get(pod) {
            Some((at, full)) if now.saturating_since(*at) <= EPP_STALE => *full,
            _ => 1.0,
        };
        known.iter().map(of_pod).sum::<f64>() / known.len() as f64
    }

    /// The series that it exposes, in the order of [`Gateway::expose`]; none for a kind without metrics.
    pub fn exposition(&self) -> Exposition {
        let series = |name: &str, kind: MetricKind, own: &[(&str, &str)]| {
            let named = [("__name__", name)].into_iter().chain(own.iter().copied());
            let common = self.settings.own_labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            SeriesDef { labels: Labels::from_pairs(common.chain(named)), kind }
        };
        let (gauge, counter) = (MetricKind::Gauge, MetricKind::Counter);
        let series = match self.settings.kind {
            GatewayKind::Generic => Vec::new(),
            GatewayKind::EppFlowControl => {
                let pool = self.own_label("inference_pool");
                let of_pool = |name| {
                    let labels = Labels::from_pairs([("__name__", name), ("name", pool)]);
                    SeriesDef { labels, kind: gauge }
                };
                let flow = [("fairness_id", "default-flow"), ("priority", "0")];
                vec![
                    series("inference_extension_flow_control_queue_size", gauge, &flow),
                    of_pool("inference_pool_ready_pods"),
                    of_pool("inference_pool_average_queue_size"),
                    of_pool("inference_pool_average_kv_cache_utilization"),
                ]
            }
            GatewayKind::ProductionStack => vec![series("vllm:num_incoming_requests_total", counter, &[])],
            GatewayKind::Istio => {
                let cluster = Labels::from_pairs([("__name__", "envoy_cluster_upstream_cx_none_healthy")]);
                let mut all = vec![SeriesDef { labels: cluster, kind: counter }];
                all.extend(ISTIO_ENDS.iter().map(|(status, flag)| {
                    let status = status.to_string();
                    let own = [("response_code", status.as_str()), ("response_flags", flag)];
                    series("istio_requests_total", counter, &own)
                }));
                all
            }
            GatewayKind::KedaHttp => {
                let mut all = vec![
                    series("interceptor_request_concurrency", gauge, &[]),
                    series("interceptor_cold_start_rejections_total", counter, &[]),
                ];
                all.extend(INTERCEPTOR_ENDS.iter().map(|status| {
                    let status = status.to_string();
                    let own = [("code", status.as_str()), ("method", "POST")];
                    series("interceptor_request_count_total", counter, &own)
                }));
                all
            }
        };
        Exposition { series }
    }

    fn own_label(&self, name: &str) -> &str {
        self.settings.own_labels.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value)
    }

    /// One value per series of [`Gateway::exposition`]; `None` for a series that does not exist yet, which is so until its
    /// labels were first used. `pods` are (waiting, KV usage 0..1) of those that are ready.
    ///
    /// The endpoint picker counts ready pods down to 0, and leaves the averages as they were when none is left.
    pub fn expose(&mut self, pods: &[(u32, f64)]) -> Vec<Option<f64>> {
        let from_first = |count: u64| (count > 0).then_some(count as f64);
        match self.settings.kind {
            GatewayKind::Generic => Vec::new(),
            GatewayKind::EppFlowControl => {
                let count = pods.len() as f64;
                if !pods.is_empty() {
                    let waiting: f64 = pods.iter().map(|(waiting, _)| f64::from(*waiting)).sum();
                    let usage: f64 = pods.iter().map(|(_, usage)| usage).sum();
                    self.averages = Some((waiting / count, usage / count));
                }
                let queue = from_first(self.incoming).map(|_| self.held.len() as f64);
                let averages = self.averages;
                vec![queue, Some(count), averages.map(|(waiting, _)| waiting), averages.map(|(_, usage)| usage)]
            }
            GatewayKind::ProductionStack => vec![from_first(self.incoming)],
            GatewayKind::Istio => {
                let ends = self.ends.iter().map(|count| from_first(*count));
                std::iter::once(Some(self.none_healthy as f64)).chain(ends).collect()
            }
            GatewayKind::KedaHttp => {
                let concurrency = from_first(self.incoming).map(|_| self.inside as f64);
                let ends = self.ends.iter().map(|count| from_first(*count));
                [concurrency, from_first(self.turned_away)].into_iter().chain(ends).collect()
            }
        }
    }
}

#[cfg(test)]
#[path = "gateway_tests.rs"]
mod tests;
