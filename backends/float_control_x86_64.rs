//! The host's floating-point control while guest code runs, on x86-64: whoever executes a region sets it before and
//! resets it after, so that arithmetic rounds as the guest asks, in the interpreter and in compiled code.

use philae_ir::state::{aarch64, x86_64};
use philae_ir::{Arch, CpuState};

/// MXCSR while guest code runs: the guest's rounding mode and its treatment of denormals.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FloatControl(u32);

impl FloatControl {
    /// All exceptions masked, to nearest, denormals kept: what Philae's own code runs with.
    const DEFAULT: FloatControl = FloatControl(0x1f80);
    /// MXCSR: rounding control, flush to zero, denormals are zeroes (SDM volume 1, 10.2.3).
    const ROUNDING_SHIFT: u32 = 13;
    const FLUSH: u32 = 1 << 15;
    const DENORMALS_ARE_ZEROES: u32 = 1 << 6;

    /// What the guest's control register asks for. A guest instruction that changes it ends its region.
    pub fn of(arch: Arch, cpu: &CpuState) -> FloatControl {
        let changes = match arch {
            Arch::X86_64 => {
                let kept = 3 << Self::ROUNDING_SHIFT | Self::FLUSH | Self::DENORMALS_ARE_ZEROES;
                cpu.get(x86_64::MXCSR) as u32 & kept
            }
            Arch::Aarch64 => Self::of_fpcr(cpu.get(aarch64::FPCR) as u32),
        };
        FloatControl(Self::DEFAULT.0 | changes)
    }

    /// FPCR (Arm ARM C5.2.8): RMode 0 nearest, 1 up, 2 down, 3 zero, where MXCSR has down and up the other way round.
    fn of_fpcr(fpcr: u32) -> u32 {
        let rounding = [0, 2, 1, 3][(fpcr >> 22 & 3) as usize] << Self::ROUNDING_SHIFT;
        let flush = if fpcr & 1 << 24 != 0 { Self::FLUSH | Self::DENORMALS_ARE_ZEROES } else { 0 };
        rounding | flush
    }

    /// Makes it the calling thread's; what has been raised stays.
    pub fn set(self) {
        if self != Self::DEFAULT {
            self.load(raised());
        }
    }

    /// Goes back to Philae's own; what has been raised stays.
    pub fn reset(self) {
        if self != Self::DEFAULT {
            Self::DEFAULT.load(raised());
        }
    }

    /// The flags that the calling thread's floating-point unit has raised since the last call, as AArch64 has them in
    /// FPSR: IOC, DZC, OFC, UFC, IXC in bits 0 to 4. Philae's own arithmetic raises them, too.
    pub fn take_flags() -> u32 {
        let raised = raised();
        Self::DEFAULT.load(0);
        // SDM volume 1, 10.2.3: invalid, denormal, divide by zero, overflow, underflow, precision.
        raised & 1 | raised >> 1 & 0x1e
    }

    fn load(self, raised: u32) {
        load_mxcsr(self.0 | raised);
    }
}

/// `f`, which raises nothing but that an operation is invalid.
pub(crate) fn invalid_alone<T>(f: impl FnOnce() -> T) -> T {
    /// MXCSR.IE.
    const INVALID: u32 = 1;
    let before = mxcsr();
    let result = f();
    load_mxcsr(before | mxcsr() & INVALID);
    result
}

/// What the calling thread's floating-point unit has raised, to be put back.
#[must_use]
pub struct Raised(u32);

impl Raised {
    /// What has been raised until now.
    pub fn take() -> Raised {
        Raised(raised())
    }

    /// Makes it what has been raised: what came since goes. Philae's own control is in force.
    pub fn give_back(self) {
        FloatControl::DEFAULT.load(self.0);
    }
}

/// The flags in MXCSR.
fn raised() -> u32 {
    mxcsr() & 0x3f
}

fn mxcsr() -> u32 {
    let mut mxcsr = 0u32;
    // SAFETY: MXCSR is stored to a variable.
    unsafe { std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut mxcsr, options(nostack)) };
    mxcsr
}

/// `mxcsr` is one that has been in force, but for flags, or [`FloatControl`]'s.
fn load_mxcsr(mxcsr: u32) {
    // SAFETY: the value has no reserved bit, and all exceptions are masked.
    unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const mxcsr, options(nostack, readonly)) };
}
