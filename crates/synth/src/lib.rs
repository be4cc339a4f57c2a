//! Synthetic kernels, core files and debuginfo for the tests; shares no layout code with the readers
