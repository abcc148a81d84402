//! kedasim runs a KEDA `ScaledObject` unmodified against simulated LLM traffic, in virtual time, and says before
//! deployment whether it flaps, misses its latency goals or wastes GPUs, and why.
//!
//! Each module is a *room*; a room may import only the rooms that stand before it in the list below and that its row
//! in `tests/architecture.rs` names. Reading order for a newcomer: [`sim`] (the loop is one page), then [`hpa`],
//! [`keda`], [`prometheus`], [`replica`], [`cluster`].
#![forbid(unsafe_code)]

pub mod units;

pub mod series;

pub mod manifest;
pub mod traffic;

pub mod hpa;
pub mod keda;

pub mod replica;

pub mod prometheus;

pub mod export;

pub mod cluster;

pub mod scenario;

pub mod record;

pub mod sim;

pub mod analysis;
pub mod lint;
pub mod study;

pub mod report;

pub mod cli;
