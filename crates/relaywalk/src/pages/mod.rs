//! Pages of a buffer: where each lies, and how a `struct page *` becomes a page frame number.

mod list;
mod model;

pub use list::{Hole, PageList, PageRef};
pub(crate) use model::{PageMap, STRUCTS, SYMBOLS, Witness};
