//! What can go wrong while reading debug information.

/// `Result` with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// One line that says which file, which place in it, what was expected and what was found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The content is none of the supported formats.
    #[error("{path}: expected an ELF file, BTF or ISF JSON, found {found}")]
    Unrecognised {
        /// Display name of the input.
        path: String,
        /// What its first bytes look like.
        found: String,
    },
    /// A record contradicts its format.
    #[error("{path}: {place}: expected {expected}, found {found}")]
    Malformed {
        /// Display name of the input.
        path: String,
        /// Section and offset, or the JSON path.
        place: String,
        /// What the format demands.
        expected: String,
        /// What the file holds.
        found: String,
    },
    /// The types are in another file that was not given.
    #[error("{path}: the types are in {missing}, which was not given")]
    Elsewhere {
        /// Display name of the input.
        path: String,
        /// The missing file or section, and how it is referred to.
        missing: String,
    },
    /// Two files describe kernels that cannot be the same.
    #[error("{path}: {what} {found} differs from {expected} of {other}")]
    OtherKernel {
        /// Display name of the later input.
        path: String,
        /// What was compared: word size, byte order, banner.
        what: &'static str,
        /// What the later one has.
        found: String,
        /// What was seen first.
        expected: String,
        /// Display name of the input that it was seen in.
        other: String,
    },
    /// Two files claim to describe the kernel, but were built separately.
    #[error("{path}: build-id {found} differs from {expected} of {other}")]
    BuildId {
        /// Display name of the later input.
        path: String,
        /// Its build-id.
        found: String,
        /// The build-id seen first.
        expected: String,
        /// Display name of the input that it was seen in.
        other: String,
    },
}

impl Error {
    /// Display name of the input that it is about.
    pub(crate) fn path(&self) -> &str {
        match self {
            Error::Unrecognised { path, .. }
            | Error::Malformed { path, .. }
            | Error::Elsewhere { path, .. }
            | Error::OtherKernel { path, .. }
            | Error::BuildId { path, .. } => path,
        }
    }

    pub(crate) fn malformed(
        path: &str,
        place: impl Into<String>,
        expected: impl Into<String>,
        found: impl std::fmt::Display,
    ) -> Self {
        Error::Malformed {
            path: path.to_owned(),
            place: place.into(),
            expected: expected.into(),
            found: found.to_string(),
        }
    }
}
