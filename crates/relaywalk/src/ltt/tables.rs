//! Which pages make up each sub-buffer of one buffer: one reading for each era's page container.

use std::sync::Arc;

use super::Kernel;
use super::types::{Era, Position};
use super::{era_a, era_b, era_unknown, era_z};
use crate::mirror::Image;
use crate::{Damage, PageList, PageRef, VirtAddr};

/// The pages of one buffer.
#[derive(Clone, Debug)]
pub(crate) struct Tables {
    /// Pages of each slot of the ring.
    pub(crate) writer: Vec<PageList>,
    /// The reader's own sub-buffer, where readers exchange pages with the ring.
    pub(crate) reader: Option<ReaderTable>,
}

/// Pages that a reader exchanges with the ring.
#[derive(Clone, Debug)]
pub(crate) struct ReaderTable {
    pub(crate) pages: PageList,
    /// Whether a reader holds them: between get and put.
    pub(crate) held: bool,
}

/// A buffer whose pages are wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Container<'a> {
    /// Address of the structure that holds the pages.
    pub(crate) addr: VirtAddr,
    /// Its content.
    pub(crate) image: &'a Image,
    /// Its definition, where the position structure contains the page container.
    pub(crate) position: Option<&'a Position>,
    pub(crate) subbuffer_size: u64,
    pub(crate) n_subbuffers: u64,
    /// Whether readers exchange pages.
    pub(crate) exchange: bool,
}

impl Container<'_> {
    pub(crate) fn size(&self) -> u64 {
        self.subbuffer_size * self.n_subbuffers
    }
}

/// Pages of a buffer; what is lost of them goes to `damage`.
pub(crate) fn read(kernel: &Kernel<'_>, container: &Container<'_>, damage: &mut Vec<Damage>) -> Tables {
    match kernel.types.era {
        Era::Z => era_z::tables(kernel, container, damage),
        Era::A => era_a::tables(kernel, container, damage),
        Era::Unknown => era_unknown::tables(kernel, container, damage),
        Era::B | Era::C => era_b::tables(kernel, container, damage),
    }
}

/// Cuts the pages of a whole buffer, in order, into sub-buffers.
pub(crate) fn cut(kernel: &Kernel<'_>, container: &Container<'_>, pages: Vec<PageRef>) -> Tables {
    let page = kernel.target.page_size();
    let pages: Arc<[PageRef]> = pages.into();
    let slice = |i: u64| {
        let start = i * container.subbuffer_size;
        let first = usize::try_from(start / page).unwrap_or(usize::MAX);
        let last = usize::try_from((start + container.subbuffer_size).div_ceil(page)).unwrap_or(usize::MAX);
        let pages = pages.get(first..last.min(pages.len())).unwrap_or_default();
        PageList::new(pages.into(), page, start % page, container.subbuffer_size)
    };
    Tables { writer: (0..container.n_subbuffers).map(slice).collect(), reader: None }
}

/// Pages that a buffer of `size` bytes has.
pub(crate) fn page_total(kernel: &Kernel<'_>, size: u64) -> u64 {
    size.div_ceil(kernel.target.page_size().max(1))
}

/// Places of page pointers, by the kernel's memory model, once that is settled by headers among them.
pub(crate) fn places(
    kernel: &Kernel<'_>,
    container: &Container<'_>,
    pointers: &[Option<VirtAddr>],
) -> Vec<PageRef> {
    kernel.settle(container, pointers);
    let place = |pointer: &Option<VirtAddr>| pointer.and_then(|pointer| kernel.pages.resolve(pointer));
    pointers.iter().map(|pointer| place(pointer).map_or(PageRef::Missing, PageRef::Phys)).collect()
}
