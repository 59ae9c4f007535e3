//! One file, directory, link or device, and the account of the bytes that all of a sandbox's files use.

use super::Errno;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// Bytes that the files of one sandbox, its volumes included, may use.
pub(crate) const SANDBOX_BYTES_MAX: u64 = 512 << 20;

/// What a file counts beside its content.
const INODE_BYTES: u64 = 256;

/// A shared inode. Locks are taken parent first, and never held while another tree operation runs.
pub(crate) type Node = Arc<Inode>;

/// Counts the bytes of a sandbox, and gives inode numbers.
#[derive(Debug)]
pub(crate) struct Quota {
    used: AtomicU64,
    bytes_max: u64,
    last_id: AtomicU64,
}

impl Quota {
    pub(crate) fn new(bytes_max: u64) -> Arc<Self> {
        Arc::new(Self { used: AtomicU64::new(0), bytes_max, last_id: AtomicU64::new(1) })
    }

    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    pub(crate) fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    fn charge(&self, bytes: u64) -> Result<(), Errno> {
        let before = self.used.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > self.bytes_max {
            self.release(bytes);
            return Err(Errno::NoSpace);
        }
        Ok(())
    }

    fn release(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// A device's behaviour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Device {
    Null,
    Zero,
    Random,
    Full,
    Stdin,
    Stdout,
    Stderr,
    /// The main program's output, i.e. the container's log: `/proc/1/fd/1`.
    MainStdout,
    MainStderr,
}

#[derive(Debug)]
enum Body {
    File(Vec<u8>),
    Directory(BTreeMap<String, Node>),
    /// A directory of the built-in programs that nobody changed yet: its entries are made when they are looked at.
    Programs(&'static [&'static str]),
    Link(String),
    Device(Device),
}

/// What an inode is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Directory,
    Link,
    Device(Device),
}

#[derive(Debug)]
struct State {
    body: Body,
    mode: u32,
    uid: u32,
    gid: u32,
    modified: SystemTime,
}

/// A file, directory, link or device.
#[derive(Debug)]
pub(crate) struct Inode {
    pub(crate) id: u64,
    state: Mutex<State>,
    quota: Arc<Quota>,
}

/// What `stat` tells.
#[derive(Clone, Debug)]
pub(crate) struct Stat {
    pub(crate) id: u64,
    pub(crate) kind: Kind,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) size: u64,
    pub(crate) modified: SystemTime,
}

impl Stat {
    pub(crate) fn is_directory(&self) -> bool {
        self.kind == Kind::Directory
    }

    /// `-rwxr-xr-x`.
    pub(crate) fn mode_text(&self) -> String {
        let mut text = String::with_capacity(10);
        text.push(match self.kind {
            Kind::File => '-',
            Kind::Directory => 'd',
            Kind::Link => 'l',
            Kind::Device(_) => 'c',
        });
        for shift in [6, 3, 0] {
            let bits = self.mode >> shift;
            text.push(if bits & 4 == 0 { '-' } else { 'r' });
            text.push(if bits & 2 == 0 { '-' } else { 'w' });
            text.push(if bits & 1 == 0 { '-' } else { 'x' });
        }
        if self.mode & 0o1000 != 0 {
            text.pop();
            text.push(if self.mode & 1 == 0 { 'T' } else { 't' });
        }
        text
    }
}

impl Inode {
    fn make(quota: &Arc<Quota>, body: Body, mode: u32, now: SystemTime) -> Result<Node, Errno> {
        let content = if let Body::File(bytes) = &body { bytes.len() as u64 } else { 0 };
        quota.charge(INODE_BYTES + content)?;
        let id = quota.last_id.fetch_add(1, Ordering::Relaxed);
        let state = Mutex::new(State { body, mode, uid: 0, gid: 0, modified: now });
        Ok(Arc::new(Self { id, state, quota: quota.clone() }))
    }

    pub(crate) fn file(quota: &Arc<Quota>, bytes: Vec<u8>, mode: u32, now: SystemTime) -> Result<Node, Errno> {
        Self::make(quota, Body::File(bytes), mode, now)
    }

    pub(crate) fn directory(quota: &Arc<Quota>, mode: u32, now: SystemTime) -> Result<Node, Errno> {
        Self::make(quota, Body::Directory(BTreeMap::new()), mode, now)
    }

    pub(crate) fn programs(quota: &Arc<Quota>, names: &'static [&'static str], now: SystemTime) -> Result<Node, Errno> {
        Self::make(quota, Body::Programs(names), 0o755, now)
    }

    pub(crate) fn link(quota: &Arc<Quota>, target: &str, now: SystemTime) -> Result<Node, Errno> {
        Self::make(quota, Body::Link(target.to_owned()), 0o777, now)
    }

    pub(crate) fn device(quota: &Arc<Quota>, device: Device, now: SystemTime) -> Result<Node, Errno> {
        Self::make(quota, Body::Device(device), 0o666, now)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn stat(&self) -> Stat {
        let state = self.lock();
        let (kind, size) = match &state.body {
            Body::File(bytes) => (Kind::File, bytes.len() as u64),
            Body::Directory(_) | Body::Programs(_) => (Kind::Directory, 4096),
            Body::Link(target) => (Kind::Link, target.len() as u64),
            Body::Device(device) => (Kind::Device(*device), 0),
        };
        let State { mode, uid, gid, modified, .. } = *state;
        Stat { id: self.id, kind, mode, uid, gid, size, modified }
    }

    pub(crate) fn link_target(&self) -> Option<String> {
        if let Body::Link(target) = &self.lock().body { Some(target.clone()) } else { None }
    }

    pub(crate) fn set_mode(&self, mode: u32) {
        self.lock().mode = mode & 0o7777;
    }

    pub(crate) fn set_owner(&self, uid: Option<u32>, gid: Option<u32>) {
        let mut state = self.lock();
        state.uid = uid.unwrap_or(state.uid);
        state.gid = gid.unwrap_or(state.gid);
    }

    pub(crate) fn set_modified(&self, at: SystemTime) {
        self.lock().modified = at;
    }

    /// An entry of a directory.
    pub(crate) fn entry(&self, name: &str) -> Result<Option<Node>, Errno> {
        let state = self.lock();
        match &state.body {
            Body::Directory(entries) => Ok(entries.get(name).cloned()),
            Body::Programs(names) => match names.iter().find(|known| **known == name) {
                Some(known) => program(&self.quota, known, state.modified).map(Some),
                None => Ok(None),
            },
            _ => Err(Errno::NotDirectory),
        }
    }

    /// All entries of a directory, by name.
    pub(crate) fn entries(&self) -> Result<Vec<(String, Node)>, Errno> {
        let state = self.lock();
        match &state.body {
            Body::Directory(entries) => Ok(entries.iter().map(|(name, node)| (name.clone(), node.clone())).collect()),
            Body::Programs(names) => programs(&self.quota, names, state.modified),
            _ => Err(Errno::NotDirectory),
        }
    }

    /// Changes a directory's entries.
    pub(crate) fn change<T>(
        &self,
        now: SystemTime,
        act: impl FnOnce(&mut BTreeMap<String, Node>) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let mut state = self.lock();
        if let Body::Programs(names) = &state.body {
            let entries = programs(&self.quota, names, state.modified)?;
            state.body = Body::Directory(entries.into_iter().collect());
        }
        let Body::Directory(entries) = &mut state.body else { return Err(Errno::NotDirectory) };
        let outcome = act(entries)?;
        state.modified = now;
        Ok(outcome)
    }

    /// Up to `most` bytes from an offset; none at the end.
    pub(crate) fn read_at(&self, offset: u64, most: usize) -> Result<Vec<u8>, Errno> {
        match &self.lock().body {
            Body::File(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                let end = start.saturating_add(most).min(bytes.len());
                Ok(bytes[start..end].to_vec())
            }
            Body::Directory(_) | Body::Programs(_) => Err(Errno::IsDirectory),
            Body::Link(_) | Body::Device(_) => Err(Errno::Invalid),
        }
    }

    /// Writes at an offset (`None`: at the end) and returns where the write ended.
    pub(crate) fn write_at(&self, offset: Option<u64>, data: &[u8], now: SystemTime) -> Result<u64, Errno> {
        let mut state = self.lock();
        let Body::File(bytes) = &mut state.body else { return Err(Errno::Invalid) };
        let start = offset.map_or(bytes.len(), |at| usize::try_from(at).unwrap_or(usize::MAX));
        let end = start.checked_add(data.len()).ok_or(Errno::NoSpace)?;
        if end > bytes.len() {
            self.quota.charge((end - bytes.len()) as u64)?;
            bytes.resize(end, 0);
        }
        bytes[start..end].copy_from_slice(data);
        state.modified = now;
        Ok(end as u64)
    }

    /// Cuts a file to nothing.
    pub(crate) fn truncate(&self, now: SystemTime) -> Result<(), Errno> {
        let mut state = self.lock();
        let Body::File(bytes) = &mut state.body else { return Err(Errno::Invalid) };
        self.quota.release(bytes.len() as u64);
        *bytes = Vec::new();
        state.modified = now;
        Ok(())
    }
}

impl Drop for Inode {
    fn drop(&mut self) {
        let content = if let Body::File(bytes) = &self.lock().body { bytes.len() as u64 } else { 0 };
        self.quota.release(INODE_BYTES + content);
    }
}

/// The first line of a built-in program's file; its name follows. Executing such a file runs the program.
pub(crate) const PROGRAM_MARK: &str = "#!tinyplane ";

fn program(quota: &Arc<Quota>, name: &str, now: SystemTime) -> Result<Node, Errno> {
    Inode::file(quota, format!("{PROGRAM_MARK}{name}\n").into_bytes(), 0o755, now)
}

fn programs(quota: &Arc<Quota>, names: &[&str], now: SystemTime) -> Result<Vec<(String, Node)>, Errno> {
    names.iter().map(|name| Ok(((*name).to_owned(), program(quota, name, now)?))).collect()
}
