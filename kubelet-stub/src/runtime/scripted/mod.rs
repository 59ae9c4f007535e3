//! The scripted runtime: containers that are tasks, images that are built in.

mod container;
mod layout;
mod streams;

use super::contract::{PodNetwork, Runtime, RuntimeError};
use super::io::{Duplex, LogOptions, LogStream, Stdio};
use super::machine::Sandbox;
use super::spec::{ContainerId, ContainerSpec, ContainerState, ExitStatus, SandboxId, SandboxSpec, Volume};
use async_trait::async_trait;
use container::Container;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tinyplane_wire::clock::Clock;

#[derive(Default)]
struct State {
    sandboxes: HashMap<SandboxId, Arc<Sandbox>>,
    containers: HashMap<ContainerId, (SandboxId, Arc<Container>)>,
}

/// Runs pods without processes. Dropping it ends what runs.
pub struct ScriptedRuntime {
    network: Arc<dyn PodNetwork>,
    clock: Clock,
    state: Mutex<State>,
}

impl std::fmt::Debug for ScriptedRuntime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScriptedRuntime").finish_non_exhaustive()
    }
}

impl ScriptedRuntime {
    /// A runtime whose pods listen and dial through a network.
    #[must_use]
    pub fn new(network: Arc<dyn PodNetwork>, clock: Clock) -> Self {
        Self { network, clock, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sandbox(&self, id: &SandboxId) -> Result<Arc<Sandbox>, RuntimeError> {
        self.lock().sandboxes.get(id).cloned().ok_or_else(|| RuntimeError::NoSuchSandbox(id.clone()))
    }

    fn container(&self, id: &ContainerId) -> Result<Arc<Container>, RuntimeError> {
        let found = self.lock().containers.get(id).map(|(_, container)| container.clone());
        found.ok_or_else(|| RuntimeError::NoSuchContainer(id.clone()))
    }
}

impl Drop for ScriptedRuntime {
    fn drop(&mut self) {
        let mut state = self.lock();
        for (_, (_, container)) in state.containers.drain() {
            container.kill();
        }
        for (_, sandbox) in state.sandboxes.drain() {
            sandbox.close();
        }
    }
}

/// 64 hexadecimal digits.
fn fresh_id() -> String {
    let mut bytes = [0_u8; 32];
    rand::RngCore::fill_bytes(&mut rand::rng(), &mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[async_trait]
impl Runtime for ScriptedRuntime {
    async fn create_sandbox(&self, spec: SandboxSpec) -> Result<SandboxId, RuntimeError> {
        let id = SandboxId::new(&fresh_id());
        let sandbox = Sandbox::new(spec, self.network.clone(), self.clock.clone());
        self.lock().sandboxes.insert(id.clone(), sandbox);
        Ok(id)
    }

    async fn remove_sandbox(&self, sandbox: &SandboxId) -> Result<(), RuntimeError> {
        let mut containers = Vec::new();
        {
            let mut state = self.lock();
            let State { sandboxes, containers: known } = &mut *state;
            if let Some(sandbox) = sandboxes.remove(sandbox) {
                sandbox.close();
            }
            known.retain(|_, (owner, container)| {
                let keep = owner != sandbox;
                if !keep {
                    containers.push(container.clone());
                }
                keep
            });
        }
        for container in containers {
            container.stop(Duration::ZERO).await;
        }
        Ok(())
    }

    async fn set_volume(&self, sandbox: &SandboxId, name: &str, files: Volume) -> Result<(), RuntimeError> {
        let failed = |error| RuntimeError::CreateFailed { message: format!("volume \"{name}\": {error}") };
        self.sandbox(sandbox)?.set_volume(name, &files).map_err(failed)
    }

    async fn create_container(&self, sandbox: &SandboxId, spec: ContainerSpec) -> Result<ContainerId, RuntimeError> {
        let owner = self.sandbox(sandbox)?;
        let id = ContainerId::new(&fresh_id());
        let container = Container::create(owner, spec, self.clock.clone())?;
        self.lock().containers.insert(id.clone(), (sandbox.clone(), container));
        Ok(id)
    }

    async fn start_container(&self, container: &ContainerId) -> Result<(), RuntimeError> {
        self.container(container)?.start(container).await
    }

    async fn state(&self, container: &ContainerId) -> Result<ContainerState, RuntimeError> {
        Ok(self.container(container)?.state())
    }

    async fn wait(&self, container: &ContainerId) -> Result<ExitStatus, RuntimeError> {
        Ok(self.container(container)?.wait().await)
    }

    async fn stop_container(&self, container: &ContainerId, grace: Duration) -> Result<ExitStatus, RuntimeError> {
        Ok(self.container(container)?.stop(grace).await)
    }

    async fn remove_container(&self, container: &ContainerId) -> Result<(), RuntimeError> {
        let removed = self.lock().containers.remove(container);
        if let Some((_, container)) = removed {
            container.stop(Duration::ZERO).await;
        }
        Ok(())
    }

    async fn logs(&self, container: &ContainerId, options: LogOptions) -> Result<LogStream, RuntimeError> {
        Ok(self.container(container)?.log().read(options))
    }

    async fn exec(&self, container: &ContainerId, command: Vec<String>, stdio: Stdio) -> Result<i32, RuntimeError> {
        let container = self.container(container)?;
        container.exec(command, stdio).await
    }

    async fn attach(&self, container: &ContainerId, stdio: Stdio) -> Result<Option<i32>, RuntimeError> {
        let container = self.container(container)?;
        container.attach(stdio).await
    }

    async fn dial(&self, sandbox: &SandboxId, port: u16) -> Result<Box<dyn Duplex>, RuntimeError> {
        Ok(self.sandbox(sandbox)?.connect(port)?)
    }
}

#[cfg(test)]
mod tests;
