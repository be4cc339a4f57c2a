//! Integers of any size at any bit of a packet.
//!
//! CTF counts bits from the start of the packet. In little-endian fields bit 0 of a byte is its least significant one, in
//! big-endian fields its most significant one.

use crate::ltt::Endian;

/// The integer of `size` bits, 1 to 64, at bit `at`, not sign-extended; `None` if it does not lie wholly within `bytes`.
#[inline]
pub(super) fn read(bytes: &[u8], at: u64, size: u8, endian: Endian) -> Option<u64> {
    let byte = usize::try_from(at >> 3).ok()?;
    if at & 7 == 0 {
        match size {
            8 => return bytes.get(byte).map(|&value| u64::from(value)),
            16 => return endian.u16(bytes, byte).map(u64::from),
            32 => return endian.u32(bytes, byte).map(u64::from),
            64 => return endian.u64(bytes, byte),
            _ => {}
        }
    }
    odd(bytes.get(byte..)?, (at & 7) as u32, u32::from(size), endian)
}

/// The integer of `size` bits after the first `skip` bits, fewer than 8.
fn odd(bytes: &[u8], skip: u32, size: u32, endian: Endian) -> Option<u64> {
    // Id and time of a compact event header lie in one word.
    if skip + size <= 32
        && let Some(word) = endian.u32(bytes, 0)
    {
        let low = match endian {
            Endian::Little => skip,
            Endian::Big => 32 - skip - size,
        };
        return Some(u64::from(word) >> low & ((1 << size) - 1));
    }
    // 9 bytes at most: they fit the wide word.
    let len = (skip + size).div_ceil(8);
    let bytes = bytes.get(..len as usize)?;
    let push = |word: u128, &byte: &u8| word << 8 | u128::from(byte);
    let (word, low) = match endian {
        Endian::Little => (bytes.iter().rev().fold(0, push), skip),
        Endian::Big => (bytes.iter().fold(0, push), 8 * len - skip - size),
    };
    u64::try_from(word >> low & ((1 << size) - 1)).ok()
}

/// The two's complement number in the low `size` bits, 1 to 64.
#[inline]
pub(super) fn sign_extend(value: u64, size: u8) -> i64 {
    let unused = 64_u32.saturating_sub(u32::from(size)).min(63);
    (value << unused).cast_signed() >> unused
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ltt::Endian::{Big, Little};
    use proptest::prelude::*;

    /// Bit by bit, straight from the definition.
    fn slow(bytes: &[u8], at: u64, size: u8, endian: Endian) -> Option<u64> {
        let mut value = 0;
        for bit in 0..u64::from(size) {
            let place = at + bit;
            let byte = u64::from(*bytes.get(usize::try_from(place / 8).unwrap())?);
            match endian {
                Little => value |= (byte >> (place % 8) & 1) << bit,
                Big => value = value << 1 | (byte >> (7 - place % 8) & 1),
            }
        }
        Some(value)
    }

    #[test]
    fn compact_event_header_in_both_orders() {
        // id 5, time 0x5678abc: see the format's worked example.
        let bytes = 0xacf1_5785_u32.to_le_bytes();
        assert_eq!(read(&bytes, 0, 5, Little), Some(5));
        assert_eq!(read(&bytes, 5, 27, Little), Some(0x567_8abc));
        let bytes = (5_u32 << 27 | 0x567_8abc).to_be_bytes();
        assert_eq!(read(&bytes, 0, 5, Big), Some(5));
        assert_eq!(read(&bytes, 5, 27, Big), Some(0x567_8abc));
        assert_eq!(read(&bytes, 6, 27, Big), None);
    }

    #[test]
    fn signs() {
        assert_eq!(sign_extend(0b111, 3), -1);
        assert_eq!(sign_extend(0b011, 3), 3);
        assert_eq!(sign_extend(u64::MAX, 64), -1);
        assert_eq!(sign_extend(1, 1), -1);
    }

    proptest! {
        #[test]
        fn any_field(bytes: [u8; 24], at in 0..200_u64, size in 1..=64_u8, big: bool) {
            let endian = if big { Big } else { Little };
            prop_assert_eq!(read(&bytes, at, size, endian), slow(&bytes, at, size, endian));
        }
    }
}
