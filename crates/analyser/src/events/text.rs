//! Events as lines of text, the way the tracers' viewers print them.

use std::io::Write as _;

use lttformat::ctf;

use super::event::Kind;
use super::{Entry, Event, What};

impl Event<'_> {
    /// Appends name, contexts and fields the way the tracer's viewer does: `name: { a = 1, b = "x" }` (LTT),
    /// `name: { pid = 5 }, { a = 1, b = "x" }` (CTF, without the packet context).
    ///
    /// Names are as announced: they, not the values, may hold what a terminal obeys. Allocates only when `out` grows.
    pub fn write(&self, out: &mut Vec<u8>) {
        match &self.0 {
            Kind::Ctf(event) => ctf::text::write_own_parts(out, event),
            Kind::Ltt { name, .. } => {
                write_name(out, name);
                let mut before = ": { ";
                for field in self.fields() {
                    out.extend_from_slice(before.as_bytes());
                    write_name(out, field.name);
                    // Writing to memory cannot fail.
                    let _ = write!(out, " = {}", field.value);
                    before = ", ";
                }
                if before == ", " {
                    out.extend_from_slice(b" }");
                }
            }
        }
    }
}

/// Bytes that should be text.
fn write_name(out: &mut Vec<u8>, name: &[u8]) {
    match std::str::from_utf8(name) {
        Ok(_) => out.extend_from_slice(name),
        Err(_) => _ = write!(out, "{}", name.escape_ascii()),
    }
}

/// Events of CTF as the lines of `babeltrace2 --clock-gmt`, one after the other.
///
/// ```text
/// [19:38:56.135699475] (+0.000001234) box sched_wakeup: { cpu_id = 0 }, { comm = "kcompactd0", tid = 34 }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Babeltrace {
    before: Option<i128>,
}

impl Babeltrace {
    /// Appends the line of an entry, without a newline. Returns whether there is one: only events of CTF have. Allocates only when
    /// `out` grows.
    pub fn write(&mut self, out: &mut Vec<u8>, entry: &Entry<'_>) -> bool {
        let What::Event(Event(Kind::Ctf(event))) = &entry.what else { return false };
        if let Some(now) = entry.wall_ns() {
            out.push(b'[');
            ctf::text::write_time_of_day(out, now);
            out.extend_from_slice(b"] (+");
            match self.before.replace(now) {
                Some(before) => ctf::text::write_seconds(out, now.saturating_sub(before).max(0)),
                None => out.extend_from_slice(b"?.?????????"),
            }
            out.extend_from_slice(b") ");
        }
        if let Some(host) = entry.host {
            out.extend_from_slice(host.as_bytes());
            out.push(b' ');
        }
        ctf::text::write_event(out, event);
        true
    }
}
