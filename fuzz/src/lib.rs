//! Bodies of fuzz targets: each takes any bytes, and panics where something is not as it must be. `targets/` hands them
//! to libFuzzer; the test here replays the corpora, so that what was found once stays mended.

mod archives;
mod bodies;
mod certificates;
mod configs;
mod connections;
mod definitions;
mod desk;
mod foos;
mod json_paths;
mod packets;
mod patches;
mod paths;
mod pod;
mod protobuf;
mod requests;
mod rig;
mod schemas;
mod script;
mod selectors;
mod shell;
mod soon;
mod spdy;
mod ssh;
mod streams;
mod tunnels;

/// One target: its name, which is its corpus' as well, and its body.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 19] = [
    ("archives", archives::run),
    ("bodies", bodies::run),
    ("certificates", certificates::run),
    ("configs", configs::run),
    ("connections", connections::run),
    ("definitions", definitions::run),
    ("json_paths", json_paths::run),
    ("packets", packets::run),
    ("patches", patches::run),
    ("paths", paths::run),
    ("protobuf", protobuf::run),
    ("requests", requests::run),
    ("schemas", schemas::run),
    ("selectors", selectors::run),
    ("shell", shell::run),
    ("spdy", spdy::run),
    ("ssh", ssh::run),
    ("streams", streams::run),
    ("tunnels", tunnels::run),
];

/// Runs the body of a target.
///
/// # Panics
/// When there is none of this name, or when something is not as it must be.
pub fn run(target: &str, bytes: &[u8]) {
    let found = TARGETS.iter().find(|(name, _)| *name == target);
    let (_, body) = found.expect("a target of TARGETS");
    body(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_corpora_are_replayed() {
        for (name, body) in TARGETS {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
            let mut files = 0;
            for entry in std::fs::read_dir(&folder).expect("every target has a corpus") {
                let bytes = std::fs::read(entry.expect("an entry").path()).expect("a file");
                body(&bytes);
                files += 1;
            }
            assert!(files > 2, "{name} has {files} files");
        }
    }
}
