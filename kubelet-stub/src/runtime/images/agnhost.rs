//! `agnhost`, as far as it is built in: `pause`, `serve-hostname`, `netexec`.

use super::servers::wait_for_the_end;
use super::web::{self, Asked};
use crate::runtime::machine::{Outcome, Process};
use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;

pub(crate) async fn agnhost(process: &mut Process) -> Outcome {
    let operands = process.operands();
    let value = |names: &[&str]| {
        operands.iter().enumerate().find_map(|(at, operand)| match operand.split_once('=') {
            Some((name, value)) if names.contains(&name) => Some(value.to_owned()),
            None if names.contains(&operand.as_str()) => operands.get(at + 1).cloned(),
            _ => None,
        })
    };
    let (flags, default): (&[&str], u16) = match operands.first().map(String::as_str) {
        None | Some("pause") => {
            process.out("Paused\n").await?;
            return wait_for_the_end(process).await;
        }
        Some("serve-hostname") => (&["--port", "-port"], 9376),
        Some("netexec") => (&["--http-port", "-http-port"], 8080),
        Some(other) => return process.fail(1, format!("unknown command \"{other}\" for \"app\"")).await,
    };
    let port = match value(flags).map(|text| text.parse::<u16>()) {
        None => default,
        Some(Ok(port)) => port,
        Some(Err(_)) => return process.fail(1, "invalid port").await,
    };
    let hostname = process.machine.sandbox.spec.hostname.clone();
    let only_hostname = operands.first().is_some_and(|first| first == "serve-hostname");
    let machine = process.machine.clone();
    let started = machine.clock.timestamp();
    let handler = web::handler(machine.gone.clone(), move |asked| {
        let (hostname, started) = (hostname.clone(), started.clone());
        async move { if only_hostname { web::text(StatusCode::OK, hostname) } else { netexec(&asked, &hostname, &started) } }
    });
    let _port = machine.sandbox.serve(port, handler).await;
    process.out(format!("Started HTTP server on port {port}\n")).await?;
    wait_for_the_end(process).await
}

fn netexec(asked: &Asked, hostname: &str, started: &str) -> Response<Full<Bytes>> {
    let uri = asked.request.uri();
    let query = |name: &str| {
        let pairs = uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
        pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value.replace('+', " "))
    };
    match uri.path() {
        "/" => web::text(StatusCode::OK, format!("NOW: {started}")),
        "/hostname" | "/hostName" => web::text(StatusCode::OK, hostname.to_owned()),
        "/clientip" => web::text(StatusCode::OK, asked.peer.to_string()),
        "/healthz" => web::text(StatusCode::OK, ""),
        "/echo" => {
            let code = query("code").and_then(|code| code.parse().ok()).unwrap_or(200);
            let status = StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_REQUEST);
            web::text(status, query("msg").unwrap_or_default())
        }
        _ => web::text(StatusCode::NOT_FOUND, "404 page not found\n"),
    }
}
