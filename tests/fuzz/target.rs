//! The check under libFuzzer: with a nightly compiler and cargo-fuzz, `cargo fuzz run --fuzz-dir tests/fuzz check`.
//! A stable compiler builds it too, but without coverage (`-Cpasses=sancov-module` is nightly's) it only guesses.

#![no_main]

mod check;
#[path = "../support/sandbox.rs"]
mod sandbox;
mod state;

libfuzzer_sys::fuzz_target!(|data: &[u8]| check::check(data));
