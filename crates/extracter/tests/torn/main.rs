//! Torn traces of every format, word size and byte order, with every kind of damage that a crash does to them: all of it is found,
//! with file and offset, and repaired as specified; nothing whole is ever cut, and what the core still holds is added.
//!
//! What is right comes from `synth`, which planted both the core and the torn directory, and shares no layout code with what is
//! tested here.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

mod events;
mod judge;
mod lab;
mod layouts;
mod merged;
mod metadata;
mod prefix;
mod scan;
