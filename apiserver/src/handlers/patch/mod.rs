//! PATCH: a change that is laid over the current object, again for every attempt.

mod json;
mod merge;
mod strategic;

use super::{Ask, Handlers};
use crate::codec::body::{self, Validation};
use crate::registry::behaviour::Part;
use crate::registry::update::Target;
use crate::request::Warnings;
use axum::body::Body;
use http::{Response, StatusCode};
use serde_json::Value;
use tinyplane_wire::gvr::Gvk;
use tinyplane_wire::meta::Meta;
use tinyplane_wire::status::{self, Reason, Status};

/// A patch that was read.
pub(super) enum Patch {
    /// RFC 6902.
    Json(json_patch::Patch),
    /// RFC 7396.
    Merge(Value),
    /// Kubernetes' own, by merge keys.
    Strategic(Value),
}

impl Patch {
    /// Reads the patch of a call.
    pub(super) async fn read(ask: &Ask<'_>, body: Body) -> status::Result<Self> {
        let content_type = ask.call.header("content-type");
        let kind = content_type.split(';').next().unwrap_or_default().trim();
        if !KINDS.contains(&kind) {
            let told = format!(
                "the body of the request was in an unknown format - accepted media types include: {}",
                KINDS.join(", ")
            );
            return Err(Status::failure(Reason::UnsupportedMediaType, told));
        }
        let bytes = body::read(ask.call, body).await?;
        match kind {
            "application/json-patch+json" => json::read(&bytes).map(Self::Json),
            "application/merge-patch+json" => merge::read(&bytes).map(Self::Merge),
            _ => merge::read(&bytes).map(Self::Strategic),
        }
    }

    /// Lays the patch over an object of this kind.
    pub(super) fn apply(&self, gvk: &Gvk, current: Value) -> status::Result<Value> {
        match self {
            Self::Json(patch) => json::apply(patch, current),
            Self::Merge(patch) => Ok(merge::apply(patch, current)),
            Self::Strategic(patch) => strategic::apply(gvk, patch, current),
        }
    }

    /// What the patch made, as an object of this kind.
    pub(super) fn decoded(
        &self,
        gvk: &Gvk,
        patched: Value,
        validation: Validation,
        warnings: &Warnings,
    ) -> status::Result<Value> {
        // Upstream tells of a strategic patch itself, and of the others what they made.
        let shown = match self {
            Self::Strategic(patch) => patch.to_string(),
            Self::Json(_) | Self::Merge(_) => patched.to_string(),
        };
        body::decode_value(gvk, patched, || shown, validation, warnings)
    }
}

/// Content types of patches, in upstream's order.
const KINDS: [&str; 3] =
    ["application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json"];

impl Handlers {
    pub(super) async fn patch(&self, ask: &Ask<'_>, body: Body) -> status::Result<Response<Body>> {
        self.patch_part(ask, body, "", Part::Main).await
    }

    /// Patches an object, or a part of it.
    pub(super) async fn patch_part(
        &self,
        ask: &Ask<'_>,
        body: Body,
        subresource: &str,
        part: Part,
    ) -> status::Result<Response<Body>> {
        let patch = Patch::read(ask, body).await?;
        let validation = Validation::of(ask.call, "PatchOptions")?;
        let target = Target {
            resource: &ask.resource,
            namespace: ask.namespace,
            name: ask.name,
            subresource,
            part,
            replaces: false,
        };
        let intent = self.intent(ask)?;
        let mut change = |old: Option<&Value>| {
            let old = old.ok_or_else(crate::registry::no_such_resource)?;
            let patched = patch.apply(&ask.resource.gvk, old.clone())?;
            let mut new = patch.decoded(&ask.resource.gvk, patched, validation, &ask.call.warnings)?;
            // The current version stands in the current object: only one that the patch brought binds the caller.
            ask.place(&mut new)?;
            if Meta::of(&new).name() != ask.name {
                ask.named(&mut new)?;
            }
            if subresource.is_empty() {
                self.check_escalation(ask, &new, Some(old))?;
            }
            Ok(new)
        };
        let updated = self.registry.update(&target, &intent, &mut change).await?;
        self.answer(ask, StatusCode::OK, &updated.object)
    }
}
