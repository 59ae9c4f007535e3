//! `tar`: creates, extracts and lists archives, as streams or files.

mod create;
mod extract;
mod header;

use super::options::{self, Given, Spec};
use crate::runtime::files::How;
use crate::runtime::machine::{Outcome, Process, Sink, Source};

const LONG: &[(&str, char)] = &[
    ("create", 'c'),
    ("extract", 'x'),
    ("get", 'x'),
    ("list", 't'),
    ("file", 'f'),
    ("directory", 'C'),
    ("verbose", 'v'),
    ("touch", 'm'),
    ("dereference", 'h'),
    ("to-stdout", 'O'),
    ("exclude", 'X'),
    ("strip-components", 'S'),
    ("keep-old-files", 'k'),
    ("overwrite", 'V'),
    ("same-permissions", 'p'),
    ("preserve-permissions", 'p'),
    ("no-same-permissions", 'P'),
    ("no-same-owner", 'o'),
    ("same-owner", 'E'),
    ("numeric-owner", 'N'),
    ("absolute-names", 'A'),
    ("warning", 'W'),
    ("no-recursion", 'R'),
    ("gzip", 'z'),
    ("bzip2", 'j'),
    ("xz", 'J'),
];

/// What is to be done, and how.
struct Job<'a> {
    process: &'a Process,
    given: Given,
    /// The part of the tree that names are relative to.
    directory: String,
    strip: usize,
}

impl Job<'_> {
    /// Tells a member's name: on the output, or beside an archive that goes there.
    async fn verbose(&self, name: &str) -> Result<(), crate::runtime::machine::Stop> {
        if !self.given.has('v') {
            return Ok(());
        }
        if self.given.has('c') && self.archive_name() == "-" {
            self.process.err(format!("{name}\n")).await;
            return Ok(());
        }
        self.process.out(format!("{name}\n")).await
    }

    fn archive_name(&self) -> &str {
        self.given.value('f').unwrap_or("-")
    }

    fn excluded(&self, name: &str) -> bool {
        self.given.values('X').any(|pattern| {
            let pattern = crate::runtime::shell::Pattern::new(pattern);
            pattern.matches(name) || name.split('/').any(|part| pattern.matches(part))
        })
    }
}

pub(super) async fn tar(process: &mut Process) -> Outcome {
    let mut operands = process.operands();
    // The old way: the letters without a dash, their values after them in order.
    if let Some(first) = operands.first_mut().filter(|first| !first.starts_with('-') && !first.is_empty()) {
        let letters = std::mem::take(first);
        let with_values: Vec<char> = letters.chars().filter(|letter| "fCX".contains(*letter)).collect();
        let plain: String = letters.chars().filter(|letter| !"fCX".contains(*letter)).collect();
        let mut head = vec![format!("-{plain}")];
        let mut values = operands.split_off(1).into_iter();
        for letter in with_values {
            let Some(value) = values.next() else {
                return process.fail(1, format!("option requires an argument -- '{letter}'")).await;
            };
            head.extend([format!("-{letter}"), value]);
        }
        operands = head.into_iter().chain(values).collect();
        operands.retain(|word| word != "-");
        if let Some(at) = process.operands().get(1).filter(|word| *word == "-").map(|_| 1) {
            // `cf -`: the archive's name is the dash that was just taken for a stray one.
            if let Some(flag) = operands.iter().position(|word| word == "-f") {
                operands.insert(flag + at, "-".to_owned());
            }
        }
    }
    let spec = Spec { letters: "cxtf:C:vmhOX:S:kVpPoENAW:RzjJ", long: LONG, stops: false };
    let given = match options::parse(&operands, spec) {
        Ok(given) => given,
        Err(message) => return process.fail(1, message).await,
    };
    if "zjJ".chars().any(|letter| given.has(letter)) {
        return process.fail(1, "compression is not built in").await;
    }
    let directory = match given.value('C') {
        None => process.place.directory.clone(),
        Some(path) => match process.place.stat(path) {
            Ok(stat) if stat.is_directory() => crate::runtime::files::join(&process.place.directory, path),
            Ok(_) => return process.fail(1, format!("can't change directory to '{path}': Not a directory")).await,
            Err(error) => return process.fail(1, format!("can't change directory to '{path}': {error}")).await,
        },
    };
    let strip = match given.value('S').map(str::parse) {
        None => 0,
        Some(Ok(strip)) => strip,
        Some(Err(_)) => return process.fail(1, "invalid number of components").await,
    };
    let job = Job { process, given, directory, strip };
    let modes: Vec<char> = "cxt".chars().filter(|letter| job.given.has(*letter)).collect();
    match modes.as_slice() {
        ['c'] => {
            let sink = match job.archive_name() {
                "-" => process.fds.get(&1).and_then(crate::runtime::machine::Fd::sink).unwrap_or(Sink::Nothing),
                path => match process.open_sink(path, How::WRITE) {
                    Ok(sink) => sink,
                    Err(error) => return process.fail(1, format!("can't open '{path}': {error}")).await,
                },
            };
            create::create(&job, sink).await
        }
        [_] => {
            let source: Source = match process.open_source(job.archive_name()) {
                Ok(source) => source,
                Err(error) => return process.fail(1, format!("can't open '{}': {error}", job.archive_name())).await,
            };
            extract::extract(&job, source).await
        }
        _ => process.fail(1, "exactly one of 'c', 'x' or 't' must be specified").await,
    }
}
