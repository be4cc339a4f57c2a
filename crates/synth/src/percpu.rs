//! Per-CPU data: the old allocator's disguised tables, or the dynamic area with one offset per CPU.

use crate::arch::Arch;
use crate::space::Space;

const AREA: u64 = 0x2_0000;

#[derive(Debug, Clone)]
pub(crate) struct PerCpu {
    cpus: u32,
    legacy: bool,
    base: u64,
    areas: Vec<u64>,
}

impl PerCpu {
    pub(crate) fn new(space: &mut Space, cpus: u32, legacy: bool, nr_cpus: u64) -> PerCpu {
        let word = space.abi().word;
        // Newer x86-64 kernels link their per-CPU variables at 0.
        let zero_based = !legacy && matches!(space.facts.arch, Arch::X86_64 | Arch::X86_64Kaslr);
        let base = if zero_based { 0 } else { space.image_data("__per_cpu_start", 0x1000, 0x1000, None) };
        let areas: Vec<u64> = (0..cpus).map(|_| space.contiguous(AREA)).collect();
        if legacy && space.facts.arch == Arch::X86_64 {
            let table = space.data("_cpu_pda", word * nr_cpus, None);
            for (cpu, area) in areas.iter().enumerate() {
                let pda = space.object("x8664_pda");
                space.set(pda, "x8664_pda", "data_offset", area.wrapping_sub(base));
                space.set(pda, "x8664_pda", "cpunumber", cpu as u64);
                space.put_word(table + cpu as u64 * word, pda);
            }
        } else {
            let table = space.data("__per_cpu_offset", word * nr_cpus, None);
            for (cpu, area) in areas.iter().enumerate() {
                space.put_word(table + cpu as u64 * word, area.wrapping_sub(base));
            }
        }
        if !legacy {
            let variable = space.data("pcpu_base_addr", word, None);
            space.put_word(variable, areas[0]);
        }
        PerCpu { cpus, legacy, base, areas }
    }

    /// A static variable; returns its address on each CPU.
    pub(crate) fn variable(&self, space: &mut Space, name: &str, size: u64) -> Vec<u64> {
        let offset = space.percpu_symbol(name, self.base, size);
        self.areas.iter().map(|area| area + (offset - self.base)).collect()
    }

    /// A dynamic allocation: the pointer that the kernel keeps, and the address on each CPU.
    pub(crate) fn alloc(&self, space: &mut Space, size: u64) -> (u64, Vec<u64>) {
        if self.legacy {
            let objects: Vec<u64> = (0..self.cpus).map(|_| space.kmalloc(size)).collect();
            let table = space.kmalloc(space.abi().word * u64::from(self.cpus));
            for (cpu, object) in objects.iter().enumerate() {
                space.put_word(table + cpu as u64 * space.abi().word, *object);
            }
            return (!table & space.abi().word_mask(), objects);
        }
        let offset = space.percpu_offset(self.base, size);
        let objects: Vec<u64> = self.areas.iter().map(|area| area + (offset - self.base)).collect();
        for object in &objects {
            space.write(*object, &vec![0; size as usize]);
        }
        (offset, objects)
    }
}
