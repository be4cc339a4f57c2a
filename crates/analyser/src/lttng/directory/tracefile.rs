//! One data file of a directory, and its index.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lttformat::ReadAt as _;
use lttformat::ctf::PacketHeader;

use super::name::StreamName;
use crate::folder::{OpenTracefile, Tree};

/// Bytes of an index that are read: half a million packets.
const INDEX_MAX: u64 = 64 << 20;

/// One stream of a trace on disk: a regular file in the trace's own folder that is named as one and empty, or holds packets of
/// this trace.
#[derive(Debug)]
pub struct Tracefile {
    pub(super) tree: Arc<Tree>,
    pub(super) path: PathBuf,
    pub(super) name: Option<StreamName>,
    pub(super) len: u64,
    pub(super) links: u64,
    pub(super) header: Option<PacketHeader>,
    pub(super) index: Option<IndexFile>,
}

/// The index of a data file: `index/<name>.idx`.
#[derive(Debug)]
pub struct IndexFile {
    pub(super) tree: Arc<Tree>,
    pub(super) path: PathBuf,
    pub(super) len: u64,
    pub(super) links: u64,
}

impl Tracefile {
    /// Path below the directory that was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the name says about the stream; `None` if it does not end in a CPU number.
    #[must_use]
    pub fn name(&self) -> Option<&StreamName> {
        self.name.as_ref()
    }

    /// The channel, as its user called it; the whole name where it says nothing else.
    #[must_use]
    pub fn channel_name(&self) -> Vec<u8> {
        match &self.name {
            Some(name) => name.channel.clone(),
            None => self.path.file_name().unwrap_or_default().as_encoded_bytes().to_vec(),
        }
    }

    /// The CPU: as its packets say, or else its name.
    #[must_use]
    pub fn cpu(&self) -> Option<u32> {
        let of_name = self.name.as_ref().map(|name| name.cpu);
        self.header.as_ref().and_then(cpu).and_then(|cpu| u32::try_from(cpu).ok()).or(of_name)
    }

    /// Id of the channel, if a packet says.
    #[must_use]
    pub fn stream_id(&self) -> Option<u64> {
        self.header.as_ref().map(|header| header.stream_id)
    }

    /// Length in bytes when the directory was opened.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it was empty when the directory was opened.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Names of the file, here or elsewhere; more than one: writing to it changes the others too.
    #[must_use]
    pub fn links(&self) -> u64 {
        self.links
    }

    /// The header of its first packet, unless there is none that can be read.
    #[must_use]
    pub fn header(&self) -> Option<&PacketHeader> {
        self.header.as_ref()
    }

    /// Its index.
    #[must_use]
    pub fn index(&self) -> Option<&IndexFile> {
        self.index.as_ref()
    }

    /// Opens it for reading.
    ///
    /// Errors: it is gone, or something that is no regular file took its place or that of a directory above it.
    pub fn open(&self) -> io::Result<OpenTracefile> {
        OpenTracefile::new(&self.tree, &self.path)
    }
}

impl IndexFile {
    /// Path below the directory that was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Length in bytes when the directory was opened.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it was empty when the directory was opened.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Names of the file, here or elsewhere.
    #[must_use]
    pub fn links(&self) -> u64 {
        self.links
    }

    /// Opens it for reading. Errors: as [`Tracefile::open`].
    pub fn open(&self) -> io::Result<OpenTracefile> {
        OpenTracefile::new(&self.tree, &self.path)
    }

    /// All its bytes, 64 MiB at most: for [`Index::parse`](lttformat::ctf::Index::parse).
    ///
    /// Errors: as [`Tracefile::open`]; reading.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        let file = self.open()?;
        let mut bytes = vec![0; usize::try_from(file.len().min(INDEX_MAX)).unwrap_or(0)];
        file.read_exact_at(0, &mut bytes)?;
        Ok(bytes)
    }
}

/// The CPU that a header names.
pub(super) fn cpu(header: &PacketHeader) -> Option<u64> {
    header.cpu_id.or(header.stream_instance_id)
}
