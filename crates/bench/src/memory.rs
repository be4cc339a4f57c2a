//! Reading memory: ELF cores against `pread`, virtual addresses against physical ones.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use analyser::{Kernel, OpenOptions};
use criterion::Criterion;
use vmcore::{PhysAddr, PhysMemory as _, VirtAddr};

use crate::cores::Cores;
use crate::share::{share, thread_counts};
use crate::stored::{PAGE, spread};

/// Pages, or structures, read in one iteration.
pub const READS: usize = 4096;

/// Bytes of a structure that is read.
const STRUCT: usize = 56;

/// Ids: `elf/pread/THREADS`, `elf/vmcore/THREADS` (whole pages); `virtual/physical/1`, `virtual/tables/1` (structures).
pub fn bench(criterion: &mut Criterion, cores: &Cores) {
    let options =
        OpenOptions { cores: vec![cores.elf()], debuginfo: vec![cores.types()], ..OpenOptions::default() };
    let kernel = Kernel::open(&options).unwrap();
    let core = kernel.core();
    let file = File::open(cores.elf()).unwrap();
    let pages = spread(cores.pages.clone(), READS);
    let start = first_offset(&file);
    let mut ours = vec![0; PAGE];
    let mut theirs = vec![0; PAGE];
    for page in &pages {
        core.read_phys(PhysAddr(*page), &mut ours).unwrap();
        file.read_exact_at(&mut theirs, start + page).unwrap();
        assert!(ours == theirs, "the page at {page:#x} differs");
    }
    for threads in thread_counts() {
        criterion.bench_function(&format!("elf/pread/{threads}"), |bencher| {
            bencher.iter(|| {
                share(
                    &pages,
                    threads,
                    || vec![0; PAGE],
                    |out, page| file.read_exact_at(out, start + page).unwrap(),
                );
            });
        });
        criterion.bench_function(&format!("elf/vmcore/{threads}"), |bencher| {
            bencher.iter(|| {
                share(
                    &pages,
                    threads,
                    || vec![0; PAGE],
                    |out, page| {
                        core.read_phys(PhysAddr(*page), out).unwrap();
                    },
                );
            });
        });
    }
    virtual_reads(criterion, cores, &kernel);
}

fn virtual_reads(criterion: &mut Criterion, cores: &Cores, kernel: &Kernel) {
    let memory = kernel.memory();
    let addresses = spread(cores.page_structs.clone(), READS);
    let physical: Vec<u64> = addresses
        .iter()
        .map(|at| memory.translate(VirtAddr(*at)).expect("mapped by page tables").0)
        .collect();
    criterion.bench_function("virtual/physical/1", |bencher| {
        bencher.iter(|| {
            share(
                &physical,
                1,
                || [0; STRUCT],
                |out, at| kernel.core().read_phys(PhysAddr(*at), out).unwrap(),
            );
        });
    });
    criterion.bench_function("virtual/tables/1", |bencher| {
        bencher.iter(|| {
            share(&addresses, 1, || [0; STRUCT], |out, at| memory.read_virt(VirtAddr(*at), out).unwrap());
        });
    });
}

/// File offset of physical address 0: the synthetic core has one segment for all of RAM, its second program header.
fn first_offset(file: &File) -> u64 {
    let mut header = [0; 64 + 2 * 56];
    file.read_exact_at(&mut header, 0).unwrap();
    let long = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().unwrap());
    let segment = 64 + 56;
    long(segment + 8) - long(segment + 24)
}
