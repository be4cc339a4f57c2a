//! One channel of a session, as the tracer sees it.

use super::buffer;
use super::header::{self, Expected, Identity};
use super::model::{Channel, ChannelKind, Header, HeaderType, Stream};
use super::ring_channel::{BufferRef, RingChannel};
use super::types::{ChannelMirror, Types};
use super::walk::Kernel;
use crate::memory;
use crate::mirror::{Image, Mirror};
use crate::{Cause, Damage, Routes, VirtAddr};

/// A channel structure that has been read.
#[derive(Clone, Debug)]
pub(crate) struct ChannelInfo {
    /// Null when only the ring is left.
    pub(crate) addr: VirtAddr,
    pub(crate) ring: RingChannel,
    pub(crate) id: Option<u32>,
    pub(crate) kind: ChannelKind,
    transport: Vec<u8>,
    header_type: Option<HeaderType>,
    /// The session that it says it belongs to; its public half since 2.13.
    pub(crate) session: Option<VirtAddr>,
}

impl ChannelInfo {
    /// Reads the channel whose link in the session's list is at `link`. `Ok(None)` for a counter.
    pub(crate) fn of_link(kernel: &Kernel<'_>, link: VirtAddr) -> Result<Option<ChannelInfo>, Damage> {
        let types = &kernel.types;
        let Some(shape) = &types.channel else { return Ok(ChannelInfo::near(kernel, link)) };
        let addr = link.back(shape.link.offset);
        let fail = |cause| Damage::new("channel", addr, cause);
        // Counters have but the link and the back pointer in common with channels. (Before there were any, nobody set it.)
        if let Some((member, common)) = shape.common.as_ref().zip(types.channel_common.as_ref()) {
            let public = memory::word(kernel.target, addr.offset(member.offset));
            let public = VirtAddr(public.map_err(|error| fail(error.into()))?);
            if !public.is_null() {
                let image = common.read(kernel.target, public).map_err(|error| fail(error.into()))?;
                if image.uint(&common.kind).map_err(fail)? != 0 {
                    return Ok(None);
                }
            }
        }
        ChannelInfo::read(kernel, addr).map(Some)
    }

    /// Reads the channel structure at `addr`.
    pub(crate) fn read(kernel: &Kernel<'_>, addr: VirtAddr) -> Result<ChannelInfo, Damage> {
        let fail = |cause| Damage::new("channel", addr, cause);
        let missing = || fail(Cause::MissingType { name: "struct lttng_channel".into() });
        let shape = kernel.types.channel.as_ref().ok_or_else(missing)?;
        let image = shape.read(kernel.target, addr).map_err(|error| fail(error.into()))?;
        let ring = RingChannel::read(kernel, image.pointer(&shape.ring).map_err(fail)?).map_err(fail)?;
        let transport = transport(kernel, shape, &image).unwrap_or_else(|| ring.name.clone());
        let kind = match image.maybe(shape.kind.as_ref()) {
            Some(0) => ChannelKind::Data,
            Some(1) => ChannelKind::Metadata,
            // The transport tells too, in every release.
            _ if transport.starts_with(b"relay-metadata") => ChannelKind::Metadata,
            _ => ChannelKind::Data,
        };
        Ok(ChannelInfo {
            addr,
            id: image.maybe(Some(&shape.id)).and_then(|id| u32::try_from(id).ok()),
            kind,
            header_type: image.maybe(shape.header_type.as_ref()).map(HeaderType::from_raw),
            session: session(kernel, shape, &image),
            transport,
            ring,
        })
    }

    /// The channel that a ring belongs to, if its structure still exists; what the ring alone tells otherwise.
    pub(crate) fn of_ring(kernel: &Kernel<'_>, ring: VirtAddr) -> Result<ChannelInfo, Cause> {
        let ring = RingChannel::read(kernel, ring)?;
        let candidates = [Some(ring.private), private_half(kernel, ring.private)];
        let named = candidates
            .into_iter()
            .flatten()
            .filter(|addr| memory::is_kernel(kernel.target.abi(), *addr))
            .filter_map(|addr| ChannelInfo::read(kernel, addr).ok())
            .find(|info| info.ring.addr == ring.addr);
        Ok(named.unwrap_or_else(|| ChannelInfo::alone(ring)))
    }

    /// The channel around a link of the session's list, without its layout: its ring is the one that it points to, and the rest is
    /// told by packets. `None` for a counter, which has no ring.
    fn near(kernel: &Kernel<'_>, link: VirtAddr) -> Option<ChannelInfo> {
        /// Bytes behind the link within which the pointer lies, in the releases that need this.
        const REACH: u64 = 1024;
        let step = kernel.target.abi().word_bytes();
        let words = (0..REACH / step).filter_map(|i| memory::word(kernel.target, link.offset(i * step)).ok());
        let ring = words.map(VirtAddr).find_map(|at| RingChannel::read(kernel, at).ok())?;
        let mut info = ChannelInfo::alone(ring);
        if let Some(identity) = info.identity(kernel) {
            (info.kind, info.id) = (identity.kind, identity.id);
        }
        Some(info)
    }

    /// What a ring tells of its channel.
    fn alone(ring: RingChannel) -> ChannelInfo {
        ChannelInfo {
            addr: VirtAddr::NULL,
            id: None,
            kind: if ring.name.starts_with(b"relay-metadata") {
                ChannelKind::Metadata
            } else {
                ChannelKind::Data
            },
            transport: ring.name.clone(),
            header_type: None,
            session: None,
            ring,
        }
    }

    /// What its packets must say.
    pub(crate) fn expected(&self, types: &Types, uuid: Option<[u8; 16]>) -> Expected {
        Expected { kind: self.kind, uuid, id: self.id, numbered: types.buffer.counts.is_some() }
    }

    /// The channel with its streams. Buffers that cannot be read go to `damage`.
    pub(crate) fn streams(
        &self,
        kernel: &Kernel<'_>,
        uuid: Option<[u8; 16]>,
        found_by: Routes,
        damage: &mut Vec<Damage>,
    ) -> Channel {
        let types = &kernel.types;
        let expected = self.expected(types, uuid);
        let mut streams = Vec::new();
        for buffer in self.ring.buffers(kernel, damage) {
            match buffer::read(kernel, &self.ring, buffer, &expected) {
                Ok(stream) => streams.push(Stream { found_by, ..stream }),
                Err(loss) => {
                    let place = match buffer.cpu {
                        Some(cpu) => format!("cpu {cpu}, {}", loss.place),
                        None => loss.place,
                    };
                    damage.push(Damage { place, ..loss });
                }
            }
        }
        Channel {
            address: self.addr,
            ring: self.ring.addr,
            id: self.id,
            kind: self.kind,
            name: None,
            transport: self.transport.clone(),
            overwrite: self.ring.overwrite,
            mapped_output: self.ring.mapped_output,
            header_type: self.header_type,
            packet_header_size: match self.kind {
                ChannelKind::Data => types.packet_header_size,
                ChannelKind::Metadata => Some(header::METADATA_HEADER_SIZE),
            },
            subbuffer_size: self.ring.laps.ring.subbuffer_size(),
            n_subbuffers: self.ring.laps.ring.n_subbuffers(),
            start_timestamp: self.ring.start,
            streams,
        }
    }

    /// Identity in its packets: of a channel of which nothing else is known.
    pub(crate) fn identity(&self, kernel: &Kernel<'_>) -> Option<Identity> {
        let buffers = self.ring.buffers(kernel, &mut Vec::new());
        [ChannelKind::Data, ChannelKind::Metadata].into_iter().find_map(|kind| {
            let expected = Expected { kind, ..self.expected(&kernel.types, None) };
            let read = |at: &BufferRef| buffer::read(kernel, &self.ring, *at, &expected).ok();
            let mut packets = buffers.iter().filter_map(read).flat_map(|stream| stream.packets);
            let proven = packets.find(|packet| packet.header == Header::Intact)?;
            header::identity(kernel.target, &proven.pages)
        })
    }
}

/// Name of the transport that the channel says it uses.
fn transport(kernel: &Kernel<'_>, channel: &ChannelMirror, image: &Image) -> Option<Vec<u8>> {
    let shape = kernel.types.transport.as_ref()?;
    let at = image.maybe_pointer(channel.transport.as_ref())?;
    let name = shape.read(kernel.target, at).ok()?.maybe_pointer(Some(&shape.name))?;
    memory::cstr(kernel.target, name, 64).ok().filter(|name| !name.is_empty())
}

/// The session of a channel: named directly, or by its public half.
fn session(kernel: &Kernel<'_>, channel: &ChannelMirror, image: &Image) -> Option<VirtAddr> {
    if let Some(session) = image.maybe_pointer(channel.session.as_ref()) {
        return Some(session);
    }
    let shape = kernel.types.channel_public.as_ref()?;
    let public = image.maybe_pointer(channel.public.as_ref())?;
    shape.read(kernel.target, public).ok()?.maybe_pointer(Some(&shape.session))
}

/// The private half of a public channel.
fn private_half(kernel: &Kernel<'_>, public: VirtAddr) -> Option<VirtAddr> {
    let shape = kernel.types.channel_public.as_ref()?;
    shape.read(kernel.target, public).ok()?.maybe_pointer(Some(&shape.private))
}
