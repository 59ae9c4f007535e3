//! An HTTP/2 connection to a gRPC frontend, driven to its end by a task of its own.

use crate::link;
use crate::packet::Packet;
use crate::preface::WithPreface;
use crate::tunnel::Halves;
use bytes::Bytes;
use h2::client::{Connection, SendRequest};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::time::Duration;
use tinyplane_wire::net::Stream;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

/// Longest wait for the answer to a close, as upstream's.
const CLOSE_SECONDS_MAX: u64 = 10;

/// What drives a connection, and has no task yet. It gets one when this is dropped.
pub(crate) struct Undriven(Option<Pin<Box<dyn Future<Output = ()> + Send>>>);

/// A connection. It ends when nobody holds this, and all its tunnels are closed.
#[derive(Clone, Debug)]
pub(crate) struct Driven {
    client: SendRequest<Bytes>,
    /// Takes the halves of closed tunnels: no more of them than the connection has streams.
    closing: UnboundedSender<Halves>,
}

impl Driven {
    /// Begins HTTP/2 on a stream. Nothing moves there until what comes with it is used.
    pub(crate) async fn begin(stream: Box<dyn Stream>) -> Result<(Self, Undriven), h2::Error> {
        let (client, connection) = link::client().handshake::<_, Bytes>(WithPreface::new(stream)).await?;
        let (closing, closed) = unbounded_channel();
        Ok((Self { client, closing }, Undriven(Some(Box::pin(drive(connection, closed))))))
    }

    /// Waits until the connection takes another stream.
    pub(crate) async fn ready(&self) -> Result<SendRequest<Bytes>, h2::Error> {
        self.client.clone().ready().await
    }

    /// Where a tunnel leaves its halves.
    pub(crate) fn closing(&self) -> UnboundedSender<Halves> {
        self.closing.clone()
    }

    /// True when both are the same connection.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.closing.same_channel(&other.closing)
    }

    /// True once the connection has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.closing.is_closed()
    }
}

impl Undriven {
    /// Drives the connection in the task of whoever makes something of it: one of its own would be woken, often on another
    /// processor, for each step. That comes afterwards, also when the wait is given up.
    pub(crate) async fn until<T>(mut self, made: impl Future<Output = T>) -> T {
        let mut made = pin!(made);
        poll_fn(|cx| {
            if let Some(driving) = &mut self.0
                && driving.as_mut().poll(cx).is_ready()
            {
                self.0 = None;
            }
            made.as_mut().poll(cx)
        })
        .await
    }

    /// Lets it have its task from the beginning.
    pub(crate) fn in_a_task_of_its_own(self) {}
}

impl Drop for Undriven {
    fn drop(&mut self) {
        // Where the runtime has ended, so has the connection.
        if let (Some(driving), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(driving);
        }
    }
}

/// HTTP/2 throws away what is still to be sent on a stream that is dropped, so the halves of a closed tunnel are kept
/// here until the server has answered.
async fn drive(connection: Connection<WithPreface<Box<dyn Stream>>, Bytes>, mut closed: UnboundedReceiver<Halves>) {
    let mut connection = pin!(connection);
    let mut settling = JoinSet::new();
    loop {
        tokio::select! {
            ended = &mut connection => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a tunnel's connection broke");
                }
                return;
            }
            halves = closed.recv() => match halves {
                Some(halves) => drop(settling.spawn(settle(halves))),
                // Nobody can close any more, nor dial: what is left are answers.
                None => break,
            },
            Some(_) = settling.join_next() => {}
        }
    }
    // One by one: a task that ended with its runtime is no reason to panic.
    let settled = async { while settling.join_next().await.is_some() {} };
    let both = async { tokio::join!(connection, settled) };
    if tokio::time::timeout(Duration::from_secs(CLOSE_SECONDS_MAX), both).await.is_err() {
        tracing::debug!("the end of a tunnel's connection was not answered in time");
    }
}

/// Waits until a close is answered.
async fn settle(mut halves: Halves) {
    let answered = async {
        while let Ok(Some(packet)) = poll_fn(|cx| halves.poll_next(cx)).await {
            if matches!(packet, Packet::CloseResponse(_)) {
                break;
            }
        }
    };
    if tokio::time::timeout(Duration::from_secs(CLOSE_SECONDS_MAX), answered).await.is_err() {
        tracing::debug!("a tunnel's close was not answered in time");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_has_a_task_once_something_is_made_of_it() {
        let tasks = || Handle::current().metrics().num_alive_tasks();
        let (here, there) = tokio::io::duplex(1 << 16);
        let (driven, driving) = Driven::begin(Box::new(here)).await.unwrap();
        let served = async {
            let mut server = h2::server::handshake(there).await.unwrap();
            server.accept().await.unwrap().unwrap().1.send_response(http::Response::default(), true).unwrap();
            server
        };
        let asked = async {
            let (answer, _) = driven.ready().await.unwrap().send_request(http::Request::default(), true).unwrap();
            let mut answer = pin!(answer);
            assert_eq!(tasks(), 0);
            poll_fn(|cx| answer.as_mut().poll(cx)).await.unwrap().status()
        };
        let before = tasks();
        let (mut server, status) = tokio::join!(
            async {
                let mut server = served.await;
                // What it has said goes out while it waits for more.
                let _more = tokio::time::timeout(Duration::from_millis(1), server.accept()).await;
                server
            },
            driving.until(asked)
        );
        assert_eq!((before, status, tasks()), (0, http::StatusCode::OK, 1));
        drop(driven);
        assert!(server.accept().await.is_none(), "it ends with who holds it");
    }
}
