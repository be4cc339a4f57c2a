//! Struct layouts, symbols and build-ids of a kernel from DWARF, BTF and ISF
