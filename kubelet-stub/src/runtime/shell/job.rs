//! Jobs in the background, `wait`, and traps.

use super::ast::{Script, Statement};
use super::parser::parse;
use super::state::{Flow, Ran, Shell};
use crate::runtime::machine::{Disposition, Entry, Fd, Signals, Source, signal_name, signal_number};
use std::sync::Arc;
use tokio::sync::watch;

/// Jobs that one shell remembers.
const JOBS_MAX: usize = 512;

/// A command in the background.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) pid: u32,
    /// Its status, once it has ended.
    pub(super) status: watch::Receiver<Option<i32>>,
}

impl Shell {
    pub(super) fn run_in_background(&mut self, statement: &Statement) -> i32 {
        self.jobs.retain(|job| job.status.borrow().is_none() || self.last_background == Some(job.pid));
        if self.jobs.len() >= JOBS_MAX {
            return 2;
        }
        let script: Script = vec![Statement { background: false, ..statement.clone() }];
        let machine = self.process.machine.clone();
        let mut shell = self.subshell();
        let signals: Arc<Signals> = Arc::default();
        shell.process.signals = signals.clone();
        if shell.process.terminal.is_none() {
            shell.process.fds.insert(0, Fd::Source(Source::Nothing));
        }
        let entered = machine.enter(Entry {
            parent: self.process.pid,
            uid: self.process.place.uid,
            command: vec![self.name.clone()],
            signals: signals.clone(),
        });
        let pid = entered.pid;
        shell.process.parent = self.process.pid;
        let (sender, status) = watch::channel(None);
        let gone = machine.gone.clone();
        machine.jobs.spawn(async move {
            let ended = tokio::select! {
                biased;
                () = gone.cancelled() => 137,
                signal = signals.fatal() => 128 + signal,
                status = shell.run_subshell(&script) => status,
            };
            drop(shell);
            drop(entered);
            sender.send_replace(Some(ended));
        });
        self.jobs.push(Job { pid, status });
        self.last_background = Some(pid);
        self.status = 0;
        0
    }

    /// Waits for jobs, or until a caught signal comes.
    pub(super) async fn wait(&mut self, operands: &[String]) -> i32 {
        let signals = self.process.signals.clone();
        if operands.is_empty() {
            for job in std::mem::take(&mut self.jobs) {
                tokio::select! {
                    _ = ended(job.status.clone()) => {}
                    () = signals.caught() => {
                        self.jobs.push(job);
                        return 143;
                    }
                }
            }
            return 0;
        }
        let mut status = 0;
        for operand in operands {
            let job = operand.parse::<u32>().ok().and_then(|pid| self.jobs.iter().find(|job| job.pid == pid)).cloned();
            let Some(job) = job else {
                status = 127;
                continue;
            };
            status = tokio::select! {
                status = ended(job.status.clone()) => status,
                () = signals.caught() => return 143,
            };
            self.jobs.retain(|known| known.pid != job.pid);
        }
        status
    }

    /// Runs the traps of signals that came.
    pub(super) async fn run_traps(&mut self) -> Result<(), Flow> {
        // A signal that this shell has no trap for waits for the program that takes its place.
        if self.traps.keys().all(|name| name == "EXIT") {
            return Ok(());
        }
        while let Some(signal) = self.process.signals.take() {
            let action = signal_name(signal).and_then(|name| self.traps.get(name)).cloned();
            if let Some(action) = action {
                let before = self.status;
                self.evaluate(&action).await?;
                self.status = before;
            }
        }
        Ok(())
    }

    /// Runs the trap of the shell's end and returns the status to end with.
    pub(super) async fn run_exit_trap(&mut self, status: i32) -> i32 {
        let Some(action) = self.traps.remove("EXIT").filter(|action| !action.is_empty()) else { return status };
        self.status = status;
        match self.evaluate(&action).await {
            Err(Flow::Exit(code)) => code,
            _ => status,
        }
    }

    /// `trap`.
    pub(super) async fn trap(&mut self, operands: &[String]) -> Ran {
        let (action, names) = match operands {
            [] => {
                let traps = self.traps.clone();
                for (name, action) in traps {
                    let line = format!("trap -- {} {name}\n", super::builtins::quote(&action));
                    self.print(line).await?;
                }
                return Ok(0);
            }
            [only] => (None, std::slice::from_ref(only)),
            [dash, names @ ..] if dash == "-" => (None, names),
            [action, names @ ..] => (Some(action.clone()), names),
        };
        for name in names {
            let signal = if name == "EXIT" { Some(0) } else { signal_number(name) };
            let Some(signal) = signal else {
                self.say(&format!("trap: {name}: invalid signal specification")).await;
                return Ok(1);
            };
            let key = if signal == 0 { "EXIT" } else { signal_name(signal).unwrap_or_default() };
            match &action {
                None => self.traps.remove(key),
                Some(action) => self.traps.insert(key.to_owned(), action.clone()),
            };
            if signal != 0 {
                let disposition = action
                    .as_ref()
                    .map(|action| if action.is_empty() { Disposition::Ignored } else { Disposition::Caught });
                self.process.signals.set(signal, disposition);
            }
        }
        Ok(0)
    }

    /// Reads and runs a text: `eval`, traps.
    pub(super) async fn evaluate(&mut self, text: &str) -> Ran {
        match parse(text) {
            Ok(script) => self.run_script(&script).await,
            Err(error) => self.fail(2, &format!("line {}: {error}", error.line)).await,
        }
    }
}

async fn ended(mut status: watch::Receiver<Option<i32>>) -> i32 {
    match status.wait_for(Option::is_some).await {
        Ok(ended) => ended.unwrap_or_default(),
        Err(_) => 137,
    }
}
