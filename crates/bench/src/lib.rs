//! Measurements of speed and memory, each against a bare baseline of the same run.
//!
//! A time alone says how fast a machine is. A ratio to what the machine can do at best (the codec's own library, `cp`,
//! `pread`, a bare pass over DWARF) says how good the program is, and is the same tomorrow and elsewhere. So every
//! measurement comes with its baseline, in the same process on the same bytes.
//!
//! ```text
//!   Cores (synthetic, written anew)   vmlinux (given or fetched)
//!        │                                │
//!        ├─► pages, memory, extract,      ├─► layouts
//!        │   disk                         │   sessions, ctf (synthetic, and a real trace repeated)
//!        │                                │
//!        └──────────────► criterion ◄─────┘        child processes ─► resident
//!                             │                                          │
//!                           Times ──────────► report ◄───────────────────┘
//! ```
//!
//! `cargo xtask bench --help` tells how to run it; `docs/performance.md` has the results and what they mean.
#![allow(
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a measurement that cannot be made, or that would measure a wrong result, must stop loudly"
)]

pub mod cores;
pub mod ctf;
pub mod disk;
pub mod extract;
pub mod layouts;
pub mod machine;
pub mod memory;
pub mod pages;
pub mod report;
pub mod resident;
pub mod sessions;
pub mod share;
pub mod stored;
pub mod times;
pub mod vmlinux;
