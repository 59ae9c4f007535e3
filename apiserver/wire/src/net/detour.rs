//! A detour: dialling by way of a relay, which is told where to go on and says what came of it.

use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Longest line that either side says, in bytes.
const LINE_BYTES_MAX: usize = 512;
/// What a relay says when it is through.
const THROUGH: &str = "ok";
/// The failures that a dialler tells apart, by their words.
const FAILURES: [(&str, io::ErrorKind); 3] = [
    ("refused", io::ErrorKind::ConnectionRefused),
    ("reset", io::ErrorKind::ConnectionReset),
    ("timeout", io::ErrorKind::TimedOut),
];
/// Every other failure.
const OTHER: &str = "failed";

/// Asks a relay to go on to an address, and waits until it is through.
///
/// # Errors
/// As the relay's own dial, or when the relay breaks off.
pub(super) async fn go_on(relay: &mut (impl AsyncRead + AsyncWrite + Unpin), to: SocketAddr) -> io::Result<()> {
    relay.write_all(format!("{to}\n").as_bytes()).await?;
    let said = line(relay).await?;
    if said == THROUGH {
        return Ok(());
    }
    let (word, told) = said.split_once(' ').unwrap_or((OTHER, &said));
    let kind = FAILURES.iter().find(|(one, _)| *one == word).map_or(io::ErrorKind::Other, |(_, kind)| *kind);
    Err(io::Error::new(kind, told.to_owned()))
}

/// Where a dialler wants to go on, as a relay hears it.
///
/// # Errors
/// When it says no address.
pub async fn asked(dialler: &mut (impl AsyncRead + Unpin)) -> io::Result<SocketAddr> {
    let said = line(dialler).await?;
    said.parse().map_err(|_| io::Error::new(io::ErrorKind::InvalidData, format!("{said:?} is no address")))
}

/// Tells a dialler what came of it.
///
/// # Errors
/// When it is gone.
pub async fn answer(dialler: &mut (impl AsyncWrite + Unpin), outcome: Result<(), &io::Error>) -> io::Result<()> {
    let said = match outcome {
        Ok(()) => THROUGH.to_owned(),
        Err(error) => {
            let word = FAILURES.iter().find(|(_, kind)| *kind == error.kind()).map_or(OTHER, |(word, _)| word);
            format!("{word} {}", error.to_string().replace('\n', " "))
        }
    };
    let end = said.floor_char_boundary(LINE_BYTES_MAX - 1);
    dialler.write_all(format!("{}\n", &said[..end]).as_bytes()).await
}

/// A line and not a byte more: what follows belongs to the connection.
async fn line(from: &mut (impl AsyncRead + Unpin)) -> io::Result<String> {
    let mut said = Vec::new();
    loop {
        match from.read_u8().await? {
            b'\n' => return Ok(String::from_utf8_lossy(&said).into_owned()),
            _ if said.len() == LINE_BYTES_MAX => return Err(io::ErrorKind::InvalidData.into()),
            byte => said.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_relay_hears_where_and_says_what_came_of_it() {
        let to: SocketAddr = "127.86.9.1:10250".parse().unwrap();
        for (outcome, behind) in [
            (Ok(()), "first bytes"),
            (Err(io::Error::new(io::ErrorKind::ConnectionRefused, "dial tcp: refused")), ""),
            (Err(io::Error::other("x".repeat(2 * LINE_BYTES_MAX))), ""),
        ] {
            let (mut dialler, mut relay) = tokio::io::duplex(4_096);
            let relayed = async {
                assert_eq!(asked(&mut relay).await.unwrap(), to);
                answer(&mut relay, outcome.as_ref().copied()).await.unwrap();
                relay.write_all(behind.as_bytes()).await.unwrap();
                drop(relay);
            };
            let (gone, ()) = tokio::join!(go_on(&mut dialler, to), relayed);
            assert_eq!(gone.map_err(|e| e.kind()), outcome.map_err(|e| e.kind()));
            let mut rest = String::new();
            dialler.read_to_string(&mut rest).await.unwrap();
            assert_eq!(rest, behind);
        }
    }
}
