//! What of a file cannot be read. It costs what is described there, and nothing else.

use crate::error::{Error, Result};

/// Places that are told of one by one.
const TOLD_MAX: usize = 8;

/// The damaged places of a file.
#[derive(Debug, Default)]
pub(crate) struct Damage {
    /// The first ones, each with what it costs.
    told: Vec<(Error, &'static str)>,
    count: usize,
}

impl Damage {
    /// Adds a place, with what is lost there. An error that is no damage, as types are in another file, is returned.
    pub(crate) fn add(&mut self, error: Error, lost: &'static str) -> Result<()> {
        if !matches!(error, Error::Malformed { .. }) {
            return Err(error);
        }
        self.count = self.count.saturating_add(1);
        if self.told.len() < TOLD_MAX {
            self.told.push((error, lost));
        }
        Ok(())
    }

    /// The first place as an error, for a file of which nothing is left.
    pub(crate) fn take_error(&mut self) -> Option<Error> {
        std::mem::take(&mut self.told).into_iter().next().map(|(error, _)| error)
    }

    /// One line for each place, as far as there are not too many.
    pub(crate) fn into_warnings(self) -> Vec<String> {
        let more = self.count.saturating_sub(self.told.len());
        let path = self.told.first().map(|(error, _)| error.path().to_owned());
        let told = self.told.iter().map(|(error, lost)| format!("{error}: {lost}"));
        let rest = path.filter(|_| more > 0).map(|path| format!("{path}: {more} more damaged places"));
        told.chain(rest).collect()
    }
}
