//! Programs that talk to other addresses: `wget`, `curl`, `nc`, `nslookup`, `getent`.

mod curl;
mod http;
mod nc;

use crate::runtime::io::Duplex;
use crate::runtime::machine::{Outcome, Process};
pub(super) use curl::{curl, wget};
pub(super) use nc::nc;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The addresses of a host: itself, one of `/etc/hosts`, or what the cluster's DNS says.
async fn resolve(process: &Process, host: &str) -> io::Result<Vec<IpAddr>> {
    if let Ok(ip) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Ok(vec![ip]);
    }
    let hosts = process.place.read("/etc/hosts").unwrap_or_default();
    for line in String::from_utf8_lossy(&hosts).lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let ip = words.next().and_then(|word| word.parse::<IpAddr>().ok());
        if let Some(ip) = ip.filter(|_| words.any(|name| name == host)) {
            return Ok(vec![ip]);
        }
    }
    let sandbox = &process.machine.sandbox;
    sandbox.network.resolve(&sandbox.spec, host).await
}

/// Connects to a host's port. The pod's own ports are reached within the pod.
async fn connect(process: &Process, host: &str, port: u16) -> io::Result<Box<dyn Duplex>> {
    let sandbox = &process.machine.sandbox;
    let addresses = resolve(process, host).await?;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "bad address");
    for ip in addresses {
        let own = ip == sandbox.spec.pod_ip || ip == IpAddr::V4(Ipv4Addr::LOCALHOST) || ip.is_unspecified();
        let connected = if own && sandbox.serves(port) {
            sandbox.connect(port)
        } else {
            sandbox.network.dial(&sandbox.spec, SocketAddr::new(ip, port)).await
        };
        match connected {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// What is said of a connection that failed.
fn reason(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "Connection refused",
        io::ErrorKind::TimedOut => "Connection timed out",
        io::ErrorKind::NotFound => "bad address",
        io::ErrorKind::ConnectionReset => "Connection reset by peer",
        io::ErrorKind::HostUnreachable => "No route to host",
        io::ErrorKind::NetworkUnreachable => "Network is unreachable",
        _ => "Input/output error",
    }
}

pub(super) async fn nslookup(process: &mut Process) -> Outcome {
    let operands: Vec<String> = process.operands().into_iter().filter(|word| !word.starts_with('-')).collect();
    let Some(name) = operands.first() else { return process.fail(1, "missing operand").await };
    let config = process.place.read("/etc/resolv.conf").unwrap_or_default();
    let config = String::from_utf8_lossy(&config).into_owned();
    let server = config.lines().find_map(|line| line.strip_prefix("nameserver ")).unwrap_or("127.0.0.1").to_owned();
    process.out(format!("Server:\t\t{server}\nAddress:\t{server}:53\n\n")).await?;
    match resolve(process, name).await {
        Ok(addresses) if !addresses.is_empty() => {
            for address in addresses {
                process.out(format!("Name:\t{name}\nAddress: {address}\n")).await?;
            }
            process.out("\n").await?;
            Ok(0)
        }
        _ => {
            process.out(format!("** server can't find {name}: NXDOMAIN\n\n")).await?;
            Ok(1)
        }
    }
}

/// `getent hosts NAME`.
pub(super) async fn getent(process: &mut Process) -> Outcome {
    let operands = process.operands();
    let [database, name] = operands.as_slice() else { return process.fail(1, "usage: getent hosts NAME").await };
    if !matches!(database.as_str(), "hosts" | "ahosts") {
        return process.fail(1, format!("Unknown database: {database}")).await;
    }
    let addresses = resolve(process, name).await.unwrap_or_default();
    for address in &addresses {
        process.out(format!("{address:<16}  {name}\n", address = address.to_string())).await?;
    }
    Ok(if addresses.is_empty() { 2 } else { 0 })
}
