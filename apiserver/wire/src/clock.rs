//! Time, as every member asks for it. Later a test moves it; today it is the system's.

use std::time::{Duration, SystemTime, UNIX_EPOCH};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

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
        OffsetDateTime::from(self.now())
            .format(format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z"))
            .unwrap_or_default()
    }
}

/// `metav1.Time`: RFC 3339 in UTC, whole seconds.
#[must_use]
pub fn format_seconds(at: SystemTime) -> String {
    OffsetDateTime::from(at)
        .format(format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z"))
        .unwrap_or_default()
}

/// RFC 3339 with nine digits of a second, as container logs carry it.
#[must_use]
pub fn format_nanos(at: SystemTime) -> String {
    OffsetDateTime::from(at)
        .format(format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:9]Z"))
        .unwrap_or_default()
}

/// Reads a `metav1.Time` or `metav1.MicroTime`.
#[must_use]
pub fn parse(text: &str) -> Option<SystemTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok().map(SystemTime::from)
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
}
