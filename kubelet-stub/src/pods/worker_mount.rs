//! The worker's other half: the sandbox, its volumes, and what is told of the pod.

use super::*;
use crate::runtime::{Dns, SandboxSpec};

/// The files of each volume that has any, or why one has none: its name and the reason.
type Rendered = Result<HashMap<String, Volume>, (String, String)>;

impl Worker {
    pub(super) fn is_mount_due(&self) -> bool {
        !self.is_ending() && self.mount_due.is_some_and(|due| self.now() >= due)
    }

    /// Lays out all volumes. Nothing is changed yet, so that this may be dropped at any time.
    pub(super) async fn render(&self) -> Rendered {
        let host_ip = self.shared.node.address();
        let downward = Downward { pod: &self.pod, spec: &self.spec, host_ip, pod_ip: self.pod_ip };
        let origin = Origin { downward, sources: &self.shared.sources, tokens: &self.tokens };
        let mut rendered = HashMap::new();
        for volume in &self.spec.volumes {
            match volumes::files(volume, &origin).await {
                Ok(Some(files)) => drop(rendered.insert(volume.name.clone(), files)),
                Ok(None) => {}
                Err(why) => return Err((volume.name.clone(), why)),
            }
        }
        Ok(rendered)
    }

    /// Sets the volumes that changed; at first, makes the sandbox that they stand in.
    pub(super) async fn mount(&mut self, rendered: Rendered) {
        let rendered = match rendered {
            Ok(rendered) => rendered,
            Err((volume, why)) => {
                let message = format!("MountVolume.SetUp failed for volume {volume:?} : {why}");
                return self.mount_failed("FailedMount", message);
            }
        };
        let sandbox = match self.sandbox.clone() {
            Some(sandbox) => sandbox,
            None => match self.make_sandbox().await {
                Ok(sandbox) => sandbox,
                Err(why) => {
                    return self.mount_failed("FailedCreatePodSandBox", format!("Failed to create pod sandbox: {why}"));
                }
            },
        };
        for (name, files) in &rendered {
            if self.mounted.as_ref().and_then(|mounted| mounted.get(name)) == Some(files) {
                continue;
            }
            if let Err(error) = self.shared.runtime.set_volume(&sandbox, name, files.clone()).await {
                let message = format!("MountVolume.SetUp failed for volume {name:?} : {error}");
                return self.mount_failed("FailedMount", message);
            }
        }
        self.mounted = Some(rendered);
        self.mount_failures = 0;
        let refreshes = self.spec.volumes.iter().any(volumes::changes);
        self.mount_due = refreshes.then(|| self.now() + Duration::from_secs(REFRESH_SECONDS));
    }

    fn mount_failed(&mut self, reason: &'static str, message: String) {
        self.tell(None, EventType::Warning, reason, message);
        self.mount_failures += 1;
        self.mount_due = Some(self.now() + RETRY.after(self.mount_failures));
    }

    async fn make_sandbox(&mut self) -> Result<SandboxId, String> {
        let node = &self.shared.node;
        let (address, lease) = if self.spec.host_network {
            (node.address(), None)
        } else {
            let lease = self.shared.pool.lease(self.pod_ip);
            let lease = lease.ok_or_else(|| format!("no IP addresses available in range {}", node.config.pod_range))?;
            (lease.address, Some(lease))
        };
        let meta = Meta::of(&self.pod);
        let hostname = match () {
            () if self.spec.host_network => node.name().to_owned(),
            () if !self.spec.hostname.is_empty() => self.spec.hostname.clone(),
            // A name is longer than a host's may be; what is cut off must not leave an end that none may have.
            () => meta.name()[..meta.name().len().min(63)].trim_end_matches(['-', '.']).to_owned(),
        };
        let spec = SandboxSpec {
            namespace: meta.namespace().to_owned(),
            name: meta.name().to_owned(),
            uid: meta.uid().to_owned(),
            labels: meta.labels().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            hostname,
            pod_ip: address,
            host_aliases: self.spec.host_aliases.iter().map(|alias| (alias.ip, alias.hostnames.clone())).collect(),
            dns: self.dns(),
        };
        let sandbox = self.shared.runtime.create_sandbox(spec).await.map_err(|error| error.to_string())?;
        self.sandbox = Some(sandbox.clone());
        self.lease = lease;
        self.pod_ip = Some(address);
        Ok(sandbox)
    }

    fn dns(&self) -> Dns {
        let (cluster, config) = (&self.shared.node.cluster, &self.spec.dns_config);
        let namespace = Meta::of(&self.pod).namespace();
        let mut dns = match self.spec.dns_policy.as_str() {
            "None" | "Default" => Dns::default(),
            "ClusterFirst" if self.spec.host_network => Dns::default(),
            _ => Dns {
                nameservers: cluster.dns.iter().map(IpAddr::to_string).collect(),
                searches: ["svc.", ""].iter().fold(
                    vec![format!("{namespace}.svc.{}", cluster.domain)],
                    |mut all, prefix| {
                        all.push(format!("{prefix}{}", cluster.domain));
                        all
                    },
                ),
                options: vec!["ndots:5".into()],
            },
        };
        dns.nameservers.extend(config.nameservers.iter().cloned());
        dns.searches.extend(config.searches.iter().cloned());
        dns.options.extend(config.options.iter().map(|option| match &option.value {
            Some(value) => format!("{}:{value}", option.name),
            None => option.name.clone(),
        }));
        dns
    }

    /// Tells the world what the pod is now: the API server, and those who ask the node.
    pub(super) fn publish(&mut self) {
        let observed = Observed {
            pod: &self.pod,
            spec: &self.spec,
            containers: &self.containers,
            host_ip: self.shared.node.address(),
            pod_ip: self.pod_ip,
            sandbox: self.sandbox.is_some() && !self.is_over(),
            since: self.since,
            verdict: self.verdict.as_ref(),
            deleting: Meta::of(&self.pod).is_deleting(),
            before: &self.told,
            now: self.now(),
        };
        let status = status(&observed);
        let mut pod = Value::clone(&self.pod);
        let annotations = self.shared.network.annotations(Meta::of(&self.pod).uid());
        if !self.released && !self.gone {
            self.reporter.tell(patch(&self.pod["status"], &status, &annotations));
        }
        if let Some(class) = self.pod["status"].get("qosClass") {
            pod["status"] = status.clone();
            pod["status"]["qosClass"] = class.clone();
        } else {
            pod["status"] = status.clone();
        }
        self.told = status;
        let named = self.containers.iter().zip(&self.lives);
        let containers = named.filter_map(|(container, lives)| Some((container.name.clone(), lives.now.clone()?)));
        *self.seen.write().unwrap_or_else(PoisonError::into_inner) =
            Seen { pod: Arc::new(pod), sandbox: self.sandbox.clone(), containers: containers.collect() };
    }

    /// True when nothing runs any more and nothing will: upstream has taken the sandbox away by then. Ours stays for the
    /// logs, and is not told.
    fn is_over(&self) -> bool {
        self.verdict.is_some() && !self.containers.iter().any(Container::is_active)
    }

    /// When there may be something to do although nothing happened.
    pub(super) async fn wakes_at(&self) -> Option<SystemTime> {
        let ending = self.is_ending();
        let running = |at: Option<SystemTime>| at.filter(|_| !ending);
        let pull_back_off = running(stage::wakes_at(&self.containers));
        let delete = self.delete_due.filter(|_| ending && !self.released);
        let renew = if ending { None } else { self.tokens.renew_at().await };
        let mount = running(self.mount_due).filter(|_| !self.is_mount_due());
        // A token that is due is renewed with the volumes.
        let renew = renew.filter(|at| *at > self.now() || mount.is_none());
        [pull_back_off, delete, renew, mount, running(self.deadline())].into_iter().flatten().min()
    }
}
