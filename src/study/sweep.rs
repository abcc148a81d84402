//! A full grid over the axes of a sweep, in parallel, the same traffic for every point.
//!
//! Every point runs with the same seeds, so that points differ by what the axes change and by nothing else.

use crate::analysis::{Summary, summarize};
use crate::manifest::{Bundle, Input, Value};
use crate::scenario::{
    Overrides, ResolvedRun, SweepFile, at_reference, attach_profile, attach_traffic, replace_scenario, resolve,
};
use crate::study::many_runs::{ScaleWritten, run_many, same_as, writes_of};
use crate::traffic::{Arrivals, Trace};
use crate::units::{Diagnostic, Diagnostics, Seed, Severity};
use rayon::prelude::*;
use std::sync::{Arc, OnceLock};

/// One run of a sweep.
#[derive(Clone, Debug)]
pub struct SweepPoint {
    /// Value of each axis, as text, in the axes' order.
    pub values: Vec<String>,
    /// Seed.
    pub seed: u64,
    /// What came out.
    pub summary: Summary,
    /// Position of the first point, of this seed, of which it is proven that it had the same replicas at every instant and so the
    /// same requests; its own when there is none. Compared are the points of the same thousand runs.
    pub same_as: usize,
}

/// All runs, in grid order (first axis slowest), seeds innermost.
#[derive(Clone, Debug)]
pub struct SweepOutcome {
    /// The sweep's name.
    pub name: String,
    /// Paths of the axes.
    pub axes: Vec<String>,
    /// The runs.
    pub points: Vec<SweepPoint>,
    /// Warnings met while points were resolved, each once, in the order met, with the number of points that gave it.
    pub warnings: Vec<(Diagnostic, usize)>,
}

/// Runs `sweep` on `jobs` threads (0 = all cores). The outcome does not depend on the number of threads.
///
/// # Errors
/// The first grid point (in grid order) that does not resolve, with its axis values in the message.
pub fn run_sweep(sweep: &SweepFile, jobs: usize) -> Result<SweepOutcome, Diagnostics> {
    let policy = Bundle::load(&[Input::Path(sweep.policy.value.clone())]);
    let mut bundle = policy.map_err(|found| at_reference(found, &sweep.policy.span, "spec.policy"))?;
    if let Some(scenario) = &sweep.scenario {
        let replaced = replace_scenario(&mut bundle, &scenario.value);
        replaced.map_err(|found| at_reference(found, &scenario.span, "spec.scenario"))?;
    }
    attach_traffic(&mut bundle, &overrides(sweep))?;
    if sweep.axes.iter().any(|axis| axis.path.value.starts_with("Profile:")) {
        attach_profile(&mut bundle, &overrides(sweep))?;
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(jobs).build().map_err(|error| {
        Diagnostics::from(Diagnostic::error(None, "", format!("cannot start {jobs} threads: {error}")))
    })?;
    let (points, warnings) = pool.install(|| run_grid(sweep, &bundle))?;
    let axes = sweep.axes.iter().map(|axis| axis.path.value.clone()).collect();
    Ok(SweepOutcome { name: sweep.name.clone(), axes, points, warnings })
}

/// Points whose resolved runs are kept from the check until they run; those of a larger grid are resolved again.
const KEPT_POINTS: usize = 1000;

/// Runs (a point and a seed each) that are resolved at a time.
const RUNS_AT_A_TIME: usize = 1000;

/// The runs, and the warnings of their points.
type Grid = (Vec<SweepPoint>, Vec<(Diagnostic, usize)>);

fn run_grid(sweep: &SweepFile, bundle: &Bundle) -> Result<Grid, Diagnostics> {
    let size: usize = sweep.axes.iter().map(|axis| axis.values.len()).product();
    // A point that does not resolve is reported before any time goes into the others.
    let trace = OnceLock::new();
    let resolved = in_order((0..size).into_par_iter().map(|index| {
        let mut run = resolve_lean(sweep, bundle, index, &trace)?;
        let diagnostics = std::mem::take(&mut run.diagnostics);
        Ok((diagnostics, (size <= KEPT_POINTS).then_some(run)))
    }))?;
    let (diagnostics, runs): (Vec<Diagnostics>, Vec<Option<ResolvedRun>>) = resolved.into_iter().unzip();
    let mut points = Vec::with_capacity(size * sweep.seeds.len());
    let at_a_time = (RUNS_AT_A_TIME / sweep.seeds.len().max(1)).max(1);
    for start in (0..size).step_by(at_a_time) {
        let end = size.min(start + at_a_time);
        let block = in_order((start..end).into_par_iter().map(|index| match &runs[index] {
            Some(run) => Ok(run.clone()),
            None => resolve_lean(sweep, bundle, index, &trace),
        }))?;
        points.extend(run_block(sweep, start, &block)?);
    }
    Ok((points, distinct_warnings(diagnostics)))
}

/// The point at `index`, without what only the files of a single run tell.
fn resolve_lean(
    sweep: &SweepFile,
    bundle: &Bundle,
    index: usize,
    trace: &OnceLock<Arc<Trace>>,
) -> Result<ResolvedRun, Diagnostics> {
    let mut run = resolve_point(sweep, bundle, index)?;
    share_trace(&mut run, trace);
    run.policy_text = String::new();
    run.provenance = Vec::new();
    Ok(run)
}

/// Runs the points from `start` on, each with all seeds.
fn run_block(sweep: &SweepFile, start: usize, points: &[ResolvedRun]) -> Result<Vec<SweepPoint>, Diagnostics> {
    // Seed by seed, so that runs which may share a world stand together.
    let seeded = sweep.seeds.iter().flat_map(|seed| points.iter().map(|run| (Seed(*seed), run)));
    let runs: Vec<ResolvedRun> = seeded.map(|(seed, run)| ResolvedRun { seed, ..run.clone() }).collect();
    let point_of = |index: usize| start + index % points.len();
    let outcomes = run_many(&runs, |index, record| {
        let point = SweepPoint {
            values: values_at(sweep, point_of(index)).into_iter().map(value_text).collect(),
            seed: runs[index].seed.0,
            summary: summarize(record, &runs[index].analysis),
            same_as: 0,
        };
        (point, writes_of(record))
    });
    let writes: Vec<&[ScaleWritten]> =
        outcomes.iter().map(|own| own.as_ref().map_or(&[][..], |(_, writes)| writes.as_slice())).collect();
    let same_as = same_as(&runs, &writes);
    let seeds = sweep.seeds.len();
    let place = |index: usize| point_of(index) * seeds + index / points.len();
    let mut placed: Vec<(usize, Result<SweepPoint, Diagnostics>)> = Vec::with_capacity(outcomes.len());
    for (index, outcome) in outcomes.into_iter().enumerate() {
        let outcome = outcome.map(|(point, _)| SweepPoint { same_as: place(same_as[index]), ..point });
        placed.push((
            place(index),
            outcome.map_err(|error| {
                let message = format!("seed {}: {error}", runs[index].seed.0);
                at_point(sweep, &values_at(sweep, point_of(index)), Diagnostic::error(None, "", message).into())
            }),
        ));
    }
    placed.sort_by_key(|(place, _)| *place);
    placed.into_iter().map(|(_, outcome)| outcome).collect()
}

/// The points' recorded trace is one and the same as a rule: it is kept once.
fn share_trace(run: &mut ResolvedRun, first: &OnceLock<Arc<Trace>>) {
    for source in &mut run.traffic {
        if let Arrivals::Recorded(own) = &mut source.arrivals {
            let first = first.get_or_init(|| Arc::clone(own));
            if own == first {
                *own = Arc::clone(first);
            }
        }
    }
}

/// Each warning once, with the number of points that gave it.
fn distinct_warnings(points: Vec<Diagnostics>) -> Vec<(Diagnostic, usize)> {
    let mut distinct: Vec<(Diagnostic, usize)> = Vec::new();
    for found in points {
        let mut own: Vec<Diagnostic> = Vec::new();
        for warning in found.0.into_iter().filter(|found| found.severity == Severity::Warning) {
            if !own.contains(&warning) {
                own.push(warning);
            }
        }
        for warning in own {
            match distinct.iter_mut().find(|(known, _)| *known == warning) {
                Some((_, points)) => *points += 1,
                None => distinct.push((warning, 1)),
            }
        }
    }
    distinct
}

/// What a sweep file gives on top of the bundle.
fn overrides(sweep: &SweepFile) -> Overrides {
    let signals = sweep.signals.as_ref().map(|signals| signals.value.clone());
    Overrides { signals, ..Overrides::default() }
}

/// Messages about the whole signals file stand where the sweep names it, not at a flag that nobody typed.
fn at_signals(sweep: &SweepFile, mut found: Diagnostics) -> Diagnostics {
    let Some(signals) = &sweep.signals else { return found };
    for diagnostic in &mut found.0 {
        if diagnostic.span.as_ref().is_some_and(|span| span.line == 0 && &*span.file == "--signals") {
            diagnostic.span = Some(signals.span.clone());
            diagnostic.path = "spec.signals".to_owned();
        }
    }
    found
}

/// All values, or the error of the lowest index.
fn in_order<T: Send>(
    results: impl IndexedParallelIterator<Item = Result<T, Diagnostics>>,
) -> Result<Vec<T>, Diagnostics> {
    let collected: Vec<Result<T, Diagnostics>> = results.collect();
    collected.into_iter().collect()
}

/// Values of the axes at a point: the first axis is the slowest.
fn values_at(sweep: &SweepFile, mut index: usize) -> Vec<&Value> {
    let mut values = Vec::with_capacity(sweep.axes.len());
    for axis in sweep.axes.iter().rev() {
        values.push(&axis.values[index % axis.values.len()]);
        index /= axis.values.len();
    }
    values.reverse();
    values
}

fn resolve_point(sweep: &SweepFile, bundle: &Bundle, index: usize) -> Result<ResolvedRun, Diagnostics> {
    let mut bundle = bundle.clone();
    let values = values_at(sweep, index);
    for (axis, value) in sweep.axes.iter().zip(&values) {
        let set = bundle.set_at(&axis.path.value, (*value).clone(), &axis.path.span);
        set.map_err(|diagnostic| named_axes(sweep, diagnostic.into()))?;
    }
    let mut run = resolve(&bundle, &overrides(sweep)).map_err(|found| {
        let found = named_axes(sweep, at_point(sweep, &values, found));
        at_signals(sweep, found)
    })?;
    if run.replications > 1 {
        let message = "a sweep runs with its own seeds, not with the Scenario's replications";
        run.diagnostics.push(Diagnostic::warning(None, "Scenario:spec.replications", message).help("give seeds: N"));
    }
    // What the API server would only warn of is surely not what the author of an axis meant.
    let is_axis = |found: &&Diagnostic| {
        sweep.axes.iter().any(|axis| found.span.as_ref() == Some(&axis.path.span))
            && found.message.starts_with("unknown key")
    };
    if let Some(unknown) = run.diagnostics.0.iter().find(is_axis) {
        let unknown = Diagnostic { severity: Severity::Error, ..unknown.clone() };
        return Err(named_axes(sweep, unknown.into()));
    }
    Ok(run)
}

/// Messages that stand at an axis name it.
fn named_axes(sweep: &SweepFile, mut found: Diagnostics) -> Diagnostics {
    for diagnostic in &mut found.0 {
        let axis = sweep.axes.iter().find(|axis| diagnostic.span.as_ref() == Some(&axis.path.span));
        if let Some(axis) = axis {
            diagnostic.path = format!("axis {}", axis.path.value);
        }
    }
    found
}

/// The errors of `found`, each saying at which point.
fn at_point(sweep: &SweepFile, values: &[&Value], found: Diagnostics) -> Diagnostics {
    let shown: Vec<String> = sweep
        .axes
        .iter()
        .zip(values)
        .map(|(axis, value)| format!("{}={}", axis.path.value, value_text(value)))
        .collect();
    let errors = found.0.into_iter().filter(|diagnostic| diagnostic.severity == Severity::Error);
    Diagnostics(
        errors
            .map(|mut diagnostic| {
                diagnostic.message = format!("at the sweep's point {}: {}", shown.join(", "), diagnostic.message);
                diagnostic
            })
            .collect(),
    )
}

/// A value as it stands in tables and on axes.
fn value_text(value: &Value) -> String {
    match value {
        Value::Str(text) => text.clone(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        // The reader lets only scalars through.
        Value::Null | Value::Seq(_) | Value::Map(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::SweepAxis;
    use crate::units::{Located, Span};
    use std::path::PathBuf;

    fn sweep() -> SweepFile {
        let axis = |path: &str, values: &[i64]| SweepAxis {
            path: Located::new(path.to_owned(), Span::new("s.yaml", 5, 3)),
            values: values.iter().map(|value| Value::Int(*value)).collect(),
        };
        SweepFile {
            name: "s".to_owned(),
            policy: Located::new(PathBuf::from("p"), Span::new("s.yaml", 3, 3)),
            scenario: None,
            signals: None,
            axes: vec![axis("a", &[1, 2]), axis("b", &[10, 20, 30])],
            seeds: vec![1],
            heatmap: None,
        }
    }

    #[test]
    fn the_first_axis_is_the_slowest() {
        let sweep = sweep();
        let texts: Vec<String> = (0..6)
            .map(|index| values_at(&sweep, index).into_iter().map(value_text).collect::<Vec<_>>().join("/"))
            .collect();
        assert_eq!(texts, ["1/10", "1/20", "1/30", "2/10", "2/20", "2/30"]);
    }

    #[test]
    fn an_error_names_its_point_and_notes_are_dropped() {
        let sweep = sweep();
        let mut found = Diagnostics::from(Diagnostic::note(None, "", "by the way"));
        found.push(Diagnostic::error(None, "spec.x", "is wrong"));
        let told = at_point(&sweep, &values_at(&sweep, 4), found);
        assert_eq!(told.to_string(), "error: spec.x: at the sweep's point a=2, b=20: is wrong");
    }

    #[test]
    fn a_warning_of_many_points_is_told_once() {
        let warning = |path: &str| Diagnostic::warning(None, path, "is odd");
        let point = |paths: &[&str]| Diagnostics(paths.iter().map(|path| warning(path)).collect());
        let mut noted = point(&["b", "b"]);
        noted.push(Diagnostic::note(None, "", "by the way"));
        let distinct = distinct_warnings(vec![point(&["a", "b"]), noted, point(&["c", "b"])]);
        assert_eq!(distinct, [(warning("a"), 1), (warning("b"), 3), (warning("c"), 1)]);
    }

    #[test]
    fn the_lowest_index_wins_among_errors() {
        let results = (0..8usize).into_par_iter().map(|index| {
            if index >= 3 { Err(Diagnostic::error(None, "", index.to_string()).into()) } else { Ok(index) }
        });
        let error = in_order(results).expect_err("index 3 and later fail");
        assert_eq!(error.to_string(), "error: 3");
    }
}
