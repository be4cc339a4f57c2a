//! The metadata file: what is on disk, cut to what is whole, and continued from the core's cache.

use std::io;
use std::ops::Range;
use std::path::PathBuf;

use analyser::lttng::{MetadataFile, SessionMetadata};
use lttformat::ReadAt;
use lttformat::ctf::{Language, Metadata, TraceClass};

use crate::join::file::{File, Found, Piece};
use crate::join::report::{CutReport, MetadataJoin};

/// The metadata of both sides, put together.
pub(crate) struct Joined {
    /// Of the file on disk: its beginning.
    disk: Option<Range<u64>>,
    /// Behind it.
    made: Vec<u8>,
    cuts: Vec<(Range<u64>, String, bool)>,
    text: Vec<u8>,
    kept: usize,
    damage: Vec<String>,
    notes: Vec<String>,
}

/// The two sides.
#[derive(Clone, Copy)]
pub(crate) struct Sides<'a> {
    pub(crate) disk: Option<&'a MetadataFile>,
    /// Length of the file now.
    pub(crate) len: u64,
    pub(crate) core: Option<&'a SessionMetadata>,
}

impl Joined {
    /// The longer of both texts, if one continues the other. If they differ, that of the core: the tracer began its text anew.
    pub(crate) fn new(sides: Sides<'_>) -> Joined {
        let Sides { disk, core, .. } = sides;
        let core = core.filter(|core| !core.text().is_empty());
        let empty = Metadata { text: Vec::new(), packets: None, spans: Vec::new(), cut: None };
        let content = disk.map_or(&empty, MetadataFile::content);
        let mut joined = Joined {
            disk: None,
            made: Vec::new(),
            cuts: Vec::new(),
            text: Vec::new(),
            kept: 0,
            damage: Vec::new(),
            notes: Vec::new(),
        };
        match core {
            None => joined.keep_whole(sides, content),
            Some(core) if core.first_packet() > 0 => joined.continue_packets(sides, content, core),
            Some(core) if core.text().starts_with(&content.text) => {
                joined.keep_packets(sides, content, true);
                joined.append(content, core, core.text());
            }
            Some(core) if disk.is_some_and(|disk| disk.text().starts_with(core.text())) => {
                joined.keep_whole(sides, content);
            }
            Some(core) if is_better(core, disk) => {
                let reason = "expected the text that the core has, found another: the tracer began it anew";
                joined.cut(0..sides.len, reason.to_owned(), true);
                joined.made = core.file();
                joined.text = core.text().to_vec();
                joined.notes.push(format!(
                    "the text on disk ({} bytes) is not the beginning of the core's ({} bytes), which replaces it",
                    content.text.len(),
                    core.text().len()
                ));
            }
            Some(core) => {
                joined.keep_whole(sides, content);
                joined.notes.push(format!(
                    "the core's text ({} bytes) does not continue the one on disk ({} bytes), which is kept",
                    core.text().len(),
                    content.text.len()
                ));
            }
        }
        joined
    }

    /// The text in the end.
    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    /// The whole file in the end. Errors: the old one cannot be read.
    pub(crate) fn bytes(&self, disk: &impl ReadAt) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        if let Some(range) = self.disk.clone() {
            let mut part = vec![0; usize::try_from(range.end - range.start).unwrap_or(0)];
            disk.read_exact_at(range.start, &mut part)?;
            bytes.append(&mut part);
        }
        bytes.extend_from_slice(&self.made);
        Ok(bytes)
    }

    /// The file, and what is to be said about it.
    pub(crate) fn file<'a>(&self, path: PathBuf, found: Option<Found<'a>>) -> (File<'a>, MetadataJoin) {
        let mut pieces: Vec<Piece> = self.disk.iter().cloned().map(Piece::Disk).collect();
        if !self.made.is_empty() {
            pieces.push(Piece::Made(self.made.clone()));
        }
        let cuts = self.cuts.iter().map(|(range, ..)| range.clone()).collect();
        let file = File {
            path,
            original: found,
            source: found,
            pieces,
            cuts,
            stream: usize::MAX,
            is_metadata: true,
        };
        let shown = file.path.display().to_string();
        let cut = |(range, reason, in_core): &(Range<u64>, String, bool)| CutReport {
            path: shown.clone(),
            offset: range.start,
            len: range.end - range.start,
            reason: reason.clone(),
            in_core: *in_core,
            saved_as: None,
        };
        let report = MetadataJoin {
            cuts: self.cuts.iter().map(cut).collect(),
            path: shown.clone(),
            bytes: found.map(|found| found.len),
            text_kept: self.kept as u64,
            text_added: self.text.len().saturating_sub(self.kept) as u64,
            changes: !file.is_unchanged(),
            damage: self.damage.clone(),
            notes: self.notes.clone(),
        };
        (file, report)
    }

    /// Nothing continues the text: it is cut to whole statements.
    fn keep_whole(&mut self, sides: Sides<'_>, content: &Metadata) {
        let whole = sides.disk.map_or(0, |disk| disk.text().len());
        if whole == content.text.len() {
            self.keep_packets(sides, content, false);
            return;
        }
        let reason = "expected whole statements, found one that does not end".to_owned();
        let kept: Vec<_> = content.spans.iter().filter(|span| span.text.end <= whole).cloned().collect();
        let split = content.spans.iter().find(|span| span.text.end > whole);
        let Some(split) = split.filter(|_| content.packets.is_some()) else {
            // Plain text may be cut anywhere.
            let torn = content.text.len().saturating_sub(whole) as u64;
            let end = sides.len.saturating_sub(torn);
            self.keep(0..end);
            self.cut(end..sides.len, reason, false);
            self.text = content.text.get(..whole).unwrap_or_default().to_vec();
            self.kept = whole;
            return;
        };
        let start = split.file.start as u64;
        self.keep(0..start);
        self.cut(start..sides.len, reason, false);
        let rest = content.text.get(split.text.start..whole).unwrap_or_default();
        self.kept = kept.last().map_or(0, |span| span.text.end);
        self.text = content.text.get(..whole).unwrap_or_default().to_vec();
        // The statements before it in the same packet, in a packet of their own.
        if let Some(packets) = content.packets.filter(|_| !rest.is_empty()) {
            self.made = packets.file(rest, split.file.end - split.file.start).unwrap_or_default();
            self.kept = whole;
        }
    }

    /// All packets stay, and the bytes behind them are cut.
    fn keep_packets(&mut self, sides: Sides<'_>, content: &Metadata, in_core: bool) {
        self.text.clone_from(&content.text);
        self.kept = content.text.len();
        let end = content.spans.last().map_or(0, |span| span.file.end) as u64;
        self.keep(0..end.min(sides.len));
        // The padding of the last one may be torn.
        self.made = vec![0; usize::try_from(end.saturating_sub(sides.len)).unwrap_or(0)];
        if end < sides.len {
            let reason = content.cut.as_ref().map(|cut| cut.reason.to_string());
            let reason =
                reason.unwrap_or_else(|| "expected the end of the file, found more bytes".to_owned());
            self.cut(end..sides.len, reason, in_core);
        }
    }

    /// Adds what a longer text has more.
    fn append(&mut self, content: &Metadata, core: &SessionMetadata, text: &[u8]) {
        let more = text.get(self.text.len()..).unwrap_or_default();
        if more.is_empty() {
            return;
        }
        let more = match (content.packets, content.spans.first()) {
            (Some(packets), Some(first)) => {
                packets.file(more, first.file.end - first.file.start).unwrap_or_else(|_| core.wrap(more))
            }
            // A text without packets cannot go on in packets.
            (None, Some(span)) if !span.text.is_empty() => more.to_vec(),
            _ => {
                // There was nothing, or only what is cut.
                self.made.clear();
                core.wrap(more)
            }
        };
        self.made.extend(more);
        self.text = text.to_vec();
    }

    /// Before 2.3 the core holds packets only, of which the first are on disk.
    fn continue_packets(&mut self, sides: Sides<'_>, content: &Metadata, core: &SessionMetadata) {
        let there = content.spans.len() as u64;
        let Some(more) = core.from_packet(there) else {
            self.keep_whole(sides, content);
            if there < core.first_packet() {
                self.damage.push(format!(
                    "packets {there} to {} are neither on disk nor in the core",
                    core.first_packet() - 1
                ));
            }
            return;
        };
        self.keep_packets(sides, content, true);
        let text = [&content.text, more].concat();
        self.append(content, core, &text);
    }

    fn keep(&mut self, range: Range<u64>) {
        self.disk = Some(range).filter(|range| !range.is_empty());
    }

    fn cut(&mut self, range: Range<u64>, reason: String, in_core: bool) {
        if !range.is_empty() {
            self.cuts.push((range, reason, in_core));
        }
    }
}

/// Whether the core's text can stand alone. One that was read with holes cannot replace another.
fn is_better(core: &SessionMetadata, disk: Option<&MetadataFile>) -> bool {
    let describes = |text: &[u8]| match Language::of(text) {
        Language::Tsdl => TraceClass::parse(text).map_or(0, |class| class.streams().len()),
        Language::Json => usize::from(!text.is_empty()),
    };
    core.damage().is_empty() && describes(core.text()) >= disk.map_or(0, |disk| describes(disk.text()))
}
