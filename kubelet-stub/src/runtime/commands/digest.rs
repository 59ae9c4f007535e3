//! Programs that encode and digest: `base64`, `md5sum`, `sha1sum`, `sha256sum`, `od`.

use super::{lines_of, options, read_operands};
use crate::runtime::machine::{Outcome, Process, Stop};
use ::base64::Engine;
use ::base64::engine::general_purpose::STANDARD;
use sha1::Digest;
use std::fmt::Write as _;

pub(super) async fn base64(process: &mut Process) -> Outcome {
    let given = options::read(process, "dDw:i", &[("decode", 'd'), ("wrap", 'w')]).await?;
    let (contents, status) = read_operands(process, &given.operands).await?;
    let content = contents.concat();
    if given.has('d') || given.has('D') {
        let text: Vec<u8> = content.into_iter().filter(|byte| !byte.is_ascii_whitespace()).collect();
        return match STANDARD.decode(text) {
            Ok(bytes) => process.out(bytes).await.map(|()| status),
            Err(_) => process.fail(1, "truncated input").await,
        };
    }
    let width = given.value('w').and_then(|text| text.parse::<usize>().ok()).unwrap_or(76);
    let text = STANDARD.encode(content);
    if width == 0 {
        return process.out(text).await.map(|()| status);
    }
    let mut out = String::new();
    for line in text.as_bytes().chunks(width) {
        out.push_str(&String::from_utf8_lossy(line));
        out.push('\n');
    }
    process.out(out).await.map(|()| status)
}

pub(super) async fn md5sum(process: &mut Process) -> Outcome {
    sum::<md5::Md5>(process).await
}

pub(super) async fn sha1sum(process: &mut Process) -> Outcome {
    sum::<sha1::Sha1>(process).await
}

pub(super) async fn sha256sum(process: &mut Process) -> Outcome {
    sum::<sha2::Sha256>(process).await
}

async fn sum<D: Digest + Send>(process: &mut Process) -> Outcome {
    let given = options::read(process, "cbstw", &[("check", 'c'), ("status", 's')]).await?;
    let paths = if given.operands.is_empty() { vec!["-".to_owned()] } else { given.operands.clone() };
    let mut status = 0;
    for path in &paths {
        let source = match process.open_source(path) {
            Ok(source) => source,
            Err(error) => {
                process.complain(format!("can't open '{path}': {error}")).await;
                status = 1;
                continue;
            }
        };
        if given.has('c') {
            let list = process.read_all(&source).await?;
            status = status.max(check::<D>(process, &list, given.has('s')).await?);
        } else {
            let mut digest = D::new();
            loop {
                let bytes = process.read(&source).await?;
                if bytes.is_empty() {
                    break;
                }
                digest.update(&bytes);
            }
            process.out(format!("{}  {path}\n", hexadecimal(&digest.finalize()))).await?;
        }
    }
    Ok(status)
}

async fn check<D: Digest>(process: &Process, list: &[u8], quiet: bool) -> Result<i32, Stop> {
    let mut failed = 0;
    for line in lines_of(list) {
        let line = String::from_utf8_lossy(line).into_owned();
        let Some((wanted, path)) = line.split_once(' ') else { continue };
        let path = path.trim_start_matches([' ', '*']);
        let fits = process.place.read(path).is_ok_and(|content| hexadecimal(&D::digest(&content)) == wanted);
        failed += i32::from(!fits);
        if !quiet {
            process.out(format!("{path}: {}\n", if fits { "OK" } else { "FAILED" })).await?;
        }
    }
    if failed > 0 {
        process.complain(format!("WARNING: {failed} computed checksums did NOT match")).await;
    }
    Ok(i32::from(failed > 0))
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// `od`: octal words, or with `-c` characters, with `-x`/`-t x1` hexadecimal bytes.
pub(super) async fn od(process: &mut Process) -> Outcome {
    let given = options::read(process, "cxbA:t:N:v", &[]).await?;
    let (contents, status) = read_operands(process, &given.operands).await?;
    let mut content = contents.concat();
    if let Some(most) = given.value('N').and_then(|text| text.parse::<usize>().ok()) {
        content.truncate(most);
    }
    let characters = given.has('c') || given.value('t') == Some("c");
    let hexadecimal = given.has('x') || given.value('t').is_some_and(|kind| kind.starts_with('x'));
    let addresses = given.value('A') != Some("n");
    let mut text = String::new();
    for (row, bytes) in content.chunks(16).enumerate() {
        if addresses {
            text.push_str(&format!("{:07o}", row * 16));
        }
        for byte in bytes {
            text.push_str(&if characters {
                match byte {
                    b'\n' => "  \\n".to_owned(),
                    b'\t' => "  \\t".to_owned(),
                    b'\r' => "  \\r".to_owned(),
                    0 => "  \\0".to_owned(),
                    32..=126 => format!("   {}", char::from(*byte)),
                    other => format!(" {other:03o}"),
                }
            } else if hexadecimal {
                format!(" {byte:02x}")
            } else {
                format!(" {byte:03o}")
            });
        }
        text.push('\n');
    }
    if addresses {
        text.push_str(&format!("{:07o}\n", content.len()));
    }
    process.out(text).await.map(|()| status)
}
