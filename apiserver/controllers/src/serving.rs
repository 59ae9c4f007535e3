//! Says how the control loops and the scheduler are, each over HTTPS at a port of its own, as upstream's programs do.
//!
//! What says how they are is open to all, and there is nothing else: any other path is refused, as upstream's refuse it to
//! somebody whom they don't know.

use crate::Config;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tinyplane_wire::clock::Clock;
use tinyplane_wire::identity::pki::{Authority, Leaf, PkiError};
use tinyplane_wire::identity::tls::{self, ALPN_HTTP1, ClientAuth, KeyPairPem};
use tinyplane_wire::net::{Bound, Sources, bind};
use tinyplane_wire::process::checks::{Passes, Verdict, judge};
use tinyplane_wire::process::endpoints::{self, Answer, Asked};
use tinyplane_wire::process::{MemberError, Shutdown};
use tinyplane_wire::status::Status;
use tokio_rustls::TlsAcceptor;

/// Where upstream's control loops answer.
pub(crate) const MANAGER_PORT: u16 = 10_257;
/// Where upstream's scheduler answers.
pub(crate) const SCHEDULER_PORT: u16 = 10_259;
/// Whom upstream takes a caller for whom it does not know.
const NOBODY: &str = "system:anonymous";
/// What anybody may ask for (upstream's default of `--authorization-always-allow-paths`).
const OPEN: [&str; 3] = ["/healthz", "/livez", "/readyz"];

/// Checks by their names.
pub(crate) type Checks = Vec<(&'static str, Passes)>;

/// What one of the two answers.
pub(crate) struct Endpoints(Vec<(&'static str, Checks)>);

impl Endpoints {
    /// Upstream's kube-controller-manager has one path.
    pub(crate) fn of_manager(healthz: Checks) -> Self {
        Self(vec![("/healthz", healthz)])
    }

    /// Upstream's kube-scheduler has all three.
    pub(crate) fn of_scheduler(healthz: Checks, livez: Checks, readyz: Checks) -> Self {
        Self(vec![("/healthz", healthz), ("/livez", livez), ("/readyz", readyz)])
    }

    fn answer(&self, asked: Asked<'_>) -> Answer {
        let found = self.0.iter().find(|(path, _)| *path == asked.path);
        let answer = match found {
            Some((path, checks)) => {
                let checks = checks.iter().map(|(name, passes)| (*name, passes));
                let verbose = asked.values("verbose").next().is_some();
                let Verdict { is_healthy, text } = judge(&path[1..], checks, asked.values("exclude"), verbose);
                Answer::of(if is_healthy { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR }, text)
            }
            None if OPEN.contains(&asked.path) => Answer::not_found(),
            None => forbidden(asked),
        };
        let answer = answer.with(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
        answer.with(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"))
    }
}

fn forbidden(asked: Asked<'_>) -> Answer {
    let (verb, path) = (asked.method.as_str().to_lowercase(), asked.path);
    let status = Status::forbidden("", "", "", &format!("User \"{NOBODY}\" cannot {verb} path \"{path}\""));
    let mut text = serde_json::to_vec(&status).unwrap_or_default();
    text.push(b'\n');
    Answer::of(StatusCode::FORBIDDEN, text).with(CONTENT_TYPE, HeaderValue::from_static("application/json"))
}

/// The ports of both, which are bound before anything else is begun.
pub(crate) struct Ports {
    manager: Option<Bound>,
    scheduler: Option<Bound>,
}

impl Ports {
    pub(crate) fn bind(config: &Config) -> Result<Self, MemberError> {
        let open = |port: Option<u16>| {
            let Some(port) = port else { return Ok(None) };
            let at = SocketAddr::new(config.bind_address, port);
            bind(at, Sources::any()).map(Some).map_err(|e| MemberError::because(format!("{at} can't be bound"), e))
        };
        Ok(Self { manager: open(config.secure_port)?, scheduler: open(config.scheduler_secure_port)? })
    }

    /// Serves until the shutdown, and says where.
    pub(crate) fn serve(
        self,
        manager: Endpoints,
        scheduler: Endpoints,
        clock: &Clock,
        shutdown: &Shutdown,
    ) -> Result<BTreeMap<String, SocketAddr>, MemberError> {
        let mut addresses = BTreeMap::new();
        let both = [("controller-manager", self.manager, manager), ("scheduler", self.scheduler, scheduler)];
        for (name, bound, endpoints) in both {
            let Some(bound) = bound else { continue };
            addresses.insert(name.to_owned(), bound.address);
            let tls = acceptor(bound.address.ip(), clock)?;
            let (until, each) = (shutdown.clone(), shutdown.clone());
            let answer = move |asked: Asked<'_>| Some(endpoints.answer(asked));
            let serving = endpoints::serve(bound.listener, Some(tls), answer, move |connection| {
                let until = each.clone();
                tokio::spawn(async move { until.run_until_cancelled(connection).await });
            });
            tokio::spawn(async move { until.run_until_cancelled(serving).await });
        }
        Ok(addresses)
    }
}

/// TLS with a certificate that nobody has to know, made as upstream makes it where there is no `--cert-dir`: for this machine,
/// by an authority that is forgotten at once.
fn acceptor(at: IpAddr, clock: &Clock) -> Result<TlsAcceptor, MemberError> {
    let pair = self_signed(at, clock).map_err(|e| MemberError::because("no certificate can be made", e))?;
    let config = tls::server(&pair, &ClientAuth::None, &ALPN_HTTP1)
        .map_err(|e| MemberError::because("the certificate that was made can't be served", e))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn self_signed(at: IpAddr, clock: &Clock) -> Result<KeyPairPem, PkiError> {
    let (now, seconds) = (clock.now(), clock.unix_seconds());
    let authority = Authority::create(&format!("localhost-ca@{seconds}"), now)?;
    let mut addresses = vec![IpAddr::V4(Ipv4Addr::LOCALHOST)];
    if !at.is_unspecified() && !addresses.contains(&at) {
        addresses.push(at);
    }
    let leaf = authority.issue(&Leaf::server(&format!("localhost@{seconds}"), &["localhost"], &addresses), now)?;
    Ok(KeyPairPem { certificate: leaf.certificate_pem + authority.certificate_pem(), key: leaf.key_pem })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Method;
    use std::sync::atomic::{AtomicBool, Ordering};
    use tinyplane_wire::identity::tls::Trust;
    use tinyplane_wire::net::TcpDial;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_rustls::TlsConnector;

    fn check(name: &'static str, passes: &Arc<AtomicBool>) -> (&'static str, Passes) {
        let passes = Arc::clone(passes);
        (name, Box::new(move || passes.load(Ordering::Relaxed)))
    }

    /// The whole answer, over TLS.
    async fn ask(at: SocketAddr, method: &Method, target: &str) -> String {
        let stream = TcpDial::from(None).connect(at).await.unwrap();
        let config = tls::client(&Trust::Anybody, None, &ALPN_HTTP1).unwrap();
        let name = at.ip().into();
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
        let request = format!("{method} {target} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn each_says_how_it_is_and_nothing_else() {
        let (lives, ready) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
        let config = Config {
            bind_address: [127, 86, 9, 1].into(),
            secure_port: Some(0),
            scheduler_secure_port: Some(0),
            ..Config::new("nowhere")
        };
        let loops = vec![check("job-controller", &lives), check("namespace-controller", &lives)];
        let scheduler = Endpoints::of_scheduler(
            vec![check("ping", &lives)],
            vec![check("ping", &lives)],
            vec![check("sync", &ready)],
        );
        let shutdown = Shutdown::new();
        let ports = Ports::bind(&config).unwrap();
        let at = ports.serve(Endpoints::of_manager(loops), scheduler, &Clock::system(), &shutdown).unwrap();
        let (manager, scheduler) = (at["controller-manager"], at["scheduler"]);

        let well = ask(manager, &Method::GET, "/healthz").await;
        assert!(well.starts_with("HTTP/1.1 200 OK\r\n") && well.ends_with("\r\n\r\nok"), "{well}");
        assert!(well.contains("cache-control: no-cache, private\r\n") && well.contains("nosniff"), "{well}");
        let told = ask(manager, &Method::GET, "/healthz?verbose&exclude=job-controller").await;
        let expected = "[+]job-controller excluded: ok\n[+]namespace-controller ok\nhealthz check passed\n";
        assert!(told.ends_with(expected), "{told}");
        let unready = ask(scheduler, &Method::GET, "/readyz").await;
        assert!(unready.starts_with("HTTP/1.1 500 "), "{unready}");
        assert!(unready.ends_with("[-]sync failed: reason withheld\nreadyz check failed\n"), "{unready}");
        assert!(ask(scheduler, &Method::GET, "/livez").await.ends_with("\r\n\r\nok"));
        // What upstream's control loops don't have is open to all, and not there.
        let missing = ask(manager, &Method::GET, "/livez").await;
        assert!(missing.starts_with("HTTP/1.1 404 ") && missing.ends_with("404 page not found\n"), "{missing}");
        for (method, target) in [(Method::GET, "/metrics"), (Method::POST, "/healthz/ping")] {
            let refused = ask(scheduler, &method, target).await;
            let verb = method.as_str().to_lowercase();
            assert!(refused.starts_with("HTTP/1.1 403 "), "{refused}");
            let why = format!(
                r#""forbidden: User \"system:anonymous\" cannot {verb} path \"{target}\"","reason":"Forbidden""#
            );
            assert!(refused.contains(&why), "{refused}");
        }
        lives.store(false, Ordering::Relaxed);
        assert!(ask(manager, &Method::GET, "/healthz").await.starts_with("HTTP/1.1 500 "));
        assert!(ask(scheduler, &Method::GET, "/healthz").await.starts_with("HTTP/1.1 500 "));
        shutdown.cancel();
    }

    #[test]
    fn the_certificate_is_for_this_machine_and_for_where_it_listens() {
        let at: IpAddr = [127, 1, 2, 3].into();
        let pair = self_signed(at, &Clock::system()).unwrap();
        let chain = tls::chain(&pair.certificate).unwrap();
        assert_eq!(chain.len(), 2, "its authority comes along, as upstream's does");
        let name = tls::named_by(&pair.certificate).unwrap();
        assert!(name.starts_with("localhost@"), "{name}");
    }
}
