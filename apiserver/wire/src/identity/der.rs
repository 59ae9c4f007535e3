//! DER, element by element, read as strictly as Go's `encoding/asn1` reads it, and told of in its words.

use super::der_time;

/// What an element is and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    class: u8,
    tag: u32,
    length: usize,
    is_compound: bool,
}

/// What is expected at a place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    class: u8,
    tag: u32,
    is_compound: bool,
    /// The name of Go's type, as its errors have it.
    name: &'static str,
}

impl Wanted {
    const fn plain(tag: u32, name: &'static str) -> Self {
        Self { class: 0, tag, is_compound: false, name }
    }

    pub(super) const INTEGER: Self = Self::plain(2, "int");
    pub(super) const BIT_STRING: Self = Self::plain(3, "BitString");
    pub(super) const OCTET_STRING: Self = Self::plain(4, "");
    pub(super) const OBJECT_IDENTIFIER: Self = Self::plain(6, "ObjectIdentifier");

    /// A struct of Go's.
    pub(super) const fn sequence(name: &'static str) -> Self {
        Self { class: 0, tag: 16, is_compound: true, name }
    }

    /// A set.
    pub(super) const SET: Self = Self { class: 0, tag: 17, is_compound: true, name: "" };

    /// A list with the tag 0 of its context.
    pub(super) const TAGGED_LIST: Self = Self { class: 2, tag: 0, is_compound: true, name: "" };
}

/// An element: what it holds, and all of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element<'a> {
    pub(super) content: &'a [u8],
    pub(super) whole: &'a [u8],
    /// Its first byte.
    pub(super) tag: u8,
}

/// Reads the elements of one that holds others.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

fn syntax<T>(why: &str) -> Result<T, String> {
    Err(format!("asn1: syntax error: {why}"))
}

fn structure<T>(why: &str) -> Result<T, String> {
    Err(format!("asn1: structure error: {why}"))
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// The next element, which has to be this.
    pub(super) fn next(&mut self, wanted: Wanted) -> Result<Element<'a>, String> {
        self.read(Some(wanted))
    }

    /// The next element, whatever it is.
    pub(super) fn any(&mut self) -> Result<Element<'a>, String> {
        self.read(None)
    }

    fn read(&mut self, wanted: Option<Wanted>) -> Result<Element<'a>, String> {
        if self.is_at_end() {
            return syntax("sequence truncated");
        }
        let start = self.at;
        let (head, content) = self.head(start)?;
        if let Some(Wanted { class, tag, is_compound, name }) = wanted
            && (head.class, head.tag, head.is_compound) != (class, tag, is_compound)
        {
            let Head { class, tag: found, length, is_compound } = head;
            return structure(&format!(
                "tags don't match ({tag} vs {{class:{class} tag:{found} length:{length} isCompound:{is_compound}}}) {NO_PARAMETERS} {name} @{content}"
            ));
        }
        let Some(held) = self.bytes.get(content..).and_then(|rest| rest.get(..head.length)) else {
            return syntax("data truncated");
        };
        self.at = content + head.length;
        Ok(Element { content: held, whole: &self.bytes[start..self.at], tag: self.bytes[start] })
    }

    /// The head of the element at a place, and where its content begins.
    fn head(&self, start: usize) -> Result<(Head, usize), String> {
        let mut at = start;
        let mut byte = || {
            at += 1;
            self.bytes.get(at - 1).copied()
        };
        let Some(first) = byte() else { return syntax("truncated tag or length") };
        let mut tag = u32::from(first & 0x1f);
        if tag == 0x1f {
            tag = 0;
            loop {
                let Some(next) = byte() else { return syntax("truncated base 128 integer") };
                if tag == 0 && next == 0x80 {
                    return syntax("integer is not minimally encoded");
                }
                if tag >> 24 != 0 {
                    return structure("base 128 integer too large");
                }
                tag = tag << 7 | u32::from(next & 0x7f);
                if next & 0x80 == 0 {
                    break;
                }
            }
            if tag < 0x1f {
                return syntax("non-minimal tag");
            }
        }
        let Some(short) = byte() else { return syntax("truncated tag or length") };
        let mut length = usize::from(short & 0x7f);
        if short & 0x80 != 0 {
            if length == 0 {
                return syntax("indefinite length found (not DER)");
            }
            let count = std::mem::take(&mut length);
            for _ in 0..count {
                let Some(next) = byte() else { return syntax("truncated tag or length") };
                if length >= 1 << 23 {
                    return structure("length too large");
                }
                length = length << 8 | usize::from(next);
                if length == 0 {
                    return structure("superfluous leading zeros in length");
                }
            }
            if length < 0x80 {
                return structure("non-minimal length");
            }
        }
        Ok((Head { class: first >> 6, tag, length, is_compound: first & 0x20 != 0 }, at))
    }

    /// The next element, which has to be a number of no more than 64 bits.
    pub(super) fn integer(&mut self) -> Result<(), String> {
        whole_number(self.next(Wanted::INTEGER)?.content)
    }

    /// The next element, which has to be bits: those of whole bytes, as all keys and signatures are.
    pub(super) fn bits(&mut self) -> Result<&'a [u8], String> {
        match self.next(Wanted::BIT_STRING)?.content {
            [] => syntax("zero length BIT STRING"),
            [padding, bits @ ..] => {
                let spare = bits.last().map_or(0, |last| last.trailing_zeros());
                let fits = *padding <= 7 && u32::from(*padding) <= spare;
                if fits { Ok(bits) } else { syntax("invalid padding bits in BIT STRING") }
            }
        }
    }

    /// The next element, which has to be an object's identifier: its bytes.
    pub(super) fn identifier(&mut self) -> Result<&'a [u8], String> {
        match self.next(Wanted::OBJECT_IDENTIFIER)?.content {
            [] => syntax("zero length OBJECT IDENTIFIER"),
            identifier => numbers(identifier).map(|()| identifier),
        }
    }

    /// The next element where it is a truth, which is read then.
    pub(super) fn optional_truth(&mut self) -> Result<(), String> {
        const BOOLEAN: u8 = 1;
        if self.bytes.get(self.at) != Some(&BOOLEAN) {
            return Ok(());
        }
        self.any().and_then(|element| truth(element.content))
    }

    /// The elements that remain, all of which have to be of one kind; each is read for itself once all were looked at.
    pub(super) fn all(&self, wanted: Wanted) -> Result<Vec<&'a [u8]>, String> {
        let (mut found, mut at) = (Vec::new(), self.at);
        while at < self.bytes.len() {
            let (head, content) = self.head(at)?;
            if (head.class, head.tag, head.is_compound) != (wanted.class, wanted.tag, wanted.is_compound) {
                return structure("sequence tag mismatch");
            }
            let Some(held) = self.bytes.get(content..).and_then(|rest| rest.get(..head.length)) else {
                return syntax("truncated sequence");
            };
            found.push(held);
            at = content + head.length;
        }
        Ok(found)
    }

    /// The next element, whatever it is, which has to hold what its kind holds.
    pub(super) fn value(&mut self) -> Result<(), String> {
        let Element { content, tag, .. } = self.any()?;
        let letters = |fits: fn(&u8) -> bool, kind: &str| {
            if content.iter().all(fits) { Ok(()) } else { syntax(&format!("{kind} contains invalid character")) }
        };
        match tag {
            1 => truth(content),
            2 => whole_number(content),
            6 if content.is_empty() => syntax("zero length OBJECT IDENTIFIER"),
            6 => numbers(content),
            12 if std::str::from_utf8(content).is_err() => Err("asn1: invalid UTF-8 string".to_owned()),
            18 => letters(|byte| byte.is_ascii_digit() || *byte == b' ', "NumericString"),
            19 => letters(|byte| byte.is_ascii_alphanumeric() || b"'()+,-./:=? *&".contains(byte), "PrintableString"),
            22 => letters(u8::is_ascii, "IA5String"),
            23 => der_time::short(content),
            24 => der_time::long(content),
            30 if content.len() % 2 != 0 => Err("invalid BMPString".to_owned()),
            _ => Ok(()),
        }
    }
}

/// Whether bytes are a number of no more than 64 bits.
fn whole_number(bytes: &[u8]) -> Result<(), String> {
    match bytes {
        [] => structure("empty integer"),
        [0, second, ..] if second & 0x80 == 0 => structure("integer not minimally-encoded"),
        [0xff, second, ..] if second & 0x80 != 0 => structure("integer not minimally-encoded"),
        digits if digits.len() > 8 => structure("integer too large"),
        _ => Ok(()),
    }
}

fn truth(content: &[u8]) -> Result<(), String> {
    if matches!(content, [0 | 0xff]) { Ok(()) } else { syntax("invalid boolean") }
}

/// Whether bytes are numbers of seven bits a byte, none beyond 31 bits.
fn numbers(bytes: &[u8]) -> Result<(), String> {
    let mut rest = bytes;
    while let [first, ..] = rest {
        let length = rest.iter().position(|byte| byte & 0x80 == 0);
        if *first == 0x80 {
            return syntax("integer is not minimally encoded");
        }
        let digits = length.map_or(rest, |last| &rest[..=last]);
        let number = digits.iter().take(5).fold(0_u64, |number, byte| number << 7 | u64::from(byte & 0x7f));
        if digits.len() > 5 || (length.is_some() && number > 0x7fff_ffff) {
            return structure("base 128 integer too large");
        }
        let Some(last) = length else { return syntax("truncated base 128 integer") };
        rest = &rest[last + 1..];
    }
    Ok(())
}

/// How Go prints what it was told of a field, where it was told nothing.
const NO_PARAMETERS: &str = "{optional:false explicit:false application:false private:false defaultValue:<nil> tag:<nil> stringType:0 timeType:0 set:false omitEmpty:false}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_der_is_told_as_go_tells_it() {
        let told = |bytes: &[u8]| Reader::new(bytes).next(Wanted::sequence("certificateRequest")).unwrap_err();
        for (bytes, expected) in [
            (&b""[..], "asn1: syntax error: sequence truncated"),
            (b"\x30", "asn1: syntax error: truncated tag or length"),
            (b"\x30\x80", "asn1: syntax error: indefinite length found (not DER)"),
            (b"\x30\x81\x01", "asn1: structure error: non-minimal length"),
            (b"\x30\x82\x00\x80", "asn1: structure error: superfluous leading zeros in length"),
            (b"\x30\x05\x01", "asn1: syntax error: data truncated"),
        ] {
            assert_eq!(told(bytes), expected);
        }
        assert_eq!(
            told(b"\x02\x03abc"),
            "asn1: structure error: tags don't match (16 vs {class:0 tag:2 length:3 isCompound:false}) {optional:false explicit:false application:false private:false defaultValue:<nil> tag:<nil> stringType:0 timeType:0 set:false omitEmpty:false} certificateRequest @2"
        );
    }

    #[test]
    fn elements_follow_each_other() {
        let mut reader = Reader::new(b"\x02\x01\x05\x06\x01\x2a\x03\x02\x00\x07");
        assert_eq!(
            (reader.integer(), reader.identifier(), reader.bits()),
            (Ok(()), Ok(&b"\x2a"[..]), Ok(&b"\x07"[..]))
        );
        assert!(reader.is_at_end());
    }
}
