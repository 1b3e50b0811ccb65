//! The loop of a guest thread: execute, then see to what ended execution.
//!
//! What must hold when translated code is entered: the thread's tables follow the cache's generation, and nothing is
//! pending that was noticed before. A signal that arrives later finds the poll word and the jump cache.

use crate::cache::{Entry, SlotPointer};
use crate::chaos::{Chaos, Disturbance, Flip};
use crate::fault::{self, HostFault, SEGV_ACCERR};
use crate::thread::Thread;
use crate::{disassemble, exec, spawn, tier, translate};
use philae_backends::{Exit, FloatControl, link};
use philae_ir::{Arch, ExitReason};
use philae_syscalls::signal::{self, Delivery, FaultContext, SigInfo};
use philae_syscalls::{Then, arch as abi, strace, system_call, uaccess};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// `si_code` values of `sigaction(2)`.
const ILL_ILLOPC: i32 = 1;
const FPE_INTDIV: i32 = 1;
const TRAP_BRKPT: i32 = 1;
const BUS_ADRALN: i32 = 1;
const SEGV_MAPERR: i32 = 1;
const SI_KERNEL: i32 = 0x80;

/// How a guest thread ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The thread alone, with this status.
    Thread(i32),
    /// The whole process, with this status.
    Process(i32),
    /// The whole process, by this signal.
    Signal(i32),
}

impl Thread {
    /// Runs the guest thread until it ends.
    pub fn run(&mut self) -> End {
        loop {
            if let Some(end) = self.settle() {
                return end;
            }
            let exit = self.execute();
            if let Some(end) = self.follow(exit) {
                return end;
            }
        }
    }

    /// Takes back the request to leave translated code, and delivers what is pending.
    fn settle(&mut self) -> Option<End> {
        self.disturb();
        self.synchronise();
        while std::mem::take(&mut self.restarts) || signal::pending(&self.task) {
            match signal::deliver(&mut self.task, &mut self.cpu) {
                Delivery::None => break,
                Delivery::Handler => {}
                Delivery::Kill(number) => return Some(End::Signal(number)),
            }
        }
        None
    }

    /// With `--chaos`: what other threads might do to this one's code.
    fn disturb(&mut self) {
        let Some(chaos) = &mut self.chaos else { return };
        let pc = self.cpu.pc();
        match chaos.disturbance() {
            Disturbance::Nothing => {}
            Disturbance::Forget => self.runtime.cache.invalidate(pc..pc.saturating_add(1)),
            Disturbance::Discard => self.runtime.cache.discard_code(),
            Disturbance::Renew => self.runtime.cache.renew(),
        }
    }

    /// Executes guest code from the pc on, until something ends it that is not a jump to known code.
    fn execute(&mut self) -> Exit {
        loop {
            let exit = self.execute_once();
            let leave = self.cpu.ctl.poll.load(Ordering::Acquire) != 0;
            if !exit.reason.is_jump() || leave {
                return exit;
            }
        }
    }

    /// Executes what is at the pc: a block in the interpreter, or compiled code for as long as it links.
    fn execute_once(&mut self) -> Exit {
        let pc = self.cpu.pc();
        if self.table.get(pc).is_none() {
            self.find(pc);
        }
        let entry = self.table.get(pc).expect("it has just been found");
        let flip = self.chaos.as_mut().map_or(Flip::Nothing, Chaos::flip);
        if let Some(slot) = entry.slot.filter(|_| flip != Flip::Interpret) {
            let known = slot.code();
            let code = if known.is_none() && (tier::is_time(slot) || flip == Flip::Compile) {
                let delay = self.chaos.as_mut().map_or(Duration::ZERO, Chaos::delay);
                self.compile(pc, slot, delay)
            } else {
                known
            };
            if let Some(code) = code {
                return self.enter(slot, code);
            }
        }
        if entry.is_outdated() {
            self.runtime.forget(pc..pc.saturating_add(1));
            return Exit { reason: ExitReason::Interrupted, argument: 0 };
        }
        self.counts.interpreted += 1;
        let control = FloatControl::of(self.task.arch, &self.cpu);
        control.set();
        let exit = self.interpreter.run_steps(&entry.steps, &mut self.cpu);
        control.reset();
        exit
    }

    /// Puts the entry at `pc` into the thread's table.
    fn find(&mut self, pc: u64) {
        self.counts.misses += 1;
        let known = self.runtime.cache.find(pc);
        let entry = known.unwrap_or_else(|| self.lift(pc));
        self.table.insert(entry);
    }

    fn lift(&mut self, pc: u64) -> Arc<Entry> {
        loop {
            let generation = self.runtime.cache.generation();
            let (steps, source) = translate::block(&self.runtime, &self.task.mm, pc, &mut self.scratch);
            if let Some(entry) = self.runtime.cache.insert_block(pc, steps, source, generation) {
                return entry;
            }
        }
    }

    /// Compiles the region that starts at `pc`, and publishes it after a delay; gives its code.
    fn compile(&self, pc: u64, slot: SlotPointer, delay: Duration) -> Option<u64> {
        let generation = self.runtime.cache.generation();
        if !self.runtime.cache.has_room() {
            return None;
        }
        match translate::region(&self.runtime, &self.task.mm, pc) {
            Ok((code, coverage)) => {
                if !delay.is_zero() {
                    std::thread::sleep(delay);
                }
                self.runtime.cache.insert_code(pc, &code, coverage, generation)?.code()
            }
            Err(error) => {
                tier::refuse(slot);
                self.runtime.stats.refused.add(1);
                if !self.runtime.options.dump.items.is_empty() {
                    self.runtime.log.write(&format!("-- not compiled: {pc:#x}: {error}\n"));
                }
                None
            }
        }
    }

    fn enter(&mut self, slot: SlotPointer, code: u64) -> Exit {
        self.counts.entered += 1;
        self.remember_slot(self.cpu.pc(), slot);
        if self.chaos.as_mut().is_some_and(Chaos::leaves) {
            self.cpu.ctl.poll.store(1, Ordering::Release);
        }
        let control = FloatControl::of(self.task.arch, &self.cpu);
        control.set();
        // SAFETY: the address is that of compiled code for this guest, which stays until this thread follows a
        // change; `synchronise` has set the jump cache, and everything code links to comes from the same cache.
        unsafe { link::enter(code as *const u8, &mut self.cpu) };
        control.reset();
        self.counts.unlinked += u64::from(self.cpu.ctl.exit_link != 0);
        let reason = ExitReason::from_number(self.cpu.ctl.exit_reason);
        if let Some(host_pc) = fault::peek_host_pc() {
            let pc = self.runtime.cache.fault_pc(host_pc);
            self.cpu.set_pc(pc.unwrap_or_else(|| self.unknown_fault(host_pc)));
            return Exit { reason: ExitReason::Fault, argument: 0 };
        }
        Exit { reason, argument: self.cpu.ctl.exit_argument }
    }

    fn unknown_fault(&self, host_pc: u64) -> ! {
        let region = self.runtime.cache.region_at(host_pc);
        panic!("fault at host pc {host_pc:#x} in the region at {region:x?}, where no access was compiled")
    }

    /// Sees to what ended execution.
    fn follow(&mut self, exit: Exit) -> Option<End> {
        let pc = self.cpu.pc();
        match exit.reason {
            ExitReason::Jump | ExitReason::Call | ExitReason::Return | ExitReason::Interrupted => {}
            ExitReason::Syscall => return self.system_call(),
            ExitReason::StaleCode => {
                let line = exit.argument & !63;
                self.runtime.forget(line..line + 64);
            }
            ExitReason::Fault => self.memory_fault(exit.argument),
            ExitReason::FetchFault => {
                let mapped = self.task.mm.find(exit.argument).is_some();
                let code = if mapped { SEGV_ACCERR } else { SEGV_MAPERR };
                // Instruction fetch from user mode: x86 vector 14, error bits U and I/D, P if the page is there.
                let error = 0x14 | u64::from(mapped);
                let fault = FaultContext { address: exit.argument, trap: 14, error };
                self.force(libc::SIGSEGV, code, exit.argument, fault);
            }
            ExitReason::Misaligned => {
                self.force(libc::SIGBUS, BUS_ADRALN, exit.argument, FaultContext::default());
            }
            ExitReason::Undefined => {
                self.report_undefined(pc);
                self.force(libc::SIGILL, ILL_ILLOPC, pc, FaultContext { address: 0, trap: 6, error: 0 });
            }
            ExitReason::Breakpoint => {
                // The x86 kernel reports INT3 without an address (SI_KERNEL).
                let (code, address) = match self.task.arch {
                    Arch::Aarch64 => (TRAP_BRKPT, pc),
                    Arch::X86_64 => (SI_KERNEL, 0),
                };
                self.force(libc::SIGTRAP, code, address, FaultContext { address: 0, trap: 3, error: 0 });
            }
            ExitReason::DivideError => self.force(libc::SIGFPE, FPE_INTDIV, pc, FaultContext::default()),
            ExitReason::Protection => {
                self.force(libc::SIGSEGV, SI_KERNEL, 0, FaultContext { address: 0, trap: 13, error: 0 });
            }
        }
        None
    }

    /// Passes a fault of the guest's own on, as the host saw it.
    fn memory_fault(&mut self, address: u64) {
        let pc = self.cpu.pc();
        let HostFault { info, context, .. } = fault::take()
            .unwrap_or_else(|| panic!("fault at guest pc {pc:#x}, address {address:#x}, without a signal"));
        signal::force_signal(&mut self.task, info, context);
    }

    fn force(&mut self, number: i32, code: i32, address: u64, fault: FaultContext) {
        signal::force_signal(&mut self.task, SigInfo::fault(number, code, address), fault);
    }

    /// One line for an instruction that will kill the program.
    fn report_undefined(&self, pc: u64) {
        if self.task.sighand.action(libc::SIGILL).handler > signal::SIG_IGN {
            return;
        }
        let mut bytes = [0; 15];
        let length = (1..=bytes.len()).rev().find(|&n| uaccess::read_bytes(pc, &mut bytes[..n]).is_ok()).unwrap_or(0);
        let text = disassemble::instruction(self.task.arch, pc, &bytes[..length]);
        self.runtime.log.write(&format!("philae: undefined instruction at {pc:#x}: {text}\n"));
    }

    fn describe_call(&self) -> String {
        let (number, args) = abi::call_registers(self.task.arch, &self.cpu);
        format!("{} {}", self.task.tid, strace::describe(self.task.arch, number, args))
    }

    fn system_call(&mut self) -> Option<End> {
        self.counts.system_calls += 1;
        self.leave_translated_code();
        let trace = self.runtime.options.strace.then(|| self.describe_call());
        let outcome = system_call(&mut self.task, &mut self.cpu);
        if let Some(call) = trace {
            self.runtime.log.write(&format!("{call}{}\n", strace::result(outcome.value)));
        }
        if self.task.sighand.handles_faults() {
            self.runtime.require_exactness();
        }
        match outcome.then {
            Then::Continue | Then::SigReturn => {}
            Then::Restart => self.restarts = true,
            Then::Thread(child) => spawn::thread(self, *child),
            Then::Fork(child) => spawn::process(self, &child),
            Then::Exec(request) => exec::replace(self, *request),
            Then::ExitThread(status) => return Some(End::Thread(status)),
            Then::ExitGroup(status) => return Some(End::Process(status)),
        }
        None
    }
}
