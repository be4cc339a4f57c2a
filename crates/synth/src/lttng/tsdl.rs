//! Metadata that describe the packets of a synthetic session.

use std::fmt::Write as _;

use super::release::Release;
use crate::abi::{Abi, Endian};

/// The text, without its first line, with so many events.
pub(crate) fn text(release: Release, abi: Abi, uuid: &[u8; 16], session: &str, events: usize) -> String {
    let hex: Vec<String> = uuid.iter().map(|byte| format!("{byte:02x}")).collect();
    let uuid =
        [&hex[..4], &hex[4..6], &hex[6..8], &hex[8..10], &hex[10..]].map(|part| part.concat()).join("-");
    let order = if abi.endian == Endian::Little { "le" } else { "be" };
    let long = abi.word * 8;
    let (major, minor) = release.number();
    let mut text = String::new();
    for (name, bits) in [("uint8_t", 8), ("uint16_t", 16), ("uint32_t", 32), ("uint64_t", 64)] {
        // Writing to a string cannot fail.
        _ = writeln!(text, "typealias integer {{ size = {bits}; align = 8; signed = false; }} := {name};");
    }
    _ = writeln!(
        text,
        "typealias integer {{ size = {long}; align = 8; signed = false; }} := unsigned long;\n"
    );
    let instance = if release >= Release::V2_8 { "\t\tuint64_t stream_instance_id;\n" } else { "" };
    _ = write!(
        text,
        "trace {{\n\tmajor = 1;\n\tminor = 8;\n\tuuid = \"{uuid}\";\n\tbyte_order = {order};\n\tpacket.header := struct {{\n\t\tuint32_t magic;\n\t\tuint8_t  uuid[16];\n\t\tuint32_t stream_id;\n{instance}\t}};\n}};\n\n"
    );
    _ = write!(
        text,
        "env {{\n\thostname = \"synth\";\n\tdomain = \"kernel\";\n\ttracer_name = \"lttng-modules\";\n\ttracer_major = {major};\n\ttracer_minor = {minor};\n\ttracer_patchlevel = 0;\n\ttrace_name = \"{session}\";\n}};\n\n"
    );
    text.push_str("clock {\n\tname = \"monotonic\";\n\tfreq = 1000000000; /* Frequency, in Hz */\n\toffset = 1262304000000000000;\n};\n\n");
    let clock = |bits: u64| {
        format!("integer {{ size = {bits}; align = 8; signed = false; map = clock.monotonic.value; }}")
    };
    let context = match release {
        Release::V2_0 => {
            "\tuint32_t events_discarded;\n\tuint32_t content_size;\n\tuint32_t packet_size;\n\tuint32_t cpu_id;\n"
        }
        release if release < Release::V2_8 => {
            "\tuint64_t content_size;\n\tuint64_t packet_size;\n\tunsigned long events_discarded;\n\tuint32_t cpu_id;\n"
        }
        _ => {
            "\tuint64_t content_size;\n\tuint64_t packet_size;\n\tuint64_t packet_seq_num;\n\tunsigned long events_discarded;\n\tuint32_t cpu_id;\n"
        }
    };
    let whole = clock(64);
    _ = write!(
        text,
        "struct packet_context {{\n\t{whole} timestamp_begin;\n\t{whole} timestamp_end;\n{context}}};\n\n"
    );
    let short = "integer { size = 27; align = 1; signed = false; map = clock.monotonic.value; }";
    _ = write!(
        text,
        "struct event_header_compact {{\n\tenum : integer {{ size = 5; align = 1; signed = false; }} {{ compact = 0 ... 30, extended = 31 }} id;\n\tvariant <id> {{\n\t\tstruct {{\n\t\t\t{short} timestamp;\n\t\t}} compact;\n\t\tstruct {{\n\t\t\tuint32_t id;\n\t\t\t{whole} timestamp;\n\t\t}} extended;\n\t}} v;\n}} align(8);\n\n"
    );
    text.push_str("stream {\n\tid = 0;\n\tevent.header := struct event_header_compact;\n\tpacket.context := struct packet_context;\n};\n\n");
    for id in 0..events {
        let name = if id == 0 { "synth_event".to_owned() } else { format!("never_{id}") };
        _ = write!(
            text,
            "event {{\n\tname = \"{name}\";\n\tid = {id};\n\tstream_id = 0;\n\tfields := struct {{\n\t\tuint32_t _value;\n\t\tuint16_t __data_length;\n\t\tuint8_t _data[ __data_length ];\n\t}};\n}};\n\n"
        );
    }
    text
}
