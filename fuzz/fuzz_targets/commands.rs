#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hostile::targets::commands(data));

libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    hostile::mutate::in_place(data, size, max_size, seed)
});
