//! Real dynamic programs, unmodified: Debian arm64's against the native amd64 packages of the same release.
//!
//! In: target/real/sysroot-arm64 and sysroot-amd64, which `tests/fetch-programs` fetches, and the shell scripts of
//! testdata/real/programs. Each script runs in a chroot, its shell under Philae, so that every program it starts is
//! found, loaded and run by Philae alone; twenty times with PHILAE_SOAK set. Those of large packages are ignored, but
//! for a soak, and so are servers under load (testdata/real/load; what both do with a server is in servers), for
//! PHILAE_LOAD seconds each, ten minutes by default, and the second stage of a minimal system. What must hold: the same
//! standard output and the same status. Standard error is shown, not compared: it names process ids.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use support::{Failures, Outcome, difference, root, run, skip};

const LIMIT: Duration = Duration::from_secs(600);
/// How often a soak runs each script.
const SOAK_RUNS: u32 = 20;
/// For how many seconds servers are kept busy, by default, and natively.
const LOAD: u32 = 600;
const NATIVE_LOAD: u32 = 3;

/// Mounts what programs expect and runs "$@" in the chroot $1 with a scratch directory of its own. Settings of Philae's
/// in the environment stay.
const ENTER: &str = r#"sysroot=$1; shift
mkdir -p "$sysroot/proc" "$sysroot/dev" "$sysroot/root"
mount --rbind /proc "$sysroot/proc" && mount --rbind /dev "$sysroot/dev" && mount -t tmpfs none "$sysroot/tmp" &&
cp "$PHILAE" "$sysroot/tmp/philae" && mkdir "$sysroot/tmp/place" && chown 0:0 "$sysroot/tmp/place" &&
exec env -i $(env | grep '^PHILAE_[A-Z]*=') PATH=/usr/bin:/usr/sbin HOME=/tmp LANG=C.UTF-8 TZ=UTC \
    chroot "$sysroot" "$@""#;

/// Runs a script in a sysroot, behind the words of `prefix`.
fn enter(sysroot: &Path, prefix: &[&str], script: &str, limit: Duration) -> Outcome {
    let script = format!("cd /tmp/place\n{script}");
    let limit = if soaks() { 10 * limit } else { limit };
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", ENTER, "sh"]).arg(sysroot).args(prefix).args(["/bin/sh", "-c", &script]);
    run(command.env("PHILAE", support::PHILAE), "", limit)
}

fn soaks() -> bool {
    std::env::var_os("PHILAE_SOAK").is_some()
}

/// The guest's sysroot and the twin's, if what `name` names can run here.
fn sysroots(name: &str) -> Option<[PathBuf; 2]> {
    let both = ["arm64", "amd64"].map(|machine| root(&format!("target/real/sysroot-{machine}")));
    if !both.iter().all(|sysroot| sysroot.exists()) || std::env::consts::ARCH != "x86_64" {
        skip(name, "the sysroots were not fetched; tests/fetch-programs does it");
        return None;
    }
    if !Command::new("unshare").args(["-m", "true"]).status().is_ok_and(|status| status.success()) {
        skip(name, "a mount namespace needs root");
        return None;
    }
    Some(both)
}

/// A script of this folder, with what it shares with the other folder's of this name where it asks for that.
fn script(folder: &str, name: &str) -> String {
    let read = |folder: &str| fs::read_to_string(root(&format!("testdata/real/{folder}/{name}.sh"))).expect("a script");
    let script = read(folder);
    let shared = format!("\n. servers/{name}.sh\n");
    if script.contains(&shared) { script.replace(&shared, &format!("\n{}", read("servers"))) } else { script }
}

fn compare(name: &str, got: &Outcome, wanted: &Outcome, failures: &mut Failures) {
    if wanted.end == "timeout" || got.end != wanted.end {
        failures.add(name, &format!("ended with {}, wanted {}; errors:\n{}", got.end, wanted.end, got.stderr));
    }
    if got.stdout != wanted.stdout {
        failures.add(name, &format!("{}; errors:\n{}", difference(&got.stdout, &wanted.stdout), got.stderr));
    }
}

/// The script under Philae, with these options, does what it does natively.
fn alike(name: &str, options: &[&str]) {
    let Some([guest, twin]) = sysroots(name) else { return };
    let script = script("programs", name);
    let wanted = enter(&twin, &[], &script, LIMIT);
    let mut failures = Failures::default();
    let prefix = [&["/tmp/philae"], options].concat();
    for _ in 0..if soaks() && options.is_empty() { SOAK_RUNS } else { 1 } {
        compare(name, &enter(&guest, &prefix, &script, LIMIT), &wanted, &mut failures);
    }
    failures.check();
}

/// A server that is kept busy for minutes says under Philae what it says natively after seconds.
fn under_load(name: &str) {
    let Some([guest, twin]) = sysroots(name) else { return };
    let seconds = std::env::var("PHILAE_LOAD").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(LOAD);
    let script = script("load", name);
    let script = |seconds| format!("load={seconds}\n{script}");
    let limit = LIMIT + Duration::from_secs(seconds.into());
    let wanted = enter(&twin, &[], &script(NATIVE_LOAD), limit);
    let got = enter(&guest, &["/tmp/philae"], &script(seconds), limit);
    println!("{name} for {seconds} s: {}", got.stderr.lines().next_back().unwrap_or_default());
    let mut failures = Failures::default();
    compare(name, &got, &wanted, &mut failures);
    failures.check();
}

/// Short scripts in the other tiers.
macro_rules! short_programs {
    ($($(#[$attribute:meta])* $name:ident: $script:literal, $tier:literal;)*) => {
        $(
            #[test]
            $(#[$attribute])*
            fn $name() {
                alike($script, &["-tier", $tier]);
            }
        )*
    };
}

short_programs! {
    text_baseline: "text", "baseline";
    #[ignore = "slow: tests/run --soak"]
    text_cranelift: "text", "cranelift";
    #[ignore = "slow: tests/run --soak"]
    text_interp: "text", "interp";
    #[ignore = "slow: tests/run --soak"]
    bash_baseline: "bash", "baseline";
    #[ignore = "slow: tests/run --soak"]
    bash_cranelift: "bash", "cranelift";
    #[ignore = "slow: tests/run --soak"]
    bash_interp: "bash", "interp";
    #[ignore = "slow: tests/run --soak"]
    coreutils_baseline: "coreutils", "baseline";
    #[ignore = "slow: tests/run --soak"]
    coreutils_cranelift: "coreutils", "cranelift";
    #[ignore = "slow: tests/run --soak"]
    coreutils_interp: "coreutils", "interp";
    #[ignore = "slow: tests/run --soak"]
    git_baseline: "git", "baseline";
    #[ignore = "slow: tests/run --soak"]
    git_cranelift: "git", "cranelift";
    #[ignore = "slow: tests/run --soak"]
    git_interp: "git", "interp";
}

macro_rules! programs {
    ($($(#[$attribute:meta])* $name:ident: $script:literal;)*) => {
        $(
            #[test]
            $(#[$attribute])*
            fn $name() {
                alike($script, &[]);
            }
        )*
    };
}

programs! {
    bash: "bash";
    compress: "compress";
    coreutils: "coreutils";
    erlang: "erlang";
    #[ignore = "large packages: tests/run --soak"]
    gcc: "gcc";
    git: "git";
    #[ignore = "large packages: tests/run --soak"]
    go: "go";
    #[ignore = "large packages: tests/run --soak"]
    interpreters: "interpreters";
    #[ignore = "large packages: tests/run --soak"]
    java: "java";
    #[ignore = "large packages: tests/run --soak"]
    media: "media";
    nginx: "nginx";
    node: "node";
    #[ignore = "large packages: tests/run --soak"]
    numpy: "numpy";
    openssl: "openssl";
    perl: "perl";
    postgres: "postgres";
    python: "python";
    python_processes: "python-processes";
    redis: "redis";
    ripgrep: "ripgrep";
    #[ignore = "large packages: tests/run --soak"]
    sanitizers: "sanitizers";
    #[ignore = "large packages: tests/run --soak"]
    stress: "stress";
    text: "text";
}

/// The second stage of a minimal system in a copy of its first stage, the shell behind the words of `prefix`: without
/// /proc until it mounts it, and without anything that the host's kernel would start Philae by.
fn second_stage(machine: &str, prefix: &[&str]) -> Option<Outcome> {
    let first = root(&format!("target/real/foreign-{machine}"));
    if !first.exists() {
        skip(&format!("a minimal system of {machine}"), "tests/fetch-programs soak makes its first stage");
        return None;
    }
    let place = root(&format!("target/tmp/second-stage-{machine}"));
    let script = fs::read_to_string(root("testdata/real/second-stage.sh")).expect("a script");
    let enter = r#"place=$1 first=$2; shift 2
rm -rf "$place" && mkdir -p "$place" && cp -a "$first/." "$place" && cp "$PHILAE" "$place/philae" &&
env -i $(env | grep '^PHILAE_[A-Z]*=') PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 TZ=UTC chroot "$place" "$@"
status=$?; umount -l "$place/proc" "$place/sys" 2>/dev/null; rm -rf --one-file-system "$place"; exit $status"#;
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", enter, "sh"]).args([&place, &first]).args(prefix);
    Some(run(command.args(["/bin/sh", "-c", &script]).env("PHILAE", support::PHILAE), "", 6 * LIMIT))
}

/// debootstrap --foreign's second stage in a chroot, Philae the first process and binfmt_misc not used, comes to what it
/// comes to natively.
#[test]
#[ignore = "a whole system: tests/run --soak"]
fn debootstrap() {
    let name = "debootstrap's second stage";
    if sysroots(name).is_none() {
        return;
    }
    let Some(wanted) = second_stage("amd64", &[]) else { return };
    let Some(got) = second_stage("arm64", &["/philae"]) else { return };
    let mut failures = Failures::default();
    compare(name, &got, &wanted, &mut failures);
    failures.check();
}

#[test]
#[ignore = "ten minutes: tests/run --soak"]
fn nginx_under_load() {
    under_load("nginx");
}

#[test]
#[ignore = "ten minutes: tests/run --soak"]
fn postgres_under_load() {
    under_load("postgres");
}

#[test]
#[ignore = "ten minutes: tests/run --soak"]
fn redis_under_load() {
    under_load("redis");
}
