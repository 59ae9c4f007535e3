//! One relayed connection, from the moment that it is there to its end.

use super::end::{End, cut};
use super::pump::{Ended, Pump};
use crate::fault::{Direction, Kind, Meeting, Rider};
use std::io;
use std::pin::pin;

/// Waits until a new connection may come to be. False: it is reset instead.
pub(super) async fn admitted(meeting: &mut Meeting, rider: &Rider) -> bool {
    let mut held = None;
    loop {
        let (both, change) = meeting.look(Direction::Server);
        let first = |is: fn(&Kind) -> bool| both.iter().find_map(|met| met.first(0, is));
        if let Some(reset) = first(|kind| matches!(kind, Kind::Reset)) {
            reset.bit();
            return false;
        }
        let dark = first(|kind| matches!(kind, Kind::Blackhole));
        if let Some(dark) = dark
            && held.replace(dark.id()) != Some(dark.id())
        {
            dark.bit();
        }
        rider.saw(change);
        if dark.is_none() {
            return true;
        }
        meeting.changed().await;
    }
}

/// Waits for what a new connection needs to come to be. True of one that is to be cut then, for it was reset meanwhile.
pub(super) async fn coming<T>(coming: impl Future<Output = T>, meeting: &mut Meeting, rider: &Rider) -> (T, bool) {
    let mut coming = pin!(coming);
    loop {
        tokio::select! {
            biased;
            come = &mut coming => return (come, false),
            () = meeting.changed() => {
                let (both, change) = meeting.look(Direction::Server);
                if let Some(reset) = both.iter().find_map(|met| met.first(0, |kind| matches!(kind, Kind::Reset))) {
                    reset.bit();
                    rider.dismount();
                    return (coming.await, true);
                }
                rider.saw(change);
            }
        }
    }
}

/// Carries between two ends until one of them is gone. `host` is who was dialled, and `rider` what has seen this come to be.
pub(super) async fn carry(client: Box<dyn End>, server: Box<dyn End>, mut meeting: Meeting, rider: Rider, host: &str) {
    let met = meeting.met(Direction::Server);
    let middle = met.first(0, |kind| matches!(kind, Kind::ManInTheMiddle { .. })).cloned();
    let (client, server) = match middle.as_ref().and_then(|placed| placed.middle.as_ref().map(|m| (placed, m))) {
        None => (client, server),
        Some((placed, middle)) => {
            placed.bit();
            // Hands may be shaken for as long as the ends like.
            rider.dismount();
            match middle.step_in(client, server, host).await {
                Ok([client, server]) => (client, server),
                Err(error) => return tracing::debug!(%error, "somebody does not believe the man in the middle"),
            }
        }
    };
    let (mut client_read, mut client_write) = tokio::io::split(client);
    let (mut server_read, mut server_write) = tokio::io::split(server);
    let [upwards, downwards] = [meeting.ride(), meeting.ride()];
    drop(rider);
    let up = (meeting.clone(), &upwards);
    let up = Pump::new(&mut client_read, &mut server_write, up, Direction::Server, middle.clone());
    let down = (meeting.clone(), &downwards);
    let down = Pump::new(&mut server_read, &mut client_write, down, Direction::Client, middle);
    let ended = both(up.run(), down.run()).await;
    let (client, server) = (client_read.unsplit(client_write), server_read.unsplit(server_write));
    match ended {
        Ended::Closed => {}
        Ended::Broken | Ended::Reset(None) => {
            cut(client);
            cut(server);
        }
        Ended::Reset(Some(direction)) => {
            let (told, other) = match direction {
                Direction::Client => (client, server),
                Direction::Server => (server, client),
            };
            cut(told);
            downwards.dismount();
            unaware(&mut meeting, direction, &upwards).await;
            cut(other);
        }
    }
}

/// Runs both directions to their end, or to the end of the first that ends in disorder.
async fn both(up: impl Future<Output = Ended>, down: impl Future<Output = Ended>) -> Ended {
    tokio::pin!(up, down);
    let first = tokio::select! {
        ended = &mut up => (ended, true),
        ended = &mut down => (ended, false),
    };
    match first {
        (Ended::Closed, true) => down.await,
        (Ended::Closed, false) => up.await,
        (ended, _) => ended,
    }
}

/// Keeps an end that was not told of a reset, for as long as it is in force.
async fn unaware(meeting: &mut Meeting, direction: Direction, rider: &Rider) {
    loop {
        let ([met, _], change) = meeting.look(direction);
        if met.first(u64::MAX, |kind| matches!(kind, Kind::Reset)).is_none() {
            return;
        }
        rider.saw(change);
        meeting.changed().await;
    }
}

/// Closes a connection that could not be carried on: the dialler sees a reset and no orderly end.
pub(super) fn refuse(client: Box<dyn End>, error: &io::Error) {
    tracing::debug!(%error, "a relayed connection leads nowhere");
    cut(client);
}
