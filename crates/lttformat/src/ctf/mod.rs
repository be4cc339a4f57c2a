//! Traces in the Common Trace Format: CTF 1.8, as LTTng 2.0 to 2.13 write it.
//!
//! A trace is a directory: a `metadata` file that describes everything, and a data file for each channel and CPU, with an index
//! beside it. A data file is a sequence of packets; a packet is one sub-buffer of the kernel's ring:
//!
//! ```text
//!  0               84 (2.8 on, 64 bits)         content_size / 8   packet_size / 8
//!  ├────────┬───────┬─────────┬─────────┬─ ─ ┬─────────┬───────────────┤
//!  │ packet │ packet│ event   │ event   │    │ event   │ zeroes, to    │
//!  │ header │ context         │         │    │         │ a whole page  │
//!  └────────┴───────┴────┬────┴─────────┴─ ─ ┴─────────┴───────────────┘
//!                        │
//!     ┌──────────────────┴───────┬────────────────┬───────────────┬────────┐
//!     │ header: id, low bits of  │ stream's event │ event's own   │ fields │
//!     │ the time; or both whole  │ context        │ context       │        │
//!     └──────────────────────────┴────────────────┴───────────────┴────────┘
//! ```
//!
//! | LTTng | packets | `metadata` | index |
//! |---|---|---|---|
//! | 2.0 | 56 bytes of header, sizes of 32 bits | CTF 1.8 | none |
//! | 2.1 to 2.7 | 68 bytes (32-bit kernels: 64) | CTF 1.8 | 1.0 (from 2.4 on) |
//! | 2.8 to 2.13 | 84 bytes (80), numbered | CTF 1.8 | 1.1 |
//! | 2.14 on | as 2.8 | CTF 1.8 or 2 | 1.1 |
//!
//! From bytes to events: [`Metadata::parse`] → [`TraceClass::parse`] → [`Decoder`] → [`Event`]; [`text`] shows events as
//! babeltrace 2 does. For what a crash left: [`complete`] and [`timestamp_end`] (in memory), [`scan`] (on disk). To write:
//! [`MetadataPackets::file`], [`PacketHeader::write`], [`Index::file`]. The text of CTF 2 metadata is kept as it is; its packets
//! are read with the layout of the tracer's [`Generation`], its events are not decoded.
//!
//! ```
//! use lttformat::ctf::{Decoder, TraceClass, Value, text};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let metadata = br#"
//!     typealias integer { size = 32; align = 8; signed = false; } := uint32_t;
//!     trace { major = 1; minor = 8; byte_order = le; packet.header := struct { uint32_t magic; }; };
//!     stream { event.header := struct { integer { size = 8; } id; }; };
//!     event { name = "open"; id = 5; fields := struct { string _path; integer { size = 16; base = 16; } _flags; }; };
//! "#;
//! let trace = TraceClass::parse(metadata)?;
//! let packet = b"\xc1\x1f\xfc\xc1\x05/etc/fstab\0\x02\x80";
//! for event in Decoder::new(&trace, packet)? {
//!     let event = event?;
//!     for (name, value) in event.fields().into_iter().flatten() {
//!         if let Value::Str(path) = value {
//!             assert_eq!((name, path), ("path", &b"/etc/fstab"[..]));
//!         }
//!     }
//!     let mut line = Vec::new();
//!     text::write_event(&mut line, &event);
//!     assert_eq!(line, br#"open: { path = "/etc/fstab", flags = 0x8002 }"#);
//! }
//! # Ok(())
//! # }
//! ```

mod bits;
mod class;
mod clock;
mod compile;
mod complete;
mod decoder;
mod enumeration;
mod error;
mod event;
mod form;
mod index;
mod integer;
mod layout;
mod metadata;
mod node;
mod packet;
pub mod scan;
mod short_header;
mod slots;
mod stop;
mod tally;
pub mod text;
mod tsdl;
mod uuid;
mod value;
mod walk;

pub use class::{EnvValue, EventClass, StreamClass, TraceClass};
pub use clock::Clock;
pub use complete::{Completion, EndEvidence, LastTsc, complete, timestamp_end};
pub use decoder::{Decoder, Position};
pub use enumeration::Enumeration;
pub use error::{Error, Result};
pub use event::Event;
pub use form::Form;
pub use index::{Index, IndexCut, IndexEntry, IndexVersion};
pub use integer::Integer;
pub use layout::{Generation, PacketLayout};
pub use metadata::{
    Language, METADATA_MAGIC, Metadata, MetadataCut, MetadataPackets, MetadataSpan, plain_metadata,
};
pub use packet::{PACKET_MAGIC, PacketHeader, packet_endian};
pub use stop::{Stop, StopReason};
pub use tally::{Tally, tally};
pub use uuid::Uuid;
pub use value::{Elements, Enum, Fields, Value, Variant};
