//! Input of several parts.

/// The longest file that [`Input::pieces`] makes.
const FILE_MAX: usize = 1 << 20;

/// Numbers and parts from the front of some bytes; what is no longer there is zero or empty, so that any bytes are an input.
/// Numbers are little endian.
#[derive(Clone, Debug)]
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// All of the bytes.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Input<'a> {
        Input(bytes)
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// 8 bits.
    pub fn u8(&mut self) -> u8 {
        self.array::<1>().map_or(0, |[byte]| byte)
    }

    /// 16 bits.
    pub fn u16(&mut self) -> u16 {
        self.array().map_or(0, u16::from_le_bytes)
    }

    /// 32 bits.
    pub fn u32(&mut self) -> u32 {
        self.array().map_or(0, u32::from_le_bytes)
    }

    /// 64 bits.
    pub fn u64(&mut self) -> u64 {
        self.array().map_or(0, u64::from_le_bytes)
    }

    /// A length of 16 bits, and as many bytes.
    pub fn part(&mut self) -> &'a [u8] {
        let len = usize::from(self.u16());
        let (part, rest) = self.0.split_at_checked(len).unwrap_or((self.0, &[]));
        self.0 = rest;
        part
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// All that is left as a file of zeros with pieces in it: each is a 32-bit offset and a [part](Input::part). So a file that
    /// is made of blocks of 4 KiB is a small input, all of which matters.
    pub fn pieces(&mut self) -> Vec<u8> {
        let mut file = Vec::new();
        while !self.is_empty() {
            let start = self.u32() as usize % FILE_MAX;
            let piece = self.part();
            let end = (start + piece.len()).min(FILE_MAX);
            file.resize(end.max(file.len()), 0);
            for (to, from) in file.iter_mut().skip(start).zip(piece) {
                *to = *from;
            }
        }
        file
    }

    fn array<const LEN: usize>(&mut self) -> Option<[u8; LEN]> {
        let (array, rest) =
            self.0.split_first_chunk::<LEN>().map_or((None, &[][..]), |(a, rest)| (Some(*a), rest));
        self.0 = rest;
        array
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_zero() {
        let mut input = Input::new(&[1, 2, 0, 7, 8, 9]);
        assert_eq!((input.u8(), input.part(), input.u32(), input.u64()), (1, &[7, 8][..], 0, 0));
        assert_eq!((input.is_empty(), input.part(), input.rest()), (true, &[][..], &[][..]));
    }

    #[test]
    fn pieces_lie_at_their_offsets() {
        let bytes = [4, 0, 0, 0, 2, 0, 7, 8, 1, 0, 0, 0, 1, 0, 9];
        assert_eq!(Input::new(&bytes).pieces(), [0, 9, 0, 0, 7, 8]);
        assert_eq!(Input::new(&[0xff; 9]).pieces().len(), FILE_MAX);
    }
}
