//! seccomp(2): strict mode, and filters over the guest's numbers and machine.
//!
//! In: a classic BPF program of the guest (linux/filter.h, linux/seccomp.h). Out: for each of its system calls the
//! [`Verdict`] of all its filters. A filter is checked when it is installed, so that running it cannot fail; it
//! stays for the thread, its children and the programs that they become.

use crate::arch::{self, Bytes};
use crate::call::{Call, Outcome, Reply, Then};
use crate::errno::Errno;
use crate::host::{self, KernelSigaction};
use crate::loan::by_lender;
use crate::signal::{self, FaultContext, SigInfo};
use crate::task::Task;
use crate::uaccess::GuestPtr;
use philae_ir::{Arch, CpuState};
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};

/// The restrictions of a task.
#[derive(Clone, Debug, Default)]
pub struct Seccomp {
    mode: Mode,
    /// The process's filters that this thread has taken over; see [`Shared`].
    seen: usize,
}

#[derive(Clone, Debug, Default)]
enum Mode {
    #[default]
    Off,
    Strict,
    Filters(Arc<Filter>),
}

/// An installed filter and those before it.
#[derive(Debug)]
struct Filter {
    program: Vec<Insn>,
    before: Option<Arc<Filter>>,
}

/// Filters that one thread has installed for all (SECCOMP_FILTER_FLAG_TSYNC). Each thread takes them over before its
/// next system call. Without a lock, so that a child of fork finds none taken; what was here stays in memory.
#[derive(Debug, Default)]
pub struct Shared(AtomicPtr<Filter>);

/// `struct sock_filter`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Insn {
    code: u16,
    jump_true: u8,
    jump_false: u8,
    value: u32,
}

impl Insn {
    fn from_word(word: u64) -> Insn {
        let [code_low, code_high, jump_true, jump_false, ..] = word.to_le_bytes();
        Insn { code: u16::from_le_bytes([code_low, code_high]), jump_true, jump_false, value: (word >> 32) as u32 }
    }

    fn word(self) -> u64 {
        u64::from(self.code)
            | u64::from(self.jump_true) << 16
            | u64::from(self.jump_false) << 24
            | u64::from(self.value) << 32
    }
}

/// Bytes in `struct seccomp_data`.
const DATA_SIZE: u32 = 64;
/// BPF_MAXINSNS.
const MOST_INSNS: usize = 4096;
/// BPF_MEMWORDS.
const SCRATCH: usize = 16;

// Classes, sizes, modes, operations of linux/bpf_common.h.
const LD: u16 = 0x00;
const LDX: u16 = 0x01;
const ST: u16 = 0x02;
const STX: u16 = 0x03;
const ALU: u16 = 0x04;
const JMP: u16 = 0x05;
const RET: u16 = 0x06;
const MISC: u16 = 0x07;
const ABS: u16 = 0x20;
const IMM: u16 = 0x00;
const MEM: u16 = 0x60;
const LEN: u16 = 0x80;
/// The operand is X, not the constant.
const X: u16 = 0x08;
/// BPF_RET: the value is A.
const A: u16 = 0x10;
const TXA: u16 = 0x80;

/// EINVAL for a program that the kernel's bpf_check_classic() and seccomp_check_filter() would not take.
fn check(program: &[Insn]) -> Result<(), Errno> {
    let valid = !program.is_empty()
        && program.len() <= MOST_INSNS
        && program.last().is_some_and(|last| last.code & 7 == RET)
        && program.iter().enumerate().all(|(at, insn)| is_valid(insn, program.len() - at - 1));
    if valid { Ok(()) } else { Err(Errno::EINVAL) }
}

/// Is it an instruction of seccomp, `left` others following?
fn is_valid(insn: &Insn, left: usize) -> bool {
    let within = |offset: u32| (offset as usize) < left;
    let Insn { code, value, .. } = *insn;
    match code & 7 {
        LD if code == LD | ABS => value < DATA_SIZE && value % 4 == 0,
        LD | LDX if matches!(code & !7, IMM | LEN) => true,
        LD | LDX if code & !7 == MEM => (value as usize) < SCRATCH,
        ST | STX => code & !7 == 0 && (value as usize) < SCRATCH,
        // ADD, SUB, MUL, DIV, OR, AND, LSH, RSH, NEG, (no MOD), XOR.
        ALU => match code & 0xf0 {
            0x30 if code & X == 0 => value != 0,
            0x60 | 0x70 if code & X == 0 => value < 32,
            0x80 => code & X == 0,
            operation => operation <= 0x70 || operation == 0xa0,
        },
        JMP if code == JMP => within(value),
        // JEQ, JGT, JGE, JSET.
        JMP => {
            matches!(code & 0xf0, 0x10 | 0x20 | 0x30 | 0x40)
                && within(u32::from(insn.jump_true))
                && within(u32::from(insn.jump_false))
        }
        RET => matches!(code, 0x06 | 0x16),
        MISC => matches!(code, 0x07 | 0x87),
        _ => false,
    }
}

/// Runs a checked program over `data`, a `struct seccomp_data` in words of 32 bits.
fn run(program: &[Insn], data: &[u32; 16]) -> u32 {
    let (mut a, mut x, mut at) = (0u32, 0u32, 0usize);
    let mut scratch = [0u32; SCRATCH];
    while let Some(insn) = program.get(at) {
        at += 1;
        let Insn { code, value, .. } = *insn;
        let operand = if code & X != 0 { x } else { value };
        match code & 7 {
            LD if code & 0xe0 == ABS => a = data[value as usize / 4 % 16],
            LD => a = load(code, value, &scratch),
            LDX => x = load(code, value, &scratch),
            ST => scratch[value as usize % SCRATCH] = a,
            STX => scratch[value as usize % SCRATCH] = x,
            ALU => match code & 0xf0 {
                // Dividing by an X of 0 ends the filter with 0.
                0x30 if operand == 0 => return 0,
                operation => a = compute(operation, a, operand),
            },
            JMP if code == JMP => at += value as usize,
            JMP => {
                let holds = match code & 0xf0 {
                    0x10 => a == operand,
                    0x20 => a > operand,
                    0x30 => a >= operand,
                    _ => a & operand != 0,
                };
                at += usize::from(if holds { insn.jump_true } else { insn.jump_false });
            }
            RET => return if code & A != 0 { a } else { value },
            _ if code & TXA != 0 => a = x,
            _ => x = a,
        }
    }
    KILL_PROCESS
}

fn load(code: u16, value: u32, scratch: &[u32; SCRATCH]) -> u32 {
    match code & 0xe0 {
        MEM => scratch[value as usize % SCRATCH],
        LEN => DATA_SIZE,
        _ => value,
    }
}

fn compute(operation: u16, a: u32, operand: u32) -> u32 {
    match operation {
        0x00 => a.wrapping_add(operand),
        0x10 => a.wrapping_sub(operand),
        0x20 => a.wrapping_mul(operand),
        0x30 => a / operand,
        0x40 => a | operand,
        0x50 => a & operand,
        0x60 => a.wrapping_shl(operand),
        0x70 => a.wrapping_shr(operand),
        0x80 => a.wrapping_neg(),
        _ => a ^ operand,
    }
}

// SECCOMP_RET_* of linux/seccomp.h.
const KILL_PROCESS: u32 = 0x8000_0000;
const KILL_THREAD: u32 = 0;
const TRAP: u32 = 0x0003_0000;
const ERRNO: u32 = 0x0005_0000;
const USER_NOTIF: u32 = 0x7fc0_0000;
const TRACE: u32 = 0x7ff0_0000;
const LOG: u32 = 0x7ffc_0000;
const ALLOW: u32 = 0x7fff_0000;
const ACTION: u32 = 0xffff_0000;

/// AUDIT_ARCH_* of linux/audit.h: the ELF machine, 64-bit, little-endian.
fn audit_arch(arch: Arch) -> u32 {
    0xc000_0000 | u32::from(arch::elf_machine(arch))
}

/// What all filters together say: the strictest; of equals, the newest.
fn verdict(newest: &Filter, data: &[u32; 16]) -> u32 {
    let mut strictest = ALLOW;
    let mut filter = Some(newest);
    while let Some(Filter { program, before }) = filter {
        let result = run(program, data);
        if ((result & ACTION) as i32) < (strictest & ACTION) as i32 {
            strictest = result;
        }
        filter = before.as_deref();
    }
    strictest
}

/// Stops a system call that the task's filters do not allow: how it ends then.
pub(crate) fn stop(task: &mut Task, cpu: &CpuState, number: u64, args: &[u64; 6]) -> Option<Outcome> {
    adopt_shared(task);
    let filters = match &task.seccomp.mode {
        Mode::Off => return None,
        Mode::Strict => return strict(task, number),
        Mode::Filters(filters) => filters,
    };
    let mut data = [0u32; 16];
    data[0] = number as u32;
    data[1] = audit_arch(task.arch);
    for (index, word) in [cpu.pc()].iter().chain(args).enumerate() {
        data[2 + 2 * index] = *word as u32;
        data[3 + 2 * index] = (word >> 32) as u32;
    }
    let verdict = verdict(filters, &data);
    let detail = verdict & 0xffff;
    match verdict & ACTION {
        ALLOW | LOG => None,
        ERRNO => Some(Outcome::value(Errno(detail.min(4095) as i32).as_result())),
        // Nobody traces, nobody listens.
        TRACE | USER_NOTIF => Some(Outcome::value(Errno::ENOSYS.as_result())),
        TRAP => {
            trap(task, cpu, number, detail);
            Some(Outcome::then(0, Then::SigReturn))
        }
        KILL_THREAD if task.process.threads.load(Ordering::Acquire) > 1 => {
            Some(Outcome::then(0, Then::ExitThread(libc::SIGSYS)))
        }
        _ => {
            let _ = task.sighand.set_action(libc::SIGSYS, KernelSigaction::default());
            trap(task, cpu, number, detail);
            Some(Outcome::then(0, Then::SigReturn))
        }
    }
}

/// SIGSYS with the call in its siginfo; the registers stay as they were, behind the instruction.
fn trap(task: &mut Task, cpu: &CpuState, number: u64, detail: u32) {
    const SYS_SECCOMP: u32 = 1;
    let mut bytes = Bytes::default();
    bytes.u32(libc::SIGSYS as u32).u32(detail).u32(SYS_SECCOMP).u32(0);
    bytes.u64(cpu.pc()).u32(number as u32).u32(audit_arch(task.arch));
    signal::force_signal(task, SigInfo::from_bytes(&bytes.0), FaultContext::default());
}

/// Strict mode: read, write, exit and rt_sigreturn; anything else is SIGKILL.
fn strict(task: &Task, number: u64) -> Option<Outcome> {
    let allowed = |row: &crate::table::Row| matches!(row.name, "read" | "write" | "exit" | "rt_sigreturn");
    if crate::table::find(task.arch, number).is_some_and(allowed) {
        return None;
    }
    let target = [u64::from(host::getpid()), libc::SIGKILL as u64, 0, 0, 0, 0];
    // SAFETY: the signal ends the own process.
    let _ = unsafe { host::raw(libc::SYS_kill, target) };
    Some(Outcome::then(0, Then::ExitGroup(libc::SIGKILL)))
}

fn adopt_shared(task: &mut Task) {
    let shared = task.process.filters.0.load(Ordering::Acquire);
    if shared as usize == task.seccomp.seen {
        return;
    }
    // SAFETY: the pointer came from `Arc::into_raw` and that count is never given back.
    let filters = unsafe {
        Arc::increment_strong_count(shared);
        Arc::from_raw(shared)
    };
    task.seccomp = Seccomp { mode: Mode::Filters(filters), seen: shared as usize };
}

impl Shared {
    /// The filters of a process of one thread, whose own are the task's.
    pub(crate) fn copy(&self) -> Shared {
        Shared(AtomicPtr::new(self.0.load(Ordering::Acquire)))
    }
}

impl Seccomp {
    /// `PR_GET_SECCOMP`: 0 off, 1 strict, 2 filters.
    pub(crate) fn mode(&self) -> u64 {
        match self.mode {
            Mode::Off => 0,
            Mode::Strict => 1,
            Mode::Filters(_) => 2,
        }
    }

    /// How many filters there are.
    pub(crate) fn count(&self) -> usize {
        self.programs().len()
    }

    /// Every program, newest first.
    fn programs(&self) -> Vec<&[Insn]> {
        let mut programs = Vec::new();
        let mut filter = match &self.mode {
            Mode::Filters(newest) => Some(&**newest),
            Mode::Off | Mode::Strict => None,
        };
        while let Some(Filter { program, before }) = filter {
            programs.push(program.as_slice());
            filter = before.as_deref();
        }
        programs
    }

    /// The filters as words, for the program that comes next: for each, oldest first, its length and instructions.
    pub(crate) fn encode(&self) -> Vec<u64> {
        let programs = self.programs();
        let words = |program: &&[Insn]| {
            std::iter::once(program.len() as u64).chain(program.iter().map(|insn| insn.word())).collect::<Vec<u64>>()
        };
        programs.iter().rev().flat_map(words).collect()
    }

    /// What [`Seccomp::encode`] has written.
    pub(crate) fn decode(words: &[u64]) -> Seccomp {
        let mut seccomp = Seccomp::default();
        let mut rest = words;
        while let Some((&length, after)) = rest.split_first() {
            let Some((program, after)) = after.split_at_checked(length as usize) else { break };
            seccomp.add(&program.iter().map(|word| Insn::from_word(*word)).collect::<Vec<_>>());
            rest = after;
        }
        seccomp
    }

    /// Adds a filter; by the lender, as it outlives a child of vfork in the books of its parent.
    fn add(&mut self, program: &[Insn]) {
        by_lender(|| {
            let before = match &self.mode {
                Mode::Filters(before) => Some(before.clone()),
                Mode::Off | Mode::Strict => None,
            };
            self.mode = Mode::Filters(Arc::new(Filter { program: program.to_vec(), before }));
        });
    }
}

// Operations and flags of seccomp(2).
const SET_MODE_STRICT: u32 = 0;
const SET_MODE_FILTER: u32 = 1;
const GET_ACTION_AVAIL: u32 = 2;
const GET_NOTIF_SIZES: u32 = 3;
const FLAG_TSYNC: u32 = 1;
const FLAG_LOG: u32 = 2;
const FLAG_SPEC_ALLOW: u32 = 4;
const FLAG_TSYNC_ESRCH: u32 = 16;

pub(crate) fn seccomp(call: &mut Call<'_>, operation: u32, flags: u32, address: u64) -> Reply {
    match operation {
        SET_MODE_STRICT if flags == 0 && address == 0 => set_strict(call),
        SET_MODE_FILTER => set_filter(call, flags, address),
        GET_ACTION_AVAIL if flags == 0 => {
            const KNOWN: [u32; 7] = [KILL_PROCESS, KILL_THREAD, TRAP, ERRNO, TRACE, LOG, ALLOW];
            let action = GuestPtr::<u32>::new(address).read()?;
            if KNOWN.contains(&action) { Ok(0) } else { Err(Errno::EOPNOTSUPP) }
        }
        // struct seccomp_notif_sizes: seccomp_notif, seccomp_notif_resp, seccomp_data.
        GET_NOTIF_SIZES if flags == 0 => GuestPtr::new(address).write(&[80u16, 24, 64]).map(|()| 0),
        _ => Err(Errno::EINVAL),
    }
}

/// `prctl(PR_SET_SECCOMP, mode, program)`.
pub(crate) fn set_by_prctl(call: &mut Call<'_>, mode: u64, address: u64) -> Reply {
    match mode {
        1 => set_strict(call),
        2 => set_filter(call, 0, address),
        _ => Err(Errno::EINVAL),
    }
}

fn set_strict(call: &mut Call<'_>) -> Reply {
    match call.task.seccomp.mode {
        Mode::Filters(_) => return Err(Errno::EINVAL),
        Mode::Off | Mode::Strict => call.task.seccomp.mode = Mode::Strict,
    }
    Ok(0)
}

fn set_filter(call: &mut Call<'_>, flags: u32, address: u64) -> Reply {
    // A listener would have to be told of calls that the host never sees.
    if flags & !(FLAG_TSYNC | FLAG_LOG | FLAG_SPEC_ALLOW | FLAG_TSYNC_ESRCH) != 0 {
        return Err(Errno::EINVAL);
    }
    // struct sock_fprog: a length of 16 bits, padding, a pointer.
    let [length, program] = GuestPtr::<[u64; 2]>::new(address).read()?;
    let length = (length & 0xffff) as usize;
    if length == 0 || length > MOST_INSNS {
        return Err(Errno::EINVAL);
    }
    if !may_filter(call) {
        return Err(Errno::EACCES);
    }
    let words = GuestPtr::<u64>::new(program).read_array(length)?;
    let program: Vec<Insn> = words.into_iter().map(Insn::from_word).collect();
    check(&program)?;
    if matches!(call.task.seccomp.mode, Mode::Strict) {
        return Err(Errno::EINVAL);
    }
    call.task.seccomp.add(&program);
    if flags & FLAG_TSYNC != 0
        && let Mode::Filters(filters) = &call.task.seccomp.mode
    {
        let shared = Arc::into_raw(filters.clone()).cast_mut();
        call.task.process.filters.0.store(shared, Ordering::Release);
        call.task.seccomp.seen = shared as usize;
    }
    Ok(0)
}

/// A filter needs no_new_privs, or CAP_SYS_ADMIN.
fn may_filter(call: &Call<'_>) -> bool {
    const CAP_SYS_ADMIN: u32 = 21;
    let args = [libc::PR_GET_NO_NEW_PRIVS as u64, 0, 0, 0, 0, 0];
    call.prepare(libc::SYS_prctl, args) == Ok(1) || host::is_capable(CAP_SYS_ADMIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insn(code: u16, jump_true: u8, jump_false: u8, value: u32) -> Insn {
        Insn { code, jump_true, jump_false, value }
    }

    /// Numbers of 100 and above are refused with their own low bits as the error.
    fn program() -> Vec<Insn> {
        vec![
            insn(LD | ABS, 0, 0, 0),
            insn(JMP | 0x30, 1, 0, 100),
            insn(RET, 0, 0, ALLOW),
            insn(ALU | 0x50, 0, 0, 0xf),
            insn(ALU | 0x40, 0, 0, ERRNO),
            insn(RET | A, 0, 0, 0),
        ]
    }

    #[test]
    fn programs_run() {
        let program = program();
        assert_eq!(check(&program), Ok(()));
        let mut data = [0; 16];
        assert_eq!(run(&program, &data), ALLOW);
        data[0] = 107;
        assert_eq!(run(&program, &data), ERRNO | 11);
    }

    #[test]
    fn the_strictest_filter_wins_and_filters_travel() {
        let mut seccomp = Seccomp::default();
        seccomp.add(&[insn(RET, 0, 0, ERRNO | 1)]);
        seccomp.add(&[insn(RET, 0, 0, ERRNO | 2)]);
        let result = |seccomp: &Seccomp| match &seccomp.mode {
            Mode::Filters(filters) => verdict(filters, &[0; 16]),
            Mode::Off | Mode::Strict => 0,
        };
        assert_eq!(result(&seccomp), ERRNO | 2);
        assert_eq!(result(&Seccomp::decode(&seccomp.encode())), ERRNO | 2);
        seccomp.add(&[insn(RET, 0, 0, LOG)]);
        assert_eq!((result(&seccomp), seccomp.count()), (ERRNO | 2, 3));
        seccomp.add(&[insn(RET, 0, 0, KILL_PROCESS)]);
        assert_eq!(result(&seccomp), KILL_PROCESS);
    }

    #[test]
    fn bad_programs_are_refused() {
        let end = insn(RET, 0, 0, 0);
        let bad = [
            vec![],
            vec![insn(LD | ABS, 0, 0, 0)],
            vec![insn(LD | ABS, 0, 0, 2), end],
            vec![insn(LD | ABS, 0, 0, 64), end],
            vec![insn(JMP, 0, 0, 1), end],
            vec![insn(JMP | 0x10, 0, 1, 0), end],
            vec![insn(ALU | 0x30, 0, 0, 0), end],
            vec![insn(ALU | 0x90, 0, 0, 3), end],
            vec![insn(ST, 0, 0, 16), end],
            vec![insn(LD | 0x28, 0, 0, 0), end],
        ];
        for program in bad {
            assert_eq!(check(&program), Err(Errno::EINVAL), "{program:?}");
        }
    }
}
