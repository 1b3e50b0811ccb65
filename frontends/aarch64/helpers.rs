//! Guest operations too rare or too large for operations of their own, as functions of their operands.
//!
//! Vector helpers take 128-bit operands and, last, the width of a lane in bits; they look at all lanes of 128 bits.

use super::softfloat;
use philae_ir::CpuState;
use philae_ir::state::aarch64::FPCR;
use std::hint::black_box;
use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Ticks of CNTVCT_EL0 in a second, as CNTFRQ_EL0 says.
pub(super) const COUNTER_HZ: u64 = 1_000_000_000;

/// Declares helpers: name, name in text, operands, result, effect, function.
macro_rules! helpers {
    ($($(#[$doc:meta])* $name:ident $text:literal ($operands:literal) -> $result:ident, $effect:ident, $function:expr;)*) => { $(
        $(#[$doc])*
        pub(super) static $name: philae_ir::Helper = philae_ir::Helper {
            name: $text,
            operands: $operands,
            result: philae_ir::Ty::$result,
            effect: philae_ir::HelperEffect::$effect,
            function: $function,
        };
    )* };
}
pub(super) use helpers;

helpers! {
    /// CRC-32 (polynomial 0x04c11db7) of a value of so many bits.
    CRC32 "a64_crc32" (3) -> I32, Pure, |_, [crc, data, bits]| crc32(crc, data, bits, &CRC32_TABLES);
    /// CRC-32C (polynomial 0x1edc6f41) of a value of so many bits.
    CRC32C "a64_crc32c" (3) -> I32, Pure, |_, [crc, data, bits]| crc32(crc, data, bits, &CRC32C_TABLES);
    /// The virtual counter.
    VIRTUAL_COUNT "a64_virtual_count" (0) -> I64, State, virtual_count;
    /// binary16 to binary32.
    HALF_TO_SINGLE "a64_half_to_single" (1) -> F32, Pure, |_, [a, ..]| u128::from(double_to_single(half_to_double(a as u16)));
    /// binary16 to binary64.
    HALF_TO_DOUBLE "a64_half_to_double" (1) -> F64, Pure, |_, [a, ..]| u128::from(half_to_double(a as u16));
    /// binary32 to binary16.
    SINGLE_TO_HALF "a64_single_to_half" (1) -> I16, Pure, |_, [a, ..]| u128::from(double_to_half(single_to_double(a as u32)));
    /// binary64 to binary16.
    DOUBLE_TO_HALF "a64_double_to_half" (1) -> I16, Pure, |_, [a, ..]| u128::from(double_to_half(a as u64));
    /// Four low binary16 lanes to binary32.
    HALVES_TO_SINGLES "a64_halves_to_singles" (1) -> V128, Pure, halves_to_singles;
    /// Four binary32 lanes to binary16, zeroes above.
    SINGLES_TO_HALVES "a64_singles_to_halves" (1) -> V128, Pure, singles_to_halves;
    /// Two binary64 lanes to binary32 rounded to odd, zeroes above.
    DEMOTE_TO_ODD "a64_demote_to_odd" (1) -> V128, Pure, demote_to_odd;
    /// Carry-less products of bytes, low halves.
    POLY_MUL "a64_poly_mul" (2) -> V128, Pure, |_, [a, b, _]| lanes2(a, b, 8, |a, b| poly_mul(a, b) & 0xff);
    /// Carry-less products of the eight low bytes, 16 bits each.
    POLY_MUL_LONG "a64_poly_mul_long" (2) -> V128, Pure, poly_mul_long;
    /// SRSHL.
    ROUND_SHIFT_S "a64_round_shift_s" (3) -> V128, Pure, |_, [a, b, w]| shifts(a, b, w, SHIFT_ROUND | SHIFT_SIGNED);
    /// URSHL.
    ROUND_SHIFT_U "a64_round_shift_u" (3) -> V128, Pure, |_, [a, b, w]| shifts(a, b, w, SHIFT_ROUND);
    /// SQSHL (register).
    SAT_SHIFT_S "a64_sat_shift_s" (3) -> V128, Pure, |_, [a, b, w]| shifts(a, b, w, SHIFT_SATURATE | SHIFT_SIGNED);
    /// UQSHL (register).
    SAT_SHIFT_U "a64_sat_shift_u" (3) -> V128, Pure, |_, [a, b, w]| shifts(a, b, w, SHIFT_SATURATE);
    /// SQRSHL.
    SAT_ROUND_SHIFT_S "a64_sat_round_shift_s" (3) -> V128, Pure,
        |_, [a, b, w]| shifts(a, b, w, SHIFT_SATURATE | SHIFT_ROUND | SHIFT_SIGNED);
    /// UQRSHL.
    SAT_ROUND_SHIFT_U "a64_sat_round_shift_u" (3) -> V128, Pure, |_, [a, b, w]| shifts(a, b, w, SHIFT_SATURATE | SHIFT_ROUND);
    /// SUQADD: signed lanes of a plus unsigned lanes of b, saturated to signed.
    ADD_UNSIGNED_SAT "a64_add_unsigned_sat" (3) -> V128, Pure, add_unsigned_sat;
    /// USQADD: unsigned lanes of a plus signed lanes of b, saturated to unsigned.
    ADD_SIGNED_SAT "a64_add_signed_sat" (3) -> V128, Pure, add_signed_sat;
    /// SQRDMLAH of halfwords: Vd, Vn, Vm.
    ROUND_DOUBLE_ADD_16 "a64_round_double_add_16" (3) -> V128, Pure, |_, args| round_double(args, 16, 1);
    /// SQRDMLSH of halfwords.
    ROUND_DOUBLE_SUB_16 "a64_round_double_sub_16" (3) -> V128, Pure, |_, args| round_double(args, 16, -1);
    /// SQRDMLAH of words.
    ROUND_DOUBLE_ADD_32 "a64_round_double_add_32" (3) -> V128, Pure, |_, args| round_double(args, 32, 1);
    /// SQRDMLSH of words.
    ROUND_DOUBLE_SUB_32 "a64_round_double_sub_32" (3) -> V128, Pure, |_, args| round_double(args, 32, -1);
    /// Lanes that are not 0 where SQRDMLAH of halfwords saturates.
    ROUND_DOUBLE_ADD_16_SATURATES "a64_round_double_add_16_saturates" (3) -> V128, Pure,
        |_, args| round_double_saturates(args, 16, 1);
    /// As above, SQRDMLSH of halfwords.
    ROUND_DOUBLE_SUB_16_SATURATES "a64_round_double_sub_16_saturates" (3) -> V128, Pure,
        |_, args| round_double_saturates(args, 16, -1);
    /// As above, SQRDMLAH of words.
    ROUND_DOUBLE_ADD_32_SATURATES "a64_round_double_add_32_saturates" (3) -> V128, Pure,
        |_, args| round_double_saturates(args, 32, 1);
    /// As above, SQRDMLSH of words.
    ROUND_DOUBLE_SUB_32_SATURATES "a64_round_double_sub_32_saturates" (3) -> V128, Pure,
        |_, args| round_double_saturates(args, 32, -1);
    /// FJCVTZS: the result, and bit 32 where it is exact.
    JAVASCRIPT_CONVERT "a64_javascript_convert" (1) -> I64, Pure, |_, [a, ..]| u128::from(javascript_convert(a as u64));
    /// FRECPE of float lanes.
    RECIP_ESTIMATE "a64_recip_estimate" (2) -> V128, Pure, |_, [a, w, _]| floats1(a, w, recip_estimate);
    /// FRSQRTE of float lanes.
    RSQRT_ESTIMATE "a64_rsqrt_estimate" (2) -> V128, Pure, |_, [a, w, _]| floats1(a, w, rsqrt_estimate);
    /// FRECPX of float lanes.
    RECIP_EXPONENT "a64_recip_exponent" (2) -> V128, Pure, |_, [a, w, _]| floats1(a, w, recip_exponent);
    /// URECPE.
    RECIP_ESTIMATE_U "a64_recip_estimate_u" (1) -> V128, Pure, |_, [a, ..]| lanes1(a, 32, unsigned_recip_estimate);
    /// URSQRTE.
    RSQRT_ESTIMATE_U "a64_rsqrt_estimate_u" (1) -> V128, Pure, |_, [a, ..]| lanes1(a, 32, unsigned_rsqrt_estimate);
    /// FRSQRTS of binary32 lanes.
    RSQRT_STEP_SINGLE "a64_rsqrt_step_single" (2) -> V128, State, |cpu, args| rsqrt_step(cpu, args, softfloat::SINGLE);
    /// FRSQRTS of binary64 lanes.
    RSQRT_STEP_DOUBLE "a64_rsqrt_step_double" (2) -> V128, State, |cpu, args| rsqrt_step(cpu, args, softfloat::DOUBLE);
}

/// `f` of every lane.
fn lanes1(a: u128, bits: u32, f: impl Fn(u64) -> u64) -> u128 {
    lanes2(a, 0, bits, |a, _| f(a))
}

/// `f` of every pair of lanes.
fn lanes2(a: u128, b: u128, bits: u32, mut f: impl FnMut(u64, u64) -> u64) -> u128 {
    let mask = u64::MAX >> (64 - bits);
    (0..128).step_by(bits as usize).fold(0, |result, at| {
        let lane = f((a >> at) as u64 & mask, (b >> at) as u64 & mask) & mask;
        result | u128::from(lane) << at
    })
}

fn sign_extend(value: u64, bits: u32) -> i64 {
    (value << (64 - bits)) as i64 >> (64 - bits)
}

/// For each byte of a doubleword, highest first, what it adds to the checksum.
type CrcTables = [[u32; 256]; 8];

static CRC32_TABLES: CrcTables = crc_tables(0xedb8_8320);
static CRC32C_TABLES: CrcTables = crc_tables(0x82f6_3b78);

const fn crc_tables(polynomial: u32) -> CrcTables {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let (mut crc, mut bits) = (byte as u32, 0);
        while bits < 64 {
            crc = crc >> 1 ^ if crc & 1 != 0 { polynomial } else { 0 };
            bits += 1;
            if bits % 8 == 0 {
                tables[bits / 8 - 1][byte] = crc;
            }
        }
        byte += 1;
    }
    tables
}

fn crc32(crc: u128, data: u128, bits: u128, tables: &CrcTables) -> u128 {
    let bytes = bits as usize / 8;
    let data = data as u64 & u64::MAX >> (64 - bits as u32);
    let mixed = data ^ crc as u64;
    let folded = (0..bytes).fold(0, |crc, i| crc ^ tables[bytes - 1 - i][(mixed >> (8 * i)) as usize & 0xff]);
    // What narrow data do not reach of the old checksum moves down.
    u128::from(folded ^ (crc as u32).checked_shr(bits as u32).unwrap_or(0))
}

/// Nanoseconds that grow steadily within the process and agree between processes as well as their clocks do.
fn virtual_count(_state: &mut CpuState, _operands: [u128; 3]) -> u128 {
    static START: OnceLock<(Instant, u128)> = OnceLock::new();
    let (start, base) = START.get_or_init(|| {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        (Instant::now(), since_epoch.as_nanos())
    });
    (base + start.elapsed().as_nanos()) & u128::from(u64::MAX)
}

/// Exact; NaNs are quieted and keep sign and payload.
fn half_to_double(half: u16) -> u64 {
    let quiet = if half & 0x7fff > 0x7c00 { 1 << 51 } else { 0 };
    widen_half(half) | quiet
}

/// Exact; NaNs stay as they are, so that an operation can tell the signalling ones.
pub(super) fn widen_half(half: u16) -> u64 {
    let sign = u64::from(half >> 15) << 63;
    let exponent = half >> 10 & 31;
    let fraction = u64::from(half & 0x3ff);
    match (exponent, fraction) {
        (31, _) => sign | 0x7ff << 52 | fraction << 42,
        (0, _) => sign | (fraction as f64 * 2f64.powi(-24)).to_bits(),
        _ => sign | u64::from(exponent + 1023 - 15) << 52 | fraction << 42,
    }
}

/// For values that binary32 holds, such as those of binary16; NaNs keep the top of their payload.
fn double_to_single(double: u64) -> u32 {
    if f64::from_bits(double).is_nan() {
        return (double >> 32) as u32 & 0x8000_0000 | 0x7fc0_0000 | (double >> 29) as u32 & 0x3f_ffff;
    }
    (f64::from_bits(double) as f32).to_bits()
}

/// Exact; NaNs are quieted and keep sign and payload.
fn single_to_double(single: u32) -> u64 {
    if f32::from_bits(single).is_nan() {
        return u64::from(single >> 31) << 63 | 0x7ff8 << 48 | u64::from(single & 0x3f_ffff) << 29;
    }
    f64::from(f32::from_bits(single)).to_bits()
}

/// Rounded as the host rounds now; NaNs are quieted and keep sign and the top of the payload.
pub(super) fn double_to_half(double: u64) -> u16 {
    let value = f64::from_bits(double);
    let sign = (double >> 48) as u16 & 0x8000;
    if value.is_nan() {
        return sign | 0x7e00 | (double >> 42) as u16 & 0x1ff;
    }
    if value.is_infinite() {
        return sign | 0x7c00;
    }
    if value.abs() >= 65536.0 {
        return sign | if overflows(double >> 63) { 0x7c00 } else { 0x7bff };
    }
    sign | round_to_format(value, -14, 10) as u16
}

/// Whether what is too large becomes an infinity, rather than the largest number of its sign, as the host rounds now.
fn overflows(sign: u64) -> bool {
    let largest = if sign == 0 { f64::MAX } else { f64::MIN };
    (black_box(largest) * 2.0).is_infinite()
}

/// The magnitude of a number in a format with less range and precision, given by its smallest exponent and its fraction
/// bits, rounded as the host rounds now. A number that rounds beyond the format becomes an infinity.
pub(super) fn round_to_format(value: f64, smallest_exponent: i32, fraction_bits: u32) -> u64 {
    let exponent = (value.to_bits() >> 52 & 0x7ff) as i32 - 1023;
    let smallest_unit = smallest_exponent - fraction_bits as i32;
    let unit = exponent.max(smallest_exponent) - fraction_bits as i32;
    // A double of this size has its last bit where the format has.
    let large = (1.5 * 2f64.powi(unit + 52)).copysign(value);
    let rounded = black_box(value + large) - large;
    // The leading bit of the significand counts the exponent up by one.
    let significand = (rounded.abs() * 2f64.powi(-unit)) as u64;
    (((unit - smallest_unit) as u64) << fraction_bits) + significand
}

fn halves_to_singles(_state: &mut CpuState, [a, ..]: [u128; 3]) -> u128 {
    (0..4).fold(0, |result, i| {
        let single = double_to_single(half_to_double((a >> (16 * i)) as u16));
        result | u128::from(single) << (32 * i)
    })
}

fn singles_to_halves(_state: &mut CpuState, [a, ..]: [u128; 3]) -> u128 {
    (0..4).fold(0, |result, i| {
        let half = double_to_half(single_to_double((a >> (32 * i)) as u32));
        result | u128::from(half) << (16 * i)
    })
}

fn demote_to_odd(_state: &mut CpuState, [a, ..]: [u128; 3]) -> u128 {
    u128::from(odd_single(a as u64)) | u128::from(odd_single((a >> 64) as u64)) << 32
}

/// binary64 to binary32: truncated, and the last bit set where that was inexact (Arm ARM, FPRounding_ODD).
pub(super) fn odd_single(double: u64) -> u32 {
    let value = f64::from_bits(double);
    if value.is_nan() || value.is_infinite() || value == 0.0 {
        return double_to_single(double);
    }
    let nearest = value as f32;
    let nearest_back = f64::from(nearest);
    if nearest_back == value {
        return nearest.to_bits();
    }
    // Away from zero means that the truncated value is one step nearer to zero.
    let truncated = if nearest_back.abs() > value.abs() { nearest.to_bits() - 1 } else { nearest.to_bits() };
    truncated | 1
}

fn poly_mul(a: u64, b: u64) -> u64 {
    (0..8).filter(|i| b >> i & 1 != 0).fold(0, |product, i| product ^ a << i)
}

fn poly_mul_long(_state: &mut CpuState, [a, b, _]: [u128; 3]) -> u128 {
    (0..8).fold(0, |result, i| {
        let product = poly_mul((a >> (8 * i)) as u64 & 0xff, (b >> (8 * i)) as u64 & 0xff);
        result | u128::from(product) << (16 * i)
    })
}

const SHIFT_SIGNED: u32 = 1;
const SHIFT_ROUND: u32 = 2;
const SHIFT_SATURATE: u32 = 4;

/// Shifts lanes of a left by the signed low byte of the lanes of b, right where that is negative.
fn shifts(a: u128, b: u128, bits: u128, kind: u32) -> u128 {
    let bits = bits as u32;
    lanes2(a, b, bits, |a, b| shift_lane(a, b as i8, bits, kind))
}

fn shift_lane(a: u64, shift: i8, bits: u32, kind: u32) -> u64 {
    let signed = kind & SHIFT_SIGNED != 0;
    let value = if signed { i128::from(sign_extend(a, bits)) } else { i128::from(a) };
    if shift < 0 {
        // Beyond 100 bits every right shift of 64 bits, rounded or not, gives what 100 give.
        let right = u32::from(shift.unsigned_abs()).min(100);
        let rounding = if kind & SHIFT_ROUND != 0 { 1i128 << (right - 1) } else { 0 };
        return ((value + rounding) >> right) as u64;
    }
    let left = shift as u32;
    if kind & SHIFT_SATURATE == 0 {
        return if left >= bits { 0 } else { a << left };
    }
    let exact = value.checked_mul(1 << left.min(bits));
    saturate(exact.unwrap_or(if value < 0 { i128::MIN } else { i128::MAX }), bits, signed)
}

fn saturate(value: i128, bits: u32, signed: bool) -> u64 {
    clamp(value, bits, signed) as u64
}

fn clamp(value: i128, bits: u32, signed: bool) -> i128 {
    let (low, high) = if signed { (-1i128 << (bits - 1), (1i128 << (bits - 1)) - 1) } else { (0, (1i128 << bits) - 1) };
    value.clamp(low, high)
}

fn add_unsigned_sat(_state: &mut CpuState, [a, b, bits]: [u128; 3]) -> u128 {
    let bits = bits as u32;
    lanes2(a, b, bits, |a, b| saturate(i128::from(sign_extend(a, bits)) + i128::from(b), bits, true))
}

fn add_signed_sat(_state: &mut CpuState, [a, b, bits]: [u128; 3]) -> u128 {
    let bits = bits as u32;
    lanes2(a, b, bits, |a, b| saturate(i128::from(a) + i128::from(sign_extend(b, bits)), bits, false))
}

/// A saturating shift by register: the helper that makes its result, and its number for [`saturates`].
pub(super) struct SaturatingShift {
    /// Makes the result.
    pub(super) helper: &'static philae_ir::Helper,
    /// What the shift is, in bits.
    pub(super) kind: u64,
}

const fn saturating_shift(helper: &'static philae_ir::Helper, kind: u32) -> SaturatingShift {
    SaturatingShift { helper, kind: (kind | SHIFT_SATURATE) as u64 }
}

/// SQSHL (register).
pub(super) static SQSHL: SaturatingShift = saturating_shift(&SAT_SHIFT_S, SHIFT_SIGNED);
/// UQSHL (register).
pub(super) static UQSHL: SaturatingShift = saturating_shift(&SAT_SHIFT_U, 0);
/// SQRSHL.
pub(super) static SQRSHL: SaturatingShift = saturating_shift(&SAT_ROUND_SHIFT_S, SHIFT_ROUND | SHIFT_SIGNED);
/// UQRSHL.
pub(super) static UQRSHL: SaturatingShift = saturating_shift(&SAT_ROUND_SHIFT_U, SHIFT_ROUND);

/// The numbers of SUQADD and USQADD for [`saturates`].
const SIGNED_PLUS_UNSIGNED: u64 = 8;
const UNSIGNED_PLUS_SIGNED: u64 = 9;

/// The number of SUQADD's or USQADD's helper for [`saturates`].
pub(super) fn accumulate_kind(helper: &'static philae_ir::Helper) -> u64 {
    if std::ptr::eq(helper, &ADD_UNSIGNED_SAT) { SIGNED_PLUS_UNSIGNED } else { UNSIGNED_PLUS_SIGNED }
}

/// Whether a saturating operation saturates in a lane: lane width, lanes and the operation in 8 bits each of `how`.
pub(super) fn saturates(a: u128, b: u128, how: u64) -> bool {
    let (bits, lanes, kind) = (how as u32 & 0xff, (how >> 8) as u32 & 0xff, how >> 16);
    let mask = u64::MAX >> (64 - bits);
    (0..lanes).any(|lane| {
        let [a, b] = [a, b].map(|v| (v >> (lane * bits)) as u64 & mask);
        lane_saturates(a, b, bits, kind)
    })
}

fn lane_saturates(a: u64, b: u64, bits: u32, kind: u64) -> bool {
    let (signed_a, signed_b) = (i128::from(sign_extend(a, bits)), i128::from(sign_extend(b, bits)));
    let (exact, signed) = match kind {
        SIGNED_PLUS_UNSIGNED => (signed_a + i128::from(b), true),
        UNSIGNED_PLUS_SIGNED => (i128::from(a) + signed_b, false),
        shift => {
            let signed = shift as u32 & SHIFT_SIGNED != 0;
            let value = if signed { signed_a } else { i128::from(a) };
            // Right shifts do not saturate; a lane's width to the left, only zero does not.
            (value << (b as i8).clamp(0, bits as i8), signed)
        }
    };
    exact != clamp(exact, bits, signed)
}

/// High halves of d × 2^bits ± 2 × n × m, rounded and saturated.
fn round_double([d, n, m]: [u128; 3], bits: u32, sign: i128) -> u128 {
    (0..128).step_by(bits as usize).fold(0, |result, at| {
        let [d, n, m] = [d, n, m].map(|v| i128::from(sign_extend((v >> at) as u64, bits)));
        let sum = (d << bits) + sign * 2 * n * m + (1 << (bits - 1));
        result | u128::from(saturate(sum >> bits, bits, true) & (u64::MAX >> (64 - bits))) << at
    })
}

fn round_double_saturates(operands: [u128; 3], bits: u32, sign: i128) -> u128 {
    (0..128).step_by(bits as usize).fold(0, |result, at| {
        let [d, n, m] = operands.map(|v| i128::from(sign_extend((v >> at) as u64, bits)));
        let sum = ((d << bits) + sign * 2 * n * m + (1 << (bits - 1))) >> bits;
        result | u128::from(sum != clamp(sum, bits, true)) << at
    })
}

/// Arm ARM, FPToFixedJS: the double truncated, modulo 2^32. Not exact where it was changed, out of range, or −0.
fn javascript_convert(double: u64) -> u64 {
    let value = f64::from_bits(double);
    let exponent = (double >> 52 & 0x7ff) as i32 - 1075;
    let significand = double & ((1 << 52) - 1) | 1 << 52;
    let magnitude = match exponent {
        _ if !value.is_finite() => 0,
        32.. => 0,
        0..=31 => significand << exponent,
        -52..=-1 => significand >> -exponent,
        _ => 0,
    };
    let result = if double >> 63 != 0 { magnitude.wrapping_neg() } else { magnitude } as u32;
    let exact = f64::from(result as i32).to_bits() == double;
    u64::from(result) | u64::from(exact) << 32
}

/// How a binary float format is laid out.
#[derive(Clone, Copy)]
struct Format {
    exponent_bits: u32,
    fraction_bits: u32,
}

/// A float in its parts; the fraction is left-aligned in 52 bits.
struct Parts {
    sign: u64,
    exponent: i64,
    fraction: u64,
}

impl Format {
    fn of(bits: u128) -> Format {
        match bits {
            16 => Format { exponent_bits: 5, fraction_bits: 10 },
            32 => Format { exponent_bits: 8, fraction_bits: 23 },
            _ => Format { exponent_bits: 11, fraction_bits: 52 },
        }
    }

    fn top_exponent(self) -> i64 {
        (1 << self.exponent_bits) - 1
    }

    fn unpack(self, bits: u64) -> Parts {
        let fraction = bits & ((1 << self.fraction_bits) - 1);
        Parts {
            sign: bits >> (self.exponent_bits + self.fraction_bits),
            exponent: (bits >> self.fraction_bits) as i64 & self.top_exponent(),
            fraction: fraction << (52 - self.fraction_bits),
        }
    }

    fn pack(self, sign: u64, exponent: i64, fraction: u64) -> u64 {
        sign << (self.exponent_bits + self.fraction_bits)
            | (exponent as u64) << self.fraction_bits
            | fraction >> (52 - self.fraction_bits)
    }

    fn infinity(self, sign: u64) -> u64 {
        self.pack(sign, self.top_exponent(), 0)
    }

    fn default_nan(self) -> u64 {
        self.pack(0, self.top_exponent(), 1 << 51)
    }

    fn quiet(self, nan: u64) -> u64 {
        nan | 1 << (self.fraction_bits - 1)
    }
}

fn floats1(a: u128, bits: u128, f: impl Fn(Format, u64) -> u64) -> u128 {
    lanes1(a, bits as u32, |a| f(Format::of(bits), a))
}

/// Arm ARM, RecipEstimate: 256 to 511 in, 256 to 511 out.
pub(super) fn recip_table(a: u64) -> u64 {
    let b = (1 << 19) / (a * 2 + 1);
    b.div_ceil(2)
}

/// Arm ARM, RecipSqrtEstimate: 128 to 511 in, 256 to 511 out.
pub(super) fn rsqrt_table(a: u64) -> u64 {
    let a = if a < 256 { a * 2 + 1 } else { ((a >> 1 << 1) + 1) * 2 };
    let mut b = 512;
    while a * (b + 1) * (b + 1) < 1 << 28 {
        b += 1;
    }
    b.div_ceil(2)
}

/// Arm ARM, FPRecipEstimate.
fn recip_estimate(format: Format, a: u64) -> u64 {
    let Parts { sign, mut exponent, mut fraction } = format.unpack(a);
    match (exponent == format.top_exponent(), fraction != 0) {
        (true, true) => return format.quiet(a),
        (true, false) => return format.pack(sign, 0, 0),
        _ => {}
    }
    if exponent == 0 {
        // Below a quarter of the smallest normal number the result overflows.
        if fraction >> 50 == 0 {
            // Zero is divided by, which is no overflow.
            return format.infinity(sign) - u64::from(fraction != 0 && !overflows(sign));
        }
        let shift = if fraction >> 51 == 0 { 2 } else { 1 };
        exponent = 1 - i64::from(shift);
        fraction = fraction << shift & ((1 << 52) - 1);
    }
    let estimate = recip_table(256 | fraction >> 44);
    let result = format.top_exponent() - 2 - exponent;
    let fraction = (estimate & 0xff) << 44;
    match result {
        0 => format.pack(sign, 0, 1 << 51 | fraction >> 1),
        -1 => format.pack(sign, 0, 1 << 50 | fraction >> 2),
        _ => format.pack(sign, result, fraction),
    }
}

/// Arm ARM, FPRSqrtEstimate.
fn rsqrt_estimate(format: Format, a: u64) -> u64 {
    let Parts { sign, mut exponent, mut fraction } = format.unpack(a);
    if exponent == format.top_exponent() && fraction != 0 {
        return format.quiet(a);
    }
    if exponent == 0 && fraction == 0 {
        return format.infinity(sign);
    }
    if sign != 0 {
        return format.default_nan();
    }
    if exponent == format.top_exponent() {
        return 0;
    }
    if exponent == 0 {
        while fraction >> 51 == 0 {
            fraction <<= 1;
            exponent -= 1;
        }
        fraction = fraction << 1 & ((1 << 52) - 1);
    }
    let scaled = if exponent & 1 == 0 { 256 | fraction >> 44 } else { 128 | fraction >> 45 };
    let bias = format.top_exponent() >> 1;
    let result = (3 * bias - 1 - exponent) / 2;
    format.pack(0, result, (rsqrt_table(scaled) & 0xff) << 44)
}

/// Arm ARM, FPRecpX.
fn recip_exponent(format: Format, a: u64) -> u64 {
    let Parts { sign, exponent, fraction } = format.unpack(a);
    if exponent == format.top_exponent() && fraction != 0 {
        return format.quiet(a);
    }
    let result = if exponent == 0 { format.top_exponent() - 1 } else { !exponent & format.top_exponent() };
    format.pack(sign, result, 0)
}

/// Arm ARM, UnsignedRecipEstimate.
fn unsigned_recip_estimate(a: u64) -> u64 {
    if a >> 31 == 0 { 0xffff_ffff } else { recip_table(a >> 23) << 23 }
}

/// Arm ARM, UnsignedRSqrtEstimate.
fn unsigned_rsqrt_estimate(a: u64) -> u64 {
    if a >> 30 == 0 { 0xffff_ffff } else { rsqrt_table(a >> 23) << 23 }
}

/// FRSQRTS, rounded as FPCR says; no flags.
fn rsqrt_step(cpu: &mut CpuState, [a, b, _]: [u128; 3], format: softfloat::Format) -> u128 {
    let mut environment = softfloat::Environment::new(cpu.get(FPCR) as u32);
    lanes2(a, b, format.bits, |a, b| environment.step(format, a, b, softfloat::Estimated::Root))
}
