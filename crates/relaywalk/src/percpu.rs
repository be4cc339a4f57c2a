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

    /// Distances from a static per-CPU symbol to its copy for `cpu`, likeliest first: `__per_cpu_offset[cpu]`, or what the
    /// CPU's data area says. None in a kernel for one CPU.
    #[must_use]
    pub fn offsets(&self, cpu: u32) -> Vec<u64> {
        let stride = self.target.abi().word_bytes();
        let skip = u64::from(cpu) * stride;
        if let Some(offsets) = self.offsets {
            return memory::word(self.target, offsets.offset(skip)).into_iter().collect();
        }
        let Some((pda, table)) = &self.pda else { return Vec::new() };
        // `_cpu_pda` was an array of pointers first, later a pointer to one. Read the wrong way, an array can look like an area
        // of CPU 0.
        let indirect = memory::word(self.target, *table).ok().map(VirtAddr);
        let area = |table: VirtAddr| {
            let area = memory::word(self.target, table.offset(skip)).ok()?;
            let image = pda.read(self.target, VirtAddr(area)).ok()?;
            let number = image.maybe(pda.cpu.as_ref());
            number.is_none_or(|number| number == u64::from(cpu)).then(|| image.uint(&pda.data_offset).ok())?
        };
        [indirect, Some(*table)].into_iter().flatten().filter_map(area).collect()
    }

    /// Address of a static per-CPU variable's copy for `cpu`: the first reading that can be read. The variable itself in a
    /// kernel for one CPU.
    #[must_use]
    pub fn variable(&self, symbol: VirtAddr, cpu: u32) -> VirtAddr {
        let copies = self.offsets(cpu).into_iter().map(|offset| self.wrap(symbol.0.wrapping_add(offset)));
        let copies: Vec<VirtAddr> = copies.collect();
        let readable = copies.iter().find(|addr| self.target.read_virt(**addr, &mut [0]).is_ok());
        readable.or(copies.first()).copied().unwrap_or(symbol)
    }

    /// Every address that a dynamic per-CPU pointer can mean for `cpu`, likeliest first: dynamic area, disguised table, one CPU.
    #[must_use]
    pub fn candidates(&self, pointer: VirtAddr, cpu: u32) -> Vec<VirtAddr> {
        let abi = self.target.abi();
        let dynamic = self.offsets(cpu).into_iter().map(|offset| self.wrap(pointer.0.wrapping_add(offset)));
        let table = self.wrap(!pointer.0).offset(self.table_offset + u64::from(cpu) * abi.word_bytes());
        let legacy = memory::word(self.target, table).ok().map(VirtAddr);
        let plain = (cpu == 0).then_some(pointer);
        let others = legacy.into_iter();
        let order: Vec<VirtAddr> =
            if self.dynamic_area { dynamic.chain(others).collect() } else { others.chain(dynamic).collect() };
        let mut found: Vec<VirtAddr> = Vec::new();
        for addr in order.into_iter().chain(plain) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Fake;
    use crate::{Endian, WordSize};

    #[test]
    fn areas_through_an_array_of_offsets() {
        let mut fake = Fake::new(WordSize::Bits64, Endian::Little);
        let offsets = fake.alloc(16);
        fake.symbol("__per_cpu_offset", offsets);
        fake.put_word(offsets.offset(8), 0x1000);
        let area = fake.alloc(0x2000);
        let percpu = PerCpu::new(&fake);
        assert_eq!(percpu.variable(area, 1), area.offset(0x1000));
        assert_eq!(percpu.candidates(area, 1), [area.offset(0x1000)]);
    }

    #[test]
    fn areas_through_pdas_behind_a_pointer_or_in_place() {
        for indirect in [false, true] {
            let mut fake = Fake::new(WordSize::Bits64, Endian::Little);
            fake.define_at("x8664_pda", 64, &[("data_offset", 8, 8), ("cpunumber", 36, 4)]);
            let (table, symbol, area) = (fake.alloc(64), fake.alloc(8), fake.alloc(0x2000));
            for cpu in 0..2 {
                let pda = fake.alloc(64);
                fake.put_word(table.offset(cpu * 8), pda.0);
                fake.set(pda, "x8664_pda", "data_offset", area.0 + cpu * 0x1000 - symbol.0);
                fake.set(pda, "x8664_pda", "cpunumber", cpu);
            }
            let variable = fake.alloc(64);
            fake.put_word(variable, table.0);
            fake.symbol("_cpu_pda", if indirect { variable } else { table });
            let percpu = PerCpu::new(&fake);
            assert_eq!(percpu.variable(symbol, 0), area, "{indirect}");
            assert_eq!(percpu.variable(symbol, 1), area.offset(0x1000), "{indirect}");
            assert_eq!(percpu.offsets(2), []);
        }
    }

    #[test]
    fn disguised_table_and_single_cpu() {
        let mut fake = Fake::new(WordSize::Bits32, Endian::Big);
        fake.define_at("percpu_data", 4, &[("ptrs", 0, 4)]);
        let (table, object) = (fake.alloc(64), fake.alloc(64));
        fake.put_word(table.offset(3 * 4), object.0);
        let percpu = PerCpu::new(&fake);
        assert_eq!(percpu.candidates(VirtAddr(!table.0 & 0xffff_ffff), 3), [object]);
        assert_eq!(percpu.candidates(object, 0), [object]);
        assert_eq!(percpu.variable(object, 0), object);
    }
}
