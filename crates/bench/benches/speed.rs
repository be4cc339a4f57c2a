//! The same measurements under `cargo bench`, one by one, with criterion's own options and statistics.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macros; a measurement that fails stops loudly"
)]

use bench::cores::Cores;
use bench::disk::{self, Disk};
use bench::{extract, memory, pages};
use criterion::{Criterion, criterion_group, criterion_main};

fn all(criterion: &mut Criterion) {
    let cores = Cores::write(&std::env::temp_dir(), 1024, 32).unwrap();
    pages::bench(criterion, &cores);
    memory::bench(criterion, &cores);
    extract::bench(criterion, &cores);
    disk::bench(criterion, &Disk::write(&cores, cores.directory()));
}

criterion_group! {
    name = speed;
    config = Criterion::default().sample_size(10);
    targets = all
}
criterion_main!(speed);
