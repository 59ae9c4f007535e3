//! Programs about who and where: `id`, `whoami`, `hostname`, `uname`, `nproc`, `printenv`, `tty`, `stty`, `uptime`.

use super::options;
use crate::runtime::machine::{Outcome, Process};

/// A user's name, or the number of one without a name.
pub(super) fn user_name(uid: u32) -> String {
    match uid {
        0 => "root".into(),
        65_534 => "nobody".into(),
        other => other.to_string(),
    }
}

/// As `user_name`, of a group.
pub(super) fn group_name(gid: u32) -> String {
    match gid {
        0 => "root".into(),
        65_534 => "nogroup".into(),
        other => other.to_string(),
    }
}

pub(super) async fn id(process: &mut Process) -> Outcome {
    let given = options::read(process, "ugnrG", &[("user", 'u'), ("group", 'g'), ("name", 'n')]).await?;
    let (uid, gid) = (process.place.uid, process.place.gid);
    let text = match (given.has('u'), given.has('g') || given.has('G'), given.has('n')) {
        (true, _, true) => user_name(uid),
        (true, _, false) => uid.to_string(),
        (_, true, true) => group_name(gid),
        (_, true, false) => gid.to_string(),
        _ => {
            let named = |number: u32, name: String| {
                if name == number.to_string() { name } else { format!("{number}({name})") }
            };
            let (user, group) = (named(uid, user_name(uid)), named(gid, group_name(gid)));
            format!("uid={user} gid={group} groups={group}")
        }
    };
    process.out(text + "\n").await.map(|()| 0)
}

pub(super) async fn whoami(process: &mut Process) -> Outcome {
    match process.place.uid {
        known @ (0 | 65_534) => process.out(user_name(known) + "\n").await.map(|()| 0),
        uid => process.fail(1, format!("unknown uid {uid}")).await,
    }
}

pub(super) async fn hostname(process: &mut Process) -> Outcome {
    let given = options::read(process, "sifdI", &[]).await?;
    let pod = &process.machine.sandbox.spec;
    let text = if given.has('i') || given.has('I') { pod.pod_ip.to_string() } else { pod.hostname.clone() };
    process.out(text + "\n").await.map(|()| 0)
}

pub(super) async fn uname(process: &mut Process) -> Outcome {
    let given = options::read(process, "asnrvmpio", &[("all", 'a')]).await?;
    let machine = std::env::consts::ARCH;
    let fields = [
        ('s', "Linux"),
        ('n', process.machine.sandbox.spec.hostname.as_str()),
        ('r', crate::KERNEL_VERSION),
        ('v', "#1 SMP"),
        ('m', machine),
        ('o', "GNU/Linux"),
    ];
    let none = given.flags().next().is_none();
    let wanted = |letter: char| given.has(letter) || given.has('a') || (none && letter == 's');
    let words: Vec<&str> = fields.iter().filter(|(letter, _)| wanted(*letter)).map(|(_, word)| *word).collect();
    process.out(words.join(" ") + "\n").await.map(|()| 0)
}

pub(super) async fn nproc(process: &mut Process) -> Outcome {
    process.out("1\n").await.map(|()| 0)
}

pub(super) async fn printenv(process: &mut Process) -> Outcome {
    let operands = process.operands();
    if operands.is_empty() {
        let lines: String = process.environment.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        return process.out(lines).await.map(|()| 0);
    }
    let mut status = 0;
    for name in operands {
        match process.variable(&name).map(str::to_owned) {
            Some(value) => process.out(value + "\n").await?,
            None => status = 1,
        }
    }
    Ok(status)
}

pub(super) async fn tty(process: &mut Process) -> Outcome {
    if process.terminal.is_some() {
        process.out("/dev/pts/0\n").await.map(|()| 0)
    } else {
        process.out("not a tty\n").await.map(|()| 1)
    }
}

/// `stty size`; other settings change nothing.
pub(super) async fn stty(process: &mut Process) -> Outcome {
    let Some(terminal) = process.terminal.clone() else { return process.fail(1, "standard input").await };
    let size = terminal.size();
    if process.operands().first().is_some_and(|word| word == "size") {
        process.out(format!("{} {}\n", size.height, size.width)).await?;
    }
    Ok(0)
}

pub(super) async fn uptime(process: &mut Process) -> Outcome {
    let up = process.machine.clock.now().duration_since(process.machine.started).unwrap_or_default().as_secs();
    process.out(format!(" up {}:{:02}, load average: 0.00, 0.00, 0.00\n", up / 3600, up / 60 % 60)).await.map(|()| 0)
}
