//! The interactive shell: a prompt, lines that may take several, Ctrl-C and Ctrl-D.

use super::parser::parse;
use super::state::Shell;
use tokio::sync::watch;

/// Bytes of one line.
const LINE_BYTES_MAX: usize = 64 << 10;

impl Shell {
    /// Talks to a person until the input ends or `exit`.
    pub(super) async fn interact(&mut self) -> i32 {
        self.interactive = true;
        let mut interrupts = self.process.terminal.as_ref().map(|terminal| terminal.take_interrupts());
        let mut text = String::new();
        loop {
            let prompt = if text.is_empty() { self.prompt() } else { self.value("PS2").unwrap_or("> ").to_owned() };
            self.process.err(prompt).await;
            let source = self.process.stdin();
            let line = tokio::select! {
                biased;
                () = interrupted(&mut interrupts) => {
                    text.clear();
                    self.status = 130;
                    continue;
                }
                line = source.read_until(b'\n', LINE_BYTES_MAX) => line.unwrap_or_default(),
            };
            if line.is_empty() {
                if self.process.terminal.is_some() {
                    self.process.err("\n").await;
                }
                return self.run_exit_trap(self.status).await;
            }
            text.push_str(&String::from_utf8_lossy(&line));
            let script = match parse(&text) {
                Ok(script) => script,
                Err(error) if error.incomplete => continue,
                Err(error) => {
                    self.say(&error.to_string()).await;
                    self.status = 2;
                    text.clear();
                    continue;
                }
            };
            text.clear();
            if script.is_empty() {
                continue;
            }
            let fds = self.process.fds.clone();
            let ran = tokio::select! {
                biased;
                () = interrupted(&mut interrupts) => None,
                ran = self.run_script(&script) => Some(ran),
            };
            match ran {
                Some(ran) => {
                    if let Some(code) = self.settle(ran) {
                        return self.run_exit_trap(code).await;
                    }
                }
                None => {
                    // What the interrupted command had changed for itself is put back.
                    self.process.fds = fds;
                    (self.loops, self.tested, self.depth) = (0, 0, 0);
                    self.locals.clear();
                    self.status = 130;
                }
            }
        }
    }

    fn prompt(&self) -> String {
        let prompt = self.value("PS1").unwrap_or("$ ");
        let sign = if self.process.place.uid == 0 { "#" } else { "$" };
        let directory = &self.process.place.directory;
        let home = self.value("HOME").unwrap_or("/root");
        let shown = match directory.strip_prefix(home) {
            Some(rest) if home != "/" && (rest.is_empty() || rest.starts_with('/')) => format!("~{rest}"),
            _ => directory.clone(),
        };
        let host = self.process.machine.sandbox.spec.hostname.clone();
        prompt.replace("\\w", &shown).replace("\\$", sign).replace("\\h", &host).replace("\\u", "root")
    }
}

async fn interrupted(interrupts: &mut Option<watch::Receiver<u64>>) {
    let came = match interrupts {
        Some(interrupts) => interrupts.changed().await.is_ok(),
        None => false,
    };
    if !came {
        std::future::pending::<()>().await;
    }
}
