//! One trace session: its structure, and the channels that hang on it.

use super::Kernel;
use super::model::Clock;
use crate::memory;
use crate::mirror::{Image, Mirror};
use crate::{Cause, Damage, Kind, VirtAddr};

/// A trace structure that has been read.
#[derive(Clone, Debug)]
pub(crate) struct TraceInfo {
    pub(crate) addr: VirtAddr,
    pub(crate) name: Vec<u8>,
    pub(crate) transport: Vec<u8>,
    pub(crate) active: bool,
    pub(crate) mode: Option<u64>,
    pub(crate) clock: Clock,
    /// Directory of the trace in debugfs.
    pub(crate) root: Option<VirtAddr>,
    image: Image,
}

/// Channels that a trace may have; real ones have some twenty.
const MAX_CHANNELS: u64 = 4096;

impl TraceInfo {
    /// Reads the trace structure at `addr`.
    pub(crate) fn read(kernel: &Kernel<'_>, addr: VirtAddr) -> Result<TraceInfo, Damage> {
        let shape = &kernel.types.trace;
        let image = shape.read(kernel.target, addr).map_err(|error| Damage::new("trace", addr, error))?;
        let number = |member: &Option<crate::Member>| image.maybe(member.as_ref()).unwrap_or(0);
        let clock = Clock {
            start_freq: number(&shape.start_freq),
            freq_scale: u32::try_from(number(&shape.freq_scale)).unwrap_or(0),
            start_tsc: number(&shape.start_tsc),
            start_monotonic: number(&shape.start_monotonic),
            start_time_sec: number(&shape.start_sec),
            start_time_usec: number(&shape.start_usec),
        };
        let transport = kernel.types.transport.as_ref().and_then(|transport| {
            let at = image.maybe_pointer(shape.transport.as_ref())?;
            let name = transport.read(kernel.target, at).ok()?.pointer(&transport.name).ok()?;
            memory::cstr(kernel.target, name, 64).ok()
        });
        Ok(TraceInfo {
            addr,
            name: image.text(&shape.name),
            transport: transport.unwrap_or_default(),
            active: number(&shape.active) != 0,
            mode: image.maybe(shape.mode.as_ref()),
            clock,
            root: image.maybe_pointer(shape.trace_root.as_ref()),
            image,
        })
    }

    /// Addresses of the channels in use, in the kernel's order.
    pub(crate) fn channels(&self, kernel: &Kernel<'_>) -> Result<Vec<VirtAddr>, Damage> {
        let shape = &kernel.types.trace;
        let fail = |cause: Cause| Damage::new("channels of the trace", self.addr, cause);
        let Some(array) = &shape.channels else {
            // One named pointer for each channel.
            let is_channel = |(path, member): &(&String, &crate::Member)| {
                path.starts_with("channel.") && matches!(member.kind, Kind::Pointer { .. })
            };
            let mut members: Vec<_> =
                shape.layout().members.iter().filter(is_channel).map(|(_, member)| member).collect();
            members.sort_by_key(|member| member.offset);
            return Ok(members
                .into_iter()
                .filter_map(|member| self.image.maybe_pointer(Some(member)))
                .collect());
        };
        let count = shape.nr_channels.as_ref().map_or(Ok(0), |count| self.image.uint(count)).map_err(fail)?;
        if count > MAX_CHANNELS {
            return Err(fail(Cause::Implausible(format!("{count} channels are more than {MAX_CHANNELS}"))));
        }
        let base = self.image.pointer(array).map_err(fail)?;
        let channel = &kernel.types.channel;
        let stride = channel.layout().size;
        let element = |i: u64| base.offset(i.wrapping_mul(stride));
        let in_use = |addr: &VirtAddr| {
            // What cannot be read is reported later, as a channel.
            let Ok(image) = channel.read(kernel.target, *addr) else { return true };
            let idle = image.maybe(channel.active.as_ref()) == Some(0);
            let empty = channel.relay.is_some() && image.maybe_pointer(channel.relay.as_ref()).is_none();
            !idle && !empty
        };
        Ok((0..count).map(element).filter(in_use).collect())
    }
}
