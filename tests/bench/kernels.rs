//! The kernels of `tests/bench/kernels`, which `tests/build bench` compiled for each guest with the same gcc version and
//! flags: steady state.
//!
//! A figure is time(2n) − time(n), each the least of alternating runs; outputs must be equal.

use crate::report::Row;
use crate::runner::{Output, Runner, here};
use crate::support::root;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::PathBuf;

/// A source file in `tests/bench/kernels`.
pub(crate) struct Kernel {
    pub(crate) name: String,
    pub(crate) class: String,
    /// Iterations that take a native run about a fifth of a second.
    count: u64,
}

/// Every kernel, by class and name.
pub(crate) fn all() -> Vec<Kernel> {
    let entries = std::fs::read_dir(root("tests/bench/kernels")).expect("kernels");
    let mut kernels: Vec<Kernel> = entries.map(|entry| parse(entry.expect("kernels").path())).collect();
    kernels.sort_by(|a, b| (&b.class, &a.name).cmp(&(&a.class, &b.name)));
    kernels
}

fn parse(path: PathBuf) -> Kernel {
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

impl Kernel {
    /// Its build for a guest.
    pub(crate) fn binary(&self, guest: &str) -> PathBuf {
        root(&format!("target/bench/{guest}/{}", self.name))
    }

    /// Runs it once: CPU seconds, and what it printed.
    fn measure(&self, runner: &Runner, count: u64) -> Result<(f64, Output), String> {
        let path = self.binary(runner.guest).into_os_string().into_string().expect("a path in UTF-8");
        let usage = runner.measure(&here(), &[path, count.to_string()])?;
        Ok((usage.cpu, usage.output))
    }

    /// A slow runner gets fewer iterations, so that one run stays within a few seconds.
    fn choose_count(&self, runner: &Runner) -> Result<u64, String> {
        const LONG: f64 = 1.5;
        let mut count = self.count;
        let probe = (count / 32).max(1);
        let (seconds, _) = self.measure(runner, probe)?;
        let estimate = seconds / probe as f64;
        while count > probe && estimate * count as f64 > LONG {
            count = (count / 2).max(1);
        }
        Ok(count)
    }

    /// One run, whose output must be what the native build prints for this count.
    fn checked(&self, runner: &Runner, count: u64, printed: &mut BTreeMap<u64, Output>) -> Result<f64, String> {
        let wanted = match printed.entry(count) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(self.measure(&Runner::native(), count)?.1),
        };
        let (seconds, output) = self.measure(runner, count)?;
        if output == *wanted { Ok(seconds) } else { Err(format!("wrong output {:?}", output.start)) }
    }

    /// Its row: microseconds for an iteration.
    pub(crate) fn row(&self, runners: &[Runner], repetitions: usize) -> Row {
        let mut counts: Vec<Result<u64, String>> = runners.iter().map(|runner| self.choose_count(runner)).collect();
        let mut best = vec![[f64::INFINITY; 2]; runners.len()];
        let mut printed = BTreeMap::new();
        for _ in 0..repetitions {
            for (index, runner) in runners.iter().enumerate() {
                let Ok(count) = counts[index].clone() else { continue };
                for (seconds, count) in best[index].iter_mut().zip([count, 2 * count]) {
                    match self.checked(runner, count, &mut printed) {
                        Ok(time) => *seconds = seconds.min(time),
                        Err(error) => counts[index] = Err(error),
                    }
                }
            }
        }
        let iteration = |count, [once, twice]: [f64; 2]| (twice - once).max(1e-9) / count as f64 * 1e6;
        let figures = counts.into_iter().zip(best).map(|(count, times)| count.map(|count| iteration(count, times)));
        Row { group: self.class.clone(), name: self.name.clone(), unit: "µs", figures: figures.collect() }
    }
}
