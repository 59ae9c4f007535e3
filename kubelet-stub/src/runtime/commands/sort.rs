//! `sort`.

use super::{lines_of, options, read_operands};
use crate::runtime::machine::{Outcome, Process};
use std::cmp::Ordering;

/// How two texts compare.
#[derive(Clone, Copy, Debug, Default)]
struct How {
    numeric: bool,
    human: bool,
    version: bool,
    fold: bool,
    reverse: bool,
    blanks: bool,
    dictionary: bool,
}

impl How {
    fn set(&mut self, letter: char) -> bool {
        match letter {
            'n' | 'g' => self.numeric = true,
            'h' => self.human = true,
            'V' => self.version = true,
            'f' => self.fold = true,
            'r' => self.reverse = true,
            'b' => self.blanks = true,
            'd' => self.dictionary = true,
            _ => return false,
        }
        true
    }

    fn compare(self, left: &str, right: &str) -> Ordering {
        let (left, right) = if self.blanks { (left.trim_start(), right.trim_start()) } else { (left, right) };
        let order = if self.numeric || self.human {
            value(left, self.human).total_cmp(&value(right, self.human))
        } else if self.version {
            versions(left, right)
        } else if self.fold || self.dictionary {
            let key = |text: &str| {
                let kept = text.chars().filter(|c| !self.dictionary || c.is_alphanumeric() || c.is_whitespace());
                let kept: String = kept.collect();
                if self.fold { kept.to_uppercase() } else { kept }
            };
            key(left).cmp(&key(right))
        } else {
            left.as_bytes().cmp(right.as_bytes())
        };
        if self.reverse { order.reverse() } else { order }
    }
}

/// The number that a text begins with.
fn value(text: &str, human: bool) -> f64 {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '-').unwrap_or(text.len());
    let number = text[..end].parse::<f64>().unwrap_or(0.0);
    let factor = match text[end..].chars().next().filter(|_| human) {
        Some('K' | 'k') => 1024.0,
        Some('M') => 1024.0 * 1024.0,
        Some('G') => 1024.0 * 1024.0 * 1024.0,
        Some('T') => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => 1.0,
    };
    number * factor
}

/// Compares runs of digits as numbers.
fn versions(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left, right);
    while !left.is_empty() && !right.is_empty() {
        let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (a, b) = (digits(left), digits(right));
        if a > 0 && b > 0 {
            let order =
                left[..a].parse::<u128>().unwrap_or(u128::MAX).cmp(&right[..b].parse::<u128>().unwrap_or(u128::MAX));
            if order.is_ne() {
                return order;
            }
            (left, right) = (&left[a..], &right[b..]);
            continue;
        }
        let (Some(c), Some(d)) = (left.chars().next(), right.chars().next()) else { break };
        if c != d {
            return c.cmp(&d);
        }
        (left, right) = (&left[c.len_utf8()..], &right[d.len_utf8()..]);
    }
    left.len().cmp(&right.len())
}

/// One `-k`: from a field and character to another.
#[derive(Clone, Debug)]
struct Key {
    from: (usize, usize),
    to: Option<(usize, usize)>,
    how: Option<How>,
}

fn key(text: &str) -> Option<Key> {
    let mut how = How::default();
    let mut any = false;
    let mut position = |part: &str| {
        let end = part.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(part.len());
        for letter in part[end..].chars() {
            any |= how.set(letter);
        }
        let (field, column) = part[..end].split_once('.').unwrap_or((&part[..end], "0"));
        Some((field.parse::<usize>().ok()?, column.parse::<usize>().ok()?))
    };
    let (from, to) = text.split_once(',').map_or((text, None), |(from, to)| (from, Some(to)));
    let from = position(from).filter(|(field, _)| *field > 0)?;
    let to = match to {
        Some(to) => Some(position(to)?),
        None => None,
    };
    Some(Key { from, to, how: any.then_some(how) })
}

/// The part of a line that a key names.
fn part<'a>(line: &'a str, key: &Key, separator: Option<char>) -> &'a str {
    let mut fields: Vec<(usize, usize)> = Vec::new();
    match separator {
        Some(separator) => {
            let mut start = 0;
            for field in line.split(separator) {
                fields.push((start, start + field.len()));
                start += field.len() + separator.len_utf8();
            }
        }
        None => {
            // A field begins with the blanks before it.
            let mut start = 0;
            let mut in_word = false;
            for (at, c) in line.char_indices() {
                if c.is_whitespace() && in_word {
                    fields.push((start, at));
                    start = at;
                }
                in_word = !c.is_whitespace();
            }
            fields.push((start, line.len()));
        }
    }
    let begin = fields.get(key.from.0 - 1).map_or(line.len(), |(start, _)| start + key.from.1.saturating_sub(1));
    let end = match key.to {
        None => line.len(),
        Some((field, 0)) => fields.get(field.saturating_sub(1)).map_or(line.len(), |(_, end)| *end),
        Some((field, column)) => fields.get(field.saturating_sub(1)).map_or(line.len(), |(start, _)| start + column),
    };
    let (begin, end) = (begin.min(line.len()), end.min(line.len()));
    line.get(begin..end.max(begin)).unwrap_or("")
}

pub(super) async fn sort(process: &mut Process) -> Outcome {
    let long = [
        ("numeric-sort", 'n'),
        ("reverse", 'r'),
        ("unique", 'u'),
        ("key", 'k'),
        ("field-separator", 't'),
        ("output", 'o'),
        ("check", 'c'),
        ("stable", 's'),
        ("version-sort", 'V'),
        ("human-numeric-sort", 'h'),
        ("ignore-case", 'f'),
    ];
    let given = options::read(process, "nruk:t:o:cshVfbdgmzM", &long).await?;
    let mut how = How::default();
    for (letter, _) in given.flags() {
        how.set(letter);
    }
    let mut keys = Vec::new();
    for text in given.values('k') {
        match key(text) {
            Some(key) => keys.push(key),
            None => return process.fail(2, format!("invalid key '{text}'")).await,
        }
    }
    let separator = given.value('t').and_then(|text| if text == "\\t" { Some('\t') } else { text.chars().next() });
    let by_keys = |left: &str, right: &str| {
        if keys.is_empty() {
            return how.compare(left, right);
        }
        let compare =
            |key: &Key| key.how.unwrap_or(how).compare(part(left, key, separator), part(right, key, separator));
        keys.iter().map(compare).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    };
    let (contents, status) = read_operands(process, &given.operands).await?;
    let mut lines: Vec<String> = Vec::new();
    for content in &contents {
        lines.extend(lines_of(content).into_iter().map(|line| String::from_utf8_lossy(line).into_owned()));
    }
    if given.has('c') {
        let bad = lines.windows(2).find(|pair| by_keys(&pair[0], &pair[1]).is_gt());
        return match bad {
            Some(pair) => process.fail(1, format!("-: disorder: {}", pair[1])).await,
            None => Ok(status),
        };
    }
    process.machine.step().await;
    lines.sort_by(|left, right| {
        let order = by_keys(left, right);
        if order.is_ne() || given.has('s') || given.has('u') {
            return order;
        }
        // Equal by the keys: the whole lines decide.
        let order = left.as_bytes().cmp(right.as_bytes());
        if how.reverse { order.reverse() } else { order }
    });
    if given.has('u') {
        lines.dedup_by(|next, before| by_keys(before, next).is_eq());
    }
    let mut out = lines.join("\n");
    if !out.is_empty() || lines.len() == 1 {
        out.push('\n');
    }
    match given.value('o') {
        None => process.out(out).await?,
        Some(path) => {
            if let Err(error) = process.place.write(path, out.as_bytes()) {
                return process.fail(2, format!("{path}: {error}")).await;
            }
        }
    }
    Ok(status)
}
