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

/// What is told of a patch that makes no object of the type. Upstream lays it over the type field by field, and has
/// other words for a value of another form than JSON's decoder.
pub(super) fn told(mut refused: Box<Status>) -> Box<Status> {
    let Some(cause) = refused.details.as_mut().and_then(|details| details.causes.first_mut()) else { return refused };
    let at = ["json: cannot unmarshal ", "illegal base64 data "].iter().find_map(|why| cause.message.rfind(why));
    let Some(at) = at else { return refused };
    let why = cause.message.split_off(at);
    let words = super::as_laid_over(&why);
    cause.message.push_str(&words);
    if refused.message.ends_with(&why) {
        refused.message.truncate(refused.message.len() - why.len());
        refused.message.push_str(&words);
    }
    refused
}

pub(super) fn in_its_words(why: &str) -> Option<String> {
    let (word, rest) = why.strip_prefix("json: cannot unmarshal ")?.split_once(' ')?;
    // What reads itself has JSON's words.
    if rest.starts_with("into Go value of type ") || rest.split_once(' ')?.1.starts_with("into Go value of type ") {
        return None;
    }
    let wanted = rest.rsplit(" of type ").next()?;
    let found = match word {
        "array" => "slice",
        "object" => "map",
        "number" => "int64",
        other => other,
    };
    Some(match wanted {
        "string" if word == "number" => "cannot convert int64 to string".to_owned(),
        "int32" | "int64" if word == "number" => format!("cannot convert float64 to {wanted}"),
        "string" | "int32" | "int64" | "bool" | "float64" => format!("unrecognized type: {wanted}"),
        _ if wanted.starts_with("[]") => format!("cannot restore slice from {found}"),
        _ if wanted.starts_with("map[") || wanted == "v1.ResourceList" => format!("cannot restore map from {found}"),
        _ if is_struct(wanted) => format!("cannot restore struct from: {found}"),
        // What else has a name is a text.
        _ if is_of_version(wanted) && word == "number" => format!("cannot convert int64 to {wanted}"),
        _ if is_of_version(wanted) => "unrecognized type: string".to_owned(),
        _ => return None,
    })
}

/// Whether Go's name of a type is one of an API, such as `v2.MetricSourceType`.
fn is_of_version(name: &str) -> bool {
    name.strip_prefix('v').is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}

/// Whether Go's name of a type is that of a struct.
fn is_struct(name: &str) -> bool {
    schema::model().types().any(|(_, one)| one.go_name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::body::bad_patch;

    #[test]
    fn values_of_another_form_are_told_in_the_words_of_strategic_patches() {
        let of = |why: &str| told(bad_patch("map[a:b]", why)).message;
        let field = "into Go struct field DeploymentSpec.spec.x";
        let framed = |why: &str| format!(" \"\" is invalid: patch: Invalid value: \"map[a:b]\": {why}");
        assert_eq!(
            of(&format!("json: cannot unmarshal string {field} of type int32")),
            framed("unrecognized type: int32")
        );
        assert_eq!(
            of(&format!("json: cannot unmarshal object {field} of type []v1.Container")),
            framed("cannot restore slice from map")
        );
        assert_eq!(
            of(&format!("json: cannot unmarshal array {field} of type map[string]string")),
            framed("cannot restore map from slice")
        );
        assert_eq!(
            of(&format!("json: cannot unmarshal number {field} of type string")),
            framed("cannot convert int64 to string")
        );
        assert_eq!(
            of(&format!("json: cannot unmarshal string {field} of type v1.PodSpec")),
            framed("cannot restore struct from: string")
        );
        for (word, told) in [
            ("string", "unrecognized type: string"),
            ("float64", "unrecognized type: string"),
            ("number", "cannot convert int64 to v1.RestartPolicy"),
        ] {
            assert_eq!(of(&format!("json: cannot unmarshal {word} {field} of type v1.RestartPolicy")), framed(told));
        }
        let bytes = "illegal base64 data at input byte 0";
        assert_eq!(of(bytes), framed(&format!("error decoding from json: {bytes}")));
        assert_eq!(
            of("quantities must match the regular expression"),
            framed("quantities must match the regular expression")
        );
        let itself = "json: cannot unmarshal number 0.5 into Go value of type int32";
        assert_eq!(of(itself), framed(itself));
    }
}
