//! Compressed answers: the long ones, for clients that accept gzip, as they are sent.

use axum::body::Body;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, VARY};
use http::{HeaderMap, HeaderValue, Response};
use http_body::{Body as _, Frame};
use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Only longer answers are compressed, as upstream does.
const LONGER_THAN_BYTES: u64 = 128 * 1024;

/// The response, compressed where it is long and the client accepts that.
#[must_use]
pub fn compressed(request: &HeaderMap, response: Response<Body>) -> Response<Body> {
    let encodings = request.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let accepted = encodings.split(',').any(|encoding| encoding.trim() == "gzip");
    let long = response.body().size_hint().lower() > LONGER_THAN_BYTES;
    if !accepted || !long || response.headers().contains_key(CONTENT_ENCODING) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    parts.headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
    let encoder = Some(GzEncoder::new(Vec::new(), Compression::fast()));
    Response::from_parts(parts, Body::new(Compressed { body, encoder }))
}

struct Compressed {
    body: Body,
    /// Gone when its last bytes are sent.
    encoder: Option<GzEncoder<Vec<u8>>>,
}

impl http_body::Body for Compressed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        loop {
            let Some(mut encoder) = self.encoder.take() else { return Poll::Ready(None) };
            let Poll::Ready(next) = Pin::new(&mut self.body).poll_frame(context) else {
                self.encoder = Some(encoder);
                return Poll::Pending;
            };
            let written = match next {
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(frame)) => {
                    let written = encoder.write_all(&frame.into_data().unwrap_or_default());
                    let out = std::mem::take(encoder.get_mut());
                    self.encoder = Some(encoder);
                    written.map(|()| out)
                }
                None => encoder.finish(),
            };
            match written {
                Ok(out) if out.is_empty() => {}
                Ok(out) => return Poll::Ready(Some(Ok(Frame::data(out.into())))),
                Err(error) => return Poll::Ready(Some(Err(axum::Error::new(error)))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use http_body_util::BodyExt;
    use std::io::Read;

    fn accepts(encoding: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(encoding))])
    }

    #[tokio::test]
    async fn only_long_answers_are_compressed_and_only_where_that_is_accepted() {
        let long: Vec<u8> = (0..200_000_u32).map(|at| at.to_le_bytes()[1]).collect();
        for (encodings, body, yes) in [
            ("deflate, gzip", long.clone(), true),
            ("gzip;q=0", long.clone(), false),
            ("identity", long.clone(), false),
            ("gzip", vec![1; 1000], false),
        ] {
            let response = compressed(&accepts(encodings), Response::new(Body::from(body.clone())));
            assert_eq!(response.headers().contains_key(CONTENT_ENCODING), yes, "{encodings}");
            let bytes = response.into_body().collect().await.unwrap().to_bytes();
            let mut read = Vec::new();
            match yes {
                true => drop(GzDecoder::new(&bytes[..]).read_to_end(&mut read).unwrap()),
                false => read = bytes.to_vec(),
            }
            assert!(read == body, "{encodings}");
        }
    }
}
