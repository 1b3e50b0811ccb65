//! Gives the program a fixed address where the linker and the C library can do that.
//!
//! In: what Cargo says of the target. Out: flags for the linker and `cfg(fixed_address)`, or nothing: then the program
//! is a static-PIE as any other. Its tables hold 14,000 addresses: put in at each start, they cost a fifth of what a
//! small program costs, and 60 pages that each fork copies.
//!
//! The linker is also told what to put first ([`ORDER`]): the kernel gives a process the pages of its program by
//! 64 KiB, at its start and in each child of fork anew, and what every process executes, and every child, lies in few of
//! these windows then.
//!
//! What must hold: a program linked in this way has run, with threads, children, panics and its arguments, before the
//! flags are used. Whoever sets PHILAE_STATIC_PIE while building gets a static-PIE all the same.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Where the program lies: in no range that programs, their sanitizers or the kernel use by themselves, and in the 512
/// GiB of position-independent guest programs (`src/loader.rs`), whose tables of pages it shares.
const ADDRESS: &str = "0x550700000000";

/// What the kernel gives at a time of a file that is mapped (fault_around_bytes).
const WINDOW: usize = 64 << 10;

/// The C library whose start files that file stands for: what functions refer to weakly differs from one to the next.
const LIBRARY: &str = "glibc 2.36";

/// The file that stands for the C library's start files.
const ENTRY: &str = "src/host/entry_x86_64.rs";

/// What every child of fork executes, and then what every start does: patterns of names of sections. A function's is
/// `.text.` and its mangled name, that of its tables `.rodata.` and the same. What matches nothing does no harm.
const ORDER: &[&str] = &[
    "philae_safe_syscall",
    "philae_uaccess",
    "*15philae_backends4link*",
    "*15philae_backends8baseline4pins*_stubs*",
    "*15philae_backends12stored_flags*",
    "*15philae_backends13float_control*",
    "*6philae3run*11system_call*",
    "*6philae3run*6follow*",
    "*6philae3run*8run_code*",
    "*6philae3run*5enter17*",
    "*6philae3run*3run17*",
    "*6philae5spawn4fork*",
    "*6philae5spawn*run_*",
    "*6philae5spawn5Ended*",
    "*6philae6thread*",
    "*6philae5cache10jump_cache*",
    "*6philae4host5calls12exit_process*",
    "*6philae4host6x86_64*",
    "*9philae_ir2ty*",
    "*9philae_ir5state*",
    "*9philae_ir6region10ExitReason*",
    "*9philae_ir4eval10eval_flags*",
    "*9philae_ir4eval3int9flags_*",
    "*15philae_syscalls4call*",
    "*15philae_syscalls5table*",
    "*15philae_syscalls4tags*",
    "*15philae_syscalls7process12kernel_clone*",
    "*15philae_syscalls7process12become_child*",
    "*15philae_syscalls7process13take_child_id*",
    "*15philae_syscalls7process4fork*",
    "*15philae_syscalls4host3raw*",
    "*switch.table.*",
    "cst*",
    "*4core3ops8function6FnOnce*call_once*",
    "*6philae3run*",
    "*15philae_syscalls6signal*",
    "*15philae_syscalls4arch*",
    "*15philae_syscalls7uaccess*",
    "*15philae_syscalls4task*",
    "*15philae_syscalls2mm*",
    "*15philae_syscalls3vma*",
    "*15philae_syscalls6memory*",
    "*15philae_syscalls2fs*",
    "*15philae_syscalls4path*",
    "*philae_syscalls..*",
    "*6philae9translate*",
    "*6philae5cache*",
    "*6philae4tier*",
    "*16philae_frontends9lift_into*",
    "*16philae_frontends4lift*",
    "*16philae_frontends7aarch644lift*",
    "*16philae_frontends7aarch646decode*",
    "*16philae_frontends7aarch647operand*",
    "*16philae_frontends7aarch644data*",
    "*16philae_frontends7aarch648bitfield*",
    "*16philae_frontends7aarch646branch*",
    "*16philae_frontends7aarch645flags*",
    "*16philae_frontends7aarch649loadstore*",
    "*philae_frontends..aarch64*",
    "*9philae_ir6region*",
    "*9philae_ir3ops*",
    "*15philae_backends8baseline*",
    "*15philae_backends9callouts*",
    "*16philae_frontends7aarch646atomic*",
    "*16philae_frontends7aarch646system*",
    "*16philae_frontends7aarch644simd*",
    "*6philae5start*",
    "*6philae5image*",
    "*6philae6loader*",
    "*6philae7options*",
    "*6philae11philae_main*",
    "*5alloc7raw_vec*",
    "_R*3std2fs*",
    "_R*3std3sys*",
    "_R*3std4path*",
    "*16philae_frontends7aarch6412simd_permute*",
    "*16philae_frontends7aarch6411simd_memory*",
    "*16philae_frontends7aarch6410simd_arith*",
    "*16philae_frontends7aarch6410simd_shift*",
];

/// What every start executes of the C library: names of its objects.
const LIBRARY_ORDER: &[&str] = &[
    "libc*",
    "dl-*",
    "init-*",
    "malloc",
    "mem*",
    "*-evex*",
    "*map*",
    "mprotect",
    "madvise",
    "brk",
    "sbrk",
    "open64",
    "close",
    "read",
    "readlink",
    "pread64",
    "fcntl*",
    "get*id",
    "getenv",
    "getauxval",
    "getrlimit64",
    "sigaltstack",
    "cxa_atexit",
    "*setjmp",
    "sigjmp",
    "ctype-info",
    "pthread_mutex_*lock",
    "syscall",
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={ENTRY}");
    println!("cargo::rerun-if-env-changed=PHILAE_STATIC_PIE");
    println!("cargo::rustc-check-cfg=cfg(fixed_address)");
    let Some(script) = script() else { return };
    let flags = flags(&script);
    if env::var_os("PHILAE_STATIC_PIE").is_none() && is_possible() && try_out(&flags).is_some() {
        println!("cargo::rustc-cfg=fixed_address");
        for flag in flags {
            println!("cargo::rustc-link-arg-bins={flag}");
        }
    }
}

/// A program that does not move, and none of the start files but those that make `_init` and `_fini`.
fn flags(script: &Path) -> [String; 9] {
    let base = format!("-Wl,--image-base={ADDRESS}");
    let order = format!("-Wl,-T,{}", script.display());
    // One mapping less for each fork to copy: what is read only once the C library has written it is a few hundred bytes.
    let one_mapping = "-Wl,-z,norelro";
    // What the C library knows of the processor (`backends/known_features_x86_64.rs`).
    let known = "-Wl,--undefined=__x86_get_cpuid_feature_leaf";
    ["-no-pie", "-static", "-nostartfiles", "-l:crti.o", "-l:crtn.o", &base, &order, one_mapping, known]
        .map(str::to_owned)
}

/// Writes the order down for the linker, beside whose own rules it stands.
fn script() -> Option<PathBuf> {
    let section = |kind: &str| {
        let ours = ORDER.iter().map(|name| format!("    *(.{kind}.{name})\n"));
        let library = LIBRARY_ORDER.iter().map(|name| format!("    *libc.a:{name}.o(.{kind} .{kind}.*)\n"));
        let rows: String = ours.chain(library).collect();
        format!("SECTIONS {{\n  .{kind}.first : ALIGN({WINDOW}) {{\n{rows}  }}\n}}\nINSERT BEFORE .{kind};\n")
    };
    let path = PathBuf::from(env::var_os("OUT_DIR")?).join("order.ld");
    // What is written to once, at the start, is not in a segment with what never is: a fork copies the pages that a
    // process has of a segment if one of them was written to.
    let apart = "SECTIONS {\n  .data.unchanged : ALIGN(4096) {\n    \
                 *(EXCLUDE_FILE(*libc.a:*) .data.rel.ro .data.rel.ro.*)\n  }\n}\nINSERT AFTER .eh_frame;\n";
    fs::write(&path, section("text") + &section("rodata") + apart).ok()?;
    Some(path)
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
