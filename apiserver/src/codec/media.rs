//! What a `Content-Type` names, read as Go reads it.

use std::borrow::Cow;
use std::collections::HashMap;

/// The type that a header names, in small letters and without its parameters; `None` where these can't be read.
pub(super) fn named(header: &str) -> Option<Cow<'_, str>> {
    let (named, parameters) = header.split_at(header.find(';').unwrap_or(header.len()));
    let named = named.trim();
    let named = || {
        if named.bytes().any(|byte| byte.is_ascii_uppercase()) {
            named.to_ascii_lowercase().into()
        } else {
            named.into()
        }
    };
    is_readable(parameters).then(named)
}

/// Whether all of the parameters behind a type can be read. Alone behind them a semicolon may stand.
fn is_readable(parameters: &str) -> bool {
    let mut rest = parameters.trim();
    let mut known: HashMap<String, &str> = HashMap::new();
    while !rest.is_empty() && rest != ";" {
        let Some((name, value, behind)) = parameter(rest) else { return false };
        if known.insert(name.to_ascii_lowercase(), value).is_some_and(|said| said != value) {
            return false;
        }
        rest = behind.trim_start();
    }
    true
}

/// The first parameter with its semicolon: its name, its value as it stands, and what is behind it.
fn parameter(text: &str) -> Option<(&str, &str, &str)> {
    let (name, rest) = token(text.strip_prefix(';')?.trim_start());
    let rest = rest.trim_start().strip_prefix('=')?.trim_start();
    let (value, behind) = match rest.strip_prefix('"') {
        Some(quoted) => rest.split_at(rest.len() - quoted.len() + quoted_end(quoted)?),
        None => token(rest),
    };
    (!name.is_empty() && !value.is_empty()).then_some((name, value, behind))
}

/// Where a text in quotation marks ends, behind the second one.
fn quoted_end(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'"' => return Some(at + 1),
            b'\r' | b'\n' => return None,
            b'\\' => is_escaped = text.as_bytes().get(at + 1).is_some_and(|next| SPECIAL.contains(next)),
            _ => {}
        }
    }
    None
}

/// What no token holds.
const SPECIAL: &[u8] = b"()<>@,;:\\\"/[]?=";

fn token(text: &str) -> (&str, &str) {
    let ends = |byte: u8| !byte.is_ascii_graphic() || SPECIAL.contains(&byte);
    text.split_at(text.bytes().position(ends).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_named_where_its_parameters_can_be_read() {
        for header in [
            "application/json",
            " Application/JSON ; charset=utf-8",
            "application/json;",
            "application/json; a=b ; ",
            "application/json;a=\"\";A=\"\";b=\"c;\\\"d\"",
        ] {
            assert_eq!(named(header).as_deref(), Some("application/json"), "{header}");
        }
        for header in [
            "application/json; a",
            "application/json;;",
            "application/json;=b",
            "application/json;a=",
            "application/json;a=\"b",
            "application/json;a=b c",
            "application/json;a=b;a=c",
            "application/json;a=ä",
        ] {
            assert_eq!(named(header), None, "{header}");
        }
        assert_eq!(named("").as_deref(), Some(""));
    }
}
