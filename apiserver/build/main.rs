//! Writes what upstream says of its types, for the feature `descriptions`; nothing without it.

#[cfg(feature = "descriptions")]
#[expect(dead_code, reason = "the generator asks for more of it")]
mod roots;
#[cfg(feature = "descriptions")]
mod texts;

use std::path::PathBuf;
use std::{env, fs, io};

#[expect(clippy::print_stdout, reason = "so a build script speaks to cargo")]
fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build");
    let folder = env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?;
    fs::write(PathBuf::from(folder).join("texts"), packed()?)
}

#[cfg(feature = "descriptions")]
fn packed() -> io::Result<Vec<u8>> {
    texts::packed(&roots::collect())
}

#[cfg(not(feature = "descriptions"))]
fn packed() -> io::Result<Vec<u8>> {
    Ok(Vec::new())
}
