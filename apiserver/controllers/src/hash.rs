//! The hash by which ReplicaSets and revisions are named after their template.

use serde_json::Value;

/// Letters and digits that spell no words, as upstream's names use them.
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// Hashes a template. The number of collisions so far goes into it, so that a name that is taken leads to another.
pub(crate) fn of(template: &Value, collisions: Option<i64>) -> String {
    let mut text = template.to_string();
    if let Some(collisions) = collisions {
        text.push_str(&collisions.to_string());
    }
    let mut hash = 0x811c_9dc5_u32;
    for byte in text.bytes() {
        hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    let letter = |digit: u8| char::from(ALPHABET[usize::from(digit) % ALPHABET.len()]);
    hash.to_string().bytes().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::of;
    use serde_json::json;

    #[test]
    fn equal_templates_have_equal_names_until_they_collide() {
        let template = json!({"spec": {"containers": [{"name": "a"}]}});
        assert_eq!(of(&template, None), of(&template.clone(), None));
        assert_ne!(of(&template, None), of(&template, Some(1)));
        assert!(of(&template, None).len() <= 10);
    }
}
