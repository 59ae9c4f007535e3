//! `resource.Quantity`: parsed, compared, and written in Go's canonical form.

use std::fmt;

/// Powers of ten below which a quantity is not kept: nano.
const SCALE_MIN: i32 = -9;
/// The suffixes of powers of ten, by exponent.
const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];
/// The suffixes of powers of 1024.
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/// How a quantity was written, and is written again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Binary,
    Decimal,
    Exponent,
}

/// An exact amount: a whole number of billionths.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    nanos: i128,
    format: Format,
}

/// Why a text is no quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// It has not the form of one.
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Format,
    /// Its number cannot be read.
    #[error("unable to parse numeric part of quantity")]
    Number,
    /// Its suffix is none.
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

impl Quantity {
    /// Parses `1`, `100m`, `1.5Gi`, `1e3`; what is finer than a billionth is rounded away from zero.
    ///
    /// # Errors
    /// When the text has no such form.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        if text.is_empty() {
            return Err(QuantityError::Format);
        }
        let (negative, unsigned) = match text.as_bytes()[0] {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let whole_end = unsigned.find(|c: char| !c.is_ascii_digit()).unwrap_or(unsigned.len());
        let (whole, rest) = unsigned.split_at(whole_end);
        let (fraction, suffix) = match rest.strip_prefix('.') {
            Some(after) => after.split_at(after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len())),
            None => ("", rest),
        };
        let letters = suffix.trim_start_matches(|c: char| "eEinumkKMGTP".contains(c));
        let digits = letters.strip_prefix(['+', '-']).unwrap_or(letters);
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(QuantityError::Format);
        }
        let (format, base, exponent) = self::suffix(suffix).ok_or(QuantityError::Suffix)?;
        if whole.is_empty() && fraction.is_empty() {
            return Err(QuantityError::Number);
        }
        let nanos = scaled(whole, fraction, base, exponent);
        Ok(Self { nanos: if negative { -nanos } else { nanos }, format })
    }

    /// A whole number.
    pub fn of(units: i64) -> Self {
        Self { nanos: i128::from(units) * 1_000_000_000, format: Format::Decimal }
    }

    /// The sum, written as this one is; as the other one where this is nothing.
    pub fn plus(self, other: Self) -> Self {
        let format = if self.nanos == 0 { other.format } else { self.format };
        Self { nanos: self.nanos.saturating_add(other.nanos), format }
    }

    /// The difference, written as this one is; as the other one where this is nothing.
    pub fn minus(self, other: Self) -> Self {
        self.plus(Self { nanos: -other.nanos, ..other })
    }

    /// The amount in billionths.
    pub fn nanos(self) -> i128 {
        self.nanos
    }

    /// The amount in thousandths, rounded up.
    pub fn milli(self) -> i128 {
        ceiling(self.nanos, 1_000_000)
    }

    /// The amount in whole units, rounded up.
    pub fn units(self) -> i128 {
        ceiling(self.nanos, 1_000_000_000)
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nanos == 0 {
            return formatter.write_str("0");
        }
        let binary = self.format == Format::Binary && self.nanos.abs() >= 1024 * 1_000_000_000;
        if binary {
            let mut amount = self.units();
            let mut power = 0;
            while amount % 1024 == 0 && power + 1 < BINARY.len() {
                amount /= 1024;
                power += 1;
            }
            return write!(formatter, "{amount}{}", BINARY[power]);
        }
        let mut amount = self.nanos;
        let mut exponent = SCALE_MIN;
        while amount % 10 == 0 {
            amount /= 10;
            exponent += 1;
        }
        while exponent.rem_euclid(3) != 0 {
            amount *= 10;
            exponent -= 1;
        }
        while exponent > 18 {
            amount *= 1000;
            exponent -= 3;
        }
        if self.format == Format::Exponent {
            return if exponent == 0 {
                write!(formatter, "{amount}")
            } else {
                write!(formatter, "{amount}e{exponent}")
            };
        }
        let suffix = DECIMAL.iter().find(|(_, power)| *power == exponent).map_or("", |(suffix, _)| suffix);
        write!(formatter, "{amount}{suffix}")
    }
}

/// What a suffix means: its format, and a base to a power.
fn suffix(text: &str) -> Option<(Format, i128, i32)> {
    if let Some((_, exponent)) = DECIMAL.iter().find(|(suffix, _)| *suffix == text) {
        return Some((Format::Decimal, 10, *exponent));
    }
    if let Some(power) = BINARY.iter().position(|suffix| *suffix == text) {
        return Some((Format::Binary, 1024, power as i32));
    }
    let exponent = text.strip_prefix(['e', 'E'])?.parse().ok()?;
    Some((Format::Exponent, 10, exponent))
}

/// The number in billionths; no more than Go's largest, 2^63-1 units.
fn scaled(whole: &str, fraction: &str, base: i128, exponent: i32) -> i128 {
    const MAX: i128 = i64::MAX as i128 * 1_000_000_000;
    let digits = whole.trim_start_matches('0').chars().chain(fraction.chars());
    let shift = if base == 10 { exponent } else { 0 };
    let mut mantissa: i128 = 0;
    let mut scale = shift.saturating_add(9 - fraction.len() as i32);
    let mut inexact = false;
    for digit in digits.filter_map(|digit| digit.to_digit(10)) {
        // A mantissa of 30 digits is beyond what is kept: the rest only shifts it.
        if mantissa >= 10_i128.pow(28) {
            inexact |= digit != 0;
            scale = scale.saturating_add(1);
        } else {
            mantissa = mantissa * 10 + i128::from(digit);
        }
    }
    if mantissa == 0 {
        return 0;
    }
    while scale > 0 {
        mantissa = mantissa.saturating_mul(10).min(i128::MAX / 16);
        scale -= 1;
        if mantissa >= MAX {
            return MAX;
        }
    }
    if base == 1024 {
        for _ in 0..exponent {
            // Of a long fraction, its last digits make room.
            while scale < 0 && mantissa > i128::MAX / 1024 {
                shorten(&mut mantissa, &mut scale, &mut inexact);
            }
            mantissa = mantissa.saturating_mul(1024);
        }
    }
    while scale < 0 && mantissa > 0 {
        shorten(&mut mantissa, &mut scale, &mut inexact);
    }
    mantissa.saturating_add(i128::from(inexact)).min(MAX)
}

/// Drops the last digit, and remembers whether it said anything.
fn shorten(mantissa: &mut i128, scale: &mut i32, inexact: &mut bool) {
    *inexact |= *mantissa % 10 != 0;
    *mantissa /= 10;
    *scale += 1;
}

/// Division rounded away from zero.
fn ceiling(amount: i128, by: i128) -> i128 {
    let (quotient, rest) = (amount / by, amount % by);
    quotient + if rest == 0 { 0 } else { rest.signum() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_is_written_in_its_canonical_form() {
        for (text, canonical) in [
            ("0", "0"),
            ("0.5", "500m"),
            ("1000m", "1"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("0.5Ki", "512"),
            ("100Ki", "100Ki"),
            ("1e3", "1e3"),
            ("1E", "1E"),
            ("12e4", "120e3"),
            ("1000", "1k"),
            ("1234", "1234"),
            ("+10Gi", "10Gi"),
            ("-1.5", "-1500m"),
            (".5", "500m"),
            ("0.0000000001", "1n"),
            ("100000Ti", "100000Ti"),
            ("9223372036854775807", "9223372036854775807"),
            ("99999999999999999999999", "9223372036854775807"),
        ] {
            let parsed = Quantity::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(parsed.to_string(), canonical, "{text}");
            assert_eq!(Quantity::parse(canonical).unwrap(), parsed, "{text} keeps its amount");
        }
    }

    #[test]
    fn an_exponent_beyond_all_bounds_is_bounded() {
        assert_eq!(Quantity::parse("1e2147483647").unwrap().units(), i128::from(i64::MAX));
        assert_eq!(Quantity::parse("1e-2147483648").unwrap().nanos(), 1);
        assert_eq!(Quantity::parse("1e99999999999"), Err(QuantityError::Suffix));
        let long = format!("{}e2147483647", "1".repeat(40));
        assert_eq!(Quantity::parse(&long).unwrap().units(), i128::from(i64::MAX));
    }

    #[test]
    fn a_long_fraction_of_a_binary_suffix_keeps_its_amount() {
        let third = Quantity::parse(&format!("0.{}Pi", "3".repeat(40))).unwrap();
        assert_eq!(third.units(), (1_i128 << 50) / 3 + 1);
        assert_eq!(Quantity::parse(&format!("1.{}Ei", "0".repeat(40))).unwrap().units(), 1 << 60);
        let most = Quantity::parse("10000000000000000000.1111111111111111111111Ei").unwrap();
        assert_eq!(most.units(), i128::from(i64::MAX));
    }

    #[test]
    fn what_is_no_quantity_is_refused_in_the_words_of_go() {
        for (text, error) in [
            ("", QuantityError::Format),
            ("abc", QuantityError::Format),
            ("1x", QuantityError::Format),
            ("1.2.3", QuantityError::Format),
            ("1mm", QuantityError::Suffix),
            ("1GiB", QuantityError::Format),
            ("1e", QuantityError::Suffix),
            ("m", QuantityError::Number),
        ] {
            assert_eq!(Quantity::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn amounts_compare_across_suffixes() {
        let parse = |text| Quantity::parse(text).unwrap();
        assert!(parse("1Gi") > parse("1G"));
        assert_eq!(parse("0.1").milli(), 100);
        assert_eq!(parse("1500m").units(), 2);
    }
}
