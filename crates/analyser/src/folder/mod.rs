//! What traces of every family have in common on disk: a directory tree that is read without ever leaving it.

mod file;
mod other;
mod refused;
mod tree;

pub use file::OpenTracefile;
pub use other::{Other, OtherKind};
pub use refused::{Refused, RefusedKind};
pub(crate) use tree::{Found, Tree};
