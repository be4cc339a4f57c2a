//! A tracer for tests: writes sub-buffers as the documentation of the formats describes them.
//!
//! Shares no code with the crate, on purpose.

#![allow(dead_code, reason = "each test uses a part")]

use std::ops::Range;

use proptest::prelude::*;

/// The traced machine and its trace format.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine {
    pub(crate) version: (u8, u8),
    pub(crate) big_endian: bool,
    pub(crate) pointer: usize,
    pub(crate) aligned: bool,
    /// 2.4 only: whether the tracer caps alignments although the format says it does not.
    pub(crate) capped: bool,
    /// 1.0 only.
    pub(crate) heartbeat: bool,
    /// 1.0 only: time bits, data shift, truncated bits.
    pub(crate) compact: (u32, u32, u32),
}

impl Machine {
    pub(crate) fn header_len(&self) -> usize {
        match self.version {
            (1, 0) => 109,
            (2, 0) => 108,
            (2, 1) => 60,
            _ => 68,
        }
    }

    pub(crate) fn alignment(&self) -> usize {
        if self.aligned { self.pointer } else { 0 }
    }

    pub(crate) fn int(&self, value: u64, size: usize) -> Vec<u8> {
        let mut bytes = value.to_le_bytes()[..size].to_vec();
        if self.big_endian {
            bytes.reverse();
        }
        bytes
    }

    fn boundary(&self, size: usize, alignment: usize) -> usize {
        let natural = self.version == (2, 5) || self.version == (2, 4) && !self.capped;
        match alignment {
            0 => 1,
            _ if natural => size,
            _ => size.min(alignment),
        }
    }

    pub(crate) fn has_channels(&self) -> bool {
        self.version >= (2, 3)
    }
}

/// A field: what is in the format string, and what its values look like.
#[derive(Clone, Debug)]
pub(crate) struct FieldSpec {
    pub(crate) conversion: &'static str,
    /// 0: a string.
    pub(crate) size: usize,
    pub(crate) signed: bool,
    pub(crate) network: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Datum {
    Int(i128),
    Text(Vec<u8>),
}

#[derive(Clone, Debug)]
pub(crate) struct MarkerSpec {
    pub(crate) id: u16,
    pub(crate) fields: Vec<FieldSpec>,
    pub(crate) aligned: bool,
    /// 1.0, compact channel: the first field is in the header.
    pub(crate) data_in_header: bool,
}

impl MarkerSpec {
    pub(crate) fn name(&self) -> String {
        format!("marker_{}", self.id)
    }

    pub(crate) fn format(&self) -> String {
        let fields = self.fields.iter().enumerate();
        let words = fields.map(|(i, field)| match i {
            0 if self.data_in_header => "f0 #b4u%u".to_owned(),
            _ => format!("f{i} {}", field.conversion),
        });
        words.collect::<Vec<_>>().join(" ")
    }
}

/// What was written, as the decoder must return it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) id: u16,
    pub(crate) tsc: u64,
    pub(crate) values: Vec<Datum>,
    pub(crate) slot: Range<usize>,
}

/// One sub-buffer being written.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    pub(crate) machine: Machine,
    pub(crate) bytes: Vec<u8>,
    pub(crate) begin: u64,
    pub(crate) now: u64,
    pub(crate) written: Vec<Written>,
}

impl Writer {
    pub(crate) fn new(machine: Machine, begin: u64) -> Writer {
        let mut writer = Writer { machine, bytes: Vec::new(), begin, now: begin, written: Vec::new() };
        writer.header();
        writer
    }

    fn int(&mut self, value: u64, size: usize) {
        let bytes = self.machine.int(value, size);
        self.bytes.extend(bytes);
    }

    fn header(&mut self) {
        let machine = self.machine;
        let (major, minor) = machine.version;
        let fields: &[(u64, usize)] = &if (major, minor) < (2, 1) {
            let (tscbits, shift, truncated) = machine.compact;
            let mut fields = vec![
                (self.begin, 8),
                (1000, 8),
                (0, 8),
                (0, 8),
                (u64::from(u32::MAX), 4),
                (0, 4),
                (0x00d6_b7ed, 4),
                (1, 4),
                (2, 4),
                (0, 4),
                (machine.pointer as u64, 1),
                (u64::from(major), 1),
                (u64::from(minor), 1),
                (1, 1),
            ];
            let alignment = (machine.alignment() as u64, 1);
            if major == 1 {
                fields.extend([(u64::from(machine.heartbeat), 1), alignment, (u64::from(truncated), 1)]);
                fields.extend([(u64::from(tscbits), 1), (u64::from(shift), 1)]);
            } else {
                fields.extend([alignment, (27, 1), (5, 1), (0, 1)]);
            }
            fields.extend([(1, 4), (1_000_000_000, 8), (5, 8), (6, 8), (7, 8), (8, 8)]);
            fields
        } else {
            let mut fields = vec![
                (self.begin, 8),
                (0, 8),
                (0x00d6_b7ed, 4),
                (u64::from(major), 1),
                (u64::from(minor), 1),
                (machine.pointer as u64, 1),
                (machine.alignment() as u64, 1),
                (7, 8),
                (8, 8),
                (1_000_000_000, 8),
                (1, 4),
                (u64::from(u32::MAX), 4),
                (0, 4),
            ];
            if minor >= 2 {
                fields.extend([(0, 4), (0, 4)]);
            }
            fields
        };
        for &(value, size) in fields {
            self.int(value, size);
        }
        assert_eq!(self.bytes.len(), machine.header_len());
    }

    fn align(&mut self, from: usize, boundary: usize) {
        while !(self.bytes.len() - from).is_multiple_of(boundary) {
            self.bytes.push(0);
        }
    }

    /// Writes an event. `form` says which header to use where several are possible (2.x).
    pub(crate) fn event(
        &mut self,
        marker: &MarkerSpec,
        values: &[Datum],
        tsc: u64,
        form: u8,
        is_compact: bool,
    ) {
        let start = self.bytes.len();
        let machine = self.machine;
        let alignment = if marker.aligned { machine.alignment() } else { 0 };
        let fields = if marker.data_in_header { &marker.fields[1..] } else { &marker.fields[..] };
        let held = if marker.data_in_header { &values[1..] } else { values };
        let mut payload = Writer { machine, bytes: Vec::new(), begin: 0, now: 0, written: Vec::new() };
        for (field, value) in fields.iter().zip(held) {
            match value {
                Datum::Text(text) => {
                    payload.bytes.extend(text);
                    payload.bytes.push(0);
                }
                Datum::Int(value) => {
                    payload.align(0, machine.boundary(field.size, alignment));
                    let order = Machine { big_endian: machine.big_endian || field.network, ..machine };
                    let bytes = (*value as u64).to_le_bytes();
                    payload.bytes.extend(order.int(u64::from_le_bytes(bytes), field.size));
                }
            }
        }
        let payload = payload.bytes;
        let largest = fields.iter().map(|field| field.size.max(1)).max().unwrap_or(1);
        if machine.version == (1, 0) {
            self.head_v1(marker.id, tsc, payload.len(), is_compact, values.first());
        } else {
            self.head(marker.id, tsc, payload.len(), form);
            self.align(0, machine.boundary(largest, alignment));
        }
        self.bytes.extend(payload);
        self.now = tsc;
        let slot = start..self.bytes.len();
        self.written.push(Written { id: marker.id, tsc, values: values.to_vec(), slot });
    }

    fn head(&mut self, id: u16, tsc: u64, size: usize, form: u8) {
        let boundary = |size| self.machine.boundary(size, self.machine.alignment());
        let [word, full] = [boundary(4), boundary(8)];
        let far = tsc - self.now >= 1 << 27;
        let form = match form {
            _ if far => 29,
            29 | 30 => u64::from(form),
            0 if id < 29 => u64::from(id),
            _ => 31,
        };
        self.align(0, word);
        self.int(form << 27 | tsc & 0x07ff_ffff, 4);
        if form < 29 {
            return;
        }
        self.int(u64::from(id), 2);
        if form < 31 && size >= 0xffff {
            self.int(0xffff, 2);
            self.int(size as u64, 4);
        } else if form < 31 {
            self.int(size as u64, 2);
        }
        if form == 29 {
            self.align(0, full);
            self.int(tsc, 8);
        }
    }

    fn head_v1(&mut self, id: u16, tsc: u64, size: usize, is_compact: bool, first: Option<&Datum>) {
        let word = self.machine.alignment().max(1);
        if is_compact {
            let (tscbits, shift, truncated) = self.machine.compact;
            let data = match first {
                Some(Datum::Int(data)) => *data as u64,
                _ => 0,
            };
            let time = tsc >> truncated & ((1 << tscbits) - 1);
            self.align(0, word.min(4));
            self.int(data << shift | u64::from(id) << tscbits | time, 4);
            return;
        }
        self.align(0, word);
        if self.machine.heartbeat {
            self.int(tsc & 0xffff_ffff, 4);
        } else {
            self.int(tsc, 8);
        }
        self.int(u64::from(id), 2);
        self.int((size as u64).min(0xffff), 2);
        self.align(0, word);
    }

    /// A full heartbeat: 1.0 needs one where the recorded bits of the time would not do.
    pub(crate) fn heartbeat(&mut self, tsc: u64, is_compact: bool) {
        let start = self.bytes.len();
        self.head_v1(3, tsc, 8, is_compact, None);
        self.align(0, self.machine.alignment().max(1));
        self.int(tsc, 8);
        self.now = tsc;
        let slot = start..self.bytes.len();
        self.written.push(Written { id: 3, tsc, values: vec![Datum::Int(i128::from(tsc))], slot });
    }

    /// The record that the daemon makes of the sub-buffer when its writer leaves it.
    pub(crate) fn record(&self, end: u64, sub_buffer_size: usize) -> Vec<u8> {
        let (machine, used) = (self.machine, self.bytes.len());
        assert!(used <= sub_buffer_size, "{used} bytes do not fit");
        let [end_at, used_at] = if machine.version < (2, 1) { [16, 32] } else { [8, 52] };
        let short = machine.version >= (2, 5);
        let len = if short { used.next_multiple_of(4096) } else { sub_buffer_size };
        let mut bytes = self.bytes.clone();
        // What an earlier pass left behind the events.
        bytes.resize(len, 0x2a);
        let mut put = |at: usize, value: u64, size| {
            bytes[at..at + size].copy_from_slice(&machine.int(value, size));
        };
        put(end_at, end, 8);
        put(used_at, if short { used } else { len - used } as u64, 4);
        put(used_at + 4, len as u64, 4);
        bytes
    }

    /// Announces a marker, by the events of the metadata channel.
    pub(crate) fn announce(&mut self, channel: &str, marker: &MarkerSpec, format_first: bool) {
        let alignment = if marker.aligned { self.machine.alignment() } else { 0 };
        let text = |text: &str| Datum::Text(text.as_bytes().to_vec());
        let size = |size: usize| Datum::Int(size as i128);
        let string = FieldSpec { conversion: "%s", size: 0, signed: false, network: false };
        let int = |size| FieldSpec { size, ..string.clone() };
        let mut fields = vec![string.clone(), int(2)];
        fields.extend((0..5).map(|_| int(1)));
        let pointer = self.machine.pointer;
        let mut ids = vec![text(&marker.name()), size(usize::from(marker.id)), size(4)];
        ids.extend([size(pointer), size(pointer), size(pointer), size(alignment)]);
        let mut formats = vec![text(&marker.name()), text(&marker.format())];
        let mut format_fields = vec![string.clone(), string.clone()];
        if self.machine.has_channels() {
            for (fields, values) in [(&mut fields, &mut ids), (&mut format_fields, &mut formats)] {
                fields.insert(0, string.clone());
                values.insert(0, text(channel));
            }
        }
        let spec = |id, fields| MarkerSpec { id, fields, aligned: true, data_in_header: false };
        let mut events = [(spec(0, fields), ids), (spec(1, format_fields), formats)];
        if format_first {
            events.reverse();
        }
        for (marker, values) in &events {
            self.event(marker, values, self.now + 10, 0, false);
        }
    }
}

const KINDS: [(&str, usize, bool, bool); 14] = [
    ("%s", 0, false, false),
    ("%d", 4, true, false),
    ("%u", 4, false, false),
    ("0x%x", 4, false, false),
    ("#2u%u", 2, false, false),
    ("#1u%u", 1, false, false),
    ("%c", 1, false, false),
    ("#2d%d", 2, true, false),
    ("%lld", 8, true, false),
    ("#8u%llu", 8, false, false),
    ("%llX", 8, false, false),
    ("#n4u%u", 4, false, true),
    ("#n2u%hu", 2, false, true),
    // As long as a pointer.
    ("%p", 99, false, false),
];

pub(crate) fn machine() -> impl Strategy<Value = Machine> {
    let versions = prop::sample::select(vec![(1, 0), (2, 0), (2, 1), (2, 2), (2, 3), (2, 4), (2, 5), (2, 6)]);
    let pointer = prop::sample::select(vec![4, 8]);
    let compact = (4..12_u32, 4..12_u32, 0..8_u32).prop_map(|(tsc, id, cut)| (tsc, tsc + id.max(7), cut));
    (versions, any::<[bool; 3]>(), pointer, compact).prop_map(|(version, flags, pointer, compact)| {
        let [big_endian, aligned, heartbeat] = flags;
        Machine { version, big_endian, pointer, aligned, capped: false, heartbeat, compact }
    })
}

/// Distinct markers with ids from `ids`.
pub(crate) fn markers(machine: Machine, ids: Range<u16>) -> impl Strategy<Value = Vec<MarkerSpec>> {
    let field = prop::sample::select(&KINDS[..]).prop_map(move |(conversion, size, signed, network)| {
        FieldSpec { conversion, size: if size == 99 { machine.pointer } else { size }, signed, network }
    });
    let fields = prop::collection::vec(field, 0..5);
    prop::collection::btree_map(ids, (fields, any::<bool>()), 1..8).prop_map(|markers| {
        let marker = |(id, (fields, aligned))| MarkerSpec { id, fields, aligned, data_in_header: false };
        markers.into_iter().map(marker).collect()
    })
}

pub(crate) fn values(marker: &MarkerSpec, seed: u64) -> Vec<Datum> {
    // A small generator of its own, so that one number of the strategy makes all values of an event.
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut value = |field: &FieldSpec| match field.size {
        0 => Datum::Text((0..next() % 12).map(|_| (next() % 255 + 1) as u8).collect()),
        size => {
            let bits = 8 * size as u32;
            let raw = next() & (u64::MAX >> (64 - bits));
            let negative = field.signed && raw >> (bits - 1) == 1;
            Datum::Int(i128::from(raw) - if negative { 1 << bits } else { 0 })
        }
    };
    marker.fields.iter().map(&mut value).collect()
}
