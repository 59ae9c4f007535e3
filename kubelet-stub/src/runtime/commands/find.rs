//! `find`: tests joined by and, or, not; `-exec`, `-print`, `-print0`, `-delete`.

use crate::runtime::files::{Kind, Stat, base_name, join};
use crate::runtime::machine::{Outcome, Process, Stop, execute, find as find_program};
use crate::runtime::shell::Pattern;
use futures_util::future::{BoxFuture, FutureExt};
use std::sync::Arc;

/// Directories within directories.
const DEPTH_MAX: usize = 256;
/// Tests of one expression, each of which may hold the ones before it.
const TESTS_MAX: usize = 300;

#[derive(Debug)]
enum Test {
    Name {
        pattern: Pattern,
        whole: bool,
        fold: bool,
    },
    Type(char),
    /// Sign, and bytes rounded up to units.
    Size(char, u64, u64),
    Newer(std::time::SystemTime),
    /// Sign, and minutes of age.
    Age(char, u64),
    Mode(char, u32),
    Empty,
    Prune,
    Print(char),
    Delete,
    Exec {
        words: Vec<String>,
        together: bool,
    },
    Yes,
    Not(Box<Test>),
    And(Box<Test>, Box<Test>),
    Or(Box<Test>, Box<Test>),
}

struct Parser<'a> {
    words: &'a [String],
    at: usize,
    process: &'a Process,
    acts: bool,
    depth_first: bool,
    levels: (usize, usize),
    tests: usize,
}

impl Parser<'_> {
    fn next(&mut self) -> Option<&str> {
        let word = self.words.get(self.at)?;
        self.at += 1;
        Some(word)
    }

    fn or(&mut self) -> Result<Test, String> {
        let mut left = self.and()?;
        while matches!(self.words.get(self.at).map(String::as_str), Some("-o" | "-or")) {
            self.at += 1;
            left = Test::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Test, String> {
        let mut left = self.primary()?;
        loop {
            match self.words.get(self.at).map(String::as_str) {
                None | Some("-o" | "-or" | ")") => return Ok(left),
                Some("-a" | "-and") => self.at += 1,
                Some(_) => {}
            }
            left = Test::And(Box::new(left), Box::new(self.primary()?));
        }
    }

    fn value(&mut self, of: &str) -> Result<String, String> {
        self.next().map(str::to_owned).ok_or_else(|| format!("{of} requires an argument"))
    }

    fn primary(&mut self) -> Result<Test, String> {
        self.tests += 1;
        if self.tests > TESTS_MAX {
            return Err("expression too long".into());
        }
        let word = self.next().ok_or("missing expression")?.to_owned();
        let number = |text: &str| {
            let sign = text.chars().next().filter(|c| "+-".contains(*c)).unwrap_or('=');
            let digits = text.trim_start_matches(['+', '-']);
            digits.parse::<u64>().map(|value| (sign, value)).map_err(|_| format!("invalid number '{text}'"))
        };
        Ok(match word.as_str() {
            "(" => {
                let inner = self.or()?;
                if self.next() != Some(")") {
                    return Err("missing )".into());
                }
                inner
            }
            "!" | "-not" => Test::Not(Box::new(self.primary()?)),
            "-name" | "-iname" | "-path" | "-wholename" => {
                let text = self.value(&word)?;
                let fold = word == "-iname";
                let text = if fold { text.to_lowercase() } else { text };
                Test::Name {
                    pattern: Pattern::new(&text),
                    whole: !word.ends_with("name") || word == "-wholename",
                    fold,
                }
            }
            "-type" => Test::Type(self.value(&word)?.chars().next().unwrap_or('f')),
            "-size" => {
                let text = self.value(&word)?;
                let (digits, unit) = match text.chars().last() {
                    Some('c') => (&text[..text.len() - 1], 1),
                    Some('k') => (&text[..text.len() - 1], 1 << 10),
                    Some('M') => (&text[..text.len() - 1], 1 << 20),
                    _ => (text.as_str(), 512),
                };
                let (sign, value) = number(digits)?;
                Test::Size(sign, value, unit)
            }
            "-newer" => {
                let path = self.value(&word)?;
                Test::Newer(self.process.place.stat(&path).map_err(|error| format!("{path}: {error}"))?.modified)
            }
            "-mmin" | "-mtime" => {
                let (sign, value) = number(&self.value(&word)?)?;
                Test::Age(sign, if word == "-mmin" { value } else { value.saturating_mul(1440) })
            }
            "-perm" => {
                let text = self.value(&word)?;
                let sign = text.chars().next().filter(|c| "-/".contains(*c)).unwrap_or('=');
                let mode =
                    super::tree::change_mode(text.trim_start_matches(['-', '/']), 0, false).ok_or("invalid mode")?;
                Test::Mode(sign, mode)
            }
            "-empty" => Test::Empty,
            "-prune" => Test::Prune,
            "-print" | "-print0" => {
                self.acts = true;
                Test::Print(if word == "-print" { '\n' } else { '\0' })
            }
            "-delete" => {
                self.acts = true;
                self.depth_first = true;
                Test::Delete
            }
            "-exec" => {
                self.acts = true;
                let mut words = Vec::new();
                loop {
                    match self.next() {
                        None => return Err("-exec requires a ;".into()),
                        Some(";") => break Test::Exec { words, together: false },
                        Some("+") if words.last().is_some_and(|word| word == "{}") => {
                            words.pop();
                            break Test::Exec { words, together: true };
                        }
                        Some(word) => words.push(word.to_owned()),
                    }
                }
            }
            "-maxdepth" | "-mindepth" => {
                let value = usize::try_from(number(&self.value(&word)?)?.1).unwrap_or(usize::MAX);
                if word == "-maxdepth" {
                    self.levels.1 = value;
                } else {
                    self.levels.0 = value;
                }
                Test::Yes
            }
            "-depth" => {
                self.depth_first = true;
                Test::Yes
            }
            "-xdev" | "-mount" | "-follow" | "-noleaf" | "-true" => Test::Yes,
            other => return Err(format!("unrecognized: {other}")),
        })
    }
}

struct Walk<'a> {
    process: &'a Process,
    test: &'a Test,
    depth_first: bool,
    levels: (usize, usize),
    pruned: bool,
    status: i32,
    /// Names that wait for an `-exec … +`.
    together: Vec<String>,
}

pub(super) async fn find(process: &mut Process) -> Outcome {
    let operands = process.operands();
    let starts = operands.iter().position(|word| word.starts_with('-') || matches!(word.as_str(), "(" | "!"));
    let (roots, words) = operands.split_at(starts.unwrap_or(operands.len()));
    let mut parser =
        Parser { words, at: 0, process, acts: false, depth_first: false, levels: (0, DEPTH_MAX), tests: 0 };
    let mut test = if words.is_empty() {
        Test::Yes
    } else {
        match parser.or() {
            Ok(test) if parser.at == words.len() => test,
            Ok(_) => return process.fail(1, format!("unrecognized: {}", words[parser.at])).await,
            Err(message) => return process.fail(1, message).await,
        }
    };
    if !parser.acts {
        test = Test::And(Box::new(test), Box::new(Test::Print('\n')));
    }
    let (depth_first, levels) = (parser.depth_first, parser.levels);
    let here = [".".to_owned()];
    let mut walk = Walk { process, test: &test, depth_first, levels, pruned: false, status: 0, together: Vec::new() };
    for root in if roots.is_empty() { &here[..] } else { roots } {
        walk.visit(root, 0).await?;
    }
    if !walk.together.is_empty() {
        let names = std::mem::take(&mut walk.together);
        let mut words = Vec::new();
        together_words(&test, &mut words);
        words.extend(names);
        if run(process, words).await != 0 {
            walk.status = 1;
        }
    }
    Ok(walk.status)
}

fn together_words(test: &Test, found: &mut Vec<String>) {
    match test {
        Test::Exec { words, together: true } => found.clone_from(words),
        Test::And(left, right) | Test::Or(left, right) => {
            together_words(left, found);
            together_words(right, found);
        }
        Test::Not(inner) => together_words(inner, found),
        _ => {}
    }
}

async fn run(process: &Process, words: Vec<String>) -> i32 {
    let search = process.variable("PATH").unwrap_or_default().to_owned();
    let name = words.first().cloned().unwrap_or_default();
    match find_program(&process.place, &search, &name) {
        Ok(path) => {
            let mut child = process.clone();
            child.arguments = words;
            child.parent = process.pid;
            child.signals = Arc::default();
            let machine = process.machine.clone();
            Box::pin(execute(&machine, child, &path)).await
        }
        Err(error) => {
            process.complain(format!("{name}: No such file or directory")).await;
            error.code()
        }
    }
}

impl Walk<'_> {
    fn visit<'b>(&'b mut self, path: &'b str, level: usize) -> BoxFuture<'b, Result<(), Stop>> {
        async move {
            self.process.machine.step().await;
            let stat = match self.process.place.stat_link(path) {
                Ok(stat) => stat,
                Err(error) => {
                    self.process.complain(format!("{path}: {error}")).await;
                    self.status = 1;
                    return Ok(());
                }
            };
            let test = self.test;
            let within = level >= self.levels.0;
            self.pruned = false;
            if within && !self.depth_first {
                self.holds(test, path, &stat).await?;
            }
            if stat.is_directory() && level < self.levels.1.min(DEPTH_MAX) && !std::mem::take(&mut self.pruned) {
                for (name, _) in self.process.place.list(path).unwrap_or_default() {
                    self.visit(&join(path, &name), level + 1).await?;
                }
            }
            if within && self.depth_first {
                self.holds(test, path, &stat).await?;
            }
            Ok(())
        }
        .boxed()
    }

    fn holds<'b>(&'b mut self, test: &'b Test, path: &'b str, stat: &'b Stat) -> BoxFuture<'b, Result<bool, Stop>> {
        async move {
            let signed = |sign: char, value: u64, wanted: u64| match sign {
                '+' => value > wanted,
                '-' => value < wanted,
                _ => value == wanted,
            };
            let place = &self.process.place;
            Ok(match test {
                Test::Yes => true,
                Test::Not(inner) => !self.holds(inner, path, stat).await?,
                Test::And(left, right) => self.holds(left, path, stat).await? && self.holds(right, path, stat).await?,
                Test::Or(left, right) => self.holds(left, path, stat).await? || self.holds(right, path, stat).await?,
                Test::Name { pattern, whole, fold } => {
                    let name = if *whole { path } else { base_name(path) };
                    if *fold { pattern.matches(&name.to_lowercase()) } else { pattern.matches(name) }
                }
                Test::Type(letter) => match stat.kind {
                    Kind::File => *letter == 'f',
                    Kind::Directory => *letter == 'd',
                    Kind::Link => *letter == 'l',
                    Kind::Device(_) => *letter == 'c',
                },
                Test::Size(sign, wanted, unit) => signed(*sign, stat.size.div_ceil(*unit), *wanted),
                Test::Newer(than) => stat.modified > *than,
                Test::Age(sign, minutes) => {
                    let age = self.process.machine.clock.now().duration_since(stat.modified).unwrap_or_default();
                    signed(*sign, age.as_secs() / 60, *minutes)
                }
                Test::Mode('-', mode) => stat.mode & mode == *mode,
                Test::Mode('/', mode) => stat.mode & mode != 0,
                Test::Mode(_, mode) => stat.mode & 0o7777 == *mode,
                Test::Empty if stat.is_directory() => place.list(path).is_ok_and(|entries| entries.is_empty()),
                Test::Empty => stat.kind == Kind::File && stat.size == 0,
                Test::Prune => {
                    self.pruned = true;
                    true
                }
                Test::Print(end) => {
                    self.process.out(format!("{path}{end}")).await?;
                    true
                }
                Test::Delete if base_name(path) == "." => true,
                Test::Delete => {
                    let removed =
                        if stat.is_directory() { place.remove_directory(path) } else { place.remove_file(path) };
                    if let Err(error) = removed {
                        self.process.complain(format!("{path}: {error}")).await;
                        self.status = 1;
                    }
                    removed.is_ok()
                }
                Test::Exec { together: true, .. } => {
                    self.together.push(path.to_owned());
                    true
                }
                Test::Exec { words, .. } => {
                    let words = words.iter().map(|word| word.replace("{}", path)).collect();
                    run(self.process, words).await == 0
                }
            })
        }
        .boxed()
    }
}
