//! Texts that mean more than text: quantities, times and base64 bytes, checked and in their canonical form.

use crate::codec::doubles;
use crate::schema::model::Scalar;
use crate::schema::quantity::Quantity;
use crate::schema::spelling;
use base64::{DecodeError, Engine, engine::general_purpose::STANDARD};
use serde_json::{Number, Value};
use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};

/// Checks a quantity and writes it as Go would.
pub(super) fn quantity(text: &str) -> Result<Value, String> {
    if is_short_quantity(text) {
        return Ok(Value::String(text.to_owned()));
    }
    // Go passes over blanks around it.
    Quantity::written(text.trim_matches(' '))
        .map(|text| Value::String(text.into_owned()))
        .map_err(|error| error.to_string())
}

/// Up to three digits and a plain suffix, as nearly every quantity has them, are canonical as they stand.
fn is_short_quantity(text: &str) -> bool {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let plain = matches!(&text[digits..], "" | "m" | "k" | "M" | "G" | "Ki" | "Mi" | "Gi");
    plain && (1..=3).contains(&digits) && !text.starts_with('0')
}

/// Checks base64 text.
pub(super) fn bytes(text: &str) -> Result<Value, String> {
    if text.contains(['\r', '\n']) {
        let joined: String = text.chars().filter(|character| !matches!(character, '\r' | '\n')).collect();
        return bytes(&joined);
    }
    let index = match STANDARD.decode(text) {
        Ok(_) => return Ok(Value::String(text.to_owned())),
        Err(DecodeError::InvalidByte(index, _) | DecodeError::InvalidLastSymbol(index, _)) => index,
        Err(DecodeError::InvalidLength(_) | DecodeError::InvalidPadding) => text.len() / 4 * 4,
    };
    // Go reads from the front, and the library looks at the end first.
    let is_foreign = |byte: u8| !byte.is_ascii_alphanumeric() && !b"+/=".contains(&byte);
    let index = text.bytes().take(index).position(is_foreign).unwrap_or(index);
    Err(format!("illegal base64 data at input byte {index}"))
}

/// Checks a time and writes it in UTC and whole seconds.
pub(super) fn time(text: &str) -> Result<Value, String> {
    let moment = parse(text, "2006-01-02T15:04:05Z07:00")?;
    Ok(Value::String(seconds(moment) + "Z"))
}

/// The fraction in the layout of a `MicroTime`.
const MICROS: &str = ".000000";

/// Checks a time and writes it in UTC with six digits of a second.
pub(super) fn micro_time(text: &str) -> Result<Value, String> {
    let moment = parse(text, "2006-01-02T15:04:05.000000Z07:00")?;
    Ok(Value::String(format!("{}.{:06}Z", seconds(moment), moment.microsecond())))
}

/// A number as Go converts it to the type of a field, where that is one of whole numbers and it is no fraction: what does
/// not fit loses its upper bits.
pub(super) fn converted(scalar: Scalar, number: &Number) -> Option<Number> {
    // What reads itself does so from a text, in which a number that is no fraction has no point.
    if scalar == Scalar::IntOrString {
        return written(number).parse::<i64>().ok().map(Number::from);
    }
    let whole = match number.as_i64() {
        Some(whole) => whole,
        None => truncated(number.as_f64()?)?,
    };
    match scalar {
        Scalar::Int32 => Some((whole as i32).into()),
        Scalar::Int64 => Some(whole.into()),
        _ => None,
    }
}

/// A number as Go writes it.
pub(super) fn written(number: &Number) -> String {
    let mut out = Vec::new();
    spelling::free(&Value::Number(number.clone()), &mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// The 0 of a type of whole numbers, where it was written as `-0`: our parser takes that for a number with a point.
pub(super) fn whole_zero(scalar: Scalar, number: &Number) -> Option<Number> {
    let is_whole = matches!(scalar, Scalar::Int32 | Scalar::Int64 | Scalar::IntOrString);
    let is_zero =
        || number.is_f64() && number.as_f64().is_some_and(|number| number == 0.0 && number.is_sign_negative());
    (is_whole && is_zero()).then(|| 0.into())
}

/// Free JSON as it comes back from upstream's store, where numbers that no `int64` holds are doubles and zero has no sign.
pub(super) fn read_back(mut value: Value) -> Value {
    match &mut value {
        Value::Number(number) if !number.is_i64() => {
            if let Some(double) = number.as_f64() {
                return if double == 0.0 { 0.into() } else { doubles::of_double(double) };
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = read_back(item.take())),
        Value::Object(fields) => fields.values_mut().for_each(|field| *field = read_back(field.take())),
        _ => {}
    }
    value
}

/// A number that is no fraction as a processor converts it: what is out of bounds is the least one.
fn truncated(number: f64) -> Option<i64> {
    let bound = -(i64::MIN as f64);
    (number.trunc() == number).then(|| if (-bound..bound).contains(&number) { number as i64 } else { i64::MIN })
}

fn seconds(moment: OffsetDateTime) -> String {
    let (year, month, day) = (moment.year(), u8::from(moment.month()), moment.day());
    let (hour, minute, second) = (moment.hour(), moment.minute(), moment.second());
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

/// Parses RFC 3339 as Go does, and fails in its words.
fn parse(text: &str, layout: &str) -> Result<OffsetDateTime, String> {
    let mut reader = Reader { text, rest: text, layout };
    let year = reader.digits(4, "2006")?;
    reader.literal("-")?;
    let month = reader.digits(2, "01")?;
    reader.literal("-")?;
    let day = reader.digits(2, "02")?;
    reader.literal("T")?;
    let hour = reader.digits(2, "15")?;
    reader.literal(":")?;
    let minute = reader.digits(2, "04")?;
    reader.literal(":")?;
    let second = reader.digits(2, "05")?;
    let nanosecond = if layout.contains(MICROS) { reader.micros()? * 1_000 } else { reader.fraction() };
    let offset = reader.zone()?;
    if !reader.rest.is_empty() {
        return Err(format!("parsing time {text:?}: extra text: {:?}", reader.rest));
    }
    let range = |what: &str| format!("parsing time {text:?}: {what} out of range");
    let month = Month::try_from(month as u8).map_err(|_| range("month"))?;
    let date = Date::from_calendar_date(year as i32, month, day as u8).map_err(|_| range("day"))?;
    let unit = if hour > 23 {
        "hour"
    } else if minute > 59 {
        "minute"
    } else {
        "second"
    };
    let time = Time::from_hms_nano(hour as u8, minute as u8, second as u8, nanosecond).map_err(|_| range(unit))?;
    let moment = PrimitiveDateTime::new(date, time).assume_offset(offset);
    moment.checked_to_offset(UtcOffset::UTC).ok_or_else(|| range("year"))
}

struct Reader<'a> {
    text: &'a str,
    rest: &'a str,
    layout: &'a str,
}

impl Reader<'_> {
    fn wrong<T>(&self, element: &str) -> Result<T, String> {
        let Self { text, rest, layout } = self;
        Err(format!("parsing time {text:?} as {layout:?}: cannot parse {rest:?} as {element:?}"))
    }

    fn digits(&mut self, count: usize, element: &str) -> Result<u32, String> {
        match self.rest.get(..count) {
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.rest = &self.rest[count..];
                Ok(digits.bytes().fold(0, |number, digit| number * 10 + u32::from(digit - b'0')))
            }
            _ => self.wrong(element),
        }
    }

    fn literal(&mut self, literal: &str) -> Result<(), String> {
        match self.rest.strip_prefix(literal) {
            Some(rest) => {
                self.rest = rest;
                Ok(())
            }
            None => self.wrong(literal),
        }
    }

    /// The nanoseconds of an optional fraction.
    fn fraction(&mut self) -> u32 {
        let Some(after) = self.rest.strip_prefix(['.', ',']) else { return 0 };
        let count = after.bytes().take_while(u8::is_ascii_digit).count();
        if count == 0 {
            return 0;
        }
        let nanoseconds = after.bytes().take(count).chain(std::iter::repeat(b'0')).take(9);
        let nanoseconds = nanoseconds.fold(0, |number, digit| number * 10 + u32::from(digit - b'0'));
        self.rest = &after[count..];
        nanoseconds
    }

    /// A point and six digits, neither more nor fewer: what stands behind them is no zone.
    fn micros(&mut self) -> Result<u32, String> {
        let fraction = self.rest.get(..MICROS.len()).and_then(|part| part.strip_prefix(['.', ',']));
        match fraction.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit())) {
            Some(digits) => {
                self.rest = &self.rest[MICROS.len()..];
                Ok(digits.bytes().fold(0, |number, digit| number * 10 + u32::from(digit - b'0')))
            }
            None => self.wrong(MICROS),
        }
    }

    fn zone(&mut self) -> Result<UtcOffset, String> {
        if let Some(rest) = self.rest.strip_prefix('Z') {
            self.rest = rest;
            return Ok(UtcOffset::UTC);
        }
        let zone = self.rest.as_bytes();
        let digit =
            |index: usize| zone.get(index).filter(|byte| byte.is_ascii_digit()).map(|byte| i32::from(byte - b'0'));
        let sign = match zone.first() {
            Some(b'+') => 1,
            Some(b'-') => -1,
            _ => return self.wrong("Z07:00"),
        };
        let (Some(h1), Some(h2), Some(b':'), Some(m1), Some(m2)) =
            (digit(1), digit(2), zone.get(3), digit(4), digit(5))
        else {
            return self.wrong("Z07:00");
        };
        self.rest = &self.rest[6..];
        let seconds = sign * ((h1 * 10 + h2) * 3600 + (m1 * 10 + m2) * 60);
        UtcOffset::from_whole_seconds(seconds)
            .map_err(|_| format!("parsing time {:?}: time zone offset hour out of range", self.text))
    }
}
