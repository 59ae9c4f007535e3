//! WebSockets that carry channels, or the bytes of another connection.

use super::channel::{ChannelProtocol, Heard};
use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_util::sync::{CancellationToken, DropGuard, PollSender};

pub use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, frame::coding::CloseCode};
pub use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

/// Largest message that is read. Kubernetes' clients send 32 KiB.
const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Most bytes of one message that we write.
const WRITE_BYTES_MAX: usize = 32 * 1024;
/// What one channel keeps for its reader.
const UNREAD_BYTES_MAX: usize = 64 * 1024;
/// Messages that wait to be written.
const OUTGOING_MAX: usize = 8;
/// How long the last messages and the closing may take once nobody uses the socket any more.
const LINGER: Duration = Duration::from_secs(10);

/// A WebSocket over a connection whose handshake is done.
pub async fn over<S: AsyncRead + AsyncWrite + Unpin>(connection: S, role: Role) -> WebSocketStream<S> {
    let config = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX))
        .write_buffer_size(0);
    WebSocketStream::from_raw_socket(connection, role, Some(config)).await
}

/// The channels of one WebSocket. It is closed when the last writer and this are gone.
#[derive(Debug, Clone)]
pub struct Channels {
    protocol: ChannelProtocol,
    outgoing: mpsc::Sender<Message>,
    closed: CancellationToken,
    _used: Arc<DropGuard>,
}

impl Channels {
    /// Serves a socket's channels: gives a reader for each of `inputs`; what comes in on others is thrown away.
    pub fn start<S>(
        socket: WebSocketStream<S>,
        protocol: ChannelProtocol,
        inputs: &[u8],
    ) -> (Self, HashMap<u8, DuplexStream>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (near, far) = inputs
            .iter()
            .map(|channel| {
                let (near, far) = tokio::io::duplex(UNREAD_BYTES_MAX);
                ((*channel, near), (*channel, far))
            })
            .unzip();
        let (outgoing, to_write) = mpsc::channel(OUTGOING_MAX);
        let (closed, unused) = (CancellationToken::new(), CancellationToken::new());
        let (sink, stream) = socket.split();
        tokio::spawn(write(sink, to_write, closed.clone(), unused.clone()));
        tokio::spawn(read(stream, protocol, near, closed.clone()));
        (Self { protocol, outgoing, closed, _used: Arc::new(unused.drop_guard()) }, far)
    }

    /// A writer of one channel. Shutting it down closes the channel where the protocol can say so.
    #[must_use]
    pub fn writer(&self, channel: u8) -> ChannelWriter {
        ChannelWriter { channel, outgoing: PollSender::new(self.outgoing.clone()), channels: self.clone(), shut: false }
    }

    /// Sends an empty message, which tells the client that the stream is there.
    ///
    /// # Errors
    /// When the connection has ended.
    pub async fn greet(&self, channel: u8) -> io::Result<()> {
        let sent = self.outgoing.send(message(self.protocol, self.protocol.encode(channel, &[]))).await;
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    /// Is cancelled when the connection has ended, or the peer closed it.
    #[must_use]
    pub fn closed(&self) -> CancellationToken {
        self.closed.clone()
    }
}

fn message(protocol: ChannelProtocol, bytes: Bytes) -> Message {
    if protocol.is_base64() {
        Message::Text(Utf8Bytes::try_from(bytes).unwrap_or_default())
    } else {
        Message::Binary(bytes)
    }
}

async fn write<S: AsyncRead + AsyncWrite + Unpin>(
    mut sink: SplitSink<WebSocketStream<S>, Message>,
    mut messages: mpsc::Receiver<Message>,
    closed: CancellationToken,
    unused: CancellationToken,
) {
    let given_up = async {
        unused.cancelled().await;
        tokio::time::sleep(LINGER).await;
    };
    let written = async {
        while let Some(message) = messages.recv().await {
            sink.send(message).await?;
        }
        let close = CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::default() };
        sink.send(Message::Close(Some(close))).await?;
        // The peer answers with its own close, which the reader hears.
        std::future::pending().await
    };
    let outcome: Result<(), Error> = tokio::select! {
        outcome = written => outcome,
        () = closed.cancelled() => Ok(()),
        () = given_up => Ok(()),
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "a WebSocket can't be written any more");
    }
    closed.cancel();
}

async fn read<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: SplitStream<WebSocketStream<S>>,
    protocol: ChannelProtocol,
    mut inputs: HashMap<u8, DuplexStream>,
    closed: CancellationToken,
) {
    let reading = async {
        while let Some(message) = stream.next().await {
            let bytes = match message {
                Ok(Message::Binary(bytes)) => bytes,
                Ok(Message::Text(text)) => Bytes::from(text),
                // After a close, reading on is what sends our own.
                Ok(Message::Close(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => continue,
                Err(error) => return Err(error),
            };
            match protocol.decode(bytes) {
                Some(Heard::Bytes(channel, bytes)) => {
                    if let Some(input) = inputs.get_mut(&channel)
                        && input.write_all(&bytes).await.is_err()
                    {
                        inputs.remove(&channel);
                    }
                }
                Some(Heard::Close(channel)) => drop(inputs.remove(&channel)),
                None => {}
            }
        }
        Ok(())
    };
    let outcome: Result<(), Error> = tokio::select! {
        outcome = reading => outcome,
        () = closed.cancelled() => Ok(()),
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "a WebSocket can't be read any further");
    }
    // First the news that the peer is gone, then the ends of the inputs: they are not its doing.
    closed.cancel();
    drop(inputs);
}

/// Writes one channel.
#[derive(Debug)]
pub struct ChannelWriter {
    channel: u8,
    outgoing: PollSender<Message>,
    channels: Channels,
    shut: bool,
}

impl ChannelWriter {
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        bytes: impl FnOnce(ChannelProtocol) -> Bytes,
    ) -> Poll<io::Result<()>> {
        if self.channels.closed.is_cancelled() || self.shut {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        ready!(self.outgoing.poll_reserve(cx)).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        let message = message(self.channels.protocol, bytes(self.channels.protocol));
        Poll::Ready(self.outgoing.send_item(message).map_err(|_| io::ErrorKind::BrokenPipe.into()))
    }
}

impl AsyncWrite for ChannelWriter {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        if from.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let part = &from[..from.len().min(WRITE_BYTES_MAX)];
        let channel = self.channel;
        ready!(self.poll_send(cx, |protocol| protocol.encode(channel, part)))?;
        Poll::Ready(Ok(part.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.shut || self.channels.closed.is_cancelled() {
            return Poll::Ready(Ok(()));
        }
        if let Some(close) = self.channels.protocol.encode_close(self.channel) {
            ready!(self.poll_send(cx, |_| close))?;
        }
        self.shut = true;
        Poll::Ready(Ok(()))
    }
}

/// A WebSocket whose messages are the bytes of another connection.
#[derive(Debug)]
pub struct Tunnel<S> {
    socket: WebSocketStream<S>,
    unread: Bytes,
}

impl<S> Tunnel<S> {
    /// Carries bytes in the messages of a socket.
    pub fn over(socket: WebSocketStream<S>) -> Self {
        Self { socket, unread: Bytes::new() }
    }
}

fn broken(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        Error::ConnectionClosed | Error::AlreadyClosed => io::ErrorKind::BrokenPipe.into(),
        other => io::Error::other(other),
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Tunnel<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.unread.is_empty() {
            match ready!(Pin::new(&mut self.socket).poll_next(cx)) {
                None | Some(Ok(Message::Close(_)) | Err(Error::ConnectionClosed)) => return Poll::Ready(Ok(())),
                Some(Ok(Message::Binary(bytes))) => self.unread = bytes,
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(broken(error))),
            }
        }
        let part = self.unread.len().min(to.remaining());
        to.put_slice(&self.unread.split_to(part));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Tunnel<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.socket).poll_ready(cx)).map_err(broken)?;
        let part = &from[..from.len().min(WRITE_BYTES_MAX)];
        Pin::new(&mut self.socket).start_send(Message::Binary(Bytes::copy_from_slice(part))).map_err(broken)?;
        Poll::Ready(Ok(part.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx).map_err(broken)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(Pin::new(&mut self.socket).poll_close(cx)) {
            Ok(()) | Err(Error::ConnectionClosed | Error::AlreadyClosed) => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(broken(error))),
        }
    }
}
