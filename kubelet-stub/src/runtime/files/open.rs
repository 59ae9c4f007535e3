//! An open file: a position that all its holders share.

use super::{Errno, Node};
use std::sync::{Mutex, PoisonError};
use tinyplane_wire::clock::Clock;

/// How a file is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct How {
    pub(crate) read: bool,
    pub(crate) write: bool,
    pub(crate) append: bool,
    pub(crate) create: bool,
    pub(crate) truncate: bool,
    /// With `create`: fails where the file is there.
    pub(crate) exclusive: bool,
}

impl How {
    pub(crate) const READ: Self =
        Self { read: true, write: false, append: false, create: false, truncate: false, exclusive: false };
    pub(crate) const WRITE: Self =
        Self { read: false, write: true, append: false, create: true, truncate: true, exclusive: false };
    pub(crate) const APPEND: Self =
        Self { read: false, write: true, append: true, create: true, truncate: false, exclusive: false };
    pub(crate) const READ_WRITE: Self =
        Self { read: true, write: true, append: false, create: true, truncate: false, exclusive: false };
}

/// An open regular file.
#[derive(Debug)]
pub(crate) struct OpenFile {
    pub(crate) node: Node,
    how: How,
    clock: Clock,
    position: Mutex<u64>,
}

impl OpenFile {
    pub(super) fn new(node: Node, how: How, clock: Clock) -> Self {
        Self { node, how, clock, position: Mutex::new(0) }
    }

    /// The next bytes, at most so many; none at the end.
    pub(crate) fn read(&self, most: usize) -> Result<Vec<u8>, Errno> {
        if !self.how.read {
            return Err(Errno::BadDescriptor);
        }
        let mut position = self.position.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = self.node.read_at(*position, most)?;
        *position += bytes.len() as u64;
        Ok(bytes)
    }

    /// The next bytes up to and with a delimiter, or `most` of them.
    pub(crate) fn read_until(&self, delimiter: u8, most: usize) -> Result<Vec<u8>, Errno> {
        if !self.how.read {
            return Err(Errno::BadDescriptor);
        }
        let mut position = self.position.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = Vec::new();
        while found.len() < most {
            let mut bytes = self.node.read_at(*position, 4096.min(most - found.len()))?;
            if bytes.is_empty() {
                break;
            }
            let end = bytes.iter().position(|byte| *byte == delimiter);
            bytes.truncate(end.map_or(bytes.len(), |at| at + 1));
            *position += bytes.len() as u64;
            found.extend_from_slice(&bytes);
            if end.is_some() {
                break;
            }
        }
        Ok(found)
    }

    /// Writes all of it, at the position or at the end.
    pub(crate) fn write(&self, data: &[u8]) -> Result<(), Errno> {
        if !self.how.write {
            return Err(Errno::BadDescriptor);
        }
        let mut position = self.position.lock().unwrap_or_else(PoisonError::into_inner);
        let offset = if self.how.append { None } else { Some(*position) };
        *position = self.node.write_at(offset, data, self.clock.now())?;
        Ok(())
    }
}
