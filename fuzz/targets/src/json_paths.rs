//! The target `json_paths`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tinyplane_fuzz::run("json_paths", bytes));
