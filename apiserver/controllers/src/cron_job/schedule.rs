//! Schedules in the form of cron: five fields, or a word such as `@daily`.

use super::zone::Zone;
use crate::duration;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use time::OffsetDateTime;

/// How far ahead the next time is sought: what is not due in five years never is.
const YEARS_MAX: i64 = 5;

/// When something is due.
#[derive(Debug)]
pub(super) enum Schedule {
    /// At times whose fields are all allowed: bits of minutes, hours, days, months, weekdays.
    Fields(Fields),
    /// Again and again after a while (`@every 90s`).
    Every(Duration),
}

#[derive(Debug, PartialEq)]
pub(super) struct Fields {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Days and weekdays that are both given are alternatives.
    either_day: bool,
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl Schedule {
    /// Reads a schedule.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if let Some(every) = text.strip_prefix("@every ") {
            let every = duration::parse(every).ok_or_else(|| format!("failed to parse duration {text}"))?;
            return Ok(Self::Every(every.max(Duration::from_secs(1))));
        }
        let fields = match text {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            word if word.starts_with('@') => return Err(format!("unrecognized descriptor: {word}")),
            fields => fields,
        };
        let parts: Vec<&str> = fields.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = parts.as_slice() else {
            return Err(format!("expected exactly 5 fields, found {}: [{}]", parts.len(), parts.join(" ")));
        };
        let open = |text: &str| text.starts_with('*') || text.starts_with('?');
        let mut weekday_bits = field(weekdays, 0, 7, &WEEKDAYS)?;
        // Sunday is 0, and 7 as well.
        weekday_bits = (weekday_bits | (weekday_bits >> 7)) & 0x7f;
        Ok(Self::Fields(Fields {
            minutes: field(minutes, 0, 59, &[])?,
            hours: field(hours, 0, 23, &[])?,
            days: field(days, 1, 31, &[])?,
            months: field(months, 1, 12, &MONTHS)?,
            weekdays: weekday_bits,
            either_day: !open(days) && !open(weekdays),
        }))
    }

    /// The first time after `after`, in seconds since 1970.
    pub(super) fn next(&self, after: i64, zone: &Zone) -> Option<i64> {
        let fields = match self {
            Self::Every(every) => return Some(after + i64::try_from(every.as_secs()).unwrap_or(i64::MAX / 2)),
            Self::Fields(fields) => fields,
        };
        let mut at = (after.div_euclid(60) + 1) * 60;
        let last = after + YEARS_MAX * 366 * 86_400;
        while at <= last {
            let local = OffsetDateTime::from_unix_timestamp(at + zone.offset_at(at)).ok()?;
            let minute = i64::from(local.minute());
            if !fields.allows_hour(local) {
                // The next full hour of this place.
                at += (60 - minute) * 60;
            } else if fields.minutes & (1 << minute) == 0 {
                at += 60;
            } else {
                return Some(at);
            }
        }
        None
    }
}

impl Fields {
    fn allows_hour(&self, at: OffsetDateTime) -> bool {
        let has = |bits: u64, n: u8| bits & (1 << n) != 0;
        let day = has(self.days, at.day());
        let weekday = has(self.weekdays, at.weekday().number_days_from_sunday());
        has(self.months, u8::from(at.month()))
            && has(self.hours, at.hour())
            && if self.either_day { day || weekday } else { day && weekday }
    }
}

/// The bits of one field: a list of `*`, `n`, `a-b`, each with an optional `/step`.
fn field(text: &str, least: u64, most: u64, words: &[&str]) -> Result<u64, String> {
    let mut bits = 0;
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => {
                let step: u64 = step.parse().map_err(|_| format!("failed to parse int from {step}"))?;
                if step == 0 {
                    return Err(format!("step of range should be a positive number: {part}"));
                }
                (range, Some(step))
            }
            None => (part, None),
        };
        let number = |text: &str| -> Result<u64, String> {
            let word = words.iter().position(|word| *word == text.to_lowercase());
            match word {
                Some(at) => Ok(at as u64 + u64::from(words.len() == 12)),
                None => text.parse().map_err(|_| format!("failed to parse int from {text}")),
            }
        };
        let (first, last) = match (range, range.split_once('-')) {
            ("*" | "?", _) => (least, if most == 7 { 6 } else { most }),
            (_, Some((first, last))) => (number(first)?, number(last)?),
            (one, None) => {
                let first = number(one)?;
                (first, if step.is_some() { most } else { first })
            }
        };
        if first < least {
            return Err(format!("beginning of range ({first}) below minimum ({least}): {part}"));
        }
        if last > most {
            return Err(format!("end of range ({last}) above maximum ({most}): {part}"));
        }
        if first > last {
            return Err(format!("beginning of range ({first}) beyond end of range ({last}): {part}"));
        }
        let mut n = first;
        while n <= last {
            bits |= 1 << n;
            n += step.unwrap_or(1);
        }
    }
    Ok(bits)
}

/// Seconds since 1970.
pub(super) fn seconds(at: SystemTime) -> i64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tinyplane_wire::clock;

    fn next(schedule: &str, after: &str) -> String {
        let after = seconds(clock::parse(after).unwrap());
        let next = Schedule::parse(schedule).unwrap().next(after, &Zone::utc()).unwrap();
        clock::format_seconds(UNIX_EPOCH + Duration::from_secs(u64::try_from(next).unwrap()))
    }

    #[test]
    fn the_next_time_is_found() {
        assert_eq!(next("*/15 * * * *", "2026-01-01T00:00:00Z"), "2026-01-01T00:15:00Z");
        assert_eq!(next("0 12 1 * *", "2026-01-01T12:00:00Z"), "2026-02-01T12:00:00Z");
        assert_eq!(next("30 4 1,15 * 5", "2026-01-01T05:00:00Z"), "2026-01-02T04:30:00Z", "days are alternatives");
        assert_eq!(next("0 0 29 feb *", "2026-01-01T00:00:00Z"), "2028-02-29T00:00:00Z");
        assert_eq!(next("0 9 * * MON-FRI", "2026-01-02T09:00:00Z"), "2026-01-05T09:00:00Z");
        assert_eq!(next("0 9 * * 7", "2026-01-02T09:00:00Z"), "2026-01-04T09:00:00Z");
        assert_eq!(next("@hourly", "2026-01-01T00:59:59Z"), "2026-01-01T01:00:00Z");
        assert_eq!(next("@every 90s", "2026-01-01T00:00:00Z"), "2026-01-01T00:01:30Z");
        assert_eq!(Schedule::parse("0 0 30 2 *").unwrap().next(0, &Zone::utc()), None);
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for wrong in ["* * * *", "60 * * * *", "*/0 * * * *", "5-1 * * * *", "@never", "x * * * *"] {
            assert!(Schedule::parse(wrong).is_err(), "{wrong}");
        }
    }
}
