//! Traces of LTT 0.x: records of sub-buffers, metadata among them.

pub(crate) mod core;
mod metadata;
pub(crate) mod plan;
mod sequence;
mod streams;
