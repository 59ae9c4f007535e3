//! One header of an archive: ustar, with GNU's and pax's long names on reading, GNU's on writing.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Headers and contents come in blocks of so many bytes.
pub(super) const BLOCK: usize = 512;

/// What a member is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Member {
    File,
    Directory,
    Link(String),
    HardLink(String),
    /// The next member's name (GNU).
    LongName,
    /// The next member's link target (GNU).
    LongLink,
    /// Further fields of the next member (pax).
    Extended,
    /// Something that has no place in the tree: devices, global headers.
    Other,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) name: String,
    pub(super) member: Member,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) size: u64,
    pub(super) modified: SystemTime,
}

impl Header {
    /// Reads a block. `Ok(None)`: the block of zeros at the end.
    pub(super) fn read(block: &[u8; BLOCK]) -> Result<Option<Self>, &'static str> {
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let sum: u64 = block
            .iter()
            .enumerate()
            .map(|(at, byte)| u64::from(if (148..156).contains(&at) { b' ' } else { *byte }))
            .sum();
        if number(&block[148..156]) != Some(sum) {
            return Err("invalid tar header checksum");
        }
        let mut name = text(&block[..100]);
        if &block[257..262] == b"ustar" && block[345] != 0 && block[262] != b' ' {
            name = format!("{}/{name}", text(&block[345..500]));
        }
        let link = text(&block[157..257]);
        let member = match block[156] {
            b'0' | 0 | b'7' if name.ends_with('/') => Member::Directory,
            b'0' | 0 | b'7' => Member::File,
            b'1' => Member::HardLink(link),
            b'2' => Member::Link(link),
            b'5' => Member::Directory,
            b'L' => Member::LongName,
            b'K' => Member::LongLink,
            b'x' => Member::Extended,
            _ => Member::Other,
        };
        let field = |range: std::ops::Range<usize>| number(&block[range]).ok_or("invalid number in tar header");
        let small = |value: u64| u32::try_from(value).unwrap_or(0);
        let seconds = field(136..148)?;
        Ok(Some(Self {
            member,
            mode: small(field(100..108)? & 0o7777),
            uid: small(field(108..116)?),
            gid: small(field(116..124)?),
            size: field(124..136)?,
            modified: UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).unwrap_or(UNIX_EPOCH),
            name,
        }))
    }

    /// The blocks of this header, with those of long names before it.
    pub(super) fn write(&self) -> Vec<u8> {
        let mut blocks = Vec::new();
        let link = match &self.member {
            Member::Link(target) | Member::HardLink(target) => target.as_str(),
            _ => "",
        };
        if link.len() > 100 {
            blocks.extend(long(b'K', link));
        }
        if self.name.len() > 100 {
            blocks.extend(long(b'L', &self.name));
        }
        let kind = match self.member {
            Member::File | Member::Other => b'0',
            Member::HardLink(_) => b'1',
            Member::Link(_) => b'2',
            Member::Directory => b'5',
            Member::LongName => b'L',
            Member::LongLink => b'K',
            Member::Extended => b'x',
        };
        let seconds = self.modified.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        blocks.extend(block(
            &self.name,
            kind,
            link,
            [u64::from(self.mode), u64::from(self.uid), u64::from(self.gid)],
            self.size,
            seconds,
        ));
        blocks
    }
}

fn long(kind: u8, text: &str) -> Vec<u8> {
    let size = text.len() + 1;
    let mut bytes = block("././@LongLink", kind, "", [0o644, 0, 0], size as u64, 0);
    bytes.extend_from_slice(text.as_bytes());
    bytes.resize(bytes.len() - text.len() + size.div_ceil(BLOCK) * BLOCK, 0);
    bytes
}

fn block(name: &str, kind: u8, link: &str, numbers: [u64; 3], size: u64, seconds: u64) -> Vec<u8> {
    let mut block = vec![0_u8; BLOCK];
    let mut put = |at: usize, bytes: &[u8], most: usize| {
        let length = bytes.len().min(most);
        block[at..at + length].copy_from_slice(&bytes[..length]);
    };
    put(0, name.as_bytes(), 100);
    for (index, value) in numbers.into_iter().enumerate() {
        put(100 + index * 8, format!("{:07o}", value & 0o7_777_777).as_bytes(), 7);
    }
    if size < 1 << 33 {
        put(124, format!("{size:011o}").as_bytes(), 11);
    } else {
        put(124, &[0x80, 0, 0, 0], 4);
        put(128, &size.to_be_bytes(), 8);
    }
    put(136, format!("{:011o}", seconds.min((1 << 33) - 1)).as_bytes(), 11);
    put(156, &[kind], 1);
    put(157, link.as_bytes(), 100);
    put(257, b"ustar\x0000", 8);
    put(265, b"root", 32);
    put(297, b"root", 32);
    put(148, b"        ", 8);
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fn text(field: &[u8]) -> String {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

/// An octal number, or GNU's base 256 for large ones.
fn number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        let bytes = &field[field.len().saturating_sub(8)..];
        return Some(bytes.iter().fold(0_u64, |value, byte| (value << 8) | u64::from(*byte)));
    }
    let digits = field.iter().skip_while(|byte| **byte == b' ').take_while(|byte| !matches!(**byte, 0 | b' '));
    digits.into_iter().try_fold(0_u64, |value, byte| {
        let digit = char::from(*byte).to_digit(8)?;
        value.checked_mul(8)?.checked_add(u64::from(digit))
    })
}

/// The records `length key=value\n` of a pax header.
pub(super) fn records(bytes: &[u8]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = bytes;
    while let Some(space) = rest.iter().position(|byte| *byte == b' ') {
        let length = std::str::from_utf8(&rest[..space]).ok().and_then(|text| text.parse::<usize>().ok());
        let Some(length) = length.filter(|length| *length > space + 1 && *length <= rest.len()) else { break };
        let record = String::from_utf8_lossy(&rest[space + 1..length - 1]).into_owned();
        if let Some((key, value)) = record.split_once('=') {
            found.push((key.to_owned(), value.to_owned()));
        }
        rest = &rest[length..];
    }
    found
}
