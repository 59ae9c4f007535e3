//! From a command's name to a running program: the search in `PATH`, the first line of the file, and the run itself.

use super::process::{Entry, Machine, Process};
use super::signal::Signals;
use crate::runtime::commands;
use crate::runtime::files::{Errno, PROGRAM_MARK, Place, join};
use std::sync::Arc;
use tokio_util::task::AbortOnDropHandle;

/// Programs that start programs that start programs: beyond this, the next start fails.
pub(crate) const DEPTH_MAX: u32 = 32;
/// Where programs are looked for when nothing else is said.
pub(crate) const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Why a command can't be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FindError {
    NotFound,
    Permission,
    IsDirectory,
    NotDirectory,
}

impl FindError {
    /// 127 for what is not there, 126 for what can't be executed.
    pub(crate) fn code(self) -> i32 {
        if matches!(self, Self::NotFound | Self::NotDirectory) { 127 } else { 126 }
    }

    /// What runc says of it.
    pub(crate) fn of_runc(self, command: &str) -> String {
        let path = command.contains('/');
        match self {
            Self::NotFound if path => format!("exec: \"{command}\": stat {command}: no such file or directory"),
            Self::NotFound => format!("exec: \"{command}\": executable file not found in $PATH"),
            Self::NotDirectory => format!("exec: \"{command}\": stat {command}: not a directory"),
            Self::Permission => format!("exec: \"{command}\": permission denied"),
            Self::IsDirectory => format!("exec: \"{command}\": is a directory"),
        }
    }
}

/// What an executable file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Loaded {
    /// A built-in program.
    BuiltIn(String),
    /// `#!`: the interpreter and its argument; the file follows them.
    Script(Vec<String>),
    /// Neither; a shell would try it as a script.
    Text,
}

/// Finds a command's file.
pub(crate) fn find(place: &Place, search: &str, command: &str) -> Result<String, FindError> {
    if command.contains('/') {
        return check(place, command).map(|()| join(&place.directory, command));
    }
    if command.is_empty() {
        return Err(FindError::NotFound);
    }
    let mut denied = None;
    for directory in search.split(':') {
        let path = join(if directory.is_empty() { "." } else { directory }, command);
        match check(place, &path) {
            Ok(()) => return Ok(join(&place.directory, &path)),
            Err(FindError::Permission) => denied = Some(FindError::Permission),
            Err(_) => {}
        }
    }
    Err(denied.unwrap_or(FindError::NotFound))
}

fn check(place: &Place, path: &str) -> Result<(), FindError> {
    match place.stat(path) {
        Ok(stat) if stat.is_directory() => Err(FindError::IsDirectory),
        Ok(_) if place.may_execute(path) => Ok(()),
        Ok(_) | Err(Errno::Permission) => Err(FindError::Permission),
        Err(Errno::NotDirectory) => Err(FindError::NotDirectory),
        Err(_) => Err(FindError::NotFound),
    }
}

/// Reads an executable file's first line.
pub(crate) fn load(place: &Place, path: &str) -> Loaded {
    let head = place.locate(path).ok().and_then(|at| at.node.read_at(0, 256).ok()).unwrap_or_default();
    let line = String::from_utf8_lossy(head.split(|byte| *byte == b'\n').next().unwrap_or_default()).into_owned();
    if let Some(name) = line.strip_prefix(PROGRAM_MARK) {
        return Loaded::BuiltIn(name.trim().to_owned());
    }
    match line.strip_prefix("#!") {
        Some(interpreter) => {
            let interpreter = interpreter.trim();
            let (program, argument) = interpreter.split_once(char::is_whitespace).unwrap_or((interpreter, ""));
            let argument = argument.trim();
            let mut words = vec![program.to_owned()];
            if !argument.is_empty() {
                words.push(argument.to_owned());
            }
            Loaded::Script(words)
        }
        None => Loaded::Text,
    }
}

/// Runs a program whose file was found at `path`, until it ends or a signal ends it.
pub(crate) async fn execute(machine: &Arc<Machine>, mut process: Process, path: &str) -> i32 {
    let mut path = path.to_owned();
    process.depth += 1;
    for _ in 0..4 {
        if process.depth > DEPTH_MAX {
            process.complain("Resource temporarily unavailable").await;
            return 126;
        }
        let words = match load(&process.place, &path) {
            Loaded::BuiltIn(name) => {
                let Some(program) = commands::program(&name) else {
                    process.complain("Exec format error").await;
                    return 126;
                };
                return run(machine, process, program).await;
            }
            Loaded::Script(words) => words,
            Loaded::Text => vec!["/bin/sh".to_owned()],
        };
        let interpreter = words[0].clone();
        let rest: Vec<String> = process.arguments.iter().skip(1).cloned().collect();
        process.arguments = words.into_iter().chain([path]).chain(rest).collect();
        if let Err(error) = find(&process.place, "", &interpreter) {
            process.complain("no such file or directory").await;
            return error.code();
        }
        path = interpreter;
    }
    process.complain("Too many levels of interpreters").await;
    126
}

async fn run(machine: &Arc<Machine>, mut process: Process, program: super::Program) -> i32 {
    let entry = Entry {
        parent: process.parent,
        uid: process.place.uid,
        command: process.arguments.clone(),
        signals: process.signals.clone(),
    };
    let entered = machine.enter(entry);
    process.pid = entered.pid;
    let signals: Arc<Signals> = process.signals.clone();
    // A task of its own: programs that start programs then do not add up on one stack.
    let task = AbortOnDropHandle::new(tokio::spawn(async move { program(&mut process).await }));
    tokio::select! {
        biased;
        signal = signals.fatal() => 128 + signal,
        outcome = task => match outcome {
            Ok(outcome) => outcome.unwrap_or_else(super::Stop::code),
            Err(error) => {
                tracing::error!(%error, "a built-in program failed");
                139
            }
        },
    }
}
