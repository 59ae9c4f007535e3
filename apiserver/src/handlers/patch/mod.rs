//! Patches: what they are, how they are read, and what each makes of an object.

pub(super) mod apply;
mod json;
mod merge;
mod strategic;

use super::Ask;
use crate::codec::{body, mismatch};
use crate::request::Call;
use crate::schema;
use axum::body::Body;
use serde_json::Value;
use tinyplane_wire::gvr::Gvk;
use tinyplane_wire::status::{self, Reason, Status};

/// A patch that was read, with what a strict reader says of it.
pub(super) enum Patch {
    /// RFC 6902.
    Json(json_patch::Patch, Vec<String>),
    /// RFC 7396.
    Merge(Value, Vec<String>),
    /// Kubernetes' own, by merge keys.
    Strategic(Value, Vec<String>),
    /// Server-side apply.
    Apply(apply::Config),
}

const JSON: &str = "application/json-patch+json";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

/// Content types of patches, in upstream's order; those of a kind without a Go type do without the third.
const KINDS: [&str; 4] = [JSON, MERGE, STRATEGIC, APPLY];

fn kind(call: &Call) -> &str {
    call.header("content-type").split(';').next().unwrap_or_default().trim()
}

/// Whether a call is an apply.
pub(super) fn applies(call: &Call) -> bool {
    kind(call) == APPLY
}

impl Patch {
    /// Reads the patch of a call.
    pub(super) async fn read(ask: &Ask<'_>, body: Body) -> status::Result<Self> {
        let kind = kind(ask.call);
        let untyped = ask.resource.type_id().is_none();
        let kinds: Vec<_> = KINDS.into_iter().filter(|kind| !(untyped && *kind == STRATEGIC)).collect();
        if !kinds.contains(&kind) {
            let told = format!(
                "the body of the request was in an unknown format - accepted media types include: {}",
                kinds.join(", ")
            );
            return Err(Status::failure(Reason::UnsupportedMediaType, told));
        }
        let bytes = body::read(ask.call, body).await?;
        match kind {
            JSON => json::read(&bytes).map(|(patch, strict)| Self::Json(patch, strict)),
            MERGE => merge::read(&bytes).map(|(patch, strict)| Self::Merge(patch, strict)),
            STRATEGIC => merge::read(&bytes).map(|(patch, strict)| Self::Strategic(patch, strict)),
            _ => apply::read(&bytes).map(Self::Apply),
        }
    }

    /// What the patch makes of an object of this kind, decoded.
    pub(super) fn laid(&self, ask: &Ask<'_>, gvk: &Gvk, current: &Value) -> status::Result<Value> {
        let strict = match self {
            Self::Json(_, strict) | Self::Merge(_, strict) | Self::Strategic(_, strict) => strict.as_slice(),
            Self::Apply(_) => &[],
        };
        // Upstream tells of a strategic patch itself, and of the others what they made.
        let shown = || match self {
            Self::Strategic(patch, _) => schema::go::text(patch),
            _ => self.made(gvk, current).map(|made| made.to_string()).unwrap_or_default(),
        };
        let (custom, made) = (ask.custom(gvk), self.made(gvk, current)?);
        // A strategic patch is laid over the type itself, which has no other kind.
        if custom.is_none()
            && !matches!(self, Self::Strategic(..))
            && let Some(why) = mismatch::of_patched(gvk, &made)
        {
            return Err(body::bad_patch(&shown(), &why));
        }
        body::decode_value(gvk, custom, made, shown, strict, ask.options.validation, &ask.call.warnings)
    }

    /// What the patch makes, not decoded.
    fn made(&self, gvk: &Gvk, current: &Value) -> status::Result<Value> {
        let current = current.clone();
        match self {
            Self::Json(patch, _) => json::apply(patch, current),
            Self::Merge(patch, _) => Ok(merge::apply(patch, current)),
            Self::Strategic(patch, _) => strategic::apply(gvk, patch, current),
            Self::Apply(_) => Ok(current),
        }
    }
}
