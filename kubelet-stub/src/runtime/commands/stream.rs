//! Programs that pass bytes on: `cat`, `head`, `tail`, `tee`, `wc`, `dd`.

use super::options;
use crate::runtime::files::How;
use crate::runtime::machine::{Outcome, Process, Source, Stop};
use std::collections::VecDeque;
use std::time::Duration;

/// How often `tail -f` looks for more.
const FOLLOW_MILLIS: u64 = 50;

fn names(operands: &[String]) -> Vec<String> {
    if operands.is_empty() { vec!["-".to_owned()] } else { operands.to_vec() }
}

async fn open(process: &Process, path: &str) -> Result<Option<Source>, Stop> {
    match process.open_source(path) {
        Ok(source) => Ok(Some(source)),
        Err(error) => {
            process.complain(format!("can't open '{path}': {error}")).await;
            Ok(None)
        }
    }
}

pub(super) async fn cat(process: &mut Process) -> Outcome {
    let given = options::read(process, "nuveA", &[("number", 'n')]).await?;
    let (mut status, mut number) = (0, 0_u64);
    for path in names(&given.operands) {
        let Some(source) = open(process, &path).await? else {
            status = 1;
            continue;
        };
        loop {
            let bytes = match source.read(usize::MAX).await {
                Ok(bytes) if bytes.is_empty() => break,
                Ok(bytes) => bytes,
                Err(error) => {
                    process.complain(format!("read error: {error}")).await;
                    status = 1;
                    break;
                }
            };
            if given.has('n') {
                for line in bytes.split_inclusive(|byte| *byte == b'\n') {
                    number += 1;
                    process.out([format!("{number:6}\t").as_bytes(), line].concat()).await?;
                }
            } else {
                process.out(bytes).await?;
            }
            process.machine.step().await;
        }
    }
    Ok(status)
}

/// A count with a suffix, and the sign before it.
fn count(text: &str) -> Option<(char, usize)> {
    let sign = text.chars().next().filter(|c| "+-".contains(*c));
    let digits = &text[usize::from(sign.is_some())..];
    let (digits, factor) = match digits.chars().last() {
        Some('k' | 'K') => (&digits[..digits.len() - 1], 1 << 10),
        Some('M' | 'm') => (&digits[..digits.len() - 1], 1 << 20),
        _ => (digits, 1),
    };
    Some((sign.unwrap_or(' '), digits.parse::<usize>().ok()?.checked_mul(factor)?))
}

/// Turns `-5` into `-n 5`.
fn with_old_counts(process: &Process) -> Process {
    let mut process = process.clone();
    let mut is_value = false;
    for argument in process.arguments.iter_mut().skip(1) {
        let digits =
            argument.strip_prefix('-').is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()));
        if digits && !is_value {
            *argument = format!("-n{}", &argument[1..]);
        }
        is_value = matches!(argument.as_str(), "-n" | "-c" | "--lines" | "--bytes");
    }
    process
}

pub(super) async fn head(process: &mut Process) -> Outcome {
    let given = options::read(&with_old_counts(process), "n:c:qv", &[("lines", 'n'), ("bytes", 'c')]).await?;
    let by_bytes = given.has('c');
    let text = given.value('c').or(given.value('n')).unwrap_or("10");
    let Some((sign, limit)) = count(text) else { return process.fail(1, format!("invalid number '{text}'")).await };
    let paths = names(&given.operands);
    let mut status = 0;
    for (index, path) in paths.iter().enumerate() {
        let Some(source) = open(process, path).await? else {
            status = 1;
            continue;
        };
        if (paths.len() > 1 && !given.has('q')) || given.has('v') {
            let gap = if index > 0 { "\n" } else { "" };
            process.out(format!("{gap}==> {path} <==\n")).await?;
        }
        if sign == '-' {
            let all = process.read_all(&source).await?;
            let kept = if by_bytes {
                all[..all.len().saturating_sub(limit)].to_vec()
            } else {
                let lines: Vec<&[u8]> = all.split_inclusive(|byte| *byte == b'\n').collect();
                lines[..lines.len().saturating_sub(limit)].concat()
            };
            process.out(kept).await?;
            continue;
        }
        let mut left = limit;
        while left > 0 {
            process.machine.step().await;
            let piece = if by_bytes { source.read(left).await } else { source.read_until(b'\n', 1 << 20).await };
            let piece = match piece {
                Ok(piece) if piece.is_empty() => break,
                Ok(piece) => piece,
                Err(error) => return process.fail(1, format!("read error: {error}")).await,
            };
            if by_bytes {
                left -= piece.len();
            } else if piece.last() == Some(&b'\n') {
                left -= 1;
            }
            process.out(piece).await?;
        }
    }
    Ok(status)
}

pub(super) async fn tail(process: &mut Process) -> Outcome {
    let long = [("lines", 'n'), ("bytes", 'c'), ("follow", 'f'), ("retry", 'F')];
    let given = options::read(&with_old_counts(process), "n:c:fFqvs:", &long).await?;
    let by_bytes = given.has('c');
    let text = given.value('c').or(given.value('n')).unwrap_or("10");
    let Some((sign, limit)) = count(text) else { return process.fail(1, format!("invalid number '{text}'")).await };
    let paths = names(&given.operands);
    let mut status = 0;
    let mut followed = Vec::new();
    for (index, path) in paths.iter().enumerate() {
        let Some(source) = open(process, path).await? else {
            status = 1;
            continue;
        };
        if paths.len() > 1 && !given.has('q') {
            let gap = if index > 0 { "\n" } else { "" };
            process.out(format!("{gap}==> {path} <==\n")).await?;
        }
        let mut kept: VecDeque<Vec<u8>> = VecDeque::new();
        let mut held = 0;
        let mut seen = 0_usize;
        loop {
            process.machine.step().await;
            let piece = if by_bytes { source.read(1).await } else { source.read_until(b'\n', 1 << 20).await };
            let piece = match piece {
                Ok(piece) if piece.is_empty() => break,
                Ok(piece) => piece,
                Err(error) => return process.fail(1, format!("read error: {error}")).await,
            };
            seen += 1;
            if sign == '+' {
                if seen >= limit {
                    process.out(piece).await?;
                }
                continue;
            }
            held += piece.len();
            kept.push_back(piece);
            while kept.len() > limit || held > crate::runtime::machine::HELD_BYTES_MAX {
                held -= kept.pop_front().map_or(0, |oldest| oldest.len());
            }
        }
        process.out(kept.into_iter().flatten().collect::<Vec<u8>>()).await?;
        followed.push(source);
    }
    if !given.has('f') && !given.has('F') {
        return Ok(status);
    }
    followed.retain(|source| matches!(source, Source::File(_)));
    loop {
        if followed.is_empty() {
            return Ok(status);
        }
        for source in &followed {
            let bytes = process.read(source).await?;
            process.out(bytes).await?;
        }
        process.machine.clock.sleep(Duration::from_millis(FOLLOW_MILLIS)).await;
    }
}

pub(super) async fn tee(process: &mut Process) -> Outcome {
    let given = options::read(process, "ai", &[("append", 'a')]).await?;
    let mut status = 0;
    let mut sinks = Vec::new();
    for path in &given.operands {
        match process.open_sink(path, if given.has('a') { How::APPEND } else { How::WRITE }) {
            Ok(sink) => sinks.push(sink),
            Err(error) => {
                process.complain(format!("{path}: {error}")).await;
                status = 1;
            }
        }
    }
    let source = process.stdin();
    loop {
        let bytes = process.read(&source).await?;
        if bytes.is_empty() {
            return Ok(status);
        }
        for sink in &sinks {
            if let Err(error) = sink.write(&bytes).await {
                process.complain(format!("write error: {error}")).await;
                status = 1;
            }
        }
        process.out(&bytes).await?;
    }
}

pub(super) async fn wc(process: &mut Process) -> Outcome {
    let long = [("lines", 'l'), ("words", 'w'), ("bytes", 'c'), ("chars", 'm')];
    let given = options::read(process, "lwcm", &long).await?;
    let all = !"lwcm".chars().any(|letter| given.has(letter));
    let mut total = [0_usize; 4];
    let mut status = 0;
    let paths = names(&given.operands);
    let single = paths.len() == 1;
    let chosen: Vec<usize> = "lwmc"
        .chars()
        .enumerate()
        .filter(|(_, c)| given.has(*c) || (all && *c != 'm'))
        .map(|(index, _)| index)
        .collect();
    let line = |counts: &[usize; 4], name: &str| {
        let bare = chosen.len() == 1 && (single || given.operands.is_empty());
        let numbers: Vec<String> =
            chosen.iter().map(|at| if bare { counts[*at].to_string() } else { format!("{:9}", counts[*at]) }).collect();
        let name = if given.operands.is_empty() { String::new() } else { format!(" {name}") };
        format!("{}{name}\n", numbers.join(" "))
    };
    for path in &paths {
        let Some(source) = open(process, path).await? else {
            status = 1;
            continue;
        };
        let mut counts = [0_usize; 4];
        let mut in_word = false;
        loop {
            let bytes = process.read(&source).await?;
            if bytes.is_empty() {
                break;
            }
            for byte in &bytes {
                counts[0] += usize::from(*byte == b'\n');
                let blank = byte.is_ascii_whitespace();
                counts[1] += usize::from(in_word && blank);
                in_word = !blank;
                counts[2] += usize::from(byte & 0xC0 != 0x80);
            }
            counts[3] += bytes.len();
        }
        counts[1] += usize::from(in_word);
        for (sum, count) in total.iter_mut().zip(counts) {
            *sum += count;
        }
        process.out(line(&counts, path)).await?;
    }
    if paths.len() > 1 {
        process.out(line(&total, "total")).await?;
    }
    Ok(status)
}

/// `dd` with `if`, `of`, `bs`, `count` and `skip`.
pub(super) async fn dd(process: &mut Process) -> Outcome {
    let (mut input, mut output, mut block, mut blocks, mut skip) = ("-".to_owned(), None, 512, usize::MAX, 0);
    for operand in process.operands() {
        let Some((key, value)) = operand.split_once('=') else {
            return process.fail(1, format!("unrecognized operand '{operand}'")).await;
        };
        let number = count(value).map(|(_, number)| number);
        match (key, number) {
            ("if", _) => value.clone_into(&mut input),
            ("of", _) => output = Some(value.to_owned()),
            ("bs" | "ibs" | "obs", Some(number)) => block = number.clamp(1, 1 << 20),
            ("count", Some(number)) => blocks = number,
            ("skip", Some(number)) => skip = number,
            ("status" | "conv" | "iflag" | "oflag", _) => {}
            _ => return process.fail(1, format!("invalid operand '{operand}'")).await,
        }
    }
    let Some(source) = open(process, &input).await? else { return Ok(1) };
    let sink = match &output {
        Some(path) => match process.open_sink(path, How::WRITE) {
            Ok(sink) => Some(sink),
            Err(error) => return process.fail(1, format!("can't open '{path}': {error}")).await,
        },
        None => None,
    };
    let (mut read, mut partial, mut total) = (0, 0, 0);
    while read + partial < blocks.saturating_add(skip) {
        process.machine.step().await;
        let mut piece = Vec::new();
        while piece.len() < block {
            match source.read(block - piece.len()).await {
                Ok(bytes) if bytes.is_empty() => break,
                Ok(bytes) => piece.extend(bytes),
                Err(error) => return process.fail(1, format!("read error: {error}")).await,
            }
        }
        if piece.is_empty() {
            break;
        }
        if piece.len() == block {
            read += 1;
        } else {
            partial += 1;
        }
        if read + partial <= skip {
            continue;
        }
        total += piece.len();
        match &sink {
            Some(sink) => {
                if let Err(error) = sink.write(&piece).await {
                    return process.fail(1, format!("write error: {error}")).await;
                }
            }
            None => process.out(&piece).await?,
        }
    }
    let read = read.saturating_sub(skip);
    process.err(format!("{read}+{partial} records in\n{read}+{partial} records out\n{total} bytes copied\n")).await;
    Ok(0)
}
