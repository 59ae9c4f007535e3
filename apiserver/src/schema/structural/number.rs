//! Numbers: their range, and how Go prints them.

use super::Limits;
use super::check::{Fault, What};
use serde_json::{Number, Value};

/// What is wrong with a number, in upstream's order.
pub(super) fn faults(limits: &Limits, kind: &str, number: &Number, path: &str) -> Vec<Fault> {
    let mut told = Vec::new();
    if kind == "integer" && !in_range(&limits.format, number) {
        let format = if limits.format.is_empty() { "(default format)" } else { "with format" };
        let which = limits.format.as_str();
        let space = if which.is_empty() { "" } else { " " };
        let why = format!("Checked value must be of type integer {format}{space}{which} in {path}");
        told.push(Fault { path: String::new(), what: What::Composite(why) });
    }
    let value = number.as_f64().unwrap_or_default();
    // A whole number is compared with a bound whose fraction is cut off, as Go converts it.
    let whole = number.is_i64() || number.is_u64();
    let bound = |bound: f64| if whole { bound.trunc() } else { bound };
    let factor = limits.multiple_of.map(bound).filter(|factor| *factor > 0.0);
    if whole && factor.is_none() && limits.multiple_of.is_some() {
        let why = format!("factor MultipleOf declared for {path} must be positive: 0");
        told.push(Fault { path: path.to_owned(), what: What::Invalid(0.into(), why) });
    }
    let mut wrong = |why: String| {
        let value = Value::Number(number.clone());
        let why = format!("{path} in body should be {why}");
        told.push(Fault { path: path.to_owned(), what: What::Invalid(value, why) });
    };
    if let Some(factor) = factor
        && !is_multiple(value, factor)
    {
        wrong(format!("a multiple of {}", go(factor, whole)));
    }
    if let Some((most, exclusive)) = limits.maximum.map(|(most, exclusive)| (bound(most), exclusive))
        && (value > most || (exclusive && value >= most))
    {
        let than = if exclusive { "less than" } else { "less than or equal to" };
        wrong(format!("{than} {}", go(most, whole)));
    }
    if let Some((least, exclusive)) = limits.minimum.map(|(least, exclusive)| (bound(least), exclusive))
        && (value < least || (exclusive && value <= least))
    {
        let than = if exclusive { "greater than" } else { "greater than or equal to" };
        wrong(format!("{than} {}", go(least, whole)));
    }
    told
}

/// Whether a whole number fits its format.
fn in_range(format: &str, number: &Number) -> bool {
    match (format, number.as_i64()) {
        ("int32", value) => value.is_some_and(|value| i32::try_from(value).is_ok()),
        (_, Some(_)) => true,
        (_, None) => !number.is_u64() && number.as_f64().is_some_and(is_whole),
    }
}

/// Whether a number with a fraction or an exponent is a whole one, of those that JSON's readers agree on.
pub(super) fn is_whole(value: f64) -> bool {
    const WHOLE_MAX: f64 = 9_007_199_254_740_991.0;
    value.fract() == 0.0 && value.abs() <= WHOLE_MAX
}

fn is_multiple(value: f64, factor: f64) -> bool {
    const NEARLY: f64 = 1e-9;
    if factor <= 0.0 {
        return false;
    }
    let times = if factor < 1.0 { 1.0 / factor * value } else { value / factor };
    (times - times.round()).abs() <= NEARLY * times.abs().max(1.0)
}

/// A number as `%v` prints an `int64` or a `float64`.
fn go(value: f64, whole: bool) -> String {
    if whole {
        return format!("{value:.0}");
    }
    let exponent = if value == 0.0 { 0.0 } else { value.abs().log10().floor() };
    if !(-4.0..21.0).contains(&exponent) {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    format!("{value}")
}
