//! See `kedasim_fuzz::promql_parser`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kedasim_fuzz::promql_parser(data));
