//! Times in DER, read as Go's `time` reads them, and told of in its words.

use std::fmt::Write as _;

/// The layouts, as Go has them.
const WITHOUT_SECONDS: &str = "0601021504Z0700";
const SHORT: &str = "060102150405Z0700";
const LONG: &str = "20060102150405.999999999Z0700";

/// What is wrong with a time of two digits a year.
pub(super) fn short(content: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(content);
    match Time::read(&text, WITHOUT_SECONDS) {
        Ok(time) => time.demand_same(&text, WITHOUT_SECONDS),
        Err(_) => Time::read(&text, SHORT)?.demand_same(&text, SHORT),
    }
}

/// What is wrong with a time of four digits a year.
pub(super) fn long(content: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(content);
    Time::read(&text, LONG)?.demand_same(&text, LONG)
}

#[derive(Debug, Default)]
struct Time {
    year: u32,
    month: u32,
    day: u32,
    hour: u32,
    minute: u32,
    second: u32,
    /// Digits behind the second, without zeros at their end.
    fraction: String,
    /// `Z`, or a sign, hours and minutes.
    zone: String,
}

/// Why an element of a layout has no value.
enum Bad {
    Unreadable,
    Beyond(&'static str),
}

impl Time {
    /// Reads a text by a layout: its elements are of two digits, but for a year of four, a fraction and the zone.
    fn read(text: &str, layout: &str) -> Result<Self, String> {
        let mut time = Self::default();
        let (mut value, mut rest) = (text, layout);
        while !rest.is_empty() {
            let length = match rest.as_bytes() {
                [b'2', ..] => 4,
                [b'.', ..] => 10,
                [b'Z', ..] => 5,
                _ => 2,
            };
            let (element, behind) = rest.split_at(length);
            value = time.take(element, value).map_err(|bad| match bad {
                Bad::Unreadable => {
                    let [text, layout, value, element] = [text, layout, value, element].map(quoted);
                    format!("parsing time {text} as {layout}: cannot parse {value} as {element}")
                }
                Bad::Beyond(what) => format!("parsing time {}: {what} out of range", quoted(text)),
            })?;
            rest = behind;
        }
        if !value.is_empty() {
            return Err(format!("parsing time {}: extra text: {}", quoted(text), quoted(value)));
        }
        let is_leap = time.year.is_multiple_of(4) && (!time.year.is_multiple_of(100) || time.year.is_multiple_of(400));
        let days = match time.month {
            2 if is_leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        if !(1..=days).contains(&time.day) {
            return Err(format!("parsing time {}: day out of range", quoted(text)));
        }
        Ok(time)
    }

    /// Takes one element, and tells what is behind it.
    fn take<'a>(&mut self, element: &str, value: &'a str) -> Result<&'a str, Bad> {
        let digits = |count: usize| {
            let digits = value.get(..count).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
            let number = digits.and_then(|digits| digits.parse::<u32>().ok()).ok_or(Bad::Unreadable)?;
            Ok((number, &value[count..]))
        };
        let within = |(number, rest): (u32, &'a str), most: u32, what| {
            if number <= most { Ok((number, rest)) } else { Err(Bad::Beyond(what)) }
        };
        let rest;
        match element {
            "2006" => (self.year, rest) = digits(4)?,
            "06" => {
                (self.year, rest) = digits(2)?;
                self.year += if self.year >= 69 { 1900 } else { 2000 };
            }
            "01" => {
                (self.month, rest) = within(digits(2)?, 12, "month")?;
                if self.month == 0 {
                    return Err(Bad::Beyond("month"));
                }
            }
            "02" => (self.day, rest) = digits(2)?,
            "15" => {
                // An hour alone may be of one digit.
                let read = digits(2).or_else(|_| digits(1));
                (self.hour, rest) = within(read?, 23, "hour")?;
            }
            "04" => (self.minute, rest) = within(digits(2)?, 59, "minute")?,
            "05" => {
                let (second, behind) = within(digits(2)?, 59, "second")?;
                self.second = second;
                // A fraction may follow, whether or not the layout says so.
                rest = self.fraction(behind);
            }
            ".999999999" => rest = value,
            _ => rest = self.zone(value)?,
        }
        Ok(rest)
    }

    fn fraction<'a>(&mut self, value: &'a str) -> &'a str {
        let Some(digits) = value.strip_prefix(['.', ',']) else { return value };
        let count = digits.bytes().take_while(u8::is_ascii_digit).count();
        if count == 0 {
            return value;
        }
        let counted = &digits[..count.min(9)];
        self.fraction = counted.trim_end_matches('0').to_owned();
        &digits[count..]
    }

    fn zone<'a>(&mut self, value: &'a str) -> Result<&'a str, Bad> {
        if let Some(rest) = value.strip_prefix('Z') {
            self.zone = "Z".to_owned();
            return Ok(rest);
        }
        let (zone, rest) = value.split_at_checked(5).ok_or(Bad::Unreadable)?;
        let number = |at: usize| {
            let digits = zone.get(at..at + 2).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
            digits.and_then(|digits| digits.parse::<u32>().ok()).ok_or(Bad::Unreadable)
        };
        let (hours, minutes) = (number(1)?, number(3)?);
        if hours > 24 || minutes > 60 {
            let what = if minutes > 60 { "time zone offset minute" } else { "time zone offset hour" };
            return Err(Bad::Beyond(what));
        }
        if !zone.starts_with(['+', '-']) {
            return Err(Bad::Unreadable);
        }
        self.zone = if hours == 0 && minutes == 0 { "Z".to_owned() } else { zone.to_owned() };
        Ok(rest)
    }

    /// Insists that the time would be written as it was read.
    fn demand_same(&self, text: &str, layout: &str) -> Result<(), String> {
        let Self { year, month, day, hour, minute, second, fraction, zone } = self;
        let mut written = if layout == LONG { format!("{year:04}") } else { format!("{:02}", year % 100) };
        let _ = write!(written, "{month:02}{day:02}{hour:02}{minute:02}");
        if layout != WITHOUT_SECONDS {
            let _ = write!(written, "{second:02}");
        }
        if layout == LONG && !fraction.is_empty() {
            let _ = write!(written, ".{fraction}");
        }
        written.push_str(zone);
        if written == text {
            return Ok(());
        }
        let [text, written] = [text, &written].map(crate::quote::quote);
        Err(format!(
            "asn1: time did not serialize back to the original value and may be invalid: given {text}, but serialized as {written}"
        ))
    }
}

/// A text as Go's `time` quotes it.
fn quoted(text: &str) -> String {
    let mut out = "\"".to_owned();
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend(['\\', char::from(byte)]),
            b' '..=0x7f => out.push(char::from(byte)),
            _ => drop(write!(out, "\\x{byte:02x}")),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_as_go_reads_it() {
        for text in ["250101000000Z", "2501010000Z", "250101000000+0100", "490229000000Z", "000229000000Z"] {
            assert_eq!(short(text.as_bytes()).is_ok(), !text.starts_with("49"), "{text}");
        }
        for text in ["20250101000000Z", "20250101000000.5Z", "99991231235959-0130", "00000101000000Z"] {
            assert_eq!(long(text.as_bytes()), Ok(()), "{text}");
        }
        let as_short = "as \"060102150405Z0700\": cannot parse";
        for (text, wanted) in [
            ("xx", format!("parsing time \"xx\" {as_short} \"xx\" as \"06\"")),
            ("250230000000Z", "parsing time \"250230000000Z\": day out of range".into()),
            ("251301000000Z", "parsing time \"251301000000Z\": month out of range".into()),
            ("250101240000Z", "parsing time \"250101240000Z\": hour out of range".into()),
            ("250101000000", format!("parsing time \"250101000000\" {as_short} \"\" as \"Z0700\"")),
            ("250101000000Zx", "parsing time \"250101000000Zx\": extra text: \"x\"".into()),
            ("é", format!("parsing time \"\\xc3\\xa9\" {as_short} \"\\xc3\\xa9\" as \"06\"")),
        ] {
            assert_eq!(short(text.as_bytes()), Err(wanted), "{text}");
        }
        let layout = "as \"20060102150405.999999999Z0700\"";
        let cut = format!("parsing time \"2025\" {layout}: cannot parse \"\" as \"01\"");
        assert_eq!(long(b"2025"), Err(cut));
        let given = "asn1: time did not serialize back to the original value and may be invalid: given";
        let same = format!("{given} \"20250101000000+0000\", but serialized as \"20250101000000Z\"");
        assert_eq!(long(b"20250101000000+0000"), Err(same));
        let longer = format!("{given} \"20250101000000.50Z\", but serialized as \"20250101000000.5Z\"");
        assert_eq!(long(b"20250101000000.50Z"), Err(longer));
    }
}
