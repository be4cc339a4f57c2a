//! The ways that lead to buffers, as a set.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

/// Set of ways to look for buffers, or by which one was found.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Routes(u8);

impl Routes {
    /// No way.
    pub const NONE: Routes = Routes(0);
    /// The tracer's own list of traces.
    pub const LIST: Routes = Routes(1);
    /// Files in debugfs.
    pub const DEBUGFS: Routes = Routes(2);
    /// The list of relay channels.
    pub const CHANNELS: Routes = Routes(4);
    /// Files that processes had open.
    pub const OPEN_FILES: Routes = Routes(8);
    /// Every way.
    pub const ALL: Routes = Routes(15);

    /// Whether all of `other` is in the set.
    #[must_use]
    pub fn contains(self, other: Routes) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for Routes {
    type Output = Routes;
    fn bitor(self, other: Routes) -> Routes {
        Routes(self.0 | other.0)
    }
}

impl BitOrAssign for Routes {
    fn bitor_assign(&mut self, other: Routes) {
        self.0 |= other.0;
    }
}

impl Default for Routes {
    fn default() -> Routes {
        Routes::ALL
    }
}

impl fmt::Display for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (Routes::LIST, "trace list"),
            (Routes::DEBUGFS, "debugfs"),
            (Routes::CHANNELS, "relay channels"),
            (Routes::OPEN_FILES, "open files"),
        ];
        let mut first = true;
        for (_, name) in names.iter().filter(|(route, _)| self.contains(*route)) {
            if !std::mem::take(&mut first) {
                f.write_str(", ")?;
            }
            f.write_str(name)?;
        }
        if first { f.write_str("none") } else { Ok(()) }
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Routes({self})")
    }
}

/// How to look.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Ways to use; all by default.
    pub routes: Routes,
}
