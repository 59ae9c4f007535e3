//! Programs that print: `echo`, `printf`, `yes`; and `true` and `false`.

use crate::runtime::machine::{Outcome, Process, Stop};

/// `true`, and what has nothing to do here.
pub(super) async fn yes_sir(_process: &mut Process) -> Outcome {
    Ok(0)
}

pub(super) async fn no(_process: &mut Process) -> Outcome {
    Ok(1)
}

pub(super) async fn clear(process: &mut Process) -> Outcome {
    process.out("\x1b[H\x1b[2J").await.map(|()| 0)
}

pub(super) async fn yes(process: &mut Process) -> Outcome {
    let operands = process.operands();
    let line = if operands.is_empty() { "y".to_owned() } else { operands.join(" ") } + "\n";
    let block = line.repeat((8192 / line.len()).max(1));
    loop {
        process.machine.step().await;
        process.out(&block).await?;
    }
}

pub(super) async fn echo(process: &mut Process) -> Outcome {
    let operands = process.operands();
    let mut rest = operands.as_slice();
    let (mut newline, mut escapes) = (true, false);
    while let [first, tail @ ..] = rest {
        if first.len() < 2 || !first.starts_with('-') || !first[1..].chars().all(|c| "neE".contains(c)) {
            break;
        }
        for letter in first[1..].chars() {
            match letter {
                'n' => newline = false,
                other => escapes = other == 'e',
            }
        }
        rest = tail;
    }
    let text = rest.join(" ");
    let mut bytes = Vec::new();
    if escapes {
        if unescape(&text, &mut bytes, true) {
            return process.out(bytes).await.map(|()| 0);
        }
    } else {
        bytes.extend_from_slice(text.as_bytes());
    }
    if newline {
        bytes.push(b'\n');
    }
    process.out(bytes).await.map(|()| 0)
}

/// Writes a text with its backslash sequences resolved. True: `\c` ended it.
fn unescape(text: &str, bytes: &mut Vec<u8>, echo: bool) -> bool {
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\\' {
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        match chars.next() {
            Some('n') => bytes.push(b'\n'),
            Some('t') => bytes.push(b'\t'),
            Some('r') => bytes.push(b'\r'),
            Some('a') => bytes.push(7),
            Some('b') => bytes.push(8),
            Some('e') => bytes.push(27),
            Some('f') => bytes.push(12),
            Some('v') => bytes.push(11),
            Some('\\') => bytes.push(b'\\'),
            Some('"') if !echo => bytes.push(b'"'),
            Some('\'') if !echo => bytes.push(b'\''),
            Some('c') => return true,
            Some('x') => digits(&mut chars, 16, 2, 0, bytes),
            Some('0') if echo => digits(&mut chars, 8, 3, 0, bytes),
            Some(digit @ '0'..='7') => {
                let first = digit.to_digit(8).unwrap_or_default();
                digits(&mut chars, 8, if digit == '0' { 3 } else { 2 }, first, bytes);
            }
            Some(other) => {
                bytes.push(b'\\');
                bytes.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes());
            }
            None => bytes.push(b'\\'),
        }
    }
    false
}

fn digits(
    chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
    radix: u32,
    most: usize,
    first: u32,
    bytes: &mut Vec<u8>,
) {
    let mut value = first;
    for _ in 0..most {
        let Some(digit) = chars.peek().and_then(|c| c.to_digit(radix)) else { break };
        value = value * radix + digit;
        chars.next();
    }
    bytes.push(u8::try_from(value & 0xff).unwrap_or_default());
}

/// One conversion of a `printf` format.
#[derive(Clone, Debug, Default)]
struct Conversion {
    left: bool,
    plus: bool,
    space: bool,
    zero: bool,
    alternate: bool,
    width: usize,
    precision: Option<usize>,
    letter: char,
}

/// Bytes that one conversion may be padded to.
const WIDTH_MAX: usize = 65_536;

pub(super) async fn printf(process: &mut Process) -> Outcome {
    let operands = process.operands();
    let operands = operands.strip_prefix(&["--".to_owned()]).unwrap_or(&operands);
    let Some((format, arguments)) = operands.split_first() else {
        return process.fail(2, "usage: printf FORMAT [ARGUMENT...]").await;
    };
    let mut rest = arguments;
    let mut status = 0;
    loop {
        process.machine.step().await;
        let before = rest.len();
        let mut bytes = Vec::new();
        let ended = one_round(process, format, &mut rest, &mut bytes, &mut status).await?;
        process.out(bytes).await?;
        if ended || rest.is_empty() || rest.len() == before {
            return Ok(status);
        }
    }
}

async fn one_round(
    process: &Process,
    format: &str,
    arguments: &mut &[String],
    bytes: &mut Vec<u8>,
    status: &mut i32,
) -> Result<bool, Stop> {
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        if unescape(&rest[..at], bytes, false) {
            return Ok(true);
        }
        rest = &rest[at + 1..];
        if let Some(tail) = rest.strip_prefix('%') {
            bytes.push(b'%');
            rest = tail;
            continue;
        }
        let mut next = || {
            let (first, tail) = arguments.split_first()?;
            *arguments = tail;
            Some(first.clone())
        };
        let Some((conversion, tail)) = conversion(rest, &mut next) else {
            return process.fail(1, format!("%{rest}: invalid format")).await;
        };
        rest = tail;
        let argument = next();
        match convert(&conversion, argument.as_deref(), bytes) {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(message) => {
                process.complain(message).await;
                *status = 1;
            }
        }
    }
    Ok(unescape(rest, bytes, false))
}

fn conversion<'a>(text: &'a str, next: &mut impl FnMut() -> Option<String>) -> Option<(Conversion, &'a str)> {
    let mut found = Conversion::default();
    let mut chars = text.char_indices().peekable();
    while let Some((_, flag)) = chars.next_if(|(_, c)| "-+ 0#".contains(*c)) {
        match flag {
            '-' => found.left = true,
            '+' => found.plus = true,
            ' ' => found.space = true,
            '0' => found.zero = true,
            _ => found.alternate = true,
        }
    }
    let mut number = |chars: &mut std::iter::Peekable<std::str::CharIndices<'_>>| {
        if chars.next_if(|(_, c)| *c == '*').is_some() {
            return next().and_then(|text| text.parse::<usize>().ok()).unwrap_or_default().min(WIDTH_MAX);
        }
        let mut value = 0_usize;
        while let Some((_, c)) = chars.next_if(|(_, c)| c.is_ascii_digit()) {
            value = (value * 10 + c.to_digit(10).unwrap_or_default() as usize).min(WIDTH_MAX);
        }
        value
    };
    found.width = number(&mut chars);
    if chars.next_if(|(_, c)| *c == '.').is_some() {
        found.precision = Some(number(&mut chars));
    }
    while chars.next_if(|(_, c)| "lhzjt".contains(*c)).is_some() {}
    let (at, letter) = chars.next()?;
    found.letter = letter;
    Some((found, &text[at + letter.len_utf8()..]))
}

/// Writes one converted argument. True: `\c` in a `%b` ended the output.
fn convert(conversion: &Conversion, argument: Option<&str>, bytes: &mut Vec<u8>) -> Result<bool, String> {
    let text = argument.unwrap_or_default();
    let mut problem = None;
    let mut integer = || match integer(text) {
        Some(value) => value,
        None => {
            problem = Some(format!("{text}: invalid number"));
            0
        }
    };
    let precise = |digits: String| match conversion.precision {
        Some(precision) => format!("{digits:0>precision$}"),
        None => digits,
    };
    let signed = |negative: bool, digits: String| {
        let sign = match negative {
            true => "-",
            false if conversion.plus => "+",
            false if conversion.space => " ",
            false => "",
        };
        (sign.to_owned(), digits)
    };
    let mut ended = false;
    let (sign, body): (String, Vec<u8>) = match conversion.letter {
        's' | 'b' => {
            let mut body = text.as_bytes().to_vec();
            if conversion.letter == 'b' {
                body.clear();
                ended = unescape(text, &mut body, true);
            }
            body.truncate(conversion.precision.unwrap_or(usize::MAX));
            (String::new(), body)
        }
        'c' => (String::new(), text.chars().next().map(String::from).unwrap_or_default().into_bytes()),
        'd' | 'i' => {
            let value = integer();
            let (sign, digits) = signed(value < 0, precise(value.unsigned_abs().to_string()));
            (sign, digits.into_bytes())
        }
        'u' => (String::new(), precise(integer().cast_unsigned().to_string()).into_bytes()),
        'o' => (String::new(), precise(format!("{:o}", integer())).into_bytes()),
        'x' | 'X' => {
            let value = integer();
            let digits = if conversion.letter == 'x' { format!("{value:x}") } else { format!("{value:X}") };
            let prefix = if conversion.alternate { format!("0{}", conversion.letter) } else { String::new() };
            (prefix, precise(digits).into_bytes())
        }
        'f' | 'F' | 'e' | 'g' => {
            let value = if text.is_empty() { 0.0 } else { text.trim().parse::<f64>().unwrap_or(f64::NAN) };
            if value.is_nan() {
                problem = Some(format!("{text}: invalid number"));
            }
            let value = if value.is_nan() { 0.0 } else { value };
            let precision = conversion.precision.unwrap_or(6);
            let digits = match conversion.letter {
                'e' => exponential(value.abs(), precision),
                'g' => value.abs().to_string(),
                _ => format!("{:.precision$}", value.abs()),
            };
            let (sign, digits) = signed(value < 0.0, digits);
            (sign, digits.into_bytes())
        }
        other => return Err(format!("%{other}: invalid format")),
    };
    let missing = conversion.width.saturating_sub(sign.len() + body.len());
    let numeric = !matches!(conversion.letter, 's' | 'b' | 'c');
    if conversion.left {
        bytes.extend_from_slice(sign.as_bytes());
        bytes.extend_from_slice(&body);
        bytes.resize(bytes.len() + missing, b' ');
    } else if conversion.zero && numeric {
        bytes.extend_from_slice(sign.as_bytes());
        bytes.resize(bytes.len() + missing, b'0');
        bytes.extend_from_slice(&body);
    } else {
        bytes.resize(bytes.len() + missing, b' ');
        bytes.extend_from_slice(sign.as_bytes());
        bytes.extend_from_slice(&body);
    }
    problem.map_or(Ok(ended), Err)
}

fn exponential(value: f64, precision: usize) -> String {
    let text = format!("{value:.precision$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
    format!("{digits}e{sign}{exponent:0>2}")
}

/// A number as C writes it, or a character's code after a quote.
fn integer(text: &str) -> Option<i64> {
    let text = text.trim();
    if text.is_empty() {
        return Some(0);
    }
    if let Some(quoted) = text.strip_prefix(['\'', '"']) {
        return quoted.chars().next().map(|c| i64::from(u32::from(c)));
    }
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let digits = digits.strip_prefix('+').unwrap_or(digits);
    let value = if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        i64::from_str_radix(hex, 16).ok()?
    } else if digits.len() > 1 && digits.starts_with('0') {
        i64::from_str_radix(digits, 8).ok()?
    } else {
        digits.parse().ok()?
    };
    Some(if negative { -value } else { value })
}
