//! The nodes of a document, by the order in which they stand in its text.

use super::tags;
use libyaml_safer::{Encoding, Error, ErrorKind, Event, EventData, Parser, ScalarStyle};
use std::collections::HashMap;
use std::str::Utf8Error;

/// Most levels of a document. Upstream reads 10,000; no object here may have more than a fraction of these.
pub(super) const LEVELS_MAX: usize = 256;

/// A node, and the line where it begins.
pub(super) struct Node {
    pub(super) line: u64,
    pub(super) kind: Kind,
}

/// What a node is.
pub(super) enum Kind {
    Scalar {
        value: Box<str>,
        tag: Option<Box<str>>,
        /// Whether it stands there without quotation marks, or is meant to.
        implicit: bool,
    },
    Sequence(Vec<usize>),
    /// Keys and values by turns.
    Mapping(Vec<usize>),
    Alias {
        name: Box<str>,
        of: usize,
    },
}

/// The nodes of a document, of which the first is its root.
pub(super) struct Tree(Vec<Node>);

impl Tree {
    /// The first document of a text, if there is one. What follows it is not looked at.
    pub(super) fn read(bytes: &[u8]) -> Result<Option<Self>, String> {
        let text = letters(bytes)?;
        // A mark of the order of bytes is none of the letters that places are counted in.
        let mut text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
        // The parser does not expect an end within a line. A text of several lines that ends there has no line's end then.
        let last = text.rsplit(['\n', '\r']).next().unwrap_or_default().to_owned();
        let is_ended = !text.ends_with(['\n', '\r']);
        if is_ended {
            text.push('\n');
        }
        match tags::marked(&text) {
            Some(_) if text.contains(tags::MARK) => Err("control characters are not allowed".to_owned()),
            Some(marked) => Self::of(&marked, (last, is_ended), true),
            None => Self::of(&text, (last, is_ended), false),
        }
    }

    fn of(text: &str, (last, is_ended): (String, bool), is_marked: bool) -> Result<Option<Self>, String> {
        let mut parser = Parser::new();
        parser.set_input(text.as_bytes());
        // Otherwise a first letter whose first byte is that of a mark of their order would be taken for one.
        parser.set_encoding(Encoding::Utf8);
        let (nodes, anchors, end) = (Vec::new(), HashMap::new(), text.len() as u64);
        let mut reader = Reader { parser, nodes, anchors, last, end, is_ended, is_marked };
        loop {
            match reader.next()?.data {
                EventData::StreamEnd => return Ok(None),
                EventData::DocumentStart { .. } => break,
                _ => {}
            }
        }
        let root = reader.next()?;
        reader.node(root, 0)?;
        // Whether the document ends where its root does is seen here alone.
        reader.next()?;
        Ok(Some(Self(reader.nodes)))
    }

    pub(super) fn node(&self, at: usize) -> &Node {
        &self.0[at]
    }
}

/// The letters of a text: of UTF-8, or of UTF-16 where a mark of its order stands at the head.
fn letters(bytes: &[u8]) -> Result<String, String> {
    let wide = |order: fn([u8; 2]) -> u16| {
        let (pairs, rest) = bytes[2..].as_chunks::<2>();
        let text = char::decode_utf16(pairs.iter().map(|pair| order(*pair))).collect::<Result<String, _>>();
        if rest.is_empty() { text.ok() } else { None }.ok_or("incomplete UTF-16 character")
    };
    let text = match bytes {
        [0xff, 0xfe, ..] => wide(u16::from_le_bytes)?,
        [0xfe, 0xff, ..] => wide(u16::from_be_bytes)?,
        _ => str::from_utf8(bytes).map_err(|error| badly_encoded(bytes, error))?.to_owned(),
    };
    if text.chars().all(super::is_allowed) { Ok(text) } else { Err("control characters are not allowed".to_owned()) }
}

fn badly_encoded(bytes: &[u8], error: Utf8Error) -> &'static str {
    let wrong = &bytes[error.valid_up_to()..];
    match (wrong.first(), error.error_len()) {
        (_, None) => "incomplete UTF-8 octet sequence",
        (Some(0xc0..=0xf7), _) => "invalid trailing UTF-8 octet",
        _ => "invalid leading UTF-8 octet",
    }
}

struct Reader<'r> {
    parser: Parser<&'r [u8]>,
    nodes: Vec<Node>,
    anchors: HashMap<String, usize>,
    /// What stands in the last line.
    last: String,
    /// Where the text ends, and whether its last line was ended here.
    end: u64,
    is_ended: bool,
    /// Whether tags were marked, and so perhaps scalars.
    is_marked: bool,
}

impl Reader<'_> {
    fn next(&mut self) -> Result<Event, String> {
        self.parser.parse().map_err(|error| told(&error, self.is_ended))
    }

    /// Whether the last line of a block that goes to the end was ended here, and not by who wrote it.
    fn was_ended(&self, value: &str) -> bool {
        let Some(line) = value.strip_suffix('\n').and_then(|value| value.rsplit('\n').next()) else { return false };
        let last = self.last.trim_start_matches(' ');
        (!line.is_empty() && self.last.ends_with(line)) || (!last.is_empty() && line.ends_with(last))
    }

    /// Adds a node and all below it.
    fn node(&mut self, event: Event, depth: usize) -> Result<usize, String> {
        let line = event.start_mark.line;
        if depth > LEVELS_MAX {
            return Err(format!("line {}: exceeded max depth of {LEVELS_MAX}", line + 1));
        }
        let at = self.nodes.len();
        match event.data {
            EventData::Alias { anchor } => {
                let Some(of) = self.anchors.get(&anchor).copied() else {
                    return Err(format!("unknown anchor '{anchor}' referenced"));
                };
                self.nodes.push(Node { line, kind: Kind::Alias { name: anchor.into(), of } });
            }
            EventData::Scalar { anchor, tag, mut value, plain_implicit: implicit, style, .. } => {
                if self.is_marked {
                    value.retain(|letter| letter != tags::MARK);
                }
                let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                if is_block && event.end_mark.index >= self.end && self.was_ended(&value) {
                    value.pop();
                }
                let (value, tag) = (value.into(), tag.map(String::into));
                self.push(anchor, Node { line, kind: Kind::Scalar { value, tag, implicit } });
            }
            EventData::SequenceStart { anchor, .. } => {
                self.push(anchor, Node { line, kind: Kind::Sequence(Vec::new()) });
                let all = self.children(depth)?;
                self.nodes[at].kind = Kind::Sequence(all);
            }
            EventData::MappingStart { anchor, .. } => {
                self.push(anchor, Node { line, kind: Kind::Mapping(Vec::new()) });
                let all = self.children(depth)?;
                self.nodes[at].kind = Kind::Mapping(all);
            }
            _ => return Err("unknown problem parsing YAML content".to_owned()),
        }
        Ok(at)
    }

    fn push(&mut self, anchor: Option<String>, node: Node) {
        if let Some(anchor) = anchor {
            self.anchors.insert(anchor, self.nodes.len());
        }
        self.nodes.push(node);
    }

    fn children(&mut self, depth: usize) -> Result<Vec<usize>, String> {
        let mut all = Vec::new();
        loop {
            let event = self.next()?;
            if matches!(event.data, EventData::SequenceEnd | EventData::MappingEnd) {
                return Ok(all);
            }
            all.push(self.node(event, depth + 1)?);
        }
    }
}

/// What is wrong, and where: lines are counted from nothing, but for those of the scanner, and a first one is not told.
/// In a text that was ended here, a line more has been read where the end itself is the mistake.
fn told(error: &Error, is_ended: bool) -> String {
    let line = |mark: Option<libyaml_safer::Mark>| mark.map_or(0, |mark| mark.line);
    // Go's library has no such rule, and stumbles over what comes of it: as a rule where a map of JSON lacks a mark.
    let told = match error.problem() {
        "found unexpected ':'" => "did not find expected ',' or '}'",
        problem => problem,
    };
    let beyond = u64::from(is_ended && error.problem() == "found unexpected end of stream");
    let line = match (line(error.problem_mark()).saturating_sub(beyond), line(error.context_mark())) {
        (0, context) => context,
        (problem, _) if error.kind() == ErrorKind::Scanner && told == error.problem() => problem + 1,
        (problem, _) => problem,
    };
    match line {
        0 => told.to_owned(),
        line => format!("line {line}: {told}"),
    }
}
