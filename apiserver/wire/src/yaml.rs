//! YAML, and JSON with it. Errors are one line and show nothing of the text, which may hold secrets.

use serde::de::DeserializeOwned;
use serde_saphyr::options::DuplicateKeyPolicy;

/// Why a text is no YAML, or not of the form that was wished.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct YamlError(String);

/// Reads a text in which no key stands twice.
///
/// # Errors
/// It is none, or of another form.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, YamlError> {
    read_with(bytes, DuplicateKeyPolicy::Error)
}

/// Reads a text; of a key that stands twice the last one counts.
///
/// # Errors
/// As [`read`].
pub fn read_leniently<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, YamlError> {
    read_with(bytes, DuplicateKeyPolicy::LastWins)
}

fn read_with<T: DeserializeOwned>(bytes: &[u8], doubles: DuplicateKeyPolicy) -> Result<T, YamlError> {
    let options = serde_saphyr::options! { duplicate_keys: doubles, with_snippet: false };
    serde_saphyr::from_slice_with_options(bytes, options).map_err(|error| {
        let told = error.to_string();
        let line = told.lines().next().unwrap_or_default();
        YamlError(line.strip_prefix("error: ").unwrap_or(line).to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn an_error_is_a_line_and_tells_no_secret() {
        type Pairs = BTreeMap<String, String>;
        assert_eq!(read::<Pairs>(b"a: b").unwrap()["a"], "b");
        assert_eq!(read::<Pairs>(br#"{"a": "b"}"#).unwrap()["a"], "b");
        assert_eq!(read_leniently::<Pairs>(b"a: b\na: c").unwrap()["a"], "c");
        for wrong in ["hunter2\n  x: hunter2: {", "- hunter2", "a: [hunter2", "a: hunter2\na: hunter2"] {
            let told = read::<Pairs>(wrong.as_bytes()).unwrap_err().to_string();
            assert!(!told.contains('\n') && !told.contains("hunter2") && !told.is_empty(), "{told}");
        }
    }
}
