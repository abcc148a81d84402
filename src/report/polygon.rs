//! Fills polygons pixel for pixel as plotters does (`plotters_backend::rasterizer::fill_polygon`), which takes memory anew for
//! every row of every polygon: a line of thousands of short segments, each a polygon, costs little more than half of that here.

use plotters_backend::{BackendCoord, BackendStyle, DrawingBackend, DrawingErrorKind};
use std::ops::RangeInclusive;

/// An edge that the sweep crosses, in (along, across) it.
#[derive(Clone, Copy, Debug)]
struct Edge {
    /// Where it starts and ends along the sweep.
    start: i32,
    end: i32,
    /// Where it starts across it.
    across: f64,
    /// Its lengths across and along.
    rise: i64,
    run: f64,
}

impl Edge {
    fn new(start: BackendCoord, end: BackendCoord) -> Self {
        let (across, rise) = (f64::from(start.1), i64::from(end.1 - start.1));
        Edge { start: start.0, end: end.0, across, rise, run: f64::from(end.0 - start.0) }
    }

    /// Where it is across the sweep when that is at `at`.
    fn place(&self, at: i32) -> f64 {
        self.across + (self.rise * i64::from(at - self.start)) as f64 / self.run
    }
}

/// An edge at one position of the sweep.
#[derive(Clone, Copy, Debug)]
struct Crossing {
    edge: Edge,
    place: f64,
    is_end: bool,
}

/// Memory that polygons share.
#[derive(Debug, Default)]
pub(super) struct PolygonFill {
    edges: Vec<Edge>,
    crossed: Vec<Crossing>,
}

impl PolygonFill {
    /// Fills a polygon by lines and single pixels of `back`.
    pub(super) fn fill<DB: DrawingBackend, S: BackendStyle>(
        &mut self,
        back: &mut DB,
        vertices: &[BackendCoord],
        style: &S,
    ) -> Result<(), DrawingErrorKind<DB::ErrorType>> {
        let Some(&(x, y)) = vertices.first() else { return Ok(()) };
        let (mut low, mut high) = ((x, y), (x, y));
        for &(x, y) in vertices {
            low = (low.0.min(x), low.1.min(y));
            high = (high.0.max(x), high.1.max(y));
        }
        if low.0 == high.0 || low.1 == high.1 {
            return back.draw_line(low, high, style);
        }
        // Along the longer side.
        if high.0 - low.0 > high.1 - low.1 {
            self.take_edges(vertices, |point| point);
            self.sweep::<DB, S, true>(back, low.0..=high.0, style)
        } else {
            self.take_edges(vertices, |(x, y)| (y, x));
            self.sweep::<DB, S, false>(back, low.1..=high.1, style)
        }
    }

    fn sweep<DB: DrawingBackend, S: BackendStyle, const ALONG_X: bool>(
        &mut self,
        back: &mut DB,
        positions: RangeInclusive<i32>,
        style: &S,
    ) -> Result<(), DrawingErrorKind<DB::ErrorType>> {
        // Few positions are the end of an edge.
        let (mut next, mut has_end) = (0, false);
        self.crossed.clear();
        for at in positions {
            if has_end {
                self.crossed.retain(|crossing| !crossing.is_end);
            }
            while let Some(edge) = self.edges.get(next).filter(|edge| edge.start <= at) {
                self.crossed.push(Crossing { edge: *edge, place: 0.0, is_end: false });
                next += 1;
            }
            has_end = false;
            for crossing in &mut self.crossed {
                crossing.place = crossing.edge.place(at);
                crossing.is_end = crossing.edge.end == at;
                has_end |= crossing.is_end;
            }
            match self.crossed.as_mut_slice() {
                [left, right] if left.place <= right.place => {}
                [left, right] => std::mem::swap(left, right),
                more => more.sort_by(|left, right| left.place.total_cmp(&right.place)),
            }
            let mut fill = |from, to| fill_between::<DB, S, ALONG_X>(back, (at, from, to), style);
            match self.crossed.as_slice() {
                [left, right] if !has_end => fill(left.place, right.place)?,
                crossed => for_pairs(crossed, fill)?,
            }
        }
        Ok(())
    }

    /// Edges in order of their starts, those across the sweep left out.
    fn take_edges(&mut self, vertices: &[BackendCoord], turned: impl Fn(BackendCoord) -> BackendCoord) {
        self.edges.clear();
        let following = vertices.iter().skip(1).chain(vertices.first());
        for (from, to) in vertices.iter().zip(following) {
            let (from, to) = (turned(*from), turned(*to));
            if from.0 != to.0 {
                self.edges.push(if from.0 < to.0 { Edge::new(from, to) } else { Edge::new(to, from) });
            }
        }
        self.edges.sort_by_key(|edge| edge.start);
    }
}

/// The corners of a line of `width` from one point to another, as plotters has them (`rasterizer::polygonize`).
pub(super) fn outline(from: BackendCoord, to: BackendCoord, width: u32) -> [BackendCoord; 4] {
    let (along, down) = (i64::from(to.0 - from.0), i64::from(to.1 - from.1));
    let length = ((along * along + down * down) as f64).sqrt();
    let (along, down) = (along as f64 / length, down as f64 / length);
    let beside = |(x, y): BackendCoord, side: (f64, f64)| {
        let moved = |at: i32, by: f64| (f64::from(at) + by * f64::from(width) / 2.0).round() as i32;
        (moved(x, side.0), moved(y, side.1))
    };
    let (one, other) = ((-down, along), (down, -along));
    [beside(from, one), beside(to, one), beside(to, other), beside(from, other)]
}

/// Calls `fill` with the places of each two crossings between which the polygon lies.
fn for_pairs<E>(crossed: &[Crossing], mut fill: impl FnMut(f64, f64) -> Result<(), E>) -> Result<(), E> {
    let mut open: Option<Crossing> = None;
    for &crossing in crossed {
        let Some(first) = open else {
            open = Some(crossing);
            continue;
        };
        open = match (first.is_end, crossing.is_end) {
            // Where an edge ends and the next begins, the one that goes on counts.
            (true, false) => Some(crossing),
            (false, true) => Some(first),
            // Two that end apart bound nothing.
            (true, true) if crossing.place - first.place > 1.0 => None,
            _ => {
                fill(first.place, crossing.place)?;
                None
            }
        };
    }
    Ok(())
}

/// The pixels of one position of the sweep: whole ones as a line, the rest by how much of them is covered. As in plotters, only
/// a sweep along x has a second such pixel.
fn fill_between<DB: DrawingBackend, S: BackendStyle, const ALONG_X: bool>(
    back: &mut DB,
    (at, from, to): (i32, f64, f64),
    style: &S,
) -> Result<(), DrawingErrorKind<DB::ErrorType>> {
    let point = |across| if ALONG_X { (at, across) } else { (across, at) };
    let color = style.color();
    let (first, last) = (ceil(from), floor(to));
    back.draw_line(point(first), point(last), &color)?;
    let (before, after) = (f64::from(first) - from, if ALONG_X { to - f64::from(last) } else { 0.0 });
    if before > 0.0 {
        back.draw_pixel(point(first - 1), color.mix(before))?;
    }
    if after > 0.0 {
        back.draw_pixel(point(last + 1), color.mix(after))?;
    }
    Ok(())
}

/// The whole number at or below `place`; places are within the polygon, whose corners are i32.
fn floor(place: f64) -> i32 {
    let cut = place as i32;
    cut - i32::from(f64::from(cut) > place)
}

/// The whole number at or above `place`.
fn ceil(place: f64) -> i32 {
    let cut = place as i32;
    cut + i32::from(f64::from(cut) < place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use plotters::prelude::BitMapBackend;
    use plotters_backend::{BackendColor, rasterizer};
    use proptest::prelude::*;

    const SIZE: (u32, u32) = (60, 50);

    fn drawn(draw: impl FnOnce(&mut BitMapBackend<'_>)) -> Vec<u8> {
        let mut pixels = vec![255; (SIZE.0 * SIZE.1 * 3) as usize];
        draw(&mut BitMapBackend::with_buffer(&mut pixels, SIZE));
        pixels
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn pixels_are_those_of_plotters(
            polygons in prop::collection::vec(prop::collection::vec((-10..70i32, -10..60i32), 0..7), 1..4),
            alpha in prop::sample::select(vec![0.0, 0.3, 1.0]),
        ) {
            let color = BackendColor { alpha, rgb: (0, 114, 178) };
            let mut own = PolygonFill::default();
            let found = drawn(|back| {
                for polygon in &polygons {
                    own.fill(back, polygon, &color).expect("a bitmap takes all");
                }
            });
            let expected = drawn(|back| {
                for polygon in &polygons {
                    rasterizer::fill_polygon(back, polygon, &color).expect("a bitmap takes all");
                }
            });
            prop_assert!(found == expected);
        }

        #[test]
        fn segments_of_lines_too(ends in prop::collection::vec((0..60i32, 0..50i32), 2..20), width in 2..4u32) {
            let color = BackendColor { alpha: 1.0, rgb: (213, 94, 0) };
            let mut own = PolygonFill::default();
            let segments: Vec<_> = ends.windows(2).map(|ends| rasterizer::polygonize(ends, width)).collect();
            let found = drawn(|back| {
                segments.iter().for_each(|segment| own.fill(back, segment, &color).expect("a bitmap takes all"));
            });
            let expected = drawn(|back| {
                let draw = |segment: &Vec<_>| rasterizer::fill_polygon(back, segment, &color);
                segments.iter().map(draw).for_each(|drawn| drawn.expect("a bitmap takes all"));
            });
            prop_assert!(found == expected);
        }

        #[test]
        fn outlines_too(from in (-60..60i32, -50..50i32), to in (-60..60i32, -50..50i32), width in 2..6u32) {
            prop_assume!(from != to);
            prop_assert_eq!(outline(from, to, width).to_vec(), rasterizer::polygonize(&[from, to], width));
        }
    }
}
