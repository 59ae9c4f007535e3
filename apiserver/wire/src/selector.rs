//! Label and field selectors: read, written and matched as Kubernetes does.

mod text;

use serde_json::Value;
use smol_str::SmolStr;
use std::fmt;

/// Most requirements in one selector that are read; a longer one is refused.
pub const REQUIREMENTS_MAX: usize = 16_384;

/// One requirement on a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// `key in (a,b)`; `key=a` is the same with one value.
    In(SmolStr, Vec<SmolStr>),
    /// `key notin (a,b)` and `key!=a`: also true where the key is missing.
    NotIn(SmolStr, Vec<SmolStr>),
    /// `key`.
    Exists(SmolStr),
    /// `!key`.
    DoesNotExist(SmolStr),
    /// `key>1`.
    GreaterThan(SmolStr, i64),
    /// `key<1`.
    LessThan(SmolStr, i64),
}

/// Requirements that must all hold. The empty selector selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector {
    /// All of them, in the order of the text.
    pub requirements: Vec<Requirement>,
}

/// What is wrong with a selector, in words for the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SelectorError(pub String);

fn wrong<T>(message: impl Into<String>) -> Result<T, SelectorError> {
    Err(SelectorError(message.into()))
}

impl Requirement {
    /// True when labels, looked up by key, satisfy it.
    pub fn matches<'a>(&self, label: &impl Fn(&str) -> Option<&'a str>) -> bool {
        match self {
            Self::In(key, values) => label(key).is_some_and(|v| values.iter().any(|w| w == v)),
            Self::NotIn(key, values) => label(key).is_none_or(|v| values.iter().all(|w| w != v)),
            Self::Exists(key) => label(key).is_some(),
            Self::DoesNotExist(key) => label(key).is_none(),
            Self::GreaterThan(key, bound) => number(label(key)).is_some_and(|n| n > *bound),
            Self::LessThan(key, bound) => number(label(key)).is_some_and(|n| n < *bound),
        }
    }
}

fn number(text: Option<&str>) -> Option<i64> {
    text.and_then(|t| t.parse().ok())
}

impl LabelSelector {
    /// True when nothing is asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// True when labels, looked up by key, satisfy all requirements.
    pub fn matches<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.requirements.iter().all(|r| r.matches(&label))
    }

    /// True when an object's labels satisfy all requirements.
    #[must_use]
    pub fn selects(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.matches(|key| labels[key].as_str())
    }

    /// Reads the text form, `app=web,tier in (a,b),!legacy`.
    ///
    /// # Errors
    /// When the text does not follow the grammar, in upstream's words where a user meets them.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        text::selector(text)
    }

    /// Reads a `metav1.LabelSelector`. A missing one (`null`) selects nothing, and is `None`.
    ///
    /// # Errors
    /// When an operator is unknown or its values do not fit it.
    pub fn from_object(selector: &Value) -> Result<Option<Self>, SelectorError> {
        if selector.is_null() {
            return Ok(None);
        }
        let mut requirements = Vec::new();
        for (key, value) in crate::meta::pairs(&selector["matchLabels"]) {
            requirements.push(Requirement::In(key.into(), vec![value.into()]));
        }
        for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
            requirements.push(expression_requirement(expression)?);
        }
        Ok(Some(Self { requirements }))
    }

    /// Reads a plain map of labels, as a Service's or a node's selector is.
    #[must_use]
    pub fn from_map(map: &Value) -> Self {
        let one = |(k, v): (&str, &str)| Requirement::In(k.into(), vec![v.into()]);
        Self { requirements: crate::meta::pairs(map).map(one).collect() }
    }
}

/// Reads one `matchExpressions` entry, of a label selector or of node affinity.
///
/// # Errors
/// When the operator is unknown or its values do not fit it.
pub fn expression_requirement(expression: &Value) -> Result<Requirement, SelectorError> {
    let key = SmolStr::from(expression["key"].as_str().unwrap_or_default());
    let values: Vec<SmolStr> =
        expression["values"].as_array().into_iter().flatten().filter_map(Value::as_str).map(SmolStr::from).collect();
    let bound = || match values.as_slice() {
        [one] => one.parse().map_err(|_| {
            SelectorError(format!(
                "values[0]: Invalid value: \"{one}\": for 'Gt', 'Lt' operators, the value must be an integer"
            ))
        }),
        _ => wrong("values: Invalid value: for 'Gt', 'Lt' operators, exactly one value is required"),
    };
    Ok(match expression["operator"].as_str().unwrap_or_default() {
        "In" if values.is_empty() => {
            return wrong("values: Invalid value: for 'in', 'notin' operators, values set can't be empty");
        }
        "NotIn" if values.is_empty() => {
            return wrong("values: Invalid value: for 'in', 'notin' operators, values set can't be empty");
        }
        "In" => Requirement::In(key, values),
        "NotIn" => Requirement::NotIn(key, values),
        "Exists" => Requirement::Exists(key),
        "DoesNotExist" => Requirement::DoesNotExist(key),
        "Gt" => Requirement::GreaterThan(key, bound()?),
        "Lt" => Requirement::LessThan(key, bound()?),
        other => return wrong(format!("\"{other}\" is not a valid label selector operator")),
    })
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, requirement) in self.requirements.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            match requirement {
                Requirement::In(key, values) => match values.as_slice() {
                    [one] => write!(f, "{key}={one}")?,
                    many => write!(f, "{key} in ({})", many.join(","))?,
                },
                Requirement::NotIn(key, values) => match values.as_slice() {
                    [one] => write!(f, "{key}!={one}")?,
                    many => write!(f, "{key} notin ({})", many.join(","))?,
                },
                Requirement::Exists(key) => write!(f, "{key}")?,
                Requirement::DoesNotExist(key) => write!(f, "!{key}")?,
                Requirement::GreaterThan(key, bound) => write!(f, "{key}>{bound}")?,
                Requirement::LessThan(key, bound) => write!(f, "{key}<{bound}")?,
            }
        }
        Ok(())
    }
}

/// One term of a field selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldTerm {
    /// Path, such as `metadata.name`.
    pub field: SmolStr,
    /// Value to be, or not to be.
    pub value: SmolStr,
    /// True for `=` and `==`, false for `!=`.
    pub equal: bool,
}

/// Terms on fields that must all hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector {
    /// All of them, in the order of the text.
    pub terms: Vec<FieldTerm>,
}

impl FieldSelector {
    /// True when nothing is asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// True when fields, looked up by path, satisfy all terms. A missing field is the empty string.
    pub fn matches<'a>(&self, field: impl Fn(&str) -> &'a str) -> bool {
        self.terms.iter().all(|t| (field(&t.field) == t.value) == t.equal)
    }

    /// The value that the selector demands of a field with `=`.
    #[must_use]
    pub fn required(&self, field: &str) -> Option<&str> {
        self.terms.iter().find(|t| t.equal && t.field == field).map(|t| t.value.as_str())
    }

    /// Reads the text form, `metadata.name=a,status.phase!=Running`. A backslash escapes `,`, `=` and itself.
    ///
    /// # Errors
    /// When a term has no operator.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let mut terms = Vec::new();
        // Sorted, as upstream does it: of several that are wrong the first in that order is told.
        let mut parts = split_unescaped(text);
        parts.sort_unstable();
        for term in parts {
            if term.is_empty() {
                continue;
            }
            if terms.len() == REQUIREMENTS_MAX {
                return wrong(format!("more than {REQUIREMENTS_MAX} terms"));
            }
            let Some(at) = operator(term) else {
                return wrong(format!("invalid selector: '{text}'; can't understand '{term}'"));
            };
            let (field, right) = term.split_at(at);
            let equal = !right.starts_with('!');
            let value = ["!=", "==", "="].iter().find_map(|sign| right.strip_prefix(sign)).unwrap_or_default();
            let value = unescape(value)?;
            // Nothing compared with nothing holds of everything.
            if !(field.is_empty() && value.is_empty()) {
                terms.push(FieldTerm { field: field.into(), value, equal });
            }
        }
        Ok(Self { terms })
    }
}

fn split_unescaped(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut escaped) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// Where a term's operator begins.
fn operator(term: &str) -> Option<usize> {
    let equal = term.find('=')?;
    Some(if term[..equal].ends_with('!') { equal - 1 } else { equal })
}

fn unescape(value: &str) -> Result<SmolStr, SelectorError> {
    let mut plain = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(c @ ('\\' | ',' | '=')) => plain.push(c),
                other => {
                    let sequence: String = std::iter::once(c).chain(other).collect();
                    return wrong(format!("invalid field selector: invalid escape sequence: {sequence}"));
                }
            },
            // Upstream prints the number of the character.
            '=' => return wrong(format!("invalid field selector: unescaped character in value: {}", u32::from(c))),
            c => plain.push(c),
        }
    }
    Ok(plain.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn selects(text: &str, labels: &Value) -> bool {
        LabelSelector::parse(text).unwrap().selects(&json!({"metadata": {"labels": labels}}))
    }

    #[test]
    fn every_operator_selects_as_kubernetes_does() {
        let labels = json!({"app": "web", "n": "5"});
        for text in [
            "",
            "app",
            "app=web",
            "app==web",
            "app in (api, web)",
            "app!=x",
            "gone!=x",
            "!gone",
            "gone notin (a)",
            "n>4,n<6",
            "app=web,n",
        ] {
            assert!(selects(text, &labels), "{text}");
        }
        for text in ["!app", "app=x", "app notin (web)", "gone", "n>5", "app=web,gone"] {
            assert!(!selects(text, &labels), "{text}");
        }
    }

    #[test]
    fn a_selector_that_is_wrong_is_refused() {
        for text in ["app in", "app in (", "=web", "a b", "app=web,", "app>x", "-a=b", "app=-", "a=b=c"] {
            assert!(LabelSelector::parse(text).is_err(), "{text}");
        }
        assert!(FieldSelector::parse("metadata.name").is_err());
        let told = |text: &str| LabelSelector::parse(text).unwrap_err().to_string();
        assert_eq!(told("a>=1"), "unable to parse requirement: found '=', expected: identifier");
        assert_eq!(told("a=b,=c"), "found '=', expected: identifier after ','");
        assert!(told("a>-1").contains("values[0][a]: Invalid value: \"-1\""));
        let told = |text: &str| FieldSelector::parse(text).unwrap_err().to_string();
        assert_eq!(told("a=b\\c"), "invalid field selector: invalid escape sequence: \\c");
        assert_eq!(told("a=b=c"), "invalid field selector: unescaped character in value: 61");
        let told = |text: &str| FieldSelector::parse(text).map_or_else(|why| why.0, |read| format!("{read:?}"));
        assert_eq!(told("a"), "invalid selector: 'a'; can't understand 'a'");
        assert_eq!(told("a!=b=c"), "invalid field selector: unescaped character in value: 61");
        assert_eq!(told("a=b\\!"), "invalid field selector: invalid escape sequence: \\!");
        assert_eq!(told("a=b\\"), "invalid field selector: invalid escape sequence: \\");
        assert_eq!(FieldSelector::parse("=,!=").unwrap(), FieldSelector::default());
    }

    #[test]
    fn fields_compare_by_value_and_escapes() {
        let selector = FieldSelector::parse("metadata.name=a\\,b,spec.nodeName!=n1").unwrap();
        assert_eq!(selector.required("metadata.name"), Some("a,b"));
        assert!(selector.matches(|f| if f == "metadata.name" { "a,b" } else { "" }));
        assert!(!selector.matches(|f| if f == "metadata.name" { "a,b" } else { "n1" }));
    }

    #[test]
    fn the_object_form_equals_the_text_form() {
        let object = json!({"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "t", "operator": "In", "values": ["a", "b"]}]});
        let read = LabelSelector::from_object(&object).unwrap().unwrap();
        assert_eq!(read.to_string(), "app=web,t in (a,b)");
        assert_eq!(LabelSelector::parse(&read.to_string()).unwrap(), read);
        assert_eq!(LabelSelector::from_object(&Value::Null).unwrap(), None);
    }
}
