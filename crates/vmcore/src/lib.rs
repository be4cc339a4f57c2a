//! Kernel core files of every kind as physical memory, and their address translation as virtual memory
