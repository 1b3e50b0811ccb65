//! Whole guest programs through the built Philae, compared with the same sources run natively.
//!
//! In: programs that `tests/build guest` compiled to target/guest/<guest>/<program>.<variant>, and the malformed
//! files of testdata/elf. What must hold: standard output and the way of ending are those of the native twin, for
//! both guests and in every tier. A program that was not built is a SKIP line.

#[path = "guest/disturbed.rs"]
mod disturbed;
#[path = "guest/kernel.rs"]
mod kernel;
#[path = "guest/options.rs"]
mod options;
mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use support::{Failures, GUESTS, Outcome, difference, philae, root, run, skip};

const LIMIT: Duration = Duration::from_secs(400);

/// A program to run: its name, its variants (those with a guest's name only there), and each list of arguments.
struct Program {
    name: &'static str,
    variants: &'static [&'static str],
    arguments: &'static [&'static [&'static str]],
}

const PLAIN: &[&[&str]] = &[&[]];
const STATIC: &[&str] = &["static"];

/// Programs that need what Philae does not do yet. One that passes must leave this list.
const GAPS: &[&str] = &[];

const PROGRAMS: &[Program] = &[
    Program { name: "integers", variants: STATIC, arguments: PLAIN },
    Program { name: "floats", variants: &["static", "vector"], arguments: PLAIN },
    Program { name: "strings", variants: STATIC, arguments: PLAIN },
    Program { name: "heap", variants: &["static", "pie", "dynamic"], arguments: PLAIN },
    Program { name: "jumps", variants: STATIC, arguments: PLAIN },
    Program { name: "threads", variants: &["static", "pie", "dynamic"], arguments: PLAIN },
    Program { name: "cancel", variants: STATIC, arguments: PLAIN },
    Program { name: "atomics", variants: &["static", "llsc aarch64", "lse aarch64"], arguments: PLAIN },
    Program { name: "processes", variants: &["static", "dynamic"], arguments: PLAIN },
    Program { name: "signals", variants: &["static", "dynamic"], arguments: PLAIN },
    Program { name: "fatal", variants: STATIC, arguments: FATAL_WAYS },
    Program { name: "faults", variants: STATIC, arguments: PLAIN },
    Program { name: "repaired_faults", variants: STATIC, arguments: &[&["2000"]] },
    Program { name: "latency", variants: STATIC, arguments: &[&["20"]] },
    Program { name: "files", variants: &["static", "dynamic"], arguments: PLAIN },
    Program { name: "memory", variants: &["static", "pie"], arguments: PLAIN },
    Program { name: "mappings", variants: STATIC, arguments: PLAIN },
    Program { name: "jobs", variants: STATIC, arguments: PLAIN },
    Program { name: "filecalls", variants: STATIC, arguments: PLAIN },
    Program { name: "taskcalls", variants: STATIC, arguments: PLAIN },
    Program { name: "eventcalls", variants: STATIC, arguments: PLAIN },
    Program { name: "mountcalls", variants: STATIC, arguments: PLAIN },
    Program { name: "oldcalls", variants: &["static x86_64"], arguments: PLAIN },
    Program { name: "clocks", variants: &["static", "dynamic"], arguments: PLAIN },
    Program { name: "times", variants: STATIC, arguments: PLAIN },
    Program { name: "sockets", variants: STATIC, arguments: PLAIN },
    Program { name: "uring", variants: STATIC, arguments: PLAIN },
    Program { name: "startup", variants: &["static", "pie", "dynamic", "nopie"], arguments: STARTUP_ARGUMENTS },
    Program { name: "jit", variants: STATIC, arguments: PLAIN },
    Program { name: "illegal", variants: STATIC, arguments: PLAIN },
    Program { name: "flags", variants: &["static x86_64"], arguments: PLAIN },
    Program { name: "rewrites", variants: &["static x86_64"], arguments: PLAIN },
    Program { name: "segments", variants: &["static x86_64"], arguments: PLAIN },
    Program { name: "rounding", variants: STATIC, arguments: PLAIN },
    Program { name: "fenv", variants: &["static aarch64", "dynamic aarch64"], arguments: PLAIN },
    Program { name: "status", variants: &["static aarch64"], arguments: PLAIN },
    Program { name: "smallest", variants: &["static aarch64"], arguments: PLAIN },
    Program { name: "tags", variants: &["static", "llsc aarch64"], arguments: PLAIN },
    Program { name: "landing", variants: STATIC, arguments: PLAIN },
    Program { name: "guarded", variants: STATIC, arguments: PLAIN },
    Program { name: "pauth", variants: STATIC, arguments: PLAIN },
    Program { name: "processor", variants: STATIC, arguments: PLAIN },
    Program { name: "vfork", variants: STATIC, arguments: PLAIN },
    Program { name: "vfork_calls", variants: STATIC, arguments: PLAIN },
    Program { name: "killed_vforks", variants: STATIC, arguments: &[&["100"], &["100", "forks"]] },
    Program { name: "forks", variants: STATIC, arguments: PLAIN },
    Program { name: "codegen", variants: STATIC, arguments: PLAIN },
    Program { name: "namespaces", variants: STATIC, arguments: PLAIN },
    Program { name: "execfault", variants: STATIC, arguments: PLAIN },
    Program { name: "limits", variants: STATIC, arguments: PLAIN },
    Program { name: "seccomp", variants: STATIC, arguments: PLAIN },
    Program { name: "exec", variants: STATIC, arguments: PLAIN },
    Program { name: "exec_races", variants: STATIC, arguments: PLAIN },
    Program { name: "futexes", variants: STATIC, arguments: PLAIN },
    Program { name: "alarms", variants: STATIC, arguments: PLAIN },
    Program { name: "proc", variants: &["static", "dynamic"], arguments: &[&["argument"]] },
];

const FATAL_WAYS: &[&[&str]] = &[
    &["exit0"],
    &["exit42"],
    &["exit255"],
    &["exit256"],
    &["signal2"],
    &["signal9"],
    &["signal11"],
    &["signal13"],
    &["signal15"],
    &["signal34"],
    &["signal17"],
    &["abort"],
    &["syscall"],
    &["null"],
    &["jump"],
    &["undefined"],
    &["data"],
    &["stack"],
    &["handler"],
];
const STARTUP_ARGUMENTS: &[&[&str]] = &[&[], &["one", "", "two words", "-E", "--help", "ü"]];

fn guest_path(guest: &str, program: &str) -> PathBuf {
    root(&format!("target/guest/{guest}/{program}"))
}

fn native_path(program: &str) -> PathBuf {
    guest_path(std::env::consts::ARCH, program)
}

fn show(outcome: &Outcome, wanted: &Outcome) -> String {
    let errors = if outcome.stderr.is_empty() { String::new() } else { format!("; stderr: {}", outcome.stderr.trim()) };
    let ends = format!("ended with {}, wanted {}; ", outcome.end, wanted.end);
    ends + &difference(&outcome.stdout, &wanted.stdout) + &errors
}

/// Runs every program of one guest in one tier.
fn programs(guest: &str, tier: &str) {
    let mut failures = Failures::default();
    for program in PROGRAMS {
        programs_with(guest, &["--tier", tier], program, &mut failures);
    }
    failures.check();
}

fn programs_with(guest: &str, options: &[&str], program: &Program, failures: &mut Failures) {
    for file in files(guest, program) {
        program_alike(guest, options, &file, program.arguments, failures);
    }
}

/// The names of a program's variants for a guest.
fn files<'a>(guest: &'a str, program: &'a Program) -> impl Iterator<Item = String> + 'a {
    let variants = program.variants.iter().map(move |variant| variant.split_once(' ').unwrap_or((variant, guest)));
    variants.filter(move |(_, only)| *only == guest).map(|(variant, _)| format!("{}.{variant}", program.name))
}

/// Where a program and its native twin are, if both were built.
fn with_twin(guest: &str, file: &str, case: &str) -> Option<(PathBuf, PathBuf)> {
    let path = guest_path(guest, file);
    // A variant that only one guest has prints what the common build prints.
    let plain = format!("{}.static", file.split('.').next().expect("a name"));
    let twin = [file, &plain].map(native_path).into_iter().find(|path| path.exists()).filter(|_| path.exists());
    if twin.is_none() {
        skip(case, "the program or its native twin is missing; tests/build guest makes them");
    }
    Some((path, twin?))
}

fn program_alike(guest: &str, options: &[&str], file: &str, arguments: &[&[&str]], failures: &mut Failures) {
    let case = format!("{file} for {guest}, {}", options.join(" "));
    let Some((path, twin)) = with_twin(guest, file, &case) else { return };
    let gap = GAPS.iter().any(|name| file.starts_with(name));
    for words in arguments {
        let wanted = run(Command::new(&twin).args(*words), "", LIMIT);
        let mut command = philae(options);
        let outcome = run(command.arg(&path).args(*words), "", LIMIT);
        let alike = outcome.stdout == wanted.stdout && outcome.end == wanted.end;
        match (alike, gap) {
            (true, false) => {}
            (false, false) => failures.add(&format!("{case} {words:?}"), &show(&outcome, &wanted)),
            (false, true) => println!("GAP {case}"),
            (true, true) => failures.add(&case, "no gap any more: remove it from the list"),
        }
    }
}

#[test]
fn programs_aarch64_interp() {
    programs("aarch64", "interp");
}

#[test]
fn programs_aarch64_baseline() {
    programs("aarch64", "baseline");
}

#[test]
fn programs_aarch64_cranelift() {
    programs("aarch64", "cranelift");
}

#[test]
fn programs_aarch64_auto() {
    programs("aarch64", "auto");
}

#[test]
fn programs_x86_64_interp() {
    programs("x86_64", "interp");
}

#[test]
fn programs_x86_64_baseline() {
    programs("x86_64", "baseline");
}

#[test]
fn programs_x86_64_cranelift() {
    programs("x86_64", "cranelift");
}

#[test]
fn programs_x86_64_auto() {
    programs("x86_64", "auto");
}

/// The committed programs need no toolchain, so these run everywhere.
#[test]
fn hello() {
    let mut failures = Failures::default();
    for guest in GUESTS {
        let path = root(&format!("testdata/guest/hello.{guest}"));
        assert!(fs::metadata(&path).expect("hello").len() < 16 << 10);
        for tier in ["interp", "baseline", "cranelift", "auto"] {
            let outcome = run(philae(["-tier", tier]).arg(&path), "", LIMIT);
            if outcome.stdout != format!("Hello from {guest}\n") || outcome.end != "exit 0" {
                failures.add(&format!("hello.{guest} {tier}"), &format!("{} {}", outcome.end, outcome.stderr));
            }
        }
    }
    failures.check();
}

/// Philae's binary is a static-PIE: alone in a directory that becomes the root, it runs a static guest.
#[test]
fn chroot_with_nothing_else() {
    let Some(place) = Scratch::new("chroot") else { return };
    let source = root("testdata/guest/hello.aarch64");
    install(Path::new(support::PHILAE), &place.path("philae"));
    install(&source, &place.path("hello"));
    let mut command = Command::new("chroot");
    command.arg(&place.0).args(["/philae", "/hello"]);
    let outcome = run(&mut command, "", LIMIT);
    if outcome.end == "exit 125" && outcome.stderr.contains("Operation not permitted") {
        return skip("chroot", "not permitted to this user");
    }
    assert_eq!(
        (outcome.stdout.as_str(), outcome.end.as_str()),
        ("Hello from aarch64\n", "exit 0"),
        "{}",
        outcome.stderr
    );
}

/// There, without /proc, programs start others: Philae finds itself again.
#[test]
fn programs_start_others_in_a_chroot() {
    let Some(place) = Scratch::new("chain") else { return };
    install(Path::new(support::PHILAE), &place.path("philae"));
    for guest in GUESTS {
        let source = guest_path(guest, "exec.static");
        if !source.exists() {
            skip("a chain of programs", "exec.static was not built");
            continue;
        }
        install(&source, &place.path("exec"));
        let mut command = Command::new("chroot");
        command.arg(&place.0).args(["/philae", "/exec", "chain", "4"]);
        let outcome = run(&mut command, "", LIMIT);
        if outcome.end == "exit 125" && outcome.stderr.contains("Operation not permitted") {
            return skip("chroot", "not permitted to this user");
        }
        assert_eq!(outcome.end, "exit 5", "{guest}: {}", outcome.stderr);
    }
}

/// Copies a program in another process: a descriptor of ours that is open for writing could be inherited by what the
/// other tests start just then, and the program would be busy.
fn install(from: &Path, to: &Path) {
    let status = Command::new("install").args(["-m", "755"]).args([from, to]).status();
    assert!(status.is_ok_and(|status| status.success()), "install {}", from.display());
}

/// A directory that disappears with its owner.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Option<Scratch> {
        let path = std::env::temp_dir().join(format!("philae-test-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a scratch directory");
        Some(Scratch(path))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A script in this directory, executable.
    fn script(&self, name: &str, text: &str) -> PathBuf {
        let (text_path, path) = (self.path("text"), self.path(name));
        fs::write(&text_path, text).expect("script");
        install(&text_path, &path);
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A directory left behind harms nobody.
        drop(fs::remove_dir_all(&self.0));
    }
}

#[test]
fn scripts() {
    let place = Scratch::new("scripts").expect("a directory");
    let mut failures = Failures::default();
    for guest in GUESTS {
        let (path, twin) = (guest_path(guest, "startup.static"), native_path("startup.static"));
        if !path.exists() || !twin.exists() {
            skip(&format!("#! scripts for {guest}"), "startup.static was not built");
            continue;
        }
        for argument in ["", " one argument  ", "\t-x"] {
            let script =
                |interpreter: &Path| place.script("script", &format!("#!{}{argument}\n", interpreter.display()));
            let wanted = run(Command::new(script(&twin)).args(["a", "b c"]), "", LIMIT);
            let outcome = run(philae([script(&path)]).args(["a", "b c"]), "", LIMIT);
            if outcome.stdout != wanted.stdout || outcome.end != wanted.end {
                failures.add(&format!("#! with {argument:?} for {guest}"), &show(&outcome, &wanted));
            }
        }
    }
    failures.check();
}

/// Each malformed file ends as `testdata/elf/expected` says, and says why in one line.
#[test]
fn malformed_files() {
    let mut failures = Failures::default();
    let expected = fs::read_to_string(root("testdata/elf/expected")).expect("testdata/elf/expected");
    for line in expected.lines() {
        let [name, end, word] = line.split(": ").collect::<Vec<_>>()[..] else { panic!("a line of three: {line}") };
        let path = root(&format!("testdata/elf/{name}"));
        let outcome = run(philae([&path]).current_dir(root("")), "", Duration::from_secs(10));
        let one_line = outcome.stderr.lines().count() == 1 && outcome.stderr.starts_with("philae: ");
        let holds_word = word == "-" || outcome.stderr.contains(word);
        let as_expected = match end {
            "any" => (outcome.end == "exit 126" && one_line) || as_natively(&path, &outcome),
            _ => outcome.end == end && one_line && holds_word,
        };
        if !as_expected {
            failures.add(name, &format!("{}, wanted {end} and {word}; stderr: {:?}", outcome.end, outcome.stderr));
        }
    }
    failures.check();
}

fn as_natively(path: &Path, outcome: &Outcome) -> bool {
    let native = run(&mut Command::new(path), "", LIMIT);
    native.end == outcome.end && native.stdout == outcome.stdout
}

/// What is not there, or not a program, in the words of the shell's statuses.
#[test]
fn statuses_of_what_cannot_run() {
    let place = Scratch::new("statuses").expect("a directory");
    let not_executable = place.path("plain");
    fs::copy(root("testdata/guest/hello.x86_64"), &not_executable).expect("copy");
    fs::set_permissions(&not_executable, fs::Permissions::from_mode(0o644)).expect("chmod");
    let other = place.path("qemu-x86_64");
    symlink(support::PHILAE, &other).expect("symlink");
    let hello = root("testdata/guest/hello.aarch64");
    let cases: [(&str, Command, &str, &str); 6] = [
        ("missing", philae(["/no/such/program"]), "exit 127", "/no/such/program"),
        ("directory", philae(["/"]), "exit 126", "/"),
        ("not executable", philae([&not_executable]), "exit 126", "plain"),
        ("no program", philae::<[&str; 0]>([]), "exit 125", ""),
        ("unknown option", philae(["--no-such-option", "x"]), "exit 125", "no-such-option"),
        (
            "forced to another guest",
            {
                let mut c = Command::new(other);
                c.arg(&hello);
                c
            },
            "exit 126",
            "hello.aarch64",
        ),
    ];
    let mut failures = Failures::default();
    for (case, mut command, end, word) in cases {
        let outcome = run(&mut command, "", LIMIT);
        if outcome.end != end || !outcome.stderr.contains(word) || outcome.stderr.is_empty() {
            failures.add(case, &format!("{}, wanted {end}; stderr {:?}", outcome.end, outcome.stderr));
        }
    }
    failures.check();
}

/// An instruction that is not implemented and kills the program is named in one line.
#[test]
fn unknown_instruction() {
    let mut failures = Failures::default();
    for (guest, bytes) in [("aarch64", "2518e3e0"), ("x86_64", "62 f1 74 48 58 c2")] {
        let path = guest_path(guest, "fatal.static");
        if !path.exists() {
            skip(&format!("unknown instruction for {guest}"), "fatal.static was not built");
            continue;
        }
        let outcome = run(philae([&path]).arg("unknown"), "", LIMIT);
        let little_endian = "e0 e3 18 25";
        let named = outcome.stderr.contains(bytes) || outcome.stderr.contains(little_endian);
        if outcome.end != "signal 4" || outcome.stderr.lines().count() != 1 || !named || !outcome.stderr.contains("0x")
        {
            failures.add(guest, &format!("{}, stderr {:?}", outcome.end, outcome.stderr));
        }
    }
    failures.check();
}

/// A system call that does not exist is ENOSYS, and shows as such.
#[test]
fn unknown_system_call() {
    for guest in GUESTS {
        let path = guest_path(guest, "fatal.static");
        if !path.exists() {
            skip(&format!("unknown system call for {guest}"), "fatal.static was not built");
            continue;
        }
        let outcome = run(philae(["-strace"]).arg(&path).arg("syscall"), "", LIMIT);
        assert_eq!(outcome.end, "exit 0", "{}", outcome.stderr);
        assert!(
            outcome.stderr.lines().any(|line| line.contains("9999") && line.contains("ENOSYS")),
            "{}",
            outcome.stderr
        );
    }
}
