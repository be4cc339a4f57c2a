//! The bytes of a file: mapped, or read with `pread`. The one module with `unsafe` code.
//!
//! A core is larger than memory. Pages of a mapping that were read stay in the resident set of the process until the
//! kernel needs them elsewhere, so that reading through a large core looks like using all that memory, and in a cgroup
//! with a limit it is. A [`Mapping`] therefore keeps account of what was touched, and drops pages from the process
//! (not from the page cache), those that were not used lately first, so that no more than about 32 MiB stay.
#![expect(
    unsafe_code,
    reason = "mapping a file and dropping its pages are the two unsafe calls of this crate"
)]

use crate::PageError;
use memmap2::{Advice, Mmap, UncheckedAdvice};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::ops::Deref;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

/// Unit of the account. Touching one byte maps its surroundings: 64 KiB on older kernels, on newer ones the whole folio
/// of the page cache, which measured 2 MiB on Linux 6.18, even in a mapping advised against huge pages.
const WINDOW: usize = 2 << 20;

/// Windows whose pages stay mapped.
const WINDOWS_KEPT: usize = 16;

/// How many of them are left when there were more. Windows are dropped several at once because each call has to wait
/// for the processors of all other threads, which measured 10 µs in a virtual machine, and one serves neighbours.
const WINDOWS_LEFT: usize = 8;

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
    /// What is known of each window of the file.
    marks: Vec<AtomicU8>,
    /// The windows that are not [`DROPPED`](Mark::DROPPED), in the order in which a hand comes by.
    kept: Mutex<VecDeque<usize>>,
}

/// What is known of a window.
struct Mark;

impl Mark {
    const DROPPED: u8 = 0;
    /// Not used since the hand last came by.
    const KEPT: u8 = 1;
    const USED: u8 = 2;
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
        let windows = map.len().div_ceil(WINDOW);
        let marks = (0..windows).map(|_| AtomicU8::new(Mark::DROPPED)).collect();
        Ok(Mapping { map, marks, kept: Mutex::default() })
    }

    /// A part of the file, or `None` when it is not wholly inside.
    fn slice(&self, offset: u64, len: usize) -> Option<&[u8]> {
        let start = usize::try_from(offset).ok()?;
        let end = start.checked_add(len)?;
        let slice = self.map.get(start..end)?;
        for window in start / WINDOW..=end.saturating_sub(1) / WINDOW {
            // Nearly always used already: threads share a line of the cache that all only read.
            if self.marks.get(window).is_some_and(|mark| mark.load(Ordering::Relaxed) != Mark::USED) {
                self.enter(window);
            }
        }
        Some(slice)
    }

    /// Marks a window as used, and drops the pages of others when too many are kept.
    ///
    /// Races between threads make the account somewhat wrong, which changes the bound a little and nothing else.
    #[cold]
    fn enter(&self, window: usize) {
        if self.mark(window, Mark::USED) != Mark::DROPPED {
            return;
        }
        // Nothing panics while it holds the lock.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < WINDOWS_KEPT {
            // The hand goes on with each window that comes, so that when some must go there are such that were not used.
            if let Some(passed) = kept.pop_front() {
                self.mark(passed, Mark::KEPT);
                kept.push_back(passed);
            }
            kept.push_back(window);
            return;
        }
        kept.push_back(window);
        let dropped = self.sweep(&mut kept);
        // Nothing is mapped between two windows that are dropped, unless it is kept.
        let is_free = |one: &usize, next: &usize| !kept.iter().any(|window| (one..next).contains(&window));
        let runs: Vec<_> =
            dropped.chunk_by(is_free).filter_map(|run| Some(*run.first()?..run.last()? + 1)).collect();
        drop(kept);
        for run in runs {
            self.drop_pages(run.start * WINDOW, run.len() * WINDOW);
        }
    }

    /// Takes windows out of the account, sorted. Bitmap and descriptors are used for every page and stay; the windows
    /// of pages are used for a while and go.
    fn sweep(&self, kept: &mut VecDeque<usize>) -> Vec<usize> {
        let mut dropped = Vec::new();
        for _ in 0..kept.len() {
            if kept.len() <= WINDOWS_LEFT {
                break;
            }
            let Some(window) = kept.pop_front() else { break };
            if self.mark(window, Mark::KEPT) == Mark::USED {
                kept.push_back(window);
            } else {
                dropped.push(window);
            }
        }
        // All were in use.
        while kept.len() > WINDOWS_KEPT {
            dropped.extend(kept.pop_front());
        }
        for &window in &dropped {
            self.mark(window, Mark::DROPPED);
        }
        dropped.sort_unstable();
        dropped
    }

    /// Sets the mark of a window; what it was before.
    fn mark(&self, window: usize, new: u8) -> u8 {
        self.marks.get(window).map_or(Mark::USED, |mark| mark.swap(new, Ordering::Relaxed))
    }

    fn drop_pages(&self, start: usize, len: usize) {
        let len = self.map.len().saturating_sub(start).min(len);
        // SAFETY: `MADV_DONTNEED` is unsafe because private or anonymous pages lose their content. This mapping is a
        // shared, read-only mapping of a file: a page that is touched again is read again from the file and has the
        // same bytes, so slices that are borrowed meanwhile, in this and in other threads, keep their content.
        let dropped = unsafe { self.map.unchecked_advise_range(UncheckedAdvice::DontNeed, start, len) };
        // Advice that is refused costs memory, not correctness.
        drop(dropped);
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
    fn windows_in_use_stay() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(100 * WINDOW as u64).unwrap();
        let mapping = Mapping::open(file.path()).unwrap();
        let mark = |window: usize| mapping.marks[window].load(Ordering::Relaxed);
        for window in 1..100 {
            mapping.slice(0, 1).unwrap();
            mapping.slice((window * WINDOW) as u64 - 1, 2).unwrap();
            assert_ne!(mark(0), Mark::DROPPED, "{window}");
            assert_ne!(mark(window), Mark::DROPPED);
            let kept = (0..100).filter(|&window| mark(window) != Mark::DROPPED).count();
            assert!(kept <= WINDOWS_KEPT);
            assert_eq!(kept, mapping.kept.lock().unwrap().len());
        }
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
        assert!(worst > 0 && worst <= 34 << 20, "{worst} bytes were resident");
        assert_eq!(first, [7; 5], "a slice keeps its content when its pages are dropped");
    }
}
