//! Faults as a person types them: `latency=200ms,jitter=50ms,towards=client`.

use super::{Direction, Fault, Kind};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use tinyplane_wire::clock::duration_flag;

/// What a person may type, for whoever typed something else.
const GRAMMAR: &str = "latency=DURATION[,jitter=DURATION], bandwidth=BYTES_PER_SECOND, blackhole, reset, half-open, \
    slice=BYTES, corrupt[=ONE_IN_BYTES] or man-in-the-middle[,certificate=FILE,key=FILE], each with \
    [,towards=client|server][,probability=0..1][,seed=N][,after=BYTES]";

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = |duration: &Duration| format!("{}ms", duration.as_millis());
        match &self.kind {
            Kind::Latency { delay, jitter } => {
                write!(f, "latency={}", millis(delay))?;
                if !jitter.is_zero() {
                    write!(f, ",jitter={}", millis(jitter))?;
                }
            }
            Kind::Bandwidth { bytes_per_second } => write!(f, "bandwidth={bytes_per_second}")?,
            Kind::Blackhole => f.write_str("blackhole")?,
            Kind::Reset => f.write_str("reset")?,
            Kind::HalfOpen => f.write_str("half-open")?,
            Kind::Slice { bytes } => write!(f, "slice={bytes}")?,
            Kind::Corrupt { one_in_bytes } => write!(f, "corrupt={one_in_bytes}")?,
            Kind::ManInTheMiddle { pair } => {
                f.write_str("man-in-the-middle")?;
                if let Some((certificate, key)) = pair {
                    write!(f, ",certificate={},key={}", certificate.display(), key.display())?;
                }
            }
        }
        match self.towards {
            Some(Direction::Client) => f.write_str(",towards=client")?,
            Some(Direction::Server) => f.write_str(",towards=server")?,
            None => {}
        }
        if self.probability < 1.0 {
            write!(f, ",probability={}", self.probability)?;
        }
        if self.seed > 0 {
            write!(f, ",seed={}", self.seed)?;
        }
        if self.after_bytes > 0 {
            write!(f, ",after={}", self.after_bytes)?;
        }
        Ok(())
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split(',').map(|word| match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word, None),
        });
        let first = words.next().and_then(|(name, value)| kind(name, value));
        let mut fault = first.ok_or_else(|| format!("{text:?} is no fault: it is one of {GRAMMAR}"))?;
        let (mut certificate, mut key) = (None, None);
        for (name, value) in words {
            let value = value.ok_or_else(|| format!("{name:?} of {text:?} has no value"))?;
            let wrong = || format!("{name}={value} of {text:?} makes no sense: a fault is one of {GRAMMAR}");
            fault = match (name, fault.kind.clone()) {
                ("towards", _) => fault.towards(direction(value).ok_or_else(wrong)?),
                ("probability", _) => fault.with_probability(share(value).ok_or_else(wrong)?),
                ("seed", _) => fault.seeded(value.parse().map_err(|_| wrong())?),
                ("after", _) => fault.after_bytes(value.parse().map_err(|_| wrong())?),
                ("jitter", Kind::Latency { .. }) => fault.jitter(duration_flag(value).map_err(|_| wrong())?),
                ("certificate", Kind::ManInTheMiddle { .. }) => {
                    certificate = Some(value.to_owned());
                    fault
                }
                ("key", Kind::ManInTheMiddle { .. }) => {
                    key = Some(value.to_owned());
                    fault
                }
                _ => return Err(wrong()),
            };
        }
        match (certificate, key) {
            (None, None) => Ok(fault),
            (Some(certificate), Some(key)) => Ok(fault.presenting(certificate, key)),
            _ => Err(format!("{text:?} needs a certificate and its key, or neither")),
        }
    }
}

fn kind(name: &str, value: Option<&str>) -> Option<Fault> {
    let positive = |text: &str| text.parse::<u64>().ok().filter(|number| *number > 0);
    Some(match (name, value) {
        ("latency", Some(delay)) => Fault::latency(duration_flag(delay).ok()?),
        ("bandwidth", Some(rate)) => Fault::bandwidth(positive(rate)?),
        ("blackhole", None) => Fault::blackhole(),
        ("reset", None) => Fault::reset(),
        ("half-open", None) => Fault::half_open(),
        ("slice", Some(bytes)) => Fault::slice(usize::try_from(positive(bytes)?).ok()?),
        ("corrupt", None) => Fault::corrupt(),
        ("corrupt", Some(bytes)) => Fault::corrupt().one_in(positive(bytes)?),
        ("man-in-the-middle", None) => Fault::man_in_the_middle(),
        _ => return None,
    })
}

fn direction(word: &str) -> Option<Direction> {
    match word {
        "client" => Some(Direction::Client),
        "server" => Some(Direction::Server),
        _ => None,
    }
}

fn share(text: &str) -> Option<f64> {
    text.parse().ok().filter(|share| (0.0..=1.0).contains(share))
}

impl From<Fault> for String {
    fn from(fault: Fault) -> Self {
        fault.to_string()
    }
}

impl TryFrom<String> for Fault {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_reads_back_from_its_words() {
        let millis = Duration::from_millis;
        for fault in [
            Fault::latency(millis(200)).jitter(millis(50)).towards(Direction::Client),
            Fault::bandwidth(1_000).with_probability(0.25).seeded(7),
            Fault::blackhole().towards(Direction::Server),
            Fault::reset().after_bytes(4_096),
            Fault::half_open(),
            Fault::slice(1),
            Fault::corrupt().one_in(64),
            Fault::man_in_the_middle().presenting("/c.crt", "/c.key"),
        ] {
            assert_eq!(fault.to_string().parse(), Ok(fault));
        }
        assert_eq!("latency=1.5s".parse(), Ok(Fault::latency(millis(1_500))));
    }

    #[test]
    fn what_is_no_fault_is_told_with_what_is_one() {
        for text in ["", "fire", "latency", "latency=fast", "bandwidth=0", "reset,jitter=1s", "reset,probability=2"] {
            assert!(text.parse::<Fault>().unwrap_err().contains("bandwidth=BYTES_PER_SECOND"), "{text}");
        }
        assert!("man-in-the-middle,key=k".parse::<Fault>().unwrap_err().contains("needs a certificate"));
    }
}
