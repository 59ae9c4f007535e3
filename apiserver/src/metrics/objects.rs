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
            let all = Selection::all(row, "");
            let (count, bytes) = (self.registry.count(&all), self.registry.weigh(&all, usize::MAX, usize::MAX));
            counts.insert((row.stored.group.clone(), row.plural.clone()), (count, bytes));
        }
        let name = "apiserver_resource_objects";
        text.family(name, Kind::Gauge, "[ALPHA] Number of stored objects at the time of last check split by kind. In case of a fetching error, the value will be -1.");
        for ((group, plural), (count, _)) in &counts {
            text.sample(name, &[("group", group), ("resource", plural)], *count as f64);
        }
        let name = "apiserver_resource_size_estimate_bytes";
        let help = "[ALPHA] Estimated size of stored objects in database. Estimate is based on sum of last observed sizes of serialized objects. In case of a fetching error, the value will be -1.";
        text.family(name, Kind::Gauge, help);
        for ((group, plural), (_, bytes)) in &counts {
            text.sample(name, &[("group", group), ("resource", plural)], *bytes as f64);
        }
        let name = "apiserver_storage_objects";
        text.family(name, Kind::Gauge, "[STABLE] (Deprecated since 1.34.0) [DEPRECATED, consider using apiserver_resource_objects instead] Number of stored objects at the time of last check split by kind. In case of a fetching error, the value will be -1.");
        for ((group, plural), (count, _)) in &counts {
            text.sample(name, &[("resource", &tinyplane_wire::status::qualified(group, plural))], *count as f64);
        }
        self.tell_services(text);
        if let Some(folder) = &self.folder {
            let name = "apiserver_storage_size_bytes";
            text.family(name, Kind::Gauge, "[STABLE] Size of the storage database file physically allocated in bytes.");
            text.sample(name, &[("storage_cluster_id", "sled-0")], bytes_of(folder) as f64);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus' numbers are floating")]
impl StoredObjects {
    /// Addresses and ports of Services: those that are taken, and those that are left.
    fn tell_services(&self, text: &mut Text) {
        let settings = self.registry.settings();
        let range = settings.service_range;
        let taken =
            self.registry.count(&Selection::all(&self.registry.builtin("networking.k8s.io", "ipaddresses"), ""));
        // Neither the first address, which is the network's, nor, of IPv4, the last one is given away.
        let host_bits = u32::from(range.max_prefix_len() - range.prefix_len());
        let all = 1_u64.checked_shl(host_bits).unwrap_or(i64::MAX as u64);
        let usable = all.saturating_sub(if range.addr().is_ipv4() { 2 } else { 1 });
        let cidr = range.to_string();
        let gauge = |text: &mut Text, name: &str, help: &str, value: u64| {
            text.family(name, Kind::Gauge, help);
            text.sample(name, &[("cidr", &cidr)], value as f64);
        };
        let name = "kube_apiserver_clusterip_allocator_allocated_ips";
        gauge(text, name, "[ALPHA] Gauge measuring the number of allocated IPs for Services", taken as u64);
        let left = usable.saturating_sub(taken as u64);
        let name = "kube_apiserver_clusterip_allocator_available_ips";
        gauge(text, name, "[ALPHA] Gauge measuring the number of available IPs for Services", left);
        let services = self.registry.find_all("", "services", "").unwrap_or_default();
        let ports = services.iter().flat_map(|service| service["spec"]["ports"].as_array().into_iter().flatten());
        let ports = ports.filter(|port| port["nodePort"].as_u64().is_some_and(|port| port > 0)).count();
        let name = "kube_apiserver_nodeport_allocator_allocated_ports";
        text.family(name, Kind::Gauge, "[ALPHA] Gauge measuring the number of allocated NodePorts for Services");
        text.sample(name, &[], ports as f64);
        let name = "kube_apiserver_nodeport_allocator_available_ports";
        text.family(name, Kind::Gauge, "[ALPHA] Gauge measuring the number of available NodePorts for Services");
        text.sample(name, &[], settings.node_ports.clone().count().saturating_sub(ports) as f64);
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
