//! Runs commands: lists, pipelines, loops, functions, builtins and programs.

use super::ast::{Arm, Command, Connector, Kind, Pipeline, Redirect, Script, Statement, Word};
use super::builtins;
use super::state::{Flow, Ran, Shell, Variable};
use crate::runtime::machine::{Fd, Loaded, Process, Signals, Sink, Source, Stop, execute, find, load, pipe};
use futures_util::future::{BoxFuture, FutureExt, join_all};
use std::sync::Arc;
use tokio_util::task::AbortOnDropHandle;

/// Commands within each other: functions, subshells, sourced files, loops.
const DEPTH_MAX: u32 = 500;
/// So many commands within each other share one stack; the next is run on a task of its own.
const STACK_COMMANDS: u32 = 10;
/// Commands of one pipeline.
const PIPELINE_MAX: usize = 256;

impl Shell {
    pub(super) fn run_script<'a>(&'a mut self, script: &'a Script) -> BoxFuture<'a, Ran> {
        async move {
            let mut status = 0;
            for statement in script {
                self.process.machine.step().await;
                status = if statement.background {
                    self.run_in_background(statement)
                } else {
                    self.run_statement(statement).await?
                };
                self.run_traps().await?;
            }
            Ok(status)
        }
        .boxed()
    }

    async fn run_statement(&mut self, statement: &Statement) -> Ran {
        let last = statement.rest.len();
        let mut status = self.run_pipeline(&statement.first, last > 0).await?;
        for (index, (connector, pipeline)) in statement.rest.iter().enumerate() {
            let wanted = match connector {
                Connector::And => status == 0,
                Connector::Or => status != 0,
            };
            if wanted {
                status = self.run_pipeline(pipeline, index + 1 < last).await?;
            }
        }
        Ok(status)
    }

    async fn run_pipeline(&mut self, pipeline: &Pipeline, followed: bool) -> Ran {
        let excused = pipeline.negated || followed;
        self.tested += u32::from(excused);
        let ran = match pipeline.commands.as_slice() {
            [command] => self.run_command(command).await,
            commands => Box::pin(self.run_piped(commands)).await,
        };
        self.tested -= u32::from(excused);
        let mut status = ran?;
        if pipeline.negated {
            status = i32::from(status == 0);
        }
        self.status = status;
        // What fails within these has ended the shell already, or was excused.
        let compound = |command: &Command| {
            !matches!(command.kind, Kind::Simple { .. } | Kind::Subshell(_) | Kind::Test(_) | Kind::Function { .. })
        };
        let judged = matches!(pipeline.commands.as_slice(), [command] if compound(command));
        if status != 0 && !excused && !judged && self.tested == 0 && self.options.exit_on_error {
            return Err(Flow::Exit(status));
        }
        Ok(status)
    }

    async fn run_piped(&mut self, commands: &[Command]) -> Ran {
        if commands.len() > PIPELINE_MAX {
            return self.fail(2, "pipeline too long").await;
        }
        let mut input: Option<Source> = None;
        let mut stages = Vec::new();
        for (index, command) in commands.iter().enumerate() {
            let mut stage = self.subshell();
            if let Some(source) = input.take() {
                stage.process.fds.insert(0, Fd::Source(source));
            }
            if index + 1 < commands.len() {
                let (writer, reader) = pipe();
                stage.process.fds.insert(1, Fd::Sink(Sink::Pipe(writer)));
                input = Some(Source::Pipe(reader));
            }
            stages.push(
                async move {
                    let ran = stage.run_command(command).await;
                    stage.end_subshell(ran).await
                }
                .boxed(),
            );
        }
        let statuses = join_all(stages).await;
        let last = statuses.last().copied().unwrap_or_default();
        let failed = statuses.into_iter().rev().find(|status| *status != 0).unwrap_or_default();
        Ok(if self.options.pipe_fail { failed } else { last })
    }

    /// Runs a script as a subshell does, to its last trap.
    pub(super) async fn run_subshell(&mut self, script: &Script) -> i32 {
        let ran = self.run_script(script).await;
        self.end_subshell(ran).await
    }

    async fn end_subshell(&mut self, ran: Ran) -> i32 {
        let status = ran.unwrap_or_else(Flow::code);
        self.run_exit_trap(status).await
    }

    pub(super) fn run_command<'a>(&'a mut self, command: &'a Command) -> BoxFuture<'a, Ran> {
        async move {
            if self.depth >= DEPTH_MAX {
                return self.fail(2, "maximum nesting of commands exceeded").await;
            }
            self.depth += 1;
            let ran = if self.depth.is_multiple_of(STACK_COMMANDS) {
                self.run_elsewhere(command.clone()).await
            } else {
                self.run_here(command).await
            };
            self.depth -= 1;
            ran
        }
        .boxed()
    }

    /// Runs a command on another task, and so on a fresh stack, while this one waits.
    async fn run_elsewhere(&mut self, command: Command) -> Ran {
        let mut shell = self.clone();
        let task = AbortOnDropHandle::new(tokio::spawn(async move {
            let ran = shell.run_here(&command).await;
            (shell, ran)
        }));
        match task.await {
            Ok((shell, ran)) => {
                *self = shell;
                ran
            }
            Err(error) => {
                tracing::error!(%error, "a shell's command failed");
                Err(Flow::Exit(139))
            }
        }
    }

    fn run_here<'a>(&'a mut self, command: &'a Command) -> BoxFuture<'a, Ran> {
        async move {
            self.line = command.line;
            if let Kind::Simple { assignments, words } = &command.kind {
                return Box::pin(self.run_simple(assignments, words, &command.redirects)).await;
            }
            if let Kind::Function { name, body } = &command.kind {
                self.functions.insert(name.clone(), body.clone());
                return Ok(0);
            }
            if command.redirects.is_empty() {
                return Box::pin(self.run_compound(&command.kind)).await;
            }
            let Some(fds) = self.redirect(&command.redirects).await? else { return Ok(1) };
            let saved = std::mem::replace(&mut self.process.fds, fds);
            let ran = Box::pin(self.run_compound(&command.kind)).await;
            self.process.fds = saved;
            ran
        }
        .boxed()
    }

    async fn run_compound(&mut self, kind: &Kind) -> Ran {
        match kind {
            Kind::Group(script) => self.run_script(script).await,
            Kind::Subshell(script) => {
                let mut subshell = self.subshell();
                Ok(subshell.run_subshell(script).await)
            }
            Kind::If { arms, otherwise } => {
                for (condition, body) in arms {
                    if self.holds(condition).await? {
                        return self.run_script(body).await;
                    }
                }
                match otherwise {
                    Some(body) => self.run_script(body).await,
                    None => Ok(0),
                }
            }
            Kind::Loop { until, condition, body } => {
                let mut status = 0;
                loop {
                    self.process.machine.step().await;
                    self.tested += 1;
                    let condition = self.in_loop(condition).await;
                    self.tested -= 1;
                    match condition? {
                        Some(held) if (held == 0) != *until => {}
                        _ => break,
                    }
                    match self.in_loop(body).await? {
                        Some(ran) => status = ran,
                        None => break,
                    }
                }
                Ok(status)
            }
            Kind::For { name, words, body } => {
                let values = match words {
                    Some(words) => self.all_fields(words).await?,
                    None => self.positional.clone(),
                };
                let mut status = 0;
                for value in values {
                    self.assign(name, value).await?;
                    match self.in_loop(body).await? {
                        Some(ran) => status = ran,
                        None => break,
                    }
                }
                Ok(status)
            }
            Kind::Case { subject, arms } => self.run_case(subject, arms).await,
            Kind::Test(words) => self.run_test(words).await,
            Kind::Simple { .. } | Kind::Function { .. } => Ok(0),
        }
    }

    /// Runs a condition, in which `set -e` does not apply.
    async fn holds(&mut self, condition: &Script) -> Result<bool, Flow> {
        self.tested += 1;
        let ran = self.run_script(condition).await;
        self.tested -= 1;
        ran.map(|status| status == 0)
    }

    /// Runs a part of a loop. `None`: the loop is over.
    async fn in_loop(&mut self, part: &Script) -> Result<Option<i32>, Flow> {
        self.loops += 1;
        let ran = self.run_script(part).await;
        self.loops -= 1;
        match ran {
            Ok(value) => Ok(Some(value)),
            Err(Flow::Break(levels)) if levels > 1 && self.loops > 0 => Err(Flow::Break(levels - 1)),
            Err(Flow::Break(_)) => Ok(None),
            Err(Flow::Continue(levels)) if levels > 1 && self.loops > 0 => Err(Flow::Continue(levels - 1)),
            Err(Flow::Continue(_)) => Ok(Some(0)),
            Err(flow) => Err(flow),
        }
    }

    async fn run_case(&mut self, subject: &Word, arms: &[Arm]) -> Ran {
        let subject = self.single(subject).await?;
        for arm in arms {
            for pattern in &arm.patterns {
                if self.pattern(pattern).await?.matches(&subject) {
                    return self.run_script(&arm.body).await;
                }
            }
        }
        Ok(0)
    }

    async fn run_test(&mut self, words: &[Word]) -> Ran {
        let mut values = Vec::new();
        let mut after_equals = false;
        for word in words {
            // The right side of `==` is a pattern: what is quoted in it is escaped.
            let value = if after_equals { self.escaped(word).await? } else { self.single(word).await? };
            after_equals = matches!(word.plain(), Some("=" | "==" | "!="));
            values.push(value);
        }
        match super::test::evaluate(&values, &self.process, true) {
            Ok(holds) => Ok(i32::from(!holds)),
            Err(message) => {
                self.say(&message).await;
                Ok(2)
            }
        }
    }

    async fn escaped(&mut self, word: &Word) -> Result<String, Flow> {
        use super::expand::{Origin, Unit};
        let mut units = Vec::new();
        self.units(&word.0, false, &mut units).await?;
        let mut text = String::new();
        for unit in units {
            if let Unit::Char(c, origin) = unit {
                if origin == Origin::Quoted && "*?[\\".contains(c) {
                    text.push('\\');
                }
                text.push(c);
            }
        }
        Ok(text)
    }

    async fn run_simple(&mut self, assignments: &[(String, Word)], words: &[Word], redirects: &[Redirect]) -> Ran {
        self.last_substitution = None;
        let fields = self.all_fields(words).await?;
        if fields.is_empty() {
            return self.assign_all(assignments, redirects).await;
        }
        let mut given = Vec::new();
        for (name, word) in assignments {
            given.push((name.clone(), self.single(word).await?));
        }
        if self.options.trace {
            self.trace(&given, &fields).await;
        }
        let Some(fds) = self.redirect(redirects).await? else { return Ok(1) };
        let saved = std::mem::replace(&mut self.process.fds, fds);
        let keeps = fields.len() == 1 && fields[0] == "exec";
        let ran = Box::pin(self.dispatch(fields, given, true)).await;
        if !keeps {
            self.process.fds = saved;
        }
        ran
    }

    async fn assign_all(&mut self, assignments: &[(String, Word)], redirects: &[Redirect]) -> Ran {
        if self.redirect(redirects).await?.is_none() {
            return Ok(1);
        }
        for (name, word) in assignments {
            let value = self.single(word).await?;
            if self.options.trace {
                self.process.err(format!("+ {name}={value}\n")).await;
            }
            self.assign(name, value).await?;
        }
        Ok(self.last_substitution.unwrap_or(0))
    }

    async fn trace(&self, given: &[(String, String)], fields: &[String]) {
        let assignments = given.iter().map(|(name, value)| format!("{name}={value}"));
        let quoted = fields.iter().map(|field| builtins::quote(field));
        let words: Vec<String> = assignments.chain(quoted).collect();
        let prefix = self.value("PS4").unwrap_or("+ ").to_owned();
        self.process.err(format!("{prefix}{}\n", words.join(" "))).await;
    }

    /// Runs a command by its name: a builtin of the shell, a function, a builtin program, or a file in `PATH`.
    pub(super) async fn dispatch(&mut self, fields: Vec<String>, given: Vec<(String, String)>, functions: bool) -> Ran {
        let function = if functions { self.functions.get(&fields[0]).cloned() } else { None };
        let special = builtins::is_builtin(&fields[0]);
        let keeps = function.is_none() && builtins::keeps_assignments(&fields[0]);
        if function.is_none() && !special {
            return Box::pin(self.run_program(fields, given)).await;
        }
        let saved: Vec<(String, Option<Variable>)> =
            given.iter().map(|(name, _)| (name.clone(), self.variables.get(name).cloned())).collect();
        for (name, value) in given {
            self.assign(&name, value).await?;
            if let Some(variable) = self.variables.get_mut(&name).filter(|_| !keeps) {
                variable.exported = true;
            }
        }
        let ran = match function {
            Some(body) => Box::pin(self.call(&body, fields)).await,
            None => Box::pin(self.run_builtin(fields)).await,
        };
        // POSIX's special builtins keep the assignments before them.
        let saved = if keeps { Vec::new() } else { saved };
        for (name, variable) in saved {
            match variable {
                Some(variable) => self.variables.insert(name, variable),
                None => self.variables.remove(&name),
            };
        }
        ran
    }

    async fn call(&mut self, body: &Arc<Command>, fields: Vec<String>) -> Ran {
        let positional = std::mem::replace(&mut self.positional, fields.into_iter().skip(1).collect());
        let loops = std::mem::take(&mut self.loops);
        self.locals.push(std::collections::BTreeMap::new());
        let ran = self.run_command(body).await;
        for (name, variable) in self.locals.pop().unwrap_or_default() {
            match variable {
                Some(variable) => self.variables.insert(name, variable),
                None => self.variables.remove(&name),
            };
        }
        self.loops = loops;
        self.positional = positional;
        match ran {
            Err(Flow::Return(code)) => Ok(code),
            Err(Flow::Break(_) | Flow::Continue(_)) => Ok(0),
            other => other,
        }
    }

    /// Runs a program that the shell has built in, within the shell: a broken pipe ends the shell.
    pub(super) async fn run_within(&mut self, mut process: Process, program: crate::runtime::machine::Program) -> Ran {
        match program(&mut process).await {
            Ok(code) | Err(Stop::Exit(code)) => Ok(code),
            Err(stop @ Stop::BrokenPipe) => Err(Flow::Exit(stop.code())),
        }
    }

    pub(super) async fn run_program(&mut self, fields: Vec<String>, given: Vec<(String, String)>) -> Ran {
        self.start_program(fields, given, Arc::default()).await
    }

    /// Runs a program that takes the shell's signals, or its own.
    pub(super) async fn start_program(
        &mut self,
        fields: Vec<String>,
        given: Vec<(String, String)>,
        signals: Arc<Signals>,
    ) -> Ran {
        let search = given.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.as_str());
        let search = search.or(self.value("PATH")).unwrap_or_default().to_owned();
        let name = fields[0].clone();
        let path = match find(&self.process.place, &search, &name) {
            Ok(path) => path,
            Err(error) => {
                let reason = if error.code() == 127 { "not found" } else { "Permission denied" };
                self.say(&format!("{name}: {reason}")).await;
                return Ok(error.code());
            }
        };
        let mut process = self.child(fields);
        process.environment = self.environment();
        process.environment.extend(given);
        process.signals = signals;
        if load(&process.place, &path) == Loaded::Text && process.place.read(&path).is_ok_and(|text| text.contains(&0))
        {
            self.say(&format!("{name}: Exec format error")).await;
            return Ok(126);
        }
        let machine = self.process.machine.clone();
        Ok(Box::pin(execute(&machine, process, &path)).await)
    }
}
