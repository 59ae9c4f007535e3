//! The folder of a durable store: whose it is, who has it open, and how it stays as it was when it is refused.

use crate::store::contract::Revision;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What the file `format` says.
const FORMAT: &str = "tinyplane store 1\n";

/// How long a lock of sled's that nobody needs any more is waited for, and how often it is looked at.
const RELEASE_WAIT_MAX: Duration = Duration::from_secs(2);
const RELEASE_POLL: Duration = Duration::from_millis(1);

/// Why a folder cannot be opened as a store. It is left as it was.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is something else in it.
    #[error("{} is not a store of Tinyplane, and not empty", dir.display())]
    Foreign {
        /// The folder.
        dir: PathBuf,
    },
    /// Another process, or another store of this one, has it open.
    #[error("the store in {} is in use by another process", dir.display())]
    InUse {
        /// The folder.
        dir: PathBuf,
    },
    /// It was a store once, and is damaged.
    #[error("the store in {} is corrupt: {detail}", dir.display())]
    Corrupt {
        /// The folder.
        dir: PathBuf,
        /// What was found.
        detail: String,
    },
    /// The disk failed.
    #[error("the store in {} cannot be opened: {detail}", dir.display())]
    Disk {
        /// The folder.
        dir: PathBuf,
        /// What failed.
        detail: String,
    },
}

/// A folder that is ours while this lives.
pub(in crate::store) struct Folder {
    dir: PathBuf,
    /// Whether the store is still to be made.
    pub(super) is_new: bool,
    /// Locked while this lives.
    lock: File,
}

impl Folder {
    /// Makes sure that `dir` holds a store, or nothing yet, and that nobody else has it open.
    pub(in crate::store) fn claim(dir: &Path) -> Result<Self, OpenError> {
        let disk = |error: io::Error| OpenError::Disk { dir: dir.into(), detail: error.to_string() };
        let is_new = inspect(dir)?;
        fs::create_dir_all(dir).map_err(disk)?;
        let lock = OpenOptions::new().create(true).append(true).open(dir.join("lock")).map_err(disk)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::InUse { dir: dir.into() }),
            Err(TryLockError::Error(error)) => return Err(disk(error)),
        }
        if !is_new {
            probe(&dir.join("sled/db")).map_err(|detail| OpenError::Corrupt { dir: dir.into(), detail })?;
        }
        Ok(Self { dir: dir.into(), is_new, lock })
    }

    /// Waits for sled's own lock, which may outlive its database for a moment: in sled's threads, and in a child of
    /// this process between its fork and its exec. We hold the folder, so nobody else can have it.
    pub(super) fn await_release(&self) -> io::Result<()> {
        let Ok(file) = File::open(self.database().join("db")) else { return Ok(()) };
        let deadline = Instant::now() + RELEASE_WAIT_MAX;
        loop {
            match file.try_lock() {
                Ok(()) => return file.unlock(),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => std::thread::park_timeout(RELEASE_POLL),
                // sled will say so.
                Err(TryLockError::WouldBlock) => return Ok(()),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }

    /// sled's folder.
    pub(super) fn database(&self) -> PathBuf {
        self.dir.join("sled")
    }

    /// Says that the store has been made, and makes that durable.
    pub(super) fn finish(&self) -> io::Result<()> {
        fs::write(self.dir.join("format"), FORMAT)?;
        let conf = self.database().join("conf");
        for path in [self.dir.join("format"), self.dir.join("last"), conf, self.database(), self.dir.clone()] {
            File::open(path)?.sync_all()?;
        }
        Ok(())
    }

    /// The note of the newest durable revision.
    pub(super) fn note(&self) -> io::Result<Note> {
        let file =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).open(self.dir.join("last"))?;
        Ok(Note(file))
    }

    /// Copies the database: sled writes to it as soon as it is opened, and must not when it turns out to be damaged.
    /// A disk too full for the copy is no reason to refuse the store.
    pub(super) fn keep_copy(&self) -> Option<Copied<'_>> {
        let copied = Copied { folder: self };
        match copied.make() {
            Ok(()) => Some(copied),
            Err(error) => {
                tracing::warn!(%error, "the store is opened without a copy of it being kept meanwhile");
                copied.discard();
                None
            }
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Said aloud: a lock that is only closed lives on in a child between its fork and its exec.
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(%error, "the lock of the store could not be given back");
        }
    }
}

/// The file `last`: a revision that was durable once, in 20 digits. Written after each sync and not synced itself, so
/// it may be older than the truth after a power cut, but is never newer. sled takes damage in its file for the end of
/// its log and goes back to an earlier state; this tells.
pub(super) struct Note(File);

const NOTE_BYTES: usize = 21;

impl Note {
    pub(super) fn write(&self, last: Revision) -> io::Result<()> {
        self.0.write_all_at(format!("{:020}\n", last.0).as_bytes(), 0)
    }

    pub(super) fn read(&self) -> io::Result<Option<Revision>> {
        let mut text = [0; NOTE_BYTES];
        match self.0.read_exact_at(&mut text, 0) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other?,
        }
        Ok(std::str::from_utf8(&text).ok().and_then(|text| text.trim_end().parse().ok()).map(Revision))
    }
}

/// The database as it was before it was opened. One that a crash left behind is thrown away: an opening that was
/// cut off does no harm to a sound store.
pub(super) struct Copied<'a> {
    folder: &'a Folder,
}

impl Copied<'_> {
    fn path(&self) -> PathBuf {
        self.folder.dir.join("sled.copy")
    }

    fn make(&self) -> io::Result<()> {
        self.discard();
        copy_all(&self.folder.database(), &self.path())
    }

    /// The store is sound: the copy is not needed.
    pub(super) fn discard(&self) {
        match fs::remove_dir_all(self.path()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, "the copy of the store stays behind");
            }
            _ => {}
        }
    }

    /// The store is refused: what it was before takes its place again.
    pub(super) fn restore(&self) -> io::Result<()> {
        let touched = self.folder.dir.join("sled.touched");
        fs::rename(self.folder.database(), &touched)?;
        fs::rename(self.path(), self.folder.database())?;
        fs::remove_dir_all(touched)
    }
}

fn copy_all(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let (entry, to) = entry.map(|entry| (entry.path(), to.join(entry.file_name())))?;
        if entry.is_dir() {
            copy_all(&entry, &to)?;
        } else {
            fs::copy(entry, to)?;
        }
    }
    Ok(())
}

/// Whether a store is still to be made in `dir`: it is absent, empty, or was left before its store was finished.
pub(super) fn inspect(dir: &Path) -> Result<bool, OpenError> {
    let disk = |error: io::Error| OpenError::Disk { dir: dir.into(), detail: error.to_string() };
    match fs::read(dir.join("format")) {
        Ok(format) if format == FORMAT.as_bytes() => return Ok(false),
        Ok(format) if !format.is_empty() => return Err(OpenError::Foreign { dir: dir.into() }),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Err(OpenError::Foreign { dir: dir.into() });
        }
        Err(error) => return Err(disk(error)),
    }
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(disk(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry.map_err(disk)?.file_name());
    }
    let begun = names.is_empty() || names.iter().any(|name| name == "lock");
    let ours = names.iter().all(|name| ["lock", "sled", "last", "format"].iter().any(|ours| name == ours));
    if begun && ours { Ok(true) } else { Err(OpenError::Foreign { dir: dir.into() }) }
}

/// A segment of sled's file, and the checksum, position and stable position at its beginning.
const SEGMENT_BYTES: usize = 512 << 10;
const SEGMENT_HEADER_BYTES: usize = 20;

/// Looks at sled's file before sled does, for the coarse damage that makes it panic or begin anew: every segment is
/// unused, or begins with a header whose checksum is right, and one at least is used.
fn probe(path: &Path) -> Result<(), String> {
    let file = File::open(path).map_err(|error| format!("sled/db cannot be read: {error}"))?;
    let bytes = file.metadata().map_err(|error| error.to_string())?.len();
    let mut used = 0;
    for at in (0..bytes).step_by(SEGMENT_BYTES) {
        let mut header = [0; SEGMENT_HEADER_BYTES];
        file.read_exact_at(&mut header, at).map_err(|error| format!("sled/db cannot be read at {at}: {error}"))?;
        if header == [0; SEGMENT_HEADER_BYTES] {
            continue;
        }
        let written = u32::from_le_bytes([header[0], header[1], header[2], header[3]]) ^ u32::MAX;
        if crc32fast::hash(&header[4..]) != written {
            return Err(format!("the segment at {at} of sled/db has no header"));
        }
        used += 1;
    }
    if used == 0 { Err("sled/db is empty".into()) } else { Ok(()) }
}
