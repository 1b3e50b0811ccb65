//! Inputs for the check that are mostly valid instructions: those of testdata/insn, changed at random.
//!
//! In: a guest, a seed. Out: an input as tests/fuzz/check.rs reads it, and smaller ones of the same kind.

use crate::check::HEAD;
use crate::state::Random;
use philae_ir::Arch;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The most instructions of an input.
const INSTRUCTIONS: usize = 24;

/// The encodings that inputs are made of.
pub(crate) struct Inputs {
    arch: Arch,
    encodings: Vec<Vec<u8>>,
}

impl Inputs {
    /// Reads the encodings of this guest's lines.
    pub(crate) fn read(arch: Arch) -> Inputs {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/insn").join(arch.name());
        let mut encodings = BTreeSet::new();
        for entry in fs::read_dir(&folder).expect("testdata/insn") {
            let text = fs::read_to_string(entry.expect("testdata/insn").path()).expect("an .insn file");
            encodings.extend(text.lines().filter_map(encoding));
        }
        assert!(encodings.len() > 500, "{}: {} encodings", folder.display(), encodings.len());
        Inputs { arch, encodings: encodings.into_iter().collect() }
    }

    /// The input of this seed.
    pub(crate) fn make(&self, seed: u64) -> Vec<u8> {
        let mut random = Random::new(seed);
        let guest = match self.arch {
            Arch::Aarch64 => 0,
            Arch::X86_64 => 1,
        };
        let mut input = vec![random.next() as u8 & !1 | guest];
        input.extend(random.next().to_le_bytes());
        for _ in 0..1 + random.below(INSTRUCTIONS) {
            let from = &self.encodings[random.below(self.encodings.len())];
            match self.arch {
                Arch::Aarch64 => aarch64(&mut random, from, &mut input),
                Arch::X86_64 => x86_64(&mut random, from, &mut input),
            }
        }
        input
    }

    /// Inputs that are this one with something left out.
    pub(crate) fn smaller(&self, input: &[u8]) -> Vec<Vec<u8>> {
        let unit = match self.arch {
            Arch::Aarch64 => 4,
            Arch::X86_64 => 1,
        };
        let code = input.len() - HEAD;
        let lengths = [16, 8, 4, 3, 2, 1].map(|units| units * unit);
        let cuts = lengths.into_iter().filter(|&length| length <= code);
        let cuts = cuts.flat_map(|length| (0..=code - length).step_by(unit).map(move |start| (start, length)));
        cuts.map(|(start, length)| [&input[..HEAD + start], &input[HEAD + start + length..]].concat()).collect()
    }
}

/// The bytes in brackets at the start of a line.
fn encoding(line: &str) -> Option<Vec<u8>> {
    let (bytes, _) = line.strip_prefix('[')?.split_once(']')?;
    bytes.split(' ').map(|byte| u8::from_str_radix(byte, 16).ok()).collect()
}

/// The words of a line with other registers, sometimes other bits; or a branch to nearby.
fn aarch64(random: &mut Random, from: &[u8], input: &mut Vec<u8>) {
    if random.one_in(8) {
        return input.extend(aarch64_branch(random).to_le_bytes());
    }
    for word in from.chunks_exact(4) {
        let mut word = u32::from_le_bytes(word.try_into().expect("four bytes"));
        for field in [0, 5, 10, 16] {
            if random.one_in(3) {
                // Few registers, so that instructions meet each other's results.
                let register = if random.one_in(4) { random.below(32) } else { random.below(6) };
                word = word & !(31 << field) | (register as u32) << field;
            }
        }
        if random.one_in(4) {
            word ^= 1 << random.below(32);
        }
        if random.one_in(40) {
            word = random.next() as u32;
        }
        input.extend(word.to_le_bytes());
    }
}

/// B, B.cond, CBZ, CBNZ, TBZ or TBNZ, a few instructions forward or back.
fn aarch64_branch(random: &mut Random) -> u32 {
    let distance = random.below(16) as i32 - 6;
    let (near, random_bits) = ((distance as u32 & 0x7ffff) << 5, random.next() as u32);
    match random.below(5) {
        0 => 0x1400_0000 | distance as u32 & 0x3ff_ffff,
        1 | 2 => 0x5400_0000 | near | random_bits & 15,
        3 => 0x3400_0000 | near | random_bits & 0x8100_0007,
        _ => 0x3600_0000 | near & 0x7ffe0 | random_bits & 0x81f8_0007,
    }
}

/// The bytes of a line, sometimes with a prefix or other bits; or a branch to nearby.
fn x86_64(random: &mut Random, from: &[u8], input: &mut Vec<u8>) {
    if random.one_in(8) {
        let opcode = random.pick(&[0xeb, 0xe0, 0xe1, 0xe2, 0xe3, 0x70, 0x70, 0x70, 0x70, 0x70]);
        let condition = if opcode == 0x70 { random.below(16) as u8 } else { 0 };
        return input.extend([opcode + condition, (random.below(40) as i32 - 20) as u8]);
    }
    let start = input.len();
    if random.one_in(16) {
        input.push(random.pick(&[0x66, 0xf2, 0xf3, 0xf0, 0x64, 0x65, 0x67, 0x40, 0x41, 0x44, 0x48, 0x4f]));
    }
    input.extend(from);
    if random.one_in(3) {
        let place = start + random.below(input.len() - start);
        input[place] ^= 1 << random.below(8);
    }
    if random.one_in(40) {
        input.push(random.next() as u8);
    }
}
