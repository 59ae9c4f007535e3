//! A watch over a WebSocket: each event of the stream becomes a message.

use axum::body::Body;
use bytes::{Buf, Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt};
use http::header::{CONTENT_TYPE, ORIGIN, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tinyplane_wire::process::Shutdown;
use tinyplane_wire::status::{self, Status};
use tinyplane_wire::streaming::handshake;
use tinyplane_wire::streaming::websocket::{self, CloseCode, CloseFrame, Message, Role, Utf8Bytes};

/// Answers a handshake, and from then on sends the events of `stream`, which is the answer that a client without a
/// WebSocket would get. What the client sends is thrown away; when it closes, the watch ends.
///
/// # Errors
/// 400 when the handshake is none.
pub(super) fn carry(
    headers: &HeaderMap,
    upgrade: OnUpgrade,
    stream: Response<Body>,
    shutdown: Shutdown,
) -> status::Result<Response<Body>> {
    if let Some((code, why)) = refusal(headers) {
        let mut refused = Response::new(Body::from(why));
        *refused.status_mut() = code;
        return Ok(refused);
    }
    let mut answer = handshake::websocket_answer(headers)
        .map_err(|refusal| Status::bad_request(refusal.message.clone()))?
        .map(|()| Body::empty());
    let offered = headers.get(SEC_WEBSOCKET_PROTOCOL).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if let Some(Ok(first)) = offered.split(',').next().map(|name| name.trim().parse())
        && !offered.is_empty()
    {
        answer.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, first);
    }
    let (head, body) = stream.into_parts();
    let binary = head.headers.get(CONTENT_TYPE).is_some_and(|media| media.as_bytes().starts_with(b"application/vnd."));
    tokio::spawn(async move {
        match upgrade.await {
            Ok(connection) => send(TokioIo::new(connection), body, binary, shutdown).await,
            Err(error) => tracing::debug!(%error, "a WebSocket was not completed"),
        }
    });
    Ok(answer)
}

/// What upstream's library has against a handshake, in its order. It takes the one protocol that a client offers, whichever, and
/// does not choose.
fn refusal(headers: &HeaderMap) -> Option<(StatusCode, &'static str)> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().trim();
    if text(SEC_WEBSOCKET_KEY).is_empty() {
        return Some((StatusCode::BAD_REQUEST, "mismatch challenge/response"));
    }
    if text(SEC_WEBSOCKET_VERSION) != "13" {
        return Some((StatusCode::BAD_REQUEST, "missing or bad WebSocket Version"));
    }
    if !has_origin(headers) {
        return Some((StatusCode::FORBIDDEN, ""));
    }
    text(SEC_WEBSOCKET_PROTOCOL).contains(',').then_some((StatusCode::BAD_REQUEST, ""))
}

/// Whether a client says from where it comes, as browsers do. Upstream's library serves nobody else.
fn has_origin(headers: &HeaderMap) -> bool {
    let origin = headers.get(ORIGIN).and_then(|value| value.to_str().ok()).unwrap_or_default();
    origin.starts_with('/') || origin.split_once(':').is_some_and(|(scheme, _)| !scheme.is_empty())
}

async fn send(connection: TokioIo<hyper::upgrade::Upgraded>, mut body: Body, binary: bool, shutdown: Shutdown) {
    let (mut sink, mut heard) = websocket::over(connection, Role::Server).await.split();
    let mut split = Split { binary, left: BytesMut::new() };
    let sent = async {
        loop {
            let frame = tokio::select! {
                // What has happened is told before the end.
                biased;
                frame = body.frame() => frame,
                () = shutdown.cancelled() => None,
            };
            let Some(Ok(frame)) = frame else { break };
            let Ok(bytes) = frame.into_data() else { continue };
            for message in split.take(&bytes) {
                sink.send(message).await?;
            }
        }
        let end = CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::default() };
        sink.send(Message::Close(Some(end))).await
    };
    let gone = async { while let Some(Ok(_)) = heard.next().await {} };
    tokio::select! {
        sent = sent => {
            if let Err(error) = sent {
                tracing::debug!(%error, "a watch's WebSocket can't be written any more");
            }
        }
        () = gone => {}
    }
}

/// Cuts a stream of events into messages: lines of text, or binary frames behind their length.
struct Split {
    binary: bool,
    left: BytesMut,
}

impl Split {
    fn take(&mut self, bytes: &Bytes) -> Vec<Message> {
        self.left.extend_from_slice(bytes);
        std::iter::from_fn(|| if self.binary { self.frame() } else { self.line() }).collect()
    }

    fn line(&mut self) -> Option<Message> {
        let end = self.left.iter().position(|byte| *byte == b'\n')?;
        let line = self.left.split_to(end + 1).freeze();
        Some(Utf8Bytes::try_from(line.clone()).map_or(Message::Binary(line), Message::Text))
    }

    fn frame(&mut self) -> Option<Message> {
        let length = u32::from_be_bytes(self.left.get(..4)?.try_into().ok()?);
        let length = usize::try_from(length).ok()?;
        if self.left.len() - 4 < length {
            return None;
        }
        self.left.advance(4);
        Some(Message::Binary(self.left.split_to(length).freeze()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_says_from_where_it_comes_is_served() {
        let from = |origin: &str| has_origin(&HeaderMap::from_iter([(ORIGIN, origin.parse().unwrap())]));
        assert!(from("http://localhost") && from("https://a.example.com:8443"));
        assert!(!from("null") && !from("") && !has_origin(&HeaderMap::new()));
    }

    #[test]
    fn a_handshake_is_refused_in_the_words_and_the_order_of_upstreams_library() {
        let told = |pairs: &[(http::HeaderName, &'static str)]| {
            refusal(&pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect())
        };
        let (key, version) = ((SEC_WEBSOCKET_KEY, "a"), (SEC_WEBSOCKET_VERSION, "13"));
        let origin = (ORIGIN, "http://a");
        assert_eq!(told(&[]), Some((StatusCode::BAD_REQUEST, "mismatch challenge/response")));
        let old = told(&[key.clone(), (SEC_WEBSOCKET_VERSION, "8")]);
        assert_eq!(old, Some((StatusCode::BAD_REQUEST, "missing or bad WebSocket Version")));
        assert_eq!(told(&[key.clone(), version.clone()]), Some((StatusCode::FORBIDDEN, "")));
        let offers =
            |protocols| told(&[key.clone(), version.clone(), origin.clone(), (SEC_WEBSOCKET_PROTOCOL, protocols)]);
        assert_eq!(offers("v5.channel.k8s.io, v4.channel.k8s.io"), Some((StatusCode::BAD_REQUEST, "")));
        assert_eq!(offers("v5.channel.k8s.io"), None);
    }

    #[test]
    fn each_event_is_one_message_however_the_stream_is_cut() {
        let mut text = Split { binary: false, left: BytesMut::new() };
        assert_eq!(text.take(&Bytes::from_static(b"{\"a\":1}\n{\"b\"")), [Message::text("{\"a\":1}\n")]);
        assert_eq!(text.take(&Bytes::from_static(b":2}\n")), [Message::text("{\"b\":2}\n")]);
        let mut binary = Split { binary: true, left: BytesMut::new() };
        assert!(binary.take(&Bytes::from_static(b"\0\0\0\x02x")).is_empty());
        let messages = binary.take(&Bytes::from_static(b"y\0\0\0\x01z"));
        assert_eq!(messages, [Message::binary(Bytes::from_static(b"xy")), Message::binary(Bytes::from_static(b"z"))]);
    }
}
