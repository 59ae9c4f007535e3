//! The optimistic loop: current object, change, admission, checks, compare-and-set; again where it changed meanwhile.

use super::admit::{Intent, Operation, Question};
use super::behaviour::{Deletion, Part, Scene};
use super::catalog::Resource;
use super::create::{
    Object, default, default_applied, drop_gated, record_settled, said, unite_owners, valid, valid_as, warn,
};
use super::list::version_number;
use super::managers::{self, Versions, Writer};
use super::{Registry, encoding, failure, metadata, services};
use crate::codec::{depth, mismatch};
use crate::schema::amounts::counted;
use crate::schema::{self, raw};
use crate::store::contract::{CommitError, Expect, Write};
use crate::store::entry::Entry;
use crate::validation;
use serde_json::Value;
use std::sync::Arc;
use tinyplane_wire::gvr::Gvk;
use tinyplane_wire::meta::{Meta, metadata_mut};
use tinyplane_wire::net::ClusterNet;
use tinyplane_wire::status::{self, Cause, Reason, Status};

/// How often a change is tried on ever newer objects before its caller is told of the conflict. Upstream tries until the
/// request's time is over; each lost attempt is one that somebody else has won.
const ATTEMPTS_MAX: usize = 128;

/// Where a change goes.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The row.
    pub resource: &'a Resource,
    /// The namespace; empty for kinds without one.
    pub namespace: &'a str,
    /// The object's name.
    pub name: &'a str,
    /// The subresource; empty for the object itself.
    pub subresource: &'a str,
    /// Which part may change.
    pub part: Part,
    /// Whether the whole object was sent: it must then say which version it replaces, where the kind demands that, and
    /// may be created where the kind allows that.
    pub replaces: bool,
    /// Whether what is not there is created, whatever its kind: by an apply.
    pub creates: bool,
    /// Whether the change itself says who manages the new object's fields.
    pub manages: bool,
}

/// What an update did.
#[derive(Clone, Debug)]
pub struct Updated {
    /// The object as it is now.
    pub object: Object,
    /// Whether it was not there before.
    pub created: bool,
}

impl Registry {
    /// Changes an object. `change` makes the new object from the current one, in the version that the row serves,
    /// decoded but without defaults; it is called again for every attempt.
    ///
    /// # Errors
    /// Those of `change`; the object is refused, not there, or not as the caller thinks.
    pub async fn update(
        &self,
        target: &Target<'_>,
        intent: &Intent<'_>,
        change: &mut (dyn FnMut(Option<&Value>) -> status::Result<Value> + Send),
    ) -> status::Result<Updated> {
        let resource = target.resource;
        let key = resource.key(target.namespace, target.name);
        for attempt in 1.. {
            let Some(entry) = self.store.snapshot().get(&key).cloned() else {
                let creates = resource.behaviour.create_on_update;
                if creates && target.replaces || target.creates && (creates || target.subresource.is_empty()) {
                    let mut object = change(None)?;
                    unbind(target, &mut object, intent)?;
                    metadata_mut(&mut object).entry("name").or_insert_with(|| target.name.into());
                    let object = self.create_managed(target, object, intent).await?;
                    return Ok(Updated { object, created: true });
                }
                return Err(Status::not_found(&resource.gvk.group, &resource.plural, target.name));
            };
            match self.attempt(target, intent, &entry, change).await? {
                Attempt::Done(object) => return Ok(Updated { object, created: false }),
                Attempt::Stale if attempt < ATTEMPTS_MAX => {}
                Attempt::Stale => return Err(self.modified(target)),
            }
        }
        unreachable!("the loop ends by returning")
    }

    async fn attempt(
        &self,
        target: &Target<'_>,
        intent: &Intent<'_>,
        entry: &Arc<Entry>,
        change: &mut (dyn FnMut(Option<&Value>) -> status::Result<Value> + Send),
    ) -> status::Result<Attempt> {
        let resource = target.resource;
        let mut old = encoding::parse_folded(entry)?;
        if let Some(id) = resource.raws() {
            raw::fold(schema::model(), id, &mut old);
        }
        let served = encoding::served(resource, &old);
        let mut new = change(Some(&served))?;
        let is_gated = match target.creates {
            // What an apply leaves as it is seen in another version is not completed by that.
            true if is_other_version(resource) && is_all_but_managers(&new, &served) => false,
            true => default_applied(resource, &mut new),
            false => default(resource, &mut new),
        };
        self.manage(target, intent, &served, &mut new);
        // Stored it is what it is; what it says to be is judged with all else.
        let judged = resource.custom.is_some() && target.part == Part::Main;
        let wrong = if judged { mismatch::of_custom(&resource.gvk, &new) } else { Vec::new() };
        let said = (!wrong.is_empty()).then(|| (said(&new), wrong));
        drop_gated(resource, &mut new, is_gated);
        let mut new = encoding::store(resource, new);
        let bound = self.preconditions(target, &mut new, &old, intent.dry_run)?;
        // A custom object is what it is seen as: nobody has changed what is completed and pruned on the way, and no more of it is kept
        // than the version knows that is written.
        let before = if resource.custom.is_some() { &*served } else { &old };
        restrict(target, &mut new, before);
        unite_owners(&mut new, !target.replaces, intent);
        metadata::carry_over(&mut new, &old);
        let question = Question {
            operation: Operation::Update,
            resource,
            subresource: target.subresource,
            namespace: target.namespace,
            name: target.name,
            generated: None,
            old: Some(&old),
            intent,
            registry: self,
        };
        intent.admission.mutate(&question, &mut new).await?;
        let now = self.clock.timestamp();
        let scene = Scene {
            part: target.part,
            subresource: target.subresource,
            caller: intent.caller,
            now: &now,
            warnings: intent.warnings,
        };
        (resource.behaviour.prepare)(&mut new, Some(&old), &scene);
        if target.subresource != "binding" {
            // Being given a node is the one change of a pod's spec that does not count.
            let kind = (resource.behaviour, resource.stored_type_id);
            metadata::count(kind, &mut new, Some(before), target.part != Part::Status);
        }
        let allocated = services::allocate(self, resource, &mut new, Some(&old), intent.dry_run).await?;
        self.check(target, intent.admission.cluster_net(), &new, before, said)?;
        if target.part == Part::Main || target.subresource == "scale" {
            warn(resource, &new, Some(&old), intent);
        }
        intent.admission.validate(&question, &new).await?;
        managers::unite_times(&mut new, &old);
        depth::demand(&new, resource.is_bounded())?;
        // What ends here is answered as it was written.
        let gone = (is_other_version(resource) && is_to_go(resource, &new)).then(|| {
            let mut gone = new.clone();
            gone["apiVersion"] = resource.gvk.api_version().into();
            gone
        });
        encoding::read_back(resource, &mut new)?;
        self.commit(target, intent, Judged { entry, old: &old, new, bound, allocated, gone }).await
    }

    /// Stores what was judged, as long as the object is the one that it was judged by.
    async fn commit(&self, target: &Target<'_>, intent: &Intent<'_>, judged: Judged<'_>) -> status::Result<Attempt> {
        let resource = target.resource;
        let Judged { entry, old, mut new, bound, allocated, gone } = judged;
        if intent.dry_run {
            encoding::settle(resource, &mut new);
            return Ok(Attempt::Done(Object::of(gone.unwrap_or(new))));
        }
        // Upstream's store takes a link out, and so behind what a dry run sees.
        metadata_mut(&mut new).remove("selfLink");
        let body = encoding::body(resource, &new);
        let goes = is_to_go(resource, &new);
        if goes {
            encoding::settle(resource, &mut new);
        }
        if entry.holds(&body) && !goes {
            return Ok(Attempt::Done(Object::Stored(entry.clone())));
        }
        let key = entry.key.clone();
        let write = match goes {
            true => Write::delete(key, Expect::At(entry.modified)),
            false => Write::update(key, entry.modified, body),
        };
        match self.store.commit(write).await {
            Ok(committed) => {
                allocated.keep();
                services::release_unused(self, resource, old, (!goes).then_some(&new)).await;
                Ok(Attempt::Done(if goes { Object::of(gone.unwrap_or(new)) } else { Object::Stored(committed.entry) }))
            }
            Err(CommitError::Stale { .. }) if bound => Err(self.modified(target)),
            Err(CommitError::Stale { .. } | CommitError::Missing { .. }) => Ok(Attempt::Stale),
            Err(error) => Err(failure::commit(resource, target.name, &error)),
        }
    }

    /// Writes into the new object who manages its fields.
    fn manage(&self, target: &Target<'_>, intent: &Intent<'_>, live: &Value, new: &mut Value) {
        if target.manages {
            return;
        }
        // Upstream can't look at what says to be something else, and then nobody manages anything.
        let (gvk, version) = (&target.resource.gvk, &target.resource.api_version);
        let says_else = |field: &str, wanted: &str| new[field].as_str().is_some_and(|said| said != wanted);
        if target.resource.custom.is_some() && (says_else("kind", &gvk.kind) || says_else("apiVersion", version)) {
            metadata_mut(new).remove("managedFields");
            return;
        }
        let Some(manager) = intent.manager else {
            match &live["metadata"]["managedFields"] {
                Value::Null => drop(metadata_mut(new).remove("managedFields")),
                kept => drop(metadata_mut(new).insert("managedFields".into(), kept.clone())),
            }
            return;
        };
        let resets = managers::resets(target.resource, target.part, target.subresource);
        let catalog = self.catalog();
        let writer = Writer {
            manager,
            subresource: target.subresource,
            now: &self.clock.timestamp(),
            versions: &Versions::of(&catalog, target.resource),
            resets: resets.as_ref(),
        };
        let live = raw::unfolded(schema::model(), target.resource.raws(), live);
        record_settled(target.resource, new, |new| managers::record(&writer, Some(&live), new));
    }

    /// Judges the resource version and the uid that the caller sent. True when the caller is bound to the version.
    fn preconditions(&self, target: &Target<'_>, new: &mut Value, old: &Value, dry_run: bool) -> status::Result<bool> {
        let resource = target.resource;
        let (uid, known) = (Meta::of(new).uid(), Meta::of(old).uid());
        // What a patch makes of it is told with all that is wrong.
        if !uid.is_empty() && uid != known && target.replaces {
            return Err(another_uid(target, uid, known, dry_run));
        }
        let (sent, current) = (Meta::of(new).resource_version(), Meta::of(old).resource_version());
        // The version 0 is none.
        let number = if sent.is_empty() { Ok(0) } else { version_number(sent) };
        let sent = if number == Ok(0) { "" } else { sent };
        let bound = target.replaces && !sent.is_empty();
        if sent.is_empty() {
            if target.replaces && target.subresource != "scale" && !resource.behaviour.unconditional_update {
                let cause = Cause {
                    reason: "FieldValueInvalid".into(),
                    message: "Invalid value: 0: must be specified for an update".into(),
                    field: "metadata.resourceVersion".into(),
                };
                return Err(Status::invalid(&resource.gvk.group, &resource.plural, target.name, vec![cause]));
            }
        } else if let Err(wrong) = number {
            return Err(Status::failure(Reason::Unknown, wrong));
        } else if sent != current {
            return Err(self.modified(target));
        }
        let current = current.to_owned();
        metadata_mut(new).insert("resourceVersion".into(), current.into());
        Ok(bound)
    }

    fn check(
        &self,
        target: &Target<'_>,
        net: Option<&ClusterNet>,
        new: &Value,
        old: &Value,
        said: Option<(Gvk, Vec<Cause>)>,
    ) -> status::Result<()> {
        let resource = target.resource;
        let mut errors = validation::Errors::default();
        let (group, kind) = (&resource.gvk.group, &resource.gvk.kind);
        let what = (group.as_str(), kind.as_str(), target.subresource);
        validation::metadata::check_change(what, (new, old), resource.behaviour.name, resource.namespaced, &mut errors);
        if let Some((said, wrong)) = said {
            return valid_as(|| said, target.name, errors.into_causes().into_iter().chain(wrong).collect());
        }
        if let Some(custom) = &resource.custom {
            match target.part {
                Part::Status => custom.structural.check_status(new, old, &mut errors),
                Part::Main | Part::Other => custom.structural.check_update(new, old, &mut errors),
            }
            if let Some(scale) = &custom.scale {
                if target.part != Part::Status {
                    scale.check_spec(new, &mut errors);
                }
                scale.check_status(new, &mut errors);
            }
        }
        if target.part == Part::Status {
            self.check_admin_access(resource, (new, Some(old)), &mut errors)?;
        }
        let mut causes = errors.into_causes();
        let of_kind = |new: &Value, old: &Value| match target.part {
            Part::Main => validation::update(group, kind, new, old, net),
            Part::Status | Part::Other => validation::update_part(group, kind, target.subresource, new, old),
        };
        let mut wrong = of_kind(new, old);
        if let (false, Some(id)) = (wrong.is_empty(), resource.stored_type_id) {
            // Upstream compares quantities by their amounts: another text of the same is no change. Few updates come here.
            let [new, old] = [new, old].map(|object| counted(schema::model(), id, object));
            if of_kind(&new, &old).is_empty() {
                wrong.clear();
            }
        }
        causes.extend(wrong);
        valid(resource, target.name, causes)
    }

    fn modified(&self, target: &Target<'_>) -> Box<Status> {
        let resource = target.resource;
        Status::conflict(&resource.gvk.group, &resource.plural, target.name, failure::MODIFIED)
    }
}

/// What an object that is to be created says of the one that it thinks is there. Upstream judges it as if one were, and then
/// minds no version.
fn unbind(target: &Target<'_>, object: &mut Value, intent: &Intent<'_>) -> status::Result<()> {
    demand_version(Meta::of(object).resource_version())?;
    if target.replaces && !Meta::of(object).uid().is_empty() {
        return Err(another_uid(target, Meta::of(object).uid(), "", intent.dry_run));
    }
    if !intent.dry_run {
        metadata_mut(object).remove("resourceVersion");
    }
    Ok(())
}

/// Demands that a version is a number, or nothing.
fn demand_version(sent: &str) -> status::Result<()> {
    if sent.is_empty() {
        return Ok(());
    }
    version_number(sent).map(drop).map_err(|wrong| Status::failure(Reason::Unknown, wrong))
}

/// How an object is refused that has another uid than the one that is there.
fn another_uid(target: &Target<'_>, sent: &str, known: &str, dry_run: bool) -> Box<Status> {
    let resource = target.resource;
    let why = format!(
        "StorageError: invalid object, Code: 4, Key: {}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {sent}, UID in object meta: {known}",
        upstream_key(target, dry_run)
    );
    Status::conflict(&resource.gvk.group, &resource.plural, target.name, &why)
}

/// Where upstream keeps an object: not by its group, where that is its own, and by some names of old. A dry run comes only to the room
/// before the store, where the key has no prefix yet.
fn upstream_key(target: &Target<'_>, dry_run: bool) -> String {
    let resource = target.resource;
    let (group, plural) = (resource.stored.group.as_str(), resource.plural.as_str());
    let own = resource.custom.is_some() || ["apiextensions.k8s.io", "apiregistration.k8s.io"].contains(&group);
    let folder = match (group, plural) {
        ("", "replicationcontrollers") => "controllers",
        ("", "endpoints") => "services/endpoints",
        ("", "services") => "services/specs",
        ("", "nodes") => "minions",
        ("networking.k8s.io", "ingresses") => "ingress",
        _ => plural,
    };
    let prefix = if dry_run { "" } else { "/registry" };
    let mut key = if own { format!("{prefix}/{group}/{folder}/") } else { format!("{prefix}/{folder}/") };
    if resource.namespaced {
        key.extend([target.namespace, "/"]);
    }
    key + target.name
}

/// An update that nothing speaks against.
struct Judged<'a> {
    entry: &'a Arc<Entry>,
    old: &'a Value,
    new: Value,
    /// The caller is bound to the version that it sent.
    bound: bool,
    allocated: services::Allocated,
    /// What is answered of an object that ends in another version than it is stored in.
    gone: Option<Value>,
}

/// Whether a row shows a custom object in another version than it is stored in.
fn is_other_version(resource: &Resource) -> bool {
    resource.custom.is_some() && !resource.is_stored_version()
}

/// Whether two objects differ in their managers alone.
fn is_all_but_managers(one: &Value, other: &Value) -> bool {
    managers::without(one) == managers::without(other)
}

enum Attempt {
    Done(Object),
    Stale,
}

/// Undoes what the target may not change: the status, or everything but the status and metadata.
fn restrict(target: &Target<'_>, new: &mut Value, old: &Value) {
    let put = |new: &mut Value, field: &str| match (old.get(field), new.as_object_mut()) {
        (Some(value), Some(fields)) if fields.get(field) == Some(value) => {}
        (Some(value), Some(fields)) => drop(fields.insert(field.to_owned(), value.clone())),
        (None, Some(fields)) => drop(fields.remove(field)),
        (_, None) => {}
    };
    match target.part {
        Part::Main if target.resource.behaviour.has_status => put(new, "status"),
        Part::Status => {
            target.resource.behaviour.status_resets.iter().for_each(|path| keep_metadata(new, old, path));
            // Of a custom object upstream takes nothing but the status and its managers over into the old one.
            if target.resource.custom.is_some() {
                keep_metadata(new, old, &["metadata", "generateName"]);
            }
            let fields = new.as_object().into_iter().chain(old.as_object()).flat_map(|fields| fields.keys().cloned());
            let others = fields.filter(|field| !["metadata", "status", "kind", "apiVersion"].contains(&field.as_str()));
            others.collect::<Vec<_>>().iter().for_each(|field| put(new, field));
        }
        Part::Main | Part::Other => {}
    }
}

/// Puts back the metadata that a path names: all, or one field.
fn keep_metadata(new: &mut Value, old: &Value, path: &[&str]) {
    let (metadata, before) = (metadata_mut(new), &old["metadata"]);
    let mut put = |field: &str| match before.get(field) {
        Some(value) => drop(metadata.insert(field.to_owned(), value.clone())),
        None => drop(metadata.remove(field)),
    };
    match path {
        ["metadata"] => KEPT.iter().for_each(|field| put(field)),
        ["metadata", field] => put(field),
        _ => {}
    }
}

/// What is put back of the metadata where a status may change nothing of it.
const KEPT: [&str; 6] =
    ["deletionTimestamp", "deletionGracePeriodSeconds", "labels", "annotations", "finalizers", "ownerReferences"];

/// Whether an object that is being deleted has nothing left to wait for.
pub(super) fn is_to_go(resource: &Resource, object: &Value) -> bool {
    let meta = Meta::of(object);
    let grace = object["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or_default();
    let emptied = match resource.behaviour.deletion {
        Deletion::Emptied => object["spec"]["finalizers"].as_array().is_none_or(Vec::is_empty),
        Deletion::AtOnce | Deletion::Graceful(_) | Deletion::Drained(_) => true,
    };
    meta.is_deleting() && meta.finalizers().next().is_none() && grace == 0 && emptied
}
