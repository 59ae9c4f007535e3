//! Questions to the kernel by netlink: one message, one answer.

use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, Read, Write};
use std::time::Duration;

/// Longest wait for the kernel's word. It answers while the question is being sent.
const ANSWER_WAIT: Duration = Duration::from_secs(5);
/// Longest answer: what it knows of one connection.
const ANSWER_BYTES_MAX: usize = 2048;

/// The family of netlink's sockets (`AF_NETLINK`).
const NETLINK: i32 = 16;
/// Bytes of a message's header (`nlmsghdr`).
pub(super) const HEADER_BYTES: usize = 16;

/// Sends a message in one of netlink's protocols, and gives the kernel's answer.
pub(super) fn ask(protocol: i32, message: &[u8]) -> io::Result<Vec<u8>> {
    // A netlink socket that names nobody speaks to the kernel.
    let mut socket = Socket::new(Domain::from(NETLINK), Type::RAW, Some(Protocol::from(protocol)))?;
    socket.set_read_timeout(Some(ANSWER_WAIT))?;
    socket.write_all(message)?;
    let mut answer = vec![0; ANSWER_BYTES_MAX];
    let length = socket.read(&mut answer)?;
    answer.truncate(length);
    Ok(answer)
}

/// A message with its header, in the machine's own byte order. Each is alone on its socket, and needs no number.
pub(super) fn message(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER_BYTES + body.len()).expect("a message is shorter than a hundred bytes");
    let mut message = Vec::with_capacity(HEADER_BYTES + body.len());
    message.extend(length.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend([0; 8]);
    message.extend(body);
    message
}

/// What kind of message this is.
pub(super) fn kind(answer: &[u8]) -> Option<u16> {
    answer.get(4..6)?.try_into().ok().map(u16::from_ne_bytes)
}
