//! A program's standing in the tree: whose it is, where it is, and what it may do to files from there.

use super::open::{How, OpenFile};
use super::view::{Located, View};
use super::{Errno, Inode, Kind, Node, Stat, join};
use std::sync::Arc;
use std::time::SystemTime;

const READ: u32 = 4;
const WRITE: u32 = 2;
const EXECUTE: u32 = 1;

/// A view, a working directory, a user and a umask. Paths are relative to the working directory.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) view: Arc<View>,
    pub(crate) directory: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) umask: u32,
}

impl Place {
    fn now(&self) -> SystemTime {
        self.view.clock.now()
    }

    fn absolute(&self, path: &str) -> Result<String, Errno> {
        if path.is_empty() { Err(Errno::NotFound) } else { Ok(join(&self.directory, path)) }
    }

    fn may(&self, node: &Node, wanted: u32) -> Result<(), Errno> {
        let stat = node.stat();
        if self.uid == 0 {
            let any_execute = stat.is_directory() || stat.mode & 0o111 != 0;
            return if wanted & EXECUTE == 0 || any_execute { Ok(()) } else { Err(Errno::Permission) };
        }
        let shift = if stat.uid == self.uid {
            6
        } else if stat.gid == self.gid {
            3
        } else {
            0
        };
        if (stat.mode >> shift) & wanted == wanted { Ok(()) } else { Err(Errno::Permission) }
    }

    fn walk(&self, absolute: &str, follow_last: bool) -> Result<Located, Errno> {
        self.view.walk_as(absolute, follow_last, &|directory| self.may(directory, EXECUTE).is_ok())
    }

    fn walk_to_parent(&self, absolute: &str) -> Result<(Located, String), Errno> {
        self.view.walk_to_parent(absolute, &|directory| self.may(directory, EXECUTE).is_ok())
    }

    fn may_change(&self, directory: &Located) -> Result<(), Errno> {
        if directory.read_only { Err(Errno::ReadOnly) } else { self.may(&directory.node, WRITE | EXECUTE) }
    }

    fn may_own(&self, at: &Located) -> Result<(), Errno> {
        if at.read_only {
            Err(Errno::ReadOnly)
        } else if self.uid == 0 || at.node.stat().uid == self.uid {
            Ok(())
        } else {
            Err(Errno::NotPermitted)
        }
    }

    /// The node at a path.
    pub(crate) fn locate(&self, path: &str) -> Result<Located, Errno> {
        self.walk(&self.absolute(path)?, true)
    }

    /// What is at a path; a link's target.
    pub(crate) fn stat(&self, path: &str) -> Result<Stat, Errno> {
        Ok(self.locate(path)?.node.stat())
    }

    /// What is at a path; a link itself.
    pub(crate) fn stat_link(&self, path: &str) -> Result<Stat, Errno> {
        Ok(self.walk(&self.absolute(path)?, false)?.node.stat())
    }

    pub(crate) fn read_link(&self, path: &str) -> Result<String, Errno> {
        self.walk(&self.absolute(path)?, false)?.node.link_target().ok_or(Errno::Invalid)
    }

    /// The absolute path without links.
    pub(crate) fn real_path(&self, path: &str) -> Result<String, Errno> {
        Ok(self.locate(path)?.path)
    }

    pub(crate) fn may_read(&self, path: &str) -> bool {
        self.locate(path).is_ok_and(|at| self.may(&at.node, READ).is_ok())
    }

    pub(crate) fn may_write(&self, path: &str) -> bool {
        self.locate(path).is_ok_and(|at| !at.read_only && self.may(&at.node, WRITE).is_ok())
    }

    pub(crate) fn may_execute(&self, path: &str) -> bool {
        self.locate(path).is_ok_and(|at| self.may(&at.node, EXECUTE).is_ok())
    }

    /// A directory's entries by name, with what is mounted at them.
    pub(crate) fn list(&self, path: &str) -> Result<Vec<(String, Stat)>, Errno> {
        let at = self.locate(path)?;
        let entries = at.node.entries()?;
        self.may(&at.node, READ)?;
        Ok(entries.into_iter().map(|(name, node)| (name, self.view.seen(node).stat())).collect())
    }

    /// Opens what is at a path: a file, or a node that is a device.
    pub(crate) fn open(&self, path: &str, how: How) -> Result<Opened, Errno> {
        let mut absolute = self.absolute(path)?;
        for _ in 0..40 {
            let at = match self.walk(&absolute, true) {
                Ok(at) => at,
                Err(Errno::NotFound) if how.create && !absolute.ends_with('/') => {
                    let (directory, name) = self.walk_to_parent(&absolute)?;
                    if let Some(target) = directory.node.entry(&name)?.and_then(|node| node.link_target()) {
                        absolute = join(&directory.path, &target);
                        continue;
                    }
                    self.may_change(&directory)?;
                    let file = Inode::file(&self.view.quota, Vec::new(), 0o666 & !self.umask, self.now())?;
                    let file = self.insert(&directory, name, file)?;
                    return Ok(Opened::File(OpenFile::new(file, how, self.view.clock.clone())));
                }
                Err(error) => return Err(error),
            };
            return self.open_located(&at, how);
        }
        Err(Errno::Loop)
    }

    fn open_located(&self, at: &Located, how: How) -> Result<Opened, Errno> {
        if how.create && how.exclusive {
            return Err(Errno::Exists);
        }
        match at.node.stat().kind {
            Kind::Directory if how.write => return Err(Errno::IsDirectory),
            Kind::Device(device) => return Ok(Opened::Device(device)),
            Kind::File | Kind::Directory | Kind::Link => {}
        }
        if how.write && at.read_only {
            return Err(Errno::ReadOnly);
        }
        self.may(&at.node, if how.write { WRITE } else { 0 } | if how.read { READ } else { 0 })?;
        if how.truncate && how.write {
            at.node.truncate(self.now())?;
        }
        Ok(Opened::File(OpenFile::new(at.node.clone(), how, self.view.clock.clone())))
    }

    /// A whole file. Devices are empty.
    pub(crate) fn read(&self, path: &str) -> Result<Vec<u8>, Errno> {
        match self.open(path, How::READ)? {
            Opened::File(file) => file.read(usize::MAX),
            Opened::Device(_) => Ok(Vec::new()),
        }
    }

    /// Replaces a file's content.
    pub(crate) fn write(&self, path: &str, bytes: &[u8]) -> Result<(), Errno> {
        match self.open(path, How::WRITE)? {
            Opened::File(file) => file.write(bytes),
            Opened::Device(_) => Ok(()),
        }
    }

    pub(crate) fn make_directory(&self, path: &str, mode: Option<u32>) -> Result<(), Errno> {
        let absolute = self.absolute(path)?;
        if self.walk(&absolute, false).is_ok() {
            return Err(Errno::Exists);
        }
        let (directory, name) = self.walk_to_parent(&absolute)?;
        self.may_change(&directory)?;
        let made = Inode::directory(&self.view.quota, mode.unwrap_or(0o777 & !self.umask), self.now())?;
        self.insert(&directory, name, made).map(drop)
    }

    /// Makes a directory and those above it; fine where they are there.
    pub(crate) fn make_directories(&self, path: &str) -> Result<(), Errno> {
        let absolute = self.absolute(path)?;
        let mut at = String::new();
        for name in absolute.split('/').filter(|name| !name.is_empty()) {
            at.push('/');
            at.push_str(name);
            match self.make_directory(&at, None) {
                Ok(()) => {}
                Err(Errno::Exists | Errno::Invalid) if self.stat(&at)?.is_directory() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(crate) fn make_link(&self, target: &str, path: &str) -> Result<(), Errno> {
        let (directory, name) = self.walk_to_parent(&self.absolute(path)?)?;
        self.may_change(&directory)?;
        let link = Inode::link(&self.view.quota, target, self.now())?;
        self.insert(&directory, name, link).map(drop)
    }

    /// A second name for a file.
    pub(crate) fn make_hard_link(&self, from: &str, path: &str) -> Result<(), Errno> {
        let source = self.locate(from)?;
        if source.node.stat().is_directory() {
            return Err(Errno::NotPermitted);
        }
        let (directory, name) = self.walk_to_parent(&self.absolute(path)?)?;
        self.may_change(&directory)?;
        directory.node.change(self.now(), |entries| match entries.entry(name) {
            std::collections::btree_map::Entry::Occupied(_) => Err(Errno::Exists),
            std::collections::btree_map::Entry::Vacant(free) => {
                free.insert(source.node.clone());
                Ok(())
            }
        })
    }

    fn insert(&self, directory: &Located, name: String, node: Node) -> Result<Node, Errno> {
        node.set_owner(Some(self.uid), Some(self.gid));
        directory.node.change(self.now(), |entries| match entries.entry(name) {
            std::collections::btree_map::Entry::Occupied(_) => Err(Errno::Exists),
            std::collections::btree_map::Entry::Vacant(free) => Ok(free.insert(node).clone()),
        })
    }

    /// Removes a file or a link.
    pub(crate) fn remove_file(&self, path: &str) -> Result<(), Errno> {
        let at = self.walk(&self.absolute(path)?, false)?;
        if at.node.stat().is_directory() {
            return Err(Errno::IsDirectory);
        }
        self.remove(&at)
    }

    /// Removes an empty directory.
    pub(crate) fn remove_directory(&self, path: &str) -> Result<(), Errno> {
        let at = self.walk(&self.absolute(path)?, false)?;
        if !at.node.entries()?.is_empty() {
            return Err(Errno::NotEmpty);
        }
        self.remove(&at)
    }

    fn remove(&self, at: &Located) -> Result<(), Errno> {
        if at.mount_point {
            return Err(Errno::Busy);
        }
        let (directory, name) = self.walk_to_parent(&at.path)?;
        self.may_change(&directory)?;
        directory.node.change(self.now(), |entries| entries.remove(&name).map(drop).ok_or(Errno::NotFound))
    }

    /// Moves a file or directory, replacing a file or an empty directory.
    pub(crate) fn rename(&self, from: &str, to: &str) -> Result<(), Errno> {
        let source = self.walk(&self.absolute(from)?, false)?;
        let target = self.absolute(to)?;
        if source.mount_point {
            return Err(Errno::Busy);
        }
        let (to_directory, to_name) = self.walk_to_parent(&target)?;
        let source_is_directory = source.node.stat().is_directory();
        if source_is_directory && (join(&to_directory.path, &to_name) + "/").starts_with(&(source.path.clone() + "/")) {
            return if source.path == join(&to_directory.path, &to_name) { Ok(()) } else { Err(Errno::Invalid) };
        }
        let (from_directory, from_name) = self.walk_to_parent(&source.path)?;
        self.may_change(&from_directory)?;
        self.may_change(&to_directory)?;
        if let Ok(there) = self.walk(&join(&to_directory.path, &to_name), false) {
            if there.node.id == source.node.id {
                return Ok(());
            }
            match (source_is_directory, there.node.stat().is_directory()) {
                _ if there.mount_point => return Err(Errno::Busy),
                (true, false) => return Err(Errno::NotDirectory),
                (false, true) => return Err(Errno::IsDirectory),
                (true, true) if !there.node.entries()?.is_empty() => return Err(Errno::NotEmpty),
                _ => {}
            }
        }
        let now = self.now();
        let node = from_directory.node.change(now, |entries| entries.remove(&from_name).ok_or(Errno::NotFound))?;
        to_directory.node.change(now, |entries| {
            entries.insert(to_name, node);
            Ok(())
        })
    }

    pub(crate) fn set_mode(&self, path: &str, mode: u32) -> Result<(), Errno> {
        let at = self.locate(path)?;
        self.may_own(&at)?;
        at.node.set_mode(mode);
        Ok(())
    }

    pub(crate) fn set_owner(&self, path: &str, uid: Option<u32>, gid: Option<u32>) -> Result<(), Errno> {
        let at = self.locate(path)?;
        if at.read_only {
            return Err(Errno::ReadOnly);
        }
        if self.uid != 0 {
            return Err(Errno::NotPermitted);
        }
        at.node.set_owner(uid, gid);
        Ok(())
    }

    pub(crate) fn set_modified(&self, path: &str, when: SystemTime) -> Result<(), Errno> {
        let at = self.walk(&self.absolute(path)?, false)?;
        if at.read_only {
            return Err(Errno::ReadOnly);
        }
        at.node.set_modified(when);
        Ok(())
    }
}

/// What `Place::open` found.
#[derive(Debug)]
pub(crate) enum Opened {
    File(OpenFile),
    Device(super::Device),
}
