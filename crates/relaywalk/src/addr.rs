//! Addresses of the dead kernel, as types that cannot be mixed up.

use std::fmt;

/// Physical address inside the crashed machine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PhysAddr(pub u64);

/// Virtual address of the crashed kernel, zero-extended from its word size.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct VirtAddr(pub u64);

impl PhysAddr {
    /// The address `bytes` further on; wraps.
    #[must_use]
    pub fn offset(self, bytes: u64) -> PhysAddr {
        PhysAddr(self.0.wrapping_add(bytes))
    }
}

impl VirtAddr {
    /// The null pointer.
    pub const NULL: VirtAddr = VirtAddr(0);

    /// Whether this is the null pointer.
    #[must_use]
    pub fn is_null(self) -> bool {
        self.0 == 0
    }

    /// The address `bytes` further on; wraps at 2^64 (callers mask to the word size where it matters).
    #[must_use]
    pub fn offset(self, bytes: u64) -> VirtAddr {
        VirtAddr(self.0.wrapping_add(bytes))
    }

    /// The address `bytes` before; wraps. This is `container_of`.
    #[must_use]
    pub fn back(self, bytes: u64) -> VirtAddr {
        VirtAddr(self.0.wrapping_sub(bytes))
    }
}

macro_rules! hexadecimal {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }
        impl fmt::LowerHex for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::LowerHex::fmt(&self.0, f)
            }
        }
    )*};
}
hexadecimal!(PhysAddr, VirtAddr);
