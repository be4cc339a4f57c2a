//! Formats that are known by name only: an error that tells what the file is, and which tool makes a core of it.

use crate::error::Defect;

/// Bytes from the start of a file which decide.
pub(crate) const HEAD_LEN: usize = 4096;

/// What the first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signature {
    /// ELF of any kind.
    Elf,
    /// kdump-compressed, or its predecessor diskdump.
    Kdump,
}

struct Foreign {
    offset: usize,
    magic: &'static [u8],
    what: &'static str,
    hint: &'static str,
}

const fn at(offset: usize, magic: &'static [u8], what: &'static str, hint: &'static str) -> Foreign {
    Foreign { offset, magic, what, hint }
}

const DUMP_AGAIN: &str = "no tool is known that converts it; dump again in ELF or kdump-compressed form";
const UNPACK: &str = "unpack it first";
const KERNEL_IMAGE: &str =
    "a core holds memory, an image only the program; give the image as debug information";
const ZGETDUMP: &str = "convert it with `zgetdump -f elf`";
const VMSS2CORE: &str = "convert it, with its .vmem file, by `vmss2core -N6`";
const OTHER_SYSTEM: &str = "only cores of Linux kernels can be read";

/// Sources: each tool's public header or manual.
const FOREIGN: &[Foreign] = &[
    at(0, b"\xed\x23\x8f\x61\x73\x01\x19\xa8", "an LKCD dump", DUMP_AGAIN),
    at(0, b"\xa8\x19\x01\x73\x61\x8f\x23\xed", "an LKCD dump", DUMP_AGAIN),
    at(0, b"\xa8\x19\x01\x73\x61\x8f\x23\xfd", "an s390 stand-alone dump", ZGETDUMP),
    at(0, b"LibvirtQemudSave", "a libvirt save file", "dump again with `virsh dump --memory-only`"),
    at(
        0,
        b"QEVM",
        "a QEMU migration stream",
        "dump again with `dump-guest-memory` or `virsh dump --memory-only`",
    ),
    at(0, b"\xd0\xbe\xd2\xbe", "a VMware snapshot or suspend file", VMSS2CORE),
    at(0, b"\xd1\xba\xd1\xba", "a VMware snapshot or suspend file", VMSS2CORE),
    at(0, b"\xd2\xbe\xd2\xbe", "a VMware snapshot or suspend file", VMSS2CORE),
    at(0, b"\xd3\xbe\xd3\xbe", "a VMware snapshot or suspend file", VMSS2CORE),
    at(
        0,
        b"\x14\x20\x28\x01",
        "a Hyper-V saved state",
        "no tool is known that converts it; dump again with kdump inside the guest",
    ),
    at(0, b"PAGEDU64", "a Windows crash dump", OTHER_SYSTEM),
    at(0, b"PAGEDUMP", "a Windows crash dump", OTHER_SYSTEM),
    at(0, b"MDMP", "a Windows minidump", OTHER_SYSTEM),
    at(0, b"EMiL", "a LiME memory dump", DUMP_AGAIN),
    at(
        0,
        b"QFI\xfb",
        "a qcow2 disk image",
        "a disk holds no memory; dump the guest with `virsh dump --memory-only`",
    ),
    at(0, b"\x1f\x8b", "a file compressed with gzip", "unpack it first with `gunzip`"),
    at(0, b"\x28\xb5\x2f\xfd", "a file compressed with zstd", "unpack it first with `unzstd`"),
    at(0, b"\xfd7zXZ\0", "a file compressed with xz", "unpack it first with `unxz`"),
    at(0, b"\x04\x22\x4d\x18", "a file compressed with lz4", "unpack it first with `unlz4`"),
    at(0, b"BZh", "a file compressed with bzip2", "unpack it first with `bunzip2`"),
    at(0, b"\x89LZO\0\r\n\x1a\n", "a file compressed with lzop", "unpack it first with `lzop -d`"),
    at(0, b"PK\x03\x04", "a zip archive", UNPACK),
    at(0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
    at(257, b"ustar", "a tar archive", UNPACK),
    at(0x202, b"HdrS", "a Linux boot image (bzImage)", KERNEL_IMAGE),
    at(0, b"MZ", "a PE executable", KERNEL_IMAGE),
    at(0, b"\xcf\xfa\xed\xfe", "a Mach-O file", OTHER_SYSTEM),
    at(0, b"\xfe\xed\xfa\xcf", "a Mach-O file", OTHER_SYSTEM),
    at(0, b"\xce\xfa\xed\xfe", "a Mach-O file", OTHER_SYSTEM),
    at(0, b"\xfe\xed\xfa\xce", "a Mach-O file", OTHER_SYSTEM),
    at(0, b"!<arch>\n", "an archive of object files or a package", UNPACK),
];

/// Recognises a file by the first [`HEAD_LEN`] bytes of its content.
pub(crate) fn recognise(head: &[u8]) -> Result<Signature, Defect> {
    if head.starts_with(b"\x7fELF") {
        return Ok(Signature::Elf);
    }
    if head.starts_with(b"KDUMP   ") || head.starts_with(b"DISKDUMP") {
        return Ok(Signature::Kdump);
    }
    for foreign in FOREIGN {
        if head.get(foreign.offset..).is_some_and(|rest| rest.starts_with(foreign.magic)) {
            return Err(Defect::Unsupported { what: foreign.what, hint: foreign.hint });
        }
    }
    // A sadump file begins with media or disk set headers; the partition header follows on a 512-byte boundary.
    if head.chunks(512).any(|block| block.starts_with(b"sadump\0\0")) {
        let hint = "convert it with `makedumpfile -d 0`";
        return Err(Defect::Unsupported { what: "a Fujitsu sadump file", hint });
    }
    Err(Defect::Unrecognised { found: describe(head) })
}

fn describe(head: &[u8]) -> String {
    let first = head.get(..head.len().min(16)).unwrap_or_default();
    if first.is_empty() {
        return "an empty file".into();
    }
    if head.iter().all(|&byte| byte == 0) {
        return "zeros: perhaps raw memory, which says nothing about its addresses".into();
    }
    if first.iter().all(|&byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()) {
        return format!("text that begins \"{}\"", first.escape_ascii());
    }
    first.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn message(head: &[u8]) -> String {
        recognise(head).unwrap_err().at(Path::new("core")).to_string()
    }

    #[test]
    fn cores_are_recognised() {
        assert_eq!(recognise(b"\x7fELF\x02").unwrap(), Signature::Elf);
        assert_eq!(recognise(b"KDUMP   \x06").unwrap(), Signature::Kdump);
        assert_eq!(recognise(b"DISKDUMP").unwrap(), Signature::Kdump);
    }

    #[test]
    fn named_formats_say_which_tool_converts() {
        assert_eq!(
            message(b"\x1f\x8b\x08"),
            "core: a file compressed with gzip; unpack it first with `gunzip`"
        );
        assert!(message(b"\xa8\x19\x01\x73\x61\x8f\x23\xfd").contains("zgetdump"));
        assert!(message(b"\xd0\xbe\xd2\xbe").contains("vmss2core"));
        assert!(message(b"\x14\x20\x28\x01\0\0").contains("a Hyper-V saved state"));
        let mut tar = vec![b'a'; 512];
        tar[257..262].copy_from_slice(b"ustar");
        assert!(message(&tar).contains("tar archive"));
        let mut sadump = vec![1; 4096];
        sadump[1024..1032].copy_from_slice(b"sadump\0\0");
        assert!(message(&sadump).contains("makedumpfile"));
    }

    #[test]
    fn unknown_bytes_are_shown() {
        assert!(message(b"").ends_with("found an empty file"));
        assert!(message(b"hello\nworld").ends_with(r#"found text that begins "hello\nworld""#));
        assert!(message(b"\x01\x02\xff").ends_with("found 01 02 ff"));
        assert!(message(&[0; 4096]).contains("found zeros"));
    }
}
