//! Streams between a client, the API server and a kubelet: SPDY/3.1, WebSockets, and what they carry.

pub mod channel;
pub mod handshake;
pub mod log_options;
pub mod portforward;
pub mod remote;
pub mod spdy;
pub mod websocket;

use tokio::io::{AsyncRead, AsyncWrite};

/// Bytes that come in.
pub type Input = Box<dyn AsyncRead + Send + Unpin>;

/// Bytes that go out. Shutting it down is its end; a peer may still be heard.
pub type Output = Box<dyn AsyncWrite + Send + Unpin>;
