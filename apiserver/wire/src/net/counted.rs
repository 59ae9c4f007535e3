//! What the kernel counts of a TCP connection of this machine, whoever holds its socket.

use super::netlink::{self, HEADER_BYTES};
use std::net::{IpAddr, SocketAddr};

/// Netlink's protocol for sockets (`NETLINK_SOCK_DIAG`), its question for one (`SOCK_DIAG_BY_FAMILY`), and the flag of a question.
const SOCKETS: i32 = 4;
const BY_FAMILY: u16 = 20;
const REQUEST: u16 = 0x1;
const TCP: u8 = 6;
/// What is told of a connection beside its state (`INET_DIAG_INFO`): a `tcp_info`. Asked for by its bit.
const INFO: u16 = 2;
/// Bytes of what stands before that (`inet_diag_msg`).
const TOLD_BYTES: usize = 72;
/// Where in a `tcp_info` the bytes are that came in order, that were sent, and that were sent again.
const RECEIVED: usize = 128;
const SENT: usize = 200;
const SENT_AGAIN: usize = 208;

/// Bytes that a connection carried so far, each once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Those that this end sent.
    pub sent: u64,
    /// Those that arrived here.
    pub received: u64,
}

/// The bytes of the connection with these two ends; `None` where it has ended, or where the kernel does not tell (it is none of
/// Linux, or older than 4.19).
#[must_use]
pub fn counted(from: SocketAddr, to: SocketAddr) -> Option<Counted> {
    read(&netlink::ask(SOCKETS, &netlink::message(BY_FAMILY, REQUEST, &question(from, to))).ok()?)
}

/// Which connection is meant (`inet_diag_req_v2`).
fn question(from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    let family = if from.is_ipv4() { 2 } else { 10 };
    let mut question = vec![family, TCP, 1 << (INFO - 1), 0];
    // In any state, by any interface and whatever its cookie.
    question.extend(u32::MAX.to_ne_bytes());
    question.extend([from.port(), to.port()].iter().flat_map(|port| port.to_be_bytes()));
    question.extend([from.ip(), to.ip()].into_iter().flat_map(address));
    question.extend(0_u32.to_ne_bytes());
    question.extend([0xff; 8]);
    question
}

fn address(address: IpAddr) -> [u8; 16] {
    let mut bytes = [0; 16];
    match address {
        IpAddr::V4(address) => bytes[..4].copy_from_slice(&address.octets()),
        IpAddr::V6(address) => bytes = address.octets(),
    }
    bytes
}

fn read(answer: &[u8]) -> Option<Counted> {
    if netlink::kind(answer)? != BY_FAMILY {
        return None;
    }
    let mut rest = answer.get(HEADER_BYTES + TOLD_BYTES..)?;
    loop {
        let number = |at: usize| rest.get(at..at + 2)?.try_into().ok().map(u16::from_ne_bytes);
        let (length, kind) = (usize::from(number(0)?), number(2)?);
        let value = rest.get(4..length)?;
        if kind == INFO {
            let count = |at: usize| value.get(at..at + 8)?.try_into().ok().map(u64::from_ne_bytes);
            let sent = count(SENT)?.saturating_sub(count(SENT_AGAIN)?);
            return Some(Counted { sent, received: count(RECEIVED)? });
        }
        rest = rest.get(length.next_multiple_of(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Sources, TcpDial, bind};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    #[cfg(target_os = "linux")]
    async fn the_kernel_tells_what_went_each_way_until_the_connection_has_ended() {
        let bound = bind("127.86.63.1:0".parse().unwrap(), Sources::any()).unwrap();
        let to = bound.address;
        let dial = TcpDial::from(Some(to.ip()));
        let (dialled, accepted) = tokio::join!(dial.connect(to), bound.listener.accept());
        let (mut near, mut far) = (dialled.unwrap(), accepted.stream);
        let from = near.local_addr().unwrap();
        assert_eq!(counted(from, to), Some(Counted::default()));
        near.write_all(&[1; 3000]).await.unwrap();
        far.read_exact(&mut [0; 3000]).await.unwrap();
        far.write_all(&[2; 50]).await.unwrap();
        near.read_exact(&mut [0; 50]).await.unwrap();
        assert_eq!(counted(from, to), Some(Counted { sent: 3000, received: 50 }));
        assert_eq!(counted(to, from), Some(Counted { sent: 50, received: 3000 }));
        assert_eq!(counted(from, "127.86.63.2:1".parse().unwrap()), None);
    }

    #[test]
    fn an_answer_that_is_cut_off_tells_nothing() {
        let mut answer = netlink::message(BY_FAMILY, 0, &[0; TOLD_BYTES]);
        let info = [8_u16, 1, 0, 0, 4 + 280, INFO];
        answer.extend(info.iter().flat_map(|number| number.to_ne_bytes()));
        answer.extend([0; 280]);
        let sent = answer.len() - 280 + SENT;
        answer[sent] = 7;
        assert_eq!(read(&answer), Some(Counted { sent: 7, received: 0 }));
        for length in 0..answer.len() {
            assert_eq!(read(&answer[..length]), None, "{length} bytes");
        }
        answer[HEADER_BYTES + TOLD_BYTES] = 0;
        assert_eq!(read(&answer), None, "an attribute without a length");
    }
}
