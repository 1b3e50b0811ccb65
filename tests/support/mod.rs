//! What the tests that start whole programs share: where things are, and a run that cannot hang.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The Philae under test.
pub(crate) const PHILAE: &str = env!("CARGO_BIN_EXE_philae");

/// The guests, by the names in the test material's paths.
pub(crate) const GUESTS: [&str; 2] = ["aarch64", "x86_64"];

/// A path below the repository's root.
pub(crate) fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A command that runs Philae and not with the caller's settings: none of its variables, no input.
pub(crate) fn philae<I: IntoIterator<Item: AsRef<std::ffi::OsStr>>>(arguments: I) -> Command {
    let mut command = Command::new(PHILAE);
    command.args(arguments);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("QEMU_")) {
        command.env_remove(name);
    }
    command
}

/// What a finished program left.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Its standard output.
    pub(crate) stdout: String,
    /// Its standard error.
    pub(crate) stderr: String,
    /// `exit N`, `signal N` or `timeout`.
    pub(crate) end: String,
}

/// Runs `command` in a process group of its own, which is killed after `limit`, later if the environment has Philae
/// compare or disturb what it runs; `input` is its standard input.
pub(crate) fn run(command: &mut Command, input: &str, limit: Duration) -> Outcome {
    let slow = ["PHILAE_CHECK", "PHILAE_CHAOS"].iter().any(|name| std::env::var_os(name).is_some());
    let limit = if slow { limit * 20 } else { limit };
    // SAFETY: signal() may be called between fork and exec.
    unsafe { command.pre_exec(default_signals) };
    let mut child = command
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_owned();
    // A program that does not read its input is free not to.
    let writer = thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    let stdout = reader(child.stdout.take().expect("a pipe"));
    let stderr = reader(child.stderr.take().expect("a pipe"));
    let start = Instant::now();
    let end = loop {
        if let Some(status) = child.try_wait().expect("wait") {
            break match status.code() {
                Some(code) => format!("exit {code}"),
                None => format!("signal {}", status.signal().expect("an exit or a signal")),
            };
        }
        if start.elapsed() > limit {
            break "timeout".to_owned();
        }
        thread::sleep(Duration::from_millis(2));
    };
    // Whatever the program left behind would keep the pipes open.
    let group = format!("-{}", child.id());
    let kill = |signal| Command::new("kill").args([signal, "--", &group]).stderr(Stdio::null()).status();
    kill("-KILL").expect("kill");
    if end == "timeout" {
        child.wait().expect("wait");
    }
    writer.join().expect("writer");
    Outcome { stdout: stdout.join().expect("reader"), stderr: stderr.join().expect("reader"), end }
}

/// Undoes what a shell's `&` and nohup ignore for all that they start: the programs use these signals.
fn default_signals() -> std::io::Result<()> {
    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT] {
        // SAFETY: the default disposition is valid for each.
        if unsafe { libc::signal(signal, libc::SIG_DFL) } == libc::SIG_ERR {
            return Err(std::io::Error::last_os_error());
        }
    }
    Ok(())
}

fn reader(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).expect("read");
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Collects what went wrong, so that one failure does not hide the others.
#[derive(Default)]
pub(crate) struct Failures(String);

impl Failures {
    /// Notes that `case` failed, and how.
    pub(crate) fn add(&mut self, case: &str, what: &str) {
        println!("FAIL {case}: {what}");
        writeln!(self.0, "{case}: {what}").expect("a string");
    }

    /// Fails the test if anything was noted.
    pub(crate) fn check(self) {
        assert!(self.0.is_empty(), "\n{}", self.0);
    }
}

/// Says that `what` is not tested, and why; `tests/run` counts these lines.
pub(crate) fn skip(what: &str, why: &str) {
    println!("SKIP {what}: {why}");
}

/// The first line in which two texts differ, for a message.
pub(crate) fn difference(got: &str, wanted: &str) -> String {
    let (mut got_lines, mut wanted_lines) = (got.lines(), wanted.lines());
    let mut number = 1;
    loop {
        match (got_lines.next(), wanted_lines.next()) {
            (None, None) => return "differs only in line ends".to_owned(),
            (got, wanted) if got == wanted => number += 1,
            (got, wanted) => {
                let show = |line: Option<&str>| line.map_or("nothing".to_owned(), |line| format!("{line:?}"));
                return format!("line {number}: got {}, wanted {}", show(got), show(wanted));
            }
        }
    }
}
