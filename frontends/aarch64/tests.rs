//! What the table promises: every row can be reached and lifted, what it makes is well formed, no word makes the
//! frontend panic, and a second decoder agrees that what is lifted is an instruction.

use super::Aarch64;
use super::decode::find;
use super::lift::{ROWS, Row};
use super::word::Word;
use crate::lift::{Decoded, Flow, Guest};
use crate::{Changes, Shape, fetch_from, lift_region};
use philae_ir::state::aarch64::X;
use philae_ir::{Arch, ExitReason, Op, Pc, Region, Terminator, verify};
use yaxpeax_arch::{Decoder, U8Reader};
use yaxpeax_arm::armv8::a64::{InstDecoder, Opcode};

mod calls;

const PC: u64 = 0x40_0000;

/// SplitMix64: good enough, and the same numbers everywhere.
struct Random(u64);

impl Random {
    fn word(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) as u32
    }

    /// A word that fits the row.
    fn of(&mut self, row: &Row) -> u32 {
        self.word() & !row.mask | row.value
    }
}

/// Reads code that lies at [`PC`].
fn reader(words: &[u32]) -> impl FnMut(u64, &mut [u8]) -> usize + use<> {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    move |pc, buffer| fetch_from(&bytes, PC, pc, buffer)
}

fn lift(words: &[u32]) -> Region {
    let mut fetch = reader(words);
    lift_region(Arch::Aarch64, PC, Shape::Block { limit: words.len(), changes: Changes::Announced }, &mut fetch).0
}

fn is_defined(word: u32) -> bool {
    let region = lift(&[word]);
    let undefined = |end: &Terminator| matches!(end, Terminator::Exit { reason: ExitReason::Undefined, .. });
    !region.blocks.iter().any(|block| undefined(&block.end))
}

fn flow(word: u32) -> Flow {
    match Aarch64::decode(PC, &word.to_le_bytes()) {
        Decoded::Insn { length: 4, flow, .. } => flow,
        other => panic!("{word:08x}: {other:?}"),
    }
}

#[test]
fn no_row_hides_another() {
    for (i, row) in ROWS.iter().enumerate() {
        let hides = |before: &&Row| before.mask & !row.mask == 0 && row.value & before.mask == before.value;
        assert!(!ROWS[..i].iter().any(|before| hides(&before)), "{row:?} is never reached");
    }
}

#[test]
fn index_finds_the_first_row_that_fits() {
    let mut random = Random(1);
    for _ in 0..20_000 {
        let word = random.word();
        let first = ROWS.iter().position(|row| word & row.mask == row.value);
        let found = find(Word(word)).map(|row| ROWS.iter().position(|other| std::ptr::eq(row, other)).unwrap());
        assert_eq!(found, first, "{word:08x}");
    }
}

#[test]
fn every_row_lifts_to_well_formed_regions() {
    let mut random = Random(2);
    for row in ROWS {
        let mut defined = 0;
        for _ in 0..64 {
            let word = random.of(row);
            let region = lift(&[word]);
            verify::verify(&region).unwrap_or_else(|error| panic!("{row:?} {word:08x}: {error}"));
            defined += usize::from(is_defined(word));
        }
        // System registers are many, and few of them exist.
        assert!(defined > 0 || matches!(row.name, "MRS" | "MSR (register)"), "{row:?} is never defined");
    }
}

#[test]
fn adrp_and_add_make_one_constant() {
    // adrp x0, .+0x1000; add x0, x0, #8; mov x29, sp.
    let region = lift(&[0xb000_0000, 0x9100_2000, 0x9100_03fd]);
    let sums = region.insts.iter().filter(|inst| inst.op == Op::Add).count();
    let written = region.insts.iter().rev().find(|inst| inst.op == Op::Set && inst.slot() == X[0]).unwrap();
    assert_eq!((sums, region.constant(written.args[0])), (0, Some(u128::from(PC + 0x1008))), "{region}");
}

#[test]
fn no_word_panics() {
    let mut random = Random(3);
    for i in 0..500_000 {
        lift(&[random.word()]);
        lift(&[random.of(&ROWS[i % ROWS.len()])]);
    }
}

/// Rows whose instructions the second decoder does not know, or not all of them.
const UNKNOWN_TO_OTHERS: [&str; 20] = [
    "BFCVT",
    "BFCVTN",
    "BFDOT (by element)",
    "BFDOT (vector)",
    "BFMLALB, BFMLALT (by element)",
    "BFMLALB, BFMLALT (vector)",
    "BFMMLA",
    "CNTD",
    "FMLAL (vector)",
    "FMLAL2 (vector)",
    "FMLSL (vector)",
    "FMLSL2 (vector)",
    "FRINT32X (vector)",
    "FRINT64X (vector)",
    "SMMLA",
    "SUDOT (by element)",
    "UMMLA",
    "USDOT (by element)",
    "USDOT (vector)",
    "USMMLA",
];

/// What a decoder written by others says: `None` if it refuses the word.
fn second_opinion(word: u32) -> Option<Opcode> {
    let bytes = word.to_le_bytes();
    let decoded = InstDecoder::default().decode(&mut U8Reader::new(&bytes));
    decoded.ok().map(|instruction| instruction.opcode).filter(|&opcode| opcode != Opcode::Invalid)
}

#[test]
fn what_is_lifted_is_an_instruction() {
    let mut random = Random(4);
    for row in ROWS.iter().filter(|row| !UNKNOWN_TO_OTHERS.contains(&row.name)) {
        for _ in 0..64 {
            let word = random.of(row);
            assert!(!is_defined(word) || second_opinion(word).is_some(), "{row:?} {word:08x}");
        }
    }
}

#[test]
fn flows() {
    assert_eq!(flow(0x1400_0002), Flow::Jump(PC + 8), "b .+8");
    assert_eq!(flow(0x17ff_ffff), Flow::Jump(PC - 4), "b .-4");
    assert_eq!(flow(0x5400_0040), Flow::Branch(PC + 8), "b.eq .+8");
    assert_eq!(flow(0xb4ff_ffe0), Flow::Branch(PC - 4), "cbz x0, .-4");
    assert_eq!(flow(0x3500_0041), Flow::Branch(PC + 8), "cbnz w1, .+8");
    assert_eq!(flow(0xb607_fffe), Flow::Branch(PC - 4), "tbz x30, #32, .-4");
    assert_eq!(flow(0x3700_0040), Flow::Branch(PC + 8), "tbnz w0, #0, .+8");
    assert_eq!(flow(0x9400_0002), Flow::Call(PC + 8), "bl .+8");
    for returns in [0xd65f_03c0, 0xd65f_0bff, 0xd65f_0fff] {
        assert_eq!(flow(returns), Flow::Return, "{returns:08x}");
    }
    for computed in [0xd61f_0000, 0xd63f_0000, 0xd71f_0801] {
        assert_eq!(flow(computed), Flow::Computed, "{computed:08x}");
    }
    for leaves in [0xd400_0001, 0xd420_0000, 0xd50b_7520] {
        assert_eq!(flow(leaves), Flow::Leave, "{leaves:08x}");
    }
    for next in [0xd503_201f, 0xd50b_7421, 0xd53b_d040, 0x8b02_0020, 0xf940_0020, 0x1e62_2820] {
        assert_eq!(flow(next), Flow::Next, "{next:08x}");
    }
}

#[test]
fn truncated_words_ask_for_more() {
    assert!(matches!(Aarch64::decode(PC, &[0x1f, 0x20, 0x03]), Decoded::Truncated));
}

/// Reserved encodings, instructions of features that the guest is not told of, and those that decoders get wrong.
#[test]
fn undefined_words() {
    let words = [
        (0x0000_0000, "udf #0"),
        (0x5280_0000 | 3 << 21, "movz w0, #0, lsl #48"),
        (0x1240_0000, "and w0, w0 with N set"),
        (0x9240_fc00, "and x0, x0 with imms all ones"),
        (0x8b20_1400, "add x0, x0, w0, uxtb #5"),
        (0x8bc0_0000, "add x0, x0, x0, ror #0"),
        (0x0b00_8000, "add w0, w0, w0, lsl #32"),
        (0x1340_0000, "sbfm w0 with N set"),
        (0xf840_0c00, "ldr x0, [x0, #0]!"),
        (0xa8c1_0000, "ldp x0, x0, [x0], #16"),
        (0x4820_7c01, "casp with an odd register"),
        (0x0ee2_8420, "add v0.1d"),
        (0x4ee2_9c20, "mul v0.2d"),
        (0x6880_131d, "stgp"),
        (0x9180_0000, "addg"),
        (0xd180_0000, "subg"),
        (0xd503_323f, "dsb nXS"),
        (0xd503_1000, "wfet"),
        (0xd53b_2440, "mrs x0, s3_3_c2_c4_2"),
        (0xd440_0000, "hlt"),
        (0xd400_0002, "hvc"),
        (0x04a0_e3e0, "cntw x0"),
        (0x2e02_c420, "fcmla v0.8b"),
        (0x2ec2_c420, "fcmla v0.1d"),
        (0x2f42_1820, "fcmla v0.4h by an element above the half"),
        (0x2f82_1020, "fcmla v0.2s by element"),
        (0x2e02_8420, "sqrdmlah v0.8b"),
        (0x6ec2_8420, "sqrdmlah v0.2d"),
        (0x1ee8_4020, "frint32z h0, h1"),
        (0x1ea2_2820, "fadd of format 2"),
        (0xdac1_3c00, "autdzb under a register"),
        (0xdac1_4400, "xpacd under a register"),
        (0xd980_0000, "ldapurs of 64 bits"),
        (0x99c0_0000, "ldapurs of 32 bits into a W register"),
    ];
    for (word, text) in words {
        assert!(!is_defined(word), "{text}: {word:08x}");
    }
    assert!(is_defined(0x04e0_e3e0), "cntd x0, which libgcc's unwinder has");
}

#[test]
fn jumps_through_a_linkers_pointer_are_expected() {
    // adrp x16, PC + 0x1000; ldr x17, [x16, #24]; add x16, x16, #24; br x17, and a return where the pointer points.
    let words = [0xb000_0010, 0xf940_0e11, 0x9100_6210, 0xd61f_0220, 0xd65f_03c0];
    let lifted = |pointed: Option<u64>| {
        let pointer = |at: u64| pointed.filter(|_| at == (PC & !0xfff) + 0x1018);
        let shape = Shape::Graph {
            limit: 20,
            wanted: &|_| true,
            called: &|_| false,
            ends: &|_, _| false,
            pointer: &pointer,
            went: &|_| None,
        };
        let (region, coverage) = lift_region(Arch::Aarch64, PC, shape, &mut reader(&words));
        let jumps = region.blocks.iter().map(|block| block.end);
        let computed = |end| matches!(end, Terminator::Exit { reason: ExitReason::Jump, pc: Pc::Dynamic(_), .. });
        (coverage.instructions, jumps.filter(|&end| computed(end)).count(), region.blocks.len() > 1)
    };
    assert_eq!(lifted(None), (4, 1, false));
    assert_eq!(lifted(Some(PC + 16)), (5, 1, true));
}

#[test]
fn computed_jumps_go_on_where_they_went() {
    // br x1, or ret; and a return that it went to.
    let lifted = |jump: u32, went: Option<u64>| {
        let words = [jump, 0xd503_201f, 0xd65f_03c0];
        let went = |at: u64| went.filter(|_| at == PC);
        let shape = Shape::Graph {
            limit: 20,
            wanted: &|at| at == PC + 8,
            called: &|_| false,
            ends: &|_, _| false,
            pointer: &|_| None,
            went: &went,
        };
        let (region, coverage) = lift_region(Arch::Aarch64, PC, shape, &mut reader(&words));
        let computed = |end| matches!(end, Terminator::Exit { pc: Pc::Dynamic(_), .. });
        (coverage.instructions, region.blocks.iter().filter(|block| computed(block.end)).count())
    };
    for jump in [0xd61f_0020, 0xd63f_0020, 0xd65f_03c0] {
        assert_eq!(lifted(jump, None), (1, 1), "{jump:08x}");
        assert_eq!(lifted(jump, Some(PC + 4)), (1, 1), "{jump:08x} to where nothing is worth while");
        assert_eq!(lifted(jump, Some(PC + 8)), (2, 2), "{jump:08x}");
    }
    assert_eq!(lifted(0xd400_0001, Some(PC + 8)).0, 1, "svc");
}
