//! Everything that any command reads of a core, and what it read, in a form that can be compared.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};

use analyser::{Kernel, Routes};

/// Each way alone, as a user may want it, and all together.
const ROUTES: [Routes; 5] =
    [Routes::LIST, Routes::DEBUGFS, Routes::CHANNELS, Routes::OPEN_FILES, Routes::ALL];

/// What was found, one line a thing. The words in which damage is told are left out: formats differ in the reasons they can tell.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Account {
    lines: Vec<String>,
    pub(super) has_log: bool,
    pub(super) traces: usize,
    pub(super) sessions: usize,
    pub(super) streams: usize,
    pub(super) records: u64,
}

/// The records of one stream.
#[derive(Default)]
struct Records {
    count: u64,
    found: u64,
    valid: u64,
    lost: u64,
    unreadable: u64,
    zero_filled: u64,
    notes: usize,
    bytes: DefaultHasher,
}

impl Account {
    /// Reads everything.
    pub(super) fn of(kernel: &Kernel, log: bool) -> Account {
        let mut account = Account::default();
        account.kernel(kernel, log);
        account.tree(kernel);
        for routes in ROUTES {
            (account.traces, account.sessions, account.streams, account.records) = (0, 0, 0, 0);
            account.of_traces(kernel, routes);
            account.of_sessions(kernel, routes);
        }
        account
    }

    /// The first line in which another account differs: what is here, and what is there.
    pub(super) fn difference(&self, other: &Account) -> Option<(String, String)> {
        let none = || "nothing".to_owned();
        let differ = self.lines.iter().zip(&other.lines).position(|(ours, theirs)| ours != theirs);
        let shorter = self.lines.len().min(other.lines.len());
        let at = differ.or_else(|| (self.lines.len() != other.lines.len()).then_some(shorter))?;
        let line = |lines: &[String]| lines.get(at).cloned().unwrap_or_else(none);
        Some((line(&self.lines), line(&other.lines)))
    }

    fn say(&mut self, line: std::fmt::Arguments<'_>) {
        self.lines.push(line.to_string());
    }

    fn kernel(&mut self, kernel: &Kernel, log: bool) {
        let log = if log { kernel.log() } else { None };
        self.has_log = log.as_ref().is_some_and(|log| !log.lines.is_empty());
        let mut hash = DefaultHasher::new();
        log.iter().for_each(|log| log.lines.hash(&mut hash));
        let core = kernel.core_info();
        let summary = kernel.summary_with(log);
        self.say(format_args!(
            "{}, {} CPUs, pages of {}, release {:?}, build-id {:?}, crashed {:?}",
            core.machine, core.cpus, core.page_size, core.release, core.build_id, core.crash_time
        ));
        self.say(format_args!(
            "kernel {:?} {:?} {:?} {:?}, moved by {:#x}, panic {:?}, log {:x}, warnings {:?}",
            summary.nodename,
            summary.release,
            summary.version,
            summary.machine,
            summary.kaslr_offset,
            summary.panic,
            hash.finish(),
            summary.warnings
        ));
        self.say(format_args!("{} modules", kernel.modules().len()));
    }

    fn tree(&mut self, kernel: &Kernel) {
        let Ok(debugfs) = kernel.debugfs() else {
            self.say(format_args!("no debugfs"));
            return;
        };
        let (mut entries, mut hash) = (debugfs.entries(), DefaultHasher::new());
        let mut count = 0_u64;
        for entry in entries.by_ref() {
            count += 1;
            (&entry.path, entry.size, entry.what).hash(&mut hash);
        }
        let damage = entries.damage().len();
        self.say(format_args!("debugfs of {count} entries {:x}, damage {damage}", hash.finish()));
    }

    fn of_traces(&mut self, kernel: &Kernel, routes: Routes) {
        let traces = kernel.traces(routes);
        self.say(format_args!("by {routes}: {} traces, damage {}", traces.traces.len(), traces.damage.len()));
        for trace in &traces.traces {
            self.traces += 1;
            self.say(format_args!(
                "trace {:?}, format {:?}, by {}, transport {}, active {}, markers {:?}, clock {:?}",
                trace.name(),
                trace.version().map(|version| version.to_string()),
                trace.found_by(),
                trace.transport(),
                trace.active(),
                trace.markers().map(|markers| markers.len()),
                trace.clock()
            ));
            for (channel, stream) in trace.streams() {
                let mut recorder = trace.recorder(kernel, channel, stream);
                let mut records = Records::default();
                for sub_buffer in stream.sub_buffers() {
                    let record = recorder.record(sub_buffer);
                    records.count += u64::from(!record.bytes.is_empty());
                    records.found += record.found;
                    records.valid += record.valid;
                    records.lost += record.lost;
                    records.unreadable += record.unreadable;
                    records.zero_filled += record.zero_filled;
                    records.notes += record.notes.len();
                    (sub_buffer.position(), sub_buffer.is_unread(), record.bytes).hash(&mut records.bytes);
                }
                let of = format!(
                    "{}, written to {}, read to {}, events lost {}, damage {}",
                    stream.label(),
                    stream.write_position(),
                    stream.consumed_position(),
                    stream.events_lost(),
                    stream.damage().len()
                );
                self.stream(of, &records);
            }
        }
    }

    fn of_sessions(&mut self, kernel: &Kernel, routes: Routes) {
        let sessions = kernel.sessions(routes);
        self.say(format_args!(
            "by {routes}: {} sessions, damage {}",
            sessions.sessions.len(),
            sessions.damage.len()
        ));
        for session in &sessions.sessions {
            self.sessions += 1;
            let metadata = session.metadata();
            let mut hash = DefaultHasher::new();
            metadata.iter().for_each(|metadata| metadata.text().hash(&mut hash));
            self.say(format_args!(
                "session {}, by {}, uuid {:?}, active {}, metadata {:?} {:x}",
                session.folder(),
                session.found_by(),
                session.uuid(),
                session.active(),
                metadata.map(|metadata| metadata.text().len()),
                hash.finish()
            ));
            for (channel, stream) in session.streams() {
                let mut recorder = session.recorder(kernel, channel, stream);
                let mut records = Records::default();
                for packet in stream.packets() {
                    let record = recorder.record(packet);
                    records.count += u64::from(!record.bytes.is_empty());
                    records.found += record.found;
                    records.valid += record.valid;
                    records.lost += record.lost;
                    records.unreadable += record.unreadable;
                    records.zero_filled += record.zero_filled;
                    records.notes += record.notes.len();
                    (packet.position(), packet.is_unread(), record.bytes).hash(&mut records.bytes);
                }
                let of = format!(
                    "{} of {}, written to {}, read to {}, events lost {}, damage {}",
                    stream.file_name(),
                    channel.name(),
                    stream.write_position(),
                    stream.consumed_position(),
                    stream.events_lost(),
                    stream.damage().len()
                );
                self.stream(of, &records);
            }
        }
    }

    fn stream(&mut self, mut line: String, records: &Records) {
        self.streams += 1;
        self.records += records.count;
        // Writing to a string cannot fail.
        let _ = write!(
            line,
            ": {} records, {} found, {} valid, {} lost, {} unreadable, {} taken as zeros, {} notes, {:x}",
            records.count,
            records.found,
            records.valid,
            records.lost,
            records.unreadable,
            records.zero_filled,
            records.notes,
            records.bytes.finish()
        );
        self.lines.push(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_told() {
        let account = |lines: &[&str]| Account {
            lines: lines.iter().map(|line| (*line).to_owned()).collect(),
            ..Account::default()
        };
        let told = |ours: &[&str], theirs: &[&str]| account(ours).difference(&account(theirs));
        let pair = |ours: &str, theirs: &str| Some((ours.to_owned(), theirs.to_owned()));
        assert_eq!(told(&["a", "b"], &["a", "b"]), None);
        assert_eq!(told(&["a", "b", "c"], &["a", "x", "y"]), pair("b", "x"));
        assert_eq!(told(&["a", "b"], &["a"]), pair("b", "nothing"));
        assert_eq!(told(&[], &["a"]), pair("nothing", "a"));
    }
}
