//! The bytes of a file: mapped, or read with `pread`. The one module with `unsafe` code.
//!
//! A core is larger than memory. Pages of a mapping that were read stay in the resident set of the process until the
//! kernel needs them elsewhere, so that reading through a large core looks like using all that memory, and in a cgroup
//! with a limit it is. A [`Mapping`] therefore keeps account of what was touched, and drops pages from the process
//! (not from the page cache), those that were not used for longest first, so that no more than about 16 MiB stay.
#![expect(
    unsafe_code,
    reason = "mapping a file and dropping its pages are the two unsafe calls of this crate"
)]

use crate::PageError;
use memmap2::{Advice, Mmap, UncheckedAdvice};
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::ops::Deref;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Unit of the account. Touching one byte maps its surroundings: 64 KiB on older kernels, on newer ones the whole folio
/// of the page cache, which measured 2 MiB on Linux 6.18, even in a mapping advised against huge pages.
const WINDOW: u64 = 2 << 20;

/// The same as a length in memory.
const WINDOW_LEN: usize = 2 << 20;

/// Windows whose pages stay mapped.
const WINDOWS_KEPT: usize = 8;

/// In the account, whose entries are twice a window's number: no window.
const NONE: u64 = u64::MAX;

/// Added to an entry: the window was used since the hand last came by.
const USED: u64 = 1;

/// Reads from this length on are made with `pread`. A page that was not touched lately costs a fault, which takes
/// about as long as the call; the mapping wins where the same pages are read again and again, and these are small
/// reads: pointers and structures, bits of a bitmap, descriptors.
const BULK: usize = 1 << 10;

/// A file mapped read-only, as a slice of bytes.
///
/// The file must not be truncated or changed while it is mapped: a read beyond its new end kills the process with
/// `SIGBUS`. For files that cannot be trusted in this way there is [`OpenOptions::no_mmap`](crate::OpenOptions).
///
/// Cost: nothing is read before it is touched. Access through `Deref` is not kept account of, hence leaves its pages
/// resident as any mapping does.
#[derive(Debug)]
pub struct Mapping {
    map: Mmap,
    touched: [AtomicU64; WINDOWS_KEPT],
    hand: AtomicUsize,
}

impl Mapping {
    /// Maps the file. An empty file is an empty slice.
    ///
    /// Errors: the file cannot be opened, or is something that cannot be mapped, such as a pipe.
    pub fn open(path: &Path) -> io::Result<Mapping> {
        Mapping::new(&File::open(path)?)
    }

    fn new(file: &File) -> io::Result<Mapping> {
        // SAFETY: the mapping is read-only and private to this type. That nobody changes the file meanwhile cannot be
        // ensured; it is documented as the caller's duty, and what depends on it is the process, not only the result.
        let map = unsafe { Mmap::map(file) }?;
        Ok(Mapping {
            map,
            touched: [const { AtomicU64::new(NONE) }; WINDOWS_KEPT],
            hand: AtomicUsize::new(0),
        })
    }

    /// A part of the file, or `None` when it is not wholly inside.
    fn slice(&self, offset: u64, len: usize) -> Option<&[u8]> {
        let start = usize::try_from(offset).ok()?;
        let slice = self.map.get(start..start.checked_add(len)?)?;
        self.account(offset, len);
        Some(slice)
    }

    /// Keeps account of a read, and drops the pages of other windows for those that it touches.
    ///
    /// Races between threads make the account somewhat wrong, which changes the bound a little and nothing else.
    fn account(&self, offset: u64, len: usize) {
        let last = offset.saturating_add((len as u64).saturating_sub(1)) / WINDOW;
        for window in offset / WINDOW..=last {
            let known = self.touched.iter().find(|slot| slot.load(Ordering::Relaxed) >> 1 == window);
            match known {
                Some(slot) => mark(slot, window),
                None => self.enter(window),
            }
        }
    }

    /// Puts a window into the account, in the place of one that was not used since the hand last came by: bitmap and
    /// descriptors are used for every page and stay, the windows of pages go one after the other.
    fn enter(&self, window: u64) {
        // Twice round: the first may only find marks, and takes them off.
        for _ in 0..2 * WINDOWS_KEPT {
            let Some(slot) = self.touched.get(self.hand.fetch_add(1, Ordering::Relaxed) % WINDOWS_KEPT)
            else {
                return;
            };
            let held = slot.load(Ordering::Relaxed);
            if held != NONE && held & USED != 0 {
                slot.store(held & !USED, Ordering::Relaxed);
                continue;
            }
            slot.store(window << 1 | USED, Ordering::Relaxed);
            if held != NONE {
                self.drop_pages(held >> 1);
            }
            return;
        }
    }

    fn drop_pages(&self, window: u64) {
        let Ok(start) = usize::try_from(window.saturating_mul(WINDOW)) else { return };
        let len = self.map.len().saturating_sub(start).min(WINDOW_LEN);
        // SAFETY: `MADV_DONTNEED` is unsafe because private or anonymous pages lose their content. This mapping is a
        // shared, read-only mapping of a file: a page that is touched again is read again from the file and has the
        // same bytes, so slices that are borrowed meanwhile, in this and in other threads, keep their content.
        let dropped = unsafe { self.map.unchecked_advise_range(UncheckedAdvice::DontNeed, start, len) };
        // Advice that is refused costs memory, not correctness.
        drop(dropped);
    }
}

/// Marks a window as used, if it is not yet: a line of the cache that is only read is shared by all threads.
fn mark(slot: &AtomicU64, window: u64) {
    let used = window << 1 | USED;
    if slot.load(Ordering::Relaxed) != used {
        slot.store(used, Ordering::Relaxed);
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map
    }
}

impl AsRef<[u8]> for Mapping {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

/// Why bytes of a file cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The file ends before them.
    End,
    /// The operating system said so.
    Io(io::ErrorKind),
}

impl From<Fault> for PageError {
    fn from(fault: Fault) -> PageError {
        match fault {
            Fault::End => PageError::Truncated,
            Fault::Io(_) => PageError::Io,
        }
    }
}

/// Where the bytes of a core come from.
#[derive(Debug)]
pub(crate) enum Source {
    /// A mapped file for short reads, and the file for long ones.
    Mapped { mapping: Mapping, file: File },
    /// A file that is read with `pread`.
    File { file: File, len: u64 },
    /// Bytes in memory.
    Memory(Vec<u8>),
}

impl Source {
    /// Opens a core for reads at random places. What cannot be mapped is read.
    pub(crate) fn open(path: &Path, no_mmap: bool) -> io::Result<Source> {
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if !no_mmap
            && metadata.is_file()
            && let Ok(mapping) = Mapping::new(&file)
        {
            // Reads ahead of a page that is wanted alone would be wasted. Refused advice costs time only.
            drop(mapping.map.advise(Advice::Random));
            return Ok(Source::Mapped { mapping, file });
        }
        let len = file.seek(SeekFrom::End(0))?;
        Ok(Source::File { file, len })
    }

    /// Bytes of the file.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Source::Mapped { mapping, .. } => mapping.len() as u64,
            Source::File { len, .. } => *len,
            Source::Memory(bytes) => bytes.len() as u64,
        }
    }

    /// The bytes in place, when the source can lend them and that is the fastest way to a few bytes anywhere.
    pub(crate) fn lend(&self, offset: u64, len: usize) -> Option<&[u8]> {
        match self {
            Source::Mapped { .. } if len >= BULK => None,
            _ => self.lend_near(offset, len),
        }
    }

    /// The bytes in place, when the source can lend them. For bytes near others that were lent lately: the fault that
    /// brought those has usually brought these.
    pub(crate) fn lend_near(&self, offset: u64, len: usize) -> Option<&[u8]> {
        match self {
            Source::Mapped { mapping, .. } => mapping.slice(offset, len),
            Source::Memory(bytes) => {
                let start = usize::try_from(offset).ok()?;
                bytes.get(start..start.checked_add(len)?)
            }
            Source::File { .. } => None,
        }
    }

    /// Fills `buf` from the file.
    pub(crate) fn read(&self, offset: u64, buf: &mut [u8]) -> Result<(), Fault> {
        if offset.checked_add(buf.len() as u64).is_none_or(|end| end > self.len()) {
            return Err(Fault::End);
        }
        match (self.lend(offset, buf.len()), self) {
            (Some(bytes), _) => {
                buf.copy_from_slice(bytes);
                Ok(())
            }
            (None, Source::Mapped { file, .. } | Source::File { file, .. }) => pread(file, offset, buf),
            (None, Source::Memory(_)) => Err(Fault::End),
        }
    }
}

fn pread(file: &File, offset: u64, buf: &mut [u8]) -> Result<(), Fault> {
    file.read_exact_at(buf, offset).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Fault::End,
        kind => Fault::Io(kind),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn sources(bytes: &[u8]) -> Vec<Source> {
        let file = file(bytes);
        vec![
            Source::open(file.path(), false).unwrap(),
            Source::open(file.path(), true).unwrap(),
            Source::Memory(bytes.to_vec()),
        ]
    }

    #[test]
    fn every_source_reads_the_same() {
        let bytes: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
        for source in sources(&bytes) {
            assert_eq!(source.len(), 1_200_000);
            let mut buf = vec![0; 1_199_000];
            source.read(1000, &mut buf).unwrap();
            assert_eq!(buf, bytes[1000..]);
            assert_eq!(source.read(1001, &mut buf), Err(Fault::End));
            assert_eq!(source.read(u64::MAX, &mut [0]), Err(Fault::End));
            assert_eq!(source.read(1_200_000, &mut []), Ok(()));
            if let Some(lent) = source.lend(8, 4) {
                assert_eq!(lent, [2, 0, 0, 0]);
            }
            assert_eq!(source.lend(1_199_999, 2), None);
        }
    }

    #[test]
    fn an_empty_file_is_empty() {
        for source in sources(b"") {
            assert_eq!(source.len(), 0);
            assert_eq!(source.read(0, &mut [0]), Err(Fault::End));
        }
        assert!(Mapping::open(file(b"").path()).unwrap().is_empty());
    }

    #[test]
    fn a_directory_is_an_error() {
        let error = Source::open(&std::env::temp_dir(), false).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
    }

    /// Resident bytes of the mapping, as the kernel counts them.
    fn resident(mapping: &Mapping) -> u64 {
        let start = format!("{:x}-", mapping.as_ptr().addr());
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let own = smaps.lines().skip_while(|line| !line.starts_with(&start));
        let rss = own.skip(1).find_map(|line| line.strip_prefix("Rss:")).unwrap();
        rss.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn pages_that_were_read_do_not_stay_resident() {
        const LEN: u64 = 96 << 20;
        // Written at once, so that the page cache has it in folios as large as it makes them.
        let file = file(&vec![7; usize::try_from(LEN).unwrap()]);
        let mapping = Mapping::open(file.path()).unwrap();
        let first = mapping.slice(0, 5).unwrap();
        let mut worst = 0;
        // In order, and then in an order that is far from it.
        for stride in [1, 7919] {
            for step in 0..LEN / 4096 {
                let offset = step * stride * 4096 % LEN;
                assert_eq!(mapping.slice(offset, 4096).unwrap().first(), Some(&7));
                if step % 256 == 0 {
                    worst = worst.max(resident(&mapping));
                }
            }
        }
        assert!(worst > 0 && worst <= 18 << 20, "{worst} bytes were resident");
        assert_eq!(first, [7; 5], "a slice keeps its content when its pages are dropped");
    }
}
