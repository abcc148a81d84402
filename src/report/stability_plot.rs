//! The bifurcation picture of a map: load to the right, the replica counts visited upwards, and flaps per hour below.

use crate::analysis::{STABLE, StabilityClass, StabilityRow, band_edges, noise_free_bands, stability_bands};
use crate::report::canvas::{Area, Joints, Picture, centred, drawing, palette, write_text};
use crate::report::text::number;
use crate::report::ticks;
use crate::report::{bitmap, svg};
use crate::study::StabilityMap;
use crate::units::math;
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;
use std::ops::Range;

const WIDTH: i32 = 1200;
const HEIGHT: i32 = 760;
const LEFT: i32 = 76;
const RIGHT: i32 = 28;
/// Room for the dots of the first and last load.
const MARGIN: i32 = 14;
/// Upper panel.
const TOP: i32 = 96;
const MIDDLE: i32 = 470;
/// Lower panel.
const LOWER_TOP: i32 = 520;
const BOTTOM: i32 = 680;
/// Radius of the dot of a count that takes all the time, pixels.
const RADIUS: f64 = 11.0;

/// A map as a picture.
pub struct StabilityPlot<'m> {
    map: &'m StabilityMap,
    title: String,
}

fn color(class: StabilityClass) -> RGBColor {
    match class {
        StabilityClass::Settles | StabilityClass::Bistable => palette::GREEN,
        StabilityClass::LimitCycle | StabilityClass::Restless => palette::ORANGE,
        StabilityClass::NoiseDriven => palette::PURPLE,
        StabilityClass::Overloaded | StabilityClass::StuckLow | StabilityClass::Insufficient => palette::BLUE,
        StabilityClass::Undecided => palette::MUTED,
    }
}

impl<'m> StabilityPlot<'m> {
    /// The picture of `map` under a title.
    pub fn new(map: &'m StabilityMap, title: String) -> Self {
        StabilityPlot { map, title }
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

    fn noisy_rows(&self) -> impl Iterator<Item = &StabilityRow> {
        self.map.rows.iter().filter(|row| row.noisy.is_some())
    }

    fn x(&self, load: f64) -> i32 {
        let (from, to) = (self.place(self.map.range.from), self.place(self.map.range.to));
        let load = self.place(load);
        LEFT + MARGIN + (f64::from(WIDTH - LEFT - RIGHT - 2 * MARGIN) * (load - from) / (to - from)).round() as i32
    }

    /// Where a load stands on the axis: its logarithm where loads stand at equal ratios.
    fn place(&self, load: f64) -> f64 {
        if self.map.range.is_geometric() { math::log10(load) } else { load }
    }

    /// The loads at which the axis has marks.
    fn marks(&self) -> Vec<f64> {
        // The axis is that of the trigger's unit where it has one.
        let per_request = self.map.scale.in_unit(1.0).unwrap_or(1.0);
        let (from, to) = (self.map.range.from * per_request, self.map.range.to * per_request);
        let marks = if self.map.range.is_geometric() {
            let marks = ticks::logarithmic(&(math::log10(from)..math::log10(to)), 14);
            marks.into_iter().map(|mark| math::pow(10.0, mark)).collect()
        } else {
            ticks::linear(&(from..to), 14, false)
        };
        marks.into_iter().map(|mark| mark / per_request).collect()
    }

    fn most(&self) -> i32 {
        let visited = self.noisy_rows().flat_map(|row| row.noisy.iter().flat_map(|own| &own.shares));
        let visited = visited.map(|(count, _)| *count).chain(self.map.rows.iter().flat_map(StabilityRow::ends));
        visited.max().unwrap_or(1).max(1)
    }

    /// Half a replica of room above and below.
    fn y(&self, count: f64) -> i32 {
        let (low, high) = (-0.5, f64::from(self.most()) + 0.7);
        MIDDLE - (f64::from(MIDDLE - TOP) * (count - low) / (high - low)).round() as i32
    }

    fn top_rate(&self) -> f64 {
        let highest = self.noisy_rows().filter_map(|row| row.noisy.as_ref().map(|own| own.flaps_per_hour_interval.1));
        highest.fold(2.0 * STABLE.0, f64::max) * 1.05
    }

    fn y_rate(&self, rate: f64) -> i32 {
        BOTTOM - (f64::from(BOTTOM - LOWER_TOP) * rate / self.top_rate()).round() as i32
    }
}

impl Picture for StabilityPlot<'_> {
    fn size(&self) -> (u32, u32) {
        (WIDTH.unsigned_abs(), HEIGHT.unsigned_abs())
    }

    fn parts(&self) -> Vec<Range<u32>> {
        std::iter::once(0..self.size().1).collect()
    }

    fn draw_part<DB: DrawingBackend>(&self, _: usize, area: &Area<DB>, _: Joints) -> Result<(), String> {
        write_text(area, &self.title, 20, palette::INK, (16, 22))?;
        self.draw_legend(area)?;
        self.draw_bands(area)?;
        self.draw_axes(area)?;
        self.draw_need(area)?;
        self.draw_need_within_slo(area)?;
        self.draw_counts(area)?;
        self.draw_rates(area)
    }
}

impl StabilityPlot<'_> {
    /// The classes in a line of their own; what else is drawn beside the upper panel's name.
    fn draw_legend<DB: DrawingBackend>(&self, area: &Area<DB>) -> Result<(), String> {
        let mut classes: Vec<StabilityClass> = self.noisy_rows().filter_map(|row| row.class).collect();
        classes.sort_unstable();
        classes.dedup();
        let mut x = 16;
        for class in classes {
            area.draw(&Circle::new((x + 7, 50), 6, color(class).filled())).map_err(drawing)?;
            x = write_text(area, class.verb(), 14, palette::INK, (x + 20, 50))? + 24;
        }
        let y = TOP - 18;
        let mut x = write_text(area, "replicas (dot area: share of the time)", 14, palette::INK, (16, y))? + 32;
        let knows_slo = self.map.capacity.as_ref().is_some_and(|curve| !curve.measured.is_empty());
        let bands = noise_free_bands(&self.map.rows);
        let has_choice = bands.iter().any(|band| !band.cycles && band.ends.len() > 1);
        let lines = [
            (self.map.scale.target.is_some(), 1, palette::MUTED, "need: load / threshold, rounded up"),
            (knows_slo, 2, within_slo(), "replicas that the SLO needs"),
            (has_choice, 7, bistable(), "the start decides, without noise"),
        ];
        for (_, half, color, name) in lines.into_iter().filter(|(is_drawn, ..)| *is_drawn) {
            area.draw(&Rectangle::new([(x, y - half), (x + 22, y + half)], color.filled())).map_err(drawing)?;
            x = write_text(area, name, 14, palette::INK, (x + 30, y))? + 24;
        }
        write_text(area, "flaps/h (95 %; line: the limit of stable)", 14, palette::INK, (16, LOWER_TOP - 18))?;
        Ok(())
    }

    fn draw_bands<DB: DrawingBackend>(&self, area: &Area<DB>) -> Result<(), String> {
        let bands = stability_bands(&self.map.rows);
        let edges = band_edges(&bands, (self.map.range.from, self.map.range.to));
        for (class, (from, to)) in bands.iter().map(|band| band.class).zip(edges) {
            for (top, bottom) in [(TOP, MIDDLE), (LOWER_TOP, BOTTOM)] {
                let corners = [(self.x(from), top), (self.x(to).max(self.x(from) + 1), bottom)];
                area.draw(&Rectangle::new(corners, light(color(class)).filled())).map_err(drawing)?;
            }
        }
        for band in noise_free_bands(&self.map.rows).iter().filter(|band| !band.cycles && band.ends.len() > 1) {
            let (from, to) = (self.x(band.loads.0), self.x(band.loads.1));
            let (low, high) = (band.ends[0], band.ends[band.ends.len() - 1]);
            let corners = [(from, self.y(f64::from(high) + 0.3)), (to.max(from + 1), self.y(f64::from(low) - 0.3))];
            area.draw(&Rectangle::new(corners, bistable().filled())).map_err(drawing)?;
        }
        Ok(())
    }

    fn draw_axes<DB: DrawingBackend>(&self, area: &Area<DB>) -> Result<(), String> {
        let right = WIDTH - RIGHT;
        for count in ticks::linear(&(0.0..f64::from(self.most()) + 0.7), 12, true) {
            let y = self.y(count);
            area.draw(&PathElement::new(vec![(LEFT, y), (right, y)], palette::GRID.stroke_width(1)))
                .map_err(drawing)?;
            let label = centred(14, palette::INK, HPos::Right);
            area.draw_text(&number(count), &label, (LEFT - 10, y)).map_err(drawing)?;
        }
        for rate in ticks::linear(&(0.0..self.top_rate()), 6, false) {
            let y = self.y_rate(rate);
            area.draw(&PathElement::new(vec![(LEFT, y), (right, y)], palette::GRID.stroke_width(1)))
                .map_err(drawing)?;
            let label = centred(14, palette::INK, HPos::Right);
            area.draw_text(&number(rate), &label, (LEFT - 10, y)).map_err(drawing)?;
        }
        for load in self.marks() {
            let x = self.x(load);
            for (top, bottom) in [(TOP, MIDDLE), (LOWER_TOP, BOTTOM)] {
                let line = PathElement::new(vec![(x, top), (x, bottom)], palette::GRID.stroke_width(1));
                area.draw(&line).map_err(drawing)?;
            }
            let label = centred(14, palette::INK, HPos::Center);
            area.draw_text(&number(self.map.scale.in_unit(load).unwrap_or(load)), &label, (x, BOTTOM + 16))
                .map_err(drawing)?;
        }
        let name = match self.map.scale.in_unit(1.0) {
            Some(per_request) => format!(
                "steady load, {} (1 request/s = {})",
                self.map.scale.unit.map_or("", |own| own.name()),
                number(per_request)
            ),
            None => "steady load, requests/s".to_owned(),
        };
        let label = centred(16, palette::INK, HPos::Center);
        area.draw_text(&name, &label, ((LEFT + right) / 2, BOTTOM + 46)).map_err(drawing)
    }

    fn draw_need<DB: DrawingBackend>(&self, area: &Area<DB>) -> Result<(), String> {
        let Some(target) = self.map.scale.target else { return Ok(()) };
        let mut from = self.map.range.from;
        while from < self.map.range.to {
            let step = (from / target + 1e-6).floor() + 1.0;
            let to = (step * target).min(self.map.range.to);
            let need = self.map.scale.need(f64::midpoint(from, to)).unwrap_or(0);
            let y = self.y(f64::from(need));
            let corners = [(self.x(from), y - 1), (self.x(to), y + 1)];
            area.draw(&Rectangle::new(corners, palette::MUTED.filled())).map_err(drawing)?;
            from = to;
        }
        Ok(())
    }

    /// The grey steps of what the goals need, as far as the axis goes.
    fn draw_need_within_slo<DB: DrawingBackend>(&self, area: &Area<DB>) -> Result<(), String> {
        let Some(curve) = &self.map.capacity else { return Ok(()) };
        let range = &self.map.range;
        for count in 1..=u32::try_from(self.most()).unwrap_or(1) {
            let (from, to) = (curve.rate(count - 1).max(range.from), curve.rate(count).min(range.to));
            if from < to {
                let y = self.y(f64::from(count));
                let corners = [(self.x(from), y - 2), (self.x(to), y + 2)];
                area.draw(&Rectangle::new(corners, within_slo().filled())).map_err(drawing)?;
            }
        }
        Ok(())
    }

    fn draw_counts<DB: DrawingBackend>(&self, area: &Area<DB>) -> Result<(), String> {
        for row in self.noisy_rows() {
            let (Some(noisy), Some(class)) = (&row.noisy, row.class) else { continue };
            for (count, share) in &noisy.shares {
                let radius = (RADIUS * share.sqrt()).round().max(1.0) as i32;
                let place = (self.x(row.load), self.y(f64::from(*count)));
                area.draw(&Circle::new(place, radius, color(class).filled())).map_err(drawing)?;
            }
        }
        Ok(())
    }

    fn draw_rates<DB: DrawingBackend>(&self, area: &Area<DB>) -> Result<(), String> {
        let y = self.y_rate(STABLE.0);
        let gate = PathElement::new(vec![(LEFT, y), (WIDTH - RIGHT, y)], palette::INK.stroke_width(1));
        area.draw(&gate).map_err(drawing)?;
        for row in self.noisy_rows() {
            let (Some(noisy), Some(class)) = (&row.noisy, row.class) else { continue };
            let x = self.x(row.load);
            let (low, high) = noisy.flaps_per_hour_interval;
            let whisker =
                PathElement::new(vec![(x, self.y_rate(low)), (x, self.y_rate(high))], color(class).stroke_width(2));
            area.draw(&whisker).map_err(drawing)?;
            let place = (x, self.y_rate(noisy.flaps_per_hour));
            area.draw(&Circle::new(place, 4, color(class).filled())).map_err(drawing)?;
        }
        Ok(())
    }
}

/// A light tint of a colour, for what lies behind.
fn light(color: RGBColor) -> RGBColor {
    let mix = |own: u8| (255.0 - (255.0 - f64::from(own)) * 0.10).round() as u8;
    RGBColor(mix(color.0), mix(color.1), mix(color.2))
}

fn within_slo() -> RGBColor {
    RGBColor(170, 170, 170)
}

fn bistable() -> RGBColor {
    RGBColor(222, 222, 222)
}
