//! The excerpt of the kernel's BTF that a module built out of the kernel's tree brings along in `.BTF.base`.
//!
//! The module's ids and strings continue those of the excerpt, so that it stays right when the kernel's are numbered anew. But the
//! excerpt is *distilled*: of structs it has names and sizes, and no members. So its types are looked up by name in the BTF of the
//! kernel, as the kernel does when it loads the module; those that are not there stay what the excerpt says.
//! Source: kernel/bpf and tools/lib/bpf/btf_relocate.c of 6.11 and later.

use super::{Btf, ENUM, ENUM64, FLOAT, FWD, INT, Origin, Record, STRUCT, UNION, size};
use std::collections::HashMap;

/// An excerpt, and what its types are in the kernel.
#[derive(Debug)]
pub(super) struct Excerpt<'b, 'a> {
    pub(super) blob: &'b Btf<'a>,
    /// Of each record the id in the kernel's BTF, 0 if it has none.
    ids: Vec<u32>,
}

/// What an id of a module, or of the excerpt itself, stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// An id in the kernel's BTF.
    Base(u32),
    /// A record of the excerpt, counted from 0.
    Excerpt(u32),
    /// A record of the module itself, counted from 0.
    Beyond(u32),
}

impl<'b, 'a> Excerpt<'b, 'a> {
    /// Looks all types up. Cost: a pass over the kernel's records.
    pub(super) fn new(blob: &'b Btf<'a>, kernel: Option<&Btf<'_>>) -> Self {
        let mut ids = vec![0; blob.offsets.len()];
        if let Some(kernel) = kernel {
            let mut open: HashMap<&str, Vec<(usize, Record<'_>)>> = HashMap::new();
            for (index, record) in records(blob) {
                let name = blob.string(size(record.name)).unwrap_or_default();
                if !name.is_empty() {
                    open.entry(name).or_default().push((index, record));
                }
            }
            for (number, record) in records(kernel) {
                let name = kernel.string(size(record.name)).unwrap_or_default();
                for (index, sought) in open.get(name).into_iter().flatten() {
                    if let Some(id @ 0) = ids.get_mut(*index)
                        && is_it(sought, &record)
                    {
                        *id = u32::try_from(number).map_or(0, |number| number.saturating_add(1));
                    }
                }
            }
        }
        Excerpt { blob, ids }
    }

    /// What an id, which is not 0, stands for.
    pub(super) fn resolve(&self, id: u32) -> Target {
        let index = id.saturating_sub(1);
        match self.ids.get(size(index)) {
            Some(0) => Target::Excerpt(index),
            Some(id) => Target::Base(*id),
            None => Target::Beyond(index.saturating_sub(u32::try_from(self.ids.len()).unwrap_or(u32::MAX))),
        }
    }
}

fn records<'b, 'a>(blob: &'b Btf<'a>) -> impl Iterator<Item = (usize, Record<'a>)> + use<'b, 'a> {
    let records = blob.offsets.iter().map(|offset| blob.record_at(*offset));
    records
        .enumerate()
        .filter_map(|(index, record)| Some((index, Record { origin: Origin::Base, ..record? })))
}

/// Whether a type of the kernel may be the one of the same name in the excerpt.
fn is_it(sought: &Record<'_>, found: &Record<'_>) -> bool {
    let same_size = sought.size_or_type == found.size_or_type;
    match sought.kind {
        // Structs that are only pointed to: of any size.
        FWD => found.kind == if sought.kind_flag { UNION } else { STRUCT },
        STRUCT | UNION => found.kind == sought.kind && same_size,
        INT | FLOAT => found.kind == sought.kind && same_size,
        ENUM | ENUM64 => matches!(found.kind, ENUM | ENUM64) && same_size,
        _ => false,
    }
}
