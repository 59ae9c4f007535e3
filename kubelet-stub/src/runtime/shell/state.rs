//! What a shell knows: variables, functions, options, jobs, traps; and how control leaves a command.

use super::ast::Command;
use super::job::Job;
use crate::runtime::machine::Process;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes of all of a shell's variables.
const VARIABLE_BYTES_MAX: usize = 4 << 20;

/// How control leaves a command other than by its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    Break(u32),
    Continue(u32),
    Return(i32),
    Exit(i32),
    /// An error that ends a script, and a command of an interactive shell.
    Fail(i32),
}

impl Flow {
    /// The status of a subshell that ended so.
    pub(super) fn code(self) -> i32 {
        match self {
            Self::Break(_) | Self::Continue(_) => 0,
            Self::Return(code) | Self::Exit(code) | Self::Fail(code) => code,
        }
    }
}

pub(super) type Ran = Result<i32, Flow>;

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Variable {
    pub(super) value: String,
    pub(super) exported: bool,
    pub(super) read_only: bool,
}

/// `set -e` and the like.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Options {
    pub(super) exit_on_error: bool,
    pub(super) unset_is_error: bool,
    pub(super) trace: bool,
    pub(super) pipe_fail: bool,
    pub(super) no_glob: bool,
    pub(super) no_execute: bool,
    pub(super) export_all: bool,
    pub(super) no_clobber: bool,
}

/// A shell, or a subshell: a clone of one.
#[derive(Clone, Debug)]
pub(super) struct Shell {
    pub(super) process: Process,
    pub(super) variables: BTreeMap<String, Variable>,
    variable_bytes: usize,
    pub(super) name: String,
    pub(super) positional: Vec<String>,
    pub(super) functions: BTreeMap<String, Arc<Command>>,
    pub(super) options: Options,
    pub(super) status: i32,
    pub(super) last_background: Option<u32>,
    pub(super) last_substitution: Option<i32>,
    pub(super) jobs: Vec<Job>,
    /// By signal name without `SIG`, or `EXIT`.
    pub(super) traps: BTreeMap<String, String>,
    pub(super) locals: Vec<BTreeMap<String, Option<Variable>>>,
    pub(super) loops: u32,
    /// Above zero within a condition, where `set -e` does not apply.
    pub(super) tested: u32,
    pub(super) depth: u32,
    pub(super) line: u32,
    pub(super) interactive: bool,
    /// Place of `getopts` within a group of letters.
    pub(super) option_letter: usize,
}

impl Shell {
    /// A shell in a process's place.
    pub(super) fn new(process: Process) -> Self {
        let mut shell = Self {
            name: process.arguments.first().cloned().unwrap_or_default(),
            variables: BTreeMap::new(),
            variable_bytes: 0,
            positional: Vec::new(),
            functions: BTreeMap::new(),
            options: Options::default(),
            status: 0,
            last_background: None,
            last_substitution: None,
            jobs: Vec::new(),
            traps: BTreeMap::new(),
            locals: Vec::new(),
            loops: 0,
            tested: 0,
            depth: 0,
            line: 0,
            interactive: false,
            option_letter: 0,
            process,
        };
        for (name, value) in std::mem::take(&mut shell.process.environment) {
            shell.variables.insert(name, Variable { value, exported: true, read_only: false });
        }
        let directory = shell.process.place.directory.clone();
        shell.variables.insert("PWD".into(), Variable { value: directory, exported: true, read_only: false });
        for (name, value) in [("IFS", " \t\n"), ("OPTIND", "1"), ("PS1", "\\w \\$ "), ("PS2", "> "), ("PS4", "+ ")] {
            let value = value.to_owned();
            shell.variables.entry(name.into()).or_insert(Variable { value, exported: false, read_only: false });
        }
        shell
    }

    /// A subshell: all of the shell but its jobs and traps.
    pub(super) fn subshell(&self) -> Self {
        let mut subshell = self.clone();
        subshell.jobs.clear();
        subshell.traps.retain(|_, action| action.is_empty());
        subshell.loops = 0;
        subshell.interactive = false;
        subshell
    }

    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(|variable| variable.value.as_str())
    }

    /// Assigns; a read-only variable and a full memory are errors.
    pub(super) async fn assign(&mut self, name: &str, value: String) -> Result<(), Flow> {
        match self.try_assign(name, value) {
            Ok(()) => Ok(()),
            Err(message) => self.fail(2, &message).await,
        }
    }

    pub(super) fn try_assign(&mut self, name: &str, value: String) -> Result<(), String> {
        let export = self.options.export_all;
        let variable = self.variables.entry(name.to_owned()).or_default();
        if variable.read_only {
            return Err(format!("{name}: is read only"));
        }
        let bytes = (self.variable_bytes + value.len()).saturating_sub(variable.value.len());
        if bytes > VARIABLE_BYTES_MAX {
            return Err("out of memory".into());
        }
        self.variable_bytes = bytes;
        variable.value = value;
        variable.exported |= export;
        Ok(())
    }

    /// Says an error as the shell does.
    pub(super) async fn say(&self, message: &str) {
        let name = crate::runtime::files::base_name(&self.name);
        self.process.err(format!("{}: {message}\n", if name.is_empty() { "sh" } else { name })).await;
    }

    /// Says an error that ends the script.
    pub(super) async fn fail<T>(&self, code: i32, message: &str) -> Result<T, Flow> {
        self.say(message).await;
        Err(Flow::Fail(code))
    }

    /// The environment of a program.
    pub(super) fn environment(&self) -> BTreeMap<String, String> {
        let exported = self.variables.iter().filter(|(_, variable)| variable.exported);
        exported.map(|(name, variable)| (name.clone(), variable.value.clone())).collect()
    }

    /// A process for a program or a builtin of this shell.
    pub(super) fn child(&self, arguments: Vec<String>) -> Process {
        let mut process = self.process.clone();
        process.arguments = arguments;
        process.parent = self.process.pid;
        process
    }

    pub(super) fn ifs(&self) -> String {
        self.value("IFS").unwrap_or(" \t\n").to_owned()
    }
}

impl super::arithmetic::Variables for Shell {
    fn value(&self, name: &str) -> String {
        Self::value(self, name).unwrap_or_default().to_owned()
    }

    fn assign(&mut self, name: &str, value: i64) -> Result<(), String> {
        self.try_assign(name, value.to_string())
    }
}
