//! Writer's and reader's page tables of eras B and C.

use crate::place::Site;
use crate::ring::Ring;

pub(crate) struct Tables {
    pub(crate) writer: u64,
    /// Pointer of the reader's sub-buffer, flag included.
    pub(crate) reader: u64,
    pub(crate) virt: u64,
    pub(crate) pages: u64,
    pub(crate) count: u64,
}

/// Places all pages of a ring. `aliased` = without a reader's sub-buffer its pointer repeats the writer's first table.
pub(crate) fn place_tables(site: &mut Site, ring: &Ring, element: &str, aliased: bool) -> Tables {
    let word = site.space.abi().word;
    let stride = site.space.types.get(element).size;
    let per_table = (ring.rules.sb / site.space.facts.page_size()).max(1);
    let count = per_table * ring.tables.len() as u64;
    let virt = site.space.kmalloc(count * word);
    let pages = site.space.kmalloc(count * word);
    let mut pointers = Vec::new();
    for (t, table) in ring.tables.iter().enumerate() {
        let array = site.space.kmalloc(per_table * stride);
        for (i, pfn) in site.scatter(&table.bytes).into_iter().enumerate() {
            let va = site.space.facts.direct(pfn << site.space.facts.page_shift);
            let page = site.pages.page(&mut site.space, pfn, 0);
            let at = array + i as u64 * stride;
            site.space.set(at, element, "virt", va);
            site.space.set(at, element, "page", page);
            let flat = (t as u64 * per_table + i as u64) * word;
            site.space.put_word(virt + flat, va);
            site.space.put_word(pages + flat, page);
        }
        // Bit 0 says that no writer refers to the table; without an exchange nobody uses it.
        pointers.push(array | u64::from(ring.rules.exchange && table.noref));
    }
    let writer = site.space.kmalloc(ring.rules.n * word);
    for (i, t) in ring.wsb.iter().enumerate() {
        site.space.put_word(writer + i as u64 * word, pointers[*t]);
    }
    let reader = match ring.rsb {
        Some(t) => pointers[t],
        None if aliased => pointers[0],
        None => 0,
    };
    Tables { writer, reader, virt, pages, count }
}
