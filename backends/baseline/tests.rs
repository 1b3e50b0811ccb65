//! Units as a whole are tested by the instruction lines and the guest programs; here is what those cannot see.

use super::Compiler;
use super::assembler::{Alu, Assembler, Gpr, Mem, Rm, Width};
use crate::compiled::CompileError;
use crate::link::LinkSlot;
use philae_ir::opt::Exactness;
use philae_ir::state::aarch64;
use philae_ir::{Arch, Builder, ExitReason, Pc, Region, Ty, Value};

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
    asm.mov_imm(Gpr(15), u64::MAX);
    asm.pext(Gpr::RAX, Gpr::RAX, Gpr(9));
    #[rustfmt::skip]
    let expected = [
        0x49, 0x01, 0xf0, // add r8, rsi
        0x40, 0x80, 0xfe, 0x01, // cmp sil, 1
        0x83, 0x2d, 0, 0, 0, 0, 0x01, // sub dword [rip], 1
        0x45, 0x8b, 0x4d, 0x00, // mov r9d, [r13]
        0x41, 0x88, 0x7c, 0x24, 0x08, // mov [r12 + 8], dil
        0x4b, 0x8d, 0x44, 0x0d, 0x00, // lea rax, [r13 + r9]
        0x49, 0xc7, 0xc7, 0xff, 0xff, 0xff, 0xff, // mov r15, -1
        0xc4, 0xc2, 0x7a, 0xf5, 0xc1, // pext eax, eax, r9d
    ];
    assert_eq!(asm.bytes, expected);
}

/// A block of OpenJDK's code generator had that many; a shorter one has fewer.
#[test]
fn more_values_than_places_are_refused() {
    let compile = |values: i64| {
        let mut region = Region::new(Arch::Aarch64, 0x1000);
        let mut b = Builder::new(&mut region);
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
