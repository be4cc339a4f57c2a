//! One-shot, allocation-free decoding of the compressed pages and sections found in kernel cores
mod error;
pub use error::{Codec, CodecError};
