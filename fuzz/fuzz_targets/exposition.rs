//! See `kedasim_fuzz::exposition`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kedasim_fuzz::exposition(data));
