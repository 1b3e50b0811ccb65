//! Accesses to guest memory. They carry the trap code of their guest instruction, claim no alignment, and stay in
//! the order in which the region has them.

use super::clif_type;
use super::lower::{Lower, PREFETCH};
use cranelift_codegen::ir::types::{F32, F64, I8, I8X16, I16, I32, I64, I128};
use cranelift_codegen::ir::{AtomicRmwOp, InstBuilder, MemFlagsData, Type, Value as Clif};
use philae_ir::{Barrier, Inst, Op, Ordering, RmwOp, Ty};

impl Lower<'_, '_> {
    /// The access of an operation that reads memory; [`Lower::loaded`] makes its result of what this returns.
    pub(super) fn load(&mut self, inst: &Inst, flags: MemFlagsData) -> Clif {
        match inst.op {
            Op::LoadZext | Op::LoadSext => self.extending_load(inst, flags),
            Op::AtomicRmw => self.atomic_rmw(inst, flags),
            Op::AtomicCas => {
                let (address, expected, new) =
                    (self.value(inst.args[0]), self.value(inst.args[1]), self.value(inst.args[2]));
                self.b.ins().atomic_cas(flags, address, expected, new)
            }
            // An aligned load of up to 16 bytes is one access, and loads are not reordered.
            Op::AtomicLoad if inst.ty == Ty::I128 => {
                let address = self.value(inst.args[0]);
                self.b.ins().load(I8X16, flags, address, 0)
            }
            _ => self.plain_load(inst, flags),
        }
    }

    /// The result of an operation whose access made `value`.
    pub(super) fn loaded(&mut self, inst: &Inst, value: Clif) -> Clif {
        let (from, ty) = (self.type_of(value), clif_type(inst.ty));
        if from == ty || from.is_float() {
            return value;
        }
        if inst.op == Op::LoadSext {
            return self.b.ins().sextend(ty, value);
        }
        let result = self.low_part(value, ty);
        if (from, ty) == (I64, I32) {
            self.remember_wide(result, value);
        }
        result
    }

    /// The base and displacement of an access.
    fn location(&mut self, inst: &Inst) -> (Clif, i32) {
        let address = self.value(inst.args[0]);
        let offset = if inst.op.info().imm == philae_ir::ops::ImmKind::Offset { inst.imm as i64 } else { 0 };
        match i32::try_from(offset) {
            Ok(offset) => (address, offset),
            Err(_) => {
                let offset = self.iconst(I64, offset as u64);
                (self.b.ins().iadd(address, offset), 0)
            }
        }
    }

    fn plain_load(&mut self, inst: &Inst, flags: MemFlagsData) -> Clif {
        let (address, offset) = self.location(inst);
        let ty = clif_type(inst.ty);
        match ty {
            // Into a vector register at once: with the copying it is one instruction.
            _ if self.is_splat_next(inst) => {
                let ty = if ty == I32 { F32 } else { F64 };
                self.b.ins().load(ty, flags, address, offset)
            }
            // Loading 32 bits clears those above: whoever needs 64 has them.
            I32 => self.b.ins().uload32(flags, address, offset),
            _ => self.b.ins().load(ty, flags, address, offset),
        }
    }

    /// Whether a load of 32 or 64 bits is for nothing but to be copied to all lanes by the operation after it.
    fn is_splat_next(&self, inst: &Inst) -> bool {
        let insts = &self.region.block(self.block).insts;
        let (value, next) = (insts[self.position], insts.get(self.position + 1));
        let is_splat = next.map(|&next| self.region.inst(next)).is_some_and(|next| {
            next.op == Op::Splat && next.args[0] == value && next.ty.lane().bits() == inst.ty.bits()
        });
        is_splat && matches!(inst.ty, Ty::I32 | Ty::I64) && self.uses[value.index()] == 1
    }

    fn extending_load(&mut self, inst: &Inst, flags: MemFlagsData) -> Clif {
        let (address, offset) = self.location(inst);
        let memory = clif_type(Ty::NAMES[usize::from(inst.aux)].0);
        let ty = clif_type(inst.ty);
        let direct = if ty.bits() > 64 || memory == I64 { I64 } else { ty };
        let signed = inst.op == Op::LoadSext;
        match (memory, signed) {
            (I8, false) => self.b.ins().uload8(direct, flags, address, offset),
            (I8, true) => self.b.ins().sload8(direct, flags, address, offset),
            (I16, false) => self.b.ins().uload16(direct, flags, address, offset),
            (I16, true) => self.b.ins().sload16(direct, flags, address, offset),
            (I32, false) => self.b.ins().uload32(flags, address, offset),
            (I32, true) => self.b.ins().sload32(flags, address, offset),
            (_, _) => self.b.ins().load(I64, flags, address, offset),
        }
    }

    fn atomic_rmw(&mut self, inst: &Inst, flags: MemFlagsData) -> Clif {
        let (address, mut operand) = (self.value(inst.args[0]), self.value(inst.args[1]));
        let op = match RmwOp::from_aux(inst.aux) {
            RmwOp::Add => AtomicRmwOp::Add,
            RmwOp::And => AtomicRmwOp::And,
            RmwOp::AndNot => {
                operand = self.b.ins().bnot(operand);
                AtomicRmwOp::And
            }
            RmwOp::Or => AtomicRmwOp::Or,
            RmwOp::Xor => AtomicRmwOp::Xor,
            RmwOp::Xchg => AtomicRmwOp::Xchg,
            RmwOp::Smin => AtomicRmwOp::Smin,
            RmwOp::Smax => AtomicRmwOp::Smax,
            RmwOp::Umin => AtomicRmwOp::Umin,
            RmwOp::Umax => AtomicRmwOp::Umax,
        };
        self.b.ins().atomic_rmw(clif_type(inst.ty), flags, op, address, operand)
    }

    /// [`Op::Store`] and [`Op::AtomicStore`].
    pub(super) fn store(&mut self, inst: &Inst, flags: MemFlagsData) {
        let (address, offset) = self.location(inst);
        let value = self.value(inst.args[1]);
        if inst.op == Op::Store {
            self.b.ins().store(flags, value, address, offset);
            return;
        }
        let ty = self.type_of(value);
        match (Ordering::from_aux(inst.aux), ty) {
            (Ordering::Relaxed | Ordering::Acquire | Ordering::Release, _) => {
                self.store_once(value, ty, address, flags);
            }
            (Ordering::SeqCst, I128) => {
                self.store_once(value, ty, address, flags);
                self.b.ins().fence();
            }
            // An exchange is a store and a full barrier in one instruction.
            (Ordering::SeqCst, _) => {
                self.b.ins().atomic_rmw(ty, flags, AtomicRmwOp::Xchg, address, value);
            }
        }
    }

    /// Stores in one access.
    fn store_once(&mut self, value: Clif, ty: Type, address: Clif, flags: MemFlagsData) {
        let whole = if ty == I128 { self.zero_extend(value, I8X16) } else { value };
        self.b.ins().store(flags, whole, address, 0);
    }

    /// Cranelift has no prefetch: a load of a byte is emitted, whose result nobody uses, and made one afterwards.
    pub(super) fn prefetch(&mut self, inst: &Inst) {
        let (address, offset) = self.location(inst);
        let flags = MemFlagsData::new().with_trap_code(Some(PREFETCH));
        self.b.ins().uload8(I64, flags, address, offset);
    }

    /// Loads and stores keep their order on this host, except that loads overtake earlier stores.
    pub(super) fn fence(&mut self, inst: &Inst) {
        match Barrier::from_aux(inst.aux) {
            Barrier::Full => self.b.ins().fence(),
            Barrier::Load | Barrier::Store => self.b.ins().sequence_point(),
        };
    }
}
