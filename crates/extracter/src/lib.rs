//! Plans and writes trace directories from a kernel core, atomically
