//! The nodes of a document, by the order in which they stand in its text.

use libyaml_safer::{Error, ErrorKind, Event, EventData, Parser};
use std::collections::HashMap;

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
        let mut parser = Parser::new();
        parser.set_input(bytes);
        let mut reader = Reader { parser, nodes: Vec::new(), anchors: HashMap::new() };
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

struct Reader<'r> {
    parser: Parser<&'r [u8]>,
    nodes: Vec<Node>,
    anchors: HashMap<String, usize>,
}

impl Reader<'_> {
    fn next(&mut self) -> Result<Event, String> {
        self.parser.parse().map_err(|error| told(&error))
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
            EventData::Scalar { anchor, tag, value, plain_implicit: implicit, .. } => {
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
fn told(error: &Error) -> String {
    let line = |mark: Option<libyaml_safer::Mark>| mark.map_or(0, |mark| mark.line);
    let line = match (line(error.problem_mark()), line(error.context_mark())) {
        (0, context) => context,
        (problem, _) if error.kind() == ErrorKind::Scanner => problem + 1,
        (problem, _) => problem,
    };
    match line {
        0 => error.problem().to_owned(),
        line => format!("line {line}: {}", error.problem()),
    }
}
