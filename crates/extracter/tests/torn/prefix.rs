//! Whatever happens to a file behind its whole records, and whatever happens to one of them, the others stay.

use std::sync::LazyLock;

use extracter::Target;
use proptest::prelude::*;
use synth::disk::{DiskTrace, Kept};

use crate::judge::{repair, tree};
use crate::lab::few_recipes;

/// A whole trace with one file in which records are known.
struct Sample {
    label: String,
    metadata: Vec<(String, Vec<u8>)>,
    path: String,
    bytes: Vec<u8>,
    kept: Vec<Kept>,
}

static SAMPLES: LazyLock<Vec<Sample>> = LazyLock::new(|| {
    let sample = |recipe: crate::lab::Recipe| {
        let dead = recipe.kernel.build();
        let outcome = DiskTrace::of(&dead).outcome();
        let metadata = outcome.metadata().map(|file| (file.path.to_owned(), file.merged.clone())).collect();
        let file = outcome.files.iter().find(|file| !file.is_metadata()).unwrap();
        let (path, bytes, kept) = (file.path.to_owned(), file.bytes.clone(), file.kept.clone());
        Sample { label: recipe.label, metadata, path, bytes, kept }
    };
    few_recipes().map(sample).collect()
});

impl Sample {
    /// Repairs the trace with this content of the file.
    fn repaired(&self, bytes: &[u8]) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let (root, output) = (folder.path().join("trace"), folder.path().join("repaired"));
        for (path, bytes) in self.metadata.iter().map(|(p, b)| (p, &**b)).chain([(&self.path, bytes)]) {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        repair(&root, Target::New(output.clone()));
        tree(&output).remove(&self.path).unwrap().unwrap()
    }

    /// Where record number `nth` ends.
    fn end(&self, nth: usize) -> usize {
        self.kept.get(nth + 1).map_or(self.bytes.len(), |next| next.offset as usize)
    }

    /// Bytes of the whole records in the first `len` bytes.
    fn whole(&self, len: usize) -> usize {
        (0..self.kept.len()).map(|nth| self.end(nth)).take_while(|end| *end <= len).last().unwrap_or(0)
    }
}

/// What lies behind a prefix.
#[derive(Debug, Clone)]
enum Tail {
    Nothing,
    Zeros(usize),
    Junk(Vec<u8>),
    /// Bytes from elsewhere in the same file.
    Stale(prop::sample::Index, usize),
}

fn tails() -> impl Strategy<Value = Tail> {
    prop_oneof![
        Just(Tail::Nothing),
        (1_usize..20_000).prop_map(Tail::Zeros),
        prop::collection::vec(any::<u8>(), 1..9000).prop_map(Tail::Junk),
        (any::<prop::sample::Index>(), 1_usize..20_000).prop_map(|(from, len)| Tail::Stale(from, len)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_prefix_keeps_its_whole_records(
        sample in 0_usize..11,
        len in any::<prop::sample::Index>(),
        tail in tails(),
    ) {
        let sample = &SAMPLES[sample];
        let len = len.index(sample.bytes.len() + 1);
        let whole = &sample.bytes[..sample.whole(len)];
        let mut bytes = sample.bytes[..len].to_vec();
        match &tail {
            Tail::Nothing => {}
            Tail::Zeros(zeros) => bytes.resize(len + zeros, 0),
            Tail::Junk(junk) => bytes.extend_from_slice(junk),
            Tail::Stale(from, count) => {
                let from = from.index(sample.bytes.len());
                bytes.extend(sample.bytes[from..].iter().take(*count));
            }
        }
        let repaired = sample.repaired(&bytes);
        prop_assert!(repaired.starts_with(whole), "{}: a whole record was cut", sample.label);
        if matches!(tail, Tail::Nothing) {
            prop_assert_eq!(repaired.len(), whole.len(), "{}", sample.label);
        }
    }

    #[test]
    fn damage_to_one_record_costs_no_other(
        sample in 0_usize..11,
        record in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        // Half of them in the header, where it hurts most.
        in_header in any::<bool>(),
        junk in prop::collection::vec(any::<u8>(), 1..200),
        flip in any::<bool>(),
    ) {
        let sample = &SAMPLES[sample];
        let nth = record.index(sample.kept.len());
        let range = sample.kept[nth].offset as usize..sample.end(nth);
        let mut bytes = sample.bytes.clone();
        let record = &mut bytes[range.clone()];
        let at = at.index(if in_header { 100 } else { record.len() });
        if flip {
            record[at] ^= 1 << (junk[0] % 8);
        } else {
            for (to, from) in record[at..].iter_mut().zip(&junk) {
                *to = *from;
            }
        }
        let repaired = sample.repaired(&bytes);
        let (before, after) = (&sample.bytes[..range.start], &sample.bytes[range.end..]);
        prop_assert!(repaired.starts_with(before), "{}: a record before {nth} was cut", sample.label);
        prop_assert!(repaired.ends_with(after), "{}: a record behind {nth} was cut", sample.label);
        let between = &repaired[before.len()..repaired.len() - after.len()];
        let damaged = &bytes[range];
        prop_assert!(between.is_empty() || between == damaged, "{}: part of a record is left", sample.label);
    }
}
