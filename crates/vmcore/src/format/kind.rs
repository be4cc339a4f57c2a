//! Which format a core is in.

use crate::Codec;
use std::fmt;

/// The format of a core, as it was recognised by content.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Format {
    /// The format proper.
    pub kind: FormatKind,
    /// It is wrapped in a flattened stream.
    pub flattened: bool,
    /// Files that it was given as; more than one for a split dump.
    pub parts: usize,
    /// Codecs of its pages: those which the header declares, or else those of the first pages.
    pub codecs: Vec<Codec>,
}

/// The formats that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FormatKind {
    /// ELF core with 32-bit headers.
    Elf32,
    /// ELF core with 64-bit headers.
    Elf64,
    /// kdump-compressed, by makedumpfile or QEMU.
    Kdump {
        /// Version of the header, 1 to 6.
        version: u32,
    },
    /// diskdump, the predecessor of kdump-compressed.
    Diskdump {
        /// Version of the header.
        version: u32,
    },
}

/// For example `kdump-compressed v6, zlib, flattened`.
impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            FormatKind::Elf32 => write!(f, "ELF32 core")?,
            FormatKind::Elf64 => write!(f, "ELF64 core")?,
            FormatKind::Kdump { version } => write!(f, "kdump-compressed v{version}")?,
            FormatKind::Diskdump { version } => write!(f, "diskdump v{version}")?,
        }
        if !matches!(self.kind, FormatKind::Elf32 | FormatKind::Elf64) {
            for codec in &self.codecs {
                write!(f, ", {codec}")?;
            }
        }
        if self.flattened {
            write!(f, ", flattened")?;
        }
        if self.parts > 1 {
            write!(f, ", split in {}", self.parts)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_printed_in_one_line() {
        let mut format =
            Format { kind: FormatKind::Elf64, flattened: false, parts: 1, codecs: vec![Codec::Raw] };
        assert_eq!(format.to_string(), "ELF64 core");
        format.kind = FormatKind::Kdump { version: 6 };
        format.codecs = vec![Codec::Zlib];
        format.flattened = true;
        format.parts = 2;
        assert_eq!(format.to_string(), "kdump-compressed v6, zlib, flattened, split in 2");
    }
}
