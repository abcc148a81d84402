//! From a drawing to PNG bytes, a stretch of rows at a time: a part is drawn, and what no later part can touch goes into the
//! encoder, so that the whole bitmap is never held.

use crate::report::canvas::{Joints, PNG_MARK, Picture};
use crate::report::font;
use crate::report::polygon::{PolygonFill, outline};
use crate::report::stamp::{Pixel, Stamps};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};
use plotters_backend::{BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingErrorKind, rasterizer};
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
    let (mut pixels, mut top, mut stamps) = (Vec::new(), 0, Stamps::default());
    for (part, own) in picture.parts().into_iter().enumerate() {
        let first = own.start.saturating_sub(OVERHANG).max(top);
        let done = pixels.len().min((first - top) as usize * row_bytes);
        finished(&pixels[..done])?;
        pixels.drain(..done);
        top = first;
        let held = (own.end.saturating_add(OVERHANG).min(height) - top) as usize * row_bytes;
        pixels.reserve_exact(held.saturating_sub(pixels.len()));
        pixels.resize(held.max(pixels.len()), 255);
        let area = Stretch::new(&mut pixels, &mut stamps, top, (width, height)).into_drawing_area();
        picture.draw_part(part, &area, Joints::Apart)?;
    }
    finished(&pixels)
}

/// Some rows of a bitmap; what is drawn above and below them is lost.
struct Stretch<'a> {
    pixels: &'a mut [u8],
    stamps: &'a mut Stamps,
    /// The bitmap's row that is the first here.
    top: i32,
    /// Of the whole bitmap.
    size: (u32, u32),
    polygons: PolygonFill,
}

impl<'a> Stretch<'a> {
    fn new(pixels: &'a mut [u8], stamps: &'a mut Stamps, top: u32, size: (u32, u32)) -> Self {
        let top = i32::try_from(top).expect("coordinates are i32");
        Stretch { pixels, stamps, top, size, polygons: PolygonFill::default() }
    }

    /// The rows as a bitmap of their own.
    fn rows(&mut self) -> BitMapBackend<'_> {
        let held = self.pixels.len() / BYTES_PER_PIXEL / self.size.0 as usize;
        let held = u32::try_from(held).expect("no more rows than the bitmap has");
        BitMapBackend::with_buffer(self.pixels, (self.size.0, held))
    }

    fn here(&self, (x, y): BackendCoord) -> BackendCoord {
        (x, y - self.top)
    }

    fn polygon<S: BackendStyle>(&mut self, vertices: &[BackendCoord], style: &S) -> Drawn {
        let mut polygons = std::mem::take(&mut self.polygons);
        let drawn = polygons.fill(self, vertices, style);
        self.polygons = polygons;
        drawn
    }
}

/// Where pixels are stamped.
struct Stamped<'a> {
    pixels: &'a mut [[u8; BYTES_PER_PIXEL]],
    width: u32,
    top: i32,
    color: BackendColor,
}

impl<'a> Stamped<'a> {
    fn new(pixels: &'a mut [u8], width: u32, top: i32, color: BackendColor) -> Self {
        Stamped { pixels: pixels.as_chunks_mut().0, width, top, color }
    }

    /// As plotters' bitmap draws a pixel of the colour, `covered` of it.
    fn put(&mut self, (x, y): BackendCoord, covered: f64) {
        let (Ok(x), Ok(row)) = (u32::try_from(x), usize::try_from(y - self.top)) else { return };
        if x >= self.width {
            return;
        }
        let Some(pixel) = self.pixels.get_mut(row * self.width as usize + x as usize) else { return };
        let (red, green, blue) = self.color.rgb;
        let alpha = self.color.alpha * covered;
        if alpha >= 1.0 - 1.0 / 256.0 {
            *pixel = [red, green, blue];
            return;
        }
        // `as` makes negative ones 0.
        let share = (alpha * 256.0) as i32;
        for (there, new) in pixel.iter_mut().zip([red, green, blue]) {
            let (old, new) = (i32::from(*there), i32::from(new));
            *there = (old + (new - old) * share / 256) as u8;
        }
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
        Ok(())
    }

    fn present(&mut self) -> Drawn {
        Ok(())
    }

    fn draw_pixel(&mut self, point: BackendCoord, color: BackendColor) -> Drawn {
        let point = self.here(point);
        self.rows().draw_pixel(point, color)
    }

    fn draw_line<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S) -> Drawn {
        if (from.0 == to.0 || from.1 == to.1) && style.stroke_width() == 1 {
            let (from, to) = (self.here(from), self.here(to));
            return self.rows().draw_line(from, to, style);
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
            let (upper_left, bottom_right) = (self.here(upper_left), self.here(bottom_right));
            return self.rows().draw_rect(upper_left, bottom_right, style, fill);
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
        if from == to {
            return Ok(());
        }
        // The segment of a line: thousands of them.
        let color = style.color();
        if color.alpha >= 1.0
            && let Some(pixels) = self.stamps.segment(from, to, style.stroke_width())
        {
            let mut stamped = Stamped::new(self.pixels, self.size.0, self.top, color);
            for pixel in pixels {
                stamped.put((from.0 + pixel.at.0, from.1 + pixel.at.1), pixel.covered);
            }
            return Ok(());
        }
        self.polygon(&outline(from, to, style.stroke_width()), &color)
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, vertices: I, style: &S) -> Drawn {
        let vertices: Vec<BackendCoord> = vertices.into_iter().collect();
        self.polygon(&vertices, style)
    }

    /// As plotters draws it, letter by letter.
    fn draw_text<S: BackendTextStyle>(&mut self, text: &str, style: &S, at: BackendCoord) -> Drawn {
        let ((left, top), (right, bottom)) =
            style.layout_box(text).map_err(|error| DrawingErrorKind::FontError(Box::new(error)))?;
        let across = match style.anchor().h_pos {
            HPos::Left => 0,
            HPos::Right => left - right,
            HPos::Center => (left - right) / 2,
        };
        let down = match style.anchor().v_pos {
            VPos::Top => 0,
            VPos::Center => (top - bottom) / 2,
            VPos::Bottom => top - bottom,
        };
        let (turn, mut stamped) = (style.transform(), Stamped::new(self.pixels, self.size.0, self.top, style.color()));
        self.stamps.for_letters(text, style.size() as f32, |letter, place| {
            for &Pixel { at: (x, y), covered } in &letter.pixels {
                let (x, y) = turn.transform(x + place + across - left, y + down - top);
                stamped.put((at.0 + x, at.1 + y), covered);
            }
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::canvas::{Area, drawing, palette, write_text};
    use proptest::prelude::*;
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

    /// A picture of 150 x 110 pixels, drawn by plotters and here.
    fn both(draw: impl Fn(&mut dyn FnMut(&Drawing))) -> (Vec<u8>, Vec<u8>) {
        let size = (150, 110);
        let blank = || vec![255; (size.0 * size.1) as usize * BYTES_PER_PIXEL];
        let (mut expected, mut found) = (blank(), blank());
        let plain = BitMapBackend::with_buffer(&mut expected, size).into_drawing_area();
        let mut stamps = Stamps::default();
        let own = Stretch::new(&mut found, &mut stamps, 0, size).into_drawing_area();
        draw(&mut |drawing| {
            drawing.on(&plain);
            drawing.on(&own);
        });
        drop((plain, own));
        (expected, found)
    }

    enum Drawing<'a> {
        Line(&'a [BackendCoord], ShapeStyle),
        Text(&'a str, &'a TextStyle<'a>, BackendCoord),
    }

    impl Drawing<'_> {
        fn on<DB: DrawingBackend>(&self, area: &Area<DB>) {
            let drawn = match self {
                // As `plot` draws lines.
                Drawing::Line(points, style) => {
                    points.windows(2).try_for_each(|ends| area.draw(&PathElement::new(ends.to_vec(), *style)))
                }
                Drawing::Text(text, style, at) => area.draw_text(text, style, *at),
            };
            drawn.expect("a bitmap takes all");
        }
    }

    #[test]
    fn letters_are_those_of_plotters() {
        font::register();
        let turns = [FontTransform::None, FontTransform::Rotate90, FontTransform::Rotate270];
        let places = [(HPos::Left, VPos::Top), (HPos::Center, VPos::Center), (HPos::Right, VPos::Bottom)];
        let texts =
            ["AVA To. We, \"Ty\" {fi} 0123456789", "gjpqy|\u{2014}\u{d7}\u{2026} @#%&()[]~", "\u{e4}\u{df}\u{4e2d}"];
        for size in [12, 14, 16, 20] {
            for turn in turns.iter().cycle().take(3) {
                for (horizontal, vertical) in places {
                    for (text, color) in
                        texts.iter().zip([palette::INK.mix(1.0), palette::BLUE.mix(0.4), BLACK.mix(1.0)])
                    {
                        let style = ("sans-serif", size).into_font().transform(turn.clone()).color(&color);
                        let style = style.pos(plotters::style::text_anchor::Pos::new(horizontal, vertical));
                        let (expected, found) = both(|draw| draw(&Drawing::Text(text, &style, (70, 50))));
                        assert!(expected.iter().any(|byte| *byte != 255), "{text} is seen");
                        assert!(expected == found, "{text} of {size} pixels");
                    }
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn segments_are_those_of_plotters(
            points in prop::collection::vec((-9..160i32, -9..120i32), 2..5),
            steps in prop::collection::vec((-50..51i32, -50..51i32), 0..20),
            width in 1..5u32,
            alpha in prop::sample::select(vec![0.3, 1.0]),
        ) {
            let mut points = points;
            for (right, down) in steps {
                let (x, y) = *points.last().expect("two at least");
                points.push((x + right, y + down));
            }
            let style = ShapeStyle::from(palette::ORANGE.mix(alpha)).stroke_width(width);
            let (expected, found) = both(|draw| draw(&Drawing::Line(&points, style)));
            prop_assert!(expected == found);
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
