//! THE table of aarch64 processors: what each can do, and how it says so in HWCAP, in the identification registers and in
//! MIDR_EL1. Frontends take what a model lacks for undefined, the system says what it has.
//!
//! Features are those of the Arm ARM, A2.2; bits of HWCAP from arch/arm64/include/uapi/asm/hwcap.h of Linux; fields of
//! registers from D24.2 of the Arm ARM. Models have what their technical reference manuals say, as far as Philae has it:
//! no SVE, no LSE2 (16-byte pairs are two accesses on this host), no MTE.

/// An identification register that user code may read and that is not always zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IdRegister {
    /// ID_AA64PFR0_EL1.
    Pfr0,
    /// ID_AA64PFR1_EL1.
    Pfr1,
    /// ID_AA64ISAR0_EL1.
    Isar0,
    /// ID_AA64ISAR1_EL1.
    Isar1,
    /// ID_AA64MMFR0_EL1.
    Mmfr0,
}

use IdRegister::{Isar0, Isar1, Mmfr0, Pfr0, Pfr1};

/// A field of an identification register: the register, its lowest bit, what it holds.
type Field = (IdRegister, u32, u64);

macro_rules! features {
    ($($(#[$doc:meta])* $name:ident [$low:expr, $high:expr] $fields:expr;)*) => {
        /// What a processor may have beyond ARMv8.0 with floating point.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub enum Feature {
            $($(#[$doc])* $name,)*
        }

        /// Every feature: its bits in AT_HWCAP and AT_HWCAP2, and its fields.
        const FEATURES: &[(Feature, [u64; 2], &[Field])] = &[$((Feature::$name, [$low, $high], &$fields)),*];
    };
}

features! {
    /// FEAT_AES: AESE, AESD, AESMC, AESIMC.
    Aes [1 << 3, 0] [(Isar0, 4, 1)];
    /// FEAT_PMULL: PMULL of doublewords.
    Pmull [1 << 4, 0] [(Isar0, 4, 2)];
    /// FEAT_SHA1.
    Sha1 [1 << 5, 0] [(Isar0, 8, 1)];
    /// FEAT_SHA256.
    Sha256 [1 << 6, 0] [(Isar0, 12, 1)];
    /// FEAT_CRC32.
    Crc32 [1 << 7, 0] [(Isar0, 16, 1)];
    /// FEAT_LSE: atomic operations.
    Lse [1 << 8, 0] [(Isar0, 20, 2)];
    /// FEAT_FP16: arithmetic of halves.
    Fp16 [3 << 9, 0] [(Pfr0, 16, 1), (Pfr0, 20, 1)];
    /// FEAT_RDM: SQRDMLAH, SQRDMLSH.
    Rdm [1 << 12, 0] [(Isar0, 28, 1)];
    /// FEAT_JSCVT: FJCVTZS.
    Jscvt [1 << 13, 0] [(Isar1, 12, 1)];
    /// FEAT_FCMA: FCADD, FCMLA.
    Fcma [1 << 14, 0] [(Isar1, 16, 1)];
    /// FEAT_LRCPC: LDAPR.
    Lrcpc [1 << 15, 0] [(Isar1, 20, 1)];
    /// FEAT_DPB: DC CVAP.
    Dpb [1 << 16, 0] [(Isar1, 0, 1)];
    /// FEAT_SHA3: EOR3, BCAX, RAX1, XAR.
    Sha3 [1 << 17, 0] [(Isar0, 32, 1)];
    /// FEAT_SM3.
    Sm3 [1 << 18, 0] [(Isar0, 36, 1)];
    /// FEAT_SM4.
    Sm4 [1 << 19, 0] [(Isar0, 40, 1)];
    /// FEAT_DotProd: SDOT, UDOT.
    DotProd [1 << 20, 0] [(Isar0, 44, 1)];
    /// FEAT_SHA512.
    Sha512 [1 << 21, 0] [(Isar0, 12, 2)];
    /// FEAT_FHM: FMLAL, FMLSL.
    Fhm [1 << 23, 0] [(Isar0, 48, 1)];
    /// FEAT_DIT: PSTATE.DIT.
    Dit [1 << 24, 0] [(Pfr0, 48, 1)];
    /// FEAT_LRCPC2: LDAPUR, STLUR.
    Lrcpc2 [1 << 26, 0] [(Isar1, 20, 2)];
    /// FEAT_FlagM: CFINV, RMIF, SETF8, SETF16.
    FlagM [1 << 27, 0] [(Isar0, 52, 1)];
    /// FEAT_SSBS2: PSTATE.SSBS.
    Ssbs [1 << 28, 0] [(Pfr1, 4, 2)];
    /// FEAT_SB.
    Sb [1 << 29, 0] [(Isar1, 36, 1)];
    /// FEAT_PAuth, with an algorithm of its own.
    Pauth [3 << 30, 0] [(Isar1, 8, 1), (Isar1, 28, 1)];
    /// FEAT_DPB2: DC CVADP.
    Dpb2 [0, 1 << 0] [(Isar1, 0, 2)];
    /// FEAT_FlagM2: XAFLAG, AXFLAG.
    FlagM2 [0, 1 << 7] [(Isar0, 52, 2)];
    /// FEAT_FRINTTS: FRINT32Z and its like.
    Frintts [0, 1 << 8] [(Isar1, 32, 1)];
    /// FEAT_I8MM: SMMLA, USDOT and their like.
    I8mm [0, 1 << 13] [(Isar1, 52, 1)];
    /// FEAT_BF16.
    Bf16 [0, 1 << 14] [(Isar1, 44, 1)];
    /// FEAT_DGH: a hint.
    Dgh [0, 1 << 15] [(Isar1, 48, 1)];
    /// FEAT_RNG: RNDR, RNDRRS.
    Rng [0, 1 << 16] [(Isar0, 60, 1)];
    /// FEAT_BTI: guarded pages, where branches to registers need landing pads.
    Bti [0, 1 << 17] [(Pfr1, 0, 1)];
    /// FEAT_ECV: CNTVCTSS_EL0.
    Ecv [0, 1 << 19] [(Mmfr0, 60, 1)];
    /// FEAT_LOR: LDLAR, STLLR. Linux does not tell user code.
    Lor [0, 0] [];
}

/// A set of features.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Features(u64);

impl Features {
    /// None: ARMv8.0 with floating point and nothing more.
    pub const NONE: Features = Features(0);
    /// Everything that Philae has.
    pub const ALL: Features = Features((1 << FEATURES.len()) - 1);

    /// These and another one.
    #[must_use]
    pub const fn with(self, feature: Feature) -> Features {
        Features(self.0 | 1 << feature as u8)
    }

    /// Whether all of `others` are among these.
    pub const fn contain(self, others: Features) -> bool {
        others.0 & !self.0 == 0
    }

    const fn with_all(self, others: &[Feature]) -> Features {
        let (mut all, mut i) = (self, 0);
        while i < others.len() {
            all = all.with(others[i]);
            i += 1;
        }
        all
    }

    /// The rows of these features.
    fn rows(self) -> impl Iterator<Item = &'static (Feature, [u64; 2], &'static [Field])> {
        FEATURES.iter().filter(move |(feature, ..)| self.contain(Features::NONE.with(*feature)))
    }
}

/// A processor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Model {
    /// Its name for `-cpu`.
    pub name: &'static str,
    /// MIDR_EL1.
    pub midr: u32,
    /// What it has.
    pub features: Features,
}

const V8_CRYPTO: Features =
    Features::NONE.with_all(&[Feature::Aes, Feature::Pmull, Feature::Sha1, Feature::Sha256, Feature::Crc32]);
const V8_2: Features = V8_CRYPTO.with_all(&[
    Feature::Lse,
    Feature::Lor,
    Feature::Fp16,
    Feature::Rdm,
    Feature::Lrcpc,
    Feature::Dpb,
    Feature::DotProd,
]);
const NEOVERSE_V1: Features = V8_2.with_all(&[
    Feature::Jscvt,
    Feature::Fcma,
    Feature::Sha3,
    Feature::Sm3,
    Feature::Sm4,
    Feature::Sha512,
    Feature::Fhm,
    Feature::Dit,
    Feature::Lrcpc2,
    Feature::FlagM,
    Feature::Ssbs,
    Feature::Pauth,
    Feature::Dpb2,
    Feature::I8mm,
    Feature::Bf16,
    Feature::Dgh,
    Feature::Rng,
]);
const A64FX: Features = Features::NONE.with_all(&[
    Feature::Sha1,
    Feature::Sha256,
    Feature::Crc32,
    Feature::Lse,
    Feature::Lor,
    Feature::Fp16,
    Feature::Rdm,
    Feature::Fcma,
    Feature::Dpb,
]);

/// Everything that Philae has. It says that it is a Neoverse N1 r3p1, for programs that choose code by processor.
pub const MAX: Model = Model { name: "max", midr: 0x413f_d0c1, features: Features::ALL };

/// Every model.
pub static MODELS: &[Model] = &[
    MAX,
    Model { name: "a64fx", midr: 0x461f_0010, features: A64FX },
    Model { name: "cortex-a35", midr: 0x411f_d040, features: V8_CRYPTO },
    Model { name: "cortex-a53", midr: 0x410f_d034, features: V8_CRYPTO },
    Model { name: "cortex-a55", midr: 0x412f_d050, features: V8_2 },
    Model { name: "cortex-a57", midr: 0x411f_d070, features: V8_CRYPTO },
    Model { name: "cortex-a72", midr: 0x410f_d083, features: V8_CRYPTO },
    Model { name: "cortex-a76", midr: 0x414f_d0b1, features: V8_2.with(Feature::Ssbs) },
    Model { name: "neoverse-n1", midr: 0x414f_d0c1, features: V8_2.with(Feature::Ssbs) },
    Model { name: "neoverse-v1", midr: 0x411f_d402, features: NEOVERSE_V1 },
];

impl Model {
    /// The model with this name.
    pub fn named(name: &str) -> Option<&'static Model> {
        MODELS.iter().find(|model| model.name == name)
    }

    /// AT_HWCAP and AT_HWCAP2: FP, ASIMD, EVTSTRM (WFE never waits longer than the stream of events would let it) and
    /// CPUID, and what the features add.
    pub fn hwcaps(&self) -> [u64; 2] {
        const ALWAYS: [u64; 2] = [1 << 11 | 7, 0];
        self.features.rows().fold(ALWAYS, |[low, high], (_, caps, _)| [low | caps[0], high | caps[1]])
    }

    /// What the register holds: of each field the most that a feature says. Bits that Linux hides are zero.
    pub fn id_register(&self, register: IdRegister) -> u64 {
        // EL0 and EL1 are AArch64 only.
        let always = if register == Pfr0 { 0x11 } else { 0 };
        let fields = self.features.rows().flat_map(|(_, _, fields)| fields.iter());
        fields.filter(|(holder, ..)| *holder == register).fold(always, |value, &(_, shift, level)| {
            let before = value >> shift & 0xf;
            value & !(0xf << shift) | before.max(level) << shift
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_of_a_field_do_not_add_up() {
        assert_eq!(MAX.id_register(Isar0), 0x1021_1111_1021_2120);
        assert_eq!(MAX.id_register(Isar1), 0x0011_1011_1021_1102);
        assert_eq!(MAX.id_register(Pfr0), 0x0001_0000_0011_0011);
        assert_eq!(MAX.id_register(Pfr1), 0x21);
        let a53 = Model::named("cortex-a53").expect("a model");
        assert_eq!(a53.id_register(Isar0), 0x0000_0000_0001_1120);
        // As /proc/cpuinfo of Linux has it there: fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid.
        assert_eq!(a53.hwcaps(), [0x8ff, 0]);
        // And on a Neoverse N1: fphp asimdhp asimdrdm lrcpc dcpop asimddp atomics ssbs.
        assert_eq!(Model::named("neoverse-n1").expect("a model").hwcaps(), [0x1011_9fff, 0]);
    }
}
