//! An x86-64 host: what the signal handler reads and changes of the interrupted registers.

use philae_ir::Arch;
use philae_syscalls::signal::FaultContext;

/// This machine.
pub const ARCH: Arch = Arch::X86_64;

/// The general registers, in the order of their numbers in instructions.
const REGISTERS: [libc::c_int; 16] = [
    libc::REG_RAX,
    libc::REG_RCX,
    libc::REG_RDX,
    libc::REG_RBX,
    libc::REG_RSP,
    libc::REG_RBP,
    libc::REG_RSI,
    libc::REG_RDI,
    libc::REG_R8,
    libc::REG_R9,
    libc::REG_R10,
    libc::REG_R11,
    libc::REG_R12,
    libc::REG_R13,
    libc::REG_R14,
    libc::REG_R15,
];

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

    /// A general register, by its number in instructions.
    pub fn register(&self, number: u8) -> u64 {
        self.0.uc_mcontext.gregs[REGISTERS[usize::from(number & 15)] as usize] as u64
    }

    /// Sets a general register.
    pub fn set_register(&mut self, number: u8, value: u64) {
        self.0.uc_mcontext.gregs[REGISTERS[usize::from(number & 15)] as usize] = value as i64;
    }

    /// Whether the fault is one that comes without an address, as that of an address that no page can have (SDM
    /// volume 3, 6.15: #GP, or #SS where RBP or RSP is the base).
    pub fn is_without_address(&self) -> bool {
        matches!(self.fault().trap, 12 | 13)
    }

    /// Whether the fault is a write (SDM volume 3, 4.7: W/R of the error code).
    pub fn is_write(&self) -> bool {
        self.fault().error & 2 != 0
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
