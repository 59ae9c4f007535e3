//! Members as processes: spawned from one binary, told apart by subcommand, held by a lifeline.

use super::{Runner, Spec, Started, arguments, open_log};
use async_trait::async_trait;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tinyplane_wire::process::{MemberError, ReadyLine};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// Longest wait for a member's ready line.
const READY_SECONDS_MAX: u64 = 60;
/// Longest wait for the end of a member that does not come to be ready.
const END_MILLIS_MAX: u64 = 500;
/// Lines of a member's log that a failed start shows.
const LOG_LINES_SHOWN: usize = 5;

/// Which binary to spawn members from.
#[derive(Clone, Debug)]
pub struct Program(PathBuf);

impl Program {
    /// This very file.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// What the variable `TINYPLANE_BIN` names, else a `tinyplane` of this version on PATH.
    ///
    /// # Errors
    /// One sentence that says how to install it.
    pub fn find() -> Result<Self, MemberError> {
        if let Some(named) = std::env::var_os("TINYPLANE_BIN") {
            return Ok(Self(named.into()));
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let version = concat!("tinyplane ", env!("CARGO_PKG_VERSION"));
        std::env::split_paths(&path)
            .map(|folder| folder.join("tinyplane"))
            .find(|file| says(file, version))
            .map(Self)
            .ok_or_else(|| {
                MemberError::new(format!(
                    "no {version} is on PATH: install it with `cargo install tinyplane --version {}`, or name it in TINYPLANE_BIN",
                    env!("CARGO_PKG_VERSION")
                ))
            })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

fn says(file: &Path, version: &str) -> bool {
    file.is_file()
        && std::process::Command::new(file)
            .arg("--version")
            .stdin(Stdio::null())
            .output()
            .is_ok_and(|said| String::from_utf8_lossy(&said.stdout).trim() == version)
}

/// Runs each member as a process.
#[derive(Debug)]
pub(crate) struct Processes {
    pub(crate) program: Program,
}

#[async_trait]
impl Runner for Processes {
    async fn start(&self, spec: &Spec) -> Result<Box<dyn Started>, MemberError> {
        let name = spec.member.to_string();
        let path = spec.folder.log(&name);
        let log =
            open_log(&path).map_err(|e| MemberError::because(format!("the log of {name} can't be written"), e))?;
        let logged = log.metadata().map_or(0, |meta| meta.len());
        let mut child = Command::new(self.program.path())
            .arg(spec.member.subcommand())
            .arg("--lifeline")
            .args(arguments::of(spec))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| MemberError::because(format!("{} can't be run", self.program.path().display()), e))?;
        let (Some(lifeline), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(MemberError::new(format!("{name} has no pipes")));
        };
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        let saying = tokio::time::timeout(Duration::from_secs(READY_SECONDS_MAX), stdout.read_line(&mut line));
        let said = tokio::select! {
            said = saying => said.is_ok(),
            () = spec.give_up.cancelled() => false,
        };
        match serde_json::from_str::<ReadyLine>(&line).ok().filter(|_| said) {
            Some(ready) => {
                tokio::spawn(discard(stdout));
                Ok(Box::new(Process { child, ready, lifeline: Some(lifeline) }))
            }
            None => {
                drop(lifeline);
                let how = end(&mut child, Duration::from_millis(END_MILLIS_MAX)).await;
                Err(MemberError::new(format!("{name} did not start ({how}): {}", last_lines(&path, logged))))
            }
        }
    }
}

/// Keeps the pipe open and empty: a member that prints must neither block nor meet a broken pipe.
async fn discard(mut stdout: BufReader<ChildStdout>) {
    let mut unread = [0; 1024];
    while stdout.read(&mut unread).await.is_ok_and(|n| n > 0) {}
}

/// The last lines of a log, of those behind its first bytes.
fn last_lines(path: &Path, bytes: u64) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    let since = text.get(usize::try_from(bytes).unwrap_or(usize::MAX)..).unwrap_or_default();
    let text = String::from_utf8_lossy(since);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("; ")
}

#[derive(Debug)]
struct Process {
    child: Child,
    ready: ReadyLine,
    /// Its end is the word to end.
    lifeline: Option<ChildStdin>,
}

#[async_trait]
impl Started for Process {
    fn ready(&self) -> &ReadyLine {
        &self.ready
    }

    async fn ended(&mut self) -> String {
        self.child.wait().await.map_or_else(|e| e.to_string(), |status| status.to_string())
    }

    async fn kill(&mut self) {
        if let Err(error) = self.child.kill().await {
            tracing::debug!(%error, "a member was gone before it was killed");
        }
    }

    async fn stop(&mut self, within: Duration) {
        // Not a signal: to some members the first one means something else.
        drop(self.lifeline.take());
        end(&mut self.child, within).await;
    }
}

async fn end(child: &mut Child, within: Duration) -> String {
    match tokio::time::timeout(within, child.wait()).await {
        Ok(Ok(status)) => status.to_string(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => match child.kill().await {
            Ok(()) => "it was killed, for it did not end in time".into(),
            Err(error) => error.to_string(),
        },
    }
}
