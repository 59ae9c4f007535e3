//! What a script is made of.

use std::sync::{Arc, OnceLock};

/// Statements, one after the other.
pub(super) type Script = Vec<Statement>;

/// Pipelines joined by `&&` and `||`, perhaps in the background.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Statement {
    pub(super) first: Pipeline,
    pub(super) rest: Vec<(Connector, Pipeline)>,
    pub(super) background: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Connector {
    And,
    Or,
}

/// Commands joined by `|`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pipeline {
    pub(super) negated: bool,
    pub(super) commands: Vec<Command>,
}

/// One command with its redirections.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Command {
    pub(super) kind: Kind,
    pub(super) redirects: Vec<Redirect>,
    pub(super) line: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Simple {
        assignments: Vec<(String, Word)>,
        words: Vec<Word>,
    },
    Subshell(Arc<Script>),
    Group(Arc<Script>),
    If {
        arms: Vec<(Script, Script)>,
        otherwise: Option<Script>,
    },
    Loop {
        until: bool,
        condition: Script,
        body: Script,
    },
    For {
        name: String,
        words: Option<Vec<Word>>,
        body: Script,
    },
    Case {
        subject: Word,
        arms: Vec<Arm>,
    },
    Function {
        name: String,
        body: Arc<Command>,
    },
    /// `[[ … ]]`: its words, unsplit.
    Test(Vec<Word>),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Arm {
    pub(super) patterns: Vec<Word>,
    pub(super) body: Script,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Redirect {
    pub(super) fd: u32,
    pub(super) kind: RedirectKind,
    pub(super) target: Word,
    /// A here-document's text, known once the line that it is named in has ended.
    pub(super) document: Option<Arc<OnceLock<Word>>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum RedirectKind {
    Read,
    Write,
    Append,
    ReadWrite,
    /// `>&n`, `<&n`, `>&-`.
    Duplicate,
    /// The text is in `document`.
    Here,
    /// `<<<`: the target's text and a newline.
    HereString,
    /// `&>`: both outputs.
    WriteBoth,
    AppendBoth,
}

/// A word before expansion.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Word(pub(super) Vec<Part>);

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Part {
    /// Unquoted text: patterns in it match.
    Text(String),
    /// Text that stands for itself.
    Quoted(String),
    /// `"…"`.
    Double(Vec<Part>),
    Parameter(Parameter),
    /// `$(…)` and backquotes.
    Command(Arc<Script>),
    /// `$((…))`.
    Arithmetic(Word),
    /// `~` or `~user` at a word's start.
    Home(String),
}

/// `$name`, `${name}` and what may follow the name.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Parameter {
    pub(super) name: String,
    pub(super) act: Act,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Act {
    Value,
    /// `${#name}`.
    Length,
    /// `-`, `=`, `?` or `+`; with a colon an empty value counts as none.
    Default {
        operator: char,
        colon: bool,
        word: Word,
    },
    /// `#`, `##`, `%`, `%%`.
    Trim {
        suffix: bool,
        longest: bool,
        pattern: Word,
    },
    /// `/`, `//`, `/#`, `/%`.
    Replace {
        all: bool,
        anchor: Option<char>,
        pattern: Word,
        with: Word,
    },
    /// `:offset:length`.
    Slice {
        offset: Word,
        length: Option<Word>,
    },
    /// `^`, `^^`, `,`, `,,`.
    Case {
        upper: bool,
        all: bool,
    },
}

impl Word {
    /// The word's text where nothing in it is quoted or expanded: only such words can be reserved.
    pub(super) fn plain(&self) -> Option<&str> {
        match self.0.as_slice() {
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }
}
