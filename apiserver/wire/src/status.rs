//! `Status` and its `Reason`: the only way in which a failure of the API crosses the wire.

use crate::quote::quote;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fmt;

/// Why a request failed: `metav1.StatusReason`. The code that belongs to it is [`Reason::code`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[non_exhaustive]
pub enum Reason {
    /// The caller is not known.
    Unauthorized,
    /// The caller is known and may not.
    Forbidden,
    /// There is no such object, or no such path.
    NotFound,
    /// The object to create is there already.
    AlreadyExists,
    /// The object changed meanwhile, or its state forbids the change.
    Conflict,
    /// The object, or the resource version, is gone for good.
    Gone,
    /// The body was understood and is not valid.
    Invalid,
    /// The request took too long to finish; the client may ask again.
    ServerTimeout,
    /// The request's own time limit has passed.
    Timeout,
    /// The client asks too often.
    TooManyRequests,
    /// The body, the path or a parameter can't be understood.
    BadRequest,
    /// The resource has no such verb.
    MethodNotAllowed,
    /// No representation that the client accepts can be made.
    NotAcceptable,
    /// The body is too large.
    RequestEntityTooLarge,
    /// The body's content type is not served.
    UnsupportedMediaType,
    /// Something unforeseen happened.
    InternalError,
    /// The resource version asked for is no longer kept.
    Expired,
    /// The server can't answer now.
    ServiceUnavailable,
    /// A stored object can't be read.
    StoreReadError,
    /// No reason is known.
    #[default]
    #[serde(rename = "", other)]
    Unknown,
}

impl Reason {
    /// The HTTP status code that Kubernetes answers with for this reason.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::NotAcceptable => 406,
            Self::AlreadyExists | Self::Conflict => 409,
            Self::Gone | Self::Expired => 410,
            Self::RequestEntityTooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::Invalid => 422,
            Self::TooManyRequests => 429,
            Self::ServiceUnavailable => 503,
            Self::Timeout => 504,
            Self::Unknown | Self::ServerTimeout | Self::InternalError | Self::StoreReadError => 500,
        }
    }

    /// The reason that goes with an HTTP code when nothing closer is known.
    #[must_use]
    pub const fn of_code(code: u16) -> Self {
        match code {
            400 => Self::BadRequest,
            401 => Self::Unauthorized,
            403 => Self::Forbidden,
            404 => Self::NotFound,
            405 => Self::MethodNotAllowed,
            406 => Self::NotAcceptable,
            409 => Self::Conflict,
            410 => Self::Gone,
            413 => Self::RequestEntityTooLarge,
            415 => Self::UnsupportedMediaType,
            422 => Self::Invalid,
            429 => Self::TooManyRequests,
            500 => Self::InternalError,
            503 => Self::ServiceUnavailable,
            504 => Self::Timeout,
            _ => Self::Unknown,
        }
    }
}

/// One cause of a failure: `metav1.StatusCause`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Cause {
    /// Kind of the cause, such as `FieldValueRequired`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// For a person.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Path of the field, such as `spec.replicas`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub field: String,
}

/// What the failure is about: `metav1.StatusDetails`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub struct Details {
    /// Name of the object.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// API group of the resource.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// Kind of the object, or its resource's plural, as upstream mixes them.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Unique id of the object.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// All causes, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
    /// Seconds after which to ask again.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retry_after_seconds: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// An outcome that is not an object: `metav1.Status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Always `Status`.
    #[serde(default = "kind_status")]
    pub kind: String,
    /// Always `v1`.
    #[serde(default = "version_one")]
    pub api_version: String,
    /// Always empty.
    #[serde(default)]
    pub metadata: serde_json::Value,
    /// `Success` or `Failure`.
    #[serde(default)]
    pub status: String,
    /// For a person.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// For a machine.
    #[serde(default, skip_serializing_if = "no_reason")]
    pub reason: Reason,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Details>,
    /// The HTTP status code.
    #[serde(default)]
    pub code: u16,
}

fn kind_status() -> String {
    "Status".into()
}

fn version_one() -> String {
    "v1".into()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn no_reason(reason: &Reason) -> bool {
    *reason == Reason::Unknown
}

/// The result of whatever can fail with a [`Status`]. It is boxed: failures are rare and a `Status` is large.
pub type Result<T, E = Box<Status>> = std::result::Result<T, E>;

impl Status {
    /// A failure with the code that belongs to the reason.
    #[must_use]
    pub fn failure(reason: Reason, message: impl Into<String>) -> Box<Self> {
        Box::new(Self {
            kind: kind_status(),
            api_version: version_one(),
            metadata: serde_json::Value::Object(serde_json::Map::new()),
            status: "Failure".into(),
            message: message.into(),
            reason,
            details: None,
            code: reason.code(),
        })
    }

    /// A success, such as the answer to a delete that removed the object at once.
    #[must_use]
    pub fn success(details: Option<Details>) -> Self {
        Self {
            status: "Success".into(),
            details,
            code: 200,
            message: String::new(),
            ..*Self::failure(Reason::Unknown, "")
        }
    }

    /// The same failure with another HTTP code (aggregated reasons, streams).
    #[must_use]
    pub fn with_code(mut self: Box<Self>, code: u16) -> Box<Self> {
        self.code = code;
        self
    }

    /// The same failure with details.
    #[must_use]
    pub fn with_details(mut self: Box<Self>, details: Details) -> Box<Self> {
        self.details = Some(details);
        self
    }

    /// 405, of a path that is there.
    #[must_use]
    pub fn method_not_allowed() -> Box<Self> {
        Self::failure(Reason::MethodNotAllowed, "the server does not allow this method on the requested resource")
            .with_details(Details::default())
    }

    /// 405, of a verb that a resource does not have: `create is not supported on resources of kind "pods"`.
    #[must_use]
    pub fn not_supported(group: &str, resource: &str, verb: &str) -> Box<Self> {
        let what = qualified(group, resource);
        let message = format!("{verb} is not supported on resources of kind \"{what}\"");
        Self::failure(Reason::MethodNotAllowed, message).with_details(about(group, resource, ""))
    }

    /// 404: `pods "web" not found`.
    #[must_use]
    pub fn not_found(group: &str, resource: &str, name: &str) -> Box<Self> {
        Self::failure(Reason::NotFound, format!("{} {} not found", qualified(group, resource), quote(name)))
            .with_details(about(group, resource, name))
    }

    /// 409: `pods "web" already exists`.
    #[must_use]
    pub fn already_exists(group: &str, resource: &str, name: &str) -> Box<Self> {
        Self::failure(Reason::AlreadyExists, format!("{} {} already exists", qualified(group, resource), quote(name)))
            .with_details(about(group, resource, name))
    }

    /// 409 with upstream's sentence around the reason.
    #[must_use]
    pub fn conflict(group: &str, resource: &str, name: &str, why: &str) -> Box<Self> {
        Self::failure(
            Reason::Conflict,
            format!("Operation cannot be fulfilled on {} {}: {why}", qualified(group, resource), quote(name)),
        )
        .with_details(about(group, resource, name))
    }

    /// 403 with upstream's sentence around the reason.
    #[must_use]
    pub fn forbidden(group: &str, resource: &str, name: &str, why: &str) -> Box<Self> {
        let what = qualified(group, resource);
        let message = match (resource.is_empty(), name.is_empty()) {
            (true, _) => format!("forbidden: {why}"),
            (false, true) => format!("{what} is forbidden: {why}"),
            (false, false) => format!("{what} {} is forbidden: {why}", quote(name)),
        };
        Self::failure(Reason::Forbidden, message).with_details(about(group, resource, name))
    }

    /// 422 with one cause a field, in order. `kind` is the object's kind, not its resource.
    #[must_use]
    pub fn invalid(group: &str, kind: &str, name: &str, causes: Vec<Cause>) -> Box<Self> {
        // What is found twice is told once, and stands among the causes as often as it was found.
        let mut told: Vec<String> = Vec::with_capacity(causes.len());
        let mut seen = HashSet::new();
        told.extend(
            causes.iter().map(|c| format!("{}: {}", c.field, c.message)).filter(|one| seen.insert(one.clone())),
        );
        let told = match told.as_slice() {
            [] => String::new(),
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let mut details = about(group, kind, name);
        details.causes = causes;
        Self::failure(Reason::Invalid, format!("{} {} is invalid: {told}", qualified(group, kind), quote(name)))
            .with_details(details)
    }

    /// 400.
    #[must_use]
    pub fn bad_request(message: impl Into<String>) -> Box<Self> {
        Self::failure(Reason::BadRequest, message)
    }

    /// 401.
    #[must_use]
    pub fn unauthorized() -> Box<Self> {
        Self::failure(Reason::Unauthorized, "Unauthorized")
    }

    /// 500 with upstream's sentence around the cause.
    #[must_use]
    pub fn internal(cause: impl fmt::Display) -> Box<Self> {
        let mut details = Details::default();
        details.causes.push(Cause { message: cause.to_string(), ..Cause::default() });
        Self::failure(Reason::InternalError, format!("Internal error occurred: {cause}")).with_details(details)
    }

    /// True for a status that tells of a failure.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        self.status != "Success"
    }
}

/// `deployments.apps`, or `pods` in the core group.
#[must_use]
pub fn qualified(group: &str, resource: &str) -> String {
    if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") }
}

fn about(group: &str, kind: &str, name: &str) -> Details {
    Details { name: name.into(), group: group.into(), kind: kind.into(), ..Details::default() }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Status {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_object_reads_as_upstream_says_it() {
        let status = Status::not_found("apps", "deployments", "web");
        assert_eq!(status.message, "deployments.apps \"web\" not found");
        assert_eq!((status.code, status.reason), (404, Reason::NotFound));
        let json = serde_json::to_value(&*status).unwrap();
        assert_eq!(json["details"], serde_json::json!({"name": "web", "group": "apps", "kind": "deployments"}));
        assert_eq!(serde_json::from_value::<Status>(json).unwrap(), *status);
    }

    #[test]
    fn several_causes_stand_in_brackets() {
        let cause = |field: &str| Cause {
            reason: "FieldValueRequired".into(),
            message: "Required value".into(),
            field: field.into(),
        };
        let status = Status::invalid("", "Pod", "a", vec![cause("spec.a"), cause("spec.b")]);
        assert_eq!(status.message, "Pod \"a\" is invalid: [spec.a: Required value, spec.b: Required value]");
    }

    #[test]
    fn an_unknown_reason_is_read_as_unknown() {
        let status: Status = serde_json::from_str(r#"{"status":"Failure","reason":"Novel","code":418}"#).unwrap();
        assert_eq!((status.reason, status.code), (Reason::Unknown, 418));
    }
}
