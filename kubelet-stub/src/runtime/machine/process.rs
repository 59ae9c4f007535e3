//! A running program: its arguments, environment, files and descriptors, and the container that it belongs to.

use super::descriptor::{Fd, Fds, Sink, Source, open_fd};
use super::log::Log;
use super::sandbox::Sandbox;
use super::signal::Signals;
use super::terminal::Terminal;
use crate::runtime::files::{Errno, How, Place};
use futures_util::future::BoxFuture;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tinyplane_wire::clock::Clock;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Bytes that a program may hold of its input: `sort`, `tail`, `$(…)`.
pub(crate) const HELD_BYTES_MAX: usize = 64 << 20;
/// Steps without a wait, after which a busy program pauses for a moment, so that it can't hold a core.
const STEPS_BEFORE_PAUSE: u32 = 8192;

/// Why a program ended before its last line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Its own choice.
    Exit(i32),
    /// Nobody reads what it writes.
    BrokenPipe,
}

impl Stop {
    pub(crate) fn code(self) -> i32 {
        match self {
            Self::Exit(code) => code,
            Self::BrokenPipe => 141,
        }
    }
}

/// How a program ends: its exit code, or a `Stop`.
pub(crate) type Outcome = Result<i32, Stop>;

/// A built-in program.
pub(crate) type Program = for<'a> fn(&'a mut Process) -> BoxFuture<'a, Outcome>;

/// A line of the process table.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) parent: u32,
    pub(crate) uid: u32,
    pub(crate) command: Vec<String>,
    pub(crate) signals: Arc<Signals>,
}

/// A container, as its programs know it.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) sandbox: Arc<Sandbox>,
    pub(crate) clock: Clock,
    pub(crate) started: SystemTime,
    pub(crate) log: Arc<Log>,
    /// Jobs that outlive the command that began them; all end with the container.
    pub(crate) jobs: TaskTracker,
    pub(crate) gone: CancellationToken,
    steps: AtomicU32,
    last_pid: AtomicU32,
    table: Mutex<BTreeMap<u32, Entry>>,
}

impl Machine {
    pub(crate) fn new(sandbox: Arc<Sandbox>, log: Arc<Log>, clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            sandbox,
            started: clock.now(),
            clock,
            log,
            jobs: TaskTracker::new(),
            gone: CancellationToken::new(),
            steps: AtomicU32::new(0),
            last_pid: AtomicU32::new(0),
            table: Mutex::default(),
        })
    }

    /// Counts one step of work; lets other tasks run, and now and then pauses.
    pub(crate) async fn step(&self) {
        let steps = self.steps.fetch_add(1, Ordering::Relaxed);
        if steps % STEPS_BEFORE_PAUSE == STEPS_BEFORE_PAUSE - 1 {
            self.clock.sleep(Duration::from_millis(1)).await;
        } else {
            tokio::task::consume_budget().await;
        }
    }

    /// Enters a program into the process table until the guard is dropped.
    pub(crate) fn enter(self: &Arc<Self>, entry: Entry) -> Entered {
        let pid = self.last_pid.fetch_add(1, Ordering::Relaxed) + 1;
        self.table.lock().unwrap_or_else(PoisonError::into_inner).insert(pid, entry);
        Entered { pid, machine: self.clone() }
    }

    pub(crate) fn processes(&self) -> BTreeMap<u32, Entry> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A program's line in the process table.
#[derive(Debug)]
pub(crate) struct Entered {
    pub(crate) pid: u32,
    machine: Arc<Machine>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.machine.table.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.pid);
    }
}

/// A running program.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) machine: Arc<Machine>,
    /// The program's name first.
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) place: Place,
    pub(crate) fds: Fds,
    pub(crate) pid: u32,
    pub(crate) parent: u32,
    pub(crate) signals: Arc<Signals>,
    pub(crate) terminal: Option<Arc<Terminal>>,
    /// Programs that started programs that started this one.
    pub(crate) depth: u32,
}

impl Process {
    /// The program's name, without a path.
    pub(crate) fn name(&self) -> &str {
        self.arguments.first().map_or("", |name| crate::runtime::files::base_name(name))
    }

    /// The arguments after the name.
    pub(crate) fn operands(&self) -> Vec<String> {
        self.arguments.iter().skip(1).cloned().collect()
    }

    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str)
    }

    pub(crate) fn stdin(&self) -> Source {
        self.fds.get(&0).and_then(Fd::source).unwrap_or(Source::Nothing)
    }

    /// Opens a path to read; `-` is the standard input.
    pub(crate) fn open_source(&self, path: &str) -> Result<Source, Errno> {
        if path == "-" {
            return Ok(self.stdin());
        }
        let fd = open_fd(&self.place, &self.fds, &self.machine.log, path, How::READ)?;
        fd.source().ok_or(Errno::BadDescriptor)
    }

    /// Opens a path to write.
    pub(crate) fn open_sink(&self, path: &str, how: How) -> Result<Sink, Errno> {
        open_fd(&self.place, &self.fds, &self.machine.log, path, how)?.sink().ok_or(Errno::BadDescriptor)
    }

    fn sink(&self, fd: u32) -> Option<Sink> {
        self.fds.get(&fd).and_then(Fd::sink)
    }

    /// Writes to the standard output. A failure other than a broken pipe is told and ends the program with 1.
    pub(crate) async fn out(&self, data: impl AsRef<[u8]>) -> Result<(), Stop> {
        let outcome = match self.sink(1) {
            Some(sink) => sink.write(data.as_ref()).await,
            None => Err(Errno::BadDescriptor),
        };
        match outcome {
            Ok(()) => Ok(()),
            Err(Errno::BrokenPipe) => Err(Stop::BrokenPipe),
            Err(error) => {
                self.complain(format!("write error: {error}")).await;
                Err(Stop::Exit(1))
            }
        }
    }

    /// Writes a line to the standard error, behind the program's name. Failures are for nobody.
    pub(crate) async fn complain(&self, message: impl AsRef<str>) {
        self.err(format!("{}: {}\n", self.name(), message.as_ref())).await;
    }

    /// Complains and ends with a code.
    pub(crate) async fn fail<T>(&self, code: i32, message: impl AsRef<str>) -> Result<T, Stop> {
        self.complain(message).await;
        Err(Stop::Exit(code))
    }

    /// Writes to the standard error. Failures are for nobody.
    pub(crate) async fn err(&self, data: impl AsRef<[u8]>) {
        if let Some(sink) = self.sink(2) {
            let _ = sink.write(data.as_ref()).await;
        }
    }

    /// The next bytes of a source; an error is told and ends the program with 1.
    pub(crate) async fn read(&self, source: &Source) -> Result<Vec<u8>, Stop> {
        self.machine.step().await;
        match source.read(usize::MAX).await {
            Ok(bytes) => Ok(bytes),
            Err(error) => self.fail(1, format!("read error: {error}")).await,
        }
    }

    /// All of a source, up to `HELD_BYTES_MAX`.
    pub(crate) async fn read_all(&self, source: &Source) -> Result<Vec<u8>, Stop> {
        let mut all = Vec::new();
        loop {
            let bytes = self.read(source).await?;
            if bytes.is_empty() {
                return Ok(all);
            }
            if all.len() + bytes.len() > HELD_BYTES_MAX {
                return self.fail(1, "out of memory").await;
            }
            all.extend_from_slice(&bytes);
        }
    }
}
