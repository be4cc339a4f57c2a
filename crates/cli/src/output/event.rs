//! Events as lines of text, or as JSON, one object a line. The latter is described in `docs/json.md`.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};

use analyser::events::{Entry, Fields, Value, What};
use anyhow::Result;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::text::printable;
use super::time::Wall;

/// Bytes worth a system call.
const FULL: usize = 64 << 10;

/// Lines on their way out, many at a time.
pub(crate) struct Lines<W> {
    out: W,
    text: String,
}

impl<W: Write> Lines<W> {
    pub(crate) fn new(out: W) -> Lines<W> {
        Lines { out, text: String::with_capacity(FULL + 4096) }
    }

    /// To append the next line to.
    pub(crate) fn line(&mut self) -> &mut String {
        &mut self.text
    }

    pub(crate) fn end_line(&mut self) -> io::Result<()> {
        self.text.push('\n');
        if self.text.len() < FULL {
            return Ok(());
        }
        self.flush()
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.write_all(self.text.as_bytes())?;
        self.text.clear();
        self.out.flush()
    }
}

/// A way to print entries.
pub(crate) trait Printer {
    /// Appends an entry to `line`, without a newline.
    fn print(&mut self, entry: &Entry<'_>, line: &mut String) -> Result<()>;
}

/// Text: wall clock, seconds before the newest event, CPU, channel, name, fields.
pub(crate) struct Text {
    /// Time of the newest event.
    end: Option<u64>,
    /// Whether events of several traces are mixed.
    several: bool,
    wall: Wall,
}

impl Text {
    pub(crate) fn new(end: Option<u64>, several: bool) -> Text {
        Text { end, several, wall: Wall::default() }
    }

    fn time(&mut self, entry: &Entry<'_>, line: &mut String) -> std::fmt::Result {
        let Some(ns) = entry.ns() else { return write!(line, "[{} cycles] ", entry.tsc) };
        line.push('[');
        match entry.wall_ns() {
            Some(wall) => self.wall.write(line, wall),
            None => write!(line, "{}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000)?,
        }
        line.push(']');
        if let Some(end) = self.end {
            let before = end.abs_diff(ns);
            let sign = if ns > end { '+' } else { '-' };
            write!(line, " ({sign}{}.{:09})", before / 1_000_000_000, before % 1_000_000_000)?;
        }
        line.push(' ');
        Ok(())
    }
}

impl Printer for Text {
    fn print(&mut self, entry: &Entry<'_>, line: &mut String) -> Result<()> {
        self.time(entry, line)?;
        write!(line, "cpu {} ", entry.cpu)?;
        if self.several {
            line.push_str(&printable(entry.trace));
            line.push('/');
        }
        line.push_str(&printable(entry.channel));
        line.push_str(": ");
        match &entry.what {
            What::Event { name, fields, .. } => {
                push(line, name);
                let mut before = ": { ";
                for field in fields.clone() {
                    line.push_str(before);
                    push(line, field.name);
                    write!(line, " = {}", field.value)?;
                    before = ", ";
                }
                line.push_str(if before == ", " { " }" } else { "" });
            }
            What::Unknown { id, bytes } => write!(line, "<unknown event, id {id}, {bytes} bytes>")?,
            What::Undecoded { bytes, reason } => {
                write!(line, "<{bytes} bytes of events not decoded: {}>", printable(reason))?;
            }
            What::Damaged { bytes, reason } => {
                write!(line, "<{bytes} bytes damaged: {}>", printable(reason))?
            }
            other => write!(line, "<{other:?}>")?,
        }
        Ok(())
    }
}

/// Bytes that should be a name.
fn push(line: &mut String, name: &[u8]) {
    match std::str::from_utf8(name) {
        Ok(text) => line.push_str(&printable(text)),
        Err(_) => _ = write!(line, "{}", name.escape_ascii()), // writing to a string cannot fail
    }
}

/// JSON, an object a line.
pub(crate) struct Json {
    /// Time of the newest event.
    pub(crate) end: Option<u64>,
}

/// One line.
#[derive(Serialize)]
struct Object<'a> {
    trace: &'a str,
    channel: &'a str,
    cpu: u32,
    tsc: u64,
    ns: Option<u64>,
    wall_ns: Option<i64>,
    /// Nanoseconds before the newest event.
    before_end_ns: Option<i64>,
    #[serde(flatten)]
    what: Kind<'a>,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Kind<'a> {
    Event { name: Cow<'a, str>, id: u16, fields: Map<'a> },
    Unknown { id: u16, bytes: u64 },
    Undecoded { bytes: u64, reason: &'a str },
    Damaged { bytes: u64, reason: &'a str },
}

/// Fields by name; a name that comes again gets a number.
struct Map<'a>(Fields<'a>);

impl Serialize for Map<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (nth, field) in self.0.clone().enumerate() {
            let same = self.0.clone().take(nth).filter(|other| other.name == field.name).count();
            let name = String::from_utf8_lossy(field.name);
            let name = if same == 0 { name } else { format!("{name}~{}", same + 1).into() };
            match field.value {
                Value::Signed(value) => map.serialize_entry(&name, &value)?,
                Value::Unsigned(value) | Value::Octal(value) | Value::Hex(value) => {
                    map.serialize_entry(&name, &value)?;
                }
                Value::Text(text) => map.serialize_entry(&name, &String::from_utf8_lossy(text))?,
                other => map.serialize_entry(&name, &other.to_string())?,
            }
        }
        map.end()
    }
}

impl Printer for Json {
    fn print(&mut self, entry: &Entry<'_>, line: &mut String) -> Result<()> {
        let what = match &entry.what {
            What::Event { name, id, fields } => {
                Kind::Event { name: String::from_utf8_lossy(name), id: *id, fields: Map(fields.clone()) }
            }
            What::Unknown { id, bytes } => Kind::Unknown { id: *id, bytes: *bytes },
            What::Undecoded { bytes, reason } => Kind::Undecoded { bytes: *bytes, reason },
            What::Damaged { bytes, reason } => Kind::Damaged { bytes: *bytes, reason },
            _ => {
                Kind::Damaged { bytes: 0, reason: "expected an event, found what this version does not know" }
            }
        };
        let ns = entry.ns();
        let before_end =
            self.end.zip(ns).and_then(|(end, ns)| i64::try_from(i128::from(end) - i128::from(ns)).ok());
        let object = Object {
            trace: entry.trace,
            channel: entry.channel,
            cpu: entry.cpu,
            tsc: entry.tsc,
            ns,
            wall_ns: entry.wall_ns().and_then(|ns| i64::try_from(ns).ok()),
            before_end_ns: before_end,
            what,
        };
        line.push_str(&serde_json::to_string(&object)?);
        Ok(())
    }
}
