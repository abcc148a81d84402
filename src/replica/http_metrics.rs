//! What the HTTP middleware of `vllm serve` counts, for the one handler that the traffic asks.
//!
//! Source: prometheus-fastapi-instrumentator 8.1 `metrics.default`, as vLLM sets it up (status codes in groups, streaming time
//! included). Not here: the sums of `http_request_size_bytes` and `http_response_size_bytes`, as no bytes are simulated.

use crate::replica::exposition::python_float;
use crate::replica::histogram::Histogram;
use crate::series::{Exposition, Labels, MetricKind, SeriesDef};
use crate::units::SimDuration;

const HANDLER: &str = "/v1/chat/completions";
const METHOD: &str = "POST";
const STATUSES: [&str; 2] = ["2xx", "4xx"];
/// Bounds of `http_request_duration_highr_seconds`.
const FINE: [f64; 21] = [
    0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 7.5, 10.0, 30.0, 60.0,
];
/// Places of the bounds of `http_request_duration_seconds` among these: 0.1, 0.5 and 1 s.
const COARSE: [usize; 3] = [4, 6, 8];

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct HttpMetrics {
    /// Requests by status, with the time of the first.
    by_status: [(u64, f64); 2],
    /// The time of the handler's first request.
    first: f64,
    /// Picoseconds.
    durations: Histogram,
    /// Whether anybody looks at them.
    counts_durations: bool,
}

impl HttpMetrics {
    pub(super) fn new() -> Self {
        let bounds = FINE.iter().map(|bound| SimDuration::from_secs_f64(*bound).as_ps()).collect();
        HttpMetrics { by_status: [(0, 0.0); 2], first: 0.0, durations: Histogram::new(bounds), counts_durations: true }
    }

    /// Whether anybody looks at the durations.
    pub(super) fn count_durations(&mut self, counts: bool) {
        self.counts_durations = counts;
    }

    /// One request that took `duration`, over at `unix` seconds since the Unix epoch.
    #[inline]
    pub(super) fn answer(&mut self, duration: SimDuration, refused: bool, unix: impl Fn() -> f64) {
        let (count, _) = &mut self.by_status[usize::from(refused)];
        *count += 1;
        if *count == 1 {
            self.note_first(refused, unix);
        }
        if self.counts_durations {
            self.durations.observe(duration.as_ps(), 1);
        }
    }

    /// The first one with this status has been counted.
    #[cold]
    #[inline(never)]
    fn note_first(&mut self, refused: bool, unix: impl Fn() -> f64) {
        let unix = unix();
        self.by_status[usize::from(refused)].1 = unix;
        if self.total() == 1 {
            self.first = unix;
        }
    }

    fn total(&self) -> u64 {
        self.by_status.iter().map(|(count, _)| count).sum()
    }

    /// Appends the values of [`series`]; a series with labels is absent until its first request. `created` is the
    /// middleware's own beginning.
    pub(super) fn write(&self, created: f64, row: &mut Vec<f64>) {
        let seen = |count: u64, value: f64| if count > 0 { value } else { Exposition::ABSENT };
        for (count, first) in self.by_status {
            row.extend([seen(count, count as f64), seen(count, first)]);
        }
        let total = self.total();
        let of_handler = |value: f64| seen(total, value);
        for _ in 0..2 {
            row.extend([of_handler(total as f64), of_handler(self.first)]);
        }
        let mut up_to = 0;
        let below = row.len();
        row.extend(self.durations.counts.iter().map(|count| {
            up_to += count;
            up_to as f64
        }));
        let sum = self.durations.sum as f64 / 1e12;
        row.extend([sum, total as f64, created]);
        let coarse = COARSE.map(|place| of_handler(row[below + place]));
        row.extend(coarse);
        row.extend([total as f64, sum, total as f64, self.first].map(of_handler));
    }
}

/// The series in the order in which [`HttpMetrics::write`] gives values.
pub(super) fn series() -> Vec<SeriesDef> {
    let mut series = Vec::new();
    let mut add = |kind: MetricKind, name: &str, labels: &[(&str, &str)]| {
        let own = [("__name__", name)].into_iter().chain(labels.iter().copied());
        series.push(SeriesDef { labels: Labels::from_pairs(own), kind });
    };
    let (handler, method) = (("handler", HANDLER), ("method", METHOD));
    for status in STATUSES {
        let labels = [handler, method, ("status", status)];
        add(MetricKind::Counter, "http_requests_total", &labels);
        add(MetricKind::Gauge, "http_requests_created", &labels);
    }
    for name in ["http_request_size_bytes", "http_response_size_bytes"] {
        add(MetricKind::Counter, &format!("{name}_count"), &[handler]);
        add(MetricKind::Gauge, &format!("{name}_created"), &[handler]);
    }
    let coarse: Vec<f64> = COARSE.iter().map(|place| FINE[*place]).collect();
    let by_handler = [handler, method];
    let durations = [
        ("http_request_duration_highr_seconds", FINE.as_slice(), [].as_slice()),
        ("http_request_duration_seconds", coarse.as_slice(), by_handler.as_slice()),
    ];
    for (name, bounds, labels) in durations {
        let texts = bounds.iter().map(|bound| python_float(*bound)).chain(["+Inf".to_owned()]);
        for le in texts {
            let labels: Vec<(&str, &str)> = labels.iter().copied().chain([("le", le.as_str())]).collect();
            add(MetricKind::Histogram, &format!("{name}_bucket"), &labels);
        }
        add(MetricKind::Histogram, &format!("{name}_sum"), labels);
        add(MetricKind::Histogram, &format!("{name}_count"), labels);
        add(MetricKind::Gauge, &format!("{name}_created"), labels);
    }
    series
}
