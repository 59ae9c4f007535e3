//! `test`, `[` and `[[`: conditions on texts, numbers and files.

use super::glob::Pattern;
use crate::runtime::files::Kind;
use crate::runtime::machine::{Outcome, Process};
use std::cmp::Ordering;

/// The programs `test` and `[`.
pub(crate) async fn test(process: &mut Process) -> Outcome {
    let mut words = process.operands();
    if process.name() == "[" && words.pop().as_deref() != Some("]") {
        return process.fail(2, "missing ]").await;
    }
    match evaluate(&words, process, false) {
        Ok(holds) => Ok(i32::from(!holds)),
        Err(message) => process.fail(2, message).await,
    }
}

/// Evaluates a condition. `double`: as `[[` does, with patterns at the right of `==`.
pub(crate) fn evaluate(words: &[String], process: &Process, double: bool) -> Result<bool, String> {
    // POSIX decides by the number of words first, so that operands that look like operators are no trouble.
    match words {
        [] => return Ok(false),
        [only] => return Ok(!only.is_empty()),
        [not, only] if not == "!" => return Ok(only.is_empty()),
        [left, operator, right] if is_binary(operator) => return binary(left, operator, right, process, double),
        [not, rest @ ..] if not == "!" && rest.len() == 3 => {
            return evaluate(rest, process, double).map(|holds| !holds);
        }
        _ => {}
    }
    let mut reader = Reader { words, at: 0, process, double, depth: 0 };
    let holds = reader.or()?;
    match words.get(reader.at) {
        None => Ok(holds),
        Some(word) => Err(format!("{word}: unexpected operator")),
    }
}

struct Reader<'a> {
    words: &'a [String],
    at: usize,
    process: &'a Process,
    double: bool,
    depth: u32,
}

impl Reader<'_> {
    fn word(&self, ahead: usize) -> Option<&str> {
        self.words.get(self.at + ahead).map(String::as_str)
    }

    fn take(&mut self, choices: &[&str]) -> bool {
        let found = self.word(0).is_some_and(|word| choices.contains(&word));
        self.at += usize::from(found);
        found
    }

    fn or(&mut self) -> Result<bool, String> {
        let mut holds = self.and()?;
        while self.take(&["-o", "||"]) {
            holds |= self.and()?;
        }
        Ok(holds)
    }

    fn and(&mut self) -> Result<bool, String> {
        let mut holds = self.not()?;
        while self.take(&["-a", "&&"]) {
            holds &= self.not()?;
        }
        Ok(holds)
    }

    fn not(&mut self) -> Result<bool, String> {
        self.depth += 1;
        if self.depth > 100 {
            return Err("too many arguments".into());
        }
        let holds = if self.take(&["!"]) { self.not().map(|holds| !holds) } else { self.primary() };
        self.depth -= 1;
        holds
    }

    fn primary(&mut self) -> Result<bool, String> {
        if let (Some(left), Some(operator), Some(right)) = (self.word(0), self.word(1), self.word(2))
            && is_binary(operator)
        {
            let holds = binary(left, operator, right, self.process, self.double);
            self.at += 3;
            return holds;
        }
        if self.take(&["("]) {
            let holds = self.or()?;
            return if self.take(&[")"]) { Ok(holds) } else { Err("closing paren expected".into()) };
        }
        let first = self.word(0).ok_or("argument expected")?.to_owned();
        self.at += 1;
        if first.len() == 2
            && first.starts_with('-')
            && let Some(operand) = self.word(0)
        {
            let holds = unary(&first, operand, self.process);
            self.at += 1;
            return holds;
        }
        Ok(!first.is_empty())
    }
}

fn is_binary(word: &str) -> bool {
    const OPERATORS: &[&str] =
        &["=", "==", "!=", "<", ">", "=~", "-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-nt", "-ot", "-ef"];
    OPERATORS.contains(&word)
}

fn binary(left: &str, operator: &str, right: &str, process: &Process, double: bool) -> Result<bool, String> {
    let number = |text: &str| text.trim().parse::<i64>().map_err(|_| format!("{text}: bad number"));
    let order = || Ok::<Ordering, String>(number(left)?.cmp(&number(right)?));
    let modified = |path: &str| process.place.stat(path).map(|stat| stat.modified).ok();
    Ok(match operator {
        "=" | "==" if double => Pattern::new(right).matches(left),
        "!=" if double => !Pattern::new(right).matches(left),
        "=" | "==" => left == right,
        "!=" => left != right,
        "<" => left < right,
        ">" => left > right,
        "=~" => crate::runtime::commands::regex::Regex::new(right, true, false)?.is_match(left.as_bytes()),
        "-eq" => order()?.is_eq(),
        "-ne" => order()?.is_ne(),
        "-lt" => order()?.is_lt(),
        "-le" => order()?.is_le(),
        "-gt" => order()?.is_gt(),
        "-ge" => order()?.is_ge(),
        "-nt" => modified(left) > modified(right),
        "-ot" => modified(left) < modified(right),
        "-ef" => match (process.place.stat(left), process.place.stat(right)) {
            (Ok(left), Ok(right)) => left.id == right.id,
            _ => false,
        },
        other => return Err(format!("{other}: unknown operand")),
    })
}

fn unary(operator: &str, operand: &str, process: &Process) -> Result<bool, String> {
    let place = &process.place;
    let kind = || place.stat(operand).map(|stat| stat.kind).ok();
    Ok(match operator {
        "-n" => !operand.is_empty(),
        "-z" => operand.is_empty(),
        "-e" | "-a" => kind().is_some(),
        "-f" => kind() == Some(Kind::File),
        "-d" => kind() == Some(Kind::Directory),
        "-h" | "-L" => place.stat_link(operand).is_ok_and(|stat| stat.kind == Kind::Link),
        "-s" => place.stat(operand).is_ok_and(|stat| stat.size > 0),
        "-c" => matches!(kind(), Some(Kind::Device(_))),
        "-r" => place.may_read(operand),
        "-w" => place.may_write(operand),
        "-x" => place.may_execute(operand),
        "-b" | "-p" | "-S" | "-g" | "-u" | "-k" => false,
        "-O" => place.stat(operand).is_ok_and(|stat| stat.uid == place.uid),
        "-G" => place.stat(operand).is_ok_and(|stat| stat.gid == place.gid),
        "-t" => operand.parse::<u32>().is_ok_and(|fd| fd <= 2) && process.terminal.is_some(),
        other => return Err(format!("{other}: unknown operand")),
    })
}
