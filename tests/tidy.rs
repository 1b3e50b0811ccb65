//! The house rules that a program can check: who may import whom, how long files are, where `unsafe` and the host's
//! architecture may appear, and what has no place in the repository.
//!
//! `tests/tidy.budget` says what is allowed where, and why. Numbers there rise only with a reason beside them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The longest a source file may be, if the budget says nothing else.
const LINES: usize = 1000;

/// The crates that know nothing but `philae-ir`, and `philae-ir`, which knows none of ours.
const LAYERS: [(&str, &[&str]); 4] =
    [("src/ir", &[]), ("frontends", &["ir"]), ("backends", &["ir"]), ("syscalls", &["ir"])];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A text file of the repository.
struct File {
    path: String,
    text: String,
}

impl File {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Its lines without what follows `//`.
    fn code(&self) -> impl Iterator<Item = &str> {
        self.text.lines().map(|line| line.split("//").next().unwrap_or_default())
    }
}

/// Every file that is UTF-8, except those that git ignores by our rules.
fn files() -> Vec<File> {
    let mut files = Vec::new();
    walk(&root(), &mut files);
    assert!(files.iter().any(|file| file.path == "tests/tidy.rs"), "the walk misses this file");
    files
}

fn walk(folder: &Path, files: &mut Vec<File>) {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries.map(|entry| entry.expect("a folder's entry")) {
        let (path, name) = (entry.path(), entry.file_name());
        let kind = entry.file_type().expect("an entry has a type");
        if kind.is_dir() && name != "target" && name != ".git" {
            walk(&path, files);
        } else if kind.is_file()
            && let Ok(text) = std::fs::read_to_string(&path)
        {
            let path = path.strip_prefix(root()).expect("it is below the root").to_string_lossy().into_owned();
            files.push(File { path, text });
        }
    }
}

fn report(wrong: Vec<String>) {
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The lines of `tests/tidy.budget`: what, where, how many; the rest is the reason.
struct Budget(BTreeMap<(String, String), usize>);

impl Budget {
    fn read() -> Budget {
        let text = std::fs::read_to_string(root().join("tests/tidy.budget")).expect("tests/tidy.budget is there");
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        Budget(lines.map(budget_line).collect())
    }

    /// The entry for `what` in the smallest place that contains `path`.
    fn place(&self, what: &str, path: &str) -> Option<(&str, usize)> {
        let entries = self.0.iter().filter(|((kind, place), _)| kind == what && Path::new(path).starts_with(place));
        entries.max_by_key(|((_, place), _)| place.len()).map(|((_, place), limit)| (place.as_str(), *limit))
    }
}

fn budget_line(line: &str) -> ((String, String), usize) {
    let mut words = line.split_whitespace();
    let mut next = || words.next().unwrap_or_else(|| panic!("tests/tidy.budget: `{line}` is too short"));
    let (what, place) = (next().to_owned(), next().to_owned());
    let limit = next().parse().unwrap_or_else(|_| panic!("tests/tidy.budget: `{line}` has no number"));
    assert!(words.next().is_some(), "tests/tidy.budget: `{line}` gives no reason");
    ((what, place), limit)
}

/// Compares how often `pattern` is found in the code below each place with what the budget allows there.
fn check_count(what: &str, is_hit: impl Fn(&str) -> bool) {
    let budget = Budget::read();
    let mut found: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut wrong = Vec::new();
    for file in files().iter().filter(|file| file.is_rust() && file.path != "tests/tidy.rs") {
        let hits = file.code().filter(|line| is_hit(line)).count();
        match budget.place(what, &file.path) {
            Some((place, limit)) => found.entry(place.to_owned()).or_insert((0, limit)).0 += hits,
            None if hits > 0 => wrong.push(format!("{}: {hits} × `{what}`, and no budget for it", file.path)),
            None => {}
        }
    }
    for (place, (count, limit)) in found {
        if count > limit {
            wrong.push(format!("{place}: {count} × `{what}`, the budget is {limit}"));
        }
    }
    report(wrong);
}

#[test]
fn layers_import_downwards_only() {
    let crates = ["ir", "frontends", "backends", "syscalls"];
    let mut wrong = Vec::new();
    let files = files();
    for (folder, allowed) in LAYERS {
        for other in crates.into_iter().filter(|name| !folder.ends_with(name) && !allowed.contains(name)) {
            let (package, path) = (format!("philae-{other}"), format!("philae_{other}"));
            for file in files.iter().filter(|file| Path::new(&file.path).starts_with(folder)) {
                let manifest = file.path.ends_with("Cargo.toml") && file.text.contains(&package);
                if manifest || file.is_rust() && file.code().any(|line| line.contains(&path)) {
                    wrong.push(format!("{} knows {other}", file.path));
                }
            }
        }
    }
    report(wrong);
}

#[test]
fn files_are_short_and_say_what_they_are() {
    let budget = Budget::read();
    let mut wrong = Vec::new();
    for file in files().iter().filter(|file| file.is_rust()) {
        let limit = budget.place("lines", &file.path).map_or(LINES, |(_, limit)| limit);
        let lines = file.text.lines().count();
        if lines > limit {
            wrong.push(format!("{}: {lines} lines, at most {limit}", file.path));
        }
        if !file.text.starts_with("//!") {
            wrong.push(format!("{}: does not begin with what it is", file.path));
        }
    }
    report(wrong);
}

#[test]
fn unsafe_code_stays_where_it_is_needed() {
    check_count("unsafe", |line| line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "unsafe"));
}

#[test]
fn the_host_is_a_file() {
    check_count("target_arch", |line| line.contains("target_arch"));
}

#[test]
fn nothing_is_left_for_later() {
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X:"),
        concat!("todo", "!("),
        concat!("unimpl", "emented!("),
    ];
    let mut wrong = Vec::new();
    for file in files().iter().filter(|file| file.is_rust()) {
        for (number, line) in (1..).zip(file.text.lines()) {
            if marks.iter().any(|mark| line.contains(mark)) {
                wrong.push(format!("{}:{number}: {}", file.path, line.trim()));
            }
        }
    }
    report(wrong);
}

#[test]
fn the_repository_stands_on_its_own() {
    let outside =
        [concat!("../", "shared"), concat!("/", "work/"), concat!("/tmp/", "brief"), concat!("/root/", ".cargo")];
    let mut wrong = Vec::new();
    for file in files() {
        for (number, line) in (1..).zip(file.text.lines()) {
            if outside.iter().any(|path| line.contains(path)) {
                wrong.push(format!("{}:{number}: {}", file.path, line.trim()));
            }
        }
        let configures = file.path.ends_with(".toml") && file.text.contains("replace-with");
        if configures {
            wrong.push(format!("{}: replaces a registry", file.path));
        }
    }
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).expect("Cargo.lock is there");
    let registry = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
    let strange = lock.lines().filter(|line| line.starts_with("source = ") && *line != registry);
    wrong.extend(strange.map(|line| format!("Cargo.lock: {line}")));
    report(wrong);
}

#[test]
fn licences_are_there() {
    let missing = ["LICENSE-MIT", "LICENSE-APACHE"].into_iter().filter(|name| !root().join(name).is_file());
    report(missing.map(|name| format!("{name} is missing")).collect());
}
