//! How a connection changes from HTTP to streams: what a client offers, what a server takes, and its answer.

use super::channel::ChannelProtocol;
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

/// The stream protocols that a SPDY client offers, and the one that the server took.
pub const STREAM_PROTOCOL: HeaderName = HeaderName::from_static("x-stream-protocol-version");
/// The stream protocols that a server would have taken.
pub const ACCEPTED_STREAM_PROTOCOLS: HeaderName = HeaderName::from_static("x-accepted-stream-protocol-versions");
/// The stream protocol of port-forwards.
pub const PORT_FORWARD: &str = "portforward.k8s.io";
/// The WebSocket subprotocol whose messages are the bytes of a SPDY connection for port-forwards.
pub const PORT_FORWARD_TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";
/// The value of `Upgrade` for SPDY.
pub const SPDY_31: &str = "SPDY/3.1";

/// What a client may ask streams for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// `exec` and `attach`.
    RemoteCommand,
    /// `portforward`.
    PortForward,
}

/// What both sides will speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoken {
    /// SPDY/3.1 streams, with the version of the stream protocol (1 to 4 for remote commands, else 0).
    Spdy(u8),
    /// WebSocket messages that name their channel.
    Channels(ChannelProtocol),
    /// WebSocket messages that carry SPDY/3.1 streams.
    Tunnel,
}

/// Why a connection stays HTTP: a text for the client and its code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// For a person.
    pub message: String,
    /// 400 or 403.
    pub code: StatusCode,
    /// What would have been accepted.
    pub accepted: &'static [&'static str],
}

impl Refusal {
    fn new(code: StatusCode, message: impl Into<String>) -> Self {
        Self { message: message.into(), code, accepted: &[] }
    }
}

/// True when a header's comma-separated values contain this one, whatever its case.
fn lists(headers: &HeaderMap, name: &HeaderName, value: &str) -> bool {
    listed(headers, name).any(|found| found.eq_ignore_ascii_case(value))
}

fn listed<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(',')).map(str::trim)
}

/// True when the request asks to change the protocol, whichever to.
#[must_use]
pub fn wants_upgrade(headers: &HeaderMap) -> bool {
    lists(headers, &CONNECTION, "upgrade")
}

/// True when the request asks for a WebSocket, and for nothing else beside it.
#[must_use]
pub fn wants_websocket(headers: &HeaderMap) -> bool {
    wants_upgrade(headers) && headers.get(UPGRADE).is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

const REMOTE_COMMAND: [&str; 4] = ["v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io"];
const PORT_FORWARDS: [&str; 1] = [PORT_FORWARD];

/// Decides what is spoken, and the answer (101) that says so.
///
/// # Errors
/// When the request asks for no change of protocol, or for none that is served.
pub fn accept(headers: &HeaderMap, purpose: Purpose) -> Result<(Spoken, Response<()>), Refusal> {
    if wants_websocket(headers) { accept_websocket(headers, purpose) } else { accept_spdy(headers, purpose) }
}

fn accept_spdy(headers: &HeaderMap, purpose: Purpose) -> Result<(Spoken, Response<()>), Refusal> {
    if !wants_upgrade(headers) || !lists(headers, &UPGRADE, SPDY_31) {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "Upgrade request required"));
    }
    let accepted: &'static [&'static str] = match purpose {
        Purpose::RemoteCommand => &REMOTE_COMMAND,
        Purpose::PortForward => &PORT_FORWARDS,
    };
    let offered: Vec<&str> = listed(headers, &STREAM_PROTOCOL).collect();
    if offered.is_empty() {
        let told = "unable to upgrade: X-Stream-Protocol-Version is required";
        return Err(Refusal::new(StatusCode::BAD_REQUEST, told));
    }
    let Some(place) = offered.iter().find_map(|name| accepted.iter().position(|a| a == name)) else {
        let message = format!(
            "unable to upgrade: unable to negotiate protocol: client supports [{}], server accepts [{}]",
            offered.join(" "),
            accepted.join(" ")
        );
        return Err(Refusal { message, code: StatusCode::FORBIDDEN, accepted });
    };
    let version = match purpose {
        Purpose::RemoteCommand => u8::try_from(REMOTE_COMMAND.len() - place).unwrap_or(1),
        Purpose::PortForward => 0,
    };
    let mut answer = switching(SPDY_31);
    answer.headers_mut().insert(STREAM_PROTOCOL, HeaderValue::from_static(accepted[place]));
    Ok((Spoken::Spdy(version), answer))
}

fn accept_websocket(headers: &HeaderMap, purpose: Purpose) -> Result<(Spoken, Response<()>), Refusal> {
    let mut answer = websocket_answer(headers)?;
    let offered: Vec<&str> = listed(headers, &SEC_WEBSOCKET_PROTOCOL).collect();
    let Some((name, spoken)) = choose_subprotocol(&offered, purpose) else {
        let told = format!("unable to upgrade: no supported subprotocol among [{}]", offered.join(" "));
        return Err(Refusal::new(StatusCode::FORBIDDEN, told));
    };
    if !name.is_empty() {
        answer.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(name));
    }
    Ok((spoken, answer))
}

/// The answer (101) to a WebSocket's handshake, whatever is said over it.
///
/// # Errors
/// When the request has no key to answer to.
pub fn websocket_answer(headers: &HeaderMap) -> Result<Response<()>, Refusal> {
    let Some(key) = headers.get(SEC_WEBSOCKET_KEY) else {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "mismatch challenge/response"));
    };
    let mut answer = switching("websocket");
    let proof = tokio_tungstenite::tungstenite::handshake::derive_accept_key(key.as_bytes());
    let proof = HeaderValue::from_str(&proof).map_err(|_| Refusal::new(StatusCode::BAD_REQUEST, "bad key"))?;
    answer.headers_mut().insert(SEC_WEBSOCKET_ACCEPT, proof);
    Ok(answer)
}

/// The first of the client's subprotocols that is served; clients offer the best first.
fn choose_subprotocol(offered: &[&str], purpose: Purpose) -> Option<(&'static str, Spoken)> {
    use ChannelProtocol::{Unnamed, V1, V1Base64, V4, V4Base64, V5};
    if offered.is_empty() {
        return Some(("", Spoken::Channels(Unnamed)));
    }
    let channels: &[ChannelProtocol] = match purpose {
        Purpose::RemoteCommand => &[V5, V4, V4Base64, V1, V1Base64],
        Purpose::PortForward => &[V4, V4Base64],
    };
    offered.iter().find_map(|name| {
        if purpose == Purpose::PortForward && *name == PORT_FORWARD_TUNNEL {
            return Some((PORT_FORWARD_TUNNEL, Spoken::Tunnel));
        }
        channels.iter().find(|p| p.name() == *name).map(|p| (p.name(), Spoken::Channels(*p)))
    })
}

fn switching(to: &'static str) -> Response<()> {
    let mut answer = Response::new(());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    answer.headers_mut().insert(UPGRADE, HeaderValue::from_static(to));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_str(v).unwrap())).collect()
    }

    #[test]
    fn a_spdy_client_gets_the_first_of_its_protocols_that_is_served() {
        let asked = headers(&[
            ("connection", "Upgrade"),
            ("upgrade", "SPDY/3.1"),
            ("x-stream-protocol-version", "v9.channel.k8s.io, v3.channel.k8s.io"),
        ]);
        let (spoken, answer) = accept(&asked, Purpose::RemoteCommand).unwrap();
        assert_eq!((spoken, answer.status()), (Spoken::Spdy(3), StatusCode::SWITCHING_PROTOCOLS));
        assert_eq!(answer.headers()[STREAM_PROTOCOL], "v3.channel.k8s.io");
        let refused = accept(&asked, Purpose::PortForward).unwrap_err();
        assert_eq!((refused.code, refused.accepted), (StatusCode::FORBIDDEN, &["portforward.k8s.io"][..]));
    }

    #[test]
    fn a_websocket_is_accepted_with_the_proof_of_rfc_6455() {
        let asked = headers(&[
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-protocol", "v5.channel.k8s.io, v4.channel.k8s.io"),
        ]);
        let (spoken, answer) = accept(&asked, Purpose::RemoteCommand).unwrap();
        assert_eq!(spoken, Spoken::Channels(ChannelProtocol::V5));
        assert_eq!(answer.headers()[SEC_WEBSOCKET_ACCEPT], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let (spoken, _) = accept(&asked, Purpose::PortForward).unwrap();
        assert_eq!(spoken, Spoken::Channels(ChannelProtocol::V4));
    }

    #[test]
    fn a_plain_request_is_told_to_upgrade() {
        let refused = accept(&HeaderMap::new(), Purpose::RemoteCommand).unwrap_err();
        assert_eq!((refused.code.as_u16(), refused.message.as_str()), (400, "Upgrade request required"));
    }
}
