//! The table of system calls: every number of both guests is tried, and the README says what becomes of it.
//!
//! In: `syscalls/table.rs`, and the guest program `numbers`, which makes every call with bad arguments. What must
//! hold: each answers as it does natively, unless its row refuses it, and is made by some guest program with arguments
//! that mean something; README.md has the table as it is now (BLESS=1 writes it).

mod support;

use philae_ir::Arch;
use philae_syscalls::table::{Disposition, Row, TABLE};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::process::Command;
use std::time::Duration;
use support::{Failures, philae, root, run, skip};

const LIMIT: Duration = Duration::from_secs(300);
const BOTH: [Arch; 2] = [Arch::X86_64, Arch::Aarch64];

fn kind(disposition: Disposition) -> &'static str {
    match disposition {
        Disposition::Passed => "passed",
        Disposition::Converted => "converted",
        Disposition::Emulated => "emulated",
        Disposition::Refused => "refused",
    }
}

fn rows(arch: Arch) -> impl Iterator<Item = &'static Row> {
    TABLE.iter().filter(move |row| row.number(arch).is_some())
}

const START: &str = "<!-- system calls: tests/table.rs -->\n";
const END: &str = "<!-- end of system calls -->\n";

/// The section that the README has between the two marks.
fn section() -> String {
    let mut text = String::from("\n");
    for arch in BOTH {
        let count = |disposition| rows(arch).filter(|row| row.disposition == disposition).count();
        let all = rows(arch).count();
        let refused = count(Disposition::Refused);
        let _ = writeln!(
            text,
            "{}: {} of {all} calls are answered ({} passed, {} converted, {} emulated), {refused} are refused.\n",
            arch.name(),
            all - refused,
            count(Disposition::Passed),
            count(Disposition::Converted),
            count(Disposition::Emulated),
        );
    }
    text.push_str("<details><summary>Every call</summary>\n\n");
    text.push_str("| call | x86_64 | aarch64 | answer | note |\n|---|---:|---:|---|---|\n");
    for row in TABLE {
        let number = |arch| row.number(arch).map_or_else(|| "–".to_owned(), |number| number.to_string());
        let (x86_64, aarch64) = (number(Arch::X86_64), number(Arch::Aarch64));
        let _ = writeln!(text, "| {} | {x86_64} | {aarch64} | {} | {} |", row.name, kind(row.disposition), row.note);
    }
    text.push_str("\n</details>\n\n");
    text
}

#[test]
fn the_readme_has_the_table() {
    let path = root("README.md");
    let readme = fs::read_to_string(&path).expect("a README");
    let (before, rest) = readme.split_once(START).expect("the section's start");
    let (now, after) = rest.split_once(END).expect("the section's end");
    let wanted = section();
    if std::env::var_os("BLESS").is_some() {
        fs::write(path, [before, START, &wanted, END, after].concat()).expect("the README can be written");
        return;
    }
    assert!(now == wanted, "README.md does not have the table of syscalls/table.rs; BLESS=1 writes it");
}

/// What `numbers` printed: for each number, the answers.
fn answers(text: &str) -> BTreeMap<u16, String> {
    let line = |line: &str| line.split_once(' ').map(|(number, rest)| Some((number.parse().ok()?, rest.to_owned())));
    text.lines().filter_map(line).flatten().collect()
}

#[test]
fn every_number_answers_as_natively() {
    let native = root("target/guest/x86_64/numbers.static");
    if !native.exists() {
        return skip("every number", "numbers.static was not built");
    }
    let wanted = run(&mut Command::new(native), "", LIMIT);
    let wanted = answers(&wanted.stdout);
    let mut failures = Failures::default();
    for arch in BOTH {
        let guest = root(&format!("target/guest/{}/numbers.static", arch.name()));
        if !guest.exists() {
            skip(&format!("every number of {}", arch.name()), "numbers.static was not built");
            continue;
        }
        let got = run(philae::<[&str; 0]>([]).arg(guest), "", LIMIT);
        let got = answers(&got.stdout);
        for row in rows(arch) {
            check(row, arch, &got, &wanted, &mut failures);
        }
        for number in (0..=470).filter(|&number| philae_syscalls::table::find(arch, number).is_none()) {
            if got.get(&(number as u16)).map(String::as_str) != Some("ENOSYS ENOSYS") {
                failures.add(&format!("{} {number}", arch.name()), "has no row, and no ENOSYS");
            }
        }
    }
    failures.check();
}

fn check(row: &Row, arch: Arch, got: &BTreeMap<u16, String>, wanted: &BTreeMap<u16, String>, failures: &mut Failures) {
    let case = format!("{} of {}", row.name, arch.name());
    let answer = row.number(arch).and_then(|number| got.get(&number)).map_or("nothing", String::as_str);
    let refused = row.disposition == Disposition::Refused;
    let natively = row.number(Arch::X86_64).and_then(|number| wanted.get(&number)).map(String::as_str);
    match natively {
        _ if refused && answer.split(' ').all(|answer| answer.starts_with('E')) => {}
        Some(natively) if answer == natively => {}
        // Only the other machine has it: that it answers is what can be said.
        None if answer != "nothing" => {}
        _ => failures.add(&case, &format!("{answer}, natively {}", natively.unwrap_or("nothing"))),
    }
}

/// Calls that no guest program makes with arguments that mean something, and why.
const UNTRIED: &[(&str, &str)] = &[
    ("bpf", "what may be loaded depends on the machine"),
    ("delete_module", "changes the machine"),
    ("finit_module", "changes the machine"),
    ("init_module", "changes the machine"),
    ("io_uring_enter", "uring.c makes it by its number"),
    ("io_uring_register", "uring.c makes it by its number"),
    ("io_uring_setup", "uring.c makes it by its number"),
    ("kexec_file_load", "changes the machine"),
    ("kexec_load", "changes the machine"),
    ("rt_sigreturn", "made by the end of every signal handler"),
    ("syslog", "what it says depends on the machine"),
];

/// Each call that is answered is made by some program of testdata/guest, which natively prints the same.
#[test]
fn every_call_is_tried_by_a_program() {
    let sources = fs::read_dir(root("testdata/guest")).expect("testdata/guest");
    let sources =
        sources.map(|entry| entry.expect("an entry").path()).filter(|path| path.extension().is_some_and(|e| e == "c"));
    let text: String = sources.map(|path| fs::read_to_string(path).expect("a source")).collect();
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let is_made = |name: &str| {
        let calls = |(at, _): (usize, &str)| {
            let (before, after) = (&text[..at], text.as_bytes().get(at + name.len()));
            let named = before.ends_with("SYS_") || before.ends_with("CALL(");
            let by_library = after == Some(&b'(') && !before.bytes().next_back().is_some_and(is_word);
            named && !after.copied().is_some_and(is_word) || by_library
        };
        text.match_indices(name).any(calls)
    };
    let mut failures = Failures::default();
    for row in TABLE.iter().filter(|row| row.disposition != Disposition::Refused) {
        match (is_made(row.name), UNTRIED.iter().any(|(name, _)| *name == row.name)) {
            (false, false) => failures.add(row.name, "no guest program makes this call"),
            (true, true) => failures.add(row.name, "is made by a guest program: remove it from the list"),
            (true, false) | (false, true) => {}
        }
    }
    failures.check();
}
