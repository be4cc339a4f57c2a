//! Flight-recorder rings from which readers take sub-buffers by exchanging pages.
//!
//! A get swaps the page table of the ring's slot with the reader's own, so that afterwards the slot holds what had been read
//! before: for what is consumed, slots and contents no longer correspond. What tells contents apart is the time in their headers.

use super::header::Header;
use super::tables::Tables;
use crate::ring::{Ring, Slot};
use crate::{PageList, State};

/// A header that was looked for: `Err` when its page cannot be read, `Ok(None)` when there is none.
pub(crate) type Peeked = Result<Option<Header>, ()>;

/// One sub-buffer with its pages found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) slot: Slot,
    pub(crate) pages: PageList,
    pub(crate) reader_held: bool,
}

/// A content without a position: what a consumed slot or the reader's table holds.
struct Content {
    begin: u64,
    index: u64,
    pages: PageList,
    state: State,
    held: bool,
}

/// Puts contents to positions. `headers` are those of the writer's slots, `reader_header` that of the reader's table.
/// Returns the sub-buffers, oldest first, and how many contents contradict the order of time and were left out.
pub(crate) fn place(
    ring: &Ring,
    slots: &[Slot],
    consumed: u64,
    tables: &Tables,
    headers: &[Peeked],
    reader_header: Peeked,
) -> (Vec<Placed>, usize) {
    let size = ring.subbuffer_size();
    let boundary = ring.truncate(consumed);
    let at = |slot: &Slot| usize::try_from(slot.index).unwrap_or(usize::MAX);
    let header = |slot: &Slot| headers.get(at(slot)).copied().unwrap_or(Err(()));
    // A slot of which nothing is committed still shows its previous pass.
    let begin =
        |slot: &Slot| header(slot).ok().flatten().filter(|_| slot.committed != 0).map(|header| header.begin);
    let is_old = |slot: &&Slot| slot.state == State::Consumed || ring.before(slot.position, boundary);
    let (old, live): (Vec<&Slot>, Vec<&Slot>) = slots.iter().partition(is_old);

    let mut placed: Vec<Placed> = Vec::new();
    let mut contents: Vec<Content> = Vec::new();
    let mut theirs = tables.reader.as_ref().zip(reader_header.ok().flatten());
    let mut first_begin = None;

    // What is unread stands in its slot, except that a reader may have taken the oldest.
    for (i, &slot) in live.iter().enumerate() {
        let Some(pages) = tables.writer.get(at(slot)).cloned() else { continue };
        let mut entry = Placed { slot: *slot, pages, reader_held: false };
        let mut own_begin = begin(slot);
        if i == 0
            && slot.position == boundary
            && slot.state == State::Ready
            && let Some((reader, header)) = theirs
            && is_better(header.begin, own_begin, live.get(1).and_then(|next| begin(next)))
        {
            let displaced = Placed { pages: reader.pages.clone(), reader_held: reader.held, ..entry };
            let left = std::mem::replace(&mut entry, displaced);
            contents.extend(own_begin.map(|begin| Content::consumed(begin, slot.index, left.pages)));
            own_begin = Some(header.begin);
            theirs = None;
        }
        first_begin = first_begin.or(own_begin);
        placed.push(entry);
    }
    if let Some((reader, header)) = theirs {
        // Held but not the oldest unread: writers overtook the reader. What it holds is nobody else's any more.
        let state = if reader.held { State::Ready } else { State::Consumed };
        let content = Content::consumed(header.begin, ring.index(boundary), reader.pages.clone());
        contents.push(Content { state, held: reader.held, ..content });
    }
    for slot in old {
        let Some(pages) = tables.writer.get(at(slot)).cloned() else { continue };
        let untouched = Slot { state: State::NeverUsed, reserved: 0, committed: 0, ..*slot };
        match (slot.state, header(slot)) {
            (State::Consumed, Ok(Some(header))) => {
                contents.push(Content::consumed(header.begin, slot.index, pages))
            }
            (State::Consumed, Ok(None)) => placed.push(Placed { slot: untouched, pages, reader_held: false }),
            _ => placed.push(Placed { slot: *slot, pages, reader_held: false }),
        }
    }
    let before = contents.len();
    contents.retain(|content| first_begin.is_none_or(|first| content.begin <= first));
    let contradictory = before - contents.len();

    contents.sort_by_key(|content| content.begin);
    let taken: Vec<u64> = placed.iter().map(|placed| placed.slot.position).collect();
    let mut position = boundary;
    for Content { index, pages, state, held, .. } in contents.into_iter().rev() {
        position = ring.distance(position, size);
        while taken.contains(&position) {
            position = ring.distance(position, size);
        }
        let slot = Slot { position, index, state, reserved: size, committed: size };
        placed.push(Placed { slot, pages, reader_held: held });
    }
    placed.sort_by_key(|placed| ring.rank(placed.slot.position, boundary));
    (placed, contradictory)
}

impl Content {
    fn consumed(begin: u64, index: u64, pages: PageList) -> Content {
        Content { begin, index, pages, state: State::Consumed, held: false }
    }
}

/// Whether the reader's content, not the slot's own, is the oldest unread: the right one is the later of those that are not
/// after the next sub-buffer.
fn is_better(theirs: u64, own: Option<u64>, next: Option<u64>) -> bool {
    let fits = |begin: u64| next.is_none_or(|next| begin <= next);
    fits(theirs) && own.is_none_or(|own| !fits(own) || theirs > own)
}
