//! The start of packets in memory: proof that pages are what the tables say they are.
//!
//! Source: `struct packet_header` of the ring buffer clients, `struct metadata_packet_header`; in memory as on disk.

use super::lap::Laps;
use super::model::{ChannelKind, Header};
use crate::{PageList, Target};

/// Magic number of a data packet.
const MAGIC: u64 = 0xc1fc_1fc1;
/// Magic number of a metadata packet.
const METADATA_MAGIC: u64 = 0x75d1_1d57;
/// Bytes of a metadata packet's header.
pub(crate) const METADATA_HEADER_SIZE: u64 = 37;
/// Bytes of the smallest header of a data packet.
pub(crate) const MIN_HEADER_SIZE: u64 = 56;
/// Bytes looked at: magic, identity, stream, and where packets are numbered CPU and number.
const PEEK: usize = 72;

/// What the packets of one stream must say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    pub(crate) kind: ChannelKind,
    pub(crate) uuid: Option<[u8; 16]>,
    pub(crate) id: Option<u32>,
    /// Whether packets carry CPU and number.
    pub(crate) numbered: bool,
}

/// Identity in a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) kind: ChannelKind,
    pub(crate) uuid: [u8; 16],
    /// Channel, of a data packet.
    pub(crate) id: Option<u32>,
}

fn peek(target: &dyn Target, pages: &PageList) -> Option<[u8; PEEK]> {
    let mut bytes = [0; PEEK];
    // A page of zeros that the dump's filter left out is as good as read.
    pages.read(target, 0, &mut bytes).iter().all(|hole| hole.zero_filled).then_some(bytes)
}

/// Identity in the packet that starts in `pages`; `None` when none starts there or it cannot be read.
pub(crate) fn identity(target: &dyn Target, pages: &PageList) -> Option<Identity> {
    let bytes = peek(target, pages)?;
    parse(target, &bytes)
}

fn parse(target: &dyn Target, bytes: &[u8; PEEK]) -> Option<Identity> {
    let abi = target.abi();
    let uuid = bytes.get(4..20)?.try_into().ok()?;
    match abi.uint(bytes, 0, 4)? {
        MAGIC => {
            let id = abi.uint(bytes, 20, 4).and_then(|id| u32::try_from(id).ok());
            Some(Identity { kind: ChannelKind::Data, uuid, id })
        }
        METADATA_MAGIC => Some(Identity { kind: ChannelKind::Metadata, uuid, id: None }),
        _ => None,
    }
}

impl Expected {
    /// Compares the start of the packet at `position`, of CPU `cpu`, with what it must be.
    pub(crate) fn check(
        &self,
        target: &dyn Target,
        pages: &PageList,
        laps: &Laps,
        position: u64,
        cpu: Option<u32>,
    ) -> Header {
        let Some(bytes) = peek(target, pages) else { return Header::Unreadable };
        let Some(found) = parse(target, &bytes) else { return Header::Foreign };
        let same = found.kind == self.kind
            && self.uuid.is_none_or(|uuid| uuid == found.uuid)
            && (self.id.is_none() || found.id.is_none() || self.id == found.id);
        let abi = target.abi();
        let number = |offset| abi.uint(&bytes, offset, 8).unwrap_or(0);
        let numbered = self.numbered && self.kind == ChannelKind::Data;
        let right = !numbered
            || cpu.is_none_or(|cpu| number(24) == u64::from(cpu))
                && laps.is_number_of(position, number(64), abi);
        if same && right { Header::Intact } else { Header::Foreign }
    }

    /// Bytes that a packet has at least once its header is committed.
    pub(crate) fn header_size(&self, of_data: Option<u64>) -> u64 {
        match self.kind {
            ChannelKind::Metadata => METADATA_HEADER_SIZE,
            ChannelKind::Data => of_data.unwrap_or(MIN_HEADER_SIZE),
        }
    }
}
