//! How filters compare: values of one kind only, as Go's templates do it.

use super::Astray;
use serde_json::Value;
use std::cmp::Ordering;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Less,
    LessEqual,
    Equal,
    NotEqual,
    GreaterEqual,
    Greater,
    /// `=>` and the like, which are read, and fail when they are used.
    Unknown,
}

impl Operator {
    pub(super) fn of(text: &str) -> Self {
        match text {
            "<" => Self::Less,
            "<=" => Self::LessEqual,
            "==" => Self::Equal,
            "!=" => Self::NotEqual,
            ">=" => Self::GreaterEqual,
            ">" => Self::Greater,
            _ => Self::Unknown,
        }
    }

    pub(super) fn holds(self, one: &Value, other: &Value) -> Result<bool, Astray> {
        let order = match (one, other) {
            (Value::Bool(one), Value::Bool(other)) => match self {
                Self::Equal => return Ok(one == other),
                Self::NotEqual => return Ok(one != other),
                _ => return Err(Astray),
            },
            (Value::String(one), Value::String(other)) => Some(one.cmp(other)),
            // A whole number is none with a fraction, not even where both are the same.
            (Value::Number(one), Value::Number(other)) => match (one.as_i64(), other.as_i64()) {
                (Some(one), Some(other)) => Some(one.cmp(&other)),
                (None, None) => one.as_f64().partial_cmp(&other.as_f64()),
                _ => return Err(Astray),
            },
            _ => return Err(Astray),
        };
        match self {
            Self::Less => Ok(order == Some(Ordering::Less)),
            Self::LessEqual => Ok(matches!(order, Some(Ordering::Less | Ordering::Equal))),
            Self::Equal => Ok(order == Some(Ordering::Equal)),
            Self::NotEqual => Ok(order != Some(Ordering::Equal)),
            Self::GreaterEqual => Ok(order != Some(Ordering::Less)),
            Self::Greater => Ok(!matches!(order, Some(Ordering::Less | Ordering::Equal))),
            Self::Unknown => Err(Astray),
        }
    }
}
