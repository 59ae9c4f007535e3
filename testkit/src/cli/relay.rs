//! `tinyplane relay`: relays before listeners of other programs, whose links can be hurt over a control port.

use super::control::{Answer, LINE_BYTES_MAX, Request};
use crate::fault::{Board, Fault};
use crate::relay::{Front, Link, Onward, Opened, Place};
use clap::Args;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use tinyplane_wire::clock::Clock;
use tinyplane_wire::net::{Listener, Sources, bind};
use tinyplane_wire::process::{MemberError, Running, Shutdown};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Longest wait for a word on a connection to the control port.
const WORD_SECONDS_MAX: u64 = 10;
/// Who may say words at the same time.
const CONTROLS_MAX: usize = 16;

/// The flags.
#[derive(Debug, Args)]
pub(super) struct Flags {
    /// A relay, as LINK=LISTEN=FORWARD: node-to-apiserver=0.0.0.0:6443=apiserver:6443. Any number of them. Who dials is
    /// known by its address, and so is its end of the link: node-to-apiserver/10.0.0.1
    #[arg(long = "route", value_name = "LINK=ADDRESS:PORT=HOST:PORT", required = true)]
    routes: Vec<Route>,
    /// Where `tinyplane fault --at` is heard; whoever reaches it may hurt these links
    #[arg(long, value_name = "ADDRESS:PORT")]
    control: Option<SocketAddr>,
}

/// One relay of many.
#[derive(Clone, Debug, PartialEq)]
struct Route {
    link: Place,
    listen: SocketAddr,
    to: (String, u16),
}

impl FromStr for Route {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not LINK=ADDRESS:PORT=HOST:PORT");
        let [link, listen, to] = text.split('=').collect::<Vec<_>>()[..] else { return Err(wrong()) };
        let (host, port) = to.rsplit_once(':').ok_or_else(wrong)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self {
            link: link.parse()?,
            listen: listen.parse().map_err(|_| wrong())?,
            to: (host, port.parse().map_err(|_| wrong())?),
        })
    }
}

/// Serves until `shutdown`.
///
/// # Errors
/// When an address can't be bound.
pub(super) async fn start(flags: Flags, _: Clock, shutdown: Shutdown) -> Result<Running, MemberError> {
    let board = Board::new();
    let links: Arc<[Place]> = flags.routes.iter().map(|route| route.link.clone()).collect();
    let mut addresses = BTreeMap::new();
    let mut serving = JoinSet::new();
    for Route { link, listen, to: (host, port) } in flags.routes {
        let (kind, name) = (link.kind, link.name.clone());
        // Another port than the one that is meant would be found by nobody.
        let taken = |at: &SocketAddr| io::Error::new(io::ErrorKind::AddrInUse, format!("{at} is taken"));
        let opened = Opened::open(
            &Front::Tcp(listen),
            Onward::Name(host, port),
            Arc::new(move |peer| (kind, end(&name, peer))),
            false,
        );
        let opened = opened.and_then(|opened| match opened.address() {
            Some(at) if listen.port() == 0 || at.port() == listen.port() => Ok((opened, at)),
            _ => Err(taken(&listen)),
        });
        let (opened, at) = opened.map_err(|e| MemberError::because(format!("{link} can't be relayed"), e))?;
        addresses.insert(link.to_string(), at);
        serving.spawn(opened.serve(Arc::clone(&board), shutdown.clone()));
    }
    if let Some(at) = flags.control {
        let bound =
            bind(at, Sources::any()).map_err(|e| MemberError::because(format!("no control port at {at}"), e))?;
        addresses.insert("control".into(), bound.address);
        serving.spawn(control(bound.listener, board, links, shutdown));
    }
    let task = tokio::spawn(async move {
        while serving.join_next().await.is_some() {}
        Ok(())
    });
    Ok(Running { addresses, task })
}

async fn control(listener: Listener, board: Arc<Board>, links: Arc<[Place]>, shutdown: Shutdown) {
    let mut heard = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if heard.len() < CONTROLS_MAX => {
                let (board, links) = (Arc::clone(&board), Arc::clone(&links));
                heard.spawn(async move {
                    let word = converse(accepted.stream, &board, &links);
                    match tokio::time::timeout(Duration::from_secs(WORD_SECONDS_MAX), word).await {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => tracing::debug!(%error, "a word was cut short"),
                        Err(_) => tracing::debug!("a word did not come in time"),
                    }
                });
            }
            Some(_) = heard.join_next() => {}
            () = shutdown.cancelled() => return,
        }
    }
}

async fn converse(stream: TcpStream, board: &Board, links: &[Place]) -> io::Result<()> {
    let (reading, mut writing) = stream.into_split();
    let mut line = String::new();
    BufReader::new(reading.take(LINE_BYTES_MAX)).read_line(&mut line).await?;
    let outcome = match serde_json::from_str(&line) {
        Ok(Request { fault: Some(order), .. }) => {
            // A server that is relayed to here is reached over TCP.
            let admits = |place: &Place, fault: &Fault| {
                there_is(links, place)?;
                fault.fits(place, false).map_err(|error| error.to_string())
            };
            order.obey(board, admits).await
        }
        Ok(Request { verb, .. }) => Err(format!("{verb:?} is no word that a relay knows")),
        Err(error) => Err(error.to_string()),
    };
    writing.write_all(&Answer::of(outcome).line()?).await
}

/// The name of an end: the address of who dials, unless the relay is for one end only.
fn end(name: &str, peer: Option<IpAddr>) -> String {
    match (name, peer) {
        (Link::EVERY, Some(peer)) => peer.to_string(),
        _ => name.to_owned(),
    }
}

fn there_is(links: &[Place], place: &Place) -> Result<(), String> {
    if links.iter().any(|link| place.covers(link) || link.covers(place)) {
        return Ok(());
    }
    let known: Vec<String> = links.iter().map(ToString::to_string).collect();
    Err(format!("{place} is not relayed here, but {}", known.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Order;

    #[test]
    fn a_route_is_a_link_and_two_addresses() {
        let route: Route = "node-to-apiserver=0.0.0.0:6443=apiserver:6443".parse().unwrap();
        assert_eq!((route.listen.port(), route.to), (6443, ("apiserver".into(), 6443)));
        let route: Route = "agent-to-konnectivity/agent=127.0.0.1:1=[::1]:2".parse().unwrap();
        assert_eq!((route.link.name.as_str(), route.to), ("agent", ("::1".into(), 2)));
        for wrong in
            ["", "node-to-apiserver", "node-to-apiserver=x=y:1", "moon=0.0.0.0:1=y:1", "agent-to-node=0.0.0.0:1=y"]
        {
            assert!(wrong.parse::<Route>().is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_relay_carries_and_is_hurt_and_healed_over_its_control_port() {
        let echo = bind("127.86.10.1:0".parse().unwrap(), Sources::any()).unwrap();
        let to = ("127.86.10.1".to_owned(), echo.address.port());
        let echoing = tokio::spawn(async move {
            loop {
                let (mut reading, mut writing) = echo.listener.accept().await.stream.into_split();
                tokio::spawn(async move { tokio::io::copy(&mut reading, &mut writing).await });
            }
        });
        let any: SocketAddr = "127.86.10.2:0".parse().unwrap();
        let route = Route { link: "node-to-apiserver".parse().unwrap(), listen: any, to };
        let shutdown = Shutdown::new();
        let flags = Flags { routes: vec![route], control: Some(any) };
        let running = start(flags, Clock::system(), shutdown.clone()).await.unwrap();
        let (at, control) = (running.addresses["node-to-apiserver"], running.addresses["control"]);
        let dial = tinyplane_wire::net::TcpDial::from(None);
        let echoes = async || -> io::Result<[u8; 5]> {
            let mut stream = dial.connect(at).await?;
            stream.write_all(b"hello").await?;
            let mut answer = [0; 5];
            stream.read_exact(&mut answer).await?;
            Ok(answer)
        };
        assert_eq!(echoes().await.unwrap(), *b"hello");
        let say = async |order| super::super::control::say_at(&control.to_string(), order).await.unwrap();
        let wrong: Place = "agent-to-node".parse().unwrap();
        assert!(say(Order::Inject(wrong, vec![Fault::reset()])).await.error.unwrap().contains("node-to-apiserver"));
        let link: Place = "node-to-apiserver".parse().unwrap();
        let placed = say(Order::Inject(link, vec![Fault::reset()])).await.faults;
        echoes().await.unwrap_err();
        let healed = say(Order::Heal(vec![placed[0].seen.id])).await.faults;
        assert_eq!(healed[0].seen.times, 1);
        assert_eq!(echoes().await.unwrap(), *b"hello");
        shutdown.cancel();
        running.task.await.unwrap().unwrap();
        echoing.abort();
    }
}
