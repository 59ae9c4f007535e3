//! In which form a client wants its answer: the `Accept` header.

use crate::request::Call;
use tinyplane_wire::status::{self, Reason, Status};

/// What an answer is to look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The objects themselves.
    Object,
    /// A `meta.k8s.io/v1` `Table`.
    Table,
    /// `meta.k8s.io/v1` `PartialObjectMetadata`, or a list of it.
    Metadata,
}

/// In which letters it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// `application/json`
    Json,
    /// `application/yaml`
    Yaml,
}

/// What a client accepts, its first wish that can be met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accept {
    /// What it looks like.
    pub form: Form,
    /// In which letters.
    pub media: Media,
}

/// Reads the header of a call.
///
/// # Errors
/// 406 where no wish can be met.
pub fn of(call: &Call) -> status::Result<Accept> {
    let mut wishes = call.headers.get_all(http::header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut any = false;
    let found = wishes.find_map(|line| {
        any |= !line.trim().is_empty();
        line.split(',').find_map(clause)
    });
    match found {
        Some(accept) => Ok(accept),
        None if !any => Ok(Accept { form: Form::Object, media: Media::Json }),
        None => Err(Status::failure(
            Reason::NotAcceptable,
            "only the following media types are accepted: application/json, application/yaml, application/json;stream=watch",
        )),
    }
}

fn clause(text: &str) -> Option<Accept> {
    let mut parts = text.split(';').map(str::trim);
    let media = match parts.next()? {
        "application/json" | "*/*" | "application/*" => Media::Json,
        "application/yaml" => Media::Yaml,
        _ => return None,
    };
    let (mut form, mut group, mut version) = (None, "", "");
    for parameter in parts {
        match parameter.split_once('=') {
            Some(("as", value)) => form = Some(value),
            Some(("g", value)) => group = value,
            Some(("v", value)) => version = value,
            _ => {}
        }
    }
    let form = match form {
        None => Form::Object,
        Some(_) if (group, version) != ("meta.k8s.io", "v1") => return None,
        Some("Table") => Form::Table,
        Some("PartialObjectMetadata" | "PartialObjectMetadataList") => Form::Metadata,
        Some(_) => return None,
    };
    Some(Accept { form, media })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_wish_that_can_be_met_is_met() {
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
        assert_eq!(clause(table), Some(Accept { form: Form::Table, media: Media::Json }));
        assert_eq!(clause("application/vnd.kubernetes.protobuf"), None);
        assert_eq!(clause("application/json;as=Table;v=v1beta1;g=meta.k8s.io"), None);
        assert_eq!(clause(" application/yaml "), Some(Accept { form: Form::Object, media: Media::Yaml }));
    }
}
