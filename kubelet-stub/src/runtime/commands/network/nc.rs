//! `nc`: connects, probes (`-z`) or listens (`-l`).

use super::{connect, reason};
use crate::runtime::commands::options;
use crate::runtime::io::Duplex;
use crate::runtime::machine::{Handler, Outcome, Process};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

/// Connections that wait for a listening `nc`.
const WAITING_MAX: usize = 8;
/// How long the input may still be sent after the other side has ended.
const LINGER: Duration = Duration::from_millis(100);
/// Bytes that are moved at once.
const PIECE_BYTES_MAX: usize = 32 << 10;

pub(in crate::runtime::commands) async fn nc(process: &mut Process) -> Outcome {
    let given = options::read(process, "lp:zvw:knq:Nu4s:", &[]).await?;
    if given.has('u') {
        return process.fail(1, "UDP is not built in").await;
    }
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    if given.has('l') {
        let text = given.value('p').or(given.operands.last().map(String::as_str));
        let Some(port) = text.and_then(port) else { return process.fail(1, "bad port").await };
        return listen(process, port, given.has('k')).await;
    }
    let [host, text] = given.operands.as_slice() else { return process.fail(1, "host and port are needed").await };
    let Some(port) = port(text) else { return process.fail(1, format!("bad port '{text}'")).await };
    let seconds = given.value('w').and_then(|text| text.parse::<u64>().ok()).map_or(Duration::MAX, Duration::from_secs);
    let stream = match tokio::time::timeout(seconds, connect(process, host, port)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            if !given.has('z') || given.has('v') {
                process.complain(format!("{host} ({host}:{text}): {}", reason(&error))).await;
            }
            return Ok(1);
        }
        Err(_) => return process.fail(1, "timed out").await,
    };
    if given.has('v') {
        process.err(format!("{host} ({host}:{port}) open\n")).await;
    }
    if given.has('z') {
        return Ok(0);
    }
    exchange(process, stream).await
}

async fn listen(process: &Process, port: u16, again: bool) -> Outcome {
    let (sender, mut connections) = mpsc::channel(WAITING_MAX);
    let handler: Handler = Arc::new(move |stream, _| {
        // One more than may wait is hung up on.
        drop(sender.try_send(stream));
    });
    let guard = process.machine.sandbox.serve(port, handler).await;
    let code = loop {
        let Some(stream) = connections.recv().await else { break 0 };
        let code = exchange(process, stream).await?;
        if !again {
            break code;
        }
    };
    drop(guard);
    Ok(code)
}

/// Moves bytes both ways until the other side ends.
async fn exchange(process: &Process, stream: Box<dyn Duplex>) -> Outcome {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let source = process.stdin();
    let send = async {
        loop {
            match source.read(PIECE_BYTES_MAX).await {
                Ok(bytes) if !bytes.is_empty() => {
                    if writer.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
                _ => break,
            }
        }
        if let Err(error) = writer.shutdown().await {
            tracing::debug!(%error, "nc could not end its side");
        }
    };
    let receive = async {
        let mut buffer = vec![0; PIECE_BYTES_MAX];
        loop {
            match reader.read(&mut buffer).await {
                Ok(length @ 1..) => process.out(&buffer[..length]).await?,
                Ok(_) | Err(_) => return Ok(0),
            }
        }
    };
    tokio::pin!(send);
    tokio::pin!(receive);
    let mut sending = true;
    loop {
        tokio::select! {
            outcome = &mut receive => {
                if sending && outcome.is_ok() {
                    // What waits to be sent still goes; an input that stays open is not waited for.
                    let _ = tokio::time::timeout(LINGER, &mut send).await;
                }
                return outcome;
            }
            () = &mut send, if sending => sending = false,
        }
    }
}
