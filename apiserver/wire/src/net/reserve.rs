//! Reserving an address: a socket that is bound and never listens, which the kernel frees however its holder ends.

use socket2::{Domain, Socket, Type};
use std::io;
use std::net::SocketAddr;

/// An address and port that nobody else in this network namespace can reserve while it lives.
#[derive(Debug)]
pub struct Reserved {
    _socket: Socket,
}

/// Reserves an address and port.
///
/// # Errors
/// `AddrInUse` when somebody has it.
pub fn reserve(at: SocketAddr) -> io::Result<Reserved> {
    let socket = Socket::new(Domain::for_address(at), Type::STREAM, None)?;
    socket.bind(&at.into())?;
    Ok(Reserved { _socket: socket })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time() {
        let first = reserve("127.86.3.1:40001".parse().unwrap()).unwrap();
        assert_eq!(reserve("127.86.3.1:40001".parse().unwrap()).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(first);
        reserve("127.86.3.1:40001".parse().unwrap()).unwrap();
    }
}
