//! Trace files, read from some offset on.

use std::io;
use std::rc::Rc;

use lttformat::ReadAt;

use crate::folder::OpenTracefile;

/// Files of a trace that are kept open. One with more is read all the same, but each read opens its file.
pub(super) const OPEN_MAX: usize = 256;

/// Opens a file anew.
type Opener<'a> = Box<dyn Fn() -> io::Result<OpenTracefile> + 'a>;

/// A trace file, open or not.
pub(super) enum Handle<'a> {
    Open(OpenTracefile),
    Closed { open: Opener<'a>, len: u64 },
}

/// A trace file from some offset on.
pub(super) struct Tail<'a> {
    handle: Rc<Handle<'a>>,
    start: u64,
}

impl<'a> Handle<'a> {
    /// A handle of a file that was `len` bytes long, and what keeps it from being opened.
    pub(super) fn new(
        open: impl Fn() -> io::Result<OpenTracefile> + 'a,
        len: u64,
        keep_open: bool,
    ) -> (Rc<Handle<'a>>, Option<io::Error>) {
        let (handle, error) = match open() {
            Ok(file) if keep_open => (Handle::Open(file), None),
            opened => (Handle::Closed { open: Box::new(open), len }, opened.err()),
        };
        (Rc::new(handle), error)
    }
}

impl<'a> Tail<'a> {
    pub(super) fn new(handle: &Rc<Handle<'a>>, start: u64) -> Tail<'a> {
        Tail { handle: Rc::clone(handle), start }
    }
}

impl ReadAt for Tail<'_> {
    fn len(&self) -> u64 {
        let len = match &*self.handle {
            Handle::Open(file) => file.len(),
            Handle::Closed { len, .. } => *len,
        };
        len.saturating_sub(self.start)
    }

    fn read_exact_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        let offset = offset.saturating_add(self.start);
        match &*self.handle {
            Handle::Open(file) => file.read_exact_at(offset, bytes),
            Handle::Closed { open, .. } => open()?.read_exact_at(offset, bytes),
        }
    }
}
