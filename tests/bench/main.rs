//! The benchmark: each kernel native, under qemu-user and under Philae, side by side.
//!
//! In: kernels that `tests/build bench` compiled for each guest, with the same gcc version and flags. Out: a
//! Markdown table. A figure is CPU time (user and system, of the whole process tree), the least of alternating
//! runs. Steady state is time(2n) − time(n); start-up is what a run of one iteration takes beyond a steady one. Outputs
//! must be equal, or the kernel has failed and has no figure. Run it with `tests/bench/run`.

#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt::Write as _;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;
use support::{Failures, GUESTS, difference, philae, root, run, skip};

/// A source file in `tests/bench/kernels`.
struct Kernel {
    name: String,
    class: String,
    /// Iterations that take a native run about a fifth of a second.
    count: u64,
}

/// What runs a kernel.
#[derive(Clone)]
struct Runner {
    name: String,
    /// The guest whose build it runs.
    guest: &'static str,
    /// What comes before the kernel's path.
    prefix: Vec<String>,
}

/// One runner's figures for a kernel: seconds of CPU time.
#[derive(Clone, Copy)]
struct Figure {
    /// Of one of the kernel's iterations, once everything is warm.
    iteration: f64,
    /// Of the first iteration beyond that: start, translation, end.
    start: f64,
}

fn kernels(wanted: &[String]) -> Vec<Kernel> {
    let mut kernels: Vec<Kernel> = std::fs::read_dir(root("tests/bench/kernels"))
        .expect("kernels")
        .map(|entry| parse_kernel(entry.expect("kernels").path()))
        .filter(|kernel| wanted.is_empty() || wanted.contains(&kernel.name))
        .collect();
    kernels.sort_by(|a, b| (&b.class, &a.name).cmp(&(&a.class, &b.name)));
    kernels
}

fn parse_kernel(path: PathBuf) -> Kernel {
    let text = std::fs::read_to_string(&path).expect("kernel");
    let head = text.lines().next().and_then(|line| line.strip_prefix("// ")).expect("a head line");
    let (class, _) = head.split_once(' ').expect("a class");
    let (_, count) = head.rsplit_once(" n=").expect("a count");
    Kernel {
        name: path.file_stem().expect("a name").to_string_lossy().into_owned(),
        class: class.to_owned(),
        count: count.parse().expect("a count"),
    }
}

fn binary(guest: &str, kernel: &Kernel) -> PathBuf {
    root(&format!("target/bench/{guest}/{}", kernel.name))
}

/// Native runs only on the host's own machine.
fn native() -> Runner {
    Runner { name: "native".to_owned(), guest: std::env::consts::ARCH, prefix: Vec::new() }
}

fn qemu(guest: &'static str) -> Option<Runner> {
    let found = [format!("qemu-{guest}"), format!("qemu-{guest}-static")].into_iter().find(|program| {
        Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    })?;
    Some(Runner { name: format!("qemu {guest}"), guest, prefix: vec![found] })
}

fn under_philae(guest: &'static str, tier: &str) -> Runner {
    let prefix = [support::PHILAE, "--tier", tier].map(str::to_owned).to_vec();
    Runner { name: format!("philae {guest}"), guest, prefix }
}

impl Runner {
    /// Runs `kernel` once: CPU seconds of it and its children, and what it printed.
    fn measure(&self, kernel: &Kernel, count: u64) -> Result<(f64, String), String> {
        let path = binary(self.guest, kernel).into_os_string().into_string().expect("a path");
        let words: Vec<String> = self.prefix.iter().cloned().chain([path, count.to_string()]).collect();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
        let mut child = command.spawn().map_err(|error| format!("{}: {error}", words[0]))?;
        let mut output = String::new();
        let read = child.stdout.take().expect("a pipe").read_to_string(&mut output);
        read.map_err(|error| format!("output: {error}"))?;
        let (status, seconds) = wait_with_usage(child.id());
        if status != 0 {
            return Err(format!("wait status {status:#x}, output {output:?}"));
        }
        Ok((seconds, output))
    }
}

/// Waits for a child: its wait status, and the CPU seconds of it and of all that it waited for.
fn wait_with_usage(child: u32) -> (i32, f64) {
    let mut status = 0;
    // SAFETY: all zeroes is a valid rusage.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both places live through the call, and the child is ours and not yet waited for.
    let waited = unsafe { libc::wait4(child as i32, &mut status, 0, &mut usage) };
    assert_eq!(waited, child as i32, "wait4: {}", std::io::Error::last_os_error());
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    (status, seconds(usage.ru_utime) + seconds(usage.ru_stime))
}

/// What `tests/bench/run` was asked for.
struct Options {
    repetitions: usize,
    tier: String,
    guests: Vec<&'static str>,
    kernels: Vec<String>,
}

fn options() -> Options {
    let words = std::env::var("PHILAE_BENCH").unwrap_or_default();
    let mut options = Options { repetitions: 5, tier: "auto".to_owned(), guests: GUESTS.to_vec(), kernels: Vec::new() };
    let mut words = words.split_whitespace();
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_else(|| panic!("{word} wants a value"));
        match word {
            "--quick" => options.repetitions = 1,
            "--repeat" => options.repetitions = value().parse().expect("a number after --repeat"),
            "--tier" => options.tier = value().to_owned(),
            "--guest" => {
                let wanted = value();
                options.guests.retain(|guest| *guest == wanted);
            }
            name => options.kernels.push(name.to_owned()),
        }
    }
    options
}

/// A slow runner gets fewer iterations, so that one run stays within a few seconds.
fn choose_count(runner: &Runner, kernel: &Kernel) -> Result<u64, String> {
    const LONG: f64 = 1.5;
    let mut count = kernel.count;
    let probe = (count / 32).max(1);
    let (seconds, _) = runner.measure(kernel, probe)?;
    let estimate = seconds / probe as f64;
    while count > probe && estimate * count as f64 > LONG {
        count = (count / 2).max(1);
    }
    Ok(count)
}

/// The figures of all runners for one kernel, from runs in turn, so that a slow minute hits all alike.
fn compare(kernel: &Kernel, runners: &[Runner], repetitions: usize) -> Vec<Result<Figure, String>> {
    let mut counts: Vec<Result<u64, String>> = runners.iter().map(|runner| choose_count(runner, kernel)).collect();
    let mut best = vec![[f64::INFINITY; 3]; runners.len()];
    let mut printed: BTreeMap<u64, String> = BTreeMap::new();
    for _ in 0..repetitions {
        for (index, runner) in runners.iter().enumerate() {
            let Ok(count) = counts[index].clone() else { continue };
            for (seconds, count) in best[index].iter_mut().zip([1, count, 2 * count]) {
                match checked(runner, kernel, count, &mut printed) {
                    Ok(time) => *seconds = seconds.min(time),
                    Err(error) => counts[index] = Err(error),
                }
            }
        }
    }
    let figure = |(count, [first, once, twice]): (u64, [f64; 3])| {
        let iteration = (twice - once).max(1e-9) / count as f64;
        Figure { iteration, start: first - iteration }
    };
    counts.into_iter().zip(best).map(|(count, times)| count.map(|count| figure((count, times)))).collect()
}

/// One run, whose output must be what the native build prints for this count.
fn checked(runner: &Runner, kernel: &Kernel, count: u64, printed: &mut BTreeMap<u64, String>) -> Result<f64, String> {
    let wanted = match printed.entry(count) {
        Entry::Occupied(entry) => entry.into_mut(),
        Entry::Vacant(entry) => entry.insert(native().measure(kernel, count)?.1),
    };
    let (seconds, output) = runner.measure(kernel, count)?;
    if output == *wanted { Ok(seconds) } else { Err(format!("wrong output {output:?}")) }
}

fn geometric_mean(values: &[f64]) -> f64 {
    (values.iter().map(|value| value.ln()).sum::<f64>() / values.len() as f64).exp()
}

/// The table, as Markdown: steady state as multiples of native, start-up in milliseconds.
fn table(kernels: &[Kernel], runners: &[Runner], figures: &[Vec<Result<Figure, String>>]) -> String {
    let mut text = String::from("| kernel | class | native ns/iteration |");
    for runner in &runners[1..] {
        write!(text, " {} |", runner.name).expect("a string");
    }
    for runner in runners {
        write!(text, " {} start ms |", runner.name).expect("a string");
    }
    text += "\n|---|---|";
    text += &"---:|".repeat(2 * runners.len());
    text += "\n";
    for (kernel, row) in kernels.iter().zip(figures) {
        text += &table_row(kernel, row);
    }
    for class in ["integer", "fp"] {
        text += &mean_row(class, kernels, figures);
    }
    text
}

fn table_row(kernel: &Kernel, row: &[Result<Figure, String>]) -> String {
    let steady = |figure: &Figure| figure.iteration;
    let native = row[0].as_ref().map_or(f64::NAN, steady);
    let mut text = format!("| {} | {} | {:.0} |", kernel.name, kernel.class, native * 1e9);
    for result in &row[1..] {
        match result {
            Ok(figure) => write!(text, " {:.2} |", figure.iteration / native),
            Err(_) => write!(text, " FAILED |"),
        }
        .expect("a string");
    }
    for result in row {
        match result {
            Ok(figure) => write!(text, " {:.1} |", figure.start * 1e3),
            Err(_) => write!(text, " FAILED |"),
        }
        .expect("a string");
    }
    text + "\n"
}

/// Means over the kernels in which every runner has a figure, so that the columns can be compared.
fn mean_row(class: &str, kernels: &[Kernel], figures: &[Vec<Result<Figure, String>>]) -> String {
    let rows = kernels.iter().zip(figures).filter(|(kernel, _)| kernel.class == class);
    let complete: Vec<Vec<Figure>> =
        rows.filter_map(|(_, row)| row.iter().cloned().collect::<Result<Vec<Figure>, String>>().ok()).collect();
    let Some(first) = complete.first() else { return String::new() };
    let mut text = format!("| **geometric mean of {}** | {class} | |", complete.len());
    for runner in 1..first.len() {
        let ratios: Vec<f64> = complete.iter().map(|row| row[runner].iteration / row[0].iteration).collect();
        write!(text, " **{:.2}** |", geometric_mean(&ratios)).expect("a string");
    }
    for runner in 0..first.len() {
        let starts: Vec<f64> = complete.iter().map(|row| (row[runner].start * 1e3).max(0.1)).collect();
        write!(text, " **{:.1}** |", geometric_mean(&starts)).expect("a string");
    }
    text + "\n"
}

#[test]
#[ignore = "takes minutes and a quiet machine: tests/bench/run"]
fn side_by_side() {
    let options = options();
    let kernels = kernels(&options.kernels);
    assert!(!kernels.is_empty(), "no such kernel: {:?}", options.kernels);
    let mut runners = vec![native()];
    for guest in &options.guests {
        match qemu(guest) {
            Some(runner) => runners.push(runner),
            None => eprintln!("SKIP qemu-{guest}: not installed"),
        }
        runners.push(under_philae(guest, &options.tier));
    }
    let mut failures = Failures::default();
    let mut figures = Vec::new();
    for kernel in &kernels {
        eprintln!("{} …", kernel.name);
        let row = compare(kernel, &runners, options.repetitions);
        for (runner, result) in runners.iter().zip(&row) {
            if let Err(error) = result {
                failures.add(&format!("{} under {}", kernel.name, runner.name), error);
            }
        }
        figures.push(row);
    }
    let text = table(&kernels, &runners, &figures);
    std::fs::write(root("target/bench/table.md"), &text).expect("target/bench/table.md");
    failures.check();
}

#[test]
fn outputs_agree() {
    let mut failures = Failures::default();
    for kernel in kernels(&[]) {
        if !binary(native().guest, &kernel).exists() {
            skip(&format!("kernel {}", kernel.name), "its native build is missing; tests/build bench makes it");
            continue;
        }
        let wanted = native().measure(&kernel, 1).expect("native").1;
        for guest in GUESTS {
            let path = binary(guest, &kernel);
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
