//! Numbers: what their formats hold, and their bounds, as Go's types have both.

use super::Limits;
use super::check::{Fault, What};
use crate::schema::go;
use serde_json::{Number, Value};
use std::cmp::Ordering;

/// The least numbers that are too large for Go's types of whole ones.
const BEYOND_INT32: f64 = 2_147_483_648.0;
const BEYOND_INT64: f64 = 9_223_372_036_854_775_808.0;

/// A number as Go's decoder has it: an `int64` where it is written as a whole one that fits, a `float64` else.
#[derive(Clone, Copy)]
enum Read {
    Whole(i64),
    Float(f64),
}

impl Read {
    fn of(number: &Number) -> Self {
        let float = || Self::Float(number.as_f64().unwrap_or_default());
        number.as_i64().map_or_else(float, Self::Whole)
    }

    #[expect(clippy::cast_precision_loss, reason = "as Go converts it")]
    const fn as_float(self) -> f64 {
        match self {
            Self::Whole(value) => value as f64,
            Self::Float(value) => value,
        }
    }

    fn value(self) -> Value {
        match self {
            Self::Whole(value) => value.into(),
            Self::Float(value) => value.into(),
        }
    }

    /// As `%v` prints it.
    fn shown(self) -> String {
        match self {
            Self::Whole(value) => value.to_string(),
            Self::Float(value) => go::float(value),
        }
    }

    fn order(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Whole(one), Self::Whole(other)) => Some(one.cmp(&other)),
            _ => self.as_float().partial_cmp(&other.as_float()),
        }
    }
}

/// The checks of one number, and what they found.
struct Checks<'c> {
    kind: &'c str,
    format: &'c str,
    path: &'c str,
    value: Read,
    told: Vec<Fault>,
}

/// What is wrong with a number, in upstream's order.
pub(super) fn faults(limits: &Limits, kind: &str, number: &Number, path: &str) -> Vec<Fault> {
    let mut checks = Checks { kind, format: &limits.format, path, value: Read::of(number), told: Vec::new() };
    checks.fits("Checked", checks.value);
    if let Some(factor) = limits.multiple_of {
        checks.multiple(factor);
    }
    if let Some((least, exclusive)) = limits.minimum {
        checks.bound("Minimum boundary", (least, exclusive), Ordering::Less, "greater than");
    }
    if let Some((most, exclusive)) = limits.maximum {
        checks.bound("Maximum boundary", (most, exclusive), Ordering::Greater, "less than");
    }
    checks.told
}

impl Checks<'_> {
    /// Notes a number that the type and its format can't hold: the value, or what the schema says of it.
    fn fits(&mut self, prefix: &str, number: Read) -> bool {
        let fits = holds(self.kind, self.format, number);
        if !fits {
            let format = match self.format {
                "" => "(default format)".to_owned(),
                format => format!("with format {format}"),
            };
            let why = format!("{prefix} value must be of type {} {format} in {}", self.kind, self.path);
            self.told.push(Fault { path: String::new(), what: What::Composite(why) });
        }
        fits
    }

    /// The value and a limit as they are compared: the limit is cut to a whole number where the value is one. What the type
    /// can't hold is compared all the same, as numbers of any kind.
    fn pair(&mut self, prefix: &str, limit: f64) -> (Read, Read) {
        match (self.fits(prefix, Read::Float(limit)), self.value) {
            (true, value @ Read::Whole(_)) => (value, Read::Whole(cut(limit))),
            (_, value) => (Read::Float(value.as_float()), Read::Float(limit)),
        }
    }

    fn multiple(&mut self, factor: f64) {
        let (value, factor) = self.pair("MultipleOf", factor);
        if factor.as_float() <= 0.0 {
            let why = format!("factor MultipleOf declared for {} must be positive: {}", self.path, factor.shown());
            return self.told.push(Fault { path: self.path.to_owned(), what: What::Invalid(factor.value(), why) });
        }
        let is_multiple = match (value, factor) {
            (Read::Whole(value), Read::Whole(factor)) => value % factor == 0,
            _ => is_nearly_multiple(value.as_float(), factor.as_float()),
        };
        if !is_multiple {
            self.wrong(value, &format!("a multiple of {}", factor.shown()));
        }
    }

    fn bound(&mut self, prefix: &str, (limit, exclusive): (f64, bool), beyond: Ordering, than: &str) {
        let (value, limit) = self.pair(prefix, limit);
        let order = value.order(limit);
        if order == Some(beyond) || (exclusive && order == Some(Ordering::Equal)) {
            let or_equal = if exclusive { "" } else { " or equal to" };
            self.wrong(value, &format!("{than}{or_equal} {}", limit.shown()));
        }
    }

    fn wrong(&mut self, value: Read, why: &str) {
        let why = format!("{} in body should be {why}", self.path);
        self.told.push(Fault { path: self.path.to_owned(), what: What::Invalid(value.value(), why) });
    }
}

/// Whether a type and its format hold a number.
fn holds(kind: &str, format: &str, number: Read) -> bool {
    let is_whole_below = |value: f64, bound: f64| value.fract() == 0.0 && (-bound..bound).contains(&value);
    match (kind, format, number) {
        ("integer", "int32", Read::Whole(value)) => i32::try_from(value).is_ok(),
        ("integer", "int32", Read::Float(value)) => is_whole_below(value, BEYOND_INT32),
        // Go looks at its text, whose digits are rounded: those of the least one go beyond it.
        ("integer", _, Read::Float(value)) => value != -BEYOND_INT64 && is_whole_below(value, BEYOND_INT64),
        #[expect(clippy::cast_possible_truncation, reason = "what is too large becomes infinite")]
        ("number", "float", Read::Float(value)) => (value as f32).is_finite(),
        _ => true,
    }
}

/// Whether two numbers are the same once the value is made what the choice is, which takes a fraction away.
pub(super) fn is_choice(choice: &Value, value: &Value) -> bool {
    let (Value::Number(choice), Value::Number(value)) = (choice, value) else { return false };
    let (choice, value) = (Read::of(choice), Read::of(value));
    match choice {
        Read::Whole(choice) => choice == cut(value.as_float()),
        Read::Float(_) => choice.order(value) == Some(Ordering::Equal),
    }
}

/// A number without its fraction. Of what no `int64` holds, the processor makes the smallest.
fn cut(number: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "it is in range")]
    if (-BEYOND_INT64..BEYOND_INT64).contains(&number) { number as i64 } else { i64::MIN }
}

/// Whether a `float64` counts as a whole number, of those that JSON's readers agree on: nearly is enough where it is a little more.
pub(super) fn is_whole(value: f64) -> bool {
    const WHOLE_MAX: f64 = 9_007_199_254_740_991.0;
    const NEARLY: f64 = 1e-9;
    let rest = value.fract();
    value.abs() <= WHOLE_MAX && (rest == 0.0 || (value >= 1.0 && rest / (value + value.trunc()) < NEARLY))
}

fn is_nearly_multiple(value: f64, factor: f64) -> bool {
    is_whole(if factor < 1.0 { 1.0 / factor * value } else { value / factor })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn wrong(kind: &str, format: &str, limits: Limits, number: &str) -> Vec<String> {
        let limits = Limits { format: format.into(), ..limits };
        let found = faults(&limits, kind, &number.parse().unwrap(), "n");
        let tell = |fault: Fault| match fault.what {
            What::Composite(why) => why,
            What::Invalid(value, why) => format!("{value}: {why}"),
            other => format!("{other:?}"),
        };
        found.into_iter().map(tell).collect()
    }

    #[test]
    fn a_format_holds_the_numbers_that_its_go_type_holds() {
        let fits = |kind: &str, format: &str, number: &str| wrong(kind, format, Limits::default(), number).is_empty();
        for number in ["0", "3.0", "1e3", "-0", "-0.0", "2147483647", "-2147483648.0"] {
            assert!(fits("integer", "int32", number), "{number}");
        }
        for number in ["3.5", "1e18", "2147483648", "2147483648.0", "3.0000000001"] {
            assert!(!fits("integer", "int32", number), "{number}");
        }
        assert!(fits("integer", "int64", "9223372036854775807") && fits("integer", "", "1e18"));
        assert!(!fits("integer", "int64", "9223372036854775808") && !fits("integer", "", "1e19"));
        assert!(fits("integer", "", "-9223372036854775808") && !fits("integer", "", "-9223372036854775809"));
        assert!(fits("number", "float", "3.4e38") && fits("number", "double", "1e308") && fits("number", "", "1e308"));
        assert_eq!(
            wrong("number", "float", Limits::default(), "1e308"),
            ["Checked value must be of type number with format float in n"]
        );
    }

    #[test]
    fn multiples_are_exact_where_both_are_whole_and_nearly_so_elsewhere() {
        let of = |kind: &str, factor: f64, number: &str| {
            wrong(kind, "", Limits { multiple_of: Some(factor), ..Limits::default() }, number)
        };
        for (kind, factor, number) in [
            ("number", 0.1, "0.3"),
            ("integer", 5.0, "1000000000000000000"),
            ("number", 2.5, "7.5"),
            ("number", 3.0, "-9.0"),
        ] {
            assert_eq!(of(kind, factor, number), Vec::<String>::new(), "{number}");
        }
        assert_eq!(of("number", 0.1, "1e300"), ["1e+300: n in body should be a multiple of 0.1"]);
        assert_eq!(of("integer", 5.0, "9223372036854775807").len(), 1);
        assert_eq!(of("integer", 5.0, "1e18"), ["1e+18: n in body should be a multiple of 5"]);
        assert_eq!(of("integer", 2.5, "5"), ["MultipleOf value must be of type integer (default format) in n"]);
        assert_eq!(of("number", 0.5, "4"), ["0: factor MultipleOf declared for n must be positive: 0"]);
    }

    #[test]
    fn bounds_are_cut_as_the_value_is_whole() {
        let limits = || Limits { minimum: Some((-2.5, false)), maximum: Some((2.5, true)), ..Limits::default() };
        assert_eq!(wrong("number", "", limits(), "2"), ["2: n in body should be less than 2"]);
        assert_eq!(wrong("number", "", limits(), "2.25"), Vec::<String>::new());
        assert_eq!(wrong("number", "", limits(), "-3.0"), ["-3.0: n in body should be greater than or equal to -2.5"]);
    }

    #[test]
    fn a_choice_is_compared_as_what_it_is() {
        assert!(is_choice(&json!(2), &json!(2.5)) && is_choice(&json!(2.0), &json!(2)));
        assert!(!is_choice(&json!(2.5), &json!(2)) && !is_choice(&json!(2), &json!("2")));
    }
}
