//! The other end of a connection: its address, and the certificates that it proved to hold the key of.

use super::certificate::Verdict;
use arc_swap::ArcSwapOption;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tinyplane_wire::identity::subject::Subject;
use tinyplane_wire::ledger::Origin;
use tokio_rustls::rustls::pki_types::CertificateDer;

/// The other end of a connection. Made once a connection; cheap to clone.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// The certificates it presented, if it did.
    pub presented: Option<Arc<Presented>>,
    /// The version of its TLS, `1.3` or `1.2`; empty where there is none.
    pub tls_version: &'static str,
    /// How its requests are written down, where a ledger is kept.
    pub origin: Option<Arc<Origin>>,
}

/// A client's certificates. Possession of the key is proved; who issued them is judged per request.
pub struct Presented {
    /// The chain, leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// The last verdict on the chain, which holds for a moment.
    pub(super) verdict: ArcSwapOption<Verdict>,
}

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented").field("certificates", &self.chain.len()).finish_non_exhaustive()
    }
}

impl Peer {
    /// A peer at an address, with the chain that TLS has of it.
    #[must_use]
    pub fn new(address: SocketAddr, chain: Option<&[CertificateDer<'static>]>) -> Self {
        let presented = chain.filter(|chain| !chain.is_empty());
        let presented =
            presented.map(|chain| Arc::new(Presented { chain: chain.to_vec(), verdict: ArcSwapOption::const_empty() }));
        Self { address, presented, tls_version: "", origin: None }
    }

    /// Whom the certificate names that it presented.
    #[must_use]
    pub fn certificate_name(&self) -> Option<String> {
        let leaf = self.presented.as_ref()?.chain.first()?;
        Subject::of(leaf).map(|subject| subject.common_name)
    }

    /// A peer without an address or certificates, for calls that come from no connection.
    #[must_use]
    pub fn nobody() -> Self {
        Self::new((Ipv4Addr::UNSPECIFIED, 0).into(), None)
    }
}
