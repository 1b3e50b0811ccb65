//! The command line: one row per flag, from which parsing, environment twins and help are made.
//!
//! Flags are spelt as in qemu-user, with one dash or two. What follows the first word that is no flag is the
//! guest's own command line.

use crate::cache;
use philae_ir::Arch;
use philae_ir::processor::{MAX, MODELS, Model};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// The least code cache that can be asked for, in bytes.
const LEAST_CACHE: u64 = cache::LEAST_LIMIT as u64;
/// The most: what relative jumps of the host reach across.
const MOST_CACHE: u64 = 1 << 30;

/// Which backend runs guest code.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Tier {
    /// The interpreter only.
    Interp,
    /// The baseline compiler only, from the first execution on.
    Baseline,
    /// Cranelift only, from the first execution on.
    Cranelift,
    /// The baseline compiler first, Cranelift for what runs often.
    #[default]
    Auto,
}

impl Tier {
    /// Every tier with its name.
    const NAMES: [(&'static str, Tier); 4] =
        [("interp", Tier::Interp), ("baseline", Tier::Baseline), ("cranelift", Tier::Cranelift), ("auto", Tier::Auto)];
}

/// What `--dump` prints of each region.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DumpItem {
    /// The guest instructions.
    Guest,
    /// The IR as lifted.
    Ir,
    /// The IR as optimised.
    Opt,
    /// Cranelift's input.
    Clif,
    /// The host code.
    Code,
}

impl DumpItem {
    /// Every item with its name.
    const NAMES: [(&'static str, DumpItem); 5] = [
        ("guest", DumpItem::Guest),
        ("ir", DumpItem::Ir),
        ("opt", DumpItem::Opt),
        ("clif", DumpItem::Clif),
        ("code", DumpItem::Code),
    ];
}

/// What to dump, and of which regions.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Dump {
    /// The items, in the order of the data path.
    pub items: Vec<DumpItem>,
    /// Only regions entered at this guest address.
    pub at: Option<u64>,
}

/// What the user asked Philae to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Request {
    /// Run a guest program.
    Run,
    /// Print the names of the processor models.
    Models,
    /// Print the help text.
    Help,
    /// Print the version.
    Version,
    /// Take one instruction through the whole path.
    Lift {
        /// The guest.
        arch: Arch,
        /// The instruction's bytes.
        bytes: Vec<u8>,
        /// Whether to execute it, too.
        execute: Execute,
    },
    /// Count what a program's code holds that Philae does not know; the other files are the command.
    LiftText {
        /// The first file.
        file: OsString,
    },
    /// Run the guest program that a parent Philae put into this descriptor (see `exec.rs`).
    Resume(i32),
}

/// Whether `--lift` executes what it lifted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Execute {
    /// Only show it.
    No,
    /// Execute it in the interpreter and as compiled code.
    Yes,
}

/// Everything the command line and the environment say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// What to do.
    pub request: Request,
    /// The guest that argv\[0\] `qemu-<arch>` forces.
    pub forced_arch: Option<Arch>,
    /// The directory in which absolute guest paths are looked up first (`-L`).
    pub sysroot: Option<PathBuf>,
    /// Variables to set for the guest, `NAME=value`.
    pub set_env: Vec<OsString>,
    /// Variables to hide from the guest.
    pub unset_env: Vec<OsString>,
    /// The guest's argv\[0\].
    pub argv0: Option<OsString>,
    /// The guest's stack size in bytes; the soft limit if not given.
    pub stack_size: Option<u64>,
    /// The release that `uname` reports.
    pub uname_release: Option<OsString>,
    /// The processor of an aarch64 guest.
    pub model: &'static Model,
    /// Whether system calls are logged.
    pub strace: bool,
    /// Where logs go; standard error if not given.
    pub log_file: Option<PathBuf>,
    /// Which backend runs guest code.
    pub tier: Tier,
    /// The most bytes of host code that are kept.
    pub cache_size: usize,
    /// The seed of the disturbances, if there are to be any.
    pub chaos: Option<u64>,
    /// Whether compiled code is compared with the interpreter.
    pub check: bool,
    /// What to print of each region.
    pub dump: Dump,
    /// Whether counters are printed at the end.
    pub stats: bool,
    /// Whether perf is told what translated code came from.
    pub perf_map: bool,
    /// The guest program (a host path) and its arguments.
    pub command: Vec<OsString>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            request: Request::Run,
            forced_arch: None,
            sysroot: None,
            set_env: Vec::new(),
            unset_env: Vec::new(),
            argv0: None,
            stack_size: None,
            uname_release: None,
            model: &MAX,
            strace: false,
            log_file: None,
            tier: Tier::Auto,
            cache_size: 256 << 20,
            chaos: None,
            check: false,
            dump: Dump::default(),
            stats: false,
            perf_map: false,
            command: Vec::new(),
        }
    }
}

/// How a flag takes effect.
enum Action {
    /// It stands alone.
    Switch(fn(&mut Options)),
    /// It takes the next word, or what follows `=`.
    Value(&'static str, fn(&mut Options, &OsStr) -> Result<(), String>),
    /// qemu-user has it and Philae does not yet; `true` if a word follows it.
    NotYet(Option<&'static str>),
}

/// One row of the table of flags.
struct Flag {
    /// The name without dashes.
    name: &'static str,
    /// The environment variable that does the same.
    env: Option<&'static str>,
    /// What it does.
    action: Action,
    /// What the help text says.
    help: &'static str,
}

const fn flag(name: &'static str, env: Option<&'static str>, action: Action, help: &'static str) -> Flag {
    Flag { name, env, action, help }
}

use Action::{NotYet, Switch, Value};

/// THE table of flags.
static FLAGS: &[Flag] = &[
    flag("h", None, Switch(|o| o.request = Request::Help), "print this text"),
    flag("help", None, Switch(|o| o.request = Request::Help), "the same"),
    flag("version", None, Switch(|o| o.request = Request::Version), "print the version"),
    flag("L", Some("QEMU_LD_PREFIX"), Value("DIR", sysroot), "look absolute guest paths up under DIR first"),
    flag("E", Some("QEMU_SET_ENV"), Value("VAR=VALUE", set_env), "set variables for the guest (comma-separated)"),
    flag("U", Some("QEMU_UNSET_ENV"), Value("VAR", unset_env), "hide variables from the guest (comma-separated)"),
    flag("0", Some("QEMU_ARGV0"), Value("ARGV0", argv0), "the guest's argv[0]"),
    flag("s", Some("QEMU_STACK_SIZE"), Value("SIZE", stack_size), "the guest's stack size in bytes (suffixes K, M, G)"),
    flag("r", Some("QEMU_UNAME"), Value("RELEASE", uname_release), "the kernel release that uname reports"),
    flag("cpu", Some("QEMU_CPU"), Value("MODEL", cpu), "an aarch64 guest's processor; help lists them"),
    flag("strace", Some("QEMU_STRACE"), Switch(|o| o.strace = true), "log system calls"),
    flag("d", Some("QEMU_LOG"), Value("ITEM,…", log_items), "log items: in_asm, op, op_opt, out_asm, strace"),
    flag("D", Some("QEMU_LOG_FILENAME"), Value("FILE", log_file), "write logs to FILE"),
    flag("tier", Some("PHILAE_TIER"), Value("TIER", tier), "what runs guest code: interp, baseline, cranelift, auto"),
    flag("tb-size", Some("QEMU_TB_SIZE"), Value("MIB", cache_size), "the most MiB of host code that are kept"),
    flag("dump", Some("PHILAE_DUMP"), Value("ITEM,…[@PC]", dump), "print of each region: guest, ir, opt, clif, code"),
    flag("stats", Some("PHILAE_STATS"), Switch(|o| o.stats = true), "print counters at the end"),
    flag(
        "perf-map",
        Some("PHILAE_PERF_MAP"),
        Switch(|o| o.perf_map = true),
        "for perf: write the guest's functions to /tmp/perf-PID.map, where the guest sees it, too",
    ),
    flag("perfmap", Some("QEMU_PERFMAP"), Switch(|o| o.perf_map = true), "the same"),
    flag("chaos", Some("PHILAE_CHAOS"), Value("SEED", chaos), "for tests: disturb the runtime at random"),
    flag(
        "check",
        Some("PHILAE_CHECK"),
        Switch(|o| o.check = true),
        "for tests: compare compiled code with the interpreter",
    ),
    flag("lift", None, Value("ARCH HEX", lift), "show one instruction on its whole way through Philae"),
    flag(
        "lift-text",
        None,
        Value("FILE...", lift_text),
        "count the instructions in programs that Philae does not know",
    ),
    flag("run", None, Switch(run_lifted), "with --lift: execute it, too"),
    flag("resume", None, Value("FD", resume), "internal: continue an execve of a guest"),
    flag("g", Some("QEMU_GDB"), NotYet(Some("PORT")), "wait for gdb"),
    flag("p", Some("QEMU_PAGESIZE"), NotYet(Some("SIZE")), "host page size"),
    flag("B", Some("QEMU_GUEST_BASE"), NotYet(Some("ADDRESS")), "guest base address"),
    flag("R", Some("QEMU_RESERVED_VA"), NotYet(Some("SIZE")), "reserve address space"),
    flag("t", Some("QEMU_RTSIG_MAP"), NotYet(Some("MAP")), "map real-time signals"),
    flag("one-insn-per-tb", Some("QEMU_ONE_INSN_PER_TB"), NotYet(None), "one instruction per block"),
    flag("singlestep", Some("QEMU_SINGLESTEP"), NotYet(None), "one instruction per block"),
    flag("dfilter", Some("QEMU_DFILTER"), NotYet(Some("RANGE")), "log only in a range"),
    flag("seed", Some("QEMU_RAND_SEED"), NotYet(Some("SEED")), "seed for random numbers"),
    flag("trace", Some("QEMU_TRACE"), NotYet(Some("PATTERN")), "trace events"),
    flag("plugin", Some("QEMU_PLUGIN"), NotYet(Some("FILE")), "load a plugin"),
    flag("jitdump", Some("QEMU_JITDUMP"), NotYet(None), "write a jitdump file"),
];

fn sysroot(options: &mut Options, value: &OsStr) -> Result<(), String> {
    options.sysroot = Some(PathBuf::from(value));
    Ok(())
}

fn set_env(options: &mut Options, value: &OsStr) -> Result<(), String> {
    for pair in split_commas(value) {
        if !pair.as_bytes().contains(&b'=') {
            return Err(format!("{pair:?} is not VAR=VALUE"));
        }
        options.set_env.push(pair);
    }
    Ok(())
}

fn unset_env(options: &mut Options, value: &OsStr) -> Result<(), String> {
    for name in split_commas(value) {
        if name.as_bytes().contains(&b'=') {
            return Err(format!("{name:?} is not the name of a variable"));
        }
        options.unset_env.push(name);
    }
    Ok(())
}

fn argv0(options: &mut Options, value: &OsStr) -> Result<(), String> {
    options.argv0 = Some(value.to_owned());
    Ok(())
}

fn stack_size(options: &mut Options, value: &OsStr) -> Result<(), String> {
    let text = text(value)?;
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match &text[digits.len()..] {
        "" => 1,
        "K" | "k" => 1 << 10,
        "M" | "m" => 1 << 20,
        "G" | "g" => 1 << 30,
        other => return Err(format!("unknown unit {other:?}")),
    };
    let size = parse_number(digits)?.checked_mul(unit).ok_or("too large")?;
    options.stack_size = Some(size);
    Ok(())
}

fn uname_release(options: &mut Options, value: &OsStr) -> Result<(), String> {
    options.uname_release = Some(value.to_owned());
    Ok(())
}

fn cpu(options: &mut Options, value: &OsStr) -> Result<(), String> {
    let name = text(value)?;
    if matches!(name, "help" | "?") {
        options.request = Request::Models;
        return Ok(());
    }
    options.model = Model::named(name).ok_or_else(|| {
        let names: Vec<&str> = MODELS.iter().map(|model| model.name).collect();
        format!("no processor model {name:?} (there are: {})", names.join(", "))
    })?;
    Ok(())
}

fn log_items(options: &mut Options, value: &OsStr) -> Result<(), String> {
    for item in text(value)?.split(',') {
        match item {
            "strace" => options.strace = true,
            "in_asm" => options.dump.items.push(DumpItem::Guest),
            "op" => options.dump.items.push(DumpItem::Ir),
            "op_opt" => options.dump.items.push(DumpItem::Opt),
            "out_asm" => options.dump.items.push(DumpItem::Code),
            other => return Err(format!("log item {other:?}: not yet")),
        }
    }
    Ok(())
}

fn log_file(options: &mut Options, value: &OsStr) -> Result<(), String> {
    options.log_file = Some(PathBuf::from(value));
    Ok(())
}

fn tier(options: &mut Options, value: &OsStr) -> Result<(), String> {
    options.tier = named(&Tier::NAMES, text(value)?)?;
    Ok(())
}

fn cache_size(options: &mut Options, value: &OsStr) -> Result<(), String> {
    let size = parse_number(text(value)?)?.checked_mul(1 << 20).ok_or("too large")?;
    if !(LEAST_CACHE..=MOST_CACHE).contains(&size) {
        return Err(format!("from {} to {} MiB", LEAST_CACHE >> 20, MOST_CACHE >> 20));
    }
    options.cache_size = size as usize;
    Ok(())
}

fn chaos(options: &mut Options, value: &OsStr) -> Result<(), String> {
    options.chaos = Some(parse_number(text(value)?)?);
    Ok(())
}

fn dump(options: &mut Options, value: &OsStr) -> Result<(), String> {
    let text = text(value)?;
    let (items, at) = match text.split_once('@') {
        Some((items, pc)) => (items, Some(parse_number(pc)?)),
        None => (text, None),
    };
    options.dump.at = at;
    for item in items.split(',') {
        options.dump.items.push(named(&DumpItem::NAMES, item)?);
    }
    Ok(())
}

fn lift(options: &mut Options, value: &OsStr) -> Result<(), String> {
    let arch = text(value)?;
    let arch = Arch::parse(arch).ok_or_else(|| format!("no guest {arch:?} (there are: aarch64, x86_64)"))?;
    options.request = Request::Lift { arch, bytes: Vec::new(), execute: Execute::No };
    Ok(())
}

fn lift_text(options: &mut Options, value: &OsStr) -> Result<(), String> {
    options.request = Request::LiftText { file: value.to_owned() };
    Ok(())
}

fn run_lifted(options: &mut Options) {
    if let Request::Lift { execute, .. } = &mut options.request {
        *execute = Execute::Yes;
    }
}

fn resume(options: &mut Options, value: &OsStr) -> Result<(), String> {
    let fd = text(value)?.parse().map_err(|_| "not a descriptor")?;
    options.request = Request::Resume(fd);
    Ok(())
}

fn named<T: Copy>(names: &[(&str, T)], name: &str) -> Result<T, String> {
    let known = || names.iter().map(|(n, _)| *n).collect::<Vec<_>>().join(", ");
    let found = names.iter().find(|(n, _)| *n == name).map(|(_, value)| *value);
    found.ok_or_else(|| format!("unknown {name:?} (there are: {})", known()))
}

fn text(value: &OsStr) -> Result<&str, String> {
    value.to_str().ok_or_else(|| format!("{value:?} is not UTF-8"))
}

fn parse_number(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| format!("{text:?} is not a number"))
}

fn split_commas(value: &OsStr) -> Vec<OsString> {
    value.as_bytes().split(|&b| b == b',').map(|part| OsString::from_vec(part.to_vec())).collect()
}

impl Options {
    /// Reads the environment twins, then the command line, which wins. `args` starts with argv\[0\].
    pub fn parse(
        args: impl IntoIterator<Item = OsString>,
        env: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Options, String> {
        let mut options = Options::default();
        for flag in FLAGS {
            if let Some((name, value)) = flag.env.and_then(|name| Some((name, env(name)?))) {
                apply(flag, &mut options, Some(value), &mut std::iter::empty())
                    .map_err(|error| format!("{name}: {error}"))?;
            }
        }
        let mut words = args.into_iter();
        options.forced_arch = words.next().as_deref().and_then(forced_arch);
        options.read_words(&mut words)?;
        options.dump.items.sort_by_key(|&item| item as u8);
        options.dump.items.dedup();
        Ok(options)
    }

    fn read_words(&mut self, words: &mut dyn Iterator<Item = OsString>) -> Result<(), String> {
        while let Some(word) = words.next() {
            let Some((name, value)) = split_flag(&word) else {
                if !self.take_lift_bytes(&word)? {
                    self.command.push(word);
                    self.command.extend(words);
                    return Ok(());
                }
                continue;
            };
            if name.is_empty() {
                self.command.extend(words);
                return Ok(());
            }
            let flag = FLAGS.iter().find(|flag| flag.name.as_bytes() == name);
            let flag = flag.ok_or_else(|| format!("unknown option {word:?} (try: philae -h)"))?;
            let shown = word.to_string_lossy();
            apply(flag, self, value, words).map_err(|error| format!("{shown}: {error}"))?;
        }
        Ok(())
    }

    /// `--lift ARCH HEX`: bytes in memory order for x86_64, for aarch64 the word as disassemblers print it.
    fn take_lift_bytes(&mut self, word: &OsStr) -> Result<bool, String> {
        let Request::Lift { arch, bytes, .. } = &mut self.request else { return Ok(false) };
        let digits: Vec<char> = text(word)?.chars().filter(|c| !c.is_whitespace()).collect();
        if !digits.len().is_multiple_of(2) {
            return Err(format!("{word:?}: an odd number of hexadecimal digits"));
        }
        let start = bytes.len();
        for pair in digits.chunks(2) {
            let pair: String = pair.iter().collect();
            bytes.push(u8::from_str_radix(&pair, 16).map_err(|_| format!("{word:?} is not hexadecimal"))?);
        }
        if *arch == Arch::Aarch64 {
            bytes[start..].reverse();
        }
        Ok(true)
    }
}

impl Options {
    /// The words that give a guest's child the settings that are no paths.
    pub fn inherited_words(&self) -> Vec<String> {
        let tier = Tier::NAMES.iter().find(|(_, tier)| *tier == self.tier).map_or("auto", |(name, _)| name);
        let mut words = vec![format!("-tier={tier}"), format!("-tb-size={}", self.cache_size >> 20)];
        words.extend((*self.model != MAX).then(|| format!("-cpu={}", self.model.name)));
        words.extend(self.chaos.map(|seed| format!("-chaos={seed}")));
        words.extend(self.check.then(|| "-check".to_owned()));
        let items = DumpItem::NAMES.iter().filter(|(_, item)| self.dump.items.contains(item));
        let items: Vec<&str> = items.map(|(name, _)| *name).collect();
        if !items.is_empty() {
            let at = self.dump.at.map(|at| format!("@{at:#x}")).unwrap_or_default();
            words.push(format!("-dump={}{at}", items.join(",")));
        }
        words.extend(self.perf_map.then(|| "-perf-map".to_owned()));
        words.extend(self.stats.then(|| "-stats".to_owned()));
        words.extend(self.strace.then(|| "-strace".to_owned()));
        words
    }

    /// Takes over what [`Options::inherited_words`] gave, one word a line.
    pub fn inherit_words(&mut self, words: &str) {
        let inherited = Options::parse(std::iter::once("philae").chain(words.lines()).map(OsString::from), |_| None);
        if let Ok(inherited) = inherited {
            *self = inherited;
        }
    }
}

/// A flag's name and the value behind `=`, or `None` for a word that is no flag; `--` has an empty name.
fn split_flag(word: &OsStr) -> Option<(&[u8], Option<OsString>)> {
    let bytes = word.as_bytes();
    let rest = bytes.strip_prefix(b"-")?;
    if rest.is_empty() {
        return None;
    }
    let rest = rest.strip_prefix(b"-").unwrap_or(rest);
    match rest.iter().position(|&b| b == b'=') {
        Some(at) => Some((&rest[..at], Some(OsString::from_vec(rest[at + 1..].to_vec())))),
        None => Some((rest, None)),
    }
}

fn apply(
    flag: &Flag,
    options: &mut Options,
    value: Option<OsString>,
    words: &mut dyn Iterator<Item = OsString>,
) -> Result<(), String> {
    match &flag.action {
        Switch(set) => set(options),
        Value(what, set) => {
            let value = value.or_else(|| words.next()).ok_or_else(|| format!("{what} is missing"))?;
            set(options, &value)?;
        }
        NotYet(_) => return Err("not yet".to_owned()),
    }
    Ok(())
}

/// The guest that a program name of the form `qemu-<arch>[-static]` asks for.
fn forced_arch(argv0: &OsStr) -> Option<Arch> {
    let name = argv0.as_bytes().rsplit(|&b| b == b'/').next()?;
    let name = std::str::from_utf8(name).ok()?.strip_prefix("qemu-")?;
    Arch::parse(name.strip_suffix("-static").unwrap_or(name))
}

/// The list of `-cpu help`.
pub fn models() -> String {
    MODELS.iter().map(|model| format!("{}\n", model.name)).collect()
}

/// The help text, made of the table.
pub fn help() -> String {
    let mut text = String::from(
        "philae [OPTION…] PROGRAM [ARGUMENT…]\n\
         Runs a Linux program built for aarch64 or x86_64. Options may be written with one dash or two;\n\
         the command line wins over the environment.\n\n",
    );
    for flag in FLAGS {
        let value = match &flag.action {
            Switch(_) => "",
            Value(what, _) => what,
            NotYet(_) => continue,
        };
        let name = format!("-{} {value}", flag.name);
        text += &format!("  {name:<22}{:<20}{}\n", flag.env.unwrap_or(""), flag.help);
    }
    text += "\nNot yet, of qemu-user's:";
    for flag in FLAGS {
        if let NotYet(value) = &flag.action {
            text += &format!(" -{}{}", flag.name, value.map(|v| format!(" {v}")).unwrap_or_default());
        }
    }
    text += "\n\nExit status: the guest's; 127 program or interpreter not found, 126 not runnable here,\n\
             125 wrong usage or a failure of the host. A signal that kills the guest kills Philae.\n";
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Options, String> {
        Options::parse(words.iter().map(OsString::from), |_| None)
    }

    #[test]
    fn flags_end_at_the_program() {
        let options = parse(&["philae", "-L", "/sys root", "--tier=interp", "./a", "-L", "b"]).unwrap();
        assert_eq!(options.sysroot, Some(PathBuf::from("/sys root")));
        assert_eq!(options.tier, Tier::Interp);
        assert_eq!(options.command, ["./a", "-L", "b"]);
    }

    #[test]
    fn two_dashes_end_flags() {
        assert_eq!(parse(&["philae", "--", "-x"]).unwrap().command, ["-x"]);
    }

    #[test]
    fn the_command_line_wins_over_the_environment() {
        let env = |name: &str| (name == "PHILAE_TIER").then(|| OsString::from("interp"));
        let words = ["philae", "-tier", "cranelift"].map(OsString::from);
        assert_eq!(Options::parse(words, env).unwrap().tier, Tier::Cranelift);
    }

    #[test]
    fn program_names_force_a_guest() {
        assert_eq!(parse(&["/usr/bin/qemu-aarch64-static"]).unwrap().forced_arch, Some(Arch::Aarch64));
        assert_eq!(parse(&["qemu-x86_64"]).unwrap().forced_arch, Some(Arch::X86_64));
        assert_eq!(parse(&["qemu-mips"]).unwrap().forced_arch, None);
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert_eq!(parse(&["philae", "-g", "1234"]).unwrap_err(), "-g: not yet");
        assert_eq!(parse(&["philae", "--nonsense"]).unwrap_err(), "unknown option \"--nonsense\" (try: philae -h)");
        assert_eq!(parse(&["philae", "-L"]).unwrap_err(), "-L: DIR is missing");
        assert!(parse(&["philae", "-d", "mmu"]).unwrap_err().ends_with("not yet"));
    }

    #[test]
    fn lift_takes_bytes_and_run() {
        let options = parse(&["philae", "--lift", "aarch64", "d2800020", "--run"]).unwrap();
        let bytes = vec![0x20, 0x00, 0x80, 0xd2];
        assert_eq!(options.request, Request::Lift { arch: Arch::Aarch64, bytes, execute: Execute::Yes });
    }
}
