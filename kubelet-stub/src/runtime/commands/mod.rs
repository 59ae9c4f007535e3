//! The built-in programs: what every container has in `/bin`.

mod clock;
mod digest;
mod expr;
mod find;
mod grep;
mod inspect;
mod lines;
mod ls;
mod network;
mod options;
mod paths;
mod print;
mod processes;
pub(crate) mod regex;
mod sed;
mod sort;
mod starts;
mod stream;
mod tar;
mod tree;
mod who;

use super::images;
use super::machine::{Process, Program};
use super::shell;
use std::sync::LazyLock;

/// A table line: the name, and a function that boxes the program's future.
macro_rules! programs {
    ($($name:literal => $function:path),* $(,)?) => {
        &[$(($name, |process| Box::pin($function(process)))),*]
    };
}

/// In every container.
static COMMON: &[(&str, Program)] = programs! {
    "[" => shell::test, "ash" => shell::sh, "base64" => digest::base64, "basename" => paths::basename,
    "bash" => shell::sh, "cat" => stream::cat, "chgrp" => tree::chown, "chmod" => tree::chmod, "chown" => tree::chown,
    "clear" => print::clear, "cmp" => inspect::cmp, "cp" => tree::cp, "curl" => network::curl, "cut" => lines::cut,
    "date" => clock::date, "dd" => stream::dd, "df" => inspect::df, "diff" => inspect::diff,
    "dirname" => paths::dirname, "du" => inspect::du, "echo" => print::echo, "egrep" => grep::grep,
    "env" => starts::env, "expr" => expr::expr, "false" => print::no, "fgrep" => grep::grep, "find" => find::find,
    "free" => inspect::free, "getent" => network::getent, "grep" => grep::grep, "head" => stream::head,
    "hostname" => who::hostname, "id" => who::id, "kill" => processes::kill, "ln" => tree::ln, "ls" => ls::ls,
    "md5sum" => digest::md5sum, "mkdir" => tree::mkdir, "mktemp" => tree::mktemp, "mount" => inspect::mount,
    "mv" => tree::mv, "nc" => network::nc, "nl" => lines::nl, "nohup" => starts::nohup, "nproc" => who::nproc,
    "nslookup" => network::nslookup, "od" => digest::od, "printenv" => who::printenv, "printf" => print::printf,
    "ps" => processes::ps, "pwd" => paths::pwd, "readlink" => paths::readlink, "realpath" => paths::realpath,
    "rev" => lines::rev, "rm" => tree::rm, "rmdir" => tree::rmdir, "sed" => sed::sed, "seq" => clock::seq,
    "sh" => shell::sh, "sha1sum" => digest::sha1sum, "sha256sum" => digest::sha256sum, "sleep" => clock::sleep,
    "sort" => sort::sort, "stat" => inspect::stat, "stty" => who::stty, "sync" => print::yes_sir, "tac" => lines::tac,
    "tail" => stream::tail, "tar" => tar::tar, "tee" => stream::tee, "test" => shell::test, "time" => starts::time,
    "timeout" => starts::timeout, "touch" => tree::touch, "tr" => lines::tr, "true" => print::yes_sir,
    "tty" => who::tty, "uname" => who::uname, "uniq" => lines::uniq, "uptime" => who::uptime, "wc" => stream::wc,
    "wget" => network::wget, "which" => paths::which, "whoami" => who::whoami, "xargs" => starts::xargs,
    "yes" => print::yes,
};

/// Only in the images that bring them.
static OF_IMAGES: &[(&str, Program)] = programs! {
    "agnhost" => images::agnhost, "hello" => images::hello, "httpd" => images::httpd, "nginx" => images::nginx,
    "pause" => images::wait_for_the_end,
};

static COMMON_NAMES: LazyLock<Vec<&'static str>> = LazyLock::new(|| COMMON.iter().map(|(name, _)| *name).collect());

/// The names of the programs that every container has, sorted.
pub(crate) fn common_names() -> &'static [&'static str] {
    &COMMON_NAMES
}

/// A built-in program by its name.
pub(crate) fn program(name: &str) -> Option<Program> {
    let find = |table: &[(&str, Program)]| table.iter().find(|(known, _)| *known == name).map(|(_, program)| *program);
    find(COMMON).or_else(|| find(OF_IMAGES))
}

/// The lines of a text, without their newlines; the last may lack one.
pub(crate) fn lines_of(bytes: &[u8]) -> Vec<&[u8]> {
    let mut lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    if lines.last().is_some_and(|last| last.is_empty()) {
        lines.pop();
    }
    lines
}

/// The content of the files that are named, or of the input where none is; what can't be read is told.
/// Returns also the status: 1 when something could not be read.
async fn read_operands(process: &Process, operands: &[String]) -> Result<(Vec<Vec<u8>>, i32), super::machine::Stop> {
    let stdin = ["-".to_owned()];
    let operands = if operands.is_empty() { &stdin[..] } else { operands };
    let (mut contents, mut status) = (Vec::new(), 0);
    for path in operands {
        match process.open_source(path) {
            Ok(source) => contents.push(process.read_all(&source).await?),
            Err(error) => {
                process.complain(format!("{path}: {error}")).await;
                status = 1;
            }
        }
    }
    Ok((contents, status))
}

#[cfg(test)]
mod tests;
