//! `/healthz`, `/livez`, `/readyz`: how the member is, in all or by named checks.

use crate::request::Call;
use crate::respond;
use axum::body::Body;
use http::{Response, StatusCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tinyplane_wire::process::Shutdown;

/// One check by its name.
type Check = (&'static str, Box<dyn Fn() -> bool + Send + Sync>);

/// The checks. `/healthz` and `/livez` leave out those of readiness alone.
pub struct Health {
    alive: Vec<Check>,
    ready: Vec<Check>,
}

/// Set once the default objects are there.
#[derive(Clone, Debug, Default)]
pub struct Bootstrapped(Arc<AtomicBool>);

impl Bootstrapped {
    /// Says that they are.
    pub fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Health {
    /// Asks whether the store takes writes, whether the default objects are there, and whether the member is ending.
    #[must_use]
    pub fn new(
        store_works: impl Fn() -> bool + Send + Sync + 'static,
        bootstrapped: &Bootstrapped,
        shutdown: Shutdown,
    ) -> Self {
        let hook = || {
            let bootstrapped = bootstrapped.clone();
            Box::new(move || bootstrapped.get())
        };
        Self {
            alive: vec![
                ("ping", Box::new(|| true)),
                ("log", Box::new(|| true)),
                ("etcd", Box::new(store_works)),
                ("poststarthook/start-system-namespaces-controller", hook()),
                ("poststarthook/rbac/bootstrap-roles", hook()),
                ("poststarthook/scheduling/bootstrap-system-priority-classes", hook()),
            ],
            ready: vec![("shutdown", Box::new(move || !shutdown.is_cancelled()))],
        }
    }

    /// Asks this as well, of `/healthz` and all others.
    #[must_use]
    pub fn and(mut self, name: &'static str, check: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        self.alive.push((name, Box::new(check)));
        self
    }

    fn checks(&self, root: &str) -> Vec<&Check> {
        let ready = if root == "/readyz" { &self.ready[..] } else { &[] };
        self.alive.iter().chain(ready).collect()
    }

    /// The answer to a health path; `None` for any other.
    pub(super) fn serve(&self, call: &Call) -> Option<Response<Body>> {
        let path = call.path.trim_end_matches('/');
        let root = ["/healthz", "/livez", "/readyz"]
            .into_iter()
            .find(|root| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))?;
        let checks = self.checks(root);
        let name = path[root.len()..].trim_start_matches('/');
        if name.is_empty() {
            return Some(all(&root[1..], &checks, call));
        }
        Some(match checks.iter().find(|(known, _)| *known == name) {
            Some((_, check)) if check() => respond::text(StatusCode::OK, "ok"),
            Some(_) => respond::text(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal server error: the check failed, for a reason that the log may tell\n",
            ),
            None => respond::page_not_found(),
        })
    }

    pub(super) fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        for root in ["/healthz", "/livez", "/readyz"] {
            paths.push(root.to_owned());
            paths.extend(self.checks(root).iter().map(|(name, _)| format!("{root}/{name}")));
        }
        paths
    }
}

/// All checks but those that the caller leaves out. Every one is told when one fails, or by `verbose`.
fn all(what: &str, checks: &[&Check], call: &Call) -> Response<Body> {
    let left_out: Vec<&str> = call.query.all("exclude").collect();
    let (mut told, mut healthy) = (String::new(), true);
    for (name, check) in checks {
        if left_out.contains(name) {
            told.push_str(&format!("[+]{name} excluded: ok\n"));
        } else if check() {
            told.push_str(&format!("[+]{name} ok\n"));
        } else {
            told.push_str(&format!("[-]{name} failed: reason withheld\n"));
            healthy = false;
        }
    }
    let unknown: Vec<String> = left_out
        .iter()
        .filter(|name| !checks.iter().any(|(known, _)| known == *name))
        .map(|name| format!("{name:?}"))
        .collect();
    if !unknown.is_empty() {
        let unknown = unknown.join(",");
        told.push_str(&format!("warn: some health checks cannot be excluded: no matches for {unknown}\n"));
    }
    match (healthy, call.query.first("verbose").is_some()) {
        (true, false) => respond::text(StatusCode::OK, "ok"),
        (true, true) => respond::text(StatusCode::OK, format!("{told}{what} check passed\n")),
        (false, _) => respond::text(StatusCode::INTERNAL_SERVER_ERROR, format!("{told}{what} check failed\n")),
    }
}
