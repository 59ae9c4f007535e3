//! Time, as every member asks for it: the wall clock is read here alone.

use std::time::{Duration, SystemTime, UNIX_EPOCH};
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

/// Where a member gets the time from. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    _private: (),
}

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::default()
    }

    /// The wall clock's time.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the system")]
    pub fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    /// Seconds since the epoch.
    #[must_use]
    pub fn unix_seconds(&self) -> i64 {
        i64::try_from(self.now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()).unwrap_or(i64::MAX)
    }

    /// Waits. Only for what is due at a time (beats, back-off, deadlines); never to wait for a state.
    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    /// The time as `metav1.Time`: `2026-11-22T10:00:00Z`.
    #[must_use]
    pub fn timestamp(&self) -> String {
        format_seconds(self.now())
    }

    /// The time as `metav1.MicroTime`: `2026-11-22T10:00:00.000000Z`.
    #[must_use]
    pub fn timestamp_micro(&self) -> String {
        format_micros(self.now())
    }
}

/// A time in UTC. What the calendar does not reach, a file's time for one, is its first or its last moment.
#[must_use]
pub fn utc(at: SystemTime) -> OffsetDateTime {
    let span = |span: Duration| time::Duration::try_from(span).unwrap_or(time::Duration::MAX);
    match at.duration_since(UNIX_EPOCH) {
        Ok(since) => OffsetDateTime::UNIX_EPOCH.saturating_add(span(since)),
        Err(before) => OffsetDateTime::UNIX_EPOCH.saturating_sub(span(before.duration())),
    }
}

/// `metav1.Time`: RFC 3339 in UTC, whole seconds.
#[must_use]
pub fn format_seconds(at: SystemTime) -> String {
    utc(at).format(format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z")).unwrap_or_default()
}

/// `metav1.MicroTime`: RFC 3339 in UTC with six digits of a second.
#[must_use]
pub fn format_micros(at: SystemTime) -> String {
    let (mut text, at) = (*b"0000-00-00T00:00:00.000000Z", utc(at));
    let year = at.year().clamp(0, 9_999).unsigned_abs();
    let parts = [
        (0..4, year),
        (5..7, u8::from(at.month()).into()),
        (8..10, at.day().into()),
        (11..13, at.hour().into()),
        (14..16, at.minute().into()),
        (17..19, at.second().into()),
        (20..26, at.microsecond()),
    ];
    for (place, mut number) in parts {
        for digit in text[place].iter_mut().rev() {
            *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
            number /= 10;
        }
    }
    text.into_iter().map(char::from).collect()
}

/// RFC 3339 with nine digits of a second, as container logs carry it.
#[must_use]
pub fn format_nanos(at: SystemTime) -> String {
    utc(at)
        .format(format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:9]Z"))
        .unwrap_or_default()
}

/// Reads a `metav1.Time` or `metav1.MicroTime`, which can be said in UTC as well: no year beyond 9999.
#[must_use]
pub fn parse(text: &str) -> Option<SystemTime> {
    let utc = OffsetDateTime::parse(text, &Rfc3339).ok()?.checked_to_offset(UtcOffset::UTC)?;
    (utc.year() >= 0).then(|| utc.into())
}

/// The units of Go's durations, in nanoseconds.
const UNITS: [(&str, f64); 7] =
    [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3_600e9)];

/// A duration as Go writes them, in flags and in queries: `1m30s`, `500ms`, `0`. Negative ones are none.
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

/// A flag's duration, or the sentence that refuses it.
///
/// # Errors
/// For what [`parse_duration`] does not read.
pub fn duration_flag(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| format!("{text:?} is no duration such as 1h, 1m30s or 500ms"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_round_trip_to_the_second() {
        let at = UNIX_EPOCH + Duration::from_secs(1_764_000_000);
        assert_eq!(format_seconds(at), "2025-11-24T16:00:00Z");
        assert_eq!(parse("2025-11-24T16:00:00Z"), Some(at));
        assert_eq!(parse("2025-11-24T17:00:00.000000+01:00"), Some(at));
        assert_eq!(format_nanos(at), "2025-11-24T16:00:00.000000000Z");
    }

    #[test]
    fn durations_read_as_go_reads_them() {
        for (text, millis) in
            [("0", 0), ("30s", 30_000), ("1m30s", 90_000), ("1h0m10s", 3_610_000), ("1.5s", 1_500), ("250ms", 250)]
        {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "30", "s", "1x", "-1s", "1e300h", "1s2", "1..2s"] {
            assert!(duration_flag(text).is_err(), "{text}");
        }
    }
}
