//! The merged list.

use std::collections::BTreeSet;

use super::clock::Clock;
use super::merge::Merge;
use super::source::{Source, newest};
use super::stream::Label;
use super::{Entry, Selection, Since, ltt, lttng as sources};
use crate::directory::Directory;
use crate::error::{Error, Result};
use crate::kernel::Kernel;
use crate::lttng::{self, Session};
use crate::model::Trace;

/// The entries of several streams in the order of their times; of equally old ones that of the lower CPU first, then by the
/// names of the channels.
///
/// ```
/// # fn main() -> analyser::Result<()> {
/// # let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");
/// use analyser::events::{Events, Selection, What};
///
/// let directory = analyser::Directory::open(format!("{fixtures}/K1-2cpu/expected-intact/k1").as_ref())?;
/// let selection = Selection { last: Some(3), ..Default::default() };
/// let mut events = Events::of_directory(&directory, &selection)?;
/// let mut lines = Vec::new();
/// while let Some(entry) = events.next() {
///     if let What::Event(event) = &entry.what {
///         let fields: Vec<_> =
///             event.fields().map(|field| format!("{} = {}", field.name.escape_ascii(), field.value)).collect();
///         lines.push(format!("{:?} {} {}", entry.cpu, event.name().escape_ascii(), fields.join(", ")));
///     }
/// }
/// assert_eq!(lines[2], "Some(1) kernel_arch_trap_entry trap_id = 2, ip = 0xffffffff803d7820");
/// # Ok(())
/// # }
/// ```
pub struct Events<'a> {
    merge: Merge<'a>,
    clock: Option<Clock>,
    end: Option<u64>,
}

/// A stream, and by what it is chosen and sorted.
type Named<'a> = (Label, Box<dyn Source + 'a>);

impl<'a> Events<'a> {
    /// The events of some of a kernel's traces, which share its clock.
    ///
    /// Errors: the selection names a channel that there is not, or a wall clock time although the trace's start is not known.
    /// Damage is in the list.
    pub fn of_core(kernel: &'a Kernel, traces: &[&'a Trace], selection: &Selection) -> Result<Events<'a>> {
        let streams = traces.iter().flat_map(|trace| ltt::of_trace(kernel, trace)).collect();
        Events::new(streams, selection)
    }

    /// The events of some of a kernel's sessions of LTTng 2.x, which share its clock.
    ///
    /// Errors: as [`of_core`](Events::of_core); of none of the sessions can events be decoded. Packets of one that cannot be decoded
    /// beside others are in the list as such.
    pub fn of_sessions(
        kernel: &'a Kernel,
        sessions: &[&'a Session],
        selection: &Selection,
    ) -> Result<Events<'a>> {
        // A session that never recorded has no metadata, which is nothing to tell.
        let recorded = sessions.iter().find(|session| session.streams().next().is_some());
        if let Some(session) = recorded.or(sessions.first())
            && sessions.iter().all(|session| session.class().is_none())
        {
            let trace = session.name().into_owned();
            return Err(Error::NotDecoded { trace, reason: sources::why_not_decoded(session) });
        }
        let streams = sessions.iter().flat_map(|session| sources::of_session(kernel, session)).collect();
        Events::new(streams, selection)
    }

    /// The events of a trace directory. Errors: as [`of_core`](Events::of_core).
    pub fn of_directory(directory: &'a Directory, selection: &Selection) -> Result<Events<'a>> {
        Events::new(ltt::of_directory(directory), selection)
    }

    /// The events of a trace directory of LTTng 2.x. Errors: as [`of_sessions`](Events::of_sessions).
    pub fn of_session_directory(
        directory: &'a lttng::Directory,
        selection: &Selection,
    ) -> Result<Events<'a>> {
        Events::new(sources::of_directory(directory)?, selection)
    }

    fn new(mut streams: Vec<Named<'a>>, selection: &Selection) -> Result<Events<'a>> {
        // One with a frequency, if there is one: all of them count the same cycles.
        let clocks = || streams.iter().map(|(label, _)| &label.clock);
        let clock = clocks().find(|clock| clock.ns(0).is_some()).or_else(|| clocks().next()).cloned();
        let end = streams.iter_mut().filter_map(|(_, source)| newest(source.as_mut())).max();
        for wanted in &selection.channels {
            if !streams.iter().any(|(label, _)| super::selection::is_called(&label.channel, wanted)) {
                return Err(no_channel(wanted, &streams));
            }
        }
        for wanted in &selection.cpus {
            if !streams.iter().any(|(label, _)| label.cpu == Some(*wanted)) {
                return Err(no_cpu(*wanted, &streams));
            }
        }
        let since = match (selection.since, &clock) {
            (Some(since), Some(clock)) => Some((since, start(since, clock, end)?)),
            _ => None,
        };
        streams.retain(|(label, _)| selection.takes(&label.channel, label.cpu));
        // Stable: traces stay as they are given.
        streams.sort_by(|(a, _), (b, _)| (a.cpu, &a.channel).cmp(&(b.cpu, &b.channel)));
        // All traces count the same cycles, but each has measured for itself when they began.
        let from =
            |label: &Label| since.map_or(0, |(since, from)| start(since, &label.clock, end).unwrap_or(from));
        let (from, sources) = streams.into_iter().map(|(label, source)| (from(&label), source)).unzip();
        let merge = match selection.last {
            Some(count) => Merge::last(sources, count, from),
            None => Merge::since(sources, from),
        };
        Ok(Events { merge, clock, end })
    }

    /// The next entry, which borrows the list until it is dropped; `None` at the end.
    ///
    /// Never fails: a file that cannot be read on is an entry that says so.
    #[expect(clippy::should_implement_trait, reason = "an iterator's items cannot borrow from it")]
    #[inline]
    pub fn next(&mut self) -> Option<Entry<'_>> {
        self.merge.next()
    }

    /// Time of the newest event, of whatever channel and CPU, in clock cycles.
    #[must_use]
    pub fn end_tsc(&self) -> Option<u64> {
        self.end
    }

    /// Time of the newest event, of whatever channel and CPU, on the scale of [`Entry::ns`].
    #[must_use]
    pub fn end_ns(&self) -> Option<u64> {
        self.clock.as_ref()?.ns(self.end?)
    }
}

impl std::fmt::Debug for Events<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").field("clock", &self.clock).field("end", &self.end).finish_non_exhaustive()
    }
}

/// The first time in cycles that is wanted.
fn start(since: Since, clock: &Clock, end: Option<u64>) -> Result<u64> {
    match since {
        Since::Trace(ns) => clock.cycles_at(ns),
        Since::BeforeEnd(ns) => {
            clock.cycles_at(end.and_then(|end| clock.ns(end)).unwrap_or(0).saturating_sub(ns))
        }
        Since::Wall(ns) => clock.cycles_at_wall(ns),
    }
}

fn no_channel(wanted: &str, streams: &[Named<'_>]) -> Error {
    let mut names: Vec<_> = streams.iter().map(|(label, _)| label.channel.clone()).collect();
    names.sort_unstable();
    names.dedup();
    Error::NoChannel { wanted: wanted.to_owned(), found: names.join(", ") }
}

fn no_cpu(wanted: u32, streams: &[Named<'_>]) -> Error {
    let cpus: BTreeSet<u32> = streams.iter().filter_map(|(label, _)| label.cpu).collect();
    let found = cpus.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    Error::NoCpu { wanted, found }
}
