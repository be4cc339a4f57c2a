//! The ring buffer's own view of a channel: shape, mode, and the buffer of each CPU.

use super::lap::Laps;
use super::walk::Kernel;
use crate::memory;
use crate::mirror::{Image, Mirror};
use crate::{Cause, Damage, Kind, Member, VirtAddr, cpu};

/// A ring channel that has been read and whose numbers agree.
#[derive(Clone, Debug)]
pub(crate) struct RingChannel {
    pub(crate) addr: VirtAddr,
    pub(crate) laps: Laps,
    pub(crate) overwrite: bool,
    pub(crate) mapped_output: Option<bool>,
    pub(crate) start: Option<u64>,
    /// Name of the transport.
    pub(crate) name: Vec<u8>,
    /// The tracer's own object.
    pub(crate) private: VirtAddr,
    image: Image,
}

/// One buffer of a ring channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BufferRef {
    /// `None` for a buffer of all CPUs.
    pub(crate) cpu: Option<u32>,
    pub(crate) addr: VirtAddr,
}

/// Tables of pages of one buffer are never longer than this.
const MAX_PAGES: u64 = memory::MAX_WORDS;

impl RingChannel {
    /// Reads the ring channel at `addr`.
    ///
    /// Errors: unreadable, or its sizes, orders and masks contradict each other.
    pub(crate) fn read(kernel: &Kernel<'_>, addr: VirtAddr) -> Result<RingChannel, Cause> {
        let shape = &kernel.types.ring;
        if !memory::is_kernel(kernel.target.abi(), addr) {
            return Err(Cause::Implausible(format!("ring channel {addr:#x} is no kernel address")));
        }
        let image = shape.read(kernel.target, addr)?;
        let size = image.uint(&shape.size)?;
        let subbuffer_size = image.uint(&shape.subbuffer_size)?;
        let n_subbuffers = image.uint(&shape.n_subbuffers)?;
        let orders = (image.uint(&shape.subbuffer_order)?, image.uint(&shape.n_order)?);
        let mask = image.pointer(&shape.mask)?.0;
        let laps = Laps::new(kernel.target.abi(), subbuffer_size, n_subbuffers).filter(|laps| {
            let ring = &laps.ring;
            let powers = (u64::from(subbuffer_size.ilog2()), u64::from(n_subbuffers.ilog2()));
            let page = kernel.target.page_size();
            ring.size() == size
                && orders == powers
                && mask == laps.mask()
                && subbuffer_size >= page
                && size / page.max(1) <= MAX_PAGES
        });
        let Some(laps) = laps else {
            let text = format!(
                "{n_subbuffers:#x} (2^{}) sub-buffers of {subbuffer_size:#x} (2^{}) bytes in {size:#x} bytes with counter mask {mask:#x} make no ring",
                orders.1, orders.0
            );
            return Err(Cause::Implausible(text));
        };
        // Overwriting is what the extra sub-buffer is for, so either one tells; the flag is in every layout.
        let extra = image.uint(&shape.extra_reader)? != 0;
        let overwrite = image.maybe(shape.mode.as_ref()).map_or(extra, |mode| mode == 0);
        if overwrite != extra {
            let text = format!("overwriting is {overwrite}, but the reader's own sub-buffer says {extra}");
            return Err(Cause::Implausible(text));
        }
        Ok(RingChannel {
            addr,
            laps,
            overwrite,
            mapped_output: image.maybe(shape.output.as_ref()).map(|output| output == 1),
            start: image.maybe(shape.start.as_ref()),
            name: shape.name.as_ref().map(|name| name_of(kernel, &image, name)).unwrap_or_default(),
            private: image.pointer(&shape.private)?,
            image,
        })
    }

    /// Pages of one sub-buffer.
    pub(crate) fn pages_per_subbuffer(&self, kernel: &Kernel<'_>) -> u64 {
        self.laps.ring.subbuffer_size() / kernel.target.page_size().max(1)
    }

    /// Tables of pages of one buffer.
    pub(crate) fn n_tables(&self) -> u64 {
        self.laps.ring.n_subbuffers() + u64::from(self.overwrite)
    }

    /// Buffers that the channel has. A CPU of its mask without a buffer that says it is this CPU's is reported.
    pub(crate) fn buffers(&self, kernel: &Kernel<'_>, damage: &mut Vec<Damage>) -> Vec<BufferRef> {
        let shape = &kernel.types.ring;
        let Ok(pointer) = self.image.pointer(&shape.buffers) else { return Vec::new() };
        let alloc = self.image.maybe(shape.alloc.as_ref());
        if alloc != Some(0) && self.is_buffer(kernel, pointer, None) == Ok(true) {
            return vec![BufferRef { cpu: None, addr: pointer }];
        }
        if alloc.is_some_and(|alloc| alloc != 0) {
            let text = "its only buffer does not point back to the channel".to_string();
            damage.push(Damage::new("ring channel", self.addr, Cause::Implausible(text)));
            return Vec::new();
        }
        let possible = cpu::possible(kernel.target, None);
        let mask = self.cpumask(kernel, possible.iter().max().map_or(1, |last| u64::from(*last) + 1));
        let mut found = Vec::new();
        for cpu in possible {
            let listed = mask.as_ref().map(|mask| mask.contains(&cpu));
            if listed == Some(false) {
                continue;
            }
            let candidates = kernel.percpu.candidates(pointer, cpu);
            let mut reason = None;
            let buffer = candidates.into_iter().find(|&addr| match self.is_buffer(kernel, addr, Some(cpu)) {
                Ok(is) => is,
                Err(cause) => {
                    reason.get_or_insert(cause);
                    false
                }
            });
            match buffer {
                Some(addr) => found.push(BufferRef { cpu: Some(cpu), addr }),
                None if listed == Some(true) => {
                    let odd = || Cause::Implausible("it does not say that it is this cpu's".into());
                    let place = format!("ring channel, buffer of cpu {cpu}");
                    damage.push(Damage::new(place, self.addr, reason.unwrap_or_else(odd)));
                }
                None => {}
            }
        }
        found
    }

    /// Whether an allocated buffer of this channel and of `cpu` lies at `addr`.
    pub(crate) fn is_buffer(
        &self,
        kernel: &Kernel<'_>,
        addr: VirtAddr,
        cpu: Option<u32>,
    ) -> Result<bool, Cause> {
        if !memory::is_kernel(kernel.target.abi(), addr) {
            return Ok(false);
        }
        let shape = &kernel.types.buffer;
        let image = shape.read(kernel.target, addr)?;
        let number = cpu.unwrap_or(u32::MAX);
        // A table of ends where none belongs is a sign of a layout that is not this kernel's.
        let ends = match &shape.ends {
            Some(ends) => {
                let ends = image.pointer(ends)?;
                memory::is_kernel(kernel.target.abi(), ends)
                    && memory::array(kernel.target, ends, self.laps.ring.n_subbuffers(), 8).is_ok()
            }
            None => true,
        };
        Ok(image.pointer(&shape.channel)? == self.addr
            && image.uint(&shape.cpu)? == u64::from(number)
            && image.uint(&shape.allocated)? & 1 == 1
            && image.uint(&shape.pages)? == self.pages_per_subbuffer(kernel)
            && ends)
    }

    /// CPUs that have a buffer, below `bits`; `None` when the mask is unknown, unreadable or empty.
    fn cpumask(&self, kernel: &Kernel<'_>, bits: u64) -> Option<Vec<u32>> {
        let member = kernel.types.ring.cpumask.as_ref()?;
        // A pointer when masks are kept off the stack, else the mask itself.
        let addr = match member.kind {
            Kind::Pointer { .. } => self.image.pointer(member).ok()?,
            _ => self.image.address_of(member),
        };
        let word_bits = u64::from(kernel.target.abi().word_bits());
        let words = memory::words(kernel.target, addr, bits.div_ceil(word_bits)).ok()?;
        let set = |cpu: &u64| {
            let word = usize::try_from(cpu / word_bits).ok().and_then(|i| words.get(i)).copied();
            word.is_some_and(|word| word >> (cpu % word_bits) & 1 == 1)
        };
        let cpus: Vec<u32> = (0..bits).filter(set).filter_map(|cpu| u32::try_from(cpu).ok()).collect();
        (!cpus.is_empty()).then_some(cpus)
    }
}

/// The name: an array, or in some releases a pointer.
fn name_of(kernel: &Kernel<'_>, image: &Image, member: &Member) -> Vec<u8> {
    match member.kind {
        Kind::Pointer { .. } => {
            let at = image.maybe_pointer(Some(member));
            at.and_then(|at| memory::cstr(kernel.target, at, 64).ok()).unwrap_or_default()
        }
        _ => image.text(member),
    }
}
