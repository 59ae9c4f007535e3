//! Programs about paths: `basename`, `dirname`, `realpath`, `readlink`, `pwd`, `which`.

use super::options;
use crate::runtime::files::base_name;
use crate::runtime::machine::{Outcome, Process, find};

pub(super) async fn basename(process: &mut Process) -> Outcome {
    let operands = process.operands();
    let Some(path) = operands.first() else { return process.fail(1, "missing operand").await };
    let mut name = base_name(path);
    if let Some(short) = operands.get(1).and_then(|suffix| name.strip_suffix(suffix.as_str()))
        && !short.is_empty()
    {
        name = short;
    }
    process.out(format!("{name}\n")).await.map(|()| 0)
}

pub(super) async fn dirname(process: &mut Process) -> Outcome {
    let operands = process.operands();
    let Some(path) = operands.first() else { return process.fail(1, "missing operand").await };
    let trimmed = path.trim_end_matches('/');
    let directory = match trimmed.rsplit_once('/') {
        None if trimmed.is_empty() && path.starts_with('/') => "/",
        None => ".",
        Some((parent, _)) => {
            let parent = parent.trim_end_matches('/');
            if parent.is_empty() { "/" } else { parent }
        }
    };
    process.out(format!("{directory}\n")).await.map(|()| 0)
}

pub(super) async fn realpath(process: &mut Process) -> Outcome {
    let given = options::read(process, "mesqz", &[]).await?;
    let mut status = 0;
    for path in &given.operands {
        match process.place.real_path(path) {
            Ok(real) => process.out(real + "\n").await?,
            Err(error) => {
                process.complain(format!("{path}: {error}")).await;
                status = 1;
            }
        }
    }
    Ok(status)
}

pub(super) async fn readlink(process: &mut Process) -> Outcome {
    let given = options::read(process, "fenmv", &[("canonicalize", 'f'), ("canonicalize-existing", 'e')]).await?;
    let mut status = 0;
    for path in &given.operands {
        let found = if given.has('f') || given.has('e') {
            process.place.real_path(path)
        } else {
            process.place.read_link(path)
        };
        match found {
            Ok(target) => process.out(if given.has('n') { target } else { target + "\n" }).await?,
            Err(_) => status = 1,
        }
    }
    Ok(status)
}

pub(super) async fn pwd(process: &mut Process) -> Outcome {
    let directory = if process.operands().iter().any(|flag| flag == "-P") {
        process.place.real_path(".").unwrap_or_else(|_| process.place.directory.clone())
    } else {
        process.place.directory.clone()
    };
    process.out(directory + "\n").await.map(|()| 0)
}

pub(super) async fn which(process: &mut Process) -> Outcome {
    let search = process.variable("PATH").unwrap_or_default().to_owned();
    let mut status = 0;
    for name in process.operands().iter().filter(|name| !name.starts_with('-')) {
        match find(&process.place, &search, name) {
            Ok(path) => process.out(path + "\n").await?,
            Err(_) => status = 1,
        }
    }
    Ok(status)
}
