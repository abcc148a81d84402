//! The one font of the charts, embedded so that a picture is the same on every machine.
//!
//! A subset of DejaVu Sans (Latin-1, arrows, a few symbols); its licence stands beside it in `assets/fonts`.

use plotters::style::{FontStyle, register_font};
use std::sync::Once;

/// The family that every text of a chart uses.
pub(super) const FAMILY: &str = "sans-serif";

static REGISTER: Once = Once::new();
static BYTES: &[u8] = include_bytes!("../../assets/fonts/DejaVuSans-subset.ttf");

/// Makes the font known; must precede any chart, SVG too, since text is measured.
pub(super) fn register() {
    REGISTER.call_once(|| {
        assert!(register_font(FAMILY, FontStyle::Normal, BYTES).is_ok(), "the embedded font is a valid font");
    });
}
