//! Which features of the processor an instruction needs: what a model lacks is undefined on it, or a hint that does
//! nothing.
//!
//! In: a row of the table and a word. Out: features, by the instruction's name and, for halves, by its format.

use super::lift::Row;
use super::word::Word;
use philae_ir::processor::{Feature, Features};

/// How a model takes an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Known {
    /// It executes it.
    Yes,
    /// It is a hint to it, as all of that space (Arm ARM C6.2, HINT).
    AsHint,
    /// It is undefined.
    No,
}

/// How a processor with these features takes the instruction.
pub(super) fn known(features: Features, row: &Row, word: Word) -> Known {
    if features == Features::ALL { Known::Yes } else { known_by_name(features, row, word) }
}

/// The same, found out by what it is called: apart, as hardly anybody chooses a model.
#[inline(never)]
fn known_by_name(features: Features, row: &Row, word: Word) -> Known {
    if features.contain(needed(row.name, word)) {
        Known::Yes
    } else if word.0 & 0xffff_f01f == 0xd503_201f {
        Known::AsHint
    } else {
        Known::No
    }
}

fn needed(name: &str, word: Word) -> Features {
    let named = by_name(name).map_or(Features::NONE, |feature| Features::NONE.with(feature));
    if is_half(name, word) { named.with(Feature::Fp16) } else { named }
}

/// Arithmetic of halves: rows of its own, scalars with ftype 3, and complex numbers with size 1. Conversions between
/// halves and other formats are older.
fn is_half(name: &str, word: Word) -> bool {
    if name.starts_with("FCVT (") {
        return false;
    }
    let scalar = word.bits(30, 29) == 0 && word.bits(28, 25) == 0b1111 && word.bits(23, 22) == 3;
    let complex = name.starts_with("FCADD") || name.starts_with("FCMLA");
    scalar || name.contains("half") || name.contains("halves") || complex && word.bits(23, 22) == 1
}

fn by_name(name: &str) -> Option<Feature> {
    Some(match name {
        "AESE" | "AESD" | "AESMC" | "AESIMC" => Feature::Aes,
        "PMULL (doublewords)" => Feature::Pmull,
        "CAS" | "CASP" | "SWP" | "LDADD" | "LDCLR" | "LDEOR" | "LDSET" | "LDSMAX" | "LDSMIN" | "LDUMAX" | "LDUMIN" => {
            Feature::Lse
        }
        "STLLR" | "LDLAR" => Feature::Lor,
        "LDAPR" => Feature::Lrcpc,
        "FJCVTZS" => Feature::Jscvt,
        "EOR3" | "BCAX" | "RAX1" | "XAR" => Feature::Sha3,
        "CFINV" | "RMIF" | "SETF8" | "SETF16" => Feature::FlagM,
        "XAFLAG" | "AXFLAG" => Feature::FlagM2,
        "SB" => Feature::Sb,
        "DC CVAP" => Feature::Dpb,
        "DC CVADP" => Feature::Dpb2,
        "MSR (DIT)" => Feature::Dit,
        "MSR (SSBS)" => Feature::Ssbs,
        "BFM" => return None,
        _ => return by_beginning(name),
    })
}

fn by_beginning(name: &str) -> Option<Feature> {
    const BEGINNINGS: &[(&str, Feature)] = &[
        ("SHA1", Feature::Sha1),
        ("SHA256", Feature::Sha256),
        ("SHA512", Feature::Sha512),
        ("SM3", Feature::Sm3),
        ("SM4", Feature::Sm4),
        ("CRC32", Feature::Crc32),
        ("SQRDMLAH", Feature::Rdm),
        ("SQRDMLSH", Feature::Rdm),
        ("FCADD", Feature::Fcma),
        ("FCMLA", Feature::Fcma),
        ("LDAPUR", Feature::Lrcpc2),
        ("STLUR", Feature::Lrcpc2),
        ("SDOT", Feature::DotProd),
        ("UDOT", Feature::DotProd),
        ("USDOT", Feature::I8mm),
        ("SUDOT", Feature::I8mm),
        ("SMMLA", Feature::I8mm),
        ("UMMLA", Feature::I8mm),
        ("USMMLA", Feature::I8mm),
        ("BF", Feature::Bf16),
        ("FMLAL", Feature::Fhm),
        ("FMLSL", Feature::Fhm),
        ("FRINT32", Feature::Frintts),
        ("FRINT64", Feature::Frintts),
        ("PAC", Feature::Pauth),
        ("AUT", Feature::Pauth),
        ("XPAC", Feature::Pauth),
        ("BRA", Feature::Pauth),
        ("BLRA", Feature::Pauth),
        ("RETA", Feature::Pauth),
        ("LDRA", Feature::Pauth),
    ];
    BEGINNINGS.iter().find(|(beginning, _)| name.starts_with(beginning)).map(|&(_, feature)| feature)
}

#[cfg(test)]
mod tests {
    use super::super::decode;
    use super::*;

    fn needed_by(word: u32) -> Features {
        let word = Word(word);
        needed(decode::find(word).expect("an instruction").name, word)
    }

    #[test]
    fn instructions_need_what_the_manual_says() {
        let only = |feature| Features::NONE.with(feature);
        let cases = [
            (0x8b02_0020, Features::NONE),                          // add x0, x1, x2
            (0x3300_0c20, Features::NONE),                          // bfxil w0, w1, #0, #4
            (0x1e62_2820, Features::NONE),                          // fadd d0, d1, d2
            (0x1ee2_2820, only(Feature::Fp16)),                     // fadd h0, h1, h2
            (0x1e23_c020, Features::NONE),                          // fcvt h0, s1
            (0x1ee2_4020, Features::NONE),                          // fcvt s0, h1
            (0x0e42_1420, only(Feature::Fp16)),                     // fadd v0.4h, v1.4h, v2.4h
            (0x2ec2_c420, only(Feature::Fcma)),                     // fcmla v0.2s-like, size 3
            (0x2e42_c420, only(Feature::Fcma).with(Feature::Fp16)), // fcmla v0.4h, v1.4h, v2.4h, #0
            (0x1e63_4020, only(Feature::Bf16)),                     // bfcvt h0, s1
            (0xb820_0041, only(Feature::Lse)),                      // ldadd w0, w1, [x2]
            (0xd503_233f, only(Feature::Pauth)),                    // paciasp
            (0xd65f_0bff, only(Feature::Pauth)),                    // retaa
            (0xd50b_7c20, only(Feature::Dpb)),                      // dc cvap, x0
        ];
        for (word, features) in cases {
            assert_eq!(needed_by(word), features, "{word:08x}");
        }
        let row = decode::find(Word(0xd503_233f)).expect("paciasp");
        assert_eq!(known(Features::NONE, row, Word(0xd503_233f)), Known::AsHint);
    }
}
