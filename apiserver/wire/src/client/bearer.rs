//! Tokens that a client fetches for itself, instead of reading them from its kubeconfig.

use super::ClientError;
use std::pin::Pin;

/// Where a client's bearer token comes from.
pub trait Bearer: std::fmt::Debug + Send + Sync {
    /// The token of the moment, fetched where it is lacking or old.
    fn token(&self) -> Pin<Box<dyn Future<Output = Result<String, ClientError>> + Send + '_>>;

    /// The server does not know this token: another must be fetched.
    fn refused(&self, token: &str);
}
