//! `--lift ARCH HEX [--run]`: one instruction on its whole way through Philae, on one screen.

use crate::cache::{Maker, Scratch};
use crate::loader::LoadError;
use crate::options::Execute;
use crate::{STATUS_USAGE, disassemble, host};
use philae_backends::cranelift::{Compiler, Exactness, Options};
use philae_backends::interp::Interpreter;
use philae_backends::link::LinkSite;
use philae_frontends::{Shape, fetch_from, lift_region};
use philae_ir::state::{PC, aarch64, x86_64};
use philae_ir::{Arch, CpuState, Effect, Region, Ty, opt, verify};
use std::fmt::Write;

/// Where the instruction is said to be.
const PC_OF_INSTRUCTION: u64 = 0x40_0000;
/// Memory that the registers point to when the instruction accesses memory.
const SCRATCH_SIZE: usize = 64 << 10;
/// Room for the code of one instruction.
const CODE_SIZE: usize = 256 << 10;

/// Shows the instruction at the start of `bytes`.
pub fn show(arch: Arch, bytes: &[u8], execute: Execute) -> Result<String, LoadError> {
    if bytes.is_empty() {
        let message = "--lift: the instruction's bytes are missing".to_owned();
        return Err(LoadError { message, status: STATUS_USAGE });
    }
    let mut text = String::new();
    section(&mut text, "guest", &disassemble::listing(arch, PC_OF_INSTRUCTION, bytes));
    let mut region = lift(arch, bytes);
    section(&mut text, "ir", &region.to_string());
    if let Err(error) = verify::verify(&region) {
        section(&mut text, "verify", &format!("{error}\n"));
    }
    let lifted = region.clone();
    opt::optimise(&mut region, Exactness::Relaxed);
    section(&mut text, "opt", &region.to_string());
    let mut compiler = Compiler::new();
    let scratch = Scratch::new(CODE_SIZE);
    let mut scratch =
        scratch.map_err(|error| LoadError { message: format!("--lift: {error}"), status: STATUS_USAGE })?;
    let mut link = |site: LinkSite| scratch.add_slot(site.pc);
    match compiler.compile(&region, Options { exactness: Exactness::Relaxed, counter: None }, &mut link) {
        Ok(code) => {
            section(&mut text, "clif", &compiler.clif_text());
            section(&mut text, "code", &disassemble::listing(host::ARCH, 0, &code.bytes));
            if execute == Execute::Yes {
                let compiled = |cpu: &mut CpuState| scratch.execute(code, Maker::Cranelift, cpu);
                section(&mut text, "run", &run_both(&lifted, compiled));
            }
        }
        Err(error) => section(&mut text, "not compiled", &format!("{error}\n")),
    }
    Ok(text)
}

fn section(text: &mut String, title: &str, body: &str) {
    let _ = writeln!(text, "-- {title}\n{}", body.trim_end());
}

fn lift(arch: Arch, bytes: &[u8]) -> Region {
    let mut fetch = |pc: u64, buffer: &mut [u8]| fetch_from(bytes, PC_OF_INSTRUCTION, pc, buffer);
    lift_region(arch, PC_OF_INSTRUCTION, Shape::Instruction, &mut fetch).0
}

/// Executes the region in the interpreter and as compiled code, each from the same registers.
fn run_both(region: &Region, compiled: impl FnOnce(&mut CpuState) -> std::io::Result<()>) -> String {
    let touches_memory =
        region.insts.iter().any(|inst| matches!(inst.op.info().effect, Effect::Load | Effect::Store | Effect::Atomic));
    let memory = vec![0u8; SCRATCH_SIZE];
    let base = if touches_memory { memory.as_ptr() as u64 + SCRATCH_SIZE as u64 / 2 } else { 0 };
    let before = registers(region.arch, base);
    let mut interpreted = before.fork();
    let exit = Interpreter::default().run(region, &mut interpreted);
    let mut text = format!("interpreter: {}\n{}", exit.reason.name(), changes(region.arch, &before, &interpreted));
    let mut after = before.fork();
    match compiled(&mut after) {
        Ok(()) => {
            let reason = philae_ir::ExitReason::from_number(after.ctl.exit_reason);
            let _ = write!(text, "cranelift: {}\n{}", reason.name(), changes(region.arch, &before, &after));
        }
        Err(error) => {
            let _ = writeln!(text, "cranelift: {error}");
        }
    }
    text
}

/// Registers to start with: number n is n, or the address of some memory if the instruction accesses memory.
fn registers(arch: Arch, base: u64) -> CpuState {
    let mut cpu = CpuState::default();
    let general: &[_] = match arch {
        Arch::Aarch64 => &aarch64::X,
        Arch::X86_64 => &x86_64::GPR,
    };
    for (n, &slot) in general.iter().enumerate() {
        cpu.set(slot, base + n as u64);
    }
    match arch {
        Arch::Aarch64 => cpu.set(aarch64::SP, base.max(0x1000)),
        Arch::X86_64 => {
            cpu.set(x86_64::MXCSR, 0x1f80);
            cpu.set(x86_64::X87_CONTROL, 0x37f);
        }
    }
    cpu.set_pc(PC_OF_INSTRUCTION);
    cpu
}

/// One line for each register that changed.
fn changes(arch: Arch, before: &CpuState, after: &CpuState) -> String {
    let mut text = String::new();
    for info in arch.slots().iter().filter(|info| info.life == philae_ir::state::Life::Guest || info.slot == PC) {
        let wide = matches!(info.ty, Ty::V128 | Ty::I128);
        let read = |cpu: &CpuState| if wide { cpu.get128(info.slot) } else { u128::from(cpu.get(info.slot)) };
        if read(before) != read(after) {
            let _ = writeln!(text, "  {} {:#x} -> {:#x}", info.name, read(before), read(after));
        }
    }
    text
}
