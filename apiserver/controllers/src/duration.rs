//! Durations as Go writes them: `1h2m3.5s`, `250ms`.

use std::time::Duration;

/// Reads a duration; `None` where it is none.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let (mut rest, mut total) = (text, Duration::ZERO);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let unit_end = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |n| digits + n);
        let seconds = match &rest[digits..unit_end] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            _ => return None,
        };
        total = total.checked_add(Duration::try_from_secs_f64(number * seconds).ok()?)?;
        rest = &rest[unit_end..];
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_go_writes_them() {
        assert_eq!(parse("1h2m3.5s"), Some(Duration::from_millis(3_723_500)));
        assert_eq!(parse("250ms"), Some(Duration::from_millis(250)));
        assert_eq!((parse(""), parse("5"), parse("5x"), parse("s")), (None, None, None, None));
    }
}
