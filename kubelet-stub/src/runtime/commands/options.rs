//! Reads a program's options, as `getopt_long` does: letters in groups, values attached or next, `--` at the end.

use crate::runtime::machine::{Process, Stop};

/// What was given.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Given {
    flags: Vec<(char, String)>,
    pub(super) operands: Vec<String>,
}

impl Given {
    pub(super) fn has(&self, letter: char) -> bool {
        self.flags.iter().any(|(known, _)| *known == letter)
    }

    pub(super) fn value(&self, letter: char) -> Option<&str> {
        self.flags.iter().rev().find(|(known, _)| *known == letter).map(|(_, value)| value.as_str())
    }

    pub(super) fn values(&self, letter: char) -> impl Iterator<Item = &str> {
        self.flags.iter().filter(move |(known, _)| *known == letter).map(|(_, value)| value.as_str())
    }

    pub(super) fn flags(&self) -> impl Iterator<Item = (char, &str)> {
        self.flags.iter().map(|(letter, value)| (*letter, value.as_str()))
    }
}

/// Which options a program takes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spec<'a> {
    /// Letters; a colon after one: it takes a value.
    pub(super) letters: &'a str,
    /// Long names and the letters that they stand for.
    pub(super) long: &'a [(&'a str, char)],
    /// The first operand ends the options: it is a command with options of its own.
    pub(super) stops: bool,
}

/// Reads the options; a bad one is told and ends the program with 1.
pub(super) async fn read(process: &Process, letters: &str, long: &[(&str, char)]) -> Result<Given, Stop> {
    read_spec(process, Spec { letters, long, stops: false }).await
}

/// As `read`.
pub(super) async fn read_spec(process: &Process, spec: Spec<'_>) -> Result<Given, Stop> {
    match parse(&process.operands(), spec) {
        Ok(given) => Ok(given),
        Err(message) => process.fail(if process.name() == "grep" { 2 } else { 1 }, message).await,
    }
}

pub(super) fn parse(arguments: &[String], spec: Spec<'_>) -> Result<Given, String> {
    let takes_value = |letter: char| spec.letters.find(letter).map(|at| spec.letters[at..].chars().nth(1) == Some(':'));
    let mut given = Given::default();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if argument == "--" {
            given.operands.extend(rest.cloned());
            break;
        }
        if let Some(name) = argument.strip_prefix("--") {
            let (name, value) = name.split_once('=').map_or((name, None), |(name, value)| (name, Some(value)));
            let known = spec.long.iter().find(|(long, _)| *long == name);
            let (_, letter) = known.ok_or_else(|| format!("unrecognized option: {name}"))?;
            let value = match (takes_value(*letter), value) {
                (Some(true), Some(value)) => value.to_owned(),
                (Some(true), None) => {
                    rest.next().cloned().ok_or_else(|| format!("option requires an argument: {name}"))?
                }
                (_, value) => value.unwrap_or_default().to_owned(),
            };
            given.flags.push((*letter, value));
            continue;
        }
        if !argument.starts_with('-') || argument.len() == 1 {
            given.operands.push(argument.clone());
            if spec.stops {
                given.operands.extend(rest.cloned());
                break;
            }
            continue;
        }
        let letters = argument[1..].char_indices();
        for (at, letter) in letters {
            match takes_value(letter).filter(|_| letter != ':') {
                None => return Err(format!("unrecognized option: {letter}")),
                Some(false) => given.flags.push((letter, String::new())),
                Some(true) => {
                    let attached = &argument[1 + at + letter.len_utf8()..];
                    let value = if attached.is_empty() { rest.next().cloned() } else { Some(attached.to_owned()) };
                    let value = value.ok_or_else(|| format!("option requires an argument -- '{letter}'"))?;
                    given.flags.push((letter, value));
                    break;
                }
            }
        }
    }
    Ok(given)
}
