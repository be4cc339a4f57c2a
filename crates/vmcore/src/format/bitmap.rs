//! The bitmap of dumped pages, and the rank of a page among them.
//!
//! Page descriptors are stored for dumped pages only, so that the index of a page's descriptor is the number of
//! bits set before its own: its rank. The bitmap stays in the file; in memory are counts for each stride of it, and for
//! the quarters within. Up to a terabyte of 4 KiB pages a stride is 512 bits (a line of the processor's cache), a quarter one
//! word to look at: Vigna's *rank9*, with words of 128 bits. Beyond, strides grow instead of the counts, which never take more than
//! 8 MiB.

use crate::bytes::Fault;
use crate::content::Content;
use std::ops::Range;

/// Bytes of bitmap that are looked at in one step.
const WORD: usize = 16;
/// Bits of a word.
const WORD_BITS: u64 = 8 * WORD as u64;
/// Bytes of bitmap for one entry of counts, at least: a word for each quarter.
const STRIDE: usize = 4 * WORD;
/// Entries of counts; a bitmap that needs more has longer strides.
const STRIDES_MAX: u64 = 1 << 19;
/// The largest [`Ranks::scale`]: three quarters of a stride are counted in 21 bits.
const SCALE_MAX: u32 = 12;
/// Bytes that are read at once when all of the bitmap is read; whole words.
const CHUNK: u64 = 64 << 10;
/// Ranges that are told apart before neighbours are joined.
const RANGES_MAX: usize = 1 << 20;

/// One bitmap of a file, bit `pfn & 7` of byte `pfn >> 3` for each page frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bitmap {
    /// File offset.
    pub(crate) offset: u64,
    /// Valid bits.
    pub(crate) bits: u64,
}

impl Bitmap {
    /// Whether the bit is set; bits beyond the end are not.
    pub(crate) fn get(&self, content: &Content, bit: u64) -> Result<bool, Fault> {
        if bit >= self.bits {
            return Ok(false);
        }
        let [byte] = content.array(self.offset.saturating_add(bit / 8))?;
        Ok(byte >> (bit % 8) & 1 != 0)
    }

    /// Calls `visit` with the number of the first bit and the bytes of each chunk, in order.
    fn scan(&self, content: &Content, mut visit: impl FnMut(u64, &[u8])) -> Result<(), Fault> {
        let mut buf = Vec::new();
        let len = self.bits.div_ceil(8);
        let mut position = 0;
        while position < len {
            let piece = (len - position).min(CHUNK);
            buf.resize(usize::try_from(piece).unwrap_or_default(), 0);
            content.read(self.offset.saturating_add(position), &mut buf)?;
            // Bits of the last byte beyond the end do not count.
            let valid = self.bits - position * 8;
            if let (Some(last), true) = (buf.last_mut(), valid < piece * 8) {
                *last &= (1 << (valid % 8)) - 1;
            }
            visit(position * 8, &buf);
            position += piece;
        }
        Ok(())
    }

    /// The runs of set bits within `range`: sorted, disjoint; over a million of them, small gaps are included.
    pub(crate) fn runs(&self, content: &Content, range: &Range<u64>) -> Result<Vec<Range<u64>>, Fault> {
        let mut runs: Vec<Range<u64>> = Vec::new();
        let mut gap = 0;
        let mut push = |start: u64, end: u64| {
            let (start, end) = (start.max(range.start), end.min(range.end));
            if start >= end {
                return;
            }
            match runs.last_mut() {
                Some(last) if start - last.end <= gap => last.end = end,
                _ => runs.push(start..end),
            }
            while runs.len() >= RANGES_MAX {
                gap = gap * 2 + 1;
                runs.dedup_by(|next, last| {
                    let near = next.start - last.end <= gap;
                    if near {
                        last.end = next.end;
                    }
                    near
                });
            }
        };
        self.scan(content, |first, bytes| {
            for (bit, byte) in (first..).step_by(8).zip(bytes) {
                match byte {
                    0 => {}
                    0xff => push(bit, bit + 8),
                    byte => {
                        for shift in (0..8).filter(|shift| byte >> shift & 1 != 0) {
                            push(bit + shift, bit + shift + 1);
                        }
                    }
                }
            }
        })?;
        Ok(runs)
    }
}

/// Set bits before a stride, and before each quarter of it.
#[derive(Clone, Copy, Debug)]
struct Counts {
    stride: u64,
    /// 21 bits for each quarter but the first, before which are none.
    quarters: u64,
}

impl Counts {
    /// Set bits before a quarter of the stride, by its number.
    fn before(self, quarter: u64) -> u64 {
        self.stride + (self.quarters >> Counts::shift(quarter) & 0x1f_ffff)
    }

    /// Where the count of a quarter is; that of the first is the one bit that is left, which is never set.
    fn shift(quarter: u64) -> u64 {
        (quarter + 3) % 4 * 21
    }
}

/// Number of set bits before any bit of a bitmap.
#[derive(Debug)]
pub(crate) struct Ranks {
    bitmap: Bitmap,
    /// Words of a quarter, as a power of two.
    scale: u32,
    strides: Vec<Counts>,
    total: u64,
}

impl Ranks {
    /// Counts.
    ///
    /// Cost: one pass over the bitmap, about 0.1 s for a terabyte of memory; at most 8 MiB.
    pub(crate) fn new(content: &Content, bitmap: Bitmap) -> Result<Ranks, Fault> {
        Ranks::with_strides(content, bitmap, STRIDES_MAX)
    }

    fn with_strides(content: &Content, bitmap: Bitmap, strides_max: u64) -> Result<Ranks, Fault> {
        let strides = bitmap.bits.div_ceil(8 * STRIDE as u64);
        let scale = strides.div_ceil(strides_max).next_power_of_two().trailing_zeros();
        // Bitmaps for an exabyte of memory: no file has them.
        if scale > SCALE_MAX {
            return Err(Fault::End);
        }
        let mut ranks = Ranks { bitmap, scale, strides: Vec::new(), total: 0 };
        bitmap.scan(content, |first, bytes| {
            for (word, number) in bytes.chunks(WORD).zip(first / WORD_BITS..) {
                ranks.push(number, word);
            }
        })?;
        Ok(ranks)
    }

    /// Counts the next word, by its number.
    fn push(&mut self, word: u64, bytes: &[u8]) {
        let (quarter, within) = self.place(word);
        if within == 0 {
            let before = self.total;
            match self.strides.last_mut() {
                Some(counts) if quarter % 4 != 0 => {
                    counts.quarters |= (before - counts.stride) << Counts::shift(quarter % 4)
                }
                _ => self.strides.push(Counts { stride: before, quarters: 0 }),
            }
        }
        self.total += ones(bytes);
    }

    /// The number of a word's quarter, and that of the word within it.
    fn place(&self, word: u64) -> (u64, u64) {
        (word >> self.scale, word & ((1 << self.scale) - 1))
    }

    /// The rank of a bit: the number of set bits before it if it is set itself, else `None`.
    pub(crate) fn rank(&self, content: &Content, bit: u64) -> Result<Option<u64>, Fault> {
        if bit >= self.bitmap.bits {
            return Ok(None);
        }
        let (before, set) = self.look(content, bit)?;
        Ok(set.then_some(before))
    }

    /// Number of set bits before `bit`.
    pub(crate) fn count(&self, content: &Content, bit: u64) -> Result<u64, Fault> {
        if bit < self.bitmap.bits {
            self.look(content, bit).map(|(before, _)| before)
        } else {
            Ok(self.total)
        }
    }

    /// Number of set bits before a bit that the bitmap has, and the bit itself.
    fn look(&self, content: &Content, bit: u64) -> Result<(u64, bool), Fault> {
        let (word, shift) = (bit / WORD_BITS, bit % WORD_BITS);
        let (quarter, within) = self.place(word);
        let stride = usize::try_from(quarter / 4).map_err(|_| Fault::End)?;
        let mut before = self.strides.get(stride).ok_or(Fault::End)?.before(quarter % 4);
        for word in word - within..word {
            before += u64::from(u128::from_le_bytes(content.array(self.offset_of(word))?).count_ones());
        }
        let offset = self.offset_of(word);
        let bits = match content.array(offset) {
            Ok(bytes) => u128::from_le_bytes(bytes),
            // The file may end with the bitmap, and that within a word.
            Err(_) => Ranks::bits_to_the_end(content, offset, shift)?,
        };
        let preceding = bits & ((1 << shift) - 1);
        Ok((before + u64::from(preceding.count_ones()), bits >> shift & 1 != 0))
    }

    fn offset_of(&self, word: u64) -> u64 {
        self.bitmap.offset.saturating_add(word.saturating_mul(WORD as u64))
    }

    /// The last word, as far as the byte with that bit.
    fn bits_to_the_end(content: &Content, offset: u64, shift: u64) -> Result<u128, Fault> {
        let mut word = [0; WORD];
        let len = usize::try_from(shift / 8 + 1).unwrap_or(WORD);
        content.read(offset, word.get_mut(..len).ok_or(Fault::End)?)?;
        Ok(u128::from_le_bytes(word))
    }

    /// Where the bitmap is.
    pub(crate) fn bitmap(&self) -> &Bitmap {
        &self.bitmap
    }
}

fn ones(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(byte.count_ones())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The worked example of the format: bits 1, 2, 4, 5 and 7 are set; before bit 5 are bits 1, 2 and 4.
    #[test]
    fn rank_counts_the_bits_before() {
        let content = Content::from_bytes(vec![0b1011_0110]);
        let ranks = Ranks::new(&content, Bitmap { offset: 0, bits: 8 }).unwrap();
        assert_eq!(ranks.rank(&content, 5), Ok(Some(3)));
        assert_eq!(ranks.rank(&content, 3), Ok(None));
        assert_eq!(ranks.rank(&content, 8), Ok(None));
        assert_eq!(ranks.count(&content, 8), Ok(5));
        assert_eq!(ranks.count(&content, u64::MAX), Ok(5));
        assert_eq!(ranks.count(&content, 0), Ok(0));
    }

    #[test]
    fn an_unreadable_bitmap_is_a_fault() {
        let content = Content::from_bytes(vec![0xff; 100]);
        assert_eq!(Ranks::new(&content, Bitmap { offset: 90, bits: 88 }).unwrap_err(), Fault::End);
    }

    /// All bits set fill the counts of the longest strides to the brim.
    #[test]
    fn counts_of_the_longest_strides_fit() {
        let bits = (4 * WORD_BITS) << SCALE_MAX;
        let content = Content::from_bytes(vec![0xff; usize::try_from(bits / 8).unwrap()]);
        let ranks = Ranks::with_strides(&content, Bitmap { offset: 0, bits }, 1).unwrap();
        assert_eq!((ranks.scale, ranks.strides.len()), (SCALE_MAX, 1));
        for bit in [0, bits / 4 - 1, bits / 4, bits / 2 + 77, bits * 3 / 4, bits - 1] {
            assert_eq!(ranks.rank(&content, bit), Ok(Some(bit)));
        }
        assert_eq!(
            Ranks::with_strides(&content, Bitmap { offset: 0, bits: u64::MAX }, 1).unwrap_err(),
            Fault::End
        );
    }

    #[test]
    fn very_many_runs_are_joined() {
        let content = Content::from_bytes(vec![0x55; 300_000]);
        let bitmap = Bitmap { offset: 0, bits: 2_400_000 };
        let runs = bitmap.runs(&content, &(0..u64::MAX)).unwrap();
        assert!(runs.len() < RANGES_MAX);
        assert_eq!((runs.first().unwrap().start, runs.last().unwrap().end), (0, 2_399_999));
        let runs = bitmap.runs(&content, &(8..12)).unwrap();
        assert_eq!(runs, [8..9, 10..11]);
    }

    proptest! {
        #[test]
        fn ranks_equal_plain_counting(
            bytes in proptest::collection::vec(any::<u8>(), 1..700), pad in 0_u64..8, from in 0_u64..5600, len in 0_u64..5600,
            strides_max in prop_oneof![Just(STRIDES_MAX), 1_u64..12],
        ) {
            let bits = bytes.len() as u64 * 8 - pad;
            let content = Content::from_bytes([&[0xff; 3], &bytes[..]].concat());
            let ranks = Ranks::with_strides(&content, Bitmap { offset: 3, bits }, strides_max).unwrap();
            prop_assert!(ranks.strides.len() as u64 <= strides_max);
            let (mut rank, mut plain) = (0, Vec::new());
            for bit in 0..bits {
                let set = bytes[usize::try_from(bit / 8).unwrap()] >> (bit % 8) & 1 != 0;
                prop_assert_eq!(ranks.rank(&content, bit), Ok(set.then_some(rank)));
                prop_assert_eq!(ranks.count(&content, bit), Ok(rank));
                rank += u64::from(set);
                if set && (from..from + len).contains(&bit) {
                    plain.push(bit);
                }
            }
            prop_assert_eq!(ranks.count(&content, bits), Ok(rank));
            let runs = ranks.bitmap().runs(&content, &(from..from + len)).unwrap();
            prop_assert!(runs.is_sorted_by(|before, after| before.end < after.start));
            prop_assert_eq!(runs.into_iter().flatten().collect::<Vec<_>>(), plain);
        }
    }
}
