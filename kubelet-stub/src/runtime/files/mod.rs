//! A container's files: a tree in memory, seen through mounts, with the errors and the limits of a real one.

mod inode;
mod open;
mod place;
mod view;

pub(crate) use inode::{Device, Inode, Kind, Node, PROGRAM_MARK, Quota, SANDBOX_BYTES_MAX, Stat};
pub(crate) use open::{How, OpenFile};
pub(crate) use place::{Opened, Place};
pub(crate) use view::View;

/// Why a file operation failed; `Display` prints what `strerror` would.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Errno {
    #[error("No such file or directory")]
    NotFound,
    #[error("Not a directory")]
    NotDirectory,
    #[error("Is a directory")]
    IsDirectory,
    #[error("File exists")]
    Exists,
    #[error("Directory not empty")]
    NotEmpty,
    #[error("Permission denied")]
    Permission,
    #[error("Operation not permitted")]
    NotPermitted,
    #[error("Read-only file system")]
    ReadOnly,
    #[error("No space left on device")]
    NoSpace,
    #[error("Too many levels of symbolic links")]
    Loop,
    #[error("Resource busy")]
    Busy,
    #[error("Invalid argument")]
    Invalid,
    #[error("File name too long")]
    NameTooLong,
    #[error("Bad file descriptor")]
    BadDescriptor,
    #[error("Broken pipe")]
    BrokenPipe,
}

/// Joins a path to the directory that it is relative to. Nothing is resolved.
pub(crate) fn join(base: &str, path: &str) -> String {
    if path.starts_with('/') {
        path.to_owned()
    } else if base.ends_with('/') {
        format!("{base}{path}")
    } else {
        format!("{base}/{path}")
    }
}

/// The last component of a path, without trailing slashes.
pub(crate) fn base_name(path: &str) -> &str {
    let trimmed = path.trim_end_matches('/');
    if trimmed.is_empty() && path.starts_with('/') { "/" } else { trimmed.rsplit('/').next().unwrap_or(trimmed) }
}
