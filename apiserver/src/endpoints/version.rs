//! `/version`: which Kubernetes this is.

use serde_json::{Value, json};

/// The version of Kubernetes whose API is served, and whose server this is not: what follows the plus says whose.
pub(crate) const GIT_VERSION: &str = concat!("v1.36.2+tinyplane-", env!("CARGO_PKG_VERSION"));

/// What Go's struct calls its fields, in its order.
const FIELDS: [&str; 13] = [
    "major",
    "minor",
    "emulationMajor",
    "emulationMinor",
    "minCompatibilityMajor",
    "minCompatibilityMinor",
    "gitVersion",
    "gitCommit",
    "gitTreeState",
    "buildDate",
    "goVersion",
    "compiler",
    "platform",
];

/// The version as JSON.
pub(super) fn spelled() -> Vec<u8> {
    let info = info();
    let fields: Vec<String> = FIELDS.iter().map(|name| format!("\"{name}\":{}", info[*name])).collect();
    format!("{{{}}}", fields.join(",")).into_bytes()
}

pub(crate) fn info() -> Value {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    json!({
        "major": "1",
        "minor": "36",
        "emulationMajor": "1",
        "emulationMinor": "36",
        "minCompatibilityMajor": "1",
        "minCompatibilityMinor": "35",
        "gitVersion": GIT_VERSION,
        "gitCommit": "0000000000000000000000000000000000000000",
        "gitTreeState": "clean",
        "buildDate": "2026-01-01T00:00:00Z",
        "goVersion": "none",
        "compiler": "rustc",
        "platform": format!("{}/{architecture}", std::env::consts::OS),
    })
}
