//! The managers of a `scale`: those who manage the replicas of the object behind it.

use super::entry::{Entry, Managed};
use super::versions::Versions;
use crate::schema::fields::{Element, Path, Set};
use serde_json::Value;

/// The version in which a scale's fields are named.
const SCALE: &str = "autoscaling/v1";

/// The field that a scale has its replicas in.
const OWN: [&str; 2] = ["spec", "replicas"];

/// The field that the replicas of the object behind it are in.
fn replicas(versions: &Versions<'_>) -> Path {
    match versions.scale() {
        Some(scale) => scale.replicas.iter().cloned().map(Element::Field).collect(),
        None => OWN.map(|name| Element::Field(name.into())).to_vec(),
    }
}

/// The managers of an object's scale.
#[must_use]
pub fn of_parent(parent: &Value, versions: &Versions<'_>) -> Managed {
    let mut managed = Managed::read(&parent["metadata"]["managedFields"]).unwrap_or_default();
    let path = replicas(versions);
    managed.entries.retain(|entry| entry.fields.has(&path) && versions.kind_at(&entry.api_version).is_some());
    for entry in &mut managed.entries {
        entry.api_version = SCALE.into();
        entry.fields = Set::of(&[&OWN]);
    }
    // Managers that differ by version alone are one in the scale.
    Managed::of(managed.entries)
}

/// The managers of an object after its scale was written, which are `scale`.
#[must_use]
pub fn of_scale(parent: &Value, versions: &Versions<'_>, scale: &Value) -> Managed {
    let parent = Managed::read(&parent["metadata"]["managedFields"]).unwrap_or_default();
    // Sorted by identity, as they were read.
    let scale = Managed::read(scale).unwrap_or_default().entries;
    let mut is_kept = vec![false; scale.len()];
    let path = replicas(versions);
    let only = Set::of(&[&path.iter().filter_map(|step| step.name()).collect::<Vec<_>>()]);
    let mut out = Managed::default();
    // As upstream has it, a scale leaves no time.
    for mut entry in parent.entries {
        if versions.kind_at(&entry.api_version).is_none() {
            continue;
        }
        if entry.fields.has(&path) {
            let own = Entry { api_version: SCALE.into(), ..entry.clone() };
            // Upstream finds appliers again, whose version does not tell them from others. Whoever updates comes anew,
            // in the version of this write.
            match scale.binary_search_by(|one| one.identity().cmp(&own.identity())) {
                Ok(place) if entry.applied => is_kept[place] = true,
                // The replicas have gone to somebody else.
                _ => entry.fields = entry.fields.difference(&only),
            }
        }
        if !entry.fields.is_empty() {
            out.entries.push(entry);
        }
    }
    let own: Path = OWN.map(|name| Element::Field(name.into())).to_vec();
    let new = scale.into_iter().zip(is_kept).filter(|(entry, is_kept)| !is_kept && entry.fields.has(&own));
    for (entry, _) in new {
        let api_version = versions.kind.api_version.clone();
        out.entries.push(Entry { api_version, time: None, fields: only.clone(), ..entry });
    }
    out
}
