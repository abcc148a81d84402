//! The text of `kedasim explain`: one moment in the order in which it came about, with numbers that can be followed by hand.

use crate::report::text::wrap_under;
use crate::report::{
    Element, Explanation, Extrapolated, Limits, MetricExplained, PartExplained, PolicyExplained, PollExplained,
    QueryExplained, Recommended, SeriesSamples, SyncExplained, WindowExplained, Windows,
};
use crate::units::{SimDuration, SimTime};
use std::collections::{BTreeMap, BTreeSet};

/// Series of one selector beyond which the text stops; the JSON has all.
const MOST_SERIES: usize = 12;
/// Digits of a result; samples are shown as they are.
const DIGITS: i32 = 10;

/// As text.
pub fn explanation_text(explanation: &Explanation) -> String {
    let mut text = Text::default();
    let Explanation { policy, scenario, seed, at, end, .. } = explanation;
    text.line(0, &format!("{policy}, scenario {scenario}, seed {seed}: at {} of {end}", span(at.since(SimTime::ZERO))));
    text.gap();
    text.now(explanation);
    match &explanation.sync {
        Some(sync) => text.sync(sync, explanation),
        None => {
            text.gap();
            let next = explanation.next_sync.map(|next| format!(": the first one comes at {next}")).unwrap_or_default();
            text.line(0, &format!("No HPA sync yet{next}."));
        }
    }
    match &explanation.poll {
        Some(poll) => text.poll(poll, explanation),
        None => {
            if let Some(next) = explanation.next_poll {
                text.gap();
                text.line(0, &format!("No KEDA poll yet: the first one comes at {next}."));
            }
        }
    }
    text.since(explanation);
    text.out
}

#[derive(Default)]
struct Text {
    out: String,
}

impl Text {
    fn gap(&mut self) {
        self.out.push('\n');
    }

    /// A line, broken under its own beginning and a little further in.
    fn line(&mut self, indent: usize, text: &str) {
        wrap_under(&mut self.out, &" ".repeat(indent), indent + 4, text);
    }

    fn heading(&mut self, text: &str) {
        self.gap();
        self.line(0, text);
    }

    fn now(&mut self, explanation: &Explanation) {
        let Explanation { spec_replicas, min_replicas, max_replicas, .. } = explanation;
        self.line(0, &format!("spec.replicas {spec_replicas} (the HPA's bounds: {min_replicas}..{max_replicas})"));
        if explanation.pods.is_empty() {
            self.line(0, "no pods");
        }
        for pod in &explanation.pods {
            let since = pod.since.map_or_else(|| "since before the run".to_owned(), |since| format!("since {since}"));
            let history: Vec<String> = pod.history.iter().map(|event| format!("{} {}", event.what, event.t)).collect();
            let history = if history.is_empty() { String::new() } else { format!(" ({})", history.join(", ")) };
            self.line(0, &format!("pod {}: {} {since}{history}", pod.name, pod.state));
        }
        for fault in &explanation.faults {
            self.line(0, &format!("fault in force: {fault}"));
        }
    }

    fn sync(&mut self, sync: &SyncExplained, explanation: &Explanation) {
        let next = explanation.next_sync.map(|next| format!("; the next one comes at {next}")).unwrap_or_default();
        self.heading(&format!("HPA sync at {}, {} before{next}", sync.t, ago(sync.t, explanation.at)));
        let (spec, status) = (sync.spec_replicas, sync.status_replicas);
        let ready = counted(sync.ready_replicas, "ready pod");
        self.line(2, &format!("in short: {}", sync.explanation));
        self.line(2, &format!("it reads spec.replicas {spec}, status.replicas {status}, {ready}"));
        // A formula comes after what it is computed from.
        let is_input = |metric: &&MetricExplained| role(metric, &sync.metrics) == Role::Input;
        let (inputs, others): (Vec<_>, Vec<_>) = sync.metrics.iter().partition(is_input);
        for metric in inputs.iter().chain(&others) {
            self.gap();
            self.metric(metric, &sync.metrics);
            if role(metric, &sync.metrics) != Role::Input && (metric.error.is_none() || metric.proposal.is_some()) {
                self.proposal(metric, sync);
            }
        }
        if let Some(desired) = sync.metric_desired {
            self.gap();
            self.line(2, &format!("largest proposal: {desired}"));
        }
        // Without them the short form has said all there is.
        if let (Some(windows), Some(limits)) = (&sync.windows, &sync.limits) {
            self.windows(windows, sync);
            self.limits(limits, sync, explanation);
        }
        let (from, to) = (sync.spec_replicas, sync.new_replicas);
        let outcome = if sync.rescaled { format!("{from} -> {to}, written") } else { format!("stays at {to}") };
        self.line(2, &format!("result: spec.replicas {outcome}"));
        for condition in &sync.conditions {
            self.line(4, &format!("condition {condition}"));
        }
    }

    fn poll(&mut self, poll: &PollExplained, explanation: &Explanation) {
        let next = explanation.next_poll.map(|next| format!("; the next one comes at {next}")).unwrap_or_default();
        self.heading(&format!("KEDA poll at {}, {} before{next}", poll.t, ago(poll.t, explanation.at)));
        // The sync has shown the queries at work, of its own samples.
        let shown = explanation.sync.iter().any(|sync| sync.metrics.iter().any(|metric| metric.samples.is_some()));
        for metric in &poll.metrics {
            if shown {
                let failed = metric.error.as_ref().map(|error| format!("failed: {error}; ")).unwrap_or_default();
                self.line(2, &format!("{}: {failed}{}", metric.trigger, activity(metric, None)));
            } else {
                self.metric(metric, &[]);
            }
        }
        self.line(2, &format!("result: {}", poll.explanation));
    }

    fn since(&mut self, explanation: &Explanation) {
        let from = match (&explanation.sync, &explanation.poll) {
            (Some(_), _) => "the sync",
            (None, Some(_)) => "the poll",
            (None, None) => "the start",
        };
        if explanation.since.is_empty() {
            self.heading(&format!("Nothing that is recorded happened since {from}."));
            return;
        }
        self.heading(&format!("Since {from}"));
        for event in &explanation.since {
            self.line(2, &format!("{}  {}", event.t, event.what));
        }
    }

    /// `all` are the sync's metrics; none in a poll, which tells the HPA nothing.
    fn metric(&mut self, metric: &MetricExplained, all: &[MetricExplained]) {
        let MetricExplained { trigger, query, query_time, .. } = metric;
        let cached = if metric.cached { ", not asked now" } else { "" };
        let name = metric.name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
        self.line(2, &format!("{trigger}{name}, as of {query_time}{cached}: {query}"));
        match &metric.samples {
            Some(samples) => self.query(samples),
            None if metric.kind == "prometheus" && metric.value.is_some() => {
                self.line(4, "what was visible at that instant cannot be told exactly: no samples are shown");
            }
            None => {}
        }
        let is_empty =
            metric.samples.as_ref().is_some_and(|own| own.parts.iter().take(1).all(|own| own.answer.is_empty()));
        if is_empty && metric.value == Some(0.0) {
            self.line(4, "an empty result counts as 0 (ignoreNullValues)");
        }
        let inputs: Vec<String> = all
            .iter()
            .filter(|own| metric.kind == "composite" && role(own, all) == Role::Input)
            .filter_map(|own| Some(format!("{} = {}", own.name.as_ref()?, figure(own.milli? as f64 / 1000.0))))
            .collect();
        if !inputs.is_empty() {
            self.line(4, &format!("with {}", inputs.join(", ")));
        }
        if let Some(error) = &metric.error {
            self.line(4, &format!("failed: {error}"));
        }
        if metric.value.is_some() || metric.milli.is_some() {
            let told = (!all.is_empty()).then(|| role(metric, all));
            self.line(4, &activity(metric, told));
        }
    }

    /// From what the HPA was told to the metric's own proposal.
    fn proposal(&mut self, metric: &MetricExplained, sync: &SyncExplained) {
        match arithmetic(metric, sync) {
            Some(lines) => lines.iter().for_each(|line| self.line(4, line)),
            None => self.line(4, &metric.why),
        }
    }

    /// The parts of a query, operands before what is made of them.
    fn query(&mut self, query: &QueryExplained) {
        self.part(&query.parts, 0);
    }

    fn part(&mut self, parts: &[PartExplained], index: usize) {
        let own = &parts[index];
        let below = parts[index + 1..].iter().take_while(|part| part.depth > own.depth);
        let operands: Vec<usize> = below
            .enumerate()
            .filter(|(_, part)| part.depth == own.depth + 1)
            .map(|(offset, _)| index + 1 + offset)
            .collect();
        for operand in &operands {
            self.part(parts, *operand);
        }
        let is_worked_out = |operand: &usize| {
            let series = &parts[*operand].series;
            !series.is_empty() && series.iter().all(|one| one.extrapolation.is_some() || one.samples.len() < 2)
        };
        if matches!(own.operation.as_str(), "rate" | "increase" | "delta") && operands.iter().all(is_worked_out) {
            return;
        }
        if let Some(window) = own.window {
            let (from, to) = (instant(window.from), instant(window.to));
            let edge = if window.open { "after" } else { "from" };
            self.line(4, &format!("{}: samples {edge} {from} up to {to}", own.short));
            self.series(own);
        } else if !own.series.is_empty() {
            self.line(4, &format!("{}:", own.short));
            self.series(own);
        } else {
            self.answer(own);
        }
    }

    fn series(&mut self, part: &PartExplained) {
        if part.series.is_empty() {
            self.line(6, "no series has a sample there");
        }
        let all: Vec<_> = part.series.iter().map(|one| &one.labels).collect();
        let groups: Vec<&[SeriesSamples]> = part.series.chunk_by(|one, other| one.samples == other.samples).collect();
        for group in groups.iter().take(MOST_SERIES) {
            let SeriesSamples { samples, extrapolation, .. } = &group[0];
            let name = alike(&group.iter().map(|one| &one.labels).collect::<Vec<_>>(), &all);
            let shown: Vec<String> = samples.iter().map(|(t, value)| format!("{value}@{}", instant(*t))).collect();
            self.line(6, &format!("{name}{}", shown.join(" ")));
            match extrapolation {
                Some(own) => worked_out(own, samples.len()).iter().for_each(|line| self.line(8, line)),
                None if samples.len() < 2 && part.window.is_some() => {
                    self.line(8, "one sample alone has no rate");
                }
                None => {}
            }
        }
        self.rest(groups.len());
    }

    fn answer(&mut self, part: &PartExplained) {
        match part.answer.as_slice() {
            [] => self.line(4, &format!("{} = nothing", part.short)),
            [only] => {
                let name = alike(&[&only.labels], &[&only.labels]);
                let text = format!("{} = {}{}", part.short, figure(only.value), scraped(only));
                self.line(4, &if name.is_empty() { text } else { format!("{text}, of {}", name.trim_end()) });
            }
            several => {
                self.line(4, &format!("{} =", part.short));
                let all: Vec<_> = several.iter().map(|one| &one.labels).collect();
                let is_same =
                    |one: &Element, other: &Element| one.value.to_bits() == other.value.to_bits() && one.t == other.t;
                let groups: Vec<&[Element]> = several.chunk_by(is_same).collect();
                for group in groups.iter().take(MOST_SERIES) {
                    let name = alike(&group.iter().map(|one| &one.labels).collect::<Vec<_>>(), &all);
                    self.line(6, &format!("{name}{}{}", figure(group[0].value), scraped(&group[0])));
                }
                self.rest(groups.len());
            }
        }
    }

    fn rest(&mut self, count: usize) {
        if count > MOST_SERIES {
            self.line(6, &format!("and {} more (--format json shows all)", count - MOST_SERIES));
        }
    }

    fn windows(&mut self, windows: &Windows, sync: &SyncExplained) {
        let current = sync.spec_replicas;
        let Windows { up, down, stabilized } = windows;
        if let Some(up) = up {
            self.line(2, &window_text("scaleUp", "lowest", up, sync.t));
        }
        self.line(2, &window_text("scaleDown", "highest", down, sync.t));
        let how = match up {
            None => "the highest is taken".to_owned(),
            Some(up) if up.extreme > current => {
                format!("spec.replicas {current} is raised to the lowest {}", up.extreme)
            }
            Some(_) if down.extreme < current => {
                format!("spec.replicas {current} is lowered to the highest {}", down.extreme)
            }
            Some(up) => {
                let (lowest, highest) = (up.extreme, down.extreme);
                format!("spec.replicas {current} is neither below the lowest {lowest} nor above the highest {highest}")
            }
        };
        self.line(2, &format!("after the windows: {stabilized} ({how})"));
    }

    fn limits(&mut self, limits: &Limits, sync: &SyncExplained, explanation: &Explanation) {
        let (current, at) = (sync.spec_replicas, sync.t);
        let Some(direction) = limits.direction else {
            return self
                .line(2, &format!("policies and bounds: nothing to limit, {} is the count there is", limits.limited));
        };
        let is_up = direction == "scaleUp";
        match (limits.allowed, limits.built_in) {
            (None, _) => {}
            (Some(allowed), true) => {
                self.line(2, &format!("without behavior at most {allowed}: twice {current}, or 4 if that is more"));
            }
            (Some(allowed), false) => {
                let select = limits.select_policy.unwrap_or("Max");
                self.line(2, &format!("{direction} policies:"));
                for policy in &limits.policies {
                    self.line(4, &policy_text(policy, is_up, at, current));
                }
                let side = if is_up { "most" } else { "least" };
                self.line(4, &format!("allowed by selectPolicy {select}: at {side} {allowed}"));
            }
        }
        let (min, max) = (explanation.min_replicas, explanation.max_replicas);
        self.line(2, &format!("after policies and bounds ({min}..{max}): {}", limits.limited));
    }
}

/// Who gets a metric's number.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    OfHpa,
    /// Of a formula.
    Input,
}

fn role(metric: &MetricExplained, all: &[MetricExplained]) -> Role {
    let has_formula = all.iter().any(|own| own.kind == "composite");
    // cpu and memory go to the HPA without KEDA.
    let is_of_hpa = matches!(metric.kind.as_str(), "composite" | "cpu" | "memory");
    if has_formula && !is_of_hpa { Role::Input } else { Role::OfHpa }
}

/// `value 6.996; the HPA is told 6996m; above the activation threshold 0: active`; in a poll nobody is told.
fn activity(metric: &MetricExplained, role: Option<Role>) -> String {
    let read = metric.value.map(|value| format!("value {}", figure(value)));
    let told = metric.milli.zip(role).map(|(milli, role)| {
        let stand_in = if metric.fallback { " by the fallback" } else { "" };
        let who = if role == Role::Input { "the formula gets" } else { "the HPA is told" };
        format!("{who} {milli}m{stand_in}")
    });
    let active = metric.active.map(|active| {
        let word = if active { "active" } else { "not active" };
        match (metric.activation, metric.value) {
            (Some(threshold), Some(value)) => {
                let side = if value > threshold { "above" } else { "not above" };
                format!("{side} the activation threshold {threshold}: {word}")
            }
            _ => word.to_owned(),
        }
    });
    let parts: Vec<String> = [read, told, active].into_iter().flatten().collect();
    parts.join("; ")
}

/// The arithmetic of an external metric; `None` where the sentence of the record says it.
fn arithmetic(metric: &MetricExplained, sync: &SyncExplained) -> Option<Vec<String>> {
    let (milli, target, proposal) = (metric.milli?, metric.target_milli, metric.proposal?);
    let (ratio, within) = (metric.ratio?, metric.within_tolerance?);
    let is_external = !matches!(metric.kind.as_str(), "cpu" | "memory" | "pods");
    if !is_external || milli < 0 || target <= 0 {
        return None;
    }
    let (low, high) = sync.tolerance_band;
    let verdict = if within { "within" } else { "outside" };
    let band = format!("{verdict} {}..{}", figure(low), figure(high));
    let quotient = milli as f64 / target as f64;
    match metric.target_type.as_str() {
        "AverageValue" => {
            let status = sync.status_replicas;
            let test = format!(
                "tolerance: {milli}m / (target {target}m x status.replicas {status}) = {}, {band}",
                figure(ratio)
            );
            let outcome = if within {
                format!("proposal: keeps status.replicas {proposal}")
            } else {
                format!("proposal: {milli}m / {target}m = {}, rounded up {proposal}", figure(quotient))
            };
            let is_right = if within { proposal == status } else { quotient.ceil() as i32 == proposal };
            is_right.then(|| vec![test, outcome])
        }
        "Value" => {
            let test = format!("tolerance: {milli}m / target {target}m = {}, {band}", figure(ratio));
            let product = ratio * f64::from(sync.ready_replicas);
            let outcome = if within {
                format!("proposal: keeps spec.replicas {proposal}")
            } else {
                let pods = counted(sync.ready_replicas, "ready pod");
                format!("proposal: {} x {pods} = {}, rounded up {proposal}", figure(ratio), figure(product))
            };
            let is_right = if within { proposal == sync.spec_replicas } else { product.ceil() as i32 == proposal };
            is_right.then(|| vec![test, outcome])
        }
        _ => None,
    }
}

/// How a rate came about.
fn worked_out(own: &Extrapolated, samples: usize) -> [String; 2] {
    let Extrapolated { growth, lost_in_resets, sampled_seconds, threshold_seconds, .. } = *own;
    let resets = if lost_in_resets == 0.0 {
        String::new()
    } else {
        format!(", {} of it lost in resets", figure(lost_in_resets))
    };
    let gap = |name: &str, gap: f64, counted: f64, at_zero: bool| {
        let (shown, counted_text) = (figure(gap), figure(counted));
        if at_zero {
            format!("{name} {shown} s, counted {counted_text} s (further back the counter would be below 0)")
        } else if gap == counted {
            format!("{name} {shown} s")
        } else {
            let from = figure(threshold_seconds);
            format!("{name} {shown} s, counted {counted_text} s (half a distance, as from {from} s on)")
        }
    };
    let start = gap("before the first", own.to_start_seconds, own.counted_to_start_seconds, own.cut_at_zero);
    let end = gap("after the last", own.to_end_seconds, own.counted_to_end_seconds, false);
    let (start_seconds, end_seconds) = (own.counted_to_start_seconds, own.counted_to_end_seconds);
    let [sampled, start_seconds, end_seconds] = [sampled_seconds, start_seconds, end_seconds].map(figure);
    let per = own.range_seconds.map(|range| format!(" / {} s", figure(range))).unwrap_or_default();
    let sign = if growth < 0.0 { "" } else { "+" };
    let (growth, result) = (figure(growth), figure(own.result));
    [
        format!("{samples} samples: {sign}{growth} in {sampled} s{resets}; {start}; {end}"),
        format!("{growth} x ({sampled} + {start_seconds} + {end_seconds}) / {sampled}{per} = {result}"),
    ]
}

fn scraped(element: &Element) -> String {
    element.t.map(|t| format!(", scraped at {}", instant(t))).unwrap_or_default()
}

fn window_text(name: &str, which: &str, window: &WindowExplained, now: SimTime) -> String {
    let WindowExplained { window_seconds, inside, extreme } = window;
    let window = span(*window_seconds);
    format!("{name} window {window}: {which} of {}: {extreme}", recommended(inside, now))
}

/// `1 (3m14s to 3m29s, 2 times), 2 (now)`.
fn recommended(inside: &[Recommended], now: SimTime) -> String {
    let runs = inside.chunk_by(|one, other| one.replicas == other.replicas);
    let shown = runs.map(|run| {
        let (first, last) = (&run[0], &run[run.len() - 1]);
        let name = |t: SimTime| if t == now { "now".to_owned() } else { t.to_string() };
        match run.len() {
            1 => format!("{} ({})", first.replicas, name(first.t)),
            2 => format!("{} ({} and {})", first.replicas, name(first.t), name(last.t)),
            times => format!("{} ({} to {}, {times} times)", first.replicas, name(first.t), name(last.t)),
        }
    });
    shown.collect::<Vec<_>>().join(", ")
}

fn policy_text(policy: &PolicyExplained, is_up: bool, now: SimTime, current: i32) -> String {
    let PolicyExplained { index, kind, value, period_seconds, changes, period_start, allows } = policy;
    let since = SimTime::from_ps(now.as_ps().saturating_sub(period_seconds.as_ps()));
    let changes: Vec<String> = changes.iter().map(|own| format!("{} -> {} at {}", own.from, own.to, own.t)).collect();
    let start = if changes.is_empty() {
        format!("no change since {since}, so from {period_start}")
    } else {
        format!("{} since {since}, so from {period_start} ({current} less these)", changes.join(", "))
    };
    let sign = if is_up { '+' } else { '-' };
    let step = match *kind {
        "Pods" => format!("{period_start} {sign} {value} = {allows}"),
        _ => format!("{period_start} {sign} {value} % = {allows}, rounded {}", if is_up { "up" } else { "down" }),
    };
    format!("policy {index}, {value} {kind} per {period_seconds}: {start}: {step}")
}

/// What to call series that show the same: the labels that tell each from all that are shown, and its pod.
fn alike(group: &[&BTreeMap<String, String>], all: &[&BTreeMap<String, String>]) -> String {
    let (first, last) = (distinguished(group[0], all), distinguished(group[group.len() - 1], all));
    match group.len() {
        1 if first.is_empty() => String::new(),
        1 => format!("{first} "),
        count => format!("{first} to {last} ({count} series alike) "),
    }
}

fn distinguished(own: &BTreeMap<String, String>, all: &[&BTreeMap<String, String>]) -> String {
    let names: BTreeSet<&String> = all.iter().flat_map(|labels| labels.keys()).collect();
    let values = |name: &str| all.iter().map(|labels| labels.get(name)).collect::<BTreeSet<_>>().len();
    // One address per pod says nothing more than the pod.
    let is_said = |name: &str| name == "instance" && values("instance") == values("pod");
    let shown: Vec<String> = names
        .into_iter()
        .filter(|name| (*name == "pod" || values(name) > 1) && !is_said(name))
        .filter_map(|name| own.get(name).map(|value| format!("{name}=\"{value}\"")))
        .collect();
    if shown.is_empty() { String::new() } else { format!("{{{}}}", shown.join(", ")) }
}

/// A result in at most [`DIGITS`] significant digits.
fn figure(value: f64) -> String {
    if !value.is_finite() || value == 0.0 {
        return value.to_string();
    }
    let magnitude = crate::units::math::log10(value.abs()).floor() as i32;
    let decimals = usize::try_from(DIGITS - 1 - magnitude).unwrap_or(0).min(15);
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Seconds since the run's start, to the millisecond that Prometheus stamps; before it with a sign.
fn instant(seconds: f64) -> String {
    let sign = if seconds < 0.0 { "-" } else { "" };
    let millis = (seconds.abs() * 1000.0).round() as u64;
    format!("{sign}{}", SimDuration::from_millis(millis))
}

/// `2m`, and `0s`.
fn span(duration: SimDuration) -> String {
    let shown = duration.to_string();
    if shown == "0ms" { "0s".to_owned() } else { shown }
}

fn ago(then: SimTime, now: SimTime) -> String {
    span(now.saturating_since(then))
}

fn counted(count: i32, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
