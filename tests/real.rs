//! Real programs, unmodified: Debian's busybox-static for both guests against the native one.
//!
//! In: target/real/<guest>/busybox, which `tests/run` fetches, and the scripts of testdata/real. What must
//! hold: the same bytes on standard output and standard error, and the same status, in every tier.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use support::{Failures, GUESTS, difference, philae, root, run, skip};

const LIMIT: Duration = Duration::from_secs(900);

/// A guest's busybox, if it was fetched.
fn busybox(guest: &str) -> Option<PathBuf> {
    Some(root(&format!("target/real/{guest}/busybox"))).filter(|path| path.exists())
}

/// Runs a command in an empty directory that then goes.
fn in_empty_directory(name: &str, mut command: Command) -> support::Outcome {
    let place = std::env::temp_dir().join(format!("philae-real-{}-{name}", std::process::id()));
    fs::create_dir(&place).expect("a scratch directory");
    let outcome = run(command.current_dir(&place), "", LIMIT);
    fs::remove_dir_all(&place).expect("the scratch directory");
    outcome
}

/// Compares the runs of a script that `command` makes: given a prefix to busybox's path, and that path.
fn alike(script: &str, guest: &str, tier: &str, command: impl Fn(&[&str], &Path) -> Command) {
    let case = format!("{script} for {guest}, tier {tier}");
    let (Some(program), Some(twin)) = (busybox(guest), busybox(std::env::consts::ARCH)) else {
        return skip(&case, "busybox was not fetched; tests/run does it");
    };
    let wanted = in_empty_directory(&format!("{script}-{guest}-{tier}-native"), command(&[], &twin));
    let prefix = [support::PHILAE, "--tier", tier];
    let got = in_empty_directory(&format!("{script}-{guest}-{tier}"), command(&prefix, &program));
    let mut failures = Failures::default();
    if got.end != wanted.end {
        failures.add(&case, &format!("ended with {}, wanted {}", got.end, wanted.end));
    }
    for (stream, got, wanted) in [("output", got.stdout, wanted.stdout), ("errors", got.stderr, wanted.stderr)] {
        if got != wanted {
            failures.add(&case, &format!("{stream}: {}", difference(&got, &wanted)));
        }
    }
    failures.check();
}

fn script(guest: &str, tier: &str) {
    alike("busybox.sh", guest, tier, |prefix, busybox| {
        let mut command = if prefix.is_empty() { Command::new(busybox) } else { philae(&prefix[1..]) };
        if !prefix.is_empty() {
            command.arg(busybox);
        }
        command.arg("sh").arg(root("testdata/real/busybox.sh")).arg(busybox);
        command
    });
}

fn terminal(guest: &str, tier: &str) {
    if Command::new("script").arg("--version").output().is_err() {
        return skip(&format!("terminal.sh for {guest}"), "`script` is not installed");
    }
    alike("terminal.sh", guest, tier, |prefix, busybox| {
        let script = root("testdata/real/terminal.sh");
        let words = format!("{} {} sh {}", prefix.join(" "), busybox.display(), script.display());
        let mut command = Command::new("script");
        command.args(["-qec", &words, "/dev/null"]);
        command
    });
}

macro_rules! real_tests {
    ($($name:ident: $body:ident $guest:literal $tier:literal;)*) => {
        $(
            #[test]
            fn $name() {
                $body($guest, $tier);
            }
        )*
    };
}

real_tests! {
    script_aarch64_interp: script "aarch64" "interp";
    script_aarch64_baseline: script "aarch64" "baseline";
    script_aarch64_cranelift: script "aarch64" "cranelift";
    script_aarch64_auto: script "aarch64" "auto";
    script_x86_64_interp: script "x86_64" "interp";
    script_x86_64_baseline: script "x86_64" "baseline";
    script_x86_64_cranelift: script "x86_64" "cranelift";
    script_x86_64_auto: script "x86_64" "auto";
    terminal_aarch64_interp: terminal "aarch64" "interp";
    terminal_aarch64_baseline: terminal "aarch64" "baseline";
    terminal_aarch64_cranelift: terminal "aarch64" "cranelift";
    terminal_aarch64_auto: terminal "aarch64" "auto";
    terminal_x86_64_interp: terminal "x86_64" "interp";
    terminal_x86_64_baseline: terminal "x86_64" "baseline";
    terminal_x86_64_cranelift: terminal "x86_64" "cranelift";
    terminal_x86_64_auto: terminal "x86_64" "auto";
}

/// Standard input reaches the guest, and applets that the guest's shell starts go through Philae.
#[test]
fn input_and_children() {
    for guest in GUESTS {
        let Some(path) = busybox(guest) else {
            skip(&format!("standard input for {guest}"), "busybox was not fetched; tests/run does it");
            continue;
        };
        let sorted = run(philae([&path]).arg("sort"), "b\nc\na\n", LIMIT);
        assert_eq!((sorted.stdout.as_str(), sorted.end.as_str()), ("a\nb\nc\n", "exit 0"), "{}", sorted.stderr);
        let command = format!("{} uname -m", path.display());
        let named = run(philae([&path]).args(["sh", "-c", &command]), "", LIMIT);
        assert_eq!(named.stdout, format!("{guest}\n"), "{}", named.stderr);
        let release = run(philae(["-r", "9.8.7"]).arg(&path).args(["uname", "-r"]), "", LIMIT);
        assert_eq!(release.stdout, "9.8.7\n", "{}", release.stderr);
    }
}
