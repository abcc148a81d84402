//! `kedasim explain`: one moment of a run, from the samples that the queries used to the pods.
//!
//! The run is made again from its folder, as for `kedasim export`, because its files do not hold the samples; a folder whose
//! decisions come out otherwise is refused. Nothing is decided here: windows and policies are worked out from what the
//! HPA remembered, and shown only where they give what the sync did.

mod control;
mod queries;

use crate::cli::args::{ExplainArgs, LintFormat};
use crate::cli::explain::queries::{Samples, query_explained};
use crate::cli::export::{in_file, other_decisions, read, resolve_again, run_info, simulation_failure};
use crate::cli::outcome::{Failure, Outcome, print};
use crate::hpa::tolerance_band;
use crate::keda::{COMPOSITE, TriggerKind};
use crate::record::{
    DecisionRecord, EventKind, HpaSync, KedaPoll, MetricRecord, RunInfo, RunRecord, decisions_from_jsonl,
    decisions_to_jsonl, explain_poll, explain_sync, metric_why,
};
use crate::report::{
    EventLine, Explanation, MetricExplained, PodNow, PollExplained, SyncExplained, explanation_json, explanation_text,
};
use crate::scenario::ResolvedRun;
use crate::sim::simulate_recording;
use crate::units::{Diagnostic, SimDuration, SimTime, Span, parse_go_duration};
use std::path::Path;

/// Runs the command.
pub(super) fn run(args: &ExplainArgs) -> Result<Outcome, Failure> {
    let at = moment(&args.at)?;
    let info = run_info(&args.run_dir)?;
    if info.fixed_replicas {
        let message = "found a run with --fixed-replicas, in which nothing is decided";
        return Err(in_file(&args.run_dir, "summary.json", message).help("explain a run with autoscaling").into());
    }
    if at > info.end {
        let message = format!("found {at}, the run ended at {}", info.end);
        return Err(Diagnostic::error(None, "--at", message).into());
    }
    let recorded = read(&args.run_dir, "decisions.jsonl")?;
    let chosen = Chosen::at(as_shown(at), &decided(&args.run_dir, &recorded)?);
    let resolved = resolve_again(&args.run_dir, &info)?;
    let mut samples = Samples::for_run(&resolved, &chosen.asked);
    let record = simulate_recording(&resolved, false, &mut |row| samples.add(&row)).map_err(simulation_failure)?;
    let again = decisions_to_jsonl(&record);
    if again != recorded {
        return Err(other_decisions(&args.run_dir, &again, &recorded, "").into());
    }
    let explanation = Explainer { run: &resolved, record: &record, samples: &samples }.explain(at, &info, &chosen);
    let explanation = explanation.map_err(Failure::Internal)?;
    print(&match args.format {
        LintFormat::Text => explanation_text(&explanation),
        LintFormat::Json => explanation_json(&explanation),
    })?;
    Ok(Outcome::Fine)
}

/// A Go duration, or seconds.
fn moment(text: &str) -> Result<SimTime, Failure> {
    let seconds = || text.parse::<f64>().ok().filter(|seconds| *seconds >= 0.0 && *seconds < 1e7);
    let span = seconds().map(SimDuration::from_secs_f64).or_else(|| parse_go_duration(text).ok());
    span.map(|span| SimTime::ZERO + span).ok_or_else(|| {
        let message = format!("found {text:?}, expected a time since the run's start: 12m30s, or seconds: 750");
        Diagnostic::error(None, "--at", message).into()
    })
}

/// Times are shown to the millisecond: what is shown to happen at `at` has happened.
fn as_shown(at: SimTime) -> SimTime {
    at + SimDuration::from_micros(500)
}

/// The decisions as the file has them.
fn decided(dir: &Path, text: &str) -> Result<Vec<DecisionRecord>, Failure> {
    decisions_from_jsonl(text).map_err(|message| {
        let place = message.strip_prefix("line ").and_then(|rest| rest.split_once(": "));
        let located = place.and_then(|(line, rest)| Some((line.parse().ok()?, rest.to_owned())));
        let (line, message) = located.unwrap_or((0, message));
        // The reader of one line calls it line 1.
        let (message, column) = match message.rsplit_once(" at line 1 column ") {
            Some((text, column)) => (text.to_owned(), column.parse().unwrap_or(1)),
            None => (message, 1),
        };
        let path = dir.join("decisions.jsonl").display().to_string();
        let help = "the file is torn or not one of ours: run simulate again";
        Diagnostic::error(Span::new(path, line, column), "", message).help(help).into()
    })
}

/// Places of decisions in the file.
struct Chosen {
    sync: Option<usize>,
    poll: Option<usize>,
    next_sync: Option<usize>,
    next_poll: Option<usize>,
    /// When their queries were asked, as the file has it.
    asked: Vec<SimTime>,
}

impl Chosen {
    /// The last sync and poll at or before `at`, and the first ones after it.
    fn at(at: SimTime, decisions: &[DecisionRecord]) -> Self {
        let is_sync = |decision: &DecisionRecord| matches!(decision, DecisionRecord::HpaSync(_));
        let last = |sync: bool| decisions.iter().rposition(|own| is_sync(own) == sync && own.t() <= at);
        let next = |sync: bool| decisions.iter().position(|own| is_sync(own) == sync && own.t() > at);
        let (sync, poll) = (last(true), last(false));
        let metrics = [sync, poll].into_iter().flatten().flat_map(|index| decisions[index].metrics());
        let asked = metrics.map(|metric| metric.query_time).collect();
        Chosen { sync, poll, next_sync: next(true), next_poll: next(false), asked }
    }
}

/// What an explanation is made from.
struct Explainer<'a> {
    run: &'a ResolvedRun,
    record: &'a RunRecord,
    samples: &'a Samples,
}

impl Explainer<'_> {
    fn explain(&self, at: SimTime, info: &RunInfo, chosen: &Chosen) -> anyhow::Result<Explanation> {
        let decisions = &self.record.decisions;
        let sync = match chosen.sync.map(|index| &decisions[index]) {
            Some(DecisionRecord::HpaSync(sync)) => Some(self.sync(sync)?),
            _ => None,
        };
        let poll = match chosen.poll.map(|index| &decisions[index]) {
            Some(DecisionRecord::KedaPoll(poll)) => Some(self.poll(poll)?),
            _ => None,
        };
        let time = |index: Option<usize>| index.map(|index| decisions[index].t());
        let hpa = &self.run.kubernetes.hpa;
        let from = time(chosen.sync).max(time(chosen.poll).filter(|_| chosen.sync.is_none()));
        Ok(Explanation {
            policy: info.policy.clone(),
            scenario: info.scenario.clone(),
            seed: info.seed,
            at,
            end: info.end,
            spec_replicas: self.spec_replicas_at(as_shown(at)),
            min_replicas: hpa.min_replicas,
            max_replicas: hpa.max_replicas,
            pods: self.pods_at(as_shown(at)),
            faults: self.faults_at(as_shown(at)),
            sync,
            next_sync: time(chosen.next_sync),
            poll,
            next_poll: time(chosen.next_poll),
            since: self.events_between(from, as_shown(at)),
        })
    }

    fn sync(&self, sync: &HpaSync) -> anyhow::Result<SyncExplained> {
        let kubernetes = &self.run.kubernetes;
        let band = tolerance_band(&kubernetes.flags, &kubernetes.hpa);
        let metric = |metric| self.metric(metric, sync.t, Some((sync, band)));
        let (windows, limits) = control::from_proposal(kubernetes, &self.record.decisions, sync).unzip();
        let condition = |own: &crate::hpa::Condition| {
            let status = if own.status { "True" } else { "False" };
            format!("{} {status} {}: {}", own.kind, own.reason, own.message)
        };
        Ok(SyncExplained {
            t: sync.t,
            spec_replicas: sync.spec_replicas,
            status_replicas: sync.status_replicas,
            ready_replicas: sync.ready_replicas,
            tolerance_band: band,
            metrics: sync.metrics.iter().map(metric).collect::<anyhow::Result<_>>()?,
            metric_desired: sync.metric_desired,
            windows,
            limits,
            new_replicas: sync.new_replicas,
            rescaled: sync.rescaled,
            conditions: sync.status_conditions.iter().map(condition).collect(),
            explanation: explain_sync(sync),
        })
    }

    fn poll(&self, poll: &KedaPoll) -> anyhow::Result<PollExplained> {
        let metrics = poll.metrics.iter().map(|metric| self.metric(metric, poll.t, None));
        Ok(PollExplained {
            t: poll.t,
            metrics: metrics.collect::<anyhow::Result<_>>()?,
            active: poll.active,
            rule: poll.rule.to_owned(),
            action: poll.action.to_owned(),
            spec_replicas: poll.spec_replicas,
            new_replicas: poll.new_replicas,
            explanation: explain_poll(poll),
        })
    }

    fn metric(
        &self,
        metric: &MetricRecord,
        decided: SimTime,
        sync: Option<(&HpaSync, (f64, f64))>,
    ) -> anyhow::Result<MetricExplained> {
        let keda = self.run.keda.as_ref();
        let triggers = keda.map_or(&[][..], |keda| &keda.scaled_object.triggers);
        let trigger = triggers.iter().find(|own| *own.metric_name == *metric.trigger);
        let asked = trigger.and_then(|own| Some((own.prometheus()?, keda?.version)));
        let samples = match asked {
            Some((own, version)) => query_explained(self.run, self.samples, (own, version), metric, decided)?,
            None => None,
        };
        let modifiers = keda.and_then(|keda| keda.scaled_object.modifiers.as_ref());
        let activation = match trigger.map(|own| &own.kind) {
            Some(TriggerKind::Prometheus(own)) => Some(own.activation_threshold),
            Some(TriggerKind::KubernetesWorkload(own)) => Some(own.activation_value),
            Some(_) => None,
            None => modifiers.filter(|_| metric.trigger == COMPOSITE).map(|own| own.activation_target),
        };
        Ok(MetricExplained {
            trigger: metric.trigger.as_str().to_owned(),
            name: trigger.and_then(|own| own.name.clone()),
            kind: metric.kind.as_str().to_owned(),
            query: metric.query.as_str().to_owned(),
            query_time: metric.query_time,
            samples,
            value: metric.value,
            milli: metric.milli,
            target_milli: metric.target_milli,
            target_type: metric.target_type.as_str().to_owned(),
            // With a formula it alone is compared.
            activation: activation.filter(|_| modifiers.is_none() || metric.trigger == COMPOSITE),
            active: metric.active,
            fallback: metric.fallback,
            cached: metric.cached,
            ratio: metric.ratio,
            within_tolerance: metric.within_tolerance,
            proposal: metric.proposal,
            error: metric.error.clone(),
            why: sync.map(|(sync, band)| metric_why(metric, sync, &band.into())).unwrap_or_default(),
        })
    }

    fn spec_replicas_at(&self, at: SimTime) -> i32 {
        let written =
            self.record.events.iter().take_while(|event| event.t <= at).filter_map(|event| match event.kind {
                EventKind::Scaled { to, .. } => Some(to),
                _ => None,
            });
        written.last().unwrap_or(self.record.info.initial_replicas)
    }

    /// The pods that are there at `at`, in order of their creation.
    fn pods_at(&self, at: SimTime) -> Vec<PodNow> {
        let mut pods: Vec<PodNow> = Vec::new();
        for event in self.record.events.iter().take_while(|event| event.t <= at) {
            let EventKind::Pod { pod, state } = &event.kind else { continue };
            // A pod that serves from the start has no times of its own.
            let since = (event.t > SimTime::ZERO || *state != "routable").then_some(event.t);
            match pods.iter_mut().find(|own| own.name == *pod) {
                Some(own) => {
                    let before = std::mem::replace(&mut own.state, (*state).to_owned());
                    if let Some(t) = own.since {
                        own.history.push(EventLine { t, what: before });
                    }
                    own.since = since;
                }
                None => {
                    let state = (*state).to_owned();
                    pods.push(PodNow { name: pod.clone(), state, since, history: Vec::new() });
                }
            }
        }
        pods.retain(|pod| pod.state != "gone");
        pods
    }

    fn faults_at(&self, at: SimTime) -> Vec<String> {
        let mut open: Vec<(String, SimTime)> = Vec::new();
        for event in self.record.events.iter().take_while(|event| event.t <= at) {
            match &event.kind {
                EventKind::FaultStarted { fault, settings } => open.push((format!("{fault} {settings}"), event.t)),
                EventKind::FaultEnded { fault, settings } => {
                    let over = format!("{fault} {settings}");
                    if let Some(place) = open.iter().position(|(own, _)| *own == over) {
                        open.remove(place);
                    }
                }
                _ => {}
            }
        }
        open.into_iter().map(|(fault, since)| format!("{fault} since {since}")).collect()
    }

    /// What happened after `from` (or since the start) up to `to`.
    fn events_between(&self, from: Option<SimTime>, to: SimTime) -> Vec<EventLine> {
        // The write of the sync itself comes at its instant and is told with it; what it sets off comes later.
        let is_inside = |t: SimTime| from.is_none_or(|from| t > from) && t <= to;
        let events = self.record.events.iter().filter(|event| is_inside(event.t) && event.t > SimTime::ZERO);
        events.map(|event| EventLine { t: event.t, what: event_words(&event.kind) }).collect()
    }
}

fn event_words(kind: &EventKind) -> String {
    match kind {
        EventKind::TrafficStarted => "traffic starts".to_owned(),
        EventKind::TrafficStopped => "traffic has ended and drained".to_owned(),
        EventKind::Scaled { from, to, source, reason } => {
            let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
            format!("spec.replicas {from} -> {to} by {}{reason}", source.word())
        }
        EventKind::Pod { pod, state } => format!("pod {pod} {state}"),
        EventKind::FaultStarted { fault, settings } => format!("fault {fault} {settings} starts"),
        EventKind::FaultEnded { fault, settings } => format!("fault {fault} {settings} is over"),
        EventKind::RuleFailed { record, message } => format!("the recording rule {record} fails: {message}"),
        EventKind::RequestsFailed { pod, count, cause } => {
            let with = pod.as_ref().map(|pod| format!(" with pod {pod}")).unwrap_or_default();
            format!("{count} requests fail{with}: {cause}")
        }
    }
}

#[cfg(test)]
#[path = "explain_tests.rs"]
mod tests;
