//! Traces of LTTng 2.x that a crash tore, repaired and joined with what the core holds: synthetic ones of every release.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

mod damage;
mod files;
mod judge;
mod lab;
mod metadata;
mod prefix;
mod torn;
