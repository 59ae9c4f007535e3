//! One line of the ledger: a hop, as the member at one end of it saw it.

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// Which end of a hop speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum View {
    /// The end that dialled, or sent.
    #[default]
    Claimed,
    /// The end that listened.
    Observed,
}

/// What became of a hop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// It was made, and handed to whom it came for.
    #[default]
    Accepted,
    /// Its source is not on the allow list: it was closed before a byte was read.
    Refused,
    /// It did not come to be; `why` says why.
    Failed,
    /// No hop: so many lines, as `why` says, found no room and are missing here.
    Lost,
}

/// TLS, as one end had it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tls {
    /// `1.2` or `1.3`.
    pub version: String,
    /// The authority against which this end verified the other's certificate; absent where it verified nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<String>,
}

/// The key by which an SSH server proves itself, as one end had it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostKey {
    /// `SHA256:…`, as OpenSSH prints it.
    pub fingerprint: String,
    /// The file of known hosts in which this end found it; absent where it asked nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<String>,
}

/// One hop, from one end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Who writes this.
    pub member: String,
    /// Names the hop among those of its member: the later of two lines with the same id holds.
    pub id: String,
    /// Which end of it the member is.
    pub view: View,
    /// The number of the path: 1 from anybody to the API server, 2 from there to a kubelet, 3 to what is proxied to,
    /// 4 an SSH tunnel, 5 Konnectivity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<u8>,
    /// The request's `Audit-ID`, where the member knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// Method and URI of a request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// Who asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// What a dial through a tunnel is called by both of its ends: the `random` of its packets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dial: Option<String>,
    /// The tunnel's number of the connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<i64>,
    /// The id of the hop, of the same member, that this one goes on from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The address and port that the hop comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<SocketAddr>,
    /// Where it leads: `host:port`, or the path of a Unix socket.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub to: String,
    /// The node that it leads to, or that observed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// TLS, where it is spoken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// The key of the SSH server that carries it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_key: Option<HostKey>,
    /// Whom the client certificate names that was shown; absent where none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// The way out of the API server: `direct`, `konnectivity-grpc` …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress: Option<String>,
    /// The tunnel's server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tunnel: Option<String>,
    /// The tunnel's agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Bytes that this end sent, as TCP carried them: with TLS, where that is spoken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<u64>,
    /// Bytes that it received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received: Option<u64>,
    /// More bytes may have gone than are told: they are what the kernel had counted when the last answer began, or when its
    /// client ended. It is asked for connections that a library keeps to itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub at_least: bool,
    /// The answer's code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u16>,
    /// What became of it.
    pub outcome: Outcome,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// When it began, as `metav1.MicroTime`.
    pub started: String,
    /// When it ended; absent while it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
}

impl Entry {
    /// Where it was observed, when that is an address.
    #[must_use]
    pub fn listener(&self) -> Option<SocketAddr> {
        self.to.parse().ok()
    }

    /// Takes in a later line of the same hop. One without an end says nothing new of a hop that has ended.
    pub fn tell(&mut self, later: Self) {
        if self.ended.is_none() || later.ended.is_some() {
            *self = later;
        }
    }
}
