//! Tags that stand right before a comma: Go's library refuses them, and the parser here has a panic for them.

/// Stands behind the exclamation marks of what may be such a tag: a noncharacter, which nobody writes and no tag may hold. The
/// parser then refuses the tag at the same place as Go does; anywhere else it is a letter of a scalar, and taken out again.
pub(super) const MARK: char = '\u{10ffff}';

/// A text with its marks; `None` where it needs none.
pub(super) fn marked(text: &str) -> Option<String> {
    // Where marks go: behind each exclamation mark of what could be one tag, and behind a tag in angle brackets.
    let (mut behind, mut run) = (Vec::new(), Vec::new());
    let (mut is_bracketed, mut before) = (false, b' ');
    for (at, byte) in text.bytes().enumerate() {
        let is_closed = is_bracketed && before == b'>';
        is_bracketed &= !is_closed;
        match byte {
            b'<' if before == b'!' => {
                is_bracketed = true;
                run.clear();
            }
            b'!' => run.push(at + 1),
            b',' => {
                behind.append(&mut run);
                if is_closed {
                    behind.push(at);
                }
            }
            b'>' | b'[' | b']' if is_bracketed => run.clear(),
            _ if byte.is_ascii_alphanumeric() || b"-_;/?:@&=+$.%~*'()".contains(&byte) => {}
            _ => {
                run.clear();
                is_bracketed = false;
            }
        }
        before = byte;
    }
    if behind.is_empty() {
        return None;
    }
    let (mut out, mut from) = (String::with_capacity(text.len() + MARK.len_utf8() * behind.len()), 0);
    for at in behind {
        out.push_str(&text[from..at]);
        out.push(MARK);
        from = at;
    }
    out.push_str(&text[from..]);
    Some(out)
}
