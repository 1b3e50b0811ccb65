//! What this x86-64 processor can do, as the C library has found out at its start: asked again, a processor under a
//! hypervisor costs microseconds for each answer, and every start would ask some ten times.
//!
//! In: nothing. Out: bits of CPUID (SDM volume 2, CPUID) that processor and system both support. What must hold: the
//! function is glibc's `__x86_get_cpuid_feature_leaf` (sys/platform/x86.h); with a C library or a linker that does not
//! give it, the processor is asked.

use std::arch::global_asm;

global_asm!(
    ".pushsection .text.philae_cpuid_leaf, \"ax\", @progbits",
    ".weak __x86_get_cpuid_feature_leaf",
    ".globl philae_cpuid_leaf",
    ".hidden philae_cpuid_leaf",
    "philae_cpuid_leaf:",
    "mov rax, [rip + __x86_get_cpuid_feature_leaf@GOTPCREL]",
    "test rax, rax",
    "jz 2f",
    "jmp rax",
    "2: ret",
    ".popsection",
);

/// `struct cpuid_feature` of sys/platform/x86.h: EAX, EBX, ECX and EDX.
#[repr(C)]
struct Leaf {
    cpuid: [u32; 4],
    active: [u32; 4],
}

unsafe extern "C" {
    fn philae_cpuid_leaf(index: u32) -> *const Leaf;
}

/// The bits that this processor and its system support in one answer of CPUID; `None` where the C library does not say.
fn active(index: u32) -> Option<[u32; 4]> {
    // SAFETY: the function gives a constant of the C library's, or null if there is no such function.
    unsafe { philae_cpuid_leaf(index).as_ref() }.map(|leaf| leaf.active)
}

/// What code makes use of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Features {
    /// SSE4.1 and SSE4.2.
    pub(crate) sse41: bool,
    /// LZCNT.
    pub(crate) lzcnt: bool,
    /// TZCNT.
    pub(crate) bmi1: bool,
    /// PEXT.
    pub(crate) bmi2: bool,
    /// POPCNT.
    pub(crate) popcnt: bool,
    /// VFMADD213PD and its like.
    pub(crate) fma: bool,
    /// VPSLLVD and its like.
    pub(crate) avx2: bool,
    /// VCVTPH2PS, VCVTPS2PH.
    pub(crate) f16c: bool,
    /// AESENC and its like.
    pub(crate) aes: bool,
    /// PCLMULQDQ.
    pub(crate) pclmulqdq: bool,
}

impl Features {
    /// This processor's.
    pub(crate) fn detect() -> Features {
        let known = Features::known();
        debug_assert!(known.is_none_or(|known| known == Features::asked()), "the C library says {known:?}");
        known.unwrap_or_else(Features::asked)
    }

    fn known() -> Option<Features> {
        const LEAF_1: u32 = 0;
        const LEAF_7: u32 = 1;
        const LEAF_80000001: u32 = 2;
        let [_, _, first, _] = active(LEAF_1)?;
        let [_, seventh, _, _] = active(LEAF_7)?;
        let [_, _, extended, _] = active(LEAF_80000001)?;
        let has = |word: u32, bit: u32| word >> bit & 1 != 0;
        Some(Features {
            sse41: has(first, 19) && has(first, 20),
            lzcnt: has(extended, 5),
            bmi1: has(seventh, 3),
            bmi2: has(seventh, 8),
            popcnt: has(first, 23),
            fma: has(first, 12),
            avx2: has(seventh, 5),
            f16c: has(first, 29),
            aes: has(first, 25),
            pclmulqdq: has(first, 1),
        })
    }

    fn asked() -> Features {
        Features {
            sse41: is_x86_feature_detected!("sse4.1") && is_x86_feature_detected!("sse4.2"),
            lzcnt: is_x86_feature_detected!("lzcnt"),
            bmi1: is_x86_feature_detected!("bmi1"),
            bmi2: is_x86_feature_detected!("bmi2"),
            popcnt: is_x86_feature_detected!("popcnt"),
            fma: is_x86_feature_detected!("fma"),
            avx2: is_x86_feature_detected!("avx2"),
            f16c: is_x86_feature_detected!("f16c"),
            aes: is_x86_feature_detected!("aes"),
            pclmulqdq: is_x86_feature_detected!("pclmulqdq"),
        }
    }
}
