//! `/healthz`, `/livez`, `/readyz`: how the member is, in all or by named checks; and what came of them, for `/metrics/slis`.

use crate::metrics::{Kind, Text};
use crate::request::Call;
use crate::respond;
use axum::body::Body;
use http::{Response, StatusCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tinyplane_wire::process::Shutdown;
use tinyplane_wire::process::checks::{Passes, Verdict, judge};

/// Of which paths a check is a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    /// Of all.
    All,
    /// Of all but `/readyz`.
    Liveness,
    /// Of `/readyz` alone.
    Readiness,
}

/// The paths.
const ROOTS: [&str; 3] = ["/healthz", "/livez", "/readyz"];

/// One check.
struct Check {
    name: &'static str,
    of: Of,
    passes: Passes,
    /// What came of it, by the path at which it was asked.
    asked: [Asked; ROOTS.len()],
}

/// What came of a check so far.
#[derive(Debug, Default)]
struct Asked {
    passed: AtomicU64,
    failed: AtomicU64,
    last: AtomicBool,
}

impl Check {
    fn new(name: &'static str, of: Of, passes: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self { name, of, passes: Box::new(passes), asked: Default::default() }
    }

    /// Whether it passes, asked at one of the paths.
    fn ask(&self, root: usize) -> bool {
        let (passes, asked) = ((self.passes)(), &self.asked[root]);
        let count = if passes { &asked.passed } else { &asked.failed };
        count.fetch_add(1, Ordering::Relaxed);
        asked.last.store(passes, Ordering::Relaxed);
        passes
    }
}

/// What upstream starts after it listens, in the order in which it tells of it. Here all of it is done, or has begun, as soon
/// as the default objects are there.
const HOOKS: [&str; 30] = [
    "poststarthook/start-apiserver-admission-initializer",
    "poststarthook/generic-apiserver-start-informers",
    "poststarthook/priority-and-fairness-config-consumer",
    "poststarthook/priority-and-fairness-filter",
    "poststarthook/storage-object-count-tracker-hook",
    "poststarthook/start-apiextensions-informers",
    "poststarthook/start-apiextensions-controllers",
    "poststarthook/crd-informer-synced",
    "poststarthook/start-system-namespaces-controller",
    "poststarthook/peer-endpoint-reconciler-controller",
    "poststarthook/start-cluster-authentication-info-controller",
    "poststarthook/start-kube-apiserver-identity-lease-controller",
    "poststarthook/start-kube-apiserver-identity-lease-garbage-collector",
    "poststarthook/storage-readiness",
    "poststarthook/start-legacy-token-tracking-controller",
    "poststarthook/start-service-ip-repair-controllers",
    "poststarthook/rbac/bootstrap-roles",
    "poststarthook/scheduling/bootstrap-system-priority-classes",
    "poststarthook/priority-and-fairness-config-producer",
    "poststarthook/bootstrap-controller",
    "poststarthook/start-kubernetes-service-cidr-controller",
    "poststarthook/start-kube-aggregator-informers",
    "poststarthook/apiservice-status-local-available-controller",
    "poststarthook/apiservice-status-remote-available-controller",
    "poststarthook/apiservice-registration-controller",
    "poststarthook/apiservice-discovery-controller",
    "poststarthook/kube-apiserver-autoregistration",
    "autoregister-completion",
    "poststarthook/apiservice-openapi-controller",
    "poststarthook/apiservice-openapiv3-controller",
];

/// The checks, in their order.
pub struct Health {
    checks: Vec<Check>,
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
        let store_works = Arc::new(store_works);
        let ready = Arc::clone(&store_works);
        let mut checks = vec![
            Check::new("ping", Of::All, || true),
            Check::new("log", Of::All, || true),
            // Upstream's calls to itself. Here are none.
            Check::new("loopback-serving-certificate", Of::Liveness, || true),
            Check::new("etcd", Of::All, move || store_works()),
            Check::new("etcd-readiness", Of::Readiness, move || ready()),
            Check::new("informer-sync", Of::Readiness, || true),
        ];
        for hook in HOOKS {
            let bootstrapped = bootstrapped.clone();
            checks.push(Check::new(hook, Of::All, move || bootstrapped.get()));
        }
        checks.push(Check::new("shutdown", Of::Readiness, move || !shutdown.is_cancelled()));
        Self { checks }
    }

    /// Asks this as well, of `/healthz` and all others.
    #[must_use]
    pub fn and(mut self, name: &'static str, check: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        self.checks.push(Check::new(name, Of::All, check));
        self
    }

    fn checks(&self, root: usize) -> Vec<&Check> {
        let absent = if ROOTS[root] == "/readyz" { Of::Liveness } else { Of::Readiness };
        self.checks.iter().filter(|check| check.of != absent).collect()
    }

    /// The answer to a health path; `None` for any other.
    pub(super) fn serve(&self, call: &Call) -> Option<Response<Body>> {
        let path = call.path.as_str();
        let root = ROOTS
            .iter()
            .position(|root| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))?;
        let checks = self.checks(root);
        let Some(name) = path[ROOTS[root].len()..].strip_prefix('/') else { return Some(all(root, &checks, call)) };
        Some(match checks.iter().find(|check| check.name == name) {
            // Upstream leaves it to Go to say what this is, and counts only those that are asked together.
            Some(check) if (check.passes)() => respond::bytes_of(StatusCode::OK, respond::TEXT, "ok"),
            Some(_) => respond::text(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal server error: the check failed, for a reason that the log may tell\n",
            ),
            None => respond::page_not_found(),
        })
    }

    pub(super) fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        for (root, path) in ROOTS.into_iter().enumerate() {
            paths.push(path.to_owned());
            paths.extend(self.checks(root).iter().map(|check| format!("{path}/{}", check.name)));
        }
        paths
    }

    /// What came of each check at each path at which it was asked.
    pub(super) fn tell(&self, text: &mut Text) {
        let mut checks: Vec<&Check> = self.checks.iter().collect();
        checks.sort_by_key(|check| check.name);
        let mut asked = Vec::new();
        for check in checks {
            asked.extend(ROOTS.iter().zip(&check.asked).map(|(root, asked)| (check.name, &root[1..], asked)));
        }
        let last = "[STABLE] This metric records the result of a single healthcheck.";
        text.family("kubernetes_healthcheck", Kind::Gauge, last);
        for &(name, root, asked) in &asked {
            if asked.passed.load(Ordering::Relaxed) + asked.failed.load(Ordering::Relaxed) > 0 {
                let passed = f64::from(u8::from(asked.last.load(Ordering::Relaxed)));
                text.sample("kubernetes_healthcheck", &[("name", name), ("type", root)], passed);
            }
        }
        let all = "[STABLE] This metric records the results of all healthcheck.";
        text.family("kubernetes_healthchecks_total", Kind::Counter, all);
        for &(name, root, asked) in &asked {
            for (status, count) in [("error", &asked.failed), ("success", &asked.passed)] {
                let count = count.load(Ordering::Relaxed);
                if count > 0 {
                    let labels = [("name", name), ("status", status), ("type", root)];
                    text.sample("kubernetes_healthchecks_total", &labels, count as f64);
                }
            }
        }
    }
}

/// All checks but those that the caller leaves out. Every one is told when one fails, or by `verbose`.
fn all(root: usize, checks: &[&Check], call: &Call) -> Response<Body> {
    let checks = checks.iter().map(|check| (check.name, move || check.ask(root)));
    let verbose = call.query.first("verbose").is_some();
    let Verdict { is_healthy, text } = judge(&ROOTS[root][1..], checks, call.query.all("exclude"), verbose);
    let code = if is_healthy { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR };
    respond::text(code, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Ticket;
    use crate::authn::Peer;
    use http::Request;
    use http_body_util::BodyExt;

    async fn ask(health: &Health, uri: &str) -> (u16, String) {
        let request = Request::builder().uri(uri).body(()).unwrap();
        let call = Call::parse(&request, Peer::nobody(), Ticket::new(None)).unwrap();
        let response = health.serve(&call).unwrap();
        let code = response.status().as_u16();
        (code, String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap())
    }

    fn health(works: bool) -> Health {
        let bootstrapped = Bootstrapped::default();
        bootstrapped.set();
        Health::new(move || works, &bootstrapped, Shutdown::new())
    }

    #[tokio::test]
    async fn each_path_has_checks_of_its_own_in_upstreams_order() {
        let first = async |path: &str| {
            let (code, told) = ask(&health(true), &format!("{path}?verbose")).await;
            assert_eq!(code, 200);
            assert!(told.ends_with(&format!(" ok\n{} check passed\n", &path[1..])), "{told}");
            told.lines().take(5).map(|line| line[3..].replace(" ok", "")).collect::<Vec<_>>()
        };
        let hook = "poststarthook/start-apiserver-admission-initializer";
        assert_eq!(first("/livez").await, ["ping", "log", "loopback-serving-certificate", "etcd", hook]);
        assert_eq!(first("/healthz").await, first("/livez").await);
        assert_eq!(first("/readyz").await, ["ping", "log", "etcd", "etcd-readiness", "informer-sync"]);
    }

    #[tokio::test]
    async fn what_came_of_them_is_counted_by_path() {
        let broken = health(false);
        ask(&broken, "/livez").await;
        ask(&broken, "/livez/ping").await;
        ask(&broken, "/readyz?exclude=etcd-readiness").await;
        let mut text = Text::default();
        broken.tell(&mut text);
        let told = text.finish();
        for line in [
            "kubernetes_healthcheck{name=\"ping\",type=\"livez\"} 1\n",
            "kubernetes_healthcheck{name=\"etcd\",type=\"readyz\"} 0\n",
            "kubernetes_healthchecks_total{name=\"ping\",status=\"success\",type=\"livez\"} 1\n",
            "kubernetes_healthchecks_total{name=\"etcd\",status=\"error\",type=\"livez\"} 1\n",
        ] {
            assert!(told.contains(line), "{line}: {told}");
        }
        assert!(!told.contains("healthz") && !told.contains("etcd-readiness"), "{told}");
    }

    #[tokio::test]
    async fn checks_are_asked_alone_and_left_out() {
        let broken = health(false);
        let (code, told) = ask(&broken, "/livez").await;
        assert!(code == 500 && told.contains("[-]etcd failed: reason withheld\n"));
        let (code, told) = ask(&broken, "/livez?verbose&exclude=zz&exclude=etcd&exclude=aa&exclude=zz").await;
        assert!(code == 200 && told.contains("[+]etcd excluded: ok\n"));
        let warning = "warn: some health checks cannot be excluded: no matches for \"aa\",\"zz\"\nlivez check passed\n";
        assert!(told.ends_with(warning), "{told}");
        assert_eq!(ask(&broken, "/livez/ping").await, (200, "ok".into()));
        assert_eq!(ask(&broken, "/livez/etcd").await.0, 500);
        for unknown in ["/livez/none", "/livez/", "/livez/etcd-readiness", "/readyz/loopback-serving-certificate"] {
            assert_eq!(ask(&broken, unknown).await, (404, "404 page not found\n".into()), "{unknown}");
        }
    }
}
