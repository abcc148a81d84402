//! Words every room speaks: virtual time, durations as people write them, Kubernetes quantities, random streams,
//! portable mathematics, places in files and the messages that point at them.
//!
//! This room knows nothing of the simulator. Reading order: [`SimTime`], [`Span`], [`Diagnostics`], [`Seed`].

mod diagnostic;
mod duration;
pub mod math;
mod quantity;
mod random;
mod shown;
mod span;
mod time;

pub use diagnostic::{Diagnostic, Diagnostics, Judge, Severity};
pub use duration::{parse_go_duration, parse_prometheus_duration};
pub use quantity::{Quantity, QuantityError};
pub use random::{Seed, Stream, Streams};
pub use shown::shown_number;
pub use span::{Located, Span};
pub use time::{SimDuration, SimTime};
