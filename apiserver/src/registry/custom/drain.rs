//! The end of a definition: its objects go first, and it with the last of them.

use super::names;
use crate::authn::Caller;
use crate::registry::Registry;
use crate::registry::admit::{Intent, Unasked};
use crate::registry::behaviour::Part;
use crate::registry::catalog::Resource;
use crate::registry::delete::Options;
use crate::registry::list::Ask;
use crate::registry::managers::SERVER;
use crate::registry::selection::Selection;
use crate::registry::update::Target;
use crate::request::Warnings;
use serde_json::{Value, json};
use tinyplane_wire::meta::{Meta, metadata_mut};
use tinyplane_wire::status::{self, Reason};

/// What holds a definition for as long as there are objects of it.
pub(super) const FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

/// Marks a definition that is to go: it is held until it is drained.
pub fn mark_terminating(definition: &mut Value, now: &str) {
    let mut finalizers: Vec<String> = Meta::of(definition).finalizers().map(str::to_owned).collect();
    if !finalizers.iter().any(|held| held == FINALIZER) {
        finalizers.push(FINALIZER.to_owned());
    }
    metadata_mut(definition).insert("finalizers".into(), json!(finalizers));
    let told = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon";
    names::set(&mut definition["status"], "Terminating", true, "InstanceDeletionPending", told, now);
}

/// Deletes the objects of a definition. True when none is left, and the definition is let go.
///
/// # Errors
/// An object can't be deleted now.
pub(super) async fn drain(registry: &Registry, definition: &Value, row: Option<&Resource>) -> status::Result<bool> {
    if !Meta::of(definition).finalizers().any(|held| held == FINALIZER) {
        return Ok(true);
    }
    if let Some(row) = row {
        let selection = Selection::all(row, "");
        if registry.count(&selection) > 0 {
            let told = "CustomResource deletion is in progress";
            say(registry, definition, true, "InstanceDeletionInProgress", told, false).await?;
            let (caller, warnings) = (Caller::anonymous(), Warnings::default());
            let intent = intent(&caller, &warnings);
            registry.delete_collection(row, &selection, &Ask::default(), &Options::default(), &intent).await?;
        }
        if registry.count(&selection) > 0 {
            return Ok(false);
        }
    }
    say(registry, definition, false, "InstanceDeletionCompleted", "removed all instances", true).await?;
    Ok(true)
}

/// The server itself is at work: nobody is asked, and nobody's fields change hands.
pub(super) fn intent<'a>(caller: &'a Caller, warnings: &'a Warnings) -> Intent<'a> {
    Intent { caller, manager: None, warnings, dry_run: false, admission: &Unasked }
}

async fn say(
    registry: &Registry,
    definition: &Value,
    is: bool,
    reason: &str,
    message: &str,
    release: bool,
) -> status::Result<()> {
    let now = registry.clock().timestamp();
    write(registry, Meta::of(definition).name(), Part::Other, &mut |old| {
        let mut new = old.clone();
        names::set(&mut new["status"], "Terminating", is, reason, message, &now);
        if release {
            let left: Vec<&str> = Meta::of(old).finalizers().filter(|held| *held != FINALIZER).collect();
            metadata_mut(&mut new).insert("finalizers".into(), json!(left));
        }
        new
    })
    .await
}

/// Changes a part of a definition as the server itself. One that is gone needs no change.
pub(super) async fn write(
    registry: &Registry,
    name: &str,
    part: Part,
    change: &mut (dyn FnMut(&Value) -> Value + Send),
) -> status::Result<()> {
    let resource = registry.builtin("apiextensions.k8s.io", "customresourcedefinitions");
    let target = Target {
        resource: &resource,
        namespace: "",
        name,
        subresource: "status",
        part,
        replaces: false,
        creates: false,
        manages: false,
    };
    let (caller, warnings) = (Caller::anonymous(), Warnings::default());
    let intent = Intent { manager: Some(SERVER), ..intent(&caller, &warnings) };
    let mut made = |old: Option<&Value>| old.map(&mut *change).ok_or_else(crate::registry::no_such_resource);
    match registry.update(&target, &intent, &mut made).await {
        Err(status) if status.reason != Reason::NotFound => Err(status),
        _ => Ok(()),
    }
}
