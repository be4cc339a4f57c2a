//! File formats: one file each, told apart by content.
//!
//! `flattened` is a filter below the others, and `split` a set of `kdump` files.

pub(crate) mod bitmap;
pub(crate) mod elf;
pub(crate) mod flattened;
pub(crate) mod foreign;
pub(crate) mod kdump;
pub(crate) mod kdump_header;
mod kind;
pub(crate) mod split;

pub use kind::{Format, FormatKind};
