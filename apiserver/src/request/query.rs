//! The query of a request, decoded once.

use percent_encoding::percent_decode;
use std::borrow::Cow;
use tinyplane_wire::quote::quote;
use tinyplane_wire::status::{self, Status};

/// Decoded pairs, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Decodes `a=b&c=d`. A pair that can't be decoded is left out, as Go's servers leave it out.
    #[must_use]
    pub fn parse(raw: &str) -> Self {
        let pairs = raw.split('&').filter(|pair| !pair.is_empty() && !pair.contains(';'));
        Self(
            pairs
                .filter_map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    Some((decode(name)?, decode(value)?))
                })
                .collect(),
        )
    }

    /// The first value of a parameter; `None` where the parameter is not given.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The first value of a parameter, or an empty text.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.first(name).unwrap_or_default()
    }

    /// Every value of a parameter, in order.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// All pairs, in order.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A parameter that switches something on: anything but `false` and `0` does, even nothing.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        self.optional_flag(name).unwrap_or_default()
    }

    /// As [`Self::flag`], and `None` where the parameter is not given.
    #[must_use]
    pub fn optional_flag(&self, name: &str) -> Option<bool> {
        self.first(name).map(|value| value != "0" && !value.eq_ignore_ascii_case("false"))
    }

    /// A whole number; `None` where the parameter is not given or empty.
    ///
    /// # Errors
    /// A 400 in the words of Go's strconv.
    pub fn integer(&self, name: &str) -> status::Result<Option<i64>> {
        match self.first(name) {
            None => Ok(None),
            Some(text) => match text.parse::<i64>() {
                Ok(number) => Ok(Some(number)),
                Err(error) => Err(Status::bad_request(strconv(text, &error))),
            },
        }
    }
}

fn strconv(text: &str, error: &std::num::ParseIntError) -> String {
    use std::num::IntErrorKind::{NegOverflow, PosOverflow};
    let what = match error.kind() {
        PosOverflow | NegOverflow => "value out of range",
        _ => "invalid syntax",
    };
    format!("strconv.ParseInt: parsing {}: {what}", quote(text))
}

/// Whether each `%` stands before two hexadecimal digits.
pub(super) fn escapes_hold(bytes: &[u8]) -> bool {
    let digits_follow = |at| bytes.get(at + 1..at + 3).is_some_and(|two: &[u8]| two.iter().all(u8::is_ascii_hexdigit));
    bytes.iter().enumerate().filter(|(_, byte)| **byte == b'%').all(|(at, _)| digits_follow(at))
}

fn decode(text: &str) -> Option<String> {
    let spaced: Cow<'_, str> = if text.contains('+') { text.replace('+', " ").into() } else { text.into() };
    let bytes = spaced.as_bytes();
    if !escapes_hold(bytes) {
        return None;
    }
    Some(percent_decode(bytes).decode_utf8_lossy().into_owned())
}
