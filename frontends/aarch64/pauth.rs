//! FEAT_PAuth: pointer authentication codes, signed and checked by an algorithm of our own.
//!
//! Addresses have 48 bits, and bit 55 says what those above are in a plain pointer. The top byte of a low pointer is the
//! program's (Linux sets TBI0, for code as for data), so a code has bits 54 to 48; in a high pointer it has bits 63 to
//! 56 too. The keys are constants, so that codes agree between threads and processes, but for what prctl(2) changes.
//! A failed check makes a non-canonical address (without FEAT_FPAC), which faults where it is used.

use super::landing;
use super::operand::{Lifted, require, set_reg, set_reg_or_sp, x, x_or_sp};
use super::word::Word;
use crate::lift::Lift;
use philae_ir::state::aarch64::{KEYS, SP, X};
use philae_ir::{Builder, FlowHint, IntCond, Sink, Slot, Ty, Value};

/// Where a code lies in a low pointer.
const FIELD: u64 = 0x007f_0000_0000_0000;
/// Where it lies in a high pointer besides.
const TOP_BYTE: u64 = 0xff00_0000_0000_0000;

/// One of the five keys.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// APIAKey.
    InstructionA,
    /// APIBKey.
    InstructionB,
    /// APDAKey.
    DataA,
    /// APDBKey.
    DataB,
    /// APGAKey.
    Generic,
}

impl Key {
    /// Its bits in a new program.
    fn bits(self) -> u64 {
        match self {
            Key::InstructionA => 0x9216_d5d9_8979_fb1b,
            Key::InstructionB => 0xd131_0ba6_98df_b5ac,
            Key::DataA => 0x2ffd_72db_d01a_dfb7,
            Key::DataB => 0xb8e1_afed_6a26_7e96,
            Key::Generic => 0xba7c_9045_f12c_7f99,
        }
    }

    /// Where the thread's key is told apart from those.
    fn slot(self) -> Slot {
        KEYS[match self {
            Key::InstructionA => 0,
            Key::InstructionB => 1,
            Key::DataA => 2,
            Key::DataB => 3,
            Key::Generic => 4,
        }]
    }

    /// The mark of a pointer whose check failed (Arm ARM, Auth).
    fn error(self) -> u64 {
        match self {
            Key::InstructionA | Key::DataA | Key::Generic => 1,
            Key::InstructionB | Key::DataB => 2,
        }
    }
}

/// What becomes of a pointer under a modifier.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// The code is put in.
    Sign(Key),
    /// The code is checked and taken out.
    Authenticate(Key),
}

/// 64 bits of code for a pointer (or any number) and a modifier; the high bits are the better ones.
fn code(b: &mut Builder<impl Sink>, key: Key, pointer: Value, modifier: Value) -> Value {
    let spread = b.with_imm(Ty::I64, modifier, 0x9e37_79b9_7f4a_7c15, Builder::mul);
    let keyed = b.add_imm(Ty::I64, spread, key.bits());
    let own = b.get(Ty::I64, key.slot());
    let keyed = b.add(Ty::I64, keyed, own);
    let mixed = b.xor(Ty::I64, pointer, keyed);
    let once = b.with_imm(Ty::I64, mixed, 0xbf58_476d_1ce4_e5b9, Builder::mul);
    let down = b.lshr_imm(Ty::I64, once, 32);
    let folded = b.xor(Ty::I64, once, down);
    b.with_imm(Ty::I64, folded, 0x94d0_49bb_1331_11eb, Builder::mul)
}

/// What a pointer is without its code.
struct Parts {
    /// The pointer with bit 55 in the place of the code.
    plain: Value,
    /// A mask of the code's place.
    field: Value,
    /// 8 for a high pointer, 0 for a low one: by so much the top of its code is higher.
    above: Value,
}

fn parts(b: &mut Builder<impl Sink>, pointer: Value) -> Parts {
    let up = b.shl_imm(Ty::I64, pointer, 8);
    let high = b.ashr_imm(Ty::I64, up, 63);
    let extension = b.and_imm(Ty::I64, high, TOP_BYTE | FIELD);
    let kept = b.and_imm(Ty::I64, pointer, !FIELD);
    let plain = b.or(Ty::I64, kept, extension);
    let top = b.and_imm(Ty::I64, high, TOP_BYTE);
    let field = b.with_imm(Ty::I64, top, FIELD, Builder::or);
    Parts { plain, field, above: b.and_imm(Ty::I64, high, 8) }
}

/// The code of a plain pointer, in place, with anything around it. The multiplier's best bits are the top ones.
fn placed_code(b: &mut Builder<impl Sink>, key: Key, plain: Value, modifier: Value) -> Value {
    let code = code(b, key, plain, modifier);
    b.with_imm(Ty::I64, code, 9, Builder::rotr)
}

/// Whether x and y differ under a mask.
fn differ(b: &mut Builder<impl Sink>, mask: Value, x: Value, y: Value) -> Value {
    let all = b.xor(Ty::I64, x, y);
    let field = b.and(Ty::I64, all, mask);
    b.icmp_imm(Ty::I64, IntCond::Ne, field, 0)
}

/// Arm ARM, AddPAC: a pointer that was not plain gets a code with its top bit but one inverted.
fn sign(b: &mut Builder<impl Sink>, key: Key, pointer: Value, modifier: Value) -> Value {
    let Parts { plain, field, above } = parts(b, pointer);
    let code = placed_code(b, key, plain, modifier);
    let spoilt = differ(b, field, pointer, plain);
    let spoilt = b.zext(Ty::I64, spoilt);
    let place = b.add_imm(Ty::I64, above, 54);
    let flip = b.shl(Ty::I64, spoilt, place);
    let code = b.xor(Ty::I64, code, flip);
    let code = b.and(Ty::I64, code, field);
    let rest = b.and_not(Ty::I64, plain, field);
    b.or(Ty::I64, rest, code)
}

/// Arm ARM, Auth: the mark of a failed check takes bits 54:53 of a low pointer, 62:61 of a high one.
fn authenticate(b: &mut Builder<impl Sink>, key: Key, pointer: Value, modifier: Value) -> Value {
    let Parts { plain, field, above } = parts(b, pointer);
    let code = placed_code(b, key, plain, modifier);
    let wrong = differ(b, field, pointer, code);
    let place = b.add_imm(Ty::I64, above, 53);
    let [mask, error] = [3, key.error()].map(|bits| {
        let bits = b.c64(bits);
        b.shl(Ty::I64, bits, place)
    });
    let cleared = b.and_not(Ty::I64, plain, mask);
    let invalid = b.or(Ty::I64, cleared, error);
    b.select(Ty::I64, wrong, invalid, plain)
}

impl Action {
    fn apply(self, b: &mut Builder<impl Sink>, pointer: Value, modifier: Value) -> Value {
        match self {
            Action::Sign(key) => sign(b, key, pointer, modifier),
            Action::Authenticate(key) => authenticate(b, key, pointer, modifier),
        }
    }
}

/// PACIA, AUTIA and their like, of Xd under Xn or SP.
pub(super) fn register(w: Word, l: &mut Lift<impl Sink>, action: Action) -> Lifted {
    let modifier = x_or_sp(l, w.rn());
    let pointer = x(l, w.rd());
    let result = action.apply(&mut l.b, pointer, modifier);
    set_reg(l, Ty::I64, w.rd(), result);
    Ok(())
}

/// PACIZA, AUTIZA and their like: the modifier is zero.
pub(super) fn register_zero(w: Word, l: &mut Lift<impl Sink>, action: Action) -> Lifted {
    let modifier = l.b.c64(0);
    let pointer = x(l, w.rd());
    let result = action.apply(&mut l.b, pointer, modifier);
    set_reg(l, Ty::I64, w.rd(), result);
    Ok(())
}

fn fixed(l: &mut Lift<impl Sink>, action: Action, pointer: Slot, modifier: Value) -> Lifted {
    let old = l.b.get(Ty::I64, pointer);
    let new = action.apply(&mut l.b, old, modifier);
    l.b.set(Ty::I64, pointer, new);
    Ok(())
}

/// PACIASP, AUTIASP, PACIBSP, AUTIBSP: X30 under SP.
pub(super) fn link_under_sp(_w: Word, l: &mut Lift<impl Sink>, action: Action) -> Lifted {
    let modifier = l.b.get(Ty::I64, SP);
    fixed(l, action, X[30], modifier)
}

/// PACIAZ, AUTIAZ, PACIBZ, AUTIBZ: X30 under zero.
pub(super) fn link_under_zero(_w: Word, l: &mut Lift<impl Sink>, action: Action) -> Lifted {
    let modifier = l.b.c64(0);
    fixed(l, action, X[30], modifier)
}

/// PACIA1716, AUTIA1716, PACIB1716, AUTIB1716: X17 under X16.
pub(super) fn x17_under_x16(_w: Word, l: &mut Lift<impl Sink>, action: Action) -> Lifted {
    let modifier = l.b.get(Ty::I64, X[16]);
    fixed(l, action, X[17], modifier)
}

/// XPACI, XPACD.
pub(super) fn strip(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let pointer = x(l, w.rd());
    let result = parts(&mut l.b, pointer).plain;
    set_reg(l, Ty::I64, w.rd(), result);
    Ok(())
}

/// XPACLRI.
pub(super) fn strip_link(_w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let pointer = l.b.get(Ty::I64, X[30]);
    let result = parts(&mut l.b, pointer).plain;
    l.b.set(Ty::I64, X[30], result);
    Ok(())
}

/// PACGA: the upper half of a code, zeroes below.
pub(super) fn pacga(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let modifier = x_or_sp(l, w.rm());
    let value = x(l, w.rn());
    let code = code(&mut l.b, Key::Generic, value, modifier);
    let result = l.b.and_imm(Ty::I64, code, 0xffff_ffff_0000_0000);
    set_reg(l, Ty::I64, w.rd(), result);
    Ok(())
}

/// Under what the target of an authenticated branch was signed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Modifier {
    /// Xm or SP, in the place of Rd.
    Register,
    /// Zero.
    Zero,
}

fn target(w: Word, l: &mut Lift<impl Sink>, key: Key, modifier: Modifier) -> Value {
    let modifier = match modifier {
        Modifier::Register => x_or_sp(l, w.rd()),
        Modifier::Zero => l.b.c64(0),
    };
    let pointer = x(l, w.rn());
    authenticate(&mut l.b, key, pointer, modifier)
}

/// BRAA, BRAB, BRAAZ, BRABZ.
pub(super) fn bra(w: Word, l: &mut Lift<impl Sink>, key: Key, modifier: Modifier) -> Lifted {
    let target = target(w, l, key, modifier);
    landing::leave_by(l, landing::Branch::Jump(w.rn()));
    l.go_indirect(target, FlowHint::Jump);
    Ok(())
}

/// BLRAA, BLRAB, BLRAAZ, BLRABZ.
pub(super) fn blra(w: Word, l: &mut Lift<impl Sink>, key: Key, modifier: Modifier) -> Lifted {
    let target = target(w, l, key, modifier);
    let back = l.b.c64(l.next);
    set_reg(l, Ty::I64, 30, back);
    landing::leave_by(l, landing::Branch::Call);
    l.go_indirect(target, FlowHint::Call);
    Ok(())
}

/// RETAA, RETAB.
pub(super) fn reta(_w: Word, l: &mut Lift<impl Sink>, key: Key) -> Lifted {
    let pointer = l.b.get(Ty::I64, X[30]);
    let modifier = l.b.get(Ty::I64, SP);
    let target = authenticate(&mut l.b, key, pointer, modifier);
    l.go_indirect(target, FlowHint::Return);
    Ok(())
}

/// LDRAA, LDRAB: the offset is S:imm9 (bits 22, 20:12) doublewords; W (bit 11) writes the address back.
pub(super) fn ldra(w: Word, l: &mut Lift<impl Sink>, key: Key) -> Lifted {
    // Base and loaded register may not be the same (CONSTRAINED UNPREDICTABLE; here undefined).
    require(!w.is_set(11) || w.rt() != w.rn() || w.rn() == 31)?;
    let base = x_or_sp(l, w.rn());
    let zero = l.b.c64(0);
    let base = authenticate(&mut l.b, key, base, zero);
    let below = if w.is_set(22) { -512 } else { 0 };
    let offset = (below + i64::from(w.bits(20, 12))) * 8;
    let value = l.b.load(Ty::I64, base, offset);
    set_reg(l, Ty::I64, w.rt(), value);
    if w.is_set(11) {
        let new = l.b.add_imm(Ty::I64, base, offset as u64);
        set_reg_or_sp(l, Ty::I64, w.rn(), new);
    }
    Ok(())
}
