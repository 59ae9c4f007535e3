//! MD5 (RFC 1321), SHA-1 and SHA-256 (FIPS 180-4), for checksums of files; nothing that is secret goes through them.

/// Pads a message to whole blocks of 64 bytes, with its length in bits at the end.
fn blocks(message: &[u8], big_endian: bool) -> Vec<[u32; 16]> {
    let mut padded = message.to_vec();
    padded.push(0x80);
    while padded.len() % 64 != 56 {
        padded.push(0);
    }
    let bits = (message.len() as u64).wrapping_mul(8);
    padded.extend_from_slice(&if big_endian { bits.to_be_bytes() } else { bits.to_le_bytes() });
    let word = |bytes: &[u8]| {
        let bytes = [bytes[0], bytes[1], bytes[2], bytes[3]];
        if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    };
    let block = |block: &[u8]| {
        let mut words = [0; 16];
        for (target, bytes) in words.iter_mut().zip(block.chunks_exact(4)) {
            *target = word(bytes);
        }
        words
    };
    padded.chunks_exact(64).map(block).collect()
}

fn hexadecimal(bytes: impl IntoIterator<Item = [u8; 4]>) -> String {
    bytes.into_iter().flatten().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn md5(message: &[u8]) -> String {
    const SHIFTS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];
    // The constants are the sines of 1 to 64, as RFC 1321 defines them.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the definition: the integer part")]
    let sines: Vec<u32> = (1..=64_u32).map(|i| (f64::from(i).sin().abs() * 4_294_967_296.0) as u32).collect();
    let mut state = [0x6745_2301_u32, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    for block in blocks(message, false) {
        let [mut a, mut b, mut c, mut d] = state;
        for i in 0..64 {
            let (mixed, word) = match i / 16 {
                0 => ((b & c) | (!b & d), i),
                1 => ((d & b) | (!d & c), (5 * i + 1) % 16),
                2 => (b ^ c ^ d, (3 * i + 5) % 16),
                _ => (c ^ (b | !d), (7 * i) % 16),
            };
            let sum = a.wrapping_add(mixed).wrapping_add(sines[i]).wrapping_add(block[word]);
            (a, d, c) = (d, c, b);
            b = b.wrapping_add(sum.rotate_left(SHIFTS[i / 16][i % 4]));
        }
        for (total, value) in state.iter_mut().zip([a, b, c, d]) {
            *total = total.wrapping_add(value);
        }
    }
    hexadecimal(state.map(u32::to_le_bytes))
}

pub(super) fn sha1(message: &[u8]) -> String {
    let mut state = [0x6745_2301_u32, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
    for block in blocks(message, true) {
        let mut words = block.to_vec();
        for i in 16..80 {
            words.push((words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16]).rotate_left(1));
        }
        let [mut a, mut b, mut c, mut d, mut e] = state;
        for (i, word) in words.into_iter().enumerate() {
            let (mixed, constant) = match i / 20 {
                0 => ((b & c) | (!b & d), 0x5a82_7999_u32),
                1 => (b ^ c ^ d, 0x6ed9_eba1),
                2 => ((b & c) | (b & d) | (c & d), 0x8f1b_bcdc),
                _ => (b ^ c ^ d, 0xca62_c1d6),
            };
            let next = a.rotate_left(5).wrapping_add(mixed).wrapping_add(e).wrapping_add(constant).wrapping_add(word);
            (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
        }
        for (total, value) in state.iter_mut().zip([a, b, c, d, e]) {
            *total = total.wrapping_add(value);
        }
    }
    hexadecimal(state.map(u32::to_be_bytes))
}

/// The first primes' roots, of which the fractions are SHA-256's constants.
fn fractions(count: usize, root: fn(f64) -> f64) -> Vec<u32> {
    let is_prime = |n: &u32| (2..*n).take_while(|d| d * d <= *n).all(|d| !n.is_multiple_of(d));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the definition: the fraction's bits")]
    let bits = |n: u32| (root(f64::from(n)).fract() * 4_294_967_296.0) as u32;
    (2..).filter(is_prime).take(count).map(bits).collect()
}

pub(crate) fn sha256(message: &[u8]) -> String {
    let constants = fractions(64, f64::cbrt);
    let mut state = fractions(8, f64::sqrt);
    for block in blocks(message, true) {
        let mut words = block.to_vec();
        for i in 16..64 {
            let (a, b) = (words[i - 15], words[i - 2]);
            let low = a.rotate_right(7) ^ a.rotate_right(18) ^ (a >> 3);
            let high = b.rotate_right(17) ^ b.rotate_right(19) ^ (b >> 10);
            words.push(words[i - 16].wrapping_add(low).wrapping_add(words[i - 7]).wrapping_add(high));
        }
        let mut v = state.clone();
        for i in 0..64 {
            let high = v[4].rotate_right(6) ^ v[4].rotate_right(11) ^ v[4].rotate_right(25);
            let choice = (v[4] & v[5]) ^ (!v[4] & v[6]);
            let first = v[7].wrapping_add(high).wrapping_add(choice).wrapping_add(constants[i]).wrapping_add(words[i]);
            let low = v[0].rotate_right(2) ^ v[0].rotate_right(13) ^ v[0].rotate_right(22);
            let majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
            v.rotate_right(1);
            v[4] = v[4].wrapping_add(first);
            v[0] = first.wrapping_add(low).wrapping_add(majority);
        }
        for (total, value) in state.iter_mut().zip(v) {
            *total = total.wrapping_add(value);
        }
    }
    hexadecimal(state.into_iter().map(u32::to_be_bytes))
}

#[cfg(test)]
mod tests {
    use super::{md5, sha1, sha256};

    #[test]
    fn digests_are_those_of_the_standards() {
        assert_eq!(md5(b""), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(md5(b"message digest"), "f96b697d7cb7938d525a2f31aaf161d0");
        assert_eq!(sha1(b"abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let long = vec![b'a'; 1000];
        assert_eq!(sha256(&long), "41edece42d63e8d9bf515a9ba6932e1c20cbc9f5a5d134645adb5db1b9737ea3");
    }
}
