//! What the layout of a sub-buffer's events depends on.

use super::align::AlignRule;
use super::{Channel, Endian, Header, Version};

/// How the events of one sub-buffer are laid out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) endian: Endian,
    /// The header's, which holds for events' headers.
    pub(super) alignment: u8,
    pub(super) rule: AlignRule,
    pub(super) form: Form,
}

/// The event headers there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// 2.x: one word with five bits of id and 27 bits of time, extended when that is not enough.
    Short,
    /// 1.0: full time, id, size.
    Full,
    /// 1.0 with heartbeat: 32 bits of time, id, size.
    Heartbeat,
    /// 1.0, compact channel: one word of data, id and time, from the highest bits down.
    Compact(Compact),
}

/// How a compact event's word is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Compact {
    pub(super) tscbits: u8,
    pub(super) data_shift: u8,
    /// Low bits of the clock that are not recorded.
    pub(super) truncated: u8,
}

impl Layout {
    pub(super) fn new(header: &Header, channel: Channel<'_>, rule: AlignRule) -> Layout {
        let form = match &header.packed {
            Some(packed) if header.version == Version::V1_0 => match channel {
                Channel::Compact => Form::Compact(Compact {
                    tscbits: packed.tscbits,
                    data_shift: packed.compact_data_shift,
                    truncated: packed.tsc_lsb_truncate,
                }),
                _ if packed.has_heartbeat => Form::Heartbeat,
                _ => Form::Full,
            },
            _ => Form::Short,
        };
        Layout { endian: header.endian, alignment: header.alignment, rule, form }
    }

    /// Bytes to skip before a part of an event's header.
    #[inline]
    pub(super) fn pad(&self, offset: usize, size: u8) -> usize {
        self.rule.pad(offset, size, self.alignment)
    }
}
