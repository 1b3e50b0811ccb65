//! Runs a line through Philae: lift, perhaps optimise, interpret or compile and execute.
//!
//! In: a line's machine state. Out: the state when the pc has left the line's bytes, or a fault.

use crate::line::{Line, State};
use crate::sandbox::{CODE, SIZE, Sandbox};
use philae_backends::Exit;
use philae_backends::cranelift::{Exactness, Recovery};
use philae_frontends::{Changes, Shape, fetch_from, lift_into};
use philae_ir::state::{NZCV, aarch64, x86_64};
use philae_ir::{Arch, CpuState, ExitReason, Floats, Region, Ty, opt};

/// Regions executed for a line before it counts as one that never ends.
const STEPS: usize = 1000;
/// The most instructions that are executed at one go.
const LIMIT: usize = 16;

/// A way through Philae.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Engine {
    /// Executed while it is decoded.
    AtOnce,
    /// The interpreter on what the frontend made.
    Interpreter,
    /// The interpreter on the optimised region.
    Optimised,
    /// The baseline compiler on what the frontend made, the guest's state exact at faults.
    Baseline,
    /// Cranelift, the guest's state exact at faults.
    Cranelift,
    /// Cranelift, the guest's state exact at exits only.
    CraneliftRelaxed,
}

/// What executing lines needs.
pub(crate) struct Runner(Sandbox);

impl Runner {
    /// Waits for other runners to go.
    pub(crate) fn new() -> Runner {
        Runner(Sandbox::new())
    }

    /// How many regions the baseline compiler refused so far.
    pub(crate) fn refused(&self) -> usize {
        self.0.refused
    }

    /// Executes a line; an error says why it did not come to an end.
    pub(crate) fn run_line(&mut self, line: &Line, engine: Engine) -> Result<State, String> {
        self.0.put_memory(&line.before.memory, &code_of(line));
        let mut cpu = to_cpu(line.arch, &line.before);
        let special = line.arch == Arch::Aarch64 && cpu.get(aarch64::FPCR) & aarch64::SPECIAL_FPCR != 0;
        let mut floats = if special { Floats::Exact } else { Floats::Plain };
        let end = CODE + line.bytes.len() as u64;
        for _ in 0..STEPS {
            let exit = self.step(line, engine, floats, &mut cpu)?;
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
                ExitReason::FloatStatus => {
                    let status = aarch64::float_status(&cpu);
                    if let Some(&slot) = aarch64::X.get(exit.argument as usize) {
                        cpu.set(slot, status);
                    }
                    if inside {
                        continue;
                    }
                    None
                }
                // No line asks for one.
                ExitReason::RandomNumber => None,
                ExitReason::ExactFloats | ExitReason::FloatModes => {
                    floats = Floats::Exact;
                    continue;
                }
                reason => return Err(format!("left with {} at {pc:#x}", reason.name())),
            };
            return Ok(from_cpu(line, &cpu, self.0.memory()[0], fault));
        }
        Err(format!("no end after {STEPS} regions"))
    }

    /// Executes one region.
    fn step(&mut self, line: &Line, engine: Engine, floats: Floats, cpu: &mut CpuState) -> Result<Exit, String> {
        let pc = cpu.pc();
        let lifted = || lift(line, pc, floats);
        match engine {
            Engine::AtOnce => {
                let fetch = &mut |pc: u64, buffer: &mut [u8]| fetch_from(&line.bytes, CODE, pc, buffer);
                Ok(self.0.execute_at_once(&settings(line, pc, floats), (LIMIT, Changes::AtOnce), fetch, cpu))
            }
            Engine::Interpreter => Ok(self.0.interpret(&lifted(), cpu)),
            Engine::Optimised => {
                let mut region = lifted();
                opt::optimise(&mut region, Exactness::Exact);
                Ok(self.0.interpret(&region, cpu))
            }
            Engine::Baseline => self.0.run_baseline(&lifted(), Exactness::Exact, cpu),
            Engine::Cranelift => self.compile_and_run(lifted(), Exactness::Exact, cpu),
            Engine::CraneliftRelaxed => {
                // What a relaxed region leaves in its slots at a fault is not the line's business.
                let faults = line.source.contains("fault=");
                self.compile_and_run(lifted(), if faults { Exactness::Exact } else { Exactness::Relaxed }, cpu)
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
        self.0.run_compiled(&region, exactness, Recovery::Never, cpu)
    }
}

/// Lifts what starts at `pc` of the line's bytes.
fn lift(line: &Line, pc: u64, floats: Floats) -> Region {
    let mut fetch = |pc: u64, buffer: &mut [u8]| fetch_from(&line.bytes, CODE, pc, buffer);
    let mut region = settings(line, pc, floats);
    lift_into(&mut region, Shape::Block { limit: LIMIT, changes: Changes::Announced }, &mut fetch);
    region
}

/// An empty region for what starts at `pc` of the line's bytes.
fn settings(line: &Line, pc: u64, floats: Floats) -> Region {
    let mut region = Region::new(line.arch, pc);
    region.floats = floats;
    region
}

/// The place of the code: the line's bytes, and breakpoints.
fn code_of(line: &Line) -> Vec<u8> {
    let breakpoint: &[u8] = match line.arch {
        Arch::Aarch64 => &[0, 0, 0x20, 0xd4],
        Arch::X86_64 => &[0xcc],
    };
    let mut code: Vec<u8> = breakpoint.iter().copied().cycle().take(SIZE).collect();
    code[..line.bytes.len()].copy_from_slice(&line.bytes);
    code
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
            ("pf", _) => cpu.set(x86_64::PARITY, 1 - value as u64), // an odd byte has PF clear
            ("af", _) => cpu.set(x86_64::ADJUST, (value as u64) << 4),
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

fn from_cpu(line: &Line, cpu: &CpuState, window: &[u8], fault: Option<&str>) -> State {
    let mut state = line.before.clone();
    let names: Vec<String> = state.registers().map(|(name, _)| name.to_owned()).collect();
    for name in names {
        let bit = nzcv_bits(line.arch).iter().find(|(flag, _)| *flag == name).map(|(_, bit)| *bit);
        let value = match (name.as_str(), bit) {
            (_, Some(bit)) => u128::from(cpu.get(NZCV) >> bit & 1),
            ("pf", _) => u128::from((cpu.get(x86_64::PARITY) as u8).count_ones().is_multiple_of(2)),
            ("af", _) => u128::from(cpu.get(x86_64::ADJUST) >> 4 & 1),
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
    state.memory = window.to_vec();
    state.fault = fault.map(str::to_owned);
    state
}
