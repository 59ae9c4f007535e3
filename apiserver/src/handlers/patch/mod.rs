//! Patches: what they are, how they are read, and what each makes of an object.

pub(super) mod apply;
mod json;
mod merge;
mod shown;
mod strategic;

use super::Ask;
use crate::codec::{body, mismatch};
use crate::registry::managers::folded;
use crate::request::Call;
use crate::schema::{self, TypeId, raw};
use axum::body::Body;
use bytes::Bytes;
use serde_json::{Map, Value};
use tinyplane_wire::gvr::Gvk;
use tinyplane_wire::status::{self, Details, Reason, Status};

/// A patch that was read.
pub(super) enum Patch {
    /// RFC 6902.
    Json(json_patch::Patch, Said),
    /// RFC 7396.
    Merge(Value, Said),
    /// Kubernetes' own, by merge keys.
    Strategic(Value, Said),
    /// Server-side apply.
    Apply(apply::Config),
}

/// The text of a patch, and what a strict reader says of it.
pub(super) struct Said {
    bytes: Bytes,
    strict: Strict,
}

/// What a strict reader says of a patch, and what its reading loses.
#[derive(Debug, Default)]
struct Strict {
    told: Vec<String>,
    /// Whether the text of a number in it says more than its value.
    is_rounded: bool,
    /// Whether it tests for something of which there may be two texts.
    tests_texts: bool,
}

const JSON: &str = "application/json-patch+json";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

/// Content types of patches, in upstream's order; those of a kind without a Go type do without the third.
const KINDS: [&str; 4] = [JSON, MERGE, STRATEGIC, APPLY];

fn kind(call: &Call) -> &str {
    call.header("content-type").split(';').next().unwrap_or_default()
}

/// Whether a call is an apply.
pub(super) fn applies(call: &Call) -> bool {
    kind(call) == APPLY
}

/// Insists that a patch of a built-in kind comes in letters that a path has: before anything else of the call is judged.
///
/// # Errors
/// 415 for all others.
pub(super) fn demand_known(call: &Call) -> status::Result<()> {
    let mut named = call.header("content-type").split(',').map(|named| named.split(';').next().unwrap_or_default());
    if named.any(|named| KINDS.contains(&named.trim())) {
        return Ok(());
    }
    let told = "415: Unsupported Media Type";
    Err(Status::failure(Reason::UnsupportedMediaType, told).with_details(Details::default()))
}

impl Patch {
    /// Reads the patch of a call.
    pub(super) async fn read(ask: &Ask<'_>, body: Body) -> status::Result<Self> {
        let kind = kind(ask.call);
        let untyped = ask.resource.type_id.is_none();
        let kinds: Vec<_> = KINDS.into_iter().filter(|kind| !(untyped && *kind == STRATEGIC)).collect();
        if !kinds.contains(&kind) {
            let told = format!(
                "the body of the request was in an unknown format - accepted media types include: {}",
                kinds.join(", ")
            );
            return Err(Status::failure(Reason::UnsupportedMediaType, told));
        }
        let bytes = body::read(ask.call, body).await?;
        let said = |strict: Strict| Said { bytes: bytes.clone(), strict };
        match kind {
            JSON => json::read(&bytes).map(|(patch, strict)| Self::Json(patch, said(strict))),
            MERGE => merge::read(&bytes, "error decoding patch: ")
                .and_then(|(patch, strict)| Ok(Self::Merge(folded(patch)?, said(strict)))),
            STRATEGIC => {
                merge::read(&bytes, "").and_then(|(patch, strict)| Ok(Self::Strategic(folded(patch)?, said(strict))))
            }
            _ => apply::read(&bytes).map(Self::Apply),
        }
    }

    /// What the patch makes of an object of this kind, decoded.
    pub(super) fn laid(&self, ask: &Ask<'_>, gvk: &Gvk, current: &Value) -> status::Result<Value> {
        let strict = match self {
            Self::Json(_, said) | Self::Merge(_, said) | Self::Strategic(_, said) => said.strict.told.as_slice(),
            Self::Apply(_) => &[],
        };
        let shown = || self.shown(gvk, current).unwrap_or_default();
        let raws = ask.resource.raws();
        let (custom, mut made) = (ask.custom(gvk), self.made(gvk, current, raws)?);
        // A strategic patch is laid over the type itself, which has no other kind.
        if custom.is_none()
            && !matches!(self, Self::Strategic(..))
            && let Some(why) = mismatch::unreadable_kind(&made).or_else(|| mismatch::of_patched(gvk, &made))
        {
            return Err(body::bad_patch(&shown(), &why));
        }
        // Upstream's library lays texts over texts, and so does this where a value would say less.
        let text = if custom.is_none() && self.keeps_texts(raws.is_some()) { self.shown(gvk, current) } else { None };
        let untouched = if text.is_none() { self.untouched(ask, gvk, &mut made) } else { Map::new() };
        let made = body::Made { value: made, text, is_laid_over: matches!(self, Self::Strategic(..)) };
        let decoded = body::decode_value(gvk, custom, made, shown, strict, ask.options.validation, &ask.call.warnings);
        let mut new = match self {
            Self::Strategic(..) => decoded.map_err(strategic::told)?,
            _ => decoded?,
        };
        if let Some(fields) = new.as_object_mut() {
            fields.extend(untouched);
        }
        Ok(new)
    }

    /// What is told of a patch that makes no object of its kind: a strategic patch itself, and of the others what they made.
    fn shown(&self, gvk: &Gvk, current: &Value) -> Option<String> {
        match self {
            Self::Strategic(patch, _) => Some(schema::go::text(&unfolded(patch.clone()))),
            Self::Merge(_, said) => shown::merged(&text_of(gvk, current)?, &String::from_utf8_lossy(&said.bytes)),
            Self::Json(patch, said) => {
                shown::patched(&text_of(gvk, current)?, &patch.0, &String::from_utf8_lossy(&said.bytes))
            }
            Self::Apply(_) => None,
        }
    }

    /// Whether a text says more than its value, of a number in it or of an object with raw JSON, and it is itself laid over an
    /// object as a text.
    fn keeps_texts(&self, has_raws: bool) -> bool {
        match self {
            Self::Json(_, said) | Self::Merge(_, said) => has_raws || said.strict.is_rounded,
            Self::Strategic(..) | Self::Apply(_) => false,
        }
    }

    /// Takes out what needs no decoding: the fields of a built-in object that the patch does not name, which were decoded
    /// before they were stored.
    fn untouched(&self, ask: &Ask<'_>, gvk: &Gvk, made: &mut Value) -> Map<String, Value> {
        let as_stored = ask.resource.custom.is_none() && ask.resource.conversion.is_none() && ask.resource.gvk == *gvk;
        let (
            Self::Merge(Value::Object(patch), _) | Self::Strategic(Value::Object(patch), _),
            Value::Object(fields),
            true,
        ) = (self, made, as_stored)
        else {
            return Map::new();
        };
        if patch.keys().any(|name| name.starts_with('$')) {
            return Map::new();
        }
        let (touched, untouched) = std::mem::take(fields).into_iter().partition(|(name, _)| patch.contains_key(name));
        *fields = touched;
        untouched
    }

    /// What the patch makes, not decoded.
    fn made(&self, gvk: &Gvk, folded_raws: &Value, raws: Option<TypeId>) -> status::Result<Value> {
        let current = raw::unfolded(schema::model(), raws, folded_raws).into_owned();
        match self {
            // Its paths may lead into a set.
            Self::Json(patch, said) => {
                let by_text = said.strict.tests_texts || (raws.is_some() && json::tests(patch));
                let made = json::apply(patch, unfolded(current), by_text).and_then(folded)?;
                let sent = || String::from_utf8_lossy(&said.bytes);
                let fails = |object: String| shown::fails_a_test(&object, &patch.0, &sent());
                match by_text && text_of(gvk, folded_raws).is_some_and(fails) {
                    true => Err(json::rejected()),
                    false => Ok(made),
                }
            }
            Self::Merge(patch, _) => Ok(merge::apply(patch, current)),
            Self::Strategic(patch, _) => strategic::apply(gvk, patch, current),
            Self::Apply(_) => Ok(current),
        }
    }
}

/// An object as upstream's library for patches gets it.
fn text_of(gvk: &Gvk, current: &Value) -> Option<String> {
    let (model, object) = (schema::model(), unfolded(current.clone()));
    let mut out = Vec::new();
    match model.kind(&gvk.group, &gvk.version, &gvk.kind) {
        Some(id) => schema::spelling::Speller::new(model).object(id, &object, &mut out),
        None => schema::spelling::free(&object, &mut out),
    }
    String::from_utf8(out).ok()
}

/// Why an object can't be laid over its type, in upstream's words for that where they are not those of JSON's decoder.
pub(super) fn as_laid_over(why: &str) -> String {
    let from = if why.starts_with("illegal base64") { "error decoding from json: " } else { "" };
    strategic::in_its_words(why).unwrap_or_else(|| format!("{from}{why}"))
}

fn folded(mut object: Value) -> status::Result<Value> {
    folded::fold(&mut object)?;
    Ok(object)
}

fn unfolded(mut object: Value) -> Value {
    folded::unfold(&mut object);
    object
}
