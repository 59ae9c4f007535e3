//! What a client claims in the ledger: each connection to the API server, from the first answer that comes over it to its
//! end, and each that did not come to be.
//!
//! The library beneath keeps its connections to itself. That one of HTTP/2 has ended shows when answers come over the next
//! one. What it carried the kernel tells as long as there is the connection: it is asked at each answer, and at the client's end.

use crate::identity::shaken::Shaken;
use crate::ledger::{Entry, Ledger, Open, Outcome, View};
use crate::net;
use http::Version;
use http::header::CONNECTION;
use hyper_util::client::legacy::connect::HttpInfo;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// The path of everything that calls the API server.
const PATH: u8 = 1;
/// Connections that are known to be written down. HTTP/2 needs one at a time.
const KNOWN_MAX: usize = 16;

/// Writes down connections, each once.
#[derive(Debug)]
pub(super) struct Claims {
    ledger: Ledger,
    known: Mutex<Vec<Known>>,
}

/// A connection that is written down, and goes on until this is dropped.
#[derive(Debug)]
struct Known {
    from: SocketAddr,
    to: SocketAddr,
    version: Version,
    /// By which credentials it was made: those that were changed since have connections of their own.
    shaken: Arc<Shaken>,
    open: Open,
}

impl Claims {
    pub(super) fn new(ledger: Ledger) -> Self {
        Self { ledger, known: Mutex::default() }
    }

    /// An answer came: whether its connection is a new one, its source address tells.
    pub(super) fn answered(&self, answer: &reqwest::Response, shaken: &Arc<Shaken>, certificate: Option<&str>) {
        let Some(at) = answer.extensions().get::<HttpInfo>() else { return };
        let (from, version) = (at.local_addr(), answer.version());
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.iter().any(|one| one.from == from) {
            // The one before it has ended, or this one would not have been made.
            known.retain(|one| {
                version != Version::HTTP_2 || one.version != version || !Arc::ptr_eq(&one.shaken, shaken)
            });
            if known.len() == KNOWN_MAX {
                known.remove(0);
            }
            let open = self.ledger.open(Entry {
                from: Some(from),
                tls: Some(shaken.told()).filter(|tls| !tls.version.is_empty()),
                certificate: certificate.map(str::to_owned),
                ..self.begun(at.remote_addr().to_string())
            });
            known.push(Known { from, to: at.remote_addr(), version, shaken: Arc::clone(shaken), open });
        }
        known.iter_mut().filter(|one| one.from == from).for_each(Known::count);
        // The server's last answer over it.
        if answer.headers().get(CONNECTION).is_some_and(|told| told.as_bytes().eq_ignore_ascii_case(b"close")) {
            known.retain(|one| one.from != from);
        }
    }

    /// No answer came: a connection that was not even made is written down.
    pub(super) fn failed(&self, error: &reqwest::Error, server: &str) {
        if error.is_connect() {
            let to = server.split_once("://").map_or(server, |(_, to)| to).to_owned();
            let why = Some(crate::process::told(error));
            self.ledger.end(Entry { outcome: Outcome::Failed, why, ..self.begun(to) });
        }
    }

    fn begun(&self, to: String) -> Entry {
        Entry { path: Some(PATH), to, egress: Some("direct".into()), ..self.ledger.entry(View::Claimed) }
    }
}

impl Known {
    /// Writes down what it has carried so far, where that is told.
    fn count(&mut self) {
        if let Some(counted) = net::counted(self.from, self.to) {
            let entry = &mut self.open.entry;
            (entry.sent, entry.received, entry.at_least) = (Some(counted.sent), Some(counted.received), true);
        }
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        self.count();
    }
}

#[cfg(test)]
mod tests {
    use crate::client::Client;
    use crate::clock::Clock;
    use crate::identity::pki::{Authority, Leaf};
    use crate::identity::tls::{self, ClientAuth, KeyPairPem};
    use crate::ledger::{Entry, Ledger, Outcome, read};
    use crate::net::{Listener, Sources, bind};
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    use http::{Method, Response};
    use http_body_util::Full;
    use hyper::service::service_fn;
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use serde_json::json;
    use std::convert::Infallible;
    use std::path::{Path, PathBuf};
    use std::sync::Arc;
    use tokio_rustls::TlsAcceptor;

    /// A server of HTTP/2 that serves one connection at a time, and a client with a ledger that calls it.
    struct Rig {
        listener: Listener,
        tls: TlsAcceptor,
        client: Client,
        ledger: Ledger,
        heard: Ledger,
        file: PathBuf,
    }

    impl Rig {
        fn new(folder: &Path) -> Self {
            let now = Clock::system().now();
            let authority = Authority::create("kubernetes", now).unwrap();
            let bound = bind("127.86.60.1:0".parse().unwrap(), Sources::any()).unwrap();
            let issued = authority.issue(&Leaf::server("s", &[], &[bound.address.ip()]), now).unwrap();
            let pair = KeyPairPem { certificate: issued.certificate_pem, key: issued.key_pem };
            let tls = tls::server(&pair, &ClientAuth::None, &tls::ALPN_HTTP2).unwrap();
            let data = BASE64_STANDARD.encode(authority.certificate_pem());
            let server = json!({"server": format!("https://{}", bound.address), "certificate-authority-data": data});
            let kubeconfig = json!({
                "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                "clusters": [{"name": "c", "cluster": server}], "users": [{"name": "u", "user": {}}],
            });
            std::fs::write(folder.join("kubeconfig"), kubeconfig.to_string()).unwrap();
            let file = folder.join("ledger.jsonl");
            let ledger = Ledger::append_to(&file, "member", Clock::system()).unwrap();
            let heard = Ledger::append_to(&folder.join("server.jsonl"), "server", Clock::system()).unwrap();
            let listener = bound.listener.recording(Some(&heard), Entry::default());
            let client = Client::from_kubeconfig(&folder.join("kubeconfig"), None, "test").unwrap();
            let client = client.recording(Some(&ledger));
            Self { listener, heard, tls: TlsAcceptor::from(Arc::new(tls)), client, ledger, file }
        }

        /// Calls twice over one connection, which the server then ends.
        async fn call(&self) {
            let serving = async {
                let stream = self.tls.accept(self.listener.accept().await.recorded()).await.unwrap();
                let answer = service_fn(async |_| Ok::<_, Infallible>(Response::new(Full::new(&b"{}"[..]))));
                let served = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                drop(served.serve_connection(TokioIo::new(stream), answer).await);
            };
            let calling = async {
                let ask = || self.client.request(Method::GET, "/version", None);
                // That the connection before has ended is found out by asking.
                while ask().await.is_err() {}
                ask().await.unwrap();
            };
            tokio::select! {
                () = serving => panic!("the client hung up"),
                () = calling => {}
            }
        }

        fn hops(&self) -> Vec<Entry> {
            self.ledger.flush();
            read(&self.file).unwrap()
        }
    }

    #[tokio::test]
    async fn a_connection_is_claimed_until_the_next_one_or_the_clients_end_and_one_that_fails_as_such() {
        let folder = tempfile::tempdir().unwrap();
        let rig = Rig::new(folder.path());
        rig.call().await;
        let hops = rig.hops();
        let [only] = hops.as_slice() else { panic!("{hops:?}") };
        assert_eq!((only.path, &only.ended), (Some(1), &None));
        assert_eq!(only.tls.as_ref().unwrap().verified.as_deref(), Some("kubernetes"));
        rig.call().await;
        let ended = |hops: &[Entry]| hops.iter().map(|hop| hop.ended.is_some()).collect::<Vec<_>>();
        let hops = rig.hops();
        assert_eq!(ended(&hops), [true, false]);
        rig.heard.flush();
        let heard = read(&folder.path().join("server.jsonl")).unwrap();
        let told = |hop: &Entry| (hop.sent.unwrap_or_default(), hop.received.unwrap_or_default());
        let ((sent, received), (answered, arrived)) = (told(&hops[0]), told(&heard[0]));
        // A handshake and two calls at least; what followed them was not seen.
        assert!(hops[0].at_least && (500..=arrived).contains(&sent), "{sent} of {arrived} bytes on");
        assert!((500..=answered).contains(&received), "{received} of {answered} bytes back");
        let Rig { listener, client, ledger, file, .. } = rig;
        drop(listener);
        let hops = loop {
            assert!(client.request(Method::GET, "/version", None).await.is_err());
            ledger.flush();
            let hops = read(&file).unwrap();
            if hops.len() == 3 {
                break hops;
            }
        };
        assert_eq!((hops[2].outcome, hops[2].ended.is_some()), (Outcome::Failed, true));
        assert!(
            hops[2].why.as_ref().unwrap().contains("refused") && hops[2].to.starts_with("127.86.60.1:"),
            "{hops:?}"
        );
        drop(client);
        ledger.flush();
        assert_eq!(ended(&read(&file).unwrap()), [true, true, true]);
    }
}
