//! Gives the program a fixed address where the linker and the C library can do that.
//!
//! In: what Cargo says of the target. Out: flags for the linker and `cfg(fixed_address)`, or nothing: then the program
//! is a static-PIE as any other. Its tables hold 14,000 addresses: put in at each start, they cost a fifth of what a
//! small program costs, and 60 pages that each fork copies.
//!
//! What must hold: a program linked in this way has run, with threads, children, panics and its arguments, before the
//! flags are used. Whoever sets PHILAE_STATIC_PIE while building gets a static-PIE all the same.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Where the program lies: in no range that programs, their sanitizers or the kernel use by themselves, and in the 512
/// GiB of position-independent guest programs (`src/loader.rs`), whose tables of pages it shares.
const ADDRESS: &str = "0x550700000000";

/// The C library whose start files that file stands for: what functions refer to weakly differs from one to the next.
const LIBRARY: &str = "glibc 2.36";

/// The file that stands for the C library's start files.
const ENTRY: &str = "src/host/entry_x86_64.rs";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={ENTRY}");
    println!("cargo::rerun-if-env-changed=PHILAE_STATIC_PIE");
    println!("cargo::rustc-check-cfg=cfg(fixed_address)");
    let flags = flags();
    if env::var_os("PHILAE_STATIC_PIE").is_none() && is_possible() && try_out(&flags).is_some() {
        println!("cargo::rustc-cfg=fixed_address");
        for flag in flags {
            println!("cargo::rustc-link-arg-bins={flag}");
        }
    }
}

/// A program that does not move, and none of the start files but those that make `_init` and `_fini`.
fn flags() -> [String; 6] {
    let base = format!("-Wl,--image-base={ADDRESS}");
    ["-no-pie", "-static", "-nostartfiles", "-l:crti.o", "-l:crtn.o", &base].map(str::to_owned)
}

fn is_possible() -> bool {
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found.split(',').any(|word| word == value));
    is("CARGO_CFG_TARGET_ARCH", "x86_64")
        && is("CARGO_CFG_TARGET_OS", "linux")
        && is("CARGO_CFG_TARGET_ENV", "gnu")
        && is("CARGO_CFG_TARGET_FEATURE", "crt-static")
        && env::var("TARGET") == env::var("HOST")
        && is_library()
}

/// Whether this machine's C library is the known one.
fn is_library() -> bool {
    let version = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    version.is_ok_and(|version| version.stdout.trim_ascii() == LIBRARY.as_bytes())
}

/// Uses what Philae uses of its libraries; its status is 0 if all of it works.
const TRIAL: &str = r#"
thread_local!(static COUNT: std::cell::Cell<usize> = const { std::cell::Cell::new(1) });
static NAMES: [&str; 2] = ["one", "two"];
fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    assert_eq!(arguments[1..], NAMES);
    if std::env::var_os("TRIAL").is_none() {
        let status = std::process::Command::new(&arguments[0]).args(NAMES).env("TRIAL", "1").status();
        assert!(status.is_ok_and(|status| status.success()));
    }
    let thread = std::thread::spawn(|| COUNT.with(|count| count.replace(2)));
    assert_eq!(thread.join().ok(), Some(1));
    std::panic::set_hook(Box::new(|_| {}));
    assert!(std::panic::catch_unwind(|| panic!()).is_err());
    assert!(std::fs::read_dir("/").is_ok() && f64::from(arguments.len() as u32).sin() < 1.0);
}
"#;

/// Builds and runs the trial with these flags.
fn try_out(flags: &[String]) -> Option<()> {
    let folder = PathBuf::from(env::var_os("OUT_DIR")?);
    let entry = Path::new(&env::var_os("CARGO_MANIFEST_DIR")?).join(ENTRY);
    let (source, program) = (folder.join("trial.rs"), folder.join("trial"));
    fs::write(&source, format!("#[path = {entry:?}]\nmod entry;\n{TRIAL}")).ok()?;
    let mut compiler = Command::new(env::var_os("RUSTC")?);
    compiler.args(["--edition=2024", "--target", &env::var("TARGET").ok()?]);
    let given = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    compiler.args(given.split('\x1f').filter(|flag| !flag.is_empty()));
    compiler.args(env::var("RUSTC_LINKER").iter().map(|linker| format!("-Clinker={linker}")));
    compiler.args(flags.iter().map(|flag| format!("-Clink-arg={flag}")));
    let built = compiler.arg("-o").args([&program, &source]).output().ok()?;
    let runs = || Command::new(&program).args(["one", "two"]).output().is_ok_and(|ended| ended.status.success());
    (built.status.success() && runs()).then_some(())
}
