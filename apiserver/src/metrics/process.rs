//! The process, as the kernel tells of it, and the version that it is of.

use super::{Kind, Source, Text};
use crate::endpoints::version;
use tinyplane_wire::process::{Figure, figures};

/// The process' figures. Where the kernel does not tell them, they are left out.
#[derive(Debug)]
pub struct Process;

impl Source for Process {
    fn tell(&self, text: &mut Text) {
        for Figure { name, kind, help, value } in figures() {
            text.family(name, if kind == "counter" { Kind::Counter } else { Kind::Gauge }, help);
            text.sample(name, &[], value);
        }
        let info = version::info();
        let label = |name: &str| info[name].as_str().unwrap_or_default().to_owned();
        let labels = [
            ("build_date", label("buildDate")),
            ("compiler", label("compiler")),
            ("git_commit", label("gitCommit")),
            ("git_tree_state", label("gitTreeState")),
            ("git_version", label("gitVersion")),
            ("go_version", label("goVersion")),
            ("major", label("major")),
            ("minor", label("minor")),
            ("platform", label("platform")),
        ];
        let labels: Vec<(&str, &str)> = labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
        text.family("kubernetes_build_info", Kind::Gauge, "[BETA] A metric with a constant '1' value labeled by major, minor, git version, git commit, git tree state, build date, Go version, and compiler from which Kubernetes was built, and platform on which it is running.");
        text.sample("kubernetes_build_info", &labels, 1.0);
    }
}
