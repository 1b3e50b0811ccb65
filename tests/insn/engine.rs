//! Runs a line through Philae: lift, perhaps optimise, interpret or compile and execute.
//!
//! In: a line's machine state. Out: the state when the pc has left the line's bytes, or a fault. The window and the
//! page of breakpoints are mapped at their addresses in this process, so one runner exists at a time.

use crate::line::{CODE, Line, SIZE, State, WINDOW};
use philae_backends::cranelift::{
    Compiler, Exactness, JUMP_CACHE_ENTRIES, JumpCacheEntry, LinkSite, LinkSlot, Options, enter, fault_exit_address,
};
use philae_backends::interp::{self, Interpreter};
use philae_backends::{Exit, FloatControl};
use philae_frontends::{Shape, lift_region};
use philae_ir::state::{NZCV, x86_64};
use philae_ir::{Arch, CpuState, ExitReason, Region, Ty, opt};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

/// Regions executed for a line before it counts as one that never ends.
const STEPS: usize = 1000;
/// Bytes of executable memory; one region at a time lies there.
const ARENA: usize = 1 << 20;

/// A way through Philae.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Engine {
    /// The interpreter on what the frontend made.
    Interpreter,
    /// The interpreter on the optimised region.
    Optimised,
    /// Cranelift, the guest's state exact at faults.
    Cranelift,
    /// Cranelift, the guest's state exact at exits only.
    CraneliftRelaxed,
}

static ALONE: Mutex<()> = Mutex::new(());
static HANDLER: Once = Once::new();
static ARENA_START: AtomicU64 = AtomicU64::new(0);
static CPU: AtomicU64 = AtomicU64::new(0);
/// Where in the arena the last fault was; 0 if there was none.
static FAULT: AtomicU64 = AtomicU64::new(0);

/// What executing lines needs.
pub(crate) struct Runner {
    compiler: Compiler,
    interpreter: Interpreter,
    jump_cache: Vec<JumpCacheEntry>,
    arena: *mut u8,
    // Last, so that the mappings are gone before another runner makes its own.
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

impl Runner {
    /// Maps the memory of the lines, waiting for other runners to go.
    pub(crate) fn new() -> Runner {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let read_write = libc::PROT_READ | libc::PROT_WRITE;
        map(WINDOW, SIZE, read_write);
        map(CODE, SIZE, read_write);
        let arena = map(0, ARENA, read_write | libc::PROT_EXEC);
        ARENA_START.store(arena as u64, Ordering::Relaxed);
        HANDLER.call_once(install_handler);
        // No entry is one that a branch could find: what would match the first lies elsewhere in the table.
        let mut jump_cache = vec![JumpCacheEntry::EMPTY; JUMP_CACHE_ENTRIES];
        jump_cache[0].pc = 4;
        Runner { compiler: Compiler::new(), interpreter: Interpreter::default(), jump_cache, arena, _alone: alone }
    }

    /// Executes a line; an error says why it did not come to an end.
    pub(crate) fn run_line(&mut self, line: &Line, engine: Engine) -> Result<State, String> {
        put_memory(line);
        let mut cpu = to_cpu(line.arch, &line.before);
        let end = CODE + line.bytes.len() as u64;
        for _ in 0..STEPS {
            let control = FloatControl::of(line.arch, &cpu);
            control.set();
            let exit = self.step(line, engine, &mut cpu);
            control.reset();
            let exit = exit?;
            let pc = cpu.pc();
            let inside = pc >= CODE && pc < end;
            let fault = match exit.reason {
                ExitReason::Fault | ExitReason::Protection => Some("sigsegv"),
                ExitReason::Undefined => Some("sigill"),
                ExitReason::DivideError => Some("sigfpe"),
                ExitReason::Misaligned => Some("sigbus"),
                ExitReason::FetchFault
                | ExitReason::Jump
                | ExitReason::Call
                | ExitReason::Return
                | ExitReason::Interrupted
                    if !inside =>
                {
                    (pc.wrapping_sub(CODE) >= SIZE as u64).then_some("sigsegv")
                }
                ExitReason::Jump | ExitReason::Call | ExitReason::Return => continue,
                ExitReason::StaleCode | ExitReason::Interrupted => continue,
                reason => return Err(format!("left with {} at {pc:#x}", reason.name())),
            };
            return Ok(from_cpu(line, &cpu, fault));
        }
        Err(format!("no end after {STEPS} regions"))
    }

    /// Executes one region.
    fn step(&mut self, line: &Line, engine: Engine, cpu: &mut CpuState) -> Result<Exit, String> {
        let mut region = lift(line, cpu.pc());
        match engine {
            Engine::Interpreter => Ok(self.interpreter.run(&region, cpu)),
            Engine::Optimised => {
                opt::optimise(&mut region, Exactness::Exact);
                Ok(self.interpreter.run(&region, cpu))
            }
            Engine::Cranelift => self.compile_and_run(region, Exactness::Exact, cpu),
            Engine::CraneliftRelaxed => {
                // What a relaxed region leaves in its slots at a fault is not the line's business.
                let faults = line.source.contains("fault=");
                self.compile_and_run(region, if faults { Exactness::Exact } else { Exactness::Relaxed }, cpu)
            }
        }
    }

    fn compile_and_run(
        &mut self,
        mut region: Region,
        exactness: Exactness,
        cpu: &mut CpuState,
    ) -> Result<Exit, String> {
        opt::optimise(&mut region, exactness);
        let mut slots: Vec<Box<LinkSlot>> = Vec::new();
        let mut link = |site: LinkSite| -> *const LinkSlot {
            slots.push(Box::new(LinkSlot::new(site.pc)));
            &raw const **slots.last().expect("just added")
        };
        let code = self.compiler.compile(&region, Options { exactness }, &mut link);
        let code = code.map_err(|error| format!("not compiled: {error}"))?;
        assert!(code.bytes.len() <= ARENA);
        cpu.ctl.jump_cache.store(self.jump_cache.as_ptr() as u64, Ordering::Relaxed);
        FAULT.store(0, Ordering::Relaxed);
        CPU.store(ptr::from_mut(cpu) as u64, Ordering::Relaxed);
        // SAFETY: the code fits the arena, nothing else runs there, and its links and jump cache lead to the resolver.
        unsafe {
            self.arena.copy_from_nonoverlapping(code.bytes.as_ptr(), code.bytes.len());
            enter(self.arena.add(code.entry), cpu);
        }
        let fault = FAULT.load(Ordering::Relaxed);
        if fault == 0 {
            let reason = ExitReason::from_number(cpu.ctl.exit_reason);
            return Ok(Exit { reason, argument: cpu.ctl.exit_argument });
        }
        let offset = (fault - self.arena as u64) as u32;
        let pc =
            code.fault_pc(offset).ok_or_else(|| format!("a fault at {offset:#x} of the code, which has none there"))?;
        cpu.set_pc(pc);
        Ok(Exit { reason: ExitReason::Fault, argument: 0 })
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        for (start, size) in [(WINDOW, SIZE), (CODE, SIZE), (self.arena as u64, ARENA)] {
            // SAFETY: these are this runner's mappings, and nothing refers to them any more.
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
extern "C" fn handler(signal: i32, _info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes a ucontext_t.
    let registers = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    let pc = registers[libc::REG_RIP as usize] as u64;
    if pc.wrapping_sub(ARENA_START.load(Ordering::Relaxed)) < ARENA as u64 {
        FAULT.store(pc, Ordering::Relaxed);
        registers[libc::REG_RDI as usize] = CPU.load(Ordering::Relaxed) as i64;
        registers[libc::REG_RIP as usize] = fault_exit_address() as i64;
    } else if let Some(recovery) = interp::recovery(pc) {
        registers[libc::REG_RIP as usize] = recovery as i64;
    } else {
        // SAFETY: the default action is always valid; the access is made again and ends the process.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// Lifts what starts at `pc` of the line's bytes.
fn lift(line: &Line, pc: u64) -> Region {
    let mut fetch = |pc: u64, buffer: &mut [u8]| {
        let rest = line.bytes.get(pc.wrapping_sub(CODE) as usize..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        length
    };
    lift_region(line.arch, pc, Shape::Block { limit: 16 }, &mut fetch).0
}

/// Fills the window, and the page of code with breakpoints and the line's bytes.
fn put_memory(line: &Line) {
    let breakpoint: &[u8] = match line.arch {
        Arch::Aarch64 => &[0, 0, 0x20, 0xd4],
        Arch::X86_64 => &[0xcc],
    };
    let mut code: Vec<u8> = breakpoint.iter().copied().cycle().take(SIZE).collect();
    code[..line.bytes.len()].copy_from_slice(&line.bytes);
    // SAFETY: the runner has mapped both places, and no guest runs meanwhile.
    unsafe {
        (WINDOW as *mut u8).copy_from_nonoverlapping(line.before.memory.as_ptr(), SIZE);
        (CODE as *mut u8).copy_from_nonoverlapping(code.as_ptr(), SIZE);
    }
}

/// The flags that share a slot with others: name, and bit in [`NZCV`].
fn nzcv_bits(arch: Arch) -> [(&'static str, u32); 4] {
    match arch {
        Arch::Aarch64 => [("n", 3), ("z", 2), ("c", 1), ("v", 0)],
        Arch::X86_64 => [("sf", 3), ("zf", 2), ("cf", 1), ("of", 0)],
    }
}

fn to_cpu(arch: Arch, state: &State) -> CpuState {
    let mut cpu = CpuState::default();
    let mut nzcv = 0;
    for (name, value) in state.registers() {
        let bit = nzcv_bits(arch).iter().find(|(flag, _)| *flag == name).map(|(_, bit)| *bit);
        match (name, bit) {
            (_, Some(bit)) => nzcv |= (value as u64) << bit,
            ("pf", _) => cpu.set(x86_64::PF_BYTE, 1 - value as u64), // an odd byte has PF clear
            ("af", _) => cpu.set(x86_64::AF_BYTE, (value as u64) << 4),
            (name, _) => {
                let info = arch.slot_named(name).unwrap_or_else(|| panic!("no slot {name}"));
                match info.ty {
                    Ty::V128 | Ty::I128 => cpu.set128(info.slot, value),
                    _ => cpu.set(info.slot, value as u64),
                }
            }
        }
    }
    cpu.set(NZCV, nzcv);
    cpu
}

fn from_cpu(line: &Line, cpu: &CpuState, fault: Option<&str>) -> State {
    let mut state = line.before.clone();
    let names: Vec<String> = state.registers().map(|(name, _)| name.to_owned()).collect();
    for name in names {
        let bit = nzcv_bits(line.arch).iter().find(|(flag, _)| *flag == name).map(|(_, bit)| *bit);
        let value = match (name.as_str(), bit) {
            (_, Some(bit)) => u128::from(cpu.get(NZCV) >> bit & 1),
            ("pf", _) => u128::from((cpu.get(x86_64::PF_BYTE) as u8).count_ones().is_multiple_of(2)),
            ("af", _) => u128::from(cpu.get(x86_64::AF_BYTE) >> 4 & 1),
            (name, _) => {
                let info = line.arch.slot_named(name).unwrap_or_else(|| panic!("no slot {name}"));
                match info.ty {
                    Ty::V128 | Ty::I128 => cpu.get128(info.slot),
                    _ => u128::from(cpu.get(info.slot)),
                }
            }
        };
        state.set(&name, value);
    }
    // SAFETY: the runner has mapped the window, and no guest runs meanwhile.
    state.memory = unsafe { std::slice::from_raw_parts(WINDOW as *const u8, SIZE) }.to_vec();
    state.fault = fault.map(str::to_owned);
    state
}
