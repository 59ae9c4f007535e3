//! A hop that goes on: its end, and how many bytes it carried, are written down when it is dropped.

use super::entry::{Entry, Outcome, Tls};
use super::file::Ledger;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A hop that was written down when it began. Dropping it writes down its end.
#[derive(Debug)]
pub struct Open {
    ledger: Ledger,
    /// What is known of it.
    pub entry: Box<Entry>,
}

impl Open {
    pub(super) fn new(ledger: Ledger, entry: Entry) -> Self {
        Self { ledger, entry: Box::new(entry) }
    }

    /// The ledger that it stands in.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Adds what a handshake told: the version, whom the other end was verified against, and the client's certificate.
    pub fn speaks(&mut self, tls: Tls, certificate: Option<String>) {
        self.entry.tls = Some(tls);
        self.entry.certificate = certificate;
        self.ledger.note(&self.entry);
    }

    /// It came to nothing after all.
    pub fn failed(&mut self, why: &dyn std::fmt::Display) {
        self.entry.outcome = Outcome::Failed;
        self.entry.why = Some(why.to_string());
    }

    /// Adds bytes that were carried.
    pub fn carried(&mut self, sent: u64, received: u64) {
        *self.entry.sent.get_or_insert(0) += sent;
        *self.entry.received.get_or_insert(0) += received;
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.ledger.end(std::mem::take(&mut *self.entry));
    }
}

/// A stream whose bytes are counted for its hop, where there is one. The hop ends with the stream.
#[derive(Debug)]
pub struct Recorded<S> {
    stream: S,
    hop: Option<Open>,
}

impl<S> Recorded<S> {
    /// Counts for a hop, or for none.
    #[must_use]
    pub fn new(stream: S, hop: Option<Open>) -> Self {
        Self { stream, hop }
    }

    /// The hop.
    pub fn hop(&mut self) -> Option<&mut Open> {
        self.hop.as_mut()
    }

    /// The stream.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    fn carried(&mut self, sent: usize, received: usize) {
        if let Some(hop) = &mut self.hop {
            hop.carried(sent as u64, received as u64);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Recorded<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, into))?;
        let count = into.filled().len() - before;
        self.carried(0, count);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Recorded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.stream).poll_write(cx, from))?;
        self.carried(count, 0);
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, from))?;
        self.carried(count, 0);
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{View, read};
    use super::*;
    use crate::clock::Clock;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn a_stream_ends_its_hop_with_the_bytes_it_carried() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kubelet.jsonl");
        let ledger = Ledger::append_to(&path, "kubelet", Clock::system()).unwrap();
        let (near, mut far) = tokio::io::duplex(64);
        let mut near = Recorded::new(near, Some(ledger.open(ledger.entry(View::Observed))));
        far.write_all(b"question").await.unwrap();
        near.read_exact(&mut [0; 8]).await.unwrap();
        near.write_all(b"answer").await.unwrap();
        near.hop().unwrap().speaks(Tls { version: "1.3".into(), verified: None }, Some("admin".into()));
        drop(near);
        ledger.flush();
        let hops = read(&path).unwrap();
        let [hop] = hops.as_slice() else { panic!("{hops:?}") };
        assert_eq!((hop.received, hop.sent), (Some(8), Some(6)));
        assert_eq!((hop.tls.as_ref().unwrap().version.as_str(), hop.certificate.as_deref()), ("1.3", Some("admin")));
        assert!(hop.ended.is_some());
    }
}
