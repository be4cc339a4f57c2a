//! What the headers of a core file tell about the dead machine and about the dump.

use crate::{PhysAddr, VirtAddr};

/// Facts from the headers; which of them exist depends on the format.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CoreHeader {
    /// Name and version of the kernel (kdump-compressed only; QEMU fills in the machine alone).
    pub utsname: Option<Utsname>,
    /// When the dump was made: seconds since the Epoch and microseconds (kdump-compressed only).
    pub timestamp: Option<(u64, u64)>,
    /// Where the kernel image was loaded, from the sub-header of a kdump-compressed file.
    ///
    /// A hint only: QEMU writes 0 or a wrong value. `NUMBER(phys_base)` of VMCOREINFO comes first.
    pub phys_base: Option<u64>,
    /// What `makedumpfile -d` was told to leave out: 1 zero pages, 2 and 4 page cache, 8 user, 16 free pages.
    pub dump_level: Option<u32>,
    /// The tool that wrote the dump ran out of space, and said so in the header.
    pub incomplete: bool,
    /// The segments of an ELF core, in the order of the file.
    pub segments: Vec<Segment>,
}

/// `struct utsname` of the dead kernel; each member without its trailing NULs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Utsname {
    /// Operating system: `Linux`.
    pub sysname: Vec<u8>,
    /// Host name.
    pub nodename: Vec<u8>,
    /// What `uname -r` prints.
    pub release: Vec<u8>,
    /// Build number and date.
    pub version: Vec<u8>,
    /// What `uname -m` prints.
    pub machine: Vec<u8>,
    /// NIS domain.
    pub domainname: Vec<u8>,
}

/// One `PT_LOAD` of an ELF core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Physical start; `None` in a file which knows virtual addresses only, such as a copy of `/proc/kcore`.
    pub phys: Option<PhysAddr>,
    /// Virtual start; `None` when the file gives 0, as QEMU does.
    pub virt: Option<VirtAddr>,
    /// Bytes of memory, stored or not.
    pub len: u64,
}
