//! Numbers that may be said as percentages.

use super::field::Errors;
use serde_json::Value;

/// A number that is not negative, or a percentage.
pub(super) fn check_share(value: &Value, path: &str, errors: &mut Errors) {
    match value {
        Value::Number(_) => errors.non_negative(path, value),
        Value::String(text) if !is_percentage(text) => {
            errors.invalid(path, value, "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')");
        }
        _ => {}
    }
}

/// A percentage, where it is one, of at most a hundred.
pub(super) fn at_most_whole(value: &Value, path: &str, errors: &mut Errors) {
    if percentage(value).is_some_and(|percent| percent > 100) {
        errors.invalid(path, value, "must not be greater than 100%");
    }
}

/// Whether it is nothing, said as a number or a percentage.
pub(super) fn is_nothing(value: &Value) -> bool {
    let number = match value {
        Value::String(text) => percentage(value).or_else(|| text.parse().ok()),
        other => other.as_i64(),
    };
    number.unwrap_or_default() == 0
}

fn is_percentage(text: &str) -> bool {
    text.strip_suffix('%').is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

fn percentage(value: &Value) -> Option<i64> {
    let text = value.as_str().filter(|text| is_percentage(text))?;
    text.trim_end_matches('%').parse().ok().or(Some(i64::MAX))
}
