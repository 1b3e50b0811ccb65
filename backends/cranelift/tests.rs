//! Regions built by hand, compiled and run on this processor: every operation against the evaluator, slots in every
//! layout, exits, links and faults.

mod carries;
mod compaction;
mod flow;
mod operations;
mod rounds;
mod speed;
mod status;
mod usual;

use super::{ALIGNMENT, Code, Compiler, Exactness, LinkSite, LinkSlot, Options};
use crate::link::enter;
use philae_ir::state::Arch;
use philae_ir::{CpuState, ExitReason, Pc, Region, RegionBuilder, Value};

const PC: u64 = 0x40_0000;

/// Executable memory that is filled once, piece by piece.
struct Arena {
    memory: *mut u8,
    used: usize,
}

const ARENA_SIZE: usize = 1 << 24;

impl Arena {
    fn new() -> Arena {
        let protection = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a new mapping at an address that the kernel chooses.
        let memory = unsafe { libc::mmap(std::ptr::null_mut(), ARENA_SIZE, protection, flags, -1, 0) };
        assert_ne!(memory, libc::MAP_FAILED);
        Arena { memory: memory.cast(), used: 0 }
    }

    /// Copies code in; returns where it is to be entered.
    fn add(&mut self, code: &Code) -> *const u8 {
        let to = self.take(code.bytes.len());
        let mut code = code.clone();
        code.relocate(to as u64);
        // SAFETY: the bytes fit there.
        unsafe {
            to.copy_from_nonoverlapping(code.bytes.as_ptr(), code.bytes.len());
            to
        }
    }

    /// A link slot that leads nowhere, as long as the arena lives.
    fn add_slot<'a>(&mut self, pc: u64) -> &'a LinkSlot {
        let to = self.take(size_of::<LinkSlot>()).cast::<LinkSlot>();
        // SAFETY: there is room for one, aligned.
        unsafe {
            to.write(LinkSlot::new(pc, 0));
            &*to
        }
    }

    /// So many bytes of it.
    fn take(&mut self, size: usize) -> *mut u8 {
        assert!(self.used + size <= ARENA_SIZE);
        // SAFETY: they are in the mapping.
        let start = unsafe { self.memory.add(self.used) };
        self.used += size.next_multiple_of(ALIGNMENT);
        start
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: the mapping is this arena's, and nothing runs in it when its test is over.
        unsafe { libc::munmap(self.memory.cast(), ARENA_SIZE) };
    }
}

const RELAXED: Options = Options { exactness: Exactness::Relaxed, counter: None };

fn compile(compiler: &mut Compiler, region: &Region) -> Code {
    let mut links = |site: LinkSite| -> *const LinkSlot { panic!("no link expected to {site:?}") };
    compiler
        .compile(region, RELAXED, &mut links)
        .unwrap_or_else(|error| panic!("{error}\n{region:#?}\n{}", compiler.clif_text()))
}

/// Runs code until it leaves; returns why.
fn run(code: *const u8, cpu: &mut CpuState) -> ExitReason {
    // SAFETY: the code comes out of the compiler and stays in the arena of the test.
    unsafe { enter(code, cpu) };
    ExitReason::from_number(cpu.ctl.exit_reason)
}

/// A region of the AArch64 guest whose blocks `body` makes.
fn region(body: impl FnOnce(&mut RegionBuilder<'_>)) -> Region {
    let mut region = Region::new(Arch::Aarch64, PC);
    let mut builder = RegionBuilder::new(&mut region);
    builder.insn(PC, 4);
    body(&mut builder);
    if !builder.is_closed() {
        builder.exit(ExitReason::Syscall, Pc::Const(PC + 4), Value::NONE);
    }
    region
}

/// Random numbers, the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        // SplitMix64 (Steele, Lea, Flood 2014).
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}
