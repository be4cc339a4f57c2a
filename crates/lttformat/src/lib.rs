//! The trace files of Linux tracers as bytes: headers, events, metadata, damage.
//!
//! *It is* a reader and repairer of trace formats: it parses and completes headers, learns the markers from the metadata,
//! decodes events, tells how much of an interrupted sub-buffer is valid, and finds the whole records of a damaged file.
//! *It is not* concerned with kernels, core files or buffers in memory: it is given bytes, and for an interrupted sub-buffer
//! what the kernel's counters said. It opens no file and prints nothing.
//!
//! A trace is a directory of files, one for each channel and CPU. A file is a sequence of records. A record is one
//! sub-buffer of the kernel's ring, as the tracer's daemon fetched it:
//!
//! ```text
//!  0        header length                         used             record length
//!  ├─────────┬──────────┬──────────┬─ ─ ┬──────────┬────────────────┤
//!  │ header  │ event    │ event    │    │ event    │ unused         │
//!  │ begin … │          │          │    │          │                │
//!  └─────────┴────┬─────┴──────────┴─ ─ ┴──────────┴────────────────┘
//!                 │
//!     ┌─────────┬─┴────────────────────────────┬─────────┬─────────┐
//!     │ padding │ id, low bits of time [, …]   │ padding │ payload │     one reserved slot
//!     └─────────┴──────────────────────────────┴─────────┴─────────┘
//! ```
//!
//! The header of a complete record says how many bytes are used. In an open one that is not written yet; the writers' counters
//! say how many bytes are reserved and how many of them committed.
//!
//! # Example
//!
//! A sub-buffer that was open when the kernel died, with its counters: find what is valid, count the events, and make the
//! record that the daemon would have written.
//!
//! ```
//! use lttformat::ltt::prefix::{Evidence, LastTsc, Stage, valid_prefix};
//! use lttformat::ltt::{Announcement, Channel, Completion, Decoder, Header, Markers, complete};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Format 2.6, 64 bits, little endian: the header and one event, id 3, with a 32-bit field.
//! let mut record = vec![
//!     0x00, 0x10, 0x5e, 0x5f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, //
//!     0xed, 0xb7, 0xd6, 0x00, 2, 6, 8, 8, 0x00, 0x3b, 0x3d, 0x4b, 0, 0, 0, 0, //
//!     0x40, 0xe2, 0x01, 0x00, 0, 0, 0, 0, 0x00, 0x18, 0x0d, 0x8f, 0, 0, 0, 0, //
//!     1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, //
//!     0x00, 0x14, 0x5e, 0x1f, 0xd2, 0x04, 0x00, 0x00,
//! ];
//! record.resize(8192, 0xaa);
//! let header = Header::parse(&record)?;
//! assert_eq!(header.used(8192), None);
//!
//! // Markers come from the metadata channel (`Markers::learn`) or, as here, from elsewhere.
//! let mut markers = Markers::new(&header);
//! let marker = Announcement { name: b"sched", id: 3, format: b"pid %d", alignment: 8, sizes: None };
//! markers.insert(b"kernel", &marker);
//!
//! let channel = Channel::Data(b"kernel");
//! let evidence = Evidence {
//!     stage: Stage::Open,
//!     reserved: 76,
//!     committed: 76,
//!     commit_seq: None,
//!     last_tsc: Some(LastTsc { value: 0x5f5e_1400, truncated: false }),
//!     not_before: None,
//!     not_after: None,
//! };
//! let prefix = valid_prefix(&record, &header, channel, &markers, &evidence);
//! assert_eq!((prefix.valid, prefix.events, prefix.doubtful), (76, 1, false));
//!
//! for event in Decoder::new(&record, &header, prefix.valid, channel, &markers) {
//!     let event = event?;
//!     for (field, value) in event.fields() {
//!         println!("{}: {value:?}", field.name().escape_ascii()); // pid: I64(1234)
//!     }
//! }
//!
//! let completion = Completion {
//!     valid: prefix.valid,
//!     last_time: prefix.last_time,
//!     subbuffer_size: 8192,
//!     page_size: 4096,
//!     events_lost: 0,
//!     corrupted: 0,
//! };
//! assert_eq!(complete(&mut record, &completion)?, 4096);
//! assert_eq!(Header::parse(&record)?.used(4096), Some(76));
//! # Ok(())
//! # }
//! ```
//!
//! # Cost
//!
//! Everything borrows, but for [scans](ltt::scan): they read a file front to back, each byte once, in bounded memory. Decoding takes some tens of nanoseconds an event and allocates nothing; fields are decoded when asked for.
//! All types are `Send` and `Sync`; one [`Markers`](ltt::Markers) serves any number of decoders at the same time.
//!
//! # Untrusted input
//!
//! The bytes may come from a crashed or hostile machine. Whatever they are, nothing panics, every loop ends, and memory grows
//! in proportion to the bytes given. What cannot be decoded is reported as a [`Stop`](ltt::Stop) or a
//! [`Cut`](ltt::scan::Cut) with its place: damage is a result, not an error.
//!
//! # Formats
//!
//! [`ltt`] and [`ctf`], siblings of the same shape: header, completion, decoder, markers or metadata, scan.

pub mod ctf;
mod error;
pub mod ltt;
mod window;

pub use error::{Error, Result};
pub use window::ReadAt;
