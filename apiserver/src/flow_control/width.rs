//! How many seats a request takes: one, but for lists, and for watches that begin with one, as many as what is read weighs.
//!
//! Upstream reckons with all objects of a resource, for its counts know no namespaces; here those that are asked for are
//! looked at. What a change costs afterwards, where many watch, is not reckoned: an event is written once for all of them.

use crate::registry::Registry;
use crate::registry::selection::Selection;
use crate::request::{Call, ResourcePath, Target, Verb};

/// Bytes that are read for one seat.
const SEAT_BYTES: usize = 100_000;
/// Most seats of a list: it is sent in pieces, so that no more of it is held at once.
pub(super) const SEATS_MAX: u32 = 10;

/// The seats that a request asks for.
pub(super) fn of(call: &Call, registry: &Registry) -> u32 {
    match &call.target {
        Target::Resource(path) if path.selected_name.is_none() && lists(call) => of_list(call, path, registry),
        _ => 1,
    }
}

/// Whether a call reads a list, at least to begin with.
fn lists(call: &Call) -> bool {
    match call.verb {
        Verb::List => true,
        Verb::Watch => {
            matches!(call.query.text("resourceVersion"), "" | "0")
                || call.query.optional_flag("sendInitialEvents") == Some(true)
        }
        _ => false,
    }
}

fn of_list(call: &Call, path: &ResourcePath, registry: &Registry) -> u32 {
    let catalog = registry.catalog();
    let Some(resource) = catalog.get(&path.gvr()) else { return 1 };
    let limit = call.query.integer("limit").ok().flatten().and_then(|limit| usize::try_from(limit).ok());
    let limit = limit.filter(|limit| *limit > 0).unwrap_or(usize::MAX);
    let selection = Selection::all(resource, path.namespace.as_deref().unwrap_or_default());
    let most = SEAT_BYTES * SEATS_MAX as usize;
    let bytes = registry.weigh(&selection, limit, most);
    u32::try_from(bytes.div_ceil(SEAT_BYTES)).unwrap_or(SEATS_MAX).clamp(1, SEATS_MAX)
}
