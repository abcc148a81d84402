//! One object: read, resolved, judged.

use crate::hpa::HpaSpec;
use crate::keda::ScaledObjectSpec;
use crate::lint::check::World;
use crate::lint::resolve::{Resolved, resolve};
use crate::lint::subject::Subject;
use crate::lint::{Effective, Finding, HpaMetricReport, HpaReport, ObjectReport, queries, rules, together, verdict};
use crate::manifest::{Document, HorizontalPodAutoscaler, InferenceService, Node, ScaledObject};
use crate::scenario::generated_by_kserve;
use crate::units::{Diagnostic, Diagnostics, Judge};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// The reports that `document` gives reason to: none for kinds that are no policy, several for a service that KServe
/// generates ScaledObjects for.
pub(super) fn reports(document: &Document, world: &World<'_>) -> Vec<ObjectReport> {
    match document.kind.as_str() {
        "ScaledObject" => {
            let mut diagnostics = Diagnostics::new();
            let written = ScaledObject::read(document, &mut diagnostics);
            // The reader knows the CRD and nothing else.
            diagnostics.judged_by(Judge::ApiServer, 0);
            let mut report = head(document);
            scaled_object(&mut report, written.as_ref(), diagnostics, (Some(&document.root), world));
            vec![report]
        }
        "HorizontalPodAutoscaler" => vec![plain_hpa(document, world)],
        "InferenceService" | "LLMInferenceService" => service(document, world),
        _ => Vec::new(),
    }
}

/// A report without a judgement.
fn head(document: &Document) -> ObjectReport {
    ObjectReport {
        kind: document.kind.clone(),
        api_version: document.api_version.clone(),
        name: document.name.clone(),
        namespace: document.namespace.clone(),
        line: document.root.span.line,
        generated_by: None,
        verdict: verdict::judge(&[], false),
        hpa: None,
        effective: None,
        findings: Vec::new(),
    }
}

/// Judges a ScaledObject; `read` is what its reader said, `root` its document unless KServe generates it.
fn scaled_object(
    report: &mut ObjectReport,
    written: Option<&ScaledObject>,
    read: Diagnostics,
    (root, world): (Option<&Node>, &World<'_>),
) {
    let mut all = read.0;
    let mut query_findings = Vec::new();
    let mut resolved = Resolved::default();
    let mut query_reports = Vec::new();
    if let Some(written) = written {
        let options = world.options;
        resolved = resolve(written, options.keda, &options.flags);
        all.append(&mut resolved.diagnostics);
        all.append(&mut together::against_others(written, world));
        all.append(&mut together::resource_requests(written, world));
        (query_reports, query_findings) = queries::check(written, world);
        report.effective = resolved.spec.as_ref().map(effective);
        let paused = resolved.spec.as_ref().is_some_and(|spec| spec.annotations.paused);
        report.hpa = resolved
            .hpa
            .as_ref()
            .filter(|_| !paused)
            .map(|hpa| hpa_report(hpa_name(written), hpa, &resolved.unknown_targets));
    }
    let all = without_repetitions(all);
    report.verdict = verdict::judge(&all, resolved.hpa.is_some());
    report.verdict.queries = query_reports;
    report.findings = query_findings;
    report.findings.append(&mut findings_of(all));
    if let Some(written) = written {
        report.findings.append(&mut rules::check(&Subject::new(written, root, world)));
    }
}

/// `getHPAName` (keda `controllers/keda/hpa.go`).
fn hpa_name(written: &ScaledObject) -> String {
    let custom = written.hpa_name.as_ref().map(|own| own.value.clone()).filter(|own| !own.is_empty());
    custom.unwrap_or_else(|| format!("keda-hpa-{}", written.name.value))
}

fn hpa_report(name: String, hpa: &HpaSpec, unknown_targets: &[usize]) -> HpaReport {
    // A formula's only metric has a target of its own.
    let is_formula = hpa.metrics.len() == 1 && hpa.metrics[0].name == crate::keda::COMPOSITE;
    let metric = |(index, metric): (usize, &crate::hpa::MetricSpec)| {
        let known = is_formula || !unknown_targets.contains(&index);
        HpaMetricReport { name: metric.name.clone(), target: known.then(|| metric.target.into()) }
    };
    HpaReport {
        name,
        min_replicas: hpa.min_replicas,
        max_replicas: hpa.max_replicas,
        metrics: hpa.metrics.iter().enumerate().map(metric).collect(),
    }
}

/// What is in force (keda.md 3.4 and 4).
fn effective(spec: &ScaledObjectSpec) -> Effective {
    let cuts = spec.min_replicas == 0 || spec.idle_replicas.is_some();
    let cached = spec.triggers.iter().any(|trigger| trigger.use_cached_metrics);
    Effective {
        min_replicas: spec.min_replicas,
        max_replicas: spec.max_replicas,
        idle_replicas: spec.idle_replicas,
        can_scale_to_zero: match spec.idle_replicas {
            Some(idle) => idle == 0,
            None => spec.min_replicas == 0,
        },
        polling_interval: spec.polling_interval,
        // The failures that polls count bring the fallback sooner.
        polling_interval_acts: cuts || cached || spec.fallback.is_some(),
        cooldown_period: spec.cooldown_period,
        cooldown_period_acts: cuts,
        initial_cooldown_period: spec.initial_cooldown_period,
        paused: spec.annotations.paused,
    }
}

/// A HorizontalPodAutoscaler that its author wrote.
fn plain_hpa(document: &Document, world: &World<'_>) -> ObjectReport {
    let mut report = head(document);
    let mut diagnostics = Diagnostics::new();
    let written = HorizontalPodAutoscaler::read(document, &mut diagnostics);
    // The API server still serves v1; that it is not read is no verdict.
    if document.api_version != "autoscaling/v1" {
        diagnostics.judged_by(Judge::ApiServer, 0);
    }
    let resolved = written.map(|written| HpaSpec::from_manifest(&written, &world.options.flags));
    let (hpa, rest) = match resolved {
        Some(Ok((hpa, rest))) => (Some(hpa), rest),
        Some(Err(rest)) => (None, rest),
        None => (None, Diagnostics::new()),
    };
    diagnostics.0.extend(rest.0);
    let all = without_repetitions(diagnostics.0);
    report.verdict = verdict::judge(&all, hpa.is_some());
    report.hpa = hpa.map(|hpa| hpa_report(document.name.clone(), &hpa, &[]));
    report.findings = findings_of(all);
    report
}

/// A service, then the ScaledObjects that KServe would generate for it. What KServe itself says to the service is not
/// judged.
fn service(document: &Document, world: &World<'_>) -> Vec<ObjectReport> {
    let mut report = head(document);
    let (generated, generation) = generated_by_kserve(document);
    let mut all = Diagnostics::new();
    if document.kind == "InferenceService" {
        let _ = InferenceService::read(document, &mut all);
    }
    all.0.extend(generation.0);
    let all = without_repetitions(all.0);
    report.verdict = verdict::judge(&all, false);
    report.findings = findings_of(all);
    let mut reports = vec![report];
    for written in generated {
        let mut own = ObjectReport {
            kind: "ScaledObject".to_owned(),
            api_version: "keda.sh/v1alpha1".to_owned(),
            name: written.name.value.clone(),
            namespace: written.namespace.as_ref().map(|own| own.value.clone()),
            line: written.span.line,
            generated_by: Some((document.kind.clone(), document.name.clone())),
            ..head(document)
        };
        scaled_object(&mut own, Some(&written), Diagnostics::new(), (None, world));
        reports.push(own);
    }
    reports
}

/// The messages, each once. Of two with the same place, path and text the one with a judge is kept.
fn without_repetitions(diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut kept: Vec<Diagnostic> = Vec::with_capacity(diagnostics.len());
    let mut places = BTreeMap::new();
    for own in diagnostics {
        let place = own.span.as_ref().map(|span| (span.file.clone(), span.line, span.column));
        match places.entry((place, own.path.clone(), own.message.clone(), own.severity)) {
            Entry::Occupied(at) => {
                let other: &mut Diagnostic = &mut kept[*at.get()];
                other.judge = other.judge.or(own.judge);
            }
            Entry::Vacant(free) => {
                free.insert(kept.len());
                kept.push(own);
            }
        }
    }
    kept
}

/// The messages as findings.
fn findings_of(diagnostics: Vec<Diagnostic>) -> Vec<Finding> {
    diagnostics.into_iter().map(Finding::of).collect()
}
