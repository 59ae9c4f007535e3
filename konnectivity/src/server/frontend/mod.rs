//! The frontend port: who wants to reach a node.

mod authority;
mod grpc;
mod http_connect;
mod reticent;

use super::port::{self, CONNECTIONS_MAX, Port};
use super::{Frontend, Mode, State};
use crate::TlsFiles;
use crate::carry::{Farewell, Split};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tinyplane_wire::identity::tls::{ALPN_HTTP1, ALPN_HTTP2};
use tinyplane_wire::net::bind_unix;
use tinyplane_wire::process::MemberError;
use tokio::sync::Semaphore;

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
            let stream = listener.accept().await;
            let state = Arc::clone(&shared);
            shared.tasks.spawn(async move {
                serve(&state, stream).await;
                drop(place);
            });
        }
    });
    Ok(())
}

fn listen_tcp(state: &Arc<State>, at: SocketAddr, files: &TlsFiles) -> Result<SocketAddr, MemberError> {
    let alpn: &'static [&'static [u8]] = match state.config.mode {
        Mode::Grpc => &ALPN_HTTP2,
        Mode::HttpConnect => &ALPN_HTTP1,
    };
    let port = Port { peers: "frontend", at, files, alpn, read_ahead: 0 };
    port::listen(state, port, |state, stream, _| async move {
        serve(&state, Farewell::of(stream)).await;
    })
}

async fn serve(state: &Arc<State>, stream: impl Split) {
    match state.config.mode {
        Mode::Grpc => grpc::connection(state, stream).await,
        Mode::HttpConnect => http_connect::connection(state, stream).await,
    }
}
