//! From kernel virtual to physical addresses.
//!
//! Translation is data: an [`AddressSpace`] is a few linear ranges, each verified, and the root and form of the kernel's
//! page tables for everything else. [`AddressSpace::locate`] finds them; how it did is in [`AddressSpace::explain`].
//!
//! | phase | file |
//! |---|---|
//! | what there is to go by: VMCOREINFO, registers, program headers, symbols | `clues.rs`, `registers.rs` |
//! | what the address space may look like then | `x86_64.rs`, `x86.rs`, `aarch64.rs`, `segments.rs` |
//! | which of these is true | `verify.rs` |
//! | the order of all this | `locate.rs` |
//! | searches of physical memory | `search.rs` |
//! | page tables of any form | `paging.rs`, `tlb.rs` |
//!
//! A new architecture is one file with an `Architecture` and one line in
//! `architecture.rs`. Machines without one are served by the program headers of an ELF core, where these carry virtual
//! addresses.

mod aarch64;
mod architecture;
mod clues;
#[cfg(test)]
mod fake;
mod locate;
mod paging;
mod regions;
pub(crate) mod registers;
#[cfg(test)]
mod scenarios;
mod search;
mod segments;
mod space;
mod tlb;
mod verify;
mod x86;
mod x86_64;

pub use clues::Hints;
pub use search::find_vmcoreinfo;
pub use space::AddressSpace;
