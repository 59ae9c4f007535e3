//! Who manages which fields of an object: `metadata.managedFields`, kept by every write.

mod apply;
mod cap;
mod edited;
mod entry;
pub mod folded;
mod last_applied;
mod reset;
mod scale;
#[cfg(test)]
mod tests;
mod update;
mod versions;

pub(in crate::registry) use apply::without;
pub use apply::{Applied, Refused, apply, named};
pub use entry::{Entry, Managed};
pub use reset::resets;
pub use scale::{of_parent, of_scale};
pub use update::{record, unite_times};
pub use versions::{Kind, Versions};

use crate::schema::fields::Set;

/// Who writes, what, and through which part.
#[derive(Clone, Copy)]
pub struct Writer<'a> {
    /// By which name the writer goes; empty where none is known.
    pub manager: &'a str,
    /// The subresource that is written; empty for the object itself.
    pub subresource: &'a str,
    /// When, as `metav1.Time`.
    pub now: &'a str,
    /// The kind of the object, in the version that is written, and the way to its other versions.
    pub versions: &'a Versions<'a>,
    /// Which fields nobody comes to own this way, because the write takes them back.
    pub resets: Option<&'a Set>,
}

/// The manager of what was there before anybody applied anything.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";
/// The manager into which the oldest ones are merged.
const ANCIENT_CHANGES: &str = "ancient-changes";
/// Most entries of updates; the oldest are merged beyond that, as upstream does it.
const UPDATE_ENTRIES_MAX: usize = 10;
/// The name of a writer that tells none.
const UNKNOWN: &str = "unknown";
/// The server itself.
pub const SERVER: &str = "kube-apiserver";

impl Writer<'_> {
    fn name(&self) -> &str {
        if self.manager.is_empty() { UNKNOWN } else { self.manager }
    }
}
