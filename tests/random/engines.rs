//! Executes pieces of A64 code in Philae: interpreted, with and without passes, and compiled.
//!
//! In: a piece, its place, a state. Out: the state at its end, in the oracle's terms.

use crate::draw::{COMPARED, EXITS, Form, PLACE, Piece};
use crate::sandbox::{CODE, Compiled, SIZE, Sandbox};
use crate::wire::Machine;
use philae_backends::cranelift::{Exactness, Recovery};
use philae_backends::interp::Steps;
use philae_backends::{Exit, FloatControl};
use philae_frontends::{Changes, Room, Shape, fetch_from, lift_into};
use philae_ir::state::NZCV;
use philae_ir::state::aarch64::{self, FPCR, SP, V, X};
use philae_ir::{Arch, CpuState, ExitReason, Floats, Region, Terminator, opt};

/// A way through Philae.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Engine {
    /// Executed while it is decoded.
    AtOnce,
    /// The interpreter on what the frontend made.
    Interpreter,
    /// The interpreter on the optimised region.
    Optimised,
    /// The baseline compiler; the interpreter where that refuses.
    Baseline,
    /// Cranelift, the guest's state exact at faults.
    Exact,
    /// Cranelift, the guest's state exact at exits only.
    Relaxed,
}

/// A piece made ready to run.
pub(crate) enum Prepared {
    /// How it is to be executed, and the code.
    Settings(Region, Vec<u8>),
    /// For the interpreter.
    Steps(Steps),
    /// Compiled.
    Code(Compiled),
}

/// The sandbox, and what its window holds before a piece runs.
pub(crate) struct Engines {
    sandbox: Sandbox,
    pattern: Vec<u8>,
}

/// The region of a piece whose place is at `place` of `code`.
fn lift(piece: &Piece, place: u64, code: &[u8], floats: Floats) -> Region {
    let mut fetch = |pc: u64, buffer: &mut [u8]| fetch_from(code, CODE, pc, buffer);
    let wanted = |pc: u64| pc.wrapping_sub(place) < PLACE;
    let shape = match piece.form {
        Form::Once if !piece.is_sequence() => Shape::Instruction,
        Form::Once | Form::Loop => Shape::Graph {
            limit: 16,
            wanted: &wanted,
            called: &wanted,
            ends: &|_, room| room == Room::Used,
            pointer: &|_| None,
            went: &|_| None,
        },
    };
    let mut region = settings(place, floats);
    lift_into(&mut region, shape, &mut fetch);
    region
}

/// An empty region for the piece at `place`.
fn settings(place: u64, floats: Floats) -> Region {
    let mut region = Region::new(Arch::Aarch64, place + 4);
    region.floats = floats;
    region
}

/// Whether the frontend takes the piece's instruction for one.
pub(crate) fn is_defined(piece: &Piece) -> bool {
    let code: Vec<u8> = piece.code(CODE).iter().flat_map(|word| word.to_le_bytes()).collect();
    let once = Piece::one(piece.class, piece.word, Form::Once);
    let undefined = |end| matches!(end, Terminator::Exit { reason: ExitReason::Undefined, .. });
    !lift(&once, CODE, &code, Floats::Plain).blocks.iter().any(|block| undefined(block.end))
}

/// Whether the piece at `place` is lifted differently where all of the floating-point environment is kept.
pub(crate) fn depends_on_floats(piece: &Piece, place: u64, code: &[u8]) -> bool {
    let [plain, exact] = [Floats::Plain, Floats::Exact].map(|floats| lift(piece, place, code, floats).to_string());
    plain != exact
}

impl Engines {
    /// Waits for other sandboxes to go.
    pub(crate) fn new() -> Engines {
        let pattern = (0..SIZE).map(|i| ((i * 157) ^ (i >> 7)) as u8).collect();
        Engines { sandbox: Sandbox::new(), pattern }
    }

    /// Puts a batch's code in its place.
    pub(crate) fn put_code(&mut self, code: &[u8]) {
        self.sandbox.put_memory(&self.pattern, code);
    }

    /// Makes the piece at `place` ready.
    pub(crate) fn prepare(
        &mut self,
        piece: &Piece,
        place: u64,
        code: &[u8],
        (engine, floats): (Engine, Floats),
    ) -> Result<Prepared, String> {
        let exactness = if engine == Engine::Relaxed { Exactness::Relaxed } else { Exactness::Exact };
        let optimised = || {
            let mut region = lift(piece, place, code, floats);
            opt::optimise(&mut region, exactness);
            region
        };
        match engine {
            Engine::AtOnce => {
                let own = &code[(place - CODE) as usize..][..PLACE as usize];
                Ok(Prepared::Settings(settings(place, floats), own.to_vec()))
            }
            Engine::Interpreter => Ok(Prepared::Steps(Steps::new(&lift(piece, place, code, floats)))),
            Engine::Optimised => Ok(Prepared::Steps(Steps::new(&optimised()))),
            Engine::Baseline => {
                let region = lift(piece, place, code, floats);
                let compiled = self.sandbox.compile_baseline(&region, exactness)?;
                Ok(compiled.map_or_else(|| Prepared::Steps(Steps::new(&region)), Prepared::Code))
            }
            Engine::Exact | Engine::Relaxed => {
                self.sandbox.compile(&optimised(), exactness, Recovery::Never).map(Prepared::Code)
            }
        }
    }

    /// Executes one block after another, up to where the piece ends.
    fn execute(&mut self, settings: &Region, code: &[u8], piece: &Piece, place: u64, cpu: &mut CpuState) -> Exit {
        let single = piece.form == Form::Once && !piece.is_sequence();
        let limit = if single { 1 } else { 16 };
        let mut fetch = |pc: u64, buffer: &mut [u8]| fetch_from(code, place, pc, buffer);
        let mut settings = settings.clone();
        loop {
            settings.reset(cpu.pc());
            let exit = self.sandbox.execute_at_once(&settings, (limit, Changes::Announced), &mut fetch, cpu);
            let inside = cpu.pc().wrapping_sub(place) < PLACE;
            if single || exit.reason != ExitReason::Jump || !inside {
                return exit;
            }
        }
    }

    /// Runs a piece from a state; `None` where it asks for all of the floating-point environment.
    pub(crate) fn run(
        &mut self,
        prepared: &Prepared,
        piece: &Piece,
        (place, floats): (u64, Floats),
        start: &Machine,
    ) -> Result<Option<Machine>, String> {
        let memory = piece.touches_memory();
        if memory {
            self.sandbox.put_window(COMPARED.start, &self.pattern[COMPARED]);
        }
        let mut cpu = to_cpu(start);
        cpu.set_pc(place + 4);
        FloatControl::take_flags();
        let exit = match prepared {
            Prepared::Settings(settings, code) => self.execute(settings, code, piece, place, &mut cpu),
            Prepared::Steps(steps) => self.sandbox.interpret_steps(steps, Arch::Aarch64, &mut cpu),
            Prepared::Code(code) => self.sandbox.run_code(code, &mut cpu)?,
        };
        let raised = u64::from(FloatControl::take_flags());
        let mut end = from_cpu(&cpu);
        if floats == Floats::Plain {
            end.fpsr |= raised;
        }
        end.fault = match exit.reason {
            ExitReason::Fault => libc::SIGSEGV as u64,
            ExitReason::Undefined => libc::SIGILL as u64,
            ExitReason::Misaligned => libc::SIGBUS as u64,
            ExitReason::Jump | ExitReason::Call | ExitReason::Interrupted => 0,
            ExitReason::ExactFloats | ExitReason::FloatModes | ExitReason::FloatStatus => return Ok(None),
            reason => return Err(format!("left with {} at {:#x}", reason.name(), cpu.pc())),
        };
        if end.fault == 0 {
            let pc = cpu.pc();
            let exits = [[place + 8, EXITS[0]], [place + 12, EXITS[1]]];
            let exit = exits.iter().position(|ways| ways.contains(&pc));
            end.exit = exit.ok_or_else(|| format!("left for {pc:#x}, from {place:#x}"))? as u64;
        }
        if memory {
            end.memory = hash(&self.sandbox.memory()[0][COMPARED]);
        }
        Ok(Some(end))
    }
}

/// What the batch guest makes of the memory that is compared.
fn hash(memory: &[u8]) -> u64 {
    memory.chunks_exact(8).fold(0, |hash: u64, bytes| {
        let word = u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
        let hash = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^ hash >> 29
    })
}

fn to_cpu(machine: &Machine) -> CpuState {
    let mut cpu = CpuState::default();
    machine.x.iter().zip(X).for_each(|(&value, slot)| cpu.set(slot, value));
    machine.v.iter().zip(V).for_each(|(&value, slot)| cpu.set128(slot, value));
    cpu.set(SP, machine.sp);
    cpu.set(NZCV, machine.nzcv >> 28);
    cpu.set(FPCR, machine.fpcr);
    aarch64::set_float_status(&mut cpu, machine.fpsr);
    cpu
}

fn from_cpu(cpu: &CpuState) -> Machine {
    let mut machine = Machine::new();
    machine.x.iter_mut().zip(X).for_each(|(value, slot)| *value = cpu.get(slot));
    machine.v.iter_mut().zip(V).for_each(|(value, slot)| *value = cpu.get128(slot));
    machine.sp = cpu.get(SP);
    machine.nzcv = cpu.get(NZCV) << 28;
    machine.fpcr = cpu.get(FPCR);
    machine.fpsr = aarch64::float_status(cpu);
    machine
}
