//! What the author of an object is told besides the answer: what is deprecated, ignored, or surely not meant.

mod address;
mod cluster;
mod containers;
mod definition;
mod labels;
mod overlap;
mod pod;
mod service;
mod volumes;
mod workload;

pub(super) use cluster::{driver, node, quota, runtime_class, secret, service_account, static_name};
pub(super) use definition::definition;
pub(super) use pod::pod;
pub(super) use service::{endpoints, network_policy, service, slice};
pub(super) use volumes::{claim, storage_capacity, storage_class, volume};
pub(super) use workload::{cron_job, daemon_set, job, pod_template, replicated, replication_controller, stateful_set};

use crate::schema::quantity::Quantity;
use crate::validation::Path;
use serde_json::Value;

/// With so many things that each have to be held against all others nobody looks for what meets: it would take their square.
const LOOKED_AT_MAX: usize = 2_048;

/// An amount of bytes that is no whole number, told with its path.
fn fraction(amounts: &Value, name: &str, path: &Path<'_>, out: &mut Vec<String>) {
    let Some(amount) = amounts[name].as_str() else { return };
    if Quantity::parse(amount).is_ok_and(|quantity| quantity.milli() % 1_000 != 0) {
        let path = path.key(name);
        out.push(format!("{path}: fractional byte value {amount:?} is invalid, must be an integer"));
    }
}

/// What a claim's spec asks for and may have at most, in fractions of bytes.
fn claim_spec(spec: &Value, path: &Path<'_>, out: &mut Vec<String>) {
    let resources = path.child("resources");
    for which in ["requests", "limits"] {
        fraction(&spec["resources"][which], "storage", &resources.child(which), out);
    }
}

#[cfg(test)]
mod tests;
