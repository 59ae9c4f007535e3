//! The target `archives`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tinyplane_fuzz::run("archives", bytes));
