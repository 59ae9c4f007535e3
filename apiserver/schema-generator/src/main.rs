//! Writes `apiserver/src/schema/table.txt` from k8s-openapi, k8s-pb and the supplement; `--check` compares instead.

mod facts;
mod proto;
#[path = "../../build/roots.rs"]
mod roots;
mod table;

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

fn main() -> ExitCode {
    let check = match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => false,
        [flag] if flag == "--check" => true,
        _ => {
            eprintln!("usage: schema-generator [--check]");
            return ExitCode::from(2);
        }
    };
    match run(check) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("schema-generator: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(check: bool) -> Result<(), Box<dyn Error>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let facts = facts::parse(&fs::read_to_string(here.join("facts.txt"))?)?;
    let messages = proto::read(&k8s_pb(here)?)?;
    let made = table::write(&roots::collect(), &messages, &facts)
        .map_err(|lacking| format!("no number for {} fields:\n{}", lacking.len(), lacking.join("\n")))?;
    let target = here.join("../src/schema/table.txt");
    if !check {
        return Ok(fs::write(target, made)?);
    }
    let kept = fs::read_to_string(&target)?;
    match kept.lines().zip(made.lines()).position(|(kept, made)| kept != made) {
        None if kept == made => Ok(()),
        None => Err("table.txt and what would be generated differ in length".into()),
        Some(index) => {
            Err(format!("table.txt differs from what would be generated, first at line {}", index + 1).into())
        }
    }
}

/// The folder of k8s-pb's source, as cargo resolved it.
fn k8s_pb(here: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo).args(["metadata", "--format-version=1", "--locked"]).current_dir(here).output()?;
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().ok_or("cargo metadata lists no packages")?;
    let manifest = packages
        .iter()
        .find(|package| package["name"] == "k8s-pb")
        .and_then(|package| package["manifest_path"].as_str())
        .ok_or("k8s-pb is not among the dependencies")?;
    Ok(Path::new(manifest).parent().ok_or("a manifest without a folder")?.join("src"))
}
