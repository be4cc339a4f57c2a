//! From a root pointer inside a dead kernel to the ordered sub-buffers of its tracing ring buffers
