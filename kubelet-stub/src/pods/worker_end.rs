//! How a worker ends: containers told to stop, sidecars last; then what they stood on; then the object.

use super::*;

impl Worker {
    /// How long containers have to end, as it stands now.
    pub(super) fn grace(&self) -> Duration {
        let told = self.pod["metadata"]["deletionGracePeriodSeconds"].as_u64();
        Duration::from_secs(told.unwrap_or_else(|| self.spec.grace_seconds()))
    }

    /// Tells a running container to end; again only when it has less time than it was told.
    pub(super) fn kill(&mut self, index: usize, grace: Duration, why: String) {
        let lives = &mut self.lives[index];
        let (Some(id), Some(pod_ip)) = (lives.now.clone(), self.pod_ip) else { return };
        let again = match lives.stopping {
            Some(before) if before <= grace => return,
            before => before.is_some(),
        };
        lives.stopping = Some(grace);
        let spec = Arc::new(self.container_spec(index).clone());
        let pre_stop = spec.lifecycle.pre_stop.clone().filter(|_| !again);
        if !again {
            self.tell(Some(index), EventType::Normal, "Killing", why);
        }
        let subject = Subject {
            runtime: Arc::clone(&self.shared.runtime),
            network: Arc::clone(&self.shared.network),
            id,
            spec,
            pod_uid: Meta::of(&self.pod).uid().to_owned(),
            pod_ip,
        };
        let regarding = Regarding::object("v1", "Pod", &self.pod, &self.field_path(index));
        let recorder = self.shared.node.recorder.clone();
        self.shared.node.tasks.spawn(Box::pin(async move {
            let failed = |message| recorder.tell(&regarding, EventType::Warning, "FailedPreStopHook", message);
            stop(subject, pre_stop, grace, failed).await;
        }));
    }

    /// Ends a pod that is over or deleted: its containers, sidecars last; then what they stood on; then the object.
    pub(super) async fn wind_down(&mut self) {
        let grace = self.grace();
        let mains = self.containers.iter().any(|c| c.kind != Kind::Sidecar && c.is_active());
        for index in 0..self.containers.len() {
            let container = &self.containers[index];
            if container.is_running() && (!mains || container.kind != Kind::Sidecar) {
                self.kill(index, grace, format!("Stopping container {}", container.name.clone()));
            }
        }
        if self.containers.iter().any(Container::is_active) {
            return;
        }
        for container in &mut self.containers {
            if let (State::Held { .. }, Some(last)) = (&container.state, &container.last) {
                container.state = State::Terminated(last.clone());
            }
        }
        if !Meta::of(&self.pod).is_deleting() {
            // The sandbox stays for the logs; its address is free for others.
            self.lease = None;
            return;
        }
        self.let_go().await;
        if !self.released && self.delete_due.is_none_or(|due| self.now() >= due) {
            self.publish();
            self.reporter.flushed().await;
            self.delete().await;
        }
    }

    async fn delete(&mut self) {
        let meta = Meta::of(&self.pod);
        let options = json!({
            "apiVersion": "v1", "kind": "DeleteOptions",
            "gracePeriodSeconds": 0, "preconditions": {"uid": meta.uid()},
        });
        let pods = crate::resources::pods();
        match self.shared.node.client.delete(&pods, Some(meta.namespace()), meta.name(), &options).await {
            Ok(_) => self.released = true,
            Err(error) if error.is_not_found() || error.is_conflict() => self.released = true,
            Err(error) => {
                self.delete_failures += 1;
                self.delete_due = Some(self.now() + RETRY.after(self.delete_failures));
                tracing::debug!(error = %tinyplane_wire::process::told(&error), "a pod was not deleted");
            }
        }
    }

    /// Removes the sandbox and what belongs to it.
    async fn let_go(&mut self) {
        if let Some(sandbox) = self.sandbox.take()
            && let Err(error) = self.shared.runtime.remove_sandbox(&sandbox).await
        {
            tracing::warn!(%error, "a sandbox was not removed");
        }
        self.mounted = None;
        self.lease = None;
        self.shared.network.forget(Meta::of(&self.pod).uid());
    }

    pub(super) async fn clean_up(&mut self) {
        for index in 0..self.containers.len() {
            if self.containers[index].is_running() && self.lives[index].stopping.is_none() {
                let message = format!("Stopping container {}", self.containers[index].name);
                self.tell(Some(index), EventType::Normal, "Killing", message);
            }
        }
        self.let_go().await;
    }
}
