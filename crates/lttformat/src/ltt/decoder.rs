//! Decodes the events of one sub-buffer, from its header on.

use super::align::AlignRule;
use super::grammar::{Grammar, Position, TimeBounds};
use super::markers::{Ids, Markers};
use super::{Channel, Event, Header, Stop};

/// Iterator over the events of one sub-buffer.
///
/// Ends after the last event that lies within the `used` bytes, or with one [`Stop`] where an event cannot be delimited.
/// Sub-buffers are decoded independently of each other: the header holds the full time of the beginning.
///
/// Cost: a few tens of nanoseconds an event, no allocation. Events with an unknown id are delivered without a marker if
/// their size is recorded; they stop the decoder otherwise.
#[derive(Clone, Debug)]
pub struct Decoder<'a> {
    bytes: &'a [u8],
    grammar: Grammar<'a>,
    at: Position,
    stopped: bool,
}

impl<'a> Decoder<'a> {
    /// Decodes the first `used` bytes of the sub-buffer `bytes`, which `header` was read from.
    ///
    /// Cost: that of [`Grammar::new`].
    pub fn new(
        bytes: &'a [u8],
        header: &Header,
        used: u64,
        channel: Channel<'_>,
        markers: &'a Markers,
    ) -> Decoder<'a> {
        let bytes = first(bytes, used);
        let grammar = Grammar::new(bytes, header, channel, markers);
        Decoder { bytes, grammar, at: Position::first(header), stopped: false }
    }

    pub(super) fn with_ids(
        bytes: &'a [u8],
        header: &Header,
        used: u64,
        channel: Channel<'_>,
        ids: Ids<'a>,
    ) -> Decoder<'a> {
        let grammar = Grammar::with_ids(header, channel, ids);
        Decoder { bytes: first(bytes, used), grammar, at: Position::first(header), stopped: false }
    }

    pub(super) fn with_rule(self, rule: AlignRule) -> Decoder<'a> {
        Decoder { grammar: self.grammar.with_rule(rule), ..self }
    }

    /// Rejects whatever bytes that are no event could be taken for.
    pub(super) fn strict(self, bounds: TimeBounds) -> Decoder<'a> {
        Decoder { grammar: self.grammar.strict(bounds), ..self }
    }

    /// The same decoder, at another event.
    pub(super) fn at(&self, offset: usize, time: u64) -> Decoder<'a> {
        Decoder { at: Position { offset, time }, stopped: false, ..self.clone() }
    }

    /// End of the last event, or of the header before the first one.
    pub fn offset(&self) -> usize {
        self.at.offset
    }

    /// Time of the last event, or of the sub-buffer's beginning before the first one.
    pub fn time(&self) -> u64 {
        self.at.time
    }
}

/// The bytes of a sub-buffer that hold header and events.
pub(super) fn first(bytes: &[u8], used: u64) -> &[u8] {
    let used = usize::try_from(used).unwrap_or(usize::MAX).min(bytes.len());
    bytes.get(..used).unwrap_or_default()
}

impl<'a> Iterator for Decoder<'a> {
    type Item = Result<Event<'a>, Stop>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.stopped {
            return None;
        }
        let event = self.grammar.event(self.bytes, self.at)?;
        match &event {
            Ok(event) => self.at = Position::after(event),
            Err(_) => self.stopped = true,
        }
        Some(event)
    }
}

impl std::iter::FusedIterator for Decoder<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ltt::prefix::LastTsc;
    use crate::ltt::{Announcement, Endian, StopReason, Version};

    const HEADER_LEN: usize = 68;

    /// Decodes these words strictly, as events of two markers: 3 without fields and 4 with a 64-bit one. The sub-buffer begins
    /// at time 100.
    fn strictly(words: &[u32], last_tsc: Option<LastTsc>, not_after: u64) -> Vec<Result<u64, StopReason>> {
        let mut bytes = vec![0; HEADER_LEN + 4 * words.len()];
        Endian::Little.put_u64(&mut bytes, 0, 100);
        Endian::Little.put_u32(&mut bytes, 16, 0x00d6_b7ed);
        let Version { major, minor } = Version::V2_6;
        bytes[20..24].copy_from_slice(&[major, minor, 8, 4]);
        for (i, &word) in words.iter().enumerate() {
            Endian::Little.put_u32(&mut bytes, HEADER_LEN + 4 * i, word);
        }
        let header = Header::parse(&bytes).unwrap();
        let mut markers = Markers::new(&header);
        for (id, name, format) in [(3, b"a", &b""[..]), (4, b"b", b"x %llu")] {
            markers.insert(b"c", &Announcement { name, id, format, alignment: 4, sizes: None });
        }
        let decoder = Decoder::new(&bytes, &header, bytes.len() as u64, Channel::Data(b"c"), &markers);
        decoder
            .strict(TimeBounds { last_tsc, not_after })
            .map(|event| event.map(|event| event.tsc).map_err(|stop| stop.reason))
            .collect()
    }

    const fn short(id: u32, time: u32) -> u32 {
        id << 27 | time
    }

    #[test]
    fn strict_decoding_rejects_what_only_looks_like_events() {
        let any = |words: &[u32]| strictly(words, None, u64::MAX);
        assert_eq!(any(&[short(3, 100), short(4, 120), 1, 2]), [Ok(100), Ok(120)]);
        // Never written.
        assert_eq!(any(&[short(3, 110), 0]), [Ok(110), Err(StopReason::Blank)]);
        // A full time that is not that of the low bits, and one of an earlier pass; id 3, no payload.
        assert_eq!(any(&[short(29, 120), 3, 121, 0]), [Err(StopReason::TimeMismatch)]);
        assert_eq!(any(&[short(29, 99), 3, 99, 0]), [Err(StopReason::TimeBackwards(99))]);
        assert_eq!(any(&[short(29, 120), 3, 120, 0]), [Ok(120)]);
        // An unknown id, although its size is recorded.
        assert_eq!(any(&[short(30, 120), 9]), [Err(StopReason::UnknownId(9))]);
    }

    #[test]
    fn strict_decoding_stops_at_the_last_time() {
        let words = [short(3, 110), short(3, 120)];
        let full = |value| strictly(&words, Some(LastTsc { value, truncated: false }), u64::MAX);
        assert_eq!(full(120), [Ok(110), Ok(120)]);
        assert_eq!(full(119), [Ok(110), Err(StopReason::TimeBeyond(120))]);
        assert_eq!(strictly(&words, None, 119), [Ok(110), Err(StopReason::TimeBeyond(120))]);
        // A wrap of the low bits shows above them only.
        let truncated = |value| strictly(&[short(3, 99)], Some(LastTsc { value, truncated: true }), u64::MAX);
        assert_eq!(truncated(1), [Ok((1 << 27) + 99)]);
        assert_eq!(truncated(0), [Err(StopReason::TimeBeyond((1 << 27) + 99))]);
    }
}
