//! Points of elliptic curves, as far as to say whether they are some. Nothing here is secret, and so nothing takes care of its time.

/// One of NIST's curves: `y² = x³ - 3x + b`, all of it modulo a prime.
#[derive(Debug)]
pub(super) struct Curve {
    /// The curve's object identifier.
    pub(super) identifier: &'static [u8],
    /// How Go calls it.
    pub(super) name: &'static str,
    /// How Go calls what its coordinates are.
    element: &'static str,
    /// Bytes of a coordinate.
    bytes: usize,
    prime: &'static str,
    b: &'static str,
}

/// The curves that Go knows.
pub(super) const CURVES: [Curve; 4] = [
    Curve {
        identifier: b"\x2b\x81\x04\x00\x21",
        name: "P224",
        element: "P224Element",
        bytes: 28,
        prime: "ffffffffffffffffffffffffffffffff000000000000000000000001",
        b: "b4050a850c04b3abf54132565044b0b7d7bfd8ba270b39432355ffb4",
    },
    Curve {
        identifier: b"\x2a\x86\x48\xce\x3d\x03\x01\x07",
        name: "P256",
        element: "P256 element",
        bytes: 32,
        prime: "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff",
        b: "5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b",
    },
    Curve {
        identifier: b"\x2b\x81\x04\x00\x22",
        name: "P384",
        element: "P384Element",
        bytes: 48,
        prime: "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff",
        b: "b3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aef",
    },
    Curve {
        identifier: b"\x2b\x81\x04\x00\x23",
        name: "P521",
        element: "P521Element",
        bytes: 66,
        prime: "01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        b: "0051953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00",
    },
];

/// Most 64-bit digits of a number: more than the longest prime has bits, by enough for a sum of two.
const DIGITS: usize = 9;

/// A number, its least digit first.
type Number = [u64; DIGITS];

impl Curve {
    /// Insists that bytes are a point of the curve: both of its coordinates, behind the mark that says so.
    pub(super) fn demand(&self, point: &[u8]) -> Result<(), String> {
        let Some((4, coordinates)) = point.split_first() else {
            return Err("ecdsa: invalid uncompressed public key".to_owned());
        };
        if coordinates.len() != 2 * self.bytes {
            return Err("invalid point encoding length".to_owned());
        }
        let (x, y) = coordinates.split_at(self.bytes);
        let (x, y, prime, b) = (of_bytes(x), of_bytes(y), of_text(self.prime), of_text(self.b));
        if !is_less(&x, &prime) || !is_less(&y, &prime) {
            return Err(format!("invalid {} encoding", self.element));
        }
        let plus = |a: &Number, b: &Number| sum(a, b, &prime);
        let times = |a: &Number, b: &Number| product(a, b, &prime);
        let left = plus(&times(&y, &y), &plus(&x, &plus(&x, &x)));
        let right = plus(&times(&times(&x, &x), &x), &b);
        if left == right { Ok(()) } else { Err(format!("{} point not on curve", self.name)) }
    }
}

/// A number of no more bytes than it has room for.
fn of_bytes(bytes: &[u8]) -> Number {
    let mut number = [0; DIGITS];
    for (at, byte) in bytes.iter().rev().enumerate() {
        number[at / 8] |= u64::from(*byte) << (at % 8 * 8);
    }
    number
}

/// A number in hexadecimal digits.
fn of_text(text: &str) -> Number {
    let mut number = [0; DIGITS];
    for (at, digit) in text.bytes().rev().enumerate() {
        let digit = char::from(digit).to_digit(16).unwrap_or_default();
        number[at / 16] |= u64::from(digit) << (at % 16 * 4);
    }
    number
}

fn is_less(a: &Number, b: &Number) -> bool {
    a.iter().rev().lt(b.iter().rev())
}

/// The sum of two numbers that are both less than the prime.
fn sum(a: &Number, b: &Number, prime: &Number) -> Number {
    let (mut sum, mut carry) = ([0; DIGITS], false);
    for at in 0..DIGITS {
        let (digit, over) = a[at].overflowing_add(b[at]);
        let (digit, over_by_carry) = digit.overflowing_add(u64::from(carry));
        (sum[at], carry) = (digit, over || over_by_carry);
    }
    if is_less(&sum, prime) {
        return sum;
    }
    let mut borrow = false;
    for at in 0..DIGITS {
        let (digit, under) = sum[at].overflowing_sub(prime[at]);
        let (digit, under_by_borrow) = digit.overflowing_sub(u64::from(borrow));
        (sum[at], borrow) = (digit, under || under_by_borrow);
    }
    sum
}

/// The product of two numbers that are both less than the prime, bit by bit.
fn product(a: &Number, b: &Number, prime: &Number) -> Number {
    let mut product = [0; DIGITS];
    for digit in b.iter().rev() {
        for bit in (0..64).rev() {
            product = sum(&product, &product, prime);
            if digit >> bit & 1 == 1 {
                product = sum(&product, a, prime);
            }
        }
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    const POINTS: [&str; 4] = [
        "BIecu/eLf772uAueUbzkAIwfOZPiJEUhNbv7yOjiAzW6u8NjzRxPm1nmGNQzmXFEWKjPmZ0x+hzO",
        "BD9LDR1+3exUuvwerBYHuMsWm7tBhFsG0dzCYrANwOumdwnb5jXp0TMFs2p8iydIiworUyehr+Fuo+eTBmaNtm4=",
        "BNMvni4NypX3t6mqGlOb7/yZJSVCNdlm4an+fk557MqOPbfh5/sMXYzjC15Z8FInF7FokdK1HxTdpdzUl9FbP42e4/xh7K52MN9pPNk/KU2ODn6pBOtKT7JYdmUc+zJaXQ==",
        "BAFiv4EF14IMonV6yMIG6ulbUvWuOJZAnGu4LcZa/e09o6YVtKjXBzVIHXVmEBcX2m8K9GZH7cluP+/y2DO6ca9R2gAb9p+Ge8BLQA2n6G1aX4FRoPLH4BNRqe1kCRXQ/V8yRq4+3zyHBmPe58tS4xmYPLIkbEofaUwtHxlAjdsmgSJMyQ==",
    ];

    #[test]
    fn a_point_that_is_none_is_told_by_what_it_lacks() {
        for (curve, point) in CURVES.iter().zip(POINTS) {
            let point = STANDARD.decode(point).unwrap();
            assert_eq!(curve.demand(&point), Ok(()), "{curve:?}");
            for at in [2, curve.bytes, curve.bytes + 2, 2 * curve.bytes] {
                let mut other = point.clone();
                other[at] ^= 1;
                assert_eq!(curve.demand(&other), Err(format!("{} point not on curve", curve.name)), "{at}");
            }
            let zero = [&[4][..], &vec![0; 2 * curve.bytes]].concat();
            assert_eq!(curve.demand(&zero), Err(format!("{} point not on curve", curve.name)));
            let beyond = [&[4][..], &vec![0xff; 2 * curve.bytes]].concat();
            assert_eq!(curve.demand(&beyond), Err(format!("invalid {} encoding", curve.element)));
            assert_eq!(curve.demand(&point[..9]), Err("invalid point encoding length".to_owned()));
        }
    }
}
