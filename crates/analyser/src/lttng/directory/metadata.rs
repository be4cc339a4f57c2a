//! The metadata file of a trace on disk.

use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lttformat::ctf::{Language, Metadata, MetadataPackets, TraceClass};

use crate::folder::{Found, OpenTracefile, Tree};

/// Bytes of a metadata file that are read. The events of a whole kernel are described in less than two megabytes.
pub(super) const METADATA_MAX: u64 = 64 << 20;

/// The file `metadata` of a trace, and what it says.
#[derive(Debug)]
pub struct MetadataFile {
    pub(super) tree: Arc<Tree>,
    pub(super) path: PathBuf,
    pub(super) len: u64,
    pub(super) links: u64,
    pub(super) content: Metadata,
    /// Bytes of the text that are whole statements.
    pub(super) whole: usize,
}

impl MetadataFile {
    /// Reads what a walk found.
    pub(super) fn read(found: &Found, tree: &Arc<Tree>) -> io::Result<MetadataFile> {
        let mut bytes = vec![0; usize::try_from(found.len.min(METADATA_MAX)).unwrap_or(0)];
        found.file.read_exact_at(&mut bytes, 0)?;
        let content = Metadata::parse(&bytes);
        let whole = whole(&content);
        let (path, len, links) = (found.path.clone(), found.len, found.links);
        Ok(MetadataFile { tree: Arc::clone(tree), path, len, links, content, whole })
    }

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

    /// Its text and packets, as far as they are whole; with what ended them.
    #[must_use]
    pub fn content(&self) -> &Metadata {
        &self.content
    }

    /// The text without a statement that is not complete at its end.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        self.content.text.get(..self.whole).unwrap_or_default()
    }

    /// Bytes of a statement at the end of the text that is not complete: the crash came while it was written.
    #[must_use]
    pub fn torn_text(&self) -> usize {
        self.content.text.len().saturating_sub(self.whole)
    }

    /// Language of the text.
    #[must_use]
    pub fn language(&self) -> Language {
        self.content.language()
    }

    /// What all its packets say; `None` if it is plain text.
    #[must_use]
    pub fn packets(&self) -> Option<MetadataPackets> {
        self.content.packets
    }

    /// Opens it for reading. Errors: as [`Tracefile::open`](super::Tracefile::open).
    pub fn open(&self) -> io::Result<OpenTracefile> {
        OpenTracefile::new(&self.tree, &self.path)
    }
}

/// Bytes of whole statements. Text that can be read is whole, however it is laid out.
fn whole(content: &Metadata) -> usize {
    let text = &content.text;
    match content.language() {
        Language::Tsdl if TraceClass::parse(text).is_ok() => text.len(),
        language => language.whole(text),
    }
}
