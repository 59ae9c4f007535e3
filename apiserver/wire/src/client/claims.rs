//! What a client claims in the ledger: each connection to the API server, once an answer has come over it.

use crate::identity::shaken::Shaken;
use crate::ledger::{Entry, Ledger, View};
use hyper_util::client::legacy::connect::HttpInfo;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

/// The path of everything that calls the API server.
const PATH: u8 = 1;
/// Connections that are known to be written down. HTTP/2 needs one at a time.
const KNOWN_MAX: usize = 16;

/// Writes down connections, each once.
#[derive(Debug)]
pub(super) struct Claims {
    ledger: Ledger,
    known: Mutex<Vec<SocketAddr>>,
}

impl Claims {
    pub(super) fn new(ledger: Ledger) -> Self {
        Self { ledger, known: Mutex::default() }
    }

    /// An answer came: whether its connection is a new one, its source address tells.
    pub(super) fn answered(&self, answer: &reqwest::Response, shaken: &Shaken, certificate: Option<&str>) {
        let Some(at) = answer.extensions().get::<HttpInfo>() else { return };
        let from = at.local_addr();
        {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.contains(&from) {
                return;
            }
            if known.len() == KNOWN_MAX {
                known.remove(0);
            }
            known.push(from);
        }
        self.ledger.note(&Entry {
            path: Some(PATH),
            from: Some(from),
            to: at.remote_addr().to_string(),
            tls: Some(shaken.told()),
            certificate: certificate.map(str::to_owned),
            egress: Some("direct".into()),
            ..self.ledger.entry(View::Claimed)
        });
    }
}
