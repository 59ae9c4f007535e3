//! The labels by which a namespace names its standards.

use serde_json::Value;
use std::fmt;
use tinyplane_wire::meta::Meta;
use tinyplane_wire::status::Cause;

/// How much is allowed; stricter levels are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Privileged,
    Baseline,
    Restricted,
}

/// The version of a standard's rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Latest,
    Minor(u32),
}

/// A level, by the rules of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standard {
    pub(super) level: Level,
    pub(super) version: Version,
}

impl Standard {
    /// The same version at this level, if it is not stricter already.
    pub(super) fn at_least(self, level: Level) -> Self {
        Self { level: self.level.max(level), ..self }
    }
}

impl fmt::Display for Standard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Privileged => "privileged",
            Level::Baseline => "baseline",
            Level::Restricted => "restricted",
        };
        match self.version {
            Version::Latest => write!(f, "{level}:latest"),
            Version::Minor(minor) => write!(f, "{level}:v1.{minor}"),
        }
    }
}

/// What a namespace demands, and of what it warns. Audit has no place to write to but the audit log's own notes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Policy {
    pub(super) enforce: Standard,
    pub(super) warn: Standard,
}

impl Policy {
    /// Reads the labels, and what is wrong with them.
    pub(super) fn of(namespace: &Value) -> (Self, Vec<Cause>) {
        let mut wrong = Vec::new();
        let meta = Meta::of(namespace);
        let enforce = read(meta, "enforce", &mut wrong);
        read(meta, "audit", &mut wrong);
        let warn = read(meta, "warn", &mut wrong);
        // Whoever names an enforced level and none to be warned of is warned of what will be refused.
        let inherits = enforce.named && !warn.named;
        let policy = Self { enforce: enforce.standard, warn: if inherits { enforce.standard } else { warn.standard } };
        (policy, wrong)
    }
}

struct Read {
    standard: Standard,
    /// Whether a label names the level.
    named: bool,
}

fn read(meta: Meta<'_>, mode: &str, wrong: &mut Vec<Cause>) -> Read {
    let mut refuse = |key: &str, value: &str, why: &str| {
        wrong.push(Cause {
            reason: "FieldValueInvalid".into(),
            message: format!("Invalid value: {value:?}: {why}"),
            field: format!("metadata.labels[{key}]"),
        });
    };
    let key = format!("pod-security.kubernetes.io/{mode}");
    let named = meta.label(&key).is_some();
    let level = match meta.label(&key) {
        None | Some("privileged") => Level::Privileged,
        Some("baseline") => Level::Baseline,
        Some("restricted") => Level::Restricted,
        Some(other) => {
            refuse(&key, other, "must be one of privileged, baseline, restricted");
            // What can't be read lets no pod through, and is warned of as strictly.
            Level::Restricted
        }
    };
    let key = format!("{key}-version");
    let version = match meta.label(&key) {
        None | Some("latest") => Version::Latest,
        Some(text) => match text.strip_prefix("v1.").and_then(minor) {
            Some(minor) => Version::Minor(minor),
            None => {
                refuse(&key, text, "must be \"latest\" or \"v1.x\"");
                Version::Latest
            }
        },
    };
    Read { standard: Standard { level, version }, named }
}

/// A number without leading zeros.
fn minor(text: &str) -> Option<u32> {
    let plain = text == "0" || !text.starts_with('0');
    text.parse().ok().filter(|_| plain && text.bytes().all(|byte| byte.is_ascii_digit()))
}
