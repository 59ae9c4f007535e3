//! Names that are made of names: tags and ids of operations.

use super::GroupVersion;

/// `apps_v1`, `core_v1`, `rbacAuthorization_v1`.
pub(super) fn tag(group_version: &GroupVersion) -> String {
    format!("{}_{}", group_tag(&group_version.group), group_version.version)
}

/// `apps`, `core`, `rbacAuthorization`.
pub(super) fn group_tag(group: &str) -> String {
    identifier(group_words(group), false)
}

/// `AppsV1`, `CoreV1`, `RbacAuthorizationV1`.
pub(super) fn camel(group_version: &GroupVersion) -> String {
    group_name(&group_version.group) + &capital(&group_version.version)
}

/// `Apps`, `Core`, `RbacAuthorization`.
pub(super) fn group_name(group: &str) -> String {
    identifier(group_words(group), true)
}

fn group_words(group: &str) -> &str {
    match group.strip_suffix(".k8s.io").unwrap_or(group) {
        "" => "core",
        group => group,
    }
}

/// What identifiers may hold of a text: what they may not, a digit in front among it, becomes the start of a word.
fn identifier(text: &str, begins_a_word: bool) -> String {
    let mut capital = begins_a_word;
    let mut out = String::new();
    for (index, one) in text.chars().enumerate() {
        if one.is_alphabetic() || one == '_' || (index > 0 && one.is_numeric()) {
            out.push(if capital { one.to_ascii_uppercase() } else { one });
            capital = false;
        } else {
            capital = true;
        }
    }
    out
}

/// A word with a capital letter in front, as Go names its fields.
pub(super) fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or(String::new(), |first| first.to_ascii_uppercase().to_string() + letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_named_as_identifiers() {
        for (group, name, tag) in [
            ("", "Core", "core"),
            ("apps", "Apps", "apps"),
            ("rbac.authorization.k8s.io", "RbacAuthorization", "rbacAuthorization"),
            ("x-y.example.com", "XYExampleCom", "xYExampleCom"),
            ("3scale.net2", "ScaleNet2", "ScaleNet2"),
        ] {
            assert_eq!((group_name(group).as_str(), group_tag(group).as_str()), (name, tag));
        }
    }
}
