//! The operations: one documented row each, from which the enum, the names in text, the signatures that the
//! verifier checks and the effects that the passes respect are made.
//!
//! `T` in a signature is the instruction's `ty`, for vectors a shape. Integer arithmetic wraps. Operations are
//! total: nothing but memory access can trap.

use crate::ty::Ty;

/// What an operation takes in one operand place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Takes {
    /// A value of the instruction's type (any vector value when that is a shape).
    Same,
    /// A truth value: `i8`, 0 or 1.
    Bool,
    /// An `i32`.
    I32,
    /// An `i64`.
    I64,
    /// An `i128`.
    I128,
    /// A 128-bit vector.
    V128,
    /// Flags.
    Flags,
    /// The scalar of one lane of the instruction's shape.
    Lane,
    /// An integer or float of any type.
    Any,
}

impl Takes {
    /// The type of the operand, for an instruction of type `ty`; `None` if it may have any.
    pub fn ty(self, ty: Ty) -> Option<Ty> {
        match self {
            Takes::Same => Some(ty.value()),
            Takes::Bool => Some(Ty::I8),
            Takes::I32 => Some(Ty::I32),
            Takes::I64 => Some(Ty::I64),
            Takes::I128 => Some(Ty::I128),
            Takes::V128 => Some(Ty::V128),
            Takes::Flags => Some(Ty::Flags),
            Takes::Lane => Some(ty.lane()),
            Takes::Any => None,
        }
    }
}

/// What an operation makes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Makes {
    /// Nothing.
    None,
    /// A value of the instruction's type.
    Same,
    /// A truth value: `i8`, 0 or 1.
    Bool,
    /// For scalars a truth value, for vectors a mask: all bits of a lane set or clear.
    Mask,
    /// An `i32`.
    I32,
    /// An `i64`.
    I64,
    /// An `i128`.
    I128,
    /// A 128-bit vector.
    V128,
    /// Flags.
    Flags,
    /// The scalar of one lane of the instruction's shape.
    Lane,
}

/// What an operation does beside making its result. Passes may drop, merge and move `Pure` ones only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// A function of its operands.
    Pure,
    /// Reads the slot in `imm`.
    ReadSlot,
    /// Writes the slot in `imm`.
    WriteSlot,
    /// Reads guest memory, and may fault.
    Load,
    /// Writes guest memory, and may fault.
    Store,
    /// Reads and writes guest memory in one step, and may fault.
    Atomic,
    /// Orders guest memory accesses.
    Fence,
    /// Nothing that a program can see but by the time that passes.
    Hint,
    /// As its [`crate::Helper`] says.
    Helper,
    /// Reads the poll word, which other threads and signal handlers write.
    Poll,
    /// Names the guest instruction that the following ones come from.
    Marker,
}

/// How an instruction's `aux` is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AuxKind {
    /// Not used: 0.
    None,
    /// [`IntCond`].
    IntCond,
    /// [`FloatCond`].
    FloatCond,
    /// [`Cond`].
    Cond,
    /// [`Rounding`].
    Rounding,
    /// [`NanRule`].
    Nan,
    /// [`Carry`].
    Carry,
    /// [`RmwOp`].
    Rmw,
    /// [`Ordering`].
    Ordering,
    /// [`Barrier`].
    Barrier,
    /// A [`Ty`]: the type in memory.
    Type,
    /// A length in bytes.
    Length,
}

/// How an instruction's `imm` is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ImmKind {
    /// Not used: 0.
    None,
    /// The bits of a constant.
    Bits,
    /// A signed displacement in bytes, added to the address.
    Offset,
    /// A [`crate::Slot`].
    Slot,
    /// A guest address.
    Pc,
    /// A lane number, 0 = least significant; or a bit count.
    Lane,
    /// An index into [`crate::Region::consts`].
    Const,
    /// An index into [`crate::Region::helpers`].
    Helper,
    /// Four 4-bit NZCV values, bits 0–3 for less, 4–7 for equal, 8–11 for greater, 12–15 for unordered; and [`SIGNALS`].
    Relations,
}

/// In the relations of [`Op::FlagsFcmp`]: quiet NaNs, too, raise that the operation is invalid (AArch64's FCMPE).
pub const SIGNALS: u64 = 1 << 16;

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct OpInfo {
    /// The operation.
    pub op: Op,
    /// Its name in text.
    pub name: &'static str,
    /// What it takes.
    pub takes: &'static [Takes],
    /// What it makes.
    pub makes: Makes,
    /// What it does.
    pub effect: Effect,
    /// How its `aux` is read.
    pub aux: AuxKind,
    /// How its `imm` is read.
    pub imm: ImmKind,
}

macro_rules! ops {
    ($($(#[$doc:meta])* $op:ident $name:literal ($($takes:ident)*) -> $makes:ident, $effect:ident, $aux:ident, $imm:ident;)*) => {
        /// An operation.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[repr(u8)]
        pub enum Op { $($(#[$doc])* $op),* }

        /// The table, in the order of [`Op`].
        pub static OPS: &[OpInfo] = &[$(OpInfo {
            op: Op::$op, name: $name, takes: &[$(Takes::$takes),*], makes: Makes::$makes,
            effect: Effect::$effect, aux: AuxKind::$aux, imm: ImmKind::$imm,
        }),*];
    };
}

ops! {
    /// A scalar constant: the low bits of `imm`.
    Const "const" () -> Same, Pure, None, Bits;
    /// A 128-bit constant out of the region's pool.
    WideConst "wide_const" () -> Same, Pure, None, Const;

    /// Reads a slot; a type narrower than the slot reads its low bits.
    Get "get" () -> Same, ReadSlot, None, Slot;
    /// Writes a whole slot; a value narrower than the slot is zero-extended.
    Set "set" (Same) -> None, WriteSlot, None, Slot;
    /// Writes the low bits of a slot and keeps the others.
    SetLow "set_low" (Same) -> None, WriteSlot, None, Slot;
    /// What follows comes from the guest instruction at this pc; `aux` is its length in bytes.
    Insn "insn" () -> None, Marker, Length, Pc;
    /// 1 if someone asks this thread to leave translated code.
    PollPending "poll_pending" () -> Bool, Poll, None, None;

    /// Reads guest memory at operand 0 + offset. Plain accesses have the guest's weakest ordering and may be misaligned.
    Load "load" (I64) -> Same, Load, None, Offset;
    /// Reads an integer of type `aux` and zero-extends it.
    LoadZext "load_zext" (I64) -> Same, Load, Type, Offset;
    /// Reads an integer of type `aux` and sign-extends it.
    LoadSext "load_sext" (I64) -> Same, Load, Type, Offset;
    /// Writes operand 1 to guest memory at operand 0 + offset.
    Store "store" (I64 Same) -> None, Store, None, Offset;
    /// Reads an aligned integer in one step.
    AtomicLoad "atomic_load" (I64) -> Same, Load, Ordering, None;
    /// Writes an aligned integer in one step.
    AtomicStore "atomic_store" (I64 Same) -> None, Store, Ordering, None;
    /// Replaces the integer at operand 0 by `aux`(old, operand 1) in one step; makes the old value. Sequentially consistent.
    AtomicRmw "atomic_rmw" (I64 Same) -> Same, Atomic, Rmw, None;
    /// If the integer at operand 0 equals operand 1, replaces it by operand 2; makes the old value. Up to 128 bits. Sequentially consistent.
    AtomicCas "atomic_cas" (I64 Same Same) -> Same, Atomic, None, None;
    /// Orders the accesses before it against those after it.
    Fence "fence" () -> None, Fence, Barrier, None;
    /// The memory at operand 0 + offset will be read soon; nothing happens where there is none.
    Prefetch "prefetch" (I64) -> None, Hint, None, Offset;

    /// Sum. Vectors: lane by lane, as in all that follows.
    Add "add" (Same Same) -> Same, Pure, None, None;
    /// Difference.
    Sub "sub" (Same Same) -> Same, Pure, None, None;
    /// Low half of the product.
    Mul "mul" (Same Same) -> Same, Pure, None, None;
    /// High half of the unsigned product; scalars up to 64 bits.
    UmulHigh "umul_high" (Same Same) -> Same, Pure, None, None;
    /// High half of the signed product; scalars up to 64 bits.
    SmulHigh "smul_high" (Same Same) -> Same, Pure, None, None;
    /// Unsigned quotient; 0 for a divisor of 0. Scalars up to 128 bits.
    Udiv "udiv" (Same Same) -> Same, Pure, None, None;
    /// Signed quotient, towards zero; 0 for a divisor of 0, and wraps for MIN / −1.
    Sdiv "sdiv" (Same Same) -> Same, Pure, None, None;
    /// Unsigned remainder; the dividend for a divisor of 0.
    Urem "urem" (Same Same) -> Same, Pure, None, None;
    /// Signed remainder with the sign of the dividend; the dividend for a divisor of 0, and 0 for MIN / −1.
    Srem "srem" (Same Same) -> Same, Pure, None, None;
    /// Two's complement.
    Neg "neg" (Same) -> Same, Pure, None, None;
    /// Absolute value; MIN stays MIN.
    Abs "abs" (Same) -> Same, Pure, None, None;
    /// Bitwise and.
    And "and" (Same Same) -> Same, Pure, None, None;
    /// Bitwise or.
    Or "or" (Same Same) -> Same, Pure, None, None;
    /// Bitwise exclusive or.
    Xor "xor" (Same Same) -> Same, Pure, None, None;
    /// Operand 0 and not operand 1.
    AndNot "and_not" (Same Same) -> Same, Pure, None, None;
    /// Bitwise complement.
    Not "not" (Same) -> Same, Pure, None, None;
    /// Shifts left by operand 1 modulo the width. Integers only.
    Shl "shl" (Same Same) -> Same, Pure, None, None;
    /// Shifts right, zeroes in, by operand 1 modulo the width. Integers only.
    Lshr "lshr" (Same Same) -> Same, Pure, None, None;
    /// Shifts right, sign in, by operand 1 modulo the width. Integers only.
    Ashr "ashr" (Same Same) -> Same, Pure, None, None;
    /// Rotates right by operand 1 modulo the width. Integers only.
    Rotr "rotr" (Same Same) -> Same, Pure, None, None;
    /// Leading zero bits; the width for 0.
    Clz "clz" (Same) -> Same, Pure, None, None;
    /// Trailing zero bits; the width for 0.
    Ctz "ctz" (Same) -> Same, Pure, None, None;
    /// Bits below the sign bit that equal it, counted from the top.
    Cls "cls" (Same) -> Same, Pure, None, None;
    /// Bits that are set.
    Popcnt "popcnt" (Same) -> Same, Pure, None, None;
    /// Bytes in reverse order (scalars).
    Bswap "bswap" (Same) -> Same, Pure, None, None;
    /// Bits in reverse order.
    Rbit "rbit" (Same) -> Same, Pure, None, None;
    /// Smaller, unsigned.
    Umin "umin" (Same Same) -> Same, Pure, None, None;
    /// Larger, unsigned.
    Umax "umax" (Same Same) -> Same, Pure, None, None;
    /// Smaller, signed.
    Smin "smin" (Same Same) -> Same, Pure, None, None;
    /// Larger, signed.
    Smax "smax" (Same Same) -> Same, Pure, None, None;
    /// Compares integers of type T.
    Icmp "icmp" (Same Same) -> Mask, Pure, IntCond, None;
    /// Operand 1 if operand 0 is 1, else operand 2; any type, flags included.
    Select "select" (Bool Same Same) -> Same, Pure, None, None;

    /// Zero-extends a narrower integer.
    Zext "zext" (Any) -> Same, Pure, None, None;
    /// Sign-extends a narrower integer.
    Sext "sext" (Any) -> Same, Pure, None, None;
    /// Keeps the low bits of a wider integer.
    Trunc "trunc" (Any) -> Same, Pure, None, None;
    /// The same bits as another type of the same width.
    Bitcast "bitcast" (Any) -> Same, Pure, None, None;
    /// Operand 0 as the low and operand 1 as the high half. `ty` is `i128` or `v128`.
    Concat "concat" (I64 I64) -> Same, Pure, None, None;
    /// The low half of a value of type T, `i128` or `v128`.
    Low "low" (Same) -> I64, Pure, None, None;
    /// The high half of a value of type T, `i128` or `v128`.
    High "high" (Same) -> I64, Pure, None, None;

    /// The flags of a + b.
    FlagsAdd "flags_add" (Same Same) -> Flags, Pure, None, None;
    /// The flags of a + b + c.
    FlagsAdc "flags_adc" (Same Same Bool) -> Flags, Pure, None, None;
    /// The flags of a − b; C as `aux` says.
    FlagsSub "flags_sub" (Same Same) -> Flags, Pure, Carry, None;
    /// The flags of a − b − borrow, where operand 2 is the carry *in the sense of* `aux`, as is the C it makes.
    FlagsSbc "flags_sbc" (Same Same Bool) -> Flags, Pure, Carry, None;
    /// N and Z of a; C and V clear.
    FlagsLogic "flags_logic" (Same) -> Flags, Pure, None, None;
    /// Compares floats a and b; `imm` says which NZCV each of the four relations gives.
    FlagsFcmp "flags_fcmp" (Same Same) -> Flags, Pure, None, Relations;
    /// Flags f with C replaced by a truth value.
    FlagsWithC "flags_with_c" (Flags Bool) -> Flags, Pure, None, None;
    /// Flags f with V replaced by a truth value.
    FlagsWithV "flags_with_v" (Flags Bool) -> Flags, Pure, None, None;
    /// Flags out of the low four bits of an `i32`: 3 = N, 2 = Z, 1 = C, 0 = V.
    FlagsFromBits "flags_from_bits" (I32) -> Flags, Pure, None, None;
    /// Flags as an `i32`: bit 3 = N, 2 = Z, 1 = C, 0 = V.
    FlagsToBits "flags_to_bits" (Flags) -> I32, Pure, None, None;
    /// Whether condition `aux` holds for flags f.
    FlagsTest "flags_test" (Flags) -> Bool, Pure, Cond, None;

    /// Sum, rounded as the guest's control register says (to nearest even by default); NaNs as `aux` says. So in all that follows.
    Fadd "fadd" (Same Same) -> Same, Pure, Nan, None;
    /// Difference.
    Fsub "fsub" (Same Same) -> Same, Pure, Nan, None;
    /// Product. Under the rules of Arm, it and [`Op::FmulAdd`] raise an underflow if they are tiny before they are rounded.
    Fmul "fmul" (Same Same) -> Same, Pure, Nan, None;
    /// Quotient.
    Fdiv "fdiv" (Same Same) -> Same, Pure, Nan, None;
    /// Square root.
    Fsqrt "fsqrt" (Same) -> Same, Pure, Nan, None;
    /// a × b + c, rounded once.
    FmulAdd "fmul_add" (Same Same Same) -> Same, Pure, Nan, None;
    /// Flips the sign bit, of NaNs too.
    Fneg "fneg" (Same) -> Same, Pure, None, None;
    /// Clears the sign bit, of NaNs too.
    Fabs "fabs" (Same) -> Same, Pure, None, None;
    /// IEEE 754-2019 minimum: a NaN operand gives a NaN, −0 is below +0.
    Fmin "fmin" (Same Same) -> Same, Pure, Nan, None;
    /// IEEE 754-2019 maximum: a NaN operand gives a NaN, +0 is above −0.
    Fmax "fmax" (Same Same) -> Same, Pure, Nan, None;
    /// IEEE 754-2008 minNum: a quiet NaN beside a number gives the number; −0 is below +0.
    FminNum "fmin_num" (Same Same) -> Same, Pure, Nan, None;
    /// IEEE 754-2008 maxNum: a quiet NaN beside a number gives the number; +0 is above −0.
    FmaxNum "fmax_num" (Same Same) -> Same, Pure, Nan, None;
    /// Compares floats of type T. Of vectors, the four relations of order raise that the operation is invalid for every NaN,
    /// otherwise signalling NaNs do.
    Fcmp "fcmp" (Same Same) -> Mask, Pure, FloatCond, None;
    /// Rounds to an integral value; NaNs are quieted and kept.
    Fround "fround" (Same) -> Same, Pure, Rounding, None;
    /// binary32 to binary64, exact; NaNs are quieted and keep sign and payload. T is `f64`, or `f64x2` for the two low lanes.
    Fpromote "fpromote" (Any) -> Same, Pure, None, None;
    /// binary64 to binary32, rounded as sums are; NaNs are quieted and keep sign and the top of the payload. T is `f32`, or `f32x4` of two lanes with zeroes above.
    Fdemote "fdemote" (Any) -> Same, Pure, None, None;
    /// The four low lanes, binary16, to binary32, exact; NaNs are quieted and keep sign and payload. T is `f32x4`.
    FpromoteHalf "fpromote_half" (V128) -> Same, Pure, None, None;
    /// As [`Op::FpromoteHalf`], but signalling NaNs stay signalling, for an operation that looks at that.
    FwidenHalf "fwiden_half" (V128) -> Same, Pure, None, None;
    /// Lanes of binary32 to binary16, zeroes above, rounded as sums are; NaNs are quieted and keep sign and the top of the payload. T is `f32x4`.
    FdemoteHalf "fdemote_half" (V128) -> Same, Pure, None, None;
    /// Float to signed integer of type T, rounded as `aux` says, saturating; NaN gives 0.
    FtoSint "fto_sint" (Any) -> Same, Pure, Rounding, None;
    /// Float to unsigned integer of type T, rounded as `aux` says, saturating; NaN gives 0.
    FtoUint "fto_uint" (Any) -> Same, Pure, Rounding, None;
    /// Signed integer to float of type T, rounded as sums are.
    SintToF "sint_to_f" (Any) -> Same, Pure, None, None;
    /// Unsigned integer to float of type T, rounded as sums are.
    UintToF "uint_to_f" (Any) -> Same, Pure, None, None;

    /// All lanes hold the scalar.
    Splat "splat" (Lane) -> Same, Pure, None, None;
    /// The lane `imm`.
    ExtractLane "extract_lane" (Same) -> Lane, Pure, None, Lane;
    /// The vector with lane `imm` replaced.
    InsertLane "insert_lane" (Same Lane) -> Same, Pure, None, Lane;
    /// Byte i is byte m[i] of a (0–15) or b (16–31), or 0 above; m is a constant of the pool.
    Shuffle "shuffle" (V128 V128) -> V128, Pure, None, Const;
    /// Byte i is byte b[i] of a, or 0 if b[i] is above 15.
    TableLookup "table_lookup" (V128 V128) -> V128, Pure, None, None;
    /// Bits of b where a is set, else of c.
    BitSelect "bit_select" (V128 V128 V128) -> V128, Pure, None, None;
    /// The top bits of the lanes of shape T, lane 0 in bit 0.
    LaneMask "lane_mask" (Same) -> I32, Pure, None, None;
    /// Shifts lanes left by `imm`, at most the lane width.
    VshlImm "vshl_imm" (Same) -> Same, Pure, None, Lane;
    /// Shifts lanes right, zeroes in, by `imm`, at most the lane width.
    VlshrImm "vlshr_imm" (Same) -> Same, Pure, None, Lane;
    /// Shifts lanes right, sign in, by `imm`, at most the lane width.
    VashrImm "vashr_imm" (Same) -> Same, Pure, None, Lane;
    /// Shifts each lane left by the unsigned value of the same lane of b; 0 from the lane width on.
    Vshl "vshl" (Same Same) -> Same, Pure, None, None;
    /// Shifts each lane right, zeroes in, by the unsigned value of the same lane of b; 0 from the lane width on.
    Vlshr "vlshr" (Same Same) -> Same, Pure, None, None;
    /// Shifts each lane right, sign in, by the unsigned value of the same lane of b; all sign from the lane width on.
    Vashr "vashr" (Same Same) -> Same, Pure, None, None;
    /// Sum, signed saturation.
    AddSatS "add_sat_s" (Same Same) -> Same, Pure, None, None;
    /// Sum, unsigned saturation.
    AddSatU "add_sat_u" (Same Same) -> Same, Pure, None, None;
    /// Difference, signed saturation.
    SubSatS "sub_sat_s" (Same Same) -> Same, Pure, None, None;
    /// Difference, unsigned saturation.
    SubSatU "sub_sat_u" (Same Same) -> Same, Pure, None, None;
    /// (a + b + 1) / 2, unsigned, without overflow.
    AvgU "avg_u" (Same Same) -> Same, Pure, None, None;
    /// Sums of neighbouring lanes: a's in the low half, b's in the high half. Integer shapes.
    AddPairs "add_pairs" (Same Same) -> Same, Pure, None, None;
    /// Sums of neighbouring products of signed lanes of half T's width (`pmaddwd` for `i32x4`).
    DotPairsS "dot_pairs_s" (V128 V128) -> Same, Pure, None, None;
    /// Sign-extends the low half of the lanes; T is the shape made.
    WidenLowS "widen_low_s" (V128) -> Same, Pure, None, None;
    /// Sign-extends the high half of the lanes; T is the shape made.
    WidenHighS "widen_high_s" (V128) -> Same, Pure, None, None;
    /// Zero-extends the low half of the lanes; T is the shape made.
    WidenLowU "widen_low_u" (V128) -> Same, Pure, None, None;
    /// Zero-extends the high half of the lanes; T is the shape made.
    WidenHighU "widen_high_u" (V128) -> Same, Pure, None, None;
    /// Low halves of the lanes of a, then of b; T is the shape made, as for the next three.
    Narrow "narrow" (V128 V128) -> Same, Pure, None, None;
    /// Signed lanes of a, then of b, saturated to signed.
    NarrowSatSS "narrow_sat_ss" (V128 V128) -> Same, Pure, None, None;
    /// Signed lanes of a, then of b, saturated to unsigned.
    NarrowSatSU "narrow_sat_su" (V128 V128) -> Same, Pure, None, None;
    /// Unsigned lanes of a, then of b, saturated to unsigned.
    NarrowSatUU "narrow_sat_uu" (V128 V128) -> Same, Pure, None, None;
    /// Carry-less product of the low halves.
    ClmulLow "clmul_low" (V128 V128) -> V128, Pure, None, None;
    /// A round of AES without its key (FIPS 197, 5.1): SubBytes, ShiftRows, MixColumns. Byte r + 4c is that of row r and column c.
    AesRound "aes_round" (V128) -> V128, Pure, None, None;
    /// The last round of AES without its key: SubBytes, ShiftRows.
    AesLastRound "aes_last_round" (V128) -> V128, Pure, None, None;
    /// MixColumns.
    AesMix "aes_mix" (V128) -> V128, Pure, None, None;
    /// A round of AES's inverse without its key (FIPS 197, 5.3): InvShiftRows, InvSubBytes, InvMixColumns.
    AesInverseRound "aes_inverse_round" (V128) -> V128, Pure, None, None;
    /// The last round of AES's inverse without its key: InvShiftRows, InvSubBytes.
    AesInverseLastRound "aes_inverse_last_round" (V128) -> V128, Pure, None, None;
    /// InvMixColumns.
    AesInverseMix "aes_inverse_mix" (V128) -> V128, Pure, None, None;

    /// Calls the helper `imm` with up to three operands; T is what it makes.
    Call "call" (Any Any Any) -> Same, Helper, None, Helper;
}

impl Op {
    /// This operation's row.
    #[inline]
    pub fn info(self) -> &'static OpInfo {
        &OPS[self as usize]
    }

    /// The operation with this name.
    pub fn parse(name: &str) -> Option<Op> {
        OPS.iter().find(|info| info.name == name).map(|info| info.op)
    }

    /// Whether the operation may raise status flags of the floating-point unit, and looks at its modes: it has to be
    /// executed though nobody wants its result.
    pub fn raises(self) -> bool {
        matches!(self.info().aux, AuxKind::Nan | AuxKind::FloatCond | AuxKind::Rounding)
            || matches!(self, Op::FlagsFcmp | Op::Fpromote | Op::Fdemote | Op::SintToF | Op::UintToF)
            || matches!(self, Op::FpromoteHalf | Op::FwidenHalf | Op::FdemoteHalf)
    }
}

impl OpInfo {
    /// The type of the value that an instruction of this row with type `ty` makes, if any.
    #[inline]
    pub fn result(&self, ty: Ty) -> Option<Ty> {
        match self.makes {
            Makes::None => None,
            Makes::Same => Some(ty.value()),
            Makes::Bool => Some(Ty::I8),
            Makes::Mask => Some(if ty.is_vector() { Ty::V128 } else { Ty::I8 }),
            Makes::I32 => Some(Ty::I32),
            Makes::I64 => Some(Ty::I64),
            Makes::I128 => Some(Ty::I128),
            Makes::V128 => Some(Ty::V128),
            Makes::Flags => Some(Ty::Flags),
            Makes::Lane => Some(ty.lane()),
        }
    }
}

macro_rules! aux {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[repr(u8)]
        pub enum $name { $($(#[$vdoc])* $variant),* }

        impl $name {
            /// Every value, in the order of their numbers.
            pub const ALL: &'static [$name] = &[$($name::$variant),*];

            /// The name in text.
            pub fn name(self) -> &'static str {
                match self { $($name::$variant => $text),* }
            }

            /// The value with this name.
            pub fn parse(name: &str) -> Option<$name> {
                Self::ALL.iter().copied().find(|value| value.name() == name)
            }

            /// The value with this number, as an instruction's `aux` keeps it. No table is read, which would be one
            /// page more for each child of fork.
            pub fn from_aux(aux: u8) -> $name {
                $(if aux == $name::$variant as u8 { return $name::$variant; })*
                panic!("no {} has the number {aux}", stringify!($name))
            }
        }
    };
}

aux! {
    /// A relation of two integers.
    IntCond {
        /// Equal.
        Eq = "eq",
        /// Not equal.
        Ne = "ne",
        /// Unsigned less.
        Ult = "ult",
        /// Unsigned less or equal.
        Ule = "ule",
        /// Unsigned greater.
        Ugt = "ugt",
        /// Unsigned greater or equal.
        Uge = "uge",
        /// Signed less.
        Slt = "slt",
        /// Signed less or equal.
        Sle = "sle",
        /// Signed greater.
        Sgt = "sgt",
        /// Signed greater or equal.
        Sge = "sge",
    }
}

aux! {
    /// A relation of two floats; false when unordered, unless it says otherwise.
    FloatCond {
        /// Equal.
        Eq = "eq",
        /// Less.
        Lt = "lt",
        /// Less or equal.
        Le = "le",
        /// Greater.
        Gt = "gt",
        /// Greater or equal.
        Ge = "ge",
        /// Unordered: an operand is a NaN.
        Un = "un",
        /// Not equal, or unordered.
        Ne = "ne",
    }
}

aux! {
    /// A condition on N, Z, C and V.
    Cond {
        /// Z.
        Eq = "eq",
        /// Not Z.
        Ne = "ne",
        /// C.
        Cs = "cs",
        /// Not C.
        Cc = "cc",
        /// N.
        Mi = "mi",
        /// Not N.
        Pl = "pl",
        /// V.
        Vs = "vs",
        /// Not V.
        Vc = "vc",
        /// C and not Z (AArch64 unsigned higher).
        Hi = "hi",
        /// Not C, or Z (AArch64 unsigned lower or same).
        Ls = "ls",
        /// N = V.
        Ge = "ge",
        /// N ≠ V.
        Lt = "lt",
        /// Not Z, and N = V.
        Gt = "gt",
        /// Z, or N ≠ V.
        Le = "le",
        /// C or Z (x86 below or equal).
        Be = "be",
        /// Neither C nor Z (x86 above).
        A = "a",
    }
}

impl Cond {
    /// Whether the condition holds for flags given as bits: 3 = N, 2 = Z, 1 = C, 0 = V.
    pub fn holds(self, nzcv: u8) -> bool {
        let (n, z, c, v) = (nzcv & 8 != 0, nzcv & 4 != 0, nzcv & 2 != 0, nzcv & 1 != 0);
        match self {
            Cond::Eq => z,
            Cond::Ne => !z,
            Cond::Cs => c,
            Cond::Cc => !c,
            Cond::Mi => n,
            Cond::Pl => !n,
            Cond::Vs => v,
            Cond::Vc => !v,
            Cond::Hi => c && !z,
            Cond::Ls => !c || z,
            Cond::Ge => n == v,
            Cond::Lt => n != v,
            Cond::Gt => !z && n == v,
            Cond::Le => z || n != v,
            Cond::Be => c || z,
            Cond::A => !c && !z,
        }
    }
}

aux! {
    /// How a value is rounded to an integer.
    Rounding {
        /// To nearest, ties to even.
        Nearest = "nearest",
        /// Towards minus infinity.
        Floor = "floor",
        /// Towards plus infinity.
        Ceil = "ceil",
        /// Towards zero.
        Zero = "zero",
        /// To nearest, ties away from zero.
        Away = "away",
        /// As the guest's floating-point control register says: as arithmetic rounds.
        Current = "current",
        /// As `Current`, and an integral value that is not the operand raises that it is inexact.
        CurrentExact = "current_exact",
    }
}

aux! {
    /// Which NaN an operation makes.
    NanRule {
        /// AArch64, FPCR.DN = 0 (Arm ARM, FPProcessNaNs): the first signalling operand quieted, else the first quiet
        /// one, else +default. A fused multiply-add looks at the addend first.
        Arm = "arm",
        /// AArch64, FPCR.DN = 1: always the default NaN, positive.
        ArmDefault = "arm_default",
        /// x86 SSE (SDM volume 1, table 4-7): the first operand if it is a NaN, else the second, quieted; else the
        /// default NaN, negative.
        X86 = "x86",
        /// AArch64, where the machines are known to agree: at most one operand is a NaN, none is invalid because it is
        /// infinite or negative, and what is tiny is exact. A promise of the pass that writes it.
        Agreed = "agreed",
    }
}

impl NanRule {
    /// Whether a host's instruction may make something else, or raise something else.
    pub fn may_differ_from_host(self) -> bool {
        !matches!(self, NanRule::X86 | NanRule::Agreed)
    }
}

aux! {
    /// What C means after a subtraction.
    Carry {
        /// C is set on borrow (x86).
        Borrow = "borrow",
        /// C is clear on borrow (AArch64).
        NotBorrow = "not_borrow",
    }
}

aux! {
    /// What an atomic read-modify-write computes from the old value and its operand.
    RmwOp {
        /// Old + operand.
        Add = "add",
        /// Old and operand.
        And = "and",
        /// Old and not operand.
        AndNot = "and_not",
        /// Old or operand.
        Or = "or",
        /// Old exclusive-or operand.
        Xor = "xor",
        /// The operand.
        Xchg = "xchg",
        /// The smaller, signed.
        Smin = "smin",
        /// The larger, signed.
        Smax = "smax",
        /// The smaller, unsigned.
        Umin = "umin",
        /// The larger, unsigned.
        Umax = "umax",
    }
}

aux! {
    /// The ordering of an atomic load or store.
    Ordering {
        /// None.
        Relaxed = "relaxed",
        /// Later accesses stay later (loads).
        Acquire = "acquire",
        /// Earlier accesses stay earlier (stores).
        Release = "release",
        /// In one order with all others of this kind.
        SeqCst = "seq_cst",
    }
}

aux! {
    /// What a fence orders.
    Barrier {
        /// Everything.
        Full = "full",
        /// Loads before it against everything after it.
        Load = "load",
        /// Stores before it against stores after it.
        Store = "store",
    }
}

aux! {
    /// Where an indirect branch belongs in the call structure of the guest.
    FlowHint {
        /// Nowhere in particular.
        Jump = "jump",
        /// It calls.
        Call = "call",
        /// It returns.
        Return = "return",
    }
}
