//! Time zones, as the system's zone files (RFC 9636) describe them.

use std::path::Path;

/// Where zone files are found.
const FOLDER: &str = "/usr/share/zoneinfo";
/// Largest zone file that is read.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// How far a place's clock is ahead of UTC, from when on.
#[derive(Debug)]
pub(super) struct Zone {
    first_offset: i64,
    /// Second since 1970, and the offset from then on, in order.
    turns: Vec<(i64, i64)>,
}

impl Zone {
    pub(super) fn utc() -> Self {
        Self { first_offset: 0, turns: Vec::new() }
    }

    /// The zone of a name.
    pub(super) fn named(name: &str) -> Result<Self, String> {
        if matches!(name, "UTC" | "Etc/UTC") {
            return Ok(Self::utc());
        }
        let unknown = || format!("unknown time zone {name}");
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | '+');
        if name.is_empty() || name.starts_with('/') || !name.chars().all(allowed) {
            return Err(unknown());
        }
        let path = Path::new(FOLDER).join(name);
        let fits = std::fs::metadata(&path).is_ok_and(|file| file.is_file() && file.len() <= FILE_BYTES_MAX);
        let bytes = if fits { std::fs::read(&path).ok() } else { None };
        bytes.and_then(|bytes| Self::read(&bytes)).ok_or_else(unknown)
    }

    /// Seconds that the place's clock is ahead of UTC at a second since 1970.
    pub(super) fn offset_at(&self, at: i64) -> i64 {
        match self.turns.partition_point(|(from, _)| *from <= at) {
            0 => self.first_offset,
            n => self.turns[n - 1].1,
        }
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let first = Header::read(bytes)?;
        // From version 2 on, a second block of 64-bit times follows the first.
        let (rest, header, time_bytes) = match first.version {
            0 => (bytes.get(44..)?, first, 4),
            _ => {
                let second = bytes.get(44 + first.body_bytes(4)..)?;
                (second.get(44..)?, Header::read(second)?, 8)
            }
        };
        let times = rest.get(..header.times * time_bytes)?;
        let kinds = rest.get(header.times * time_bytes..header.times * (time_bytes + 1))?;
        let types = rest.get(header.times * (time_bytes + 1)..)?.get(..header.types * 6)?;
        let offset = |kind: usize| -> Option<i64> {
            let bytes = types.get(kind * 6..kind * 6 + 4)?.try_into().ok()?;
            Some(i64::from(i32::from_be_bytes(bytes)))
        };
        let turns = times.chunks_exact(time_bytes).zip(kinds).map(|(time, kind)| {
            let at = match time.try_into() {
                Ok(eight) => i64::from_be_bytes(eight),
                Err(_) => i64::from(i32::from_be_bytes(time.try_into().ok()?)),
            };
            Some((at, offset(usize::from(*kind))?))
        });
        Some(Self { first_offset: offset(0)?, turns: turns.collect::<Option<Vec<_>>>()? })
    }
}

struct Header {
    version: u8,
    utc_flags: usize,
    std_flags: usize,
    leaps: usize,
    times: usize,
    types: usize,
    letters: usize,
}

impl Header {
    fn read(bytes: &[u8]) -> Option<Self> {
        if bytes.get(..4)? != b"TZif" {
            return None;
        }
        let count = |at: usize| -> Option<usize> {
            usize::try_from(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?)).ok()
        };
        Some(Self {
            version: *bytes.get(4)?,
            utc_flags: count(20)?,
            std_flags: count(24)?,
            leaps: count(28)?,
            times: count(32)?,
            types: count(36)?,
            letters: count(40)?,
        })
    }

    fn body_bytes(&self, time_bytes: usize) -> usize {
        self.times * (time_bytes + 1)
            + self.types * 6
            + self.letters
            + self.leaps * (time_bytes + 4)
            + self.std_flags
            + self.utc_flags
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_file_tells_offsets_by_time() {
        let mut bytes = b"TZif\0".to_vec();
        bytes.extend([0; 15]);
        for count in [0_u32, 0, 0, 1, 2, 4] {
            bytes.extend(count.to_be_bytes());
        }
        bytes.extend(1_000_i32.to_be_bytes());
        bytes.push(1);
        for (offset, summer) in [(3_600_i32, 0), (7_200, 1)] {
            bytes.extend(offset.to_be_bytes());
            bytes.extend([summer, 0]);
        }
        bytes.extend(*b"ABC\0");
        let zone = Zone::read(&bytes).unwrap();
        assert_eq!((zone.offset_at(999), zone.offset_at(1_000)), (3_600, 7_200));
        assert!(Zone::read(b"TZif").is_none());
    }

    #[test]
    fn names_lead_nowhere_else() {
        assert!(Zone::named("../../etc/passwd").is_err());
        assert!(Zone::named("").is_err());
        assert_eq!(Zone::named("UTC").unwrap().offset_at(0), 0);
    }
}
