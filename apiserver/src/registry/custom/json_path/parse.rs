//! Reads paths.

use super::{JsonPath, Operator, Slice, Step, To};
use serde_json::Value;
use std::str::Chars;

/// Most steps of a path.
const STEPS_MAX: usize = 1_000;

impl JsonPath {
    /// Reads a path such as `.status.conditions[?(@.type=="Ready")].status`; `None` for what is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        steps(text).map(|steps| Self { steps })
    }
}

/// Steps up to the text's end, or to a bracket that ends it early: what stands behind one never counts.
fn steps(text: &str) -> Option<Vec<Step>> {
    let mut reader = Reader { rest: text, steps: Vec::new() };
    while !reader.rest.is_empty() && !reader.rest.starts_with('}') {
        if reader.steps.len() > STEPS_MAX {
            return None;
        }
        reader.one()?;
    }
    Some(reader.steps)
}

struct Reader<'t> {
    rest: &'t str,
    steps: Vec<Step>,
}

fn ends_a_name(one: char) -> bool {
    matches!(one, ' ' | '\t' | '\r' | '\n' | '.' | ',' | '[' | ']' | '$' | '@' | '{' | '}')
}

fn begins_a_name(one: char) -> bool {
    one == '_' || one.is_alphabetic() || one.is_numeric()
}

impl<'t> Reader<'t> {
    fn take(&mut self, bytes: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        taken
    }

    fn one(&mut self) -> Option<()> {
        if let Some(rest) = self.rest.strip_prefix("[?(") {
            self.rest = rest;
            return self.filter();
        }
        if let Some(rest) = self.rest.strip_prefix("..") {
            if self.steps.last() == Some(&Step::Deep) {
                return None;
            }
            self.rest = rest;
            self.steps.push(Step::Deep);
            if rest.starts_with(begins_a_name) {
                self.field();
            }
            return Some(());
        }
        match self.rest.chars().next()? {
            ' ' | '@' | '$' => {
                self.take(1);
            }
            '[' => return self.brackets(),
            '"' | '\'' => return self.quoted(),
            '.' => {
                self.take(1);
                self.field();
            }
            '+' | '-' => return self.number(),
            one if one.is_numeric() => return self.number(),
            one if begins_a_name(one) => {
                let end = self.rest.find(ends_a_name).unwrap_or(self.rest.len());
                let word = self.take(end);
                self.steps.push(match word {
                    "true" | "false" => Step::Literal((word == "true").into()),
                    // Words begin and end loops, which no column has: they lead astray when they are met.
                    _ => Step::Filter { left: Vec::new(), right: Some((Operator::Unknown, Vec::new())) },
                });
            }
            _ => return None,
        }
        Some(())
    }

    /// A name up to what ends it, with `\.` for a dot in it.
    fn field(&mut self) {
        let (mut name, mut end) = (String::new(), self.rest.len());
        let mut chars = self.rest.char_indices();
        while let Some((at, one)) = chars.next() {
            match one {
                '\\' => name.extend(chars.next().map(|(_, one)| one).filter(|one| *one != '\\')),
                one if ends_a_name(one) => {
                    end = at;
                    break;
                }
                one => name.push(one),
            }
        }
        self.take(end);
        self.steps.push(if name == "*" { Step::All } else { Step::Field(name) });
    }

    fn number(&mut self) -> Option<()> {
        let digits = self.rest.trim_start_matches(['+', '-']);
        let sign = (self.rest.len() - digits.len()).min(1);
        let all = &self.rest[sign..];
        let end = sign + all.find(|one: char| one != '.' && !one.is_numeric()).unwrap_or(all.len());
        let text = self.take(end);
        let whole = text.parse::<i64>().ok().map(Value::from);
        let broken = || text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::from);
        self.steps.push(Step::Literal(whole.or_else(broken)?));
        Some(())
    }

    fn quoted(&mut self) -> Option<()> {
        let mark = self.rest.chars().next()?;
        let mut before = mark;
        let mut chars = self.rest.char_indices().skip(1);
        let end = chars.find_map(|(at, one)| {
            let ends = one == mark && before != '\\';
            before = one;
            ends.then_some(at)
        })?;
        let text = &self.take(end + 1)[1..end];
        if text.contains('\n') {
            return None;
        }
        self.steps.push(Step::Literal(unescaped(text, mark)?.into()));
        Some(())
    }

    fn brackets(&mut self) -> Option<()> {
        let end = self.rest.find([']', '\n']).filter(|end| self.rest[*end..].starts_with(']'))?;
        let text = &self.take(end + 1)[1..end];
        if text.contains(',') {
            let paths = text.split(',').map(|one| steps(&format!("[{}]", one.trim_matches(' '))));
            let paths =
                paths.take(STEPS_MAX + 1).collect::<Option<Vec<_>>>().filter(|paths| paths.len() <= STEPS_MAX)?;
            self.steps.push(Step::Union(paths));
            return Some(());
        }
        let named = text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
        if let Some(name) = named.filter(|name| !name.contains('\'')) {
            self.steps.extend(steps(&format!(".{name}"))?);
            return Some(());
        }
        self.steps.push(Step::Slice(Slice::parse(if text == "*" { ":" } else { text })?));
        Some(())
    }

    fn filter(&mut self) -> Option<()> {
        let (mut begun, mut ended, mut before) = (None, false, '(');
        let mut chars = self.rest.char_indices();
        let end = chars.find_map(|(at, one)| {
            match (one, begun) {
                ('"' | '\'', None) => begun = Some(one),
                ('"' | '\'', Some(mark)) if mark == one && before != '\\' => ended = true,
                (')', _) if begun.is_some() == ended => return Some(at),
                _ => {}
            }
            before = one;
            None
        })?;
        let text = self.take(end);
        self.rest = self.rest.strip_prefix(")]")?;
        if text.contains('\n') {
            return None;
        }
        self.steps.push(filter_of(text)?);
        Some(())
    }
}

fn filter_of(text: &str) -> Option<Step> {
    const MARKS: [char; 4] = ['!', '<', '>', '='];
    let (left, rest) = text.split_at(text.find(MARKS).unwrap_or(text.len()));
    let right = rest.trim_start_matches(MARKS);
    let operator = &rest[..rest.len() - right.len()];
    if left.is_empty() || (right.is_empty() && operator.len() < 2) {
        return Some(Step::Filter { left: steps(text)?, right: None });
    }
    Some(Step::Filter { left: steps(left)?, right: Some((Operator::of(operator), steps(non_empty(right)?)?)) })
}

fn non_empty(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// What stands between quotation marks, as Go reads it.
fn unescaped(text: &str, mark: char) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(one) = chars.next() {
        if one != '\\' {
            out.push(one);
            continue;
        }
        out.push(match chars.next()? {
            'x' => code(&mut chars, 2)?,
            'u' => code(&mut chars, 4)?,
            'U' => code(&mut chars, 8)?,
            'a' => '\x07',
            'b' => '\x08',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0b',
            '\\' => '\\',
            one if one == mark => one,
            _ => return None,
        });
    }
    Some(out)
}

fn code(chars: &mut Chars<'_>, digits: usize) -> Option<char> {
    let rest = chars.as_str();
    let code = rest.get(..digits).filter(|code| code.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
    let code = u32::from_str_radix(code, 16).ok()?;
    *chars = rest[digits..].chars();
    char::from_u32(code)
}

impl Slice {
    fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        let number = |at: usize| -> Option<Option<i64>> {
            let text = parts.get(at).copied().unwrap_or_default();
            if text.starts_with('+') {
                return None;
            }
            if text.is_empty() { Some(None) } else { text.parse().ok().map(Some) }
        };
        let (from, to, step) = (number(0)?, number(1)?, number(2)?);
        let to = match to {
            _ if parts.len() > 3 => return None,
            _ if parts.len() == 1 => To::One,
            None => To::End,
            Some(to) => To::Before(to),
        };
        Some(Self { from: from.unwrap_or_default(), to, step })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_path_is_refused() {
        for wrong in [
            ".spec[",
            ".spec[x]",
            "....",
            ".a ..  ..",
            ".a[?(@.b==1)",
            ".a[?(@.b=='1)]",
            ".a[?(==1)]",
            ".a[?(@.b==)]",
            ".a[1:2:3:4]",
            ".a[+1]",
            ".a;b{;",
            ".a ;",
            ".a\n.b",
            ".a[?(@.b=='\\q')]",
            ".a[?(@.b==1.2.3)]",
            r#".a[?(@.b=="\x+1")]"#,
            &format!(".a[?(@.b=={})]", "9".repeat(400)),
            &".a".repeat(2_000),
            &format!(".a[{}0]", "0,".repeat(2_000)),
        ] {
            assert_eq!(JsonPath::parse(wrong), None, "{wrong}");
        }
        for right in [
            ".a;b",
            ".",
            "..",
            ".a ",
            ".a}b",
            ".a[]",
            "$.a",
            r#".a[?(@.b=="\u00e9\"")]"#,
            ".a[?(@.b)]",
            &".a".repeat(900),
        ] {
            assert!(JsonPath::parse(right).is_some(), "{right}");
        }
    }

    #[test]
    fn texts_are_unescaped() {
        assert_eq!(unescaped(r#"a\t\"\x41\u00e9\U0001F600"#, '"').unwrap(), "a\t\"A\u{e9}\u{1f600}");
        assert_eq!((unescaped(r"\'", '"'), unescaped(r"\u12", '"'), unescaped("\\", '"')), (None, None, None));
    }
}
