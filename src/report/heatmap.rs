//! The heatmap of a sweep: two axes, the mean over all runs of a cell printed in it.

use crate::report::ResultsTable;
use crate::report::canvas::{self, Area, Joints, Picture, centred, drawing, palette, shortened, write_text};
use crate::report::text::number;
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

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
    note: String,
    x_name: String,
    y_name: Option<String>,
    x_values: Vec<String>,
    y_values: Vec<String>,
    /// Row by row from the bottom; `None` without a measured value.
    cells: Vec<Vec<Option<f64>>>,
}

const TITLE_HEIGHT: i32 = 94;
const AXIS_HEIGHT: i32 = 62;
const RIGHT: i32 = 130;
const CELL_HEIGHT: i32 = 48;

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
            mean(rows.filter_map(|row| row.figures[figure]))
        };
        let cells =
            y_values.iter().map(|y_value| x_values.iter().map(|x_value| cell(x_value, y_value)).collect()).collect();
        let names = short_names(&table.axes);
        let per_cell = table.rows.len() / (x_values.len() * y_values.len()).max(1);
        let note =
            if per_cell > 1 { format!("mean of {per_cell} runs per cell") } else { "one run per cell".to_owned() };
        Ok(Heatmap {
            title: format!("{name}: {}", table.figures[figure]),
            note,
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
        canvas::to_svg(self)
    }

    /// As PNG.
    ///
    /// # Errors
    /// What the drawing library could not do.
    pub fn png(&self) -> Result<Vec<u8>, String> {
        canvas::to_png(self)
    }

    fn cell_width(&self) -> i32 {
        let widest = self.x_values.iter().map(|value| value.chars().count()).max().unwrap_or(1);
        i32::try_from(widest.min(16) * 9 + 16).unwrap_or(160).max(76)
    }

    fn left(&self) -> i32 {
        let widest = self.y_values.iter().map(|value| value.chars().count()).max().unwrap_or(0);
        i32::try_from(widest.min(20) * 8 + 62).unwrap_or(220)
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

/// The shortest tails of the paths that tell them apart: `threshold`, `scaleDown.stabilizationWindowSeconds`.
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
        tail(path, (1..=deepest).find(is_unique).unwrap_or(deepest))
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
        let (width, height) = self.grid();
        let pixels = |length: i32| u32::try_from(length).expect("lengths are positive");
        let text = [&self.title, &self.x_name].map(|text| text.chars().count().min(60));
        let text = i32::try_from(text[0].max(text[1])).expect("at most 60") * 11 + 32;
        (pixels((self.left() + width + RIGHT).max(text)), pixels(TITLE_HEIGHT + height + AXIS_HEIGHT))
    }

    fn draw<DB: DrawingBackend>(&self, area: &Area<DB>, _: Joints) -> Result<(), String> {
        write_text(area, &shortened(&self.title, 60), 20, palette::INK, (16, 22))?;
        write_text(area, &self.note, 14, palette::MUTED, (16, 44))?;
        self.draw_cells(area)?;
        self.draw_axes(area)?;
        self.draw_scale(area)
    }
}

impl Heatmap {
    fn draw_cells<DB: DrawingBackend>(&self, area: &Area<DB>) -> Result<(), String> {
        let (low, high) = self.range();
        let rows = self.cells.iter().rev().enumerate();
        for (row, cells) in rows {
            for (column, cell) in cells.iter().enumerate() {
                let corner = |column: usize, row: usize| {
                    let x = self.left() + i32::try_from(column).unwrap_or(0) * self.cell_width();
                    (x, TITLE_HEIGHT + i32::try_from(row).unwrap_or(0) * CELL_HEIGHT)
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
        let bottom = TITLE_HEIGHT + height;
        for (column, value) in (0..).zip(&self.x_values) {
            let x = self.left() + column * self.cell_width() + self.cell_width() / 2;
            let label = centred(14, palette::INK, HPos::Center);
            area.draw_text(&shortened(value, 16), &label, (x, bottom + 14)).map_err(drawing)?;
        }
        // Names start at the left edge, so that a long one is never cut.
        write_text(area, &format!("{} \u{2192}", self.x_name), 16, palette::INK, (self.left(), bottom + 40))?;
        let Some(y_name) = &self.y_name else { return Ok(()) };
        for (row, value) in (0..).zip(self.y_values.iter().rev()) {
            let y = TITLE_HEIGHT + row * CELL_HEIGHT + CELL_HEIGHT / 2;
            let label = centred(14, palette::INK, HPos::Right);
            area.draw_text(&shortened(value, 20), &label, (self.left() - 10, y)).map_err(drawing)?;
        }
        write_text(area, &format!("\u{2191} {y_name}"), 16, palette::INK, (16, TITLE_HEIGHT - 16))?;
        Ok(())
    }

    fn draw_scale<DB: DrawingBackend>(&self, area: &Area<DB>) -> Result<(), String> {
        let (low, high) = self.range();
        if !low.is_finite() {
            return Ok(());
        }
        let (width, height) = self.grid();
        let x = self.left() + width + 24;
        for step in 0..height {
            let share = 1.0 - f64::from(step) / f64::from((height - 1).max(1));
            let line = [(x, TITLE_HEIGHT + step), (x + 16, TITLE_HEIGHT + step + 1)];
            area.draw(&Rectangle::new(line, shade(share).filled())).map_err(drawing)?;
        }
        write_text(area, &number(high), 14, palette::INK, (x + 24, TITLE_HEIGHT + 7))?;
        if high > low {
            write_text(area, &number(low), 14, palette::INK, (x + 24, TITLE_HEIGHT + height - 7))?;
        }
        Ok(())
    }
}
