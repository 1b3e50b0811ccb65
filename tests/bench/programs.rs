//! Debian's programs, the same package for both machines: `tests/bench/programs/list`.
//!
//! In: target/twins/sysroot-arm64 and sysroot-amd64, which `tests/fetch-programs bench` fetches; `tests/bench/run` has
//! mounted what programs expect and `/bench` in both. Out: CPU time of each program natively, under QEMU and under
//! Philae, or its resident set. What must print the same and does not has no figure.

use crate::report::Row;
use crate::runner::{Kind, Output, Place, Runner};
use crate::support::root;
use std::path::PathBuf;
use std::process::Command;

/// What `list` says of what two machines' packages print.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Printed {
    Equal,
    Any,
}

/// A line of `list`.
pub(crate) struct Program {
    pub(crate) group: String,
    pub(crate) name: String,
    printed: Printed,
    words: Vec<String>,
}

/// Every program.
pub(crate) fn all() -> Vec<Program> {
    let text = std::fs::read_to_string(root("tests/bench/programs/list")).expect("the list");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| parse(line).unwrap_or_else(|| panic!("list: {line}"))).collect()
}

fn parse(line: &str) -> Option<Program> {
    let mut words = line.split(' ').map(str::to_owned);
    let (group, name) = (words.next()?, words.next()?);
    let printed = match words.next()?.as_str() {
        "equal" => Printed::Equal,
        "any" => Printed::Any,
        _ => return None,
    };
    Some(Program { group, name, printed, words: words.collect() })
}

/// Debian's name of a machine.
fn machine(guest: &str) -> &'static str {
    if guest == "aarch64" { "arm64" } else { "amd64" }
}

fn sysroot(guest: &str) -> PathBuf {
    root(&format!("target/twins/sysroot-{}", machine(guest)))
}

/// Puts the runners and the programs' input into the sysroots; says why there are no programs to measure.
pub(crate) fn prepare(runners: &[Runner]) -> Result<(), String> {
    if std::env::var_os("PHILAE_BENCH_SYSROOTS").is_none() {
        return Err("tests/bench/run needs root and apt-get to fetch and enter them".to_owned());
    }
    let native = sysroot(std::env::consts::ARCH);
    let made = Command::new("chroot").arg(&native).args(["/bin/sh", "/bench/prepare"]).status();
    if !made.is_ok_and(|status| status.success()) {
        return Err("tests/bench/programs/prepare failed".to_owned());
    }
    for program in runners.iter().filter_map(Runner::program) {
        let place = native.join("bench").join(program.file_name().expect("a program"));
        // What an earlier run left may be the same file, or busy.
        let _ = std::fs::remove_file(&place);
        std::fs::copy(program, &place).map_err(|error| format!("{}: {error}", place.display()))?;
    }
    Ok(())
}

/// Whether an emulator can be started in a place: one that needs libraries does not find them in a sysroot.
fn starts(runner: &Runner, place: &Place<'_>) -> bool {
    let sysroot = place.root.expect("a sysroot");
    let version = Command::new("chroot").arg(sysroot).args(runner.prefix(place)).arg("-version").output();
    version.is_ok_and(|version| version.status.success())
}

impl Program {
    fn missing(&self, guest: &str) -> Option<String> {
        let program = &self.command(&Runner::native(), guest)[0];
        let path = sysroot(guest).join(program.trim_start_matches('/'));
        (!path.exists()).then(|| format!("SKIPPED: {program} was not fetched for {}", machine(guest)))
    }

    /// Its words for a guest's machine.
    fn command(&self, runner: &Runner, guest: &str) -> Vec<String> {
        let place = Place { root: Some(&sysroot(guest)), directory: "/bench" };
        // Philae starts other programs by itself; with QEMU, who starts a program has to say so.
        let run = if runner.kind == Kind::Qemu { runner.prefix(&place).join(" ") } else { String::new() };
        let java = format!("java-17-openjdk-{}", machine(guest));
        let fill = |word: &String| {
            let word = word.replace("{triple}", &format!("{guest}-linux-gnu"));
            word.replace("{java}", &java).replace("{run}", &run)
        };
        self.words.iter().map(fill).collect()
    }

    /// The least CPU seconds, or MiB, of its runs by each runner.
    pub(crate) fn row(&self, runners: &[Runner], repetitions: usize) -> Row {
        let memory = self.group == "memory";
        let mut figures = vec![Ok(f64::INFINITY); runners.len()];
        let mut wanted: Option<Output> = None;
        for round in 0..repetitions {
            for (runner, figure) in runners.iter().zip(&mut figures) {
                // QEMU is slow, and its figures the least important.
                let Ok(least) = *figure else { continue };
                if runner.kind == Kind::Qemu && round > 0 && least > 1.0 {
                    continue;
                }
                *figure = self.measure(runner, &mut wanted).map(|usage| {
                    let (cpu, resident) = usage;
                    least.min(if memory { resident } else { cpu * 1e3 })
                });
            }
        }
        let unit = if memory { "MiB" } else { "ms" };
        Row { group: self.group.clone(), name: self.name.clone(), unit, figures }
    }

    /// CPU seconds and MiB of one run, whose output must be `wanted`, which the first run sets.
    fn measure(&self, runner: &Runner, wanted: &mut Option<Output>) -> Result<(f64, f64), String> {
        if let Some(why) = self.missing(runner.guest) {
            return Err(why);
        }
        let root = sysroot(runner.guest);
        let place = Place { root: Some(&root), directory: "/bench" };
        if runner.kind == Kind::Qemu && !starts(runner, &place) {
            let name = &runner.prefix(&place)[0];
            return Err(format!("SKIPPED: {name} does not start in a sysroot (that of qemu-user-static does)"));
        }
        let usage = runner.measure(&place, &self.command(runner, runner.guest))?;
        let wanted = wanted.get_or_insert_with(|| usage.output.clone());
        if self.printed == Printed::Equal && *wanted != usage.output {
            return Err(format!("wrong output {:?}", usage.output.start.lines().next()));
        }
        Ok((usage.cpu, usage.resident))
    }
}
