//! Endpoints and EndpointSlices.

use crate::registry::behaviour::{AGE, Behaviour, Generation, NAME, Scene, column};
use crate::registry::cells::{age, items, joined, name};
use crate::registry::warnings;
use crate::validation::same;
use serde_json::{Value, json};

/// Most addresses or ports that a cell shows.
const SHOWN_MAX: usize = 3;

pub(super) static ENDPOINTS: Behaviour = Behaviour {
    warnings: warnings::endpoints,
    create_on_update: true,
    columns: &[NAME, column("Endpoints", "The ready addresses, with their ports."), AGE],
    deprecation: Some("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"),
    cells: |endpoints, now| vec![name(endpoints), addresses(endpoints), age(endpoints, now)],
    ..Behaviour::PLAIN
};

pub(super) static SLICE: Behaviour = Behaviour {
    counted_metadata: &["labels"],
    prepare: forget_topology,
    warnings: warnings::slice,
    generation: Generation::Everything,
    columns: &[
        NAME,
        column("AddressType", "Of which kind the addresses are."),
        column("Ports", "The ports of each address."),
        column("Endpoints", "The addresses."),
        AGE,
    ],
    cells: |slice, now| {
        let ports = items(&slice["ports"]).map(|port| match port["port"].as_u64() {
            Some(port) => port.to_string(),
            None => "*".to_owned(),
        });
        let unset = items(&slice["ports"]).next().is_none();
        let of_endpoints = items(&slice["endpoints"]).flat_map(|one| items(&one["addresses"]).take(1));
        let addresses: Vec<String> = of_endpoints.filter_map(Value::as_str).map(str::to_owned).collect();
        vec![
            name(slice),
            slice["addressType"].clone(),
            if unset { json!("<unset>") } else { abridged(&ports.collect::<Vec<_>>()) },
            if addresses.is_empty() { json!("<unset>") } else { abridged(&addresses) },
            age(slice, now),
        ]
    },
    ..Behaviour::PLAIN
};

/// Topology in a map is of older versions: what is said of it anew is forgotten.
fn forget_topology(slice: &mut Value, old: Option<&Value>, _: &Scene<'_>) {
    if old.is_some_and(|old| same(&old["endpoints"], &slice["endpoints"])) {
        return;
    }
    for endpoint in slice["endpoints"].as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        endpoint.remove("deprecatedTopology");
    }
}

fn addresses(endpoints: &Value) -> Value {
    let mut found = Vec::new();
    for subset in items(&endpoints["subsets"]) {
        let addresses = || items(&subset["addresses"]).filter_map(|address| address["ip"].as_str());
        if items(&subset["ports"]).next().is_none() {
            found.extend(addresses().map(str::to_owned));
        }
        for port in items(&subset["ports"]) {
            found.extend(addresses().map(|address| match address.contains(':') {
                true => format!("[{address}]:{}", port["port"]),
                false => format!("{address}:{}", port["port"]),
            }));
        }
    }
    abridged(&found)
}

/// The first few of a list, and how many more there are.
fn abridged(all: &[String]) -> Value {
    if all.len() <= SHOWN_MAX {
        return joined(all.iter().map(String::as_str));
    }
    json!(format!("{} + {} more...", all[..SHOWN_MAX].join(","), all.len() - SHOWN_MAX))
}
