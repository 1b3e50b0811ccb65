//! The check under libFuzzer: in this folder, with coverage, `RUSTFLAGS="-Cpasses=sancov-module
//! -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
//! -Cllvm-args=-sanitizer-coverage-pc-table" cargo run -- FOLDER`, where FOLDER keeps the inputs it finds.
//! Sanitizers (`-Zsanitizer=address`) need a nightly compiler.

#![no_main]

mod check;
#[path = "../support/sandbox.rs"]
mod sandbox;
mod state;

libfuzzer_sys::fuzz_target!(|data: &[u8]| check::check(data));
