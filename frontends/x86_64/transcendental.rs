//! The transcendental operations of x87, on the 80-bit format.
//!
//! Values and a [`Context`] in, values out, within one unit in the last place as the SDM promises (volume 1, 8.3.10).
//! They are computed to some 120 bits and rounded once, always to 64 bits. What differs from one processor to
//! the next is the last bit.

use super::extended::{Class, Context, Extended, Number, PRECISION, ZERO_DIVIDE};

/// ± mantissa × 2^(exponent − 127), the mantissa's top bit set, or 0.
#[derive(Clone, Copy)]
struct Wide {
    negative: bool,
    exponent: i32,
    mantissa: u128,
}

const PI: Wide = Wide { negative: false, exponent: 1, mantissa: 0xc90f_daa2_2168_c234_c4c6_628b_80dc_1cd1 };
const LN_2: Wide = Wide { negative: false, exponent: -1, mantissa: 0xb172_17f7_d1cf_79ab_c9e3_b398_03f2_f6af };
const LOG2_E: Wide = Wide { negative: false, exponent: 0, mantissa: 0xb8aa_3b29_5c17_f0bb_be87_fed0_691d_3e88 };
/// √2.
const ROOT_2: u128 = 0xb504_f333_f9de_6484_597d_89b3_754a_be9f;
/// π as the processor knows it, in units of 2^-64: angles are reduced by this one.
const REDUCTION_PI: u128 = 0x3_243f_6a88_85a3_08d3;
/// The bits below the units of π that [`REDUCTION_PI`] has.
const REDUCTION_SCALE: i32 = 64;
/// A term this much smaller than its sum changes nothing.
const NEGLIGIBLE: i32 = 130;

impl Wide {
    const ZERO: Wide = Wide { negative: false, exponent: 0, mantissa: 0 };
    const ONE: Wide = Wide { negative: false, exponent: 0, mantissa: 1 << 127 };

    /// ± mantissa × 2^(exponent − 127) for any mantissa.
    fn new(negative: bool, exponent: i32, mantissa: u128) -> Wide {
        if mantissa == 0 {
            return Wide::ZERO;
        }
        let shift = mantissa.leading_zeros();
        Wide { negative, exponent: exponent - shift as i32, mantissa: mantissa << shift }
    }

    fn from_number(n: Number) -> Wide {
        Wide { negative: n.negative, exponent: n.exponent, mantissa: u128::from(n.mantissa) << 64 }
    }

    fn from_integer(value: i32) -> Wide {
        Wide::new(value < 0, 127, u128::from(value.unsigned_abs()))
    }

    fn negated(self) -> Wide {
        Wide { negative: !self.negative, ..self }
    }

    /// By a power of two; of a value other than 0.
    fn scaled(self, by: i32) -> Wide {
        Wide { exponent: self.exponent + by, ..self }
    }

    /// Whether adding `self` to `sum` is of no consequence.
    fn is_negligible(self, sum: Wide) -> bool {
        self.mantissa == 0 || self.exponent < sum.exponent - NEGLIGIBLE
    }

    fn add(self, other: Wide) -> Wide {
        let (large, small) = if (self.exponent, self.mantissa) < (other.exponent, other.mantissa) {
            (other, self)
        } else {
            (self, other)
        };
        if self.mantissa == 0 || other.mantissa == 0 {
            return if self.mantissa == 0 { other } else { self };
        }
        let distance = (large.exponent - small.exponent) as u32;
        let (high, low) = (large.mantissa >> 1, (small.mantissa >> 1).checked_shr(distance).unwrap_or(0));
        let sum = if large.negative == small.negative { high + low } else { high - low };
        Wide::new(large.negative, large.exponent + 1, sum)
    }

    fn sub(self, other: Wide) -> Wide {
        self.add(other.negated())
    }

    fn mul(self, other: Wide) -> Wide {
        let split = |m: u128| (m >> 64, m & u128::from(u64::MAX));
        let ((a, b), (c, d)) = (split(self.mantissa), split(other.mantissa));
        let (first, last) = (split(a * c), split(b * d));
        let (left, right) = (split(a * d), split(b * c));
        let carry = (last.0 + left.1 + right.1) >> 64;
        let high = (first.0 << 64) + first.1 + left.0 + right.0 + carry;
        Wide::new(self.negative != other.negative, self.exponent + other.exponent + 1, high)
    }

    fn div(self, other: Wide) -> Wide {
        if self.mantissa == 0 {
            return self;
        }
        let (mut rest, mut carry, mut quotient) = (self.mantissa, false, 0u128);
        for _ in 0..128 {
            let fits = carry || rest >= other.mantissa;
            if fits {
                rest = rest.wrapping_sub(other.mantissa);
            }
            quotient = quotient << 1 | u128::from(fits);
            carry = rest >> 127 == 1;
            rest <<= 1;
        }
        Wide::new(self.negative != other.negative, self.exponent - other.exponent, quotient)
    }

    /// This value, or the next one towards 0 if it is `limit`.
    fn below(self, limit: Wide) -> Wide {
        if self.exponent != limit.exponent || self.mantissa != limit.mantissa {
            return self;
        }
        Wide::new(self.negative, self.exponent, self.mantissa - 1)
    }

    fn div_small(self, by: u32) -> Wide {
        Wide::new(self.negative, self.exponent, self.mantissa / u128::from(by))
    }
}

/// The sum of `first`, `next`(first, 1), `next`(that, 2)… up to what no longer counts.
fn series(first: Wide, next: impl Fn(Wide, u32) -> Wide) -> Wide {
    let (mut sum, mut term, mut n) = (Wide::ZERO, first, 1);
    while !term.is_negligible(sum) || n == 1 {
        sum = sum.add(term);
        term = next(term, n);
        n += 1;
    }
    sum
}

/// e^z − 1 for |z| < 1.
fn exp_minus_1(z: Wide) -> Wide {
    series(z, |term, n| term.mul(z).div_small(n + 1))
}

/// The sum of z^k / k for odd k, with alternating signs for atan, without for atanh; |z| < 1/2.
fn odd_powers(z: Wide, sign: Alternation) -> Wide {
    let square = match sign {
        Alternation::Alternating => z.mul(z).negated(),
        Alternation::Positive => z.mul(z),
    };
    let (mut sum, mut power, mut k) = (z, z, 1);
    loop {
        power = power.mul(square);
        k += 2;
        let term = power.div_small(k);
        if term.is_negligible(sum) {
            return sum;
        }
        sum = sum.add(term);
    }
}

#[derive(Clone, Copy)]
enum Alternation {
    Alternating,
    Positive,
}

/// log2(1 + x) = 2 atanh(x / (2 + x)) / ln 2, for 1 + x between √½ and √2.
fn log2_near_1(x: Wide) -> Wide {
    if x.mantissa == 0 {
        return x;
    }
    let quotient = x.div(Wide::from_integer(2).add(x));
    odd_powers(quotient, Alternation::Positive).scaled(1).mul(LOG2_E)
}

/// log2 of a positive value.
fn log2(v: Wide) -> Wide {
    let above = i32::from(v.mantissa > ROOT_2);
    let near_1 = Wide { exponent: -above, ..v };
    Wide::from_integer(v.exponent + above).add(log2_near_1(near_1.sub(Wide::ONE)))
}

/// atan of a value from 0 to 1.
fn arc_tangent(t: Wide) -> Wide {
    // tan(π/8) and a bit: beyond, atan t = π/4 + atan((t − 1) / (t + 1)).
    if t.exponent < -2 || t.mantissa == 0 {
        return if t.mantissa == 0 { t } else { odd_powers(t, Alternation::Alternating) };
    }
    let turned = t.sub(Wide::ONE).div(t.add(Wide::ONE));
    let quarter = PI.scaled(-2);
    if turned.mantissa == 0 { quarter } else { quarter.add(odd_powers(turned, Alternation::Alternating)) }
}

/// Sine and cosine of |z| < 1.
fn sine_and_cosine(z: Wide) -> (Wide, Wide) {
    let minus_square = z.mul(z).negated();
    let sine = series(z, |term, n| term.mul(minus_square).div_small(2 * n).div_small(2 * n + 1));
    let cosine = series(Wide::ONE, |term, n| term.mul(minus_square).div_small(2 * n - 1).div_small(2 * n));
    // Both lie below what their first term alone gives, however little the others add.
    (sine.below(z), cosine.below(Wide::ONE))
}

/// What is left of a magnitude below 2^63 after taking away quarter turns, from −π/4 to π/4, and how many.
fn reduce(n: Number) -> (Wide, u32) {
    // Half of π counts REDUCTION_PI units of half a unit of it.
    let shift = n.exponent - 63 + REDUCTION_SCALE + 1;
    if shift < 0 {
        return (Wide::from_number(Number { negative: false, ..n }), 0);
    }
    let (mut rest, mut turns) = (u128::from(n.mantissa) % REDUCTION_PI, (u128::from(n.mantissa) / REDUCTION_PI) as u32);
    for _ in 0..shift {
        rest <<= 1;
        turns <<= 1;
        if rest >= REDUCTION_PI {
            rest -= REDUCTION_PI;
            turns |= 1;
        }
    }
    let exponent = 127 - REDUCTION_SCALE - 1;
    if 2 * rest > REDUCTION_PI {
        return (Wide::new(true, exponent, REDUCTION_PI - rest), turns.wrapping_add(1));
    }
    (Wide::new(false, exponent, rest), turns)
}

/// An angle's sine and cosine.
#[derive(Clone, Copy)]
pub(super) struct SineCosine {
    sine: Wide,
    cosine: Wide,
}

/// What is known of an angle.
pub(super) enum Angle {
    /// It is 2^63 or more: nothing changes, C2 says so.
    TooLarge,
    /// It is no number, or infinite: this is what comes of it.
    None(Extended),
    /// This.
    Known(SineCosine),
}

impl Context {
    /// Rounds to 64 bits; the value is never exact.
    fn conclude(&mut self, value: Wide) -> Extended {
        if value.mantissa == 0 {
            return Extended::zero(value.negative);
        }
        self.at_full_precision(|context| context.pack(value.negative, value.exponent, value.mantissa, true))
    }

    /// 2^a − 1 for |a| ≤ 1 (F2XM1); beyond that the SDM leaves the result undefined, and it is `a`.
    pub(super) fn exp2_minus_1(&mut self, a: Extended) -> Extended {
        if let Some(nan) = self.not_a_number(a, a) {
            return nan;
        }
        match a.class() {
            Class::Zero => return a,
            Class::Infinity if a.is_negative() => return Extended::from_integer(-1),
            Class::Infinity => return a,
            _ => self.note_denormal(a),
        }
        let n = a.number();
        if n.exponent >= 0 {
            self.raise(PRECISION);
            let one = Extended::from_integer(1);
            return if a == one.negated() { Extended { head: 0xbffe, ..one } } else { a };
        }
        self.conclude(exp_minus_1(Wide::from_number(n).mul(LN_2)))
    }

    /// y × log2(x) (FYL2X).
    pub(super) fn y_log2_x(&mut self, x: Extended, y: Extended) -> Extended {
        if let Some(nan) = self.not_a_number(x, y) {
            return nan;
        }
        let one = Extended::from_integer(1);
        if x.is_negative() && x.class() != Class::Zero {
            return self.invalid();
        }
        // The sign of the logarithm; whether it is infinite or 0 decides with y.
        let below_1 = x.class() != Class::Infinity && (x.class() == Class::Zero || x.number().exponent < 0);
        let negative = y.is_negative() != below_1;
        match (x.class(), y.class()) {
            (Class::Zero | Class::Infinity, Class::Zero) => return self.invalid(),
            (_, Class::Infinity) if x == one => return self.invalid(),
            (Class::Zero, Class::Normal | Class::Denormal) => {
                self.raise(ZERO_DIVIDE);
                return Extended::infinity(negative);
            }
            _ => {}
        }
        self.note_denormal(x);
        self.note_denormal(y);
        match (x.class(), y.class()) {
            (Class::Zero | Class::Infinity, _) | (_, Class::Infinity) => Extended::infinity(negative),
            (_, Class::Zero) => Extended::zero(negative),
            _ if x == one => Extended::zero(y.is_negative()),
            _ => self.conclude(log2(Wide::from_number(x.number())).mul(Wide::from_number(y.number()))),
        }
    }

    /// y × log2(x + 1) (FYL2XP1), for any x above −1; below, the SDM leaves the result undefined, and it is `x`.
    pub(super) fn y_log2_x_plus_1(&mut self, x: Extended, y: Extended) -> Extended {
        if let Some(nan) = self.not_a_number(x, y) {
            return nan;
        }
        let negative = x.is_negative() != y.is_negative();
        match (x.class(), y.class()) {
            (Class::Zero, Class::Infinity) | (Class::Infinity, Class::Zero) => return self.invalid(),
            (Class::Infinity, _) if x.is_negative() => return self.invalid(),
            _ => {}
        }
        self.note_denormal(x);
        self.note_denormal(y);
        match (x.class(), y.class()) {
            (Class::Zero, _) | (_, Class::Zero) => return Extended::zero(negative),
            (Class::Infinity, _) | (_, Class::Infinity) => return Extended::infinity(negative),
            _ => {}
        }
        let wide = Wide::from_number(x.number());
        let sum = wide.add(Wide::ONE);
        if sum.negative || sum.mantissa == 0 {
            self.raise(PRECISION);
            return x;
        }
        let logarithm = if wide.exponent < -2 { log2_near_1(wide) } else { log2(sum) };
        self.conclude(logarithm.mul(Wide::from_number(y.number())))
    }

    /// The angle of the point (x, y) (FPATAN).
    pub(super) fn arc_tangent(&mut self, x: Extended, y: Extended) -> Extended {
        if let Some(nan) = self.not_a_number(x, y) {
            return nan;
        }
        self.note_denormal(x);
        self.note_denormal(y);
        let angle = match (x.class(), y.class()) {
            (_, Class::Zero) if !x.is_negative() => return y,
            (Class::Infinity, Class::Infinity) => PI.scaled(-2),
            (Class::Infinity, _) if !x.is_negative() => return Extended::zero(y.is_negative()),
            (_, Class::Zero) | (Class::Infinity, _) => Wide::ZERO,
            (Class::Zero, _) | (_, Class::Infinity) => PI.scaled(-1),
            _ => {
                let [x, y] = [x, y].map(|v| Wide::from_number(v.magnitude().number()));
                if (y.exponent, y.mantissa) > (x.exponent, x.mantissa) {
                    PI.scaled(-1).sub(arc_tangent(x.div(y)))
                } else {
                    arc_tangent(y.div(x))
                }
            }
        };
        // The left half of the plane is the right one's mirror image.
        let mirrored = x.is_negative() && !(x.class() == Class::Zero && y.class() != Class::Zero);
        let straight_up = y.class() == Class::Infinity && x.class() != Class::Infinity;
        let angle = if mirrored && !straight_up { PI.sub(angle) } else { angle };
        self.conclude(Wide { negative: y.is_negative(), ..angle })
    }

    /// The angle of FSIN, FCOS, FSINCOS, FPTAN.
    pub(super) fn angle(&mut self, a: Extended) -> Angle {
        if let Some(nan) = self.not_a_number(a, a) {
            return Angle::None(nan);
        }
        match a.class() {
            Class::Infinity => return Angle::None(self.invalid()),
            Class::Zero => {
                let sine = Wide { negative: a.is_negative(), ..Wide::ZERO };
                return Angle::Known(SineCosine { sine, cosine: Wide::ONE });
            }
            _ => self.note_denormal(a),
        }
        let n = a.number();
        if n.exponent >= 63 {
            return Angle::TooLarge;
        }
        let (rest, turns) = reduce(n);
        let (sine, cosine) = sine_and_cosine(rest);
        let (sine, cosine) = match turns & 3 {
            0 => (sine, cosine),
            1 => (cosine, sine.negated()),
            2 => (sine.negated(), cosine.negated()),
            _ => (cosine.negated(), sine),
        };
        Angle::Known(SineCosine { sine: if n.negative { sine.negated() } else { sine }, cosine })
    }

    pub(super) fn sine(&mut self, angle: SineCosine) -> Extended {
        self.conclude(angle.sine)
    }

    pub(super) fn cosine(&mut self, angle: SineCosine) -> Extended {
        if angle.cosine.mantissa == Wide::ONE.mantissa {
            return Extended::from_integer(1);
        }
        self.conclude(angle.cosine)
    }

    pub(super) fn tangent(&mut self, angle: SineCosine) -> Extended {
        self.conclude(angle.sine.div(angle.cosine))
    }
}
