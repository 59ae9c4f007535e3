//! What the API server says of itself in `kube-system`: by whom it knows its callers, since when it tracks tokens without an
//! end, and the lease that shows that it is there.

use crate::authn::Caller;
use crate::registry::Registry;
use crate::registry::admit::{Intent, Unasked};
use crate::registry::behaviour::Part;
use crate::registry::managers::SERVER;
use crate::registry::no_such_resource;
use crate::registry::update::Target;
use crate::request::Warnings;
use serde_json::{Value, json};
use std::time::Duration;
use tinyplane_wire::identity::subject::sha256;
use tinyplane_wire::meta::label_value;
use tinyplane_wire::process::Shutdown;
use tinyplane_wire::status::{self, Reason};
use uuid::Uuid;

const NAMESPACE: &str = "kube-system";
/// How long others believe that the server is there after it renewed its lease, and how often it does that.
const LEASE_SECONDS: u32 = 3_600;
const RENEW_PERIOD: Duration = Duration::from_secs(10);
/// Letters of the number in the server's name.
const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// The server, as its lease names it.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The name of the machine.
    pub hostname: String,
    /// Where other servers would reach it (`HOST:PORT`).
    pub address: String,
    /// The authorities of client certificates, PEM; empty where no certificate counts.
    pub client_authority: String,
}

impl Identity {
    /// The same as upstream's on this machine.
    fn name(&self) -> String {
        let mut hashed = Vec::new();
        for part in [&self.hostname, SERVER] {
            hashed.extend(u16::try_from(part.len()).unwrap_or(u16::MAX).to_be_bytes());
            hashed.extend(part.bytes());
        }
        let hash = sha256(&hashed);
        format!("apiserver-{}", base32(&hash[..16.min(hash.len())]))
    }

    fn lease(&self, holder: &str, now: &str) -> Value {
        let mut labels = json!({"apiserver.kubernetes.io/identity": SERVER});
        // A machine may be called what no label may say: a lease without the label is better than none.
        if !self.hostname.is_empty() && label_value(&self.hostname).is_empty() {
            labels["kubernetes.io/hostname"] = self.hostname.as_str().into();
        }
        json!({
            "metadata": {
                "name": self.name(), "namespace": NAMESPACE, "labels": labels,
                "annotations": {"kubernetes.io/peer-advertise-address": self.address},
            },
            "spec": {"holderIdentity": holder, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": now},
        })
    }
}

/// Bits by fives, as upstream spells them.
fn base32(bytes: &[u8]) -> String {
    let bit = |at: usize| bytes.get(at / 8).map_or(0, |byte| (byte >> (7 - at % 8)) & 1);
    let letter = |from: usize| (from..from + 5).fold(0, |number, at| (number << 1) | usize::from(bit(at)));
    (0..bytes.len() * 8).step_by(5).map(|from| char::from(LETTERS[letter(from)])).collect()
}

impl Registry {
    /// Writes what the server says of itself, and answers who holds its lease from now on.
    ///
    /// # Errors
    /// The store refuses a write.
    pub async fn introduce(&self, identity: &Identity) -> status::Result<String> {
        let map = |name: &str, data: Value| json!({"metadata": {"name": name, "namespace": NAMESPACE}, "data": data});
        if !identity.client_authority.is_empty() {
            let known = json!({"client-ca-file": identity.client_authority});
            self.ensure_fields("", "configmaps", map("extension-apiserver-authentication", known)).await?;
        }
        let today = self.clock().timestamp()[..10].to_owned();
        let since = map("kube-apiserver-legacy-service-account-token-tracking", json!({"since": today}));
        self.ensure("", "configmaps", since).await?;
        let holder = format!("{}_{}", identity.name(), Uuid::new_v4());
        let lease = identity.lease(&holder, &self.clock().timestamp_micro());
        self.ensure_fields("coordination.k8s.io", "leases", lease).await?;
        Ok(holder)
    }

    /// Renews the server's lease, again and again, until the member ends. One that somebody deletes is made anew.
    pub async fn stay(&self, identity: &Identity, holder: &str, shutdown: &Shutdown) {
        loop {
            tokio::select! {
                () = self.clock().sleep(RENEW_PERIOD) => {}
                () = shutdown.cancelled() => return,
            }
            if let Err(error) = self.renew(identity, holder).await {
                tracing::warn!(%error, "the server's own lease can't be renewed");
            }
        }
    }

    async fn renew(&self, identity: &Identity, holder: &str) -> status::Result<()> {
        let resource = self.builtin("coordination.k8s.io", "leases");
        let now = self.clock().timestamp_micro();
        let name = identity.name();
        let target = Target {
            resource: &resource,
            namespace: NAMESPACE,
            name: &name,
            subresource: "",
            part: Part::Main,
            replaces: false,
            creates: false,
            manages: false,
        };
        let (caller, warnings) = (Caller::anonymous(), Warnings::default());
        let intent =
            Intent { caller: &caller, manager: Some(SERVER), warnings: &warnings, dry_run: false, admission: &Unasked };
        let mut change = |old: Option<&Value>| {
            let mut new = old.ok_or_else(no_such_resource)?.clone();
            new["spec"]["renewTime"] = now.as_str().into();
            Ok(new)
        };
        match self.update(&target, &intent, &mut change).await {
            Err(status) if status.reason == Reason::NotFound => {
                self.ensure("coordination.k8s.io", "leases", identity.lease(holder, &now)).await
            }
            renewed => renewed.map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::tests::World;

    #[test]
    fn numbers_are_spelled_as_upstream_spells_them() {
        assert_eq!(base32(b"foobar"), "mzxw6ytboi");
        let identity = Identity { hostname: "vm".into(), address: String::new(), client_authority: String::new() };
        assert_eq!(identity.name(), "apiserver-wlv32tlttr4jl3gtroqexyxapa");
    }

    #[test]
    fn a_machine_whose_name_is_no_label_has_a_lease_without_one() {
        let labels = |hostname: &str| {
            let identity =
                Identity { hostname: hostname.into(), address: String::new(), client_authority: String::new() };
            identity.lease("x", "now")["metadata"]["labels"]["kubernetes.io/hostname"].clone()
        };
        assert_eq!(labels("vm-1"), "vm-1");
        for odd in ["my machine", "-vm", &"a".repeat(64)] {
            assert_eq!(labels(odd), Value::Null, "{odd}");
        }
    }

    #[tokio::test]
    async fn a_server_is_there_as_long_as_it_renews_its_lease() {
        let world = World::new().await;
        let identity =
            Identity { hostname: "machine".into(), address: "127.0.0.1:6443".into(), client_authority: "PEM".into() };
        let holder = world.registry.introduce(&identity).await.unwrap();
        let lease = || {
            let found = world.registry.find("coordination.k8s.io", "leases", NAMESPACE, &identity.name());
            found.unwrap().unwrap()
        };
        let (first, labels) =
            (lease(), json!({"apiserver.kubernetes.io/identity": SERVER, "kubernetes.io/hostname": "machine"}));
        assert_eq!(first["metadata"]["labels"], labels);
        assert_eq!(first["spec"]["holderIdentity"], holder.as_str());
        world.registry.renew(&identity, &holder).await.unwrap();
        assert_ne!(lease()["spec"]["renewTime"], first["spec"]["renewTime"]);
        let known = world.registry.find("", "configmaps", NAMESPACE, "extension-apiserver-authentication");
        assert_eq!(known.unwrap().unwrap()["data"], json!({"client-ca-file": "PEM"}));
    }
}
