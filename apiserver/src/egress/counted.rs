//! A way through a Konnectivity server whose dials are counted, under upstream's names.

use crate::metrics::{EgressDials, Stage};
use async_trait::async_trait;
use std::io;
use std::sync::Arc;
use std::time::Instant;
use tinyplane_konnectivity_client::is_unconnected;
use tinyplane_wire::net::{Dial, Dialled, Stream};

/// Counts the dials of one way.
#[derive(Debug)]
pub(super) struct Counted {
    dial: Arc<dyn Dial>,
    dials: Arc<EgressDials>,
    /// The proxy's protocol, and what leads to it: `grpc` and `uds`.
    way: (&'static str, &'static str),
}

impl Counted {
    pub(super) fn new(dial: Arc<dyn Dial>, dials: &Arc<EgressDials>, way: (&'static str, &'static str)) -> Self {
        Self { dial, dials: Arc::clone(dials), way }
    }
}

#[async_trait]
impl Dial for Counted {
    async fn dial(&self, host: &str, port: u16) -> io::Result<Box<dyn Stream>> {
        Ok(self.dial_as(rand::random(), host, port).await?.stream)
    }

    async fn dial_as(&self, number: i64, host: &str, port: u16) -> io::Result<Dialled> {
        let series = self.dials.of(self.way);
        series.started();
        let began = Instant::now();
        let dialled = self.dial.dial_as(number, host, port).await;
        match &dialled {
            Ok(_) => series.succeeded(began.elapsed()),
            Err(error) => series.failed(if is_unconnected(error) { Stage::Connect } else { Stage::Proxy }),
        }
        dialled
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Source, Text};
    use tinyplane_konnectivity_client::{GrpcDial, Route};
    use tinyplane_wire::net::UnixDial;

    #[tokio::test]
    async fn a_dial_that_fails_is_counted_with_its_stage() {
        let folder = tempfile::tempdir().unwrap();
        let dials = Arc::new(EgressDials::default());
        let gone = GrpcDial::new(Route::Unix(UnixDial::to(folder.path().join("gone.sock"))));
        let way = Counted::new(Arc::new(gone), &dials, ("grpc", "uds"));
        assert!(way.dial("127.0.0.1", 1).await.is_err());
        let mut text = Text::default();
        dials.tell(&mut text);
        let text = text.finish();
        for line in [
            "apiserver_egress_dialer_dial_start_total{protocol=\"grpc\",transport=\"uds\"} 1",
            "apiserver_egress_dialer_dial_failure_count{protocol=\"grpc\",stage=\"connect\",transport=\"uds\"} 1",
        ] {
            assert!(text.lines().any(|have| have == line), "{line} is not in {text}");
        }
        assert!(!text.contains("dial_duration_seconds_count"), "{text}");
    }
}
