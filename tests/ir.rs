//! The middle of the pipeline: text that prints and parses, passes that do what their files say, and random
//! regions that behave the same before and after them.
//!
//! `testdata/ir/<pass>.ir` holds cases: a title after `==` (with `| exact` where state has to be exact), a region,
//! `--`, and what the pass makes of it. `BLESS=1` rewrites the second half. `FUZZ_SECONDS` is how long random regions run.

#[path = "ir/faults.rs"]
mod faults;
#[path = "ir/random.rs"]
mod random;

use philae_backends::interp::Interpreter;
use philae_ir::opt::{Exactness, PASSES, optimise};
use philae_ir::text::parse;
use philae_ir::verify::verify;
use philae_ir::{CpuState, ExitReason, Helper, HelperEffect, Region, Ty};
use std::path::PathBuf;

static STATE_HELPER: Helper = Helper {
    name: "test_state",
    operands: 1,
    result: Ty::I64,
    effect: HelperEffect::State,
    function: |_, [a, _, _]| a + 1,
};

static PURE_HELPER: Helper =
    Helper { name: "test_pure", operands: 1, result: Ty::I64, effect: HelperEffect::Pure, function: |_, [a, _, _]| a };

fn read(text: &str, what: &str) -> Region {
    let region = parse(text, &[&STATE_HELPER, &PURE_HELPER]).unwrap_or_else(|error| panic!("{what}: {error}\n{text}"));
    verify(&region).unwrap_or_else(|error| panic!("{what}: {error}\n{text}"));
    region
}

/// Runs the pass of this name, or all of them.
fn run_pass(name: &str, region: &mut Region, exactness: Exactness) {
    match PASSES.iter().find(|pass| pass.name == name) {
        Some(pass) => (pass.run)(region, exactness),
        None if name == "optimise" => optimise(region, exactness),
        None => panic!("testdata/ir/{name}.ir: no such pass"),
    }
}

/// What the file says after its cases are rewritten, and how many do not say that now.
fn bless_file(pass: &str, text: &str) -> (String, Vec<String>) {
    let (head, rest) = text.split_once("== ").unwrap_or((text, ""));
    let (mut blessed, mut wrong) = (head.to_owned(), Vec::new());
    for case in rest.split("\n== ") {
        let (title, body) = case.split_once('\n').expect("a case has a body");
        let (before, after) = body.split_once("\n--\n").unwrap_or((body.trim_end(), ""));
        let exactness = if title.ends_with("| exact") { Exactness::Exact } else { Exactness::Relaxed };
        let mut region = read(before, title);
        assert_eq!(region.to_string().trim_end(), before.trim_end(), "{title}: printing is not parsing reversed");
        run_pass(pass, &mut region, exactness);
        let made = region.to_string();
        assert_eq!(read(&made, title).to_string(), made, "{title}: printing is not parsing reversed");
        if made.trim_end() != after.trim_end() {
            wrong.push(format!("{pass}: {title}\n--- expected\n{after}\n--- made\n{made}"));
        }
        blessed += &format!("== {title}\n{}\n--\n{made}\n", before.trim_end());
    }
    (blessed.trim_end().to_owned() + "\n", wrong)
}

#[test]
fn passes_do_what_their_files_say() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/ir");
    let mut wrong = Vec::new();
    for entry in std::fs::read_dir(&folder).expect("testdata/ir is there") {
        let path = entry.expect("the folder can be read").path();
        let pass = path.file_stem().and_then(|stem| stem.to_str()).expect("names are text").to_owned();
        let text = std::fs::read_to_string(&path).expect("the file can be read");
        let (blessed, differences) = bless_file(&pass, &text);
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&path, blessed).expect("the file can be written");
        } else {
            wrong.extend(differences);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// How a run ended: why, and every word of state and of memory.
#[derive(PartialEq, Debug)]
struct Outcome {
    exit: philae_backends::Exit,
    slots: Vec<(&'static str, u128)>,
    memory: Vec<u64>,
}

fn outcome(region: &Region, seed: u64, memory: &mut [u64]) -> Outcome {
    let mut random = random::Random(seed);
    memory.fill_with(|| random.interesting());
    let mut cpu = CpuState::default();
    random::fill_state(&mut random, region.arch, &mut cpu, memory.as_mut_ptr() as u64);
    let exit = Interpreter::default().run(region, &mut cpu);
    let slots = random::guest_slots(region.arch).map(|info| (info.name, cpu.get128(info.slot) & info.ty.mask()));
    // The region knew where the memory is, which the compiler of this test does not.
    Outcome { exit, slots: slots.collect(), memory: std::hint::black_box(memory).to_vec() }
}

#[test]
fn passes_keep_the_meaning_of_random_regions() {
    faults::recover();
    let seconds = std::env::var("FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let start = std::time::Instant::now();
    let mut memory = vec![0; random::MEMORY_WORDS];
    let mut seed = 1;
    while start.elapsed().as_secs() < seconds || seed < 100 {
        let before = random::region(seed, &PURE_HELPER);
        verify(&before).unwrap_or_else(|error| panic!("seed {seed}: {error}\n{before}"));
        assert_eq!(read(&before.to_string(), "round trip").to_string(), before.to_string(), "seed {seed}");
        for exactness in [Exactness::Exact, Exactness::Relaxed] {
            let mut after = before.clone();
            optimise(&mut after, exactness);
            for run in 0..4 {
                let expected = outcome(&before, seed << 8 | run, &mut memory);
                let mut found = outcome(&after, seed << 8 | run, &mut memory);
                // Where an access faults, relaxed state may be out of date; memory may not.
                let out_of_date = exactness == Exactness::Relaxed && expected.exit.reason == ExitReason::Fault;
                if out_of_date {
                    found.slots.clone_from(&expected.slots);
                }
                assert!(expected == found, "seed {seed}, {exactness:?}\n{before}\n{after}\n{expected:?}\n{found:?}");
            }
        }
        seed += 1;
    }
}
