//! What the user sees: text on standard output, or JSON; progress on standard error.

pub(crate) mod error;
pub(crate) mod event;
pub(crate) mod json;
pub(crate) mod progress;
pub(crate) mod table;
pub(crate) mod text;
pub(crate) mod time;
