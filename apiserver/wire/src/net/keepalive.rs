//! Whether a silent peer is still there: the kernel asks it, and ends the connection when it does not answer.

use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::time::Duration;
use tokio::net::TcpStream;

/// Questions that may stay unanswered.
const UNANSWERED_MAX: u32 = 4;

/// Has the kernel ask after each such time of silence. A peer that reads slowly answers all the same, for its kernel does.
///
/// # Errors
/// When the connection is gone already.
pub fn keep_alive(stream: &TcpStream, silence: Duration) -> io::Result<()> {
    let keepalive = TcpKeepalive::new().with_time(silence).with_interval(silence).with_retries(UNANSWERED_MAX);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}
