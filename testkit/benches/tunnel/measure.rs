//! The figures of one row.

use crate::endpoint::{Endpoint, Wish, ask, give, take};
use crate::figures::{processor_time, quantile};
use crate::pair::Pair;
use futures_util::future::join_all;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tinyplane_wire::net::{Dial, Stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Bytes of each transfer, over all its streams.
const BYTES: u64 = 1 << 29;
const STREAMS: u64 = 100;
const DIALS: usize = 500;
const ROUND_TRIPS: usize = 5_000;
/// Longest that one transfer may take: a tunnel that stops is told and not waited for.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Row {
    /// MB/s: one stream up and down, many of them up and down. None when it did not end.
    rates: [Option<f64>; 4],
    seconds_a_gb: f64,
    dials: [Duration; 2],
    round_trip: Duration,
    /// Resident and anonymous MiB of server and agent: idle, and the largest after all of it.
    memory: Option<[[f64; 2]; 4]>,
}

impl Row {
    pub(crate) const HEAD: &str = "row                     one up/down MB/s  100 up/down MB/s  CPU s/GB  dial+byte p50/p99 ms  \
         round trip p50 ms  idle MiB server+agent (anonymous)  largest MiB";

    pub(crate) async fn of(dial: Arc<dyn Dial>, endpoint: &Endpoint, pair: Option<&Pair>) -> Self {
        let idle = pair.map(Pair::memory);
        // In a task of its own, as whoever dials has one.
        let (through, at) = (Arc::clone(&dial), endpoint.at);
        let measured = tokio::spawn(async move { latencies(&*through, at).await }).await;
        let (dials, round_trip) = measured.expect("it does not panic");
        let before = spent(pair);
        let mut rates = [None; 4];
        for (at, (wish, streams)) in
            [(Wish::Up, 1), (Wish::Down, 1), (Wish::Up, STREAMS), (Wish::Down, STREAMS)].into_iter().enumerate()
        {
            let moved = tokio::time::timeout(PATIENCE, transfer(&dial, endpoint, wish, streams)).await;
            rates[at] = moved.ok().map(|took| BYTES as f64 / 1e6 / took.as_secs_f64());
        }
        let gigabytes = BYTES as f64 * 4.0 / 1e9;
        let seconds_a_gb = (spent(pair) - before).as_secs_f64() / gigabytes;
        let memory = idle.zip(pair).map(|(idle, pair)| {
            let largest = pair.largest();
            [idle[0], idle[1], largest[0], largest[1]]
        });
        Self { rates, seconds_a_gb, dials, round_trip, memory }
    }

    pub(crate) fn told(&self, name: &str) -> String {
        let rate = |rate: Option<f64>| rate.map_or("stuck".into(), |rate| format!("{rate:.0}"));
        let [one_up, one_down, many_up, many_down] = self.rates.map(rate);
        let memory = self.memory.map_or(String::new(), |[server, agent, most_server, most_agent]| {
            format!(
                "{:.1}+{:.1} ({:.1}+{:.1})   {:.1}+{:.1} ({:.1}+{:.1})",
                server[0], agent[0], server[1], agent[1], most_server[0], most_agent[0], most_server[1], most_agent[1]
            )
        });
        format!(
            "{name:<24}{:>16}  {:>16}  {:>8.2}  {:>20}  {:>17.3}  {memory}",
            format!("{one_up}/{one_down}"),
            format!("{many_up}/{many_down}"),
            self.seconds_a_gb,
            format!("{:.2}/{:.2}", millis(self.dials[0]), millis(self.dials[1])),
            millis(self.round_trip),
        )
    }
}

/// Processor time of client, server and agent so far.
fn spent(pair: Option<&Pair>) -> Duration {
    processor_time(std::process::id()) + pair.map_or(Duration::ZERO, Pair::processor_time)
}

async fn open(dial: &dyn Dial, endpoint: SocketAddr) -> Box<dyn Stream> {
    dial.dial(&endpoint.ip().to_string(), endpoint.port()).await.expect("the endpoint can be dialled")
}

/// From the dial to the first byte that came back, at the median and the 99th of 100, and a round trip of one byte.
async fn latencies(dial: &dyn Dial, endpoint: SocketAddr) -> ([Duration; 2], Duration) {
    let mut times = Vec::new();
    for _ in 0..DIALS {
        let began = Instant::now();
        let mut stream = open(dial, endpoint).await;
        ask(&mut stream, Wish::Echo, 1).await.expect("it is asked");
        stream.write_all(&[1]).await.expect("a byte");
        stream.flush().await.expect("it goes");
        stream.read_u8().await.expect("a byte");
        times.push(began.elapsed());
    }
    let dials = [quantile(&mut times, 0.5), quantile(&mut times, 0.99)];
    let mut trips = Vec::new();
    let mut stream = open(dial, endpoint).await;
    ask(&mut stream, Wish::Echo, ROUND_TRIPS as u64).await.expect("it is asked");
    for _ in 0..ROUND_TRIPS {
        let began = Instant::now();
        stream.write_all(&[1]).await.expect("a byte");
        stream.flush().await.expect("it goes");
        stream.read_u8().await.expect("a byte");
        trips.push(began.elapsed());
    }
    (dials, quantile(&mut trips, 0.5))
}

/// Moves [`BYTES`] over so many streams at once; the streams are dialled before the clock starts.
async fn transfer(dial: &Arc<dyn Dial>, endpoint: &Endpoint, wish: Wish, streams: u64) -> Duration {
    let opened = join_all((0..streams).map(|_| open(&**dial, endpoint.at))).await;
    let began = Instant::now();
    let moving = opened.into_iter().map(|mut stream| {
        tokio::spawn(async move {
            let bytes = BYTES / streams;
            ask(&mut stream, wish, bytes).await?;
            match wish {
                Wish::Up => {
                    give(&mut stream, bytes).await?;
                    stream.read_u8().await?;
                }
                Wish::Down | Wish::Echo => take(&mut stream, bytes).await?,
            }
            Ok::<_, std::io::Error>(())
        })
    });
    for moved in join_all(moving).await {
        moved.expect("it does not panic").expect("every byte is carried");
    }
    began.elapsed()
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
