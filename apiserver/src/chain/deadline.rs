//! How long a call may take: what the server allows, or less where its `timeout` says so.

use crate::request::Call;
use std::time::Duration;
use tinyplane_wire::status::{self, Status};

/// The units of Go's durations, in nanoseconds. Longer names first: `m` begins `ms` too.
const UNITS: [(&str, f64); 7] =
    [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3_600e9)];

/// The time that a call gets.
///
/// # Errors
/// 400 for a `timeout` that is no duration, in upstream's words.
pub(super) fn of(call: &Call, allowed: Duration) -> status::Result<Duration> {
    let text = call.query.text("timeout");
    if text.is_empty() || call.is_long_running() {
        return Ok(allowed);
    }
    let wrong = |why: String| Status::bad_request(format!("invalid timeout specified in the request URL - {why}"));
    match parse_duration(text) {
        Some(asked) if asked.is_zero() => Ok(allowed),
        Some(asked) => Ok(asked.min(allowed)),
        None => Err(wrong(format!("time: invalid duration {text:?}"))),
    }
}

/// A duration as Go writes them: `1m30s`, `500ms`, `0`. Negative ones are none.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let (mut rest, mut nanos) = (text.strip_prefix('+').unwrap_or(text), 0.0);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let (_, unit) = UNITS.iter().find(|(name, _)| *name == &rest[..letters])?;
        nanos += number * unit;
        rest = &rest[letters..];
    }
    Duration::try_from_secs_f64(nanos / 1e9).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_go_reads_them() {
        for (text, millis) in [("0", 0), ("30s", 30_000), ("1m30s", 90_000), ("1.5s", 1_500), ("250ms", 250)] {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "30", "s", "1x", "-1s", "1e300h"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
