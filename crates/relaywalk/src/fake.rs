//! A kernel made of bytes, for tests: memory page by page, layouts member by member, symbols one by one.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::{
    Abi, Endian, Kind, Layout, Member, PhysAddr, ReadError, ReadErrorKind, Symbol, Target, VirtAddr, WordSize,
};

pub(crate) const PAGE: u64 = 4096;

/// Memory, symbols and layouts of a machine that never was.
pub(crate) struct Fake {
    pub(crate) abi: Abi,
    pages: BTreeMap<u64, Vec<u8>>,
    /// Virtual page to physical page, outside the direct map.
    mapped: HashMap<u64, u64>,
    symbols: HashMap<String, Vec<Symbol>>,
    layouts: HashMap<String, Vec<Arc<Layout>>>,
    pub(crate) constants: HashMap<String, u64>,
    next: u64,
}

impl Fake {
    pub(crate) fn new(word: WordSize, endian: Endian) -> Fake {
        Fake {
            abi: Abi { endian, word },
            pages: BTreeMap::new(),
            mapped: HashMap::new(),
            symbols: HashMap::new(),
            layouts: HashMap::new(),
            constants: HashMap::new(),
            next: 0x10_0000,
        }
    }

    pub(crate) fn word(&self) -> u64 {
        self.abi.word_bytes()
    }

    /// Base of the direct map.
    pub(crate) fn direct(&self) -> u64 {
        if self.word() == 8 { 0xffff_8800_0000_0000 } else { 0xc000_0000 }
    }

    /// Fresh zeroed memory in the direct map, at the start of a page.
    pub(crate) fn alloc(&mut self, size: u64) -> VirtAddr {
        let at = self.next;
        self.next += size.max(1).next_multiple_of(PAGE);
        for page in (at..self.next).step_by(4096) {
            self.pages.insert(page / PAGE, vec![0; 4096]);
        }
        VirtAddr(self.direct() + at)
    }

    /// Takes the page at `addr` out of the core.
    pub(crate) fn remove_page(&mut self, addr: VirtAddr) {
        self.pages.remove(&((addr.0 - self.direct()) / PAGE));
    }

    /// Maps one page at a virtual address outside the direct map.
    pub(crate) fn map(&mut self, virt: VirtAddr, page: VirtAddr) {
        self.mapped.insert(virt.0 / PAGE, (page.0 - self.direct()) / PAGE);
    }

    pub(crate) fn symbol(&mut self, name: &str, addr: VirtAddr) {
        self.symbols.entry(name.into()).or_default().push(Symbol { addr: addr.0, unit: None });
    }

    /// Defines a structure: members of the given sizes one behind the other, with a hole in front.
    pub(crate) fn define(&mut self, name: &str, units: &[&str], members: &[(&str, u64, Kind)]) {
        let mut offset = self.word();
        let mut map = BTreeMap::new();
        for (path, size, kind) in members {
            offset = offset.next_multiple_of((*size).clamp(1, self.word()));
            map.insert((*path).to_string(), Member { offset, size: *size, bits: None, kind: kind.clone() });
            offset += size;
        }
        let units = units.iter().map(ToString::to_string).collect();
        let layout = Layout {
            name: name.into(),
            size: offset.next_multiple_of(self.word()) + self.word(),
            units,
            members: map,
        };
        self.layouts.entry(name.into()).or_default().push(Arc::new(layout));
    }

    /// Defines a structure exactly.
    pub(crate) fn define_at(&mut self, name: &str, size: u64, members: &[(&str, u64, u64)]) {
        let member = |&(path, offset, size): &(&str, u64, u64)| {
            let kind = Kind::Int { signed: false };
            (path.to_string(), Member { offset, size, bits: None, kind })
        };
        let layout = Layout {
            name: name.into(),
            size,
            units: Vec::new(),
            members: members.iter().map(member).collect(),
        };
        self.layouts.entry(name.into()).or_default().push(Arc::new(layout));
    }

    /// Turns the order of a structure's definitions round and forgets which units they come from.
    pub(crate) fn shuffle(&mut self, name: &str) {
        let layouts = self.layouts.get_mut(name).expect("a defined structure");
        layouts.reverse();
        for layout in layouts {
            *layout = Arc::new(Layout { units: Vec::new(), ..(**layout).clone() });
        }
    }

    pub(crate) fn layouts_has(&self, name: &str) -> bool {
        self.layouts.contains_key(name)
    }

    pub(crate) fn size_of(&self, name: &str) -> u64 {
        self.layouts[name][0].size
    }

    pub(crate) fn offset_of(&self, name: &str, member: &str) -> u64 {
        self.layouts[name][0].members.get(member).unwrap_or_else(|| panic!("{name}.{member}")).offset
    }

    /// Fresh memory for one structure.
    pub(crate) fn object(&mut self, name: &str) -> VirtAddr {
        self.alloc(self.size_of(name))
    }

    pub(crate) fn write(&mut self, addr: VirtAddr, bytes: &[u8]) {
        for (i, byte) in bytes.iter().enumerate() {
            let phys = addr.0 + i as u64 - self.direct();
            let page = self.pages.get_mut(&(phys / PAGE)).expect("writes go to allocated memory");
            page[usize::try_from(phys % PAGE).unwrap()] = *byte;
        }
    }

    pub(crate) fn put(&mut self, addr: VirtAddr, size: u64, value: u64) {
        let little = value.to_le_bytes();
        let mut bytes = little[..usize::try_from(size).unwrap()].to_vec();
        if self.abi.endian == Endian::Big {
            bytes.reverse();
        }
        self.write(addr, &bytes);
    }

    pub(crate) fn put_word(&mut self, addr: VirtAddr, value: u64) {
        self.put(addr, self.word(), value);
    }

    pub(crate) fn get_word(&self, addr: VirtAddr) -> u64 {
        crate::memory::word(self, addr).unwrap()
    }

    /// Sets a member of a structure, by its first definition.
    pub(crate) fn set(&mut self, addr: VirtAddr, name: &str, member: &str, value: u64) {
        let found =
            self.layouts[name][0].members.get(member).unwrap_or_else(|| panic!("{name}.{member}")).clone();
        self.put(addr.offset(found.offset), found.size, value);
    }

    pub(crate) fn set_text(&mut self, addr: VirtAddr, name: &str, member: &str, text: &str) {
        let offset = self.offset_of(name, member);
        self.write(addr.offset(offset), text.as_bytes());
    }

    /// A string somewhere.
    pub(crate) fn text(&mut self, text: &str) -> VirtAddr {
        let at = self.alloc(text.len() as u64 + 1);
        self.write(at, text.as_bytes());
        at
    }

    /// Links the nodes into a ring through `head`.
    pub(crate) fn link(&mut self, head: VirtAddr, nodes: &[VirtAddr]) {
        let ring: Vec<VirtAddr> = std::iter::once(head).chain(nodes.iter().copied()).collect();
        for (i, node) in ring.iter().enumerate() {
            let next = ring[(i + 1) % ring.len()];
            self.put_word(*node, next.0);
            self.put_word(next.offset(self.word()), node.0);
        }
    }

    fn phys(&self, addr: u64) -> Option<u64> {
        if let Some(page) = self.mapped.get(&(addr / PAGE)) {
            return Some(page * PAGE + addr % PAGE);
        }
        addr.checked_sub(self.direct()).filter(|phys| *phys < 1 << 28)
    }
}

impl Target for Fake {
    fn abi(&self) -> Abi {
        self.abi
    }

    fn page_size(&self) -> u64 {
        PAGE
    }

    fn read_virt(&self, addr: VirtAddr, buf: &mut [u8]) -> Result<(), ReadError> {
        let mut at = addr.0;
        for byte in buf.iter_mut() {
            let phys = self.phys(at).ok_or(ReadError { addr: at, kind: ReadErrorKind::NotMapped })?;
            self.read_phys(PhysAddr(phys), std::slice::from_mut(byte))?;
            at = at.wrapping_add(1);
        }
        Ok(())
    }

    fn read_phys(&self, addr: PhysAddr, buf: &mut [u8]) -> Result<(), ReadError> {
        for (i, byte) in buf.iter_mut().enumerate() {
            let at = addr.0.wrapping_add(i as u64);
            let page =
                self.pages.get(&(at / PAGE)).ok_or(ReadError { addr: at, kind: ReadErrorKind::Absent })?;
            *byte = page[usize::try_from(at % PAGE).unwrap()];
        }
        Ok(())
    }

    fn virt_to_phys(&self, addr: VirtAddr) -> Result<PhysAddr, ReadError> {
        self.phys(addr.0).map(PhysAddr).ok_or(ReadError { addr: addr.0, kind: ReadErrorKind::NotMapped })
    }

    fn symbols(&self, name: &str) -> Vec<Symbol> {
        self.symbols.get(name).cloned().unwrap_or_default()
    }

    fn layouts(&self, name: &str) -> Vec<Arc<Layout>> {
        self.layouts.get(name).cloned().unwrap_or_default()
    }

    fn constant(&self, name: &str) -> Option<u64> {
        self.constants.get(name).copied()
    }
}
