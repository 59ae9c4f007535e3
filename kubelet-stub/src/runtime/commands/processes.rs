//! `ps` and `kill`.

use crate::runtime::machine::{Outcome, Process, signal_name, signal_number};

pub(super) async fn ps(process: &mut Process) -> Outcome {
    let full = process.operands().iter().any(|flag| flag.starts_with('-') && flag.contains('f'));
    let mut text = String::from(if full { "UID        PID  PPID CMD\n" } else { "PID   USER     TIME  COMMAND\n" });
    for (pid, entry) in process.machine.processes() {
        let user = super::who::user_name(entry.uid);
        let command = entry.command.join(" ");
        text.push_str(&if full {
            format!("{user:8} {pid:5} {:5} {command}\n", entry.parent)
        } else {
            format!("{pid:5} {user:8}  0:00 {command}\n")
        });
    }
    process.out(text).await.map(|()| 0)
}

pub(super) async fn kill(process: &mut Process) -> Outcome {
    let operands = process.operands();
    let mut rest = operands.as_slice();
    let mut signal = 15;
    match rest {
        [flag, tail @ ..] if flag == "-l" => {
            let names: Vec<&str> = match tail.first().and_then(|text| text.parse::<i32>().ok()) {
                Some(number) => signal_name(number & 0x7f).into_iter().collect(),
                None => (1..32).filter_map(signal_name).collect(),
            };
            return process.out(names.join("\n") + "\n").await.map(|()| 0);
        }
        [flag, name, tail @ ..] if flag == "-s" => {
            let Some(number) = signal_number(name) else {
                return process.fail(1, format!("bad signal name '{name}'")).await;
            };
            signal = number;
            rest = tail;
        }
        [flag, tail @ ..] if flag.starts_with('-') && flag != "--" => {
            let Some(number) = signal_number(&flag[1..]) else {
                return process.fail(1, format!("bad signal name '{}'", &flag[1..])).await;
            };
            signal = number;
            rest = tail;
        }
        _ => {}
    }
    if rest.is_empty() {
        return process.fail(1, "you need to specify whom to kill").await;
    }
    let mut status = 0;
    for operand in rest.iter().filter(|operand| *operand != "--") {
        let Ok(pid) = operand.parse::<u32>() else {
            process.complain(format!("invalid number '{operand}'")).await;
            status = 1;
            continue;
        };
        match process.machine.processes().get(&pid) {
            // As Linux has it, the container's first process is never killed from within.
            Some(_) if pid == 1 && signal == 9 => {}
            Some(entry) => {
                entry.signals.send(signal);
                // Who kills itself comes no further.
                tokio::task::yield_now().await;
            }
            None => {
                process.complain(format!("can't kill pid {pid}: No such process")).await;
                status = 1;
            }
        }
    }
    Ok(status)
}
