//! The bodies of the fuzz targets: for each parser of hostile bytes one function that takes any bytes and must return.
//!
//! They live here rather than in `fuzz/` so that the same code runs twice: under libFuzzer (nightly, `cargo xtask fuzz`),
//! and over everything in `fuzz/corpus` in `tests/replay.rs`, with the stable toolchain, at every change.
//!
//! | target | what the bytes are |
//! |---|---|
//! | [`elf`] | an ELF core |
//! | [`kdump`] | a kdump-compressed core, as [pieces](Input::pieces) at offsets of a file of zeros |
//! | [`flattened`] | the records of a flattened core, without its head |
//! | [`split`] | two kdump-compressed cores, as for `kdump`, of one set |
//! | [`notes`] | the note segment of an ELF core |
//! | [`vmcoreinfo`] | VMCOREINFO text |
//! | [`translation`] | processor, symbols, notes and pages of a dead machine |
//! | [`page`] | codec, lengths, a compressed page |
//! | [`dwarf`] | an ELF file with debug information |
//! | [`btf`] | BTF of a kernel and of a module |
//! | [`isf`] | ISF JSON |
//! | [`ltt_header`] | a sub-buffer that is to be completed |
//! | [`ltt_events`] | metadata, a sub-buffer and what the counters say |
//! | [`ltt_format`] | marker formats and a payload |
//! | [`ltt_scan`] | a trace file |
//! | [`ctf_metadata`] | a metadata file |
//! | [`ctf_tsdl`] | its text |
//! | [`ctf_events`] | metadata and a packet |
//! | [`ctf_scan`] | metadata and a data file |
//! | [`ctf_index`] | an index file |
//! | [`extraction`] | edits of a good core with LTTng 0.x traces and its types |
//! | [`sessions`] | the same with LTTng 2.x sessions |
//!
//! A body asserts what its parser promises beyond not panicking: lengths within bounds, orders kept, round trips. Time and
//! memory are bounded by libFuzzer's limits, and by those of the replay.
//!
//! `cargo run -p fuzzing --example seeds` writes the first inputs again.

mod core_file;
mod ctf;
mod debug_information;
mod edits;
mod extraction;
mod input;
mod ltt;
mod page;
mod sessions;
mod translation;

pub use core_file::{elf, flattened, kdump, notes, split, vmcoreinfo};
pub use ctf::{ctf_events, ctf_index, ctf_metadata, ctf_scan, ctf_tsdl};
pub use debug_information::{btf, dwarf, isf};
pub use extraction::extraction;
pub use input::Input;
pub use ltt::{ltt_events, ltt_format, ltt_header, ltt_scan};
pub use page::page;
pub use sessions::sessions;
pub use translation::translation;

/// A body.
pub type Body = fn(&[u8]);

/// Every target by the name of its file in `fuzz/fuzz_targets` and its folder in `fuzz/corpus`.
pub const TARGETS: &[(&str, Body)] = &[
    ("elf", elf),
    ("kdump", kdump),
    ("flattened", flattened),
    ("split", split),
    ("notes", notes),
    ("vmcoreinfo", vmcoreinfo),
    ("translation", translation),
    ("page", page),
    ("dwarf", dwarf),
    ("btf", btf),
    ("isf", isf),
    ("ltt_header", ltt_header),
    ("ltt_events", ltt_events),
    ("ltt_format", ltt_format),
    ("ltt_scan", ltt_scan),
    ("ctf_metadata", ctf_metadata),
    ("ctf_tsdl", ctf_tsdl),
    ("ctf_events", ctf_events),
    ("ctf_scan", ctf_scan),
    ("ctf_index", ctf_index),
    ("extraction", extraction),
    ("sessions", sessions),
];
