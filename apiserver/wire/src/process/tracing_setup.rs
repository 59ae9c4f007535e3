//! Logs of the binary: to stderr, filtered by `-v`.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Writes logs to stderr: errors and warnings at 0, and more with each step, as `-v` of the Kubernetes components.
/// Called once, by the binary; a library installs no subscriber.
pub fn log_to_stderr(verbosity: u8) {
    let filter = match verbosity {
        0 => "warn",
        1 => "info",
        2 | 3 => "info,tinyplane=debug",
        4 => "debug",
        _ => "trace",
    };
    let built = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(EnvFilter::new(filter))
        .try_init();
    if built.is_err() {
        tracing::debug!("a subscriber was there already");
    }
}
