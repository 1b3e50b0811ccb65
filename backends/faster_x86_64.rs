//! Helpers of guests that this host has instructions for: AES, SHA-1 and SHA-256, on x86-64.
//!
//! In: a helper as its frontend defines it. Out: where the processor can, a stub that does the same: operands and result
//! in `ctl.scratch`, every register kept; or a helper that calls it. The frontend's is the meaning, which the interpreter
//! calls; tests/insn and tests/random compare the two.

use philae_ir::{CpuState, Helper, HelperEffect, Ty};
use std::arch::{is_x86_feature_detected, naked_asm};
use std::mem::offset_of;

/// Works on `ctl.scratch` of a state.
type Stub = unsafe extern "sysv64" fn(*mut CpuState);

/// What a stub demands of the processor.
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

struct Faster {
    needs: Needs,
    stub: Stub,
    helper: Helper,
}

/// Defines stubs of two operands at most, which are in XMM0 and XMM1 at first; the result is in XMM0 at last.
macro_rules! stubs_of_two {
    ($($(#[$doc:meta])* $name:ident: $($line:literal)*;)*) => { $(
        $(#[$doc])*
        #[unsafe(naked)]
        unsafe extern "sysv64" fn $name(state: *mut CpuState) {
            naked_asm!(
                "movups [rsp - 16], xmm0", "movups [rsp - 32], xmm1",
                "movups xmm0, [rdi + {scratch}]", "movups xmm1, [rdi + {scratch} + 16]",
                $($line,)*
                "movups [rdi + {scratch}], xmm0",
                "movups xmm0, [rsp - 16]", "movups xmm1, [rsp - 32]",
                "ret",
                scratch = const offset_of!(CpuState, ctl.scratch),
            )
        }
    )* };
}

/// Defines stubs: operands are in XMM0 to XMM2 at first, the result in XMM0 at last; XMM3 is free.
macro_rules! stubs {
    ($($(#[$doc:meta])* $name:ident: $($line:literal)*;)*) => { $(
        $(#[$doc])*
        #[unsafe(naked)]
        unsafe extern "sysv64" fn $name(state: *mut CpuState) {
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
                scratch = const offset_of!(CpuState, ctl.scratch),
            )
        }
    )* };
}

stubs_of_two! {
    /// AESE: the last round of encryption adds its key, of zeroes, last.
    aese: "pxor xmm0, xmm1" "pxor xmm1, xmm1" "aesenclast xmm0, xmm1";
    /// AESD.
    aesd: "pxor xmm0, xmm1" "pxor xmm1, xmm1" "aesdeclast xmm0, xmm1";
    /// AESMC: a last round of decryption undoes all of a round but its MixColumns.
    aesmc: "pxor xmm1, xmm1" "aesdeclast xmm0, xmm1" "aesenc xmm0, xmm1";
    /// AESIMC.
    aesimc: "aesimc xmm0, xmm0";
    /// AESE, then AESMC: a round of encryption whose key, of zeroes, is added last.
    aese_aesmc: "pxor xmm0, xmm1" "pxor xmm1, xmm1" "aesenc xmm0, xmm1";
    /// AESD, then AESIMC.
    aesd_aesimc: "pxor xmm0, xmm1" "pxor xmm1, xmm1" "aesdec xmm0, xmm1";
    /// SHA256SU0.
    sha256su0: "sha256msg1 xmm0, xmm1";
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
    /// SHA1SU0.
    sha1su0: "movaps xmm3, xmm0" "psrldq xmm3, 8" "pslldq xmm1, 8" "por xmm3, xmm1" "pxor xmm0, xmm3" "pxor xmm0, xmm2";
    /// SHA1SU1: words rotated by one, and into the last the first, rotated by two.
    sha1su1: "psrldq xmm1, 4" "pxor xmm0, xmm1" "movaps xmm1, xmm0" "pslld xmm0, 1" "psrld xmm1, 31" "por xmm0, xmm1"
        "movaps xmm2, xmm0" "pslldq xmm2, 12" "movaps xmm3, xmm2" "pslld xmm2, 1" "psrld xmm3, 31" "por xmm2, xmm3"
        "pxor xmm0, xmm2";
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
    /// SHA256SU1.
    sha256su1: "movaps xmm3, xmm2" "palignr xmm3, xmm1, 4" "paddd xmm0, xmm3" "sha256msg2 xmm0, xmm2";
}

macro_rules! table {
    ($($name:literal $operands:literal $needs:ident $stub:ident;)*) => {
        static FASTER: &[Faster] = &[$(Faster {
            needs: Needs::$needs,
            stub: $stub,
            helper: Helper {
                name: $name,
                operands: $operands,
                result: Ty::V128,
                effect: HelperEffect::Pure,
                function: |state, operands| through($stub, state, operands),
            },
        }),*];
    };
}

table! {
    "a64_aese" 2 Aes aese;
    "a64_aesd" 2 Aes aesd;
    "a64_aesmc" 1 Aes aesmc;
    "a64_aesimc" 1 Aes aesimc;
    "a64_aese_aesmc" 2 Aes aese_aesmc;
    "a64_aesd_aesimc" 2 Aes aesd_aesimc;
    "a64_sha1c" 3 Sha sha1c;
    "a64_sha1p" 3 Sha sha1p;
    "a64_sha1m" 3 Sha sha1m;
    "a64_sha1su0" 3 Sha sha1su0;
    "a64_sha1su1" 2 Sha sha1su1;
    "a64_sha256h" 3 Sha sha256h;
    "a64_sha256h2" 3 Sha sha256h2;
    "a64_sha256su0" 2 Sha sha256su0;
    "a64_sha256su1" 3 Sha sha256su1;
}

fn through(stub: Stub, state: &mut CpuState, operands: [u128; 3]) -> u128 {
    for (words, operand) in state.ctl.scratch.iter_mut().zip(operands) {
        *words = [operand as u64, (operand >> 64) as u64];
    }
    // SAFETY: the state is borrowed, and the processor has what the stub needs, or its helper would not be called.
    unsafe { stub(state) };
    let [low, high] = state.ctl.scratch[0];
    u128::from(low) | u128::from(high) << 64
}

fn find(helper: &Helper) -> Option<&'static Faster> {
    FASTER.iter().find(|faster| faster.helper.name == helper.name).filter(|faster| faster.needs.are_there())
}

/// The helper to call where a region calls this one.
pub(crate) fn faster(helper: &'static Helper) -> &'static Helper {
    find(helper).map_or(helper, |faster| &faster.helper)
}

/// The stub that does what this helper does, its operands and its result in `ctl.scratch`.
pub(crate) fn stub(helper: &Helper) -> Option<u64> {
    find(helper).map(|faster| faster.stub as *const () as u64)
}
