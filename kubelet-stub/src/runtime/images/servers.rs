//! The main programs of the built-in images.

use super::web::{self, Documents};
use crate::runtime::machine::{Disposition, Outcome, Process, Signals};
use std::sync::Arc;

/// The signals that servers end at, with 0.
const ENDING: [i32; 3] = [2, 3, 15];

/// Keeps the signals that ask to end until a server takes them.
pub(crate) fn catch_ending(signals: &Signals) {
    for signal in ENDING {
        signals.set(signal, Some(Disposition::Caught));
    }
}

/// Waits for a signal that asks to end: `pause`, and images that nobody knows.
pub(crate) async fn wait_for_the_end(process: &mut Process) -> Outcome {
    catch_ending(&process.signals);
    loop {
        process.signals.caught().await;
        if process.signals.take().is_some_and(|signal| ENDING.contains(&signal)) {
            return Ok(0);
        }
    }
}

/// `nginx`: serves its documents on port 80.
pub(crate) async fn nginx(process: &mut Process) -> Outcome {
    let operands = process.operands();
    if operands.iter().any(|operand| operand == "-v") {
        process.err("nginx version: nginx/1.27.0\n").await;
        return Ok(0);
    }
    if operands.iter().any(|operand| operand == "-t") {
        process.err("nginx: the configuration file /etc/nginx/nginx.conf syntax is ok\n").await;
        return Ok(0);
    }
    if let Some(at) = operands.iter().position(|operand| operand == "-s") {
        return signal(process, operands.get(at + 1).map(String::as_str)).await;
    }
    let port = if process.machine.sandbox.serves(8080) && process.place.uid != 0 { 8080 } else { 80 };
    serve(process, port, "/usr/share/nginx/html", "nginx/1.27.0").await
}

/// `nginx -s`: asks the server that runs to end; files are read anew for each request, so that a reload changes nothing.
async fn signal(process: &Process, name: Option<&str>) -> Outcome {
    if !matches!(name, Some("stop" | "quit" | "reload" | "reopen")) {
        return process.fail(1, format!("invalid option: \"-s {}\"", name.unwrap_or_default())).await;
    }
    let running = process.machine.processes().into_iter().find(|(pid, entry)| {
        *pid != process.pid && entry.command.first().is_some_and(|command| command.ends_with("nginx"))
    });
    match (running, name) {
        (None, _) => process.fail(1, "[error] open() \"/run/nginx.pid\" failed (2: No such file or directory)").await,
        (Some((_, entry)), Some("stop" | "quit")) => {
            entry.signals.send(15);
            Ok(0)
        }
        (Some(_), _) => Ok(0),
    }
}

/// `httpd`: serves its documents on port 80, or busybox's way with `-p` and `-h`.
pub(crate) async fn httpd(process: &mut Process) -> Outcome {
    let operands = process.operands();
    let after = |flag: &str| operands.iter().position(|operand| operand == flag).and_then(|at| operands.get(at + 1));
    let port = match after("-p").map(|text| text.rsplit(':').next().unwrap_or(text).parse::<u16>()) {
        Some(Ok(port)) => port,
        Some(Err(_)) => return process.fail(1, "bad port").await,
        None => 80,
    };
    let root = after("-h").cloned().unwrap_or_else(|| "/usr/local/apache2/htdocs".to_owned());
    serve(process, port, &root, "Apache/2.4 (Unix)").await
}

async fn serve(process: &mut Process, port: u16, root: &str, server: &'static str) -> Outcome {
    let machine = process.machine.clone();
    let documents = Arc::new(Documents { root: root.to_owned(), server, process: process.clone() });
    let handler = web::handler(machine.gone.clone(), move |request| {
        let documents = documents.clone();
        async move { documents.answer(request).await }
    });
    let _port = machine.sandbox.serve(port, handler).await;
    wait_for_the_end(process).await
}

/// `hello-world`.
pub(crate) async fn hello(process: &mut Process) -> Outcome {
    process
        .out("\nHello from Docker!\nThis container was played by Tinyplane's built-in hello-world image.\n\n")
        .await?;
    Ok(0)
}
