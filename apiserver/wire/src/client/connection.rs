//! The connection behind a client: credentials that are read anew when their files change.

use super::ClientError;
use super::claims::Claims;
use crate::identity::shaken::Shaken;
use crate::identity::stamp::{Stamp, stamp};
use crate::identity::{kubeconfig, tls};
use crate::ledger::Ledger;
use arc_swap::ArcSwap;
use http::Method;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

/// How often the files are looked at.
const LOOK_SECONDS: u64 = 1;

/// Sends requests by one kubeconfig, from one source address, past every proxy of the environment.
#[derive(Debug)]
pub struct Connection {
    path: PathBuf,
    source: Option<IpAddr>,
    user_agent: String,
    /// Whether the kubeconfig's certificate or token is shown.
    known: bool,
    /// Ends first: what connections carried is told as long as they are there.
    ledger: OnceLock<Claims>,
    current: ArcSwap<Opened>,
    looked: Mutex<Instant>,
}

#[derive(Debug)]
struct Opened {
    http: reqwest::Client,
    server: String,
    token: Option<String>,
    stamps: Vec<(PathBuf, Stamp)>,
    /// What its handshakes told.
    shaken: Arc<Shaken>,
    /// Whom the certificate names that it shows.
    certificate: Option<String>,
}

impl Connection {
    pub(super) fn open(
        path: &Path,
        source: Option<IpAddr>,
        user_agent: &str,
        known: bool,
    ) -> Result<Self, ClientError> {
        let opened = Opened::read(path, source, user_agent, known)?;
        Ok(Self {
            path: path.to_owned(),
            source,
            user_agent: user_agent.to_owned(),
            known,
            current: ArcSwap::from_pointee(opened),
            looked: Mutex::new(Instant::now()),
            ledger: OnceLock::new(),
        })
    }

    /// Writes down from now on which connections it makes.
    pub(super) fn recording(&self, ledger: Ledger) {
        drop(self.ledger.set(Claims::new(ledger)));
    }

    /// Sees an answer, and by it the connection that it came over.
    pub(super) fn answered(&self, answer: &reqwest::Response) {
        let Some(claims) = self.ledger.get() else { return };
        let opened = self.current.load();
        claims.answered(answer, &opened.shaken, opened.certificate.as_deref());
    }

    /// Sees that no answer came.
    pub(super) fn failed(&self, error: &reqwest::Error) {
        if let Some(claims) = self.ledger.get() {
            claims.failed(error, &self.current.load().server);
        }
    }

    /// A request to a path of the server, with the credentials of the moment.
    ///
    /// # Errors
    /// When the path can't stand in a URL.
    pub fn request(&self, method: Method, path: &str) -> Result<reqwest::RequestBuilder, ClientError> {
        self.reload_if_changed();
        let opened = self.current.load();
        let url =
            reqwest::Url::parse(&format!("{}{path}", opened.server)).map_err(|_| ClientError::Path(path.into()))?;
        let request = opened.http.request(method, url).header(http::header::ACCEPT, "application/json");
        Ok(match &opened.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        })
    }

    /// `https://host:port` of the server.
    #[must_use]
    pub fn server(&self) -> String {
        self.current.load().server.clone()
    }

    fn reload_if_changed(&self) {
        {
            let Ok(mut looked) = self.looked.try_lock() else { return };
            if looked.elapsed() < Duration::from_secs(LOOK_SECONDS) {
                return;
            }
            *looked = Instant::now();
        }
        if self.current.load().stamps.iter().all(|(path, known)| stamp(path) == *known) {
            return;
        }
        match Opened::read(&self.path, self.source, &self.user_agent, self.known) {
            Ok(opened) => self.current.store(Arc::new(opened)),
            Err(error) => tracing::warn!(%error, "the changed credentials can't be read; the old ones stay"),
        }
    }
}

impl Opened {
    fn read(path: &Path, source: Option<IpAddr>, user_agent: &str, known: bool) -> Result<Self, ClientError> {
        let mut credentials = kubeconfig::load(path)?;
        if !known {
            (credentials.pair, credentials.token) = (None, None);
        }
        let stamps = credentials.files.iter().map(|file| (file.clone(), stamp(file))).collect();
        let shaken = Arc::<Shaken>::default();
        let config = tls::client_noting(&credentials.trust, credentials.pair.as_ref(), &tls::ALPN_HTTP, &shaken)?;
        let certificate = credentials.pair.as_ref().and_then(|pair| tls::named_by(&pair.certificate));
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(config)
            .no_proxy()
            .local_address(source)
            .user_agent(user_agent)
            .http2_keep_alive_interval(Duration::from_secs(30))
            .http2_keep_alive_timeout(Duration::from_secs(15))
            .http2_keep_alive_while_idle(true)
            .http2_adaptive_window(true)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self { http, server: credentials.server, token: credentials.token, stamps, shaken, certificate })
    }
}
