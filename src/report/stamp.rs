//! Shapes that a bitmap has in many places, drawn once and kept as pixels: letters, and the short segments of which the lines of
//! a long run are made. What is stamped is pixel for pixel what plotters draws.

use crate::report::font;
use crate::report::polygon::{PolygonFill, outline};
use ab_glyph::{Font, GlyphId, ScaleFont};
use plotters_backend::{BackendColor, BackendCoord, BackendStyle, DrawingBackend, DrawingErrorKind};
use rustc_hash::FxHashMap;
use std::convert::Infallible;

/// Columns and rows beyond which a segment is drawn anew: longer ones are few, and no two are alike.
const LONGEST_SEGMENT: u32 = 48;

/// A pixel that a shape covers, from the shape's own origin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pixel {
    /// To the right and down.
    pub at: BackendCoord,
    /// How much of it is covered, 0..1.
    pub covered: f64,
}

/// A letter of one size.
pub(super) struct Letter {
    glyph: GlyphId,
    /// How far the next one stands, without the kerning of the two.
    advance: f32,
    /// From its left end and the top of its line.
    pub pixels: Vec<Pixel>,
}

/// All shapes of a bitmap so far.
#[derive(Default)]
pub(super) struct Stamps {
    /// By the size's bits and the letter.
    letters: FxHashMap<(u32, char), Letter>,
    /// By where they end, from their start, and their width.
    segments: FxHashMap<(BackendCoord, u32), Vec<Pixel>>,
    polygons: PolygonFill,
}

impl Stamps {
    /// The pixels of a segment of a line, from its start; `None` for those that are drawn anew.
    ///
    /// They do not depend on where it starts as long as its corners are at positive coordinates, as halves are rounded away from
    /// zero there. How much of a pixel is covered counts in steps of 1/256 only, and is a fraction whose denominator is at most
    /// [`LONGEST_SEGMENT`] and a few: it is either exact wherever the segment is or too far from the next step for the
    /// rounding of coordinates to matter.
    pub(super) fn segment(&mut self, from: BackendCoord, to: BackendCoord, width: u32) -> Option<&[Pixel]> {
        let end = (to.0 - from.0, to.1 - from.1);
        let margin = i32::try_from(width).ok()?;
        let is_short = end.0.unsigned_abs().max(end.1.unsigned_abs()) <= LONGEST_SEGMENT;
        if !is_short || [from.0, from.1, to.0, to.1].into_iter().any(|place| place < margin) {
            return None;
        }
        let polygons = &mut self.polygons;
        Some(
            self.segments
                .entry((end, width))
                .or_insert_with(|| segment_from((end.0.abs() + margin, end.1.abs() + margin), end, width, polygons)),
        )
    }

    /// Calls `place` with each letter of `text` and how far to the right it stands, as plotters sets them (`FontData::draw`).
    pub(super) fn for_letters(&mut self, text: &str, size: f32, mut place: impl FnMut(&Letter, i32)) {
        let font = font::own().as_scaled(size);
        let (mut right, mut before) = (0.0, None);
        for letter in text.chars() {
            let own = self.letters.entry((size.to_bits(), letter)).or_insert_with(|| Letter::new(letter, size));
            if let Some(before) = before {
                right += font.kern(before, own.glyph);
            }
            place(own, right as i32);
            right += own.advance;
            before = Some(own.glyph);
        }
    }
}

impl Letter {
    fn new(letter: char, size: f32) -> Self {
        let font = font::own().as_scaled(size);
        let glyph = font.glyph_id(letter);
        let mut pixels = Vec::new();
        if let Some(drawn) = font.outline_glyph(font.scaled_glyph(letter)) {
            let top = (size / 2.0 + drawn.px_bounds().min.y) as i32;
            drawn.draw(|x, y, covered| {
                // Most of a letter's box is empty.
                if covered > 0.0 {
                    pixels.push(Pixel { at: (x as i32, y as i32 + top), covered: f64::from(covered) });
                }
            });
        }
        Letter { glyph, advance: font.h_advance(glyph), pixels }
    }
}

/// The pixels of a segment that starts at `origin`.
fn segment_from(origin: BackendCoord, end: BackendCoord, width: u32, polygons: &mut PolygonFill) -> Vec<Pixel> {
    let corners = outline(origin, (origin.0 + end.0, origin.1 + end.1), width);
    let mut marks = Marks { origin, pixels: Vec::new() };
    let opaque = BackendColor { alpha: 1.0, rgb: (0, 0, 0) };
    // There is nothing that could fail.
    let _ = polygons.fill(&mut marks, &corners, &opaque);
    marks.pixels
}

/// Keeps what is drawn.
struct Marks {
    origin: BackendCoord,
    pixels: Vec<Pixel>,
}

impl Marks {
    fn add(&mut self, (x, y): BackendCoord, covered: f64) {
        self.pixels.push(Pixel { at: (x - self.origin.0, y - self.origin.1), covered });
    }
}

impl DrawingBackend for Marks {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        (u32::MAX, u32::MAX)
    }

    fn ensure_prepared(&mut self) -> Result<(), DrawingErrorKind<Infallible>> {
        Ok(())
    }

    fn present(&mut self) -> Result<(), DrawingErrorKind<Infallible>> {
        Ok(())
    }

    fn draw_pixel(&mut self, point: BackendCoord, color: BackendColor) -> Result<(), DrawingErrorKind<Infallible>> {
        self.add(point, color.alpha);
        Ok(())
    }

    /// Upright and level lines only: a polygon has no others. An upright one is drawn whichever end comes first, a level one
    /// is empty when its end is before its start; so they are in plotters' bitmap.
    fn draw_line<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        _: &S,
    ) -> Result<(), DrawingErrorKind<Infallible>> {
        if from.1 == to.1 {
            (from.0..=to.0).for_each(|x| self.add((x, from.1), 1.0));
        } else {
            (from.1.min(to.1)..=from.1.max(to.1)).for_each(|y| self.add((from.0, y), 1.0));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a bitmap draws them: in steps of 1/256.
    fn steps(pixels: &[Pixel]) -> Vec<(BackendCoord, i32)> {
        pixels.iter().map(|pixel| (pixel.at, (pixel.covered * 256.0) as i32)).collect()
    }

    #[test]
    fn segments_are_the_same_anywhere() {
        let (mut stamps, mut polygons) = (Stamps::default(), PolygonFill::default());
        let longest = LONGEST_SEGMENT as i32;
        let sides = || -longest..=longest;
        for end in sides().flat_map(|along| sides().map(move |down| (along, down))).filter(|end| *end != (0, 0)) {
            for from in [(57, 61), (1163, 999), (65_521, 99_991)] {
                for width in [2, 3] {
                    let stamp = stamps.segment(from, (from.0 + end.0, from.1 + end.1), width).expect("a short one");
                    let anew = segment_from(from, end, width, &mut polygons);
                    assert_eq!(steps(stamp), steps(&anew), "from {from:?} by {end:?}");
                }
            }
        }
    }

    #[test]
    fn others_are_drawn_anew() {
        let mut stamps = Stamps::default();
        for (from, to) in [((1, 50), (20, 60)), ((50, 60), (60, -1)), ((50, 50), (99, 60)), ((50, 50), (60, 99))] {
            assert!(stamps.segment(from, to, 2).is_none(), "{from:?} to {to:?}");
        }
    }
}
