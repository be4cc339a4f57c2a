//! Pages of a buffer: where each lies, and how a `struct page *` becomes a page frame number.

mod list;

pub use list::{Hole, PageList, PageRef};
