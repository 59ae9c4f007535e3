//! One connection into the cluster: made by the one way that there is, and told to the ledger and to a caller who asks.

use crate::request::Call;
use std::io;
use std::sync::Arc;
use tinyplane_konnectivity_client::join_host_port;
use tinyplane_wire::ledger::{Entry, Ledger, Outcome, Recorded, Tls, View};
use tinyplane_wire::net::{Dial, Dialled, Stream, Way};

/// What a connection is made for.
#[derive(Clone, Copy, Debug)]
pub struct Errand<'a> {
    /// The call that it serves.
    pub call: &'a Call,
    /// The node that it leads to; empty where nobody knows.
    pub node: &'a str,
    /// The number of its path: 2 to a kubelet, 3 to what is proxied to.
    pub path: u8,
}

/// The way out.
#[derive(Debug)]
pub(super) struct Travel {
    pub(super) dial: Arc<dyn Dial>,
    /// What it is called: `direct`, `konnectivity-grpc` …
    pub(super) egress: &'static str,
    pub(super) ledger: Option<Ledger>,
}

/// How far a connection got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Got {
    /// It was not made.
    Nowhere,
    /// It was made, and its handshake failed.
    NoTls,
    /// It speaks no TLS.
    Plain,
    /// It speaks TLS with whoever answers.
    Unverified,
    /// It speaks TLS with whom it knows.
    Verified,
}

/// A connection that was made.
pub(super) struct Journey {
    pub(super) stream: Recorded<Box<dyn Stream>>,
    way: Way,
}

impl Travel {
    /// Connects. Where that fails, a caller who asks is told the path that was tried.
    pub(super) async fn set_out(&self, errand: &Errand<'_>, host: &str, port: u16) -> io::Result<Journey> {
        let journey = self.connect(errand, host, port).await;
        journey.inspect_err(|_| self.tell(errand, &Way::default(), Got::Nowhere))
    }

    async fn connect(&self, errand: &Errand<'_>, host: &str, port: u16) -> io::Result<Journey> {
        let number: i64 = rand::random();
        let Some(ledger) = &self.ledger else {
            let Dialled { stream, way } = self.dial.dial_as(number, host, port).await?;
            return Ok(Journey { stream: Recorded::new(stream, None), way });
        };
        let begun = Entry {
            path: Some(errand.path),
            ticket: Some(errand.call.ticket.to_string()),
            dial: Some(number.to_string()),
            to: join_host_port(host, port),
            node: Some(errand.node.to_owned()).filter(|node| !node.is_empty()),
            egress: Some(self.egress.to_owned()),
            ..ledger.entry(View::Claimed)
        };
        match self.dial.dial_as(number, host, port).await {
            Ok(Dialled { stream, way }) => {
                let Way { from, tunnel, agent, connection, host_key } = way.clone();
                let hop = ledger.open(Entry { from, tunnel, agent, connection, host_key, ..begun });
                Ok(Journey { stream: Recorded::new(stream, Some(hop)), way })
            }
            Err(error) => {
                ledger.end(Entry { outcome: Outcome::Failed, why: Some(error.to_string()), ..begun });
                Err(error)
            }
        }
    }

    /// Tells a caller who asks by which path its answer comes, or was to come.
    pub(super) fn tell(&self, errand: &Errand<'_>, way: &Way, got: Got) {
        errand.call.path_taken.tell(|| {
            let mut told = format!("{};{}", errand.path, self.egress);
            let host_key = way.host_key.as_ref();
            let host_key = host_key.map(|key| if key.verified.is_some() { "verified" } else { "unverified" });
            let named = [
                ("tunnel", way.tunnel.as_deref()),
                ("agent", way.agent.as_deref()),
                ("hostkey", host_key),
                ("node", Some(errand.node)),
            ];
            for (what, name) in named {
                if let Some(name) = name.filter(|name| !name.is_empty()) {
                    told.push_str(&format!(";{what}={name}"));
                }
            }
            told.push_str(match got {
                Got::Nowhere => ";failed=dial",
                Got::NoTls => ";failed=tls",
                Got::Plain => ";tls=none",
                Got::Unverified => ";tls=unverified",
                Got::Verified => ";tls=verified",
            });
            told
        });
    }
}

impl Journey {
    /// Its way, and its stream.
    pub(super) fn parts(self) -> (Way, Recorded<Box<dyn Stream>>) {
        (self.way, self.stream)
    }
}

/// Adds what a handshake told, or how it failed, to a connection's line.
pub(super) fn shaken(stream: &mut Recorded<Box<dyn Stream>>, told: Result<(Tls, Option<String>), &io::Error>) {
    match (stream.hop(), told) {
        (Some(hop), Ok((tls, certificate))) => hop.speaks(tls, certificate),
        (Some(hop), Err(error)) => hop.failed(error),
        (None, _) => {}
    }
}
