//! One container: its main program from start to end, and how it is stopped.

use super::{layout, streams};
use crate::runtime::contract::RuntimeError;
use crate::runtime::files::{Place, View};
use crate::runtime::images::{self, Image};
use crate::runtime::machine::{
    Fd, FindError, Log, Machine, PipeReader, PipeWriter, PortGuard, Process, Sandbox, Signals, Sink, Source, Terminal,
    execute, find, pipe,
};
use crate::runtime::spec::{ContainerId, ContainerSpec, ContainerState, ExitReason, ExitStatus, Protocol};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, UNIX_EPOCH};
use tinyplane_wire::clock::Clock;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Bytes of a termination message; the same from logs, of which at most 80 lines are taken.
const MESSAGE_BYTES_MAX: usize = 4096;
/// As `MESSAGE_BYTES_MAX`, of a message that is the log's end.
const MESSAGE_LOG_BYTES_MAX: usize = 2048;
const MESSAGE_LOG_LINES_MAX: usize = 80;

/// A container. Its files are made when they are first needed: most containers of a big cluster never look at them.
pub(super) struct Container {
    pub(super) spec: ContainerSpec,
    image: Image,
    clock: Clock,
    pub(super) machine: Arc<Machine>,
    view: OnceLock<Result<Arc<View>, String>>,
    state: watch::Sender<ContainerState>,
    signals: Arc<Signals>,
    killed: CancellationToken,
    pub(super) terminal: Option<Arc<Terminal>>,
    /// The main program's input, for those who attach.
    pub(super) input: Mutex<Option<PipeWriter>>,
    program_input: Mutex<Option<PipeReader>>,
    ports: Mutex<Vec<PortGuard>>,
}

impl Container {
    pub(super) fn create(sandbox: Arc<Sandbox>, spec: ContainerSpec, clock: Clock) -> Result<Arc<Self>, RuntimeError> {
        let image = images::find(&spec.image);
        let log = Log::new(clock.clone());
        let machine = Machine::new(sandbox, log, clock.clone());
        let signals: Arc<Signals> = Arc::default();
        let terminal = spec.tty.then(|| Terminal::new(signals.clone()));
        let (writer, reader) = if spec.stdin {
            let (writer, reader) = pipe();
            (Some(writer), Some(reader))
        } else {
            (None, None)
        };
        let container = Self {
            image,
            clock,
            machine,
            view: OnceLock::new(),
            state: watch::Sender::new(ContainerState::Created),
            signals,
            killed: CancellationToken::new(),
            terminal,
            input: Mutex::new(writer),
            program_input: Mutex::new(reader),
            ports: Mutex::default(),
            spec,
        };
        // Sub-paths are taken from the volumes as they are now, and a bad mount is an error of creation.
        if !container.spec.mounts.is_empty() {
            container.view().map_err(|message| RuntimeError::CreateFailed { message })?;
        }
        Ok(Arc::new(container))
    }

    pub(super) fn log(&self) -> &Arc<Log> {
        &self.machine.log
    }

    fn view(&self) -> Result<Arc<View>, String> {
        self.view
            .get_or_init(|| layout::build(&self.machine.sandbox, &self.spec, &self.image, &self.clock).map(Arc::new))
            .clone()
    }

    pub(super) fn state(&self) -> ContainerState {
        self.state.borrow().clone()
    }

    /// `NotRunning`, unless it runs.
    pub(super) fn require_running(&self) -> Result<(), RuntimeError> {
        match &*self.state.borrow() {
            ContainerState::Running { .. } => Ok(()),
            ContainerState::Created => Err(RuntimeError::NotRunning { state: "CONTAINER_CREATED" }),
            ContainerState::Exited(_) => Err(RuntimeError::NotRunning { state: "CONTAINER_EXITED" }),
        }
    }

    /// A process of this container, not yet running, with no descriptors.
    pub(super) fn process(&self, arguments: Vec<String>) -> Result<Process, String> {
        let mut environment: BTreeMap<String, String> = BTreeMap::new();
        environment.insert("PATH".into(), images::DEFAULT_PATH.into());
        environment.insert("HOSTNAME".into(), self.machine.sandbox.spec.hostname.clone());
        environment.insert("HOME".into(), if self.spec.user.unwrap_or(0) == 0 { "/root".into() } else { "/".into() });
        for (name, value) in self.image.environment {
            environment.insert((*name).into(), (*value).into());
        }
        environment.extend(self.spec.env.iter().cloned());
        let number = |id: Option<i64>| id.and_then(|id| u32::try_from(id).ok()).unwrap_or(0);
        let directory = self.spec.working_dir.clone().unwrap_or_else(|| self.image.directory.to_owned());
        let place = Place {
            view: self.view()?,
            directory: if directory.starts_with('/') { directory } else { format!("/{directory}") },
            uid: number(self.spec.user),
            gid: number(self.spec.group),
            umask: 0o022,
        };
        if place.stat(&place.directory).is_err() {
            // A working directory that is missing is made, as runc does.
            let maker = Place { uid: 0, gid: 0, ..place.clone() };
            let _ = maker.make_directories(&place.directory);
        }
        Ok(Process {
            machine: self.machine.clone(),
            arguments,
            environment,
            place,
            fds: BTreeMap::new(),
            pid: 0,
            parent: 0,
            signals: Arc::default(),
            terminal: None,
            depth: 0,
        })
    }

    /// Starts the main program.
    pub(super) async fn start(self: Arc<Self>, id: &ContainerId) -> Result<(), RuntimeError> {
        let started = self.clock.now();
        let may_start = self.state.send_if_modified(|state| {
            let fresh = *state == ContainerState::Created;
            if fresh {
                *state = ContainerState::Running { started };
            }
            fresh
        });
        if !may_start {
            return Err(RuntimeError::StartedBefore(id.clone()));
        }
        let (process, path) = match self.prepare() {
            Ok(prepared) => prepared,
            Err(message) => {
                let status = ExitStatus {
                    code: 128,
                    signal: None,
                    reason: ExitReason::StartError,
                    message: message.clone(),
                    started: UNIX_EPOCH,
                    finished: self.clock.now(),
                };
                self.log().close();
                self.state.send_replace(ContainerState::Exited(status));
                return Err(RuntimeError::StartFailed { message });
            }
        };
        self.open_ports().await;
        let container = self.clone();
        tokio::spawn(async move { container.run(process, path).await });
        Ok(())
    }

    /// The main process and its program's path, or containerd's sentence on why there is none.
    fn prepare(&self) -> Result<(Process, String), String> {
        let command = self.image.command_line(&self.spec);
        let failed = |reason: String| {
            format!(
                "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create \
                 failed: unable to start container process: {reason}: unknown"
            )
        };
        let mut process = self.process(command.clone())?;
        let name = command.first().cloned().unwrap_or_default();
        let search = process.variable("PATH").unwrap_or_default().to_owned();
        let path = match find(&process.place, &search, &name) {
            Ok(path) => path,
            // What an unknown image has at an absolute path is not known either: it runs until it is deleted.
            Err(FindError::NotFound) if !self.image.known && name.starts_with('/') => images::STAND_IN.to_owned(),
            Err(error) => return Err(failed(error.of_runc(&name))),
        };
        if (self.image.serves && self.spec.command.is_empty()) || path == images::STAND_IN {
            images::catch_ending(&self.signals);
        }
        process.signals = self.signals.clone();
        process.terminal.clone_from(&self.terminal);
        let input = self.program_input.lock().unwrap_or_else(PoisonError::into_inner).take();
        let source = input.map_or(Source::Nothing, Source::Pipe);
        let errors = if self.spec.tty { self.log().stdout() } else { self.log().stderr() };
        process.fds.insert(0, Fd::Source(source));
        process.fds.insert(1, Fd::Sink(Sink::Log(self.log().stdout())));
        process.fds.insert(2, Fd::Sink(Sink::Log(errors)));
        Ok((process, path))
    }

    /// Declared ports that no program serves itself answer with a page that names the pod.
    async fn open_ports(&self) {
        let sandbox = &self.machine.sandbox;
        for port in self.spec.ports.iter().filter(|port| port.protocol == Protocol::Tcp) {
            let page = images::pod_page(&sandbox.spec, &self.spec, self.machine.gone.clone());
            let guard = sandbox.serve(port.port, page).await;
            self.ports.lock().unwrap_or_else(PoisonError::into_inner).push(guard);
        }
    }

    async fn run(self: Arc<Self>, process: Process, path: String) {
        let machine = self.machine.clone();
        let code = tokio::select! {
            biased;
            () = self.killed.cancelled() => 137,
            code = Box::pin(execute(&machine, process, &path)) => code,
        };
        machine.gone.cancel();
        machine.jobs.close();
        machine.jobs.wait().await;
        self.ports.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.input.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.log().close();
        let started = match self.state() {
            ContainerState::Running { started } => started,
            _ => self.clock.now(),
        };
        let status = ExitStatus {
            code,
            signal: None,
            reason: if code == 0 { ExitReason::Completed } else { ExitReason::Error },
            message: self.termination_message(code),
            started,
            finished: self.clock.now(),
        };
        self.state.send_replace(ContainerState::Exited(status));
    }

    fn termination_message(&self, code: i32) -> String {
        let path = &self.spec.termination_message_path;
        let file = match self.view.get() {
            Some(Ok(view)) if !path.is_empty() => {
                view.walk(path, true).ok().and_then(|at| at.node.read_at(0, MESSAGE_BYTES_MAX).ok())
            }
            _ => None,
        };
        let message = String::from_utf8_lossy(&file.unwrap_or_default()).into_owned();
        if message.is_empty() && code != 0 && self.spec.termination_message_from_logs {
            return self.log().tail(MESSAGE_LOG_LINES_MAX, MESSAGE_LOG_BYTES_MAX);
        }
        message
    }

    pub(super) async fn wait(&self) -> ExitStatus {
        let mut state = self.state.subscribe();
        loop {
            if let ContainerState::Exited(status) = &*state.borrow_and_update() {
                return status.clone();
            }
            if state.changed().await.is_err() {
                return self.killed_before_start();
            }
        }
    }

    pub(super) fn kill(&self) {
        self.killed.cancel();
        self.machine.gone.cancel();
    }

    /// TERM, and KILL when the grace is over.
    pub(super) async fn stop(&self, grace: Duration) -> ExitStatus {
        let never_started = self.state.send_if_modified(|state| {
            let fresh = *state == ContainerState::Created;
            if fresh {
                *state = ContainerState::Exited(self.killed_before_start());
            }
            fresh
        });
        if never_started {
            self.log().close();
        }
        if !grace.is_zero() {
            self.signals.send(15);
            let clock = self.clock.clone();
            tokio::select! {
                status = self.wait() => return status,
                () = clock.sleep(grace) => {}
            }
        }
        self.kill();
        self.wait().await
    }

    fn killed_before_start(&self) -> ExitStatus {
        ExitStatus {
            code: 137,
            signal: None,
            reason: ExitReason::Error,
            message: String::new(),
            started: UNIX_EPOCH,
            finished: self.clock.now(),
        }
    }

    /// Runs a command beside the main program.
    pub(super) async fn exec(
        &self,
        command: Vec<String>,
        stdio: crate::runtime::io::Stdio,
    ) -> Result<i32, RuntimeError> {
        self.require_running()?;
        let process = self.process(command).map_err(|message| RuntimeError::CreateFailed { message })?;
        let gone = self.machine.gone.clone();
        tokio::select! {
            biased;
            code = streams::exec(&self.machine, process, stdio) => Ok(code),
            () = gone.cancelled() => Ok(137),
        }
    }
}
