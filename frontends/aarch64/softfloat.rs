//! Floating point to the letter of the Arm ARM's pseudocode (J1.3, shared/functions/float), on integers: every bit of
//! FPCR that this architecture version has, and the cumulative flags of FPSR.
//!
//! In: the bits of operands, a format, an [`Environment`]. Out: the bits of the result; the environment's `flags` gain
//! what the operation raises. A number is a significand and a power of two; rounding is in one place, [`Environment::round`].

use philae_ir::{FloatCond, Rounding};

/// FPSR: invalid operation.
pub(super) const IOC: u32 = 1 << 0;
/// FPSR: division by zero.
pub(super) const DZC: u32 = 1 << 1;
/// FPSR: overflow.
pub(super) const OFC: u32 = 1 << 2;
/// FPSR: underflow.
pub(super) const UFC: u32 = 1 << 3;
/// FPSR: inexact.
pub(super) const IXC: u32 = 1 << 4;
/// FPSR: denormal input, flushed.
pub(super) const IDC: u32 = 1 << 7;

/// FPCR: denormal halves are zeroes.
pub(super) const FZ16: u32 = 1 << 19;
/// FPCR: other denormals are zeroes.
pub(super) const FZ: u32 = 1 << 24;
/// FPCR: every NaN that is made is the default one.
pub(super) const DN: u32 = 1 << 25;
/// FPCR: halves have an exponent more instead of infinities and NaNs.
pub(super) const AHP: u32 = 1 << 26;

/// A floating-point format.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Format {
    /// Its width.
    pub(super) bits: u32,
    /// Bits of the fraction.
    fraction: u32,
}

/// binary16.
pub(super) const HALF: Format = Format { bits: 16, fraction: 10 };
/// binary32.
pub(super) const SINGLE: Format = Format { bits: 32, fraction: 23 };
/// binary64.
pub(super) const DOUBLE: Format = Format { bits: 64, fraction: 52 };
/// The upper half of a binary32 (FEAT_BF16).
pub(super) const BRAIN: Format = Format { bits: 16, fraction: 7 };

impl Format {
    /// The format of so many bits.
    pub(super) fn of(bits: u32) -> Format {
        match bits {
            16 => HALF,
            32 => SINGLE,
            _ => DOUBLE,
        }
    }

    /// The mask of the format's bits.
    pub(super) fn mask(self) -> u64 {
        u64::MAX >> (64 - self.bits)
    }

    /// The sign bit.
    pub(super) fn sign(self) -> u64 {
        1 << (self.bits - 1)
    }

    /// Bits of the fraction.
    pub(super) fn fraction_bits(self) -> u32 {
        self.fraction
    }

    /// The bits of infinity.
    pub(super) fn infinity_bits(self) -> u64 {
        self.infinity()
    }

    /// The exponent of the smallest normal number.
    fn smallest(self) -> i32 {
        2 - (1 << (self.bits - self.fraction - 2))
    }

    fn infinity(self) -> u64 {
        self.sign() - (1 << self.fraction)
    }

    fn quiet(self) -> u64 {
        1 << (self.fraction - 1)
    }

    fn default_nan(self) -> u64 {
        self.infinity() | self.quiet()
    }

    fn signed(self, sign: bool, magnitude: u64) -> u64 {
        magnitude | if sign { self.sign() } else { 0 }
    }

    /// 2 to the power `exponent`, times 1.5 if `half_more`.
    fn power(self, exponent: i32, half_more: bool) -> u64 {
        (((exponent - self.smallest() + 1) as u64) << self.fraction) | if half_more { self.quiet() } else { 0 }
    }
}

/// What an operand is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Zero,
    Number,
    Infinity,
    QuietNan,
    SignallingNan,
}

/// An operand in its parts: `significand` × 2 to the power `exponent`, where it is a number.
#[derive(Clone, Copy, Debug)]
struct Unpacked {
    kind: Kind,
    sign: bool,
    exponent: i32,
    significand: u128,
}

impl Unpacked {
    fn is_nan(self) -> bool {
        matches!(self.kind, Kind::QuietNan | Kind::SignallingNan)
    }

    fn is_infinite(self) -> bool {
        self.kind == Kind::Infinity
    }

    fn is_zero(self) -> bool {
        self.kind == Kind::Zero
    }

    /// The number with its leading bit at `place`, which is at or above where it is.
    fn with_top_at(self, place: u32) -> Unpacked {
        let up = place - (127 - self.significand.leading_zeros());
        Unpacked { exponent: self.exponent - up as i32, significand: self.significand << up, ..self }
    }
}

/// How a result that is no number of the format is rounded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mode {
    /// To nearest, halves to even.
    Nearest,
    /// To nearest, halves away from zero.
    Away,
    /// Up.
    Ceil,
    /// Down.
    Floor,
    /// Towards zero.
    Zero,
    /// To the odd neighbour (FPRounding_ODD).
    Odd,
}

/// Which denormal results become zeroes, and whether a half has infinities.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    /// As FZ and FZ16 say.
    Arithmetic,
    /// A conversion between formats: FZ16 does not count, AHP does.
    Conversion,
}

/// FPCR, and what has been raised.
#[derive(Clone, Copy, Debug)]
pub(super) struct Environment {
    fpcr: u32,
    /// Flags in the places of FPSR.
    pub(super) flags: u32,
}

impl Environment {
    /// No flags raised yet.
    pub(super) fn new(fpcr: u32) -> Environment {
        Environment { fpcr, flags: 0 }
    }

    fn is_set(&self, bit: u32) -> bool {
        self.fpcr & bit != 0
    }

    /// FPCR.RMode.
    pub(super) fn mode(&self) -> Mode {
        [Mode::Nearest, Mode::Ceil, Mode::Floor, Mode::Zero][(self.fpcr >> 22 & 3) as usize]
    }

    /// The mode that an instruction names.
    pub(super) fn named(&self, rounding: Rounding) -> Mode {
        match rounding {
            Rounding::Nearest => Mode::Nearest,
            Rounding::Floor => Mode::Floor,
            Rounding::Ceil => Mode::Ceil,
            Rounding::Zero => Mode::Zero,
            Rounding::Away => Mode::Away,
            Rounding::Current | Rounding::CurrentExact => self.mode(),
        }
    }

    fn raise(&mut self, flags: u32) {
        self.flags |= flags;
    }

    /// FPUnpackBase without flushing.
    fn parts(f: Format, bits: u64, alternative: bool) -> Unpacked {
        let magnitude = bits & (f.sign() - 1);
        let (exponent, fraction) = ((magnitude >> f.fraction) as i32, magnitude & ((1 << f.fraction) - 1));
        let (kind, hidden) = match exponent {
            0 if fraction == 0 => (Kind::Zero, 0),
            0 => (Kind::Number, 0),
            _ if magnitude < f.infinity() || alternative => (Kind::Number, 1u64 << f.fraction),
            _ if fraction == 0 => (Kind::Infinity, 0),
            _ if fraction & f.quiet() != 0 => (Kind::QuietNan, 0),
            _ => (Kind::SignallingNan, 0),
        };
        let exponent = exponent.max(1) - 1 + f.smallest() - f.fraction as i32;
        Unpacked { kind, sign: bits & f.sign() != 0, exponent, significand: u128::from(fraction | hidden) }
    }

    /// FPUnpack: denormals are flushed as FZ and FZ16 say.
    fn unpack(&mut self, f: Format, bits: u64) -> Unpacked {
        let mut operand = Self::parts(f, bits, false);
        let denormal = operand.kind == Kind::Number && operand.significand >> f.fraction == 0;
        if denormal && f == HALF && self.is_set(FZ16) {
            operand.kind = Kind::Zero;
        } else if denormal && f != HALF && self.is_set(FZ) {
            operand.kind = Kind::Zero;
            self.raise(IDC);
        }
        operand
    }

    /// FPRound of a number that is not zero. The last bit of `significand` may stand for all that is below it.
    fn round_to(&mut self, f: Format, (sign, exponent, significand): (bool, i32, u128), mode: Mode, to: Target) -> u64 {
        let leading = exponent + 127 - significand.leading_zeros() as i32;
        let smallest = f.smallest();
        let tiny = leading < smallest;
        let flush = if f == HALF { self.is_set(FZ16) && to == Target::Arithmetic } else { self.is_set(FZ) };
        if tiny && flush {
            self.raise(UFC);
            return f.signed(sign, 0);
        }
        let unit = leading.max(smallest) - f.fraction as i32;
        let (integer, inexact) = round_significand(significand, unit - exponent, sign, mode);
        let normal = u64::from(!tiny) * (leading - smallest).max(0) as u64;
        let magnitude = (normal << f.fraction) + integer as u64;
        if tiny && inexact {
            self.raise(UFC);
        }
        if to == Target::Conversion && f == HALF && self.is_set(AHP) {
            if magnitude >= f.sign() || normal > 62 {
                self.raise(IOC);
                return f.signed(sign, f.sign() - 1);
            }
        } else if normal >= f.infinity() >> f.fraction || magnitude >= f.infinity() {
            self.raise(OFC | IXC);
            return self.overflowed(f, sign, mode);
        }
        if inexact {
            self.raise(IXC);
        }
        f.signed(sign, magnitude)
    }

    fn round(&mut self, f: Format, sign: bool, exponent: i32, significand: u128) -> u64 {
        let mode = self.mode();
        self.round_to(f, (sign, exponent, significand), mode, Target::Arithmetic)
    }

    /// What a number beyond the format becomes.
    fn overflowed(&self, f: Format, sign: bool, mode: Mode) -> u64 {
        let to_infinity = match mode {
            Mode::Nearest | Mode::Away => true,
            Mode::Ceil => !sign,
            Mode::Floor => sign,
            Mode::Zero | Mode::Odd => false,
        };
        f.signed(sign, f.infinity() - u64::from(!to_infinity))
    }

    fn invalid(&mut self, f: Format) -> u64 {
        self.raise(IOC);
        f.default_nan()
    }

    /// FPProcessNaN.
    fn process_nan(&mut self, f: Format, kind: Kind, bits: u64) -> u64 {
        if kind == Kind::SignallingNan {
            self.raise(IOC);
        }
        if self.is_set(DN) { f.default_nan() } else { bits | f.quiet() }
    }

    /// FPProcessNaNs and FPProcessNaNs3: signalling before quiet, then in order.
    fn process_nans(&mut self, f: Format, operands: &[(Unpacked, u64)]) -> Option<u64> {
        let first = |kind: Kind| operands.iter().find(|(operand, _)| operand.kind == kind);
        let &(operand, bits) = first(Kind::SignallingNan).or_else(|| first(Kind::QuietNan))?;
        Some(self.process_nan(f, operand.kind, bits))
    }

    /// The zero that an exact difference makes.
    fn zero_sum(&self, f: Format) -> u64 {
        f.signed(self.mode() == Mode::Floor, 0)
    }

    /// The rounded sum of two numbers, either of which may be zero.
    fn add_numbers(&mut self, f: Format, a: Unpacked, b: Unpacked) -> u64 {
        match sum(a, b) {
            Some((sign, exponent, significand)) => self.round(f, sign, exponent, significand),
            None => self.zero_sum(f),
        }
    }

    /// FPAdd.
    pub(super) fn add(&mut self, f: Format, a: u64, b: u64) -> u64 {
        self.sum(f, a, b, |sign| sign)
    }

    /// FPSub.
    pub(super) fn sub(&mut self, f: Format, a: u64, b: u64) -> u64 {
        self.sum(f, a, b, |sign| !sign)
    }

    /// The sum of a and b, whose sign counts as `sign_of_b` says, unless one is a NaN.
    fn sum(&mut self, f: Format, a: u64, b: u64, sign_of_b: impl Fn(bool) -> bool) -> u64 {
        let (x, mut y) = (self.unpack(f, a), self.unpack(f, b));
        if let Some(nan) = self.process_nans(f, &[(x, a), (y, b)]) {
            return nan;
        }
        y.sign = sign_of_b(y.sign);
        match (x.kind, y.kind) {
            (Kind::Infinity, Kind::Infinity) if x.sign != y.sign => self.invalid(f),
            (Kind::Infinity, _) => f.signed(x.sign, f.infinity()),
            (_, Kind::Infinity) => f.signed(y.sign, f.infinity()),
            (Kind::Zero, Kind::Zero) if x.sign == y.sign => f.signed(x.sign, 0),
            _ => self.add_numbers(f, x, y),
        }
    }

    /// FPMul, or FPMulX, where 0 × ∞ is 2.
    pub(super) fn mul(&mut self, f: Format, a: u64, b: u64, extended: Extended) -> u64 {
        let (x, y) = (self.unpack(f, a), self.unpack(f, b));
        if let Some(nan) = self.process_nans(f, &[(x, a), (y, b)]) {
            return nan;
        }
        let sign = x.sign != y.sign;
        if x.is_infinite() && y.is_zero() || x.is_zero() && y.is_infinite() {
            return match extended {
                Extended::No => self.invalid(f),
                Extended::Yes => f.signed(sign, f.power(1, false)),
            };
        }
        if x.is_infinite() || y.is_infinite() {
            return f.signed(sign, f.infinity());
        }
        if x.is_zero() || y.is_zero() {
            return f.signed(sign, 0);
        }
        self.round(f, sign, x.exponent + y.exponent, x.significand * y.significand)
    }

    /// FPDiv.
    pub(super) fn div(&mut self, f: Format, a: u64, b: u64) -> u64 {
        let (x, y) = (self.unpack(f, a), self.unpack(f, b));
        if let Some(nan) = self.process_nans(f, &[(x, a), (y, b)]) {
            return nan;
        }
        let sign = x.sign != y.sign;
        if x.is_infinite() && y.is_infinite() || x.is_zero() && y.is_zero() {
            return self.invalid(f);
        }
        if x.is_infinite() || y.is_zero() {
            if !x.is_infinite() {
                self.raise(DZC);
            }
            return f.signed(sign, f.infinity());
        }
        if x.is_zero() || y.is_infinite() {
            return f.signed(sign, 0);
        }
        let (x, y) = (x.with_top_at(125), y.with_top_at(60));
        let (quotient, rest) = (x.significand / y.significand, x.significand % y.significand);
        self.round(f, sign, x.exponent - y.exponent - 1, quotient << 1 | u128::from(rest != 0))
    }

    /// FPSqrt.
    pub(super) fn sqrt(&mut self, f: Format, a: u64) -> u64 {
        let x = self.unpack(f, a);
        match x.kind {
            Kind::QuietNan | Kind::SignallingNan => return self.process_nan(f, x.kind, a),
            Kind::Zero => return f.signed(x.sign, 0),
            _ if x.sign => return self.invalid(f),
            Kind::Infinity => return f.infinity(),
            Kind::Number => {}
        }
        let mut x = x.with_top_at(125);
        if x.exponent & 1 != 0 {
            x = Unpacked { exponent: x.exponent - 1, significand: x.significand << 1, ..x };
        }
        let root = x.significand.isqrt();
        let inexact = root * root != x.significand;
        self.round(f, false, x.exponent / 2 - 1, root << 1 | u128::from(inexact))
    }

    /// FPMulAdd: `addend` + a × b.
    pub(super) fn mul_add(&mut self, f: Format, addend: u64, a: u64, b: u64) -> u64 {
        let z = self.unpack(f, addend);
        let (x, y) = (self.unpack(f, a), self.unpack(f, b));
        let nan = self.process_nans(f, &[(z, addend), (x, a), (y, b)]);
        self.add_product(f, nan, z, x, y)
    }

    /// FPMulAddH: the factors are halves, addend and result singles.
    pub(super) fn mul_add_halves(&mut self, addend: u64, a: u64, b: u64) -> u64 {
        let z = self.unpack(SINGLE, addend);
        let (x, y) = (self.unpack(HALF, a), self.unpack(HALF, b));
        let wide = |bits: u64| (bits & 0x8000) << 16 | 0xff << 23 | (bits & 0x3ff) << 13;
        let nan = self.process_nans(SINGLE, &[(z, addend), (x, wide(a)), (y, wide(b))]);
        self.add_product(SINGLE, nan, z, x, y)
    }

    fn add_product(&mut self, f: Format, nan: Option<u64>, z: Unpacked, x: Unpacked, y: Unpacked) -> u64 {
        let nothing = x.is_infinite() && y.is_zero() || x.is_zero() && y.is_infinite();
        if z.kind == Kind::QuietNan && nothing {
            return self.invalid(f);
        }
        if let Some(nan) = nan {
            return nan;
        }
        let (sign, infinite) = (x.sign != y.sign, x.is_infinite() || y.is_infinite());
        if nothing || z.is_infinite() && infinite && z.sign != sign {
            return self.invalid(f);
        }
        if z.is_infinite() || infinite {
            return f.signed(if infinite { sign } else { z.sign }, f.infinity());
        }
        let zero = x.is_zero() || y.is_zero();
        if z.is_zero() && zero && z.sign == sign {
            return f.signed(sign, 0);
        }
        let kind = if zero { Kind::Zero } else { Kind::Number };
        let significand = x.significand * y.significand;
        self.add_numbers(f, z, Unpacked { kind, sign, exponent: x.exponent + y.exponent, significand })
    }

    /// FPRecipStepFused (`reciprocal` of a root: FPRSqrtStepFused): 2 − a × b, or half of 3 − a × b.
    pub(super) fn step(&mut self, f: Format, a: u64, b: u64, of: Estimated) -> u64 {
        let a = a ^ f.sign();
        let (x, y) = (self.unpack(f, a), self.unpack(f, b));
        if let Some(nan) = self.process_nans(f, &[(x, a), (y, b)]) {
            return nan;
        }
        if x.is_infinite() && y.is_zero() || x.is_zero() && y.is_infinite() {
            return match of {
                Estimated::Reciprocal => f.power(1, false),
                Estimated::Root => f.power(0, true),
            };
        }
        let sign = x.sign != y.sign;
        if x.is_infinite() || y.is_infinite() {
            return f.signed(sign, f.infinity());
        }
        let kind = if x.is_zero() || y.is_zero() { Kind::Zero } else { Kind::Number };
        let (minuend, halved) = match of {
            Estimated::Reciprocal => (2, 0),
            Estimated::Root => (3, 1),
        };
        let constant = Unpacked { kind: Kind::Number, sign: false, exponent: -halved, significand: minuend };
        let significand = x.significand * y.significand;
        let product = Unpacked { kind, sign, exponent: x.exponent + y.exponent - halved, significand };
        self.add_numbers(f, constant, product)
    }

    /// FPMax, FPMin.
    pub(super) fn extreme(&mut self, f: Format, a: u64, b: u64, which: Extreme) -> u64 {
        let (x, y) = (self.unpack(f, a), self.unpack(f, b));
        if let Some(nan) = self.process_nans(f, &[(x, a), (y, b)]) {
            return nan;
        }
        let [a, b] = [(x, a), (y, b)].map(|(x, bits)| if x.is_zero() { bits & f.sign() } else { bits & f.mask() });
        // Ordered as integers: with the sign, magnitudes count backwards.
        let key = |bits: u64| if bits & f.sign() != 0 { -((bits ^ f.sign()) as i128) - 1 } else { bits as i128 };
        let first = match which {
            Extreme::Max => key(a) > key(b),
            Extreme::Min => key(a) < key(b),
        };
        if first { a } else { b }
    }

    /// FPMaxNum, FPMinNum.
    pub(super) fn extreme_number(&mut self, f: Format, a: u64, b: u64, which: Extreme) -> u64 {
        let quiet = |bits: u64| Self::parts(f, bits, false).kind == Kind::QuietNan;
        let nan = |bits: u64| Self::parts(f, bits, false).is_nan();
        let loses = f.signed(which == Extreme::Max, f.infinity());
        let (a, b) = match (quiet(a) && !nan(b), quiet(b) && !nan(a)) {
            (true, _) => (loses, b),
            (_, true) => (a, loses),
            _ => (a, b),
        };
        self.extreme(f, a, b, which)
    }

    /// FPCompare's relation: 0 less, 1 equal, 2 greater, 3 unordered. A signalling NaN is invalid, any with `signal`.
    pub(super) fn relation(&mut self, f: Format, a: u64, b: u64, signal: Signal) -> usize {
        let (x, y) = (self.unpack(f, a), self.unpack(f, b));
        if x.is_nan() || y.is_nan() {
            let signalling = x.kind == Kind::SignallingNan || y.kind == Kind::SignallingNan;
            if signalling || signal == Signal::AllNans {
                self.raise(IOC);
            }
            return 3;
        }
        let [a, b] = [(x, a), (y, b)].map(|(x, bits)| {
            let magnitude = if x.is_zero() { 0 } else { (bits & (f.sign() - 1)) as i128 };
            if x.sign { -magnitude } else { magnitude }
        });
        match a.cmp(&b) {
            std::cmp::Ordering::Less => 0,
            std::cmp::Ordering::Equal => 1,
            std::cmp::Ordering::Greater => 2,
        }
    }

    /// FPCompareEQ, FPCompareGE, FPCompareGT, and those with the operands exchanged.
    pub(super) fn holds(&mut self, f: Format, a: u64, b: u64, cond: FloatCond) -> bool {
        let quiet = matches!(cond, FloatCond::Eq | FloatCond::Ne | FloatCond::Un);
        let relation = self.relation(f, a, b, if quiet { Signal::SignallingNans } else { Signal::AllNans });
        match cond {
            FloatCond::Eq => relation == 1,
            FloatCond::Lt => relation == 0,
            FloatCond::Le => relation <= 1,
            FloatCond::Gt => relation == 2,
            FloatCond::Ge => relation == 1 || relation == 2,
            FloatCond::Un => relation == 3,
            FloatCond::Ne => relation != 1,
        }
    }

    /// FPRoundInt.
    pub(super) fn round_integral(&mut self, f: Format, a: u64, mode: Mode, exact: Exact) -> u64 {
        let x = self.unpack(f, a);
        match x.kind {
            Kind::QuietNan | Kind::SignallingNan => return self.process_nan(f, x.kind, a),
            Kind::Infinity => return a & f.mask(),
            Kind::Zero => return f.signed(x.sign, 0),
            Kind::Number if x.exponent >= 0 => return a & f.mask(),
            Kind::Number => {}
        }
        let (integer, inexact) = round_significand(x.significand, -x.exponent, x.sign, mode);
        if inexact && exact == Exact::Yes {
            self.raise(IXC);
        }
        self.integral(f, x.sign, integer)
    }

    /// An integer that the format holds, with a sign for zero.
    fn integral(&mut self, f: Format, sign: bool, integer: u128) -> u64 {
        if integer == 0 { f.signed(sign, 0) } else { self.round(f, sign, 0, integer) }
    }

    /// FPRoundIntN: beyond a signed integer of `bits` bits it is the smallest of those.
    pub(super) fn round_within(&mut self, f: Format, a: u64, mode: Mode, bits: u32) -> u64 {
        let x = self.unpack(f, a);
        let beyond = f.signed(true, f.power(bits as i32 - 1, false));
        let limit = 1u128 << (bits - 1);
        let (integer, inexact) = match x.kind {
            Kind::Zero => return f.signed(x.sign, 0),
            Kind::Number if x.exponent < 64 => round_significand(x.significand, -x.exponent, x.sign, mode),
            _ => (u128::MAX, false),
        };
        if integer > limit - u128::from(!x.sign) {
            self.raise(IOC);
            return beyond;
        }
        if inexact {
            self.raise(IXC);
        }
        self.integral(f, x.sign, integer)
    }

    /// FPToFixed: times 2 to the power `fraction`, to an integer of `bits` bits.
    pub(super) fn fix(&mut self, f: Format, a: u64, mode: Mode, to: Fixed) -> u64 {
        let x = self.unpack(f, a);
        let Fixed { bits, fraction, signed } = to;
        let (low, high) =
            if signed { (1u128 << (bits - 1), (1u128 << (bits - 1)) - 1) } else { (0, (1u128 << bits) - 1) };
        if x.is_nan() {
            self.raise(IOC);
            return 0;
        }
        let exponent = x.exponent + fraction as i32;
        let (integer, inexact) = match x.kind {
            Kind::Zero => (0, false),
            Kind::Number if exponent < 66 => round_significand(x.significand, -exponent, x.sign, mode),
            _ => (u128::MAX, false),
        };
        let limit = if x.sign { low } else { high };
        if integer > limit {
            self.raise(IOC);
        } else if inexact {
            self.raise(IXC);
        }
        let magnitude = integer.min(limit) as u64;
        let result = if x.sign { magnitude.wrapping_neg() } else { magnitude };
        result & u64::MAX >> (64 - bits)
    }

    /// FixedToFP: an integer of `from.bits` bits divided by 2 to the power `from.fraction`.
    pub(super) fn float(&mut self, f: Format, a: u64, from: Fixed) -> u64 {
        let value = a << (64 - from.bits);
        let (sign, magnitude) = if from.signed {
            let value = value as i64 >> (64 - from.bits);
            (value < 0, value.unsigned_abs())
        } else {
            (false, value >> (64 - from.bits))
        };
        if magnitude == 0 { 0 } else { self.round(f, sign, -(from.fraction as i32), u128::from(magnitude)) }
    }

    /// FPConvert, in the rounding mode of FPCR or to odd.
    pub(super) fn convert(&mut self, from: Format, to: Format, a: u64, mode: Mode) -> u64 {
        let alternative = from == HALF && self.is_set(AHP);
        let x = if from == HALF { Self::parts(from, a, alternative) } else { self.unpack(from, a) };
        let to_alternative = to == HALF && self.is_set(AHP);
        match x.kind {
            Kind::QuietNan | Kind::SignallingNan => {
                if x.kind == Kind::SignallingNan || to_alternative {
                    self.raise(IOC);
                }
                if to_alternative {
                    f_zero(to, x.sign)
                } else if self.is_set(DN) {
                    to.default_nan()
                } else {
                    let fraction = (a & ((1 << from.fraction) - 1)) << (52 - from.fraction) >> (52 - to.fraction);
                    to.signed(x.sign, to.infinity() | to.quiet() | fraction)
                }
            }
            Kind::Infinity if to_alternative => {
                self.raise(IOC);
                to.signed(x.sign, to.sign() - 1)
            }
            Kind::Infinity => to.signed(x.sign, to.infinity()),
            Kind::Zero => f_zero(to, x.sign),
            Kind::Number => self.round_to(to, (x.sign, x.exponent, x.significand), mode, Target::Conversion),
        }
    }

    /// FPToFixedJS: the result, and Z in bit 32.
    pub(super) fn javascript(&mut self, a: u64) -> u64 {
        let x = self.unpack(DOUBLE, a);
        if x.is_nan() || x.is_infinite() {
            self.raise(IOC);
            return 0;
        }
        if x.is_zero() {
            return u64::from(a == 0) << 32;
        }
        let (integer, inexact) = match x.exponent {
            // No bit of it is among the 32 lowest.
            32.. => (1u128 << 80, false),
            0..=31 => (x.significand << x.exponent, false),
            _ => round_significand(x.significand, -x.exponent, x.sign, Mode::Zero),
        };
        let fits = integer <= (1 << 31) - u128::from(!x.sign);
        self.raise(if !fits {
            IOC
        } else if inexact {
            IXC
        } else {
            0
        });
        let low = if x.sign { (integer as u32).wrapping_neg() } else { integer as u32 };
        u64::from(low) | u64::from(fits && !inexact) << 32
    }

    /// FPRecipEstimate.
    pub(super) fn recip_estimate(&mut self, f: Format, a: u64) -> u64 {
        let x = self.unpack(f, a);
        match x.kind {
            Kind::QuietNan | Kind::SignallingNan => return self.process_nan(f, x.kind, a),
            Kind::Infinity => return f.signed(x.sign, 0),
            Kind::Zero => {
                self.raise(DZC);
                return f.signed(x.sign, f.infinity());
            }
            Kind::Number => {}
        }
        let leading = x.exponent + 127 - x.significand.leading_zeros() as i32;
        if leading < f.smallest() - 2 {
            self.raise(OFC | IXC);
            return self.overflowed(f, x.sign, self.mode());
        }
        let flush = self.is_set(if f == HALF { FZ16 } else { FZ });
        if flush && leading >= -f.smallest() {
            self.raise(UFC);
            return f.signed(x.sign, 0);
        }
        // 1.xxxxxxxx of the operand, and of the estimate.
        let scaled = (x.with_top_at(120).significand >> 112) as u64;
        let estimate = super::helpers::recip_table(scaled);
        let biased = -leading - 1 - f.smallest() + 1;
        let fraction = estimate << (f.fraction - 8);
        let magnitude = match biased {
            0 => fraction >> 1,
            -1 => fraction >> 2,
            _ => (((biased - 1) as u64) << f.fraction) + fraction,
        };
        f.signed(x.sign, magnitude)
    }

    /// FPRSqrtEstimate.
    pub(super) fn rsqrt_estimate(&mut self, f: Format, a: u64) -> u64 {
        let x = self.unpack(f, a);
        match x.kind {
            Kind::QuietNan | Kind::SignallingNan => return self.process_nan(f, x.kind, a),
            Kind::Zero => {
                self.raise(DZC);
                return f.signed(x.sign, f.infinity());
            }
            _ if x.sign => return self.invalid(f),
            Kind::Infinity => return 0,
            Kind::Number => {}
        }
        let leading = x.exponent + 127 - x.significand.leading_zeros() as i32;
        let top = (x.with_top_at(120).significand >> 112) as u64;
        // From a quarter to one, as an even power of two times this.
        let (scaled, power) = if leading & 1 == 0 { (top >> 1, leading + 2) } else { (top, leading + 1) };
        let estimate = super::helpers::rsqrt_table(scaled);
        let exponent = -power / 2;
        f.power(exponent, false) + ((estimate & 0xff) << (f.fraction - 8))
    }

    /// FPRecpX.
    pub(super) fn recip_exponent(&mut self, f: Format, a: u64) -> u64 {
        let x = self.unpack(f, a);
        if x.is_nan() {
            return self.process_nan(f, x.kind, a);
        }
        let exponent = a & f.infinity();
        let largest = f.infinity() - (1 << f.fraction);
        f.signed(x.sign, if exponent == 0 { largest } else { !a & f.infinity() })
    }
}

fn f_zero(f: Format, sign: bool) -> u64 {
    f.signed(sign, 0)
}

/// Whether 0 × ∞ is 2.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Extended {
    /// FMUL.
    No,
    /// FMULX.
    Yes,
}

/// What a step refines.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Estimated {
    /// FRECPS.
    Reciprocal,
    /// FRSQRTS.
    Root,
}

/// Which of two.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Extreme {
    /// The larger.
    Max,
    /// The smaller.
    Min,
}

/// Which NaNs are invalid operands of a comparison.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// FCMP.
    SignallingNans,
    /// FCMPE.
    AllNans,
}

/// Whether rounding to an integral value tells that it was inexact.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Exact {
    /// FRINTX.
    Yes,
    /// The others.
    No,
}

/// A fixed-point format.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fixed {
    /// Its width: 16, 32 or 64.
    pub(super) bits: u32,
    /// Bits behind the point.
    pub(super) fraction: u32,
    /// Whether it is two's complement.
    pub(super) signed: bool,
}

/// `significand` shifted right by `drop`, rounded, and whether that lost anything.
fn round_significand(significand: u128, drop: i32, sign: bool, mode: Mode) -> (u128, bool) {
    if drop <= 0 {
        return (significand << -drop, false);
    }
    let (integer, rest) = if drop > 127 {
        (0, std::cmp::Ordering::Less)
    } else {
        let rest = significand & ((1 << drop) - 1);
        if rest == 0 {
            return (significand >> drop, false);
        }
        (significand >> drop, rest.cmp(&(1 << (drop - 1))))
    };
    let up = match mode {
        Mode::Nearest => rest.is_gt() || rest.is_eq() && integer & 1 != 0,
        Mode::Away => rest.is_ge(),
        Mode::Ceil => !sign,
        Mode::Floor => sign,
        Mode::Zero => false,
        Mode::Odd => integer & 1 == 0,
    };
    (integer + u128::from(up), true)
}

/// The sum of two numbers, of which one may be zero, with what is too small as its last bit; `None` if it is zero.
fn sum(a: Unpacked, b: Unpacked) -> Option<(bool, i32, u128)> {
    if a.is_zero() || b.is_zero() {
        let one = if a.is_zero() { b } else { a };
        return (!one.is_zero()).then_some((one.sign, one.exponent, one.significand));
    }
    let (a, b) = (a.with_top_at(125), b.with_top_at(125));
    let (large, small) = if a.exponent >= b.exponent { (a, b) } else { (b, a) };
    let distance = (large.exponent - small.exponent) as u32;
    // A product has no more than 106 bits, so that nothing is lost where leading bits can cancel.
    let aligned = match distance {
        0 => small.significand,
        1..=127 => small.significand >> distance | u128::from(small.significand << (128 - distance) != 0),
        _ => 1,
    };
    if large.sign == small.sign {
        return Some((large.sign, large.exponent, large.significand + aligned));
    }
    match large.significand.cmp(&aligned) {
        std::cmp::Ordering::Equal => None,
        std::cmp::Ordering::Greater => Some((large.sign, large.exponent, large.significand - aligned)),
        std::cmp::Ordering::Less => Some((small.sign, large.exponent, aligned - large.significand)),
    }
}
