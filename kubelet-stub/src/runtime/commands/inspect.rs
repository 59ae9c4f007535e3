//! Programs that look: `stat`, `du`, `df`, `free`, `mount`, `cmp`, `diff`.

use super::ls::human;
use super::{lines_of, options, read_operands};
use crate::runtime::files::{Kind, Stat, join};
use crate::runtime::machine::{Outcome, Process};
use std::time::UNIX_EPOCH;

/// Lines of either side that `diff` compares.
const DIFF_LINES_MAX: usize = 2000;

fn kind_word(stat: &Stat) -> &'static str {
    match stat.kind {
        Kind::File if stat.size == 0 => "regular empty file",
        Kind::File => "regular file",
        Kind::Directory => "directory",
        Kind::Link => "symbolic link",
        Kind::Device(_) => "character special file",
    }
}

pub(super) async fn stat(process: &mut Process) -> Outcome {
    let given = options::read(process, "c:Lft", &[("format", 'c'), ("dereference", 'L')]).await?;
    if given.operands.is_empty() {
        return process.fail(1, "missing operand").await;
    }
    let mut status = 0;
    for path in &given.operands {
        let found = if given.has('L') { process.place.stat(path) } else { process.place.stat_link(path) };
        let stat = match found {
            Ok(stat) => stat,
            Err(error) => {
                process.complain(format!("can't stat '{path}': {error}")).await;
                status = 1;
                continue;
            }
        };
        let text = match given.value('c') {
            Some(format) => formatted(format, path, &stat) + "\n",
            None => {
                let modified = super::clock::strftime("%Y-%m-%d %H:%M:%S.%N +0000", stat.modified);
                formatted(
                    "  File: %n\n  Size: %s\tBlocks: %b\tIO Block: 4096\t%F\nDevice: 0h/0d\tInode: %i\tLinks: %h\nAccess: \
                     (%04a/%A)\tUid: ( %u/ %U)\tGid: ( %g/ %G)\n",
                    path,
                    &stat,
                ) + &format!("Modify: {modified}\n")
            }
        };
        process.out(text).await?;
    }
    Ok(status)
}

fn formatted(format: &str, path: &str, stat: &Stat) -> String {
    let mut text = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            text.push(c);
            continue;
        }
        let mut letter = chars.next();
        let mut wide = false;
        while letter.is_some_and(|c| c.is_ascii_digit()) {
            wide = true;
            letter = chars.next();
        }
        let seconds = stat.modified.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        text.push_str(&match letter {
            Some('n') => path.to_owned(),
            Some('N') => format!("'{path}'"),
            Some('s') => stat.size.to_string(),
            Some('a') if wide => format!("{:04o}", stat.mode),
            Some('a') => format!("{:o}", stat.mode),
            Some('A') => stat.mode_text(),
            Some('u') => stat.uid.to_string(),
            Some('g') => stat.gid.to_string(),
            Some('U') => super::who::user_name(stat.uid),
            Some('G') => super::who::group_name(stat.gid),
            Some('i') => stat.id.to_string(),
            Some('h') => "1".to_owned(),
            Some('b') => stat.size.div_ceil(512).to_string(),
            Some('B') => "512".to_owned(),
            Some('F') => kind_word(stat).to_owned(),
            Some('Y' | 'X' | 'Z') => seconds.to_string(),
            Some('y' | 'x' | 'z') => super::clock::strftime("%Y-%m-%d %H:%M:%S.%N +0000", stat.modified),
            Some('%') | None => "%".to_owned(),
            Some(other) => format!("%{other}"),
        });
    }
    text
}

pub(super) async fn du(process: &mut Process) -> Outcome {
    let long = [("summarize", 's'), ("human-readable", 'h'), ("all", 'a'), ("bytes", 'b'), ("max-depth", 'd')];
    let given = options::read(process, "shakmbcd:x", &long).await?;
    let operands = if given.operands.is_empty() { vec![".".to_owned()] } else { given.operands.clone() };
    let deepest = given.value('d').and_then(|text| text.parse::<usize>().ok());
    let deepest = if given.has('s') { 0 } else { deepest.unwrap_or(usize::MAX) };
    let show = |bytes: u64| {
        if given.has('h') {
            human(bytes)
        } else if given.has('b') {
            bytes.to_string()
        } else if given.has('m') {
            bytes.div_ceil(1 << 20).to_string()
        } else {
            bytes.div_ceil(1 << 10).to_string()
        }
    };
    let (mut status, mut total) = (0, 0);
    for operand in &operands {
        if let Err(error) = process.place.stat_link(operand) {
            process.complain(format!("{operand}: {error}")).await;
            status = 1;
            continue;
        }
        // Listed parents first; summed from the end, so that each has all that is below it.
        let mut found: Vec<(String, usize, u64, Option<usize>, bool)> = Vec::new();
        found.push((operand.clone(), 0, 0, None, true));
        let mut next = 0;
        while next < found.len() {
            process.machine.step().await;
            let (path, level) = (found[next].0.clone(), found[next].1);
            let stat = process.place.stat_link(&path);
            found[next].4 = stat.as_ref().is_ok_and(Stat::is_directory);
            found[next].2 =
                stat.map_or(0, |stat| if given.has('b') { stat.size } else { stat.size.div_ceil(4096) * 4096 });
            if found[next].4 {
                for (name, _) in process.place.list(&path).unwrap_or_default() {
                    found.push((join(&path, &name), level + 1, 0, Some(next), true));
                }
            }
            next += 1;
        }
        let mut lines = Vec::new();
        for index in (0..found.len()).rev() {
            let (path, level, bytes, parent, is_directory) = found[index].clone();
            if let Some(parent) = parent {
                found[parent].2 += bytes;
            }
            if level <= deepest && (is_directory || level == 0 || given.has('a')) {
                lines.push(format!("{}\t{path}\n", show(bytes)));
            }
        }
        total += found[0].2;
        process.out(lines.concat()).await?;
    }
    if given.has('c') {
        process.out(format!("{}\ttotal\n", show(total))).await?;
    }
    Ok(status)
}

pub(super) async fn df(process: &mut Process) -> Outcome {
    let given = options::read(process, "hkmPTia", &[("human-readable", 'h')]).await?;
    let quota = process.place.view.quota.clone();
    let (size, used) = (quota.bytes_max(), quota.used());
    let show = |bytes: u64| if given.has('h') { human(bytes) } else { bytes.div_ceil(1024).to_string() };
    let heading = if given.has('h') { "Size" } else { "1K-blocks" };
    let percent = (used * 100).div_ceil(size.max(1));
    let mut text = format!("{:20} {heading:>10} {:>10} {:>10} Use% Mounted on\n", "Filesystem", "Used", "Available");
    let target = given.operands.first().map_or("/", String::as_str);
    if let Err(error) = process.place.stat(target) {
        return process.fail(1, format!("{target}: {error}")).await;
    }
    let (size, free, used) = (show(size), show(size.saturating_sub(used)), show(used));
    text.push_str(&format!("{:20} {size:>10} {used:>10} {free:>10} {percent:>3}% /\n", "overlay"));
    process.out(text).await.map(|()| 0)
}

/// `free`: of what the container's files may use, as that is all the memory there is.
pub(super) async fn free(process: &mut Process) -> Outcome {
    let given = options::read(process, "mhkgb", &[]).await?;
    let unit = if given.has('m') { 1 << 20 } else { 1 << 10 };
    let quota = &process.place.view.quota;
    let (total, used) = (quota.bytes_max() / unit, quota.used() / unit);
    let text = format!(
        "{:14}{:>12}{:>12}{:>12}\n{:14}{total:>12}{used:>12}{:>12}\n",
        "",
        "total",
        "used",
        "free",
        "Mem:",
        total - used
    );
    process.out(text).await.map(|()| 0)
}

pub(super) async fn mount(process: &mut Process) -> Outcome {
    if !process.operands().is_empty() {
        return process.fail(1, "permission denied (are you root?)").await;
    }
    let table = process.place.read("/proc/mounts").unwrap_or_default();
    for line in lines_of(&table) {
        let line = String::from_utf8_lossy(line).into_owned();
        let fields: Vec<&str> = line.split(' ').collect();
        if let [device, path, kind, flags, ..] = fields.as_slice() {
            process.out(format!("{device} on {path} type {kind} ({flags})\n")).await?;
        }
    }
    Ok(0)
}

pub(super) async fn cmp(process: &mut Process) -> Outcome {
    let given = options::read(process, "s", &[("quiet", 's'), ("silent", 's')]).await?;
    let [left, right] = given.operands.as_slice() else { return process.fail(2, "two files are compared").await };
    let (contents, status) = read_operands(process, &given.operands).await?;
    let [a, b] = contents.as_slice() else { return Ok(2.max(status)) };
    let differs = a.iter().zip(b).position(|(a, b)| a != b);
    let message = match differs {
        Some(at) => {
            let line = a[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
            Some(format!("{left} {right} differ: char {}, line {line}\n", at + 1))
        }
        None if a.len() != b.len() => None,
        None => return Ok(0),
    };
    if !given.has('s') {
        match message {
            Some(message) => process.out(message).await?,
            None => process.complain(format!("EOF on {}", if a.len() < b.len() { left } else { right })).await,
        }
    }
    Ok(1)
}

/// `diff` in the unified format.
pub(super) async fn diff(process: &mut Process) -> Outcome {
    let given = options::read(process, "uqsU:bBawiN", &[("unified", 'u'), ("brief", 'q')]).await?;
    let [left, right] = given.operands.as_slice() else { return process.fail(2, "two files are compared").await };
    let (contents, _) = read_operands(process, &given.operands).await?;
    let [a, b] = contents.as_slice() else { return Ok(2) };
    if a == b {
        return Ok(0);
    }
    if given.has('q') {
        process.out(format!("Files {left} and {right} differ\n")).await?;
        return Ok(1);
    }
    let (a, b) = (lines_of(a), lines_of(b));
    if a.len() > DIFF_LINES_MAX || b.len() > DIFF_LINES_MAX {
        process.out(format!("Files {left} and {right} differ\n")).await?;
        return Ok(1);
    }
    process.out(format!("--- {left}\n+++ {right}\n{}", hunks(&edits(&a, &b)))).await?;
    Ok(1)
}

/// The lines of both, each with a blank, a minus or a plus, by their longest common subsequence.
fn edits(a: &[&[u8]], b: &[&[u8]]) -> Vec<(char, String)> {
    let width = b.len() + 1;
    let mut common = vec![0_u32; (a.len() + 1) * width];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            common[i * width + j] = if a[i] == b[j] {
                common[(i + 1) * width + j + 1] + 1
            } else {
                common[(i + 1) * width + j].max(common[i * width + j + 1])
            };
        }
    }
    let text = |line: &[u8]| String::from_utf8_lossy(line).into_owned();
    let (mut i, mut j, mut found) = (0, 0, Vec::new());
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            found.push((' ', text(a[i])));
            (i, j) = (i + 1, j + 1);
        } else if i < a.len() && (j == b.len() || common[(i + 1) * width + j] >= common[i * width + j + 1]) {
            found.push(('-', text(a[i])));
            i += 1;
        } else {
            found.push(('+', text(b[j])));
            j += 1;
        }
    }
    found
}

fn hunks(edits: &[(char, String)]) -> String {
    const CONTEXT: usize = 3;
    let mut shown = vec![false; edits.len()];
    for (at, (mark, _)) in edits.iter().enumerate() {
        if *mark != ' ' {
            shown[at.saturating_sub(CONTEXT)..(at + CONTEXT + 1).min(edits.len())].fill(true);
        }
    }
    let mut text = String::new();
    let (mut line_a, mut line_b, mut at) = (1, 1, 0);
    while at < edits.len() {
        let end = at + shown[at..].iter().take_while(|shown| **shown).count();
        if end > at {
            let hunk = &edits[at..end];
            let count = |mark: char| hunk.iter().filter(|(own, _)| *own == ' ' || *own == mark).count();
            let (count_a, count_b) = (count('-'), count('+'));
            let range = |line: usize, count: usize| match count {
                0 => format!("{},0", line - 1),
                1 => line.to_string(),
                count => format!("{line},{count}"),
            };
            text.push_str(&format!("@@ -{} +{} @@\n", range(line_a, count_a), range(line_b, count_b)));
            for (mark, line) in hunk {
                text.push_str(&format!("{mark}{line}\n"));
            }
            (line_a, line_b, at) = (line_a + count_a, line_b + count_b, end);
        } else {
            (line_a, line_b, at) = (line_a + 1, line_b + 1, at + 1);
        }
    }
    text
}
