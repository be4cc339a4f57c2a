//! Writes what the metadata channel says: which marker has which id, and the formats.
//!
//! The tracer announces its markers once, when a trace starts. If that is lost on disk and overwritten in memory, no viewer
//! opens the trace, although the kernel's marker table still knows everything.

use super::align::{AlignRule, to_boundary};
use super::layout::{Form, Layout};
use super::{Channel, Completion, Header, Marker, Version, complete};
use crate::{Error, Result};

/// Where the records of a metadata channel are to begin, and how large they may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announcements {
    /// Time of the first record and of all its events, in clock cycles. Each further record begins one cycle later, so that
    /// no two have the same begin.
    pub begin: u64,
    /// End of the last record, at most the begin of the record that follows them. The others end when they begin.
    pub end: u64,
    /// Size of the channel's sub-buffers.
    pub sub_buffer_size: u64,
    /// Page size of the traced machine.
    pub page_size: u64,
}

/// Records of the metadata channel that announce `markers`, each with the channel that its announcement names (ignored up to
/// format 2.2, where ids are those of the whole trace). Markers without a format get an id only.
///
/// `template` is the header of any record of the trace. At least one record is made, also without markers.
///
/// Errors: an announcement does not fit a sub-buffer; the sizes make no record.
pub fn announce<'a>(
    template: &Header,
    markers: impl IntoIterator<Item = (&'a [u8], &'a Marker)>,
    place: &Announcements,
) -> Result<Vec<Vec<u8>>> {
    let mut writer = Writer::new(template, *place)?;
    for (channel, marker) in markers {
        writer.id(channel, marker)?;
        if let Some(format) = marker.format() {
            writer.format(channel, marker.name(), format)?;
        }
    }
    writer.finish()
}

struct Writer {
    place: Announcements,
    header: Header,
    layout: Layout,
    size: usize,
    /// The record that is being filled, as long as it is used.
    record: Vec<u8>,
    whole: Vec<Vec<u8>>,
}

impl Writer {
    fn new(template: &Header, place: Announcements) -> Result<Writer> {
        let rule = AlignRule::candidates(template).first().copied().unwrap_or(AlignRule::Capped);
        let mut header = template.clone();
        header.begin = place.begin;
        if let Some(packed) = &mut header.packed {
            packed.begin_freq = template.start_freq;
            packed.end_freq = template.start_freq;
        }
        let layout = Layout::new(template, Channel::Metadata, rule);
        let size = usize::try_from(place.sub_buffer_size).unwrap_or(usize::MAX);
        let mut writer = Writer { place, header, layout, size, record: Vec::new(), whole: Vec::new() };
        writer.begin()?;
        Ok(writer)
    }

    fn begin(&mut self) -> Result<()> {
        self.record = vec![0; self.header.len()];
        self.header.write(&mut self.record)
    }

    /// One "marker id" event.
    fn id(&mut self, channel: &[u8], marker: &Marker) -> Result<()> {
        let mut payload = self.names(channel, marker.name());
        let pad = self.layout.pad(payload.len(), 2);
        payload.extend(vec![0; pad]);
        let at = payload.len();
        payload.extend([0; 2]);
        self.layout.endian.put_u16(&mut payload, at, marker.id());
        let sizes = marker.sizes();
        payload.extend([sizes.int, sizes.long, sizes.pointer, sizes.size_t, marker.alignment()]);
        self.event(0, 2, &payload)
    }

    /// One "marker format" event.
    fn format(&mut self, channel: &[u8], name: &[u8], format: &[u8]) -> Result<()> {
        let mut payload = self.names(channel, name);
        string(&mut payload, format);
        self.event(1, 1, &payload)
    }

    fn names(&self, channel: &[u8], name: &[u8]) -> Vec<u8> {
        let mut payload = Vec::new();
        if self.header.version.has_channel_ids() {
            string(&mut payload, channel);
        }
        string(&mut payload, name);
        payload
    }

    /// Appends an event whose largest field has `largest` bytes; begins a new record if this one is full.
    fn event(&mut self, id: u8, largest: u8, payload: &[u8]) -> Result<()> {
        let event = self.encode(self.record.len(), id, largest, payload);
        if self.record.len() + event.len() <= self.size {
            self.record.extend(event);
            return Ok(());
        }
        self.close(self.header.begin)?;
        self.header.begin = self.header.begin.saturating_add(1);
        self.begin()?;
        let event = self.encode(self.record.len(), id, largest, payload);
        let (found, limit) = (self.record.len() + event.len(), self.size as u64);
        if found > self.size {
            return Err(Error::Completion { what: "an announcement", limit, found: found as u64 });
        }
        self.record.extend(event);
        Ok(())
    }

    /// An event with the padding before it.
    fn encode(&self, offset: usize, id: u8, largest: u8, payload: &[u8]) -> Vec<u8> {
        let Layout { endian, alignment, .. } = self.layout;
        let time = self.header.begin;
        let mut event = Vec::new();
        match self.layout.form {
            Form::Short => {
                event.resize(self.layout.pad(offset, 4) + 4, 0);
                let at = event.len() - 4;
                let low = u32::try_from(time & ((1 << 27) - 1)).unwrap_or_default();
                endian.put_u32(&mut event, at, u32::from(id) << 27 | low);
                let pad = self.layout.pad(offset + event.len(), largest);
                event.resize(event.len() + pad, 0);
            }
            // 1.0 has two forms for channels that are not compact; both end with id and size.
            form => {
                let clock = if form == Form::Full { 8 } else { 4 };
                // The event's header is aligned as a whole, and so is the payload behind it.
                let pad = |offset| to_boundary(offset, alignment.max(1));
                event.resize(pad(offset) + clock, 0);
                let at = event.len() - clock;
                if clock == 8 {
                    endian.put_u64(&mut event, at, time);
                } else {
                    endian.put_u32(
                        &mut event,
                        at,
                        u32::try_from(time & u64::from(u32::MAX)).unwrap_or_default(),
                    );
                }
                let size = u16::try_from(payload.len()).unwrap_or(u16::MAX);
                let at = event.len();
                event.resize(at + 4, 0);
                endian.put_u16(&mut event, at, u16::from(id));
                endian.put_u16(&mut event, at + 2, size);
                let pad = pad(offset + event.len());
                event.resize(event.len() + pad, 0);
            }
        }
        event.extend(payload);
        event
    }

    /// Completes the record that is being filled.
    fn close(&mut self, end: u64) -> Result<()> {
        let mut record = std::mem::take(&mut self.record);
        let completion = Completion {
            valid: record.len() as u64,
            last_time: end,
            subbuffer_size: self.place.sub_buffer_size,
            page_size: self.place.page_size,
            events_lost: 0,
            corrupted: 0,
        };
        let len = if self.header.version < Version::V2_5 {
            self.size
        } else {
            record.len().next_multiple_of(usize::try_from(self.place.page_size).unwrap_or(1).max(1))
        };
        record.resize(len.min(self.size), 0);
        let len = complete(&mut record, &completion)?;
        record.truncate(len);
        self.whole.push(record);
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<Vec<u8>>> {
        self.close(self.place.end.max(self.header.begin))?;
        Ok(self.whole)
    }
}

/// A string with its NUL; what would end it before is left out.
fn string(payload: &mut Vec<u8>, text: &[u8]) {
    payload.extend(text.iter().take_while(|&&byte| byte != 0));
    payload.push(0);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ltt::{Announcement, Endian, Markers, Packed};

    fn template(version: Version, endian: Endian, arch_size: u8, alignment: u8, heartbeat: bool) -> Header {
        let packed = (version < Version::V2_1).then_some(Packed {
            begin_freq: 0,
            end_freq: 0,
            arch_type: 1,
            arch_variant: 0,
            float_word_order: 0,
            flight_recorder: 0,
            tscbits: 27,
            eventbits: 5,
            has_heartbeat: heartbeat && version == Version::V1_0,
            tsc_lsb_truncate: 0,
            compact_data_shift: 16,
        });
        Header {
            version,
            endian,
            arch_size,
            alignment,
            begin: 7,
            end: 9,
            lost_or_data_size: u32::MAX,
            buf_or_sb_size: 0,
            start_freq: 1000,
            freq_scale: 1,
            start_tsc: packed.is_some().then_some(1),
            start_monotonic: packed.is_some().then_some(1),
            start_time_sec: 1,
            start_time_usec: 2,
            events_lost: version.has_loss_counters().then_some(0),
            subbuf_corrupt: version.has_loss_counters().then_some(0),
            packed,
        }
    }

    /// Channel, id, name, format, alignment.
    type Known = (Vec<u8>, u16, Vec<u8>, Option<Vec<u8>>, u8);

    /// What a table knows, in the order of channel and id.
    fn known(markers: &Markers) -> Vec<Known> {
        let text = |bytes: &[u8]| bytes.to_vec();
        let all = markers.iter().map(|(channel, marker)| {
            let format = marker.format().map(text);
            (text(channel), marker.id(), text(marker.name()), format, marker.alignment())
        });
        all.collect()
    }

    proptest! {
        #[test]
        fn what_is_announced_is_learnt(
            version in prop::sample::select(Version::ALL.to_vec()),
            big in any::<bool>(),
            wide in any::<bool>(),
            aligned in any::<bool>(),
            heartbeat in any::<bool>(),
            begin in any::<u32>(),
            told in prop::collection::vec(("[a-z]{1,3}", 8..200_u16, "[a-z_]{1,30}", "[a-z]{0,9}( %d)?"), 0..80),
        ) {
            let word = if wide { 8 } else { 4 };
            let endian = if big { Endian::Big } else { Endian::Little };
            let template = template(version, endian, word, if aligned { word } else { 0 }, heartbeat);
            let mut table = Markers::new(&template);
            for (channel, id, name, format) in &told {
                let (name, format) = (name.as_bytes(), format.as_bytes());
                let one = Announcement { name, id: *id, format, alignment: template.alignment, sizes: None };
                table.insert(channel.as_bytes(), &one);
            }
            let begin = u64::from(begin);
            let place = Announcements { begin, end: begin + 1000, sub_buffer_size: 4096, page_size: 4096 };
            let records = announce(&template, table.iter(), &place).unwrap();
            let mut learnt = Markers::new(&template);
            let mut announced = 0;
            for (nth, record) in records.iter().enumerate() {
                let header = Header::parse(record).unwrap();
                prop_assert_eq!(record.len(), 4096);
                prop_assert_eq!((header.begin, header.record_len()), (begin + nth as u64, 4096));
                let tally = learnt.learn(&header, record, header.used(4096).unwrap());
                prop_assert_eq!(tally.stop, None);
                let times = tally.first_time.zip(tally.last_time);
                prop_assert!(times.is_none_or(|(first, last)| first == header.begin && last == first));
                announced += tally.events;
            }
            prop_assert_eq!(announced, 2 * table.len() as u64);
            prop_assert_eq!(known(&learnt), known(&table));
        }
    }

    #[test]
    fn an_announcement_that_fits_no_sub_buffer_is_refused() {
        let template = template(Version::V2_6, Endian::Little, 8, 0, false);
        let mut table = Markers::new(&template);
        let format = vec![b'x'; 5000];
        table.insert(b"c", &Announcement { name: b"n", id: 9, format: &format, alignment: 0, sizes: None });
        let place = Announcements { begin: 1, end: 1, sub_buffer_size: 4096, page_size: 4096 };
        let error = announce(&template, table.iter(), &place).unwrap_err();
        assert!(error.to_string().contains("an announcement of at most 4096 bytes"), "{error}");
    }
}
