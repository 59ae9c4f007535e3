//! Leases.

use crate::registry::behaviour::{AGE, Behaviour, NAME, column};
use crate::registry::cells::{age, name};
use serde_json::json;

/// Leases, which an update makes where there are none.
pub(super) static LEASE: Behaviour = Behaviour {
    create_on_update: true,
    unconditional_update: false,
    columns: &[NAME, column("Holder", "Who holds it."), AGE],
    cells: |object, now| {
        vec![name(object), json!(object["spec"]["holderIdentity"].as_str().unwrap_or_default()), age(object, now)]
    },
    ..Behaviour::PLAIN
};
