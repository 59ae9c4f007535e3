//! Says what is wrong with a text that is no JSON, in the words of Go's scanner.

use serde_json::error::Category;
use tinyplane_wire::quote::quote;

/// The message for an error that the parser met in `bytes`.
pub(super) fn message(bytes: &[u8], error: &serde_json::Error) -> String {
    if error.classify() == Category::Eof {
        return "unexpected end of JSON input".to_owned();
    }
    let text = error.to_string();
    if text.starts_with("recursion limit") {
        return "exceeded max depth".to_owned();
    }
    if text.starts_with("number out of range")
        && let Some(number) = number(bytes, error.line(), error.column())
    {
        return format!("json: cannot unmarshal number {number} into Go value of type float64");
    }
    let place = [
        ("key must be a string", "looking for beginning of object key string"),
        ("trailing comma", "looking for beginning of value"),
        ("expected `:`", "after object key"),
        ("expected `,` or `}`", "after object key:value pair"),
        ("expected `,` or `]`", "after array element"),
        ("trailing characters", "after top-level value"),
        ("control character", "in string literal"),
        ("invalid escape", "in string escape code"),
        ("invalid number", "in numeric literal"),
        ("expected ident", "in literal"),
    ]
    .into_iter()
    .find(|(ours, _)| text.starts_with(ours))
    .map_or("looking for beginning of value", |(_, go)| go);
    let literal = if place == "in literal" { literal(bytes, error.line(), error.column()) } else { None };
    let place = literal.as_deref().unwrap_or(place);
    let Some(at) = met(bytes, error.line(), error.column(), place) else {
        return "unexpected end of JSON input".to_owned();
    };
    let place = match place {
        "in numeric literal" => in_number(&bytes[..at]),
        // The parser has one word for a comma at the end of both.
        _ if bytes[at] == b'}' && text.starts_with("trailing comma") => "looking for beginning of object key string",
        _ => place,
    };
    format!("invalid character {} {place}", quoted(bytes[at]))
}

/// Whether a text breaks off at a number that no double holds.
pub(super) fn is_beyond_doubles(error: &serde_json::Error) -> bool {
    error.is_syntax() && error.to_string().starts_with("number out of range")
}

/// Which literal breaks off at a line and column, and with what it would go on.
fn literal(bytes: &[u8], line: usize, column: usize) -> Option<String> {
    let row = bytes.split(|byte| *byte == b'\n').nth(line.checked_sub(1)?)?;
    let before = row.get(..column.saturating_sub(1))?;
    let letters = before.iter().rev().take_while(|byte| byte.is_ascii_lowercase()).count();
    let first = before.get(before.len() - letters)?;
    let word = ["null", "true", "false"].into_iter().find(|word| word.as_bytes()[0] == *first)?;
    let next = word.as_bytes().get(letters)?;
    Some(format!("in literal {word} (expecting '{}')", char::from(*next)))
}

/// The number that stands at a line and column.
fn number(bytes: &[u8], line: usize, column: usize) -> Option<&str> {
    let row = bytes.split(|byte| *byte == b'\n').nth(line.checked_sub(1)?)?;
    let (before, behind) = row.split_at_checked(column.checked_sub(1)?)?;
    let is_in = |byte: &&u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
    let from = before.len() - before.iter().rev().take_while(is_in).count();
    let to = before.len() + behind.iter().take_while(is_in).count();
    std::str::from_utf8(&row[from..to]).ok().filter(|number| !number.is_empty())
}

/// Where in a number a text breaks off. Behind a zero at its beginning Go takes the number for whole.
fn in_number(before: &[u8]) -> &'static str {
    match before {
        [.., b'.'] => "after decimal point in numeric literal",
        [.., b'e' | b'E'] | [.., b'e' | b'E', b'+' | b'-'] => "in exponent of numeric literal",
        [.., b'0'] => behind_value(before),
        _ => "in numeric literal",
    }
}

/// What a value is behind which a text breaks off, by what is open there.
fn behind_value(before: &[u8]) -> &'static str {
    let (mut open, mut quoted, mut escaped) = (Vec::new(), false, false);
    for byte in before {
        match byte {
            b'"' if !escaped => quoted = !quoted,
            b'{' | b'[' if !quoted => open.push(*byte),
            b'}' | b']' if !quoted => drop(open.pop()),
            _ => {}
        }
        escaped = *byte == b'\\' && !escaped;
    }
    match open.last() {
        Some(b'{') => "after object key:value pair",
        Some(_) => "after array element",
        None => "after top-level value",
    }
}

/// Where the byte is that the parser met at a line and column: both are counted from 1, and column 0 is the end of the line before.
fn met(bytes: &[u8], line: usize, column: usize, place: &str) -> Option<usize> {
    let before: usize = bytes.split(|byte| *byte == b'\n').take(line.checked_sub(1)?).map(|row| row.len() + 1).sum();
    let at = (before + column).checked_sub(1)?;
    if place == "in string literal" {
        // A parser that only skips a string stops before what it does not take.
        return [at, at + 1].into_iter().find(|at| bytes.get(*at).is_some_and(u8::is_ascii_control));
    }
    (at < bytes.len()).then_some(at)
}

/// Go's scanner reads bytes, and names each as the character of its number.
fn quoted(byte: u8) -> String {
    match byte {
        b'\'' => "'\\''".to_owned(),
        b'"' => "'\"'".to_owned(),
        other => {
            let quoted = quote(char::from(other).encode_utf8(&mut [0; 2]));
            format!("'{}'", quoted.trim_matches('"'))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &[u8]) -> String {
        message(text, &serde_json::from_slice::<serde_json::Value>(text).unwrap_err())
    }

    #[test]
    fn what_is_wrong_is_named_as_a_byte() {
        for (text, wanted) in [
            (&b"\xc3\xa9"[..], "'\u{c3}' looking for beginning of value"),
            (b"{\"a\":\xe2\x80\xa8}", "'\u{e2}' looking for beginning of value"),
            (b"{\"a\":1\x85}", "'\\u0085' after object key:value pair"),
            (b"{\"a\":\x00}", "'\\x00' looking for beginning of value"),
            (b"\t\x0b", "'\\v' looking for beginning of value"),
            (b"\\", "'\\\\' looking for beginning of value"),
            (b"\"", ""),
            (b"'", "'\\'' looking for beginning of value"),
            (b"{\"a\":\"\x01\"}", "'\\x01' in string literal"),
            (b"\"a\nb\"", "'\\n' in string literal"),
            (b"\n\n{\"a\tb\":1}", "'\\t' in string literal"),
            (b"{\"a\":\"\\\xc3\xa9\"}", "'\u{c3}' in string escape code"),
            (b"[1 2]", "'2' after array element"),
            (b"{\"a\":1,}", "'}' looking for beginning of object key string"),
            (b"[1, ]", "']' looking for beginning of value"),
            (b"[{\"[\\\"\":01}]", "'1' after object key:value pair"),
            (b"{\"a\":[{},-00]}", "'0' after array element"),
            (b"01", "'1' after top-level value"),
            (b"[1.]", "']' after decimal point in numeric literal"),
            (b"[1ex]", "'x' in exponent of numeric literal"),
            (b"[1e-x]", "'x' in exponent of numeric literal"),
            (b"[-x]", "'x' in numeric literal"),
        ] {
            let wanted = if wanted.is_empty() {
                "unexpected end of JSON input".into()
            } else {
                format!("invalid character {wanted}")
            };
            assert_eq!(told(text), wanted, "{}", text.escape_ascii());
        }
    }
}
