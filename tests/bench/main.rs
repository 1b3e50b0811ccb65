//! The benchmark: native, qemu-user and Philae side by side, in one run. `tests/bench/run` starts it.
//!
//! In: kernels and programs of ours that `tests/build bench` compiled for each guest, and Debian's programs. Out:
//! target/bench/table.md and target/bench/chart.svg. Times are CPU time (user and system, of the whole process tree),
//! the least of alternating runs. Outputs must be equal, or the row has failed and has no figure.

mod interface;
mod kernels;
mod programs;
mod report;
mod runner;
#[path = "../support/mod.rs"]
mod support;

use report::{GROUPS, Row, TRANSLATING};
use runner::Runner;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use support::{Failures, GUESTS, difference, philae, root, run, skip};

/// What `tests/bench/run` was asked for.
struct Options {
    repetitions: usize,
    tier: String,
    philae: PathBuf,
    guests: Vec<&'static str>,
    /// Groups and rows; all, if there are none.
    names: Vec<String>,
}

impl Options {
    fn wants(&self, group: &str, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|wanted| wanted == group || wanted == name)
    }
}

fn options() -> Options {
    let words = std::env::var("PHILAE_BENCH").unwrap_or_default();
    let mut options = Options {
        repetitions: 3,
        tier: "auto".to_owned(),
        philae: PathBuf::from(support::PHILAE),
        guests: GUESTS.to_vec(),
        names: Vec::new(),
    };
    let mut words = words.split_whitespace();
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_else(|| panic!("{word} wants a value"));
        match word {
            "--quick" => options.repetitions = 1,
            "--repeat" => options.repetitions = value().parse().expect("a number after --repeat"),
            "--tier" => options.tier = value().to_owned(),
            "--philae" => options.philae = root(value()),
            "--guest" => {
                let wanted = value();
                options.guests.retain(|guest| *guest == wanted);
            }
            name => options.names.push(name.to_owned()),
        }
    }
    options
}

fn runners(options: &Options) -> Vec<Runner> {
    let mut runners = vec![Runner::native()];
    for guest in &options.guests {
        match Runner::qemu(guest) {
            Some(runner) => runners.push(runner),
            None => eprintln!("SKIP qemu-{guest}: not installed"),
        }
        runners.push(Runner::philae(guest, &options.philae, &options.tier));
    }
    runners
}

/// Measures the rows of one group that are wanted.
fn measure(group: &str, options: &Options, runners: &[Runner], programs: Result<(), &String>) -> Vec<Row> {
    let repetitions = options.repetitions;
    let mut rows: Vec<Row> = Vec::new();
    for kernel in kernels::all().iter().filter(|kernel| kernel.class == group) {
        if options.wants(group, &kernel.name) {
            eprintln!("{group} {} …", kernel.name);
            rows.push(kernel.row(runners, repetitions));
        }
    }
    for program in programs::all().iter().filter(|program| program.group == group) {
        if !options.wants(group, &program.name) {
            continue;
        }
        match programs {
            Ok(()) => {
                eprintln!("{group} {} …", program.name);
                rows.push(program.row(runners, repetitions));
            }
            Err(why) => eprintln!("SKIP {group} {}: {why}", program.name),
        }
    }
    let whole = options.wants(group, "");
    match group {
        "threads" if whole => rows.extend(interface::scaling(runners, repetitions)),
        "costs" if whole => rows.extend(interface::costs(runners, repetitions)),
        TRANSLATING if whole && programs.is_ok() => rows.extend(interface::translation(runners, repetitions)),
        _ => {}
    }
    rows
}

#[test]
#[ignore = "takes long and a quiet machine: tests/bench/run"]
fn side_by_side() {
    let options = options();
    let runners = runners(&options);
    let programs = programs::prepare(&runners);
    let mut rows = Vec::new();
    for group in GROUPS.iter().map(|group| group.name).chain([TRANSLATING]) {
        rows.extend(measure(group, &options, &runners, programs.as_ref().map(|_| ())));
        // What is there is written at once: a whole run takes long.
        std::fs::write(root("target/bench/table.md"), report::markdown(&rows, &runners)).expect("the table");
        std::fs::write(root("target/bench/chart.svg"), report::chart(&rows, &runners)).expect("the chart");
    }
    if rows.is_empty() {
        eprintln!("nothing was measured of {:?}", options.names);
    }
    let mut failures = Failures::default();
    for row in &rows {
        for (runner, figure) in runners.iter().zip(&row.figures) {
            match figure {
                Err(why) if why.starts_with("SKIPPED") => eprintln!("{} {}: {why}", row.group, row.name),
                Err(error) if error != "–" => {
                    failures.add(&format!("{} {} under {}", row.group, row.name, runner.name()), error);
                }
                _ => {}
            }
        }
    }
    failures.check();
}

#[test]
fn outputs_agree() {
    let mut failures = Failures::default();
    for kernel in kernels::all() {
        let native = kernel.binary(std::env::consts::ARCH);
        if !native.exists() {
            skip(&format!("kernel {}", kernel.name), "its native build is missing; tests/build bench makes it");
            continue;
        }
        let wanted = run(Command::new(&native).arg("1"), "", Duration::from_secs(60)).stdout;
        for guest in GUESTS {
            let path = kernel.binary(guest);
            let case = format!("kernel {} for {guest}", kernel.name);
            if !path.exists() {
                skip(&case, "not built; tests/build bench makes it");
                continue;
            }
            let mut command = philae([path.as_os_str(), "1".as_ref()]);
            let outcome = run(&mut command, "", Duration::from_secs(60));
            if outcome.end != "exit 0" || outcome.stdout != wanted {
                let text = difference(&outcome.stdout, &wanted);
                failures.add(&case, &format!("{}, {text} {}", outcome.end, outcome.stderr));
            }
        }
    }
    failures.check();
}

/// The parts that `tests/bench/count` tells apart in its output, with their instructions.
fn counted_parts(text: &str) -> Vec<(&str, u64)> {
    let rows = text.lines().filter_map(|line| line.split_once(" %  ").filter(|(_, what)| !what.starts_with(' ')));
    rows.map(|(figures, what)| {
        let count = figures.split_whitespace().next().and_then(|count| count.parse().ok());
        (what, count.unwrap_or_else(|| panic!("no count in {figures}")))
    })
    .collect()
}

#[test]
fn counts_of_instructions_do_not_depend_on_chance() {
    if Command::new("qemu-x86_64").arg("-version").output().is_err() {
        return skip("tests/bench/count", "qemu-x86_64 is not installed");
    }
    let text = || {
        let mut command = Command::new(root("tests/bench/count"));
        command.env("PHILAE", support::PHILAE).arg(root("testdata/guest/hello.aarch64"));
        let outcome = run(&mut command, "", Duration::from_secs(60));
        assert_eq!((outcome.end.as_str(), outcome.stderr.as_str()), ("exit 0", ""));
        outcome.stdout
    };
    let texts = [text(), text()];
    let [first, second] = texts.each_ref().map(|text| counted_parts(text));
    for parts in [&first, &second] {
        let names = parts.iter().map(|part| part.0);
        assert!(names.eq(["Philae itself", "translated code, any tier"]), "{parts:?}");
    }
    for ((what, count), (_, other)) in first.into_iter().zip(second) {
        assert!(count > 1000 && count.abs_diff(other) < count / 50, "{what}: {count} and {other}");
    }
}
