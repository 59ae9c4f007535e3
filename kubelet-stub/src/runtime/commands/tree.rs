//! Programs that change the tree: `mkdir`, `rmdir`, `rm`, `cp`, `mv`, `ln`, `touch`, `chmod`, `chown`, `mktemp`.

use super::options;
use crate::runtime::files::{Errno, Kind, base_name, join};
use crate::runtime::machine::{Outcome, Process};
use futures_util::future::{BoxFuture, FutureExt};

/// Directories within directories that a recursive program follows.
const DEPTH_MAX: u32 = 256;

async fn told(process: &Process, outcome: Result<(), Errno>, about: &str, status: &mut i32) {
    if let Err(error) = outcome {
        process.complain(format!("{about}: {error}")).await;
        *status = 1;
    }
}

pub(super) async fn mkdir(process: &mut Process) -> Outcome {
    let given = options::read(process, "pm:v", &[("parents", 'p'), ("mode", 'm')]).await?;
    if given.operands.is_empty() {
        return process.fail(1, "missing operand").await;
    }
    let mut status = 0;
    for path in &given.operands {
        let made = if given.has('p') {
            process.place.make_directories(path)
        } else {
            process.place.make_directory(path, None)
        };
        let mode = given.value('m').and_then(|text| u32::from_str_radix(text, 8).ok());
        let made = made.and_then(|()| mode.map_or(Ok(()), |mode| process.place.set_mode(path, mode)));
        told(process, made, &format!("can't create directory '{path}'"), &mut status).await;
    }
    Ok(status)
}

pub(super) async fn rmdir(process: &mut Process) -> Outcome {
    let given = options::read(process, "p", &[]).await?;
    let mut status = 0;
    for path in &given.operands {
        told(process, process.place.remove_directory(path), &format!("'{path}'"), &mut status).await;
    }
    Ok(status)
}

pub(super) async fn rm(process: &mut Process) -> Outcome {
    let given = options::read(process, "rRfiv", &[("recursive", 'r'), ("force", 'f')]).await?;
    let (recursive, force) = (given.has('r') || given.has('R'), given.has('f'));
    if given.operands.is_empty() && !force {
        return process.fail(1, "missing operand").await;
    }
    let mut status = 0;
    for path in &given.operands {
        if matches!(base_name(path), "." | "..") || path == "/" {
            process.complain(format!("can't remove '{path}': Invalid argument")).await;
            status = 1;
            continue;
        }
        match process.place.stat_link(path) {
            Err(Errno::NotFound) if force => {}
            Err(error) => told(process, Err(error), &format!("can't remove '{path}'"), &mut status).await,
            Ok(stat) if stat.is_directory() && !recursive => {
                told(process, Err(Errno::IsDirectory), &format!("'{path}'"), &mut status).await;
            }
            Ok(_) => remove(process, path, &mut status, 0).await,
        }
    }
    Ok(status)
}

/// Removes a tree; what stays is told.
fn remove<'a>(process: &'a Process, path: &'a str, status: &'a mut i32, depth: u32) -> BoxFuture<'a, ()> {
    async move {
        process.machine.step().await;
        let is_directory = process.place.stat_link(path).is_ok_and(|stat| stat.is_directory());
        if is_directory && depth < DEPTH_MAX {
            for (name, _) in process.place.list(path).unwrap_or_default() {
                remove(process, &join(path, &name), status, depth + 1).await;
            }
        }
        let removed = if is_directory { process.place.remove_directory(path) } else { process.place.remove_file(path) };
        told(process, removed, &format!("can't remove '{path}'"), status).await;
    }
    .boxed()
}

/// Where each source goes: into a directory, or to a name. `None`: told already.
async fn targets(process: &Process, operands: &[String], no_directory: bool) -> Option<Vec<(String, String)>> {
    let (target, sources) = operands.split_last().filter(|(_, sources)| !sources.is_empty())?;
    let into = !no_directory && process.place.stat(target).is_ok_and(|stat| stat.is_directory());
    if !into && sources.len() > 1 {
        process.complain(format!("target '{target}' is not a directory")).await;
        return None;
    }
    let to = |source: &String| if into { join(target, base_name(source)) } else { target.clone() };
    Some(sources.iter().map(|source| (source.clone(), to(source))).collect())
}

pub(super) async fn cp(process: &mut Process) -> Outcome {
    let long = [("recursive", 'r'), ("archive", 'a'), ("force", 'f'), ("preserve", 'p')];
    let given = options::read(process, "rRafpdLPTvnu", &long).await?;
    if given.operands.len() < 2 {
        return process.fail(1, "missing file operand").await;
    }
    let how = Copying {
        recursive: given.has('r') || given.has('R') || given.has('a'),
        keeps_links: given.has('a')
            || given.has('d')
            || given.has('P')
            || ((given.has('r') || given.has('R')) && !given.has('L')),
        preserves: given.has('a') || given.has('p'),
    };
    let Some(pairs) = targets(process, &given.operands, given.has('T')).await else { return Ok(1) };
    let mut status = 0;
    for (source, target) in pairs {
        if given.has('n') && process.place.stat(&target).is_ok() {
            continue;
        }
        copy(process, &source, &target, how, &mut status, 0).await;
    }
    Ok(status)
}

#[derive(Clone, Copy)]
struct Copying {
    recursive: bool,
    keeps_links: bool,
    preserves: bool,
}

fn copy<'a>(
    process: &'a Process,
    source: &'a str,
    target: &'a str,
    how: Copying,
    status: &'a mut i32,
    depth: u32,
) -> BoxFuture<'a, ()> {
    async move {
        process.machine.step().await;
        let place = &process.place;
        let stat = if how.keeps_links { place.stat_link(source) } else { place.stat(source) };
        let stat = match stat {
            Ok(stat) => stat,
            Err(error) => return told(process, Err(error), &format!("can't stat '{source}'"), status).await,
        };
        if place.stat(target).is_ok_and(|there| there.id == stat.id) {
            process.complain(format!("'{source}' and '{target}' are the same file")).await;
            *status = 1;
            return;
        }
        let copied = match stat.kind {
            Kind::Directory if !how.recursive => {
                process.complain(format!("omitting directory '{source}'")).await;
                *status = 1;
                return;
            }
            Kind::Directory => {
                let inside = place.real_path(source).ok().zip(place.real_path(target).ok());
                let nested = inside.is_some_and(|(from, to)| format!("{to}/").starts_with(&format!("{from}/")));
                if nested || depth > DEPTH_MAX {
                    process.complain(format!("can't copy '{source}' into itself")).await;
                    *status = 1;
                    return;
                }
                // Listed before the target is made, so that a copy into a subfolder ends.
                let entries = place.list(source).unwrap_or_default();
                let made = match place.make_directory(target, Some(stat.mode)) {
                    Err(Errno::Exists) if place.stat(target).is_ok_and(|there| there.is_directory()) => Ok(()),
                    made => made,
                };
                if made.is_ok() {
                    for (name, _) in entries {
                        copy(process, &join(source, &name), &join(target, &name), how, status, depth + 1).await;
                    }
                }
                made
            }
            Kind::Link => place.read_link(source).and_then(|to| {
                let _ = place.remove_file(target);
                place.make_link(&to, target)
            }),
            Kind::File | Kind::Device(_) => place.read(source).and_then(|bytes| {
                let fresh = place.stat(target).is_err();
                place.write(target, &bytes)?;
                if fresh || how.preserves { place.set_mode(target, stat.mode & !place.umask) } else { Ok(()) }
            }),
        };
        if copied.is_ok() && how.preserves {
            let _ = place.set_modified(target, stat.modified);
        }
        told(process, copied, &format!("can't create '{target}'"), status).await;
    }
    .boxed()
}

pub(super) async fn mv(process: &mut Process) -> Outcome {
    let given = options::read(process, "fniTv", &[("force", 'f')]).await?;
    if given.operands.len() < 2 {
        return process.fail(1, "missing file operand").await;
    }
    let Some(pairs) = targets(process, &given.operands, given.has('T')).await else { return Ok(1) };
    let mut status = 0;
    for (source, target) in pairs {
        if given.has('n') && process.place.stat(&target).is_ok() {
            continue;
        }
        told(process, process.place.rename(&source, &target), &format!("can't rename '{source}'"), &mut status).await;
    }
    Ok(status)
}

pub(super) async fn ln(process: &mut Process) -> Outcome {
    let given = options::read(process, "sfnvT", &[("symbolic", 's'), ("force", 'f')]).await?;
    let operands = match given.operands.as_slice() {
        [] => return process.fail(1, "missing file operand").await,
        [only] => vec![only.clone(), base_name(only).to_owned()],
        more => more.to_vec(),
    };
    let Some(pairs) = targets(process, &operands, given.has('n') || given.has('T')).await else { return Ok(1) };
    let mut status = 0;
    for (source, target) in pairs {
        if given.has('f') {
            let _ = process.place.remove_file(&target);
        }
        let made = if process.place.stat_link(&target).is_ok() {
            Err(Errno::Exists)
        } else if given.has('s') {
            process.place.make_link(&source, &target)
        } else {
            process.place.make_hard_link(&source, &target)
        };
        told(process, made, &target, &mut status).await;
    }
    Ok(status)
}

pub(super) async fn touch(process: &mut Process) -> Outcome {
    let given = options::read(process, "cmahd:t:r:", &[("no-create", 'c'), ("date", 'd'), ("reference", 'r')]).await?;
    if given.operands.is_empty() {
        return process.fail(1, "missing file operand").await;
    }
    let mut when = process.machine.clock.now();
    if let Some(path) = given.value('r') {
        match process.place.stat(path) {
            Ok(stat) => when = stat.modified,
            Err(error) => return process.fail(1, format!("{path}: {error}")).await,
        }
    }
    if let Some(text) = given.value('d') {
        match super::clock::parse_date(text) {
            Some(at) => when = at,
            None => return process.fail(1, format!("invalid date '{text}'")).await,
        }
    }
    let mut status = 0;
    for path in &given.operands {
        let touched = match process.place.stat(path) {
            Ok(_) => process.place.set_modified(path, when),
            Err(Errno::NotFound) if given.has('c') => Ok(()),
            Err(Errno::NotFound) => {
                process.place.write(path, b"").and_then(|()| process.place.set_modified(path, when))
            }
            Err(error) => Err(error),
        };
        told(process, touched, path, &mut status).await;
    }
    Ok(status)
}

/// The mode that `u+x,go-w` or `755` makes of a mode.
pub(super) fn change_mode(text: &str, mut mode: u32, is_directory: bool) -> Option<u32> {
    if text.chars().all(|c| c.is_digit(8)) && !text.is_empty() {
        return u32::from_str_radix(text, 8).ok();
    }
    for clause in text.split(',') {
        let at = clause.find(['+', '-', '='])?;
        let who: u32 = match &clause[..at] {
            "" | "a" => 0o777,
            letters => letters.chars().try_fold(0, |mask, letter| {
                Some(
                    mask | match letter {
                        'u' => 0o700,
                        'g' => 0o070,
                        'o' => 0o007,
                        'a' => 0o777,
                        _ => return None,
                    },
                )
            })?,
        };
        let operator = clause.as_bytes()[at];
        let bits = clause[at + 1..].chars().try_fold(0_u32, |bits, letter| {
            Some(
                bits | match letter {
                    'r' => 0o444,
                    'w' => 0o222,
                    'x' => 0o111,
                    'X' if is_directory || mode & 0o111 != 0 => 0o111,
                    'X' => 0,
                    't' => 0o1000,
                    's' => 0,
                    _ => return None,
                },
            )
        })?;
        let chosen = bits & (who | 0o1000);
        mode = match operator {
            b'+' => mode | chosen,
            b'-' => mode & !chosen,
            _ => (mode & !who) | chosen,
        };
    }
    Some(mode)
}

/// A path and, with `recursive`, all that is below it.
fn below(process: &Process, path: &str, recursive: bool) -> Vec<String> {
    let mut found = vec![path.to_owned()];
    let mut next = 0;
    while recursive && next < found.len() {
        let at = found[next].clone();
        if process.place.stat_link(&at).is_ok_and(|stat| stat.is_directory()) {
            found.extend(process.place.list(&at).unwrap_or_default().into_iter().map(|(name, _)| join(&at, &name)));
        }
        next += 1;
    }
    found
}

pub(super) async fn chmod(process: &mut Process) -> Outcome {
    // A mode such as `-x` looks like an option.
    let (flags, rest): (Vec<String>, Vec<String>) = process
        .operands()
        .into_iter()
        .partition(|text| matches!(text.as_str(), "-R" | "-v" | "-f" | "-c" | "--recursive"));
    let Some((mode, paths)) = rest.split_first().filter(|(_, paths)| !paths.is_empty()) else {
        return process.fail(1, "missing operand").await;
    };
    let recursive = flags.iter().any(|flag| flag == "-R" || flag == "--recursive");
    let mut status = 0;
    for path in paths.iter().flat_map(|path| below(process, path, recursive)) {
        let changed = match process.place.stat(&path) {
            Ok(stat) => match change_mode(mode, stat.mode, stat.is_directory()) {
                Some(mode) => process.place.set_mode(&path, mode),
                None => return process.fail(1, format!("invalid mode '{mode}'")).await,
            },
            Err(error) => Err(error),
        };
        told(process, changed, &path, &mut status).await;
    }
    Ok(status)
}

/// `chown` and `chgrp`.
pub(super) async fn chown(process: &mut Process) -> Outcome {
    let given = options::read(process, "Rhvf", &[("recursive", 'R')]).await?;
    let Some((owner, paths)) = given.operands.split_first().filter(|(_, paths)| !paths.is_empty()) else {
        return process.fail(1, "missing operand").await;
    };
    let number = |text: &str| match text {
        "" => Some(None),
        "root" => Some(Some(0)),
        "nobody" | "nogroup" => Some(Some(65_534)),
        other => other.parse::<u32>().ok().map(Some),
    };
    let (user, group) = if process.name() == "chgrp" {
        ("", owner.as_str())
    } else {
        owner.split_once([':', '.']).unwrap_or((owner, ""))
    };
    let (Some(user), Some(group)) = (number(user), number(group)) else {
        return process.fail(1, format!("unknown user {owner}")).await;
    };
    let mut status = 0;
    for path in paths.iter().flat_map(|path| below(process, path, given.has('R'))) {
        told(process, process.place.set_owner(&path, user, group), &path, &mut status).await;
    }
    Ok(status)
}

pub(super) async fn mktemp(process: &mut Process) -> Outcome {
    let given = options::read(process, "dqutp:", &[("directory", 'd')]).await?;
    let template = given
        .operands
        .first()
        .cloned()
        .unwrap_or_else(|| join(given.value('p').or(process.variable("TMPDIR")).unwrap_or("/tmp"), "tmp.XXXXXX"));
    let stem = template.trim_end_matches('X');
    let missing = template.len() - stem.len();
    if missing < 3 {
        return process.fail(1, format!("too few X's in template '{template}'")).await;
    }
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    for _ in 0..100 {
        let mut random = vec![0_u8; missing];
        rand::RngCore::fill_bytes(&mut rand::rng(), &mut random);
        let tail: String = random.iter().map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])).collect();
        let path = format!("{stem}{tail}");
        if process.place.stat_link(&path).is_ok() {
            continue;
        }
        let made = if given.has('d') {
            process.place.make_directory(&path, Some(0o700))
        } else {
            process.place.write(&path, b"").and_then(|()| process.place.set_mode(&path, 0o600))
        };
        return match made {
            Ok(()) => process.out(path + "\n").await.map(|()| 0),
            Err(error) => process.fail(1, format!("{path}: {error}")).await,
        };
    }
    process.fail(1, "no free name").await
}
