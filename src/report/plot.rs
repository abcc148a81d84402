//! The timeline of a run: panels on one time axis, from the files that the run leaves and nothing else.

use crate::record::{RunInfo, Timeline, TimelineRow, TriggerInfo};
use crate::report::bitmap;
use crate::report::canvas::{self, Area, Joints, Picture, drawing, palette, shortened, write_text};
use crate::report::text::{number, run_names};
use crate::report::ticks::Axis;
use crate::report::{svg, ticks};
use crate::units::math;
use plotters::element::{Drawable, PointCollection};
use plotters::prelude::*;
use plotters_backend::{BackendCoord, DrawingErrorKind};
use std::ops::Range;

const WIDTH: u32 = 1200;
const TITLE_HEIGHT: u32 = 40;
const PANEL_HEIGHT: u32 = 148;
const AXIS_HEIGHT: u32 = 40;
const LEFT: u32 = 76;
/// Left edge of the data.
const DATA_LEFT: i32 = 8 + LEFT as i32;
const RIGHT: u32 = 28;
/// Points of a line beyond which it is thinned to its extremes: four for every two columns of pixels, as wide as a line is
/// drawn (the extremes of a column show all that its points show: Jugel and others, "M4: A Visualization-Oriented Time Series
/// Data Aggregation", 2014).
const MAX_POINTS: usize = 2 * (WIDTH - LEFT - RIGHT) as usize;
/// Lines at multiples of a threshold.
const MAX_STEPS: u32 = 12;

/// A run's timeline as a picture.
pub struct TimelinePlot {
    title: String,
    /// End of the time axis and of the warm-up, in `unit`s.
    end: f64,
    warmup: f64,
    unit: TimeUnit,
    panels: Vec<Panel>,
}

#[derive(Clone, Copy)]
struct TimeUnit {
    name: &'static str,
    seconds: f64,
}

impl TimeUnit {
    fn for_run(seconds: f64) -> Self {
        match seconds {
            s if s <= 600.0 => TimeUnit { name: "s", seconds: 1.0 },
            s if s <= 4.0 * 3600.0 => TimeUnit { name: "min", seconds: 60.0 },
            s if s <= 4.0 * 86_400.0 => TimeUnit { name: "h", seconds: 3600.0 },
            _ => TimeUnit { name: "d", seconds: 86_400.0 },
        }
    }
}

struct Panel {
    title: String,
    axis: &'static str,
    scale: Scale,
    lines: Vec<Line>,
    /// Light horizontal lines.
    levels: Vec<f64>,
}

#[derive(Clone, Copy, PartialEq)]
enum Scale {
    Linear,
    /// Whole numbers only.
    Count,
    /// Values are drawn as their logarithm.
    Log,
}

struct Line {
    label: String,
    color: RGBColor,
    dashed: bool,
    width: u32,
    /// Unbroken runs of points, (time in units, value).
    runs: Vec<Vec<(f64, f64)>>,
}

impl TimelinePlot {
    /// The picture of a run; `timeline`'s rows have one pair per trigger of `info`.
    pub fn new(info: &RunInfo, timeline: &Timeline) -> Self {
        let seconds = info.end.as_secs_f64().max(1.0);
        let unit = TimeUnit::for_run(seconds);
        let rows = Rows { rows: &timeline.rows, unit };
        let mut panels = vec![offered_panel(&rows)];
        panels.extend((0..info.triggers.len()).map(|index| trigger_panel(&rows, info, index)));
        panels.extend([replicas_panel(&rows, info), ttft_panel(&rows), engine_panel(&rows), kv_panel(&rows)]);
        let warmup = info.warmup.as_secs_f64() / unit.seconds;
        let shaded = if warmup > 0.0 { " (grey: warm-up)" } else { "" };
        TimelinePlot {
            title: format!("{}{shaded}", run_names(info).join(" \u{2014} ")),
            end: seconds / unit.seconds,
            warmup,
            unit,
            panels,
        }
    }

    /// As SVG.
    ///
    /// # Errors
    /// What the drawing library could not do.
    pub fn svg(&self) -> Result<String, String> {
        svg::to_svg(self)
    }

    /// As PNG.
    ///
    /// # Errors
    /// What the drawing library could not do.
    pub fn png(&self) -> Result<Vec<u8>, String> {
        bitmap::to_png(self)
    }
}

/// Rows with the time in units of the axis.
struct Rows<'a> {
    rows: &'a [TimelineRow],
    unit: TimeUnit,
}

impl Rows<'_> {
    fn line(&self, label: &str, color: RGBColor, value: impl Fn(&TimelineRow) -> Option<f64>) -> Line {
        let points = self.rows.iter().map(|row| (row.t.as_secs_f64() / self.unit.seconds, value(row)));
        let runs = runs(points).iter().map(|run| thinned(run)).collect();
        Line { label: label.to_owned(), color, dashed: false, width: 2, runs }
    }

    /// As [`Rows::line`], holding each value until the next row.
    fn steps(&self, label: &str, color: RGBColor, value: impl Fn(&TimelineRow) -> Option<f64>) -> Line {
        let mut line = self.line(label, color, value);
        for run in &mut line.runs {
            *run = as_steps(run);
        }
        line
    }

    /// Means over whole minutes (or over a row, where rows are further apart) of a figure that each row gives for the time
    /// since the row before. Single requests would otherwise look like a load that comes and goes.
    fn bars(&self, label: &str, color: RGBColor, value: impl Fn(&TimelineRow) -> f64) -> Line {
        let [first, second, ..] = self.rows else { return self.line(label, color, |row| Some(value(row))) };
        let step = second.t.saturating_since(first.t).as_secs_f64();
        let per_bar = if step > 0.0 { (60.0 / step).max(1.0) as usize } else { 1 };
        let mut points = Vec::new();
        let mut start = first.t;
        // The first row stands at the start of the run and covers no time.
        for chunk in self.rows[1..].chunks(per_bar) {
            let mean = chunk.iter().map(&value).sum::<f64>() / chunk.len() as f64;
            let end = chunk.last().expect("chunks are not empty").t;
            points.extend([start, end].map(|t| (t.as_secs_f64() / self.unit.seconds, mean)));
            start = end;
        }
        Line { label: label.to_owned(), color, dashed: false, width: 2, runs: vec![thinned(&points)] }
    }
}

/// Unbroken runs of finite values.
fn runs(points: impl Iterator<Item = (f64, Option<f64>)>) -> Vec<Vec<(f64, f64)>> {
    let mut runs = vec![Vec::new()];
    for (t, value) in points {
        match value.filter(|value| value.is_finite()) {
            Some(value) => runs.last_mut().expect("never empty").push((t, value)),
            None if runs.last().is_some_and(|run| !run.is_empty()) => runs.push(Vec::new()),
            None => {}
        }
    }
    runs.retain(|run| !run.is_empty());
    runs
}

/// First, least, greatest and last point of each stretch, so that no peak is lost.
fn thinned(run: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if run.len() <= MAX_POINTS {
        return run.to_vec();
    }
    let stretch = run.len().div_ceil(MAX_POINTS / 4);
    let mut kept = Vec::with_capacity(MAX_POINTS);
    for part in run.chunks(stretch) {
        let by_value = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
        let extremes = [part.first(), part.iter().min_by(by_value), part.iter().max_by(by_value), part.last()];
        let mut extremes: Vec<(f64, f64)> = extremes.into_iter().flatten().copied().collect();
        extremes.sort_by(|a, b| a.0.total_cmp(&b.0));
        extremes.dedup();
        kept.extend(extremes);
    }
    kept
}

fn as_steps(run: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut steps: Vec<(f64, f64)> = Vec::new();
    for (index, &(t, value)) in run.iter().enumerate() {
        let Some(&(_, before)) = steps.last() else {
            steps.push((t, value));
            continue;
        };
        if before != value {
            steps.extend([(t, before), (t, value)]);
        } else if index + 1 == run.len() {
            steps.push((t, value));
        }
    }
    steps
}

fn panel(title: &str, axis: &'static str, scale: Scale, lines: Vec<Line>) -> Panel {
    Panel { title: title.to_owned(), axis, scale, lines, levels: Vec::new() }
}

fn offered_panel(rows: &Rows) -> Panel {
    let line = rows.bars("requests sent, mean of each minute", palette::BLUE, |row| row.offered_rps);
    panel("offered load", "requests/s", Scale::Linear, vec![line])
}

/// What the HPA compares a trigger's value with.
#[derive(Clone, Copy, PartialEq)]
enum Limit {
    /// A total with the threshold per replica.
    PerReplica,
    /// The value as it is, with the threshold.
    Plain,
    /// An average over pods, with the target of each.
    PerPod,
    /// An average over pods in percent of the request.
    Utilization,
    /// Nothing: the value only enters a formula.
    Input,
}

impl Limit {
    fn of(info: &RunInfo, trigger: &TriggerInfo) -> Self {
        let has_formula = info.triggers.iter().any(|own| own.kind == "composite");
        let per_pod = matches!(trigger.kind.as_str(), "cpu" | "memory" | "pods");
        match trigger.target_type.as_str() {
            "Utilization" => Limit::Utilization,
            _ if per_pod => Limit::PerPod,
            // cpu and memory stand beside a formula, all others go into it.
            _ if has_formula && trigger.kind != "composite" => Limit::Input,
            "AverageValue" => Limit::PerReplica,
            _ => Limit::Plain,
        }
    }

    fn label(self) -> &'static str {
        match self {
            Limit::PerReplica => "threshold \u{d7} spec.replicas",
            Limit::Plain => "threshold",
            Limit::PerPod => "target per pod",
            Limit::Utilization => "target, % of the request",
            Limit::Input => "",
        }
    }
}

fn trigger_panel(rows: &Rows, info: &RunInfo, index: usize) -> Panel {
    let trigger = &info.triggers[index];
    let limit = Limit::of(info, trigger);
    let label = match limit {
        Limit::Input => "value, an input of the formula",
        Limit::PerPod | Limit::Utilization => "value, mean over pods",
        Limit::PerReplica | Limit::Plain => "value",
    };
    let value = rows.line(label, palette::BLUE, |row| row.triggers.get(index).and_then(|(value, _)| *value));
    let threshold = |row: &TimelineRow| {
        let factor = if limit == Limit::PerReplica { f64::from(row.spec_replicas) } else { 1.0 };
        row.triggers.get(index).map(|(_, threshold)| *threshold * factor)
    };
    let mut lines = vec![value];
    if limit != Limit::Input {
        let mut limit = rows.steps(limit.label(), palette::ORANGE, threshold);
        limit.dashed = true;
        lines.insert(0, limit);
    }
    let query = match &trigger.signal {
        Some(signal) => format!("signal given by the user, {signal}"),
        None => trigger.query.clone(),
    };
    let title = format!("{}: {}", trigger.name, shortened(&query, 72));
    let axis = if limit == Limit::Utilization { "percent" } else { "value" };
    let mut panel = panel(&title, axis, Scale::Linear, lines);
    let top = panel.top();
    if limit == Limit::PerReplica && trigger.threshold > 0.0 && top / trigger.threshold <= f64::from(MAX_STEPS) {
        let steps = (1..=MAX_STEPS).map(|n| f64::from(n) * trigger.threshold);
        panel.levels = steps.take_while(|level| *level <= top).collect();
    }
    panel
}

fn replicas_panel(rows: &Rows, info: &RunInfo) -> Panel {
    let ready = rows.steps("ready", palette::GREEN, |row| Some(f64::from(row.ready_replicas)));
    let mut spec = rows.steps("spec.replicas (desired)", palette::ORANGE, |row| Some(f64::from(row.spec_replicas)));
    spec.dashed = true;
    let title = if info.fixed_replicas {
        "replicas (autoscaling off)".to_owned()
    } else {
        format!("replicas ({}..{} allowed)", info.min_replicas, info.max_replicas)
    };
    panel(&title, "replicas", Scale::Count, vec![ready, spec])
}

fn ttft_panel(rows: &Rows) -> Panel {
    let seen = || rows.rows.iter().filter_map(|row| row.ttft_p95).filter(|value| *value > 0.0 && value.is_finite());
    let spread = seen().fold(0.0, f64::max) / seen().fold(f64::INFINITY, f64::min);
    if spread > 20.0 {
        let line = rows.line("p95 of each sample", palette::PURPLE, |row| {
            row.ttft_p95.filter(|value| *value > 0.0).map(math::log10)
        });
        return panel("time to first token, log scale", "seconds", Scale::Log, vec![line]);
    }
    let line = rows.line("p95 of each sample", palette::PURPLE, |row| row.ttft_p95);
    panel("time to first token", "seconds", Scale::Linear, vec![line])
}

fn engine_panel(rows: &Rows) -> Panel {
    let running = rows.line("running", palette::GREEN, |row| Some(row.running as f64));
    let waiting = rows.line("waiting", palette::ORANGE, |row| Some(row.waiting as f64));
    panel("requests in the engines", "requests", Scale::Count, vec![running, waiting])
}

fn kv_panel(rows: &Rows) -> Panel {
    let line = rows.line("mean over serving pods", palette::BLUE, |row| Some(100.0 * row.kv_usage));
    panel("KV cache use", "percent", Scale::Linear, vec![line])
}

impl Panel {
    fn values(&self) -> impl Iterator<Item = f64> {
        self.lines.iter().flat_map(|line| line.runs.iter().flatten().map(|(_, value)| *value))
    }

    /// Largest value with some air above it.
    fn top(&self) -> f64 {
        let largest = self.values().fold(0.0, f64::max);
        match self.scale {
            Scale::Count => (largest * 1.08).max(largest + 0.3).max(1.3),
            _ if largest > 0.0 => largest * 1.08,
            _ => 1.0,
        }
    }

    fn range(&self) -> Range<f64> {
        if self.scale == Scale::Log {
            let low = self.values().fold(f64::INFINITY, f64::min);
            let high = self.values().fold(f64::NEG_INFINITY, f64::max);
            return (low - 0.1)..(high + 0.1);
        }
        self.values().fold(0.0, f64::min)..self.top()
    }

    fn ticks(&self, range: &Range<f64>) -> Vec<f64> {
        match self.scale {
            Scale::Linear => ticks::linear(range, 5, false),
            Scale::Count => ticks::linear(range, 5, true),
            Scale::Log => ticks::logarithmic(range, 6),
        }
    }

    fn label(&self, value: f64) -> String {
        number(if self.scale == Scale::Log { math::pow(10.0, value) } else { value })
    }
}

impl Picture for TimelinePlot {
    fn size(&self) -> (u32, u32) {
        let panels = u32::try_from(self.panels.len()).expect("a handful of panels");
        (WIDTH, TITLE_HEIGHT + panels * PANEL_HEIGHT + AXIS_HEIGHT)
    }

    /// The title, then the panels.
    fn parts(&self) -> Vec<Range<u32>> {
        let panels = u32::try_from(self.panels.len()).expect("a handful of panels");
        let panel = |number: u32| {
            let top = TITLE_HEIGHT + number * PANEL_HEIGHT;
            top..top + PANEL_HEIGHT + if number + 1 == panels { AXIS_HEIGHT } else { 0 }
        };
        std::iter::once(0..TITLE_HEIGHT).chain((0..panels).map(panel)).collect()
    }

    fn draw_part<DB: DrawingBackend>(&self, part: usize, area: &Area<DB>, joints: Joints) -> Result<(), String> {
        let rows = &self.parts()[part];
        let (_, from_here) = area.split_vertically(rows.start);
        let (own, _) = from_here.split_vertically(rows.end - rows.start);
        match part.checked_sub(1) {
            None => write_text(&own, &shortened(&self.title, 110), 20, palette::INK, (16, 22)).map(|_| ()),
            Some(index) => self.draw_panel(&own, &self.panels[index], index + 1 == self.panels.len(), joints),
        }
    }
}

impl TimelinePlot {
    fn draw_panel<DB: DrawingBackend>(
        &self,
        area: &Area<DB>,
        panel: &Panel,
        is_last: bool,
        joints: Joints,
    ) -> Result<(), String> {
        let (caption, body) = area.split_vertically(24);
        draw_caption(&caption, panel)?;
        let range = panel.range();
        let mut chart = ChartBuilder::on(&body)
            .margin_right(RIGHT)
            .margin_left(8)
            .margin_top(4)
            .margin_bottom(6)
            .set_label_area_size(LabelAreaPosition::Left, LEFT)
            .set_label_area_size(LabelAreaPosition::Bottom, if is_last { AXIS_HEIGHT } else { 0 })
            .build_cartesian_2d(
                Axis { range: 0.0..self.end, marks: ticks::time(self.end, 14, self.unit.seconds < 3600.0) },
                Axis { range: range.clone(), marks: panel.ticks(&range) },
            )
            .map_err(drawing)?;
        if self.warmup > 0.0 {
            let corners = [(0.0, range.start), (self.warmup.min(self.end), range.end)];
            chart.draw_series([Rectangle::new(corners, palette::SHADE.filled())]).map_err(drawing)?;
        }
        let x_label = format!("time, {}", self.unit.name);
        let x_tick = |value: &f64| number(*value);
        let y_tick = |value: &f64| panel.label(*value);
        let mut mesh = chart.configure_mesh();
        mesh.light_line_style(TRANSPARENT)
            .bold_line_style(palette::GRID)
            .axis_style(palette::MUTED)
            .label_style(canvas::style(14, palette::INK))
            .axis_desc_style(canvas::style(14, palette::INK))
            .x_label_formatter(&x_tick)
            .y_label_formatter(&y_tick)
            .y_desc(panel.axis);
        if is_last {
            mesh.x_desc(x_label.as_str());
        }
        mesh.draw().map_err(drawing)?;
        for level in &panel.levels {
            let line = PathElement::new([(0.0, *level), (self.end, *level)], palette::ORANGE.mix(0.3));
            chart.draw_series([line]).map_err(drawing)?;
        }
        for line in &panel.lines {
            let style = ShapeStyle::from(line.color).stroke_width(line.width);
            for run in &line.runs {
                if line.dashed {
                    let dashes = DashedLineSeries::new(run.iter().copied(), 7, 4, style);
                    chart.draw_series(dashes).map_err(drawing)?;
                } else if let [point] = run.as_slice() {
                    // A lone sample between two gaps has no line.
                    chart.draw_series([Circle::new(*point, 2, line.color.filled())]).map_err(drawing)?;
                } else if joints == Joints::Apart {
                    chart.plotting_area().draw(&Segments { points: run, style }).map_err(drawing)?;
                } else {
                    chart.draw_series(LineSeries::new(run.iter().copied(), style)).map_err(drawing)?;
                }
            }
        }
        Ok(())
    }
}

/// A line segment by segment, so that none is joined to the next.
struct Segments<'a> {
    points: &'a [(f64, f64)],
    style: ShapeStyle,
}

impl<'a> PointCollection<'a, (f64, f64)> for &'a Segments<'_> {
    type Point = &'a (f64, f64);
    type IntoIter = std::slice::Iter<'a, (f64, f64)>;

    fn point_iter(self) -> Self::IntoIter {
        self.points.iter()
    }
}

impl<DB: DrawingBackend> Drawable<DB> for Segments<'_> {
    fn draw<I: Iterator<Item = BackendCoord>>(
        &self,
        points: I,
        backend: &mut DB,
        _: (u32, u32),
    ) -> Result<(), DrawingErrorKind<DB::ErrorType>> {
        let mut before = None;
        for to in points {
            // Many samples fall on the same pixel.
            if let Some(from) = before.filter(|from| *from != to) {
                backend.draw_path([from, to], &self.style)?;
            }
            before = Some(to);
        }
        Ok(())
    }
}

/// Title at the left, then a swatch and a label per line.
fn draw_caption<DB: DrawingBackend>(area: &Area<DB>, panel: &Panel) -> Result<(), String> {
    let mut x = write_text(area, &panel.title, 16, palette::INK, (DATA_LEFT, 14))? + 24;
    for line in &panel.lines {
        let swatches: &[(i32, i32)] = if line.dashed { &[(0, 9), (13, 22)] } else { &[(0, 22)] };
        for (from, to) in swatches {
            let style = ShapeStyle::from(line.color).stroke_width(line.width);
            area.draw(&PathElement::new([(x + from, 14), (x + to, 14)], style)).map_err(drawing)?;
        }
        x = write_text(area, &line.label, 14, palette::MUTED, (x + 28, 14))? + 20;
    }
    Ok(())
}
