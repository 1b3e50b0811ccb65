//! What no single program shows: threads beside each other, the price of each way into the kernel, and of translating.
//!
//! In: `scaling.c` and `costs.c`, built for each guest, and Debian's python3 for the translator. Out: rows.

use crate::report::Row;
use crate::runner::{Kind, Place, Runner, Usage, here};
use crate::support::root;
use std::collections::BTreeMap;

fn binary(runner: &Runner, name: &str) -> String {
    root(&format!("target/bench/{name}.{}", runner.guest)).into_os_string().into_string().expect("a path in UTF-8")
}

/// CPU milliseconds of `scaling.c`: its modes with one and with two threads.
pub(crate) fn scaling(runners: &[Runner], repetitions: usize) -> Vec<Row> {
    let cases =
        [("compute", "1"), ("compute", "2"), ("mutex", "1"), ("mutex", "2"), ("atomics", "1"), ("atomics", "2")];
    let run = |runner: &Runner, mode: &str, threads: &str| {
        let words = [binary(runner, "scaling"), mode.to_owned(), threads.to_owned()];
        runner.measure(&here(), &words).map(|usage| usage.cpu * 1e3)
    };
    let row = |(mode, threads): (&str, &str)| {
        let mut figures = vec![Ok(f64::INFINITY); runners.len()];
        for _ in 0..repetitions {
            for (runner, figure) in runners.iter().zip(&mut figures) {
                let Ok(least) = *figure else { continue };
                *figure = run(runner, mode, threads).map(|time| least.min(time));
            }
        }
        Row { group: "threads".to_owned(), name: format!("{mode} × {threads}"), unit: "ms", figures }
    };
    cases.into_iter().map(row).collect()
}

/// Microseconds of CPU time, from `costs.c`.
pub(crate) fn costs(runners: &[Runner], repetitions: usize) -> Vec<Row> {
    let mut least: Vec<Result<BTreeMap<String, f64>, String>> = vec![Ok(BTreeMap::new()); runners.len()];
    for _ in 0..repetitions {
        for (runner, figures) in runners.iter().zip(&mut least) {
            // What execve starts under QEMU needs it in front again.
            if runner.kind == Kind::Qemu {
                *figures = Err("SKIPPED: children would not run under QEMU".to_owned());
            }
            let Ok(known) = figures else { continue };
            let program = binary(runner, "costs");
            match runner.measure(&here(), &[program.clone(), program]) {
                Ok(usage) => keep_least(known, &usage),
                Err(error) => *figures = Err(error),
            }
        }
    }
    let names: Vec<String> =
        least.iter().flatten().next().map(|figures| figures.keys().cloned().collect()).unwrap_or_default();
    let figure = |figures: &Result<BTreeMap<String, f64>, String>, name: &String| match figures {
        Ok(figures) => figures.get(name).copied().ok_or_else(|| "no figure".to_owned()),
        Err(error) => Err(error.clone()),
    };
    let row = |name: String| {
        let figures = least.iter().map(|figures| figure(figures, &name)).collect();
        Row { group: "costs".to_owned(), name, unit: "µs", figures }
    };
    names.into_iter().map(row).collect()
}

fn keep_least(known: &mut BTreeMap<String, f64>, usage: &Usage) {
    for line in usage.output.start.lines() {
        let Some((name, time)) = line.split_once(' ') else { continue };
        let time: f64 = time.parse().unwrap_or(f64::NAN);
        known.entry(name.to_owned()).and_modify(|least| *least = least.min(time)).or_insert(time);
    }
}

/// What translating costs, from `-stats` of a program that starts and ends: nanoseconds to lift and to compile a guest
/// instruction, and bytes of code for one.
pub(crate) fn translation(runners: &[Runner], repetitions: usize) -> Vec<Row> {
    let names = ["lift", "baseline", "code"];
    let mut figures = names.map(|_| vec![Err("–".to_owned()); runners.len()]);
    for _ in 0..repetitions {
        for (index, runner) in runners.iter().enumerate().filter(|(_, runner)| runner.kind == Kind::Philae) {
            let found = stats(runner);
            for (number, column) in figures.iter_mut().enumerate() {
                let new = found.clone().map(|values| values[number]);
                let old = column[index].clone();
                column[index] = match (old, new) {
                    (Ok(old), Ok(new)) => Ok(f64::min(old, new)),
                    (Err(_), new) => new,
                    (old, Err(_)) => old,
                };
            }
        }
    }
    let units = ["ns", "ns", "bytes"];
    let row = |((name, unit), figures): ((&str, &'static str), Vec<Result<f64, String>>)| Row {
        group: "translating".to_owned(),
        name: format!("{name} an instruction"),
        unit,
        figures,
    };
    names.into_iter().zip(units).zip(figures).map(row).collect()
}

fn stats(runner: &Runner) -> Result<[f64; 3], String> {
    let machine = if runner.guest == "aarch64" { "arm64" } else { "amd64" };
    let place = Place { root: Some(&root(&format!("target/twins/sysroot-{machine}"))), directory: "/bench" };
    let words = ["/usr/bin/python3", "-I", "-c", "pass"].map(str::to_owned);
    let usage = runner.measure_with(&["-stats", "-tier", "baseline"], &place, &words)?;
    let value = |text: &str| {
        let line = usage.messages.lines().find(|line| line.ends_with(text));
        let number = line.and_then(|line| line.split_whitespace().next()).and_then(|word| word.parse::<f64>().ok());
        number.ok_or_else(|| format!("no line {text:?} in -stats"))
    };
    let instructions = value("guest instructions in them")?;
    let nanoseconds = |text| value(text).map(|milliseconds| milliseconds * 1e6 / instructions);
    let code = value("bytes of host code")? / instructions;
    Ok([nanoseconds("lifting and optimising")?, nanoseconds("in the baseline compiler")?, code])
}
