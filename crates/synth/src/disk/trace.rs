//! The directory: which files the daemon had made, and of what they consist.

use std::collections::BTreeSet;
use std::path::Path;

use super::damage::{Damage, Reason};
use super::outcome::Outcome;
use crate::build::DeadKernel;
use crate::format::Format;
use crate::truth::{StreamTruth, TraceTruth};

/// One trace as the daemon had left it on disk.
#[derive(Debug, Clone)]
pub struct DiskTrace<'k> {
    pub(super) trace: &'k TraceTruth,
    pub(super) format: Format,
    pub(super) files: Vec<DiskFile<'k>>,
    directories: BTreeSet<String>,
}

/// The file of one stream.
#[derive(Debug, Clone)]
pub(super) struct DiskFile<'k> {
    pub(super) stream: &'k StreamTruth,
    /// `None` when there is no file.
    pub(super) pieces: Option<Vec<Piece>>,
}

/// Bytes of one record, or what is left of it.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    /// Which of the stream's records.
    pub(super) record: usize,
    pub(super) bytes: Vec<u8>,
    /// Why it must go; `None` = it is whole.
    pub(super) cut: Option<Reason>,
}

impl<'k> DiskTrace<'k> {
    /// The first trace of a kernel. A file exists for each normal channel, also when nothing was written to it yet, and for
    /// flight recorders if the daemon read them at all.
    ///
    /// # Panics
    /// When the kernel has no trace.
    pub fn of(kernel: &'k DeadKernel) -> DiskTrace<'k> {
        DiskTrace::new(kernel, &kernel.truth.traces[0])
    }

    /// The trace of this name.
    ///
    /// # Panics
    /// When there is none.
    pub fn named(kernel: &'k DeadKernel, name: &str) -> DiskTrace<'k> {
        match kernel.truth.traces.iter().find(|t| t.name == name) {
            Some(trace) => DiskTrace::new(kernel, trace),
            None => panic!("no trace {name}"),
        }
    }

    fn new(kernel: &DeadKernel, trace: &'k TraceTruth) -> DiskTrace<'k> {
        let file = |stream: &'k StreamTruth| {
            let piece = |record| Piece { record, bytes: stream.disk[record].bytes.clone(), cut: None };
            let opened = !stream.overwrite || !stream.disk.is_empty();
            DiskFile { stream, pieces: opened.then(|| (0..stream.disk.len()).map(piece).collect()) }
        };
        let files: Vec<DiskFile<'k>> = trace.streams.iter().map(file).collect();
        let directories =
            files.iter().filter_map(|f| f.stream.path.rsplit_once('/')).map(|(dir, _)| dir.to_owned());
        DiskTrace { trace, format: kernel.format, directories: directories.collect(), files }
    }

    /// Damages the file of one stream. Several damages of a file must concern different records.
    ///
    /// # Panics
    /// When there is no such file or record, or the damage would not be one.
    pub fn damage(mut self, path: &str, damage: Damage) -> DiskTrace<'k> {
        let Some(file) = self.files.iter_mut().find(|f| f.stream.path == path) else {
            panic!("no stream {path}")
        };
        damage.apply(file, &self.format);
        self
    }

    /// Loses a directory below the trace with all files in it.
    ///
    /// # Panics
    /// When there is none of this name.
    pub fn without_directory(mut self, name: &str) -> DiskTrace<'k> {
        assert!(self.directories.remove(name), "no directory {name}");
        for file in &mut self.files {
            if file.stream.path.rsplit_once('/').is_some_and(|(dir, _)| dir == name) {
                file.pieces = None;
            }
        }
        self
    }

    /// For every file one or more damages of each kind that it has records for: path and damage.
    pub fn damages(&self) -> impl Iterator<Item = (&'k str, Damage)> + '_ {
        self.files.iter().filter(|file| file.pieces.is_some()).flat_map(|file| {
            let damages = Damage::all(file.stream, &self.format);
            damages.into_iter().map(|damage| (file.stream.path.as_str(), damage))
        })
    }

    /// What must become of it, and of the core's sub-buffers.
    pub fn outcome(&self) -> Outcome<'k> {
        Outcome::of(self)
    }

    /// Writes it; `directory` becomes the trace and must not exist.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn write(&self, directory: &Path) -> std::io::Result<()> {
        std::fs::create_dir(directory)?;
        for name in &self.directories {
            std::fs::create_dir(directory.join(name))?;
        }
        for file in &self.files {
            if let Some(bytes) = file.bytes() {
                std::fs::write(directory.join(&file.stream.path), bytes)?;
            }
        }
        Ok(())
    }
}

impl DiskFile<'_> {
    /// The file's content, if there is a file.
    pub(super) fn bytes(&self) -> Option<Vec<u8>> {
        let pieces = self.pieces.as_ref()?;
        Some(pieces.iter().flat_map(|piece| piece.bytes.iter().copied()).collect())
    }
}
