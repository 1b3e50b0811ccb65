//! The command line of Philae: what the user asked for, done, and what went wrong, in one line.
//!
//! There is no Rust main: the standard library's start would ignore SIGPIPE, install handlers and open
//! descriptors, all of which the guest would see.

#![cfg_attr(not(test), no_main)]

mod background;
mod cache;
mod chaos;
mod check;
mod disassemble;
mod exec;
mod fault;
mod first_runs;
mod host;
mod image;
mod lift_command;
mod lift_text;
mod loader;
mod options;
mod perf_map;
mod property;
mod run;
mod runtime;
mod spawn;
mod start;
mod thread;
mod tidings;
mod tier;
mod trace;
mod translate;

use options::{Options, Request};
use philae_syscalls::loan::Allocator;
use std::ffi::OsString;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

/// Philae was called wrongly, or the host failed it.
const STATUS_USAGE: i32 = 125;

/// What can go wrong before the guest runs: one line and an exit status.
pub use loader::LoadError;

/// Called by the host's entry point; gives the exit status.
fn philae_main(args: Vec<OsString>) -> i32 {
    let options = match Options::parse(args, |name| std::env::var_os(name)) {
        Ok(options) => options,
        Err(message) => return complain(&message, STATUS_USAGE),
    };
    host::limit_allocator();
    let result = match options.request.clone() {
        Request::Models => print(&options::models()),
        Request::Help => print(&options::help()),
        Request::Version => print(&format!("philae {}\n", env!("CARGO_PKG_VERSION"))),
        Request::Lift { arch, bytes, execute } => {
            lift_command::show(arch, &bytes, execute).and_then(|text| print(&text))
        }
        Request::LiftText { file } => {
            let files: Vec<OsString> = std::iter::once(file).chain(options.command).collect();
            lift_text::show(&files).and_then(|text| print(&text))
        }
        Request::Run => start::from_command_line(options).map(|never| match never {}),
        Request::Resume(fd) => start::from_descriptor(options, fd).map(|never| match never {}),
    };
    match result {
        Ok(()) => 0,
        Err(error) => complain(&error.message, error.status),
    }
}

fn print(text: &str) -> Result<(), LoadError> {
    use std::io::Write;
    let failed = |error| LoadError { message: format!("standard output: {error}"), status: STATUS_USAGE };
    std::io::stdout().write_all(text.as_bytes()).map_err(failed)
}

fn complain(message: &str, status: i32) -> i32 {
    eprintln!("philae: {message}");
    status
}
