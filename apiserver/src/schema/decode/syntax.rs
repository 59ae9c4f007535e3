//! Says what is wrong with a text that is no JSON, in the words of Go's scanner.

use serde_json::error::Category;

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
    match character(bytes, error.line(), error.column()) {
        Some(character) => format!("invalid character {} {place}", quoted(character)),
        None => "unexpected end of JSON input".to_owned(),
    }
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

/// The character at a line and column, both counted from 1, columns in bytes.
fn character(bytes: &[u8], line: usize, column: usize) -> Option<char> {
    let row = bytes.split(|byte| *byte == b'\n').nth(line.checked_sub(1)?)?;
    let rest = row.get(column.saturating_sub(1)..)?;
    match std::str::from_utf8(rest) {
        Ok(text) => text.chars().next(),
        Err(_) => rest.first().map(|byte| char::from(*byte)),
    }
}

fn quoted(character: char) -> String {
    match character {
        '\'' => "'\\''".to_owned(),
        '"' => "'\"'".to_owned(),
        other => format!("'{}'", other.escape_default()),
    }
}
