//! Events as lines of text, or as JSON, one object a line. The latter is described in `docs/json.md`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, Write};

use analyser::events::{Babeltrace, Entry, Event, Field, Value, What};
use anyhow::Result;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::text::{count, printable};
use super::time::Wall;

/// Bytes worth a system call.
const FULL: usize = 64 << 10;

/// Lines on their way out, many at a time.
pub(crate) struct Lines<W> {
    out: W,
    text: Vec<u8>,
}

impl<W: Write> Lines<W> {
    pub(crate) fn new(out: W) -> Lines<W> {
        Lines { out, text: Vec::with_capacity(FULL + 4096) }
    }

    /// To append the next line to.
    pub(crate) fn line(&mut self) -> &mut Vec<u8> {
        &mut self.text
    }

    pub(crate) fn end_line(&mut self) -> io::Result<()> {
        self.text.push(b'\n');
        if self.text.len() < FULL {
            return Ok(());
        }
        self.flush()
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.write_all(&self.text)?;
        self.text.clear();
        self.out.flush()
    }
}

/// A way to print entries.
pub(crate) trait Printer {
    /// Appends an entry to `line`, without a newline. Returns whether there is one to print.
    fn print(&mut self, entry: &Entry<'_>, line: &mut Vec<u8>) -> Result<bool>;
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

    fn time(&mut self, entry: &Entry<'_>, line: &mut Vec<u8>) -> io::Result<()> {
        let Some(ns) = entry.ns() else { return write!(line, "[{} cycles] ", entry.tsc) };
        line.push(b'[');
        match entry.wall_ns() {
            Some(wall) => self.wall.write(line, wall),
            None => write!(line, "{}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000)?,
        }
        line.push(b']');
        if let Some(end) = self.end {
            let before = end.abs_diff(ns);
            let sign = if ns > end { '+' } else { '-' };
            write!(line, " ({sign}{}.{:09})", before / 1_000_000_000, before % 1_000_000_000)?;
        }
        line.push(b' ');
        Ok(())
    }

    /// What is in place of an event.
    fn what(&mut self, entry: &Entry<'_>, line: &mut Vec<u8>) -> io::Result<()> {
        match &entry.what {
            What::Unknown { id, bytes } => write!(line, "<unknown event, id {id}, {bytes} bytes>"),
            What::Undecoded { bytes, reason } => {
                write!(line, "<{bytes} bytes of events not decoded: {}>", printable(reason))
            }
            What::Damaged { bytes, reason } => {
                write!(line, "<{bytes} bytes damaged: {}>", printable(reason))
            }
            &What::Discarded { events, from, to } => {
                let events = count(events, "event");
                write!(line, "<{events} discarded by the tracer ")?;
                if from == to {
                    line.extend_from_slice(b"after ");
                } else {
                    line.extend_from_slice(b"between ");
                    self.moment(entry, from, line)?;
                    line.extend_from_slice(b" and ");
                }
                self.moment(entry, to, line)?;
                line.push(b'>');
                Ok(())
            }
            &What::Missing { packets, first } => {
                let packets = count(packets, "packet");
                write!(line, "<{packets} missing, from number {first} on>")
            }
            other => write!(line, "<{other:?}>"),
        }
    }

    fn moment(&mut self, entry: &Entry<'_>, tsc: u64, line: &mut Vec<u8>) -> io::Result<()> {
        match entry.wall_ns_of(tsc) {
            Some(wall) => self.wall.write(line, wall),
            None => write!(line, "{tsc} cycles")?,
        }
        Ok(())
    }
}

impl Printer for Text {
    fn print(&mut self, entry: &Entry<'_>, line: &mut Vec<u8>) -> Result<bool> {
        self.time(entry, line)?;
        if let Some(cpu) = entry.cpu {
            write!(line, "cpu {cpu} ")?;
        }
        if self.several {
            line.extend_from_slice(printable(entry.trace).as_bytes());
            line.push(b'/');
        }
        line.extend_from_slice(printable(entry.channel).as_bytes());
        line.extend_from_slice(b": ");
        match &entry.what {
            What::Event(event) => {
                let start = line.len();
                event.write(line);
                clean(line, start);
            }
            _ => self.what(entry, line)?,
        }
        Ok(true)
    }
}

/// Takes from the line, from `start` on, what a terminal would obey.
fn clean(line: &mut Vec<u8>, start: usize) {
    let event = line.get(start..).unwrap_or_default();
    if event.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t')) {
        return;
    }
    let mut text = String::with_capacity(event.len() + 64);
    for chunk in event.utf8_chunks() {
        text.push_str(&printable(chunk.valid()));
        text.extend(chunk.invalid().escape_ascii().map(char::from));
    }
    line.truncate(start);
    line.extend_from_slice(text.as_bytes());
}

/// The lines of babeltrace 2, events only: what is in place of others is told on standard error, as there.
pub(crate) struct AsBabeltrace {
    lines: Babeltrace,
    /// For everything else.
    text: Text,
}

impl AsBabeltrace {
    pub(crate) fn new(several: bool) -> AsBabeltrace {
        AsBabeltrace { lines: Babeltrace::default(), text: Text::new(None, several) }
    }
}

impl Printer for AsBabeltrace {
    fn print(&mut self, entry: &Entry<'_>, line: &mut Vec<u8>) -> Result<bool> {
        if self.lines.write(line, entry) {
            return Ok(true);
        }
        let mut message = Vec::new();
        self.text.print(entry, &mut message)?;
        tracing::warn!("{}", String::from_utf8_lossy(&message));
        Ok(false)
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
    cpu: Option<u32>,
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
    Event {
        name: Cow<'a, str>,
        id: u64,
        #[serde(skip_serializing_if = "Contexts::is_empty")]
        context: Contexts<'a>,
        fields: Payload<'a>,
    },
    Unknown {
        id: u64,
        bytes: u64,
    },
    Undecoded {
        bytes: u64,
        reason: &'a str,
    },
    Damaged {
        bytes: u64,
        reason: &'a str,
    },
    Discarded {
        events: u64,
        from_tsc: u64,
        to_tsc: u64,
    },
    Missing {
        packets: u64,
        first: u64,
    },
}

/// An event's own fields.
struct Payload<'a>(&'a Event<'a>);

/// What was recorded beside them.
struct Contexts<'a>(&'a Event<'a>);

impl Contexts<'_> {
    fn is_empty(&self) -> bool {
        self.0.contexts().into_iter().flatten().next().is_none()
    }
}

impl Serialize for Payload<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_fields(self.0.fields(), serializer)
    }
}

impl Serialize for Contexts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_fields(self.0.contexts().into_iter().flatten(), serializer)
    }
}

/// Fields by name; a name that comes again gets a number.
fn serialize_fields<'a, S: Serializer>(
    fields: impl Iterator<Item = Field<'a>> + Clone,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    /// Fields of any honest event: to look through them is faster than to keep their names.
    const FEW: usize = 16;
    let mut map = serializer.serialize_map(None)?;
    let mut names: HashMap<&[u8], usize> = HashMap::new();
    for (nth, field) in fields.clone().enumerate() {
        let same = if nth < FEW {
            fields.clone().take(nth).filter(|other| other.name == field.name).count()
        } else {
            if nth == FEW {
                fields.clone().take(nth).for_each(|other| *names.entry(other.name).or_default() += 1);
            }
            let same = names.entry(field.name).or_default();
            *same += 1;
            *same - 1
        };
        let name = String::from_utf8_lossy(field.name);
        let name = if same == 0 { name } else { format!("{name}~{}", same + 1).into() };
        map.serialize_entry(&name, &Shown(field.value))?;
    }
    map.end()
}

/// A value.
struct Shown<'a>(Value<'a>);

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Value::Signed(value) => serializer.serialize_i64(*value),
            Value::Unsigned(value) | Value::Octal(value) | Value::Hex(value) => {
                serializer.serialize_u64(*value)
            }
            Value::Text(text) => serializer.serialize_str(&String::from_utf8_lossy(text)),
            Value::Float(value) => serializer.serialize_f64(*value),
            Value::Struct(fields) => serialize_fields(fields.clone(), serializer),
            Value::Array(elements) => serializer.collect_seq(elements.clone().map(Shown)),
            Value::Enum(value) => {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("value", &Shown(value.number().into()))?;
                map.serialize_entry("labels", &value.labels().collect::<Vec<_>>())?;
                map.end()
            }
            Value::Variant(variant) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry(variant.name(), &variant.value().map(|value| Shown(value.into())))?;
                map.end()
            }
            other => serializer.collect_str(other),
        }
    }
}

impl Printer for Json {
    fn print(&mut self, entry: &Entry<'_>, line: &mut Vec<u8>) -> Result<bool> {
        let what = match &entry.what {
            What::Event(event) => Kind::Event {
                name: String::from_utf8_lossy(event.name()),
                id: event.id(),
                context: Contexts(event),
                fields: Payload(event),
            },
            &What::Unknown { id, bytes } => Kind::Unknown { id, bytes },
            &What::Undecoded { bytes, reason } => Kind::Undecoded { bytes, reason },
            &What::Damaged { bytes, reason } => Kind::Damaged { bytes, reason },
            &What::Discarded { events, from, to } => Kind::Discarded { events, from_tsc: from, to_tsc: to },
            &What::Missing { packets, first } => Kind::Missing { packets, first },
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
        serde_json::to_writer(line, &object)?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use analyser::events::{Field, Value};

    use super::{clean, serialize_fields};

    #[test]
    fn a_name_that_comes_again_gets_a_number() {
        let names: Vec<String> = (0..40).map(|nth| format!("f{}", nth % 19)).collect();
        let fields = names.iter().map(|name| Field { name: name.as_bytes(), value: Value::Unsigned(1) });
        let mut json = Vec::new();
        serialize_fields(fields, &mut serde_json::Serializer::new(&mut json)).unwrap();
        let found: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&json).unwrap();
        let expected: Vec<String> = (0..40)
            .map(|nth| if nth < 19 { format!("f{nth}") } else { format!("f{}~{}", nth % 19, nth / 19 + 1) })
            .collect();
        assert_eq!(found.len(), 40);
        assert!(expected.iter().all(|name| found.contains_key(name)), "{found:?}");
    }

    #[test]
    fn nothing_a_terminal_obeys() {
        let cleaned = |text: &[u8]| {
            let mut line = [b"\x1b[0m", text].concat();
            clean(&mut line, 4);
            String::from_utf8(line).unwrap()
        };
        assert_eq!(cleaned(b"open: { path = \"/tmp\" }"), "\x1b[0mopen: { path = \"/tmp\" }");
        assert_eq!(cleaned("é\u{9b}1m".as_bytes()), "\x1b[0mé\\u{9b}1m");
        assert_eq!(cleaned(b"a\x1bb\xff\xc3"), "\x1b[0ma\\u{1b}b\\xff\\xc3");
    }
}
