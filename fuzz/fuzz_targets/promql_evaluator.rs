//! See `kedasim_fuzz::promql_evaluator`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kedasim_fuzz::promql_evaluator(data));
