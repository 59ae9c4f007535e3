//! The streams of a remote command (exec, attach), whichever protocol carries them.

use super::channel::{self, ChannelProtocol};
use super::handshake::Spoken;
use super::spdy::{self, Session, Stream};
use super::websocket::{self, Channels};
use super::{Input, Output};
use serde::Deserialize;
use serde_json::json;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

/// How long a client may take to open all streams that it asked for.
const OPEN_SECONDS_MAX: u64 = 30;
/// Longest text of a terminal's size that is waited for.
const SIZE_BYTES_MAX: usize = 4096;

/// Which streams a client asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Standard input.
    pub stdin: bool,
    /// Standard output.
    pub stdout: bool,
    /// Standard error; never with a terminal.
    pub stderr: bool,
    /// A terminal, whose size may be told.
    pub tty: bool,
}

/// The streams, as the side that runs the command sees them.
pub struct RemoteStreams {
    /// What the command reads. Its end is the command's end of file.
    pub stdin: Option<Input>,
    /// What the command writes.
    pub stdout: Option<Output>,
    /// What the command complains of.
    pub stderr: Option<Output>,
    /// Sizes of the terminal as JSON; see [`Sizes`].
    pub resize: Option<Input>,
    /// Is cancelled when the client is gone.
    pub closed: CancellationToken,
    /// How the end is told.
    pub end: EndTeller,
}

/// How a remote command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// With 0.
    Success,
    /// With another code, and a sentence about it.
    ExitCode(i32, String),
    /// It did not run, or was lost: an internal error with this cause.
    Failure(String),
}

/// Tells the client how it ended; the last thing that is said.
pub struct EndTeller {
    error: Output,
    as_status: bool,
}

impl EndTeller {
    /// Tells it, in the form that the protocol has.
    ///
    /// # Errors
    /// When the client is gone.
    pub async fn tell(mut self, end: &End) -> io::Result<()> {
        let text = if self.as_status { status_text(end) } else { plain_text(end) };
        self.error.write_all(text.as_bytes()).await?;
        self.error.shutdown().await
    }
}

fn status_text(end: &End) -> String {
    match end {
        End::Success => json!({"metadata": {}, "status": "Success"}),
        End::ExitCode(code, sentence) => json!({
            "metadata": {}, "status": "Failure",
            "message": format!("command terminated with non-zero exit code: {sentence}"),
            "reason": "NonZeroExitCode",
            "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
        }),
        End::Failure(cause) => json!({
            "metadata": {}, "status": "Failure", "message": format!("Internal error occurred: {cause}"),
            "reason": "InternalError", "details": {"causes": [{"message": cause}]}, "code": 500,
        }),
    }
    .to_string()
}

fn plain_text(end: &End) -> String {
    match end {
        End::Success => String::new(),
        End::ExitCode(_, sentence) => format!("command terminated with non-zero exit code: {sentence}"),
        End::Failure(cause) => format!("Internal error occurred: {cause}"),
    }
}

/// Waits for the streams that a client asked for, on a connection whose handshake is done.
///
/// # Errors
/// When the client opens others, opens too few in time, or is gone.
pub async fn accept<S>(connection: S, spoken: Spoken, wanted: Wanted) -> io::Result<RemoteStreams>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    match spoken {
        Spoken::Spdy(version) => accept_spdy(connection, version, wanted).await,
        Spoken::Channels(protocol) => accept_channels(connection, protocol, wanted).await,
        Spoken::Tunnel => Err(io::Error::other("remote commands are not tunnelled")),
    }
}

async fn accept_channels<S>(connection: S, protocol: ChannelProtocol, wanted: Wanted) -> io::Result<RemoteStreams>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut inputs = Vec::new();
    if wanted.stdin {
        inputs.push(channel::STDIN);
    }
    if wanted.tty {
        inputs.push(channel::RESIZE);
    }
    let socket = websocket::over(connection, websocket::Role::Server).await;
    let (channels, mut readers) = Channels::start(socket, protocol, &inputs);
    let greeted = match wanted {
        Wanted { stdout: true, .. } => channel::STDOUT,
        Wanted { stderr: true, .. } => channel::STDERR,
        _ => channel::ERROR,
    };
    channels.greet(greeted).await?;
    let mut input = |channel| readers.remove(&channel).map(|reader| Box::new(reader) as Input);
    let output = |wanted: bool, channel| wanted.then(|| Box::new(Quiet(channels.writer(channel))) as Output);
    Ok(RemoteStreams {
        stdin: input(channel::STDIN),
        resize: input(channel::RESIZE),
        stdout: output(wanted.stdout, channel::STDOUT),
        stderr: output(wanted.stderr, channel::STDERR),
        closed: channels.closed(),
        end: EndTeller { error: Box::new(Quiet(channels.writer(channel::ERROR))), as_status: protocol.tells_status() },
    })
}

/// A channel that the server ends by closing the socket: clients do not expect it to close channels one by one.
struct Quiet(websocket::ChannelWriter);

impl AsyncWrite for Quiet {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        from: &[u8],
    ) -> std::task::Poll<io::Result<usize>> {
        std::pin::Pin::new(&mut self.0).poll_write(cx, from)
    }

    fn poll_flush(self: std::pin::Pin<&mut Self>, _cx: &mut std::task::Context<'_>) -> std::task::Poll<io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn poll_shutdown(
        self: std::pin::Pin<&mut Self>,
        _cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }
}

async fn accept_spdy<S>(connection: S, version: u8, wanted: Wanted) -> io::Result<RemoteStreams>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (session, mut incoming) = Session::start(connection, spdy::Role::Server).map_err(io::Error::other)?;
    let mut opened = Opened::default();
    let resizes = wanted.tty && version >= 3;
    let all = async {
        while !opened.complete(wanted, resizes) {
            let stream = incoming.accept().await.ok_or(io::ErrorKind::ConnectionReset)?;
            opened.take(stream, wanted, resizes)?;
        }
        Ok::<(), io::Error>(())
    };
    match tokio::time::timeout(Duration::from_secs(OPEN_SECONDS_MAX), all).await {
        Ok(outcome) => outcome?,
        Err(_) => {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "timed out waiting for client to create streams"));
        }
    }
    let error = opened.error.ok_or(io::ErrorKind::InvalidData)?;
    Ok(RemoteStreams {
        stdin: opened.stdin.map(|s| Box::new(s) as Input),
        stdout: opened.stdout.map(|s| Box::new(s) as Output),
        stderr: opened.stderr.map(|s| Box::new(s) as Output),
        resize: opened.resize.map(|s| Box::new(s) as Input),
        closed: session.closed(),
        end: EndTeller { error: Box::new(error), as_status: version >= 4 },
    })
}

#[derive(Default)]
struct Opened {
    stdin: Option<Stream>,
    stdout: Option<Stream>,
    stderr: Option<Stream>,
    error: Option<Stream>,
    resize: Option<Stream>,
}

impl Opened {
    fn complete(&self, wanted: Wanted, resizes: bool) -> bool {
        self.error.is_some()
            && self.stdin.is_some() == wanted.stdin
            && self.stdout.is_some() == wanted.stdout
            && self.stderr.is_some() == wanted.stderr
            && self.resize.is_some() == resizes
    }

    fn take(&mut self, stream: Stream, wanted: Wanted, resizes: bool) -> io::Result<()> {
        let (place, wanted) = match stream.header("streamtype") {
            Some("stdin") => (&mut self.stdin, wanted.stdin),
            Some("stdout") => (&mut self.stdout, wanted.stdout),
            Some("stderr") => (&mut self.stderr, wanted.stderr),
            Some("error") => (&mut self.error, true),
            Some("resize") => (&mut self.resize, resizes),
            other => return Err(io::Error::other(format!("unexpected stream type: {other:?}"))),
        };
        // What was not asked for is dropped, which resets it.
        if wanted && place.is_none() {
            *place = Some(stream);
        }
        Ok(())
    }
}

/// A terminal's size in characters, as clients send it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Size {
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

/// Reads the sizes of a terminal from a stream of JSON.
pub struct Sizes {
    from: Input,
    unread: Vec<u8>,
}

impl Sizes {
    /// Reads from `RemoteStreams::resize`.
    #[must_use]
    pub fn of(from: Input) -> Self {
        Self { from, unread: Vec::new() }
    }

    /// The next size; `None` when the client tells no more, or tells something else.
    pub async fn next(&mut self) -> Option<Size> {
        loop {
            let mut values = serde_json::Deserializer::from_slice(&self.unread).into_iter::<Size>();
            match values.next() {
                Some(Ok(size)) => {
                    let used = values.byte_offset();
                    self.unread.drain(..used);
                    return Some(size);
                }
                Some(Err(error)) if !error.is_eof() => return None,
                _ if self.unread.len() > SIZE_BYTES_MAX => return None,
                _ => {}
            }
            if self.from.read_buf(&mut self.unread).await.ok()? == 0 {
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests;
