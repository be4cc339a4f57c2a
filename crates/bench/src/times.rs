//! What criterion measured, over several rounds.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;

/// Times of one iteration in nanoseconds, one for each sample, by the id of the benchmark.
#[derive(Debug, Default)]
pub struct Times(BTreeMap<String, Vec<f64>>);

impl Times {
    /// Adds what the last run left in criterion's directory.
    ///
    /// Errors: a file there cannot be read.
    pub fn collect(&mut self, directory: &Path) -> Result<()> {
        for entry in std::fs::read_dir(directory)? {
            let newest = entry?.path().join("new");
            if !newest.join("sample.json").exists() {
                continue;
            }
            let id = json(&newest.join("benchmark.json"))?["full_id"].as_str().context("no id")?.to_owned();
            let sample = json(&newest.join("sample.json"))?;
            let numbers = |key: &str| -> Vec<f64> {
                sample[key].as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
            };
            let times = numbers("times").into_iter().zip(numbers("iters")).map(|(time, count)| time / count);
            self.0.entry(id).or_default().extend(times);
        }
        Ok(())
    }

    /// The fastest sample: what the program takes when nothing else uses the machine. `None`: not measured.
    #[must_use]
    pub fn best(&self, id: &str) -> Option<f64> {
        self.0.get(id)?.iter().copied().min_by(f64::total_cmp)
    }

    /// The sample in the middle. `None`: not measured.
    #[must_use]
    pub fn median(&self, id: &str) -> Option<f64> {
        let mut sorted = self.0.get(id)?.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied()
    }
}

fn json(path: &Path) -> Result<Value> {
    let text = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("parsing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_all_rounds_count() {
        let directory = tempfile::tempdir().unwrap();
        let new = directory.path().join("pages_zlib").join("new");
        std::fs::create_dir_all(&new).unwrap();
        std::fs::write(new.join("benchmark.json"), r#"{"full_id": "pages/zlib"}"#).unwrap();
        let mut times = Times::default();
        for sample in [r#"{"iters": [1, 2], "times": [10, 14]}"#, r#"{"iters": [3], "times": [15]}"#] {
            std::fs::write(new.join("sample.json"), sample).unwrap();
            times.collect(directory.path()).unwrap();
        }
        assert_eq!((times.best("pages/zlib"), times.median("pages/zlib")), (Some(5.0), Some(7.0)));
        assert_eq!(times.best("other"), None);
    }
}
