//! Operands: from iced's description of an operand to places in the guest's state and memory, and values.
//!
//! General registers are slots of 64 bits: a write of 32 bits zero-extends, a narrower one merges.

use crate::lift::{Lift, LiftError};
use iced_x86::{Instruction, OpKind, Register};
use philae_ir::state::x86_64::{FS_BASE, GPR, GS_BASE, XMM};
use philae_ir::{Builder, Sink, Slot, Ty, Value};
use std::ops::{Deref, DerefMut};

/// What a body makes: nothing, or the reason why it has no meaning.
pub(super) type Lifted = Result<(), LiftError>;

/// The instruction whose body is being written, and where it is written to.
pub(super) struct X86<'a, 'l, S> {
    /// The instruction's place, and who is told what it means.
    pub(super) lift: &'a mut Lift<'l, S>,
    /// The instruction.
    pub(super) insn: &'a Instruction,
}

impl<S> Deref for X86<'_, '_, S> {
    type Target = Builder<S>;

    fn deref(&self) -> &Builder<S> {
        &self.lift.b
    }
}

impl<S> DerefMut for X86<'_, '_, S> {
    fn deref_mut(&mut self) -> &mut Builder<S> {
        &mut self.lift.b
    }
}

/// A guest address as an `i64` and a displacement.
#[derive(Clone, Copy)]
pub(super) struct Address {
    /// The part that is computed.
    pub(super) base: Value,
    /// The part that is known.
    pub(super) offset: i64,
}

/// Where an integer operand lives.
#[derive(Clone, Copy)]
pub(super) enum Place {
    /// The low bits of a general register.
    Low(Slot),
    /// Bits 8 to 15 of a general register: AH, CH, DH, BH.
    HighByte(Slot),
    /// Guest memory.
    Memory(Address),
}

/// The slot of RAX.
pub(super) const RAX: Slot = GPR[0];
/// The slot of RCX.
pub(super) const RCX: Slot = GPR[1];
/// The slot of RDX.
pub(super) const RDX: Slot = GPR[2];
/// The slot of RBX.
pub(super) const RBX: Slot = GPR[3];
/// The slot of RSP.
pub(super) const RSP: Slot = GPR[4];
/// The slot of RBP.
pub(super) const RBP: Slot = GPR[5];
/// The slot of RSI.
pub(super) const RSI: Slot = GPR[6];
/// The slot of RDI.
pub(super) const RDI: Slot = GPR[7];

/// How far `register` is from `first`, if it is one of `count` that follow each other in iced's numbering.
fn nth(register: Register, first: Register, count: usize) -> Option<usize> {
    (register as usize).checked_sub(first as usize).filter(|&n| n < count)
}

/// The number of an XMM register.
pub(super) fn xmm_number(register: Register) -> Option<usize> {
    nth(register, Register::XMM0, 16)
}

/// The number of an MMX register.
pub(super) fn mm_number(register: Register) -> Option<usize> {
    nth(register, Register::MM0, 8)
}

/// The width of a general or segment register and its place.
fn general(register: Register) -> Option<(Ty, Place)> {
    if let Some(n) = nth(register, Register::RAX, 16) {
        return Some((Ty::I64, Place::Low(GPR[n])));
    }
    if let Some(n) = nth(register, Register::EAX, 16) {
        return Some((Ty::I32, Place::Low(GPR[n])));
    }
    if let Some(n) = nth(register, Register::AX, 16) {
        return Some((Ty::I16, Place::Low(GPR[n])));
    }
    let place = match nth(register, Register::AL, 20)? {
        n @ 0..4 => Place::Low(GPR[n]),
        n @ 4..8 => Place::HighByte(GPR[n - 4]),
        n => Place::Low(GPR[n - 4]),
    };
    Some((Ty::I8, place))
}

impl<S: Sink> X86<'_, '_, S> {
    /// The register that is operand `n`.
    pub(super) fn register(&self, n: u32) -> Register {
        self.insn.op_register(n)
    }

    /// Whether operand `n` is a register.
    pub(super) fn is_register(&self, n: u32) -> bool {
        self.insn.op_kind(n) == OpKind::Register
    }

    /// The integer type of operand `n`; an immediate has that of operand 0.
    pub(super) fn ty(&self, n: u32) -> Result<Ty, LiftError> {
        match self.insn.op_kind(n) {
            OpKind::Register => general(self.register(n)).map(|(ty, _)| ty).ok_or(LiftError::Undefined),
            OpKind::Memory => match self.insn.memory_size().size() {
                size @ (1 | 2 | 4 | 8 | 16) => Ok(Ty::int(8 * size as u32)),
                _ => Err(LiftError::Undefined),
            },
            _ if n > 0 => self.ty(0),
            _ => Err(LiftError::Undefined),
        }
    }

    /// Where operand `n`, a general register or memory, lives.
    pub(super) fn place(&mut self, n: u32) -> Result<Place, LiftError> {
        if self.is_register(n) {
            return general(self.register(n)).map(|(_, place)| place).ok_or(LiftError::Undefined);
        }
        Ok(Place::Memory(self.address()))
    }

    /// Reads a place.
    pub(super) fn read(&mut self, place: Place, ty: Ty) -> Value {
        match place {
            Place::Low(slot) => self.get(ty, slot),
            Place::HighByte(slot) => {
                let word = self.get(Ty::I16, slot);
                let byte = self.lshr_imm(Ty::I16, word, 8);
                self.trunc(Ty::I8, byte)
            }
            Place::Memory(at) => self.load(ty, at.base, at.offset),
        }
    }

    /// Writes a place.
    pub(super) fn write(&mut self, place: Place, ty: Ty, value: Value) {
        match (place, ty) {
            (Place::Memory(at), _) => self.store(ty, at.base, at.offset, value),
            (Place::Low(slot), Ty::I64 | Ty::I32) => self.set(ty, slot, value),
            (Place::Low(slot), _) => self.merge(slot, !(ty.mask() as u64), value, 0),
            (Place::HighByte(slot), _) => self.merge(slot, !0xff00, value, 8),
        }
    }

    /// Writes a register, keeping the bits in `keep`.
    fn merge(&mut self, slot: Slot, keep: u64, value: Value, shift: u64) {
        let old = self.get(Ty::I64, slot);
        let kept = self.and_imm(Ty::I64, old, keep);
        let mut new = self.zext(Ty::I64, value);
        if shift != 0 {
            new = self.shl_imm(Ty::I64, new, shift);
        }
        let merged = self.or(Ty::I64, kept, new);
        self.set(Ty::I64, slot, merged);
    }

    /// Writes the low bits of a general register by the rules of its width.
    pub(super) fn write_gpr(&mut self, slot: Slot, ty: Ty, value: Value) {
        self.write(Place::Low(slot), ty, value);
    }

    /// Operand `n`, register, memory or immediate, as a `ty`.
    pub(super) fn value(&mut self, n: u32, ty: Ty) -> Result<Value, LiftError> {
        match self.insn.op_kind(n) {
            OpKind::Register | OpKind::Memory => {
                let place = self.place(n)?;
                Ok(self.read(place, ty))
            }
            _ => {
                let immediate = self.insn.try_immediate(n).map_err(|_| LiftError::Undefined)?;
                Ok(self.iconst(ty, immediate))
            }
        }
    }

    /// Writes operand `n`.
    pub(super) fn write_operand(&mut self, n: u32, ty: Ty, value: Value) -> Lifted {
        let place = self.place(n)?;
        self.write(place, ty, value);
        Ok(())
    }

    /// Zero-extends to `ty`, or leaves as it is what has that width.
    pub(super) fn zext_from(&mut self, from: Ty, ty: Ty, value: Value) -> Value {
        if from == ty { value } else { self.zext(ty, value) }
    }

    /// Sign-extends to `ty`, or leaves as it is what has that width.
    pub(super) fn sext_from(&mut self, from: Ty, ty: Ty, value: Value) -> Value {
        if from == ty { value } else { self.sext(ty, value) }
    }

    /// Truncates to `ty`, or leaves as it is what has that width.
    pub(super) fn trunc_from(&mut self, from: Ty, ty: Ty, value: Value) -> Value {
        if from == ty { value } else { self.trunc(ty, value) }
    }

    /// The lowest bit of an integer as a truth value.
    pub(super) fn low_bit(&mut self, ty: Ty, value: Value) -> Value {
        let byte = self.trunc_from(ty, Ty::I8, value);
        self.and_imm(Ty::I8, byte, 1)
    }

    /// The sign bit of an integer as a truth value.
    pub(super) fn sign_bit(&mut self, ty: Ty, value: Value) -> Value {
        let top = self.lshr_imm(ty, value, u64::from(ty.bits()) - 1);
        self.trunc_from(ty, Ty::I8, top)
    }

    /// The address of the memory operand, its segment's base included.
    pub(super) fn address(&mut self) -> Address {
        let at = self.effective_address();
        match self.segment_base() {
            None => at,
            Some(slot) => {
                let segment = self.get(Ty::I64, slot);
                Address { base: self.add(Ty::I64, segment, at.base), offset: at.offset }
            }
        }
    }

    /// The slot with the base of the memory operand's segment, if that has one.
    pub(super) fn segment_base(&self) -> Option<Slot> {
        match self.insn.segment_prefix() {
            Register::FS => Some(FS_BASE),
            Register::GS => Some(GS_BASE),
            _ => None,
        }
    }

    /// The address of the memory operand inside its segment.
    pub(super) fn effective_address(&mut self) -> Address {
        let (base, index) = (self.insn.memory_base(), self.insn.memory_index());
        let displacement = self.insn.memory_displacement64();
        let mut sum = None;
        let mut width = Ty::I64;
        if let Some((ty, Place::Low(slot))) = general(base) {
            width = ty;
            sum = Some(self.get(ty, slot));
        }
        if let Some((ty, Place::Low(slot))) = general(index) {
            width = ty;
            let register = self.get(ty, slot);
            let scale = self.insn.memory_index_scale();
            let scaled =
                if scale == 1 { register } else { self.shl_imm(ty, register, u64::from(scale.trailing_zeros())) };
            sum = Some(sum.map_or(scaled, |sum| self.add(ty, sum, scaled)));
        }
        match sum {
            // RIP-relative displacements come as the address they mean.
            None => Address { base: self.c64(displacement), offset: 0 },
            Some(base) if width == Ty::I64 => Address { base, offset: displacement as i64 },
            Some(base) => {
                // A 32-bit address wraps before it is used.
                let whole = if displacement == 0 { base } else { self.add_imm(width, base, displacement) };
                Address { base: self.zext(Ty::I64, whole), offset: 0 }
            }
        }
    }

    /// An address as one value.
    pub(super) fn pointer(&mut self, at: Address) -> Value {
        if at.offset == 0 { at.base } else { self.add_imm(Ty::I64, at.base, at.offset as u64) }
    }

    /// The slot of operand `n` if it is an XMM register.
    pub(super) fn xmm(&self, n: u32) -> Option<Slot> {
        if !self.is_register(n) {
            return None;
        }
        xmm_number(self.register(n)).map(|n| XMM[n])
    }
}
