//! The target `certificates`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tinyplane_fuzz::run("certificates", bytes));
