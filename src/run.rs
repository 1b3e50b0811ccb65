//! The loop of a guest thread: execute, then see to what ended execution.
//!
//! What must hold when translated code is entered: the thread's tables follow the cache's generation, and nothing is
//! pending that was noticed before. A signal that arrives later finds the poll word and the jump cache.

use crate::background::Admission;
use crate::cache::{Added, Found, Maker, SlotPointer};
use crate::chaos::{Chaos, Disturbance, Flip};
use crate::check::{self, Check};
use crate::fault::{self, FaultKind, GENERAL_PROTECTION, HostFault, SEGV_ACCERR, SEGV_MAPERR, SI_KERNEL, STACK_FAULT};
use crate::first_runs::FIRST_RUNS;
use crate::options::Tier;
use crate::runtime::Runtime;
use crate::thread::Thread;
use crate::trace::Place;
use crate::translate::{Fate, Lifted};
use crate::{disassemble, exec, host, spawn, tier, translate};
use philae_backends::compiled::CompileError;
use philae_backends::cranelift::{Compiler, Recovery};
use philae_backends::{Exit, FloatControl, Raised, baseline, link};
use philae_frontends::{Changes, x86_64};
use philae_ir::state::{NZCV, aarch64};
use philae_ir::{Arch, ExitReason, Floats};
use philae_syscalls::loan::by_lender;
use philae_syscalls::signal::{self, Delivery, FaultContext, SigInfo};
use philae_syscalls::{Then, arch as abi, put_off_call, strace, system_call, table, uaccess};
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// `si_code` values of `sigaction(2)`.
const ILL_ILLOPC: i32 = 1;
const FPE_INTDIV: i32 = 1;
const TRAP_BRKPT: i32 = 1;
const BUS_ADRALN: i32 = 1;

/// Notes that the region at `pc` stays without code.
pub fn report_refusal(runtime: &Runtime, pc: u64, error: &CompileError) {
    runtime.stats.refused.add(1);
    if !runtime.options.dump.items.is_empty() {
        runtime.log.write(&format!("-- not compiled: {pc:#x}: {error}\n"));
    }
}

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

/// What is stale: the line that the guest names, or what comes from the byte where a block found itself changed.
fn stale_range(arch: Arch, address: u64) -> Range<u64> {
    match arch {
        Arch::Aarch64 => {
            let line = aarch64::untagged(address) & !63;
            line..line + 64
        }
        Arch::X86_64 => address..address.saturating_add(1),
    }
}

/// The bytes from `pc` on, as many as an instruction may have, and how many of them there are.
fn readable_code(pc: u64) -> ([u8; 15], usize) {
    let mut bytes = [0; 15];
    let length = (1..=bytes.len()).rev().find(|&n| uaccess::read_bytes(pc, &mut bytes[..n]).is_ok());
    (bytes, length.unwrap_or(0))
}

/// A block that is executed without code.
enum Cold {
    /// The one at this address of the thread's table.
    Known(u64),
    /// The one that was lifted last.
    Lifted,
    /// The one at the pc, while it is decoded.
    AtOnce,
}

impl Thread {
    /// Runs the guest thread until it ends.
    pub fn run(&mut self) -> End {
        loop {
            if let Some(end) = self.settle() {
                return end;
            }
            let exit = self.execute();
            let end = if exit.reason == ExitReason::Syscall { self.system_call() } else { self.follow(exit) };
            if let Some(end) = end {
                return end;
            }
        }
    }

    /// Takes back the request to leave translated code, and delivers what is pending.
    fn settle(&mut self) -> Option<End> {
        self.disturb();
        self.runtime.follow_tags();
        self.follow_floats();
        self.synchronise();
        if self.restarts || signal::pending(&self.task) { self.deliver() } else { None }
    }

    #[inline(never)]
    fn deliver(&mut self) -> Option<End> {
        while std::mem::take(&mut self.restarts) || signal::pending(&self.task) {
            // The handler's frame shows what has been raised.
            if self.task.arch == Arch::Aarch64 {
                self.float_status();
            }
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
            Disturbance::Forget => _ = self.runtime.cache.invalidate(pc..pc.saturating_add(1)),
            Disturbance::Discard => self.runtime.cache.discard_code(),
            Disturbance::Renew => self.runtime.cache.renew(),
            Disturbance::Expel => self.runtime.cache.expel(),
            Disturbance::Fork => spawn::unseen_child(self),
        }
    }

    /// Executes guest code from the pc on, until something ends it that is not a jump to known code.
    fn execute(&mut self) -> Exit {
        loop {
            let exit = self.execute_once();
            let leave = self.cpu.ctl.poll.load(Ordering::Acquire) != 0;
            if !exit.reason.is_jump() || leave {
                link::settle_flags(&mut self.cpu);
                return exit;
            }
        }
    }

    /// Executes what is at the pc: code for as long as it links, or a block without code.
    fn execute_once(&mut self) -> Exit {
        let pc = self.cpu.pc();
        let flip = self.chaos.as_mut().map_or(Flip::Nothing, Chaos::flip);
        if flip == Flip::Interpret {
            return self.interpret_afresh(pc);
        }
        // What an exit was not linked to is unknown more often than not, and whoever translates it sees whether it is.
        let unknown = self.through_link;
        if !unknown
            && let Some(slot) = self.remembered_slot(pc)
            && slot.code().is_some()
        {
            return self.execute_code(slot, flip);
        }
        if self.table.get(pc).is_some() {
            return self.execute_block(pc, flip);
        }
        self.counts.misses += 1;
        let known = if unknown { None } else { self.runtime.cache.find(pc) };
        if known.is_some() {
            self.tidings.tell(pc);
        }
        // What code leads to that was worth making goes on to be executed more often than not, but for what a thread
        // does first.
        let once = !unknown || self.counts.without_code < tier::FIRST_AT_ONCE;
        let makes_nothing = once && known.is_none() && tier::starts_without_code(self.runtime.options.tier);
        if makes_nothing && FIRST_RUNS.is_first(pc) {
            self.tidings.tell(pc);
            return self.execute_afresh(pc);
        }
        match known.or_else(|| self.translate(pc)) {
            Some(Found::Code(slot)) => self.execute_code(slot, flip),
            Some(Found::Block(entry)) => {
                self.table.insert(entry);
                self.execute_block(pc, flip)
            }
            None => self.execute_afresh(pc),
        }
    }

    /// Executes the code that a slot is linked to.
    fn execute_code(&mut self, slot: SlotPointer, flip: Flip) -> Exit {
        if slot.heat() < 0 || flip == Flip::Compile {
            self.compile_by_tier(self.cpu.pc(), slot, flip);
        }
        match slot.code() {
            Some(code) => self.enter(slot, code),
            // Another thread has just forgotten it.
            None => Exit { reason: ExitReason::Jump, argument: 0 },
        }
    }

    /// Executes the block at `pc` that is in the thread's table, or its code if there is some by now.
    fn execute_block(&mut self, pc: u64, flip: Flip) -> Exit {
        let Some(slot) = self.table.get(pc).expect("it has just been found").slot else {
            self.runtime.cache.has_room();
            return self.run_cold(Cold::Known(pc));
        };
        if slot.code().is_none() && (tier::count(slot) < 0 || flip == Flip::Compile) {
            self.compile_by_tier(pc, slot, flip);
        }
        match slot.code() {
            Some(code) => self.enter(slot, code),
            None => self.run_cold(Cold::Known(pc)),
        }
    }

    /// Executes what the guest has at `pc`, where it is, without keeping anything of it.
    fn execute_afresh(&mut self, pc: u64) -> Exit {
        // A child of vfork takes no memory of its own, and who compares or looks on wants the region.
        let shown = self.check.is_some() || !self.runtime.options.dump.items.is_empty();
        if shown || !self.task.owns_memory() { self.interpret_afresh(pc) } else { self.run_cold(Cold::AtOnce) }
    }

    /// The same by way of a region.
    pub fn interpret_afresh(&mut self, pc: u64) -> Exit {
        let from = self.clock.go(Place::Translating);
        by_lender(|| {
            let Thread { runtime, task, workshop, .. } = self;
            translate::block(runtime, &task.mm, pc, tier::BLOCK_LIMIT, Fate::Executed, workshop);
        });
        self.clock.go(from);
        self.run_cold(Cold::Lifted)
    }

    /// Executes a block without code.
    fn run_cold(&mut self, block: Cold) -> Exit {
        self.counts.without_code += 1;
        self.through_link = false;
        link::settle_flags(&mut self.cpu);
        let _alone = self.check.as_deref().map(Check::alone);
        let control = FloatControl::of(self.task.arch, &self.cpu);
        control.set();
        let from = self.clock.go(Place::WithoutCode);
        let exit = match block {
            Cold::Known(pc) => {
                let steps = &self.table.get(pc).expect("it has been found").steps;
                self.interpreter.run_steps(steps, &mut self.cpu)
            }
            Cold::Lifted => self.interpreter.run(self.workshop.block(), &mut self.cpu),
            Cold::AtOnce => {
                let Thread { runtime, task, workshop, interpreter, cpu, .. } = self;
                translate::execute(runtime, &task.mm, cpu, tier::BLOCK_LIMIT, workshop, interpreter)
            }
        };
        self.clock.go(from);
        control.reset();
        exit
    }

    /// Translates the block at `pc`; nothing if it is not to be kept.
    pub fn translate(&mut self, pc: u64) -> Option<Found> {
        let from = self.clock.go(Place::Translating);
        let found = by_lender(|| self.translated(pc));
        self.clock.go(from);
        found
    }

    /// Translates what children had to, as far as it is not known here, and makes indirect branches find it: the next
    /// child will have it.
    pub fn translate_for_children(&mut self) {
        for pc in self.tidings.collect() {
            let known = self.runtime.cache.find(pc);
            if let Some(Found::Code(slot)) = known.or_else(|| self.translate(pc)) {
                self.remember_slot(pc, slot);
            }
        }
    }

    fn translated(&mut self, pc: u64) -> Option<Found> {
        self.tidings.tell(pc);
        let mut limit = tier::BLOCK_LIMIT;
        loop {
            let Thread { runtime, task, workshop, .. } = self;
            let tier = runtime.options.tier;
            let block = translate::block(runtime, &task.mm, pc, limit, Fate::Kept, workshop);
            if block.is_cut {
                return None;
            }
            if tier::starts_in_baseline(tier) {
                match translate::unit(runtime, workshop, &block) {
                    Ok(Added::Code(slot)) => {
                        if block.changes == Changes::Unannounced {
                            slot.set_heat(tier::heat_of_written(tier, task.mm.times_caught(pc)));
                        } else {
                            self.translate_ahead(block);
                        }
                        return Some(Found::Code(slot));
                    }
                    Ok(Added::Outdated) => continue,
                    Ok(Added::Full) => drop(runtime.cache.has_room()),
                    Err(CompileError::TooManyValues) if block.instructions > 1 => {
                        limit = block.instructions / 2;
                        continue;
                    }
                    Err(error) => report_refusal(runtime, pc, &error),
                }
            }
            let found = runtime.cache.insert_block(pc, workshop.steps(), &block.range, block.generation);
            if found.is_some() {
                return found;
            }
        }
    }

    /// Compiles what is about to be executed for certain: where the block that was compiled last goes, if that is one
    /// place, and so on. Later each would take an exit and an entry.
    fn translate_ahead(&mut self, first: Lifted) {
        let mut way = self.workshop.only_way();
        self.translate_returns(first);
        for _ in 0..tier::WAYS_AHEAD {
            let Some(pc) = way.filter(|&pc| self.runtime.cache.find(pc).is_none()) else { return };
            let Some((_, block)) = self.translate_one(pc) else { return };
            way = self.workshop.only_way();
            self.translate_returns(block);
        }
    }

    /// Compiles the block at `pc`, unless it is one that is better compiled when it is executed.
    fn translate_one(&mut self, pc: u64) -> Option<(SlotPointer, Lifted)> {
        let Thread { runtime, task, workshop, .. } = self;
        let block = translate::block(runtime, &task.mm, pc, tier::BLOCK_LIMIT, Fate::Kept, workshop);
        if block.is_cut || block.changes == Changes::Unannounced {
            return None;
        }
        match translate::unit(&self.runtime, &mut self.workshop, &block) {
            Ok(Added::Code(slot)) => Some((slot, block)),
            Ok(Added::Outdated | Added::Full) | Err(_) => None,
        }
    }

    /// Compiles where the call returns to that a block ends with, hardly any of which never returns, and makes returns
    /// find it: later it would take an exit and an entry. The same with the block there.
    fn translate_returns(&mut self, mut last: Lifted) {
        for _ in 0..tier::RETURNS_AHEAD {
            let pc = last.range.end;
            if !self.workshop.ends_with_call() {
                return;
            }
            match self.runtime.cache.find(pc) {
                Some(Found::Code(slot)) => return self.remember_slot(pc, slot),
                Some(Found::Block(_)) => return,
                None => {}
            }
            let Some((slot, block)) = self.translate_one(pc) else { return };
            last = block;
            self.remember_slot(pc, slot);
        }
    }

    /// Sees to it that the region that starts at `pc` is compiled, at once or soon.
    fn compile_by_tier(&mut self, pc: u64, slot: SlotPointer, flip: Flip) {
        let from = self.clock.go(Place::Translating);
        by_lender(|| match self.runtime.options.tier {
            Tier::Interp | Tier::Baseline => slot.set_heat(tier::SETTLED),
            Tier::Auto if flip != Flip::Compile => self.request(pc, slot),
            Tier::Auto | Tier::Cranelift => self.compile(pc, slot),
        });
        self.clock.go(from);
    }

    /// Hands the region that starts at `pc` to the background compiler.
    fn request(&mut self, pc: u64, slot: SlotPointer) {
        if self.task.owns_memory() {
            self.runtime.background.adopt();
        }
        match self.runtime.background.admit(pc) {
            Admission::Known => slot.set_heat(tier::SETTLED),
            Admission::Later => slot.set_heat(tier::SOON),
            Admission::Lift(limit) => {
                slot.set_heat(tier::SETTLED);
                let job = translate::region(&self.runtime, &self.task.mm, pc, limit, &self.went);
                if self.runtime.background.request(&self.runtime, job).is_err() {
                    self.compile(pc, slot);
                }
            }
        }
    }

    /// Compiles the region that starts at `pc` and publishes it. What the compiler's own arithmetic raises is not the
    /// guest's.
    fn compile(&mut self, pc: u64, slot: SlotPointer) {
        let raised = Raised::take();
        self.compile_and_publish(pc, slot);
        raised.give_back();
    }

    fn compile_and_publish(&mut self, pc: u64, slot: SlotPointer) {
        let delay = self.chaos.as_mut().map_or(Duration::ZERO, Chaos::delay);
        let runtime = &self.runtime;
        if !runtime.cache.has_room() {
            // Baseline code goes on only while there is heat left.
            slot.set_heat(tier::first_heat(runtime.options.tier));
            return;
        }
        slot.set_heat(tier::SETTLED);
        let mut limit = tier::REGION_LIMIT;
        loop {
            let mut job = translate::region(runtime, &self.task.mm, pc, limit, &self.went);
            if job.is_cut {
                return;
            }
            let result = {
                let mut compiler = runtime.compiler.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                let compiler = compiler.get_or_insert_with(|| Compiler::with_recovery(Recovery::InLoops));
                translate::compile(runtime, compiler, &mut job)
            };
            match result {
                Ok(code) => {
                    if !delay.is_zero() {
                        std::thread::sleep(delay);
                    }
                    if translate::publish(runtime, code, job).is_none() {
                        slot.set_heat(tier::first_heat(runtime.options.tier));
                    }
                    return;
                }
                Err(CompileError::TooManyFaults) if limit > 1 => limit /= 2,
                Err(error) => return report_refusal(runtime, pc, &error),
            }
        }
    }

    fn enter(&mut self, slot: SlotPointer, code: u64) -> Exit {
        self.counts.entered += 1;
        if !self.through_link {
            self.remember_slot(self.cpu.pc(), slot);
        }
        if self.chaos.as_mut().is_some_and(Chaos::leaves) {
            self.cpu.ctl.poll.store(1, Ordering::Release);
        }
        match self.check.clone() {
            Some(check) => check::enter(self, &check, slot, code),
            None => self.run_code(code),
        }
    }

    /// Runs code until it leaves.
    pub fn run_code(&mut self, code: u64) -> Exit {
        let control = FloatControl::of(self.task.arch, &self.cpu);
        let from = self.clock.go(Place::Guest);
        control.set();
        // SAFETY: the address is that of compiled code for this guest, which stays until this thread follows a
        // change; `synchronise` has set the jump cache, and everything code links to comes from the same cache.
        unsafe { link::enter_unsettled(code as *const u8, &mut self.cpu) };
        control.reset();
        self.clock.go(from);
        self.through_link = self.cpu.ctl.exit_link != 0;
        // Code that is to be translated now takes the flags as this has left them.
        if !self.through_link || self.check.is_some() {
            link::settle_flags(&mut self.cpu);
        }
        self.counts.unlinked += u64::from(self.through_link);
        let reason = ExitReason::from_number(self.cpu.ctl.exit_reason);
        if let Some(host_pc) = fault::peek_host_pc() {
            let site = self.runtime.cache.fault_site(host_pc).unwrap_or_else(|| self.unknown_fault(host_pc));
            if site.maker == Maker::Baseline {
                baseline::store_pinned(self.task.arch, &mut self.cpu);
            }
            self.cpu.set_pc(site.pc);
            let reason = match fault::peek().map(|fault| fault.kind) {
                Some(FaultKind::WroteCode) => ExitReason::Interrupted,
                Some(FaultKind::Guest) | None => ExitReason::Fault,
            };
            return Exit { reason, argument: 0 };
        }
        Exit { reason, argument: self.cpu.ctl.exit_argument }
    }

    fn unknown_fault(&self, host_pc: u64) -> ! {
        let region = self.runtime.cache.region_at(host_pc);
        panic!("fault at host pc {host_pc:#x} in the region at {region:x?}, where no access was compiled")
    }

    /// Sees to what ended execution.
    #[inline(never)]
    fn follow(&mut self, exit: Exit) -> Option<End> {
        let pc = self.cpu.pc();
        match exit.reason {
            ExitReason::Jump | ExitReason::Call | ExitReason::Return => {}
            ExitReason::Interrupted => {
                if fault::take().is_some_and(|fault| fault.kind == FaultKind::WroteCode) {
                    // The write at last, before its page is watched again.
                    let exit = self.execute_afresh(pc);
                    return self.follow(exit);
                }
            }
            ExitReason::Syscall => return self.system_call(),
            ExitReason::StaleCode => self.forget_stale(exit.argument),
            ExitReason::ExactFloats => self.write_float_status(exit.argument),
            ExitReason::FloatStatus => {
                let status = self.float_status();
                if let Some(&slot) = aarch64::X.get(exit.argument as usize) {
                    self.cpu.set(slot, status);
                }
            }
            ExitReason::RandomNumber => self.random_number(exit.argument as usize),
            ExitReason::FloatModes => self.require_floats(aarch64::floats_for(exit.argument)),
            ExitReason::Fault => self.memory_fault(exit.argument),
            // Branches, too, ignore the top byte: the pc never has one (Arm ARM, AArch64.BranchAddr).
            ExitReason::FetchFault if self.task.arch == Arch::Aarch64 && aarch64::untagged(pc) != pc => {
                self.cpu.set_pc(aarch64::untagged(pc));
            }
            ExitReason::FetchFault => {
                let mapped = self.task.mm.find(exit.argument).is_some();
                let code = if mapped { SEGV_ACCERR } else { SEGV_MAPERR };
                // Instruction fetch from user mode: x86 vector 14, error bits U and I/D, P if the page is there.
                let error = 0x14 | u64::from(mapped);
                let fault = FaultContext { address: exit.argument, trap: 14, error };
                self.force(libc::SIGSEGV, code, exit.argument, fault);
            }
            ExitReason::Misaligned => {
                let address = aarch64::untagged(exit.argument);
                self.force(libc::SIGBUS, BUS_ADRALN, address, FaultContext::default());
            }
            ExitReason::Undefined => {
                self.report_undefined(pc);
                self.force(libc::SIGILL, ILL_ILLOPC, pc, FaultContext { address: 0, trap: 6, error: 0 });
            }
            // do_el0_bti of arch/arm64/kernel/traps.c.
            ExitReason::BranchTarget => self.force(libc::SIGILL, ILL_ILLOPC, pc, FaultContext::default()),
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

    /// The guest has written code. What has run once there, and was not worth making code of, is new again.
    fn forget_stale(&self, address: u64) {
        let range = stale_range(self.task.arch, address);
        if !self.runtime.forget(range.clone()) && self.task.arch == Arch::Aarch64 {
            FIRST_RUNS.forget(range);
        }
    }

    /// From now on, more of the floating-point environment is followed. Until flags are, they were those of the host's
    /// units.
    fn require_floats(&mut self, floats: Floats) {
        self.runtime.require_floats(floats);
        self.follow_floats();
    }

    /// RNDR: a random number and NZCV 0, or 0 and Z where there is none.
    fn random_number(&mut self, register: usize) {
        const Z: u64 = 4;
        let number = host::random_number();
        if let Some(&slot) = aarch64::X.get(register) {
            self.cpu.set(slot, number.unwrap_or(0));
        }
        self.cpu.set(NZCV, if number.is_some() { 0 } else { Z });
    }

    /// The guest writes FPSR, whose flags are not kept. What keeps all that has been raised, as where a program gives back
    /// what it has saved, changes nothing or adds to it. Only where flags go, the next ones count.
    fn write_float_status(&mut self, status: u64) {
        let before = self.float_status();
        if status != 0 && before & !status == 0 {
            self.cpu.set(aarch64::FPSR, status);
            self.cpu.set_pc(self.cpu.pc() + 4);
        } else {
            self.require_floats(Floats::Exact);
        }
    }

    /// Where flags are kept from now on, those of the host's units count for the last time.
    fn follow_floats(&mut self) {
        if !self.keeps_float_flags && self.runtime.floats() == Floats::Exact {
            self.float_status();
            self.keeps_float_flags = true;
        }
    }

    /// FPSR with what has been raised since it was last asked for.
    fn float_status(&mut self) -> u64 {
        let host = if self.keeps_float_flags { 0 } else { FloatControl::take_flags() };
        let status = aarch64::float_status(&self.cpu) | u64::from(host);
        aarch64::set_float_status(&mut self.cpu, status);
        status
    }

    /// Passes a fault of the guest's own on, as the host saw it.
    fn memory_fault(&mut self, address: u64) {
        let pc = self.cpu.pc();
        let HostFault { mut info, mut context, .. } = fault::take()
            .unwrap_or_else(|| panic!("fault at guest pc {pc:#x}, address {address:#x}, without a signal"));
        if self.task.arch == Arch::X86_64 && context.trap == GENERAL_PROTECTION && self.faults_by_stack(pc) {
            context.trap = STACK_FAULT;
            info = SigInfo::fault(libc::SIGBUS, SI_KERNEL, 0);
        }
        signal::force_signal(&mut self.task, info, context);
    }

    /// Whether the x86_64 instruction at `pc` has failed in the stack segment.
    fn faults_by_stack(&self, pc: u64) -> bool {
        let (bytes, length) = readable_code(pc);
        x86_64::faults_by_stack(&bytes[..length], &self.cpu)
    }

    fn force(&mut self, number: i32, code: i32, address: u64, fault: FaultContext) {
        signal::force_signal(&mut self.task, SigInfo::fault(number, code, address), fault);
    }

    /// One line for an instruction that will kill the program.
    fn report_undefined(&self, pc: u64) {
        if self.task.sighand.action(libc::SIGILL).handler > signal::SIG_IGN {
            return;
        }
        let (bytes, length) = readable_code(pc);
        let text = disassemble::instruction(self.task.arch, pc, &bytes[..length]);
        self.runtime.log.write(&format!("philae: undefined instruction at {pc:#x}: {text}\n"));
    }

    /// Two calls ask for a process of one thread.
    fn prepare_call(&self) {
        let (number, _) = abi::call_registers(self.task.arch, &self.cpu);
        let row = table::find(self.task.arch, number);
        if row.is_some_and(|row| matches!(row.name, "unshare" | "setns")) {
            by_lender(|| self.runtime.background.stop());
        }
    }

    #[inline(never)]
    fn describe_call(&self) -> String {
        let (number, args) = abi::call_registers(self.task.arch, &self.cpu);
        format!("{} {}", self.task.tid, strace::describe(self.task.arch, number, args))
    }

    #[inline(never)]
    fn system_call(&mut self) -> Option<End> {
        self.counts.system_calls += 1;
        self.leave_translated_code();
        self.prepare_call();
        let trace = self.runtime.options.strace.then(|| self.describe_call());
        self.check.iter().for_each(|check| check.begin_call());
        let from = self.clock.go(Place::Call);
        let outcome = if self.chaos.as_mut().is_some_and(Chaos::puts_off_call) {
            put_off_call(&mut self.task, &mut self.cpu)
        } else {
            system_call(&mut self.task, &mut self.cpu)
        };
        self.clock.go(from);
        self.check.iter().for_each(|check| check.end_call());
        if let Some(call) = trace {
            self.runtime.log.write(&format!("{call}{}\n", strace::result(outcome.value)));
        }
        if self.task.sighand.handles_faults() {
            self.runtime.require_exactness();
        }
        match outcome.then {
            Then::Continue => {}
            Then::SigReturn => {
                // What the handler has raised goes: FPSR is the frame's.
                if self.task.arch == Arch::Aarch64 {
                    FloatControl::take_flags();
                }
                if self.task.arch == Arch::Aarch64 {
                    self.require_floats(aarch64::floats_for(self.cpu.get(aarch64::FPCR)));
                }
            }
            Then::Restart => self.restarts = true,
            Then::Thread(mut child) => {
                if self.task.arch == Arch::Aarch64 {
                    let status = self.float_status();
                    // The child's host thread starts with the flags of this one's unit.
                    FloatControl::take_flags();
                    aarch64::set_float_status(&mut child.cpu, status);
                }
                spawn::thread(self, child);
            }
            Then::Fork(child) => spawn::process(self, &child),
            Then::Exec(request) => exec::replace(self, &request),
            Then::ExitThread(status) => return Some(End::Thread(status)),
            Then::ExitGroup(status) => return Some(End::Process(status)),
        }
        None
    }
}
