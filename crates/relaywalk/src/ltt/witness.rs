//! Sub-buffer headers as proof that a page pointer was translated rightly.

use super::Kernel;
use super::tables::Container;
use crate::pages::Witness;
use crate::{PageList, PageRef, PhysAddr, VirtAddr};

/// A page in which a sub-buffer starts.
struct HeaderWitness<'a> {
    kernel: &'a Kernel<'a>,
    /// Offset of the sub-buffer in its page.
    within: u64,
    subbuffer_size: u64,
}

impl Witness for HeaderWitness<'_> {
    fn recognises(&self, addr: PhysAddr) -> Option<bool> {
        let target = self.kernel.target;
        let pages =
            PageList::new([PageRef::Phys(addr)].into(), target.page_size(), self.within, self.subbuffer_size);
        let mut answer = None;
        for shape in &self.kernel.types.headers {
            match shape.peek(target, &pages) {
                Ok(Some(_)) => return Some(true),
                Ok(None) => answer = Some(false),
                Err(()) => {}
            }
        }
        answer
    }
}

/// More witnesses make no verdict better.
const ENOUGH: u64 = 64;

/// Settles the kernel's memory model with the sub-buffers of one buffer, whose page pointers are in buffer order.
pub(crate) fn settle(kernel: &Kernel<'_>, container: &Container<'_>, pointers: &[Option<VirtAddr>]) -> bool {
    let page = kernel.target.page_size().max(1);
    let starts = (0..container.n_subbuffers.min(ENOUGH)).map(|i| i * container.subbuffer_size);
    let witnesses: Vec<(VirtAddr, HeaderWitness<'_>)> = starts
        .filter_map(|start| {
            let pointer =
                usize::try_from(start / page).ok().and_then(|i| pointers.get(i)).copied().flatten()?;
            let subbuffer_size = container.subbuffer_size;
            Some((pointer, HeaderWitness { kernel, within: start % page, subbuffer_size }))
        })
        .collect();
    let witnesses: Vec<(VirtAddr, &dyn Witness)> =
        witnesses.iter().map(|(pointer, witness)| (*pointer, witness as &dyn Witness)).collect();
    kernel.pages.prove(&witnesses)
}
