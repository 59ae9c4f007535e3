//! What is counted of the tunnels, under the names and HELP texts that upstream had.

use super::Tunnels;
use crate::metrics::{Kind, Source, Text};
use std::sync::atomic::{AtomicU64, Ordering};

/// Attempts to open a tunnel.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    opened: AtomicU64,
    failed: AtomicU64,
}

impl Numbers {
    /// Counts an attempt.
    pub(super) fn tried(&self, succeeded: bool) {
        self.opened.fetch_add(1, Ordering::Relaxed);
        if !succeeded {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Source for Tunnels {
    fn tell(&self, text: &mut Text) {
        let numbers = self.numbers();
        let mut one = |name: &str, kind, help: &str, value: f64| {
            text.family(name, kind, help);
            text.sample(name, &[], value);
        };
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as f64;
        let help = "[ALPHA] Counter of ssh tunnel total open attempts";
        one("ssh_tunnel_open_count", Kind::Counter, help, count(&numbers.opened));
        let help = "[ALPHA] Counter of ssh tunnel failed open attempts";
        one("ssh_tunnel_open_fail_count", Kind::Counter, help, count(&numbers.failed));
        let help = "The time since the last successful synchronization of the SSH tunnels for proxy requests.";
        one("apiserver_proxy_tunnel_sync_latency_secs", Kind::Gauge, help, self.seconds_since_sync() as f64);
    }
}
