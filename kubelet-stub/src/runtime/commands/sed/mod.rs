//! `sed`: its commands run over lines.

mod script;

use super::options;
use crate::runtime::machine::{Outcome, Process, Stop};
use script::{Act, Address, Command, Substitution};
use std::collections::HashMap;

/// Jumps without a new line, after which a script is taken for one that never ends.
const JUMPS_MAX: u32 = 100_000;
/// Bytes of a pattern or hold space.
const SPACE_BYTES_MAX: usize = 16 << 20;

pub(super) async fn sed(process: &mut Process) -> Outcome {
    // `-i` may carry a suffix, so it takes no separate value.
    let mut arguments = process.clone();
    let mut in_place = false;
    arguments.arguments.retain(|argument| {
        let found = argument == "-i" || argument == "--in-place" || argument.starts_with("-i.");
        in_place |= found;
        !found
    });
    let long = [("quiet", 'n'), ("silent", 'n'), ("expression", 'e'), ("file", 'f'), ("regexp-extended", 'E')];
    let given = options::read(&arguments, "nrEe:f:sui", &long).await?;
    in_place |= given.has('i');
    let mut operands = given.operands.clone();
    let mut parts: Vec<String> = Vec::new();
    for (letter, value) in given.flags() {
        match letter {
            'e' => parts.push(value.to_owned()),
            'f' => match process.place.read(value) {
                Ok(bytes) => parts.push(String::from_utf8_lossy(&bytes).into_owned()),
                Err(error) => return process.fail(1, format!("{value}: {error}")).await,
            },
            _ => {}
        }
    }
    if parts.is_empty() {
        if operands.is_empty() {
            return process.fail(1, "no script").await;
        }
        parts.push(operands.remove(0));
    }
    let commands = match script::parse(&parts.join("\n"), given.has('r') || given.has('E')) {
        Ok(commands) => commands,
        Err(message) => return process.fail(1, message).await,
    };
    let quiet = given.has('n');
    let mut status = 0;
    if in_place {
        for path in &operands {
            match process.place.read(path) {
                Ok(content) => {
                    let mut editor = Editor::new(process, &commands, quiet, &content);
                    let code = editor.run().await?;
                    let out = std::mem::take(&mut editor.out);
                    if let Err(error) = process.place.write(path, &out) {
                        return process.fail(4, format!("couldn't open file {path}: {error}")).await;
                    }
                    if code.is_some() {
                        return Ok(code.unwrap_or_default());
                    }
                }
                Err(error) => {
                    process.complain(format!("{path}: {error}")).await;
                    status = 1;
                }
            }
        }
        return Ok(status);
    }
    let (contents, read) = super::read_operands(process, &operands).await?;
    let mut all = Vec::new();
    for content in contents {
        if !all.is_empty() && all.last() != Some(&b'\n') {
            all.push(b'\n');
        }
        all.extend(content);
    }
    let mut editor = Editor::new(process, &commands, quiet, &all);
    let code = editor.run().await?;
    process.out(std::mem::take(&mut editor.out)).await?;
    Ok(code.unwrap_or(status.max(read)))
}

struct Editor<'a> {
    process: &'a Process,
    commands: &'a [Command],
    quiet: bool,
    lines: Vec<&'a [u8]>,
    /// The last line of the input lacked its newline.
    unterminated: bool,
    next: usize,
    space: Vec<u8>,
    hold: Vec<u8>,
    /// Which ranges are open, and where they end if that is a line's number.
    open: HashMap<usize, bool>,
    appended: Vec<u8>,
    replaced: bool,
    out: Vec<u8>,
}

/// What happens after a command.
enum After {
    Next(usize),
    EndCycle,
    Restart,
    Quit(i32, bool),
}

impl<'a> Editor<'a> {
    fn new(process: &'a Process, commands: &'a [Command], quiet: bool, content: &'a [u8]) -> Self {
        Self {
            process,
            commands,
            quiet,
            lines: super::lines_of(content),
            unterminated: content.last().is_some_and(|byte| *byte != b'\n'),
            next: 0,
            space: Vec::new(),
            hold: Vec::new(),
            open: HashMap::new(),
            appended: Vec::new(),
            replaced: false,
            out: Vec::new(),
        }
    }

    /// Runs over all lines. Some: the code that `q` ended it with.
    async fn run(&mut self) -> Result<Option<i32>, Stop> {
        while self.next < self.lines.len() {
            self.space = self.lines[self.next].to_vec();
            self.next += 1;
            let quit = self.cycle().await?;
            if self.out.len() > 64 << 20 {
                return self.process.fail(4, "output too large").await;
            }
            if quit.is_some() {
                return Ok(quit);
            }
        }
        Ok(None)
    }

    async fn cycle(&mut self) -> Result<Option<i32>, Stop> {
        let commands = self.commands;
        let (mut at, mut jumps) = (0, 0);
        self.replaced = false;
        while let Some(command) = commands.get(at) {
            self.process.machine.step().await;
            jumps += 1;
            if jumps > JUMPS_MAX || self.space.len() > SPACE_BYTES_MAX || self.hold.len() > SPACE_BYTES_MAX {
                return self.process.fail(4, "script runs too long").await;
            }
            if !self.selected(at, command) {
                at = if let Act::Block(end) = command.act { end } else { at + 1 };
                continue;
            }
            match self.act(at, &command.act) {
                After::Next(next) => at = next,
                After::Restart => {
                    at = 0;
                    self.replaced = false;
                }
                After::EndCycle => {
                    self.flush_appended();
                    return Ok(None);
                }
                After::Quit(code, print) => {
                    if print && !self.quiet {
                        self.print();
                    }
                    self.flush_appended();
                    return Ok(Some(code));
                }
            }
        }
        if !self.quiet {
            self.print();
        }
        self.flush_appended();
        Ok(None)
    }

    fn is_last(&self) -> bool {
        self.next >= self.lines.len()
    }

    fn print(&mut self) {
        let space = std::mem::take(&mut self.space);
        self.out.extend_from_slice(&space);
        self.space = space;
        if !(self.is_last() && self.unterminated) {
            self.out.push(b'\n');
        }
    }

    fn flush_appended(&mut self) {
        let appended = std::mem::take(&mut self.appended);
        if !appended.is_empty() && self.out.last().is_some_and(|byte| *byte != b'\n') {
            self.out.push(b'\n');
        }
        self.out.extend(appended);
    }

    fn matches(&self, address: &Address) -> bool {
        match address {
            Address::Line(line) => self.next == *line,
            Address::Last => self.is_last(),
            Address::Regex(regex) => regex.is_match(&self.space),
            Address::Step(first, step) => {
                if *step == 0 {
                    self.next == *first
                } else {
                    self.next >= *first && (self.next - first).is_multiple_of(*step)
                }
            }
        }
    }

    fn selected(&mut self, index: usize, command: &Command) -> bool {
        let selected = match (&command.from, &command.to) {
            (None, _) => true,
            (Some(from), None) => self.matches(from),
            (Some(from), Some(to)) => {
                if self.open.get(&index).copied().unwrap_or(false) {
                    let ends = match to {
                        Address::Line(line) => self.next >= *line,
                        other => self.matches(other),
                    };
                    self.open.insert(index, !ends);
                    // A line number that is passed already ends the range before this line.
                    !matches!(to, Address::Line(line) if self.next > *line)
                } else if self.matches(from) {
                    let one_line = matches!(to, Address::Line(line) if self.next >= *line);
                    self.open.insert(index, !one_line);
                    true
                } else {
                    false
                }
            }
        };
        selected != command.negated
    }

    fn act(&mut self, at: usize, act: &Act) -> After {
        let line = |text: &str| format!("{text}\n").into_bytes();
        match act {
            Act::Block(_) | Act::Nothing => {}
            Act::Print => {
                let unterminated = std::mem::take(&mut self.unterminated);
                self.print();
                self.unterminated = unterminated;
            }
            Act::PrintFirst => {
                let first = self.space.split(|byte| *byte == b'\n').next().unwrap_or_default();
                self.out.extend_from_slice(first);
                self.out.push(b'\n');
            }
            Act::Delete => return After::EndCycle,
            Act::DeleteFirst => match self.space.iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    self.space.drain(..=end);
                    return After::Restart;
                }
                None => return After::EndCycle,
            },
            Act::Number => self.out.extend(line(&self.next.to_string())),
            Act::Quit(code) => return After::Quit(*code, true),
            Act::QuitSilently(code) => return After::Quit(*code, false),
            Act::Append(text) => self.appended.extend(line(text)),
            Act::Insert(text) => self.out.extend(line(text)),
            Act::Change(text) => {
                let in_range = self.open.get(&at).copied().unwrap_or(false);
                if !in_range {
                    self.out.extend(line(text));
                }
                return After::EndCycle;
            }
            Act::Next => {
                if self.is_last() {
                    return After::Quit(0, true);
                }
                if !self.quiet {
                    self.print();
                }
                self.space = self.lines[self.next].to_vec();
                self.next += 1;
            }
            Act::NextAppended => {
                if self.is_last() {
                    return After::Quit(0, true);
                }
                self.space.push(b'\n');
                self.space.extend_from_slice(self.lines[self.next]);
                self.next += 1;
            }
            Act::Hold => self.hold.clone_from(&self.space),
            Act::HoldAppended => {
                self.hold.push(b'\n');
                self.hold.extend_from_slice(&self.space);
            }
            Act::Get => self.space.clone_from(&self.hold),
            Act::GetAppended => {
                self.space.push(b'\n');
                self.space.extend_from_slice(&self.hold);
            }
            Act::Exchange => std::mem::swap(&mut self.space, &mut self.hold),
            Act::Branch(target) => return After::Next(*target),
            Act::BranchIfReplaced(target) => {
                if std::mem::take(&mut self.replaced) {
                    return After::Next(*target);
                }
            }
            Act::Translate(from, to) => {
                let text = String::from_utf8_lossy(&self.space).into_owned();
                let translate = |c: char| from.iter().position(|known| *known == c).map_or(c, |at| to[at]);
                self.space = text.chars().map(translate).collect::<String>().into_bytes();
            }
            Act::Substitute(substitution) => {
                if self.substitute(substitution) {
                    self.replaced = true;
                    if substitution.print {
                        return self.act(at, &Act::Print);
                    }
                }
            }
        }
        After::Next(at + 1)
    }

    fn substitute(&mut self, substitution: &Substitution) -> bool {
        let text = std::mem::take(&mut self.space);
        let mut result = Vec::new();
        let (mut from, mut copied, mut count, mut done) = (0, 0, 0, false);
        while let Some(spans) = substitution.regex.find(&text, from) {
            let Some((start, end)) = spans[0] else { break };
            count += 1;
            if count >= substitution.number {
                result.extend_from_slice(&text[copied..start]);
                substitution.write(&text, &spans, &mut result);
                copied = end;
                done = true;
                if !substitution.all {
                    break;
                }
            }
            // After an empty match the next character is passed by.
            from = if end == start { end + 1 } else { end };
            if from > text.len() {
                break;
            }
        }
        result.extend_from_slice(&text[copied.min(text.len())..]);
        self.space = result;
        done
    }
}
