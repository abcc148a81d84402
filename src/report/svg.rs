//! From a drawing to SVG text. plotters writes all elements; only the points of lines are written here and put in afterwards: a
//! timeline has tens of thousands, and plotters formats and escapes each of their digits.

use crate::report::canvas::{Joints, Picture, SVG_MARK, drawing};
use crate::report::font;
use plotters::prelude::*;
use plotters_backend::{BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingErrorKind};

/// The attribute as plotters leaves it for an element without points. No text can hold it: its quotes would be escaped.
const NO_POINTS: &str = "points=\"\"";

/// The picture as SVG.
pub(super) fn to_svg(picture: &impl Picture) -> Result<String, String> {
    font::register();
    let (mut elements, mut points) = (String::new(), Points::default());
    {
        let rest = SVGBackend::with_string(&mut elements, picture.size());
        let root = PointsApart { rest, points: &mut points }.into_drawing_area();
        root.fill(&WHITE).map_err(drawing)?;
        for part in 0..picture.parts().len() {
            picture.draw_part(part, &root, Joints::Joined)?;
        }
        root.present().map_err(drawing)?;
    }
    let mut text = points.put_into(&elements);
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(SVG_MARK);
    text.push('\n');
    Ok(text)
}

/// The points of all elements that have some, in the elements' order.
#[derive(Default)]
struct Points {
    text: String,
    /// Where each element's points end in `text`.
    ends: Vec<usize>,
}

impl Points {
    /// As plotters writes them.
    fn take(&mut self, points: impl IntoIterator<Item = BackendCoord>) {
        let mut digits = itoa::Buffer::new();
        for (x, y) in points {
            self.text.push_str(digits.format(x));
            self.text.push(',');
            self.text.push_str(digits.format(y));
            self.text.push(' ');
        }
        self.ends.push(self.text.len());
    }

    /// `elements` with their points.
    fn put_into(&self, elements: &str) -> String {
        let mut whole = String::with_capacity(elements.len() + self.text.len() + SVG_MARK.len() + 2);
        let (mut rest, mut start) = (elements, 0);
        for &end in &self.ends {
            let (before, after) = rest.split_once(NO_POINTS).expect("each of them was drawn without points");
            whole.push_str(before);
            whole.push_str("points=\"");
            whole.push_str(&self.text[start..end]);
            whole.push('"');
            (rest, start) = (after, end);
        }
        whole.push_str(rest);
        whole
    }
}

/// Draws all but points.
struct PointsApart<'a, 'b> {
    rest: SVGBackend<'a>,
    points: &'b mut Points,
}

type Drawn = Result<(), DrawingErrorKind<<SVGBackend<'static> as DrawingBackend>::ErrorType>>;

impl DrawingBackend for PointsApart<'_, '_> {
    type ErrorType = <SVGBackend<'static> as DrawingBackend>::ErrorType;

    fn get_size(&self) -> (u32, u32) {
        self.rest.get_size()
    }

    fn ensure_prepared(&mut self) -> Drawn {
        self.rest.ensure_prepared()
    }

    fn present(&mut self) -> Drawn {
        self.rest.present()
    }

    fn draw_pixel(&mut self, point: BackendCoord, color: BackendColor) -> Drawn {
        self.rest.draw_pixel(point, color)
    }

    fn draw_line<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S) -> Drawn {
        self.rest.draw_line(from, to, style)
    }

    fn draw_rect<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S, fill: bool) -> Drawn {
        self.rest.draw_rect(from, to, style, fill)
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, path: I, style: &S) -> Drawn {
        // What is not seen gets no element.
        if style.color().alpha != 0.0 {
            self.points.take(path);
        }
        self.rest.draw_path([], style)
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, vertices: I, style: &S) -> Drawn {
        if style.color().alpha != 0.0 {
            self.points.take(vertices);
        }
        self.rest.fill_polygon([], style)
    }

    fn draw_circle<S: BackendStyle>(&mut self, center: BackendCoord, radius: u32, style: &S, fill: bool) -> Drawn {
        self.rest.draw_circle(center, radius, style, fill)
    }

    fn draw_text<S: BackendTextStyle>(&mut self, text: &str, style: &S, at: BackendCoord) -> Drawn {
        self.rest.draw_text(text, style, at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::canvas::{Area, palette, write_text};
    use std::ops::Range;

    /// Every kind of element, a text that looks like an attribute, and lines that nobody sees.
    struct Sample;

    impl Picture for Sample {
        fn size(&self) -> (u32, u32) {
            (200, 120)
        }

        fn parts(&self) -> Vec<Range<u32>> {
            vec![0..60, 60..120]
        }

        fn draw_part<DB: DrawingBackend>(&self, part: usize, area: &Area<DB>, _: Joints) -> Result<(), String> {
            let down = part as i32 * 60;
            write_text(area, "points=\"\" <&>", 14, palette::INK, (10, down + 10)).map(|_| ())?;
            for style in [ShapeStyle::from(palette::BLUE).stroke_width(2), ShapeStyle::from(TRANSPARENT)] {
                let line = [(-3, down), (120, down + 40), (7, -1)];
                area.draw(&PathElement::new(line, style)).map_err(drawing)?;
                area.draw(&Polygon::new([(5, down), (9, down + 8), (1, 100)], style.filled())).map_err(drawing)?;
            }
            area.draw(&PathElement::new([], palette::GREEN)).map_err(drawing)?;
            area.draw(&Rectangle::new([(4, down), (60, down + 5)], palette::ORANGE.mix(0.3).filled()))
                .map_err(drawing)?;
            area.draw(&Circle::new((100, down), 7, palette::GREEN)).map_err(drawing)?;
            area.draw_pixel((3, 3), &palette::PURPLE).map_err(drawing)
        }
    }

    #[test]
    fn the_text_is_that_of_plotters() {
        font::register();
        let mut expected = String::new();
        {
            let root = SVGBackend::with_string(&mut expected, Sample.size()).into_drawing_area();
            root.fill(&WHITE).expect("a sample is drawn");
            for part in 0..2 {
                Sample.draw_part(part, &root, Joints::Joined).expect("a sample is drawn");
            }
            root.present().expect("a sample is drawn");
        }
        assert!(expected.matches("points=\"").count() > 4, "{expected}");
        assert_eq!(to_svg(&Sample), Ok(format!("{expected}{SVG_MARK}\n")));
    }
}
