//! Byte order of the traced machine, and bounds-checked loads and stores in it.

/// Byte order of the traced machine; the header's magic number tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endian {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

macro_rules! load {
    ($($name:ident: $int:ty;)*) => {$(
        #[inline]
        pub(crate) fn $name(self, bytes: &[u8], offset: usize) -> Option<$int> {
            let raw = *bytes.get(offset..)?.first_chunk()?;
            Some(match self {
                Endian::Little => <$int>::from_le_bytes(raw),
                Endian::Big => <$int>::from_be_bytes(raw),
            })
        }
    )*};
}

macro_rules! store {
    ($($name:ident: $int:ty;)*) => {$(
        /// Does nothing when the value would not lie wholly within `bytes`.
        pub(crate) fn $name(self, bytes: &mut [u8], offset: usize, value: $int) {
            let raw = match self {
                Endian::Little => value.to_le_bytes(),
                Endian::Big => value.to_be_bytes(),
            };
            if let Some(place) = bytes.get_mut(offset..).and_then(|rest| rest.first_chunk_mut()) {
                *place = raw;
            }
        }
    )*};
}

impl Endian {
    load! { u16: u16; u32: u32; u64: u64; }
    store! { put_u16: u16; put_u32: u32; put_u64: u64; }
}

#[cfg(test)]
mod tests {
    use super::Endian::{Big, Little};

    #[test]
    fn loads_and_stores_in_both_orders_and_never_beyond_the_end() {
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8, 9];
        assert_eq!(Little.u16(&bytes, 7), Some(0x0908));
        assert_eq!(Big.u16(&bytes, 7), Some(0x0809));
        assert_eq!(Little.u32(&bytes, 1), Some(0x0504_0302));
        assert_eq!(Big.u64(&bytes, 1), Some(0x0203_0405_0607_0809));
        assert_eq!(Big.u64(&bytes, 2), None);
        assert_eq!(Big.u16(&bytes, usize::MAX), None);

        let mut out = [0; 5];
        Big.put_u32(&mut out, 1, 0x0102_0304);
        Little.put_u32(&mut out, 2, 7);
        assert_eq!(out, [0, 1, 2, 3, 4]);
    }
}
