//! An x86-64 host: what the signal handler reads and changes of the interrupted registers, and where the host's stack
//! is.

use philae_ir::Arch;
use philae_syscalls::host as kernel;
use philae_syscalls::signal::FaultContext;
use std::arch::{global_asm, naked_asm};
use std::convert::Infallible;

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

/// Runs this with its frame at the end of a page of the stack: what it does again and again, and whatever that calls,
/// writes to one page then, which is one that parent and child copy at each fork.
pub fn at_page_end(run: impl FnOnce() -> Infallible) -> ! {
    let mut run = Some(run);
    let mut body = || match run.take().expect("it is called once")() {};
    let mut body: Body<'_> = &mut body;
    // SAFETY: what the pointer leads to outlives the call, which gives it to `call`.
    unsafe { on_next_page(call, &raw mut body) };
    unreachable!("the body does not come back")
}

/// A function that waits to be called.
type Body<'a> = &'a mut dyn FnMut();

/// # Safety
/// The pointer leads to a body that nobody else uses.
unsafe extern "C-unwind" fn call(body: *mut Body<'_>) {
    // SAFETY: the caller's promise.
    unsafe { (*body)() }
}

/// Calls a function with the stack pointer at the next lower multiple of the page's size.
#[unsafe(naked)]
unsafe extern "C-unwind" fn on_next_page(function: unsafe extern "C-unwind" fn(*mut Body<'_>), body: *mut Body<'_>) {
    naked_asm!(
        ".cfi_startproc",
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        "and rsp, -4096",
        "mov rax, rdi",
        "mov rdi, rsi",
        "call rax",
        "leave",
        ".cfi_def_cfa rsp, 8",
        "ret",
        ".cfi_endproc",
    )
}

global_asm!(
    ".pushsection .text.philae_rseq, \"ax\", @progbits",
    ".weak __rseq_offset",
    ".globl philae_rseq",
    ".hidden philae_rseq",
    "philae_rseq:",
    "mov rax, [rip + __rseq_offset@GOTPCREL]",
    "test rax, rax",
    "jz 2f",
    "mov rax, [rax]",
    "add rax, fs:[0]",
    "2: ret",
    ".popsection",
);

unsafe extern "C" {
    fn philae_rseq() -> u64;
}

/// Takes back what the C library has told the kernel of a place for restartable sequences (`rseq(2)`), where it has: the
/// kernel writes to it in the parent and the child of each fork, which is a page to copy on both sides. Nothing here uses
/// it, and guests are refused theirs.
pub fn forget_rseq() {
    const FLAG_UNREGISTER: u64 = 1;
    const SIZE: u64 = 32;
    /// What glibc registers it with (RSEQ_SIG).
    const SIGNATURE: u64 = 0x5305_3053;
    // SAFETY: the function reads a variable of the C library's, if there is one, and the thread pointer.
    let area = unsafe { philae_rseq() };
    if area != 0 {
        // SAFETY: the kernel forgets the place, or, if it is another one, does nothing.
        let _ = unsafe { kernel::raw(libc::SYS_rseq, [area, SIZE, FLAG_UNREGISTER, SIGNATURE, 0, 0]) };
    }
}

global_asm!(
    ".pushsection .text.philae_free_stacks, \"ax\", @progbits",
    ".weak __nptl_free_stacks",
    ".globl philae_free_stacks",
    ".hidden philae_free_stacks",
    "philae_free_stacks:",
    "mov rax, [rip + __nptl_free_stacks@GOTPCREL]",
    "test rax, rax",
    "jz 2f",
    "jmp rax",
    "2: ret",
    ".popsection",
);

unsafe extern "C" {
    fn philae_free_stacks(limit: usize);
}

/// Unmaps the stacks that the C library keeps of threads that are gone, where it has a function for that. There is no
/// other thread.
pub fn free_stacks() {
    // SAFETY: the C library takes a lock around this against other threads alone, and knows which stacks nobody is on.
    unsafe { philae_free_stacks(0) };
}
