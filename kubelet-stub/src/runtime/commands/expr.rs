//! `expr`.

use super::regex::Regex;
use crate::runtime::machine::{Outcome, Process};

/// Operators from the weakest to the strongest.
const LEVELS: &[&[&str]] =
    &[&["|"], &["&"], &["=", "==", "!=", "<", "<=", ">", ">="], &["+", "-"], &["*", "/", "%"], &[":"]];

struct Reader<'a> {
    words: &'a [String],
    at: usize,
    depth: u32,
}

impl Reader<'_> {
    fn level(&mut self, level: usize) -> Result<String, String> {
        let Some(operators) = LEVELS.get(level) else { return self.operand() };
        let mut left = self.level(level + 1)?;
        while let Some(operator) = self.words.get(self.at).filter(|word| operators.contains(&word.as_str())) {
            self.at += 1;
            let right = self.level(level + 1)?;
            left = apply(&left, operator, &right)?;
        }
        Ok(left)
    }

    fn operand(&mut self) -> Result<String, String> {
        let mut next = || {
            let word = self.words.get(self.at).cloned().ok_or("syntax error");
            self.at += 1;
            word
        };
        let word = next()?;
        match word.as_str() {
            "(" => {
                self.depth += 1;
                if self.depth > 50 {
                    return Err("syntax error".into());
                }
                let value = self.level(0)?;
                self.depth -= 1;
                self.at += 1;
                if self.words.get(self.at - 1).map(String::as_str) == Some(")") {
                    Ok(value)
                } else {
                    Err("syntax error".into())
                }
            }
            "length" if self.words.len() > self.at => {
                let text = self.operand()?;
                Ok(text.chars().count().to_string())
            }
            "substr" if self.words.len() > self.at + 2 => {
                let (text, from, length) = (self.operand()?, self.operand()?, self.operand()?);
                let number = |text: &str| text.parse::<usize>().unwrap_or(0);
                if number(&from) == 0 {
                    return Ok(String::new());
                }
                Ok(text.chars().skip(number(&from) - 1).take(number(&length)).collect())
            }
            "index" if self.words.len() > self.at + 1 => {
                let (text, set) = (self.operand()?, self.operand()?);
                Ok(text.chars().position(|c| set.contains(c)).map_or(0, |at| at + 1).to_string())
            }
            "match" if self.words.len() > self.at + 1 => {
                let (text, regex) = (self.operand()?, self.operand()?);
                apply(&text, ":", &regex)
            }
            _ => Ok(word),
        }
    }
}

fn is_null(text: &str) -> bool {
    text.is_empty() || text.parse::<i64>() == Ok(0)
}

fn apply(left: &str, operator: &str, right: &str) -> Result<String, String> {
    let flag = |holds: bool| Ok(i32::from(holds).to_string());
    let number = |text: &str| text.parse::<i64>().map_err(|_| "non-integer argument".to_owned());
    let order = match (left.parse::<i64>(), right.parse::<i64>()) {
        (Ok(left), Ok(right)) => left.cmp(&right),
        _ => left.cmp(right),
    };
    match operator {
        "|" => Ok(if is_null(left) { right } else { left }.to_owned()),
        "&" => Ok(if is_null(left) || is_null(right) { "0" } else { left }.to_owned()),
        "=" | "==" => flag(order.is_eq()),
        "!=" => flag(order.is_ne()),
        "<" => flag(order.is_lt()),
        "<=" => flag(order.is_le()),
        ">" => flag(order.is_gt()),
        ">=" => flag(order.is_ge()),
        "+" => Ok(number(left)?.wrapping_add(number(right)?).to_string()),
        "-" => Ok(number(left)?.wrapping_sub(number(right)?).to_string()),
        "*" => Ok(number(left)?.wrapping_mul(number(right)?).to_string()),
        "/" | "%" => {
            let (left, right) = (number(left)?, number(right)?);
            if right == 0 {
                return Err("division by zero".into());
            }
            Ok(if operator == "/" { left.wrapping_div(right) } else { left.wrapping_rem(right) }.to_string())
        }
        _ => {
            let regex = Regex::new(&format!("^{right}"), false, false)?;
            let spans = regex.find(left.as_bytes(), 0);
            let group = spans.as_ref().map(|spans| spans.len() > 1);
            Ok(match (spans, group) {
                (Some(spans), Some(true)) => spans[1].map(|(from, to)| left[from..to].to_owned()).unwrap_or_default(),
                (Some(spans), _) => spans[0].map_or(0, |(from, to)| left[from..to].chars().count()).to_string(),
                (None, _) if right.contains("\\(") => String::new(),
                (None, _) => "0".into(),
            })
        }
    }
}

pub(super) async fn expr(process: &mut Process) -> Outcome {
    let words = process.operands();
    let mut reader = Reader { words: &words, at: 0, depth: 0 };
    let value =
        reader.level(0).and_then(|value| if reader.at == words.len() { Ok(value) } else { Err("syntax error".into()) });
    match value {
        Ok(value) => {
            let null = is_null(&value);
            process.out(value + "\n").await?;
            Ok(i32::from(null))
        }
        Err(message) => process.fail(2, message).await,
    }
}
