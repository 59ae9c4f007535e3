//! The history of a template: ControllerRevisions, as DaemonSets and StatefulSets keep it.

use crate::context::Context;
use crate::hash;
use crate::kinds;
use serde_json::{Value, json};
use std::sync::Arc;
use tinyplane_wire::client::{Cache, ClientError};
use tinyplane_wire::meta::{Meta, controller_reference, map_mut};
use tinyplane_wire::selector::LabelSelector;

/// Label of a pod that says of which revision it was made.
pub(crate) const REVISION_LABEL: &str = "controller-revision-hash";

/// The revisions of one owner, in the order of their numbers.
pub(crate) fn of(cache: &Cache, owner: &Value) -> Vec<Arc<Value>> {
    let meta = Meta::of(owner);
    let mut all = cache.in_namespace(meta.namespace());
    all.retain(|revision| Meta::of(revision).controller().is_some_and(|o| o["uid"] == meta.uid()));
    all.sort_by_key(|revision| (number(revision), Meta::of(revision).name().to_owned()));
    all
}

/// The number of a revision.
pub(crate) fn number(revision: &Value) -> i64 {
    revision["revision"].as_i64().unwrap_or_default()
}

/// What a revision keeps of its owner: a patch that brings the template back.
fn data(owner: &Value) -> Value {
    let mut template = owner["spec"]["template"].clone();
    map_mut(&mut template).insert("$patch".into(), "replace".into());
    json!({"spec": {"template": template}})
}

/// How a kind labels its revisions.
pub(crate) struct Labelling {
    /// The label that holds the hash.
    pub(crate) hash_label: &'static str,
    /// Whether the owner's annotations are kept too.
    pub(crate) annotations: bool,
}

/// A revision that was sought, and what became of it.
pub(crate) enum Found {
    /// The revision of the present template, and all others.
    Revision(Arc<Value>, Vec<Arc<Value>>),
    /// Its name is taken by a stranger: the count of collisions must be raised.
    Collision,
}

/// Finds or makes the revision of the present template, and gives it the highest number.
pub(crate) async fn ensure(
    context: &Context,
    cache: &Cache,
    owner: &Value,
    labelling: &Labelling,
) -> Result<Found, ClientError> {
    let mut all = of(cache, owner);
    let highest = all.last().map_or(0, |last| number(last));
    let data = data(owner);
    let Some(at) = all.iter().rposition(|revision| revision["data"] == data) else {
        return make(context, owner, labelling, &data, highest + 1, all).await;
    };
    let mut present = all.remove(at);
    if all.iter().any(|other| number(other) >= number(&present)) {
        let mut wished = Value::clone(&present);
        wished["revision"] = (highest + 1).into();
        present = Arc::new(context.client.update(&kinds::controller_revisions(), None, &wished).await?);
    }
    Ok(Found::Revision(present, all))
}

async fn make(
    context: &Context,
    owner: &Value,
    labelling: &Labelling,
    data: &Value,
    number: i64,
    others: Vec<Arc<Value>>,
) -> Result<Found, ClientError> {
    let meta = Meta::of(owner);
    let hash = hash::of(&owner["spec"]["template"], owner["status"]["collisionCount"].as_i64());
    let mut labels = owner["spec"]["template"]["metadata"]["labels"].clone();
    map_mut(&mut labels).insert(labelling.hash_label.into(), hash.clone().into());
    let name = format!("{}-{hash}", meta.name());
    let mut revision = json!({
        "apiVersion": "apps/v1", "kind": "ControllerRevision",
        "metadata": {
            "name": name, "namespace": meta.namespace(), "labels": labels,
            "ownerReferences": [controller_reference(owner)],
        },
        "data": data, "revision": number,
    });
    let annotations = &owner["metadata"]["annotations"];
    if labelling.annotations && !annotations.is_null() {
        revision["metadata"]["annotations"] = annotations.clone();
    }
    match context.client.create(&kinds::controller_revisions(), Some(meta.namespace()), &revision).await {
        Ok(made) => Ok(Found::Revision(Arc::new(made), others)),
        Err(error) if error.is_already_exists() => {
            let there = context.client.get(&kinds::controller_revisions(), Some(meta.namespace()), &name).await?;
            let mine = Meta::of(&there).controller().is_some_and(|o| o["uid"] == meta.uid());
            if mine && there["data"] == *data {
                return Ok(Found::Revision(Arc::new(there), others));
            }
            Ok(Found::Collision)
        }
        Err(error) => Err(error),
    }
}

/// Deletes the oldest revisions beyond `revisionHistoryLimit` that no pod was made of.
pub(crate) async fn truncate(
    context: &Context,
    owner: &Value,
    others: &[Arc<Value>],
    in_use: impl Fn(&Value) -> bool,
) -> Result<(), ClientError> {
    let limit = owner["spec"]["revisionHistoryLimit"].as_i64().unwrap_or(10);
    let Ok(limit) = usize::try_from(limit) else { return Ok(()) };
    let idle: Vec<&Arc<Value>> = others.iter().filter(|revision| !in_use(revision)).collect();
    let excess = idle.len().saturating_sub(limit);
    for revision in idle.into_iter().take(excess) {
        let meta = Meta::of(revision);
        let gvr = kinds::controller_revisions();
        match context.client.delete(&gvr, Some(meta.namespace()), meta.name(), &Value::Null).await {
            Err(error) if !error.is_not_found() => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// The selector of an owner, where it has a valid one.
pub(crate) fn selector(owner: &Value) -> Option<LabelSelector> {
    LabelSelector::from_object(&owner["spec"]["selector"]).ok().flatten()
}
