//! Server-side apply: what is applied, merged into what is there, by the rules of who owns what.

use super::entry::{Entry, Managed, Unreadable};
use super::update::{Changes, misfit, reconcile, strip, updated};
use super::versions::Unconvertible;
use super::{BEFORE_FIRST_APPLY, Writer, last_applied};
use crate::schema::fields::{self, Path, Set};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;
use tinyplane_wire::gvr::Gvk;
use tinyplane_wire::meta::{Meta, metadata_mut};
use tinyplane_wire::status::{Cause, Details, Reason, Status};

/// What an apply made.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The whole object, in the version that is applied, with its managers written in. It is not decoded.
    pub object: Value,
    /// Whether anything of it but its managers is new.
    pub changed: bool,
}

/// Why nothing was applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// What is applied is of another kind.
    #[error("invalid object type: {0}")]
    Kind(String),
    /// What is applied says who manages what.
    #[error("metadata.managedFields must be nil")]
    ManagedFields,
    /// What is applied does not fit its type.
    #[error("failed to create typed patch object ({of}): {why}")]
    Shape {
        /// Name and kind.
        of: String,
        /// All that is wrong.
        why: String,
    },
    /// What is there does not fit its type: that of a definition, which has changed since.
    #[error("failed to create typed live object ({of}): {why}")]
    Live {
        /// Name and kind.
        of: String,
        /// All that is wrong.
        why: String,
    },
    /// The managers of the current object can't be read.
    #[error("failed to decode managed fields: {0}")]
    Managers(#[from] Unreadable),
    /// The object can't be looked at in the version of one of its managers.
    #[error("{0}")]
    Unconvertible(String),
    /// Others own fields, with other values.
    #[error("conflicts")]
    Conflicts(Vec<Conflict>),
}

/// A field that is to be changed, and who owns it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// As the message names the owner.
    pub owner: String,
    /// The field.
    pub path: Path,
}

impl Refused {
    /// The failure in upstream's words.
    #[must_use]
    pub fn status(&self) -> Box<Status> {
        match self {
            Self::Kind(_) | Self::ManagedFields => Status::bad_request(self.to_string()),
            Self::Shape { .. } | Self::Live { .. } | Self::Managers(_) | Self::Unconvertible(_) => {
                Status::failure(Reason::Unknown, self.to_string())
            }
            Self::Conflicts(conflicts) => told(conflicts),
        }
    }
}

/// An object's name and kind, as messages about its type name it.
#[must_use]
pub fn named(object: &Value) -> String {
    let meta = Meta::of(object);
    format!("{}/{}; {}", meta.namespace(), meta.name(), kind_of(object))
}

/// What an object says to be; nothing, where its version can be none.
fn said(object: &Value) -> Gvk {
    let text = |name: &str| object[name].as_str().unwrap_or_default();
    match text("apiVersion") {
        version if version.matches('/').count() > 1 => Gvk::parse("", ""),
        version => Gvk::parse(version, text("kind")),
    }
}

fn kind_of(object: &Value) -> String {
    let gvk = said(object);
    format!("{}/{}, Kind={}", gvk.group, gvk.version, gvk.kind)
}

fn told(conflicts: &[Conflict]) -> Box<Status> {
    let text = |path: &Path| path.iter().map(ToString::to_string).collect::<String>();
    let cause = |conflict: &Conflict| Cause {
        reason: "FieldManagerConflict".into(),
        message: format!("conflict with {}", conflict.owner),
        field: text(&conflict.path),
    };
    let causes: Vec<_> = conflicts.iter().map(cause).collect();
    let message = match causes.as_slice() {
        [one] => format!("Apply failed with 1 conflict: {}: {}", one.message, one.field),
        all => {
            let of_owner = |fields: &[Cause]| {
                let fields: Vec<_> = fields.iter().map(|cause| format!("- {}", cause.field)).collect();
                fields.join("\n")
            };
            let owners = all.chunk_by(|one, other| one.message == other.message);
            let owners: Vec<_> = owners
                .map(|all| format!("{}:\n{}", all[0].message.replacen("conflict", "conflicts", 1), of_owner(all)))
                .collect();
            format!("Apply failed with {} conflicts: {}", all.len(), owners.join("\n"))
        }
    };
    Status::failure(Reason::Conflict, message).with_details(Details { causes, ..Details::default() })
}

/// Applies `config` to `live`, or to nothing. `config` is as its author sent it; `live` is complete.
///
/// # Errors
/// It is refused; with `force`, not because others own what it changes.
pub fn apply(writer: &Writer<'_>, live: Option<&Value>, config: &Value, force: bool) -> Result<Applied, Refused> {
    let kind = &writer.versions.kind;
    if said(config) != kind.gvk {
        return Err(Refused::Kind(kind_of(config)));
    }
    if config["metadata"]["managedFields"].is_array() {
        return Err(Refused::ManagedFields);
    }
    let place = kind.place();
    if let Some(why) = fields::check(place, config) {
        return Err(Refused::Shape { of: named(config), why });
    }
    let live = live.map_or_else(|| Cow::Owned(fields::zero(place)), Cow::Borrowed);
    let mut managed = Managed::read(&live["metadata"]["managedFields"])?;
    if let Some(why) = misfit(kind, &live) {
        return Err(Refused::Live { of: named(&live), why });
    }
    if managed.entries.is_empty() {
        let before = Writer { manager: BEFORE_FIRST_APPLY, ..*writer };
        managed = updated(&before, &fields::zero(place), &live, managed)
            .map_err(|why| Refused::Unconvertible(format!("failed to create manager for existing fields: {why}")))?;
    }
    let bare = without(&live);
    let done = match attempt(writer, &bare, config, managed.clone(), force) {
        Err(Refused::Conflicts(conflicts)) if last_applied::belongs_to(writer.manager) => {
            match last_applied::unexpected(writer, &bare, conflicts) {
                conflicts if conflicts.is_empty() => attempt(writer, &bare, config, managed, true),
                conflicts => Err(Refused::Conflicts(conflicts)),
            }
        }
        done => done,
    };
    let Merged { mut object, managed, changed } = done?;
    if last_applied::belongs_to(writer.manager) {
        last_applied::follow(&mut object, config);
    }
    managed.write_into(&mut object);
    Ok(Applied { object, changed })
}

/// An object without its managers.
pub(in crate::registry) fn without(live: &Value) -> Value {
    let mut bare = live.clone();
    metadata_mut(&mut bare).remove("managedFields");
    bare
}

struct Merged {
    object: Value,
    managed: Managed,
    changed: bool,
}

/// The merged object and its managers.
fn attempt(
    writer: &Writer<'_>,
    live: &Value,
    config: &Value,
    mut managed: Managed,
    force: bool,
) -> Result<Merged, Refused> {
    let place = writer.versions.kind.place();
    reconcile(writer.versions, live, &mut managed).map_err(Refused::Unconvertible)?;
    let mut fields = fields::collect(place, config);
    if let Some(resets) = writer.resets {
        fields = fields.without(resets);
    }
    let own = Entry {
        manager: writer.manager.into(),
        applied: true,
        api_version: writer.versions.kind.api_version.clone(),
        subresource: writer.subresource.into(),
        time: None,
        fields,
    };
    let at = managed.entries.iter().position(|entry| entry.is_same(&own));
    let last = at.map(|at| managed.entries.swap_remove(at));
    let mut merged = fields::merge(place, live.clone(), config.clone());
    if let Some(last) = &last {
        merged = prune(writer, merged, &managed, &own, last)
            .map_err(|why| Refused::Unconvertible(format!("failed to prune fields: {why}")))?;
    }
    let mut conflicts = Vec::new();
    let mut changes = Changes::by_apply(writer, live, &merged);
    managed.entries.retain_mut(|entry| {
        let Some(change) = changes.at(&entry.api_version) else { return false };
        let taken = entry.fields.intersection(&change.modified).union(entry.fields.intersection(&change.added));
        if !taken.is_empty() {
            conflicts.push((entry.identifier(), entry.to_string(), taken.paths()));
        }
        entry.fields = std::mem::take(&mut entry.fields).difference(&taken).difference(&change.removed);
        !entry.fields.is_empty()
    });
    changes.judge().map_err(Refused::Unconvertible)?;
    if !force && !conflicts.is_empty() {
        conflicts.sort_by(|one, other| one.0.cmp(&other.0));
        let of_owner = |(_, owner, paths): (Vec<u8>, String, Vec<Path>)| {
            paths.into_iter().map(move |path| Conflict { owner: owner.clone(), path })
        };
        return Err(Refused::Conflicts(conflicts.into_iter().flat_map(of_owner).collect()));
    }
    let changed = !fields::same(live, &merged);
    let fields = strip(own.fields);
    if !fields.is_empty() {
        let time = if changed { Some(writer.now.into()) } else { last.and_then(|last| last.time) };
        managed.entries.push(Entry { fields, time, ..own });
    }
    Ok(Merged { object: merged, managed, changed })
}

/// Takes away what this applier applied the last time and not this time, as far as nobody else owns it.
fn prune(writer: &Writer<'_>, merged: Value, others: &Managed, own: &Entry, last: &Entry) -> Result<Value, String> {
    let versions = writer.versions;
    if last.api_version == own.api_version && last.fields.clone().difference(&own.fields).is_empty() {
        return Ok(merged);
    }
    let written = versions.written();
    let Some(kind) = versions.kind_at(&last.api_version) else { return Ok(merged) };
    let full = match versions.convert(&merged, written, &last.api_version) {
        Ok(full) => full.into_owned(),
        Err(refused) => {
            let why = refused.told("failed to convert merged object to last applied version: ");
            return why.map_or(Ok(merged), Err);
        }
    };
    let named = |set: &Set| fields::with_named(kind.place(), set);
    let (all, gone) = (named(&fields::collect(kind.place(), &full)), named(&last.fields));
    let mut pruned = fields::remove(kind.place(), full.clone(), &gone);
    // What others own comes back: first in the version of what was pruned, then in theirs.
    let mut owned: BTreeMap<&str, Vec<Set>> = BTreeMap::new();
    for entry in others.entries.iter().chain([own]) {
        owned.entry(&entry.api_version).or_default().push(entry.fields.clone());
    }
    let mut owned: Vec<_> = owned.into_iter().collect();
    owned.sort_by_key(|(version, _)| *version != last.api_version);
    for (version, sets) in owned {
        match bring_back(writer, &full, &pruned, &last.api_version, version, &Set::union_of(sets)) {
            Ok(back) => pruned = back,
            Err(Unconvertible::Gone) => {}
            Err(Unconvertible::Unknown(why)) => return Err(format!("failed add back owned items: {why}")),
        }
    }
    // Only what this applier has applied goes.
    let kept = named(&fields::collect(kind.place(), &pruned));
    let dropped = all.difference(&kept).intersection(&gone);
    let pruned = fields::remove(kind.place(), full, &dropped);
    match versions.convert(&pruned, &last.api_version, written) {
        Ok(pruned) => Ok(pruned.into_owned()),
        Err(refused) => refused.told("").map_or(Ok(merged), Err),
    }
}

/// The full object without what the pruned one lacks and nobody owns, by way of another version.
fn bring_back(
    writer: &Writer<'_>,
    full: &Value,
    pruned: &Value,
    of: &str,
    version: &str,
    owned: &Set,
) -> Result<Value, Unconvertible> {
    let versions = writer.versions;
    let kind = versions.kind_at(version).ok_or(Unconvertible::Gone)?;
    let place = kind.place();
    let seen = |object, which: &str| match versions.convert(object, of, version) {
        Err(Unconvertible::Unknown(why)) => {
            Err(Unconvertible::Unknown(format!("failed to convert {which} object at version {version}: {why}")))
        }
        done => done,
    };
    let (full, pruned) = (seen(full, "merged")?, seen(pruned, "pruned")?);
    let named = |value: &Value| fields::with_named(place, &fields::collect(place, value));
    let gone = named(&full).difference(&named(&pruned)).difference(&fields::with_named(place, owned));
    let back = fields::remove(place, full.into_owned(), &gone);
    versions.convert(&back, version, of).map(Cow::into_owned)
}
