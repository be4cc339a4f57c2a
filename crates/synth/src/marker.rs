//! Markers: names, formats and ids of events, and the bytes of their arguments.

use crate::abi::Abi;
use crate::format::Format;

/// A marker known to a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// Event name.
    pub name: String,
    /// Id in the trace: per channel from format 2.3, else global.
    pub id: u16,
    /// Format string.
    pub format: String,
    pub(crate) fields: Vec<(String, Kind)>,
}

/// How one argument is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Fixed number of bytes.
    Int(u8),
    /// `long`, `size_t` or a pointer.
    Word,
    /// NUL-terminated.
    Text,
    /// In the word of a compact event.
    Data,
}

/// One argument of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// An integer; its low bytes are stored.
    Int(u64),
    /// A string without its NUL.
    Text(Vec<u8>),
}

impl From<u64> for Value {
    fn from(value: u64) -> Value {
        Value::Int(value)
    }
}

/// Arguments together with how they are stored.
#[derive(Debug, Clone)]
pub(crate) struct Payload(Vec<(Kind, Value)>);

/// Encoded arguments: offsets count from their own start.
pub(crate) struct EncodedPayload {
    pub(crate) bytes: Vec<u8>,
    /// Alignment wanted for the start: the largest integer's size.
    pub(crate) align: u64,
}

impl Kind {
    fn size(self, abi: Abi) -> u64 {
        match self {
            Kind::Int(size) => u64::from(size),
            Kind::Word => abi.word,
            Kind::Text | Kind::Data => 1,
        }
    }

    /// The storage of one `#…%…` or `%…` conversion of the formats used here.
    fn of(spec: &str) -> Kind {
        if spec.ends_with('s') {
            return Kind::Text;
        }
        if spec.starts_with("#b") {
            return Kind::Data;
        }
        let stored = match spec.split_once('%') {
            Some((trace, _)) if trace.starts_with('#') => trace.trim_start_matches(['#', 'n']),
            Some((_, plain)) => plain,
            None => panic!("{spec} is no conversion"),
        };
        match stored.trim_end_matches(['d', 'u', 'x', 'X', 'i', 'o']) {
            "1" | "c" => Kind::Int(1),
            "2" | "h" => Kind::Int(2),
            "4" | "" => Kind::Int(4),
            "8" | "ll" => Kind::Int(8),
            "l" | "p" | "z" | "t" => Kind::Word,
            other => panic!("conversion {other} is not known"),
        }
    }
}

impl Marker {
    /// A marker whose format alternates names and conversions: `pid %d prio #2u%u name %s`.
    pub fn new(name: &str, id: u16, format: &str) -> Marker {
        let words: Vec<&str> = format.split_whitespace().collect();
        let fields = words.chunks(2).map(|pair| (pair[0].to_owned(), Kind::of(pair[1]))).collect();
        Marker { name: name.to_owned(), id, format: format.to_owned(), fields }
    }

    /// Names of the arguments.
    pub fn field_names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|(name, _)| name.as_str())
    }

    pub(crate) fn payload(&self, values: Vec<Value>) -> Payload {
        assert_eq!(values.len(), self.fields.len(), "arguments of {}", self.name);
        Payload(self.fields.iter().map(|(_, kind)| *kind).zip(values).collect())
    }
}

impl Payload {
    /// The argument that a compact event's word holds; 0 without one.
    pub(crate) fn data(&self) -> u64 {
        match self.0.first() {
            Some((Kind::Data, Value::Int(value))) => *value,
            _ => 0,
        }
    }

    pub(crate) fn encode(&self, format: &Format) -> EncodedPayload {
        let abi = format.abi;
        let mut bytes: Vec<u8> = Vec::new();
        let mut align = 1;
        for (kind, value) in self.0.iter().filter(|(kind, _)| *kind != Kind::Data) {
            match value {
                Value::Text(text) => {
                    bytes.extend_from_slice(text);
                    bytes.push(0);
                }
                Value::Int(value) => {
                    let size = kind.size(abi);
                    align = align.max(size);
                    bytes.resize(bytes.len() + format.pad(bytes.len() as u64, size) as usize, 0);
                    bytes.extend(abi.bytes(*value, size as usize));
                }
            }
        }
        EncodedPayload { bytes, align }
    }
}

/// The two markers that announce all others, and the events they make.
#[derive(Debug, Clone)]
pub(crate) struct Announcement {
    pub(crate) id: Marker,
    pub(crate) format: Marker,
    per_channel: bool,
}

impl Announcement {
    pub(crate) fn new(format: &Format) -> Announcement {
        let per_channel = format.per_channel_ids();
        let (id, text) = if per_channel {
            (
                "channel %s name %s event_id %hu int #1u%u long #1u%u pointer #1u%u size_t #1u%u alignment #1u%u",
                "channel %s name %s format %s",
            )
        } else {
            (
                "name %s id %hu int #1u%u long #1u%u pointer #1u%u size_t #1u%u alignment #1u%u",
                "name %s format %s",
            )
        };
        Announcement {
            id: Marker::new("core_marker_id", 0, id),
            format: Marker::new("core_marker_format", 1, text),
            per_channel,
        }
    }

    /// The id event of `marker` in `channel`.
    pub(crate) fn id_values(&self, channel: &str, marker: &Marker, format: &Format) -> Vec<Value> {
        let word = format.abi.word;
        let mut values = self.names(channel, marker);
        values.extend([u64::from(marker.id), 4, word, word, word, format.alignment].map(Value::Int));
        values
    }

    /// The format event of `marker` in `channel`.
    pub(crate) fn format_values(&self, channel: &str, marker: &Marker) -> Vec<Value> {
        let mut values = self.names(channel, marker);
        values.push(Value::Text(marker.format.clone().into_bytes()));
        values
    }

    fn names(&self, channel: &str, marker: &Marker) -> Vec<Value> {
        let channel = self.per_channel.then(|| Value::Text(channel.as_bytes().to_vec()));
        channel.into_iter().chain([Value::Text(marker.name.clone().into_bytes())]).collect()
    }
}

/// Name and format of the markers that every channel but the metadata one carries.
pub(crate) const CATALOGUE: [(&str, &str); 9] = [
    ("switch", "prev_pid %d next_pid %d prev_state #2d%ld"),
    ("entry", "ip %p syscall_id #2u%u"),
    ("timer", ""),
    ("page_fault", "address #8u%llu flags #1u%u"),
    ("file_open", "filename %s fd %d"),
    ("packet", "skb %p length %u protocol #n2u%hu name %s"),
    ("lengths", "a %ld b %hd c %lld"),
    ("mark", "text %s"),
    ("wide", "value %llu"),
];

/// The same of the compact channel.
pub(crate) const COMPACT_CATALOGUE: [(&str, &str); 5] = [
    ("irq_entry", "kind #b1u%u"),
    ("irq_exit", ""),
    ("softirq", "vec #b1u%u ip %p"),
    ("tick", "jiffies %llu"),
    ("mark", "text %s"),
];
