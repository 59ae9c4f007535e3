//! What the store refuses, in the words of the API: the one match from its errors to `Status`.

use super::catalog::Resource;
use crate::store::contract::{CommitError, RevisionError};
use tinyplane_wire::status::{Cause, Details, Reason, Status};

/// What upstream says of an object that changed meanwhile.
pub const MODIFIED: &str =
    "the object has been modified; please apply your changes to the latest version and try again";

/// A refused commit of an object of this name.
#[must_use]
pub fn commit(resource: &Resource, name: &str, error: &CommitError) -> Box<Status> {
    let (group, plural) = (resource.gvk.group.as_str(), resource.plural.as_str());
    match error {
        CommitError::Exists { .. } => Status::already_exists(group, plural, name),
        CommitError::Missing { .. } => Status::not_found(group, plural, name),
        CommitError::Stale { .. } => Status::conflict(group, plural, name, MODIFIED),
        CommitError::Guard { key, .. } => {
            let namespace = key.rsplit('/').next().unwrap_or_default();
            Status::not_found("", "namespaces", namespace)
        }
        CommitError::TooLarge { bytes_max, .. } => {
            Status::failure(Reason::RequestEntityTooLarge, format!("Request entity too large: limit is {bytes_max}"))
        }
        CommitError::BadKey { .. } => Status::bad_request(format!("{name:?} is no name of an object")),
        CommitError::BadSplice { .. } => Status::internal(error),
        CommitError::Unavailable(cause) => Status::failure(Reason::ServiceUnavailable, cause.to_string()),
    }
}

/// A resource version to list at that is not there. `asked` is what was asked for.
#[must_use]
pub fn list_revision(asked: u64, error: RevisionError) -> Box<Status> {
    match error {
        RevisionError::Compacted { .. } => {
            Status::failure(Reason::Expired, "The resourceVersion for the provided list is too old.")
        }
        RevisionError::Future { current } => too_large(asked, current.0),
    }
}

/// The answer to a resource version that has not happened yet.
#[must_use]
pub fn too_large(asked: u64, current: u64) -> Box<Status> {
    let cause = Cause {
        reason: "ResourceVersionTooLarge".into(),
        message: "Too large resource version".into(),
        field: String::new(),
    };
    let details = Details { causes: vec![cause], retry_after_seconds: 1, ..Details::default() };
    Status::failure(Reason::Timeout, format!("Timeout: Too large resource version: {asked}, current: {current}"))
        .with_details(details)
}

/// The last frame of a watch that fell behind, or began too far back.
#[must_use]
pub fn expired_watch(asked: u64, compacted: u64) -> Box<Status> {
    Status::failure(Reason::Expired, format!("too old resource version: {asked} ({compacted})"))
}
