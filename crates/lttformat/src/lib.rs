//! The trace files of LTT on disk: headers, events, metadata, damage
