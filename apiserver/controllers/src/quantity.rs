//! Quantities in thousandths of their unit, and shares of a number: `25%`, or a number itself.

use serde_json::Value;

/// Reads a quantity (`250m`, `1.5`, `16Gi`, `2e3`) into thousandths, rounded up; `None` where it is none.
pub(crate) fn thousandths(text: &str) -> Option<i128> {
    let end = text.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '+' | '-')).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (negative, digits) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number.strip_prefix('+').unwrap_or(number)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.len() > 18 {
        return None;
    }
    let scale = 10_i128.pow(u32::try_from(fraction.len()).ok()?);
    let value = format!("0{whole}{fraction}").parse::<i128>().ok()?;
    let (multiplier, divisor) = factor(suffix)?;
    let scaled = value.checked_mul(multiplier)?.checked_mul(1_000)?;
    let by = scale.checked_mul(divisor)?;
    let rounded = scaled.div_euclid(by) + i128::from(scaled.rem_euclid(by) != 0);
    Some(if negative { -rounded } else { rounded })
}

/// A number, or a percentage of another one, rounded up or down.
pub(crate) fn share(value: &Value, of: i64, up: bool) -> i64 {
    let percent = value.as_str().and_then(|text| text.strip_suffix('%')).and_then(|n| n.parse::<i64>().ok());
    match percent {
        Some(percent) if up => (percent * of + 99).div_euclid(100),
        Some(percent) => (percent * of).div_euclid(100),
        None => value.as_i64().unwrap_or_default(),
    }
}

fn factor(suffix: &str) -> Option<(i128, i128)> {
    const KI: i128 = 1024;
    Some(match suffix {
        "" => (1, 1),
        "n" => (1, 1_000_000_000),
        "u" => (1, 1_000_000),
        "m" => (1, 1_000),
        "k" => (1_000, 1),
        "M" => (1_000_000, 1),
        "G" => (1_000_000_000, 1),
        "T" => (1_000_000_000_000, 1),
        "P" => (1_000_000_000_000_000, 1),
        "E" => (1_000_000_000_000_000_000, 1),
        "Ki" => (KI, 1),
        "Mi" => (KI.pow(2), 1),
        "Gi" => (KI.pow(3), 1),
        "Ti" => (KI.pow(4), 1),
        "Pi" => (KI.pow(5), 1),
        "Ei" => (KI.pow(6), 1),
        exponent => {
            let power: i32 = exponent.strip_prefix(['e', 'E'])?.parse().ok()?;
            let ten = 10_i128.checked_pow(power.unsigned_abs())?;
            if power < 0 { (1, ten) } else { (ten, 1) }
        }
    })
}

/// In powers of 1024 or of 1000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notation {
    Binary,
    Decimal,
}

impl Notation {
    /// The notation in which a quantity is written.
    pub(crate) fn of(text: &str) -> Self {
        if text.ends_with('i') { Self::Binary } else { Self::Decimal }
    }
}

/// Writes thousandths as a quantity, with the largest suffix that leaves no fraction.
pub(crate) fn told(thousandths: i128, notation: Notation) -> String {
    if thousandths % 1_000 != 0 {
        return format!("{thousandths}m");
    }
    let (suffixes, step) = match notation {
        Notation::Binary => (["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"], 1_024),
        Notation::Decimal => (["k", "M", "G", "T", "P", "E"], 1_000),
    };
    let (mut number, mut suffix) = (thousandths / 1_000, "");
    for larger in suffixes {
        if number == 0 || number % step != 0 {
            break;
        }
        (number, suffix) = (number / step, larger);
    }
    format!("{number}{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_compare_by_value() {
        assert_eq!(thousandths("250m"), Some(250));
        assert_eq!(thousandths("1.5"), Some(1_500));
        assert_eq!(thousandths("1Ki"), Some(1_024_000));
        assert_eq!(thousandths("2e3"), Some(2_000_000));
        assert_eq!(thousandths("100u"), Some(1), "rounded up");
        assert_eq!(thousandths("-1"), Some(-1_000));
        assert_eq!((thousandths("x"), thousandths("1Q"), thousandths("")), (None, None, None));
    }

    #[test]
    fn amounts_are_told_in_their_notation() {
        assert_eq!(told(1_500, Notation::Decimal), "1500m");
        assert_eq!(told(0, Notation::Binary), "0");
        assert_eq!(told(128 * 1_024 * 1_024 * 1_000, Notation::Binary), "128Mi");
        assert_eq!(told(128_000_000_000, Notation::Decimal), "128M");
        assert_eq!(told(1_000_000, Notation::Decimal), "1k");
    }
}
