//! Schedules of CronJobs, as the parser that upstream uses reads them.

/// Fields of a schedule: lowest and highest number, and names from the lowest on.
const FIELDS: [(u32, u32, &[&str]); 5] = [
    (0, 59, &[]),
    (0, 23, &[]),
    (1, 31, &[]),
    (1, 12, &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]),
    (0, 6, &["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
];
const DESCRIPTORS: [&str; 7] = ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];
const UNITS: [&str; 8] = ["ns", "us", "\u{b5}s", "\u{3bc}s", "ms", "h", "m", "s"];

/// What is wrong with a schedule, in the parser's words; nothing when it is right.
pub(super) fn complaint(schedule: &str) -> Option<String> {
    let rest = match schedule.strip_prefix("TZ=").or_else(|| schedule.strip_prefix("CRON_TZ=")) {
        Some(zoned) => zoned.split_once(' ').map_or("", |(_, rest)| rest.trim()),
        None => schedule,
    };
    if let Some(every) = rest.strip_prefix("@every ") {
        let wrong = || format!("failed to parse duration {rest}: time: invalid duration {every:?}");
        return (!is_duration(every)).then(wrong);
    }
    if rest.starts_with('@') {
        return (!DESCRIPTORS.contains(&rest)).then(|| format!("unrecognized descriptor: {rest}"));
    }
    let fields: Vec<&str> = rest.split_whitespace().collect();
    if fields.len() != FIELDS.len() {
        return Some(format!("expected exactly 5 fields, found {}: [{}]", fields.len(), fields.join(" ")));
    }
    let mut each = fields.iter().zip(&FIELDS);
    each.find_map(|(text, bounds)| {
        text.split(',').filter(|part| !part.is_empty()).find_map(|part| range(part, *bounds).err())
    })
}

fn range(text: &str, (least, most, names): (u32, u32, &[&str])) -> Result<(), String> {
    let (span, step) = match text.split('/').collect::<Vec<_>>().as_slice() {
        [span] => (*span, None),
        [span, step] => (*span, Some(*step)),
        _ => return Err(format!("too many slashes: {text}")),
    };
    let number = |word: &str| {
        let named = names.iter().position(|name| name.eq_ignore_ascii_case(word));
        match named.and_then(|at| u32::try_from(at).ok()) {
            Some(at) => Ok(least + at),
            None => integer(word),
        }
    };
    let (first, last) = match span.split('-').collect::<Vec<_>>().as_slice() {
        ["*" | "?"] => (least, most),
        [one] => {
            let one = number(one)?;
            (one, if step.is_some() { most } else { one })
        }
        [first, last] if !matches!(*first, "*" | "?") => (number(first)?, number(last)?),
        ["*" | "?", _] => (least, most),
        _ => return Err(format!("too many hyphens: {text}")),
    };
    let step = step.map_or(Ok(1), integer)?;
    if first < least {
        return Err(format!("beginning of range ({first}) below minimum ({least}): {text}"));
    }
    if last > most {
        return Err(format!("end of range ({last}) above maximum ({most}): {text}"));
    }
    if first > last {
        return Err(format!("beginning of range ({first}) beyond end of range ({last}): {text}"));
    }
    if step == 0 { Err(format!("step of range should be a positive number: {text}")) } else { Ok(()) }
}

fn integer(word: &str) -> Result<u32, String> {
    word.parse().map_err(|_| format!("failed to parse int from {word}: strconv.Atoi: parsing {word:?}: invalid syntax"))
}

/// Whether Go reads a text as a duration, such as `1h30m`.
fn is_duration(text: &str) -> bool {
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return true;
    }
    let mut parts = 0;
    while !rest.is_empty() {
        let number = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let Some(unit) = UNITS.iter().find(|unit| number.starts_with(**unit)) else { return false };
        if number.len() == rest.len() {
            return false;
        }
        rest = &number[unit.len()..];
        parts += 1;
    }
    parts > 0
}
