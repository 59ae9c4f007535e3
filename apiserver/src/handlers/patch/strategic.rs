//! Strategic merge patches, by the schema's merge keys.

use crate::schema::{self, strategic::MergeError};
use serde_json::Value;
use tinyplane_wire::gvr::Gvk;
use tinyplane_wire::status::{self, Reason, Status};

pub(super) fn apply(gvk: &Gvk, patch: &Value, current: Value) -> status::Result<Value> {
    let Some(id) = schema::model().kind(&gvk.group, &gvk.version, &gvk.kind) else {
        return Err(refused(&MergeError::Unsupported));
    };
    schema::strategic::merge(schema::model(), id, current, patch.clone()).map_err(|error| refused(&error))
}

fn refused(error: &MergeError) -> Box<Status> {
    match error {
        MergeError::NotAnObject(_) | MergeError::PrimitiveList | MergeError::RetainKeys | MergeError::ElementOrder => {
            Status::bad_request(error.to_string())
        }
        MergeError::Unsupported => Status::failure(Reason::UnsupportedMediaType, error.to_string()),
        MergeError::ListOfLists => Status::failure(Reason::Invalid, error.to_string()),
        // Upstream answers a patch that it can't lay over with a plain 500; it is the client's mistake all the same,
        // and no failure of the server.
        _ => Status::failure(Reason::Unknown, error.to_string()),
    }
}
