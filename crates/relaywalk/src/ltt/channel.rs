//! One channel: its shape, and the buffers that hang on it.

use super::Kernel;
use super::types::{Era, Position};
use crate::cpu;
use crate::memory;
use crate::mirror::{Image, Mirror};
use crate::ring::Ring;
use crate::{Cause, Damage, Kind, VirtAddr};

/// A channel that has been read and makes sense.
#[derive(Clone, Debug)]
pub(crate) struct ChannelInfo {
    pub(crate) addr: VirtAddr,
    /// Trace that it says it belongs to.
    pub(crate) trace: VirtAddr,
    pub(crate) image: Image,
    /// Relay channel behind it, before era C.
    pub(crate) relay: Option<(VirtAddr, Image)>,
    /// Name without `flight-` and directories.
    pub(crate) name: Vec<u8>,
    pub(crate) overwrite: bool,
    pub(crate) ring: Ring,
    /// Whether readers exchange pages with the ring.
    pub(crate) exchange: bool,
}

/// One CPU's buffer of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BufferRef {
    pub(crate) cpu: u32,
    /// Address of the page container.
    pub(crate) addr: VirtAddr,
}

/// Longest channel name: the kernel's `PATH_MAX`.
const NAME_MAX: usize = 4096;
/// Version that the tracer's relay channels carry; the kernel's own carry 7.
pub(crate) const RELAY_VERSION: u64 = 8;

impl ChannelInfo {
    /// Reads the channel structure at `addr` and what it points to.
    pub(crate) fn read(kernel: &Kernel<'_>, addr: VirtAddr) -> Result<ChannelInfo, Damage> {
        let shape = &kernel.types.channel;
        let fail = |cause: Cause| Damage::new("channel", addr, cause);
        let image = shape.read(kernel.target, addr).map_err(|error| fail(error.into()))?;
        let trace = image.pointer(&shape.trace).map_err(fail)?;
        let overwrite = image.uint(&shape.overwrite).map_err(fail)? != 0;
        let full_name = match shape.name.kind {
            Kind::Array { .. } => image.text(&shape.name),
            _ => {
                let at = image.pointer(&shape.name).map_err(fail)?;
                memory::cstr(kernel.target, at, NAME_MAX).unwrap_or_default()
            }
        };
        let base = full_name.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        let name = base.strip_prefix(b"flight-").unwrap_or(base).to_vec();

        let (relay, size, count, exchange) = match &kernel.types.rchan {
            Some(rchan) => {
                let relay = image.maybe_pointer(shape.relay.as_ref());
                let relay =
                    relay.ok_or_else(|| fail(Cause::Implausible("channel has no relay channel".into())))?;
                let there = |cause: Cause| Damage::new("relay channel", relay, cause);
                let relay_image = rchan.read(kernel.target, relay).map_err(|error| there(error.into()))?;
                let size = relay_image.uint(&rchan.subbuffer_size).map_err(there)?;
                let count = relay_image.uint(&rchan.n_subbuffers).map_err(there)?;
                let exchange = relay_image.maybe(rchan.extra_reader.as_ref()).unwrap_or(0) != 0;
                (Some((relay, relay_image)), size, count, exchange)
            }
            None => {
                let lacking = || fail(Cause::MissingType { name: "ltt_chan.a.sb_size".into() });
                let size = image.maybe(shape.subbuffer_size.as_ref()).ok_or_else(lacking)?;
                let count = image.maybe(shape.n_subbuffers.as_ref()).ok_or_else(lacking)?;
                let exchange = image.maybe(shape.extra_reader.as_ref()).unwrap_or(0) != 0;
                (None, size, count, exchange)
            }
        };
        let mask = image.maybe(shape.commit_mask.as_ref()).filter(|&mask| mask != 0);
        let ring = Ring::new(kernel.target.abi(), size, count, mask, shape.order.is_some());
        let header = kernel.types.headers.iter().map(|header| header.len).min().unwrap_or(0);
        let ring = ring.filter(|ring| ring.subbuffer_size() > header).ok_or_else(|| {
            fail(Cause::Implausible(format!(
                "{count} sub-buffers of {size} bytes make no ring of this tracer"
            )))
        })?;
        Ok(ChannelInfo { addr, trace, image, relay, name, overwrite, ring, exchange })
    }

    /// Buffers of the channel, by CPU. What is there but cannot be followed goes to `damage`.
    pub(crate) fn buffers(
        &self,
        kernel: &Kernel<'_>,
        positions: &[Position],
        damage: &mut Vec<Damage>,
    ) -> Vec<BufferRef> {
        match (&kernel.types.rchan, &self.relay) {
            (Some(rchan), Some((_, relay))) => {
                let declared = rchan.buf.count().filter(|&count| count != 0);
                let numbers = match declared {
                    // The array's own length is the tightest true bound; empty places cost nothing.
                    Some(count) => (0..u32::try_from(count.min(8192)).unwrap_or(0)).collect(),
                    None => cpu::possible(kernel.target, None),
                };
                let at =
                    |cpu: u32| relay.element(&rchan.buf, u64::from(cpu)).ok().filter(|addr| !addr.is_null());
                numbers.into_iter().filter_map(|cpu| Some(BufferRef { cpu, addr: at(cpu)? })).collect()
            }
            _ => {
                let possible = cpu::possible(kernel.target, None);
                possible.into_iter().filter_map(|cpu| self.embedded(kernel, positions, cpu, damage)).collect()
            }
        }
    }

    /// Era C: the copy of the per-CPU buffer structure, by whichever reading of the pointer passes the buffer's self-checks.
    fn embedded(
        &self,
        kernel: &Kernel<'_>,
        positions: &[Position],
        cpu: u32,
        damage: &mut Vec<Damage>,
    ) -> Option<BufferRef> {
        let pointer = self.image.maybe_pointer(kernel.types.channel.buf.as_ref())?;
        let mut unused = false;
        let mut wrong = None;
        for addr in kernel.percpu.candidates(pointer, cpu) {
            for position in positions {
                match self.check_embedded(kernel, position, addr, cpu) {
                    Ok(true) => return Some(BufferRef { cpu, addr }),
                    Ok(false) => unused = true,
                    Err(cause) => wrong = wrong.or(Some(Damage::new("per-cpu buffer", addr, cause))),
                }
            }
        }
        if !unused {
            damage.extend(wrong);
        }
        None
    }

    /// Whether the structure at `addr` is this channel's buffer for `cpu`; `Ok(false)` when it was never allocated.
    pub(crate) fn check_embedded(
        &self,
        kernel: &Kernel<'_>,
        position: &Position,
        addr: VirtAddr,
        cpu: u32,
    ) -> Result<bool, Cause> {
        let image = position.read(kernel.target, addr)?;
        if image.maybe(position.allocated.as_ref()) == Some(0) {
            return Ok(false);
        }
        let alloc = kernel.types.channel.alloc.as_ref().map_or(0, |alloc| alloc.offset);
        let chan = image.maybe_pointer(position.chan.as_ref()).unwrap_or_default();
        let number = image.maybe(position.cpu.as_ref());
        if chan != self.addr.offset(alloc) || number != Some(u64::from(cpu)) {
            let found = number.map_or("unknown".to_string(), |number| number.to_string());
            let text = format!(
                "buffer for cpu {cpu} says cpu {found} and channel {chan:#x}, not {:#x}",
                self.addr.offset(alloc)
            );
            return Err(Cause::Implausible(text));
        }
        Ok(true)
    }

    /// Addresses that the position structure of a buffer can have, likeliest first.
    pub(crate) fn position_places(
        &self,
        kernel: &Kernel<'_>,
        buffer: BufferRef,
        container: Option<&Image>,
    ) -> Vec<VirtAddr> {
        let shape = &kernel.types.channel;
        if kernel.types.era == Era::C {
            return vec![buffer.addr];
        }
        let stored = kernel.types.rchan_buf.as_ref().and_then(|buf| buf.position.as_ref());
        if let (Some(member), Some(container)) = (stored, container) {
            return container.maybe_pointer(Some(member)).into_iter().collect();
        }
        match &shape.buf {
            Some(member) => match &member.kind {
                Kind::Array { stride, .. } => {
                    let skip = stride.wrapping_mul(u64::from(buffer.cpu));
                    vec![self.image.address_of(member).offset(skip)]
                }
                _ => {
                    let pointer = self.image.maybe_pointer(Some(member));
                    pointer.map(|pointer| kernel.percpu.candidates(pointer, buffer.cpu)).unwrap_or_default()
                }
            },
            None => Vec::new(),
        }
    }
}
