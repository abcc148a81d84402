//! From the texts of a command line to a report, file by file. A broken file hides nothing of another.

use crate::hpa::ControllerFlags;
use crate::keda::KedaVersion;
use crate::lint::neighbours::Neighbours;
use crate::lint::{
    Effective, Excerpt, FileReport, Finding, LintReport, LoadStatus, ObjectReport, correspondence, object, suppress,
};
use crate::manifest::{Bundle, Document, HorizontalPodAutoscaler, Node, ScaledObject, Source, Value};
use crate::prometheus::PrometheusVersion;
use crate::scenario::generated_by_kserve;
use crate::units::{Diagnostic, Diagnostics, Severity, Span};

/// The world that the manifests are judged for.
#[derive(Clone, Debug)]
pub struct LintOptions {
    /// KEDA's release.
    pub keda: KedaVersion,
    /// The HPA controller's version and flags.
    pub flags: ControllerFlags,
    /// Whose grammar queries have.
    pub prometheus: PrometheusVersion,
    /// Report only objects of this name.
    pub name: Option<String>,
    /// Codes of rules that are not reported.
    pub ignored: Vec<&'static str>,
}

/// What the judging of one object may look at besides it.
pub(super) struct World<'a> {
    /// See there.
    pub options: &'a LintOptions,
    /// All texts.
    pub sources: &'a [Source],
    /// All documents of all files.
    pub bundle: &'a Bundle,
    /// All ScaledObjects, written or generated, that can be read, in order.
    pub scaled_objects: Vec<ScaledObject>,
    /// All plain HPAs that can be read, in order.
    pub hpas: Vec<HorizontalPodAutoscaler>,
    /// What of the other documents decides how queries are read.
    pub neighbours: Neighbours,
}

impl World<'_> {
    /// The text of the file that a place names.
    pub(super) fn text_of(&self, file: &str) -> Option<&str> {
        let source = self.sources.iter().find(|source| source.name == file)?;
        source.text.as_deref().ok()
    }
}

/// Reports on every text.
pub fn lint(sources: &[Source], options: &LintOptions) -> LintReport {
    let mut files = Vec::with_capacity(sources.len());
    let mut bundle = Bundle::default();
    for source in sources {
        let mut report = FileReport {
            file: source.name.clone(),
            load: LoadStatus::Ok,
            findings: Vec::new(),
            objects: Vec::new(),
            suppressed: Vec::new(),
        };
        let own = load(source, &mut report);
        bundle.documents.extend(own.documents.iter().cloned());
        files.push((report, own.documents));
    }
    let (scaled_objects, hpas) = autoscalers(&bundle);
    let neighbours = Neighbours::of(&bundle, options.prometheus);
    let world = World { options, sources, bundle: &bundle, scaled_objects, hpas, neighbours };
    let report = |(mut report, documents): (FileReport, Vec<Document>)| {
        let objects = documents.iter().flat_map(|document| object::reports(document, &world));
        report.objects = objects.filter(|own| is_wanted(own, options)).collect();
        finish(&mut report, &world);
        report
    };
    LintReport { files: files.into_iter().map(report).collect() }
}

/// Names the rules, shows the lines, puts the messages in order and takes out what is silenced.
fn finish(report: &mut FileReport, world: &World<'_>) {
    let complete = |findings: &mut Vec<Finding>, effective: Option<&Effective>| {
        for finding in findings.iter_mut() {
            let place = finding.diagnostic.span.clone();
            let text = place.as_ref().and_then(|span| world.text_of(&span.file));
            let named = correspondence::named(finding.clone(), text, effective);
            let shown = named.excerpt.clone().or_else(|| excerpt(text?, place.as_ref()?));
            *finding = Finding { excerpt: shown, ..named };
        }
        findings.sort_by_key(|own| {
            let rank = match own.diagnostic.severity {
                Severity::Error => 0,
                Severity::Warning => 1,
                Severity::Note => 2,
            };
            (rank, own.diagnostic.span.as_ref().map(|span| (span.line, span.column)))
        });
    };
    complete(&mut report.findings, None);
    report.objects.iter_mut().for_each(|object| complete(&mut object.findings, object.effective.as_ref()));
    let text = world.text_of(&report.file);
    suppress::silence(report, text, &world.options.ignored);
}

/// The line of a place.
fn excerpt(text: &str, place: &Span) -> Option<Excerpt> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let line = text.lines().nth(usize::try_from(place.line).ok()?.checked_sub(1)?)?;
    Some(Excerpt { line: line.to_owned(), column: place.column })
}

/// The autoscalers among the documents, each read without a word: what is wrong with one is told with it.
fn autoscalers(bundle: &Bundle) -> (Vec<ScaledObject>, Vec<HorizontalPodAutoscaler>) {
    let (mut scaled_objects, mut hpas) = (Vec::new(), Vec::new());
    let mut unread = Diagnostics::new();
    for document in &bundle.documents {
        match document.kind.as_str() {
            "ScaledObject" => scaled_objects.extend(ScaledObject::read(document, &mut unread)),
            "HorizontalPodAutoscaler" => hpas.extend(HorizontalPodAutoscaler::read(document, &mut unread)),
            "InferenceService" | "LLMInferenceService" => scaled_objects.extend(generated_by_kserve(document).0),
            _ => {}
        }
    }
    (scaled_objects, hpas)
}

fn is_wanted(object: &ObjectReport, options: &LintOptions) -> bool {
    options.name.as_ref().is_none_or(|name| *name == object.name)
}

/// The documents of one text; how it loaded goes into the report.
fn load(source: &Source, report: &mut FileReport) -> Bundle {
    let text = match &source.text {
        Ok(text) => text,
        Err(diagnostic) => {
            report.load = LoadStatus::Failed;
            report.findings.push(Finding::plain(diagnostic.clone()));
            return Bundle::default();
        }
    };
    let (bundle, diagnostics) = Bundle::readable(text, &source.name);
    if diagnostics.has_errors() {
        report.load = LoadStatus::Failed;
    }
    let empty = bundle.documents.is_empty() && bundle.skipped.is_empty() && diagnostics.0.is_empty();
    report.findings.extend(diagnostics.0.into_iter().map(Finding::plain));
    if empty {
        let place = Span::new(source.name.as_str(), 1, 1);
        let message = "there is no YAML document here";
        report.findings.push(Finding::plain(if source.named {
            report.load = LoadStatus::Failed;
            Diagnostic::error(place, "", message).help("give a file with at least one document, such as a ScaledObject")
        } else {
            Diagnostic::note(place, "", message)
        }));
    }
    for skipped in &bundle.skipped {
        let message = format!("kedasim: {} {} is passed over, its kind is not read", skipped.kind, skipped.name);
        report.findings.push(Finding::plain(Diagnostic::note(skipped.span.clone(), "", message)));
    }
    let coerced: Vec<Diagnostic> = bundle.of_kind("ScaledObject").flat_map(coerced).collect();
    if !coerced.is_empty() {
        report.load = report.load.max(LoadStatus::Coerced);
        report.findings.extend(coerced.into_iter().map(Finding::plain));
    }
    bundle
}

/// Notes on the metadata and annotations that are no strings and are read as their text.
fn coerced(document: &Document) -> Vec<Diagnostic> {
    let mut maps = Vec::new();
    if let Some(Value::Seq(triggers)) =
        document.root.get("spec").and_then(|spec| spec.get("triggers")).map(|own| &own.value)
    {
        for (index, trigger) in triggers.iter().enumerate() {
            maps.extend(trigger.get("metadata").map(|node| (format!("spec.triggers[{index}].metadata"), node)));
        }
    }
    let annotations = document.root.get("metadata").and_then(|metadata| metadata.get("annotations"));
    maps.extend(annotations.map(|node| ("metadata.annotations".to_owned(), node)));
    let mut notes = Vec::new();
    for (path, node) in maps {
        let Value::Map(entries) = &node.value else { continue };
        for (key, value) in entries {
            let Some(text) = text_of(value) else { continue };
            let message = format!("{} is read as the text {text:?}", value.describe());
            notes.push(Diagnostic::note(value.span.clone(), format!("{path}.{}", key.name), message));
        }
    }
    notes
}

/// The text of a scalar that is no string.
fn text_of(node: &Node) -> Option<String> {
    match &node.value {
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Int(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Str(_) | Value::Null | Value::Seq(_) | Value::Map(_) => None,
    }
}
