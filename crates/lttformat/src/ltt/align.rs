//! Padding between and within events.

use super::{Header, Version};

/// How a type's size limits its alignment.
///
/// The two differ on 32-bit machines only, where eight-byte types are aligned to four bytes by one and to eight by the
/// other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AlignRule {
    /// A type is aligned to its size, but no more than the alignment that the header or the marker declares.
    Capped = 0,
    /// A type is aligned to its size (2.5; intended in 2.4).
    Natural = 1,
}

impl AlignRule {
    /// The rules a trace of this format may follow, the likelier first.
    ///
    /// Two only for aligned 2.4 on 32 bits: that version announced natural alignment, but its first viewer still capped. There
    /// the one that decodes a sub-buffer to its exact end is right.
    pub(super) fn candidates(header: &Header) -> &'static [AlignRule] {
        match header.version {
            Version::V2_4 if header.arch_size == 4 && header.alignment != 0 => {
                &[AlignRule::Natural, AlignRule::Capped]
            }
            Version::V2_4 | Version::V2_5 => &[AlignRule::Natural],
            _ => &[AlignRule::Capped],
        }
    }

    /// The boundary on which a type of `size` bytes lies where `alignment` is declared; 1 when nothing is aligned.
    #[inline]
    pub(super) fn boundary(self, size: u8, alignment: u8) -> u8 {
        match self {
            _ if alignment == 0 => 1,
            AlignRule::Capped => size.min(alignment),
            AlignRule::Natural => size,
        }
    }

    /// Bytes to skip at `offset` before a type of `size` bytes. Sizes and alignments are powers of two.
    #[inline]
    pub(super) fn pad(self, offset: usize, size: u8, alignment: u8) -> usize {
        to_boundary(offset, self.boundary(size, alignment))
    }
}

/// Bytes from `offset` to the next multiple of `boundary`, a power of two.
#[inline]
pub(super) fn to_boundary(offset: usize, boundary: u8) -> usize {
    offset.wrapping_neg() & usize::from(boundary.wrapping_sub(1))
}

#[cfg(test)]
mod tests {
    use super::AlignRule::{Capped, Natural};

    #[test]
    fn pads_up_to_the_type_or_the_declared_alignment() {
        assert_eq!(Capped.pad(83, 4, 8), 1);
        assert_eq!(Capped.pad(90, 8, 8), 6);
        assert_eq!(Capped.pad(90, 8, 4), 2);
        assert_eq!(Natural.pad(90, 8, 4), 6);
        assert_eq!(Capped.pad(96, 8, 8), 0);
        assert_eq!(Capped.pad(91, 1, 8), 0);
    }

    #[test]
    fn without_alignment_there_is_no_padding_at_all() {
        for rule in [Capped, Natural] {
            assert_eq!(rule.pad(83, 8, 0), 0);
        }
    }
}
