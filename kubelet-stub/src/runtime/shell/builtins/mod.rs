//! The commands that a shell runs itself.

mod variables;

use super::state::{Flow, Ran, Shell};
use crate::runtime::commands;
use crate::runtime::files::join;
use crate::runtime::machine::{Stop, find};

/// Commands that change the shell.
const SPECIAL: &[&str] = &[
    ".", ":", "alias", "bg", "break", "cd", "command", "continue", "eval", "exec", "exit", "export", "fg", "getopts",
    "jobs", "let", "local", "read", "readonly", "return", "set", "shift", "source", "trap", "type", "ulimit", "umask",
    "unalias", "unset", "wait",
];

/// Programs that a shell runs within itself: a broken pipe ends it.
const WITHIN: &[&str] = &["[", "echo", "false", "kill", "printf", "pwd", "test", "true"];

pub(super) fn is_builtin(name: &str) -> bool {
    SPECIAL.contains(&name) || WITHIN.contains(&name)
}

/// POSIX's special builtins: an assignment before one of them stays.
pub(super) fn keeps_assignments(name: &str) -> bool {
    const POSIX_SPECIAL: &[&str] =
        &[".", ":", "eval", "exec", "export", "readonly", "return", "set", "shift", "trap", "unset"];
    POSIX_SPECIAL.contains(&name)
}

/// A word as a shell would read it back.
pub(super) fn quote(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c);
    if !text.is_empty() && text.chars().all(safe) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

impl Shell {
    /// Writes to the shell's output.
    pub(super) async fn print(&self, text: impl AsRef<[u8]>) -> Result<(), Flow> {
        self.process.out(text).await.map_err(|stop| match stop {
            Stop::BrokenPipe => Flow::Exit(stop.code()),
            Stop::Exit(code) => Flow::Fail(code),
        })
    }

    pub(super) async fn run_builtin(&mut self, fields: Vec<String>) -> Ran {
        let name = fields[0].clone();
        let operands = &fields[1..];
        match name.as_str() {
            ":" => Ok(0),
            "cd" => self.cd(operands).await,
            "eval" => self.evaluate(&operands.join(" ")).await,
            "exit" => Err(Flow::Exit(self.code_of(operands.first()))),
            "return" => Err(Flow::Return(self.code_of(operands.first()))),
            "break" | "continue" => self.leave_loop(&name, operands),
            "exec" => self.exec(operands).await,
            "command" => self.command(operands).await,
            "type" => self.type_of(operands).await,
            "." | "source" => self.source(operands).await,
            "trap" => self.trap(operands).await,
            "wait" => {
                let status = self.wait(operands).await;
                self.run_traps().await?;
                Ok(status)
            }
            "shift" => self.shift(operands).await,
            "set" => self.set(operands).await,
            "export" | "readonly" => self.mark(&name, operands).await,
            "local" => self.local(operands).await,
            "unset" => self.unset(operands).await,
            "read" => self.read(operands).await,
            "getopts" => self.getopts(operands).await,
            "let" => self.let_all(operands).await,
            "umask" => self.umask(operands).await,
            "ulimit" => {
                self.print("unlimited\n").await?;
                Ok(0)
            }
            "jobs" => self.list_jobs().await,
            "alias" | "unalias" | "bg" | "fg" => {
                self.say(&format!("{name}: not supported")).await;
                Ok(1)
            }
            _ => match commands::program(&name) {
                Some(program) => {
                    let mut process = self.child(fields);
                    process.pid = self.process.pid;
                    self.run_within(process, program).await
                }
                None => Ok(127),
            },
        }
    }

    fn code_of(&self, operand: Option<&String>) -> i32 {
        operand.map_or(self.status, |text| text.parse::<i32>().map_or(2, |code| code & 0xff))
    }

    fn leave_loop(&self, name: &str, operands: &[String]) -> Ran {
        let levels = operands.first().and_then(|text| text.parse().ok()).unwrap_or(1).max(1);
        match (self.loops, name) {
            (0, _) => Ok(0),
            (loops, "break") => Err(Flow::Break(levels.min(loops))),
            (loops, _) => Err(Flow::Continue(levels.min(loops))),
        }
    }

    async fn cd(&mut self, operands: &[String]) -> Ran {
        let operands: Vec<&String> =
            operands.iter().filter(|text| !matches!(text.as_str(), "-P" | "-L" | "--")).collect();
        let (target, show) = match operands.first().map(|text| text.as_str()) {
            None => (self.value("HOME").unwrap_or("/").to_owned(), false),
            Some("-") => (self.value("OLDPWD").unwrap_or("/").to_owned(), true),
            Some(path) => (path.to_owned(), false),
        };
        let place = &self.process.place;
        let problem = match place.stat(&target) {
            Ok(stat) if !stat.is_directory() => Some("Not a directory".to_owned()),
            Ok(_) if !place.may_execute(&target) => Some("Permission denied".to_owned()),
            Ok(_) => None,
            Err(error) => Some(error.to_string()),
        };
        if let Some(problem) = problem {
            self.say(&format!("cd: can't cd to {target}: {problem}")).await;
            return Ok(1);
        }
        let before = place.directory.clone();
        let path = logical(&join(&before, &target));
        self.process.place.directory.clone_from(&path);
        self.assign("OLDPWD", before).await?;
        self.assign("PWD", path.clone()).await?;
        if show {
            self.print(path + "\n").await?;
        }
        Ok(0)
    }

    async fn exec(&mut self, operands: &[String]) -> Ran {
        if operands.is_empty() {
            return Ok(0);
        }
        // The program takes the shell's place, so a signal to the shell is one to it.
        let fields = operands.to_vec();
        if let Some(program) = WITHIN.contains(&fields[0].as_str()).then(|| commands::program(&fields[0])).flatten() {
            let process = self.child(fields);
            let code = self.run_within(process, program).await?;
            return Err(Flow::Exit(code));
        }
        let signals = self.process.signals.clone();
        let code = self.start_program(fields, Vec::new(), signals).await?;
        Err(Flow::Exit(code))
    }

    async fn command(&mut self, operands: &[String]) -> Ran {
        match operands {
            [] => Ok(0),
            [flag, names @ ..] if flag == "-v" || flag == "-V" => {
                let mut status = 0;
                for name in names {
                    match self.describe(name) {
                        Some((short, long)) => {
                            self.print(if flag == "-v" { short + "\n" } else { format!("{name} is {long}\n") }).await?;
                        }
                        None => {
                            status = 127;
                            if flag == "-V" {
                                self.print(format!("{name}: not found\n")).await?;
                            }
                        }
                    }
                }
                Ok(status)
            }
            [flag, rest @ ..] if flag == "-p" && !rest.is_empty() => {
                Box::pin(self.dispatch(rest.to_vec(), Vec::new(), false)).await
            }
            fields => Box::pin(self.dispatch(fields.to_vec(), Vec::new(), false)).await,
        }
    }

    async fn type_of(&mut self, operands: &[String]) -> Ran {
        let mut status = 0;
        for name in operands {
            match self.describe(name) {
                Some((_, long)) => self.print(format!("{name} is {long}\n")).await?,
                None => {
                    self.print(format!("{name}: not found\n")).await?;
                    status = 127;
                }
            }
        }
        Ok(status)
    }

    fn describe(&self, name: &str) -> Option<(String, String)> {
        const RESERVED: &[&str] = &[
            "if", "then", "else", "elif", "fi", "do", "done", "case", "esac", "while", "until", "for", "{", "}", "!",
            "in",
        ];
        if RESERVED.contains(&name) {
            return Some((name.to_owned(), "a shell keyword".into()));
        }
        if self.functions.contains_key(name) {
            return Some((name.to_owned(), "a function".into()));
        }
        if is_builtin(name) {
            return Some((name.to_owned(), "a shell builtin".into()));
        }
        let path = find(&self.process.place, self.value("PATH").unwrap_or_default(), name).ok()?;
        Some((path.clone(), path))
    }

    async fn source(&mut self, operands: &[String]) -> Ran {
        let Some(name) = operands.first() else { return self.fail(2, ".: filename argument required").await };
        let in_path = || find(&self.process.place, self.value("PATH").unwrap_or_default(), name).ok();
        let path = if name.contains('/') || self.process.place.stat(name).is_ok() { None } else { in_path() };
        let text = match self.process.place.read(path.as_deref().unwrap_or(name)) {
            Ok(text) => String::from_utf8_lossy(&text).into_owned(),
            Err(_) => return self.fail(2, &format!(".: can't open '{name}': no such file")).await,
        };
        let arguments = operands[1..].to_vec();
        let positional =
            if arguments.is_empty() { None } else { Some(std::mem::replace(&mut self.positional, arguments)) };
        let ran = self.evaluate(&text).await;
        if let Some(positional) = positional {
            self.positional = positional;
        }
        match ran {
            Err(Flow::Return(code)) => Ok(code),
            other => other,
        }
    }

    async fn list_jobs(&mut self) -> Ran {
        for (index, job) in self.jobs.clone().into_iter().enumerate() {
            let state = if job.status.borrow().is_some() { "Done" } else { "Running" };
            self.print(format!("[{}]   {state}   {}\n", index + 1, job.pid)).await?;
        }
        Ok(0)
    }

    async fn umask(&mut self, operands: &[String]) -> Ran {
        match operands.first() {
            None => self.print(format!("{:04o}\n", self.process.place.umask)).await?,
            Some(text) => match u32::from_str_radix(text, 8) {
                Ok(mask) => self.process.place.umask = mask & 0o777,
                Err(_) => {
                    self.say(&format!("umask: bad mask '{text}'")).await;
                    return Ok(1);
                }
            },
        }
        Ok(0)
    }
}

/// A path without `.` and `..`, taken by its words alone.
fn logical(path: &str) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => {
                names.pop();
            }
            other => names.push(other),
        }
    }
    format!("/{}", names.join("/"))
}
