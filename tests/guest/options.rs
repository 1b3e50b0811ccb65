//! Philae's options and their QEMU_* twins, as qemu-user has them.
//!
//! What must hold: an option and its twin do the same, `-x` and `--x` are one, an option that is not there yet says
//! so. The guest is the committed hello where it suffices, otherwise `startup`, which prints what it was given.

use crate::support::{Failures, GUESTS, Outcome, philae, root, run, skip};
use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

fn hello(options: &[&str]) -> Outcome {
    run(philae(options).arg(root("testdata/guest/hello.aarch64")), "", LIMIT)
}

#[test]
fn help_and_version() {
    for option in ["-h", "--h", "-help", "--help"] {
        let outcome = hello(&[option]);
        assert_eq!(outcome.end, "exit 0", "{option}: {}", outcome.stderr);
        for row in ["-L", "-E", "-U", "-0", "-s", "-r", "-cpu", "-strace", "-tier", "QEMU_LD_PREFIX", "QEMU_SET_ENV"] {
            assert!(outcome.stdout.contains(row), "{option} does not tell of {row}");
        }
    }
    for option in ["-version", "--version"] {
        let outcome = hello(&[option]);
        assert_eq!(outcome.end, "exit 0", "{option}: {}", outcome.stderr);
        assert!(outcome.stdout.contains(env!("CARGO_PKG_VERSION")), "{option}: {}", outcome.stdout);
    }
}

/// Every model executes exactly what it announces, in every tier; one that is not there is told of in one line.
#[test]
fn processors() {
    let models = run(&mut philae(["-cpu", "help"]), "", LIMIT).stdout;
    assert!(models.lines().any(|model| model == "cortex-a53"), "{models}");
    let outcome = hello(&["-cpu", "pentium"]);
    assert!(outcome.end == "exit 125" && outcome.stderr.contains("max, "), "{}: {}", outcome.end, outcome.stderr);
    let [program, native] = ["aarch64", "x86_64"].map(|guest| root(&format!("target/guest/{guest}/processor.static")));
    if !program.exists() || !native.exists() {
        return skip("processor models", "processor.static was not built");
    }
    let wanted = run(&mut Command::new(native), "", LIMIT).stdout;
    let mut failures = Failures::default();
    for model in models.lines() {
        for tier in ["interp", "baseline", "cranelift"] {
            let outcome = run(philae(["-tier", tier, "-cpu", model]).arg(&program), "", LIMIT);
            if outcome.stdout != wanted {
                failures.add(&format!("{model}, {tier}"), &outcome.stdout);
            }
        }
    }
    failures.check();
}

/// Options of qemu-user that Philae lacks are refused in one line; what nobody has is a usage error.
#[test]
fn refusals() {
    let mut failures = Failures::default();
    let refused: [&[&str]; 5] =
        [&["-g", "1234"], &["-plugin", "x"], &["-p", "65536"], &["-d", "nonsense"], &["-no-such"]];
    for options in refused {
        let outcome = hello(options);
        let one_line = outcome.stderr.lines().count() == 1;
        if outcome.end != "exit 125" || !one_line || !outcome.stdout.is_empty() {
            failures.add(&format!("{options:?}"), &format!("{}: {:?}", outcome.end, outcome.stderr));
        }
    }
    for option in ["-L", "-E", "-0", "-cpu", "-tier"] {
        let outcome = run(&mut philae([option]), "", LIMIT);
        if outcome.end != "exit 125" {
            failures.add(&format!("{option} without a value"), &outcome.end);
        }
    }
    failures.check();
}

/// Options that change nothing that hello can see.
#[test]
fn accepted() {
    let mut failures = Failures::default();
    let accepted: [&[&str]; 7] = [
        &["-cpu", "max"],
        &["-s", "1048576"],
        &["-r", "6.1.0"],
        &["-L", "/"],
        &["--L", "/"],
        &["-E", "A=b"],
        &["-U", "A"],
    ];
    for options in accepted {
        let outcome = hello(options);
        if outcome.end != "exit 0" || outcome.stdout != "Hello from aarch64\n" || !outcome.stderr.is_empty() {
            failures.add(&format!("{options:?}"), &format!("{}: {:?}", outcome.end, outcome.stderr));
        }
    }
    failures.check();
}

#[test]
fn strace() {
    let mut by_twin = philae::<[&str; 0]>([]);
    by_twin.arg(root("testdata/guest/hello.aarch64")).env("QEMU_STRACE", "1");
    for outcome in [hello(&["-strace"]), hello(&["--strace"]), run(&mut by_twin, "", LIMIT)] {
        assert_eq!((outcome.end.as_str(), outcome.stdout.as_str()), ("exit 0", "Hello from aarch64\n"));
        let written = outcome.stderr.lines().any(|line| line.contains("write(1,") && line.contains("= 19"));
        assert!(written, "{}", outcome.stderr);
        assert!(outcome.stderr.contains("exit_group(0)"), "{}", outcome.stderr);
    }
}

/// Options, variables, and the lines that must show.
type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a [&'a str]);

/// Each way of setting something, and the line of `startup` that shows it.
#[test]
fn environment_and_names() {
    let (set, twins, both) = ("PHILAE_A=1", "PHILAE_B=2,PHILAE_C=3", "PHILAE_D=4,PHILAE_E=5");
    let cases: [Case; 8] = [
        (&["-E", set], &[], &["PHILAE_A=1"]),
        (&["-E", both], &[], &["PHILAE_D=4", "PHILAE_E=5"]),
        (&["-E", set, "-E", "PHILAE_A=9"], &[], &["PHILAE_A=9"]),
        (&[], &[("QEMU_SET_ENV", twins)], &["PHILAE_B=2", "PHILAE_C=3"]),
        (&["-U", "PHILAE_F"], &[("PHILAE_F", "6"), ("PHILAE_G", "7")], &["PHILAE_G=7"]),
        (&[], &[("QEMU_UNSET_ENV", "PHILAE_F"), ("PHILAE_F", "6"), ("PHILAE_G", "7")], &["PHILAE_G=7"]),
        (&["-0", "another"], &[], &["end 1 name another"]),
        (&[], &[("QEMU_ARGV0", "another")], &["end 1 name another"]),
    ];
    let mut failures = Failures::default();
    for guest in GUESTS {
        let path = root(&format!("target/guest/{guest}/startup.static"));
        if !path.exists() {
            skip(&format!("options for {guest}"), "startup.static was not built");
            continue;
        }
        for (options, variables, lines) in cases {
            let mut command = philae(options);
            for setting in ["PHILAE_BENCH", "PHILAE_CHAOS", "PHILAE_CHECK"] {
                command.env_remove(setting);
            }
            command.arg(&path).envs(variables.iter().copied());
            let outcome = run(&mut command, "", LIMIT);
            let shown: Vec<&str> = outcome
                .stdout
                .lines()
                .filter(|line| line.starts_with("PHILAE_") || line.ends_with("another"))
                .collect();
            if outcome.end != "exit 3" || shown != lines {
                failures.add(&format!("{guest} {options:?} {variables:?}"), &format!("{}: {shown:?}", outcome.end));
            }
        }
    }
    failures.check();
}

/// A dynamic program finds its interpreter under -L, under QEMU_LD_PREFIX, and where Debian puts it; or says where it
/// looked.
#[test]
fn sysroot() {
    let path = root("target/guest/aarch64/startup.dynamic");
    if !path.exists() {
        return skip("-L", "startup.dynamic for aarch64 was not built");
    }
    let debian = "/usr/aarch64-linux-gnu";
    let command = |options: &[&str], twin: Option<&str>| -> Command {
        let mut command = philae(options);
        command.arg(&path);
        if let Some(twin) = twin {
            command.env("QEMU_LD_PREFIX", twin);
        }
        command
    };
    for mut found in [command(&["-L", debian], None), command(&[], Some(debian)), command(&[], None)] {
        let outcome = run(&mut found, "", LIMIT);
        assert_eq!(outcome.end, "exit 3", "{}", outcome.stderr);
    }
    let outcome = run(&mut command(&["-L", "/no/such/sysroot"], None), "", LIMIT);
    assert_eq!(outcome.end, "exit 127", "{}", outcome.stderr);
    for word in ["/lib/ld-linux-aarch64.so.1", "/no/such/sysroot"] {
        assert!(outcome.stderr.contains(word) && outcome.stderr.lines().count() == 1, "{}", outcome.stderr);
    }
}

/// `--stats` and `--dump` show something, on standard error, and do not disturb the program.
#[test]
fn traces() {
    for options in [&["--stats"][..], &["--dump", "guest,ir,opt"], &["--dump", "clif,code", "--tier", "cranelift"]] {
        let outcome = hello(options);
        assert_eq!((outcome.end.as_str(), outcome.stdout.as_str()), ("exit 0", "Hello from aarch64\n"), "{options:?}");
        assert!(outcome.stderr.lines().count() > 3, "{options:?}: {}", outcome.stderr);
    }
}

/// `--perf-map` names the guest's functions, in the file of the process that runs them.
#[test]
fn perf_map() {
    let program = root("target/guest/aarch64/jumps.static");
    if !program.exists() {
        return skip("--perf-map", "jumps.static was not built");
    }
    // What runs once is interpreted; chaos may have another tier execute what is looked for.
    let mut command = philae(["--perf-map", "--tier", "baseline"]);
    let mut child = command.arg(program).env_remove("PHILAE_CHAOS").stdout(Stdio::null()).spawn().expect("philae");
    let file = format!("/tmp/perf-{}.map", child.id());
    child.wait().expect("it ends");
    let lines = fs::read_to_string(&file).expect("the map");
    fs::remove_file(&file).expect("the map is there");
    let mut names = lines.lines().filter_map(|line| line.splitn(3, ' ').nth(2));
    assert!(names.any(|name| name == "main [baseline]"), "{lines}");
}

/// `--lift` takes one instruction through the whole path.
#[test]
fn lift() {
    for (guest, bytes, word) in [("aarch64", "8b020020", "add"), ("x86_64", "4801d8", "add")] {
        let outcome = run(&mut philae(["--lift", guest, bytes, "--run"]), "", LIMIT);
        assert_eq!(outcome.end, "exit 0", "{}", outcome.stderr);
        assert!(outcome.stdout.contains(word), "{}", outcome.stdout);
    }
}

/// `--lift-text` counts what a program's code holds.
#[test]
fn lift_text() {
    let outcome =
        run(&mut philae(["--lift-text", "testdata/guest/hello.aarch64", "testdata/guest/hello.x86_64"]), "", LIMIT);
    let text = outcome.stdout;
    assert_eq!(text.lines().filter(|line| line.contains(" 0 unknown")).count(), 2, "{text}");
}
