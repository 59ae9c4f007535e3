//! Tags that stand right before a comma: Go's library refuses them, and the parser here has a panic for them.

use super::tree::told;
use libyaml_safer::{EventData, Parser};

/// What a letter may be part of.
#[derive(Clone, Copy, PartialEq)]
enum Within {
    Nothing,
    Tag,
    /// A tag in angle brackets, where commas are letters like others.
    Brackets,
}

impl Within {
    fn and(self, before: char, letter: char) -> Self {
        match (self, letter) {
            (Self::Brackets, '>') => Self::Tag,
            (Self::Brackets, _) if !letter.is_whitespace() => Self::Brackets,
            (Self::Tag, '<') if before == '!' => Self::Brackets,
            (_, '!') => Self::Tag,
            (Self::Tag, _) if letter.is_ascii_alphanumeric() || "-_;/?:@&=+$.%~*'()".contains(letter) => Self::Tag,
            _ => Self::Nothing,
        }
    }
}

/// Refuses a document with a tag before a comma. Whether that is what an exclamation mark and a comma are, only the parser knows:
/// it is shown the text with a space between the two, which changes no structure, and says where its tags end.
pub(super) fn refuse_before_commas(text: &str, is_ended: bool) -> Result<(), String> {
    let (mut spaced, mut spaces) = (String::new(), Vec::new());
    let (mut within, mut before) = (Within::Nothing, ' ');
    for (at, letter) in text.chars().enumerate() {
        if letter == ',' && within == Within::Tag {
            spaces.push((at + spaces.len()) as u64);
            spaced.push(' ');
        }
        within = within.and(before, letter);
        before = letter;
        spaced.push(letter);
    }
    if spaces.is_empty() {
        return Ok(());
    }
    let mut parser = Parser::new();
    parser.set_input(spaced.as_bytes());
    loop {
        let event = parser.parse().map_err(|error| told(&error, is_ended))?;
        match event.data {
            EventData::DocumentEnd { .. } | EventData::StreamEnd => return Ok(()),
            EventData::Scalar { tag: Some(_), .. } if spaces.binary_search(&event.end_mark.index).is_ok() => {
                let line = if event.end_mark.line == 0 {
                    String::new()
                } else {
                    format!("line {}: ", event.end_mark.line + 1)
                };
                return Err(format!("{line}did not find expected whitespace or line break"));
            }
            _ => {}
        }
    }
}
