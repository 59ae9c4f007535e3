//! Documents as Go hands out what lies in files: under conditions, and in part.

use crate::respond;
use axum::body::Body;
use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_RANGE, ETAG, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    IF_UNMODIFIED_SINCE, LAST_MODIFIED, RANGE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
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

/// Why no part can be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum BadRange {
    #[error("invalid range")]
    Unreadable,
    #[error("invalid range: failed to overlap")]
    Beyond,
}

impl Content {
    /// The answer to a request with these headers. Of several parts at once there is the whole.
    ///
    /// # Errors
    /// A 500 when a header can't be written.
    pub(super) fn answer(self, headers: &HeaderMap) -> status::Result<Response<Body>> {
        let of = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let verdict = self.judge(of);
        let range = if self.is_same(of(IF_RANGE)) { of(RANGE) } else { "" };
        let mut response = match (verdict, part(range, self.bytes.len())) {
            (Verdict::NotModified, _) => empty(StatusCode::NOT_MODIFIED),
            (Verdict::Failed, _) => respond::bytes_of(StatusCode::PRECONDITION_FAILED, self.content_type, Bytes::new()),
            (Verdict::Met, Err(bad)) => return self.refusal(bad),
            (Verdict::Met, Ok(Some(part))) => {
                let told = format!("bytes {}-{}/{}", part.start, part.end.saturating_sub(1), self.bytes.len());
                let code = StatusCode::PARTIAL_CONTENT;
                let mut response = respond::bytes_of(code, self.content_type, self.bytes.slice(part));
                response.headers_mut().insert(CONTENT_RANGE, told.parse().map_err(Status::internal)?);
                response
            }
            (Verdict::Met, Ok(None)) => {
                let body = self.compressed.clone().unwrap_or(self.bytes);
                let mut response = respond::bytes_of(StatusCode::OK, self.content_type, body);
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

    fn refusal(&self, bad: BadRange) -> status::Result<Response<Body>> {
        let mut response = respond::text(StatusCode::RANGE_NOT_SATISFIABLE, format!("{bad}\n"));
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

/// The part of so many bytes that a line of `Range` wishes; `None` for the whole.
fn part(line: &str, length: usize) -> Result<Option<Range<usize>>, BadRange> {
    if line.is_empty() {
        return Ok(None);
    }
    let wishes = line.strip_prefix("bytes=").ok_or(BadRange::Unreadable)?;
    let wishes = wishes.split(',').map(str::trim).filter(|wish| !wish.is_empty());
    let parts = wishes.map(|wish| one(wish, length)).collect::<Result<Vec<_>, _>>()?;
    let mut within = parts.iter().flatten();
    match (within.next(), within.next()) {
        (Some(part), None) => Ok(Some(part.clone())),
        (None, _) if !parts.is_empty() && length > 0 => Err(BadRange::Beyond),
        _ => Ok(None),
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
            ("bytes=2-4", Ok(Some(2..5))),
            ("bytes= 8- ", Ok(Some(8..10))),
            ("bytes=-3", Ok(Some(7..10))),
            ("bytes=-30", Ok(Some(0..10))),
            ("bytes=5-99", Ok(Some(5..10))),
            ("bytes=10-,1-1", Ok(Some(1..2))),
            ("bytes=1-2,4-5", Ok(None)),
            ("bytes=", Ok(None)),
            ("bytes=10-", Err(BadRange::Beyond)),
            ("bytes=3-2", Err(BadRange::Unreadable)),
            ("bytes=3", Err(BadRange::Unreadable)),
            ("items=1-2", Err(BadRange::Unreadable)),
        ] {
            assert_eq!(part(wish, 10), wanted, "{wish}");
        }
        assert_eq!(part("bytes=0-", 0), Ok(None));
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
}
