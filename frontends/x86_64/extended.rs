//! The 80-bit floating-point format of x87: arithmetic on it, rounded as a control word says.
//!
//! Values and a [`Context`] in, values and raised exceptions out; all exceptions are masked. Every operation
//! makes its exact result as 128 bits and a sticky bit, which is rounded once (SDM volume 1, chapters 4 and 8).

/// Invalid operation, in status and control word.
pub(super) const INVALID: u16 = 1;
/// Denormal operand.
pub(super) const DENORMAL: u16 = 1 << 1;
/// Division by zero.
pub(super) const ZERO_DIVIDE: u16 = 1 << 2;
/// Overflow.
pub(super) const OVERFLOW: u16 = 1 << 3;
/// Underflow.
pub(super) const UNDERFLOW: u16 = 1 << 4;
/// Inexact result.
pub(super) const PRECISION: u16 = 1 << 5;

const BIAS: i32 = 16383;
const INTEGER_BIT: u64 = 1 << 63;
const QUIET_BIT: u64 = 1 << 62;
const SIGN: u16 = 1 << 15;
const EXPONENT: u16 = 0x7fff;

/// A value in the 80-bit format.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Extended {
    /// The significand with its integer bit.
    pub(super) mantissa: u64,
    /// Sign and biased exponent.
    pub(super) head: u16,
}

/// What invalid operations make.
pub(super) const INDEFINITE: Extended = Extended { mantissa: INTEGER_BIT | QUIET_BIT, head: SIGN | EXPONENT };

/// A finite value that is not 0: ± mantissa × 2^(exponent − 63), the mantissa's top bit set.
#[derive(Clone, Copy)]
pub(super) struct Number {
    pub(super) negative: bool,
    pub(super) exponent: i32,
    pub(super) mantissa: u64,
}

/// The kinds of values that FXAM tells apart, but for empty registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Class {
    /// Encodings that the 80287 and later refuse.
    Unsupported,
    Nan,
    Normal,
    Infinity,
    Zero,
    Denormal,
}

/// How two values relate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Relation {
    Less,
    Equal,
    Greater,
    Unordered,
}

/// The rounding that a control word asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Round {
    Nearest,
    Down,
    Up,
    Zero,
}

/// How to round, and what happened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context {
    /// Which way.
    pub(super) round: Round,
    /// To how many bits: 24, 53 or 64.
    pub(super) precision: u32,
    /// The exceptions raised.
    pub(super) raised: u16,
    /// Whether the magnitude was rounded up (C1).
    pub(super) up: bool,
    /// Whether an operand was denormal in memory, in a format where 80 bits make it normal.
    denormal_source: bool,
}

/// What is left of an exact result after rounding.
struct Rounded {
    /// The biased exponent; 0 for denormals, [`Format::top`] for overflow to infinity.
    biased: i32,
    /// The significand, its integer bit at bit 127.
    mantissa: u128,
}

/// A binary format to round to.
#[derive(Clone, Copy)]
struct Format {
    precision: u32,
    bias: i32,
    /// The biased exponent of infinities.
    top: i32,
}

/// What a remainder leaves: a value, and what is known of the quotient.
pub(super) struct Remainder {
    pub(super) value: Extended,
    pub(super) quotient: Quotient,
}

/// The quotient of a remainder.
pub(super) enum Quotient {
    /// There is none: an operand is no number, or the operation invalid.
    None,
    /// The remainder is not yet smaller than the divisor.
    Partial,
    /// Its low bits.
    Whole(u64),
}

/// How a remainder's quotient is rounded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum QuotientRule {
    /// FPREM.
    Truncated,
    /// FPREM1.
    Nearest,
}

impl Extended {
    /// Out of ten bytes.
    pub(super) fn from_bits(bits: u128) -> Extended {
        Extended { mantissa: bits as u64, head: (bits >> 64) as u16 }
    }

    /// As ten bytes.
    pub(super) fn to_bits(self) -> u128 {
        u128::from(self.mantissa) | u128::from(self.head) << 64
    }

    /// ±0.
    pub(super) fn zero(negative: bool) -> Extended {
        Extended { mantissa: 0, head: if negative { SIGN } else { 0 } }
    }

    /// ±∞.
    pub(super) fn infinity(negative: bool) -> Extended {
        Extended { mantissa: INTEGER_BIT, head: Extended::zero(negative).head | EXPONENT }
    }

    /// The sign bit.
    pub(super) fn is_negative(self) -> bool {
        self.head & SIGN != 0
    }

    /// The value with the sign bit flipped.
    pub(super) fn negated(self) -> Extended {
        Extended { head: self.head ^ SIGN, ..self }
    }

    /// The value with the sign bit clear.
    pub(super) fn magnitude(self) -> Extended {
        Extended { head: self.head & !SIGN, ..self }
    }

    /// What kind of value it is.
    pub(super) fn class(self) -> Class {
        match (self.head & EXPONENT, self.mantissa) {
            (0, 0) => Class::Zero,
            (0, _) => Class::Denormal,
            (_, mantissa) if mantissa & INTEGER_BIT == 0 => Class::Unsupported,
            (EXPONENT, INTEGER_BIT) => Class::Infinity,
            (EXPONENT, _) => Class::Nan,
            _ => Class::Normal,
        }
    }

    fn is_signalling(self) -> bool {
        self.class() == Class::Nan && self.mantissa & QUIET_BIT == 0
    }

    fn quieted(self) -> Extended {
        Extended { mantissa: self.mantissa | QUIET_BIT, ..self }
    }

    /// A signed integer, exactly.
    pub(super) fn from_integer(value: i64) -> Extended {
        if value == 0 {
            return Extended::zero(false);
        }
        let magnitude = value.unsigned_abs();
        let shift = magnitude.leading_zeros();
        let head = (BIAS + 63 - shift as i32) as u16 | Extended::zero(value < 0).head;
        Extended { mantissa: magnitude << shift, head }
    }

    /// The same value with the exponent of 1 that an integer bit asks for (pseudo-denormals).
    fn canonical(self) -> Extended {
        let pseudo = self.class() == Class::Denormal && self.mantissa & INTEGER_BIT != 0;
        if pseudo { Extended { head: self.head | 1, ..self } } else { self }
    }

    /// Finite values other than 0 as a number.
    pub(super) fn number(self) -> Number {
        let shift = self.mantissa.leading_zeros();
        let biased = i32::from(self.head & EXPONENT).max(1);
        Number {
            negative: self.is_negative(),
            exponent: biased - BIAS - shift as i32,
            mantissa: self.mantissa << shift,
        }
    }
}

impl Context {
    /// The rounding of a control word.
    pub(super) fn new(control: u16) -> Context {
        let round = match control >> 10 & 3 {
            0 => Round::Nearest,
            1 => Round::Down,
            2 => Round::Up,
            _ => Round::Zero,
        };
        let precision = match control >> 8 & 3 {
            0 => 24,
            2 => 53,
            _ => 64,
        };
        Context { round, precision, raised: 0, up: false, denormal_source: false }
    }

    pub(super) fn raise(&mut self, exceptions: u16) {
        self.raised |= exceptions;
    }

    /// The indefinite value of an invalid operation.
    pub(super) fn invalid(&mut self) -> Extended {
        self.raise(INVALID);
        INDEFINITE
    }

    pub(super) fn note_denormal(&mut self, a: Extended) {
        if a.class() == Class::Denormal || self.denormal_source {
            self.raise(DENORMAL);
        }
    }

    /// The result if an operand is no number (SDM volume 1, table 4-7).
    pub(super) fn not_a_number(&mut self, a: Extended, b: Extended) -> Option<Extended> {
        if a.class() == Class::Unsupported || b.class() == Class::Unsupported {
            return Some(self.invalid());
        }
        if a.is_signalling() || b.is_signalling() {
            self.raise(INVALID);
        }
        let chosen = match (a.class() == Class::Nan, b.class() == Class::Nan) {
            (false, false) => return None,
            (true, false) => a,
            (false, true) => b,
            (true, true) => match (a.is_signalling(), b.is_signalling()) {
                (true, false) => b,
                (false, true) => a,
                _ => larger_significand(a, b),
            },
        };
        Some(chosen.quieted())
    }

    /// Whether a magnitude that lost `rest` (and more, if `sticky`) below `unit` goes up.
    fn goes_up(&self, negative: bool, odd: bool, rest: u128, half: u128, sticky: bool) -> bool {
        let inexact = rest != 0 || sticky;
        match self.round {
            Round::Nearest => rest > half || (rest == half && (sticky || odd)),
            Round::Down => negative && inexact,
            Round::Up => !negative && inexact,
            Round::Zero => false,
        }
    }

    /// Rounds ± mantissa × 2^(exponent − 127), where the mantissa's top bit is set, to a format.
    fn fit(&mut self, negative: bool, exponent: i32, mantissa: u128, sticky: bool, format: Format) -> Rounded {
        let unit = 1u128 << (128 - format.precision);
        let cut = |mantissa: u128| (mantissa & !(unit - 1), mantissa & (unit - 1));
        let mut biased = exponent + format.bias;
        let (mut mantissa, mut sticky) = (mantissa, sticky);
        let mut tiny = false;
        if biased <= 0 {
            // Tiny is what stays below the smallest normal value after rounding without bounds to the exponent.
            let (kept, rest) = cut(mantissa);
            let up = self.goes_up(negative, kept & unit != 0, rest, unit >> 1, sticky);
            tiny = biased < 0 || !up || kept.checked_add(unit).is_some();
            let shift = (1 - biased) as u32;
            sticky |= lost_bits(mantissa, shift);
            mantissa = mantissa.checked_shr(shift).unwrap_or(0);
            biased = 0;
        }
        let (kept, rest) = cut(mantissa);
        let inexact = rest != 0 || sticky;
        self.up = self.goes_up(negative, kept & unit != 0, rest, unit >> 1, sticky);
        let (mut mantissa, carried) = if self.up { kept.overflowing_add(unit) } else { (kept, false) };
        if carried {
            mantissa = 1 << 127;
            biased += 1;
        }
        if biased == 0 && mantissa >> 127 == 1 {
            biased = 1;
        }
        if inexact {
            self.raise(if tiny { PRECISION | UNDERFLOW } else { PRECISION });
        }
        if biased >= format.top {
            return self.overflow(negative, format);
        }
        Rounded { biased, mantissa }
    }

    /// Infinity, or the largest value if rounding goes towards zero there.
    fn overflow(&mut self, negative: bool, format: Format) -> Rounded {
        self.raise(OVERFLOW | PRECISION);
        self.up = match self.round {
            Round::Nearest => true,
            Round::Down => negative,
            Round::Up => !negative,
            Round::Zero => false,
        };
        if self.up {
            Rounded { biased: format.top, mantissa: 1 << 127 }
        } else {
            Rounded { biased: format.top - 1, mantissa: u128::MAX << (128 - format.precision) }
        }
    }

    /// Rounds to the 80-bit format at the context's precision.
    pub(super) fn pack(&mut self, negative: bool, exponent: i32, mantissa: u128, sticky: bool) -> Extended {
        let format = Format { precision: self.precision, bias: BIAS, top: 0x7fff };
        let Rounded { biased, mantissa } = self.fit(negative, exponent, mantissa, sticky, format);
        Extended { mantissa: (mantissa >> 64) as u64, head: biased as u16 | Extended::zero(negative).head }
    }

    /// As [`Context::pack`] for a mantissa with leading zeroes, scaled so that bit 127 counts 2^exponent.
    fn normalise(&mut self, negative: bool, exponent: i32, mantissa: u128, sticky: bool) -> Extended {
        let shift = mantissa.leading_zeros();
        self.pack(negative, exponent - shift as i32, mantissa << shift, sticky)
    }

    /// Sum.
    pub(super) fn add(&mut self, a: Extended, b: Extended) -> Extended {
        if let Some(nan) = self.not_a_number(a, b) {
            return nan;
        }
        match (a.class(), b.class()) {
            (Class::Infinity, Class::Infinity) if a.is_negative() != b.is_negative() => return self.invalid(),
            (Class::Infinity, _) => {
                self.note_denormal(b);
                return a;
            }
            (_, Class::Infinity) => {
                self.note_denormal(a);
                return b;
            }
            (Class::Zero, Class::Zero) if a.is_negative() == b.is_negative() => return a,
            (Class::Zero, Class::Zero) => return Extended::zero(self.round == Round::Down),
            _ => {}
        }
        self.note_denormal(a);
        self.note_denormal(b);
        match (a.class(), b.class()) {
            (Class::Zero, _) => self.rounded(b),
            (_, Class::Zero) => self.rounded(a),
            _ => self.add_numbers(a.number(), b.number()),
        }
    }

    /// A finite value other than 0 at the context's precision.
    fn rounded(&mut self, a: Extended) -> Extended {
        let n = a.number();
        self.pack(n.negative, n.exponent, u128::from(n.mantissa) << 64, false)
    }

    fn add_numbers(&mut self, a: Number, b: Number) -> Extended {
        let swapped = (a.exponent, a.mantissa) < (b.exponent, b.mantissa);
        let (large, small) = if swapped { (b, a) } else { (a, b) };
        let distance = (large.exponent - small.exponent) as u32;
        // One bit of room for the carry.
        let high = u128::from(large.mantissa) << 63;
        let low = u128::from(small.mantissa) << 63;
        let sticky = lost_bits(low, distance);
        let low = low.checked_shr(distance).unwrap_or(0);
        if large.negative == small.negative {
            return self.normalise(large.negative, large.exponent + 1, high + low, sticky);
        }
        let difference = high - low - u128::from(sticky);
        if difference == 0 && !sticky {
            return Extended::zero(self.round == Round::Down);
        }
        self.normalise(large.negative, large.exponent + 1, difference, sticky)
    }

    /// Difference.
    pub(super) fn sub(&mut self, a: Extended, b: Extended) -> Extended {
        if let Some(nan) = self.not_a_number(a, b) {
            return nan;
        }
        self.add(a, b.negated())
    }

    /// Product.
    pub(super) fn mul(&mut self, a: Extended, b: Extended) -> Extended {
        if let Some(nan) = self.not_a_number(a, b) {
            return nan;
        }
        let negative = a.is_negative() != b.is_negative();
        match (a.class(), b.class()) {
            (Class::Infinity, Class::Zero) | (Class::Zero, Class::Infinity) => return self.invalid(),
            _ => {}
        }
        self.note_denormal(a);
        self.note_denormal(b);
        match (a.class(), b.class()) {
            (Class::Infinity, _) | (_, Class::Infinity) => return Extended::infinity(negative),
            (Class::Zero, _) | (_, Class::Zero) => return Extended::zero(negative),
            _ => {}
        }
        let (a, b) = (a.number(), b.number());
        let product = u128::from(a.mantissa) * u128::from(b.mantissa);
        self.normalise(negative, a.exponent + b.exponent + 1, product, false)
    }

    /// Quotient.
    pub(super) fn div(&mut self, a: Extended, b: Extended) -> Extended {
        if let Some(nan) = self.not_a_number(a, b) {
            return nan;
        }
        let negative = a.is_negative() != b.is_negative();
        match (a.class(), b.class()) {
            (Class::Infinity, Class::Infinity) | (Class::Zero, Class::Zero) => return self.invalid(),
            (Class::Infinity, _) => {
                self.note_denormal(b);
                return Extended::infinity(negative);
            }
            (_, Class::Zero) => {
                self.raise(ZERO_DIVIDE);
                return Extended::infinity(negative);
            }
            _ => {}
        }
        self.note_denormal(a);
        self.note_denormal(b);
        match (a.class(), b.class()) {
            (Class::Zero, _) | (_, Class::Infinity) => return Extended::zero(negative),
            _ => {}
        }
        let (a, b) = (a.number(), b.number());
        let divisor = u128::from(b.mantissa);
        let first = u128::from(a.mantissa) << 63;
        let (high, rest) = (first / divisor, first % divisor);
        let (low, rest) = ((rest << 63) / divisor, (rest << 63) % divisor);
        // Bit 126 counts 1, as bit 63 of both mantissas does.
        self.normalise(negative, a.exponent - b.exponent + 1, high << 63 | low, rest != 0)
    }

    /// Square root.
    pub(super) fn sqrt(&mut self, a: Extended) -> Extended {
        if let Some(nan) = self.not_a_number(a, a) {
            return nan;
        }
        match a.class() {
            Class::Zero => return a,
            _ if a.is_negative() => return self.invalid(),
            Class::Infinity => return a,
            _ => self.note_denormal(a),
        }
        let n = a.number();
        // The radicand's exponent is made even; the root then has 64 bits.
        let odd = n.exponent.rem_euclid(2);
        let radicand = u128::from(n.mantissa) << (63 + odd);
        let root = radicand.isqrt();
        let rest = radicand - root * root;
        // A rest above the root means a fraction above one half; it never is exactly one half.
        let half = u128::from(rest > root) << 63;
        self.normalise(false, n.exponent.div_euclid(2), root << 64 | half, rest != 0)
    }

    /// Compares; a NaN raises the invalid exception if it signals, or in an `ordered` comparison.
    pub(super) fn compare(&mut self, a: Extended, b: Extended, quiet: QuietNan) -> Relation {
        let no_number = |v: Extended| matches!(v.class(), Class::Nan | Class::Unsupported);
        if no_number(a) || no_number(b) {
            let loud = |v: Extended| v.is_signalling() || v.class() == Class::Unsupported;
            if quiet == QuietNan::Raises || loud(a) || loud(b) {
                self.raise(INVALID);
            }
            return Relation::Unordered;
        }
        self.note_denormal(a);
        self.note_denormal(b);
        if a.class() == Class::Zero && b.class() == Class::Zero {
            return Relation::Equal;
        }
        match order(a).cmp(&order(b)) {
            std::cmp::Ordering::Less => Relation::Less,
            std::cmp::Ordering::Equal => Relation::Equal,
            std::cmp::Ordering::Greater => Relation::Greater,
        }
    }

    /// Rounds to an integral value (FRNDINT).
    pub(super) fn round_to_integral(&mut self, a: Extended) -> Extended {
        if let Some(nan) = self.not_a_number(a, a) {
            return nan;
        }
        if matches!(a.class(), Class::Zero | Class::Infinity) {
            return a;
        }
        self.note_denormal(a);
        let n = a.number();
        if n.exponent >= 63 {
            return a;
        }
        let whole = self.integer_part(n);
        if whole == 0 {
            return Extended::zero(n.negative);
        }
        let shift = whole.leading_zeros();
        let head = (BIAS + 63 - shift as i32) as u16 | Extended::zero(n.negative).head;
        Extended { mantissa: whole << shift, head }
    }

    /// The magnitude of a number below 2^63, rounded to an integer.
    fn integer_part(&mut self, n: Number) -> u64 {
        let shift = (63 - n.exponent) as u32;
        let wide = u128::from(n.mantissa) << 63;
        let sticky = lost_bits(wide, shift);
        let wide = wide.checked_shr(shift).unwrap_or(0);
        let (whole, rest) = ((wide >> 63) as u64, wide & u128::from(INTEGER_BIT - 1));
        self.up = self.goes_up(n.negative, whole & 1 == 1, rest, 1 << 62, sticky);
        if rest != 0 || sticky {
            self.raise(PRECISION);
        }
        whole + u64::from(self.up)
    }

    /// A signed integer of `bits` width; what does not fit is the most negative one.
    pub(super) fn store_integer(&mut self, a: Extended, bits: u32) -> i64 {
        let indefinite = i64::MIN >> (64 - bits);
        let saved = *self;
        let value = match a.class() {
            Class::Zero => return 0,
            Class::Normal | Class::Denormal if a.number().exponent < 63 => {
                let n = a.number();
                let magnitude = i128::from(self.integer_part(n));
                if n.negative { -magnitude } else { magnitude }
            }
            // −2^63 itself.
            Class::Normal if a == Extended::from_integer(i64::MIN) => i128::from(i64::MIN),
            _ => i128::MAX,
        };
        if value < i128::from(indefinite) || value > -(i128::from(indefinite) + 1) {
            *self = saved;
            self.raise(INVALID);
            return indefinite;
        }
        value as i64
    }

    /// A value that has been converted on its way to the stack: what arithmetic would raise for it.
    pub(super) fn loaded(&mut self, a: Extended) -> Extended {
        self.note_denormal(a);
        self.not_a_number(a, a).unwrap_or(a)
    }

    /// Out of a binary32; what is exceptional about it is raised by what it is used for.
    pub(super) fn load_single(&mut self, bits: u32) -> Extended {
        self.widen(u64::from(bits) << 32, 8, 127)
    }

    /// Out of a binary64, in the same way.
    pub(super) fn load_double(&mut self, bits: u64) -> Extended {
        self.widen(bits, 11, 1023)
    }

    /// Out of a narrower format whose sign is bit 63.
    fn widen(&mut self, bits: u64, exponent_bits: u32, bias: i32) -> Extended {
        let negative = bits >> 63 == 1;
        let biased = (bits << 1 >> (64 - exponent_bits)) as i32;
        let fraction = bits << (1 + exponent_bits);
        let sign = Extended::zero(negative).head;
        if biased == (1 << exponent_bits) - 1 {
            return Extended { mantissa: INTEGER_BIT | fraction >> 1, head: sign | EXPONENT };
        }
        if biased == 0 {
            if fraction == 0 {
                return Extended::zero(negative);
            }
            self.denormal_source = true;
            let shift = fraction.leading_zeros();
            let head = (BIAS - bias - shift as i32) as u16 | sign;
            return Extended { mantissa: fraction << shift, head };
        }
        Extended { mantissa: INTEGER_BIT | fraction >> 1, head: (biased - bias + BIAS) as u16 | sign }
    }

    /// Into a binary32.
    pub(super) fn store_single(&mut self, a: Extended) -> u32 {
        (self.narrow(a, 8, Format { precision: 24, bias: 127, top: 0xff }) >> 32) as u32
    }

    /// Into a binary64.
    pub(super) fn store_double(&mut self, a: Extended) -> u64 {
        self.narrow(a, 11, Format { precision: 53, bias: 1023, top: 0x7ff })
    }

    /// Into a narrower format, its sign at bit 63.
    fn narrow(&mut self, a: Extended, exponent_bits: u32, format: Format) -> u64 {
        let field = 63 - exponent_bits;
        let unused = 64 - format.precision - exponent_bits;
        let sign = u64::from(a.is_negative()) << 63;
        let top = (format.top as u64) << field;
        let fraction = |mantissa: u64| mantissa << 1 >> (1 + exponent_bits) >> unused << unused;
        match a.class() {
            Class::Zero => sign,
            Class::Infinity => sign | top,
            Class::Unsupported => 1 << 63 | top | fraction(self.invalid().mantissa),
            Class::Nan => {
                if a.is_signalling() {
                    self.raise(INVALID);
                }
                sign | top | fraction(a.quieted().mantissa)
            }
            Class::Normal | Class::Denormal => {
                let n = a.number();
                let wide = u128::from(n.mantissa) << 64;
                let Rounded { biased, mantissa } = self.fit(n.negative, n.exponent, wide, false, format);
                sign | (biased as u64) << field | fraction((mantissa >> 64) as u64)
            }
        }
    }

    /// a × 2^trunc(b) (FSCALE).
    pub(super) fn scale(&mut self, a: Extended, b: Extended) -> Extended {
        if let Some(nan) = self.not_a_number(a, b) {
            return nan;
        }
        match (a.class(), b.class()) {
            (Class::Zero, Class::Infinity) if !b.is_negative() => return self.invalid(),
            (Class::Infinity, Class::Infinity) if b.is_negative() => return self.invalid(),
            _ => {}
        }
        self.note_denormal(a);
        self.note_denormal(b);
        match (a.class(), b.class()) {
            (Class::Zero | Class::Infinity, _) | (_, Class::Zero) => return a.canonical(),
            (_, Class::Infinity) if b.is_negative() => return Extended::zero(a.is_negative()),
            (_, Class::Infinity) => return Extended::infinity(a.is_negative()),
            _ => {}
        }
        let by = b.number();
        let magnitude = match by.exponent {
            ..0 => 0,
            // Beyond any exponent that leaves a finite result.
            17.. => 1 << 17,
            exponent => (by.mantissa >> (63 - exponent)) as i32,
        };
        let n = a.number();
        let exponent = n.exponent + if by.negative { -magnitude } else { magnitude };
        self.at_full_precision(|context| context.pack(n.negative, exponent, u128::from(n.mantissa) << 64, false))
    }

    /// Does what the control word's precision has no say in.
    pub(super) fn at_full_precision<T>(&mut self, work: impl FnOnce(&mut Context) -> T) -> T {
        let precision = std::mem::replace(&mut self.precision, 64);
        let result = work(self);
        self.precision = precision;
        result
    }

    /// Exponent and significand (FXTRACT).
    pub(super) fn extract(&mut self, a: Extended) -> (Extended, Extended) {
        if let Some(nan) = self.not_a_number(a, a) {
            return (nan, nan);
        }
        match a.class() {
            Class::Infinity => (Extended::infinity(false), a),
            Class::Zero => {
                self.raise(ZERO_DIVIDE);
                (Extended::infinity(true), a)
            }
            _ => {
                self.note_denormal(a);
                let n = a.number();
                let head = BIAS as u16 | Extended::zero(n.negative).head;
                (Extended::from_integer(i64::from(n.exponent)), Extended { mantissa: n.mantissa, head })
            }
        }
    }

    /// a − b × quotient, exactly; at most 63 bits of the quotient at a time.
    pub(super) fn remainder(&mut self, a: Extended, b: Extended, rule: QuotientRule) -> Remainder {
        if let Some(value) = self.not_a_number(a, b) {
            return Remainder { value, quotient: Quotient::None };
        }
        if a.class() == Class::Infinity || b.class() == Class::Zero {
            return Remainder { value: self.invalid(), quotient: Quotient::None };
        }
        let done = |value| Remainder { value: Extended::canonical(value), quotient: Quotient::Whole(0) };
        self.note_denormal(a);
        self.note_denormal(b);
        if a.class() == Class::Zero || b.class() == Class::Infinity {
            return done(a);
        }
        let (x, y) = (a.number(), b.number());
        let distance = x.exponent - y.exponent;
        if distance < -1 || (distance < 0 && rule == QuotientRule::Truncated) {
            return done(a);
        }
        self.at_full_precision(|context| match distance {
            ..64 => context.whole_remainder(x, y, rule),
            _ => context.partial_remainder(x, y),
        })
    }

    fn whole_remainder(&mut self, x: Number, y: Number, rule: QuotientRule) -> Remainder {
        let distance = x.exponent - y.exponent;
        // With one more bit below, so that a distance of −1 needs no fraction.
        let divisor = u128::from(y.mantissa) << 1;
        let dividend = (u128::from(x.mantissa), distance + 1);
        let (quotient, rest) = divide_scaled(dividend.0, dividend.1 as u32, divisor);
        let (mut quotient, mut rest, mut negative) = (quotient, rest, x.negative);
        if rule == QuotientRule::Nearest && (2 * rest > divisor || (2 * rest == divisor && quotient & 1 == 1)) {
            rest = divisor - rest;
            quotient = quotient.wrapping_add(1);
            negative = !negative;
        }
        let value = match rest {
            0 => Extended::zero(x.negative),
            // Bit 64 of the doubled divisor counts 2^y.exponent.
            _ => self.normalise(negative, y.exponent + 63, rest, false),
        };
        Remainder { value, quotient: Quotient::Whole(quotient) }
    }

    fn partial_remainder(&mut self, x: Number, y: Number) -> Remainder {
        let distance = x.exponent - y.exponent;
        let step = (distance & 31) | 32;
        let (_, rest) = divide_scaled(u128::from(x.mantissa), step as u32, u128::from(y.mantissa));
        let value = match rest {
            0 => Extended::zero(x.negative),
            _ => self.normalise(x.negative, y.exponent + distance - step + 64, rest, false),
        };
        Remainder { value, quotient: Quotient::Partial }
    }
}

/// Whether quiet NaNs make a comparison invalid.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum QuietNan {
    /// FCOM, FCOMI, FTST.
    Raises,
    /// FUCOM, FUCOMI.
    Passes,
}

/// The low quotient bits and the rest of (mantissa × 2^shift) / divisor, shift up to 64.
fn divide_scaled(mantissa: u128, shift: u32, divisor: u128) -> (u64, u128) {
    let first = shift.min(62);
    let (high, rest) = ((mantissa << first) / divisor, (mantissa << first) % divisor);
    let more = shift - first;
    let (low, rest) = ((rest << more) / divisor, (rest << more) % divisor);
    ((high << more).wrapping_add(low) as u64, rest)
}

/// Whether shifting right by `shift` loses set bits.
fn lost_bits(value: u128, shift: u32) -> bool {
    match shift {
        0 => false,
        1..128 => value << (128 - shift) != 0,
        _ => value != 0,
    }
}

/// Of two NaNs, the one with the larger significand, or the positive one.
fn larger_significand(a: Extended, b: Extended) -> Extended {
    match a.mantissa.cmp(&b.mantissa) {
        std::cmp::Ordering::Greater => a,
        std::cmp::Ordering::Less => b,
        std::cmp::Ordering::Equal if a.is_negative() => b,
        std::cmp::Ordering::Equal => a,
    }
}

/// A key that sorts numbers and infinities.
fn order(a: Extended) -> i128 {
    let exponent = i128::from(a.head & EXPONENT).max(1);
    let magnitude = if a.mantissa == 0 { 0 } else { exponent << 64 | i128::from(a.mantissa) };
    if a.is_negative() { -magnitude } else { magnitude }
}
