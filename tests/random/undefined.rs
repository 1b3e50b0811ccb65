//! What is an instruction and what is not: the aarch64 frontend against objdump, over the encoding space.
//!
//! In: random words outside the SVE and SME groups, and words that are one bit away from a row of the table. What must
//! hold: a word lifts if and only if binutils has a name for it that belongs to what Philae announces. [`OTHERS`] and
//! [`may_be_undefined`] say where they differ by right. Without aarch64-linux-gnu-objdump the test is skipped; `PHILAE_RANDOM` says how many
//! words (200,000; tests/run --soak: ten million), `PHILAE_RANDOM_SEED` where to start.

use crate::draw::Random;
use crate::number;
use philae_frontends::aarch64::{Class, classes};
use philae_frontends::{Shape, fetch_from, lift_region};
use philae_ir::{Arch, ExitReason, Terminator};
use std::collections::BTreeMap;
use std::process::Command;

/// Names of binutils that are no instruction here, by their beginning.
const OTHERS: &[&str] = &[
    // FEAT_MTE.
    "addg ",
    "subg ",
    "irg ",
    "gmi ",
    "subp",
    "stg",
    "stzg",
    "st2g ",
    "stz2g ",
    "ldg", // FEAT_MOPS.
    "cpy",
    "setp",
    "setm",
    "sete",
    "setgp",
    "setgm",
    "setge", // FEAT_CSSC.
    "umin w",
    "umin x",
    "umax w",
    "umax x",
    "smin w",
    "smin x",
    "smax w",
    "smax x",
    "ctz ",
    "cnt w",
    "cnt x",
    "abs w",
    "abs x", // FEAT_LS64, TME, SME, FEAT_HBC.
    "st64b",
    "ld64b",
    "tstart ",
    "ttest ",
    "tcommit",
    "tcancel ",
    "smst",
    "bc.",
    // For EL1 and above.
    "hvc ",
    "smc ",
    "dcps",
    "hlt ",
    "eret",
    "drps",
    "at ",
    "tlbi ",
    // FEAT_XS, FEAT_WFxT.
    "dsb oshnxs",
    "dsb nshnxs",
    "dsb ishnxs",
    "dsb synxs",
    "wfet ",
    "wfit ",
];

/// Where the manual leaves the outcome open, SIGILL among what it allows (Arm ARM K1.2): a load that writes a register
/// twice, or its base that it also updates; LDAR with a field that should be ones. And FMLAL with sz set, which is undefined (C7.2), but not to binutils.
fn may_be_undefined(word: u32, name: &str) -> bool {
    let field = |low: u32| word >> low & 31;
    let (t, n, t2) = (field(0), field(5), field(10));
    let long = name.starts_with("fmlal") || name.starts_with("fmlsl");
    name.starts_with("ldar") || name.starts_with("ld") && (t == t2 || t == n || t2 == n) || long && word >> 22 & 1 == 1
}

/// System registers and operations, which binutils takes all of: those of EL0 are in testdata/insn.
const SYSTEM: &[&str] = &["sys", "msr ", "mrs "];
/// Words in one call of objdump.
const BATCH: u64 = 200_000;

fn is_lifted(word: u32) -> bool {
    let bytes = word.to_le_bytes();
    let mut fetch = |pc: u64, buffer: &mut [u8]| fetch_from(&bytes, 0x1000, pc, buffer);
    let (region, _) = lift_region(Arch::Aarch64, 0x1000, Shape::Instruction, &mut fetch);
    let undefined = |end| matches!(end, Terminator::Exit { reason: ExitReason::Undefined, .. });
    !region.blocks.iter().any(|block| undefined(block.end))
}

/// A word of a group that is not SVE's, SME's or reserved; or one close to a row.
fn draw(classes: &[Class], random: &mut Random) -> u32 {
    let anything = random.next() as u32;
    if random.below(2) == 0 {
        return anything | [4 << 25, 5 << 25, 8 << 25, 12 << 25][random.below(4) as usize];
    }
    let class = classes[random.below(classes.len() as u64) as usize];
    let flipped = if random.below(3) == 0 { 0 } else { 1 << random.below(32) };
    (anything & !class.mask | class.value) ^ flipped
}

/// The names that objdump gives to words; an empty one where it has none.
fn names(words: &[u32]) -> Option<Vec<String>> {
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("words-{}", std::process::id()));
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    std::fs::write(&file, bytes).expect("a file of words");
    let flags = ["-D", "-z", "-b", "binary", "-m", "aarch64", "-M", "no-aliases"];
    let output = Command::new("aarch64-linux-gnu-objdump").args(flags).arg(&file).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut names = Vec::with_capacity(words.len());
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [_, word, name, ..] = fields.as_slice() else { continue };
        let Ok(word) = u32::from_str_radix(word.trim(), 16) else { continue };
        assert_eq!(word, words[names.len()], "objdump leaves words out");
        let rest = fields[3..].join(" ");
        let undefined = name.starts_with(".inst") || rest.contains("undefined");
        names.push(if undefined { String::new() } else { format!("{name} {rest}") });
    }
    let _ = std::fs::remove_file(file);
    (names.len() == words.len()).then_some(names)
}

#[test]
fn agrees_with_binutils() {
    let wanted = number("PHILAE_RANDOM").unwrap_or(200_000);
    let mut random = Random::new(number("PHILAE_RANDOM_SEED").unwrap_or(1));
    let classes: Vec<Class> = classes().collect();
    let mut differences: BTreeMap<String, (u64, u32)> = BTreeMap::new();
    let mut done = 0;
    while done < wanted {
        let words: Vec<u32> = (0..BATCH.min(wanted - done))
            .map(|_| draw(&classes, &mut random))
            .filter(|word| word >> 25 & 12 != 0)
            .collect();
        let Some(names) = names(&words) else { return println!("SKIP undefined words: no aarch64-linux-gnu-objdump") };
        done += words.len() as u64;
        for (&word, name) in words.iter().zip(&names) {
            if SYSTEM.iter().any(|system| name.starts_with(system)) {
                continue;
            }
            let other = OTHERS.iter().any(|other| name.starts_with(other));
            let defined = !name.is_empty() && !other;
            if is_lifted(word) != defined && !(defined && may_be_undefined(word, name)) {
                let class = philae_frontends::aarch64::class_of(word).map_or("no row", |class| class.name);
                let what = if defined { "not lifted" } else { "lifted" };
                let mnemonic = name.split(' ').next().unwrap_or("");
                let entry = differences.entry(format!("{what}: {mnemonic} ({class})")).or_insert((0, word));
                entry.0 += 1;
            }
        }
    }
    for (what, (count, word)) in &differences {
        println!("FAIL {what}: {count}, such as {word:08x}");
    }
    assert!(differences.is_empty(), "of {done} words");
}
