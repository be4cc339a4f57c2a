//! VMCOREINFO: the text in which a kernel describes itself to readers of its core.
//!
//! ```text
//! OSRELEASE=6.1.0-18-amd64
//! PAGESIZE=4096
//! SYMBOL(swapper_pg_dir)=ffffffffa5c10000        hex without 0x
//! SIZE(list_head)=16                             decimal
//! OFFSET(list_head.next)=0
//! NUMBER(phys_base)=-448790528                   decimal with sign, or 0x…
//! KERNELOFFSET=24a00000                          hex without 0x
//! ```

/// The lines of a VMCOREINFO text, with typed access.
///
/// Cost: a lookup is a pass over the text, which is a few kilobytes long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vmcoreinfo {
    text: Vec<u8>,
}

impl Vmcoreinfo {
    /// Takes the text up to the first NUL (notes are padded with them). Lines without `=` are ignored.
    #[must_use]
    pub fn parse(text: &[u8]) -> Vmcoreinfo {
        let end = text.iter().position(|&byte| byte == 0).unwrap_or(text.len());
        Vmcoreinfo { text: text.get(..end).unwrap_or_default().to_vec() }
    }

    /// The text itself.
    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Every line as key and value, in the order of the text.
    pub fn lines(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.text.split(|&byte| byte == b'\n').filter_map(|line| {
            let equals = line.iter().position(|&byte| byte == b'=')?;
            let value = line.get(equals + 1..)?;
            Some((line.get(..equals)?, value.strip_suffix(b"\r").unwrap_or(value)))
        })
    }

    /// The value of the first line with this key, for example `SYMBOL(_stext)`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        self.lines().find(|(found, _)| *found == key.as_bytes()).map(|(_, value)| value)
    }

    /// `SYMBOL(name)`: the run-time virtual address of a kernel symbol.
    #[must_use]
    pub fn symbol(&self, name: &str) -> Option<u64> {
        hex(self.call("SYMBOL", name)?)
    }

    /// `SIZE(name)`: bytes of a structure.
    #[must_use]
    pub fn size(&self, name: &str) -> Option<u64> {
        decimal(self.call("SIZE", name)?)
    }

    /// `OFFSET(struct.member)`: bytes from the start of a structure.
    #[must_use]
    pub fn offset(&self, name: &str) -> Option<u64> {
        decimal(self.call("OFFSET", name)?)
    }

    /// `LENGTH(name)`: elements of an array.
    #[must_use]
    pub fn length(&self, name: &str) -> Option<u64> {
        decimal(self.call("LENGTH", name)?)
    }

    /// `NUMBER(name)`: a constant. Hexadecimal values above `i64::MAX` (masks) keep their bits.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<i64> {
        number(self.call("NUMBER", name)?)
    }

    /// `OSRELEASE`: what `uname -r` prints.
    #[must_use]
    pub fn osrelease(&self) -> Option<&[u8]> {
        self.get("OSRELEASE")
    }

    /// `PAGESIZE`, in bytes; `None` unless it is a power of two between 1 KiB and 1 MiB.
    #[must_use]
    pub fn page_size(&self) -> Option<u64> {
        let size = decimal(self.get("PAGESIZE")?)?;
        (size.is_power_of_two() && (1 << 10..=1 << 20).contains(&size)).then_some(size)
    }

    /// `BUILD-ID` of the kernel image.
    ///
    /// Some stable kernels (6.1.113 to 118 and others of the same weeks) print garbage here: cross-check it.
    #[must_use]
    pub fn build_id(&self) -> Option<Vec<u8>> {
        let digits = self.get("BUILD-ID")?;
        if digits.is_empty() || digits.len() % 2 != 0 {
            return None;
        }
        digits.chunks_exact(2).map(|pair| hex(pair).and_then(|byte| u8::try_from(byte).ok())).collect()
    }

    /// `CRASHTIME`, in seconds since the Epoch; absent in the dump of a live machine.
    #[must_use]
    pub fn crash_time(&self) -> Option<u64> {
        decimal(self.get("CRASHTIME")?)
    }

    /// `KERNELOFFSET`: how far the kernel image was moved from its link addresses.
    #[must_use]
    pub fn kernel_offset(&self) -> Option<u64> {
        hex(self.get("KERNELOFFSET")?)
    }

    fn call(&self, function: &str, name: &str) -> Option<&[u8]> {
        let wanted = |key: &[u8]| -> bool {
            let inner = key.strip_prefix(function.as_bytes()).and_then(|rest| rest.strip_prefix(b"("));
            inner.and_then(|rest| rest.strip_suffix(b")")) == Some(name.as_bytes())
        };
        self.lines().find(|(key, _)| wanted(key)).map(|(_, value)| value)
    }
}

fn digits(text: &[u8], radix: u32) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?.trim();
    // `from_str_radix` would accept a sign here, which no kernel prints.
    if text.starts_with(['+', '-']) {
        return None;
    }
    u64::from_str_radix(text, radix).ok()
}

fn decimal(text: &[u8]) -> Option<u64> {
    digits(text, 10)
}

fn hex(text: &[u8]) -> Option<u64> {
    digits(strip_0x(text).unwrap_or(text), 16)
}

fn strip_0x(text: &[u8]) -> Option<&[u8]> {
    text.strip_prefix(b"0x").or_else(|| text.strip_prefix(b"0X"))
}

fn number(text: &[u8]) -> Option<i64> {
    let text = text.trim_ascii();
    let (negative, magnitude) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let value = match strip_0x(magnitude) {
        Some(hexadecimal) => digits(hexadecimal, 16)?,
        None => decimal(magnitude)?,
    };
    Some(if negative { value.wrapping_neg().cast_signed() } else { value.cast_signed() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"OSRELEASE=6.1.0-18-amd64\nPAGESIZE=4096\nBUILD-ID=00ff7a\n\
        SYMBOL(_stext)=ffffffff81000000\nSIZE(page)=64\nOFFSET(list_head.prev)=8\nLENGTH(mem_section)=2048\n\
        NUMBER(phys_base)=-448790528\nNUMBER(VA_BITS)=48\nNUMBER(mask)=0xff7f000000000000\nno equals sign\n\
        KERNELOFFSET=24a00000\nCRASHTIME=1700000000\n\0\0SIZE(hidden)=1\n";

    #[test]
    fn number_bases_differ_by_key() {
        let info = Vmcoreinfo::parse(TEXT);
        assert_eq!(info.osrelease(), Some(&b"6.1.0-18-amd64"[..]));
        assert_eq!(info.page_size(), Some(4096));
        assert_eq!(info.build_id(), Some(vec![0, 0xff, 0x7a]));
        assert_eq!(info.symbol("_stext"), Some(0xffff_ffff_8100_0000));
        assert_eq!(info.size("page"), Some(64));
        assert_eq!(info.offset("list_head.prev"), Some(8));
        assert_eq!(info.length("mem_section"), Some(2048));
        assert_eq!(info.number("phys_base"), Some(-0x1ac0_0000));
        assert_eq!(info.number("VA_BITS"), Some(48));
        assert_eq!(info.number("mask"), Some(0xff7f_0000_0000_0000_u64.cast_signed()));
        assert_eq!(info.kernel_offset(), Some(0x24a0_0000));
        assert_eq!(info.crash_time(), Some(1_700_000_000));
    }

    #[test]
    fn text_ends_at_the_first_nul() {
        let info = Vmcoreinfo::parse(TEXT);
        assert_eq!(info.size("hidden"), None);
        assert_eq!(info.lines().count(), 12);
    }

    #[test]
    fn nonsense_values_are_none() {
        let info = Vmcoreinfo::parse(
            b"PAGESIZE=4095\nBUILD-ID=0f1\nSYMBOL(a)=+1\nSIZE(b)=0x10\nNUMBER(c)=--1\nNUMBER(d)=\n\xff\xfe=\xff\n",
        );
        assert_eq!(info.page_size(), None);
        assert_eq!(info.build_id(), None);
        assert_eq!(info.symbol("a"), None);
        assert_eq!(info.size("b"), None);
        assert_eq!(info.number("c"), None);
        assert_eq!(info.number("d"), None);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_parse(text: Vec<u8>) {
            let info = Vmcoreinfo::parse(&text);
            for (key, _) in info.lines() {
                let _ = info.number(&String::from_utf8_lossy(key));
            }
            let _ = (info.build_id(), info.page_size(), info.crash_time(), info.kernel_offset());
        }
    }
}
