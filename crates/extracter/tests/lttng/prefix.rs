//! Of a file that ends anywhere every packet stays that it holds wholly.

use std::fs;
use std::sync::OnceLock;

use analyser::lttng::Directory;
use extracter::{Join, Target};
use proptest::prelude::*;
use synth::lttng::Release;

use crate::lab::{Lab, MACHINES};

fn labs() -> &'static [Lab] {
    static LABS: OnceLock<Vec<Lab>> = OnceLock::new();
    LABS.get_or_init(|| {
        let releases = [Release::V2_0, Release::V2_5, Release::V2_8, Release::V2_14];
        releases
            .into_iter()
            .zip(MACHINES)
            .map(|(release, machine)| Lab::new(release, machine, false))
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn any_prefix(lab in 0..4_usize, part in 0.0..1.0_f64, tail in prop::collection::vec(any::<u8>(), 0..200)) {
        let lab = &labs()[lab];
        let stream = &lab.streams()[0];
        let folder = tempfile::tempdir_in(lab.scratch.path()).unwrap();
        let trace = folder.path().join("t");
        fs::rename(lab.disk("for a prefix"), &trace).unwrap();
        let whole = stream.disk.concat();
        let len = (whole.len() as f64 * part) as usize;
        let mut file = whole[..len].to_vec();
        file.extend(&tail);
        fs::write(trace.join("kernel/net_0"), &file).unwrap();
        let ends = stream.disk.iter().scan(0, |end, packet| {
            *end += packet.len();
            Some(*end)
        });
        let ends: Vec<_> = ends.collect();
        let held = |len: usize| ends.iter().filter(|end| **end <= len).count() as u64;
        // Where the tail fills a packet up, nobody can tell: its padding may be anything.
        let (least, most) = (held(len), held(file.len()));
        let directory = Directory::open(&trace).unwrap();
        let join = Join::repair(&directory, Target::InPlace).unwrap();
        let joined = join.report().streams.iter().find(|joined| joined.path == "kernel/net_0").unwrap();
        let disk = joined.disk.as_ref().unwrap();
        prop_assert!((least..=most).contains(&disk.records_kept), "{} of {least} to {most}", disk.records_kept);
        prop_assert_eq!(disk.bytes, file.len() as u64);
    }
}
