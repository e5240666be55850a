#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| enact_fuzz::channel::run(data));
