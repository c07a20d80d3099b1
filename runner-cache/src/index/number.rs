//! Numbers of any size in few bytes.

use std::io::{self, Read};

use super::wrong;

/// Appends `number`.
pub(crate) fn put(output: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        output.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    output.push(number as u8);
}

/// Reads a number.
pub(super) fn get(input: &mut impl Read) -> io::Result<u64> {
    let (mut number, mut shift) = (0_u64, 0);
    loop {
        let mut byte = [0];
        input.read_exact(&mut byte)?;
        let part = u64::from(byte[0] & 0x7f);
        if shift > 63 || (shift == 63 && part > 1) {
            return Err(wrong("a number that is too large"));
        }
        number |= part << shift;
        if byte[0] < 0x80 {
            return Ok(number);
        }
        shift += 7;
    }
}

/// Reads a number that is at most `most`.
pub(super) fn get_up_to(input: &mut impl Read, most: u64) -> io::Result<u64> {
    let number = get(input)?;
    if number <= most { Ok(number) } else { Err(wrong("a number that cannot be")) }
}

/// Reads a number that fits.
pub(super) fn get_small(input: &mut impl Read) -> io::Result<u32> {
    u32::try_from(get(input)?).map_err(|_| wrong("a number that is too large"))
}

/// A number with a sign as one without.
pub(super) fn folded(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

/// The other way round.
pub(super) fn unfolded(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}
