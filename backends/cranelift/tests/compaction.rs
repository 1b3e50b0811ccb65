//! Machine code that is made shorter: instruction by instruction, and whole functions.

use super::*;
use crate::compiled::{ExitSite, Relocation};
use crate::cranelift::compaction::{Compact, Input, LINE, compact};
use crate::cranelift::exits::POLL;
use crate::cranelift::instructions::{Flow, instruction};
use philae_ir::Ty;
use philae_ir::state::aarch64;
use rustc_hash::{FxHashMap, FxHashSet};

/// The bytes that hexadecimal digits say.
fn bytes(text: &str) -> Vec<u8> {
    text.split(' ').map(|byte| u8::from_str_radix(byte, 16).expect("a byte")).collect()
}

#[test]
fn instructions_end_where_they_end() {
    let whole = [
        "48 8b 57 70",                   // mov rdx, [rdi + 112]
        "4c 8b 0c ce",                   // mov r9, [rsi + rcx * 8]
        "4a 8d 54 22 d0",                // lea rdx, [rdx + r12 - 48]
        "49 81 c2 01 00 00 00",          // add r10, 1
        "66 81 c1 01 00",                // add cx, 1
        "48 be 00 19 c8 fc be 7f 00 00", // mov rsi, 0x7fbefcc81900
        "b8 30 00 00 00",                // mov eax, 48
        "66 b8 30 00",                   // mov ax, 48
        "c7 47 40 30 05 00 00",          // mov dword [rdi + 64], 0x530
        "66 c7 07 01 00",                // mov word [rdi], 1
        "c6 07 01",                      // mov byte [rdi], 1
        "f6 c1 01",                      // test cl, 1
        "f7 c1 01 00 00 00",             // test ecx, 1
        "48 f7 e1",                      // mul rcx
        "41 83 fb 2d",                   // cmp r11d, 45
        "4c 0f b6 5c 24 01",             // movzx r11, byte [rsp + 1]
        "f3 48 0f b8 c1",                // popcnt rax, rcx
        "f0 48 0f b1 0f",                // lock cmpxchg [rdi], rcx
        "48 0f ba e0 1f",                // bt rax, 31
        "0f c8",                         // bswap eax
        "66 0f 70 c1 4e",                // pshufd xmm0, xmm1, 0x4e
        "66 0f 38 00 c1",                // pshufb xmm0, xmm1
        "66 0f 3a 0f c1 04",             // palignr xmm0, xmm1, 4
        "c5 f8 57 c0",                   // vxorps xmm0, xmm0, xmm0
        "c5 f9 70 c1 4e",                // vpshufd xmm0, xmm1, 0x4e
        "c4 e2 71 b8 d0",                // vfmadd231ps xmm2, xmm1, xmm0
        "c4 c3 7b f0 c8 0b",             // rorx ecx, r8d, 11
        "62 f1 75 08 72 e0 03",          // vpsrad xmm1, xmm0, 3
        "ff d1",                         // call rcx
    ];
    let ends = ["c3", "0f 0b", "41 ff e2", "ff 66 08"];
    for (list, flow) in [(&whole[..], Flow::Next), (&ends[..], Flow::Elsewhere)] {
        for text in list {
            let mut code = bytes(text);
            let length = code.len();
            code.extend([0xff; 8]);
            let found = instruction(&code).unwrap_or_else(|| panic!("{text} is not known"));
            assert_eq!((found.length, found.flow, found.rip), (length, flow, None), "{text}");
            assert_eq!(instruction(&code[..length - 1]), None, "{text} without its end");
        }
    }
    let flows = [
        ("0f 84 0a 00 00 00", Flow::Branch(4, 10)),
        ("75 fe", Flow::Branch(5, -2)),
        ("e9 f6 ff ff ff", Flow::Jump(-10)),
        ("eb 10", Flow::Jump(16)),
    ];
    for (text, flow) in flows {
        assert_eq!(instruction(&bytes(text)).map(|found| found.flow), Some(flow), "{text}");
    }
    let constant = instruction(&bytes("48 3b 05 95 01 00 00")).map(|found| (found.length, found.rip));
    assert_eq!(constant, Some((7, Some(3))), "cmp rax, [rip + 0x195]");
    assert_eq!(instruction(&bytes("06")), None, "undefined in 64-bit mode");
}

fn compacted(code: &[u8]) -> Compact {
    compacted_with(code, &FxHashSet::default())
}

fn compacted_with(code: &[u8], operands: &FxHashSet<usize>) -> Compact {
    let input = Input { bytes: code, entry: 0, operands, never_taken: &FxHashMap::default(), counter: None, lead: 0 };
    compact(&input).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn loads_become_operands_of_the_next_instruction() {
    let cases = [
        ("4c 8b 0c ce 4d 3b c1", "4c 3b 04 ce"), // mov r9, [rsi + rcx * 8]; cmp r8, r9
        ("4d 8b 4c cd 10 49 3b c1", "49 3b 44 cd 10"), // mov r9, [r13 + rcx * 8 + 16]; cmp rax, r9
        ("44 8b 4f b0 41 23 c9", "23 4f b0"),    // mov r9d, [rdi - 80]; and ecx, r9d
        ("8b 77 b0 44 23 c6", "44 23 47 b0"),    // mov esi, [rdi - 80]; and r8d, esi
        ("44 8b 4f a0 45 85 c9", "83 7f a0 00"), // mov r9d, [rdi - 96]; test r9d, r9d
        ("49 8b 4d 00 48 85 c9", "49 83 7d 00 00"), // mov rcx, [r13]; test rcx, rcx
        ("8b 77 b0 85 f7", "8b 77 b0 85 f7"),    // a test of two
        ("8b 77 b0 48 3b c6", "8b 77 b0 48 3b c6"), // of other widths
        ("8b 77 b0 3b f0", "8b 77 b0 3b f0"),    // the other operand
        ("8b f7 3b c6", "8b f7 3b c6"),          // no load
    ];
    for (before, after) in cases {
        let [before, after] = [before, after].map(|text| bytes(&format!("{text} c3")));
        assert_eq!(compacted_with(&before, &FxHashSet::from_iter([0])).bytes, after);
        assert_eq!(compacted(&before).bytes, before, "not said to be one");
    }
}

#[test]
fn constants_take_as_few_bytes_as_they_can() {
    let cases = [
        ("48 81 c2 08 00 00 00", "48 83 c2 08"),             // add rdx, 8
        ("81 e1 80 ff ff ff", "83 e1 80"),                   // and ecx, -128
        ("49 81 7c 24 08 7f 00 00 00", "49 83 7c 24 08 7f"), // cmp qword [r12 + 8], 127
        ("48 81 ea 80 00 00 00", "48 81 ea 80 00 00 00"),    // sub rdx, 128
        ("66 81 c2 08 00", "66 81 c2 08 00"),                // add dx, 8
        ("c7 47 40 01 00 00 00", "c7 47 40 01 00 00 00"),    // mov dword [rdi + 64], 1
    ];
    for (before, after) in cases {
        let [before, after] = [before, after].map(|text| bytes(&format!("{text} c3")));
        assert_eq!(compacted(&before).bytes, after);
    }
}

#[test]
fn what_nothing_leads_to_is_left_out() {
    // test eax, eax; jz to the loop's end; a jump through a slot, and what was behind it; jmp to the start; ret.
    let slot = "48 be 10 32 54 76 00 00 00 00 ff 66 08";
    let code = bytes(&format!("85 c0 0f 84 15 00 00 00 {slot} 08 48 89 ec 5d 41 ff e2 e9 de ff ff ff c3"));
    let done = compacted(&code);
    // The distance of the jump through the slot is in one row of eight bytes.
    assert_eq!(done.bytes, bytes("85 c0 74 08 2e 2e 2e e9 02 00 00 00 eb f2 48 8d 35 00 00 00 00 ff 66 08"));
    assert_eq!(done.relocations, [Relocation { offset: 17, target: 0x7654_3210 }]);
    assert_eq!(done.exits, [ExitSite { offset: 8, slot: 0x7654_3210 }]);
    assert_eq!([0, 2, 8, 29].map(|offset| done.place(offset)), [Some(0), Some(2), Some(4), Some(12)]);
    assert_eq!([21, 34].map(|offset| done.place(offset)), [None, None]);
}

#[test]
fn jumps_are_as_long_as_they_must_be() {
    // A branch over so many no-ops, and a constant behind them.
    for (between, length) in [(127, 2), (128, 6)] {
        let mut code = bytes("0f 84");
        code.extend((between as i32).to_le_bytes());
        code.resize(6 + between, 0x90);
        let constant = (code.len() + 8).next_multiple_of(16);
        let distance = (constant - code.len() - 7) as i32;
        code.extend([0x48, 0x8b, 0x05]);
        code.extend(distance.to_le_bytes());
        code.push(0xc3);
        code.resize(constant, 0);
        code.extend(0x1122_3344_5566_7788_u64.to_le_bytes());
        let done = compacted(&code);
        assert_eq!(done.place(6), Some(length), "over {between} bytes");
        let load = done.place(6 + between).expect("the load");
        let distance = i32::from_le_bytes(done.bytes[load + 3..load + 7].try_into().expect("four bytes"));
        let constant = load + 7 + distance as usize;
        assert_eq!(done.bytes[constant..], 0x1122_3344_5566_7788_u64.to_le_bytes());
        assert!(constant.is_multiple_of(16));
    }
}

#[test]
fn short_loops_lie_in_one_line() {
    for before in 0..2 * LINE {
        // No-ops, and a loop of 30 bytes.
        let mut code = vec![0x90; before + 28];
        code.extend([0x75, 0xe2, 0xc3]);
        let done = compacted(&code);
        let [head, end] = [before, before + 28].map(|offset| done.place(offset).expect("it is reached"));
        assert_eq!(end - head, 28, "{before} before it");
        assert_eq!(head / LINE, (end + 1) / LINE, "{before} before it");
        // What is left out are instructions.
        let mut at = 0;
        while at < done.bytes.len() {
            at += instruction(&done.bytes[at..]).expect("an instruction").length;
        }
        assert_eq!(at, done.bytes.len());
    }
}

#[test]
fn counting_and_polling_are_one_instruction_each() {
    let mut region = Region::new(Arch::Aarch64, PC);
    let mut b = RegionBuilder::new(&mut region);
    let [head, stay, leave] = [(); 3].map(|()| b.new_block());
    b.jump(head);
    b.switch_to(head);
    b.insn(PC, 4);
    let one = b.c64(1);
    let x0 = b.get(Ty::I64, aarch64::X[0]);
    let sum = b.add(Ty::I64, x0, one);
    b.set(Ty::I64, aarch64::X[0], sum);
    let pending = b.poll_pending();
    b.branch(pending, leave, stay);
    b.switch_to(stay);
    b.jump(head);
    b.switch_to(leave);
    b.exit(ExitReason::Interrupted, Pc::Const(PC), Value::NONE);
    let count = 0x7f12_7654_3210;
    let options = Options { exactness: Exactness::Relaxed, counter: Some(count) };
    let mut links = |site: LinkSite| -> *const LinkSlot { panic!("no link expected to {site:?}") };
    let code = Compiler::new().compile(&region, options, &mut links).expect("it compiles");
    let start = &code.bytes;
    assert_eq!((&start[..2], start[6]), (&[0x83, 0x2d][..], 1), "no sub dword [rip + …], 1 in {start:02x?}");
    assert_eq!(code.relocations, [Relocation { offset: 2, target: count - 1 }]);
    assert_eq!(start[7..9], [0x0f, 0x88], "js");
    let poll = [0x83, 0x7f, POLL as u8, 0];
    assert!(start.windows(4).any(|window| window == poll), "no cmp dword [rdi + POLL], 0 in {start:02x?}");
}
