//! What a change does to a set, on the text of it: most of a set is not concerned by most changes, and is copied unread.

use super::element::Element;
use super::set::{Node, Set};
use super::wire::{element, spell, spell_element};

/// How a text says that the place itself is a member, where more lies below it.
const ITSELF: &str = "\".\":{}";

/// The text of a set without the paths of `gone`, and with those of `taken`; `{}` where nothing is left. None where the text is
/// not as [`Set::to_text`] writes it.
#[must_use]
pub fn edit(text: &str, gone: &Set, taken: &Set) -> Option<String> {
    let mut out = String::with_capacity(text.len() + 64);
    let mut reader = Reader { text, at: 0 };
    level(&mut reader, &mut out, false, gone, taken)?;
    (reader.at == text.len()).then_some(out)
}

/// Copies what lies below a place, which afterwards is a member itself or not. Answers whether anything lies below it then.
fn level(reader: &mut Reader<'_>, out: &mut String, is_member: bool, gone: &Set, taken: &Set) -> Option<bool> {
    reader.expect("{")?;
    out.push('{');
    let inside = out.len();
    if is_member {
        out.extend([ITSELF, ","]);
    }
    let below = out.len();
    let mut is_first = !reader.skip(ITSELF);
    let mut taken = taken.nodes().iter().peekable();
    let mut last: Option<Element> = None;
    while !reader.skip("}") {
        if !std::mem::take(&mut is_first) {
            reader.expect(",")?;
        }
        let key = reader.key()?;
        reader.expect(":")?;
        let step = step(key)?;
        if last.as_ref().is_some_and(|last| *last >= step) {
            return None;
        }
        while let Some(node) = taken.next_if(|node| node.element < step) {
            insert(out, node);
        }
        let (less, more) = (gone.find(&step), taken.next_if(|node| node.element == step));
        copy(reader, out, key, less, more)?;
        last = Some(step);
    }
    taken.for_each(|node| insert(out, node));
    let is_more = out.len() > below;
    if is_more {
        out.pop();
    } else {
        out.truncate(inside);
    }
    out.push('}');
    Some(is_more)
}

/// Copies a key and what is at and below it.
fn copy(reader: &mut Reader<'_>, out: &mut String, key: &str, less: Option<&Node>, more: Option<&Node>) -> Option<()> {
    let start = out.len();
    out.extend(["\"", key, "\":"]);
    if less.is_none() && more.is_none() {
        out.push_str(reader.object()?);
    } else {
        let value = reader.rest();
        let was = value.starts_with("{}") || value.get(1..).is_some_and(|inner| inner.starts_with(ITSELF));
        let is = (was && less.is_none_or(|node| !node.member)) || more.is_some_and(|node| node.member);
        if !level(reader, out, is, below(less), below(more))? && !is {
            out.truncate(start);
            return Some(());
        }
    }
    out.push(',');
    Some(())
}

fn below(node: Option<&Node>) -> &Set {
    node.map_or(Set::NOTHING, |node| &node.below)
}

fn insert(out: &mut String, node: &Node) {
    spell_element(&node.element, out);
    out.push(':');
    spell(&node.below, node.member, out);
    out.push(',');
}

/// The step that a key says, which stands between quotes.
fn step(key: &str) -> Option<Element> {
    if !key.contains('\\') {
        return element(key).ok()?;
    }
    let unescaped: String = serde_json::from_str(&format!("\"{key}\"")).ok()?;
    element(&unescaped).ok()?
}

/// Reads a text from its beginning on.
struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn skip(&mut self, what: &str) -> bool {
        let is_there = self.rest().starts_with(what);
        self.at += if is_there { what.len() } else { 0 };
        is_there
    }

    fn expect(&mut self, what: &str) -> Option<()> {
        self.skip(what).then_some(())
    }

    /// What stands between quotes, as it stands there.
    fn key(&mut self) -> Option<&'t str> {
        self.expect("\"")?;
        let length = closing_quote(self.rest().as_bytes())?;
        let key = &self.rest()[..length];
        self.at += length + 1;
        Some(key)
    }

    /// A whole object.
    fn object(&mut self) -> Option<&'t str> {
        let (rest, mut depth, mut at) = (self.rest().as_bytes(), 0_usize, 0);
        loop {
            match rest.get(at)? {
                b'{' => depth += 1,
                b'}' => depth = depth.checked_sub(1)?,
                b'"' => at += 1 + closing_quote(&rest[at + 1..])?,
                _ => {}
            }
            at += 1;
            if depth == 0 {
                let object = &self.rest()[..at];
                self.at += at;
                return Some(object);
            }
        }
    }
}

/// Where the quote is that ends a text.
fn closing_quote(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match text.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}
