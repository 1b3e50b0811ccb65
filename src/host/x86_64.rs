//! An x86-64 host: what the signal handler reads and changes of the interrupted registers, and the rounding mode.

use philae_ir::state::{aarch64, x86_64};
use philae_ir::{Arch, CpuState};
use philae_syscalls::signal::FaultContext;

/// This machine.
pub const ARCH: Arch = Arch::X86_64;

/// The registers that a host signal interrupted.
pub struct Context<'a>(&'a mut libc::ucontext_t);

impl Context<'_> {
    /// The registers behind a handler's third argument.
    ///
    /// # Safety
    /// `context` is the third argument of a running SA_SIGINFO handler.
    pub unsafe fn new<'a>(context: *mut libc::c_void) -> Context<'a> {
        // SAFETY: the caller vouches for the pointer; the kernel made the struct for this handler alone.
        Context(unsafe { &mut *context.cast() })
    }

    /// Where the host was interrupted.
    pub fn pc(&self) -> u64 {
        self.0.uc_mcontext.gregs[libc::REG_RIP as usize] as u64
    }

    /// Goes on at `pc`.
    pub fn set_pc(&mut self, pc: u64) {
        self.0.uc_mcontext.gregs[libc::REG_RIP as usize] = pc as i64;
    }

    /// Sets the register that carries a function's first argument.
    pub fn set_first_argument(&mut self, value: u64) {
        self.0.uc_mcontext.gregs[libc::REG_RDI as usize] = value as i64;
    }

    /// Sets the register that carries a function's result.
    pub fn set_result(&mut self, value: u64) {
        self.0.uc_mcontext.gregs[libc::REG_RAX as usize] = value as i64;
    }

    /// What the processor said of the fault.
    pub fn fault(&self) -> FaultContext {
        let register = |index: libc::c_int| self.0.uc_mcontext.gregs[index as usize] as u64;
        FaultContext {
            address: register(libc::REG_CR2),
            trap: register(libc::REG_TRAPNO),
            error: register(libc::REG_ERR),
        }
    }

    /// The interrupted registers as they are, for the handlers of other crates.
    pub fn as_ptr(&mut self) -> *mut libc::ucontext_t {
        self.0
    }
}

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

    /// Makes it the calling thread's.
    pub fn set(self) {
        if self != Self::DEFAULT {
            self.load();
        }
    }

    /// Goes back to Philae's own.
    pub fn reset(self) {
        if self != Self::DEFAULT {
            Self::DEFAULT.load();
        }
    }

    fn load(self) {
        // SAFETY: the value has no reserved bit, and all exceptions are masked.
        unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const self.0, options(nostack, readonly)) };
    }
}
