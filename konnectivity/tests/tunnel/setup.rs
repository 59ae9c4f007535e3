//! The ways to set a tunnel up, and one test of each body for each of them.

use tinyplane_konnectivity::server::Mode;

/// How a test's tunnel is set up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) mode: Mode,
    /// Frontends come over TLS, not over a Unix socket.
    pub(crate) tcp: bool,
    /// The agent speaks upstream's protocol only.
    pub(crate) plain_agent: bool,
    /// The client does.
    pub(crate) plain_client: bool,
    /// All dials of the client share one connection.
    pub(crate) reusable: bool,
    /// The agent proves itself by a token, not by a certificate.
    pub(crate) token: bool,
}

pub(crate) const GRPC: Setup =
    Setup { mode: Mode::Grpc, tcp: false, plain_agent: false, plain_client: false, reusable: false, token: false };
pub(crate) const PLAIN: Setup = Setup { plain_agent: true, plain_client: true, ..GRPC };
pub(crate) const GRPC_TOKEN: Setup = Setup { token: true, ..GRPC };
pub(crate) const GRPC_TCP: Setup = Setup { tcp: true, ..GRPC };
pub(crate) const GRPC_TCP_TOKEN: Setup = Setup { token: true, ..GRPC_TCP };
pub(crate) const REUSABLE: Setup = Setup { reusable: true, ..GRPC };
pub(crate) const REUSABLE_TCP_TOKEN: Setup = Setup { reusable: true, ..GRPC_TCP_TOKEN };
pub(crate) const CONNECT: Setup = Setup { mode: Mode::HttpConnect, plain_client: true, ..GRPC };
pub(crate) const CONNECT_PLAIN: Setup = Setup { plain_agent: true, ..CONNECT };
pub(crate) const CONNECT_TOKEN: Setup = Setup { token: true, ..CONNECT };
pub(crate) const CONNECT_TCP: Setup = Setup { tcp: true, ..CONNECT };
pub(crate) const CONNECT_TCP_TOKEN: Setup = Setup { token: true, ..CONNECT_TCP };

/// One body, every way to set a tunnel up where client, server and agent are ours.
macro_rules! in_every_setup_of_ours {
    ($($body:ident),* $(,)?) => {$(
        mod $body {
            use crate::setup::*;

            #[tokio::test]
            async fn grpc_over_uds() {
                super::$body(GRPC).await;
            }
            #[tokio::test]
            async fn grpc_over_uds_with_tokens() {
                super::$body(GRPC_TOKEN).await;
            }
            #[tokio::test]
            async fn grpc_over_tls() {
                super::$body(GRPC_TCP).await;
            }
            #[tokio::test]
            async fn grpc_over_tls_with_tokens() {
                super::$body(GRPC_TCP_TOKEN).await;
            }
            #[tokio::test]
            async fn grpc_over_one_connection() {
                super::$body(REUSABLE).await;
            }
            #[tokio::test]
            async fn grpc_over_one_connection_of_tls_with_tokens() {
                super::$body(REUSABLE_TCP_TOKEN).await;
            }
            #[tokio::test]
            async fn http_connect_over_uds() {
                super::$body(CONNECT).await;
            }
            #[tokio::test]
            async fn http_connect_over_uds_with_tokens() {
                super::$body(CONNECT_TOKEN).await;
            }
            #[tokio::test]
            async fn http_connect_over_tls() {
                super::$body(CONNECT_TCP).await;
            }
            #[tokio::test]
            async fn http_connect_over_tls_with_tokens() {
                super::$body(CONNECT_TCP_TOKEN).await;
            }
        }
    )*};
}
pub(crate) use in_every_setup_of_ours;

/// The same, and with what speaks upstream's protocol only.
macro_rules! in_every_setup {
    ($($body:ident),* $(,)?) => {
        $crate::setup::in_every_setup_of_ours!($($body),*);
        mod in_upstreams_words {
            use crate::setup::*;

            $(
                mod $body {
                    use super::*;

                    #[tokio::test]
                    async fn grpc() {
                        super::super::$body(PLAIN).await;
                    }
                    #[tokio::test]
                    async fn http_connect() {
                        super::super::$body(CONNECT_PLAIN).await;
                    }
                }
            )*
        }
    };
}
pub(crate) use in_every_setup;
