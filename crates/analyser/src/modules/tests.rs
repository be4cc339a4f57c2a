//! Modules of real kernels, and of ones made by hand in every shape.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on must fail")]

mod real;
