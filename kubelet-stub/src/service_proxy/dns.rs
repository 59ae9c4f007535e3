//! The cluster's names: what a pod's lookup of a Service finds.

use crate::cluster::Cluster;
use std::net::IpAddr;

/// Names with fewer dots are tried below the search domains first, as `ndots:5` has it.
const DOTS: usize = 5;

/// The addresses of a name, as a pod with these search domains sees it. Names outside of the cluster are not known.
pub(crate) fn resolve(cluster: &Cluster, searches: &[String], name: &str) -> Vec<IpAddr> {
    if let Ok(address) = name.parse() {
        return vec![address];
    }
    candidates(searches, name)
        .iter()
        .map(|full| lookup(cluster, full))
        .find(|found| !found.is_empty())
        .unwrap_or_default()
}

/// The full names that a name may stand for, in the order in which they are tried.
fn candidates(searches: &[String], name: &str) -> Vec<String> {
    let name = name.to_ascii_lowercase();
    if let Some(full) = name.strip_suffix('.') {
        return vec![full.to_owned()];
    }
    let below = searches.iter().map(|domain| format!("{name}.{domain}"));
    if name.matches('.').count() < DOTS {
        below.chain([name.clone()]).collect()
    } else {
        [name.clone()].into_iter().chain(below).collect()
    }
}

fn lookup(cluster: &Cluster, full: &str) -> Vec<IpAddr> {
    let Some(name) = full.strip_suffix(&cluster.domain).and_then(|rest| rest.strip_suffix('.')) else {
        return Vec::new();
    };
    match name.split('.').rev().collect::<Vec<_>>().as_slice() {
        ["svc", namespace, service] => of_service(cluster, namespace, service, None),
        ["svc", namespace, service, hostname] => of_service(cluster, namespace, service, Some(hostname)),
        ["pod", _, address] => dashed(address).into_iter().collect(),
        _ => Vec::new(),
    }
}

fn of_service(cluster: &Cluster, namespace: &str, service: &str, hostname: Option<&str>) -> Vec<IpAddr> {
    let Some(object) = cluster.services.get(&format!("{namespace}/{service}")) else { return Vec::new() };
    let spec = &object["spec"];
    if let (Some(ip), None) = (spec["clusterIP"].as_str().and_then(|ip| ip.parse().ok()), hostname) {
        return vec![ip];
    }
    let also_unready = spec["publishNotReadyAddresses"].as_bool() == Some(true);
    let backends = cluster.headless(namespace, service, also_unready);
    let named = |backend: &crate::cluster::Backend| {
        let dashed = backend.address.ip().to_string().replace(['.', ':'], "-");
        hostname.is_none_or(|wanted| backend.hostname == wanted || (backend.hostname.is_empty() && dashed == wanted))
    };
    let mut found: Vec<IpAddr> = backends.iter().filter(|b| named(b)).map(|b| b.address.ip()).collect();
    found.sort();
    found.dedup();
    found
}

/// `127-1-2-3` as an address.
fn dashed(text: &str) -> Option<IpAddr> {
    text.replace('-', ".").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_searched_first_and_a_dot_ends_it() {
        let searches = ["d.svc.cluster.local".to_owned(), "svc.cluster.local".to_owned()];
        assert_eq!(candidates(&searches, "Web"), ["web.d.svc.cluster.local", "web.svc.cluster.local", "web"]);
        assert_eq!(candidates(&searches, "web.d.svc.cluster.local."), ["web.d.svc.cluster.local"]);
        assert_eq!(candidates(&searches, "a.b.c.d.e.f").first().unwrap(), "a.b.c.d.e.f");
        assert_eq!(dashed("127-1-2-3"), "127.1.2.3".parse().ok());
    }
}
