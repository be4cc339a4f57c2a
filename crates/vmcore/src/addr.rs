//! Addresses as types: a physical address cannot be used where a virtual one is meant.

use std::fmt;

macro_rules! address {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl $name {
            /// The sum modulo 2^64.
            #[must_use]
            pub const fn wrapping_add(self, count: u64) -> $name {
                $name(self.0.wrapping_add(count))
            }

            /// The difference modulo 2^64.
            #[must_use]
            pub const fn wrapping_sub(self, count: u64) -> $name {
                $name(self.0.wrapping_sub(count))
            }

            /// The sum, or `None` when it does not fit 64 bits.
            #[must_use]
            pub const fn checked_add(self, count: u64) -> Option<$name> {
                match self.0.checked_add(count) {
                    Some(sum) => Some($name(sum)),
                    None => None,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:#x})"), self.0)
            }
        }

        impl fmt::LowerHex for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::LowerHex::fmt(&self.0, f)
            }
        }

        impl From<u64> for $name {
            fn from(value: u64) -> $name {
                $name(value)
            }
        }
    };
}

address! {
    /// A physical address of the dead machine, in bytes.
    PhysAddr
}
address! {
    /// A virtual address of the dead kernel, in bytes.
    VirtAddr
}
address! {
    /// A page frame number: a physical address divided by the page size.
    Pfn
}

impl PhysAddr {
    /// The frame which holds this address; `page_size` 0 counts as 1.
    #[must_use]
    pub fn pfn(self, page_size: u64) -> Pfn {
        Pfn(self.0 / page_size.max(1))
    }
}

impl Pfn {
    /// The first address of this frame, or `None` when it does not fit 64 bits.
    #[must_use]
    pub fn start(self, page_size: u64) -> Option<PhysAddr> {
        self.0.checked_mul(page_size).map(PhysAddr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_print_as_hex_and_wrap() {
        assert_eq!(PhysAddr(0x1000).to_string(), "0x1000");
        assert_eq!(format!("{:?}", VirtAddr(0xffff_8880_0000_0000)), "VirtAddr(0xffff888000000000)");
        assert_eq!(VirtAddr(u64::MAX).wrapping_add(2), VirtAddr(1));
        assert_eq!(VirtAddr(1).wrapping_sub(2), VirtAddr(u64::MAX));
        assert_eq!(PhysAddr(u64::MAX).checked_add(1), None);
    }

    #[test]
    fn frames_and_addresses_convert() {
        assert_eq!(PhysAddr(0x1fff).pfn(0x1000), Pfn(1));
        assert_eq!(Pfn(2).start(0x1000), Some(PhysAddr(0x2000)));
        assert_eq!(Pfn(u64::MAX).start(0x1000), None);
        assert_eq!(PhysAddr(7).pfn(0), Pfn(7));
    }
}
