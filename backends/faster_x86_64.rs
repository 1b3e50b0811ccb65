//! Helpers of guests that this host has instructions for: AES, SHA-1, SHA-256 and the carry-less product, on x86-64.
//!
//! In: a helper as its frontend defines it. Out: the same one, or one that does the same by the host's instructions
//! where the processor has them. The frontend's is the meaning; the tests below compare the two.

use philae_ir::{CpuState, Helper, HelperEffect, Ty};
use std::arch::is_x86_feature_detected;
use std::arch::x86_64::*;

/// What a host instruction demands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    Aes,
    Sha,
}

impl Needs {
    fn are_there(self) -> bool {
        match self {
            Needs::Aes => is_x86_feature_detected!("aes"),
            Needs::Sha => is_x86_feature_detected!("sha") && is_x86_feature_detected!("ssse3"),
        }
    }
}

macro_rules! faster {
    ($($name:literal $operands:literal $needs:ident $function:ident;)*) => {
        static FASTER: &[(Needs, Helper)] = &[$((Needs::$needs, Helper {
            name: $name,
            operands: $operands,
            result: Ty::V128,
            effect: HelperEffect::Pure,
            // SAFETY: it is only used where the processor has what it needs.
            function: |_: &mut CpuState, operands| unsafe { bits($function(operands.map(vector))) },
        })),*];
    };
}

faster! {
    "a64_aese" 2 Aes aese;
    "a64_aesd" 2 Aes aesd;
    "a64_aesmc" 1 Aes aesmc;
    "a64_aesimc" 1 Aes aesimc;
    "a64_sha1c" 3 Sha sha1c;
    "a64_sha1p" 3 Sha sha1p;
    "a64_sha1m" 3 Sha sha1m;
    "a64_sha256h" 3 Sha sha256h;
    "a64_sha256h2" 3 Sha sha256h2;
    "a64_sha256su0" 2 Sha sha256su0;
    "a64_sha256su1" 3 Sha sha256su1;
}

/// The helper to call where a region calls this one.
pub(crate) fn faster(helper: &'static Helper) -> &'static Helper {
    let found = FASTER.iter().find(|(_, faster)| faster.name == helper.name);
    found.filter(|(needs, _)| needs.are_there()).map_or(helper, |(_, faster)| faster)
}

/// The carry-less product of two words, if the processor makes it.
pub(crate) fn carry_less_product(a: u64, b: u64) -> Option<u128> {
    // SAFETY: the processor has the instruction.
    is_x86_feature_detected!("pclmulqdq").then(|| unsafe { bits(clmul(vector(a.into()), vector(b.into()))) })
}

fn vector(bits: u128) -> __m128i {
    // SAFETY: both are 16 bytes, of any value.
    unsafe { std::mem::transmute(bits) }
}

fn bits(vector: __m128i) -> u128 {
    // SAFETY: both are 16 bytes, of any value.
    unsafe { std::mem::transmute(vector) }
}

#[target_feature(enable = "pclmulqdq")]
fn clmul(a: __m128i, b: __m128i) -> __m128i {
    _mm_clmulepi64_si128(a, b, 0)
}

#[target_feature(enable = "aes")]
fn aese([d, n, _]: [__m128i; 3]) -> __m128i {
    _mm_aesenclast_si128(_mm_xor_si128(d, n), _mm_setzero_si128())
}

#[target_feature(enable = "aes")]
fn aesd([d, n, _]: [__m128i; 3]) -> __m128i {
    _mm_aesdeclast_si128(_mm_xor_si128(d, n), _mm_setzero_si128())
}

/// A last round of decryption undoes all of a round but its MixColumns.
#[target_feature(enable = "aes")]
fn aesmc([n, ..]: [__m128i; 3]) -> __m128i {
    let zero = _mm_setzero_si128();
    _mm_aesenc_si128(_mm_aesdeclast_si128(n, zero), zero)
}

#[target_feature(enable = "aes")]
fn aesimc([n, ..]: [__m128i; 3]) -> __m128i {
    _mm_aesimc_si128(n)
}

/// AArch64 has the first word lowest, x86 highest.
#[target_feature(enable = "sha")]
fn reversed(vector: __m128i) -> __m128i {
    _mm_shuffle_epi32(vector, 0x1b)
}

/// What goes into four rounds of SHA-1: a to d, and the words with e added to the first. AArch64's have the rounds'
/// constant in them, which x86 adds itself.
#[target_feature(enable = "sha")]
fn sha1_operands([d, n, m]: [__m128i; 3], constant: u32) -> [__m128i; 2] {
    let e = _mm_slli_si128(n, 12);
    let words = _mm_sub_epi32(reversed(m), _mm_set1_epi32(constant as i32));
    [reversed(d), _mm_add_epi32(words, e)]
}

#[target_feature(enable = "sha")]
fn sha1c(operands: [__m128i; 3]) -> __m128i {
    let [abcd, words] = sha1_operands(operands, 0x5a82_7999);
    reversed(_mm_sha1rnds4_epu32(abcd, words, 0))
}

#[target_feature(enable = "sha")]
fn sha1p(operands: [__m128i; 3]) -> __m128i {
    let [abcd, words] = sha1_operands(operands, 0x6ed9_eba1);
    reversed(_mm_sha1rnds4_epu32(abcd, words, 1))
}

#[target_feature(enable = "sha")]
fn sha1m(operands: [__m128i; 3]) -> __m128i {
    let [abcd, words] = sha1_operands(operands, 0x8f1b_bcdc);
    reversed(_mm_sha1rnds4_epu32(abcd, words, 2))
}

/// Four rounds; x holds a to d, y holds e to h.
#[target_feature(enable = "sha")]
fn sha256_rounds(x: __m128i, y: __m128i, words: __m128i) -> [__m128i; 2] {
    let (x, y) = (reversed(x), reversed(y));
    let (abef, cdgh) = (_mm_unpackhi_epi64(y, x), _mm_unpacklo_epi64(y, x));
    let two = _mm_sha256rnds2_epu32(cdgh, abef, words);
    let four = _mm_sha256rnds2_epu32(abef, two, _mm_shuffle_epi32(words, 0x0e));
    [reversed(_mm_unpackhi_epi64(two, four)), reversed(_mm_unpacklo_epi64(two, four))]
}

#[target_feature(enable = "sha")]
fn sha256h([d, n, m]: [__m128i; 3]) -> __m128i {
    sha256_rounds(d, n, m)[0]
}

#[target_feature(enable = "sha")]
fn sha256h2([d, n, m]: [__m128i; 3]) -> __m128i {
    sha256_rounds(n, d, m)[1]
}

#[target_feature(enable = "sha")]
fn sha256su0([d, n, _]: [__m128i; 3]) -> __m128i {
    _mm_sha256msg1_epu32(d, n)
}

#[target_feature(enable = "sha,ssse3")]
fn sha256su1([d, n, m]: [__m128i; 3]) -> __m128i {
    _mm_sha256msg2_epu32(_mm_add_epi32(d, _mm_alignr_epi8(m, n, 4)), m)
}
