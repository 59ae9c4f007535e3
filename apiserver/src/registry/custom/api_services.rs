//! The `APIService` of each group version in which there are custom resources, as upstream's registration keeps them.

use super::drain::intent;
use crate::authn::Caller;
use crate::registry::Registry;
use crate::registry::catalog::Resource;
use crate::registry::delete::Options;
use crate::registry::managers::SERVER;
use crate::request::Warnings;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use tinyplane_wire::meta::Meta;
use tinyplane_wire::status::{self, Reason};

const MANAGED: &str = "kube-aggregator.kubernetes.io/automanaged";
/// The place of custom groups among groups, and of their versions in them.
const GROUP_PRIORITY: u32 = 1_000;
const VERSION_PRIORITY: u32 = 100;

/// Makes those that are missing, and removes those of group versions that are served no more. Nobody else's are touched.
///
/// # Errors
/// The store refuses.
pub(super) async fn keep(registry: &Registry, rows: &[Arc<Resource>]) -> status::Result<()> {
    let mut wanted: BTreeMap<String, &Resource> =
        rows.iter().map(|row| (format!("{}.{}", row.gvk.version, row.gvk.group), &**row)).collect();
    let resource = registry.builtin("apiregistration.k8s.io", "apiservices");
    let (caller, warnings) = (Caller::anonymous(), Warnings::default());
    let mut intent = intent(&caller, &warnings);
    for found in registry.find_all("apiregistration.k8s.io", "apiservices", "")? {
        let name = Meta::of(&found).name();
        let ours = Meta::of(&found).label(MANAGED) == Some("true");
        if wanted.remove(name).is_none() && ours {
            let deleted = registry.delete(&resource, "", name, &Options::default(), &intent).await;
            settled(deleted.map(drop), Reason::NotFound)?;
        }
    }
    intent.manager = Some(SERVER);
    for (name, row) in wanted {
        let created = registry.create(&resource, "", object(&name, row), &intent).await;
        settled(created.map(drop), Reason::AlreadyExists)?;
    }
    Ok(())
}

fn object(name: &str, row: &Resource) -> Value {
    json!({
        "metadata": {"name": name, "labels": {MANAGED: "true"}},
        "spec": {
            "group": row.gvk.group.as_str(), "version": row.gvk.version.as_str(),
            "groupPriorityMinimum": GROUP_PRIORITY, "versionPriority": VERSION_PRIORITY,
        },
    })
}

/// Somebody else may have been faster.
fn settled(result: status::Result<()>, unless: Reason) -> status::Result<()> {
    result.or_else(|status| if status.reason == unless { Ok(()) } else { Err(status) })
}
