//! Helpers of guests that this host has instructions for: rounds of SHA-1, and SHA-256, on x86-64.
//!
//! In: a helper as its frontend defines it, of vectors. Out: where the processor can, a stub that does the same: operands and
//! result in `ctl.scratch`, every register kept. The frontend's is the meaning, which the interpreter calls; tests/insn and
//! tests/random compare the two.

use philae_ir::state::{StateAddress, displacement};
use philae_ir::{CpuState, Helper};
use std::arch::{is_x86_feature_detected, naked_asm};
use std::mem::offset_of;

/// Works on `ctl.scratch` of a state.
type Stub = unsafe extern "sysv64" fn(StateAddress);

/// Defines stubs: operands are in XMM0 to XMM2 at first, the result in XMM0 at last; XMM3 is free.
macro_rules! stubs {
    ($($(#[$doc:meta])* $name:ident: $($line:literal)*;)*) => { $(
        $(#[$doc])*
        #[unsafe(naked)]
        unsafe extern "sysv64" fn $name(state: StateAddress) {
            naked_asm!(
                "sub rsp, 64",
                "movups [rsp], xmm0", "movups [rsp + 16], xmm1", "movups [rsp + 32], xmm2", "movups [rsp + 48], xmm3",
                "movups xmm0, [rdi + {scratch}]", "movups xmm1, [rdi + {scratch} + 16]",
                "movups xmm2, [rdi + {scratch} + 32]",
                $($line,)*
                "movups [rdi + {scratch}], xmm0",
                "movups xmm0, [rsp]", "movups xmm1, [rsp + 16]", "movups xmm2, [rsp + 32]", "movups xmm3, [rsp + 48]",
                "add rsp, 64",
                "ret",
                scratch = const displacement(offset_of!(CpuState, ctl.scratch)),
            )
        }
    )* };
}

stubs! {
    /// SHA1C: a to d in XMM0, e in XMM1, words in XMM2, which have the constant in them that x86 adds itself.
    sha1c: "pshufd xmm0, xmm0, 0x1b" "pshufd xmm2, xmm2, 0x1b"
        "mov dword ptr [rsp - 16], 0x5a827999" "movd xmm3, dword ptr [rsp - 16]" "pshufd xmm3, xmm3, 0" "psubd xmm2, xmm3"
        "pslldq xmm1, 12" "paddd xmm2, xmm1" "sha1rnds4 xmm0, xmm2, 0" "pshufd xmm0, xmm0, 0x1b";
    /// SHA1P.
    sha1p: "pshufd xmm0, xmm0, 0x1b" "pshufd xmm2, xmm2, 0x1b"
        "mov dword ptr [rsp - 16], 0x6ed9eba1" "movd xmm3, dword ptr [rsp - 16]" "pshufd xmm3, xmm3, 0" "psubd xmm2, xmm3"
        "pslldq xmm1, 12" "paddd xmm2, xmm1" "sha1rnds4 xmm0, xmm2, 1" "pshufd xmm0, xmm0, 0x1b";
    /// SHA1M.
    sha1m: "pshufd xmm0, xmm0, 0x1b" "pshufd xmm2, xmm2, 0x1b"
        "mov dword ptr [rsp - 16], 0x8f1bbcdc" "movd xmm3, dword ptr [rsp - 16]" "pshufd xmm3, xmm3, 0" "psubd xmm2, xmm3"
        "pslldq xmm1, 12" "paddd xmm2, xmm1" "sha1rnds4 xmm0, xmm2, 2" "pshufd xmm0, xmm0, 0x1b";
    /// SHA256H: a to d in XMM0, e to h in XMM1, words in XMM2. x86 wants a, b, e, f from the top, and c, d, g, h.
    sha256h: "pshufd xmm3, xmm0, 0x1b" "pshufd xmm1, xmm1, 0x1b" "movaps xmm0, xmm2"
        "movaps xmm2, xmm1" "punpckhqdq xmm2, xmm3" "punpcklqdq xmm1, xmm3"
        "sha256rnds2 xmm1, xmm2, xmm0" "pshufd xmm0, xmm0, 0x0e" "sha256rnds2 xmm2, xmm1, xmm0"
        "punpckhqdq xmm1, xmm2" "pshufd xmm0, xmm1, 0x1b";
    /// SHA256H2: e to h in XMM0, a to d in XMM1.
    sha256h2: "pshufd xmm3, xmm1, 0x1b" "pshufd xmm1, xmm0, 0x1b" "movaps xmm0, xmm2"
        "movaps xmm2, xmm1" "punpckhqdq xmm2, xmm3" "punpcklqdq xmm1, xmm3"
        "sha256rnds2 xmm1, xmm2, xmm0" "pshufd xmm0, xmm0, 0x0e" "sha256rnds2 xmm2, xmm1, xmm0"
        "punpcklqdq xmm1, xmm2" "pshufd xmm0, xmm1, 0x1b";
    /// SHA256SU0.
    sha256su0: "sha256msg1 xmm0, xmm1";
    /// SHA256SU1.
    sha256su1: "movaps xmm3, xmm2" "palignr xmm3, xmm1, 4" "paddd xmm0, xmm3" "sha256msg2 xmm0, xmm2";
}

/// The names of helpers, and their stubs.
static STUBS: &[(&str, Stub)] = &[
    ("a64_sha1c", sha1c),
    ("a64_sha1p", sha1p),
    ("a64_sha1m", sha1m),
    ("a64_sha256h", sha256h),
    ("a64_sha256h2", sha256h2),
    ("a64_sha256su0", sha256su0),
    ("a64_sha256su1", sha256su1),
];

/// The stub that does what this helper does, its operands and its result in `ctl.scratch`.
pub(crate) fn stub(helper: &Helper) -> Option<u64> {
    let there = is_x86_feature_detected!("sha") && is_x86_feature_detected!("ssse3");
    let stub = STUBS.iter().find(|(name, _)| there && *name == helper.name);
    stub.map(|&(_, stub)| stub as *const () as u64)
}
