//! What cells of Tables are made of: ages, joined lists, counts, as kubectl shows them.

use crate::schema::quantity::Quantity;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::time::{Duration, SystemTime};
use tinyplane_wire::clock;
use tinyplane_wire::meta::{Meta, pairs};

/// The cells of a kind without columns of its own.
#[must_use]
pub fn name_and_age(object: &Value, now: SystemTime) -> Vec<Value> {
    vec![name(object), age(object, now)]
}

/// The name's cell.
#[must_use]
pub fn name(object: &Value) -> Value {
    json!(Meta::of(object).name())
}

/// The age's cell.
#[must_use]
pub fn age(object: &Value, now: SystemTime) -> Value {
    since(&object["metadata"]["creationTimestamp"], now)
}

/// The time since a timestamp, or `<unknown>`.
#[must_use]
pub fn since(timestamp: &Value, now: SystemTime) -> Value {
    match timestamp.as_str().and_then(clock::parse) {
        Some(at) => json!(match now.duration_since(at) {
            Ok(passed) => duration(passed),
            Err(ahead) if ahead.duration() < Duration::from_secs(2) => "0s".to_owned(),
            Err(_) => "<invalid>".to_owned(),
        }),
        None => json!("<unknown>"),
    }
}

/// A duration as kubectl shows it: two or three digits of precision.
#[must_use]
pub fn duration(passed: Duration) -> String {
    let seconds = passed.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let pair = |whole: u64, unit: &str, rest: u64, small: &str| match rest {
        0 => format!("{whole}{unit}"),
        rest => format!("{whole}{unit}{rest}{small}"),
    };
    match () {
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => pair(minutes, "m", seconds % 60, "s"),
        () if hours < 3 => format!("{minutes}m"),
        () if hours < 8 => pair(hours, "h", minutes % 60, "m"),
        () if hours < 48 => format!("{hours}h"),
        () if days < 8 => pair(days, "d", hours % 24, "h"),
        () if days < 730 => format!("{days}d"),
        () if days < 365 * 8 => pair(days / 365, "y", days % 365, "d"),
        () => format!("{}y", days / 365),
    }
}

/// A text, or `<none>` where it is missing or empty.
#[must_use]
pub fn or_none(value: &Value) -> Value {
    match value.as_str() {
        None | Some("") => json!("<none>"),
        Some(text) => json!(text),
    }
}

/// A number, 0 where it is missing.
#[must_use]
pub fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_default()
}

/// A quantity in canonical form, 0 where it is missing.
#[must_use]
pub fn quantity(value: &Value) -> String {
    match value {
        Value::Null => "0".to_owned(),
        Value::String(text) => Quantity::written(text).map_or_else(|_| text.clone(), Cow::into_owned),
        other => other.to_string(),
    }
}

/// How many items or entries there are.
#[must_use]
pub fn size(value: &Value) -> usize {
    value.as_array().map(Vec::len).or_else(|| value.as_object().map(serde_json::Map::len)).unwrap_or_default()
}

/// The items of a list; nothing where there is no list.
pub fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Texts joined by commas, or `<none>`.
#[must_use]
pub fn joined<'a>(texts: impl IntoIterator<Item = &'a str>) -> Value {
    let texts: Vec<&str> = texts.into_iter().collect();
    if texts.is_empty() { json!("<none>") } else { json!(texts.join(",")) }
}

/// A map of labels as `a=b,c=d`, or `<none>`.
#[must_use]
pub fn label_map(map: &Value) -> Value {
    let labels: Vec<String> = pairs(map).map(|(key, value)| format!("{key}={value}")).collect();
    joined(labels.iter().map(String::as_str))
}

/// A label selector in text form, or `<none>`.
#[must_use]
pub fn selector(selector: &Value) -> Value {
    match tinyplane_wire::selector::LabelSelector::from_object(selector) {
        Ok(Some(selector)) if !selector.is_empty() => json!(selector.to_string()),
        Ok(_) => json!("<none>"),
        Err(_) => json!("<error>"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_kubectl_writes_them() {
        let table = [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (599, "9m59s"),
            (601, "10m"),
            (3 * 3600 - 1, "179m"),
            (3 * 3600, "3h"),
            (3 * 3600 + 61, "3h1m"),
            (47 * 3600, "47h"),
            (48 * 3600, "2d"),
            (49 * 3600, "2d1h"),
            (8 * 86_400, "8d"),
            (730 * 86_400, "2y"),
            (731 * 86_400, "2y1d"),
            (3000 * 86_400, "8y"),
        ];
        for (seconds, text) in table {
            assert_eq!(duration(Duration::from_secs(seconds)), text);
        }
    }
}
