//! `tinyplane sandbox DIR`: what the containers of `docker-compose.yml` are given.

use super::{Failure, answer};
use crate::sandbox::{Addresses, Written, write};
use clap::Args;
use ipnet::Ipv4Net;
use std::path::PathBuf;
use std::process::ExitCode;
use tinyplane_wire::clock::Clock;
use tinyplane_wire::process::told;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Folder for the containers' certificates, keys and kubeconfigs, and for the host's kubeconfig
    directory: PathBuf,
    /// The addresses of the sandbox's two networks
    #[arg(long, value_name = "RANGE", default_value = "10.111.0.0/16")]
    block: Ipv4Net,
    /// Port of 127.0.0.1 at which the host finds the API server
    #[arg(long, value_name = "PORT", default_value_t = 6443)]
    port: u16,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let addresses = Addresses::of(arguments.block).map_err(Failure::usage)?;
    let written = write(&arguments.directory, addresses, arguments.port, Clock::system().now())
        .map_err(|error| Failure::usage(told(&error)))?;
    match written {
        Written::New(kubeconfig) | Written::Known(kubeconfig) => answer(&kubeconfig.display().to_string()),
        Written::Others => {
            let told = format!(
                "{} was made for other addresses or another port: remove it, or name a new folder",
                arguments.directory.display()
            );
            return Err(Failure::usage(told));
        }
    }
    Ok(ExitCode::SUCCESS)
}
