//! How the binary is linked. What only the library is built for is not touched.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found.split(',').any(|one| one == value));
    // At a fixed address nothing is relocated when a member starts, and 25,000 relocations less are held in the memory of
    // each: 1.5 MiB of an idle API server. A static program is linked in another way.
    let dynamic = !is("CARGO_CFG_TARGET_FEATURE", "crt-static");
    if env::var_os("CARGO_FEATURE_CLI").is_some()
        && is("CARGO_CFG_TARGET_OS", "linux")
        && is("CARGO_CFG_TARGET_ENV", "gnu")
        && dynamic
    {
        println!("cargo:rustc-link-arg-bins=-no-pie");
    }
}
