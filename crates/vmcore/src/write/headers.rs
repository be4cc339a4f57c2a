//! What the headers of a slice tell: what those of the core do, as far as the format has a place for it.

use super::{Format, WriteError};
use crate::vmcore::usual_page_size;
use crate::{CoreHeader, PhysMemory, Utsname, Vmcore, Vmcoreinfo};

/// Pages that a kdump-compressed file may have.
const KDUMP_PAGES: std::ops::RangeInclusive<u64> = 4096..=65536;
/// Page frames that a kdump-compressed file may count.
const FRAMES_MAX: u64 = 1 << 36;

/// The facts and the page size that are read back from a slice in a format.
pub(crate) fn headers_held(core: &Vmcore, format: Format) -> Result<(CoreHeader, u64), WriteError> {
    let header = core.header();
    match format {
        Format::Elf => {
            let stated = core.vmcoreinfo().and_then(Vmcoreinfo::page_size);
            let page_size = stated.unwrap_or_else(|| usual_page_size(core.machine()));
            let (incomplete, segments) = (header.incomplete, header.segments.clone());
            Ok((CoreHeader { incomplete, segments, ..CoreHeader::default() }, page_size))
        }
        Format::Kdump(_) => {
            let cannot = |what| WriteError::Format { format, what };
            let page_size = core.page_size();
            if !KDUMP_PAGES.contains(&page_size) {
                return Err(cannot(format!("pages of {page_size} bytes")));
            }
            if core.memory_end().div_ceil(page_size) > FRAMES_MAX {
                return Err(cannot(format!("memory up to {:#x}", core.memory_end())));
            }
            let names = match &header.utsname {
                Some(names) => Utsname { nodename: Vec::new(), domainname: Vec::new(), ..names.clone() },
                None => names(core).ok_or_else(|| cannot(format!("memory of {}", core.machine())))?,
            };
            Ok((
                CoreHeader {
                    utsname: Some(names),
                    timestamp: Some(header.timestamp.unwrap_or_default()),
                    phys_base: Some(header.phys_base.unwrap_or_default()),
                    dump_level: Some(header.dump_level.unwrap_or_default()),
                    incomplete: header.incomplete,
                    segments: Vec::new(),
                },
                page_size,
            ))
        }
    }
}

/// As far as an ELF core tells them.
fn names(core: &Vmcore) -> Option<Utsname> {
    let release = core.vmcoreinfo().and_then(Vmcoreinfo::osrelease).unwrap_or_default();
    Some(Utsname {
        sysname: b"Linux".to_vec(),
        release: release.iter().copied().take(64).collect(),
        machine: core.machine().to_utsname(core.abi().word)?.into(),
        ..Utsname::default()
    })
}
