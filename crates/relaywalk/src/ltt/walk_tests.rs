//! Whole walks over synthetic kernels of every era, against what the simulated tracer says.

use proptest::prelude::*;

use super::simulation::{Action, HEADER, Rules, Simulation};
use super::synthetic::{CPU, Synthetic};
use super::types::Era;
use super::{Stream, Walk, walk};
use crate::{Cause, Endian, Options, PageRef, Routes, State, SubBuffer, Target, VirtAddr, WordSize};

const ERAS: [Era; 5] = [Era::Z, Era::A, Era::Unknown, Era::B, Era::C];

fn rules(era: Era, word: WordSize, overwrite: bool) -> Rules {
    Rules {
        word_mask: if word == WordSize::Bits32 { 0xffff_ffff } else { u64::MAX },
        size: 4096,
        count: 4,
        overwrite,
        exchange: overwrite && matches!(era, Era::B | Era::C),
        passes: era != Era::Z,
        masked: !matches!(era, Era::Z | Era::A),
        start: 0,
    }
}

fn only_stream(walk: &Walk) -> &Stream {
    let streams: Vec<&Stream> =
        walk.traces.iter().flat_map(|t| &t.channels).flat_map(|c| &c.streams).collect();
    assert_eq!(streams.len(), 1, "{:?}", walk.damage);
    streams[0]
}

fn begin(target: &dyn Target, sub: &SubBuffer) -> u64 {
    let mut bytes = [0; 8];
    assert!(sub.pages.read(target, 0, &mut bytes).is_empty());
    target.abi().uint(&bytes, 0, 8).unwrap()
}

/// The walk must list exactly what the simulation says.
fn check(era: Era, word: WordSize, endian: Endian, sim: &Simulation) -> Result<(), TestCaseError> {
    let kernel = Synthetic::new(era, word, endian, sim);
    let walk = walk(&kernel.fake, &Options { routes: Routes::LIST });
    prop_assert!(walk.damage.is_empty(), "{:?}", walk.damage);
    let stream = only_stream(&walk);
    let rules = sim.rules;
    let is_live = |sub: &&SubBuffer| matches!(sub.state, State::Ready | State::Open | State::Stalled);
    let unread = sim.unread();
    let reader = sim.contents.len() - 1;

    let mut expected: Vec<(u64, State, u64, Option<u64>)> = Vec::new();
    let overtaken = sim.held.filter(|p| rules.exchange && *p != sim.consumed);
    if overtaken.is_some() {
        expected.push((
            sim.consumed.wrapping_sub(rules.size) & rules.word_mask,
            State::Ready,
            rules.size,
            Some(sim.contents[reader].begin),
        ));
    }
    let head = sim.write - sim.write % rules.size;
    for (i, &p) in unread.iter().enumerate() {
        let (slot, whole) = (sim.slot(p), rules.size);
        let committed = if rules.passes { sim.committed_at(p) } else { sim.committed[slot] % whole };
        let complete =
            if rules.passes { committed == whole } else { committed == 0 && sim.committed[slot] != 0 };
        let is_head = p == head && !sim.write.is_multiple_of(whole);
        // Entered, but not a byte in it and no trace of a header: nothing tells it from one that was never entered.
        let blank = sim.contents[slot].begin == 0;
        let first_pass = sim.write < whole * rules.count;
        let untouched = first_pass && sim.committed[slot] == 0 && (blank || !rules.passes);
        if untouched || blank && !is_head && !complete && committed == 0 {
            continue;
        }
        let brim = sim.write.is_multiple_of(whole) && p.wrapping_add(whole) & rules.word_mask == sim.write;
        let state = match (is_head, complete) {
            (true, _) => State::Open,
            (false, true) => State::Ready,
            (false, false) if brim => State::Open,
            (false, false) => State::Stalled,
        };
        let content =
            [slot, reader].into_iter().find(|&t| sim.contents[t].position == p && sim.contents[t].begin != 0);
        let in_place = content.filter(|&t| t == slot || (i == 0 && rules.exchange));
        let committed = if complete && !is_head { whole } else { committed };
        expected.push((
            p,
            state,
            committed,
            in_place.filter(|_| committed != 0).map(|t| sim.contents[t].begin),
        ));
    }
    let found: Vec<_> = stream.subbuffers.iter().filter(is_live).collect();
    prop_assert_eq!(found.len(), expected.len(), "{:?}\n{:?}", stream.subbuffers, sim);
    for (sub, (p, state, committed, time)) in found.iter().zip(&expected) {
        prop_assert_eq!(
            (sub.position, sub.state, sub.committed),
            (*p, *state, *committed),
            "{:?}\n{:?}",
            sub,
            sim
        );
        if let Some(time) = time {
            prop_assert_eq!(begin(&kernel.fake, sub), *time, "{:?}\n{:?}", sub, sim);
        }
    }
    // What has been read and is still there: every content that is in no unread place.
    let unread_slots: Vec<usize> = unread.iter().map(|&p| sim.slot(p)).collect();
    let mut intact: Vec<u64> = Vec::new();
    for (table, content) in sim.contents.iter().enumerate() {
        let taken_back = rules.exchange
            && table != reader
            && unread_slots.first() == Some(&table)
            && content.position != unread[0];
        let used = if table == reader {
            !rules.exchange || unread.contains(&content.position) || overtaken.is_some()
        } else {
            unread_slots.contains(&table) && !(taken_back && sim.committed_at(unread[0]) == rules.size)
        };
        if content.begin != 0 && !used {
            intact.push(content.begin);
        }
    }
    intact.sort_unstable();
    let consumed: Vec<u64> = stream
        .subbuffers
        .iter()
        .filter(|s| s.state == State::Consumed)
        .map(|s| begin(&kernel.fake, s))
        .collect();
    prop_assert_eq!(consumed, intact, "{:?}\n{:?}", stream.subbuffers, sim);
    Ok(())
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let event = prop_oneof![16u64..600, 2000u64..4000, Just(4096 - HEADER)].prop_map(Action::Event);
    let action = prop_oneof![6 => event, 1 => Just(Action::Get), 2 => Just(Action::Put)];
    prop::collection::vec(action, 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn lists_what_the_tracer_did(era in 0usize..5, wide: bool, big: bool, overwrite: bool, wrapping: bool, steps in 0usize..400, actions in actions()) {
        let era = ERAS[era];
        let word = if wide { WordSize::Bits64 } else { WordSize::Bits32 };
        let endian = if big { Endian::Big } else { Endian::Little };
        let mut rules = rules(era, word, overwrite);
        if wrapping && rules.passes {
            rules.start = (rules.word_mask - 2 * rules.size * rules.count).next_multiple_of(rules.size * rules.count);
        }
        let mut sim = Simulation::new(rules, steps);
        sim.run(&actions);
        check(era, word, endian, &sim)?;
    }
}

fn events(count: usize, len: u64) -> Vec<Action> {
    vec![Action::Event(len); count]
}

#[test]
fn empty_partial_full_and_wrapped_of_every_era() {
    for era in ERAS {
        for word in [WordSize::Bits32, WordSize::Bits64] {
            for overwrite in [false, true] {
                for actions in [events(0, 0), events(3, 100), events(200, 100), events(500, 333)] {
                    let mut sim = Simulation::new(rules(era, word, overwrite), 100_000);
                    sim.run(&actions);
                    check(era, word, Endian::Little, &sim).unwrap();
                    let reading = [actions.clone(), vec![Action::Get]].concat();
                    let mut sim = Simulation::new(rules(era, word, overwrite), 100_000);
                    sim.run(&reading);
                    check(era, word, Endian::Little, &sim).unwrap();
                }
            }
        }
    }
}

#[test]
fn every_route_finds_the_same_buffer() {
    for era in ERAS {
        let mut sim = Simulation::new(rules(era, WordSize::Bits64, false), 100_000);
        sim.run(&events(20, 300));
        let kernel = Synthetic::new(era, WordSize::Bits64, Endian::Little, &sim);
        let all = walk(&kernel.fake, &Options::default());
        assert!(all.damage.is_empty(), "{era:?} {:?}", all.damage);
        let trace = &all.traces[0];
        assert_eq!(
            (trace.address, trace.name.as_slice(), trace.transport.as_slice()),
            (kernel.trace, &b"t"[..], &b"relay"[..])
        );
        assert_eq!(
            (trace.clock.start_freq, trace.clock.freq_scale, trace.clock.start_time_sec),
            (2400, 1000, 77)
        );
        assert_eq!(
            (trace.channels[0].address, trace.channels[0].name.as_slice()),
            (kernel.channel, &b"cpu"[..])
        );
        let stream = only_stream(&all);
        assert_eq!(stream.address, kernel.buffer);
        assert_eq!(u64::from(stream.cpu), CPU);
        // The file's own name, not the one that the rules give.
        assert_eq!(stream.path, [b"flight-cpu_1".to_vec()]);
        assert!(stream.damage.is_empty(), "{era:?} {:?}", stream.damage);
        let channels = if era == Era::C { Routes::NONE } else { Routes::CHANNELS };
        assert_eq!(stream.found_by, Routes::LIST | Routes::DEBUGFS | channels, "{era:?}");
        let debugfs = walk(&kernel.fake, &Options { routes: Routes::DEBUGFS });
        assert_eq!(only_stream(&debugfs).subbuffers, stream.subbuffers);
        assert_eq!(debugfs.traces[0].name, b"t");
    }
}

#[test]
fn wrong_homonym_is_seen_to_be_wrong() {
    for era in [Era::Z, Era::A, Era::Unknown, Era::B] {
        let mut sim = Simulation::new(rules(era, WordSize::Bits64, false), 100_000);
        sim.run(&events(40, 300));
        let mut kernel = Synthetic::new(era, WordSize::Bits64, Endian::Little, &sim);
        kernel.fake.shuffle("ltt_channel_buf_struct");
        let found = walk(&kernel.fake, &Options::default());
        assert_eq!(
            (only_stream(&found).write_position, only_stream(&found).consumed_position),
            (sim.write, sim.consumed)
        );
    }
}

#[test]
fn sub_buffers_smaller_than_a_page() {
    for era in [Era::Z, Era::A, Era::Unknown] {
        let rules = Rules { size: 1024, count: 8, ..rules(era, WordSize::Bits32, true) };
        let mut sim = Simulation::new(rules, 100_000);
        sim.run(&events(100, 300));
        check(era, WordSize::Bits32, Endian::Little, &sim).unwrap();
    }
}

#[test]
fn lost_page_table_is_found_by_elimination() {
    for era in [Era::B, Era::C] {
        let mut sim = Simulation::new(rules(era, WordSize::Bits64, true), 100_000);
        sim.run(&events(90, 300));
        let mut kernel = Synthetic::new(era, WordSize::Bits64, Endian::Little, &sim);
        let whole = walk(&kernel.fake, &Options::default());
        kernel.lose_table(era, &sim);
        let found = walk(&kernel.fake, &Options::default());
        assert_eq!(only_stream(&found).subbuffers, only_stream(&whole).subbuffers);
        assert!(
            only_stream(&found)
                .damage
                .iter()
                .any(|damage| damage.place.ends_with("page table of a sub-buffer"))
        );
    }
}

#[test]
fn open_files_are_the_last_resort() {
    for era in ERAS {
        let sim = Simulation::new(rules(era, WordSize::Bits64, false), 100_000);
        let mut kernel = Synthetic::new(era, WordSize::Bits64, Endian::Little, &sim);
        kernel.open_file();
        let found = walk(&kernel.fake, &Options { routes: Routes::OPEN_FILES });
        assert!(found.damage.is_empty(), "{:?}", found.damage);
        assert_eq!(only_stream(&found).address, kernel.buffer);
        assert_eq!(only_stream(&found).found_by, Routes::OPEN_FILES);
    }
}

#[test]
fn damaged_list_leaves_debugfs() {
    for era in ERAS {
        let sim = Simulation::new(rules(era, WordSize::Bits64, false), 100_000);
        let mut kernel = Synthetic::new(era, WordSize::Bits64, Endian::Little, &sim);
        let head = VirtAddr(kernel.fake.symbols("ltt_traces")[0].addr);
        let head = head.offset(kernel.fake.offset_of("ltt_traces", "head"));
        kernel.fake.put_word(head, 0x13);
        kernel.fake.put_word(head.offset(8), 0);
        let found = walk(&kernel.fake, &Options::default());
        assert!(found.damage.iter().any(|damage| damage.place == "trace list"), "{:?}", found.damage);
        assert!(only_stream(&found).found_by.contains(Routes::DEBUGFS));
    }
}

#[test]
fn broken_page_list_loses_one_page() {
    let mut sim = Simulation::new(rules(Era::A, WordSize::Bits64, false), 100_000);
    sim.run(&events(20, 300));
    let mut kernel = Synthetic::new(Era::A, WordSize::Bits64, Endian::Little, &sim);
    // The second node is gone: what lies behind it is reached from the other end.
    let second = VirtAddr(kernel.fake.get_word(kernel.first_node));
    kernel.fake.remove_page(second);
    let found = walk(&kernel.fake, &Options::default());
    let stream = only_stream(&found);
    let missing: Vec<bool> =
        stream.subbuffers.iter().map(|sub| sub.pages.pages().contains(&PageRef::Missing)).collect();
    assert_eq!(missing.iter().filter(|missing| **missing).count(), 1, "{:?}", stream.subbuffers);
    assert!(
        stream.damage.iter().any(|damage| matches!(damage.cause, Cause::Unreadable(_))),
        "{:?}",
        stream.damage
    );
    // A list that runs in a circle.
    let mut kernel = Synthetic::new(Era::A, WordSize::Bits64, Endian::Little, &sim);
    kernel.fake.put_word(kernel.first_node, kernel.first_node.0);
    let found = walk(&kernel.fake, &Options::default());
    assert!(only_stream(&found).damage.iter().any(|damage| damage.cause == Cause::Loop));
}

#[test]
fn wrong_numbers_are_reported_not_followed() {
    for era in ERAS {
        let sim = Simulation::new(rules(era, WordSize::Bits64, false), 100_000);
        let name = if era == Era::C { "ltt_chanbuf" } else { "ltt_channel_buf_struct" };
        for (member, value) in [("consumed", 0x246), ("commit_count", 8), ("offset", 1 << 40)] {
            let mut kernel = Synthetic::new(era, WordSize::Bits64, Endian::Little, &sim);
            kernel.fake.set(kernel.position, name, member, value);
            let found = walk(&kernel.fake, &Options::default());
            let streams = &found.traces[0].channels[0].streams;
            let damage = if era == Era::Z {
                assert!(streams.is_empty(), "{member}");
                &found.damage
            } else {
                assert!(streams[0].positions_lost, "{era:?} {member}");
                &streams[0].damage
            };
            assert!(damage.iter().any(|damage| damage.address == Some(kernel.buffer)), "{damage:?}");
        }
    }
}

/// Positions lie elsewhere than buffers: without them headers tell what is there, in the order of time.
#[test]
fn without_positions_headers_tell() {
    for era in [Era::A, Era::Unknown, Era::B, Era::C] {
        for overwrite in [false, true] {
            let mut sim = Simulation::new(rules(era, WordSize::Bits64, overwrite), 100_000);
            sim.run(&[events(30, 300), vec![Action::Get, Action::Put], events(12, 300)].concat());
            let mut kernel = Synthetic::new(era, WordSize::Bits64, Endian::Little, &sim);
            let whole = walk(&kernel.fake, &Options::default());
            let used = |walk: &Walk| -> Vec<(u64, bool)> {
                let used = only_stream(walk).subbuffers.iter().filter(|sub| sub.state != State::NeverUsed);
                used.map(|sub| (begin(&kernel.fake, sub), sub.state == State::Open)).collect()
            };
            let expected = used(&whole);
            assert!(expected.len() > 2 && expected.iter().filter(|(_, open)| *open).count() == 1);
            let name = if era == Era::C { "ltt_chanbuf" } else { "ltt_channel_buf_struct" };
            let place = kernel.position.offset(kernel.fake.offset_of(name, "commit_count"));
            let counters = kernel.fake.get_word(place);
            kernel.fake.put_word(place, 0);
            let found = walk(&kernel.fake, &Options::default());
            let stream = only_stream(&found);
            assert!(stream.positions_lost && stream.subbuffers.iter().all(|sub| sub.by_header));
            assert!(
                stream.damage.iter().any(|damage| damage.place.ends_with("positions")),
                "{:?}",
                stream.damage
            );
            let mut found: Vec<(u64, bool)> = stream
                .subbuffers
                .iter()
                .filter(|sub| sub.state != State::NeverUsed)
                .map(|sub| (begin(&kernel.fake, sub), sub.state == State::Open))
                .collect();
            assert!(found.is_sorted(), "{found:?}");
            found.sort_unstable();
            assert_eq!(found, expected, "{era:?} {overwrite}");
            kernel.fake.put_word(place, counters);
        }
    }
}

/// Nobody is in the last sub-buffer of a buffer that was flushed for good, also where its container says so.
#[test]
fn a_finalized_buffer_has_no_open_sub_buffer() {
    for era in ERAS {
        let mut sim = Simulation::new(rules(era, WordSize::Bits64, false), 100_000);
        sim.run(&events(1, 4096 - HEADER));
        assert_eq!(sim.write, 4096, "{era:?}");
        (sim.committed[0], sim.delivered[0]) = (4096 - 8, 0);
        for finalized in [false, true] {
            let mut kernel = Synthetic::new(era, WordSize::Bits64, Endian::Little, &sim);
            let (at, name) = match era {
                Era::C => (kernel.position, "ltt_chanbuf"),
                Era::B => (kernel.position, "ltt_channel_buf_struct"),
                _ => (kernel.buffer, "rchan_buf"),
            };
            kernel.fake.set(at, name, "finalized", u64::from(finalized));
            let found = walk(&kernel.fake, &Options::default());
            let stream = only_stream(&found);
            let states: Vec<State> = stream.subbuffers.iter().map(|sub| sub.state).collect();
            let expected = if finalized { State::Stalled } else { State::Open };
            assert_eq!((states[3], stream.finalized), (expected, finalized), "{era:?} {states:?}");
        }
    }
}

/// Without a way to debugfs itself, the tracer's own directory leads to it.
#[test]
fn the_tracers_directory_leads_to_debugfs() {
    let sim = Simulation::new(rules(Era::A, WordSize::Bits64, false), 100_000);
    let mut kernel = Synthetic::new(Era::A, WordSize::Bits64, Endian::Little, &sim);
    let mount = VirtAddr(kernel.fake.symbols("debugfs_mount")[0].addr);
    kernel.fake.put_word(mount, 0);
    let options = Options { routes: Routes::DEBUGFS };
    assert!(walk(&kernel.fake, &options).traces.is_empty());
    let member = |name, path| kernel.fake.offset_of(name, path);
    let trace = kernel.fake.get_word(kernel.trace.offset(member("ltt_trace_struct", "dentry.trace_root")));
    let directory = kernel.fake.get_word(VirtAddr(trace).offset(member("dentry", "d_parent")));
    let variable = kernel.fake.alloc(8);
    kernel.fake.put_word(variable, directory);
    kernel.fake.symbol("ltt_root_dentry", variable);
    let found = walk(&kernel.fake, &options);
    assert_eq!(only_stream(&found).address, kernel.buffer);
}

/// Of two transports only one may have a symbol for the operations of its files: the other one's are known by what they lead to.
#[test]
fn operations_without_symbol_below_the_tracers_directory() {
    for era in ERAS {
        let sim = Simulation::new(rules(era, WordSize::Bits64, false), 100_000);
        let mut kernel = Synthetic::new(era, WordSize::Bits64, Endian::Little, &sim);
        let (name, path) = if era == Era::C { ("ltt_chanbuf", "a.dentry") } else { ("rchan_buf", "dentry") };
        let follow = |at: VirtAddr, name, path| {
            VirtAddr(kernel.fake.get_word(at.offset(kernel.fake.offset_of(name, path))))
        };
        let inode = follow(follow(kernel.buffer, name, path), "dentry", "d_inode");
        kernel.fake.set(inode, "inode", "i_fop", kernel.fake.direct() + 0x7777);
        let found = walk(&kernel.fake, &Options { routes: Routes::DEBUGFS });
        assert_eq!(only_stream(&found).address, kernel.buffer, "{era:?}");
    }
}

/// A trace's name is that of its directory, also when its structure was overwritten.
#[test]
fn an_overwritten_trace_keeps_its_name() {
    for era in ERAS {
        let sim = Simulation::new(rules(era, WordSize::Bits64, false), 100_000);
        let name = if era == Era::C { "ltt_trace" } else { "ltt_trace_struct" };
        for text in ["\0", "junk"] {
            let mut kernel = Synthetic::new(era, WordSize::Bits64, Endian::Little, &sim);
            kernel.fake.set_text(kernel.trace, name, "trace_name", text);
            for routes in [Routes::LIST, Routes::DEBUGFS, Routes::ALL] {
                for root in [true, false] {
                    if !root {
                        kernel.fake.set(kernel.trace, name, "dentry.trace_root", 0x6b6b);
                    }
                    let found = walk(&kernel.fake, &Options { routes });
                    assert_eq!(found.traces[0].name, b"t", "{era:?} by {routes}");
                    assert_eq!(only_stream(&found).path, [b"flight-cpu_1".to_vec()]);
                    assert!(found.damage.iter().any(|damage| damage.address == Some(kernel.trace)));
                }
            }
        }
    }
}

#[test]
fn overtaken_reader_keeps_what_it_holds() {
    let mut sim = Simulation::new(rules(Era::C, WordSize::Bits64, true), 100_000);
    sim.run(&events(60, 300));
    sim.run(&[Action::Get]);
    let held = sim.consumed;
    sim.run(&events(60, 300));
    assert_ne!(sim.consumed, held);
    check(Era::C, WordSize::Bits64, Endian::Little, &sim).unwrap();
    let kernel = Synthetic::new(Era::C, WordSize::Bits64, Endian::Little, &sim);
    let found = walk(&kernel.fake, &Options::default());
    let first = &only_stream(&found).subbuffers[0];
    assert!(first.reader_held && first.state == State::Ready);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Random words written over the objects: the walk ends, whatever it finds.
    #[test]
    fn survives_scribbling(era in 0usize..5, overwrite: bool, scribbles in prop::collection::vec((0usize..6, 0u64..64, any::<u64>(), 0u8..4), 1..12)) {
        let era = ERAS[era];
        let mut sim = Simulation::new(rules(era, WordSize::Bits64, overwrite), 100_000);
        sim.run(&events(30, 300));
        let mut kernel = Synthetic::new(era, WordSize::Bits64, Endian::Little, &sim);
        let objects = [kernel.trace, kernel.channel, kernel.buffer, kernel.position, kernel.first_node,
                       VirtAddr(kernel.fake.get_word(kernel.position.offset(8)))];
        for (object, word, value, kind) in scribbles {
            let at = if objects[object].0 < kernel.fake.direct() { kernel.trace } else { objects[object] };
            let at = VirtAddr(at.0 & !7).offset(word * 8 % 2048);
            let value = match kind { 0 => value, 1 => objects[usize::try_from(value % 6).unwrap()].0, 2 => value % 9000, _ => at.0 };
            if kernel.fake.read_virt(at, &mut [0; 8]).is_ok() {
                kernel.fake.put_word(at, value);
            }
        }
        let found = walk(&kernel.fake, &Options::default());
        for stream in found.traces.iter().flat_map(|t| &t.channels).flat_map(|c| &c.streams) {
            prop_assert!(stream.subbuffers.len() <= 1 << 20);
        }
    }
}
