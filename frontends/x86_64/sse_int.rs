//! Integer vectors of SSE2, SSE3 and SSSE3, and MMX: an MMX register is computed with as a vector whose upper
//! half is 0, through the same bodies.

use super::operand::{Address, Lifted, X86, mm_number};
use super::x87_unit;
use crate::lift::LiftError;
use iced_x86::{Mnemonic, OpKind};
use philae_ir::{Builder, IntCond, Sink, Ty, Value};

/// A shuffle index that makes a zero byte.
const ZERO: u8 = 0xff;

impl<S: Sink> X86<'_, '_, S> {
    /// The number of the MMX register that operand `n` is.
    pub(super) fn mm(&self, n: u32) -> Option<usize> {
        if self.is_register(n) { mm_number(self.register(n)) } else { None }
    }

    /// Whether the instruction works on MMX registers.
    pub(super) fn is_mmx(&self) -> bool {
        self.mm(0).is_some() || (self.insn.op_count() > 1 && self.mm(1).is_some())
    }

    /// Reads an MMX register as an `i64`.
    pub(super) fn read_mm(&mut self, number: usize) -> Value {
        let number = self.iconst(Ty::I32, number as u64);
        self.call(&x87_unit::MM, &[number])
    }

    /// Writes an MMX register from an `i64`; the x87 stack becomes MMX's.
    pub(super) fn write_mm(&mut self, number: usize, value: Value) {
        let number = self.iconst(Ty::I32, number as u64);
        self.call(&x87_unit::SET_MM, &[number, value]);
    }

    /// An `i64` as the low half of a vector with 0 above.
    pub(super) fn low_vector(&mut self, low: Value) -> Value {
        let zero = self.c64(0);
        self.concat(Ty::V128, low, zero)
    }

    /// Vector operand `n`: a whole XMM register, an MMX register, or as much memory.
    pub(super) fn vector(&mut self, n: u32) -> Result<Value, LiftError> {
        if let Some(slot) = self.xmm(n) {
            return Ok(self.get(Ty::V128, slot));
        }
        if let Some(number) = self.mm(n) {
            let low = self.read_mm(number);
            return Ok(self.low_vector(low));
        }
        if self.insn.op_kind(n) != OpKind::Memory {
            return Err(LiftError::Undefined);
        }
        let at = self.address();
        match self.insn.memory_size().size() {
            16 => {
                let at = self.aligned(at);
                Ok(self.load(Ty::V128, at.base, at.offset))
            }
            // PUNPCKL of MMX reads 32 bits.
            4 => {
                let low = self.load_zext(Ty::I64, Ty::I32, at.base, at.offset);
                Ok(self.low_vector(low))
            }
            8 => {
                let low = self.load(Ty::I64, at.base, at.offset);
                Ok(self.low_vector(low))
            }
            _ => Err(LiftError::Undefined),
        }
    }

    /// Writes vector operand 0, register or memory; of MMX, its low half.
    pub(super) fn set_vector(&mut self, value: Value) -> Lifted {
        if let Some(slot) = self.xmm(0) {
            self.set(Ty::V128, slot, value);
            return Ok(());
        }
        if let Some(number) = self.mm(0) {
            let low = self.low(Ty::V128, value);
            self.write_mm(number, low);
            return Ok(());
        }
        if self.insn.op_kind(0) != OpKind::Memory {
            return Err(LiftError::Undefined);
        }
        let at = self.address();
        match self.insn.memory_size().size() {
            16 => {
                let at = self.aligned(at);
                self.store(Ty::V128, at.base, at.offset, value);
            }
            8 => {
                let low = self.low(Ty::V128, value);
                self.store(Ty::I64, at.base, at.offset, low);
            }
            _ => return Err(LiftError::Undefined),
        }
        Ok(())
    }

    /// An address that faults, as a misaligned one of 16 bytes does: the low bits that must be 0 make it
    /// non-canonical, which is cheaper than a way out of the region.
    fn aligned(&mut self, at: Address) -> Address {
        const LOW_TO_TOP: u64 = 60;
        if !self.checks_alignment() {
            return at;
        }
        let at = if at.offset % 16 == 0 { at } else { Address { base: self.pointer(at), offset: 0 } };
        let low = self.shl_imm(Ty::I64, at.base, LOW_TO_TOP);
        Address { base: self.xor(Ty::I64, at.base, low), offset: at.offset }
    }

    /// Whether the instruction refuses misaligned memory; a RIP-relative address is known to be aligned or not.
    fn checks_alignment(&self) -> bool {
        use Mnemonic::{Lddqu, Movdqu, Movupd, Movups};
        let known = self.insn.is_ip_rel_memory_operand() && self.insn.memory_displacement64().is_multiple_of(16);
        !known && !matches!(self.insn.mnemonic(), Movups | Movupd | Movdqu | Lddqu)
    }

    /// A vector of 64-bit lanes that both hold `bits`.
    pub(super) fn splat64(&mut self, bits: u64) -> Value {
        self.wide_const(Ty::V128, u128::from(bits) | u128::from(bits) << 64)
    }
}

/// Whole-vector moves, aligned or not, temporal or not.
pub(super) fn mov(x: &mut X86<impl Sink>) -> Lifted {
    let value = x.vector(1)?;
    x.set_vector(value)
}

/// Operand 0 becomes `op`(operand 0, operand 1).
pub(super) fn lanes<S: Sink>(
    x: &mut X86<S>,
    ty: Ty,
    op: impl Fn(&mut Builder<S>, Ty, Value, Value) -> Value,
) -> Lifted {
    let b = x.vector(1)?;
    let a = x.vector(0)?;
    let value = op(&mut x.lift.b, ty, a, b);
    x.set_vector(value)
}

/// Bitwise exclusive or; of a register with itself, zero.
pub(super) fn pxor(x: &mut X86<impl Sink>) -> Lifted {
    if x.xmm(0).is_some() && x.is_register(1) && x.register(0) == x.register(1) {
        let zero = x.wide_const(Ty::V128, 0);
        return x.set_vector(zero);
    }
    lanes(x, Ty::V128, Builder::xor)
}

/// Operand 1 and not operand 0.
pub(super) fn pandn(x: &mut X86<impl Sink>) -> Lifted {
    lanes(x, Ty::V128, |b, ty, first, second| b.and_not(ty, second, first))
}

/// PCMPEQ and PCMPGT.
pub(super) fn compare(x: &mut X86<impl Sink>, ty: Ty, cond: IntCond) -> Lifted {
    lanes(x, ty, |b, ty, first, second| b.icmp(ty, cond, first, second))
}

/// PACKSS and PACKUS; of MMX, both operands' low halves make one vector.
pub(super) fn pack<S: Sink>(x: &mut X86<S>, ty: Ty, op: impl Fn(&mut Builder<S>, Ty, Value, Value) -> Value) -> Lifted {
    let b = x.vector(1)?;
    let a = x.vector(0)?;
    let value = if x.is_mmx() {
        let (low, high) = (x.low(Ty::V128, a), x.low(Ty::V128, b));
        let both = x.concat(Ty::V128, low, high);
        op(&mut x.lift.b, ty, both, both)
    } else {
        op(&mut x.lift.b, ty, a, b)
    };
    x.set_vector(value)
}

/// Which half PUNPCK takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Half {
    Low,
    High,
}

/// PUNPCK, UNPCK: interleaves lanes of `bytes` bytes.
pub(super) fn unpack(x: &mut X86<impl Sink>, bytes: u8, half: Half) -> Lifted {
    let b = x.vector(1)?;
    let a = x.vector(0)?;
    // The 16 bytes that interleaving the low halves makes hold MMX's low result, then its high one.
    let first = if half == Half::High && !x.is_mmx() { 8 } else { 0 };
    let mask = std::array::from_fn(|i| {
        let (lane, byte) = (i as u8 / bytes, i as u8 % bytes);
        first + lane / 2 * bytes + byte + if lane % 2 == 1 { 16 } else { 0 }
    });
    let mut value = x.shuffle(a, b, mask);
    if half == Half::High && x.is_mmx() {
        let high = x.high(Ty::V128, value);
        value = x.low_vector(high);
    }
    x.set_vector(value)
}

/// Lanes of `bytes` bytes picked by 2-bit fields of the immediate, `count` of them from lane `first` on; the
/// others stay: PSHUFD, PSHUFLW, PSHUFHW, PSHUFW.
pub(super) fn shuffle_lanes(x: &mut X86<impl Sink>, bytes: u8, first: u8) -> Lifted {
    let picks = x.insn.immediate8();
    let a = x.vector(1)?;
    let mask = std::array::from_fn(|i| {
        let i = i as u8;
        let (lane, byte) = (i / bytes, i % bytes);
        if (first..first + 4).contains(&lane) {
            let pick = picks >> (2 * (lane - first)) & 3;
            (first + pick) * bytes + byte
        } else {
            i
        }
    });
    let value = x.shuffle(a, a, mask);
    x.set_vector(value)
}

/// SHUFPS and SHUFPD: the lower lanes from operand 0, the upper ones from operand 1.
pub(super) fn shuffle_two(x: &mut X86<impl Sink>, bytes: u8) -> Lifted {
    let picks = x.insn.immediate8();
    let b = x.vector(1)?;
    let a = x.vector(0)?;
    let count = 16 / bytes;
    let field = if bytes == 4 { 2 } else { 1 };
    let mask = std::array::from_fn(|i| {
        let (lane, byte) = (i as u8 / bytes, i as u8 % bytes);
        let pick = picks >> (field * lane) & (count - 1);
        pick * bytes + byte + if lane >= count / 2 { 16 } else { 0 }
    });
    let value = x.shuffle(a, b, mask);
    x.set_vector(value)
}

/// PSLLDQ and PSRLDQ.
pub(super) fn shift_bytes(x: &mut X86<impl Sink>, to: Half) -> Lifted {
    let count = x.insn.immediate8().min(16);
    let a = x.vector(0)?;
    let mask = std::array::from_fn(|i| {
        let i = i as u8;
        match to {
            Half::High => i.checked_sub(count).unwrap_or(ZERO),
            Half::Low => Some(i + count).filter(|&i| i < 16).unwrap_or(ZERO),
        }
    });
    let value = x.shuffle(a, a, mask);
    x.set_vector(value)
}

/// PALIGNR: bytes of operand 0 above those of operand 1, shifted right.
pub(super) fn palignr(x: &mut X86<impl Sink>) -> Lifted {
    let count = usize::from(x.insn.immediate8());
    let b = x.vector(1)?;
    let a = x.vector(0)?;
    let width = if x.is_mmx() { 8 } else { 16 };
    let mask = std::array::from_fn(|i| match i + count {
        from if i >= width => from as u8 | ZERO,
        from if from < width => from as u8,
        from if from < 2 * width => (from - width + 16) as u8,
        _ => ZERO,
    });
    let value = x.shuffle(b, a, mask);
    x.set_vector(value)
}

pub(super) fn pshufb(x: &mut X86<impl Sink>) -> Lifted {
    let index = x.vector(1)?;
    let table = x.vector(0)?;
    // Bit 7 makes a zero; of the rest the low bits count.
    let bits: u64 = if x.is_mmx() { 0x8787_8787_8787_8787 } else { 0x8f8f_8f8f_8f8f_8f8f };
    let mask = x.splat64(bits);
    let index = x.and(Ty::V128, index, mask);
    let value = x.table_lookup(table, index);
    x.set_vector(value)
}

/// What a shift of lanes does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum LaneShift {
    Left,
    Right,
    Arithmetic,
}

/// PSLL, PSRL, PSRA by an immediate or by the low 64 bits of a vector.
pub(super) fn shift(x: &mut X86<impl Sink>, ty: Ty, kind: LaneShift) -> Lifted {
    let width = ty.lane().bits();
    let immediate = x.insn.op_kind(1) == OpKind::Immediate8;
    let value = if immediate {
        let count = u32::from(x.insn.immediate8()).min(width);
        let a = x.vector(0)?;
        match kind {
            LaneShift::Left => x.vshl_imm(ty, a, count),
            LaneShift::Right => x.vlshr_imm(ty, a, count),
            LaneShift::Arithmetic => x.vashr_imm(ty, a, count),
        }
    } else {
        let counts = x.vector(1)?;
        let count = x.low(Ty::V128, counts);
        let most = x.c64(u64::from(width));
        let count = x.umin(Ty::I64, count, most);
        let count = x.trunc_from(Ty::I64, ty.lane(), count);
        let count = x.splat(ty, count);
        let a = x.vector(0)?;
        match kind {
            LaneShift::Left => x.vshl(ty, a, count),
            LaneShift::Right => x.vlshr(ty, a, count),
            LaneShift::Arithmetic => x.vashr(ty, a, count),
        }
    };
    x.set_vector(value)
}

/// The 32-bit products of 16-bit lanes, low and high half of the lanes.
fn products_16<S: Sink>(
    x: &mut X86<S>,
    a: Value,
    b: Value,
    low: impl Fn(&mut Builder<S>, Ty, Value) -> Value,
    high: impl Fn(&mut Builder<S>, Ty, Value) -> Value,
) -> (Value, Value) {
    let ty = Ty::I32X4;
    let builder = &mut x.lift.b;
    let (a_low, b_low) = (low(builder, ty, a), low(builder, ty, b));
    let (a_high, b_high) = (high(builder, ty, a), high(builder, ty, b));
    (builder.mul(ty, a_low, b_low), builder.mul(ty, a_high, b_high))
}

pub(super) fn pmulhw(x: &mut X86<impl Sink>) -> Lifted {
    let b = x.vector(1)?;
    let a = x.vector(0)?;
    let (low, high) = products_16(x, a, b, Builder::widen_low_s, Builder::widen_high_s);
    high_halves(x, low, high)
}

pub(super) fn pmulhuw(x: &mut X86<impl Sink>) -> Lifted {
    let b = x.vector(1)?;
    let a = x.vector(0)?;
    let (low, high) = products_16(x, a, b, Builder::widen_low_u, Builder::widen_high_u);
    high_halves(x, low, high)
}

fn high_halves(x: &mut X86<impl Sink>, low: Value, high: Value) -> Lifted {
    let low = x.vlshr_imm(Ty::I32X4, low, 16);
    let high = x.vlshr_imm(Ty::I32X4, high, 16);
    let value = x.narrow(Ty::I16X8, low, high);
    x.set_vector(value)
}

/// PMULHRSW: ((a × b >> 14) + 1) >> 1.
pub(super) fn pmulhrsw(x: &mut X86<impl Sink>) -> Lifted {
    let b = x.vector(1)?;
    let a = x.vector(0)?;
    let (low, high) = products_16(x, a, b, Builder::widen_low_s, Builder::widen_high_s);
    let one = x.splat64(1 << 32 | 1);
    let [low, high] = [low, high].map(|product| {
        let shifted = x.vashr_imm(Ty::I32X4, product, 14);
        let rounded = x.add(Ty::I32X4, shifted, one);
        x.vashr_imm(Ty::I32X4, rounded, 1)
    });
    let value = x.narrow(Ty::I16X8, low, high);
    x.set_vector(value)
}

pub(super) fn pmuludq(x: &mut X86<impl Sink>) -> Lifted {
    let b = x.vector(1)?;
    let a = x.vector(0)?;
    let mask = x.splat64(u64::from(u32::MAX));
    let a = x.and(Ty::V128, a, mask);
    let b = x.and(Ty::V128, b, mask);
    let value = x.mul(Ty::I64X2, a, b);
    x.set_vector(value)
}

/// PMADDUBSW: unsigned bytes of operand 0 times signed bytes of operand 1, neighbours added with saturation.
pub(super) fn pmaddubsw<S: Sink>(x: &mut X86<S>) -> Lifted {
    let b = x.vector(1)?;
    let a = x.vector(0)?;
    let sum = |x: &mut X86<S>, a: Value, b: Value| x.dot_pairs_s(Ty::I32X4, a, b);
    let (a_low, a_high) = (x.widen_low_u(Ty::I16X8, a), x.widen_high_u(Ty::I16X8, a));
    let (b_low, b_high) = (x.widen_low_s(Ty::I16X8, b), x.widen_high_s(Ty::I16X8, b));
    let (low, high) = (sum(x, a_low, b_low), sum(x, a_high, b_high));
    let value = x.narrow_sat_ss(Ty::I16X8, low, high);
    x.set_vector(value)
}

/// PSADBW: the sum of the eight absolute differences of each half.
pub(super) fn psadbw(x: &mut X86<impl Sink>) -> Lifted {
    let b = x.vector(1)?;
    let a = x.vector(0)?;
    let over = x.sub_sat_u(Ty::I8X16, a, b);
    let under = x.sub_sat_u(Ty::I8X16, b, a);
    let difference = x.or(Ty::V128, over, under);
    let mut sum = difference;
    for (ty, width) in [(Ty::I16X8, 8), (Ty::I32X4, 16), (Ty::I64X2, 32)] {
        let field = (1u64 << width) - 1;
        let mask = match ty {
            Ty::I16X8 => field * 0x0001_0001_0001_0001,
            Ty::I32X4 => field * 0x0000_0001_0000_0001,
            _ => field,
        };
        let mask = x.splat64(mask);
        let even = x.and(Ty::V128, sum, mask);
        let odd = x.vlshr_imm(ty, sum, width);
        sum = x.add(ty, even, odd);
    }
    x.set_vector(sum)
}

/// PHADD, PHSUB: `op` of neighbouring lanes, operand 0's results below operand 1's.
pub(super) fn horizontal<S: Sink>(
    x: &mut X86<S>,
    ty: Ty,
    op: impl Fn(&mut Builder<S>, Ty, Value, Value) -> Value,
) -> Lifted {
    let mut b = x.vector(1)?;
    let mut a = x.vector(0)?;
    if x.is_mmx() {
        let (low, high) = (x.low(Ty::V128, a), x.low(Ty::V128, b));
        a = x.concat(Ty::V128, low, high);
        b = a;
    }
    let bytes = ty.lane().bytes() as u8;
    let pick = |x: &mut X86<S>, odd: u8| {
        let mask = std::array::from_fn(|i| {
            let (lane, byte) = (i as u8 / bytes, i as u8 % bytes);
            (2 * lane + odd) * bytes + byte
        });
        x.shuffle(a, b, mask)
    };
    let (even, odd) = (pick(x, 0), pick(x, 1));
    let value = op(&mut x.lift.b, ty, even, odd);
    x.set_vector(value)
}

pub(super) fn pabs(x: &mut X86<impl Sink>, ty: Ty) -> Lifted {
    let a = x.vector(1)?;
    let value = x.abs(ty, a);
    x.set_vector(value)
}

/// PSIGN: negated, cleared or kept by the sign of operand 1's lane.
pub(super) fn psign(x: &mut X86<impl Sink>, ty: Ty) -> Lifted {
    lanes(x, ty, |builder, ty, a, b| {
        let zero = builder.wide_const(Ty::V128, 0);
        let negative = builder.icmp(ty, IntCond::Slt, b, zero);
        let minus = builder.sub(ty, zero, a);
        let signed = builder.bit_select(negative, minus, a);
        let empty = builder.icmp(ty, IntCond::Eq, b, zero);
        builder.and_not(Ty::V128, signed, empty)
    })
}

/// MOVD and MOVQ between general registers, memory and vectors, and between vectors: what is written is
/// zero-extended.
pub(super) fn movd(x: &mut X86<impl Sink>) -> Lifted {
    if let Some(slot) = x.xmm(0) {
        if let Some(from) = x.xmm(1) {
            let low = x.get(Ty::I64, from);
            x.set(Ty::I64, slot, low);
            return Ok(());
        }
        let ty = x.ty(1)?;
        let value = x.value(1, ty)?;
        x.set(ty, slot, value);
        return Ok(());
    }
    if let Some(number) = x.mm(0) {
        let value = match x.mm(1) {
            Some(from) => x.read_mm(from),
            None => {
                let ty = x.ty(1)?;
                let value = x.value(1, ty)?;
                x.zext_from(ty, Ty::I64, value)
            }
        };
        x.write_mm(number, value);
        return Ok(());
    }
    let ty = x.ty(0)?;
    let value = match (x.xmm(1), x.mm(1)) {
        (Some(slot), _) => x.get(ty, slot),
        (None, Some(number)) => {
            let whole = x.read_mm(number);
            x.trunc_from(Ty::I64, ty, whole)
        }
        (None, None) => return Err(LiftError::Undefined),
    };
    x.write_operand(0, ty, value)
}

/// MOVQ2DQ.
pub(super) fn movq2dq(x: &mut X86<impl Sink>) -> Lifted {
    let value = x.vector(1)?;
    x.set_vector(value)
}

/// The sign bits of lanes into a general register: PMOVMSKB, MOVMSKPS, MOVMSKPD.
pub(super) fn mask(x: &mut X86<impl Sink>, ty: Ty) -> Lifted {
    let a = x.vector(1)?;
    let bits = x.lane_mask(ty, a);
    x.write_operand(0, Ty::I32, bits)
}

pub(super) fn pinsrw(x: &mut X86<impl Sink>) -> Lifted {
    let lanes = if x.is_mmx() { 3 } else { 7 };
    let lane = u32::from(x.insn.immediate8()) & lanes;
    let word = x.value(1, Ty::I16)?;
    let a = x.vector(0)?;
    let value = x.insert_lane(Ty::I16X8, a, lane, word);
    x.set_vector(value)
}

pub(super) fn pextrw(x: &mut X86<impl Sink>) -> Lifted {
    let lanes = if x.is_mmx() { 3 } else { 7 };
    let lane = u32::from(x.insn.immediate8()) & lanes;
    let a = x.vector(1)?;
    let word = x.extract_lane(Ty::I16X8, a, lane);
    if !x.is_register(0) {
        return x.write_operand(0, Ty::I16, word);
    }
    let wide = x.zext(Ty::I64, word);
    x.write_operand(0, Ty::I64, wide)
}

/// MASKMOVDQU and MASKMOVQ: stores the bytes whose mask byte has its top bit set, at RDI.
pub(super) fn maskmov(x: &mut X86<impl Sink>) -> Lifted {
    let mask = x.vector(2)?;
    let data = x.vector(1)?;
    let mut at = x.get(Ty::I64, super::operand::RDI);
    if x.insn.op0_kind() == OpKind::MemorySegEDI {
        at = x.and_imm(Ty::I64, at, u64::from(u32::MAX));
    }
    if let Some(slot) = x.segment_base() {
        let base = x.get(Ty::I64, slot);
        at = x.add(Ty::I64, base, at);
    }
    let bits = x.lane_mask(Ty::I8X16, mask);
    let bytes = if x.mm(1).is_some() { 8 } else { 16 };
    for i in 0..bytes {
        let (write, next) = (x.new_block(), x.new_block());
        let bit = x.lshr_imm(Ty::I32, bits, i);
        let bit = x.low_bit(Ty::I32, bit);
        x.branch(bit, write, next);
        x.switch_to(write);
        let byte = x.extract_lane(Ty::I8X16, data, i as u32);
        x.store(Ty::I8, at, i as i64, byte);
        x.jump(next);
        x.switch_to(next);
    }
    Ok(())
}
