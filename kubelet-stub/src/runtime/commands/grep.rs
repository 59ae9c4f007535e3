//! `grep`, `egrep`, `fgrep`.

use super::regex::Regex;
use super::{lines_of, options};
use crate::runtime::files::join;
use crate::runtime::machine::{Outcome, Process};

/// Files that one recursive search looks at.
const FILES_MAX: usize = 100_000;

const LONG: &[(&str, char)] = &[
    ("extended-regexp", 'E'),
    ("fixed-strings", 'F'),
    ("ignore-case", 'i'),
    ("invert-match", 'v'),
    ("count", 'c'),
    ("line-number", 'n'),
    ("quiet", 'q'),
    ("silent", 'q'),
    ("no-messages", 's'),
    ("files-with-matches", 'l'),
    ("files-without-match", 'L'),
    ("only-matching", 'o'),
    ("word-regexp", 'w'),
    ("line-regexp", 'x'),
    ("recursive", 'r'),
    ("regexp", 'e'),
    ("file", 'f'),
    ("max-count", 'm'),
    ("no-filename", 'h'),
    ("with-filename", 'H'),
    ("after-context", 'A'),
    ("before-context", 'B'),
    ("context", 'C'),
    ("color", '0'),
    ("line-buffered", '0'),
    ("text", 'a'),
    ("include", 'I'),
];

/// Which lines are wanted.
struct Wanted {
    regexes: Vec<Regex>,
    invert: bool,
    words: bool,
    lines: bool,
}

impl Wanted {
    fn span(&self, line: &[u8], from: usize) -> Option<(usize, usize)> {
        let found = self.regexes.iter().filter_map(|regex| self.first(regex, line, from));
        found.min_by_key(|(start, end)| (*start, usize::MAX - end))
    }

    fn first(&self, regex: &Regex, line: &[u8], mut from: usize) -> Option<(usize, usize)> {
        let word = |at: usize| line.get(at).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        loop {
            let (start, end) = regex.find(line, from)?[0]?;
            let fits = (!self.lines || (start == 0 && end == line.len()))
                && (!self.words || ((start == 0 || !word(start - 1)) && !word(end)));
            if fits {
                return Some((start, end));
            }
            from = start + 1;
            if from > line.len() {
                return None;
            }
        }
    }
}

pub(super) async fn grep(process: &mut Process) -> Outcome {
    let given = options::read(process, "EFGPivcnqslLowxrRe:f:m:hHA:B:C:0aI:", LONG).await?;
    let mut operands = given.operands.clone();
    let mut patterns: Vec<String> = given.values('e').map(str::to_owned).collect();
    for path in given.values('f') {
        match process.place.read(path) {
            Ok(bytes) => patterns.extend(String::from_utf8_lossy(&bytes).lines().map(str::to_owned)),
            Err(error) => return process.fail(2, format!("{path}: {error}")).await,
        }
    }
    if patterns.is_empty() && !given.has('f') {
        if operands.is_empty() {
            return process.fail(2, "missing pattern").await;
        }
        patterns = operands.remove(0).split('\n').map(str::to_owned).collect();
    }
    let fixed = given.has('F') || process.name() == "fgrep";
    let extended = given.has('E') || given.has('P') || process.name() == "egrep";
    let mut regexes = Vec::new();
    for pattern in &patterns {
        let regex = if fixed {
            Ok(Regex::literal(pattern, given.has('i')))
        } else {
            Regex::new(pattern, extended, given.has('i'))
        };
        match regex {
            Ok(regex) => regexes.push(regex),
            Err(message) => return process.fail(2, message).await,
        }
    }
    let wanted = Wanted { regexes, invert: given.has('v'), words: given.has('w'), lines: given.has('x') };
    let recursive = given.has('r') || given.has('R');
    if operands.is_empty() {
        operands.push(if recursive { ".".to_owned() } else { "-".to_owned() });
    }
    let mut paths = Vec::new();
    let mut status_error = false;
    for operand in &operands {
        let is_directory = operand != "-" && process.place.stat(operand).is_ok_and(|stat| stat.is_directory());
        if is_directory && recursive {
            below(process, operand, &mut paths);
        } else if is_directory {
            process.complain(format!("{operand}: Is a directory")).await;
        } else {
            paths.push(operand.clone());
        }
    }
    let names = (paths.len() > 1 || recursive || given.has('H')) && !given.has('h');
    let mut any = false;
    for path in &paths {
        let source = match process.open_source(path) {
            Ok(source) => source,
            Err(error) => {
                if !given.has('s') {
                    process.complain(format!("{path}: {error}")).await;
                }
                status_error = true;
                continue;
            }
        };
        let content = process.read_all(&source).await?;
        let shown = if path == "-" { "(standard input)" } else { path };
        let (text, found) = search(process, &content, &wanted, &given, (names, shown)).await;
        any |= found;
        if given.has('q') {
            if any {
                return Ok(0);
            }
            continue;
        }
        process.out(text).await?;
    }
    Ok(if status_error { 2 } else { i32::from(!any) })
}

fn below(process: &Process, path: &str, paths: &mut Vec<String>) {
    let mut waiting = vec![path.to_owned()];
    while let Some(directory) = waiting.pop() {
        for (name, stat) in process.place.list(&directory).unwrap_or_default() {
            let path = join(&directory, &name);
            match stat.kind {
                crate::runtime::files::Kind::Directory => waiting.push(path),
                crate::runtime::files::Kind::File if paths.len() < FILES_MAX => paths.push(path),
                _ => {}
            }
        }
    }
    paths.sort();
}

/// What is shown of one content, and whether a line was selected.
async fn search(
    process: &Process,
    content: &[u8],
    wanted: &Wanted,
    given: &options::Given,
    (names, file): (bool, &str),
) -> (Vec<u8>, bool) {
    let name = names.then_some(file);
    let number = |letter: char| given.value(letter).and_then(|text| text.parse::<usize>().ok());
    let before = number('B').or(number('C')).unwrap_or(0);
    let after = number('A').or(number('C')).unwrap_or(0);
    let most = number('m').unwrap_or(usize::MAX);
    let lines = lines_of(content);
    let mut out = Vec::new();
    let (mut count, mut shown_to, mut owed) = (0, 0, 0);
    let label = |out: &mut Vec<u8>, at: usize, mark: char| {
        if let Some(name) = name {
            out.extend_from_slice(format!("{name}{mark}").as_bytes());
        }
        if given.has('n') {
            out.extend_from_slice(format!("{}{mark}", at + 1).as_bytes());
        }
    };
    for (at, line) in lines.iter().enumerate() {
        process.machine.step().await;
        let span = wanted.span(line, 0);
        if span.is_some() == wanted.invert || count >= most {
            if owed > 0 && !given.has('o') {
                label(&mut out, at, '-');
                out.extend_from_slice(line);
                out.push(b'\n');
                owed -= 1;
                shown_to = at + 1;
            }
            if count >= most && owed == 0 {
                break;
            }
            continue;
        }
        count += 1;
        if given.has('q') || given.has('l') {
            break;
        }
        if given.has('c') || given.has('L') {
            continue;
        }
        if given.has('o') {
            let mut from = 0;
            while let Some((start, end)) = wanted.span(line, from).filter(|_| !wanted.invert) {
                if end > start {
                    label(&mut out, at, ':');
                    out.extend_from_slice(&line[start..end]);
                    out.push(b'\n');
                }
                from = end.max(start + 1);
                if from > line.len() {
                    break;
                }
            }
            continue;
        }
        let first = at.saturating_sub(before).max(shown_to);
        if (before > 0 || after > 0) && first > shown_to && shown_to > 0 {
            out.extend_from_slice(b"--\n");
        }
        for (index, earlier) in lines.iter().enumerate().take(at).skip(first) {
            label(&mut out, index, '-');
            out.extend_from_slice(earlier);
            out.push(b'\n');
        }
        label(&mut out, at, ':');
        out.extend_from_slice(line);
        out.push(b'\n');
        shown_to = at + 1;
        owed = after;
    }
    let listed = (given.has('l') && count > 0) || (given.has('L') && count == 0);
    if listed {
        out = format!("{file}\n").into_bytes();
    } else if given.has('l') || given.has('L') {
        out.clear();
    } else if given.has('c') {
        let name = name.map(|name| format!("{name}:")).unwrap_or_default();
        out = format!("{name}{count}\n").into_bytes();
    }
    (out, if given.has('L') { listed } else { count > 0 })
}
