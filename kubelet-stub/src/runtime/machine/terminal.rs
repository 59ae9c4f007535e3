//! A terminal in its cooked mode: echo, line editing, Ctrl-C and Ctrl-D going in, and `\r\n` coming out.

use super::pipe::PipeWriter;
use super::signal::{INTERRUPT, Signals};
use crate::runtime::io::TerminalSize;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// Bytes of a line that is being typed; more are refused with a bell.
const LINE_BYTES_MAX: usize = 4096;

/// A terminal that a program talks to.
#[derive(Debug)]
pub(crate) struct Terminal {
    size: watch::Sender<TerminalSize>,
    /// Who gets Ctrl-C, unless an interactive shell takes it.
    leader: Arc<Signals>,
    interrupts: watch::Sender<u64>,
    shell_takes_interrupts: Mutex<bool>,
}

impl Terminal {
    pub(crate) fn new(leader: Arc<Signals>) -> Arc<Self> {
        Arc::new(Self {
            size: watch::Sender::new(TerminalSize { width: 80, height: 24 }),
            leader,
            interrupts: watch::Sender::new(0),
            shell_takes_interrupts: Mutex::new(false),
        })
    }

    pub(crate) fn size(&self) -> TerminalSize {
        *self.size.borrow()
    }

    pub(crate) fn resize(&self, size: TerminalSize) {
        self.size.send_replace(size);
    }

    /// Lets an interactive shell take Ctrl-C from now on.
    pub(crate) fn take_interrupts(&self) -> watch::Receiver<u64> {
        *self.shell_takes_interrupts.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.interrupts.subscribe()
    }

    fn interrupt(&self) {
        if *self.shell_takes_interrupts.lock().unwrap_or_else(PoisonError::into_inner) {
            self.interrupts.send_modify(|count| *count += 1);
        } else {
            self.leader.send(INTERRUPT);
        }
    }
}

/// Turns typed bytes into lines for the program and an echo for the screen.
#[derive(Debug)]
pub(crate) struct LineEditor {
    terminal: Arc<Terminal>,
    line: Vec<u8>,
    /// An escape sequence (an arrow key) is being skipped.
    escape: bool,
}

impl LineEditor {
    pub(crate) fn new(terminal: Arc<Terminal>) -> Self {
        Self { terminal, line: Vec::new(), escape: false }
    }

    /// Takes typed bytes. Returns false when the program no longer reads.
    pub(crate) async fn typed(&mut self, typed: &[u8], program: &PipeWriter, screen: &PipeWriter) -> bool {
        for &byte in typed {
            let mut echo: Vec<u8> = Vec::new();
            match byte {
                _ if self.escape => self.escape = !(byte.is_ascii_alphabetic() || byte == b'~'),
                b'\r' | b'\n' => {
                    echo.push(b'\n');
                    self.line.push(b'\n');
                    let line = std::mem::take(&mut self.line);
                    if screen.write(&echo).await.is_err() || program.write(&line).await.is_err() {
                        return false;
                    }
                    echo.clear();
                }
                3 => {
                    self.line.clear();
                    echo.extend_from_slice(b"^C\n");
                    let _ = screen.write(&echo).await;
                    echo.clear();
                    self.terminal.interrupt();
                }
                4 if self.line.is_empty() => program.end_once(),
                4 => {
                    let line = std::mem::take(&mut self.line);
                    if program.write(&line).await.is_err() {
                        return false;
                    }
                }
                8 | 127 => {
                    while let Some(last) = self.line.pop() {
                        // A character's continuation bytes go with its first one.
                        if last & 0xC0 != 0x80 {
                            echo.extend_from_slice(b"\x08 \x08");
                            break;
                        }
                    }
                }
                21 => {
                    echo = b"\x08 \x08".repeat(self.line.len());
                    self.line.clear();
                }
                27 => self.escape = true,
                _ if self.line.len() >= LINE_BYTES_MAX => echo.push(7),
                _ => {
                    self.line.push(byte);
                    echo.push(byte);
                }
            }
            if !echo.is_empty() {
                let _ = screen.write(&echo).await;
            }
        }
        true
    }
}

/// What goes to the screen: `\n` becomes `\r\n`.
pub(crate) fn to_screen(bytes: &[u8]) -> Vec<u8> {
    let mut shown = Vec::with_capacity(bytes.len() + 16);
    let mut before = 0;
    for &byte in bytes {
        if byte == b'\n' && before != b'\r' {
            shown.push(b'\r');
        }
        shown.push(byte);
        before = byte;
    }
    shown
}
