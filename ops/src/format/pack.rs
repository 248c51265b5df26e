//! Codes of any width packed into bytes, least significant bit first: bit i of the stream is bit i mod 8 of byte
//! ⌊i / 8⌋, and a code's lowest bit comes first. Knows nothing of the numbers that codes stand for.

/// Returns the bytes that `count` codes of `bits` bits take, the last byte padded.
#[must_use]
pub fn packed_bytes(count: usize, bits: u32) -> u64 {
    (count as u64 * u64::from(bits)).div_ceil(8)
}

/// Packs codes of `bits` bits, 1 to 32, each below 2^`bits`; the padding is zero.
#[must_use]
pub fn pack(codes: impl IntoIterator<Item = u32>, bits: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (mut held, mut filled) = (0_u64, 0);
    for code in codes {
        held |= u64::from(code) << filled;
        filled += bits;
        while filled >= 8 {
            bytes.push(held as u8);
            held >>= 8;
            filled -= 8;
        }
    }
    if filled > 0 {
        bytes.push(held as u8);
    }
    bytes
}

/// Returns the first `count` codes of `bits` bits, 1 to 32; fewer if `bytes` is too short.
#[must_use]
pub fn unpack(bytes: &[u8], bits: u32, count: usize) -> Vec<u32> {
    let mut codes = Vec::with_capacity(count);
    let (mut held, mut filled) = (0_u64, 0);
    for &byte in bytes {
        held |= u64::from(byte) << filled;
        filled += 8;
        while filled >= bits && codes.len() < count {
            codes.push((held & ((1 << bits) - 1)) as u32);
            held >>= bits;
            filled -= bits;
        }
    }
    codes
}

/// Packs codes below 3 five to a byte, the first as the lowest base-3 digit; missing codes are 0.
#[must_use]
pub fn pack_ternary(codes: &[u32]) -> Vec<u8> {
    codes.chunks(5).map(|five| five.iter().rev().fold(0, |byte, code| 3 * byte + *code as u8)).collect()
}

/// Returns the first `count` codes that were packed five to a byte; fewer if `bytes` is too short.
#[must_use]
pub fn unpack_ternary(bytes: &[u8], count: usize) -> Vec<u32> {
    let digits = |byte: &u8| [1, 3, 9, 27, 81].map(|power| u32::from(byte / power % 3));
    bytes.iter().flat_map(digits).take(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Written out by hand: 1, 2, 3, 4 in three bits are 001, 010, 011, 100, from the right 100'011'010'001.
    #[test]
    fn codes_lie_lowest_bit_first() {
        assert_eq!(pack([1, 2, 3, 4], 3), [0b1101_0001, 0b1000]);
        assert_eq!(pack([0xdead_beef], 32), [0xef, 0xbe, 0xad, 0xde]);
        assert_eq!(unpack(&[0b1101_0001, 0b1000], 3, 4), [1, 2, 3, 4]);
        assert_eq!(unpack(&[0b1101_0001], 3, 4), [1, 2]);
    }

    /// By hand: 2 + 1·3 + 0·9 + 2·27 + 2·81 = 221, then 1.
    #[test]
    fn ternary_codes_lie_lowest_digit_first() {
        assert_eq!(pack_ternary(&[2, 1, 0, 2, 2, 1]), [221, 1]);
        assert_eq!(unpack_ternary(&[221, 1], 6), [2, 1, 0, 2, 2, 1]);
        assert_eq!(unpack_ternary(&[221], 6), [2, 1, 0, 2, 2]);
        for byte in 0..243 {
            assert_eq!(pack_ternary(&unpack_ternary(&[byte], 5)), [byte]);
        }
    }

    proptest! {
        #[test]
        fn unpacking_gives_what_was_packed(bits in 1_u32..=32, numbers: Vec<u32>) {
            let codes: Vec<u32> = numbers.iter().map(|number| number >> (32 - bits)).collect();
            let bytes = pack(codes.iter().copied(), bits);
            prop_assert_eq!(bytes.len() as u64, packed_bytes(codes.len(), bits));
            prop_assert_eq!(unpack(&bytes, bits, codes.len()), codes);
        }
    }
}
