//! What a scalar means, by YAML 1.1 as Go's library has it, and how numbers are written.

use crate::codec::doubles::{self, UINT64_END};
use crate::schema::go;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Number, Value};

const LONG_TAG: &str = "tag:yaml.org,2002:";

/// A scalar's meaning.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Plain {
    Null,
    Bool(bool),
    Integer(i64),
    Unsigned(u64),
    Float(f64),
    Text(String),
}

/// What a scalar means with its tag. One in quotation marks is a text.
pub(super) fn resolve(text: &str, tag: Option<&str>, implicit: bool) -> Result<Plain, String> {
    let owned = || Ok(Plain::Text(text.to_owned()));
    let Some(tag) = tag else { return if implicit { Ok(meaning(text)) } else { owned() } };
    let wanted = match tag.strip_prefix(LONG_TAG) {
        Some("binary") => {
            let bytes: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
            let bytes = BASE64_STANDARD.decode(bytes);
            return match bytes {
                Ok(bytes) => Ok(Plain::Text(String::from_utf8_lossy(&bytes).into_owned())),
                Err(_) => Err("!!binary value contains invalid base64 data".to_owned()),
            };
        }
        Some(known @ ("bool" | "int" | "float" | "null" | "timestamp")) => known,
        _ => return owned(),
    };
    let is_time = matches!(wanted, "timestamp") && is_timestamp(text);
    let plain = meaning(text);
    let found = match &plain {
        _ if is_time => "timestamp",
        Plain::Null => "null",
        Plain::Bool(_) => "bool",
        Plain::Integer(_) | Plain::Unsigned(_) => "int",
        Plain::Float(_) => "float",
        Plain::Text(_) => "str",
    };
    match plain {
        #[expect(clippy::cast_precision_loss, reason = "a float is what is wished")]
        Plain::Integer(value) if wanted == "float" => Ok(Plain::Float(value as f64)),
        plain if wanted == found => Ok(plain),
        _ => Err(format!("cannot decode !!{found} `{text}` as a !!{wanted}")),
    }
}

/// Whether a text means itself without quotation marks.
pub(super) fn is_text(text: &str) -> bool {
    matches!(meaning(text), Plain::Text(_)) && !is_timestamp(text) && !is_base_sixty(text)
}

fn meaning(text: &str) -> Plain {
    let known = match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Some(Plain::Bool(true)),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Some(Plain::Bool(false))
        }
        "" | "~" | "null" | "Null" | "NULL" => Some(Plain::Null),
        ".nan" | ".NaN" | ".NAN" => Some(Plain::Float(f64::NAN)),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Some(Plain::Float(f64::INFINITY)),
        "-.inf" | "-.Inf" | "-.INF" => Some(Plain::Float(f64::NEG_INFINITY)),
        _ => match text.bytes().next() {
            Some(b'.') => separated(text).as_deref().and_then(float),
            Some(b'+' | b'-' | b'0'..=b'9') => {
                let digits = text.replace('_', "");
                integer(&digits).or_else(|| float(&digits))
            }
            _ => None,
        },
    };
    known.unwrap_or_else(|| Plain::Text(text.to_owned()))
}

/// A number without the strokes that separate its digits, if they do nothing else.
fn separated(text: &str) -> Option<String> {
    let digit = |at: Option<usize>| at.and_then(|at| text.as_bytes().get(at)).is_some_and(u8::is_ascii_digit);
    let fits = text.match_indices('_').all(|(at, _)| digit(at.checked_sub(1)) && digit(at.checked_add(1)));
    fits.then(|| text.replace('_', ""))
}

fn integer(text: &str) -> Option<Plain> {
    let (sign, digits) = match text.as_bytes() {
        [b'-', ..] => ("-", &text[1..]),
        [b'+', ..] => ("", &text[1..]),
        _ => ("", text),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, &lower[..]),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    match i64::from_str_radix(&format!("{sign}{digits}"), radix) {
        Ok(number) => Some(Plain::Integer(number)),
        // Go's reader of unsigned numbers knows no sign.
        Err(_) if text.starts_with(['+', '-']) => None,
        Err(_) => u64::from_str_radix(digits, radix).ok().map(Plain::Unsigned),
    }
}

fn float(text: &str) -> Option<Plain> {
    let is_one = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    text.parse::<f64>().ok().filter(|number| is_one && number.is_finite()).map(Plain::Float)
}

/// `2001-2-3`, and with a time behind it.
fn is_timestamp(text: &str) -> bool {
    let mut rest = text;
    let mut number = |digits: std::ops::RangeInclusive<usize>, after: &[char]| {
        let count = rest.bytes().take(*digits.end()).take_while(u8::is_ascii_digit).count();
        let number = rest[..count].parse::<u32>().ok().filter(|_| digits.contains(&count))?;
        rest = &rest[count..];
        if !after.is_empty() && !rest.is_empty() {
            rest = rest.strip_prefix(after)?;
        } else if !after.is_empty() && after != ['T', 't', ' '] {
            return None;
        }
        Some(number)
    };
    let Some((year, month, day)) =
        (|| Some((number(4..=4, &['-'])?, number(1..=2, &['-'])?, number(1..=2, &['T', 't', ' '])?)))()
    else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u32::from(leap),
        _ => 31,
    };
    if !(1..=12).contains(&month) || !(1..=days).contains(&day) {
        return false;
    }
    let date = text.len() - rest.len();
    if rest.is_empty() {
        return !text.ends_with(['T', 't', ' ']);
    }
    is_time(rest, text.as_bytes()[date - 1] != b' ')
}

/// `4:05:06.7`, and where the zone is told, `Z` or `+01:00`.
fn is_time(text: &str, zoned: bool) -> bool {
    let end = if zoned { text.find(['Z', '+', '-']) } else { Some(text.len()) };
    let Some((time, zone)) = end.map(|end| text.split_at(end)) else { return false };
    let (time, fraction) = time.split_once(['.', ',']).map_or((time, "0"), |(time, fraction)| (time, fraction));
    let is_number = |text: &str, below: u32| {
        (1..=2).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_digit())
            && text.parse::<u32>().is_ok_and(|number| number < below)
    };
    let parts: Vec<&str> = time.split(':').collect();
    let [hours, minutes, seconds] = parts[..] else { return false };
    let has_zone = match zone.split_at_checked(1) {
        None => !zoned,
        Some(("Z", rest)) => rest.is_empty(),
        Some((_, rest)) => rest.split_once(':').is_some_and(|(hours, minutes)| {
            hours.len() == 2 && minutes.len() == 2 && is_number(hours, 25) && is_number(minutes, 60)
        }),
    };
    let is_fraction = !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit());
    is_number(hours, 24) && is_number(minutes, 60) && is_number(seconds, 60) && is_fraction && has_zone
}

/// `190:20:30.15`: a number of YAML 1.1 that Go reads as a text, and writes with quotation marks.
fn is_base_sixty(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    let mut parts = whole.split(':');
    let first = parts.next().unwrap_or_default();
    let mut others = 0;
    let fits = parts.all(|part| {
        others += 1;
        match part.as_bytes() {
            [one] => one.is_ascii_digit(),
            [ten, one] => (b'0'..=b'5').contains(ten) && one.is_ascii_digit(),
            _ => false,
        }
    });
    first.as_bytes().first().is_some_and(u8::is_ascii_digit)
        && is_digits(first)
        && others > 0
        && fits
        && is_digits(fraction)
}

/// Whole numbers up to here are each a double.
const EXACT_END: f64 = 9_007_199_254_740_992.0;

/// A number as JSON has it: a whole one without a fraction.
pub(super) fn number(value: f64) -> Option<Number> {
    #[expect(clippy::cast_possible_truncation, reason = "only of whole numbers that fit")]
    if value.fract() == 0.0 && value.abs() < EXACT_END {
        return Some(Number::from(value as i64));
    }
    // Beyond them the text counts, which has no more digits than tell it from its neighbours.
    if value.fract() == 0.0
        && value.abs() < UINT64_END
        && let Ok(whole) = value.to_string().parse::<i64>()
    {
        return Some(whole.into());
    }
    match doubles::of_double(value) {
        Value::Number(number) => Some(number),
        _ => None,
    }
}

/// A number that has no end, or is none, as Go names it.
pub(super) const fn without_end(value: f64) -> &'static str {
    if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "+Inf"
    } else {
        "-Inf"
    }
}

/// A number that is a key: Go rounds it.
pub(super) fn key_of_float(value: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "as Go rounds it")]
    let short = value as f32;
    if !short.is_finite() {
        return match without_end(f64::from(short)) {
            "NaN" => ".nan",
            "+Inf" => ".inf",
            _ => "-.inf",
        }
        .to_owned();
    }
    go::shortest(&format!("{short:e}"))
}

/// A value as `%#v` prints it: at the top, or below.
pub(super) fn go_syntax(value: &Value, top: bool) -> String {
    match value {
        Value::Null if top => "<nil>".to_owned(),
        Value::Null => "interface {}(nil)".to_owned(),
        Value::String(text) => go::quote(text),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| go_syntax(item, false)).collect();
            format!("[]interface {{}}{{{}}}", items.join(", "))
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| *name);
            let fields = fields.iter().map(|(name, value)| format!("{}:{}", go::quote(name), go_syntax(value, false)));
            format!("map[interface {{}}]interface {{}}{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(float) => go::float(float),
            None => number.to_string(),
        },
        Value::Bool(is) => is.to_string(),
    }
}
