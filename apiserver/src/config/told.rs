//! The settings as flags, by upstream's names and in the letters in which Go prints their values: what `/flagz` tells.

use super::{AuthorizationMode, Config, Storage};
use crate::audit::{Format, Mode};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;

impl Config {
    /// All flags with their values; empty ones where nothing is set.
    #[must_use]
    pub fn flags(&self) -> BTreeMap<&'static str, String> {
        let file = |path: Option<&PathBuf>| path.map(|path| path.display().to_string()).unwrap_or_default();
        let modes = self.authorization.iter().map(|mode| match mode {
            AuthorizationMode::AlwaysAllow => "AlwaysAllow",
            AuthorizationMode::Node => "Node",
            AuthorizationMode::Rbac => "RBAC",
        });
        let (enabled, disabled) = self.admission.told();
        let (ports, limits) = (&self.node_ports, &self.request_limits);
        let ssh = self.ssh.as_ref();
        let mut flags = BTreeMap::from([
            ("bind-address", self.bind.ip().to_string()),
            ("secure-port", self.bind.port().to_string()),
            ("advertise-address", self.advertise.map(|ip| ip.to_string()).unwrap_or_default()),
            ("tls-cert-file", file(Some(&self.certificate_file))),
            ("tls-private-key-file", file(Some(&self.key_file))),
            ("client-ca-file", file(self.client_authority_file.as_ref())),
            ("token-auth-file", file(self.token_file.as_ref())),
            ("anonymous-auth", self.anonymous.to_string()),
            ("authorization-mode", listed(modes)),
            ("service-account-key-file", listed(self.account_key_files.iter().map(|path| path.display()))),
            ("service-account-signing-key-file", file(self.account_signing_key_file.as_ref())),
            ("service-account-issuer", listed([&self.account_issuer])),
            ("api-audiences", listed(&self.audiences)),
            ("service-cluster-ip-range", self.service_range.to_string()),
            ("service-node-port-range", format!("{}-{}", ports.start(), ports.end())),
            ("kubelet-client-certificate", file(self.kubelets.certificate_file.as_ref())),
            ("kubelet-client-key", file(self.kubelets.key_file.as_ref())),
            ("kubelet-certificate-authority", file(self.kubelets.authority_file.as_ref())),
            ("kubelet-preferred-address-types", listed(&self.kubelets.preferred_address_types)),
            ("enable-admission-plugins", listed(enabled)),
            ("disable-admission-plugins", listed(disabled)),
            ("egress-selector-config-file", file(self.egress_file.as_ref())),
            ("ssh-user", ssh.map(|ssh| ssh.user.clone()).unwrap_or_default()),
            ("ssh-keyfile", file(ssh.map(|ssh| &ssh.key_file))),
            ("etcd-compaction-interval", duration(self.compaction_interval)),
            ("max-requests-inflight", limits.reading.to_string()),
            ("max-mutating-requests-inflight", limits.mutating.to_string()),
            ("enable-priority-and-fairness", limits.fair.to_string()),
            ("request-timeout", duration(self.request_timeout)),
        ]);
        let (store, folder) = match &self.storage {
            Storage::Memory => ("memory", None),
            Storage::Sled(folder) => ("sled", Some(folder)),
        };
        flags.extend([("store", store.to_owned()), ("store-dir", file(folder))]);
        flags.extend(self.audit_flags());
        flags
    }

    fn audit_flags(&self) -> [(&'static str, String); 8] {
        let audit = self.audit.as_ref();
        let file = |path: Option<&Path>| path.map(|path| path.display().to_string()).unwrap_or_default();
        let number = |of: fn(&crate::audit::Config) -> u64| audit.map_or(0, of).to_string();
        let format = match audit.map(|audit| audit.format) {
            Some(Format::Legacy) => "legacy",
            Some(Format::Json) | None => "json",
        };
        let mode = match audit.map(|audit| audit.mode) {
            Some(Mode::Batch) => "batch",
            Some(Mode::BlockingStrict) => "blocking-strict",
            Some(Mode::Blocking) | None => "blocking",
        };
        [
            ("audit-policy-file", file(audit.map(|audit| audit.policy_file.as_path()))),
            ("audit-log-path", file(audit.map(|audit| audit.log_path.as_path()))),
            ("audit-log-maxsize", number(|audit| audit.size_mebibytes_max)),
            ("audit-log-maxbackup", number(|audit| audit.backups_max as u64)),
            ("audit-log-maxage", number(|audit| audit.age_days_max)),
            ("audit-log-format", format.to_owned()),
            ("audit-log-mode", mode.to_owned()),
            ("audit-log-batch-buffer-size", audit.map_or(10_000, |audit| audit.buffer_max).to_string()),
        ]
    }
}

fn listed<T: Display>(values: impl IntoIterator<Item = T>) -> String {
    format!("[{}]", values.into_iter().map(|value| value.to_string()).collect::<Vec<_>>().join(","))
}

/// A time as Go prints it, in whole seconds.
fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, rest) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest}s"),
        (0, minutes) => format!("{minutes}m{rest}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{rest}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_as_go_prints_them() {
        assert_eq!(listed(["Node", "RBAC"]), "[Node,RBAC]");
        let seconds = |count| duration(Duration::from_secs(count));
        assert_eq!([seconds(0), seconds(60), seconds(3_725)], ["0s", "1m0s", "1h2m5s"]);
    }
}
