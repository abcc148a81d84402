//! Importers of recorded traces, one file per format, and what they share.

mod azure;
mod burstgpt;
mod collector;
mod csv_table;
mod format;
mod mooncake;
mod vidur;

pub(crate) use format::import;
