//! Keeps the house in order: which room may touch which, who alone uses what, how long a file may be.

use std::fs;
use std::path::{Path, PathBuf};

/// No file is longer.
const LINES_MAX: usize = 500;

/// A folder (or file), and what nothing in it may name.
const FORBIDDEN: [(&str, &[&str]); 12] = [
    (
        "apiserver/wire/src",
        &["tinyplane_apiserver", "tinyplane_controllers", "tinyplane_kubelet", "tinyplane_konnectivity", "tinyplane::"],
    ),
    (
        "apiserver/controllers/src",
        &["tinyplane_apiserver", "tinyplane_kubelet", "tinyplane_konnectivity", "tinyplane::"],
    ),
    ("kubelet-stub/src", &["tinyplane_apiserver", "tinyplane_controllers", "tinyplane_konnectivity", "tinyplane::"]),
    ("apiserver/src", &["tinyplane_controllers", "tinyplane_kubelet", "tinyplane_konnectivity::", "tinyplane::"]),
    ("konnectivity/src", &["tinyplane_apiserver", "tinyplane_controllers", "tinyplane_kubelet", "tinyplane::"]),
    (
        "konnectivity/client/src",
        &[
            "tinyplane_apiserver",
            "tinyplane_controllers",
            "tinyplane_kubelet",
            "tinyplane_konnectivity::",
            "tinyplane::",
        ],
    ),
    ("apiserver/src/store", &["crate::registry", "crate::handlers", "crate::respond", "status::Status", "http::"]),
    ("apiserver/src/handlers", &["crate::store::sled", "crate::store::memory"]),
    ("apiserver/src/admission", &["crate::store"]),
    ("apiserver/src/streaming", &["crate::registry", "crate::store"]),
    ("apiserver/src/egress", &["crate::registry", "crate::store"]),
    ("apiserver/src/schema", &["crate::registry", "crate::store", "crate::handlers"]),
];

/// A word, and the only places that may say it.
const KEEPERS: [(&str, &[&str]); 7] = [
    ("sled::", &["apiserver/src/store", "apiserver/src/start.rs", "apiserver/benches"]),
    ("rcgen::", &["apiserver/wire/src/identity/pki.rs"]),
    ("h2::", &["konnectivity"]),
    ("russh::", &["apiserver/src/egress/ssh", "kubelet-stub/src/server/ssh"]),
    ("TcpListener::", &["apiserver/wire/src/net"]),
    ("TcpSocket::", &["apiserver/wire/src/net"]),
    ("install_default", &["testkit/downstream"]),
];

struct Source {
    path: String,
    text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("testkit/ stands in the workspace").to_owned()
}

fn sources() -> Vec<Source> {
    let root = root();
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> =
        ["apiserver", "kubelet-stub", "konnectivity", "testkit"].iter().map(|f| root.join(f)).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the workspace can be read").filter_map(Result::ok) {
            let path = entry.path();
            if path.is_dir() {
                if path.file_name().is_none_or(|name| name != "target") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).expect("a source file is text");
                let path = path.strip_prefix(&root).expect("it was found below the root").display().to_string();
                found.push(Source { path, text });
            }
        }
    }
    assert!(found.len() > 20, "the scan found {} files only", found.len());
    found
}

/// The lines that are code, without comments and what is there in tests only.
fn code(source: &Source) -> Vec<(usize, &str)> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut lines = source.text.lines().enumerate();
    let mut found = Vec::new();
    while let Some((at, line)) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            // The item that follows: one line, or all up to the end of its block.
            let depth = indent(line);
            let ends =
                |line: &str| indent(line) == depth && (line.ends_with(';') || line.trim_start().starts_with('}'));
            lines.by_ref().map(|(_, line)| line).find(|line| ends(line));
        } else if !line.trim_start().starts_with("//") {
            found.push((at, line));
        }
    }
    found
}

fn report(what: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{what}:\n{}", broken.join("\n"));
}

#[test]
fn no_room_reaches_where_it_may_not() {
    let mut broken = Vec::new();
    for source in sources() {
        for (place, forbidden) in FORBIDDEN.iter().filter(|(place, _)| source.path.starts_with(place)) {
            if source.path.contains("/tests/") || source.path.contains("/benches/") {
                continue;
            }
            for (at, line) in code(&source) {
                if let Some(word) = forbidden.iter().find(|word| line.contains(**word)) {
                    broken.push(format!("{}:{}: {place} may not name {word}", source.path, at + 1));
                }
            }
        }
    }
    report("arrows of the house that point the wrong way", &broken);
}

#[test]
fn what_has_a_keeper_is_used_by_its_keeper_alone() {
    let mut broken = Vec::new();
    for source in sources().iter().filter(|s| !s.path.starts_with("testkit/tests")) {
        for (word, keepers) in KEEPERS {
            if keepers.iter().any(|keeper| source.path.starts_with(keeper)) {
                continue;
            }
            let lines = code(source).into_iter().filter(|(_, line)| line.contains(word));
            broken.extend(lines.map(|(at, _)| format!("{}:{}: {word} belongs to {keepers:?}", source.path, at + 1)));
        }
    }
    report("things used by others than their keeper", &broken);
}

#[test]
fn every_file_is_short_and_says_its_job_in_its_first_line() {
    let mut broken = Vec::new();
    for source in sources() {
        let lines = source.text.lines().count();
        if lines > LINES_MAX {
            broken.push(format!("{}: {lines} lines, over {LINES_MAX}", source.path));
        }
        if !source.text.starts_with("//! ") {
            broken.push(format!("{}: the first line does not say what the file is for", source.path));
        }
    }
    report("files", &broken);
}

#[test]
fn no_package_that_a_user_compiles_depends_on_generated_types() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).expect("the lock file is there");
    for name in ["k8s-pb", "kube", "openssl", "openssl-sys", "native-tls"] {
        assert!(!lock.contains(&format!("name = \"{name}\"\n")), "{name} stands in Cargo.lock");
    }
}

#[test]
fn a_users_build_has_upstreams_texts_where_they_are_wished_and_then_at_the_build_alone() {
    let read = |path: &str| fs::read_to_string(root().join(path)).expect("a file of the workspace is text");
    let lock = read("Cargo.lock");
    let named = |package: &str| package.lines().find_map(|line| line.strip_prefix("name = ").map(str::to_owned));
    let needing = lock.split("[[package]]").filter(|package| package.contains("\n \"k8s-openapi\",\n"));
    assert_eq!(needing.filter_map(named).collect::<Vec<_>>(), ["\"tinyplane-apiserver\""]);
    let manifest = read("apiserver/Cargo.toml");
    let places: Vec<&str> = manifest.split("\n[").filter(|section| section.contains("\nk8s-openapi = ")).collect();
    let [place] = places.as_slice() else { panic!("it stands in {} sections", places.len()) };
    assert!(place.starts_with("build-dependencies]"), "{place}");
    assert!(place.contains("\nk8s-openapi = { workspace = true, optional = true }\n"), "{place}");
}
