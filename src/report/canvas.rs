//! What all charts share: colours, text styles, and what can be drawn. `svg` and `bitmap` make the files.

use crate::report::font;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::ops::Range;

/// Colours that people with any common colour blindness tell apart (Okabe and Ito).
pub(super) mod palette {
    use plotters::style::RGBColor;
    pub(in crate::report) const BLUE: RGBColor = RGBColor(0, 114, 178);
    pub(in crate::report) const ORANGE: RGBColor = RGBColor(213, 94, 0);
    pub(in crate::report) const GREEN: RGBColor = RGBColor(0, 158, 115);
    pub(in crate::report) const PURPLE: RGBColor = RGBColor(160, 80, 130);
    pub(in crate::report) const INK: RGBColor = RGBColor(32, 32, 32);
    pub(in crate::report) const MUTED: RGBColor = RGBColor(110, 110, 110);
    pub(in crate::report) const GRID: RGBColor = RGBColor(228, 228, 228);
    pub(in crate::report) const SHADE: RGBColor = RGBColor(240, 240, 240);
}

/// Area of any backend.
pub(super) type Area<DB> = DrawingArea<DB, Shift>;

/// How the segments of a line are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joints {
    /// One path: the viewer joins the segments.
    Joined,
    /// Segment by segment: the bitmap backend's joints grow without limit at sharp angles, far beyond the panel.
    Apart,
}

/// Something that can be drawn on any backend, in parts from top to bottom.
pub(super) trait Picture {
    /// Width and height in pixels.
    fn size(&self) -> (u32, u32);
    /// The rows of pixels of each part, in order; together they are the picture's. Marks may stand out of them by a few rows,
    /// see `bitmap`.
    fn parts(&self) -> Vec<Range<u32>>;
    /// Draws a part on an area of the picture's size, already white, with lines of `joints`.
    fn draw_part<DB: DrawingBackend>(&self, part: usize, area: &Area<DB>, joints: Joints) -> Result<(), String>;
}

/// Last line of every SVG of ours.
pub(super) const SVG_MARK: &str = "<!-- drawn by kedasim -->";
/// Keyword and text of a text chunk in every PNG of ours.
pub(super) const PNG_MARK: (&str, &str) = ("Software", "kedasim");

/// Whether a picture's bytes are of a picture that this module drew.
pub(super) fn is_marked(bytes: &[u8]) -> bool {
    let png = format!("{}\0{}", PNG_MARK.0, PNG_MARK.1);
    let has = |mark: &[u8]| bytes.windows(mark.len()).any(|part| part == mark);
    has(SVG_MARK.as_bytes()) || has(png.as_bytes())
}

/// A backend's error as text.
pub(super) fn drawing(error: impl std::fmt::Display) -> String {
    format!("drawing failed: {error}")
}

/// A text style of `size` pixels.
pub(super) fn style<'a>(size: u32, color: RGBColor) -> TextStyle<'a> {
    (font::FAMILY, size).into_font().color(&color)
}

/// The same style, anchored at its centre line.
pub(super) fn centred<'a>(size: u32, color: RGBColor, horizontal: HPos) -> TextStyle<'a> {
    style(size, color).pos(Pos::new(horizontal, VPos::Center))
}

/// Writes `text` with its left end and centre line at `at`; returns where it ends.
pub(super) fn write_text<DB: DrawingBackend>(
    area: &Area<DB>,
    text: &str,
    size: u32,
    color: RGBColor,
    at: (i32, i32),
) -> Result<i32, String> {
    let text_style = centred(size, color, HPos::Left);
    area.draw_text(text, &text_style, at).map_err(drawing)?;
    let (width, _) = area.estimate_text_size(text, &text_style).map_err(drawing)?;
    Ok(at.0 + i32::try_from(width).unwrap_or(0))
}

/// `text` cut to `limit` characters.
pub(super) fn shortened(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let kept: String = text.chars().take(limit.saturating_sub(1)).collect();
    format!("{}\u{2026}", kept.trim_end())
}
