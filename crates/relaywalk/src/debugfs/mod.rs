//! The debugfs of a dead kernel: its tree of directories and files, and which of the files are trace buffers.
//!
//! All of debugfs lives in the directory cache, so the tree found in memory is complete.

mod recognise;
mod root;
mod tree;
#[cfg(test)]
mod tree_tests;

pub(crate) use recognise::{FileKinds, STRUCTS as RECOGNISE_STRUCTS, SYMBOLS as RECOGNISE_SYMBOLS};
pub(crate) use root::{STRUCTS as ROOT_STRUCTS, SYMBOLS as ROOT_SYMBOLS};
pub use tree::{Entries, Entry, EntryKind, Tree, What};
