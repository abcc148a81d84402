//! Worlds in which a policy comes to rest, and what must hold on the way.

use kedasim::record::{DecisionRecord, EventKind, HpaSync, RunRecord};
use kedasim::units::SimTime;

/// What is wrong with a run, if anything.
pub type Check = fn(&RunRecord) -> Result<(), String>;

/// A run and where it ends.
pub struct Rest {
    /// The rule, in words.
    pub words: &'static str,
    /// How long.
    pub duration: &'static str,
    /// `initialReplicas`.
    pub initial: i32,
    /// More of the Scenario's spec: one line, or several indented by two.
    pub spec: String,
    /// Other manifests that belong to it.
    pub beside: &'static [&'static str],
    /// Further documents.
    pub documents: &'static str,
    /// `spec.replicas` at the end.
    pub replicas: i32,
    /// What else must hold.
    pub check: Option<Check>,
}

impl Rest {
    /// A run of this length that starts and ends with so many replicas.
    pub fn new(words: &'static str, duration: &'static str, initial: i32, replicas: i32) -> Self {
        let (spec, beside, documents) = (String::new(), &[][..], "");
        Rest { words, duration, initial, spec, beside, documents, replicas, check: None }
    }

    /// The same with these series: (metric, labels as in YAML, value).
    pub fn series(mut self, series: &[(&str, &str, f64)]) -> Self {
        let list: Vec<String> = series
            .iter()
            .map(|(metric, labels, value)| {
                format!("{{metric: {metric:?}, labels: {{{labels}}}, value: {{constant: {value}}}}}")
            })
            .collect();
        self.spec = format!("  signals: {{series: [{}]}}\n", list.join(", "));
        self
    }

    /// The same with these counters: (metric, labels as in YAML, growth per second).
    pub fn counters(mut self, series: &[(&str, &str, f64)]) -> Self {
        let list: Vec<String> = series
            .iter()
            .map(|(metric, labels, rate)| {
                format!("{{metric: {metric:?}, labels: {{{labels}}}, rate: {{constant: {rate}}}}}")
            })
            .collect();
        self.spec = format!("  signals: {{series: [{}]}}\n", list.join(", "));
        self
    }

    /// The same with these values of triggers: (name or position, value, the target that the scaler reports).
    pub fn triggers(mut self, triggers: &[(&str, f64, Option<f64>)]) -> Self {
        let list: Vec<String> = triggers
            .iter()
            .map(|(trigger, value, target)| {
                let target = target.map(|own| format!(", target: {own}")).unwrap_or_default();
                format!("{trigger:?}: {{value: {{constant: {value}}}{target}}}")
            })
            .collect();
        self.spec = format!("  signals: {{triggers: {{{}}}}}\n", list.join(", "));
        self
    }

    /// The Scenario and what stands beside it.
    pub fn world(&self) -> String {
        let usual = |key: &str, line: &str| if self.spec.contains(key) { String::new() } else { format!("  {line}\n") };
        let traffic = "traffic: {arrivals: {poisson: {rate: 0.02}}, prompt: {constant: 15}, output: {constant: 20}}";
        format!(
            "apiVersion: kedasim.dev/v1alpha1\nkind: Scenario\nmetadata: {{name: world}}\nspec:\n  duration: {}\n  \
             initialReplicas: {}\n{}{}{}{}{}",
            self.duration,
            self.initial,
            usual("traffic:", traffic),
            usual("replica:", "replica: {profile: llama-3.1-8b-h100}"),
            usual("cluster:", "cluster: {preset: warm-gpu}"),
            self.spec,
            self.documents,
        )
    }
}

fn syncs(record: &RunRecord) -> impl Iterator<Item = &HpaSync> {
    record.decisions.iter().filter_map(|decision| match decision {
        DecisionRecord::HpaSync(sync) => Some(sync.as_ref()),
        DecisionRecord::KedaPoll(_) => None,
    })
}

/// (seconds, to) of every write.
fn writes(record: &RunRecord) -> Vec<(f64, i32)> {
    let scaled = record.events.iter().filter_map(|event| match &event.kind {
        EventKind::Scaled { to, .. } => Some((event.t.as_secs_f64(), *to)),
        _ => None,
    });
    scaled.collect()
}

/// Every sync of the second half fails with this text.
fn always_fails(record: &RunRecord, text: &str) -> Result<(), String> {
    let half = SimTime::from_secs(record.info.end.as_secs_floor() / 2);
    let mut late = syncs(record).filter(|sync| sync.t > half).peekable();
    if late.peek().is_none() {
        return Err("expected syncs, found none".to_owned());
    }
    for sync in late {
        let errors: Vec<&str> = sync.metrics.iter().filter_map(|metric| metric.error.as_deref()).collect();
        if !errors.iter().any(|error| error.contains(text)) {
            return Err(format!("expected the error {text:?} at {}, found {errors:?}", sync.t));
        }
    }
    Ok(())
}

/// Two series where KEDA wants one.
pub fn several_series(record: &RunRecord) -> Result<(), String> {
    always_fails(record, "multiple elements")
}

/// A query that is no PromQL.
pub fn http_400(record: &RunRecord) -> Result<(), String> {
    always_fails(record, "400")
}

/// The formula's last value.
fn composite(record: &RunRecord, expected: i64) -> Result<(), String> {
    let last = syncs(record).last().and_then(|sync| sync.metrics.first()).map(|own| (own.trigger.as_str(), own.milli));
    if last == Some(("composite-metric", Some(expected))) {
        return Ok(());
    }
    Err(format!("expected the formula to give {expected} milli, found {last:?}"))
}

/// The queue guard with work for five and one pending of two.
pub fn composite_is_four(record: &RunRecord) -> Result<(), String> {
    composite(record, 4000)
}

/// The queue guard with work for one.
pub fn composite_is_one(record: &RunRecord) -> Result<(), String> {
    composite(record, 1000)
}

/// One replica from two o'clock to the first poll that comes a cooldown of 60 s after the last one before four.
pub fn two_to_four(record: &RunRecord) -> Result<(), String> {
    let writes = writes(record);
    let on = writes.iter().find(|write| write.1 == 1).map(|write| write.0);
    let off = writes.iter().rfind(|write| write.1 == 0).map(|write| write.0);
    let hour = 3600.0;
    let fits = on.is_some_and(|at| (2.0 * hour..2.0 * hour + 31.0).contains(&at))
        && off.is_some_and(|at| (4.0 * hour + 30.0..4.0 * hour + 91.0).contains(&at));
    if fits { Ok(()) } else { Err(format!("expected on at 7200 s and off after 14430 s, found {writes:?}")) }
}
