//! Port-forwards, whichever protocol carries them: each is a port, its bytes, and a place for one error.

use super::Output;
use super::channel::ChannelProtocol;
use super::handshake::Spoken;
use super::spdy::{self, Incoming, Session, Stream};
use super::websocket::{self, Channels, Tunnel};
use crate::net;
use std::collections::HashMap;
use std::collections::VecDeque;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long the second stream of a pair may follow the first.
const PAIR_SECONDS_MAX: u64 = 30;
/// Ports of one WebSocket: each has two channels, and these are numbered by a byte.
const PORTS_MAX: usize = 127;
/// Pairs of which one stream is there.
const HALF_PAIRS_MAX: usize = 256;

/// One forwarded connection.
pub struct Forward {
    /// The port in the pod.
    pub port: u16,
    /// Its bytes, both ways.
    pub data: Box<dyn net::Stream>,
    /// Where a failure is told, as text.
    pub error: Output,
}

/// The connections that a client wants forwarded.
pub struct Forwards {
    kind: Kind,
    /// Is cancelled when the client is gone.
    pub closed: CancellationToken,
}

enum Kind {
    Spdy { _session: Session, pairs: Box<Pairs> },
    Channels(VecDeque<Forward>),
}

/// The ports of `?port=` of a WebSocket client: repeated, or with commas.
///
/// # Errors
/// A sentence, when one is no port or there are none.
pub fn parse_ports<'a>(values: impl IntoIterator<Item = &'a str>) -> Result<Vec<u16>, String> {
    let texts: Vec<&str> = values.into_iter().flat_map(|v| v.split(',')).collect();
    if texts.is_empty() {
        return Err("query parameter \"port\" is required".into());
    }
    if texts.len() > PORTS_MAX {
        return Err(format!("at most {PORTS_MAX} ports can be forwarded at once"));
    }
    let parse = |text: &str| match text.parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        Ok(_) => Err("port 0 must be > 0".to_owned()),
        Err(_) => Err(format!("unable to parse {text:?} as a port")),
    };
    texts.into_iter().map(parse).collect()
}

/// Serves a client on a connection whose handshake is done. `ports` counts for channels only: SPDY's streams name
/// their own.
///
/// # Errors
/// When the client is gone at once.
pub async fn accept<S>(connection: S, spoken: Spoken, ports: &[u16]) -> io::Result<Forwards>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    match spoken {
        Spoken::Spdy(_) => accept_spdy(connection),
        Spoken::Tunnel => accept_spdy(Tunnel::over(websocket::over(connection, websocket::Role::Server).await)),
        Spoken::Channels(protocol) => accept_channels(connection, protocol, ports).await,
    }
}

fn accept_spdy<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(connection: S) -> io::Result<Forwards> {
    let (session, incoming) = Session::start(connection, spdy::Role::Server).map_err(io::Error::other)?;
    let closed = session.closed();
    let pairs = Box::new(Pairs { incoming, halves: HashMap::new() });
    Ok(Forwards { kind: Kind::Spdy { _session: session, pairs }, closed })
}

async fn accept_channels<S>(connection: S, protocol: ChannelProtocol, ports: &[u16]) -> io::Result<Forwards>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let numbered: Vec<(u8, u16)> = (0_u8..).step_by(2).zip(ports.iter().copied()).collect();
    let inputs: Vec<u8> = numbered.iter().map(|(channel, _)| *channel).collect();
    let socket = websocket::over(connection, websocket::Role::Server).await;
    let (channels, mut readers) = Channels::start(socket, protocol, &inputs);
    let mut forwards = VecDeque::new();
    for (channel, port) in numbered {
        let Some(reader) = readers.remove(&channel) else { continue };
        let (mut data, mut error) = (channels.writer(channel), channels.writer(channel + 1));
        // The first message of each channel says which port it is.
        data.write_all(&port.to_le_bytes()).await?;
        error.write_all(&port.to_le_bytes()).await?;
        forwards.push_back(Forward { port, data: Box::new(tokio::io::join(reader, data)), error: Box::new(error) });
    }
    Ok(Forwards { kind: Kind::Channels(forwards), closed: channels.closed() })
}

impl Forwards {
    /// The next connection. `None`: there will be no more.
    pub async fn next(&mut self) -> Option<Forward> {
        match &mut self.kind {
            Kind::Spdy { pairs, .. } => pairs.next().await,
            Kind::Channels(forwards) => forwards.pop_front(),
        }
    }
}

/// SPDY's streams come in pairs, which have their `requestID` in common.
struct Pairs {
    incoming: Incoming,
    halves: HashMap<String, Half>,
}

struct Half {
    data: Option<Stream>,
    error: Option<Stream>,
    until: Instant,
}

impl Pairs {
    async fn next(&mut self) -> Option<Forward> {
        loop {
            let stream = match self.halves.values().map(|half| half.until).min() {
                Some(until) => match tokio::time::timeout_at(until, self.incoming.accept()).await {
                    Ok(stream) => stream?,
                    Err(_) => {
                        self.halves.retain(|_, half| half.until > Instant::now());
                        continue;
                    }
                },
                None => self.incoming.accept().await?,
            };
            if let Some(forward) = self.take(stream) {
                return Some(forward);
            }
        }
    }

    /// A stream that makes no sense is dropped, which resets it.
    fn take(&mut self, stream: Stream) -> Option<Forward> {
        let port = stream.header("port")?.parse::<u16>().ok().filter(|port| *port > 0)?;
        let request = stream.header("requestid").unwrap_or_default().to_owned();
        let is_error = match stream.header("streamtype")? {
            "error" => true,
            "data" => false,
            _ => return None,
        };
        if self.halves.len() >= HALF_PAIRS_MAX && !self.halves.contains_key(&request) {
            return None;
        }
        let until = Instant::now() + Duration::from_secs(PAIR_SECONDS_MAX);
        let half = self.halves.entry(request.clone()).or_insert(Half { data: None, error: None, until });
        let place = if is_error { &mut half.error } else { &mut half.data };
        if place.is_none() {
            *place = Some(stream);
        }
        if half.data.is_none() || half.error.is_none() {
            return None;
        }
        let Half { data, error, .. } = self.halves.remove(&request)?;
        Some(Forward { port, data: Box::new(data?), error: Box::new(error?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderName, HeaderValue};
    use tokio::io::AsyncReadExt;
    use tokio_tungstenite::tungstenite::Message;

    async fn in_time<T>(what: impl Future<Output = T>) -> T {
        tokio::time::timeout(Duration::from_secs(10), what).await.expect("in time")
    }

    fn headers(kind: &'static str, request: &'static str) -> HeaderMap {
        let pair = |name, value| (HeaderName::from_static(name), HeaderValue::from_static(value));
        HeaderMap::from_iter([pair("streamtype", kind), pair("port", "80"), pair("requestid", request)])
    }

    async fn forwards_over_spdy(client: Session, mut forwards: Forwards) {
        let mut first_error = client.open(headers("error", "0")).await.unwrap();
        let _other_error = client.open(headers("error", "1")).await.unwrap();
        let mut data = client.open(headers("data", "0")).await.unwrap();
        let mut forward = in_time(forwards.next()).await.unwrap();
        assert_eq!(forward.port, 80);
        data.write_all(b"GET").await.unwrap();
        data.shutdown().await.unwrap();
        let mut heard = String::new();
        in_time(forward.data.read_to_string(&mut heard)).await.unwrap();
        forward.data.write_all(b"200").await.unwrap();
        forward.data.shutdown().await.unwrap();
        forward.error.write_all(b"late").await.unwrap();
        forward.error.shutdown().await.unwrap();
        drop(forward);
        let (mut answer, mut error) = (String::new(), String::new());
        in_time(data.read_to_string(&mut answer)).await.unwrap();
        in_time(first_error.read_to_string(&mut error)).await.unwrap();
        assert_eq!((heard.as_str(), answer.as_str(), error.as_str()), ("GET", "200", "late"));
    }

    #[tokio::test]
    async fn spdy_streams_are_paired_by_their_request() {
        let (near, far) = tokio::io::duplex(4096);
        let (client, _) = Session::start(near, spdy::Role::Client).unwrap();
        forwards_over_spdy(client, accept(far, Spoken::Spdy(0), &[]).await.unwrap()).await;
    }

    #[tokio::test]
    async fn spdy_streams_pass_through_a_websocket() {
        let (near, far) = tokio::io::duplex(4096);
        let tunnel = Tunnel::over(websocket::over(near, websocket::Role::Client).await);
        let (client, _) = Session::start(tunnel, spdy::Role::Client).unwrap();
        forwards_over_spdy(client, accept(far, Spoken::Tunnel, &[]).await.unwrap()).await;
    }

    #[tokio::test]
    async fn channels_begin_with_their_port() {
        use futures_util::{SinkExt, StreamExt};
        let (near, far) = tokio::io::duplex(4096);
        let mut client = websocket::over(near, websocket::Role::Client).await;
        let spoken = Spoken::Channels(ChannelProtocol::V4);
        let mut forwards = accept(far, spoken, &[80, 8080]).await.unwrap();
        let mut begun = Vec::new();
        while begun.len() < 4 {
            begun.push(in_time(client.next()).await.unwrap().unwrap().into_data().to_vec());
        }
        assert_eq!(begun, [[0, 80, 0], [1, 80, 0], [2, 0x90, 0x1f], [3, 0x90, 0x1f]]);
        client.send(Message::Binary(bytes::Bytes::from_static(b"\x02ping"))).await.unwrap();
        let _first = in_time(forwards.next()).await.unwrap();
        let mut second = in_time(forwards.next()).await.unwrap();
        let mut heard = [0; 4];
        in_time(second.data.read_exact(&mut heard)).await.unwrap();
        assert_eq!((second.port, &heard), (8080, b"ping"));
        assert!(in_time(forwards.next()).await.is_none());
    }

    #[test]
    fn ports_are_repeated_or_listed() {
        assert_eq!(parse_ports(["80,81", "82"]).unwrap(), [80, 81, 82]);
        assert!(parse_ports(["http"]).is_err());
        assert!(parse_ports(["80"; PORTS_MAX]).is_ok() && parse_ports(["80"; PORTS_MAX + 1]).is_err());
        assert!(parse_ports([]).is_err());
    }
}
