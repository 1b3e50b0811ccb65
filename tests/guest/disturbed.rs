//! Guest programs under what provokes Philae's own faults: comparison with the interpreter, disturbances at random, a
//! code cache that is too small, forks beside busy threads, faults without end.
//!
//! What must hold: no program can tell. Each test is short; with PHILAE_SOAK set it does what it does many times.

use super::{LIMIT, PLAIN, PROGRAMS, files, guest_path, native_path, programs_with, show, with_twin};
use crate::support::{Failures, GUESTS, Outcome, philae, run, skip};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How long a soak may take for one program.
const LONG: Duration = Duration::from_secs(4 * 3600);

fn soak() -> bool {
    std::env::var_os("PHILAE_SOAK").is_some()
}

/// Runs the programs with these names for both guests; all of them in a soak.
fn programs(names: &[&str], options: &[&str]) {
    let mut failures = Failures::default();
    for guest in GUESTS {
        for program in PROGRAMS.iter().filter(|program| soak() || names.contains(&program.name)) {
            programs_with(guest, options, program, &mut failures);
        }
    }
    failures.check();
}

/// No program can tell that its code is thrown away, that what is hot is interpreted and what is cold compiled, at
/// random.
#[test]
fn chaos() {
    for seed in 1..if soak() { 20 } else { 2 } {
        let quick = [
            "integers",
            "jumps",
            "processes",
            "signals",
            "faults",
            "jit",
            "rewrites",
            "vfork",
            "codegen",
            "repaired_faults",
        ];
        programs(&quick, &["--chaos", &seed.to_string()]);
    }
}

/// Compiled code does what the interpreter does with the same region, wherever it is entered.
#[test]
fn check() {
    let quick = [
        "integers",
        "floats",
        "strings",
        "jumps",
        "threads",
        "processes",
        "signals",
        "faults",
        "memory",
        "times",
        "sockets",
        "jit",
        "rewrites",
        "illegal",
        "flags",
        "rounding",
        "vfork",
        "repaired_faults",
    ];
    programs(&quick, &["--check", "--tier", "cranelift"]);
    programs(
        &["integers", "floats", "strings", "jumps", "signals", "jit", "rewrites", "flags"],
        &["--check", "--tier", "baseline"],
    );
}

/// The same while the code is thrown away now and then.
#[test]
fn check_in_chaos() {
    programs(&["integers", "jumps", "signals", "repaired_faults"], &["--check", "--chaos", "1"]);
}

/// Runs a program of both guests as its native twin, and hands on what it left.
fn compare(file: &str, words: &[&str], options: &[&str], limit: Duration, more: impl Fn(&Outcome) -> Option<String>) {
    let mut failures = Failures::default();
    for guest in GUESTS {
        let (path, twin) = (guest_path(guest, file), native_path(file));
        let case = format!("{file} {} for {guest}, {}", words.join(" "), options.join(" "));
        if !path.exists() || !twin.exists() {
            skip(&case, "the program or its native twin is missing; tests/build guest makes them");
            continue;
        }
        let wanted = run(Command::new(&twin).args(words), "", limit);
        let outcome = run(philae(options).arg(&path).args(words), "", limit);
        if outcome.stdout != wanted.stdout || outcome.end != wanted.end {
            failures.add(&case, &show(&outcome, &wanted));
        } else if let Some(what) = more(&outcome) {
            failures.add(&case, &what);
        }
    }
    failures.check();
}

/// A program that writes ten thousand functions, in four threads, runs in the least code cache: it is full many times,
/// and what is in use is never overwritten.
#[test]
fn code_cache_is_reclaimed() {
    let options = ["-tb-size", "1", "-stats", "-tier", "cranelift"];
    compare("codegen.static", &["2500", "40", "4"], &options, LIMIT, |outcome| {
        let counter = |what: &str| {
            let line = outcome.stderr.lines().find(|line| line.ends_with(what)).unwrap_or_default();
            line.split_whitespace().next().and_then(|count| count.parse().ok()).unwrap_or(0)
        };
        let (full, bytes): (u64, u64) = (counter("times the code cache was full"), counter("bytes of host code"));
        (full < 5 || bytes > 1 << 20).then(|| format!("full {full} times, {bytes} bytes"))
    });
}

/// Forks of a process whose seven other threads never rest: 10,000 of them in a soak.
#[test]
fn forks_without_a_hang() {
    let count = if soak() { "10000" } else { "300" };
    let mut failures = Failures::default();
    for guest in GUESTS {
        let path = guest_path(guest, "forks.static");
        if !path.exists() {
            skip(&format!("{count} forks for {guest}"), "forks.static was not built");
            continue;
        }
        let outcome = run(philae([&path]).arg(count), "", if soak() { LONG } else { LIMIT });
        println!("{count} forks for {guest}: {}", outcome.end);
        if outcome.end != "exit 0" {
            failures.add(guest, &format!("{}: {}{}", outcome.end, outcome.stdout, outcome.stderr));
        }
    }
    failures.check();
}

/// 100,000 faults of each kind in every tier, which the program repairs; PROGRAMS has the short form.
#[test]
fn faults_without_end() {
    if soak() {
        for tier in ["interp", "baseline", "cranelift", "auto"] {
            compare("repaired_faults.static", &["100000"], &["--tier", tier], LONG, |_| None);
        }
    }
}

/// Programs whose outcome hangs on what comes first (threads, signals, processes, events), and with what arguments each
/// is run a thousand times: `PROGRAMS` has them once, for longer.
const RACY: &[(&str, &[&[&str]])] = &[
    ("threads", PLAIN),
    ("cancel", PLAIN),
    ("atomics", &[&["400"]]),
    ("processes", &[&["forks"]]),
    ("signals", PLAIN),
    ("sockets", PLAIN),
    ("uring", PLAIN),
    ("vfork", PLAIN),
    ("killed_vforks", &[&["20"], &["20", "forks"]]),
    ("codegen", &[&["200"]]),
    ("futexes", PLAIN),
    ("alarms", PLAIN),
    ("exec_races", &[&["2"]]),
    ("times", PLAIN),
];

/// How many processes of a program go on at a time: most of their time is waiting, and others make races likelier.
const LANES: usize = 4;

/// How often a process runs its program's body: each but the first meets code that is translated already, and translating
/// it anew would be nearly all of the time that tier cranelift takes (testdata/guest/again.h).
const BODIES: usize = 25;

/// After how long a process of so many bodies hangs: one takes seconds at a high load.
const HUNG: Duration = Duration::from_secs(1200);

/// Runs them a thousand times in one tier. PHILAE_RUNS says how often instead.
fn again(guest: &str, tier: &str) {
    let runs: usize = std::env::var("PHILAE_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(1000);
    let mut failures = Failures::default();
    for (name, arguments) in RACY.iter().filter(|_| soak()) {
        let program = PROGRAMS.iter().find(|program| program.name == *name).expect("a program");
        for file in files(guest, program) {
            let case = format!("{file} for {guest} in tier {tier}");
            let Some((path, twin)) = with_twin(guest, &file, &case) else { continue };
            for words in *arguments {
                let (processes, bodies) = (runs.div_ceil(BODIES), BODIES.min(runs).to_string());
                let wanted = run(Command::new(&twin).args(*words).env("AGAIN", &bodies), "", HUNG);
                let command = || {
                    let mut command = philae(["--tier", tier]);
                    command.arg(&path).args(*words).env("AGAIN", &bodies);
                    command
                };
                let failed = repeat(processes, &wanted, command, &case, &mut failures);
                println!("{processes} processes of {case} {words:?}, {bodies} runs in each: {failed} failed");
            }
        }
    }
    failures.check();
}

/// Runs a command that often; says how often the outcome was another one.
fn repeat(
    times: usize,
    wanted: &Outcome,
    command: impl Fn() -> Command + Sync,
    case: &str,
    failures: &mut Failures,
) -> usize {
    let begun = AtomicUsize::new(0);
    let found = Mutex::new((failures, 0));
    let lane = || {
        while begun.fetch_add(1, Ordering::Relaxed) < times {
            let outcome = run(&mut command(), "", HUNG);
            if outcome.stdout != wanted.stdout || outcome.end != wanted.end {
                let mut found = found.lock().expect("no panic");
                found.0.add(case, &show(&outcome, wanted));
                found.1 += 1;
            }
        }
    };
    std::thread::scope(|scope| (0..LANES).for_each(|_| drop(scope.spawn(lane))));
    found.into_inner().expect("no panic").1
}

macro_rules! again {
    ($($name:ident: $guest:literal $tier:literal;)*) => {
        $(
            #[test]
            fn $name() {
                again($guest, $tier);
            }
        )*
    };
}

again! {
    again_aarch64_interp: "aarch64" "interp";
    again_aarch64_baseline: "aarch64" "baseline";
    again_aarch64_cranelift: "aarch64" "cranelift";
    again_aarch64_auto: "aarch64" "auto";
    again_x86_64_interp: "x86_64" "interp";
    again_x86_64_baseline: "x86_64" "baseline";
    again_x86_64_cranelift: "x86_64" "cranelift";
    again_x86_64_auto: "x86_64" "auto";
}
