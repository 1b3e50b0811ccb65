//! The one check of all fuzzing: guest code does the same executed at once, interpreted, compiled exactly and compiled
//! relaxed.
//!
//! In: any bytes. The first is the guest and the shape of the region (see [`Case::new`]), the next eight the seed of
//! the guest's registers and memory, the rest is guest code, which lies at [`CODE`]. Out: nothing, or a panic that
//! says what differs. What must hold: lifting and optimising never panic, regions verify, and why a region is left,
//! the pc, all guest slots and memory are the same; where an access faults, slots need not be in relaxed code.

use crate::sandbox::{CODE, SIZE, Sandbox};
use crate::state::{Random, guest_slots, random_memory, random_state};
use philae_backends::Exit;
use philae_backends::cranelift::{Exactness, Recovery};
use philae_frontends::{Changes, Room, Shape, fetch_from, lift_into};
use philae_ir::region::Tags;
use philae_ir::verify::verify;
use philae_ir::{Arch, CpuState, ExitReason, Floats, Region, opt};
use std::cell::RefCell;
use std::fmt::Write;
use std::sync::atomic::Ordering;

/// Bytes before the guest code.
pub(crate) const HEAD: usize = 9;
/// The most bytes of guest code.
const LONGEST: usize = 512;
/// The most instructions of a region of many blocks.
const GRAPH: usize = 128;
/// Helpers whose result is another one each time: the counters of both guests.
const COUNTERS: [&str; 2] = ["a64_virtual_count", "x86_time_stamp"];

thread_local! {
    static SANDBOX: RefCell<Sandbox> = RefCell::new(Sandbox::new());
}

/// What an input says.
struct Case<'a> {
    arch: Arch,
    shape: Shape<'a>,
    floats: Floats,
    recovery: Recovery,
    seed: u64,
    code: &'a [u8],
}

impl<'a> Case<'a> {
    /// Bit 0 is the guest, bits 1 and 2 the shape, bit 3 what faults in loops do, bits 4 and 5 how floats are lifted.
    fn new(data: &'a [u8]) -> Option<Case<'a>> {
        let (head, code) = data.split_at_checked(HEAD)?;
        let shape = match head[0] >> 1 & 3 {
            0 => Shape::Instruction,
            1 => Shape::Block { limit: 64, changes: Changes::Announced },
            _ => {
                let wanted = &|pc: u64| pc.wrapping_sub(CODE) < LONGEST as u64;
                Shape::Graph {
                    limit: GRAPH,
                    wanted,
                    called: wanted,
                    ends: &|_, room| room == Room::Used,
                    pointer: &|_| None,
                    // As good a guess as any: what is not there is not reached.
                    went: &|pc| Some(pc.wrapping_add(8)),
                }
            }
        };
        Some(Case {
            arch: [Arch::Aarch64, Arch::X86_64][usize::from(head[0] & 1)],
            shape,
            floats: [Floats::Plain, Floats::Flushing, Floats::Modes, Floats::Exact][usize::from(head[0] >> 4 & 3)],
            recovery: [Recovery::Never, Recovery::InLoops][usize::from(head[0] >> 3 & 1)],
            seed: u64::from_le_bytes(head[1..].try_into().expect("eight bytes")),
            code: &code[..code.len().min(LONGEST)],
        })
    }

    fn lift(&self, tags: Tags) -> Region {
        let mut region = self.settings(tags);
        lift_into(&mut region, self.shape, &mut |pc, buffer| self.fetch(pc, buffer));
        region
    }

    /// An empty region.
    fn settings(&self, tags: Tags) -> Region {
        let mut region = Region::new(self.arch, CODE);
        region.floats = self.floats;
        region.tags = tags;
        region
    }

    /// Copies code from `pc` on; gives how much there is.
    fn fetch(&self, pc: u64, buffer: &mut [u8]) -> usize {
        fetch_from(self.code, CODE, pc, buffer)
    }

    /// What can be executed at once: how many instructions at most, and how they may change.
    fn at_once(&self) -> Option<(usize, Changes)> {
        match self.shape {
            Shape::Instruction => Some((1, Changes::Announced)),
            Shape::Block { limit, changes } => Some((limit, changes)),
            Shape::Graph { .. } => None,
        }
    }
}

/// Checks a region for aarch64 that touches no memory, from a state that the seed makes.
pub(crate) fn check_region(region: &Region, seed: u64) {
    let (shape, floats, recovery) = (Shape::Instruction, region.floats, Recovery::Never);
    let case = Case { arch: region.arch, shape, floats, recovery, seed, code: &[] };
    if let Err(what) = compare_from_random(&case, region) {
        panic!("{what}{region}");
    }
}

/// Checks one input.
pub(crate) fn check(data: &[u8]) {
    let Some(case) = Case::new(data) else { return };
    let region = case.lift(Tags::Fault);
    let differs = |what: String| -> ! { panic!("{what}{}", describe(&case)) };
    if let Err(error) = verify(&region) {
        differs(format!("the region does not verify: {error}"));
    }
    if region.helpers.iter().any(|helper| COUNTERS.contains(&helper.name)) {
        return;
    }
    if let Err(what) = compare_from_random(&case, &region).and_then(|()| compare_at_once(&case, &region)) {
        differs(what);
    }
}

/// Executes a block at once from a state that the case's seed makes; says what differs from the region interpreted.
fn compare_at_once(case: &Case<'_>, region: &Region) -> Result<(), String> {
    let Some(run) = case.at_once() else { return Ok(()) };
    SANDBOX.with_borrow_mut(|sandbox| {
        let start = Start::random(case);
        let settings = case.settings(region.tags);
        let found = start.run(sandbox, case, |sandbox, cpu| {
            sandbox.execute_at_once(&settings, run, &mut |pc, buffer| case.fetch(pc, buffer), cpu)
        });
        // Loops inside of an instruction have left after as many rounds as the interpreter's, or after fewer.
        if found.exit.reason == ExitReason::Interrupted {
            return Ok(());
        }
        let expected = start.run(sandbox, case, |sandbox, cpu| sandbox.interpret(region, cpu));
        let result = expected.compare(&found, Exactness::Exact, &start.cpu, case.arch);
        result.map_err(|what| format!("executed at once:\n{what}"))
    })
}

/// Runs the region every way from a state that the case's seed makes; says what differs.
fn compare_from_random(case: &Case<'_>, region: &Region) -> Result<(), String> {
    SANDBOX.with_borrow_mut(|sandbox| compare(sandbox, case, region, Start::random(case)))
}

/// What every run starts from.
struct Start {
    cpu: CpuState,
    window: Vec<u8>,
    /// Not 0 asks the region to leave at its first poll.
    poll: u32,
}

impl Start {
    /// What the case's seed makes.
    fn random(case: &Case<'_>) -> Start {
        let mut random = Random::new(case.seed);
        Start { cpu: random_state(&mut random, case.arch), window: random_memory(&mut random), poll: 0 }
    }

    fn run(&self, sandbox: &mut Sandbox, case: &Case<'_>, f: impl FnOnce(&mut Sandbox, &mut CpuState) -> Exit) -> End {
        let mut place = vec![0; SIZE];
        place[..case.code.len()].copy_from_slice(case.code);
        sandbox.put_memory(&self.window, &place);
        let mut cpu = self.cpu.fork();
        cpu.ctl.poll.store(self.poll, Ordering::Relaxed);
        let exit = f(sandbox, &mut cpu);
        End { exit, cpu, memory: sandbox.memory().map(<[u8]>::to_vec) }
    }
}

/// How a run ended.
struct End {
    exit: Exit,
    cpu: CpuState,
    memory: [Vec<u8>; 2],
}

/// Runs the region every way from equal states; says what differs.
fn compare(sandbox: &mut Sandbox, case: &Case<'_>, region: &Region, mut start: Start) -> Result<(), String> {
    let mut expected = start.run(sandbox, case, |sandbox, cpu| sandbox.interpret(region, cpu));
    if expected.exit.reason == ExitReason::Interrupted {
        // The interpreter lost its patience, which compiled code has without end: let both leave at once.
        start.poll = 1;
        expected = start.run(sandbox, case, |sandbox, cpu| sandbox.interpret(region, cpu));
    }
    for exactness in [Exactness::Exact, Exactness::Relaxed] {
        let mut optimised = region.clone();
        opt::optimise(&mut optimised, exactness);
        for (compiler, region) in
            [(Compiler::Cranelift, &optimised), (Compiler::Baseline, region), (Compiler::Baseline, &optimised)]
        {
            let mut error = None;
            let found = start.run(sandbox, case, |sandbox, cpu| {
                let result = match compiler {
                    Compiler::Cranelift => sandbox.run_compiled(region, exactness, case.recovery, cpu),
                    Compiler::Baseline => sandbox.run_baseline(region, exactness, cpu),
                };
                result.unwrap_or_else(|what| {
                    error = Some(what);
                    Exit { reason: ExitReason::Undefined, argument: 0 }
                })
            });
            let result = error.map_or_else(|| expected.compare(&found, exactness, &start.cpu, case.arch), Err);
            let faults = found.exit.reason == ExitReason::Fault;
            if result.is_err() && faults && case.arch == Arch::Aarch64 && region.tags == Tags::Fault {
                // Accesses through addresses with a tag fault in compiled code, for the runtime to repair.
                return compare(sandbox, case, &case.lift(Tags::Removed), start);
            }
            if let Err(what) = result {
                let passes = start.run(sandbox, case, |sandbox, cpu| sandbox.interpret(region, cpu));
                let to_blame = match expected.compare(&passes, exactness, &start.cpu, case.arch) {
                    Ok(()) => "the compiler",
                    Err(_) => "a pass",
                };
                return Err(format!("{exactness:?}, {compiler:?}, {:?}, by {to_blame}:\n{what}", case.recovery));
            }
        }
    }
    Ok(())
}

/// What compiles a region.
#[derive(Clone, Copy, Debug)]
enum Compiler {
    Cranelift,
    Baseline,
}

impl End {
    /// Why and where it ended. Compiled code does not tell one kind of jump from another where it could be linked,
    /// and the address of a fault is the kernel's to say.
    fn describe_exit(&self) -> String {
        let Exit { reason, argument } = self.exit;
        let reason = if reason.is_jump() { ExitReason::Jump } else { reason };
        let argument = if reason == ExitReason::Fault { 0 } else { argument };
        format!("{} ({argument:#x}) at {:#x}", reason.name(), self.cpu.pc())
    }

    /// Says where `found` differs from this end, which is that of the interpreter.
    fn compare(&self, found: &End, exactness: Exactness, before: &CpuState, arch: Arch) -> Result<(), String> {
        let mut what = String::new();
        let fault = self.exit.reason == ExitReason::Fault;
        let [expected, got] = [self, found].map(End::describe_exit);
        if expected != got {
            line(&mut what, "exit", "", &expected, &got);
        }
        let out_of_date = exactness == Exactness::Relaxed && fault;
        for info in guest_slots(arch).filter(|_| !out_of_date) {
            let [before, expected, found] = [before, &self.cpu, &found.cpu].map(|cpu| match info.ty.bits() {
                128 => cpu.get128(info.slot),
                _ => u128::from(cpu.get(info.slot)),
            });
            if expected != found {
                line(&mut what, info.name, &format!("{before:x}"), &format!("{expected:x}"), &format!("{found:x}"));
            }
        }
        for (expected, found) in self.memory.iter().zip(&found.memory) {
            if let Some(place) = (0..SIZE).find(|&place| expected[place] != found[place]) {
                let end = (place + 16).min(SIZE);
                let [expected, found] = [expected, found].map(|bytes| hex(&bytes[place..end]));
                line(&mut what, &format!("memory+{place:#x}"), "", &expected, &found);
            }
        }
        if what.is_empty() { Ok(()) } else { Err(what) }
    }
}

fn line(what: &mut String, name: &str, before: &str, expected: &str, found: &str) {
    let _ = writeln!(what, "  {name}: {expected} interpreted, {found} compiled, {before} before");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x} ")).collect::<String>().trim_end().to_owned()
}

fn describe(case: &Case<'_>) -> String {
    let shape = match case.shape {
        Shape::Instruction => "one instruction",
        Shape::Block { .. } => "a block",
        Shape::Graph { .. } => "a graph",
    };
    format!("\n{}, {shape}, state {:#x}: [{}]", case.arch.name(), case.seed, hex(case.code))
}
