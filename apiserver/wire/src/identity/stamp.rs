//! What tells a file that was written from one that was not.

use std::path::Path;
use std::time::SystemTime;

/// When a file was written, and its length; nothing for one that is not there.
pub type Stamp = Option<(SystemTime, u64)>;

/// The stamp of a file at this moment. Taken before the file is read, it finds what is written meanwhile.
#[must_use]
pub fn stamp(path: &Path) -> Stamp {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.modified().ok()?, meta.len()))
}
