//! Reading kernel virtual memory.
