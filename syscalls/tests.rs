//! Tests of whole calls: a task, a system call, its outcome. What they share: a task to try things with, and the
//! host's signal handler that stands in for the runtime's.

use crate::arch::{self, aarch64, x86_64};
use crate::errno::Errno;
use crate::host::{self, KernelSigaction};
use crate::limits::Limits;
use crate::mm::{PAGE, PROT_BTI};
use crate::signal::{self, Delivery, FaultContext, SigInfo, sa};
use crate::task::{Files, Fs, OwnThread, Process, ProcessInfo, Task};
use crate::uaccess::{GuestPtr, recovery};
use crate::{Mm, Outcome, Sighand, Then, dispatch, process, system_call, table, vfork};
use philae_ir::state::NZCV;
use philae_ir::{Arch, CpuState, Slot};
use std::ops::Range;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

const BOTH: [Arch; 2] = [Arch::Aarch64, Arch::X86_64];

extern "C" fn on_signal(_: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let context = context.cast::<libc::ucontext_t>();
    // SAFETY: the kernel hands a handler its context.
    let pc = unsafe { &mut (*context).uc_mcontext.gregs[libc::REG_RIP as usize] };
    if let Some(fixup) = recovery(*pc as u64) {
        *pc = fixup as i64;
        return;
    }
    // SAFETY: the arguments are the handler's own.
    unsafe {
        if SigInfo::from_host(info).code() > 0 && matches!(SigInfo::from_host(info).signal(), libc::SIGSEGV) {
            libc::abort();
        }
        signal::host_signal(info, context);
    }
}

/// Installs the handler without which bad guest addresses would end the test.
pub(crate) fn catch_faults() {
    Sighand::new(on_signal);
}

/// A task on the calling thread, with a guest stack, attached to its signals. It must not be moved.
struct Guest {
    task: Box<Task>,
    cpu: Box<CpuState>,
    stack: u64,
    /// The ranges whose translations were to be forgotten.
    forgotten: Arc<Mutex<Vec<Range<u64>>>>,
}

const STACK_SIZE: u64 = 64 << 10;
const READ_WRITE: u32 = (libc::PROT_READ | libc::PROT_WRITE) as u32;
const PRIVATE: u32 = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as u32;

impl Guest {
    fn new(arch: Arch) -> Guest {
        let forgotten = Arc::new(Mutex::new(Vec::new()));
        let noted = forgotten.clone();
        let mm = Mm::new(arch, Box::new(move |range| noted.lock().unwrap().push(range)));
        let stack = mm.map(0, STACK_SIZE, READ_WRITE, PRIVATE, -1, 0).unwrap();
        mm.map_vdso().unwrap();
        let info = ProcessInfo {
            exe: c"/guest/program".to_owned(),
            exe_host: c"/host/program".to_owned(),
            argv: vec![c"program".to_owned(), c"argument".to_owned()],
            release: Some("9.9".to_owned()),
            ..ProcessInfo::default()
        };
        let task = Box::new(Task::new(
            arch,
            mm,
            Sighand::new(on_signal),
            Files::new(),
            Fs::new(None),
            Process::new(info, Limits::default(), OwnThread::default()),
        ));
        let mut cpu = Box::new(CpuState::default());
        arch::set_stack_pointer(arch, &mut cpu, stack + STACK_SIZE);
        cpu.set_pc(0x40_0000);
        signal::attach_thread(&task, &cpu);
        Guest { task, cpu, stack, forgotten }
    }

    fn number(&self, name: &str) -> u64 {
        let row = table::TABLE.iter().find(|row| row.name == name).unwrap();
        u64::from(row.number(self.task.arch).unwrap())
    }

    fn outcome(&mut self, name: &str, args: &[u64]) -> Outcome {
        let mut words = [0; 6];
        words[..args.len()].copy_from_slice(args);
        let number = self.number(name);
        dispatch(&mut self.task, &mut self.cpu, number, words)
    }

    fn call(&mut self, name: &str, args: &[u64]) -> Result<u64, Errno> {
        Errno::check(self.outcome(name, args).value)
    }

    /// Space in guest memory that nothing else uses.
    fn scratch(&self) -> u64 {
        self.stack
    }

    fn handle(&mut self, signal: i32, flags: u64) {
        let action = KernelSigaction { handler: 0x50_0000, flags: flags | sa::RESTORER, restorer: 0x60_0000, mask: 0 };
        self.task.sighand.set_action(signal, action).unwrap();
    }

    fn deliver(&mut self) -> Delivery {
        signal::deliver(&mut self.task, &mut self.cpu)
    }

    /// Does what a handler's return does, up to the end of rt_sigreturn(2).
    fn sigreturn(&mut self) {
        if self.task.arch == Arch::X86_64 {
            let sp = arch::stack_pointer(Arch::X86_64, &self.cpu);
            arch::set_stack_pointer(Arch::X86_64, &mut self.cpu, sp + 8);
        }
        assert!(matches!(self.outcome("rt_sigreturn", &[]).then, Then::SigReturn));
    }

    fn result(&self) -> u64 {
        match self.task.arch {
            Arch::Aarch64 => self.cpu.get(philae_ir::state::aarch64::X[0]),
            Arch::X86_64 => self.cpu.get(philae_ir::state::x86_64::GPR[0]),
        }
    }

    /// Sets the registers of a call and makes it as the runtime does.
    fn system_call(&mut self, name: &str, args: [u64; 6]) -> Outcome {
        let number = self.number(name);
        match self.task.arch {
            Arch::Aarch64 => {
                for (register, word) in philae_ir::state::aarch64::X.into_iter().zip(args) {
                    self.cpu.set(register, word);
                }
                self.cpu.set(philae_ir::state::aarch64::X[8], number);
            }
            Arch::X86_64 => {
                for (register, word) in [7, 6, 2, 10, 8, 9].into_iter().zip(args) {
                    self.cpu.set(philae_ir::state::x86_64::GPR[register], word);
                }
                self.cpu.set(philae_ir::state::x86_64::GPR[0], number);
            }
        }
        system_call(&mut self.task, &mut self.cpu)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        signal::detach_thread();
        host::set_mask(0);
    }
}

/// Gives every register of the guest a value of its own.
fn fill(cpu: &mut CpuState, arch: Arch) {
    let keep = [philae_ir::state::PC, philae_ir::state::aarch64::SP];
    for (index, info) in arch.slots().iter().enumerate().filter(|(_, info)| !keep.contains(&info.slot)) {
        if arch == Arch::X86_64 && info.slot == philae_ir::state::x86_64::GPR[4] {
            continue;
        }
        let value = 0x0101_0101_0101_0101u64.wrapping_mul(index as u64 + 1);
        cpu.set(info.slot, value);
        if info.ty.bytes() == 16 {
            cpu.set128(info.slot, u128::from(value) << 64 | u128::from(!value));
        }
    }
    cpu.set(NZCV, 0b1010);
    match arch {
        Arch::Aarch64 => {
            cpu.set(philae_ir::state::aarch64::FPCR, 0x0100_0000);
            cpu.set(philae_ir::state::aarch64::FPSR, 0x10);
            // DIT; and what no instruction has saturated.
            cpu.set(philae_ir::state::aarch64::PSTATE, 1 << 24);
            cpu.set(philae_ir::state::aarch64::BTYPE, 3);
            cpu.set128(philae_ir::state::aarch64::SATURATED, 0);
            cpu.set(philae_ir::state::aarch64::EXCLUSIVE_SIZE, 0);
        }
        Arch::X86_64 => {
            use philae_ir::state::x86_64::*;
            x86_64::unpack_rflags(cpu, 0x893);
            cpu.set(MXCSR, 0x1fa0);
            cpu.set(X87_CONTROL, 0x27f);
            cpu.set(X87_STATUS, 5 << 11 | 0x41);
            cpu.set(X87_TAGS, 0x1f);
            for (index, register) in X87.into_iter().enumerate() {
                cpu.set128(register, (index as u128 + 1) << 72 | 0x1234);
            }
        }
    }
}

/// Every guest word that a signal frame carries.
fn registers(cpu: &CpuState, arch: Arch) -> Vec<(&'static str, u64)> {
    use philae_ir::state::Life;
    let outside = ["tpidr_el0", "fs_base", "gs_base", "exclusive_address", "exclusive_value"];
    let infos = arch.slots().iter().filter(|info| info.life == Life::Guest && !outside.contains(&info.name));
    let words = infos.flat_map(|info| {
        let words = if info.ty.bytes() == 16 { 2 } else { 1 };
        (0..words).map(move |word| (info.name, cpu.get(Slot(info.slot.0 + word))))
    });
    words.collect()
}

#[test]
fn frames_come_back_as_they_went() {
    for arch in BOTH {
        let mut guest = Guest::new(arch);
        guest.handle(libc::SIGSEGV, sa::SIGINFO);
        fill(&mut guest.cpu, arch);
        if arch == Arch::Aarch64 {
            // BTYPE counts where there are guarded pages.
            guest.task.mm.map(0, PAGE, 4 | PROT_BTI, 0x22, -1, 0).unwrap();
        }
        let before = registers(&guest.cpu, arch);
        let fault = FaultContext { address: 0x1000, trap: 14, error: 6 };
        signal::force_signal(&mut guest.task, SigInfo::fault(libc::SIGSEGV, 1, 0x1000), fault);
        assert_eq!(guest.deliver(), Delivery::Handler);
        assert_eq!(guest.cpu.pc(), 0x50_0000);
        assert_ne!(guest.task.signals.mask & signal::bit(libc::SIGSEGV), 0);
        let (info, context) = match arch {
            Arch::Aarch64 => (philae_ir::state::aarch64::X[1], philae_ir::state::aarch64::X[2]),
            Arch::X86_64 => (philae_ir::state::x86_64::GPR[6], philae_ir::state::x86_64::GPR[2]),
        };
        let info = GuestPtr::<SigInfo>::new(guest.cpu.get(info)).read().unwrap();
        assert_eq!((info.signal(), info.code(), info.address()), (libc::SIGSEGV, 1, 0x1000));
        // uc_mcontext.pc and gregs[REG_RIP].
        let pc = guest.cpu.get(context) + if arch == Arch::Aarch64 { 176 + 264 } else { 40 + 128 };
        assert_eq!(GuestPtr::<u64>::new(pc).read(), Ok(0x40_0000));
        guest.sigreturn();
        assert_eq!(registers(&guest.cpu, arch), before, "{}", arch.name());
        assert_eq!(guest.task.signals.mask & signal::bit(libc::SIGSEGV), 0);
    }
}

#[test]
fn frames_have_the_kernels_layout() {
    let mut guest = Guest::new(Arch::Aarch64);
    guest.task.sighand.set_action(libc::SIGBUS, KernelSigaction { handler: 0x50_0000, ..Default::default() }).unwrap();
    let fault = FaultContext { address: 0x2000, trap: 14, error: 2 };
    signal::force_signal(&mut guest.task, SigInfo::fault(libc::SIGBUS, 2, 0x2000), fault);
    let top = arch::stack_pointer(Arch::Aarch64, &guest.cpu);
    assert_eq!(guest.deliver(), Delivery::Handler);
    let sp = arch::stack_pointer(Arch::Aarch64, &guest.cpu);
    assert_eq!(sp, top - 16 - 4688);
    let word = |offset: u64| GuestPtr::<u32>::new(sp + offset).read().unwrap();
    // uc_mcontext.__reserved: an FPSIMD record, an ESR record, the end.
    let records = 128 + 176 + 288;
    assert_eq!([word(records), word(records + 4)], [0x4650_8001, 528]);
    assert_eq!([word(records + 528), word(records + 532)], [0x4553_5201, 16]);
    assert_eq!(word(records + 536), 0x9200_0047);
    assert_eq!([word(records + 544), word(records + 548)], [0, 0]);
    assert_eq!(guest.cpu.get(philae_ir::state::aarch64::X[30]), guest.task.mm.sigreturn());
    let code = GuestPtr::<[u32; 2]>::new(guest.task.mm.sigreturn()).read();
    assert_eq!(code, Ok(aarch64::SIGRETURN_CODE));
    drop(guest);

    let mut guest = Guest::new(Arch::X86_64);
    guest.handle(libc::SIGBUS, sa::SIGINFO);
    signal::force_signal(&mut guest.task, SigInfo::fault(libc::SIGBUS, 2, 0x2000), fault);
    assert_eq!(guest.deliver(), Delivery::Handler);
    let sp = arch::stack_pointer(Arch::X86_64, &guest.cpu);
    assert_eq!(sp % 16, 8);
    let word = |offset: u64| GuestPtr::<u64>::new(sp + offset).read().unwrap();
    assert_eq!(word(0), 0x60_0000);
    let mcontext = 8 + 40;
    // err, trapno, oldmask, cr2.
    assert_eq!([152, 160, 168, 176].map(|at| word(mcontext + at)), [2, 14, 0, 0x2000]);
    assert_eq!(word(mcontext + 184) % 64, 0);
}

#[test]
fn alternate_stacks_take_frames_and_overflow() {
    for arch in BOTH {
        let mut guest = Guest::new(arch);
        let alt = guest.task.mm.map(0, 16384, READ_WRITE, PRIVATE, -1, 0).unwrap();
        let scratch = guest.scratch();
        GuestPtr::new(scratch).write(&[alt, 0, 1000]).unwrap();
        assert_eq!(guest.call("sigaltstack", &[scratch, 0]), Err(Errno::ENOMEM));
        GuestPtr::new(scratch).write(&[alt, 0, 16384]).unwrap();
        assert_eq!(guest.call("sigaltstack", &[scratch, 0]), Ok(0));
        guest.handle(libc::SIGSEGV, sa::ONSTACK | sa::NODEFER);
        for depth in 0..100 {
            signal::force_signal(&mut guest.task, SigInfo::kernel(libc::SIGSEGV), FaultContext::default());
            let sp = arch::stack_pointer(arch, &guest.cpu);
            match guest.deliver() {
                Delivery::Handler => {
                    let sp = arch::stack_pointer(arch, &guest.cpu);
                    assert!((alt..alt + 16384).contains(&sp), "{depth}");
                    assert_eq!(guest.call("sigaltstack", &[scratch, 0]), Err(Errno::EPERM));
                }
                Delivery::Kill(libc::SIGSEGV) => {
                    assert!(depth > 1 && sp - alt < 6000, "{depth}");
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn actions_and_masks_follow_the_kernel() {
    let mut guest = Guest::new(Arch::X86_64);
    let scratch = guest.scratch();
    let usr2 = libc::SIGUSR2 as u64;
    GuestPtr::new(scratch).write(&[0x50_0000, sa::RESETHAND | sa::RESTORER, 0x60_0000, !0u64]).unwrap();
    assert_eq!(guest.call("rt_sigaction", &[libc::SIGKILL as u64, scratch, 0, 8]), Err(Errno::EINVAL));
    assert_eq!(guest.call("rt_sigaction", &[usr2, scratch, 0, 4]), Err(Errno::EINVAL));
    assert_eq!(guest.call("rt_sigaction", &[usr2, scratch, 0, 8]), Ok(0));

    GuestPtr::new(scratch).write(&signal::bit(libc::SIGUSR2)).unwrap();
    assert_eq!(guest.call("rt_sigprocmask", &[libc::SIG_BLOCK as u64, scratch, 0, 8]), Ok(0));
    let (pid, tid) = (u64::from(host::getpid()), u64::from(host::gettid()));
    assert_eq!(guest.call("tgkill", &[pid, tid, usr2]), Ok(0));
    assert!(!signal::pending(&guest.task));
    assert_eq!(guest.call("rt_sigpending", &[scratch, 8]), Ok(0));
    assert_eq!(GuestPtr::<u64>::new(scratch).read(), Ok(signal::bit(libc::SIGUSR2)));
    assert_eq!(guest.call("rt_sigprocmask", &[libc::SIG_UNBLOCK as u64, scratch, 0, 8]), Ok(0));
    assert!(signal::pending(&guest.task));
    assert_ne!(guest.cpu.ctl.poll.load(std::sync::atomic::Ordering::Relaxed), 0);
    assert_eq!(guest.deliver(), Delivery::Handler);
    assert_eq!(guest.task.sighand.action(libc::SIGUSR2).handler, signal::SIG_DFL);
    assert_eq!(guest.task.signals.mask, !signal::UNTOUCHABLE);
    assert_eq!(host::mask(), signal::host_mask(!0));
    guest.sigreturn();
    assert_eq!(guest.task.signals.mask, host::mask());
    // Blocked or ignored, a fault kills.
    guest.task.signals.mask |= signal::bit(libc::SIGILL);
    guest.handle(libc::SIGILL, 0);
    signal::force_signal(&mut guest.task, SigInfo::kernel(libc::SIGILL), FaultContext::default());
    assert_eq!(guest.deliver(), Delivery::Kill(libc::SIGILL));
}

/// A read from an empty pipe is interrupted by a signal; what the guest then sees.
fn interrupted_read(arch: Arch, flags: u64, signal: i32) -> (Guest, Delivery) {
    let mut guest = Guest::new(arch);
    guest.handle(signal, flags);
    let scratch = guest.scratch();
    guest.call("pipe2", &[scratch, 0]).unwrap();
    let [read, _] = GuestPtr::<[u32; 2]>::new(scratch).read().unwrap();
    let (pid, tid) = (host::getpid(), host::gettid());
    let sender = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        // SAFETY: the signal goes to the thread that waits for it.
        unsafe { libc::syscall(libc::SYS_tgkill, pid, tid, signal) }
    });
    let outcome = guest.system_call("read", [u64::from(read), scratch, 1, 0, 0, 0]);
    assert!(matches!(outcome.then, Then::Restart), "{outcome:?}");
    sender.join().unwrap();
    let delivery = guest.deliver();
    (guest, delivery)
}

#[test]
fn interrupted_calls_restart_or_fail() {
    for (arch, insn) in [(Arch::Aarch64, 4), (Arch::X86_64, 2)] {
        let (mut guest, delivery) = interrupted_read(arch, sa::RESTART, libc::SIGRTMIN() + 1);
        assert_eq!(delivery, Delivery::Handler);
        guest.sigreturn();
        assert_eq!(guest.cpu.pc(), 0x40_0000 - insn);
        assert_eq!(arch::call_registers(arch, &guest.cpu).0, guest.number("read"));
        drop(guest);

        let (mut guest, delivery) = interrupted_read(arch, 0, libc::SIGRTMIN() + 2);
        assert_eq!(delivery, Delivery::Handler);
        guest.sigreturn();
        assert_eq!(guest.cpu.pc(), 0x40_0000);
        assert_eq!(guest.result(), Errno::EINTR.as_result());
    }
}

#[test]
fn a_signal_before_a_call_comes_before_it() {
    let mut guest = Guest::new(Arch::Aarch64);
    let signal = libc::SIGRTMIN() + 3;
    guest.handle(signal, 0);
    // SAFETY: the signal goes to this thread.
    unsafe { libc::syscall(libc::SYS_tgkill, host::getpid(), host::gettid(), signal) };
    let outcome = guest.system_call("getppid", [7; 6]);
    assert!(matches!(outcome.then, Then::Restart));
    assert_eq!(guest.deliver(), Delivery::Handler);
    guest.sigreturn();
    // The call is made again although the handler has no SA_RESTART: it had not begun.
    assert_eq!(guest.cpu.pc(), 0x40_0000 - 4);
    assert_eq!(guest.result(), 7);
    assert_eq!(guest.deliver(), Delivery::None);
}

#[test]
fn nanosleep_reports_the_rest() {
    let mut guest = Guest::new(Arch::Aarch64);
    let signal = libc::SIGRTMIN() + 4;
    guest.handle(signal, sa::RESTART);
    let scratch = guest.scratch();
    GuestPtr::new(scratch).write(&[5u64, 0]).unwrap();
    let (pid, tid) = (host::getpid(), host::gettid());
    let sender = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        // SAFETY: the signal goes to the thread that waits for it.
        unsafe { libc::syscall(libc::SYS_tgkill, pid, tid, signal) }
    });
    assert_eq!(guest.call("nanosleep", &[scratch, scratch + 16]), Err(Errno::EINTR));
    sender.join().unwrap();
    assert_eq!(GuestPtr::<u64>::new(scratch + 16).read(), Ok(4));
    assert_eq!(guest.deliver(), Delivery::Handler);
}

#[test]
fn memory_is_placed_and_remembered() {
    let mut guest = Guest::new(Arch::X86_64);
    let mm = guest.task.mm.clone();
    let own = catch_faults as *const () as u64 & !(PAGE - 1);
    let fixed = PRIVATE | libc::MAP_FIXED as u32;
    assert_eq!(mm.map(own, PAGE, 3, fixed, -1, 0), Err(Errno::ENOMEM));
    assert_eq!(mm.map(own, PAGE, 3, PRIVATE | libc::MAP_FIXED_NOREPLACE as u32, -1, 0), Err(Errno::EEXIST));
    assert_eq!(mm.unmap(own, PAGE), Ok(()));
    assert_eq!(mm.protect(own, PAGE, 0), Err(Errno::ENOMEM));

    let at = mm.map(0, 4 * PAGE, 7, PRIVATE, -1, 0).unwrap();
    assert_eq!(mm.executable_range(at + PAGE), Some(at..at + 4 * PAGE));
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    // The host may have joined it with a neighbour that another test has made.
    let holds = |line: &&str| {
        let (start, end) = line.split_whitespace().next().unwrap().split_once('-').unwrap();
        let number = |text| u64::from_str_radix(text, 16).unwrap();
        (number(start)..number(end)).contains(&at)
    };
    let line = maps.lines().find(holds).unwrap();
    assert!(line.contains(" rw-p "), "{line}");
    GuestPtr::new(at + 2 * PAGE).write(&77u64).unwrap();
    guest.forgotten.lock().unwrap().clear();
    assert_eq!(guest.call("mprotect", &[at, PAGE, 1]), Ok(0));
    assert_eq!(guest.forgotten.lock().unwrap().as_slice(), std::slice::from_ref(&(at..at + PAGE)));
    assert!(!mm.is_executable(at) && mm.is_executable(at + PAGE));
    // Two mappings by now: the kernel moves one at a time.
    assert_eq!(guest.call("mremap", &[at, 4 * PAGE, 64 * PAGE, 1, 0]), Err(Errno::EFAULT));
    let outcome = guest.outcome("mremap", &[at + PAGE, 3 * PAGE, 64 * PAGE, 1, 0]);
    let moved = outcome.value;
    assert_eq!(GuestPtr::<u64>::new(moved + PAGE).read(), Ok(77));
    assert_eq!(mm.find(moved + 63 * PAGE).map(|vma| vma.range.end), Some(moved + 64 * PAGE));
    assert_eq!(guest.call("munmap", &[moved + PAGE, PAGE]), Ok(0));
    assert!(mm.find(moved + PAGE).is_none() && mm.find(moved).is_some() && mm.find(moved + 2 * PAGE).is_some());
    assert_eq!(GuestPtr::<u8>::new(moved + PAGE).read(), Err(Errno::EFAULT));
    assert_eq!(guest.call("munmap", &[moved + 1, PAGE]), Err(Errno::EINVAL));

    let low = mm.map(0, PAGE, 3, PRIVATE | 0x40, -1, 0).unwrap();
    assert!(low < 1 << 31);
    let reserve = mm.map(0, 1 << 40, 0, PRIVATE | libc::MAP_NORESERVE as u32, -1, 0);
    assert!(reserve.is_ok());
    assert_eq!(mm.unmap(reserve.unwrap(), 1 << 40), Ok(()));
}

#[test]
fn brk_grows_and_shrinks() {
    let mut guest = Guest::new(Arch::Aarch64);
    let start = guest.task.mm.map(0, 1 << 20, 0, PRIVATE, -1, 0).unwrap();
    guest.task.mm.unmap(start, 1 << 20).unwrap();
    guest.task.mm.set_brk(start + 100);
    let start = start + PAGE;
    assert_eq!(guest.call("brk", &[0]), Ok(start));
    assert_eq!(guest.call("brk", &[start + 10_000]), Ok(start + 10_000));
    GuestPtr::new(start + 9_992).write(&1u64).unwrap();
    assert!(guest.task.mm.maps_text().contains("[heap]"));
    assert_eq!(guest.call("brk", &[start + 1]), Ok(start + 1));
    assert_eq!(GuestPtr::<u8>::new(start + PAGE).read(), Err(Errno::EFAULT));
    assert_eq!(guest.call("brk", &[1 << 60]), Ok(start + 1));
}

#[test]
fn files_look_like_the_guests() {
    for arch in BOTH {
        let mut guest = Guest::new(arch);
        let scratch = guest.scratch();
        GuestPtr::new(scratch).write(b"/proc/self/exe\0").unwrap();
        let cwd = libc::AT_FDCWD as u64;
        assert_eq!(guest.call("readlinkat", &[cwd, scratch, scratch + 64, 100]), Ok(14));
        assert_eq!(GuestPtr::<[u8; 14]>::new(scratch + 64).read().unwrap(), *b"/guest/program");
        GuestPtr::new(scratch).write(b"/proc/self/maps\0").unwrap();
        let fd = guest.call("openat", &[cwd, scratch, 0, 0]).unwrap();
        let length = guest.call("read", &[fd, scratch, 4096]).unwrap();
        let text = GuestPtr::<u8>::new(scratch).read_array(length as usize).unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), guest.task.mm.maps_text());

        GuestPtr::new(scratch).write(b"/tmp\0").unwrap();
        let directory = if arch == Arch::Aarch64 { 0o40000 } else { 0o200000 };
        let fd = guest.call("openat", &[cwd, scratch, directory, 0]).unwrap();
        assert_eq!(guest.call("fcntl", &[fd, libc::F_GETFL as u64, 0]).unwrap() & directory, directory);
        assert_eq!(guest.call("fstat", &[fd, scratch]), Ok(0));
        let mode = scratch + if arch == Arch::Aarch64 { 16 } else { 24 };
        assert_eq!(GuestPtr::<u32>::new(mode).read().unwrap() & libc::S_IFMT, libc::S_IFDIR);
        guest.task.files.keep(fd as i32);
        assert_eq!(guest.call("close", &[fd]), Err(Errno::EBADF));
        assert_eq!(guest.call("close_range", &[fd, fd, 0]), Ok(0));
        assert_eq!(guest.call("fstat", &[fd, scratch]), Ok(0));
        guest.task.files.release(fd as i32);
        assert_eq!(guest.call("close", &[fd]), Ok(0));
        assert_eq!(guest.call("fstat", &[0x7fff, scratch]), Err(Errno::EBADF));
        assert_eq!(guest.call("newfstatat", &[cwd, 8, scratch, 0]), Err(Errno::EFAULT));
    }
}

#[test]
fn paths_are_tried_in_the_sysroot() {
    let directory = std::env::temp_dir().join(format!("philae-calls-{}", host::getpid()));
    std::fs::create_dir_all(directory.join("etc")).unwrap();
    std::fs::write(directory.join("etc/philae-only"), "inside").unwrap();
    let mut guest = Guest::new(Arch::Aarch64);
    guest.task.fs = Fs::new(crate::path::Sysroot::new(&directory));
    let (scratch, cwd) = (guest.scratch(), libc::AT_FDCWD as u64);
    GuestPtr::new(scratch).write(b"/etc/philae-only\0").unwrap();
    assert_eq!(guest.call("faccessat", &[cwd, scratch, libc::R_OK as u64]), Ok(0));
    let fd = guest.call("openat", &[cwd, scratch, 0, 0]).unwrap();
    assert_eq!(guest.call("read", &[fd, scratch, 64]), Ok(6));
    guest.call("close", &[fd]).unwrap();
    GuestPtr::new(scratch).write(b"/etc/passwd\0").unwrap();
    assert_eq!(guest.call("faccessat", &[cwd, scratch, libc::R_OK as u64]), Ok(0));
    // A socket bound to a path of the sysroot's.
    std::fs::write(directory.join("etc/taken"), "").unwrap();
    let socket = guest.call("socket", &[libc::AF_UNIX as u64, libc::SOCK_STREAM as u64, 0]).unwrap();
    GuestPtr::new(scratch).write(b"\x01\0/etc/taken\0").unwrap();
    assert_eq!(guest.call("bind", &[socket, scratch, 13]), Err(Errno::EADDRINUSE));
    guest.call("close", &[socket]).unwrap();
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn epoll_events_have_the_guests_layout() {
    for (arch, data) in [(Arch::Aarch64, 8), (Arch::X86_64, 4)] {
        let mut guest = Guest::new(arch);
        let scratch = guest.scratch();
        let event = guest.call("eventfd2", &[1, 0]).unwrap();
        let epoll = guest.call("epoll_create1", &[0]).unwrap();
        GuestPtr::new(scratch).write(&(libc::EPOLLIN as u32)).unwrap();
        GuestPtr::new(scratch + data).write(&0x1122_3344_5566_7788u64).unwrap();
        assert_eq!(guest.call("epoll_ctl", &[epoll, libc::EPOLL_CTL_ADD as u64, event, scratch]), Ok(0));
        GuestPtr::new(scratch).write(&[0u64; 4]).unwrap();
        assert_eq!(guest.call("epoll_pwait", &[epoll, scratch, 4, 0, 0, 8]), Ok(1));
        assert_eq!(GuestPtr::<u32>::new(scratch).read(), Ok(libc::EPOLLIN as u32));
        assert_eq!(GuestPtr::<u64>::new(scratch + data).read(), Ok(0x1122_3344_5566_7788));
        guest.call("close", &[epoll]).unwrap();
        guest.call("close", &[event]).unwrap();
    }
}

#[test]
fn the_guest_is_told_its_machine() {
    for arch in BOTH {
        let mut guest = Guest::new(arch);
        let scratch = guest.scratch();
        assert_eq!(guest.call("uname", &[scratch]), Ok(0));
        let field = |index: u64| crate::uaccess::read_string(scratch + 65 * index, 65).unwrap();
        assert_eq!(field(4).to_str(), Ok(arch.name()));
        assert_eq!(field(2).as_c_str(), c"9.9");
        assert_eq!(guest.call("rseq", &[0; 4]), Err(Errno::ENOSYS));
        assert_eq!(dispatch(&mut guest.task, &mut guest.cpu, 5000, [0; 6]).value, Errno::ENOSYS.as_result());
    }
}

#[test]
fn exec_finds_programs_and_says_why_not() {
    let mut guest = Guest::new(Arch::X86_64);
    let scratch = guest.scratch();
    let directory = std::env::temp_dir().join(format!("philae-exec-{}", host::getpid()));
    std::fs::create_dir_all(&directory).unwrap();
    let file = |name: &str, text: &[u8], mode: u32| {
        use std::os::unix::fs::PermissionsExt;
        let path = directory.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let own = std::env::current_exe().unwrap();
    let inner = file("inner", format!("#!{} -x  y \n", own.display()).as_bytes(), 0o755);
    let outer = file("outer", format!("#! {inner}\n").as_bytes(), 0o755);
    let plain = file("plain", b"echo", 0o755);
    let closed = file("closed", b"#!/bin/sh\n", 0o644);
    let circle = directory.join("circle").to_str().unwrap().to_owned();
    file("circle", format!("#!{circle}\n").as_bytes(), 0o755);
    let mut exec = |path: &str| {
        let bytes = std::ffi::CString::new(path).unwrap();
        GuestPtr::new(scratch).write(&[scratch + 32, scratch + 40, 0]).unwrap();
        GuestPtr::new(scratch + 32).write(b"zero\0\0\0\0one\0").unwrap();
        let outcome = guest.outcome("execve", &[bytes.as_ptr() as u64, scratch, 0]);
        match outcome.then {
            Then::Exec(request) => Ok(request),
            _ => Err(Errno::check(outcome.value).unwrap_err()),
        }
    };
    let request = exec(&outer).unwrap();
    let argv: Vec<_> = request.argv.iter().map(|arg| arg.to_str().unwrap()).collect();
    assert_eq!(argv, [own.to_str().unwrap(), "-x  y", &inner, &outer, "one"]);
    assert_eq!(request.target, crate::ExecTarget::Guest(Arch::X86_64));
    assert_eq!(request.exe.to_str().unwrap(), own.to_str().unwrap());
    assert_eq!(request.name.to_str().unwrap(), outer);
    assert_eq!(exec(&plain).unwrap_err(), Errno::ENOEXEC);
    assert_eq!(exec(&closed).unwrap_err(), Errno::EACCES);
    assert_eq!(exec(directory.to_str().unwrap()).unwrap_err(), Errno::EACCES);
    assert_eq!(exec("/nothing/here").unwrap_err(), Errno::ENOENT);
    assert_eq!(exec(&circle).unwrap_err(), Errno::ELOOP);
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn vfork_waits_for_the_child() {
    let mut guest = Guest::new(Arch::X86_64);
    let Then::Fork(new) = guest.system_call("vfork", [0; 6]).then else { panic!("no fork") };
    let start = std::time::Instant::now();
    if process::fork(&mut guest.task, &mut guest.cpu, &new, || ()) == process::Forked::Child {
        let seen = guest.result() == 0 && guest.task.tid == host::getpid();
        // SAFETY: the child does nothing but sleep and end.
        unsafe {
            libc::usleep(80_000);
            libc::_exit(if seen { 7 } else { 1 });
        }
    }
    assert!(start.elapsed() >= Duration::from_millis(80));
    let scratch = guest.scratch();
    let child = guest.result();
    assert_eq!(guest.call("wait4", &[child, scratch, 0, 0]), Ok(child));
    assert_eq!(GuestPtr::<u32>::new(scratch).read(), Ok(7 << 8));
}

#[test]
fn a_vfork_child_runs_in_its_parents_memory() {
    for arch in BOTH {
        let mut guest = Guest::new(arch);
        let flags = (libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD) as u64;
        let Then::Fork(new) = guest.system_call("clone", [flags, 0, 0, 0, 0, 0]).then else { panic!("no fork") };
        assert!(new.shares_memory());
        let (mut task, mut cpu) = vfork::child(&guest.task, &guest.cpu, &new);
        let word = guest.scratch();
        let (before, own) = (guest.task.signals.mask, guest.task.tid);
        let mut seen = 0;
        vfork::run(&mut guest.task, &mut guest.cpu, &new, || {
            vfork::enter_child(&mut task, &new);
            signal::attach_thread(&task, &cpu);
            seen = task.tid;
            let row = table::TABLE.iter().find(|row| row.name == "getppid").unwrap();
            let parent = dispatch(&mut task, &mut cpu, u64::from(row.number(arch).unwrap()), [0; 6]).value;
            GuestPtr::new(word).write(&parent).unwrap();
            // SAFETY: the child ends here.
            unsafe { libc::_exit(9) };
        });
        let pid = guest.result();
        assert_eq!(u64::from(seen), pid);
        assert_ne!(pid, u64::from(own));
        assert_eq!(GuestPtr::<u64>::new(word).read(), Ok(u64::from(host::getpid())));
        assert_eq!((guest.task.signals.mask, host::mask()), (before, signal::host_mask(before)));
        assert_eq!(guest.call("wait4", &[pid, word, 0, 0]), Ok(pid));
        assert_eq!(GuestPtr::<u32>::new(word).read(), Ok(9 << 8));
    }
}

#[test]
fn threads_start_and_end_as_the_flags_say() {
    for arch in BOTH {
        let mut guest = Guest::new(arch);
        let (tid, clear, stack, tls) = (guest.scratch(), guest.scratch() + 8, guest.stack + 4096, 0x7777);
        let flags = libc::CLONE_VM
            | libc::CLONE_FS
            | libc::CLONE_FILES
            | libc::CLONE_SIGHAND
            | libc::CLONE_THREAD
            | libc::CLONE_SYSVSEM
            | libc::CLONE_SETTLS
            | libc::CLONE_PARENT_SETTID
            | libc::CLONE_CHILD_CLEARTID;
        let (fourth, fifth) = if arch == Arch::Aarch64 { (tls, clear) } else { (clear, tls) };
        GuestPtr::new(clear).write(&99u32).unwrap();
        let outcome = guest.system_call("clone", [flags as u64, stack, tid, fourth, fifth, 0]);
        let Then::Thread(mut new) = outcome.then else { panic!("no thread: {outcome:?}") };
        let (sender, receiver) = mpsc::channel();
        let child = std::thread::spawn(move || {
            let id = host::gettid();
            new.announce(id);
            process::start_thread(&mut new);
            assert_eq!(new.task.tid, id);
            sender.send(id).unwrap();
            assert_eq!(arch::stack_pointer(arch, &new.cpu), stack);
            assert_eq!(GuestPtr::<u32>::new(tid).read(), Ok(id));
            // A robust futex held at the end: head, one entry, its word behind it.
            let head = tid + 64;
            GuestPtr::new(head).write(&[head + 32, 16, 0]).unwrap();
            GuestPtr::new(head + 32).write(&[head, 0]).unwrap();
            GuestPtr::new(head + 48).write(&(id | 0x8000_0000)).unwrap();
            new.task.robust_list = head;
            process::exit_thread(&mut new.task, 0)
        });
        let id = receiver.recv().unwrap();
        assert_ne!(id, guest.task.tid);
        assert_eq!(child.join().unwrap(), process::Remaining::Others);
        assert_eq!(GuestPtr::<u32>::new(clear).read(), Ok(0));
        assert_eq!(GuestPtr::<u32>::new(tid + 64 + 48).read(), Ok(0xc000_0000));
        let bad = guest.outcome("clone", &[libc::CLONE_THREAD as u64, 0, 0, 0, 0]);
        assert_eq!(bad.value, Errno::EINVAL.as_result());
    }
}
