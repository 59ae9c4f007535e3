//! Texts in quotation marks as messages have them: how Go prints `%q`.

/// A text as `%q` prints it.
#[must_use]
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for one in text.chars() {
        match one {
            '"' | '\\' => out.extend(['\\', one]),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x0b' => out.push_str("\\v"),
            '\0'..='\x1f' | '\x7f' => out.push_str(&format!("\\x{:02x}", u32::from(one))),
            _ if is_printable(one) => out.push(one),
            '\0'..='\u{ffff}' => out.push_str(&format!("\\u{:04x}", u32::from(one))),
            _ => out.push_str(&format!("\\U{:08x}", u32::from(one))),
        }
    }
    out.push('"');
    out
}

/// What `unicode.IsPrint` lets through: letters, marks, numbers, punctuation, symbols, and the plain space. The table is that by
/// which Rust escapes, which lets a mark stand where it stands behind something.
#[must_use]
pub fn is_printable(one: char) -> bool {
    if one.is_ascii() {
        return !one.is_ascii_control();
    }
    let mut text = [0; 5];
    text[0] = b'a';
    let bytes = 1 + one.encode_utf8(&mut text[1..]).len();
    str::from_utf8(&text[..bytes]).is_ok_and(|text| text.escape_debug().nth(1) == Some(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_as_go_quotes_them() {
        for (text, quoted) in [
            ("plain ä", r#""plain ä""#),
            ("\"\\", r#""\"\\""#),
            ("\0\x01\x1b\x7f", r#""\x00\x01\x1b\x7f""#),
            ("\x07\x08\t\n\x0b\x0c\r", r#""\a\b\t\n\v\f\r""#),
            ("\u{a0}\u{200b}\u{feff}", r#""\u00a0\u200b\ufeff""#),
            ("\u{2028}\u{e000}\u{378}\u{e0001}\u{10ffff}", r#""\u2028\ue000\u0378\U000e0001\U0010ffff""#),
            ("e\u{301}漢😀", "\"e\u{301}漢😀\""),
        ] {
            assert_eq!(quote(text), quoted);
        }
    }
}
