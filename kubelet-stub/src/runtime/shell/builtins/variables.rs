//! Builtins about variables and options: `set`, `export`, `local`, `read`, `getopts` and their kin.

use super::quote;
use crate::runtime::shell::state::{Flow, Options, Ran, Shell};
use crate::runtime::shell::word::is_variable_name;
use std::time::Duration;

/// Bytes of a line that `read` takes.
const READ_BYTES_MAX: usize = 1 << 20;

impl Shell {
    pub(super) async fn shift(&mut self, operands: &[String]) -> Ran {
        let count = operands.first().map_or(Some(1), |text| text.parse::<usize>().ok());
        match count.filter(|count| *count <= self.positional.len()) {
            Some(count) => {
                self.positional.drain(..count);
                Ok(0)
            }
            None => {
                self.say("shift: can't shift that many").await;
                Ok(1)
            }
        }
    }

    pub(super) async fn set(&mut self, operands: &[String]) -> Ran {
        if operands.is_empty() {
            let variables = self.variables.clone();
            for (name, variable) in variables {
                self.print(format!("{name}={}\n", quote(&variable.value))).await?;
            }
            return Ok(0);
        }
        let mut rest = operands;
        while let [first, tail @ ..] = rest {
            if first == "--" {
                self.positional = tail.to_vec();
                return Ok(0);
            }
            let Some(on) = first.chars().next().filter(|c| "+-".contains(*c)).map(|c| c == '-') else { break };
            rest = tail;
            for letter in first.chars().skip(1) {
                let known = if letter == 'o' {
                    let Some((name, tail)) = rest.split_first() else { return Ok(0) };
                    rest = tail;
                    self.options.set_named(name, on)
                } else {
                    self.options.set_letter(letter, on)
                };
                if !known {
                    return self.fail(2, &format!("set: illegal option {first}")).await;
                }
            }
            if first == "-" {
                break;
            }
        }
        if !rest.is_empty() {
            self.positional = rest.to_vec();
        }
        Ok(0)
    }

    /// `export` and `readonly`.
    pub(super) async fn mark(&mut self, name: &str, operands: &[String]) -> Ran {
        let exports = name == "export";
        let names: Vec<&String> = operands.iter().filter(|text| !text.starts_with('-')).collect();
        let takes_back = operands.iter().any(|text| text == "-n");
        if names.is_empty() {
            let variables = self.variables.clone();
            for (known, variable) in variables {
                if if exports { variable.exported } else { variable.read_only } {
                    self.print(format!("{name} {known}={}\n", quote(&variable.value))).await?;
                }
            }
            return Ok(0);
        }
        for operand in names {
            let (variable, value) =
                operand.split_once('=').map_or((operand.as_str(), None), |(name, value)| (name, Some(value)));
            if !is_variable_name(variable) {
                return self.fail(2, &format!("{name}: {variable}: bad variable name")).await;
            }
            if let Some(value) = value {
                self.assign(variable, value.to_owned()).await?;
            }
            let entry = self.variables.entry(variable.to_owned()).or_default();
            if exports {
                entry.exported = !takes_back;
            } else {
                entry.read_only = true;
            }
        }
        Ok(0)
    }

    pub(super) async fn local(&mut self, operands: &[String]) -> Ran {
        if self.locals.is_empty() {
            return self.fail(2, "local: not in a function").await;
        }
        for operand in operands {
            let (name, value) =
                operand.split_once('=').map_or((operand.as_str(), None), |(name, value)| (name, Some(value)));
            let before = self.variables.get(name).cloned();
            if let Some(locals) = self.locals.last_mut() {
                locals.entry(name.to_owned()).or_insert(before);
            }
            match value {
                Some(value) => self.assign(name, value.to_owned()).await?,
                None => drop(self.variables.remove(name)),
            }
        }
        Ok(0)
    }

    pub(super) async fn unset(&mut self, operands: &[String]) -> Ran {
        let functions = operands.first().is_some_and(|flag| flag == "-f");
        for name in operands.iter().filter(|text| !text.starts_with('-')) {
            if functions {
                self.functions.remove(name);
            } else if self.variables.get(name).is_some_and(|variable| variable.read_only) {
                return self.fail(2, &format!("unset: {name}: is read only")).await;
            } else if self.variables.remove(name).is_none() {
                self.functions.remove(name);
            }
        }
        Ok(0)
    }

    pub(super) async fn let_all(&mut self, operands: &[String]) -> Ran {
        let mut value = 0;
        for text in operands {
            value = self.arithmetic(text).await?;
        }
        Ok(i32::from(value == 0))
    }

    pub(super) async fn read(&mut self, operands: &[String]) -> Ran {
        let (mut raw, mut timeout, mut count, mut prompt, mut delimiter) = (false, None, None, None, b'\n');
        let mut rest = operands.iter();
        let mut names: Vec<String> = Vec::new();
        while let Some(operand) = rest.next() {
            match operand.as_str() {
                "-r" => raw = true,
                "-s" => {}
                "-rs" | "-sr" => raw = true,
                "-t" => timeout = rest.next().and_then(|text| text.parse::<f64>().ok()),
                "-n" => count = rest.next().and_then(|text| text.parse::<usize>().ok()),
                "-p" => prompt = rest.next().cloned(),
                "-d" => delimiter = rest.next().and_then(|text| text.bytes().next()).unwrap_or(0),
                name => names.push(name.to_owned()),
            }
        }
        if let Some(prompt) = prompt {
            self.process.err(prompt).await;
        }
        if let Some(bad) = names.iter().find(|name| !is_variable_name(name)) {
            return self.fail(2, &format!("read: '{bad}': bad variable name")).await;
        }
        let line = self.read_line(raw, delimiter, count);
        let (line, complete) = match timeout {
            Some(seconds) => {
                let limit = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX);
                match tokio::time::timeout(limit, line).await {
                    Ok(line) => line,
                    Err(_) => return Ok(142),
                }
            }
            None => line.await,
        };
        self.assign_fields(&names, &line).await?;
        Ok(i32::from(!complete))
    }

    /// A line's characters, each with whether a backslash quotes it; and whether its end was met.
    async fn read_line(&self, raw: bool, delimiter: u8, count: Option<usize>) -> (Vec<(char, bool)>, bool) {
        let source = self.process.stdin();
        let mut line = Vec::new();
        loop {
            let most = count.map_or(READ_BYTES_MAX, |count| count.saturating_sub(line.len()));
            if most == 0 {
                return (line, true);
            }
            let mut bytes = source.read_until(delimiter, most).await.unwrap_or_default();
            let complete = bytes.last() == Some(&delimiter);
            if complete {
                bytes.pop();
            }
            let mut escaped = false;
            for c in String::from_utf8_lossy(&bytes).chars() {
                if !raw && !escaped && c == '\\' {
                    escaped = true;
                } else {
                    line.push((c, escaped));
                    escaped = false;
                }
            }
            if complete && escaped {
                continue;
            }
            let enough = count.is_some_and(|count| line.len() >= count);
            return (line, complete || enough);
        }
    }

    async fn assign_fields(&mut self, names: &[String], line: &[(char, bool)]) -> Result<(), Flow> {
        let ifs = self.ifs();
        let blank = |(c, quoted): &(char, bool)| !quoted && c.is_ascii_whitespace() && ifs.contains(*c);
        let separates = |(c, quoted): &(char, bool)| !quoted && ifs.contains(*c);
        let text = |chars: &[(char, bool)]| chars.iter().map(|(c, _)| *c).collect::<String>();
        if names.is_empty() {
            return self.assign("REPLY", text(line)).await;
        }
        let mut rest = line;
        for (index, name) in names.iter().enumerate() {
            while rest.first().is_some_and(&blank) {
                rest = &rest[1..];
            }
            let value = if index + 1 == names.len() {
                while rest.last().is_some_and(&blank) {
                    rest = &rest[..rest.len() - 1];
                }
                // One field with one delimiter after it is that field.
                let only = rest.iter().filter(|c| separates(c)).count() == 1;
                let trimmed = if only && rest.last().is_some_and(&separates) { &rest[..rest.len() - 1] } else { rest };
                rest = &[];
                text(trimmed)
            } else {
                let end = rest.iter().position(&separates).unwrap_or(rest.len());
                let value = text(&rest[..end]);
                rest = &rest[end..];
                while rest.first().is_some_and(&blank) {
                    rest = &rest[1..];
                }
                if rest.first().is_some_and(|c| separates(c) && !blank(c)) {
                    rest = &rest[1..];
                }
                value
            };
            self.assign(name, value).await?;
        }
        Ok(())
    }

    pub(super) async fn getopts(&mut self, operands: &[String]) -> Ran {
        let [letters, name, rest @ ..] = operands else {
            return self.fail(2, "getopts: usage: getopts optstring var [arg]").await;
        };
        let arguments = if rest.is_empty() { self.positional.clone() } else { rest.to_vec() };
        let index = self.value("OPTIND").and_then(|text| text.parse::<usize>().ok()).unwrap_or(1).max(1);
        let current = arguments.get(index - 1).filter(|text| text.starts_with('-') && text.len() > 1);
        let Some(current) = current.filter(|text| *text != "--") else {
            let end = if arguments.get(index - 1).is_some_and(|text| text == "--") { index + 1 } else { index };
            self.assign("OPTIND", end.to_string()).await?;
            self.assign(name, "?".into()).await?;
            return Ok(1);
        };
        let group: Vec<char> = current.chars().collect();
        let at = self.option_letter.max(1);
        let Some(letter) = group.get(at).copied() else { return Ok(1) };
        let silent = letters.starts_with(':');
        let known = letters.trim_start_matches(':').find(letter).filter(|_| letter != ':');
        let takes_value =
            known.is_some_and(|known| letters.trim_start_matches(':')[known..].chars().nth(1) == Some(':'));
        let mut next = index;
        if takes_value || at + 1 >= group.len() {
            self.option_letter = 0;
            next += 1;
        } else {
            self.option_letter = at + 1;
        }
        let mut found = letter.to_string();
        let mut value = None;
        if known.is_none() {
            found = "?".into();
            if silent {
                value = Some(letter.to_string());
            } else {
                self.say(&format!("Illegal option -{letter}")).await;
            }
        } else if takes_value {
            if at + 1 < group.len() {
                value = Some(group[at + 1..].iter().collect());
            } else if let Some(argument) = arguments.get(index) {
                value = Some(argument.clone());
                next += 1;
            } else if silent {
                found = ":".into();
                value = Some(letter.to_string());
            } else {
                found = "?".into();
                self.say(&format!("No arg for -{letter} option")).await;
            }
        }
        self.assign("OPTIND", next.to_string()).await?;
        self.assign(name, found).await?;
        match value {
            Some(value) => self.assign("OPTARG", value).await?,
            None => drop(self.variables.remove("OPTARG")),
        }
        Ok(0)
    }
}

impl Options {
    pub(in crate::runtime::shell) fn set_letter(&mut self, letter: char, on: bool) -> bool {
        match letter {
            'e' => self.exit_on_error = on,
            'u' => self.unset_is_error = on,
            'x' => self.trace = on,
            'f' => self.no_glob = on,
            'n' => self.no_execute = on,
            'a' => self.export_all = on,
            'C' => self.no_clobber = on,
            'm' | 'b' | 'h' | 'v' => {}
            _ => return false,
        }
        true
    }

    pub(in crate::runtime::shell) fn set_named(&mut self, name: &str, on: bool) -> bool {
        match name {
            "errexit" => self.exit_on_error = on,
            "nounset" => self.unset_is_error = on,
            "xtrace" => self.trace = on,
            "noglob" => self.no_glob = on,
            "noexec" => self.no_execute = on,
            "allexport" => self.export_all = on,
            "noclobber" => self.no_clobber = on,
            "pipefail" => self.pipe_fail = on,
            "monitor" | "notify" | "vi" | "emacs" | "verbose" => {}
            _ => return false,
        }
        true
    }
}
