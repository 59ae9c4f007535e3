//! Several ways to the same place: each dial takes the next one that is ready.

use async_trait::async_trait;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tinyplane_konnectivity_client::is_no_way;
use tinyplane_wire::net::{Dial, Dialled, Stream};

/// How long a way that failed is left alone while others are there.
const SPARED: Duration = Duration::from_secs(1);

/// Dials by turns over the ways that are ready. A way is ready unless it failed a moment ago: its server was not there,
/// or had no agent. A dial that a way could not even begin goes on with the next, so that a server which dies costs
/// nobody anything; what the endpoint refuses is refused for all.
#[derive(Debug)]
pub(super) struct Balanced {
    ways: Vec<Way>,
    turn: AtomicUsize,
}

#[derive(Debug)]
struct Way {
    dial: Arc<dyn Dial>,
    failed: Mutex<Option<Instant>>,
}

impl Way {
    fn is_ready(&self) -> bool {
        let failed = *self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.is_none_or(|at| at.elapsed() > SPARED)
    }

    fn note(&self, failed: bool) {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = failed.then(Instant::now);
    }
}

impl Balanced {
    /// Over these ways; there is one at least.
    pub(super) fn over(ways: Vec<Arc<dyn Dial>>) -> Self {
        let way = |dial| Way { dial, failed: Mutex::default() };
        Self { ways: ways.into_iter().map(way).collect(), turn: AtomicUsize::new(0) }
    }
}

#[async_trait]
impl Dial for Balanced {
    async fn dial(&self, host: &str, port: u16) -> io::Result<Box<dyn Stream>> {
        Ok(self.dial_as(rand::random(), host, port).await?.stream)
    }

    async fn dial_as(&self, number: i64, host: &str, port: u16) -> io::Result<Dialled> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.ways.len();
        let (before, after) = self.ways.split_at(turn);
        let (ready, spared): (Vec<_>, Vec<_>) = after.iter().chain(before).partition(|way| way.is_ready());
        let mut last = io::Error::from(io::ErrorKind::NotConnected);
        for way in ready.into_iter().chain(spared) {
            match way.dial.dial_as(number, host, port).await {
                Err(error) if is_no_way(&error) => {
                    way.note(true);
                    tracing::debug!(%error, "a way to the nodes is not ready");
                    last = error;
                }
                dialled => {
                    way.note(false);
                    return dialled;
                }
            }
        }
        Err(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tinyplane_konnectivity_client::{GrpcDial, Route};
    use tinyplane_wire::net::UnixDial;

    /// Counts its dials, and refuses them in the endpoint's name.
    #[derive(Debug, Default)]
    struct Refusing(AtomicUsize);

    #[async_trait]
    impl Dial for Refusing {
        async fn dial(&self, _: &str, _: u16) -> io::Result<Box<dyn Stream>> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Err(io::ErrorKind::ConnectionRefused.into())
        }
    }

    #[tokio::test]
    async fn dials_take_turns_pass_over_what_is_gone_and_stop_at_the_endpoints_word() {
        let folder = tempfile::tempdir().unwrap();
        let gone: Arc<dyn Dial> = Arc::new(GrpcDial::new(Route::Unix(UnixDial::to(folder.path().join("gone.sock")))));
        let there = [Arc::new(Refusing::default()), Arc::new(Refusing::default())];
        let balanced = Balanced::over(vec![Arc::clone(&gone), there[0].clone(), there[1].clone()]);
        for _ in 0..12 {
            let error = balanced.dial("127.84.20.1", 1).await.err().unwrap();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        }
        let counts = there.each_ref().map(|one| one.0.load(Ordering::Relaxed));
        assert_eq!(counts.iter().sum::<usize>(), 12);
        assert!(counts.iter().all(|count| *count >= 4), "{counts:?}");
        let nowhere = Balanced::over(vec![gone.clone(), gone]);
        let told = nowhere.dial("127.84.20.1", 1).await.err().unwrap().to_string();
        assert!(told.contains("gone.sock"), "{told}");
    }
}
