//! `resource.Quantity`: parsed, compared, and written in Go's canonical form.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

/// Powers of ten below which a quantity is not kept: nano.
const SCALE_MIN: i32 = -9;
/// Powers of ten below which a quantity of a list of resources is not kept: milli.
const MILLI: i32 = -3;
/// Most digits of a number that Go holds in 64 bits; longer ones it holds as numbers of any length.
const SHORT_DIGITS_MAX: i32 = 18;
/// What no mantissa reaches: the digits of longer ones that count least are dropped, which Go never does.
const MANTISSA_END: i128 = 10_i128.pow(36);
/// Most that is taken of an exponent. Upstream reckons with all of it, and with a thousand million ends there.
const EXPONENT_MAX: i64 = 1_000_000;
/// The greatest amount with a suffix of a power of 1024.
const BINARY_MAX: i128 = i64::MAX as i128;
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

/// An exact amount: a whole number times a power of ten.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    mantissa: i128,
    scale: i32,
    format: Format,
    /// Go holds it as a number of any length, which shows where it takes 64 bits of it.
    long: bool,
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
        Parts::of(text)?.quantity().map(|(quantity, _)| quantity)
    }

    /// The text as Go writes it again: as it is where Go takes it for canonical, which is more than what it would write itself.
    ///
    /// # Errors
    /// When the text is no quantity.
    pub fn written(text: &str) -> Result<Cow<'_, str>, QuantityError> {
        let (quantity, is_kept) = Parts::of(text)?.quantity()?;
        Ok(if is_kept { text.into() } else { quantity.to_string().into() })
    }

    /// The text of what a list of resources holds in place of an amount finer than a thousandth; `None` for all others.
    #[must_use]
    pub fn in_thousandths(text: &str) -> Option<String> {
        // Nearly every amount is told from these by its letters.
        let quantity = text.contains(['n', 'u', '.', '-']).then(|| Self::parse(text).ok())??;
        (quantity.scale < MILLI).then(|| quantity.rounded(MILLI).to_string())
    }

    /// A whole number.
    #[must_use]
    pub fn of(units: i64) -> Self {
        Self { mantissa: units.into(), scale: 0, format: Format::Decimal, long: false }
    }

    /// The sum, written as this one is; as the other one where this is nothing.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        if self.mantissa == 0 || other.mantissa == 0 {
            return if self.mantissa == 0 { other } else { self };
        }
        let (coarse, fine) = if self.scale < other.scale { (other, self) } else { (self, other) };
        // What is finer than the digits that the greater one has room for is rounded.
        let room = (MANTISSA_END / coarse.mantissa.abs()).ilog10();
        let scale = fine.scale.max(coarse.scale - room.cast_signed());
        let mantissa = coarse.finer(scale) + fine.rounded(scale).mantissa;
        Self { mantissa, scale, format: self.format, long: self.long || other.long }.bounded()
    }

    /// The difference, written as this one is; as the other one where this is nothing.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        self.plus(Self { mantissa: -other.mantissa, ..other })
    }

    /// -1, 0 or 1, as the amount is less than nothing, nothing or more.
    #[must_use]
    pub fn signum(self) -> i128 {
        self.mantissa.signum()
    }

    /// The amount in billionths.
    #[must_use]
    pub fn nanos(self) -> i128 {
        self.finer(SCALE_MIN)
    }

    /// The amount in thousandths, rounded up, as Go takes it.
    #[must_use]
    pub fn milli(self) -> i64 {
        if self.long { low_bits(self.thousandths()) } else { self.short(MILLI) }
    }

    /// The amount in whole units, rounded up, as Go takes it: of what 64 bits can't hold it takes nothing, or the lowest bits.
    #[must_use]
    pub fn units(self) -> i64 {
        if !self.long {
            return self.short(0);
        }
        let thousandths = self.thousandths();
        if thousandths < i64::MAX.into() {
            let low = low_bits(thousandths);
            return low / 1_000 + i64::from(low % 1_000 != 0);
        }
        low_bits(ceiling(thousandths, 1_000))
    }

    fn short(self, scale: i32) -> i64 {
        let amount = if self.scale < scale { self.rounded(scale).mantissa } else { self.finer(scale) };
        let steps = self.scale.abs_diff(scale);
        i64::try_from(amount).unwrap_or_else(|_| {
            // Go multiplies at once by the powers that suffixes often have, and step by step by all others.
            let at_once = self.scale > scale && [1, 2, 3, 6, 9].contains(&steps);
            if at_once { low_bits(self.mantissa.wrapping_mul(10_i128.pow(steps))) } else { 0 }
        })
    }

    /// Thousandths of which only the lowest bits are right.
    fn thousandths(self) -> i128 {
        let steps = u32::try_from(self.scale - MILLI);
        steps.map_or_else(
            |_| self.rounded(MILLI).mantissa,
            |steps| self.mantissa.wrapping_mul(10_i128.wrapping_pow(steps)),
        )
    }

    /// The mantissa at a scale that is no greater; no number is beyond what this saturates at.
    fn finer(self, scale: i32) -> i128 {
        let factor = 10_i128.checked_pow(self.scale.abs_diff(scale));
        let most = if self.mantissa < 0 { i128::MIN } else { i128::MAX };
        match factor.and_then(|factor| self.mantissa.checked_mul(factor)) {
            Some(mantissa) => mantissa,
            None if self.mantissa == 0 => 0,
            None => most,
        }
    }

    /// The same at a scale that is no less, rounded away from zero.
    fn rounded(self, scale: i32) -> Self {
        let divisor = 10_i128.checked_pow(self.scale.abs_diff(scale));
        let mantissa = divisor.map_or(self.mantissa.signum(), |divisor| ceiling(self.mantissa, divisor));
        Self { mantissa, scale, ..self }
    }

    /// What is not negative times a power of two, to the most that is allowed.
    fn shifted(mut self, power: i32) -> Self {
        let end = i128::MAX >> power;
        while self.mantissa > end && self.scale < 0 {
            self = self.rounded(self.scale + 1);
        }
        let most = Self { mantissa: BINARY_MAX, scale: 0, ..self };
        if self.mantissa > end {
            return most;
        }
        self.mantissa <<= power;
        self.bounded().min(most)
    }

    /// The same with no more digits than are kept.
    fn bounded(mut self) -> Self {
        while self.mantissa.unsigned_abs() >= MANTISSA_END.unsigned_abs() {
            self = self.rounded(self.scale + 1);
        }
        self
    }
}

/// A quantity's text, taken apart.
struct Parts<'a> {
    negative: bool,
    /// The digits before the point, without the zeros that lead them.
    whole: &'a str,
    fraction: &'a str,
    suffix: &'a str,
    /// Whether there is any digit.
    counts: bool,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Result<Self, QuantityError> {
        if text.is_empty() {
            return Err(QuantityError::Format);
        }
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let (digits, rest) = split_digits(unsigned);
        let whole = digits.trim_start_matches('0');
        let (fraction, suffix) = rest.strip_prefix('.').map_or(("", rest), split_digits);
        let letters = suffix.trim_start_matches(|c: char| "eEinumkKMGTP".contains(c));
        let number = letters.strip_prefix(['+', '-']).unwrap_or(letters);
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(QuantityError::Format);
        }
        // A sign alone is nothing, and so is read as nothing.
        let counts = unsigned.is_empty() || !digits.is_empty() || !fraction.is_empty();
        Ok(Self { negative: text.starts_with('-'), whole, fraction, suffix, counts })
    }

    /// The amount, and whether Go takes the text for canonical.
    fn quantity(&self) -> Result<(Quantity, bool), QuantityError> {
        let (format, power) = suffix(self.suffix).ok_or(QuantityError::Suffix)?;
        let mut quantity = Quantity { format, long: !self.is_short(format, power), ..self.number() };
        let number = quantity.mantissa;
        match (format, quantity.long) {
            (Format::Binary, false) => quantity.mantissa <<= power,
            (Format::Binary, true) => quantity = quantity.shifted(power),
            (Format::Decimal | Format::Exponent, _) => quantity.scale = quantity.scale.saturating_add(power),
        }
        if quantity.long && !self.counts {
            return Err(QuantityError::Number);
        }
        if quantity.scale < SCALE_MIN {
            quantity = quantity.rounded(SCALE_MIN);
        }
        let is_kept = match format {
            Format::Binary => number & 0x07 != 0,
            Format::Decimal | Format::Exponent => {
                quantity.scale % 3 == 0 && number % 1_000 != 0 && !self.whole.is_empty()
            }
        };
        quantity.mantissa *= if self.negative { -1 } else { 1 };
        Ok((quantity, is_kept && !quantity.long))
    }

    /// Whether Go reads it into 64 bits.
    fn is_short(&self, format: Format, power: i32) -> bool {
        let fraction = i32::try_from(self.fraction.len()).unwrap_or(i32::MAX);
        let whole = i32::try_from(self.whole.len().max(1)).unwrap_or(i32::MAX);
        match format {
            // Of the bits of a suffix Go takes ten for three digits.
            Format::Binary => fraction == 0 && whole <= 14 - power * 3 / 10,
            Format::Decimal | Format::Exponent => {
                whole.saturating_add(fraction) <= SHORT_DIGITS_MAX && power.saturating_sub(fraction) >= SCALE_MIN
            }
        }
    }

    /// The number before the suffix.
    fn number(&self) -> Quantity {
        let mut number = Quantity::of(0);
        let places = self.whole.bytes().map(|digit| (digit, 0)).chain(self.fraction.bytes().map(|digit| (digit, 1)));
        let mut rest = false;
        for (digit, place) in places {
            if number.mantissa >= MANTISSA_END / 10 {
                // What is beyond the digits that are kept only shifts them.
                rest |= digit != b'0';
                number.scale += 1 - place;
            } else {
                number.mantissa = number.mantissa * 10 + i128::from(digit - b'0');
                number.scale -= place;
            }
        }
        number.mantissa += i128::from(rest);
        number
    }
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// The lowest 64 bits.
#[expect(clippy::cast_possible_truncation, reason = "that is what Go does to numbers of any length")]
fn low_bits(number: i128) -> i64 {
    number as i64
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        let scale = self.scale.min(other.scale);
        self.finer(scale).cmp(&other.finer(scale))
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.mantissa == 0 {
            return formatter.write_str("0");
        }
        let whole = if self.scale >= 0 { *self } else { self.rounded(0) };
        // A binary suffix is for whole amounts from one of it on.
        if self.format == Format::Binary && whole == *self && whole.finer(0).unsigned_abs() >= 1024 {
            let mut amount = whole.finer(0);
            let mut power = 0;
            while amount % 1024 == 0 && power + 1 < BINARY.len() {
                amount /= 1024;
                power += 1;
            }
            return write!(formatter, "{amount}{}", BINARY[power]);
        }
        let (mut amount, mut exponent) = (self.mantissa, self.scale);
        while amount % 10 == 0 {
            amount /= 10;
            exponent += 1;
        }
        while exponent.rem_euclid(3) != 0 {
            amount *= 10;
            exponent -= 1;
        }
        if self.format == Format::Exponent && exponent != 0 {
            return write!(formatter, "{amount}e{exponent}");
        }
        // Upstream writes none where it has none, and so another amount.
        let known = DECIMAL.iter().find(|(_, power)| self.format != Format::Exponent && *power == exponent);
        write!(formatter, "{amount}{}", known.map_or("", |(suffix, _)| suffix))
    }
}

/// What a suffix means: its format, and a power of ten or, of a binary one, of two.
fn suffix(text: &str) -> Option<(Format, i32)> {
    if let Some((_, exponent)) = DECIMAL.iter().find(|(suffix, _)| *suffix == text) {
        return Some((Format::Decimal, *exponent));
    }
    if let Some(power) = BINARY.iter().position(|suffix| *suffix == text) {
        return Some((Format::Binary, power as i32 * 10));
    }
    let exponent: i64 = text.strip_prefix(['e', 'E'])?.parse().ok()?;
    Some((Format::Exponent, exponent.clamp(-EXPONENT_MAX, EXPONENT_MAX) as i32))
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
            ("0.1Gi", "107374182400m"),
            ("8Ei", "9223372036854775807"),
            ("9223372036854775807", "9223372036854775807"),
            ("99999999999999999999999", "99999999999999999999999"),
            ("1e19", "10e18"),
            ("1e-30", "1e-9"),
            ("1234567890123456789.1234567891", "1234567890123456789123456790n"),
        ] {
            let parsed = Quantity::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(parsed.to_string(), canonical, "{text}");
            assert_eq!(Quantity::parse(canonical).unwrap(), parsed, "{text} keeps its amount");
        }
    }

    #[test]
    fn a_text_that_go_takes_for_canonical_stays() {
        for kept in ["+5", "007", "5.", "5.Gi", "1.500", "1E3", "1e+3", "1e0", "1500e-3", "+1Ki", "1025Ki"] {
            assert_eq!(Quantity::written(kept).unwrap(), kept);
        }
        let changed = [("1000", "1k"), ("1.5", "1500m"), (".5", "500m"), ("8Ki", "8Ki"), ("15e-1", "1500e-3")];
        // Beyond the last suffix upstream writes none.
        for (text, canonical) in changed.into_iter().chain([("1000E", "1"), ("-", "0"), ("Ki", "0"), (".", "0")]) {
            assert_eq!(Quantity::written(text).unwrap(), canonical, "{text}");
        }
    }

    #[test]
    fn lists_of_resources_hold_thousandths() {
        for (text, rounded) in [("1n", "1m"), ("1001n", "1m"), ("1.0000001", "1001m"), ("-1u", "-1m"), ("3e-7", "1e-3")]
        {
            assert_eq!(Quantity::in_thousandths(text).as_deref(), Some(rounded), "{text}");
        }
        for text in ["1", "1.5", "100m", "+5", "1e-3", "1.500", "x"] {
            assert_eq!(Quantity::in_thousandths(text), None, "{text}");
        }
    }

    #[test]
    fn of_what_64_bits_can_not_hold_go_takes_what_they_hold() {
        let units = |text| Quantity::parse(text).unwrap().units();
        assert_eq!([units("1e19"), units("100E")], [0, 0]);
        assert_eq!(units("9223372036854775808"), i64::MIN);
        assert_eq!(units("9223372036854776k"), -9_223_372_036_854_775_616);
        assert_ne!(Quantity::parse("1.2345678901234568e+22").unwrap().milli() % 1_000, 0);
        assert_eq!(units("-9223372036854775809"), -1);
        assert_eq!(Quantity::parse("1234567890123456789").unwrap().milli(), -1_363_962_815_083_169_272);
    }

    #[test]
    fn an_exponent_beyond_all_bounds_is_bounded() {
        let parse = |text: &str| Quantity::parse(text).unwrap();
        assert!(parse("1e2147483647") > parse("1e300") && parse("1e300") > parse("9e299"));
        assert_eq!(parse("1e-2147483648").nanos(), 1);
        assert_eq!(Quantity::parse("1e9223372036854775808"), Err(QuantityError::Suffix));
        let long = parse(&format!("{}e2147483647", "1".repeat(40)));
        assert_eq!(long.nanos(), i128::MAX);
        assert_eq!(long.minus(long), Quantity::of(0));
        assert!(parse("1e99").plus(parse("-1n")) > parse("9e98"));
    }

    #[test]
    fn a_long_fraction_of_a_binary_suffix_keeps_its_amount() {
        let third = Quantity::parse(&format!("0.{}Pi", "3".repeat(40))).unwrap();
        assert_eq!(third.units(), (1_i64 << 50) / 3 + 1);
        assert_eq!(Quantity::parse(&format!("1.{}Ei", "0".repeat(40))).unwrap().units(), 1 << 60);
        let most = Quantity::parse("10000000000000000000.1111111111111111111111Ei").unwrap();
        assert_eq!(most, Quantity::of(i64::MAX));
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
            ("Ei", QuantityError::Number),
            ("e-30", QuantityError::Number),
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
