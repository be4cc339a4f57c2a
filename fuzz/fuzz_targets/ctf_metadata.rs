#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::ctf_metadata(data));
