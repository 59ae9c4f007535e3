//! Programs that start programs: `env`, `xargs`, `timeout`, `nohup`, `time`.

use super::clock::duration;
use super::options::{self, Spec};
use crate::runtime::machine::{DEFAULT_PATH, Outcome, Process, execute, find, signal_number};
use std::sync::Arc;
use tokio::time::Instant;

/// Words of one command that `xargs` makes.
const XARGS_WORDS_MAX: usize = 5000;

/// Runs a command in this one's place and returns its exit code; `fresh`: with signals of its own.
async fn start(process: &Process, arguments: Vec<String>, fresh: bool) -> i32 {
    let search = process.variable("PATH").unwrap_or(DEFAULT_PATH).to_owned();
    let name = arguments.first().cloned().unwrap_or_default();
    let path = match find(&process.place, &search, &name) {
        Ok(path) => path,
        Err(error) => {
            let reason = if error.code() == 127 { "No such file or directory" } else { "Permission denied" };
            process.complain(format!("can't execute '{name}': {reason}")).await;
            return error.code();
        }
    };
    let mut child = process.clone();
    child.arguments = arguments;
    child.parent = process.pid;
    if fresh {
        child.signals = Arc::default();
    }
    let machine = process.machine.clone();
    Box::pin(execute(&machine, child, &path)).await
}

pub(super) async fn env(process: &mut Process) -> Outcome {
    let spec =
        Spec { letters: "iu:0S:C:", long: &[("ignore-environment", 'i'), ("unset", 'u'), ("chdir", 'C')], stops: true };
    let given = options::read_spec(process, spec).await?;
    let mut child = process.clone();
    let mut operands = given.operands.clone();
    if given.has('i') || operands.first().is_some_and(|first| first == "-") {
        child.environment.clear();
        operands.retain(|operand| operand != "-");
    }
    for name in given.values('u') {
        child.environment.remove(name);
    }
    if let Some(words) = given.value('S') {
        operands.splice(0..0, words.split_whitespace().map(str::to_owned));
    }
    while let Some((name, value)) = operands.first().and_then(|word| word.split_once('=')) {
        child.environment.insert(name.to_owned(), value.to_owned());
        operands.remove(0);
    }
    if let Some(directory) = given.value('C') {
        match child.place.real_path(directory) {
            Ok(path) => child.place.directory = path,
            Err(error) => return process.fail(125, format!("can't change to '{directory}': {error}")).await,
        }
    }
    if operands.is_empty() {
        let lines: String = child.environment.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        return process.out(lines).await.map(|()| 0);
    }
    Ok(start(&child, operands, false).await)
}

pub(super) async fn nohup(process: &mut Process) -> Outcome {
    let operands = process.operands();
    if operands.is_empty() {
        return process.fail(125, "missing operand").await;
    }
    Ok(start(process, operands, false).await)
}

pub(super) async fn time(process: &mut Process) -> Outcome {
    let operands: Vec<String> = process.operands().into_iter().skip_while(|word| word == "-p").collect();
    let begun = Instant::now();
    let code = if operands.is_empty() { 0 } else { start(process, operands, true).await };
    let elapsed = begun.elapsed();
    let (minutes, seconds) = (elapsed.as_secs() / 60, elapsed.as_secs() % 60);
    process.err(format!("real\t{minutes}m {seconds}.{:02}s\n", elapsed.subsec_millis() / 10)).await;
    Ok(code)
}

pub(super) async fn timeout(process: &mut Process) -> Outcome {
    let long = [("signal", 's'), ("kill-after", 'k'), ("preserve-status", 'p'), ("foreground", 'f')];
    let given = options::read_spec(process, Spec { letters: "s:k:t:pfv", long: &long, stops: true }).await?;
    let mut operands = given.operands.clone();
    let text = match given.value('t') {
        Some(text) => text.to_owned(),
        None if !operands.is_empty() => operands.remove(0),
        None => return process.fail(125, "missing operand").await,
    };
    let Some(limit) = duration(&text) else { return process.fail(125, format!("invalid number '{text}'")).await };
    if operands.is_empty() {
        return process.fail(125, "missing operand").await;
    }
    let signal = given.value('s').and_then(signal_number).unwrap_or(15);
    let clock = process.machine.clock.clone();
    tokio::select! {
        biased;
        code = start(process, operands, true) => Ok(code),
        () = clock.sleep(limit), if !limit.is_zero() => Ok(match signal {
            9 => 137,
            _ if given.has('p') => 128 + signal,
            // busybox and coreutils differ; this is coreutils'.
            _ => 124,
        }),
    }
}

pub(super) async fn xargs(process: &mut Process) -> Outcome {
    let long = [("null", '0'), ("max-args", 'n'), ("replace", 'I'), ("no-run-if-empty", 'r'), ("max-procs", 'P')];
    let spec = Spec { letters: "0n:I:rtP:d:L:", long: &long, stops: true };
    let given = options::read_spec(process, spec).await?;
    let command = if given.operands.is_empty() { vec!["echo".to_owned()] } else { given.operands.clone() };
    let input = process.read_all(&process.stdin()).await?;
    let text = String::from_utf8_lossy(&input).into_owned();
    let items: Vec<String> = if given.has('0') {
        text.split('\0').filter(|item| !item.is_empty()).map(str::to_owned).collect()
    } else if let Some(delimiter) = given.value('d') {
        let delimiter = if delimiter == "\\n" { "\n" } else { delimiter };
        text.trim_end_matches('\n').split(delimiter).map(str::to_owned).collect()
    } else if given.has('I') || given.has('L') {
        text.lines().map(|line| line.trim_start().to_owned()).filter(|line| !line.is_empty()).collect()
    } else {
        quoted_words(&text)
    };
    let mut child = process.clone();
    child.fds.insert(0, crate::runtime::machine::Fd::Source(crate::runtime::machine::Source::Nothing));
    let mut commands: Vec<Vec<String>> = Vec::new();
    if let Some(mark) = given.value('I') {
        commands.extend(items.iter().map(|item| command.iter().map(|word| word.replace(mark, item)).collect()));
    } else {
        let most = given.value('n').or(given.value('L')).and_then(|text| text.parse().ok()).unwrap_or(XARGS_WORDS_MAX);
        for group in items.chunks(most.clamp(1, XARGS_WORDS_MAX)) {
            commands.push([command.as_slice(), group].concat());
        }
        if items.is_empty() && !given.has('r') {
            commands.push(command);
        }
    }
    let mut status = 0;
    for command in commands {
        if given.has('t') {
            process.err(command.join(" ") + "\n").await;
        }
        match start(&child, command, true).await {
            0 => {}
            255 => return Ok(124),
            code @ (126 | 127) => return Ok(code),
            code if code > 128 => return Ok(125),
            _ => status = 123,
        }
    }
    Ok(status)
}

/// Words with quotes and backslashes resolved.
fn quoted_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut current: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                current.get_or_insert_default();
            }
            (None, '\\') => current.get_or_insert_default().extend(chars.next()),
            (None, c) if c.is_whitespace() => words.extend(current.take()),
            (_, c) => current.get_or_insert_default().push(c),
        }
    }
    words.extend(current);
    words
}
