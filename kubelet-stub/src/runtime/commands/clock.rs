//! Programs about time and counting: `sleep`, `date`, `seq`.

use super::options;
use crate::runtime::machine::{Outcome, Process};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// `1.5`, `2m`, `infinity`. `None`: not a duration.
pub(super) fn duration(text: &str) -> Option<Duration> {
    if matches!(text, "infinity" | "inf") {
        return Some(Duration::MAX);
    }
    let (digits, factor) = match text.chars().last()? {
        's' => (&text[..text.len() - 1], 1.0),
        'm' => (&text[..text.len() - 1], 60.0),
        'h' => (&text[..text.len() - 1], 3600.0),
        'd' => (&text[..text.len() - 1], 86_400.0),
        _ => (text, 1.0),
    };
    let seconds = digits.parse::<f64>().ok().filter(|seconds| *seconds >= 0.0)?;
    Some(Duration::try_from_secs_f64(seconds * factor).unwrap_or(Duration::MAX))
}

pub(super) async fn sleep(process: &mut Process) -> Outcome {
    let operands = process.operands();
    if operands.is_empty() {
        return process.fail(1, "missing operand").await;
    }
    let mut total = Duration::ZERO;
    for operand in &operands {
        match duration(operand) {
            Some(duration) => total = total.saturating_add(duration),
            None => return process.fail(1, format!("invalid number '{operand}'")).await,
        }
    }
    if total == Duration::MAX {
        std::future::pending::<()>().await;
    }
    process.machine.clock.sleep(total).await;
    Ok(0)
}

/// `@seconds`, or a date with or without a time.
pub(super) fn parse_date(text: &str) -> Option<SystemTime> {
    if let Some(seconds) = text.strip_prefix('@') {
        return UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(seconds.parse().ok()?).ok()?);
    }
    let text = text.replace(' ', "T");
    let whole = match text.len() {
        10 => format!("{text}T00:00:00Z"),
        16 => format!("{text}:00Z"),
        19 => format!("{text}Z"),
        _ => text,
    };
    tinyplane_wire::clock::parse(&whole)
}

pub(super) async fn date(process: &mut Process) -> Outcome {
    let long = [("utc", 'u'), ("date", 'd'), ("iso-8601", 'I'), ("rfc-3339", 'I')];
    let given = options::read(process, "uRd:r:I", &long).await?;
    let mut at = process.machine.clock.now();
    if let Some(text) = given.value('d') {
        match parse_date(text) {
            Some(parsed) => at = parsed,
            None if text == "now" => {}
            None => return process.fail(1, format!("invalid date '{text}'")).await,
        }
    }
    if let Some(path) = given.value('r') {
        match process.place.stat(path) {
            Ok(stat) => at = stat.modified,
            Err(error) => return process.fail(1, format!("{path}: {error}")).await,
        }
    }
    let format = match given.operands.first().map(|text| text.strip_prefix('+')) {
        Some(Some(format)) => format.to_owned(),
        Some(None) => return process.fail(1, "invalid date").await,
        None if given.has('R') => "%a, %d %b %Y %H:%M:%S +0000".to_owned(),
        None if given.value('I').is_some_and(|precision| precision.starts_with('s')) => {
            "%Y-%m-%dT%H:%M:%S+00:00".to_owned()
        }
        None if given.has('I') => "%Y-%m-%d".to_owned(),
        None => "%a %b %e %H:%M:%S UTC %Y".to_owned(),
    };
    process.out(strftime(&format, at) + "\n").await.map(|()| 0)
}

/// Formats a time in UTC.
pub(super) fn strftime(format: &str, at: SystemTime) -> String {
    let date = tinyplane_wire::clock::utc(at);
    let mut text = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            text.push(c);
            continue;
        }
        let weekday = date.weekday().to_string();
        let month = date.month().to_string();
        let hour12 = (date.hour() + 11) % 12 + 1;
        match chars.next() {
            Some('Y') => text.push_str(&date.year().to_string()),
            Some('y') => text.push_str(&format!("{:02}", date.year() % 100)),
            Some('m') => text.push_str(&format!("{:02}", u8::from(date.month()))),
            Some('d') => text.push_str(&format!("{:02}", date.day())),
            Some('e') => text.push_str(&format!("{:2}", date.day())),
            Some('H') => text.push_str(&format!("{:02}", date.hour())),
            Some('I') => text.push_str(&format!("{hour12:02}")),
            Some('M') => text.push_str(&format!("{:02}", date.minute())),
            Some('S') => text.push_str(&format!("{:02}", date.second())),
            Some('N') => text.push_str(&format!("{:09}", date.nanosecond())),
            Some('s') => text.push_str(&date.unix_timestamp().to_string()),
            Some('j') => text.push_str(&format!("{:03}", date.ordinal())),
            Some('u') => text.push_str(&date.weekday().number_from_monday().to_string()),
            Some('w') => text.push_str(&date.weekday().number_days_from_sunday().to_string()),
            Some('p') => text.push_str(if date.hour() < 12 { "AM" } else { "PM" }),
            Some('a') => text.push_str(&weekday[..3]),
            Some('A') => text.push_str(&weekday),
            Some('b' | 'h') => text.push_str(&month[..3]),
            Some('B') => text.push_str(&month),
            Some('F') => text.push_str(&strftime("%Y-%m-%d", at)),
            Some('T') => text.push_str(&strftime("%H:%M:%S", at)),
            Some('R') => text.push_str(&strftime("%H:%M", at)),
            Some('D') => text.push_str(&strftime("%m/%d/%y", at)),
            Some('c') => text.push_str(&strftime("%a %b %e %H:%M:%S %Y", at)),
            Some('z') => text.push_str("+0000"),
            Some('Z') => text.push_str("UTC"),
            Some('n') => text.push('\n'),
            Some('t') => text.push('\t'),
            Some('%') | None => text.push('%'),
            Some(other) => text.extend(['%', other]),
        }
    }
    text
}

/// Digits behind the point that `seq` writes at most: more than a number of 64 bits has.
const PLACES_MAX: usize = 64;

pub(super) async fn seq(process: &mut Process) -> Outcome {
    let mut operands = process.operands();
    let (mut separator, mut width) = ("\n".to_owned(), false);
    // Negative numbers look like options, so these are read by hand.
    while let Some(flag) = operands.first().cloned() {
        match flag.as_str() {
            "-w" => width = true,
            "-s" if operands.len() > 1 => separator = operands.remove(1),
            attached if attached.starts_with("-s") && attached.len() > 2 => attached[2..].clone_into(&mut separator),
            _ => break,
        }
        operands.remove(0);
    }
    let numbers: Option<Vec<f64>> = operands.iter().map(|text| text.parse::<f64>().ok()).collect();
    let Some(numbers) = numbers else { return process.fail(1, "invalid number").await };
    let (first, step, last) = match numbers.as_slice() {
        [last] => (1.0, 1.0, *last),
        [first, last] => (*first, 1.0, *last),
        [first, step, last] => (*first, *step, *last),
        _ => return process.fail(1, "missing operand").await,
    };
    if step == 0.0 {
        return process.fail(1, "increment must not be 0").await;
    }
    let places =
        operands.iter().filter_map(|text| text.split_once('.')).map(|(_, digits)| digits.len()).max().unwrap_or(0);
    let places = places.min(PLACES_MAX);
    let render = |value: f64| format!("{value:.places$}");
    let widest = if width { render(first).len().max(render(last).len()) } else { 0 };
    let (mut text, mut index, mut any) = (String::new(), 0_u32, false);
    loop {
        let value = first + step * f64::from(index);
        if (step > 0.0 && value > last + step.abs() * 1e-9) || (step < 0.0 && value < last - step.abs() * 1e-9) {
            break;
        }
        if any {
            text.push_str(&separator);
        }
        any = true;
        text.push_str(&format!("{:0>widest$}", render(value)));
        let Some(next) = index.checked_add(1) else { break };
        index = next;
        if text.len() > 8192 {
            process.machine.step().await;
            process.out(std::mem::take(&mut text)).await?;
        }
    }
    if any {
        text.push('\n');
    }
    process.out(text).await.map(|()| 0)
}
