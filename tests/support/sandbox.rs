//! Memory and handlers in which the tests execute regions: interpreted, or compiled for this process.
//!
//! In: a region, the guest's state, what the guest's memory holds. Out: the state after it, and why it ended. The
//! window and the place of the code are mapped at their addresses in this process, so one sandbox exists at a time.
//! A guest's fault is an exit; any other ends the process.

#![allow(dead_code, reason = "each test program uses a part of it")]

use philae_backends::baseline;
use philae_backends::compiled::{Code, CompileError};
use philae_backends::cranelift::{Compiler, Exactness, Options, Recovery};
use philae_backends::interp::{self, Interpreter, Steps};
use philae_backends::link::{
    JUMP_CACHE_WAYS, JumpCacheEntry, LEAST_JUMP_CACHE, LinkSite, LinkSlot, enter, fault_exit_address, jump_cache_mask,
};
use philae_backends::{Exit, FloatControl};
use philae_frontends::{Changes, Fetch, execute_block};
use philae_ir::now::Outcome;
use philae_ir::state::StateAddress;
use philae_ir::{Arch, CpuState, ExitReason, Op, Region};
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

/// Where guest code lies.
pub(crate) const CODE: u64 = 0x2000_0000;
/// The start of the memory that guest code may access.
pub(crate) const WINDOW: u64 = 0x1000_0000;
/// The size in bytes of the window, and of the place of the code.
pub(crate) const SIZE: usize = 0x1_0000;

/// Bytes of executable memory; one region at a time lies there, with its link slots behind.
const ARENA: usize = 1 << 20;
/// Link slots in that memory.
const SLOTS: usize = 1 << 10;

static ALONE: Mutex<()> = Mutex::new(());
static HANDLER: Once = Once::new();
static ARENA_START: AtomicU64 = AtomicU64::new(0);
static CPU: AtomicU64 = AtomicU64::new(0);
/// What the arena holds.
static CODE_IN_ARENA: AtomicPtr<Code> = AtomicPtr::new(ptr::null_mut());
/// Where in the arena the last fault was, 0 if there was none, and the address that could not be accessed.
static FAULT: AtomicU64 = AtomicU64::new(0);
static FAULT_ADDRESS: AtomicU64 = AtomicU64::new(0);

/// Whether code keeps guest registers in host registers at its exits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pins {
    /// Cranelift's.
    No,
    /// The baseline compiler's.
    Yes,
}

/// A compiled region.
pub(crate) struct Compiled {
    code: Code,
    arch: Arch,
    pins: Pins,
    /// The addresses that its link slots are for, in their order.
    exits: Vec<u64>,
}

/// The next of the `slots`, for an exit.
fn add_link(slots: *mut LinkSlot, exits: &mut Vec<u64>, site: LinkSite) -> *const LinkSlot {
    assert!(exits.len() + 1 < SLOTS);
    exits.push(site.pc);
    slots.wrapping_add(exits.len() - 1)
}

/// What executing regions needs.
pub(crate) struct Sandbox {
    compiler: Compiler,
    recovering: Compiler,
    baseline: [baseline::Compiler; 2],
    interpreter: Interpreter,
    jump_cache: Vec<JumpCacheEntry>,
    /// How many regions the baseline compiler refused.
    pub(crate) refused: usize,
    arena: *mut u8,
    // Last, so that the mappings are gone before another sandbox makes its own.
    _alone: MutexGuard<'static, ()>,
}

fn map(address: u64, size: usize, protection: i32) -> *mut u8 {
    let fixed = if address == 0 { 0 } else { libc::MAP_FIXED_NOREPLACE };
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | fixed;
    // SAFETY: a new mapping, which replaces nothing.
    let start = unsafe { libc::mmap(address as *mut libc::c_void, size, protection, flags, -1, 0) };
    assert_ne!(start, libc::MAP_FAILED, "mmap at {address:#x}: {}", std::io::Error::last_os_error());
    start.cast()
}

impl Sandbox {
    /// Maps the guest's memory, waiting for other sandboxes to go.
    pub(crate) fn new() -> Sandbox {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let read_write = libc::PROT_READ | libc::PROT_WRITE;
        map(WINDOW, SIZE, read_write);
        map(CODE, SIZE, read_write);
        let arena = map(0, ARENA, read_write | libc::PROT_EXEC);
        ARENA_START.store(arena as u64, Ordering::Relaxed);
        HANDLER.call_once(install_handler);
        // No entry is one that a branch could find: what would match the first lies elsewhere in the table.
        let mut jump_cache = vec![JumpCacheEntry::EMPTY; LEAST_JUMP_CACHE];
        jump_cache[..JUMP_CACHE_WAYS].iter_mut().for_each(|entry| entry.pc = 4);
        let recovering = Compiler::with_recovery(Recovery::InLoops);
        let interpreter = Interpreter::default();
        let baseline = [Arch::Aarch64, Arch::X86_64].map(baseline::Compiler::new);
        Sandbox {
            compiler: Compiler::new(),
            recovering,
            baseline,
            interpreter,
            jump_cache,
            refused: 0,
            arena,
            _alone: alone,
        }
    }

    /// Fills the window and the place of the code; each has [`SIZE`] bytes.
    pub(crate) fn put_memory(&mut self, window: &[u8], code: &[u8]) {
        assert_eq!((window.len(), code.len()), (SIZE, SIZE));
        // SAFETY: both places are mapped, and no guest runs meanwhile.
        unsafe {
            (WINDOW as *mut u8).copy_from_nonoverlapping(window.as_ptr(), SIZE);
            (CODE as *mut u8).copy_from_nonoverlapping(code.as_ptr(), SIZE);
        }
    }

    /// Fills a part of the window.
    pub(crate) fn put_window(&mut self, at: usize, bytes: &[u8]) {
        assert!(at + bytes.len() <= SIZE);
        // SAFETY: the place is mapped, and no guest runs meanwhile.
        unsafe { (WINDOW as *mut u8).add(at).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }

    /// What the window and the place of the code hold.
    pub(crate) fn memory(&self) -> [&[u8]; 2] {
        // SAFETY: both places are mapped, and no guest runs while they are borrowed.
        [WINDOW, CODE].map(|start| unsafe { std::slice::from_raw_parts(start as *const u8, SIZE) })
    }

    /// Executes a region's steps in the interpreter.
    pub(crate) fn interpret_steps(&mut self, steps: &Steps, arch: Arch, cpu: &mut CpuState) -> Exit {
        let control = FloatControl::of(arch, cpu);
        control.set();
        let exit = self.interpreter.run_steps(steps, cpu);
        control.reset();
        exit
    }

    /// Executes the block at the pc while it is decoded, as `settings`, a region that holds nothing, says.
    pub(crate) fn execute_at_once(
        &mut self,
        settings: &Region,
        (limit, changes): (usize, Changes),
        fetch: Fetch<'_>,
        cpu: &mut CpuState,
    ) -> Exit {
        let control = FloatControl::of(settings.arch, cpu);
        control.set();
        let (_, outcome) = execute_block(self.interpreter.now(settings, cpu), limit, changes, fetch);
        control.reset();
        let Outcome { reason, pc, argument } = outcome;
        cpu.set_pc(pc);
        Exit { reason, argument }
    }

    /// Executes a region in the interpreter.
    pub(crate) fn interpret(&mut self, region: &Region, cpu: &mut CpuState) -> Exit {
        let control = FloatControl::of(region.arch, cpu);
        control.set();
        let exit = self.interpreter.run(region, cpu);
        control.reset();
        exit
    }

    /// Compiles an optimised region and executes it; an error says why that cannot be.
    pub(crate) fn run_compiled(
        &mut self,
        region: &Region,
        exactness: Exactness,
        recovery: Recovery,
        cpu: &mut CpuState,
    ) -> Result<Exit, String> {
        let compiled = self.compile(region, exactness, recovery)?;
        self.run_code(&compiled, cpu)
    }

    /// Compiles an optimised region, to be executed often; an error says why that cannot be.
    pub(crate) fn compile(
        &mut self,
        region: &Region,
        exactness: Exactness,
        recovery: Recovery,
    ) -> Result<Compiled, String> {
        let mut exits = Vec::new();
        let slots = self.slots();
        let mut link = |site: LinkSite| add_link(slots, &mut exits, site);
        let compiler = match recovery {
            Recovery::Never => &mut self.compiler,
            Recovery::InLoops => &mut self.recovering,
        };
        let code = compiler.compile(region, Options { exactness, counter: None }, &mut link);
        let code = code.map_err(|error| format!("not compiled: {error}"))?;
        Ok(self.compiled(code, region.arch, Pins::No, exits))
    }

    /// Compiles a region by the baseline compiler and executes it, or interprets it where that compiler refuses it.
    pub(crate) fn run_baseline(
        &mut self,
        region: &Region,
        exactness: Exactness,
        cpu: &mut CpuState,
    ) -> Result<Exit, String> {
        match self.compile_baseline(region, exactness)? {
            Some(compiled) => self.run_code(&compiled, cpu),
            None => Ok(self.interpret(region, cpu)),
        }
    }

    /// Compiles a region by the baseline compiler, to be executed before that compiles the next; `None` where it
    /// refuses it.
    pub(crate) fn compile_baseline(
        &mut self,
        region: &Region,
        exactness: Exactness,
    ) -> Result<Option<Compiled>, String> {
        let mut exits = Vec::new();
        let slots = self.slots();
        let mut link = |site: LinkSite| add_link(slots, &mut exits, site);
        let own = link(LinkSite { pc: region.pc, reason: ExitReason::Jump });
        // SAFETY: the place of the last slot, which is not handed out.
        let count = unsafe { &*slots.add(SLOTS - 1).cast::<AtomicI32>() };
        count.store(i32::MAX, Ordering::Relaxed);
        let compiler = &mut self.baseline[region.arch as usize];
        let code = match compiler.compile(region, exactness, &mut link, own, count.as_ptr() as u64) {
            Ok(code) => code.clone(),
            Err(CompileError::Unsupported(_)) => {
                self.refused += 1;
                return Ok(None);
            }
            // Of as many, fewer are compiled at once.
            Err(CompileError::TooManyValues) if region.insts.iter().filter(|inst| inst.op == Op::Insn).count() > 1 => {
                self.refused += 1;
                return Ok(None);
            }
            Err(error) => return Err(format!("not compiled: {error}")),
        };
        Ok(Some(self.compiled(code, region.arch, Pins::Yes, exits)))
    }

    fn compiled(&self, mut code: Code, arch: Arch, pins: Pins, exits: Vec<u64>) -> Compiled {
        assert!(code.bytes.len() <= ARENA - SLOTS * size_of::<LinkSlot>());
        code.relocate(self.arena as u64);
        Compiled { code, arch, pins, exits }
    }

    /// The arena's end, which is for link slots.
    fn slots(&self) -> *mut LinkSlot {
        // SAFETY: it is in the arena.
        unsafe { self.arena.add(ARENA).cast::<LinkSlot>().sub(SLOTS) }
    }

    /// Executes compiled code; an error says why its end makes no sense.
    pub(crate) fn run_code(&mut self, compiled: &Compiled, cpu: &mut CpuState) -> Result<Exit, String> {
        let Compiled { code, arch, pins, exits } = compiled;
        for (index, &pc) in exits.iter().enumerate() {
            // SAFETY: the slot is the arena's, and no code runs now.
            unsafe { self.slots().add(index).write(LinkSlot::new(pc, baseline::spill_address(*arch))) };
        }
        if *pins == Pins::Yes {
            baseline::prepare(&mut cpu.ctl, *arch);
        }
        let exit = self.execute(*arch, code, cpu)?;
        if exit.reason == ExitReason::Fault && *pins == Pins::Yes {
            baseline::store_pinned(*arch, cpu);
        }
        Ok(exit)
    }

    fn execute(&mut self, arch: Arch, code: &Code, cpu: &mut CpuState) -> Result<Exit, String> {
        cpu.ctl.jump_cache_mask = jump_cache_mask(LEAST_JUMP_CACHE);
        cpu.ctl.jump_cache.store(self.jump_cache.as_ptr() as u64, Ordering::Relaxed);
        FAULT.store(0, Ordering::Relaxed);
        CPU.store(StateAddress::of(cpu).bits(), Ordering::Relaxed);
        CODE_IN_ARENA.store(ptr::from_ref(code).cast_mut(), Ordering::Relaxed);
        let control = FloatControl::of(arch, cpu);
        // SAFETY: the code fits the arena, nothing else runs there, and its links and jump cache lead to the resolver.
        unsafe {
            self.arena.copy_from_nonoverlapping(code.bytes.as_ptr(), code.bytes.len());
            control.set();
            enter(self.arena, cpu);
        }
        control.reset();
        let fault = FAULT.load(Ordering::Relaxed);
        if fault == 0 {
            let reason = ExitReason::from_number(cpu.ctl.exit_reason);
            return Ok(Exit { reason, argument: cpu.ctl.exit_argument });
        }
        let offset = (fault - self.arena as u64) as u32;
        let site = code.fault_site(offset);
        cpu.set_pc(site.ok_or_else(|| format!("a fault at {offset:#x} of the code, which has none there"))?.pc);
        Ok(Exit { reason: ExitReason::Fault, argument: FAULT_ADDRESS.load(Ordering::Relaxed) })
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        for (start, size) in [(WINDOW, SIZE), (CODE, SIZE), (self.arena as u64, ARENA)] {
            // SAFETY: these are this sandbox's mappings, and nothing refers to them any more.
            unsafe { libc::munmap(start as *mut libc::c_void, size) };
        }
    }
}

fn install_handler() {
    // SAFETY: all zeroes is a valid sigaction.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_NODEFER;
    for signal in [libc::SIGSEGV, libc::SIGBUS] {
        // SAFETY: the handler is of the kind that the flags say.
        let result = unsafe { libc::sigaction(signal, &action, ptr::null_mut()) };
        assert_eq!(result, 0);
    }
}

/// Makes a guest's fault an exit; any other ends the test as it would without a handler.
extern "C" fn handler(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes a ucontext_t and a siginfo_t.
    let (registers, address) =
        unsafe { (&mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs, (*info).si_addr() as u64) };
    let pc = registers[libc::REG_RIP as usize] as u64;
    let arena = ARENA_START.load(Ordering::Relaxed);
    let offset = pc.wrapping_sub(arena);
    if offset < ARENA as u64 {
        FAULT.store(pc, Ordering::Relaxed);
        FAULT_ADDRESS.store(address, Ordering::Relaxed);
        // SAFETY: what the arena holds is borrowed by who executes it.
        let code = unsafe { &*CODE_IN_ARENA.load(Ordering::Relaxed) };
        let to = match code.fault_site(offset as u32).and_then(|site| site.recovery) {
            Some(recovery) => arena + u64::from(recovery.get()),
            None => {
                registers[libc::REG_RDI as usize] = CPU.load(Ordering::Relaxed) as i64;
                fault_exit_address()
            }
        };
        registers[libc::REG_RIP as usize] = to as i64;
    } else if let Some(recovery) = interp::recovery(pc) {
        registers[libc::REG_RAX as usize] = address as i64;
        registers[libc::REG_RIP as usize] = recovery as i64;
    } else {
        // SAFETY: the default action is always valid; the access is made again and ends the process.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}
