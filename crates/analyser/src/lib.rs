//! Opens a kernel core with its type information and yields the traces inside: channels, streams, sub-buffers, events
