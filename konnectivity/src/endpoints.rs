//! The health and admin ports: plain HTTP, plain text.

use crate::tasks::Tasks;
use std::net::SocketAddr;
use tinyplane_wire::net::{Sources, bind};
use tinyplane_wire::process::{MemberError, endpoints};

pub(crate) use tinyplane_wire::process::endpoints::{Answer, Asked};

/// Serves `answer` on an address. What it does not know is a 404.
pub(crate) fn serve(
    at: SocketAddr,
    what: &str,
    tasks: &Tasks,
    answer: impl Fn(Asked<'_>) -> Option<Answer> + Send + Sync + 'static,
) -> Result<SocketAddr, MemberError> {
    let bound = bind(at, Sources::any())
        .map_err(|source| MemberError::because(format!("the {what} address {at} can't be bound"), source))?;
    let spawner = tasks.clone();
    tasks.spawn_acceptor(endpoints::serve(bound.listener, None, answer, move |connection| spawner.spawn(connection)));
    Ok(bound.address)
}
