//! TSDL, the language of CTF 1.8 metadata: text to declared types.
//!
//! Covers what LTTng 2.0 to 2.13 write, and the parts of the language that belong to it: aliases, nested and named
//! definitions, scalars with all attributes, structures, variants with tags by path, arrays and sequences, enumerations.
//! Left out: `const` has no effect; pointers, values by expression and type names for whole variants by `typealias … := …`
//! of pointers do not exist in traces.
//!
//! The text is untrusted: nesting is bounded, cost is linear in the text, and a type that would take more steps than bits to
//! read is refused.

mod attribute;
mod blocks;
mod lexer;
mod parser;
mod scalar;
mod scope;
pub(super) mod types;
mod weight;

pub(super) use blocks::{Declarations, EventDeclaration, StreamDeclaration};
pub(super) use types::Type;
