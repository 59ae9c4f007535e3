//! Evaluates `$((…))`: C's integer expressions over the shell's variables.

/// Expressions within expressions.
const DEPTH_MAX: u32 = 50;

/// Gives and takes variables.
pub(super) trait Variables {
    fn value(&self, name: &str) -> String;
    fn assign(&mut self, name: &str, value: i64) -> Result<(), String>;
}

/// Evaluates an expression; an empty one is 0.
pub(super) fn evaluate(text: &str, variables: &mut dyn Variables) -> Result<i64, String> {
    evaluate_at(text, variables, 0)
}

fn evaluate_at(text: &str, variables: &mut dyn Variables, depth: u32) -> Result<i64, String> {
    let tokens = tokens(text)?;
    if tokens.is_empty() {
        return Ok(0);
    }
    let mut reader = Reader { tokens, at: 0, variables, depth, skip: 0 };
    let value = reader.comma()?;
    if reader.at < reader.tokens.len() { Err("arithmetic syntax error".into()) } else { Ok(value) }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Number(i64),
    Name(String),
    Operator(&'static str),
}

const OPERATORS: &[&str] = &[
    "<<=", ">>=", "**", "<<", ">>", "<=", ">=", "==", "!=", "&&", "||", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=",
    "++", "--", "+", "-", "*", "/", "%", "<", ">", "=", "!", "~", "&", "|", "^", "?", ":", "(", ")", ",",
];

/// Binary operators from the weakest to the strongest.
const LEVELS: &[&[&str]] = &[
    &["||"],
    &["&&"],
    &["|"],
    &["^"],
    &["&"],
    &["==", "!="],
    &["<", "<=", ">", ">="],
    &["<<", ">>"],
    &["+", "-"],
    &["*", "/", "%"],
];

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let taken = if first.is_ascii_alphanumeric() || first == '_' {
            let length = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            let word = &rest[..length];
            found.push(if first.is_ascii_digit() { Token::Number(number(word)?) } else { Token::Name(word.into()) });
            length
        } else {
            let operator = OPERATORS.iter().find(|operator| rest.starts_with(**operator));
            let operator = operator.ok_or("arithmetic syntax error")?;
            found.push(Token::Operator(operator));
            operator.len()
        };
        rest = rest[taken..].trim_start();
    }
    Ok(found)
}

fn number(word: &str) -> Result<i64, String> {
    let parsed = if let Some(hex) = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
        i64::from_str_radix(hex, 16)
    } else if word.len() > 1 && word.starts_with('0') {
        i64::from_str_radix(&word[1..], 8)
    } else {
        word.parse()
    };
    parsed.map_err(|_| "arithmetic syntax error".into())
}

struct Reader<'a> {
    tokens: Vec<Token>,
    at: usize,
    variables: &'a mut dyn Variables,
    depth: u32,
    /// Above zero, operands are read but have no effect: the sides of `&&`, `||` and `?:` that are not taken.
    skip: u32,
}

impl Reader<'_> {
    fn operator(&self) -> Option<&'static str> {
        match self.tokens.get(self.at) {
            Some(Token::Operator(operator)) => Some(operator),
            _ => None,
        }
    }

    fn take(&mut self, operator: &str) -> bool {
        let found = self.operator() == Some(operator);
        self.at += usize::from(found);
        found
    }

    fn comma(&mut self) -> Result<i64, String> {
        let mut value = self.assignment()?;
        while self.take(",") {
            value = self.assignment()?;
        }
        Ok(value)
    }

    fn assignment(&mut self) -> Result<i64, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("expression recursion level exceeded".into());
        }
        let value = self.assignment_below();
        self.depth -= 1;
        value
    }

    fn assignment_below(&mut self) -> Result<i64, String> {
        if let (Some(Token::Name(name)), Some(Token::Operator(operator))) =
            (self.tokens.get(self.at), self.tokens.get(self.at + 1))
        {
            let (name, operator) = (name.clone(), *operator);
            let compound = operator.strip_suffix('=').filter(|_| !["==", "!=", "<=", ">="].contains(&operator));
            if let Some(binary) = compound {
                self.at += 2;
                let right = self.assignment()?;
                let value = if binary.is_empty() {
                    right
                } else {
                    let left = self.variable(&name)?;
                    self.apply(binary, left, right)?
                };
                self.set(&name, value)?;
                return Ok(value);
            }
        }
        self.conditional()
    }

    fn conditional(&mut self) -> Result<i64, String> {
        let condition = self.binary(0)?;
        if !self.take("?") {
            return Ok(condition);
        }
        self.skip += u32::from(condition == 0);
        let yes = self.assignment()?;
        self.skip -= u32::from(condition == 0);
        if !self.take(":") {
            return Err("arithmetic syntax error".into());
        }
        self.skip += u32::from(condition != 0);
        let no = self.assignment()?;
        self.skip -= u32::from(condition != 0);
        Ok(if condition != 0 { yes } else { no })
    }

    fn binary(&mut self, level: usize) -> Result<i64, String> {
        let Some(operators) = LEVELS.get(level) else { return self.power() };
        let mut left = self.binary(level + 1)?;
        while let Some(operator) = self.operator().filter(|operator| operators.contains(operator)) {
            self.at += 1;
            let decided = (operator == "&&" && left == 0) || (operator == "||" && left != 0);
            self.skip += u32::from(decided);
            let right = self.binary(level + 1)?;
            self.skip -= u32::from(decided);
            left = self.apply(operator, left, right)?;
        }
        Ok(left)
    }

    fn power(&mut self) -> Result<i64, String> {
        let base = self.unary()?;
        if !self.take("**") {
            return Ok(base);
        }
        let exponent = self.power()?;
        let exponent = u32::try_from(exponent).map_err(|_| "exponent less than 0")?;
        Ok(base.wrapping_pow(exponent))
    }

    fn unary(&mut self) -> Result<i64, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("expression recursion level exceeded".into());
        }
        let value = match self.operator() {
            Some(operator @ ("!" | "~" | "-" | "+")) => {
                self.at += 1;
                let value = self.unary()?;
                Ok(match operator {
                    "!" => i64::from(value == 0),
                    "~" => !value,
                    "-" => value.wrapping_neg(),
                    _ => value,
                })
            }
            Some(operator @ ("++" | "--")) => {
                self.at += 1;
                let Some(Token::Name(name)) = self.tokens.get(self.at).cloned() else {
                    return Err("arithmetic syntax error".into());
                };
                self.at += 1;
                let value = self.variable(&name)?.wrapping_add(if operator == "++" { 1 } else { -1 });
                self.set(&name, value)?;
                Ok(value)
            }
            _ => self.operand(),
        };
        self.depth -= 1;
        value
    }

    fn operand(&mut self) -> Result<i64, String> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        match token {
            Some(Token::Number(value)) => Ok(value),
            Some(Token::Name(name)) => {
                let value = self.variable(&name)?;
                if let Some(operator @ ("++" | "--")) = self.operator() {
                    self.at += 1;
                    self.set(&name, value.wrapping_add(if operator == "++" { 1 } else { -1 }))?;
                }
                Ok(value)
            }
            Some(Token::Operator("(")) => {
                let value = self.comma()?;
                if self.take(")") { Ok(value) } else { Err("arithmetic syntax error".into()) }
            }
            _ => Err("arithmetic syntax error".into()),
        }
    }

    fn variable(&mut self, name: &str) -> Result<i64, String> {
        if self.skip > 0 {
            return Ok(0);
        }
        let text = self.variables.value(name);
        match text.trim().parse() {
            Ok(value) => Ok(value),
            Err(_) if self.depth < DEPTH_MAX => evaluate_at(&text, self.variables, self.depth + 1),
            Err(_) => Err("expression recursion level exceeded".into()),
        }
    }

    fn set(&mut self, name: &str, value: i64) -> Result<(), String> {
        if self.skip > 0 { Ok(()) } else { self.variables.assign(name, value) }
    }

    fn apply(&self, operator: &str, left: i64, right: i64) -> Result<i64, String> {
        if matches!(operator, "/" | "%") && right == 0 {
            return if self.skip > 0 { Ok(0) } else { Err("divide by zero".into()) };
        }
        let shift = u32::try_from(right & 63).unwrap_or_default();
        Ok(match operator {
            "||" => i64::from(left != 0 || right != 0),
            "&&" => i64::from(left != 0 && right != 0),
            "|" => left | right,
            "^" => left ^ right,
            "&" => left & right,
            "==" => i64::from(left == right),
            "!=" => i64::from(left != right),
            "<" => i64::from(left < right),
            "<=" => i64::from(left <= right),
            ">" => i64::from(left > right),
            ">=" => i64::from(left >= right),
            "<<" => left.wrapping_shl(shift),
            ">>" => left.wrapping_shr(shift),
            "+" => left.wrapping_add(right),
            "-" => left.wrapping_sub(right),
            "*" => left.wrapping_mul(right),
            "/" => left.wrapping_div(right),
            "%" => left.wrapping_rem(right),
            _ => return Err("arithmetic syntax error".into()),
        })
    }
}
