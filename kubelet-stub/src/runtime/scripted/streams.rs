//! Joins clients' streams to programs: `exec` to a command's, `attach` to the main program's.

use super::container::Container;
use crate::runtime::contract::RuntimeError;
use crate::runtime::io::{Input, Output, Stdio};
use crate::runtime::machine::{
    Fd, LineEditor, Machine, PipeReader, PipeWriter, Process, Sink, Source, Terminal, execute, find, pipe, to_screen,
};
use std::sync::{Arc, PoisonError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Bytes read from a client at once.
const READ_BYTES_MAX: usize = 32 << 10;

/// Ends a task when dropped.
struct Ending(tokio::task::JoinHandle<()>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs a command with a client's streams.
pub(super) async fn exec(machine: &Arc<Machine>, mut process: Process, stdio: Stdio) -> i32 {
    let Stdio { stdin, stdout, stderr, tty, resize } = stdio;
    let (out, out_reader) = pipe();
    let (errors, errors_reader) = if tty { (out.clone(), None) } else { split(pipe()) };
    let terminal = tty.then(|| Terminal::new(process.signals.clone()));
    let mut tasks = Vec::new();
    let source = match stdin {
        Some(input) => {
            let (writer, reader) = pipe();
            let screen = out.clone();
            let editor = terminal.clone().map(LineEditor::new);
            tasks.push(Ending(tokio::spawn(pump_in(input, writer, editor, screen))));
            Source::Pipe(reader)
        }
        None => Source::Nothing,
    };
    if let (Some(mut resize), Some(terminal)) = (resize, terminal.clone()) {
        tasks.push(Ending(tokio::spawn(async move {
            while let Some(size) = resize.recv().await {
                terminal.resize(size);
            }
        })));
    }
    if tty && process.variable("TERM").is_none() {
        process.environment.insert("TERM".into(), "xterm".into());
    }
    process.terminal = terminal;
    process.fds.insert(0, Fd::Source(source));
    process.fds.insert(1, Fd::Sink(Sink::Pipe(out)));
    process.fds.insert(2, Fd::Sink(Sink::Pipe(errors)));
    let ended = tokio_util::sync::CancellationToken::new();
    let run = {
        let ended = ended.clone();
        async move {
            let code = run(machine, process).await;
            // The client's input is no longer read, and its echo must not keep the output open.
            tasks.clear();
            ended.cancel();
            code
        }
    };
    let show_out = pump_out(out_reader, stdout, tty, &ended);
    let show_errors = async {
        if let Some(reader) = errors_reader {
            pump_out(reader, stderr, false, &ended).await;
        }
    };
    let (code, (), ()) = tokio::join!(Box::pin(run), show_out, show_errors);
    code
}

fn split((writer, reader): (PipeWriter, PipeReader)) -> (PipeWriter, Option<PipeReader>) {
    (writer, Some(reader))
}

async fn run(machine: &Arc<Machine>, process: Process) -> i32 {
    let command = process.arguments.first().cloned().unwrap_or_default();
    let search = process.variable("PATH").unwrap_or_default().to_owned();
    match find(&process.place, &search, &command) {
        Ok(path) => Box::pin(execute(machine, process, &path)).await,
        Err(error) => {
            let reason = error.of_runc(&command);
            let sentence =
                format!("OCI runtime exec failed: exec failed: unable to start container process: {reason}: unknown\n");
            process.err(sentence).await;
            error.code()
        }
    }
}

/// Moves a client's bytes to a program, through a terminal where there is one.
async fn pump_in(mut input: Input, program: PipeWriter, mut editor: Option<LineEditor>, screen: PipeWriter) {
    let mut buffer = vec![0; READ_BYTES_MAX];
    loop {
        let read = tokio::select! {
            read = input.read(&mut buffer) => read,
            () = program.broken(), if editor.is_none() => return,
        };
        let Ok(length @ 1..) = read else { return };
        let goes_on = match &mut editor {
            Some(editor) => editor.typed(&buffer[..length], &program, &screen).await,
            None => program.write(&buffer[..length]).await.is_ok(),
        };
        if !goes_on {
            return;
        }
    }
}

/// Moves a program's bytes to a client. After the program's end, what waits is moved, and what others still write is not.
async fn pump_out(
    reader: PipeReader,
    mut output: Option<Output>,
    tty: bool,
    ended: &tokio_util::sync::CancellationToken,
) {
    loop {
        let bytes = tokio::select! {
            bytes = reader.read(READ_BYTES_MAX) => bytes,
            () = ended.cancelled() => {
                let rest = reader.drain();
                show(&mut output, &rest, tty).await;
                break;
            }
        };
        if bytes.is_empty() {
            break;
        }
        if !show(&mut output, &bytes, tty).await {
            // The client is gone: writers meet a broken pipe.
            return;
        }
    }
    if let Some(mut output) = output {
        drop(output.shutdown().await);
    }
}

async fn show(output: &mut Option<Output>, bytes: &[u8], tty: bool) -> bool {
    let Some(client) = output else { return true };
    let written = if tty { client.write_all(&to_screen(bytes)).await } else { client.write_all(bytes).await };
    written.is_ok() && client.flush().await.is_ok()
}

impl Container {
    /// Joins a client to the main program.
    pub(super) async fn attach(&self, stdio: Stdio) -> Result<Option<i32>, RuntimeError> {
        self.require_running()?;
        let Stdio { stdin, stdout, stderr, resize, .. } = stdio;
        let tty = self.spec.tty;
        let mut pieces = self.log().attach();
        let mut tasks = Vec::new();
        if let (Some(mut resize), Some(terminal)) = (resize, self.terminal.clone()) {
            tasks.push(Ending(tokio::spawn(async move {
                while let Some(size) = resize.recv().await {
                    terminal.resize(size);
                }
            })));
        }
        let listens = stdout.is_some() || stderr.is_some();
        let typed = self.type_in(stdin);
        let (mut stdout, mut stderr) = (stdout, stderr);
        let shown = async {
            while let Some((stream, bytes)) = pieces.recv().await {
                let output = if stream == 0 || tty { &mut stdout } else { &mut stderr };
                if !show(output, &bytes, tty).await {
                    return None;
                }
            }
            for output in [&mut stdout, &mut stderr].into_iter().flatten() {
                drop(output.shutdown().await);
            }
            Some(self.wait().await.code)
        };
        let outcome = if listens {
            tokio::pin!(typed);
            tokio::pin!(shown);
            let mut typing = true;
            loop {
                tokio::select! {
                    outcome = &mut shown => break outcome,
                    () = &mut typed, if typing => typing = false,
                }
            }
        } else {
            tokio::select! {
                status = self.wait() => Some(status.code),
                () = typed => None,
            }
        };
        if self.spec.stdin_once {
            self.input.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
        drop(tasks);
        Ok(outcome)
    }

    /// Moves a client's input to the main program, until it ends. With `stdinOnce` the program then finds an end.
    async fn type_in(&self, stdin: Option<Input>) {
        let Some(input) = stdin else { return };
        let program = self.input.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(program) = program else { return };
        let (screen, echo) = pipe();
        let editor = self.terminal.clone().map(LineEditor::new);
        let log = self.log().stdout();
        let echoed = async {
            loop {
                let bytes = echo.read(READ_BYTES_MAX).await;
                if bytes.is_empty() {
                    return;
                }
                log.write(&bytes).await;
            }
        };
        tokio::join!(pump_in(input, program, editor, screen), echoed);
        if self.spec.stdin_once {
            self.input.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
    }
}
