//! Request bodies: read within a limit, told apart by content type, decoded by the schema.

use super::{media, mismatch, protobuf};
use crate::codec::{custom, depth, surrogates, yaml};
use crate::registry::custom::Custom;
use crate::request::{Call, Warnings};
use crate::schema::decode::DecodeError;
use crate::schema::{self, TypeId, decode, spelling};
use axum::body::Body;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Deserialize;
use serde_json::{Value, json};
use std::error::Error;
use tinyplane_wire::gvr::Gvk;
use tinyplane_wire::status::{self, Reason, Status};

/// Most bytes of a body, as upstream has it.
pub const BODY_BYTES_MAX: usize = 3 << 20;

/// Reads a whole body, as it came: a body that was packed is not unpacked.
///
/// # Errors
/// 413 where it is too large, a 500 without a reason where it breaks off.
pub async fn read(call: &Call, body: Body) -> status::Result<Bytes> {
    let bytes = collect(body).await?;
    let media = media::named(call.header("content-type"));
    let is_json = media.is_some_and(|media| media.is_empty() || media.ends_with("json"));
    Ok(if is_json { surrogates::mended(bytes) } else { bytes })
}

fn too_large() -> Box<Status> {
    Status::failure(Reason::RequestEntityTooLarge, format!("Request entity too large: limit is {BODY_BYTES_MAX}"))
}

async fn collect(body: Body) -> status::Result<Bytes> {
    match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(read) => Ok(read.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(error) => Err(Status::failure(Reason::Unknown, broken(&*error))),
    }
}

/// Why a body breaks off, in Go's words where it has them.
fn broken(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    let told = innermost.to_string();
    match told.as_str() {
        told if told.starts_with("Invalid chunk size line") => "invalid byte in chunk length".to_owned(),
        "invalid chunk size: overflow" => "http chunk length too large".to_owned(),
        "unexpected EOF during chunk size line" | "end of file before message length reached" => {
            "unexpected EOF".to_owned()
        }
        _ => told,
    }
}

/// What a client wants to happen to fields that the schema does not know: `fieldValidation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validation {
    /// They are dropped.
    Ignore,
    /// They are dropped, and told in `Warning` headers.
    Warn,
    /// The request is refused.
    Strict,
}

impl Validation {
    /// What a word means; nothing said is `Warn`.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        match word {
            "" | "Warn" => Some(Self::Warn),
            "Ignore" => Some(Self::Ignore),
            "Strict" => Some(Self::Strict),
            _ => None,
        }
    }
}

/// A body as JSON, beside what was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The body as JSON.
    pub json: Bytes,
    /// The body as it came.
    pub(super) original: Bytes,
    /// What a strict reader of YAML says of it.
    strict: Option<String>,
    /// Whether raw JSON in it is the text of it.
    is_folded: bool,
}

impl Sent {
    /// A body that is JSON.
    #[must_use]
    pub fn json(bytes: Bytes) -> Self {
        Self { json: bytes.clone(), original: bytes, strict: None, is_folded: false }
    }

    /// Whether nothing was sent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.original.is_empty()
    }

    fn object(&self, id: TypeId) -> Result<decode::Decoded, DecodeError> {
        let read = if self.is_folded { decode::folded } else { decode::object };
        read(schema::model(), id, &self.json)
    }

    /// What was decoded, with what a strict reader of YAML says.
    pub(super) fn judged(&self, mut decoded: decode::Decoded) -> decode::Decoded {
        decoded.unknown.splice(0..0, self.strict.clone());
        decoded
    }
}

/// A body as JSON, whatever it was sent as. Where it can't be read, a kind says what it was to be; where none is wanted, nothing
/// may be sent as anything.
///
/// # Errors
/// 415 for an unknown content type, 400 for YAML and protobuf that can't be read.
pub fn as_json(content_type: &str, bytes: Bytes, wanted: Option<&Gvk>) -> status::Result<Sent> {
    let unreadable = |why: String| match wanted {
        Some(gvk) => unrecognized(gvk, &bytes, &why),
        None => Status::bad_request(why),
    };
    match media::named(content_type).as_deref() {
        Some("" | JSON) => Ok(Sent::json(bytes)),
        _ if wanted.is_none() && bytes.is_empty() => Ok(Sent::json(bytes)),
        Some(YAML) => {
            let read = yaml::read(&bytes).map_err(|error| unreadable(error.to_string()))?;
            let mut json = Vec::with_capacity(bytes.len());
            spelling::free(&read.value, &mut json);
            Ok(Sent { json: json.into(), strict: read.strict(), original: bytes, is_folded: false })
        }
        Some(PROTOBUF) if bytes.is_empty() => Err(unreadable("empty data".into())),
        Some(PROTOBUF) => {
            let value = protobuf::decode(schema::model(), &bytes).map_err(|error| unreadable(error.to_string()))?;
            Ok(Sent { json: value.to_string().into(), original: bytes, strict: None, is_folded: true })
        }
        _ => Err(unknown_format()),
    }
}

const JSON: &str = "application/json";
const YAML: &str = "application/yaml";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// Insists that a call names letters that its body can be read from: before any of the body is read.
///
/// # Errors
/// 415 for all others.
pub fn demand_known(call: &Call) -> status::Result<()> {
    match media::named(call.header("content-type")).as_deref() {
        Some("" | JSON | YAML | PROTOBUF) => Ok(()),
        _ => Err(unknown_format()),
    }
}

fn unknown_format() -> Box<Status> {
    let told = format!(
        "the body of the request was in an unknown format - accepted media types include: {JSON}, {YAML}, {PROTOBUF}"
    );
    Status::failure(Reason::UnsupportedMediaType, told)
}

/// Whether an object says to be of this kind, or does not say it.
fn is_said_to_be(gvk: &Gvk, object: &Value) -> bool {
    let said = |field: &str| object.get(field).map_or(Some(""), Value::as_str);
    let of_version = |version: &str| match version.split_once('/') {
        Some((group, version)) => gvk.group == group && gvk.version == version,
        None => version.is_empty() || (gvk.group.is_empty() && gvk.version == version),
    };
    said("kind").is_some_and(|kind| kind.is_empty() || gvk.kind == kind) && said("apiVersion").is_some_and(of_version)
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TypeMeta {
    #[serde(default)]
    api_version: Option<String>,
    #[serde(default)]
    kind: Option<String>,
}

/// An object of this kind, with its kind and version written in. Fields that are unknown or double are dealt with as
/// the client wants it.
///
/// # Errors
/// 400 in upstream's words, for what is no such object.
pub fn decode(
    gvk: &Gvk,
    custom: Option<&Custom>,
    sent: &Sent,
    validation: Validation,
    warnings: &Warnings,
) -> status::Result<Value> {
    let json: &[u8] = &sent.json;
    let unrecognized = |why: &str| unrecognized(gvk, &sent.original, why);
    if let Some(letter) = depth::beyond_go(json) {
        let why = format!("invalid character '{letter}' exceeded max depth");
        return Err(unrecognized(&format!("couldn't get version/kind; json parse error: {why}")));
    }
    // As a rule a body is what it is to be. Only of one that is not, it matters what is told of it first.
    if custom.is_none()
        && let Some(id) = schema::model().kind(&gvk.group, &gvk.version, &gvk.kind)
        && let Ok(decoded) = sent.object(id)
        && is_said_to_be(gvk, &decoded.value)
    {
        return settled(gvk, sent.judged(decoded), validation, warnings);
    }
    let said = serde_json::from_slice::<TypeMeta>(json);
    // An array would pass for its fields in their order.
    if (said.is_err() || !json.trim_ascii_start().starts_with(b"{"))
        && let Some(why) = serde_json::from_slice(json).ok().and_then(|body| mismatch::unreadable(&body))
    {
        return Err(unrecognized(&format!("couldn't get version/kind; json parse error: {why}")));
    }
    let said = said.unwrap_or_default();
    let (version, kind) = (said.api_version.unwrap_or_default(), said.kind.unwrap_or_default());
    if version.matches('/').count() > 1 {
        return Err(unrecognized(&format!("unexpected GroupVersion string: {version}")));
    }
    if let Some(custom) = custom {
        return custom::decode(gvk, custom, sent, &Gvk::parse(&version, &kind), validation, warnings);
    }
    let expected = gvk.api_version();
    let given = Gvk::parse(
        if version.is_empty() { &expected } else { &version },
        if kind.is_empty() { &gvk.kind } else { &kind },
    );
    if given != *gvk && !mismatch::is_taken_too(gvk, &given) {
        return Err(mismatch::refused(gvk, &given));
    }
    let Some(id) = schema::model().kind(&gvk.group, &gvk.version, &gvk.kind) else {
        return serde_json::from_slice(json).map_err(|error| cannot_be_handled(gvk, &error.to_string()));
    };
    let decoded = sent.object(id).map_err(|error| match error {
        DecodeError::Syntax(why) => unrecognized(&format!("couldn't get version/kind; json parse error: {why}")),
        DecodeError::Type(why) => cannot_be_handled(gvk, &why),
    })?;
    settled(gvk, sent.judged(decoded), validation, warnings)
}

/// What a patch made.
#[derive(Debug)]
pub struct Made {
    /// The object, whatever it is.
    pub value: Value,
    /// The same as a text, where that says more of a number in it.
    pub text: Option<String>,
    /// Whether it is laid over its type as Go lays maps over structs, and not read as JSON is.
    pub is_laid_over: bool,
}

/// The same for a value that a patch made. `shown` says what is told of a patch that makes no such object, `strict` what
/// a strict reader said of the patch.
///
/// # Errors
/// 422 in upstream's words, for what is no such object.
pub fn decode_value(
    gvk: &Gvk,
    custom: Option<&Custom>,
    made: Made,
    shown: impl FnOnce() -> String,
    strict: &[String],
    validation: Validation,
    warnings: &Warnings,
) -> status::Result<Value> {
    let decoded = match (custom, schema::model().kind(&gvk.group, &gvk.version, &gvk.kind)) {
        (Some(custom), _) => {
            let mut value = made.value;
            // Nothing before the only slash is the core group.
            let version = value["apiVersion"].as_str().and_then(|version| version.strip_prefix('/'));
            if let Some(version) = version.filter(|version| !version.contains('/')) {
                value["apiVersion"] = version.into();
            }
            if let Some(why) = mismatch::unreadable(&value) {
                return Err(bad_patch(&shown(), &format!("couldn't get version/kind; json parse error: {why}")));
            }
            if let Some(version) = value["apiVersion"].as_str().filter(|version| version.matches('/').count() > 1) {
                return Err(bad_patch(&shown(), &format!("unexpected GroupVersion string: {version}")));
            }
            if value["kind"].as_str().is_none_or(str::is_empty) {
                let shown = shown();
                return Err(bad_patch(&shown, &format!("Object 'Kind' is missing in '{shown}'")));
            }
            match value.get("apiVersion") {
                Some(Value::Null) => {
                    let told = ".apiVersion accessor error: <nil> is of the type <nil>, expected string";
                    return Err(bad_patch(&shown(), told));
                }
                version if version.and_then(Value::as_str).is_none_or(str::is_empty) => {
                    return Err(Status::internal("Object 'apiVersion' is missing in 'object has no apiVersion field'"));
                }
                _ => {}
            }
            custom::fit(gvk, custom, value, strict.to_vec())
        }
        (None, None) => return Ok(made.value),
        (None, Some(id)) => {
            let model = schema::model();
            let read = match made {
                Made { text: Some(text), .. } => decode::object(model, id, text.as_bytes()),
                Made { is_laid_over: true, value, .. } => decode::laid_over(model, id, value),
                Made { value, .. } => decode::value(model, id, value),
            };
            read.map_err(|error| error.to_string()).map(|mut decoded| {
                decoded.unknown.splice(0..0, strict.iter().cloned());
                decoded
            })
        }
    };
    match decoded {
        Err(error) => Err(bad_patch(&shown(), &error)),
        Ok(decoded) if validation == Validation::Strict && !decoded.unknown.is_empty() => {
            Err(bad_patch(&shown(), &decoded.strict_error().unwrap_or_default()))
        }
        Ok(decoded) if custom.is_some() => settle(decoded, validation, warnings, |why| cannot_be_handled(gvk, why)),
        Ok(decoded) => settled(gvk, decoded, validation, warnings),
    }
}

/// The same for a value that an apply made, which has no unknown fields.
///
/// # Errors
/// A value does not parse as its type.
pub fn complete(gvk: &Gvk, custom: Option<&Custom>, mut value: Value) -> Result<Value, DecodeError> {
    if let Some(custom) = custom {
        drop_malformed(&mut value["metadata"]);
        return custom::fit(gvk, custom, value, Vec::new()).map(|decoded| decoded.value).map_err(DecodeError::Type);
    }
    let Some(id) = schema::model().kind(&gvk.group, &gvk.version, &gvk.kind) else { return Ok(value) };
    let mut value = decode::laid_over(schema::model(), id, value)?.value;
    value["kind"] = gvk.kind.as_str().into();
    value["apiVersion"] = gvk.api_version().into();
    Ok(value)
}

/// Takes out of metadata the fields that don't read as what they are, as upstream does with what an apply made.
fn drop_malformed(metadata: &mut Value) {
    let (model, Value::Object(fields)) = (schema::model(), metadata) else { return };
    let Some(id) = model.named(OBJECT_META) else { return };
    // The managers were written by the server itself, and are as large as the object.
    let reads = |name: &str, value: &Value| decode::value(model, id, json!({name: value})).is_ok();
    fields.retain(|name, value| name == "managedFields" || reads(name, value));
}

/// What all objects have.
pub(crate) const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// 422 for a patch: upstream names neither kind nor object.
pub(crate) fn bad_patch(shown: &str, why: &str) -> Box<Status> {
    let cause = status::Cause {
        reason: "FieldValueInvalid".into(),
        message: format!("Invalid value: {}: {why}", schema::go::quote(shown)),
        field: "patch".into(),
    };
    Status::invalid("", "", "", vec![cause])
}

/// The value with its kind and version, after what is told of it.
fn settled(gvk: &Gvk, decoded: decode::Decoded, validation: Validation, warnings: &Warnings) -> status::Result<Value> {
    let mut value = settle(decoded, validation, warnings, |why| cannot_be_handled(gvk, why))?;
    value["kind"] = gvk.kind.as_str().into();
    value["apiVersion"] = gvk.api_version().into();
    Ok(value)
}

/// Tells what a strict reader says of what was decoded, as the client wants it.
pub(super) fn settle(
    decoded: decode::Decoded,
    validation: Validation,
    warnings: &Warnings,
    handled: impl Fn(&str) -> Box<Status>,
) -> status::Result<Value> {
    match validation {
        Validation::Ignore => {}
        Validation::Warn => {
            // Of YAML each line is a warning of its own.
            let told = decoded.unknown.iter().map(|told| told.strip_prefix(yaml::STRICT).unwrap_or(told));
            told.flat_map(str::lines).for_each(|line| warnings.add(line.trim().to_owned()));
        }
        Validation::Strict => {
            if let Some(told) = decoded.strict_error() {
                return Err(handled(&told));
            }
        }
    }
    Ok(decoded.value)
}

/// Most bytes of a body that are repeated to its author.
const SHOWN_BYTES_MAX: usize = 30;

/// 400 for a body of which not even kind and version can be read.
pub(super) fn unrecognized(gvk: &Gvk, json: &[u8], why: &str) -> Box<Status> {
    let shown = match json {
        [] => "<empty>".to_owned(),
        [b'{', ..] if json.len() > SHOWN_BYTES_MAX => {
            format!("{} ...", String::from_utf8_lossy(&json[..SHOWN_BYTES_MAX]))
        }
        [b'{', ..] => String::from_utf8_lossy(json).into_owned(),
        _ => {
            let hex: String = json.iter().take(SHOWN_BYTES_MAX).map(|byte| format!("{byte:02x}")).collect();
            if json.len() > SHOWN_BYTES_MAX { format!("{hex} ...") } else { hex }
        }
    };
    Status::bad_request(format!("the object provided is unrecognized (must be of type {}): {why} ({shown})", gvk.kind))
}

fn cannot_be_handled(gvk: &Gvk, why: &str) -> Box<Status> {
    let kind = &gvk.kind;
    Status::bad_request(format!("{kind} in version {:?} cannot be handled as a {kind}: {why}", gvk.version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_that_an_apply_made_lose_what_can_not_be_read() {
        let mut metadata = json!({"name": "a", "creationTimestamp": "x", "generation": "y", "labels": {"a": "b"}});
        drop_malformed(&mut metadata);
        assert_eq!(metadata, json!({"name": "a", "labels": {"a": "b"}}));
    }
}
