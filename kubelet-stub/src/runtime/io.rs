//! The streams of a container: standard input and outputs, a terminal's size, and its log.

use bytes::Bytes;
use futures_util::Stream;
use std::fmt;
use std::pin::Pin;
use std::time::SystemTime;
use tinyplane_wire::ledger::{Open, Recorded};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::client::TlsStream;

/// A connection, whatever carries it.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {
    /// Its line in the ledger, where it has one.
    fn hop(&mut self) -> Option<&mut Open> {
        None
    }
}

impl Duplex for DuplexStream {}

impl Duplex for TlsStream<Box<dyn Duplex>> {}

impl Duplex for Recorded<TcpStream> {
    fn hop(&mut self) -> Option<&mut Open> {
        Self::hop(self)
    }
}

/// Bytes that a program reads.
pub type Input = Box<dyn AsyncRead + Send + Unpin>;

/// Bytes that a program writes. It is shut down when the program has ended.
pub type Output = Box<dyn AsyncWrite + Send + Unpin>;

/// Pieces of a log. Each piece is one or more whole lines, unless `LogOptions::bytes_max` cut the last.
pub type LogStream = Pin<Box<dyn Stream<Item = Bytes> + Send>>;

/// A terminal's size in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TerminalSize {
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

/// What a client of `exec` or `attach` is connected to. An absent output is thrown away; an absent input is at its end.
#[derive(Default)]
pub struct Stdio {
    /// The program's input.
    pub stdin: Option<Input>,
    /// The program's output; with `tty` its errors too.
    pub stdout: Option<Output>,
    /// The program's errors; ignored with `tty`.
    pub stderr: Option<Output>,
    /// A terminal lies between: echo, line editing, Ctrl-C, `\r\n`.
    pub tty: bool,
    /// The terminal's sizes, the first one at the start. Never sent without `tty`.
    pub resize: Option<mpsc::Receiver<TerminalSize>>,
}

impl fmt::Debug for Stdio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stdio")
            .field("stdin", &self.stdin.is_some())
            .field("stdout", &self.stdout.is_some())
            .field("stderr", &self.stderr.is_some())
            .field("tty", &self.tty)
            .finish_non_exhaustive()
    }
}

/// Which part of a log is asked for: the fields of `PodLogOptions`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Goes on with what is written later, until the container ends.
    pub follow: bool,
    /// Only so many lines from the end, of those that `since` leaves.
    pub tail_lines: Option<u64>,
    /// Only lines written at or after this time.
    pub since: Option<SystemTime>,
    /// Each line begins with its time, RFC 3339 with nanoseconds, and a space.
    pub timestamps: bool,
    /// Ends after so many bytes, in the middle of a line if need be.
    pub bytes_max: Option<u64>,
}
