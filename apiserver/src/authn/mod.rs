//! Who calls: from the `Peer` at the other end of a connection, and what it brings along, to a `Caller`.

mod authenticator;
mod caller;
mod certificate;
mod impersonation;
mod peer;
mod service_account;
mod static_tokens;

pub use authenticator::{Authenticator, Review, strip_credentials};
pub(crate) use caller::split_account;
pub use caller::{
    ANONYMOUS, Caller, GROUP_ALL_SERVICE_ACCOUNTS, GROUP_AUTHENTICATED, GROUP_MASTERS, GROUP_UNAUTHENTICATED,
};
pub use certificate::Certificates;
pub use impersonation::{Acting, Impersonation};
pub use peer::{Peer, Presented};
pub use service_account::{Live, ServiceAccounts};
pub use static_tokens::{StaticTokens, StaticTokensError};

#[cfg(test)]
mod tests;
