//! The command line: as typed (`args`), resolved, called. One file a command.
//!
//! stdout carries the result, stderr the talk. Exit codes: 0 fine, 1 a gate failed or a finding at or above `--fail-on`, 2 bad
//! usage or input, 3 internal error.

mod args;
mod calibrate;
mod compare;
pub mod conformance_hpa;
pub mod conformance_promql;
mod explain;
mod export;
mod lint;
mod outcome;
mod overwritten;
mod plot;
mod profiles;
mod replications;
mod simulate;
mod stability;
mod sweep;

pub use outcome::main;
