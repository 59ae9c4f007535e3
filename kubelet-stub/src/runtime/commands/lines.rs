//! Programs that change lines: `cut`, `tr`, `uniq`, `rev`, `tac`, `nl`.

use super::{lines_of, options, read_operands};
use crate::runtime::machine::{Outcome, Process};
use crate::runtime::shell::class;

/// `1,3-5,7-` as ranges from 1. `None`: not a list.
fn ranges(text: &str) -> Option<Vec<(usize, usize)>> {
    let range = |part: &str| {
        let (from, to) = match part.split_once('-') {
            None => (part.parse().ok()?, part.parse().ok()?),
            Some(("", to)) => (1, to.parse().ok()?),
            Some((from, "")) => (from.parse().ok()?, usize::MAX),
            Some((from, to)) => (from.parse().ok()?, to.parse().ok()?),
        };
        (from > 0 && to >= from).then_some((from, to))
    };
    text.split(',').map(range).collect()
}

pub(super) async fn cut(process: &mut Process) -> Outcome {
    let long = [("delimiter", 'd'), ("fields", 'f'), ("characters", 'c'), ("bytes", 'b'), ("output-delimiter", 'O')];
    let given = options::read(process, "d:f:c:b:snO:", &long).await?;
    let fields = given.value('f');
    let Some(ranges) = fields.or(given.value('c')).or(given.value('b')).and_then(ranges) else {
        return process.fail(1, "expected a list of bytes, characters, or fields").await;
    };
    let chosen = |number: usize| ranges.iter().any(|(from, to)| (*from..=*to).contains(&number));
    let delimiter = given.value('d').and_then(|text| text.chars().next()).unwrap_or('\t');
    let joined = given.value('O').map_or_else(|| delimiter.to_string(), str::to_owned);
    let (contents, status) = read_operands(process, &given.operands).await?;
    for content in contents {
        let mut out = Vec::new();
        for line in lines_of(&content) {
            if given.has('b') {
                out.extend(line.iter().enumerate().filter(|(at, _)| chosen(at + 1)).map(|(_, byte)| *byte));
                out.push(b'\n');
                continue;
            }
            let line = String::from_utf8_lossy(line);
            if fields.is_none() {
                out.extend(
                    line.chars()
                        .enumerate()
                        .filter(|(at, _)| chosen(at + 1))
                        .map(|(_, c)| c)
                        .collect::<String>()
                        .bytes(),
                );
            } else if !line.contains(delimiter) {
                if given.has('s') {
                    continue;
                }
                out.extend_from_slice(line.as_bytes());
            } else {
                let kept: Vec<&str> = line
                    .split(delimiter)
                    .enumerate()
                    .filter(|(at, _)| chosen(at + 1))
                    .map(|(_, field)| field)
                    .collect();
                out.extend_from_slice(kept.join(&joined).as_bytes());
            }
            out.push(b'\n');
        }
        process.out(out).await?;
    }
    Ok(status)
}

/// A set of `tr`: ranges, classes, escapes.
fn set(text: &str) -> Vec<u8> {
    let mut found: Vec<u8> = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some((ranges, tail)) = rest
            .strip_prefix("[:")
            .and_then(|inner| inner.split_once(":]"))
            .and_then(|(name, tail)| Some((class(name)?, tail)))
        {
            for (from, to) in ranges {
                found.extend((*from..=*to).filter_map(|c| u8::try_from(c).ok()));
            }
            rest = tail;
            continue;
        }
        let (bytes, tail) = escape(rest, first);
        rest = tail;
        if let Some(end) = rest.strip_prefix('-').and_then(|tail| tail.chars().next()) {
            let (last, tail) = escape(&rest[1..], end);
            if let ([from], [to]) = (bytes.as_slice(), last.as_slice()) {
                found.extend(*from..=*to);
                rest = tail;
                continue;
            }
        }
        found.extend(bytes);
    }
    found
}

fn escape(rest: &str, first: char) -> (Vec<u8>, &str) {
    if first != '\\' || rest.len() < 2 {
        return (first.to_string().into_bytes(), &rest[first.len_utf8()..]);
    }
    let digits = rest[1..].bytes().take(3).take_while(|byte| (b'0'..=b'7').contains(byte)).count();
    if digits > 0 {
        let value = u32::from_str_radix(&rest[1..=digits], 8).unwrap_or(0);
        return (vec![u8::try_from(value & 0xff).unwrap_or(0)], &rest[1 + digits..]);
    }
    let next = rest[1..].chars().next().unwrap_or('\\');
    let byte = match next {
        'n' => vec![b'\n'],
        't' => vec![b'\t'],
        'r' => vec![b'\r'],
        'a' => vec![7],
        'b' => vec![8],
        'f' => vec![12],
        'v' => vec![11],
        other => other.to_string().into_bytes(),
    };
    (byte, &rest[1 + next.len_utf8()..])
}

pub(super) async fn tr(process: &mut Process) -> Outcome {
    let long = [("delete", 'd'), ("squeeze-repeats", 's'), ("complement", 'c')];
    let given = options::read(process, "dscCt", &long).await?;
    let Some(first) = given.operands.first() else { return process.fail(1, "missing operand").await };
    let (delete, squeeze) = (given.has('d'), given.has('s'));
    let second = given.operands.get(1).map(|text| set(text));
    if second.is_none() && !delete && !squeeze {
        return process.fail(1, "missing operand").await;
    }
    let listed = set(first);
    let complement = given.has('c') || given.has('C');
    let from: Vec<u8> = if complement { (0..=255).filter(|byte| !listed.contains(byte)).collect() } else { listed };
    let mut map: Vec<Option<u8>> = vec![None; 256];
    if let (Some(to), false) = (&second, delete) {
        for (index, byte) in from.iter().enumerate() {
            map[usize::from(*byte)] = to.get(index).or(to.last()).copied();
        }
    }
    let squeezed: &[u8] = match &second {
        Some(second) => second,
        None => &from,
    };
    let source = process.stdin();
    let mut before = None;
    loop {
        let bytes = process.read(&source).await?;
        if bytes.is_empty() {
            return Ok(0);
        }
        let mut out = Vec::with_capacity(bytes.len());
        for byte in bytes {
            if delete && from.contains(&byte) {
                continue;
            }
            let byte = map[usize::from(byte)].unwrap_or(byte);
            if squeeze && before == Some(byte) && squeezed.contains(&byte) {
                continue;
            }
            before = Some(byte);
            out.push(byte);
        }
        process.out(out).await?;
    }
}

pub(super) async fn uniq(process: &mut Process) -> Outcome {
    let long = [("count", 'c'), ("repeated", 'd'), ("unique", 'u'), ("ignore-case", 'i')];
    let given = options::read(process, "cduif:s:w:", &long).await?;
    let inputs = &given.operands[..given.operands.len().min(1)];
    let number = |letter: char| given.value(letter).and_then(|text| text.parse::<usize>().ok());
    let (fields, skipped, width) = (number('f').unwrap_or(0), number('s').unwrap_or(0), number('w'));
    let key = |line: &[u8]| {
        let text = String::from_utf8_lossy(line).into_owned();
        let mut rest = text.as_str();
        for _ in 0..fields {
            rest = rest.trim_start().trim_start_matches(|c: char| !c.is_whitespace());
        }
        let key: String = rest.chars().skip(skipped).take(width.unwrap_or(usize::MAX)).collect();
        if given.has('i') { key.to_lowercase() } else { key }
    };
    let (contents, status) = read_operands(process, inputs).await?;
    let content = contents.concat();
    let mut groups: Vec<(&[u8], usize)> = Vec::new();
    for line in lines_of(&content) {
        match groups.last_mut() {
            Some((last, count)) if key(last) == key(line) => *count += 1,
            _ => groups.push((line, 1)),
        }
    }
    let mut out = Vec::new();
    for (line, count) in groups {
        if (given.has('d') && count < 2) || (given.has('u') && count > 1) {
            continue;
        }
        if given.has('c') {
            out.extend_from_slice(format!("{count:7} ").as_bytes());
        }
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    match given.operands.get(1) {
        None => process.out(out).await?,
        Some(path) => {
            if let Err(error) = process.place.write(path, &out) {
                return process.fail(1, format!("{path}: {error}")).await;
            }
        }
    }
    Ok(status)
}

pub(super) async fn rev(process: &mut Process) -> Outcome {
    let (contents, status) = read_operands(process, &process.operands()).await?;
    for content in contents {
        for line in lines_of(&content) {
            let line: String = String::from_utf8_lossy(line).chars().rev().collect();
            process.out(line + "\n").await?;
        }
    }
    Ok(status)
}

pub(super) async fn tac(process: &mut Process) -> Outcome {
    let (contents, status) = read_operands(process, &process.operands()).await?;
    for content in contents {
        let lines: Vec<&[u8]> = content.split_inclusive(|byte| *byte == b'\n').rev().collect();
        process.out(lines.concat()).await?;
    }
    Ok(status)
}

pub(super) async fn nl(process: &mut Process) -> Outcome {
    let given = options::read(process, "b:w:s:v:i:n:", &[]).await?;
    let all = given.value('b') == Some("a");
    let (contents, status) = read_operands(process, &given.operands).await?;
    let mut number = 0;
    for content in contents {
        for line in lines_of(&content) {
            let line = String::from_utf8_lossy(line);
            if line.is_empty() && !all {
                process.out("       \n").await?;
                continue;
            }
            number += 1;
            process.out(format!("{number:6}\t{line}\n")).await?;
        }
    }
    Ok(status)
}
