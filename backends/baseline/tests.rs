//! Units as a whole are tested by the instruction lines and the guest programs; here is what those cannot see.

use super::assembler::{Alu, Assembler, Gpr, Mem, Rm, Width};
use super::{Compiler, HEAD, REGISTER_ENTRY, bridge, closed, open};
use crate::compiled::{Code, CompileError};
use crate::link::{Entry, LinkSite, LinkSlot, THROUGH_SLOT};
use philae_ir::opt::Exactness;
use philae_ir::state::aarch64;
use philae_ir::{Arch, ExitReason, IntCond, Pc, Region, RegionBuilder, Ty, Value};

/// The bytes that the GNU assembler makes of the same instructions.
#[test]
fn encodings() {
    let mut asm = Assembler::default();
    asm.alu(Width::Q, Alu::Add, Gpr(8), Gpr::RSI);
    asm.alu_imm(Width::B, Alu::Cmp, Rm::Gpr(Gpr::RSI), 1);
    asm.alu_imm(Width::D, Alu::Sub, Rm::Mem(Mem::Rip), 1);
    asm.load(Width::D, Gpr(9), Mem::At(Gpr(13), 0));
    asm.store(Width::B, Mem::At(Gpr(12), 8), Gpr::RDI);
    asm.lea(Width::Q, Gpr::RAX, Mem::Sum(Gpr(13), Gpr(9)));
    asm.load(Width::Q, Gpr(9), Mem::Eightfold(Gpr(12), Gpr(9), 24));
    asm.mov_imm(Gpr(15), u64::MAX);
    asm.pext(Gpr::RAX, Gpr::RAX, Gpr(9));
    asm.bt_imm(Gpr(8), 31);
    asm.bt_imm(Gpr::RAX, 63);
    asm.test_imm(Gpr(8), 0x18);
    #[rustfmt::skip]
    let expected = [
        0x49, 0x01, 0xf0, // add r8, rsi
        0x40, 0x80, 0xfe, 0x01, // cmp sil, 1
        0x83, 0x2d, 0, 0, 0, 0, 0x01, // sub dword [rip], 1
        0x45, 0x8b, 0x4d, 0x00, // mov r9d, [r13]
        0x41, 0x88, 0x7c, 0x24, 0x08, // mov [r12 + 8], dil
        0x4b, 0x8d, 0x44, 0x0d, 0x00, // lea rax, [r13 + r9]
        0x4f, 0x8b, 0x4c, 0xcc, 0x18, // mov r9, [r12 + 8*r9 + 24]
        0x49, 0xc7, 0xc7, 0xff, 0xff, 0xff, 0xff, // mov r15, -1
        0xc4, 0xc2, 0x7a, 0xf5, 0xc1, // pext eax, eax, r9d
        0x41, 0x0f, 0xba, 0xe0, 0x1f, // bt r8d, 31
        0x48, 0x0f, 0xba, 0xe0, 0x3f, // bt rax, 63
        0x41, 0xf7, 0xc0, 0x18, 0, 0, 0, // test r8d, 24
    ];
    assert_eq!(asm.bytes, expected);
}

/// A unit of two exits, at an address and with its link slots at another.
fn placed(at: u64, slots: u64) -> Vec<u8> {
    let mut region = Region::new(Arch::Aarch64, 0x1000);
    let mut b = RegionBuilder::new(&mut region);
    let (there, on) = (b.new_block(), b.new_block());
    b.insn(0x1000, 4);
    let left = b.get(Ty::I64, aarch64::X[4]);
    let is_zero = b.icmp_imm(Ty::I64, IntCond::Eq, left, 0);
    b.branch(is_zero, there, on);
    for (block, pc) in [(there, 0x2000), (on, 0x3000)] {
        b.switch_to(block);
        b.exit(ExitReason::Jump, Pc::Const(pc), Value::NONE);
    }
    let slot = |number: u64| (slots + number * size_of::<LinkSlot>() as u64) as *const LinkSlot;
    let mut compiler = Compiler::new(Arch::Aarch64);
    let mut links = |site: LinkSite| slot(site.pc >> 12);
    let code = compiler.compile(&region, Exactness::Exact, &mut links, slot(1), slots + 0x1000).expect("a unit");
    let fields: Vec<(u32, u64)> = code.exits.iter().map(|exit| (exit.offset % 8, exit.slot)).collect();
    assert!(fields.iter().all(|&(offset, _)| offset <= 4), "fields in two rows: {fields:?}");
    assert_eq!(fields.iter().map(|field| field.1).collect::<Vec<_>>(), [slot(2) as u64, slot(3) as u64]);
    code.relocate(at);
    code.bytes.clone()
}

#[test]
fn who_comes_to_a_closed_unit_is_sent_through_its_slot() {
    let (at, slots) = (0x7000_0000, 0x7000_4000);
    let bytes = placed(at, slots);
    let head: [u8; HEAD] = bytes[..HEAD].try_into().expect("a head");
    let shut = closed(head).to_le_bytes();
    assert_eq!((&shut[..REGISTER_ENTRY], shut[REGISTER_ENTRY]), (&head[..REGISTER_ENTRY], 0xe9));
    let distance = i32::from_le_bytes(shut[4..].try_into().expect("four bytes"));
    let bypass = (8 + distance) as usize;
    // lea rsi, [rip + distance to the own slot]; jmp [rsi + 16]
    let own = (slots + size_of::<LinkSlot>() as u64 - (at + bypass as u64 + 7)) as i32;
    let expected = [&[0x48, 0x8d, 0x35][..], &own.to_le_bytes(), &[0xff, 0x66, 0x10]].concat();
    assert_eq!(bytes[bypass..bypass + THROUGH_SLOT], expected);
    let mut changed = head;
    changed[..8].copy_from_slice(&shut);
    assert_eq!(closed(changed).to_le_bytes(), shut);
    assert_eq!(open(changed, at, slots + 0x1000).to_le_bytes(), head[..8]);
}

#[test]
fn entries_of_other_code_lead_through_its_slot_once_they_are_closed() {
    let (at, slots) = (0x7000_0000_u64, 0x7000_4000_u64);
    for arch in [Arch::Aarch64, Arch::X86_64] {
        let mut code = Code { bytes: vec![0x90; 21], ..Code::default() };
        let start = bridge::append(&mut code, arch, slots as *const LinkSlot);
        code.relocate(at);
        let mut bytes = code.bytes;
        let target = |bytes: &[u8], end: usize| {
            let distance = i32::from_le_bytes(bytes[end - 4..end].try_into().expect("four bytes"));
            end.wrapping_add_signed(distance as isize)
        };
        let through = bytes.len() - 2 * THROUGH_SLOT;
        assert_eq!((start % 8, bytes[through - 5], target(&bytes, through)), (0, 0xe9, 0));
        let entries = [(Entry::Register, start, through, 0x10), (Entry::Memory, 0, through + THROUGH_SLOT, 8)];
        for (entry, from, through, field) in entries {
            let row: [u8; 8] = bytes[from..from + 8].try_into().expect("eight bytes");
            bytes[from..from + 8].copy_from_slice(&bridge::closed(entry, row, start).to_le_bytes());
            // What belongs to the second instruction stays.
            assert_eq!((bytes[from], target(&bytes, from + 5), bytes[from + 7]), (0xe9, through, row[7]));
            // lea rsi, [rip + distance to the slot]; jmp [rsi + field]
            assert_eq!(
                (&bytes[through..through + 3], at + target(&bytes, through + 7) as u64),
                (&[0x48, 0x8d, 0x35][..], slots)
            );
            assert_eq!(bytes[through + 7..through + THROUGH_SLOT], [0xff, 0x66, field]);
        }
    }
}

/// A block of OpenJDK's code generator had that many; a shorter one has fewer.
#[test]
fn more_values_than_places_are_refused() {
    let compile = |values: i64| {
        let mut region = Region::new(Arch::Aarch64, 0x1000);
        let mut b = RegionBuilder::new(&mut region);
        b.insn(0x1000, 4);
        let base = b.get(Ty::I64, aarch64::X[0]);
        let loaded: Vec<Value> = (0..values).map(|number| b.load(Ty::I64, base, number * 8)).collect();
        let sum = loaded.into_iter().rev().reduce(|sum, value| b.add(Ty::I64, sum, value)).expect("a value");
        b.set(Ty::I64, aarch64::X[1], sum);
        b.exit(ExitReason::Jump, Pc::Const(0x1004), Value::NONE);
        let slot = LinkSlot::new(0x1000, 0);
        let mut compiler = Compiler::new(Arch::Aarch64);
        compiler
            .compile(&region, Exactness::Exact, &mut |_| &raw const slot, &raw const slot, &raw const slot as u64)
            .map(|_| ())
    };
    assert_eq!(compile(20), Ok(()));
    assert_eq!(compile(200), Err(CompileError::TooManyValues));
}
