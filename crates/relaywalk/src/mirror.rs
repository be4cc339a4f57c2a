//! Mirrors of kernel structures: each walker declares once which structures and members it needs, under all the names that
//! history gave them. Offsets are then resolved once per kernel, and a structure is read by one memory read.
//!
//! Nothing here looks at a kernel version: the first name of a member that the debug information knows is the right one.

use std::ops::Range;
use std::sync::Arc;

use crate::{Abi, Cause, Layout, Member, ReadError, ReadErrorKind, Target, VirtAddr};

/// The largest structure that is read whole; beyond it the debug information is wrong. (The largest real one embeds an array
/// over all possible CPUs.)
const MAX_STRUCT: u64 = 4 << 20;

/// A structure with its members resolved.
pub(crate) trait Mirror: Sized {
    /// Names that the structure has had, newest first.
    const NAMES: &'static [&'static str];

    /// Resolves the members in one definition; the name of the first missing one otherwise.
    fn resolve(layout: &Arc<Layout>) -> Result<Self, String>;

    /// The definition used.
    fn layout(&self) -> &Layout;

    /// Reads the whole structure at `addr`.
    fn read(&self, target: &dyn Target, addr: VirtAddr) -> Result<Image, ReadError> {
        Image::read(target, addr, self.layout().size)
    }
}

/// What a mirror asks the debug information for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Declaration {
    /// Names of the structure.
    pub(crate) names: &'static [&'static str],
    /// Paths of its members, under all their names.
    pub(crate) members: &'static [&'static str],
}

/// Declares mirrors. `needs` are members without which the structure is useless, `may` those that some kernels lack.
macro_rules! mirrors {
    ($($(#[$doc:meta])* $name:ident = $($kernel:literal)|+ {
        needs { $($need:ident: $($needpath:literal)|+),* $(,)? }
        may { $($may:ident: $($maypath:literal)|+),* $(,)? }
    })+) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug)]
            pub(crate) struct $name {
                layout: std::sync::Arc<$crate::Layout>,
                $(pub(crate) $need: $crate::Member,)*
                $(pub(crate) $may: Option<$crate::Member>,)*
            }
            impl $crate::mirror::Mirror for $name {
                const NAMES: &'static [&'static str] = &[$($kernel),+];
                fn resolve(layout: &std::sync::Arc<$crate::Layout>) -> Result<Self, String> {
                    Ok($name {
                        $($need: $crate::mirror::first(layout, &[$($needpath),+])
                            .ok_or_else(|| format!("{}.{}", layout.name, [$($needpath),+].join("|")))?,)*
                        $($may: $crate::mirror::first(layout, &[$($maypath),+]),)*
                        layout: layout.clone(),
                    })
                }
                fn layout(&self) -> &$crate::Layout {
                    &self.layout
                }
            }
        )+
        /// Every structure declared in this module.
        pub(crate) const STRUCTS: &[$crate::mirror::Declaration] = &[$($crate::mirror::Declaration {
            names: <$name as $crate::mirror::Mirror>::NAMES,
            members: &[$($($needpath,)+)* $($($maypath,)+)*],
        }),+];
    };
}
pub(crate) use mirrors;

/// The first of `paths` that the layout has.
pub(crate) fn first(layout: &Layout, paths: &[&str]) -> Option<Member> {
    paths.iter().find_map(|path| layout.member(path)).cloned()
}

/// Every definition that has the needed members: those of `units` first (in the order of `units`), then those of unknown
/// origin, which type files that name homonyms apart take for the ordinary ones, then the others.
pub(crate) fn all<M: Mirror>(target: &dyn Target, units: &[&str]) -> Vec<M> {
    let mut found: Vec<(usize, M)> = Vec::new();
    for name in M::NAMES {
        for layout in target.layouts(name) {
            let named = units.iter().position(|unit| layout.in_unit(unit));
            let rank = named.unwrap_or(units.len() + usize::from(!layout.units.is_empty()));
            found.extend(M::resolve(&layout).ok().map(|mirror| (rank, mirror)));
        }
    }
    found.sort_by_key(|(rank, _)| *rank);
    found.into_iter().map(|(_, mirror)| mirror).collect()
}

/// The best definition; what is missing otherwise.
pub(crate) fn find<M: Mirror>(target: &dyn Target, units: &[&str]) -> Result<M, Cause> {
    if let Some(mirror) = all(target, units).into_iter().next() {
        return Ok(mirror);
    }
    let layouts = M::NAMES.iter().flat_map(|name| target.layouts(name));
    let missing = layouts.filter_map(|layout| M::resolve(&layout).err()).next();
    Err(Cause::MissingType { name: missing.unwrap_or_else(|| format!("struct {}", M::NAMES.join("|"))) })
}

/// Memory of one structure.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    /// Where it lies.
    pub(crate) addr: VirtAddr,
    abi: Abi,
    bytes: Vec<u8>,
    holes: Vec<(Range<u64>, ReadError)>,
}

impl Image {
    /// Reads `size` bytes at `addr`.
    ///
    /// One read normally. If that fails the structure is read page by page: a part that the dump's filter left out counts as
    /// zeros (of kernel objects it leaves out only pages of zeros), any other missing part fails when a member in it is used.
    /// Errors: when no page of it can be read.
    pub(crate) fn read(target: &dyn Target, addr: VirtAddr, size: u64) -> Result<Image, ReadError> {
        let absent = ReadError { addr: addr.0, kind: ReadErrorKind::Absent };
        let len = usize::try_from(size).ok().filter(|_| size <= MAX_STRUCT && addr.0 != 0).ok_or(absent)?;
        let mut bytes = vec![0; len];
        let mut holes = Vec::new();
        if let Err(error) = target.read_virt(addr, &mut bytes) {
            let page = target.page_size().max(1);
            let mut rest = bytes.as_mut_slice();
            let mut at = 0;
            let mut any = false;
            while !rest.is_empty() {
                let room = usize::try_from(page - addr.offset(at).0 % page).unwrap_or(usize::MAX);
                let (piece, tail) = rest.split_at_mut(room.min(rest.len()));
                let end = at + piece.len() as u64;
                match target.read_virt(addr.offset(at), piece) {
                    Ok(()) => any = true,
                    Err(error) => {
                        piece.fill(0);
                        if error.kind != ReadErrorKind::Excluded {
                            holes.push((at..end, error));
                        }
                    }
                }
                (at, rest) = (end, tail);
            }
            if !any {
                return Err(error);
            }
        }
        Ok(Image { addr, abi: target.abi(), bytes, holes })
    }

    /// The member as an unsigned number.
    pub(crate) fn uint(&self, member: &Member) -> Result<u64, Cause> {
        self.available(member)?;
        member.uint(&self.bytes, self.abi).ok_or_else(|| self.misfit(member))
    }

    /// The word at the member's place, whatever its type.
    pub(crate) fn pointer(&self, member: &Member) -> Result<VirtAddr, Cause> {
        self.available(member)?;
        member.pointer(&self.bytes, self.abi).ok_or_else(|| self.misfit(member))
    }

    /// An optional member as an unsigned number; `None` when it is lacking or unreadable.
    pub(crate) fn maybe(&self, member: Option<&Member>) -> Option<u64> {
        self.uint(member?).ok()
    }

    /// An optional member as a pointer; `None` when it is lacking, unreadable or null.
    pub(crate) fn maybe_pointer(&self, member: Option<&Member>) -> Option<VirtAddr> {
        self.pointer(member?).ok().filter(|addr| !addr.is_null())
    }

    /// Character array up to its NUL.
    pub(crate) fn text(&self, member: &Member) -> Vec<u8> {
        let bytes = member.bytes(&self.bytes).unwrap_or_default();
        bytes.iter().copied().take_while(|&byte| byte != 0).collect()
    }

    /// Element `i` of an array of words or pointers.
    pub(crate) fn element(&self, member: &Member, i: u64) -> Result<VirtAddr, Cause> {
        let at = i.checked_mul(self.abi.word_bytes()).and_then(|skip| member.offset.checked_add(skip));
        let element =
            Member { offset: at.unwrap_or(u64::MAX), size: self.abi.word_bytes(), ..member.clone() };
        self.pointer(&element)
    }

    /// Address of a member.
    pub(crate) fn address_of(&self, member: &Member) -> VirtAddr {
        self.addr.offset(member.offset)
    }

    fn available(&self, member: &Member) -> Result<(), Cause> {
        let end = member.offset.saturating_add(member.size.max(1));
        let hole = self.holes.iter().find(|(range, _)| range.start < end && member.offset < range.end);
        hole.map_or(Ok(()), |(_, error)| Err(Cause::Unreadable(*error)))
    }

    fn misfit(&self, member: &Member) -> Cause {
        Cause::MissingType {
            name: format!("a usable member of {} bytes at offset {}", member.size, member.offset),
        }
    }
}
