//! Deletes objects: preconditions, propagation, finalizers, grace; or marks them until nothing holds them.

use super::admit::{Intent, Operation, Question};
use super::behaviour::Deletion;
use super::catalog::Resource;
use super::create::Object;
use super::list::{Ask, Page};
use super::selection::{Selection, names_in};
use super::update::is_to_go;
use super::{Registry, encoding, failure, metadata, services};
use crate::schema::go;
use crate::store::contract::{CommitError, Expect, Write};
use crate::store::entry::Entry;
use serde_json::{Value, json};
use std::sync::Arc;
use tinyplane_wire::meta::{Meta, metadata_mut};
use tinyplane_wire::status::{self, Cause, Reason, Status};

/// How often a deletion is tried on ever newer objects.
const ATTEMPTS_MAX: usize = 16;
const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";

/// What happens to the objects that the deleted one owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// They are kept.
    Orphan,
    /// They go afterwards.
    Background,
    /// They go first.
    Foreground,
}

/// `metav1.DeleteOptions`.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How many seconds the object is given.
    pub grace_seconds: Option<i64>,
    /// The uid that the object must have.
    pub uid: Option<String>,
    /// The resource version that the object must have.
    pub resource_version: Option<String>,
    /// What happens to what it owns.
    pub propagation: Option<Propagation>,
}

/// What a deletion did.
#[derive(Clone, Debug)]
pub struct Deleted {
    /// The object, as it was last or as it is now.
    pub object: Object,
    /// Whether it is gone.
    pub gone: bool,
}

enum Step {
    Done(Deleted),
    Stale,
}

impl Registry {
    /// Deletes an object, or begins to.
    ///
    /// # Errors
    /// It is not there, not as the caller thinks, or may not go.
    pub async fn delete(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
        options: &Options,
        intent: &Intent<'_>,
    ) -> status::Result<Deleted> {
        let key = resource.key(namespace, name);
        for _ in 0..ATTEMPTS_MAX {
            let missing = || Status::not_found(&resource.gvk.group, &resource.plural, name);
            let entry = self.store.snapshot().get(&key).cloned().ok_or_else(missing)?;
            if let Step::Done(deleted) = self.step(resource, &entry, options, intent).await? {
                return Ok(deleted);
            }
        }
        Err(Status::conflict(&resource.gvk.group, &resource.plural, name, failure::MODIFIED))
    }

    /// Deletes everything that is selected, and answers what was there.
    ///
    /// # Errors
    /// The first object that could not be deleted; what went before stays deleted.
    pub async fn delete_collection(
        &self,
        resource: &Resource,
        selection: &Selection,
        ask: &Ask,
        options: &Options,
        intent: &Intent<'_>,
    ) -> status::Result<Page> {
        let page = self.list(resource, selection, ask)?;
        for entry in &page.entries {
            let (namespace, name) = names_in(resource, &entry.key);
            match self.delete(resource, namespace, name, options, intent).await {
                Err(status) if status.reason != Reason::NotFound => return Err(status),
                _ => {}
            }
        }
        Ok(page)
    }

    async fn step(
        &self,
        resource: &Resource,
        entry: &Arc<Entry>,
        options: &Options,
        intent: &Intent<'_>,
    ) -> status::Result<Step> {
        let old = encoding::parse(entry)?;
        let (namespace, name) = names_in(resource, &entry.key);
        if let Some(why) = (resource.behaviour.stays)(&old) {
            return Err(Status::forbidden(&resource.gvk.group, &resource.plural, name, why));
        }
        options.admit(resource, name, &old)?;
        let question = Question {
            operation: Operation::Delete,
            resource,
            subresource: "",
            namespace,
            name,
            generated: None,
            old: Some(&old),
            intent,
            registry: self,
        };
        intent.admission.validate(&question, &Value::Null).await?;
        let Some(mut new) = self.marked(resource, &old, options)? else {
            // It is on its way, and this deletion changes nothing about that.
            return Ok(Step::Done(Deleted { object: Object::Stored(entry.clone()), gone: false }));
        };
        let gone = is_to_go(resource, &new);
        if intent.dry_run {
            // What goes at once goes unmarked.
            let at_once = gone && !matches!(resource.behaviour.deletion, Deletion::Graceful(_));
            return Ok(Step::Done(Deleted { object: Object::Value(if at_once { old } else { new }), gone }));
        }
        let key = entry.key.clone();
        let write = match gone {
            true => Write::delete(key, Expect::At(entry.modified)),
            false => Write::update(key, entry.modified, encoding::body(resource, &new)),
        };
        match self.store.commit(write).await {
            Ok(committed) => {
                if gone {
                    services::release_unused(self, resource, &old, None).await;
                }
                let object = match resource.behaviour.deletion {
                    // A pod that goes at once is answered as it was marked.
                    Deletion::Graceful(_) if gone => {
                        let version = committed.entry.modified.to_string();
                        metadata_mut(&mut new).insert("resourceVersion".into(), version.into());
                        Object::Value(new)
                    }
                    _ => Object::Stored(committed.entry),
                };
                Ok(Step::Done(Deleted { object, gone }))
            }
            Err(CommitError::Stale { .. }) => Ok(Step::Stale),
            Err(error) => Err(failure::commit(resource, name, &error)),
        }
    }

    /// The object marked for deletion; `None` when it is marked already and nothing more follows from this request.
    fn marked(&self, resource: &Resource, old: &Value, options: &Options) -> status::Result<Option<Value>> {
        let mut new = old.clone();
        let owned = if resource.behaviour.owns_nothing { Some(Propagation::Background) } else { options.propagation };
        let changed = set_finalizers(&mut new, owned, resource.behaviour.orphans);
        let was_deleting = Meta::of(old).is_deleting();
        if matches!(resource.behaviour.deletion, Deletion::Emptied) {
            return self.marked_namespace(resource, old, new, changed);
        }
        let grace = match resource.behaviour.deletion {
            Deletion::Graceful(grace) => grace(old, options.grace_seconds),
            Deletion::AtOnce | Deletion::Emptied | Deletion::Drained(_) => 0,
        };
        if !was_deleting {
            metadata::mark_deleting(&mut new, &self.clock, grace);
            if let Deletion::Drained(mark) = resource.behaviour.deletion {
                // The time is all that is noted then.
                let generation = old["metadata"]["generation"].clone();
                let metadata = metadata_mut(&mut new);
                metadata.remove("deletionGracePeriodSeconds");
                match generation {
                    Value::Null => metadata.remove("generation"),
                    generation => metadata.insert("generation".into(), generation),
                };
                mark(&mut new, &self.clock.timestamp());
            }
            return Ok(Some(new));
        }
        let left = old["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or_default();
        if grace < left {
            shorten(&mut new, grace, left);
            return Ok(Some(new));
        }
        Ok((changed || is_to_go(resource, &new)).then_some(new))
    }

    fn marked_namespace(
        &self,
        resource: &Resource,
        old: &Value,
        mut new: Value,
        changed: bool,
    ) -> status::Result<Option<Value>> {
        if !Meta::of(old).is_deleting() {
            metadata::mark_deleting(&mut new, &self.clock, 0);
            metadata_mut(&mut new).remove("deletionGracePeriodSeconds");
            new["status"]["phase"] = json!("Terminating");
            return Ok(Some(new));
        }
        Ok((changed || is_to_go(resource, &new)).then_some(new))
    }
}

/// Less time than was given at first.
fn shorten(object: &mut Value, grace: i64, left: i64) {
    let fields = metadata_mut(object);
    let at = fields.get("deletionTimestamp").and_then(Value::as_str).and_then(tinyplane_wire::clock::parse);
    if let Some(at) = at {
        let earlier = at - metadata::grace(left).saturating_sub(metadata::grace(grace));
        fields.insert("deletionTimestamp".into(), tinyplane_wire::clock::format_seconds(earlier).into());
    }
    fields.insert("deletionGracePeriodSeconds".into(), grace.into());
}

/// Sets or removes the finalizers that propagation stands for. True when they changed. Some kinds leave what they own
/// behind unless something else is said, now or before.
fn set_finalizers(object: &mut Value, propagation: Option<Propagation>, orphans: bool) -> bool {
    let before: Vec<String> = Meta::of(object).finalizers().map(str::to_owned).collect();
    let is_said = before.iter().any(|name| name == ORPHAN || name == FOREGROUND);
    let wanted = match propagation {
        None if orphans && !is_said => Some(ORPHAN),
        None => return false,
        Some(Propagation::Background) => None,
        Some(Propagation::Orphan) => Some(ORPHAN),
        Some(Propagation::Foreground) => Some(FOREGROUND),
    };
    let others = before.iter().filter(|name| *name != ORPHAN && *name != FOREGROUND).cloned();
    let after: Vec<String> = others.chain(wanted.map(str::to_owned)).collect();
    let changed = after != before;
    if after.is_empty() {
        metadata_mut(object).remove("finalizers");
    } else {
        metadata_mut(object).insert("finalizers".into(), json!(after));
    }
    changed
}

impl Options {
    /// Refuses an object that is not the one which is to be deleted, or not as it was.
    ///
    /// # Errors
    /// 409, with what differs.
    pub(crate) fn admit(&self, resource: &Resource, name: &str, object: &Value) -> status::Result<()> {
        let emptied = matches!(resource.behaviour.deletion, Deletion::Emptied);
        let conflict = |what: &str, wanted: &str, found: &str, since: &str| {
            if emptied {
                // What goes in two steps is judged before the store is asked, in other words.
                let why =
                    format!("Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}");
                return Err(Status::conflict(&resource.gvk.group, &resource.plural, name, &why));
            }
            let why = format!(
                "the {what} in the precondition ({wanted}) does not match the {what} in record ({found}). The object might have been {since}"
            );
            Err(Status::conflict(&resource.stored.group, &resource.stored.kind, name, &why))
        };
        let meta = Meta::of(object);
        match (&self.uid, &self.resource_version) {
            (Some(uid), _) if uid != meta.uid() => conflict("UID", uid, meta.uid(), "deleted and then recreated"),
            (_, Some(version)) if version != meta.resource_version() => {
                conflict("ResourceVersion", version, meta.resource_version(), "modified")
            }
            _ => Ok(()),
        }
    }

    /// Reads `metav1.DeleteOptions`.
    ///
    /// # Errors
    /// 422 in upstream's words, for values that are not known or contradict each other.
    pub fn read(value: &Value) -> status::Result<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let orphan = value["orphanDependents"].as_bool();
        let dry = value["dryRun"].as_array().map(Vec::as_slice).unwrap_or_default();
        let word = value["propagationPolicy"].as_str();
        let mut causes = Vec::new();
        let mut wrong = |reason: &str, message: String| {
            causes.push(Cause { reason: reason.into(), message, field: "propagationPolicy".into() });
        };
        if let (Some(_), Some(word)) = (orphan, word) {
            let told = "orphanDependents and deletionPropagation cannot be both set";
            wrong("FieldValueInvalid", format!("Invalid value: {}: {told}", go::quote(word)));
        }
        let propagation = match (word, orphan) {
            (Some("Orphan"), _) | (None, Some(true)) => Some(Propagation::Orphan),
            (Some("Background"), _) | (None, Some(false)) => Some(Propagation::Background),
            (Some("Foreground"), _) => Some(Propagation::Foreground),
            (None, None) => None,
            (Some(other), _) => {
                let known = "supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\"";
                let shown = go::json_quoted(other);
                wrong("FieldValueNotSupported", format!("Unsupported value: {shown}: {known}"));
                None
            }
        };
        if dry.iter().any(|word| word != "All") {
            let message = format!("Unsupported value: {}: supported values: \"All\"", json!(dry));
            causes.push(Cause { reason: "FieldValueNotSupported".into(), message, field: "dryRun".into() });
        }
        if !causes.is_empty() {
            return Err(Status::invalid("meta.k8s.io", "DeleteOptions", "", causes));
        }
        Ok(Self {
            grace_seconds: value["gracePeriodSeconds"].as_i64(),
            uid: text(&value["preconditions"]["uid"]),
            resource_version: text(&value["preconditions"]["resourceVersion"]),
            propagation,
        })
    }
}
