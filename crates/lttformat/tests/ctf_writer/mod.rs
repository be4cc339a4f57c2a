//! Writes CTF traces the way LTTng does, with events of all kinds of fields. Shares no code with the reader.

#![allow(dead_code, reason = "each test uses a part")]

use std::fmt::Write;

/// What a trace is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine {
    pub(crate) big: bool,
    /// Fields are aligned to their size, not packed.
    pub(crate) natural: bool,
    /// Bytes of a long.
    pub(crate) word: usize,
    /// 5 bits of id and 27 of time, not 16 and 32.
    pub(crate) compact: bool,
    pub(crate) release: Release,
}

/// What packets look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    /// Sizes of 32 bits.
    V2_0,
    V2_1,
    /// Packets are numbered.
    V2_8,
}

impl Machine {
    /// All 48.
    pub(crate) fn all() -> Vec<Machine> {
        let of_release = |release| {
            (0..16_u8).map(move |bits| Machine {
                big: bits & 1 != 0,
                natural: bits & 2 != 0,
                word: if bits & 4 != 0 { 4 } else { 8 },
                compact: bits & 8 != 0,
                release,
            })
        };
        [Release::V2_0, Release::V2_1, Release::V2_8].into_iter().flat_map(of_release).collect()
    }

    fn align(self, size: usize) -> usize {
        if !self.natural {
            if size.is_multiple_of(8) { 8 } else { 1 }
        } else if size.is_multiple_of(8) {
            size
        } else {
            1
        }
    }

    fn integer(self, size: usize, signed: bool, base: u32) -> String {
        let align = self.align(size);
        let signed = u8::from(signed);
        format!(
            "integer {{ size = {size}; align = {align}; signed = {signed}; encoding = none; base = {base}; }}"
        )
    }
}

pub(crate) const UUID: [u8; 16] = [0xd1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
pub(crate) const PAGE: usize = 4096;

/// Numbers that look random.
#[derive(Clone, Debug)]
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// The metadata text. `EVENTS` events of kinds that repeat.
pub(crate) fn metadata(machine: Machine) -> String {
    let Machine { word, .. } = machine;
    let align = |size| machine.align(size);
    let mut text = String::new();
    let mut line = |line: &str| writeln!(text, "{line}").unwrap();
    for size in [8, 16, 32, 64] {
        line(&format!(
            "typealias integer {{ size = {size}; align = {}; signed = false; }} := uint{size}_t;",
            align(size)
        ));
    }
    let long = 8 * word;
    line(&format!(
        "typealias integer {{ size = {long}; align = {}; signed = false; }} := unsigned long;",
        align(long)
    ));
    for size in [5, 27] {
        line(&format!("typealias integer {{ size = {size}; align = 1; signed = false; }} := uint{size}_t;"));
    }
    let uuid: Vec<String> = UUID.iter().map(|byte| format!("{byte:02x}")).collect();
    let uuid =
        [&uuid[..4], &uuid[4..6], &uuid[6..8], &uuid[8..10], &uuid[10..]].map(|part| part.concat()).join("-");
    let order = if machine.big { "be" } else { "le" };
    let instance = if machine.release == Release::V2_8 { "uint64_t stream_instance_id;" } else { "" };
    line(&format!(
        "trace {{ major = 1; minor = 8; uuid = \"{uuid}\"; byte_order = {order};
\tpacket.header := struct {{ uint32_t magic; uint8_t  uuid[16]; uint32_t stream_id; {instance} }};\n}};\n"
    ));
    line(
        "env { hostname = \"test\"; domain = \"kernel\"; tracer_name = \"lttng-modules\"; tracer_major = 2; tracer_minor = 13; };\n",
    );
    line(
        "clock { name = monotonic; uuid = \"8a0bd438-535f-4eb3-9c4e-a644ea11dc42\"; freq = 1000000000; /* Hz */ offset = 1795462719883337125; };\n",
    );
    for size in [27, 32, 64] {
        let align = if size == 27 { 1 } else { align(size) };
        line(&format!(
            "typealias integer {{ size = {size}; align = {align}; signed = false; map = clock.monotonic.value; }} := uint{size}_clock_monotonic_t;"
        ));
    }
    let sizes = match machine.release {
        Release::V2_0 => "uint32_t events_discarded; uint32_t content_size; uint32_t packet_size;",
        Release::V2_1 => "uint64_t content_size; uint64_t packet_size; unsigned long events_discarded;",
        Release::V2_8 => {
            "uint64_t content_size; uint64_t packet_size; uint64_t packet_seq_num; unsigned long events_discarded;"
        }
    };
    line(&format!(
        "struct packet_context {{ uint64_clock_monotonic_t timestamp_begin; uint64_clock_monotonic_t timestamp_end;
\t{sizes} uint32_t cpu_id; }};\n"
    ));
    let (id, last, low, header_align) =
        if machine.compact { (5, 30, 27, align(32)) } else { (16, 65534, 32, align(16)) };
    line(&format!(
        "struct event_header {{
\tenum : uint{id}_t {{ compact = 0 ... {last}, extended = {} }} id;
\tvariant <id> {{
\t\tstruct {{ uint{low}_clock_monotonic_t timestamp; }} compact;
\t\tstruct {{ uint32_t id; uint64_clock_monotonic_t timestamp; }} extended;
\t}} v;\n}} align({header_align});\n",
        last + 1
    ));
    let int = |size, signed, base| machine.integer(size, signed, base);
    let char = "integer { size = 8; align = 8; signed = 1; encoding = UTF8; base = 10; }";
    line(&format!(
        "stream {{ id = 0; event.header := struct event_header; packet.context := struct packet_context;
\tevent.context := struct {{ {} _tid; {char} _procname[16]; {} _depth; }};\n}};\n",
        int(32, true, 10),
        int(8, false, 10)
    ));
    let be = int(16, false, 10).replace('}', "byte_order = be; }");
    let kinds = [
        format!(
            "{} _a; {} _b; {} _c; {} _d; {} _e; {} _f; {} _g; {} _h; {} _i; {} _j; {be} _k;",
            int(8, false, 10),
            int(16, true, 10),
            int(32, false, 16),
            int(64, true, 10),
            int(16, false, 8),
            int(3, false, 2),
            int(7, true, 16),
            int(1, false, 10),
            int(33, true, 10),
            int(64, false, 16),
        ),
        format!(
            "string _path; {char} _comm[16]; {} __data_length; {char} _data[ __data_length ];",
            int(16, false, 10)
        ),
        format!(
            "{} _pair[2]; {} __list_length; {} _list[ __list_length ]; {} _grid[2][3];
\t\tstruct {{ {} _fd; struct {{ {} _in; {} _out; {} _pad; }} _events; {} __more_length; {} _more[ __more_length ]; }} _fds[ __list_length ];",
            int(32, true, 10),
            int(8, false, 10),
            int(32, false, 16),
            int(8, false, 10),
            int(32, true, 10),
            int(1, false, 10),
            int(1, false, 10),
            int(6, false, 10),
            int(8, false, 10),
            int(16, false, 10),
        ),
        format!(
            "enum : {} {{ \"ADD\" = 1, \"DEL\" = 2, \"MANY\" = 3 ... 9, NEXT, \"BIG?\" = 200 ... 255 }} _op;
\t\tenum : {} {{ \"NEG\" = -5 ... -1, \"ALSO\" = -2 ... 1, \"ZERO\" = 0 }} _signed;",
            int(8, false, 10),
            int(32, true, 10),
        ),
        format!(
            "enum : {} {{ \"_unknown\" = 0, \"_ipv4\" = 4, \"_ipv6\" = 6 }} _type;
\t\tvariant <_type> {{
\t\t\tstruct {{ }} _unknown;
\t\t\tstruct {{ {} _proto; {} _saddr[4]; enum : {} {{ \"_tcp\" = 0, \"_udp\" = 1 }} _kind;
\t\t\t\tvariant <_kind> {{ struct {{ {} _port; }} _tcp; string _udp; }} _transport; }} _ipv4;
\t\t\tstruct {{ {} _flow; }} _ipv6;\n\t\t}} _header;\n\t\t{} _after;",
            int(8, false, 10),
            int(8, false, 10),
            int(8, false, 10),
            int(8, false, 10),
            int(16, false, 10),
            int(32, false, 16),
            int(64, false, 10),
        ),
        format!(
            "floating_point {{ exp_dig = 8; mant_dig = 24; align = {}; }} _f; floating_point {{ exp_dig = 11; mant_dig = 53; align = {}; }} _d;",
            align(32),
            align(64),
        ),
        format!(
            "{} _ips[ stream.event.context._depth ]; {} _tail[ event.context._count ];",
            int(64, false, 16),
            int(8, false, 10)
        ),
        String::new(),
    ];
    for event in 0..EVENTS {
        let kind = usize::try_from(event).unwrap() % kinds.len();
        let context = if kind == 6 {
            format!("\tcontext := struct {{ {} _count; }};\n", int(8, false, 10))
        } else {
            String::new()
        };
        line(&format!(
            "event {{\n\tname = \"kind{kind}_{event}\";\n\tid = {event};\n\tstream_id = 0;\n{context}\tfields := struct {{\n\t\t{}\n\t}};\n}};\n",
            kinds[kind]
        ));
    }
    text
}

/// Number of events that the metadata declares: more than a compact header can hold.
pub(crate) const EVENTS: u64 = 40;

/// Bits one after the other, from the start of a packet.
#[derive(Clone, Debug)]
pub(crate) struct Bits {
    machine: Machine,
    pub(crate) bytes: Vec<u8>,
    at: usize,
}

impl Bits {
    pub(crate) fn new(machine: Machine) -> Bits {
        Bits { machine, bytes: Vec::new(), at: 0 }
    }

    pub(crate) fn align(&mut self, bits: usize) {
        self.at = self.at.next_multiple_of(bits);
        self.bytes.resize(self.at.div_ceil(8), 0);
    }

    fn bit(&mut self, bit: bool, big: bool) {
        self.bytes.resize(self.at / 8 + 1, 0);
        let shift = if big { 7 - self.at % 8 } else { self.at % 8 };
        self.bytes[self.at / 8] |= u8::from(bit) << shift;
        self.at += 1;
    }

    /// An integer with its alignment.
    pub(crate) fn int(&mut self, size: usize, value: u64) {
        self.align(self.machine.align(size));
        self.raw(size, value, self.machine.big);
    }

    fn raw(&mut self, size: usize, value: u64, big: bool) {
        for bit in 0..size {
            let bit = if big { size - 1 - bit } else { bit };
            self.bit(value >> bit & 1 != 0, big);
        }
    }

    fn text(&mut self, text: &[u8]) {
        self.align(8);
        text.iter().for_each(|&byte| self.raw(8, byte.into(), self.machine.big));
    }

    pub(crate) fn len(&self) -> usize {
        self.at.div_ceil(8)
    }
}

/// A stream's packets, being written.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    machine: Machine,
    rng: Rng,
    cpu: u64,
    pub(crate) now: u64,
    number: u64,
}

impl Stream {
    pub(crate) fn new(machine: Machine, seed: u64, cpu: u64) -> Stream {
        Stream { machine, rng: Rng(seed | 1), cpu, now: 0x12_3456_7890, number: 0 }
    }

    /// A packet with this many events.
    pub(crate) fn packet(&mut self, events: usize) -> Vec<u8> {
        let begin = self.now;
        let mut bits = Bits::new(self.machine);
        self.header(&mut bits, begin, 0, 0, 0);
        for _ in 0..events {
            self.event(&mut bits, begin);
        }
        self.now += 1;
        let mut content = bits.bytes;
        let len = content.len().next_multiple_of(PAGE);
        let mut header = Bits::new(self.machine);
        self.header(&mut header, begin, self.now, 8 * content.len() as u64, 8 * len as u64);
        content[..header.bytes.len()].copy_from_slice(&header.bytes);
        content.resize(len, 0);
        self.number += 1;
        content
    }

    fn header(&self, bits: &mut Bits, begin: u64, end: u64, content: u64, packet: u64) {
        bits.int(32, 0xc1fc_1fc1);
        UUID.iter().for_each(|&byte| bits.int(8, byte.into()));
        bits.int(32, 0);
        if self.machine.release == Release::V2_8 {
            bits.int(64, self.cpu);
        }
        bits.int(64, begin);
        bits.int(64, end);
        if self.machine.release == Release::V2_0 {
            [0, content, packet].into_iter().for_each(|value| bits.int(32, value));
        } else {
            bits.int(64, content);
            bits.int(64, packet);
            if self.machine.release == Release::V2_8 {
                bits.int(64, self.number);
            }
            bits.int(8 * self.machine.word, 0);
        }
        bits.int(32, self.cpu);
    }

    fn event(&mut self, bits: &mut Bits, begin: u64) {
        let Machine { compact, big, .. } = self.machine;
        let id = self.rng.below(EVENTS);
        let step = match self.rng.below(20) {
            0 => self.rng.below(1 << 33),
            1 => 0,
            _ => self.rng.below(1 << 20),
        };
        let before = self.now;
        self.now += step;
        let extended = self.now - before >= 1 << 27 || before == begin && self.rng.below(4) == 0;
        bits.align(self.machine.align(if compact { 32 } else { 16 }));
        if compact && !extended && id <= 30 {
            bits.raw(5, id, big);
            bits.raw(27, self.now & 0x7ff_ffff, big);
        } else if !compact && !extended {
            bits.int(16, id);
            bits.int(32, self.now & 0xffff_ffff);
        } else {
            if compact {
                bits.raw(5, 31, big)
            } else {
                bits.int(16, 65535)
            }
            // The structure of the extended form is aligned as its widest member.
            bits.align(self.machine.align(64));
            bits.int(32, id);
            bits.int(64, self.now);
        }
        let depth = self.rng.below(4);
        bits.align(self.machine.align(32));
        bits.int(32, self.rng.next());
        self.name(bits, 16);
        bits.int(8, depth);
        let count = self.rng.below(5);
        if id % 8 == 6 {
            bits.int(8, count);
        }
        self.fields(bits, id % 8, depth, count);
    }

    /// Characters and a NUL in a field of fixed size, or full of characters. Never empty: babeltrace 2.0.4 shows a stale
    /// string then.
    fn name(&mut self, bits: &mut Bits, size: usize) {
        let len = usize::try_from(1 + self.rng.below(size as u64)).unwrap();
        let mut name = self.characters(len);
        name.resize(size, 0);
        bits.text(&name);
    }

    fn characters(&mut self, len: usize) -> Vec<u8> {
        let alphabet = b"abcdefghijklmnopqrstuvwxyz/._-ABC019 \"'\\?\n\t\x01\x7f\xc3\xa9";
        (0..len).map(|_| alphabet[usize::try_from(self.rng.below(alphabet.len() as u64)).unwrap()]).collect()
    }

    /// Never empty, for the same reason.
    fn string(&mut self, bits: &mut Bits) {
        let len = usize::try_from(1 + self.rng.below(20)).unwrap();
        let mut text = self.characters(len);
        text.push(0);
        bits.text(&text);
    }

    fn fields(&mut self, bits: &mut Bits, kind: u64, depth: u64, count: u64) {
        let start = |bits: &mut Bits, widest| bits.align(bits.machine.align(widest));
        match kind {
            0 => {
                start(bits, 64);
                for size in [8, 16, 32, 64, 16, 3, 7, 1, 33, 64] {
                    bits.int(size, self.rng.next());
                }
                bits.align(bits.machine.align(16));
                bits.raw(16, self.rng.next(), true);
            }
            1 => {
                start(bits, 16);
                self.string(bits);
                self.name(bits, 16);
                let len = 1 + self.rng.below(9);
                bits.int(16, len);
                self.name(bits, usize::try_from(len).unwrap());
            }
            2 => {
                start(bits, 32);
                bits.int(32, self.rng.next());
                bits.int(32, self.rng.next());
                let len = self.rng.below(4);
                bits.int(8, len);
                // Even an empty sequence is aligned as its elements.
                start(bits, 32);
                (0..len).for_each(|_| bits.int(32, self.rng.next()));
                (0..6).for_each(|_| bits.int(8, self.rng.next()));
                start(bits, 32);
                for _ in 0..len {
                    start(bits, 32);
                    bits.int(32, self.rng.next());
                    for size in [1, 1, 6] {
                        bits.int(size, self.rng.next());
                    }
                    let more = self.rng.below(3);
                    bits.int(8, more);
                    start(bits, 16);
                    (0..more).for_each(|_| bits.int(16, self.rng.next()));
                }
            }
            3 => {
                start(bits, 32);
                let op = if self.rng.below(2) == 0 { self.rng.below(12) } else { self.rng.next() };
                bits.int(8, op);
                bits.int(32, self.rng.below(10).wrapping_sub(7));
            }
            4 => {
                start(bits, 64);
                let kind = [0, 4, 6][usize::try_from(self.rng.below(3)).unwrap()];
                bits.int(8, kind);
                match kind {
                    4 => {
                        (0..5).for_each(|_| bits.int(8, self.rng.next()));
                        let transport = self.rng.below(2);
                        bits.int(8, transport);
                        if transport == 0 { bits.int(16, self.rng.next()) } else { self.string(bits) }
                    }
                    6 => bits.int(32, self.rng.next()),
                    _ => {}
                }
                bits.int(64, self.rng.next());
            }
            5 => {
                start(bits, 64);
                let value = f64::from(u32::try_from(self.rng.below(1 << 30)).unwrap()) / 1024.0 - 9999.0;
                let scale = 10_f64.powi(i32::try_from(self.rng.below(20)).unwrap() - 10);
                #[allow(clippy::cast_possible_truncation, reason = "rounded on purpose")]
                let single = (value * scale) as f32;
                bits.int(32, single.to_bits().into());
                bits.int(64, (value * scale).to_bits());
            }
            6 => {
                start(bits, 64);
                (0..depth).for_each(|_| bits.int(64, self.rng.next()));
                (0..count).for_each(|_| bits.int(8, self.rng.next()));
            }
            _ => {}
        }
    }
}
