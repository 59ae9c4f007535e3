//! Server-side apply: what is applied, merged into what is there, by the rules of who owns what.

use super::entry::{Entry, Managed, Unreadable};
use super::update::{Changes, misfit, reconcile, strip, updated};
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
            Self::Shape { .. } | Self::Live { .. } | Self::Managers(_) => {
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

fn kind_of(object: &Value) -> String {
    let text = |name: &str| object[name].as_str().unwrap_or_default();
    let gvk = Gvk::parse(text("apiVersion"), text("kind"));
    format!("{}/{}, Kind={}", gvk.group, gvk.version, gvk.kind)
}

fn told(conflicts: &[Conflict]) -> Box<Status> {
    let text = |path: &Path| path.iter().map(ToString::to_string).collect::<String>();
    let mut causes = Vec::with_capacity(conflicts.len());
    let mut by_owner: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for conflict in conflicts {
        let field = text(&conflict.path);
        by_owner.entry(&conflict.owner).or_default().push(format!("- {field}"));
        let message = format!("conflict with {}", conflict.owner);
        causes.push(Cause { reason: "FieldManagerConflict".into(), message, field });
    }
    let message = match causes.as_slice() {
        [one] => format!("Apply failed with 1 conflict: {}: {}", one.message, one.field),
        all => {
            let owners =
                by_owner.iter().map(|(owner, fields)| format!("conflicts with {owner}:\n{}", fields.join("\n")));
            let owners: Vec<_> = owners.collect();
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
    let text = |name: &str| config[name].as_str().unwrap_or_default();
    if text("apiVersion") != kind.api_version || text("kind") != kind.gvk.kind {
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
        managed = updated(&before, &fields::zero(place), &live, managed);
    }
    let bare = without_managers(&live);
    let done = match attempt(writer, &bare, config, managed.clone(), force) {
        Err(conflicts) if last_applied::belongs_to(writer.manager) => {
            match last_applied::unexpected(writer, &bare, conflicts) {
                conflicts if conflicts.is_empty() => attempt(writer, &bare, config, managed, true),
                conflicts => Err(conflicts),
            }
        }
        done => done,
    };
    let Merged { mut object, managed, changed } = done.map_err(Refused::Conflicts)?;
    if last_applied::belongs_to(writer.manager) {
        last_applied::follow(&mut object, config);
    }
    managed.write_into(&mut object);
    Ok(Applied { object, changed })
}

fn without_managers(live: &Value) -> Value {
    let mut bare = live.clone();
    metadata_mut(&mut bare).remove("managedFields");
    bare
}

struct Merged {
    object: Value,
    managed: Managed,
    changed: bool,
}

/// The merged object and its managers, or the conflicts.
fn attempt(
    writer: &Writer<'_>,
    live: &Value,
    config: &Value,
    mut managed: Managed,
    force: bool,
) -> Result<Merged, Vec<Conflict>> {
    let place = writer.versions.kind.place();
    reconcile(writer.versions, &mut managed);
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
        merged = prune(writer, merged, &managed, &own, last);
    }
    let mut conflicts = Vec::new();
    let mut changes = Changes::by_apply(writer, live, &merged);
    managed.entries.sort_by(|one, other| (&one.manager, one.applied).cmp(&(&other.manager, other.applied)));
    managed.entries.retain_mut(|entry| {
        let Some(change) = changes.at(&entry.api_version) else { return false };
        let taken = entry.fields.intersection(&change.modified).union(entry.fields.intersection(&change.added));
        conflicts.extend(taken.paths().into_iter().map(|path| Conflict { owner: entry.to_string(), path }));
        entry.fields = std::mem::take(&mut entry.fields).difference(&taken).difference(&change.removed);
        !entry.fields.is_empty()
    });
    if !force && !conflicts.is_empty() {
        return Err(conflicts);
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
fn prune(writer: &Writer<'_>, merged: Value, others: &Managed, own: &Entry, last: &Entry) -> Value {
    let versions = writer.versions;
    if last.api_version == own.api_version && last.fields.clone().difference(&own.fields).is_empty() {
        return merged;
    }
    let written = versions.written();
    let Some(kind) = versions.kind_at(&last.api_version) else { return merged };
    let Some(full) = versions.convert(&merged, written, &last.api_version).map(Cow::into_owned) else { return merged };
    let named = |set: &Set| fields::with_named(kind.place(), set);
    let (all, gone) = (named(&fields::collect(kind.place(), &full)), named(&last.fields));
    let mut pruned = fields::remove(kind.place(), full.clone(), &gone);
    // What others own comes back: first in the version of what was pruned, then in theirs.
    let mut owned: BTreeMap<&str, Set> = BTreeMap::new();
    for entry in others.entries.iter().chain([own]) {
        let set = owned.entry(&entry.api_version).or_default();
        *set = std::mem::take(set).union(entry.fields.clone());
    }
    let mut owned: Vec<_> = owned.into_iter().collect();
    owned.sort_by_key(|(version, _)| *version != last.api_version);
    for (version, set) in owned {
        if let Some(back) = bring_back(writer, &full, &pruned, &last.api_version, version, &set) {
            pruned = back;
        }
    }
    // Only what this applier has applied goes.
    let kept = named(&fields::collect(kind.place(), &pruned));
    let dropped = all.difference(&kept).intersection(&gone);
    let pruned = fields::remove(kind.place(), full, &dropped);
    versions.convert(&pruned, &last.api_version, written).map_or(merged, Cow::into_owned)
}

/// The full object without what the pruned one lacks and nobody owns, by way of another version.
fn bring_back(
    writer: &Writer<'_>,
    full: &Value,
    pruned: &Value,
    of: &str,
    version: &str,
    owned: &Set,
) -> Option<Value> {
    let versions = writer.versions;
    let kind = versions.kind_at(version)?;
    let place = kind.place();
    let (full, pruned) = (versions.convert(full, of, version)?, versions.convert(pruned, of, version)?);
    let named = |value: &Value| fields::with_named(place, &fields::collect(place, value));
    let gone = named(&full).difference(&named(&pruned)).difference(&fields::with_named(place, owned));
    let back = fields::remove(place, full.into_owned(), &gone);
    versions.convert(&back, version, of).map(Cow::into_owned)
}
