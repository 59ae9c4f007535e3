//! `ls`.

use super::options;
use crate::runtime::files::{Kind, Stat, join};
use crate::runtime::machine::{Outcome, Process, Stop};
use std::time::SystemTime;
use time::macros::format_description;

/// A name and what is at it; for a link, where it leads.
struct Entry {
    name: String,
    stat: Stat,
    link: Option<String>,
}

pub(super) async fn ls(process: &mut Process) -> Outcome {
    let long = [("all", 'a'), ("almost-all", 'A'), ("recursive", 'R'), ("color", '0'), ("directory", 'd')];
    let given = options::read(process, "laAd1hRtrSsinFpCx0kgouHL", &long).await?;
    let operands = if given.operands.is_empty() { vec![".".to_owned()] } else { given.operands.clone() };
    let mut status = 0;
    let (mut files, mut directories) = (Vec::new(), Vec::new());
    for path in &operands {
        let follow = !given.has('l') && !given.has('d');
        let stat = if follow { process.place.stat(path) } else { process.place.stat_link(path) };
        match stat.or_else(|_| process.place.stat_link(path)) {
            Ok(stat) if stat.is_directory() && !given.has('d') => directories.push(path.clone()),
            Ok(stat) => files.push(Entry { name: path.clone(), link: process.place.read_link(path).ok(), stat }),
            Err(error) => {
                process.complain(format!("{path}: {error}")).await;
                status = 1;
            }
        }
    }
    let several = operands.len() > 1 || given.has('R');
    show(process, &given, files).await?;
    let mut first = operands.len() == directories.len();
    let mut next = 0;
    while next < directories.len() {
        process.machine.step().await;
        let path = directories[next].clone();
        next += 1;
        let listed = match process.place.list(&path) {
            Ok(listed) => listed,
            Err(error) => {
                process.complain(format!("can't open '{path}': {error}")).await;
                status = 1;
                continue;
            }
        };
        if several {
            process.out(format!("{}{path}:\n", if first { "" } else { "\n" })).await?;
        }
        first = false;
        let mut entries = Vec::new();
        if given.has('a') {
            for name in [".", ".."] {
                if let Ok(stat) = process.place.stat(&join(&path, name)) {
                    entries.push(Entry { name: name.to_owned(), stat, link: None });
                }
            }
        }
        for (name, stat) in listed {
            if name.starts_with('.') && !given.has('a') && !given.has('A') {
                continue;
            }
            let link = process.place.read_link(&join(&path, &name)).ok();
            entries.push(Entry { name, stat, link });
        }
        if given.has('l') || given.has('s') {
            let blocks: u64 = entries.iter().map(|entry| entry.stat.size.div_ceil(4096) * 4).sum();
            process.out(format!("total {blocks}\n")).await?;
        }
        if given.has('R') {
            let below =
                entries.iter().filter(|entry| entry.stat.is_directory() && !matches!(entry.name.as_str(), "." | ".."));
            directories.splice(next..next, below.map(|entry| join(&path, &entry.name)).collect::<Vec<_>>());
        }
        show(process, &given, entries).await?;
    }
    Ok(status)
}

async fn show(process: &Process, given: &options::Given, mut entries: Vec<Entry>) -> Result<(), Stop> {
    if given.has('t') {
        entries.sort_by(|a, b| b.stat.modified.cmp(&a.stat.modified).then(a.name.cmp(&b.name)));
    } else if given.has('S') {
        entries.sort_by(|a, b| b.stat.size.cmp(&a.stat.size).then(a.name.cmp(&b.name)));
    }
    if given.has('r') {
        entries.reverse();
    }
    let width = |field: fn(&Entry) -> String| entries.iter().map(|entry| field(entry).len()).max().unwrap_or(0);
    let size_width = width(|entry| entry.stat.size.to_string());
    let mut text = String::new();
    for entry in &entries {
        let stat = &entry.stat;
        if given.has('i') {
            text.push_str(&format!("{:7} ", stat.id));
        }
        if given.has('s') {
            text.push_str(&format!("{:5} ", stat.size.div_ceil(4096) * 4));
        }
        if given.has('l') || given.has('n') {
            let size = if given.has('h') { human(stat.size) } else { format!("{:>size_width$}", stat.size) };
            let (user, group) = if given.has('n') {
                (stat.uid.to_string(), stat.gid.to_string())
            } else {
                (super::who::user_name(stat.uid), super::who::group_name(stat.gid))
            };
            let links = if stat.is_directory() { 2 } else { 1 };
            let when = date(stat.modified, process.machine.clock.now());
            text.push_str(&format!("{} {links:4} {user:8} {group:8} {size:>9} {when} ", stat.mode_text()));
        }
        text.push_str(&entry.name);
        if given.has('F') || (given.has('p') && stat.is_directory()) {
            text.push_str(match stat.kind {
                Kind::Directory => "/",
                Kind::Link => "@",
                _ if stat.mode & 0o111 != 0 && given.has('F') => "*",
                _ => "",
            });
        }
        if let (true, Some(link)) = (given.has('l'), &entry.link) {
            text.push_str(&format!(" -> {link}"));
        }
        text.push('\n');
    }
    if entries.is_empty() {
        return Ok(());
    }
    if columns(process, given) {
        text = in_columns(&entries.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), process);
    }
    process.out(text).await
}

fn columns(process: &Process, given: &options::Given) -> bool {
    process.terminal.is_some()
        && !"l1nsiFp".chars().any(|letter| given.has(letter))
        && matches!(
            process.fds.get(&1),
            Some(crate::runtime::machine::Fd::Sink(crate::runtime::machine::Sink::Pipe(_)))
        )
}

fn in_columns(names: &[&str], process: &Process) -> String {
    let screen = process.terminal.as_ref().map_or(80, |terminal| usize::from(terminal.size().width)).max(20);
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0) + 2;
    let count = (screen / width).max(1);
    let rows = names.len().div_ceil(count);
    let mut text = String::new();
    for row in 0..rows {
        let line: String = names.iter().skip(row).step_by(rows).map(|name| format!("{name:width$}")).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// `1.5K`.
pub(super) fn human(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["", "K", "M", "G", "T"];
    let (mut tenths, mut unit) = (u128::from(bytes) * 10, 0);
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths = tenths.div_ceil(1024);
        unit += 1;
    }
    if unit == 0 { bytes.to_string() } else { format!("{}.{}{}", tenths / 10, tenths % 10, UNITS[unit]) }
}

/// `Nov 22 10:00`, or with the year when it is far.
fn date(at: SystemTime, now: SystemTime) -> String {
    const HALF_YEAR_SECONDS: u64 = 182 * 86_400;
    let near = now.duration_since(at).is_ok_and(|age| age.as_secs() < HALF_YEAR_SECONDS);
    let at = tinyplane_wire::clock::utc(at);
    let text = if near {
        at.format(format_description!("[month repr:short] [day padding:space] [hour]:[minute]"))
    } else {
        at.format(format_description!("[month repr:short] [day padding:space]  [year]"))
    };
    text.unwrap_or_default()
}
