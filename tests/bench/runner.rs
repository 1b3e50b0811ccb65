//! What runs a program, and what a run used.
//!
//! In: words of a command, and the root and directory to run it in. Out: CPU time of the whole process tree, largest
//! resident set and wall time, as `tests/bench/measure.c` reports them, and what the program printed.

use crate::support::root;
use std::hash::{DefaultHasher, Hasher};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

/// Who executes the guest's instructions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Native,
    Qemu,
    Philae,
}

/// What runs the programs of one guest.
#[derive(Clone)]
pub(crate) struct Runner {
    pub(crate) kind: Kind,
    /// The guest whose build it runs.
    pub(crate) guest: &'static str,
    /// The program that runs it; empty natively.
    program: PathBuf,
    /// Its options.
    options: Vec<String>,
}

/// Where a program runs.
pub(crate) struct Place<'a> {
    /// Its root directory, which holds the runners in `/bench`; `None` is the host's.
    pub(crate) root: Option<&'a Path>,
    pub(crate) directory: &'a str,
}

/// The host's root and the repository's directory.
pub(crate) fn here() -> Place<'static> {
    Place { root: None, directory: env!("CARGO_MANIFEST_DIR") }
}

/// What a run used.
#[derive(Clone)]
pub(crate) struct Usage {
    /// CPU time, user and system, seconds.
    pub(crate) cpu: f64,
    /// The largest resident set of a process, MiB.
    pub(crate) resident: f64,
    pub(crate) output: Output,
    /// Standard error.
    pub(crate) messages: String,
}

/// What a program printed: enough to tell whether another printed the same.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Output {
    length: usize,
    hash: u64,
    /// The first 4,000 bytes.
    pub(crate) start: String,
}

impl Runner {
    /// Native runs only on the host's own machine.
    pub(crate) fn native() -> Runner {
        Runner { kind: Kind::Native, guest: std::env::consts::ARCH, program: PathBuf::new(), options: Vec::new() }
    }

    /// qemu-user from the path, if it is installed.
    pub(crate) fn qemu(guest: &'static str) -> Option<Runner> {
        let folders: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH")?).collect();
        let names = [format!("qemu-{guest}-static"), format!("qemu-{guest}")];
        let program =
            names.iter().find_map(|name| folders.iter().map(|folder| folder.join(name)).find(|p| p.exists()))?;
        Some(Runner { kind: Kind::Qemu, guest, program, options: Vec::new() })
    }

    pub(crate) fn philae(guest: &'static str, program: &Path, tier: &str) -> Runner {
        let options = ["-tier", tier].map(str::to_owned).to_vec();
        Runner { kind: Kind::Philae, guest, program: program.to_owned(), options }
    }

    pub(crate) fn name(&self) -> String {
        match self.kind {
            Kind::Native => "native".to_owned(),
            Kind::Qemu => format!("qemu {}", self.guest),
            Kind::Philae => format!("philae {}", self.guest),
        }
    }

    /// The program that runs others, if this is not native.
    pub(crate) fn program(&self) -> Option<&Path> {
        (self.kind != Kind::Native).then_some(&self.program)
    }

    /// What comes before a program's name in `place`.
    pub(crate) fn prefix(&self, place: &Place<'_>) -> Vec<String> {
        let Some(program) = self.program() else { return Vec::new() };
        let seen = match place.root {
            Some(_) => Path::new("/bench").join(program.file_name().expect("a program")),
            None => program.to_owned(),
        };
        let seen = seen.into_os_string().into_string().expect("a path in UTF-8");
        std::iter::once(seen).chain(self.options.iter().cloned()).collect()
    }

    /// Runs a program once.
    pub(crate) fn measure(&self, place: &Place<'_>, words: &[String]) -> Result<Usage, String> {
        self.measure_with(&[], place, words)
    }

    /// Runs a program once, with more options for the runner.
    pub(crate) fn measure_with(&self, options: &[&str], place: &Place<'_>, words: &[String]) -> Result<Usage, String> {
        let mut command = Command::new(root("target/bench/measure"));
        command.arg(place.root.unwrap_or(Path::new("-"))).arg(place.directory);
        command.args(self.prefix(place)).args(options).args(words);
        command.env_clear().envs([("PATH", "/usr/bin:/bin"), ("HOME", "/tmp"), ("LANG", "C.UTF-8"), ("TZ", "UTC")]);
        run(&mut command)
    }
}

fn run(command: &mut Command) -> Result<Usage, String> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
    let mut errors = child.stderr.take().expect("a pipe");
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        errors.read_to_end(&mut bytes).expect("read");
        String::from_utf8_lossy(&bytes).into_owned()
    });
    let output = read_output(child.stdout.take().expect("a pipe"));
    child.wait().map_err(|error| error.to_string())?;
    let messages = reader.join().expect("reader");
    let (messages, last) = messages.trim_end().rsplit_once('\n').ok_or_else(|| messages.clone())?;
    let mut numbers = last.split(' ').map(|word| word.parse::<f64>().unwrap_or(f64::NAN));
    let mut next = || numbers.next().unwrap_or(f64::NAN);
    let [cpu, resident, _wall, status] = [next(), next(), next(), next()];
    if status != 0.0 {
        let end: String = messages.lines().rev().take(3).collect::<Vec<_>>().join("; ");
        return Err(format!("wait status {status}, {end:?}, output {:?}", output.start.lines().next()));
    }
    Ok(Usage { cpu, resident: resident / 1024.0, output, messages: messages.to_owned() })
}

fn read_output(mut pipe: impl Read) -> Output {
    const SHOWN: usize = 4000;
    let (mut length, mut hasher, mut start) = (0, DefaultHasher::new(), Vec::new());
    let mut buffer = vec![0; 1 << 16];
    // Reads end anywhere, and the hash must not depend on it.
    let mut pending = 0;
    loop {
        let count = pipe.read(&mut buffer[pending..]).expect("read");
        pending += count;
        if pending == buffer.len() || count == 0 {
            start.extend(buffer[..pending].iter().take(SHOWN.saturating_sub(start.len())));
            hasher.write(&buffer[..pending]);
            length += pending;
            pending = 0;
        }
        if count == 0 {
            return Output { length, hash: hasher.finish(), start: String::from_utf8_lossy(&start).into_owned() };
        }
    }
}
