//! From a drawing to PNG bytes, a stretch of rows at a time: a part is drawn, and what no later part can touch goes into the
//! encoder, so that the whole bitmap is never held.

use crate::report::canvas::{Joints, PNG_MARK, Picture};
use crate::report::font;
use crate::report::polygon::{PolygonFill, outline};
use plotters::prelude::*;
use plotters_backend::{BackendColor, BackendCoord, BackendStyle, DrawingErrorKind, rasterizer};
use std::io::Write;

/// Rows by which a part's marks may stand out of its own: half a label, the end of a line.
const OVERHANG: u32 = 20;
const BYTES_PER_PIXEL: usize = 3;

/// The picture as PNG.
pub(super) fn to_png(picture: &impl Picture) -> Result<Vec<u8>, String> {
    font::register();
    let (width, height) = picture.size();
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    // The slowest level halves the file, and takes longer than the simulation of an hour.
    encoder.set_deflate_compression(png::DeflateCompression::FdeflateUltraFast);
    encoder.add_text_chunk(PNG_MARK.0.to_owned(), PNG_MARK.1.to_owned()).map_err(encoding)?;
    let mut writer = encoder.write_header().map_err(encoding)?;
    let mut rows = writer.stream_writer().map_err(encoding)?;
    let mut above = vec![0; width as usize * BYTES_PER_PIXEL];
    draw_in_stretches(picture, |finished| {
        let mut before = above.as_slice();
        for row in finished.chunks_exact(before.len()) {
            rows.set_filter(filter_for(row, before));
            rows.write_all(row).map_err(encoding)?;
            before = row;
        }
        above = before.to_vec();
        Ok(())
    })?;
    rows.finish().map_err(encoding)?;
    writer.finish().map_err(encoding)?;
    Ok(bytes)
}

/// The filter that leaves more zeros: most pixels are as the one before them, but where lines go up and down, as the one above.
/// To let the encoder try all filters takes twice the time of all else here.
fn filter_for(row: &[u8], above: &[u8]) -> png::Filter {
    let is_up = changes(row, above) < changes(&row[BYTES_PER_PIXEL..], row);
    if is_up { png::Filter::Up } else { png::Filter::Sub }
}

/// How much differs: words of four bytes tell it well enough.
fn changes(own: &[u8], other: &[u8]) -> u32 {
    let mut count = 0;
    for (own, other) in own.as_chunks::<4>().0.iter().zip(other.as_chunks::<4>().0) {
        count += u32::from(own != other);
    }
    count
}

fn encoding(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Draws the parts in order and hands over the pixels, from the top, as they can change no more.
fn draw_in_stretches(
    picture: &impl Picture,
    mut finished: impl FnMut(&[u8]) -> Result<(), String>,
) -> Result<(), String> {
    let (width, height) = picture.size();
    let row_bytes = width as usize * BYTES_PER_PIXEL;
    let (mut pixels, mut top) = (Vec::new(), 0);
    for (part, own) in picture.parts().into_iter().enumerate() {
        let first = own.start.saturating_sub(OVERHANG).max(top);
        let done = pixels.len().min((first - top) as usize * row_bytes);
        finished(&pixels[..done])?;
        pixels.drain(..done);
        top = first;
        let held = (own.end.saturating_add(OVERHANG).min(height) - top) as usize * row_bytes;
        pixels.reserve_exact(held.saturating_sub(pixels.len()));
        pixels.resize(held.max(pixels.len()), 255);
        let area = Stretch::new(&mut pixels, top, (width, height)).into_drawing_area();
        picture.draw_part(part, &area, Joints::Apart)?;
    }
    finished(&pixels)
}

/// Some rows of a bitmap; what is drawn above and below them is lost.
struct Stretch<'a> {
    rows: BitMapBackend<'a>,
    /// The bitmap's row that is the first here.
    top: i32,
    /// Of the whole bitmap.
    size: (u32, u32),
    polygons: PolygonFill,
}

impl<'a> Stretch<'a> {
    fn new(pixels: &'a mut [u8], top: u32, size: (u32, u32)) -> Self {
        let held = pixels.len() / BYTES_PER_PIXEL / size.0 as usize;
        let held = u32::try_from(held).expect("no more rows than the bitmap has");
        let top = i32::try_from(top).expect("coordinates are i32");
        Stretch {
            rows: BitMapBackend::with_buffer(pixels, (size.0, held)),
            top,
            size,
            polygons: PolygonFill::default(),
        }
    }

    fn here(&self, (x, y): BackendCoord) -> BackendCoord {
        (x, y - self.top)
    }
}

type Drawn = Result<(), DrawingErrorKind<<BitMapBackend<'static> as DrawingBackend>::ErrorType>>;

/// Lines and polygons are taken apart in the whole bitmap's coordinates, so that each pixel is as if it had been drawn there.
impl DrawingBackend for Stretch<'_> {
    type ErrorType = <BitMapBackend<'static> as DrawingBackend>::ErrorType;

    fn get_size(&self) -> (u32, u32) {
        self.size
    }

    fn ensure_prepared(&mut self) -> Drawn {
        self.rows.ensure_prepared()
    }

    fn present(&mut self) -> Drawn {
        self.rows.present()
    }

    fn draw_pixel(&mut self, point: BackendCoord, color: BackendColor) -> Drawn {
        // Most pixels of a letter's box.
        if color.alpha <= 0.0 {
            return Ok(());
        }
        self.rows.draw_pixel(self.here(point), color)
    }

    fn draw_line<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S) -> Drawn {
        if (from.0 == to.0 || from.1 == to.1) && style.stroke_width() == 1 {
            return self.rows.draw_line(self.here(from), self.here(to), style);
        }
        rasterizer::draw_line(self, from, to, style)
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        upper_left: BackendCoord,
        bottom_right: BackendCoord,
        style: &S,
        fill: bool,
    ) -> Drawn {
        if fill {
            return self.rows.draw_rect(self.here(upper_left), self.here(bottom_right), style, fill);
        }
        rasterizer::draw_rect(self, upper_left, bottom_right, style, fill)
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, path: I, style: &S) -> Drawn {
        if style.color().alpha == 0.0 {
            return Ok(());
        }
        let mut points = path.into_iter();
        let Some(mut from) = points.next() else { return Ok(()) };
        if style.stroke_width() == 1 {
            for to in points {
                self.draw_line(from, to, style)?;
                from = to;
            }
            return Ok(());
        }
        let Some(to) = points.next() else { return Ok(()) };
        if let Some(third) = points.next() {
            let all: Vec<BackendCoord> = [from, to, third].into_iter().chain(points).collect();
            return self.fill_polygon(rasterizer::polygonize(&all, style.stroke_width()), &style.color());
        }
        // The segment of a line: thousands of them.
        if from != to {
            let mut polygons = std::mem::take(&mut self.polygons);
            let drawn = polygons.fill(self, &outline(from, to, style.stroke_width()), &style.color());
            self.polygons = polygons;
            return drawn;
        }
        Ok(())
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, vertices: I, style: &S) -> Drawn {
        let vertices: Vec<BackendCoord> = vertices.into_iter().collect();
        let mut polygons = std::mem::take(&mut self.polygons);
        let drawn = polygons.fill(self, &vertices, style);
        self.polygons = polygons;
        drawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::canvas::{Area, drawing, palette, write_text};
    use std::ops::Range;

    /// Rising lines, turned text and a shade, in parts of `heights`, each standing out of its own rows a little.
    struct Sample {
        heights: Vec<u32>,
    }

    impl Picture for Sample {
        fn size(&self) -> (u32, u32) {
            (120, self.heights.iter().sum())
        }

        fn parts(&self) -> Vec<Range<u32>> {
            let mut end = 0;
            let rows = |height: &u32| {
                let start = end;
                end += height;
                start..end
            };
            self.heights.iter().map(rows).collect()
        }

        fn draw_part<DB: DrawingBackend>(&self, part: usize, area: &Area<DB>, _: Joints) -> Result<(), String> {
            let rows = self.parts()[part].clone();
            let (start, end) = (rows.start as i32, rows.end as i32);
            let shade = Rectangle::new([(4, start - 8), (60, end + 5)], palette::ORANGE.mix(0.3).filled());
            area.draw(&shade).map_err(drawing)?;
            for width in [1, 2] {
                let style = ShapeStyle::from(palette::BLUE).stroke_width(width);
                let line = PathElement::new([(2, end + 15), (117 - width as i32 * 30, start - 15)], style);
                area.draw(&line).map_err(drawing)?;
            }
            area.draw(&Circle::new((100, end), 7, palette::GREEN.filled())).map_err(drawing)?;
            let turned = ("sans-serif", 14).into_font().transform(FontTransform::Rotate90).color(&palette::INK);
            area.draw_text("up", &turned, (20, end - 10)).map_err(drawing)?;
            write_text(area, "across the edge", 16, palette::INK, (10, end)).map(|_| ())
        }
    }

    /// The same on one bitmap.
    fn whole(picture: &Sample) -> Vec<u8> {
        let (width, height) = picture.size();
        let mut pixels = vec![255; (width * height) as usize * BYTES_PER_PIXEL];
        let root = BitMapBackend::with_buffer(&mut pixels, (width, height)).into_drawing_area();
        for part in 0..picture.heights.len() {
            picture.draw_part(part, &root, Joints::Apart).expect("a sample is drawn");
        }
        drop(root);
        pixels
    }

    #[test]
    fn stretches_are_the_rows_of_the_whole_bitmap() {
        font::register();
        for heights in [vec![90], vec![41, 150, 60, 60, 200], vec![7, 9, 11, 100, 3], vec![100; 8]] {
            let picture = Sample { heights };
            let mut rows = Vec::new();
            let gathered = draw_in_stretches(&picture, |finished| {
                rows.extend_from_slice(finished);
                Ok(())
            });
            assert_eq!(gathered, Ok(()));
            assert!(rows == whole(&picture), "parts of {:?} rows", picture.heights);
        }
    }

    #[test]
    fn the_file_holds_the_picture() {
        let picture = Sample { heights: vec![80, 120] };
        let bytes = to_png(&picture).expect("a sample is encoded");
        let mut reader = png::Decoder::new(std::io::Cursor::new(&bytes)).read_info().expect("a PNG");
        let mut pixels = vec![0; reader.output_buffer_size().expect("a small picture")];
        let frame = reader.next_frame(&mut pixels).expect("one frame");
        assert_eq!((frame.width, frame.height), (120, 200));
        assert!(pixels == whole(&picture));
    }
}
