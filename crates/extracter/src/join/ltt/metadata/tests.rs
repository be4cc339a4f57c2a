#![allow(clippy::cast_possible_truncation, reason = "tests")]

use lttformat::ltt::{Announcement, Channel, Endian};

use super::*;

fn template(version: Version) -> Header {
    Header {
        version,
        endian: Endian::Big,
        arch_size: 4,
        alignment: 4,
        begin: 0,
        end: 0,
        lost_or_data_size: 0,
        buf_or_sb_size: 0,
        start_freq: 1_000_000,
        freq_scale: 1,
        start_tsc: None,
        start_monotonic: None,
        start_time_sec: 1,
        start_time_usec: 2,
        events_lost: Some(0),
        subbuf_corrupt: Some(0),
        packed: None,
    }
}

fn markers(version: Version, names: &[(&str, u16)]) -> Markers {
    let mut markers = Markers::new(&template(version));
    for (name, id) in names {
        let announcement =
            Announcement { name: name.as_bytes(), id: *id, format: b"a %d", alignment: 4, sizes: None };
        markers.insert(b"kernel", &announcement);
    }
    markers
}

const WHOLE: MetadataFile = MetadataFile { span: Some((100, 200)), complete: true };
const TORN: MetadataFile = MetadataFile { span: Some((100, 200)), complete: false };
const LATE: MetadataFile = MetadataFile { span: Some((150, 200)), complete: false };
const EMPTY: MetadataFile = MetadataFile { span: None, complete: true };

/// A trace with two markers, of which the first is announced. Every CPU has a file.
fn made_up(version: Version, files: &[MetadataFile], aliases: &[&str]) -> BTreeMap<u32, MadeUp> {
    let template = template(version);
    let metadata = Metadata {
        template: &template,
        start: Some(100),
        sub_buffer_size: 4096,
        page_size: 4096,
        announced: &markers(version, &[("first", 5)]),
        known: &markers(version, &[("first", 5), ("second", 6)]),
        files: (0..).zip(files.iter().copied()).collect(),
        last_cpu: files.len() as u32 - 1,
        aliases: aliases.iter().map(|alias| (b"kernel".to_vec(), alias.as_bytes().to_vec())).collect(),
    };
    metadata.made_up().unwrap()
}

/// Begin and end of the only record, and the markers that it announces, by channel and id.
fn read(records: &[Vec<u8>]) -> (u64, u64, Vec<(String, u16)>) {
    let [record] = records else { panic!("{} records", records.len()) };
    let header = Header::parse(record).unwrap();
    let mut markers = Markers::new(&header);
    assert!(markers.learn(&header, record, header.used(record.len() as u64).unwrap()).is_complete());
    let ids = markers.iter().map(|(channel, m)| (String::from_utf8_lossy(channel).into_owned(), m.id()));
    (header.begin, header.end, ids.collect())
}

#[test]
fn nothing_where_nothing_is_missing() {
    assert_eq!(made_up(Version::V2_6, &[WHOLE, WHOLE], &[]), BTreeMap::new());
}

#[test]
fn the_first_record_with_everything() {
    for files in [&[LATE, WHOLE], &[EMPTY, WHOLE]] {
        let made = made_up(Version::V2_1, files, &[]);
        let end = if files[0] == LATE { 150 } else { 100 };
        assert_eq!(read(&made[&0].front), (100, end, vec![(String::new(), 5), (String::new(), 6)]));
        assert_eq!((made.len(), made[&0].back.len(), made[&0].markers), (1, 0, 2));
    }
}

#[test]
fn what_no_record_announces_behind_the_last() {
    for files in [&[TORN, WHOLE], &[WHOLE, TORN]] {
        let made = made_up(Version::V2_6, files, &[]);
        assert_eq!(read(&made[&0].back), (201, 201, vec![("kernel".to_owned(), 6)]));
        assert_eq!((made.len(), made[&0].front.len(), made[&0].markers), (1, 0, 1));
    }
}

#[test]
fn formats_under_the_name_of_a_file_in_another_folder() {
    let made = made_up(Version::V2_6, &[WHOLE], &["crash/kernel", "crash/flight-kernel"]);
    let (begin, _, ids) = read(&made[&0].back);
    let both = |channel: &str| [5, 6].map(|id| (channel.to_owned(), id));
    assert_eq!((begin, ids), (201, [both("crash/flight-kernel"), both("crash/kernel")].concat()));
    let made = made_up(Version::V2_6, &[EMPTY], &["crash/kernel"]);
    assert_eq!((made[&0].front.len(), made[&0].back.len(), made[&0].markers), (1, 1, 4));
    assert_eq!(read(&made[&0].back).0, 101, "no two records have one begin");
}

#[test]
fn a_cpu_without_metadata_gets_an_empty_record() {
    let made = made_up(Version::V2_6, &[WHOLE, EMPTY, WHOLE, EMPTY], &[]);
    assert_eq!(made.keys().copied().collect::<Vec<_>>(), [1, 3]);
    assert_eq!(read(&made[&1].front), (100, 100, vec![]));
}

#[test]
fn names_follow_those_that_are_there() {
    let path = |like: Option<&str>, version| {
        let like = like.and_then(|path| TracefileName::parse(path.as_bytes()));
        String::from_utf8(name(like.as_ref(), version, 3).path()).unwrap()
    };
    assert_eq!(path(None, Version::V2_6), "metadata_3");
    assert_eq!(path(None, Version::V2_2), "control/metadata_3");
    assert_eq!(path(None, Version::V1_0), "control/facilities_3");
    assert_eq!(path(Some("control/metadata_0"), Version::V1_0), "control/metadata_3");
    assert_eq!(Channel::named(Version::V1_0, group(Version::V1_0)), Channel::Metadata);
}
