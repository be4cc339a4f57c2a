//! Per-CPU variables and pointers.
//!
//! Three generations of allocators existed, and which one a kernel has cannot be told with certainty. So every reading of a
//! pointer is offered, likeliest first, and the caller keeps the one whose object passes its self-checks.

use crate::memory;
use crate::mirror::{self, Mirror, mirrors};
use crate::{Target, VirtAddr};

mirrors! {
    /// x86-64 up to 2.6.29: per-CPU data area, reached through `_cpu_pda`.
    Pda = "x8664_pda" { needs { data_offset: "data_offset" } may { cpu: "cpunumber" } }
    /// Table behind a disguised per-CPU pointer of the old allocator. Its one declared element says nothing about its length.
    PercpuData = "percpu_data" { needs { ptrs: "ptrs" } may {} }
}

/// Symbols read by this module.
pub(crate) const SYMBOLS: &[&str] = &["__per_cpu_offset", "_cpu_pda", "pcpu_base_addr"];

/// How per-CPU addresses are formed in one kernel.
#[derive(Debug)]
pub struct PerCpu<'t> {
    target: &'t dyn Target,
    offsets: Option<VirtAddr>,
    pda: Option<(Pda, VirtAddr)>,
    table_offset: u64,
    dynamic_area: bool,
}

impl<'t> PerCpu<'t> {
    /// Looks up what the kernel offers.
    #[must_use]
    pub fn new(target: &'t dyn Target) -> PerCpu<'t> {
        let symbol = |name: &str| target.symbols(name).first().map(|symbol| VirtAddr(symbol.addr));
        let pda = mirror::find::<Pda>(target, &[]).ok().zip(symbol("_cpu_pda"));
        let table = mirror::find::<PercpuData>(target, &[]).ok();
        PerCpu {
            target,
            offsets: symbol("__per_cpu_offset"),
            pda,
            dynamic_area: table.is_none() || symbol("pcpu_base_addr").is_some(),
            table_offset: table.map_or(0, |table| table.ptrs.offset),
        }
    }

    /// Distance from a static per-CPU symbol to its copy for `cpu`: `__per_cpu_offset[cpu]`, or the data area's own figure.
    /// `None` when neither exists or is readable (a kernel for one CPU).
    #[must_use]
    pub fn offset(&self, cpu: u32) -> Option<u64> {
        let stride = self.target.abi().word_bytes();
        let skip = u64::from(cpu) * stride;
        if let Some(offsets) = self.offsets {
            return memory::word(self.target, offsets.offset(skip)).ok();
        }
        let (pda, table) = self.pda.as_ref()?;
        // `_cpu_pda` was an array of pointers first, later a pointer to one.
        let indirect = memory::word(self.target, *table).ok().map(VirtAddr);
        [Some(*table), indirect].into_iter().flatten().find_map(|table| {
            let area = memory::word(self.target, table.offset(skip)).ok()?;
            let image = pda.read(self.target, VirtAddr(area)).ok()?;
            let number = image.maybe(pda.cpu.as_ref());
            number.is_none_or(|number| number == u64::from(cpu)).then(|| image.uint(&pda.data_offset).ok())?
        })
    }

    /// Address of a static per-CPU variable's copy for `cpu`; the variable itself in a kernel for one CPU.
    #[must_use]
    pub fn variable(&self, symbol: VirtAddr, cpu: u32) -> VirtAddr {
        self.wrap(symbol.0.wrapping_add(self.offset(cpu).unwrap_or(0)))
    }

    /// Every address that a dynamic per-CPU pointer can mean for `cpu`, likeliest first: dynamic area, disguised table, one CPU.
    #[must_use]
    pub fn candidates(&self, pointer: VirtAddr, cpu: u32) -> Vec<VirtAddr> {
        let abi = self.target.abi();
        let dynamic = self.offset(cpu).map(|offset| self.wrap(pointer.0.wrapping_add(offset)));
        let table = self.wrap(!pointer.0).offset(self.table_offset + u64::from(cpu) * abi.word_bytes());
        let legacy = memory::word(self.target, table).ok().map(VirtAddr);
        let plain = (cpu == 0).then_some(pointer);
        let order = if self.dynamic_area { [dynamic, legacy, plain] } else { [legacy, dynamic, plain] };
        let mut found: Vec<VirtAddr> = Vec::new();
        for addr in order.into_iter().flatten() {
            if memory::is_kernel(abi, addr) && !found.contains(&addr) {
                found.push(addr);
            }
        }
        found
    }

    fn wrap(&self, addr: u64) -> VirtAddr {
        VirtAddr(addr & self.target.abi().word_mask())
    }
}
