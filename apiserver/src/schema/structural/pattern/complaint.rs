//! What Go's parser of regular expressions refuses, in its words, as far as a look from left to right tells it. What is not
//! told here the crate may still refuse, in its own.

/// Most repetitions that Go counts.
const REPEATED_MAX: u32 = 1000;

/// Why an expression is none, if it is seen to be none.
pub(super) fn complaint(text: &str) -> Option<String> {
    let mut scan = Scan { text, at: 0, open: 0, empty: true, repeated: None };
    match scan.run() {
        Ok(()) => None,
        Err((why, which)) => Some(format!("error parsing regexp: {why}: `{which}`")),
    }
}

struct Scan<'t> {
    text: &'t str,
    at: usize,
    /// Groups that are open.
    open: usize,
    /// Nothing stands here yet that could be repeated.
    empty: bool,
    /// Where the repetition begins that stands right before.
    repeated: Option<usize>,
}

type Found<'t> = Result<(), (&'static str, &'t str)>;

impl<'t> Scan<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    /// The next sign, behind which the look goes on.
    fn next(&mut self) -> Option<char> {
        let next = self.rest().chars().next()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn run(&mut self) -> Found<'t> {
        loop {
            let from = self.at;
            let before = self.repeated.take();
            let Some(next) = self.next() else { break };
            match next {
                '\\' => self.escape(from)?,
                '[' => self.class(from)?,
                '(' => self.group(from)?,
                ')' if self.open == 0 => return Err(("unexpected )", self.text)),
                ')' => {
                    self.open -= 1;
                    self.empty = false;
                }
                '|' => self.empty = true,
                '*' | '+' | '?' => self.repetition(from, before)?,
                '{' => match self.count() {
                    Some(fits) => {
                        let which = &self.text[from..self.at];
                        if !fits {
                            return Err(("invalid repeat count", which));
                        }
                        self.repetition(from, before)?;
                    }
                    None => self.empty = false,
                },
                _ => self.empty = false,
            }
        }
        if self.open > 0 { Err(("missing closing )", self.text)) } else { Ok(()) }
    }

    /// A sign of repetition that began here, with what makes it a modest one.
    fn repetition(&mut self, from: usize, before: Option<usize>) -> Found<'t> {
        if self.rest().starts_with('?') {
            self.at += 1;
        }
        if self.empty {
            return Err(("missing argument to repetition operator", &self.text[from..self.at]));
        }
        if let Some(first) = before {
            return Err(("invalid nested repetition operator", &self.text[first..self.at]));
        }
        self.repeated = Some(from);
        Ok(())
    }

    /// Reads `n}`, `n,}` or `n,m}` and says whether Go counts so far; anything else is text.
    fn count(&mut self) -> Option<bool> {
        // Digits alone are looked at: the end of what is no count may be far, and asked for at each of its signs.
        let rest = self.rest();
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let one = digits(rest);
        let (two, end) = match rest[one..].strip_prefix(',') {
            Some(more) => (Some(&more[..digits(more)]), one + 1 + digits(more)),
            None => (None, one),
        };
        if !rest[end..].starts_with('}') {
            return None;
        }
        let least = &rest[..one];
        let most = two.map_or(Some(least), |most| (!most.is_empty()).then_some(most));
        let is_number = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|byte| byte.is_ascii_digit())
                && (text.len() == 1 || !text.starts_with('0'))
        };
        if !is_number(least) || !most.is_none_or(is_number) {
            return None;
        }
        self.at += end + 1;
        let number = |text: &str| text.parse::<u32>().unwrap_or(u32::MAX);
        let (least, most) = (number(least), most.map(number));
        Some(least <= REPEATED_MAX && most.is_none_or(|most| most <= REPEATED_MAX && least <= most))
    }

    fn group(&mut self, from: usize) -> Found<'t> {
        let was_empty = std::mem::replace(&mut self.empty, true);
        self.open += 1;
        if !self.rest().starts_with('?') {
            return Ok(());
        }
        if self.rest().starts_with("?P<") || self.rest().starts_with("?<") {
            let Some(end) = self.rest().find('>') else { return Err(("invalid named capture", &self.text[from..])) };
            let name = self.rest()[..end].split_once('<').map_or("", |(_, name)| name);
            self.at += end + 1;
            let is_name = !name.is_empty() && name.chars().all(|c| c == '_' || c.is_alphanumeric());
            return if is_name { Ok(()) } else { Err(("invalid named capture", &self.text[from..self.at])) };
        }
        self.at += 1;
        let (mut negated, mut said) = (false, false);
        while let Some(next) = self.next() {
            match next {
                'i' | 'm' | 's' | 'U' => said = true,
                '-' if !negated => (negated, said) = (true, false),
                ':' | ')' if !negated || said => {
                    // Flags alone are no group, and change nothing of what could be repeated.
                    if next == ')' {
                        self.open -= 1;
                        self.empty = was_empty;
                    }
                    return Ok(());
                }
                _ => break,
            }
        }
        Err(("invalid or unsupported Perl syntax", &self.text[from..self.at]))
    }

    fn escape(&mut self, from: usize) -> Found<'t> {
        self.empty = false;
        match self.next() {
            None => Err(("trailing backslash at end of expression", "")),
            Some('Q') => {
                let end = self.rest().find(r"\E").map_or(self.rest().len(), |end| end + 2);
                self.at += end;
                Ok(())
            }
            Some('p' | 'P' | 'x' | '0') => Ok(()),
            // Two digits of eight are a sign by its number, one alone would mean a group.
            Some('1'..='7') if self.rest().starts_with(|c: char| ('0'..='7').contains(&c)) => Ok(()),
            Some(sign) if sign.is_ascii_alphanumeric() && !"AabBdDfnrsStvwWz".contains(sign) => {
                Err(("invalid escape sequence", &self.text[from..self.at]))
            }
            Some(sign) if !sign.is_ascii() => Err(("invalid escape sequence", &self.text[from..self.at])),
            Some(_) => Ok(()),
        }
    }

    /// A class, whose end alone is looked for, and ranges of plain signs.
    fn class(&mut self, from: usize) -> Found<'t> {
        self.empty = false;
        let whole = &self.text[from..];
        if self.rest().starts_with('^') {
            self.at += 1;
        }
        let mut first = true;
        loop {
            let start = self.at;
            let Some(low) = self.next() else { return Err(("missing closing ]", whole)) };
            match low {
                ']' if !first => return Ok(()),
                '\\' => match self.next() {
                    None => return Err(("trailing backslash at end of expression", "")),
                    Some('1'..='7') if self.rest().starts_with(|c: char| ('0'..='7').contains(&c)) => {}
                    Some(sign)
                        if !sign.is_ascii() || sign.is_ascii_alphanumeric() && !"aDdfnpPrsStvwWx0".contains(sign) =>
                    {
                        return Err(("invalid escape sequence", &self.text[start..self.at]));
                    }
                    Some(_) => {}
                },
                '[' if self.rest().starts_with(':') => {
                    let is_name = |byte: &u8| byte.is_ascii_lowercase() || *byte == b'^';
                    let letters = self.rest()[1..].bytes().take_while(is_name).count();
                    if self.rest()[1 + letters..].starts_with(":]") {
                        self.at += letters + 3;
                    }
                }
                _ => {
                    let mut rest = self.rest().chars();
                    if rest.next() == Some('-')
                        && let Some(high) = rest.next().filter(|high| !matches!(high, ']' | '\\'))
                    {
                        self.at += 1 + high.len_utf8();
                        if high < low {
                            return Err(("invalid character class range", &self.text[start..self.at]));
                        }
                    }
                }
            }
            first = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::complaint;

    #[test]
    fn what_go_takes_is_not_complained_of() {
        for fine in [
            "",
            "^a*$",
            "a{1000}",
            "a{,2}",
            "a{01}",
            "{",
            "a{2",
            "[]a]",
            "[^]]",
            r"[\]]",
            "[a-]",
            "[-a]",
            r"[\d-x]",
            "(?i)a",
            "(?P<n>a)",
            "(?<n>a)",
            "(?i-s:a)",
            r"\Qa(*\E",
            r"\p{Greek}",
            r"\x{10FFFF}",
            r"\012",
            "a|b",
            "(a|b)*?",
            "[[:alpha:]-z]",
            r"\.\-\_",
            "^*",
            "a(?i)*",
            "(?:a)+",
            "a??",
            "()*",
        ] {
            assert_eq!(complaint(fine), None, "{fine}");
        }
    }

    #[test]
    fn what_go_refuses_is_refused_in_its_words() {
        for (wrong, why) in [
            ("[", "missing closing ]: `[`"),
            ("a[b", "missing closing ]: `[b`"),
            ("(a", "missing closing ): `(a`"),
            ("a)", "unexpected ): `a)`"),
            ("*a", "missing argument to repetition operator: `*`"),
            ("(?i)+", "missing argument to repetition operator: `+`"),
            ("a**", "invalid nested repetition operator: `**`"),
            ("a{2}{3}", "invalid nested repetition operator: `{2}{3}`"),
            ("a{2000}", "invalid repeat count: `{2000}`"),
            ("a{3,2}", "invalid repeat count: `{3,2}`"),
            ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
            ("(?<=a)b", "invalid named capture: `(?<=a)b`"),
            (r"\q", r"invalid escape sequence: `\q`"),
            (r"\1", r"invalid escape sequence: `\1`"),
            ("a\\", "trailing backslash at end of expression: ``"),
            ("[z-a]", "invalid character class range: `z-a`"),
        ] {
            assert_eq!(complaint(wrong), Some(format!("error parsing regexp: {why}")), "{wrong}");
        }
    }
}
