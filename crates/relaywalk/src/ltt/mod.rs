//! LTTng 0.x (`ltt-relay`) buffers, all eras.

mod model;

pub use model::{Channel, Clock, Stream, Trace, Walk};
