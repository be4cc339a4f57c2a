//! The bytes of a file: mapped, or read with `pread`. The one module with `unsafe` code.
//!
//! A core is larger than memory. Pages of a mapping that were read stay in the resident set of the process until the
//! kernel needs them elsewhere, so that reading through a large core looks like using all that memory, and in a cgroup
//! with a limit it is. A [`Mapping`] therefore counts what it hands out, and drops its pages from the process (not from
//! the page cache) whenever a fixed amount was touched.
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
use std::sync::atomic::{AtomicU64, Ordering};

/// The kernel maps up to this many bytes around a page that faults ("fault-around").
const WINDOW: u64 = 64 << 10;

/// Windows that may be touched before all pages are dropped: 16 MiB.
const WINDOWS_KEPT: u64 = (16 << 20) / WINDOW;

/// Longest piece of a read between two looks at the counter.
const PIECE: usize = 1 << 20;

/// A file mapped read-only, as a slice of bytes.
///
/// The file must not be truncated or changed while it is mapped: a read beyond its new end kills the process with
/// `SIGBUS`. For files that cannot be trusted in this way there is [`OpenOptions::no_mmap`](crate::OpenOptions).
///
/// Cost: nothing is read before it is touched. Whole-slice access through `Deref` is not counted, hence leaves its pages
/// resident as any mapping does.
#[derive(Debug)]
pub struct Mapping {
    map: Mmap,
    touched: AtomicU64,
    recent: AtomicU64,
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
        Ok(Mapping { map, touched: AtomicU64::new(0), recent: AtomicU64::new(u64::MAX) })
    }

    /// A part of the file, or `None` when it is not wholly inside.
    fn slice(&self, offset: u64, len: usize) -> Option<&[u8]> {
        let start = usize::try_from(offset).ok()?;
        let slice = self.map.get(start..start.checked_add(len)?)?;
        self.count(offset, len);
        Some(slice)
    }

    /// Counts a read, and drops all pages when it was one too many.
    ///
    /// Races between threads make the count somewhat wrong, which changes the bound a little and nothing else.
    fn count(&self, offset: u64, len: usize) {
        let (first, last) = (offset / WINDOW, (offset + (len.max(1) as u64 - 1)) / WINDOW);
        if first == last && self.recent.swap(last, Ordering::Relaxed) == last {
            return;
        }
        let windows = last - first + 1;
        if self.touched.fetch_add(windows, Ordering::Relaxed) + windows < WINDOWS_KEPT {
            return;
        }
        self.touched.store(0, Ordering::Relaxed);
        self.recent.store(u64::MAX, Ordering::Relaxed);
        // SAFETY: `MADV_DONTNEED` is unsafe because private or anonymous pages lose their content. This mapping is a
        // shared, read-only mapping of a file: a page that is touched again is read again from the file and has the
        // same bytes, so slices that are borrowed meanwhile, in this and in other threads, keep their content.
        let dropped = unsafe { self.map.unchecked_advise(UncheckedAdvice::DontNeed) };
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
    /// A mapped file.
    Mapped(Mapping),
    /// A file that is read with `pread`.
    File { file: File, len: u64 },
    /// Bytes in memory.
    Memory(Vec<u8>),
}

impl Source {
    /// Opens a core for reads at random places. What cannot be mapped is read.
    pub(crate) fn open(path: &Path, no_mmap: bool) -> io::Result<Source> {
        let mut file = File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if !no_mmap && let Ok(mapping) = Mapping::new(&file) {
            // Reads ahead of a page that is wanted alone would be wasted. Refused advice costs time only.
            drop(mapping.map.advise(Advice::Random));
            return Ok(Source::Mapped(mapping));
        }
        let len = file.seek(SeekFrom::End(0))?;
        Ok(Source::File { file, len })
    }

    /// Bytes of the file.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Source::Mapped(mapping) => mapping.len() as u64,
            Source::File { len, .. } => *len,
            Source::Memory(bytes) => bytes.len() as u64,
        }
    }

    /// The bytes in place, when the source can lend them. `len` is at most some pages.
    pub(crate) fn lend(&self, offset: u64, len: usize) -> Option<&[u8]> {
        match self {
            Source::Mapped(mapping) => mapping.slice(offset, len),
            Source::Memory(bytes) => {
                let start = usize::try_from(offset).ok()?;
                bytes.get(start..start.checked_add(len)?)
            }
            Source::File { .. } => None,
        }
    }

    /// Fills `buf` from the file.
    pub(crate) fn read(&self, mut offset: u64, buf: &mut [u8]) -> Result<(), Fault> {
        if let Source::File { file, len } = self {
            if offset.checked_add(buf.len() as u64).is_none_or(|end| end > *len) {
                return Err(Fault::End);
            }
            return file.read_exact_at(buf, offset).map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => Fault::End,
                kind => Fault::Io(kind),
            });
        }
        for piece in buf.chunks_mut(PIECE) {
            if piece.len() as u64 > WINDOW {
                self.read_ahead(offset, piece.len());
            }
            piece.copy_from_slice(self.lend(offset, piece.len()).ok_or(Fault::End)?);
            offset += piece.len() as u64;
        }
        Ok(())
    }

    /// Asks for a long piece at once, because the mapping is advised against reading ahead by itself.
    fn read_ahead(&self, offset: u64, len: usize) {
        if let (Source::Mapped(mapping), Ok(start)) = (self, usize::try_from(offset))
            && start.checked_add(len).is_some_and(|end| end <= mapping.len())
        {
            drop(mapping.map.advise_range(Advice::WillNeed, start, len));
        }
    }
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
        let file = file(b"first");
        file.as_file().set_len(LEN).unwrap();
        let mapping = Mapping::open(file.path()).unwrap();
        let first = mapping.slice(0, 5).unwrap();
        let mut worst = 0;
        for offset in (0..LEN).step_by(4096) {
            assert!(mapping.slice(offset, 4096).unwrap().iter().skip(5).all(|&byte| byte == 0));
            if offset % (4 << 20) == 0 {
                worst = worst.max(resident(&mapping));
            }
        }
        assert!(worst > 0 && worst <= 17 << 20, "{worst} bytes were resident");
        assert_eq!(first, b"first", "a slice keeps its content when its pages are dropped");
    }
}
