//! From the stored version of an object into another one and back.

mod autoscaling;
mod events;

use crate::store::forms::FormId;
use serde_json::Value;
use tinyplane_wire::gvr::Gvk;

/// The way between a served version and the stored one. Neither direction touches `kind`, `apiVersion` or `metadata`.
#[derive(Clone, Copy, Debug)]
pub struct Conversion {
    /// Under which name the store keeps the converted bytes.
    pub form: FormId,
    /// From the stored version.
    pub from_stored: fn(&mut Value),
    /// Into the stored version.
    pub to_stored: fn(&mut Value),
    /// Whether an object may say more than comes back, so that who owns what is asked of what does.
    pub settles: bool,
}

const EVENTS: Conversion =
    Conversion { form: FormId(1), from_stored: events::from_core, to_stored: events::to_core, settles: false };
const AUTOSCALING: Conversion =
    Conversion { form: FormId(2), from_stored: autoscaling::to_v1, to_stored: autoscaling::to_v2, settles: true };

/// Raw JSON stands in the store as a text, and as JSON in what is answered.
const RAW: Conversion = Conversion { form: FormId(3), from_stored: |_| {}, to_stored: |_| {}, settles: false };

/// The way between two versions of a built-in kind, which may hold raw JSON.
pub(super) fn between(served: &Gvk, stored: &Gvk, has_raws: bool) -> Option<Conversion> {
    if served == stored {
        return has_raws.then_some(RAW);
    }
    match (served.group.as_str(), served.version.as_str(), stored.version.as_str()) {
        ("events.k8s.io", "v1", "v1") => Some(EVENTS),
        ("autoscaling", "v1", "v2") => Some(AUTOSCALING),
        _ => None,
    }
}

/// Gives fields other names, where they are there.
fn rename(object: &mut Value, names: impl IntoIterator<Item = (&'static str, &'static str)>) {
    let Some(fields) = object.as_object_mut() else { return };
    for (from, to) in names {
        if let Some(value) = fields.remove(from) {
            fields.insert(to.to_owned(), value);
        }
    }
}
