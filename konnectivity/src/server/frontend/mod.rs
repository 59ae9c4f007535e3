//! The frontend port: who wants to reach a node.

mod authority;
mod grpc;
mod http_connect;

use super::agents::{HANDSHAKE_TIMEOUT, server_tls};
use super::{Frontend, Mode, State};
use crate::TlsFiles;
use crate::carry::Split;
use crate::tls::Reloaded;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tinyplane_wire::identity::tls::{ALPN_HTTP1, ALPN_HTTP2};
use tinyplane_wire::net::{Accepted, Sources, Stream, bind, bind_unix};
use tinyplane_wire::process::MemberError;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

/// Frontends' connections at the same time: each carries one connection, since tunnels are used once.
const CONNECTIONS_MAX: usize = 16_384;

/// Binds the frontend and takes connections in. Gives the address when it is one.
pub(super) fn listen(state: &Arc<State>) -> Result<Option<SocketAddr>, MemberError> {
    match &state.config.frontend {
        Frontend::Unix { path, delete_existing } => listen_unix(state, path, *delete_existing).map(|()| None),
        Frontend::Tcp { at, tls } => listen_tcp(state, *at, tls).map(Some),
    }
}

fn listen_unix(state: &Arc<State>, path: &Path, delete_existing: bool) -> Result<(), MemberError> {
    let listener = bind_unix(path, delete_existing)
        .map_err(|source| MemberError::because(format!("the socket {} can't be bound", path.display()), source))?;
    let (shared, room) = (Arc::clone(state), Arc::new(Semaphore::new(CONNECTIONS_MAX)));
    state.tasks.spawn_acceptor(async move {
        while let Ok(place) = Arc::clone(&room).acquire_owned().await {
            match listener.accept().await {
                Ok(stream) => {
                    let state = Arc::clone(&shared);
                    shared.tasks.spawn(async move {
                        serve(&state, stream).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::debug!(%error, "accept failed");
                    shared.clock.sleep(std::time::Duration::from_millis(10)).await;
                }
            }
        }
    });
    Ok(())
}

fn listen_tcp(state: &Arc<State>, at: SocketAddr, files: &TlsFiles) -> Result<SocketAddr, MemberError> {
    let alpn: &'static [&'static [u8]] = match state.config.mode {
        Mode::Grpc => &ALPN_HTTP2,
        Mode::HttpConnect => &ALPN_HTTP1,
    };
    let limits = state.config.tls_limits.clone();
    let tls = Reloaded::open(files.clone(), move |files| server_tls(files, alpn, &limits))?;
    let bound = bind(at, Sources::any())
        .map_err(|source| MemberError::because(format!("the frontend address {at} can't be bound"), source))?;
    let (shared, room) = (Arc::clone(state), Arc::new(Semaphore::new(CONNECTIONS_MAX)));
    state.tasks.spawn_acceptor(async move {
        while let Ok(place) = Arc::clone(&room).acquire_owned().await {
            let Accepted { stream, peer } = bound.listener.accept().await;
            let (state, tls) = (Arc::clone(&shared), TlsAcceptor::from(tls.now()));
            shared.tasks.spawn(async move {
                match tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
                    Ok(Ok(stream)) => serve(&state, Box::new(stream) as Box<dyn Stream>).await,
                    Ok(Err(error)) => tracing::info!(%peer, %error, "refused a frontend"),
                    Err(_) => tracing::info!(%peer, "a frontend did not finish its TLS handshake in time"),
                }
                drop(place);
            });
        }
    });
    Ok(bound.address)
}

async fn serve(state: &Arc<State>, stream: impl Split) {
    match state.config.mode {
        Mode::Grpc => grpc::connection(state, stream).await,
        Mode::HttpConnect => http_connect::connection(state, stream).await,
    }
}
