//! Dialling through a gRPC frontend over one connection for all dials.

use crate::driven::Driven;
use crate::numbers::{Attempt, Reason};
use crate::proxy::{GrpcDial, Made, Unmade, lost};
use crate::route::join_host_port;
use async_trait::async_trait;
use std::io;
use std::sync::Arc;
use tinyplane_wire::net::{Dial, Dialled, Stream};
use tokio::sync::Mutex;

/// Dials through a Konnectivity server's gRPC frontend, each dial as a stream of one HTTP/2 connection: upstream's
/// reusable tunnel. A dial costs no connection to the server and no TLS with it; all of them share that one socket. What
/// one leaves unread stands in its own window and holds up nobody. A connection that has ended is replaced at the
/// next dial. Cheap to clone: clones share the connection.
#[derive(Clone, Debug)]
pub struct ReusableDial {
    dial: GrpcDial,
    driven: Arc<Mutex<Option<Driven>>>,
}

impl ReusableDial {
    /// Dials as `dial` does, over one connection.
    #[must_use]
    pub fn over(dial: GrpcDial) -> Self {
        Self { dial, driven: Arc::default() }
    }

    async fn tunnel(&self, number: i64, address: String, attempt: &Attempt<'_>) -> Result<Made, Unmade> {
        let (mut driven, fresh) = self.driven().await?;
        let no_stream = |error| Unmade { error: lost(error), reason: Some(Reason::StreamSetup) };
        let client = match driven.ready().await {
            // It ended since it was looked at: nothing was asked of it yet.
            Err(_) if !fresh => {
                driven = self.replace(&driven).await?;
                driven.ready().await.map_err(no_stream)?
            }
            ready => ready.map_err(no_stream)?,
        };
        self.dial.open(client, &driven, (number, address), attempt).await
    }

    /// The connection, and whether it was made just now.
    async fn driven(&self) -> io::Result<(Driven, bool)> {
        let mut shared = self.driven.lock().await;
        if let Some(driven) = shared.as_ref().filter(|driven| !driven.is_over()) {
            return Ok((driven.clone(), false));
        }
        let made = self.connect().await?;
        *shared = Some(made.clone());
        Ok((made, true))
    }

    /// A connection with a task of its own from the beginning, for it is everybody's.
    async fn connect(&self) -> io::Result<Driven> {
        let (made, driving) = self.dial.connect().await?;
        driving.in_a_task_of_its_own();
        Ok(made)
    }

    /// Another connection in the place of one that is of no use, unless somebody has put one there.
    async fn replace(&self, useless: &Driven) -> io::Result<Driven> {
        let mut shared = self.driven.lock().await;
        match shared.as_ref().filter(|driven| !driven.is_same(useless) && !driven.is_over()) {
            Some(driven) => Ok(driven.clone()),
            None => {
                let made = self.connect().await?;
                *shared = Some(made.clone());
                Ok(made)
            }
        }
    }
}

#[async_trait]
impl Dial for ReusableDial {
    async fn dial(&self, host: &str, port: u16) -> io::Result<Box<dyn Stream>> {
        Ok(self.dial_as(rand::random(), host, port).await?.stream)
    }

    async fn dial_as(&self, number: i64, host: &str, port: u16) -> io::Result<Dialled> {
        let address = join_host_port(host, port);
        let attempt = Attempt::of(self.dial.numbers());
        self.dial.in_time(&address, &attempt, self.tunnel(number, address.clone(), &attempt)).await
    }
}
