//! `faults` as written: shapes and ranges of single values with their places, no defaults.
//!
//! An item has exactly one kind as a key, beside `at` and `for`.

use crate::manifest::{Fields, Node, UnknownKeys, Value};
use crate::scenario::FaultPods;
use crate::scenario::values::{count, non_negative, positive_duration};
use crate::units::{Diagnostic, Diagnostics, Located, SimDuration, Span};

/// The kinds that are modelled, as messages list them.
pub(super) const KINDS: [&str; 5] = ["prometheusDown", "prometheusSlow", "scrapeLoss", "scrapeSlow", "kedaDown"];

/// Kinds that have a name already.
const LATER: [&str; 3] = ["podCrash", "slowPull", "gpuStockout"];

/// One item of `faults`.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultWritten {
    /// Where the item starts.
    pub span: Span,
    /// `at`: from the run's start.
    pub at: Located<SimDuration>,
    /// `for`: how long.
    pub length: Located<SimDuration>,
    /// What happens.
    pub kind: FaultKindWritten,
}

/// What happens, as written.
#[derive(Clone, Debug, PartialEq)]
pub enum FaultKindWritten {
    /// `prometheusDown: {}`.
    PrometheusDown,
    /// `prometheusSlow: {latency: 5s}`.
    PrometheusSlow {
        /// `latency`.
        latency: Located<SimDuration>,
    },
    /// `scrapeLoss: {share: 0.5, pods: all}`.
    ScrapeLoss {
        /// `share`.
        share: Option<Located<f64>>,
        /// `pods`.
        pods: Option<Located<FaultPods>>,
    },
    /// `scrapeSlow: {latency: 12s, pods: all}`.
    ScrapeSlow {
        /// `latency`.
        latency: Located<SimDuration>,
        /// `pods`.
        pods: Option<Located<FaultPods>>,
    },
    /// `kedaDown: {}`.
    KedaDown,
}

/// Reads `faults`; a wrong item has its messages and is left out.
pub(super) fn read_faults(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Vec<FaultWritten> {
    let items = fields.list("faults", diagnostics).unwrap_or_default();
    items.into_iter().filter_map(|(path, node)| read_fault(node, &path, diagnostics)).collect()
}

fn read_fault(node: &Node, path: &str, diagnostics: &mut Diagnostics) -> Option<FaultWritten> {
    let mut fields = Fields::of(node, path, diagnostics)?;
    let given: Vec<&str> = fields.keys().map(|key| key.name.as_str()).collect();
    let found: Vec<&str> = KINDS.iter().chain(&LATER).copied().filter(|kind| given.contains(kind)).collect();
    let known = |key: &&str| KINDS.contains(key) || LATER.contains(key) || matches!(*key, "at" | "for");
    let mistyped = !given.iter().all(known);
    let kind = match found.as_slice() {
        [kind] if LATER.contains(kind) => {
            let message = format!("the fault {kind} is not modelled yet");
            let help = format!("faults that are: {}", KINDS.join(", "));
            diagnostics.push(Diagnostic::error(node.span.clone(), format!("{path}.{kind}"), message).help(help));
            None
        }
        [kind] => read_kind(kind, &mut fields, diagnostics),
        // The unknown key has its own message, which names the kind that was meant.
        [] if mistyped => None,
        several => {
            let found = if several.is_empty() { "none".to_owned() } else { several.join(" and ") };
            let message = format!("found {found}, expected exactly one fault");
            let help = format!("write one of {} in each item", KINDS.join(", "));
            diagnostics.push(Diagnostic::error(node.span.clone(), path, message).help(help));
            None
        }
    };
    let at = fields.duration("at", diagnostics);
    let at = fields.required("at", at, diagnostics);
    let length = positive_duration(&mut fields, "for", diagnostics);
    let length = fields.required("for", length, diagnostics);
    // So that a mistyped kind is held against them all.
    for kind in KINDS.into_iter().chain(LATER) {
        fields.node(kind);
    }
    fields.finish(UnknownKeys::Error, diagnostics);
    Some(FaultWritten { span: node.span.clone(), at: at?, length: length?, kind: kind? })
}

fn read_kind(kind: &str, fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<FaultKindWritten> {
    let kind = KINDS.into_iter().find(|own| *own == kind)?;
    // `prometheusDown:` alone is as good as `{}`.
    let Some(node) = fields.node(kind) else { return bare(kind, fields, diagnostics) };
    let mut inner = Fields::of(node, &fields.path_of(kind), diagnostics)?;
    let before = diagnostics.0.len();
    let takes_latency = matches!(kind, "prometheusSlow" | "scrapeSlow");
    let latency = if takes_latency {
        let latency = positive_duration(&mut inner, "latency", diagnostics);
        inner.required("latency", latency, diagnostics)
    } else {
        None
    };
    let share = if kind == "scrapeLoss" { share(&mut inner, diagnostics) } else { None };
    let pods = if kind.starts_with("scrape") { pods(&mut inner, diagnostics) } else { None };
    inner.finish(UnknownKeys::Error, diagnostics);
    if diagnostics.0.len() > before {
        return None;
    }
    Some(match kind {
        "prometheusDown" => FaultKindWritten::PrometheusDown,
        "prometheusSlow" => FaultKindWritten::PrometheusSlow { latency: latency? },
        "scrapeLoss" => FaultKindWritten::ScrapeLoss { share, pods },
        "scrapeSlow" => FaultKindWritten::ScrapeSlow { latency: latency?, pods },
        _ => FaultKindWritten::KedaDown,
    })
}

/// A kind with nothing after its colon.
fn bare(kind: &str, fields: &Fields<'_>, diagnostics: &mut Diagnostics) -> Option<FaultKindWritten> {
    match kind {
        "prometheusDown" => Some(FaultKindWritten::PrometheusDown),
        "kedaDown" => Some(FaultKindWritten::KedaDown),
        "scrapeLoss" => Some(FaultKindWritten::ScrapeLoss { share: None, pods: None }),
        _ => {
            let path = format!("{}.{kind}.latency", fields.path);
            let message = "the required field latency is missing";
            diagnostics.push(Diagnostic::error(fields.span.clone(), path, message));
            None
        }
    }
}

fn share(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<Located<f64>> {
    let given = non_negative(fields, "share", diagnostics)?;
    if given.value > 0.0 && given.value <= 1.0 {
        return Some(given);
    }
    let message = format!("found {}, expected a share above 0 and at most 1", given.value);
    diagnostics.push(Diagnostic::error(given.span, fields.path_of("share"), message));
    None
}

/// `all`, `{oldest: 2}`, `{newest: 2}`.
fn pods(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<Located<FaultPods>> {
    let node = fields.node("pods")?;
    let path = fields.path_of("pods");
    if node.as_str() == Some("all") {
        return Some(Located::new(FaultPods::All, node.span.clone()));
    }
    if !matches!(node.value, Value::Map(_)) {
        let message = format!("found {}, expected all, {{oldest: N}} or {{newest: N}}", node.describe());
        diagnostics.push(Diagnostic::error(node.span.clone(), path, message));
        return None;
    }
    let mut inner = Fields::of(node, &path, diagnostics)?;
    let before = diagnostics.0.len();
    let oldest = count(&mut inner, "oldest", diagnostics).map(|given| FaultPods::Oldest(given.value));
    let newest = count(&mut inner, "newest", diagnostics).map(|given| FaultPods::Newest(given.value));
    inner.finish(UnknownKeys::Error, diagnostics);
    match (oldest, newest) {
        (Some(pods), None) | (None, Some(pods)) => Some(Located::new(pods, node.span.clone())),
        _ if diagnostics.0.len() > before => None,
        (both, _) => {
            let found = if both.is_some() { "both oldest and newest" } else { "neither oldest nor newest" };
            let message = format!("found {found}, expected one of them");
            diagnostics.push(Diagnostic::error(node.span.clone(), path, message));
            None
        }
    }
}
