//! Types and symbols as JSON: the *intermediate symbol format* of Volatility 3.
//!
//! Small files of this kind stand in for debug information of hundreds of megabytes, and are easy to
//! write by hand for tests. Understood beyond the original:
//!
//! * `NAME@unit` as the name of a struct or a symbol: the definition in compile unit or module `unit`, where
//!   several units define the name differently; `NAME@unit,unit` in each of these. Types of one unit refer to each
//!   other that way. The plain name is a definition of unknown unit. A unit that begins with `?` is none, but tells
//!   keys apart; one of 16 hexadecimal digits says that the struct is only meant to be referred to by others.
//! * `module:.section` as the `linkage_name` of a symbol: one of a module, whose address is the offset in that section.
//! * `metadata.build_id`: the kernel's build-id in hexadecimal digits; `metadata.modules`: those of modules by name.
//!
//! Anonymous structs are named `unnamed_…`, and an array of count 0 is a flexible one.

mod json;
mod read;
mod write;

pub(crate) use read::{is_isf, load};
pub(crate) use write::hex;
pub use write::write;
