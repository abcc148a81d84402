//! The heatmap of a sweep: two axes, the mean over all runs of a cell printed in it.

use crate::report::ResultsTable;
use crate::report::canvas::{Area, Joints, Picture, centred, drawing, palette, shortened, write_text};
use crate::report::text::number;
use crate::report::{bitmap, svg};
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;
use std::ops::Range;

/// What a heatmap shows: paths of the two axes and the name of a figure.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeatmapSpec {
    /// Axis to the right.
    pub x: String,
    /// Axis upwards; the same as `x` draws a single row.
    pub y: String,
    /// Figure, as `ResultsTable::figure` takes it.
    pub value: String,
}

impl HeatmapSpec {
    /// The first two axes (one when there is no second) and flaps per hour.
    ///
    /// # Errors
    /// When the sweep has no axis.
    pub fn default_for(axes: &[String]) -> Result<Self, String> {
        let x = axes.first().ok_or("the sweep has no axis, so there is nothing to draw")?;
        let y = axes.get(1).unwrap_or(x);
        Ok(HeatmapSpec { x: x.clone(), y: y.clone(), value: "flapsPerHour".to_owned() })
    }
}

/// A heatmap as a picture.
pub struct Heatmap {
    title: String,
    figure: String,
    note: String,
    x_name: String,
    y_name: Option<String>,
    x_values: Vec<String>,
    y_values: Vec<String>,
    /// Row by row from the bottom; `None` without a measured value.
    cells: Vec<Vec<Option<f64>>>,
}

const AXIS_HEIGHT: i32 = 62;
const CELL_HEIGHT: i32 = 48;
/// Below this a title would be broken at every other word.
const LEAST_WIDTH: i32 = 480;
/// Last parts of paths that say nothing without the part before them.
const VAGUE: [&str; 17] = [
    "stabilizationWindowSeconds",
    "tolerance",
    "selectPolicy",
    "policies",
    "value",
    "periodSeconds",
    "type",
    "rate",
    "max",
    "min",
    "mean",
    "constant",
    "sigma",
    "cv",
    "p50",
    "p95",
    "metadata",
];

impl Heatmap {
    /// The heatmap of a sweep's results.
    ///
    /// # Errors
    /// An axis or figure that the results do not have.
    pub fn new(name: &str, table: &ResultsTable, spec: &HeatmapSpec) -> Result<Self, String> {
        let axis = |path: &str| {
            let found = table.axes.iter().position(|axis| axis == path);
            found.ok_or_else(|| format!("found axis {path:?}, expected one of {}", table.axes.join(", ")))
        };
        let (x, y) = (axis(&spec.x)?, axis(&spec.y)?);
        let figure = table.figure(&spec.value)?;
        let x_values = distinct(table.rows.iter().map(|row| &row.values[x]));
        let one_axis = x == y;
        let y_values =
            if one_axis { vec![String::new()] } else { distinct(table.rows.iter().map(|row| &row.values[y])) };
        let cell = |x_value: &String, y_value: &String| {
            let rows =
                table.rows.iter().filter(|row| row.values[x] == *x_value && (one_axis || row.values[y] == *y_value));
            // An infinite percentile has no colour.
            mean(rows.filter_map(|row| row.figures[figure])).filter(|mean| mean.is_finite())
        };
        let cells =
            y_values.iter().map(|y_value| x_values.iter().map(|x_value| cell(x_value, y_value)).collect()).collect();
        let names = short_names(&table.axes);
        Ok(Heatmap {
            title: name.to_owned(),
            figure: table.figures[figure].clone(),
            note: note(table, &names, (x, y), x_values.len() * y_values.len()),
            x_name: names[x].clone(),
            y_name: (!one_axis).then(|| names[y].clone()),
            x_values,
            y_values,
            cells,
        })
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

    fn cell_width(&self) -> i32 {
        let widest = self.x_values.iter().map(|value| value.chars().count()).max().unwrap_or(1);
        i32::try_from(widest.min(16) * 9 + 16).unwrap_or(160).max(76)
    }

    fn left(&self) -> i32 {
        let widest = self.y_values.iter().map(|value| value.chars().count()).max().unwrap_or(0);
        i32::try_from(widest.min(20) * 8 + 62).unwrap_or(220)
    }

    /// What stands right of the grid: the colour bar and its words.
    fn right(&self) -> i32 {
        let widest = self.figure.chars().count().max(8);
        i32::try_from(widest.min(60) * 8 + 40).unwrap_or(520).max(130)
    }

    /// Lines above the grid: size, colour, text and where they stand; and where the grid begins.
    fn header(&self) -> (Vec<(u32, RGBColor, String, i32)>, i32) {
        let room = self.width() - 32;
        let mut lines = Vec::new();
        let mut y = 22;
        let blocks = [
            (20, 11, 26, palette::INK, &self.title),
            (16, 10, 22, palette::INK, &self.figure),
            (14, 8, 20, palette::MUTED, &self.note),
        ];
        for (size, letter, height, color, text) in blocks {
            for line in wrapped(text, usize::try_from(room / letter).unwrap_or(1)) {
                lines.push((size, color, line, y));
                y += height;
            }
        }
        (lines, y + 30)
    }

    fn width(&self) -> i32 {
        let names = [Some(&self.x_name), self.y_name.as_ref()];
        let longest = names.into_iter().flatten().map(|name| name.chars().count()).max().unwrap_or(0);
        let names = i32::try_from(longest).unwrap_or(800).min(800) * 10 + 32 + self.left();
        (self.left() + self.grid().0 + self.right()).max(names).max(LEAST_WIDTH)
    }

    /// Width and height of the grid of cells.
    fn grid(&self) -> (i32, i32) {
        let columns = i32::try_from(self.x_values.len()).unwrap_or(i32::MAX);
        let rows = i32::try_from(self.y_values.len()).unwrap_or(i32::MAX);
        (columns.saturating_mul(self.cell_width()).min(8000), rows.saturating_mul(CELL_HEIGHT).min(8000))
    }

    fn range(&self) -> (f64, f64) {
        let values = || self.cells.iter().flatten().flatten().copied();
        (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max))
    }
}

/// Of what a cell is the mean.
fn note(table: &ResultsTable, names: &[String], (x, y): (usize, usize), cells: usize) -> String {
    let per_cell = table.rows.len() / cells.max(1);
    if per_cell <= 1 {
        return "one run per cell".to_owned();
    }
    let seeds = distinct(table.rows.iter().map(|row| row.seed.to_string()).collect::<Vec<_>>().iter()).len();
    let mut over = if seeds > 1 { vec![format!("{seeds} seeds")] } else { Vec::new() };
    for (axis, name) in names.iter().enumerate().filter(|(axis, _)| *axis != x && *axis != y) {
        let values = distinct(table.rows.iter().map(|row| &row.values[axis])).len();
        if values > 1 {
            over.push(format!("{values} values of {name}"));
        }
    }
    format!("mean of {per_cell} runs per cell: {}", over.join(", "))
}

/// `text` in lines of at most `limit` characters, broken after a space, a dash or a dot, else within the word.
fn wrapped(text: &str, limit: usize) -> Vec<String> {
    let mut rest: Vec<char> = text.chars().collect();
    let mut lines = Vec::new();
    while rest.len() > limit.max(1) {
        let place = rest[..limit.max(1)].iter().rposition(|c| matches!(c, ' ' | '-' | '_' | '.' | '/'));
        let tail = rest.split_off(place.map_or(limit.max(1), |place| place + 1));
        lines.push(rest.iter().collect::<String>().trim_end().to_owned());
        rest = tail;
    }
    lines.push(rest.into_iter().collect());
    lines
}

/// Values in the order met, which is the order of the sweep's file.
fn distinct<'a>(values: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut seen: Vec<String> = Vec::new();
    for value in values {
        if !seen.contains(value) {
            seen.push(value.clone());
        }
    }
    seen
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0u32), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

/// The shortest tails of the paths that tell them apart and say what they are: `threshold`,
/// `scaleDown.stabilizationWindowSeconds`.
pub(super) fn short_names(paths: &[String]) -> Vec<String> {
    let tail = |path: &str, parts: usize| {
        let all: Vec<&str> = path.split(['.', ':']).collect();
        all[all.len().saturating_sub(parts)..].join(".")
    };
    let name = |path: &String| {
        let deepest = path.split(['.', ':']).count();
        let is_unique = |parts: &usize| {
            paths.iter().filter(|other| *other != path).all(|other| tail(other, *parts) != tail(path, *parts))
        };
        let is_clear = |parts: &usize| {
            let tail = tail(path, *parts);
            let first = tail.split(['.', '[']).next().unwrap_or_default();
            !VAGUE.contains(&first)
        };
        tail(path, (1..=deepest).find(|parts| is_unique(parts) && is_clear(parts)).unwrap_or(deepest))
    };
    paths.iter().map(name).collect()
}

/// Light yellow over green to dark blue: lightness falls steadily, so that it reads without colour too.
fn shade(share: f64) -> RGBColor {
    const STOPS: [(f64, f64, f64); 5] =
        [(255.0, 255.0, 217.0), (199.0, 233.0, 180.0), (65.0, 182.0, 196.0), (34.0, 94.0, 168.0), (8.0, 29.0, 88.0)];
    let place = share.clamp(0.0, 1.0) * 4.0;
    let index = (place.floor() as usize).min(3);
    let part = place - index as f64;
    let (low, high) = (STOPS[index], STOPS[index + 1]);
    let mix = |low: f64, high: f64| (low + (high - low) * part).round() as u8;
    RGBColor(mix(low.0, high.0), mix(low.1, high.1), mix(low.2, high.2))
}

fn ink_on(share: f64) -> RGBColor {
    if share > 0.5 { WHITE } else { palette::INK }
}

impl Picture for Heatmap {
    fn size(&self) -> (u32, u32) {
        let pixels = |length: i32| u32::try_from(length).expect("lengths are positive");
        let (_, top) = self.header();
        (pixels(self.width()), pixels(top + self.grid().1 + AXIS_HEIGHT))
    }

    /// One: cells and their labels stand in each other's rows.
    fn parts(&self) -> Vec<Range<u32>> {
        std::iter::once(0..self.size().1).collect()
    }

    fn draw_part<DB: DrawingBackend>(&self, _: usize, area: &Area<DB>, _: Joints) -> Result<(), String> {
        for (size, color, text, y) in self.header().0 {
            write_text(area, &text, size, color, (16, y))?;
        }
        self.draw_cells(area)?;
        self.draw_axes(area)?;
        self.draw_scale(area)
    }
}

impl Heatmap {
    fn draw_cells<DB: DrawingBackend>(&self, area: &Area<DB>) -> Result<(), String> {
        let (low, high) = self.range();
        let top = self.header().1;
        let rows = self.cells.iter().rev().enumerate();
        for (row, cells) in rows {
            for (column, cell) in cells.iter().enumerate() {
                let corner = |column: usize, row: usize| {
                    let x = self.left() + i32::try_from(column).unwrap_or(0) * self.cell_width();
                    (x, top + i32::try_from(row).unwrap_or(0) * CELL_HEIGHT)
                };
                let (from, to) = (corner(column, row), corner(column + 1, row + 1));
                let share = cell.map(|value| if high > low { (value - low) / (high - low) } else { 0.0 });
                let fill = share.map_or(palette::SHADE, shade);
                area.draw(&Rectangle::new([from, (to.0 - 1, to.1 - 1)], fill.filled())).map_err(drawing)?;
                let text = cell.map_or_else(|| "\u{2013}".to_owned(), number);
                let text_style = centred(16, share.map_or(palette::MUTED, ink_on), HPos::Center);
                area.draw_text(&text, &text_style, ((from.0 + to.0) / 2, (from.1 + to.1) / 2)).map_err(drawing)?;
            }
        }
        Ok(())
    }

    fn draw_axes<DB: DrawingBackend>(&self, area: &Area<DB>) -> Result<(), String> {
        let (_, height) = self.grid();
        let top = self.header().1;
        let bottom = top + height;
        for (column, value) in (0..).zip(&self.x_values) {
            let x = self.left() + column * self.cell_width() + self.cell_width() / 2;
            let label = centred(14, palette::INK, HPos::Center);
            area.draw_text(&shortened(value, 16), &label, (x, bottom + 14)).map_err(drawing)?;
        }
        // Names start at the left edge, so that a long one is never cut.
        write_text(area, &format!("{} \u{2192}", self.x_name), 16, palette::INK, (self.left(), bottom + 40))?;
        let Some(y_name) = &self.y_name else { return Ok(()) };
        for (row, value) in (0..).zip(self.y_values.iter().rev()) {
            let y = top + row * CELL_HEIGHT + CELL_HEIGHT / 2;
            let label = centred(14, palette::INK, HPos::Right);
            area.draw_text(&shortened(value, 20), &label, (self.left() - 10, y)).map_err(drawing)?;
        }
        write_text(area, &format!("\u{2191} {y_name}"), 16, palette::INK, (16, top - 16))?;
        Ok(())
    }

    fn draw_scale<DB: DrawingBackend>(&self, area: &Area<DB>) -> Result<(), String> {
        let (low, high) = self.range();
        if !low.is_finite() {
            return Ok(());
        }
        let (width, height) = self.grid();
        let top = self.header().1;
        let x = self.left() + width + 24;
        write_text(area, &self.figure, 14, palette::INK, (x, top + height + 14))?;
        for step in 0..height {
            let share = 1.0 - f64::from(step) / f64::from((height - 1).max(1));
            let line = [(x, top + step), (x + 16, top + step + 1)];
            area.draw(&Rectangle::new(line, shade(share).filled())).map_err(drawing)?;
        }
        if high > low {
            write_text(area, &number(high), 14, palette::INK, (x + 24, top + 7))?;
        }
        write_text(area, &number(low), 14, palette::INK, (x + 24, top + height - 7))?;
        Ok(())
    }
}
