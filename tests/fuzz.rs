//! The check of tests/fuzz/check.rs on random inputs, a second for each guest; `FUZZ_SECONDS` says how long instead,
//! and `PHILAE_SOAK=1` means 600 seconds.
//!
//! A test runs the check in a process of its own, because what it looks for may end or hang it: this program again,
//! with `PHILAE_FUZZ_FILE` as the name of a file that always holds the seed of the current input. A failure is told
//! with its seed, and `FUZZ_SEED` repeats it. Runs of one second use the same seeds each time, longer ones new ones.

#[path = "fuzz/check.rs"]
mod check;
#[path = "fuzz/inputs.rs"]
mod inputs;
#[path = "support/sandbox.rs"]
mod sandbox;
#[path = "fuzz/state.rs"]
mod state;

use inputs::Inputs;
use philae_ir::Arch;
use std::env;
use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::panic::{catch_unwind, set_hook, take_hook};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long one input may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// The variable that tells a process what it is.
const FILE: &str = "PHILAE_FUZZ_FILE";

#[test]
fn aarch64() {
    fuzz(Arch::Aarch64, "aarch64");
}

#[test]
fn x86_64() {
    fuzz(Arch::X86_64, "x86_64");
}

/// FCCMPE whose flags nobody looks at, but for a negation that nobody looks at either.
#[test]
fn comparison_whose_user_is_not_executed() {
    let head = [0x06, 0xfb, 0xd6, 0x1e, 0x54, 0x60, 0x7a, 0x9e, 0x8a];
    let words: [u32; 7] = [0x3748_00a5, 0x1ee2_0430, 0xdac1_2be1, 0xf820_2c6c, 0x5a82_b000, 0x3303_1c20, 0xf142_0420];
    let code = words.iter().flat_map(|word| word.to_le_bytes());
    check::check(&head.into_iter().chain(code).collect::<Vec<u8>>());
}

/// A comparison that is used only by a block that stands before it, although it runs after it. Its operands are wanted
/// where it stands.
const COMPARED_FOR_AN_EARLIER_BLOCK: &str = "region aarch64 0x5000000
b0:
  jump b2
b1:
  set.i8 x3 v7
  exit jump 0x5000004
b2:
  v0 = get.i64 x0
  v1 = get.i64 x1
  v2 = add.i64 v0 v1
  v3 = add.i64 v0 v0
  set.i64 x4 v3
  v4 = add.i64 v1 v1
  set.i64 x5 v4
  v5 = sub.i64 v0 v1
  set.i64 x6 v5
  v6 = sub.i64 v1 v0
  set.i64 x7 v6
  v7 = icmp.i64 ult v1 v2
  jump b1
";

#[test]
fn comparison_for_an_earlier_block() {
    check_text(COMPARED_FOR_AN_EARLIER_BLOCK, 1..2);
}

/// Values that blocks write to registers which stand before those that make them, and run after them: they are not made
/// in these registers, which other blocks look at.
const WRITTEN_BY_AN_EARLIER_BLOCK: &str = "region aarch64 0x5000000
b0:
  jump b3
b1:
  set.i64 x1 v2
  v7 = zext.i64 v4
  set.i64 x2 v7
  exit jump 0x5000004
b2:
  exit jump 0x5000008
b3:
  v0 = get.i64 x0
  v1 = get.i64 x3
  v2 = add.i64 v0 v1
  v3 = get.i32 x0
  v4 = neg.i32 v3
  v5 = trunc.i8 v0
  v6 = const.i8 0x1
  v8 = and.i8 v5 v6
  branch v8 b1 b2
";

#[test]
fn written_by_an_earlier_block() {
    check_text(WRITTEN_BY_AN_EARLIER_BLOCK, 1..20);
}

/// Flags of one block that get another carry in the next: what they come from is not to be had there.
const CARRY_FOR_ANOTHER_BLOCK: &str = "region aarch64 0x5000000
b0:
  v0 = get.i64 x0
  v1 = const.i64 0x48
  v2 = add.i64 v0 v1
  set.i64 x0 v2
  v3 = flags_add.i64 v0 v1
  v4 = get.i64 x1
  v5 = trunc.i8 v4
  v6 = const.i8 0x1
  v7 = and.i8 v5 v6
  v8 = flags_test vc v3
  branch v8 b1 b2
b1:
  v9 = flags_with_c v3 v7
  set.flags nzcv v9
  exit jump 0x5000004
b2:
  set.flags nzcv v3
  exit jump 0x5000008
";

#[test]
fn carry_for_another_block() {
    check_text(CARRY_FOR_ANOTHER_BLOCK, 1..20);
}

/// A loop that passes the carry of a sum on to its next round, as long arithmetic does; the first round finds that of a
/// difference.
const CARRY_ROUND_A_LOOP: &str = "region aarch64 0x5000000
b0:
  v0 = get.i64 x0
  v1 = const.i64 0x7
  v2 = and.i64 v0 v1
  v3 = const.i64 0x1
  v4 = or.i64 v2 v3
  set.i64 x0 v4
  v5 = get.i64 x1
  v6 = get.i64 x2
  v7 = flags_sub.i64 not_borrow v5 v6
  set.flags nzcv v7
  jump b1
b1:
  v8 = get.flags nzcv
  v9 = flags_test cs v8
  v10 = get.i64 x3
  v11 = get.i64 x4
  v12 = add.i64 v10 v11
  v13 = select.i64 v9 v12 v11
  set.i64 x3 v13
  v14 = flags_add.i64 v12 v11
  set.flags nzcv v14
  v15 = get.i64 x0
  v16 = const.i64 0x1
  v17 = sub.i64 v15 v16
  set.i64 x0 v17
  v18 = const.i64 0x0
  v19 = icmp.i64 ne v17 v18
  branch v19 b2 b4
b2:
  v20 = poll_pending
  branch v20 b3 b1
b3:
  exit interrupted 0x5000000
b4:
  exit jump 0x5000004
";

#[test]
fn carry_round_a_loop() {
    check_text(CARRY_ROUND_A_LOOP, 1..50);
}

/// Checks a region that is written down, from the states that the seeds make.
fn check_text(text: &str, seeds: Range<u64>) {
    let region = philae_ir::text::parse(text, &[]).expect("a region");
    philae_ir::verify::verify(&region).expect("a region that verifies");
    seeds.for_each(|seed| check::check_region(&region, seed));
}

/// The number in a variable.
fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok()?.parse().ok()
}

/// Starts the process that checks, and sees it to its end. `name` is that of the test.
fn fuzz(arch: Arch, name: &str) {
    if let Some(file) = env::var_os(FILE) {
        return check_inputs(arch, &File::create(file).expect("the seed's file"));
    }
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{name}-{}", std::process::id()));
    let output = path.with_extension("output");
    let file = File::create(&output).expect("the output's file");
    let mut child = Command::new(env::current_exe().expect("this program"))
        .args([name, "--exact", "--nocapture"])
        .env(FILE, &path)
        .stdin(Stdio::null())
        .stdout(file.try_clone().expect("the output's file"))
        .stderr(file)
        .spawn()
        .expect("this program starts");
    let (mut seed, mut since) = (0, Instant::now());
    let end = loop {
        if let Some(status) = child.try_wait().expect("wait") {
            break if status.success() { Ok(()) } else { Err(status.to_string()) };
        }
        let now = current_seed(&path);
        if now != seed {
            (seed, since) = (now, Instant::now());
        }
        if since.elapsed() > PATIENCE {
            child.kill().expect("kill");
            child.wait().expect("wait");
            break Err("it takes too long".to_owned());
        }
        thread::sleep(Duration::from_millis(20));
    };
    let seed = current_seed(&path);
    let said = fs::read_to_string(&output).unwrap_or_default();
    for file in [&path, &output] {
        fs::remove_file(file).expect("a file of ours");
    }
    match end {
        Ok(()) => said.lines().filter(|line| line.starts_with("fuzz: ")).for_each(|line| println!("{line}")),
        Err(end) => {
            let input = Inputs::read(arch).make(seed);
            panic!("{end}, FUZZ_SEED={seed}, input {input:02x?}\n{said}");
        }
    }
}

/// The seed in the file, 0 before there is one.
fn current_seed(path: &Path) -> u64 {
    fs::read(path).ok().and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes)
}

/// Checks input after input while the time lasts.
fn check_inputs(arch: Arch, file: &File) {
    let inputs = Inputs::read(arch);
    if let Some(seed) = number("FUZZ_SEED") {
        return check::check(&inputs.make(seed));
    }
    let soak = env::var_os("PHILAE_SOAK").map(|_| 600);
    let longer = number("FUZZ_SECONDS").or(soak);
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    let first = longer.map_or(1, |_| since_epoch.as_secs() << 24);
    let limit = Duration::from_secs(longer.unwrap_or(1));
    let start = Instant::now();
    let mut seed = first;
    while start.elapsed() < limit {
        file.write_all_at(&seed.to_le_bytes(), 0).expect("the seed's file");
        let input = inputs.make(seed);
        if catch_unwind(|| check::check(&input)).is_err() {
            check_smaller(&inputs, input);
        }
        seed += 1;
    }
    let count = seed - first;
    println!("fuzz: {}: {count} inputs, {:.0} a second", arch.name(), count as f64 / start.elapsed().as_secs_f64());
}

/// Leaves out of a failing input what can be left out, and fails with the rest.
fn check_smaller(inputs: &Inputs, mut input: Vec<u8>) {
    let hook = take_hook();
    set_hook(Box::new(|_| {}));
    let fails = |input: &Vec<u8>| catch_unwind(|| check::check(input)).is_err();
    while let Some(smaller) = inputs.smaller(&input).into_iter().find(fails) {
        input = smaller;
    }
    set_hook(hook);
    check::check(&input);
    panic!("an input fails, and does not when checked again");
}
