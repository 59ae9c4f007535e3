//! The fields that a write takes back, and that therefore nobody comes to own by it.

use crate::registry::behaviour::Part;
use crate::registry::catalog::Resource;
use crate::schema::fields::Set;

/// What a write through this part can't own. Of the parts of a pod upstream names such fields, and asks for none.
#[must_use]
pub fn resets(resource: &Resource, part: Part, subresource: &str) -> Option<Set> {
    let behaviour = resource.behaviour;
    let paths: Vec<&[&str]> = match (part, subresource) {
        (_, "finalize") => vec![&["status"]],
        (_, "approval") => vec![&["spec"], &["status", "certificate"]],
        (Part::Status, _) => [&["spec"] as &[&str]].iter().chain(behaviour.status_resets).copied().collect(),
        (Part::Main, _) if behaviour.has_status => {
            [&["status"] as &[&str]].iter().chain(behaviour.main_resets).copied().collect()
        }
        _ => return None,
    };
    Some(Set::of(&paths))
}
