//! The program `sh`: its options, and whether it runs a text, a file, its input, or talks to a person.

use super::parser::parse;
use super::state::{Flow, Shell};
use crate::runtime::machine::{Outcome, Process};

/// `sh`, `ash`, `bash`.
pub(crate) async fn sh(process: &mut Process) -> Outcome {
    let mut shell = Shell::new(process.clone());
    let operands = process.operands();
    let mut rest = operands.as_slice();
    let (mut command, mut from_input, mut asked_interactive) = (false, false, false);
    while let [first, tail @ ..] = rest {
        if first == "--" {
            rest = tail;
            break;
        }
        if first.starts_with("--") {
            // bash's long options (--login, --norc) change nothing here.
            rest = tail;
            continue;
        }
        let Some(on) = first.chars().next().filter(|c| "+-".contains(*c) && first.len() > 1).map(|c| c == '-') else {
            break;
        };
        rest = tail;
        for letter in first.chars().skip(1) {
            let known = match letter {
                'c' => {
                    command = true;
                    true
                }
                's' => {
                    from_input = true;
                    true
                }
                'i' => {
                    asked_interactive = true;
                    true
                }
                'l' => true,
                'o' => match rest.split_first() {
                    Some((name, tail)) => {
                        rest = tail;
                        shell.options.set_named(name, on)
                    }
                    None => true,
                },
                other => shell.options.set_letter(other, on),
            };
            if !known {
                return process.fail(2, format!("illegal option -{letter}")).await;
            }
        }
    }
    if command {
        let Some((text, arguments)) = rest.split_first() else {
            return process.fail(2, "-c requires an argument").await;
        };
        if let Some((name, arguments)) = arguments.split_first() {
            shell.name.clone_from(name);
            shell.positional = arguments.to_vec();
        }
        return Ok(shell.run_text(text).await);
    }
    if let ([path, arguments @ ..], false) = (rest, from_input) {
        shell.positional = arguments.to_vec();
        return source_path(&mut shell, path).await;
    }
    if from_input {
        shell.positional = rest.to_vec();
    }
    if asked_interactive || process.terminal.is_some() {
        return Ok(shell.interact().await);
    }
    Ok(shell.run_input().await)
}

async fn source_path(shell: &mut Shell, path: &str) -> Outcome {
    match shell.process.place.read(path) {
        Ok(text) => {
            path.clone_into(&mut shell.name);
            Ok(shell.run_text(&String::from_utf8_lossy(&text)).await)
        }
        Err(error) => {
            let reason = match error {
                crate::runtime::files::Errno::NotFound => "No such file or directory".to_owned(),
                other => other.to_string(),
            };
            shell.say(&format!("can't open '{path}': {reason}")).await;
            Ok(2)
        }
    }
}

impl Shell {
    /// Runs a whole text and ends the shell.
    async fn run_text(&mut self, text: &str) -> i32 {
        let script = match parse(text) {
            Ok(script) => script,
            Err(error) => {
                self.say(&format!("line {}: {error}", error.line)).await;
                return 2;
            }
        };
        if self.options.no_execute {
            return 0;
        }
        self.run_subshell(&script).await
    }

    /// Runs the input, statement by statement as its lines come, so that commands may read what follows.
    async fn run_input(&mut self) -> i32 {
        let source = self.process.stdin();
        let mut text = String::new();
        loop {
            let line = source.read_until(b'\n', super::parser::SCRIPT_BYTES_MAX).await.unwrap_or_default();
            let ended = line.is_empty();
            text.push_str(&String::from_utf8_lossy(&line));
            if ended && text.is_empty() {
                break;
            }
            let script = match parse(&text) {
                Ok(script) => script,
                Err(error) if error.incomplete && !ended => continue,
                Err(error) => {
                    self.say(&error.to_string()).await;
                    return self.run_exit_trap(2).await;
                }
            };
            text.clear();
            match self.run_script(&script).await {
                Ok(status) => {
                    if !script.is_empty() {
                        self.status = status;
                    }
                }
                Err(flow) => return self.run_exit_trap(flow.code()).await,
            }
            if ended {
                break;
            }
        }
        self.run_exit_trap(self.status).await
    }

    /// What an error of an interactive shell leaves of a line.
    pub(super) fn settle(&mut self, ran: Result<i32, Flow>) -> Option<i32> {
        match ran {
            Ok(status) => self.status = status,
            Err(Flow::Exit(code)) => return Some(code),
            Err(flow) => self.status = flow.code(),
        }
        None
    }
}
