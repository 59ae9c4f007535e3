//! What can go wrong between a client and the API server.

use crate::identity::kubeconfig::KubeconfigError;
use crate::identity::tls::TlsError;
use crate::status::{Reason, Status};
use serde_json::Value;

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server answered with a failure.
    #[error("{0}")]
    Status(Box<Status>),
    /// The server can't be reached, or the connection broke.
    #[error("the API server can't be reached")]
    Transport(#[from] reqwest::Error),
    /// A body is no JSON.
    #[error("the body is no JSON")]
    Body(#[from] serde_json::Error),
    /// The kubeconfig can't be used.
    #[error("the kubeconfig can't be used")]
    Kubeconfig(#[from] KubeconfigError),
    /// The certificates can't be used.
    #[error("the certificates can't be used")]
    Tls(#[from] TlsError),
    /// A watch's frame is larger than any object may be.
    #[error("a frame of the watch is over {0} bytes")]
    FrameTooLarge(usize),
    /// A path that is no URL.
    #[error("{0:?} is no path")]
    Path(String),
}

impl ClientError {
    /// The reason of a failure that the server answered with.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Status(status) => Some(status.reason),
            _ => None,
        }
    }

    /// True when there is no such object.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.reason() == Some(Reason::NotFound)
    }

    /// True when the object changed meanwhile, so that reading it again and trying again may help.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.reason() == Some(Reason::Conflict)
    }

    /// True when the object to create is there already.
    #[must_use]
    pub fn is_already_exists(&self) -> bool {
        self.reason() == Some(Reason::AlreadyExists)
    }

    /// True when a resource version is too old to go on from.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        matches!(self.reason(), Some(Reason::Expired | Reason::Gone))
    }
}

/// The answer, or the failure that it tells of.
pub(super) async fn success(answer: reqwest::Response) -> Result<reqwest::Response, ClientError> {
    let code = answer.status();
    if code.is_success() {
        return Ok(answer);
    }
    let text = answer.bytes().await?;
    let status = serde_json::from_slice::<Status>(&text).ok().filter(|s| s.kind == "Status" && s.code != 0);
    Err(ClientError::Status(status.map_or_else(
        || {
            let told = String::from_utf8_lossy(&text).into_owned();
            Status::failure(Reason::of_code(code.as_u16()), told).with_code(code.as_u16())
        },
        Box::new,
    )))
}

/// The JSON of an answer, or the failure that it tells of.
pub(super) async fn body_of(answer: reqwest::Response) -> Result<Value, ClientError> {
    let bytes = success(answer).await?.bytes().await?;
    Ok(serde_json::from_slice(&bytes)?)
}
