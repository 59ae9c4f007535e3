//! What answers a HEAD. HTTP/1.1 leaves its body out by itself; over HTTP/2 it would be sent, and a client calls that a broken stream.

use http::Response;
use http::header::CONTENT_LENGTH;
use http_body::Body;

/// An answer without its body, whose length is told where it is known.
#[must_use]
pub fn without_body<B: Body + Default>(response: Response<B>) -> Response<B> {
    let (mut parts, body) = response.into_parts();
    if let Some(length) = body.size_hint().exact().filter(|length| *length > 0) {
        parts.headers.entry(CONTENT_LENGTH).or_insert(length.into());
    }
    Response::from_parts(parts, B::default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Full;

    #[test]
    fn the_length_stays() {
        let head = without_body(Response::new(Full::<&[u8]>::new(b"four")));
        assert_eq!(head.headers()[CONTENT_LENGTH], "4");
        assert_eq!(head.body().size_hint().exact(), Some(0));
        let told = Response::builder().header(CONTENT_LENGTH, 7).body(Full::<&[u8]>::new(b"four")).unwrap();
        assert_eq!(without_body(told).headers()[CONTENT_LENGTH], "7");
        assert!(!without_body(Response::new(Full::<&[u8]>::default())).headers().contains_key(CONTENT_LENGTH));
    }
}
