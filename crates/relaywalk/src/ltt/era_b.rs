//! Eras B and C: a page table for each sub-buffer, exchanged with the reader's own in flight-recorder mode.

use std::sync::Arc;

use super::Kernel;
use super::tables::{Container, ReaderTable, Tables, page_total};
use crate::memory;
use crate::mirror::{Image, Mirror};
use crate::{Damage, Member, PageList, PageRef, VirtAddr};

/// Bit 0 of a table pointer: no writer owns it (writer's slots), no reader holds it (reader's).
const NOREF: u64 = 1;

/// Members of the page container, whichever structure holds it.
struct Members<'a> {
    writer: &'a Member,
    reader: Option<&'a Member>,
    flat: Option<&'a Member>,
    flat_virt: Option<&'a Member>,
    page_count: Option<&'a Member>,
}

/// By the page tables; a table that cannot be read is found by elimination in the flat array of all pages.
pub(crate) fn tables(kernel: &Kernel<'_>, container: &Container<'_>, damage: &mut Vec<Damage>) -> Tables {
    let nothing = || {
        let pages = PageList::new(Arc::default(), kernel.target.page_size(), 0, container.subbuffer_size);
        Tables { writer: vec![pages; usize::try_from(container.n_subbuffers).unwrap_or(0)], reader: None }
    };
    let Some(members) = members(kernel, container) else { return nothing() };
    let image = container.image;
    let slots = match slots(kernel, container, members.writer) {
        Ok(slots) => slots,
        Err(loss) => {
            damage.push(loss);
            return nothing();
        }
    };
    let mut tables: Vec<Option<Arc<[PageRef]>>> =
        slots.iter().map(|&slot| table(kernel, container, slot, damage)).collect();
    let reader =
        members.reader.filter(|_| container.exchange).and_then(|reader| image.maybe_pointer(Some(reader)));
    let mut reader_table = reader.map(|reader| (reader, table(kernel, container, reader, damage)));

    let known: Vec<Arc<[PageRef]>> =
        tables.iter().chain(reader_table.as_ref().map(|(_, table)| table)).flatten().cloned().collect();
    let lost = tables.iter().filter(|table| table.is_none()).count()
        + reader_table.as_ref().map_or(0, |(_, table)| usize::from(table.is_none()));
    if lost == 1 {
        let found = unused_run(kernel, container, image, &members, &known);
        let gap = tables
            .iter_mut()
            .chain(reader_table.as_mut().map(|(_, table)| table))
            .find(|table| table.is_none());
        if let (Some(gap), Some(found)) = (gap, found) {
            *gap = Some(found);
        }
    }
    let page_size = kernel.target.page_size();
    let list = |table: Option<Arc<[PageRef]>>| {
        PageList::new(table.unwrap_or_default(), page_size, 0, container.subbuffer_size)
    };
    Tables {
        writer: tables.into_iter().map(list).collect(),
        reader: reader_table
            .map(|(pointer, table)| ReaderTable { pages: list(table), held: pointer.0 & NOREF == 0 }),
    }
}

fn members<'a>(kernel: &'a Kernel<'_>, container: &Container<'a>) -> Option<Members<'a>> {
    if let (None, Some(buf)) = (container.position, &kernel.types.rchan_buf) {
        return Some(Members {
            writer: buf.writer.as_ref()?,
            reader: buf.reader.as_ref(),
            flat: buf.flat.as_ref(),
            flat_virt: buf.flat_virt.as_ref(),
            page_count: Some(&buf.page_count),
        });
    }
    let buf = container.position?;
    Some(Members {
        writer: buf.writer.as_ref()?,
        reader: buf.reader.as_ref(),
        flat: buf.flat.as_ref(),
        flat_virt: buf.flat_virt.as_ref(),
        page_count: buf.nr_pages.as_ref(),
    })
}

/// Table pointers of the writer's slots, flag bits included.
fn slots(kernel: &Kernel<'_>, container: &Container<'_>, writer: &Member) -> Result<Vec<VirtAddr>, Damage> {
    let place = "page tables of the ring";
    let lacking = crate::Cause::MissingType { name: "struct chanbuf_sb|rchan_sb".into() };
    let shape = kernel.types.table.as_ref().ok_or_else(|| Damage::new(place, container.addr, lacking))?;
    let array = container.image.pointer(writer).map_err(|cause| Damage::new(place, container.addr, cause))?;
    let stride = shape.layout().size;
    let bytes = memory::array(kernel.target, array, container.n_subbuffers, stride);
    let bytes = bytes.map_err(|error| Damage::new(place, array, error))?;
    let abi = kernel.target.abi();
    let pointer = |i: u64| abi.word(&bytes, i * stride + shape.pages.offset).unwrap_or(0);
    Ok((0..container.n_subbuffers).map(|i| VirtAddr(pointer(i))).collect())
}

/// Places of the pages that a table names.
fn table(
    kernel: &Kernel<'_>,
    container: &Container<'_>,
    pointer: VirtAddr,
    damage: &mut Vec<Damage>,
) -> Option<Arc<[PageRef]>> {
    let shape = kernel.types.entry.as_ref()?;
    let addr = VirtAddr(pointer.0 & !NOREF);
    let count = page_total(kernel, container.subbuffer_size);
    let stride = shape.layout().size;
    let bytes = match memory::array(kernel.target, addr, count, stride) {
        Ok(bytes) => bytes,
        Err(error) => {
            damage.push(Damage::new("page table of a sub-buffer", addr, error));
            return None;
        }
    };
    let abi = kernel.target.abi();
    let word = |i: u64, member: &Member| VirtAddr(abi.word(&bytes, i * stride + member.offset).unwrap_or(0));
    Some((0..count).map(|i| page(kernel, word(i, &shape.virt), word(i, &shape.page))).collect())
}

/// The stored direct-map address if it translates, else the page pointer by the memory model.
fn page(kernel: &Kernel<'_>, virt: VirtAddr, page: VirtAddr) -> PageRef {
    if !virt.is_null() && kernel.target.virt_to_phys(virt).is_ok() {
        return PageRef::Virt(virt);
    }
    kernel.pages.resolve(page).map_or(PageRef::Missing, PageRef::Phys)
}

/// The one run of pages in the flat array of all pages that no table names. The flat array lists every sub-buffer's pages in
/// the order of their allocation, the reader's last, and a table always names a whole run.
fn unused_run(
    kernel: &Kernel<'_>,
    container: &Container<'_>,
    image: &Image,
    members: &Members<'_>,
    known: &[Arc<[PageRef]>],
) -> Option<Arc<[PageRef]>> {
    let per_table = page_total(kernel, container.subbuffer_size);
    let runs = container.n_subbuffers + u64::from(container.exchange);
    let total = runs.checked_mul(per_table)?;
    if image.uint(members.page_count?).ok()? != total {
        return None;
    }
    let virt = memory::words(kernel.target, image.pointer(members.flat_virt?).ok()?, total).ok()?;
    let pages =
        members.flat.and_then(|flat| memory::words(kernel.target, image.pointer(flat).ok()?, total).ok());
    let pages = pages.unwrap_or_else(|| vec![0; virt.len()]);
    let all: Vec<PageRef> =
        virt.iter().zip(&pages).map(|(&v, &p)| page(kernel, VirtAddr(v), VirtAddr(p))).collect();
    let mut unused = all
        .chunks(usize::try_from(per_table).ok()?)
        .filter(|run| !known.iter().any(|table| **table == **run));
    let found = unused.next()?;
    unused.next().is_none().then(|| found.into())
}
