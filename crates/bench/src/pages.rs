//! Decoding the pages of kdump-compressed files, against a bare loop over each codec's library.
//!
//! The bare loop has the streams in memory and knows where each is. The subject is the whole way that the program goes:
//! bitmap, descriptor, bytes of the file, decoding.

use codec::{Codec, PageDecoder};
use criterion::Criterion;
use vmcore::{OpenOptions, PhysAddr, PhysMemory as _, Vmcore};

use crate::cores::{CODECS, Cores};
use crate::share::{share, thread_counts};
use crate::stored::{PAGE, Stored};

/// Pages decoded in one iteration: 16 MiB.
pub const PAGES: usize = 4096;

/// The libraries' own decoders, kept by a thread.
struct Bare {
    zlib: libdeflater::Decompressor,
    snappy: snap::raw::Decoder,
    zstd: zstd_safe::DCtx<'static>,
    page: Vec<u8>,
}

impl Bare {
    fn new() -> Bare {
        Bare {
            zlib: libdeflater::Decompressor::new(),
            snappy: snap::raw::Decoder::new(),
            zstd: zstd_safe::DCtx::create(),
            page: vec![0; PAGE],
        }
    }

    fn decode(&mut self, codec: Codec, stream: &[u8]) {
        let len = match codec {
            Codec::Raw => unreachable!("raw pages are not measured"),
            Codec::Zlib => self.zlib.zlib_decompress(stream, &mut self.page).unwrap(),
            Codec::Lzo => lzallright::decompress(stream, &mut self.page).unwrap(),
            Codec::Snappy => self.snappy.decompress(stream, &mut self.page).unwrap(),
            Codec::Zstd => self.zstd.decompress(&mut self.page[..], stream).unwrap(),
        };
        assert_eq!(len, PAGE);
    }
}

/// Ids: `pages/CODEC/bare/THREADS`, `pages/CODEC/codec/THREADS` (the crate `codec` alone), `pages/CODEC/vmcore/THREADS`.
pub fn bench(criterion: &mut Criterion, cores: &Cores) {
    for codec in CODECS {
        let path = cores.kdump(codec);
        let stored = Stored::read(&path, codec, PAGES).unwrap();
        let core = Vmcore::open(&[&path], &OpenOptions::default()).unwrap();
        eprintln!("{}: {} pages, {:.2} of their size", path.display(), stored.pages.len(), stored.ratio());
        check(codec, &stored, &core);
        for threads in thread_counts() {
            criterion.bench_function(&format!("pages/{codec}/bare/{threads}"), |bencher| {
                bencher.iter(|| {
                    share(&stored.pages, threads, Bare::new, |bare, page| {
                        bare.decode(codec, stored.stream(page))
                    });
                });
            });
            criterion.bench_function(&format!("pages/{codec}/codec/{threads}"), |bencher| {
                bencher.iter(|| {
                    let state = || (PageDecoder::new(), vec![0; PAGE]);
                    share(&stored.pages, threads, state, |(decoder, out), page| {
                        decoder.decode(codec, stored.stream(page), out).unwrap();
                    });
                });
            });
            criterion.bench_function(&format!("pages/{codec}/vmcore/{threads}"), |bencher| {
                bencher.iter(|| {
                    share(
                        &stored.pages,
                        threads,
                        || vec![0; PAGE],
                        |out, page| {
                            core.read_phys(PhysAddr(page.address), out).unwrap();
                        },
                    );
                });
            });
        }
    }
}

/// Both sides decode the same pages to the same bytes.
fn check(codec: Codec, stored: &Stored, core: &Vmcore) {
    let mut bare = Bare::new();
    let mut out = vec![0; PAGE];
    for page in &stored.pages {
        bare.decode(codec, stored.stream(page));
        core.read_phys(PhysAddr(page.address), &mut out).unwrap();
        assert!(out == bare.page, "{codec}: the page at {:#x} differs", page.address);
    }
}
