//! The index of a data file, made again from the packets that the file has in the end.

use std::path::PathBuf;

use lttformat::ctf::{Index, IndexEntry, IndexVersion};

use crate::join::file::{File, Found, Piece};
use crate::join::report::IndexJoin;

/// The index as it is on disk.
pub(crate) struct Old<'a> {
    pub(crate) found: Found<'a>,
    pub(crate) bytes: Vec<u8>,
}

/// The index file of a data file that has these packets. What of the old one is right is kept, byte for byte.
pub(crate) fn index<'a>(
    path: PathBuf,
    stream: usize,
    entries: Vec<IndexEntry>,
    version: IndexVersion,
    old: Option<&Old<'a>>,
) -> (File<'a>, IndexJoin) {
    // A form that cannot be read may be any.
    let version = old.and_then(|old| Some(Index::parse(&old.bytes).ok()?.version)).unwrap_or(version);
    let count = entries.len() as u64;
    let new = Index { version, entries, cut: None }.file();
    let same = old.map_or(0, |old| same(&new, &old.bytes, version));
    let cut = old.map(|old| same as u64..old.found.len).filter(|cut| !cut.is_empty());
    let mut pieces = Vec::new();
    if same > 0 {
        pieces.push(Piece::Disk(0..same as u64));
    }
    let rest = new.get(same..).unwrap_or_default();
    if !rest.is_empty() {
        pieces.push(Piece::Made(rest.to_vec()));
    }
    let found = old.map(|old| old.found);
    let file = File {
        path,
        original: found,
        source: found,
        pieces,
        cuts: cut.iter().cloned().collect(),
        stream,
        is_metadata: false,
    };
    let report = IndexJoin {
        path: file.path.display().to_string(),
        entries: count,
        entries_kept: same.saturating_sub(HEADER) as u64 / version.entry_len() as u64,
        bytes_cut: cut.map_or(0, |cut| cut.end - cut.start),
        saved_as: None,
        changes: !file.is_unchanged(),
    };
    (file, report)
}

/// Bytes before the first entry.
const HEADER: usize = 16;

/// Bytes that both begin with, to the end of an entry.
fn same(new: &[u8], old: &[u8], version: IndexVersion) -> usize {
    let same = new.iter().zip(old).take_while(|(new, old)| new == old).count();
    match same.checked_sub(HEADER) {
        Some(entries) => HEADER + entries - entries % version.entry_len(),
        None => 0,
    }
}
