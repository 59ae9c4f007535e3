//! Documents as Go hands out what lies in files: under conditions, and in part.

use crate::respond;
use axum::body::Body;
use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_RANGE, ETAG, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    IF_UNMODIFIED_SINCE, LAST_MODIFIED, RANGE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use hyper::ext::ReasonPhrase;
use std::fmt::Write as _;
use std::ops::Range;
use std::time::SystemTime;
use time::PrimitiveDateTime;
use time::format_description::StaticFormatDescription;
use time::macros::format_description;
use tinyplane_wire::clock::utc;
use tinyplane_wire::status::{self, Status};

/// A document and what is known of it.
pub(super) struct Content {
    pub(super) bytes: Bytes,
    /// The same, compressed, where it is wished so.
    pub(super) compressed: Option<Bytes>,
    pub(super) content_type: HeaderValue,
    /// Its tag, with its quotes.
    pub(super) etag: Option<String>,
    pub(super) modified: SystemTime,
    pub(super) now: SystemTime,
}

const FORMAT: StaticFormatDescription =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

/// A time as headers have it.
///
/// # Errors
/// A 500 for a time that no calendar has.
pub(super) fn http_date(at: SystemTime) -> status::Result<HeaderValue> {
    let text = utc(at).format(&FORMAT).map_err(Status::internal)?;
    HeaderValue::from_str(&text).map_err(Status::internal)
}

fn seconds(text: &str) -> Option<i64> {
    Some(PrimitiveDateTime::parse(text, &FORMAT).ok()?.assume_utc().unix_timestamp())
}

/// What the conditions of a request come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Met,
    NotModified,
    Failed,
}

/// What of a document is wished.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wish {
    Whole,
    Part(Range<usize>),
    Parts(Vec<Range<usize>>),
}

/// Why no part can be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum BadRange {
    #[error("invalid range")]
    Unreadable,
    #[error("invalid range: failed to overlap")]
    Beyond,
}

impl Content {
    /// The answer to a request with these headers.
    ///
    /// # Errors
    /// A 500 when a header can't be written.
    pub(super) fn answer(self, headers: &HeaderMap) -> status::Result<Response<Body>> {
        let of = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let verdict = self.judge(of);
        let range = if self.is_same(of(IF_RANGE)) { of(RANGE) } else { "" };
        let mut response = match (verdict, part(range, self.bytes.len())) {
            (Verdict::NotModified, _) => empty(StatusCode::NOT_MODIFIED),
            (Verdict::Failed, _) => {
                respond::bytes_of(StatusCode::PRECONDITION_FAILED, self.content_type.clone(), Bytes::new())
            }
            (Verdict::Met, Err(bad)) => return self.refusal(bad),
            (Verdict::Met, Ok(Wish::Parts(parts))) => self.parts(&parts)?,
            (Verdict::Met, Ok(Wish::Part(part))) => {
                let told = self.told(&part);
                let code = StatusCode::PARTIAL_CONTENT;
                let mut response = respond::bytes_of(code, self.content_type.clone(), self.bytes.slice(part));
                response.headers_mut().insert(CONTENT_RANGE, told.parse().map_err(Status::internal)?);
                response
            }
            (Verdict::Met, Ok(Wish::Whole)) => {
                let body = self.compressed.as_ref().unwrap_or(&self.bytes).clone();
                let mut response = respond::bytes_of(StatusCode::OK, self.content_type.clone(), body);
                if self.compressed.is_some() {
                    response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                }
                response
            }
        };
        let headers = response.headers_mut();
        if verdict == Verdict::Met {
            headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        }
        if verdict != Verdict::NotModified || self.etag.is_none() {
            headers.insert(LAST_MODIFIED, http_date(self.modified)?);
        }
        if let Some(etag) = &self.etag {
            headers.insert(ETAG, etag.parse().map_err(Status::internal)?);
        }
        Ok(response)
    }

    /// What is told of a part.
    fn told(&self, part: &Range<usize>) -> String {
        format!("bytes {}-{}/{}", part.start, part.end.saturating_sub(1), self.bytes.len())
    }

    /// Several parts in one answer, each with what is told of it.
    fn parts(&self, parts: &[Range<usize>]) -> status::Result<Response<Body>> {
        let bound = rand::random::<[u8; 30]>().iter().fold(String::new(), |mut bound, byte| {
            let _ = write!(bound, "{byte:02x}");
            bound
        });
        let kind = self.content_type.to_str().map_err(Status::internal)?;
        let mut body = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            let open = if at > 0 { "\r\n--" } else { "--" };
            let head = format!("{open}{bound}\r\nContent-Range: {}\r\nContent-Type: {kind}\r\n\r\n", self.told(part));
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(&self.bytes[part.clone()]);
        }
        body.extend_from_slice(format!("\r\n--{bound}--\r\n").as_bytes());
        let kind = format!("multipart/byteranges; boundary={bound}").parse().map_err(Status::internal)?;
        Ok(respond::bytes_of(StatusCode::PARTIAL_CONTENT, kind, body))
    }

    fn refusal(&self, bad: BadRange) -> status::Result<Response<Body>> {
        let mut response = respond::text(StatusCode::RANGE_NOT_SATISFIABLE, format!("{bad}\n"));
        // Go keeps to the old words.
        response.extensions_mut().insert(ReasonPhrase::from_static(b"Requested Range Not Satisfiable"));
        if bad == BadRange::Beyond {
            let told = format!("bytes */{}", self.bytes.len());
            response.headers_mut().insert(CONTENT_RANGE, told.parse().map_err(Status::internal)?);
        }
        Ok(response)
    }

    fn modified_seconds(&self) -> i64 {
        utc(self.modified).unix_timestamp()
    }

    /// Tags come before times, and what must be before what must not.
    fn judge<'h>(&self, of: impl Fn(HeaderName) -> &'h str) -> Verdict {
        let is_tagged = |known: &str| self.etag.as_deref() == Some(known);
        let any =
            |line: &str, is: &dyn Fn(&str) -> bool| line.split(',').map(str::trim).any(|tag| tag == "*" || is(tag));
        let changed = match of(IF_MATCH) {
            "" => seconds(of(IF_UNMODIFIED_SINCE)).is_some_and(|since| self.modified_seconds() > since),
            wished => !any(wished, &is_tagged),
        };
        if changed {
            return Verdict::Failed;
        }
        let known = match of(IF_NONE_MATCH) {
            "" => {
                // Two documents of one second have one date, and a definition's follows within a second: one that may yet change
                // is sent again.
                let is_settled = self.modified_seconds() < utc(self.now).unix_timestamp();
                is_settled && seconds(of(IF_MODIFIED_SINCE)).is_some_and(|since| self.modified_seconds() <= since)
            }
            known => any(known, &|tag| is_tagged(tag.strip_prefix("W/").unwrap_or(tag))),
        };
        if known { Verdict::NotModified } else { Verdict::Met }
    }

    /// Whether the document is still the one of which a part is wished.
    fn is_same(&self, wished: &str) -> bool {
        match wished {
            "" => true,
            tag if tag.starts_with(['"', 'W']) => self.etag.as_deref() == Some(tag),
            time => seconds(time) == Some(self.modified_seconds()),
        }
    }
}

/// What of so many bytes a line of `Range` wishes. Parts that are more than the whole are the whole.
fn part(line: &str, length: usize) -> Result<Wish, BadRange> {
    if line.is_empty() {
        return Ok(Wish::Whole);
    }
    let wishes = line.strip_prefix("bytes=").ok_or(BadRange::Unreadable)?;
    let wishes = wishes.split(',').map(str::trim).filter(|wish| !wish.is_empty());
    let wished = wishes.map(|wish| one(wish, length)).collect::<Result<Vec<_>, _>>()?;
    let none = wished.is_empty();
    let parts: Vec<_> = wished.into_iter().flatten().collect();
    let sum = parts.iter().map(Range::len).fold(0, usize::saturating_add);
    match parts.as_slice() {
        [] if !none && length > 0 => Err(BadRange::Beyond),
        [part] => Ok(Wish::Part(part.clone())),
        [_, _, ..] if sum <= length => Ok(Wish::Parts(parts)),
        _ => Ok(Wish::Whole),
    }
}

/// One wish: `2-5`, `2-`, or the last bytes `-5`; `None` where it begins behind the end.
fn one(wish: &str, length: usize) -> Result<Option<Range<usize>>, BadRange> {
    let number = |text: &str| text.trim().parse::<usize>().map_err(|_| BadRange::Unreadable);
    let (from, to) = wish.split_once('-').ok_or(BadRange::Unreadable)?;
    if from.trim().is_empty() {
        return Ok(Some(length.saturating_sub(number(to)?)..length));
    }
    let from = number(from)?;
    if from >= length {
        return Ok(None);
    }
    if to.trim().is_empty() {
        return Ok(Some(from..length));
    }
    let to = number(to)?;
    if to < from { Err(BadRange::Unreadable) } else { Ok(Some(from..length.min(to.saturating_add(1)))) }
}

/// An answer that says nothing but its code.
pub(super) fn empty(code: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = code;
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn answer(headers: &[(HeaderName, &str)]) -> Response<Body> {
        answer_at(2_000, headers)
    }

    /// `now` in milliseconds.
    fn answer_at(now: u64, headers: &[(HeaderName, &str)]) -> Response<Body> {
        let content = Content {
            bytes: Bytes::from_static(b"0123456789"),
            compressed: None,
            content_type: respond::JSON,
            etag: Some("\"a\"".to_owned()),
            modified: SystemTime::UNIX_EPOCH + Duration::from_millis(1_500),
            now: SystemTime::UNIX_EPOCH + Duration::from_millis(now),
        };
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap()));
        content.answer(&headers.collect()).unwrap()
    }

    const AT: &str = "Thu, 01 Jan 1970 00:00:01 GMT";
    const BEFORE: &str = "Thu, 01 Jan 1970 00:00:00 GMT";

    #[test]
    fn conditions_are_kept_to() {
        for (name, value, code) in [
            (IF_NONE_MATCH, "\"a\"", 304),
            (IF_NONE_MATCH, "\"b\", W/\"a\"", 304),
            (IF_NONE_MATCH, "*", 304),
            (IF_NONE_MATCH, "\"b\"", 200),
            (IF_MODIFIED_SINCE, AT, 304),
            (IF_MODIFIED_SINCE, BEFORE, 200),
            (IF_MODIFIED_SINCE, "yesterday", 200),
            (IF_MATCH, "\"a\"", 200),
            (IF_MATCH, "W/\"a\"", 412),
            (IF_UNMODIFIED_SINCE, AT, 200),
            (IF_UNMODIFIED_SINCE, BEFORE, 412),
        ] {
            let answer = answer(&[(name.clone(), value)]);
            assert_eq!(answer.status().as_u16(), code, "{name}: {value}");
            assert_eq!(answer.headers().contains_key(ACCEPT_RANGES), code == 200, "{name}: {value}");
        }
        // A tag that is known, or not, says more than a time.
        assert_eq!(answer_at(1_900, &[(IF_MODIFIED_SINCE, AT)]).status(), 200, "another may follow in the same second");
        let answer = answer(&[(IF_NONE_MATCH, "\"b\""), (IF_MODIFIED_SINCE, AT)]);
        assert_eq!((answer.status().as_u16(), answer.headers()[LAST_MODIFIED].as_bytes()), (200, AT.as_bytes()));
    }

    #[test]
    fn parts_are_given() {
        for (wish, wanted) in [
            ("bytes=2-4", Ok(Wish::Part(2..5))),
            ("bytes= 8- ", Ok(Wish::Part(8..10))),
            ("bytes=-3", Ok(Wish::Part(7..10))),
            ("bytes=-30", Ok(Wish::Part(0..10))),
            ("bytes=5-99", Ok(Wish::Part(5..10))),
            ("bytes=10-,1-1", Ok(Wish::Part(1..2))),
            ("bytes=4-5,1-2", Ok(Wish::Parts(vec![4..6, 1..3]))),
            ("bytes=0-,0-", Ok(Wish::Whole)),
            ("bytes=", Ok(Wish::Whole)),
            ("bytes=10-", Err(BadRange::Beyond)),
            ("bytes=3-2", Err(BadRange::Unreadable)),
            ("bytes=3", Err(BadRange::Unreadable)),
            ("items=1-2", Err(BadRange::Unreadable)),
        ] {
            assert_eq!(part(wish, 10), wanted, "{wish}");
        }
        assert_eq!(part("bytes=0-", 0), Ok(Wish::Whole));
        let given = answer(&[(RANGE, "bytes=2-4")]);
        assert_eq!((given.status().as_u16(), &given.headers()[CONTENT_RANGE]), (206, &"bytes 2-4/10".parse().unwrap()));
        assert_eq!(answer(&[(RANGE, "bytes=2-4"), (IF_RANGE, "\"b\"")]).status(), 200);
        assert_eq!(answer(&[(RANGE, "bytes=2-4"), (IF_RANGE, AT)]).status(), 206);
        let refused = answer(&[(RANGE, "bytes=10-")]);
        assert_eq!(
            (refused.status().as_u16(), &refused.headers()[CONTENT_RANGE]),
            (416, &"bytes */10".parse().unwrap())
        );
    }

    #[tokio::test]
    async fn several_parts_come_in_one_answer() {
        let given = answer(&[(RANGE, "bytes=2-4,-1")]);
        assert_eq!((given.status().as_u16(), given.headers().get(CONTENT_RANGE)), (206, None));
        let kind = given.headers()[http::header::CONTENT_TYPE].to_str().unwrap().to_owned();
        let bound = kind.strip_prefix("multipart/byteranges; boundary=").unwrap();
        let part = |told: &str, bytes: &str| {
            format!("--{bound}\r\nContent-Range: bytes {told}/10\r\nContent-Type: application/json\r\n\r\n{bytes}\r\n")
        };
        let wanted = part("2-4", "234") + &part("9-9", "9") + &format!("--{bound}--\r\n");
        let body = axum::body::to_bytes(given.into_body(), 1_000).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&body), wanted);
    }
}
