//! The file of the audit log: one line an event, another file when it has grown, old ones removed.

use super::Config;
use crate::metrics::Metrics;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tinyplane_wire::clock::{self, Clock};

/// Size at which another file is begun where nothing is said.
const SIZE_MEBIBYTES: u64 = 100;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// One line of text.
    Legacy,
}

/// Whether requests wait for the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// They do.
    Blocking,
    /// They do, and are refused where it can't be written.
    BlockingStrict,
    /// They do not: events wait, as many as the buffer holds, and what is beyond it is lost.
    Batch,
}

/// Where lines go.
pub(super) struct Sink {
    format: Format,
    way: Way,
}

enum Way {
    /// Straight into the file.
    Straight(Mutex<Rotated>),
    /// By way of a buffer and a thread. Both are taken at the end.
    Buffered { lines: Option<SyncSender<String>>, writer: Option<JoinHandle<()>> },
}

impl Sink {
    pub(super) fn open(config: &Config, clock: Clock, metrics: Arc<Metrics>) -> io::Result<Self> {
        let file = Rotated::open(config, clock)?;
        let way = match config.mode {
            Mode::Blocking | Mode::BlockingStrict => Way::Straight(Mutex::new(file)),
            Mode::Batch => {
                let (lines, waiting) = sync_channel(config.buffer_max.max(1));
                let writer = std::thread::Builder::new()
                    .name("audit-log".into())
                    .spawn(move || write_all(&waiting, file, &metrics))?;
                Way::Buffered { lines: Some(lines), writer: Some(writer) }
            }
        };
        Ok(Self { format: config.format, way })
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }

    /// Writes a line, or leaves it to the buffer. False where it was lost.
    pub(super) fn write(&self, mut line: String) -> bool {
        line.push('\n');
        match &self.way {
            Way::Straight(file) => {
                let written = file.lock().unwrap_or_else(PoisonError::into_inner).write(line.as_bytes());
                written.inspect_err(|error| tracing::error!(%error, "the audit log can't be written")).is_ok()
            }
            Way::Buffered { lines, .. } => lines.as_ref().is_some_and(|lines| lines.try_send(line).is_ok()),
        }
    }
}

impl Drop for Sink {
    /// What waits is still written.
    fn drop(&mut self) {
        if let Way::Buffered { lines, writer } = &mut self.way {
            drop(lines.take());
            if let Some(writer) = writer.take() {
                drop(writer.join());
            }
        }
    }
}

fn write_all(waiting: &Receiver<String>, mut file: Rotated, metrics: &Metrics) {
    while let Ok(line) = waiting.recv() {
        if let Err(error) = file.write(line.as_bytes()) {
            tracing::error!(%error, "the audit log can't be written");
            metrics.audit.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Where lines go.
enum Target {
    Stdout,
    File(File),
}

/// A file that is put aside when it has grown.
struct Rotated {
    path: PathBuf,
    target: Target,
    bytes: u64,
    bytes_max: u64,
    backups_max: usize,
    age_days_max: u64,
    clock: Clock,
}

impl Rotated {
    fn open(config: &Config, clock: Clock) -> io::Result<Self> {
        let mebibytes = if config.size_mebibytes_max == 0 { SIZE_MEBIBYTES } else { config.size_mebibytes_max };
        let (target, bytes) = if config.log_path == Path::new("-") {
            (Target::Stdout, 0)
        } else {
            let (file, bytes) = begin(&config.log_path)?;
            (Target::File(file), bytes)
        };
        Ok(Self {
            path: config.log_path.clone(),
            target,
            bytes,
            bytes_max: mebibytes << 20,
            backups_max: config.backups_max,
            age_days_max: config.age_days_max,
            clock,
        })
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let is_full = self.bytes > 0 && self.bytes + line.len() as u64 > self.bytes_max;
        if is_full
            && matches!(self.target, Target::File(_))
            && let Err(error) = self.rotate()
        {
            // The file at hand takes what comes, until the next line finds a new one.
            tracing::error!(%error, "the audit log can't be put aside");
        }
        match &mut self.target {
            Target::File(file) => file.write_all(line)?,
            Target::Stdout => io::stdout().lock().write_all(line)?,
        }
        self.bytes += line.len() as u64;
        Ok(())
    }

    /// Puts the file aside under a name with the time in it, and removes what is too old or too much.
    fn rotate(&mut self) -> io::Result<()> {
        let now = clock::format_nanos(self.clock.now());
        let stamp: String = now.chars().take_while(|c| *c != 'Z').map(|c| if c == ':' { '-' } else { c }).collect();
        let (stem, extension) = (self.part(Path::file_stem), self.part(Path::extension));
        let dot = if extension.is_empty() { "" } else { "." };
        match std::fs::rename(&self.path, self.path.with_file_name(format!("{stem}-{stamp}{dot}{extension}"))) {
            // Put aside before, when no new one could be opened; or taken away by somebody.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            renamed => renamed?,
        }
        let (file, bytes) = begin(&self.path)?;
        (self.target, self.bytes) = (Target::File(file), bytes);
        self.tidy(&stem, &stamp, &extension);
        Ok(())
    }

    fn part(&self, of: fn(&Path) -> Option<&std::ffi::OsStr>) -> String {
        of(&self.path).map(|part| part.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// Removes old files of ours, which have a time in their names. One that can't be removed is left for the next time.
    fn tidy(&self, stem: &str, stamp: &str, extension: &str) {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let begins = format!("{stem}-");
        let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
        let mut old: Vec<PathBuf> = entries
            .map(|entry| entry.path())
            .filter(|path| {
                let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                let ends = path.extension().map(|end| end.to_string_lossy().into_owned()).unwrap_or_default();
                name.strip_prefix(&begins).is_some_and(|time| is_like(time, stamp)) && ends == extension
            })
            .collect();
        // The time stands in the name, so that the newest comes last.
        old.sort_unstable();
        let too_many = if self.backups_max == 0 { 0 } else { old.len().saturating_sub(self.backups_max) };
        let keeps = DAY * u32::try_from(self.age_days_max).unwrap_or(u32::MAX);
        for (at, path) in old.iter().enumerate() {
            let written = path.metadata().and_then(|found| found.modified()).ok();
            let age = written.and_then(|written| self.clock.now().duration_since(written).ok()).unwrap_or_default();
            if at < too_many || (self.age_days_max > 0 && age > keeps) {
                drop(std::fs::remove_file(path));
            }
        }
    }
}

/// Opens a log, and tells how long it is.
fn begin(path: &Path) -> io::Result<(File, u64)> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    // What others do is nobody else's business.
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    let bytes = file.metadata()?.len();
    Ok((file, bytes))
}

/// Whether a text is one of the same form: digits where there are digits.
fn is_like(text: &str, form: &str) -> bool {
    let alike = |(one, other): (u8, u8)| one == other || (one.is_ascii_digit() && other.is_ascii_digit());
    text.len() == form.len() && text.bytes().zip(form.bytes()).all(alike)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_is_full_is_put_aside_and_only_our_own_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let (file, bytes) = begin(&path).unwrap();
        let mut log = Rotated {
            path: path.clone(),
            target: Target::File(file),
            bytes,
            bytes_max: 10,
            backups_max: 1,
            age_days_max: 0,
            clock: Clock::system(),
        };
        let notes = folder.path().join("audit-notes-of-somebody-else.log");
        std::fs::write(&notes, "mine").unwrap();
        for line in ["one line\n", "another\n", "a third\n"] {
            log.write(line.as_bytes()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a third\n");
        assert_eq!(std::fs::read_to_string(notes).unwrap(), "mine");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3, "the log, one backup, the notes");
    }

    #[test]
    fn what_can_not_be_put_aside_goes_on_in_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let (file, bytes) = begin(&path).unwrap();
        let mut log = Rotated {
            // Nothing can be opened below a file.
            path: path.join("none"),
            target: Target::File(file),
            bytes,
            bytes_max: 10,
            backups_max: 1,
            age_days_max: 0,
            clock: Clock::system(),
        };
        log.write(b"one line\n").unwrap();
        log.write(b"another\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one line\nanother\n");
    }
}
