//! From kernel virtual to physical addresses.
