//! The one font of the charts, embedded so that a picture is the same on every machine.
//!
//! A subset of DejaVu Sans (Latin-1, arrows, a few symbols); its licence stands beside it in `assets/fonts`.

use ab_glyph::FontRef;
use plotters::style::{FontStyle, register_font};
use std::sync::{LazyLock, Once};

/// The family that every text of a chart uses.
pub(super) const FAMILY: &str = "sans-serif";

static REGISTER: Once = Once::new();
static BYTES: &[u8] = include_bytes!("../../assets/fonts/DejaVuSans-subset.ttf");

static FONT: LazyLock<FontRef<'static>> =
    LazyLock::new(|| FontRef::try_from_slice(BYTES).expect("the embedded font is a valid font"));

/// The font itself, as plotters reads it.
pub(super) fn own() -> &'static FontRef<'static> {
    &FONT
}

/// Makes the font known; must precede any chart, SVG too, since text is measured.
pub(super) fn register() {
    REGISTER.call_once(|| {
        assert!(register_font(FAMILY, FontStyle::Normal, BYTES).is_ok(), "the embedded font is a valid font");
    });
}
