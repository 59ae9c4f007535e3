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

/// The last version that changed what is checked.
const NEWEST: u32 = 35;
/// The version that is served.
const SERVED: u32 = 36;

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Privileged => "privileged",
            Self::Baseline => "baseline",
            Self::Restricted => "restricted",
        }
    }
}

impl Standard {
    /// Level and version as metrics tell them: whoever is privileged is so by the latest version.
    pub(super) fn labels(self) -> (&'static str, String) {
        let version = match self.version {
            Version::Latest => "latest".to_owned(),
            Version::Minor(_) if self.level == Level::Privileged => "latest".to_owned(),
            Version::Minor(minor) if minor > SERVED => "future".to_owned(),
            Version::Minor(minor) => format!("v1.{minor}"),
        };
        (self.level.name(), version)
    }

    /// The version by whose rules is checked: of later ones than are known, the last that is.
    pub(super) fn minor(self) -> u32 {
        match self.version {
            Version::Latest => NEWEST,
            Version::Minor(minor) => minor.min(NEWEST),
        }
    }
}

impl fmt::Display for Standard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = self.level.name();
        match self.version {
            Version::Latest => write!(f, "{level}:latest"),
            Version::Minor(minor) => write!(f, "{level}:v1.{minor}"),
        }
    }
}

/// What a namespace demands, of what it warns, and what the audit log is to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Policy {
    pub(super) enforce: Standard,
    pub(super) audit: Standard,
    pub(super) warn: Standard,
}

impl Policy {
    /// Reads the labels, and what is wrong with them.
    pub(super) fn of(namespace: &Value) -> (Self, Vec<Cause>) {
        let mut wrong = Vec::new();
        let meta = Meta::of(namespace);
        // What can't be read lets no pod through, and tells of none.
        let enforce = read(meta, "enforce", Level::Restricted, &mut wrong);
        let audit = read(meta, "audit", Level::Privileged, &mut wrong);
        let mut warn = read(meta, "warn", Level::Privileged, &mut wrong);
        // Whoever names an enforced level and none to be warned of is warned of what will be refused.
        if warn.level.is_none() && enforce.is_read && enforce.standard.level > Level::Privileged {
            warn.standard.level = enforce.standard.level;
            if !warn.names_version {
                warn.standard.version = enforce.standard.version;
            }
        }
        (Self { enforce: enforce.standard, audit: audit.standard, warn: warn.standard }, wrong)
    }

    /// Whether pods may do what they like, and nobody is told.
    pub(super) fn is_privileged(&self) -> bool {
        [self.enforce, self.audit, self.warn].iter().all(|standard| standard.level == Level::Privileged)
    }
}

struct Read {
    standard: Standard,
    /// What the label of the level says.
    level: Option<String>,
    /// Whether that is a level.
    is_read: bool,
    names_version: bool,
}

fn read(meta: Meta<'_>, mode: &str, unreadable: Level, wrong: &mut Vec<Cause>) -> Read {
    let mut refuse = |key: &str, value: &str, why: &str| {
        wrong.push(Cause {
            reason: "FieldValueInvalid".into(),
            message: format!("Invalid value: {value:?}: {why}"),
            field: format!("metadata.labels[{key}]"),
        });
    };
    let key = format!("pod-security.kubernetes.io/{mode}");
    let said = meta.label(&key);
    let (level, is_read) = match said {
        None => (Level::Privileged, false),
        Some("privileged") => (Level::Privileged, true),
        Some("baseline") => (Level::Baseline, true),
        Some("restricted") => (Level::Restricted, true),
        Some(other) => {
            refuse(&key, other, "must be one of privileged, baseline, restricted");
            (unreadable, false)
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
    let names_version = meta.label(&key).is_some();
    Read { standard: Standard { level, version }, level: said.map(str::to_owned), is_read, names_version }
}

/// A number without leading zeros.
fn minor(text: &str) -> Option<u32> {
    let plain = text == "0" || !text.starts_with('0');
    text.parse().ok().filter(|_| plain && text.bytes().all(|byte| byte.is_ascii_digit()))
}
