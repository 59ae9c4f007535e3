//! What the store holds, counted when somebody asks.

use super::{Kind, Source, Text};
use crate::registry::Registry;
use crate::registry::selection::Selection;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Counts objects by resource, and the bytes of the database's folder.
pub struct StoredObjects {
    /// The objects.
    pub registry: Arc<Registry>,
    /// The folder of the database, where there is one.
    pub folder: Option<PathBuf>,
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus' numbers are floating")]
impl Source for StoredObjects {
    fn tell(&self, text: &mut Text) {
        let catalog = self.registry.catalog();
        let mut counts = BTreeMap::new();
        for row in catalog.rows().filter(|row| row.is_stored_version() && row.verbs.has("list")) {
            let count = self.registry.count(&Selection::all(row, ""));
            counts.insert((row.stored.group.clone(), row.plural.clone()), count);
        }
        let name = "apiserver_resource_objects";
        text.family(name, Kind::Gauge, "[ALPHA] Objects that are stored.");
        for ((group, plural), count) in &counts {
            text.sample(name, &[("group", group), ("resource", plural)], *count as f64);
        }
        let name = "apiserver_storage_objects";
        text.family(name, Kind::Gauge, "[STABLE] (Deprecated since 1.34.0) Objects that are stored.");
        for ((group, plural), count) in &counts {
            text.sample(name, &[("resource", &tinyplane_wire::status::qualified(group, plural))], *count as f64);
        }
        if let Some(folder) = &self.folder {
            let name = "apiserver_storage_size_bytes";
            text.family(name, Kind::Gauge, "[STABLE] Bytes of the database's files.");
            text.sample(name, &[("storage_cluster_id", "sled-0")], bytes_of(folder) as f64);
        }
    }
}

/// The bytes of a folder's files, folders in it included.
fn bytes_of(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => bytes_of(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    };
    entries.map(size).sum()
}
