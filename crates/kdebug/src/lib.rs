//! What a kernel's types and symbols are: struct layouts, enumerators, symbols and build-ids, read
//! from whatever a distribution ships. Knows nothing about memory images.
//!
//! ```
//! use kdebug::{Input, Types, Wanted};
//! use std::sync::Arc;
//!
//! // Usually a mapped vmlinux; here a hand-written ISF file.
//! let isf = r#"{
//!   "base_types": {"pointer": {"size": 8, "kind": "int", "signed": false, "endian": "little"},
//!                  "long": {"size": 8, "kind": "int", "signed": true, "endian": "little"}},
//!   "user_types": {
//!     "rchan_buf": {"size": 24, "kind": "struct", "fields": {
//!       "chan": {"offset": 0, "type": {"kind": "pointer", "subtype": {"kind": "struct", "name": "rchan"}}},
//!       "wait": {"offset": 8, "type": {"kind": "struct", "name": "list_head"}}}},
//!     "list_head": {"size": 16, "kind": "struct", "fields": {
//!       "next": {"offset": 0, "type": {"kind": "pointer", "subtype": {"kind": "struct", "name": "list_head"}}},
//!       "prev": {"offset": 8, "type": {"kind": "pointer", "subtype": {"kind": "struct", "name": "list_head"}}}}}},
//!   "symbols": {"relay_channels": {"address": 4096}}
//! }"#;
//! let wanted = Wanted {
//!     structs: vec!["rchan_buf".into(), "ltt_chanbuf".into()],
//!     symbols: vec!["relay_channels".into()],
//!     ..Wanted::default()
//! };
//! let types = Types::load(vec![Input::new("types.json", Arc::new(isf.as_bytes()))], &wanted)?;
//!
//! let buffer = &types.structs("rchan_buf")[0];
//! assert_eq!(buffer.member("wait.prev").map(|field| field.offset), Some(16));
//! assert_eq!(types.symbols("relay_channels")[0].value, 4096);
//! assert_eq!(types.missing().structs, ["ltt_chanbuf"]);
//! # Ok::<(), kdebug::Error>(())
//! ```
//!
//! # Model
//!
//! ```text
//! Input … ─┐              ┌─ structs(name) ─→ [Struct] ─ member("a.b") ─→ Field { offset, bits, ty }
//! Input … ─┼─ Types::load ┼─ symbols(name) ─→ [Symbol]
//! Input … ─┘   (Wanted)   ├─ enumerator(name), constant(name), build_id()
//!                         └─ sources(), missing()
//! ```
//!
//! * **Only what is wanted is read**, with all that it contains by value. Alternative names are listed
//!   side by side; what is nowhere is no error.
//! * **Several sources are one**: `vmlinux`, a separate debug file, modules, BTF, ISF in any mix.
//! * **Homonyms are kept.** C lets compile units define different structs and static variables of one
//!   name, and kernels do. A [`Struct`] knows the units that it was seen in, a local [`Symbol`] its own.
//! * **A layout is the same thing whatever it came from**: bit-fields are normalised to
//!   [`Bits`], qualifiers and typedefs are gone, but a typedef names the anonymous struct behind it.
//!
//! # Formats
//! DWARF 2 to 5 in ELF files of 32 and 64 bits and both byte orders, sections plain, compressed by
//! zlib or zstd or in the old `.zdebug` way; relocated if the file is an object (`.ko`). BTF, raw or as
//! a section, with the split BTF of modules, be it that these bring a distilled excerpt of the kernel's along. Volatility 3
//! [`isf`], which [`isf::write`] writes too.
//! Split DWARF (`.dwo`) and supplementary files (`dwz`) are refused with the name of what is missing.
//!
//! # Cost
//! The bytes are parsed in place; only compressed or relocated sections are copied. Reading DWARF of a
//! distribution kernel takes about a third of decoding all of it once, less with
//! [`Wanted::first_definition_only`]; BTF takes milliseconds. DWARF units are read in parallel, on the
//! rayon pool that [`Types::load`] is called in.
//!
//! # Threads
//! [`Types`] is immutable, `Send` and `Sync`; there is no global state.
//!
//! # Hostile input
//! Any bytes give a value or an [`Error`]; what is damaged within DWARF costs its compile unit and is one of
//! [`Types::warnings`]. References are followed a limited number of times, structs
//! nest to a limited depth and expand to a limited number of members, and no allocation is larger
//! than the file can justify.

mod assembly;
mod bits;
mod btf;
mod dwarf;
mod error;
mod identity;
mod image;
pub mod isf;
mod layers;
mod source;
mod symbols;
mod types;
mod wanted;

pub use error::{Error, Result};
pub use identity::Identity;
pub use layers::Types;
pub use source::{Endian, Input, SourceInfo, SourceKind, Symbol};
pub use types::{Bits, Field, Member, Struct, StructKind, Type};
pub use wanted::Wanted;
