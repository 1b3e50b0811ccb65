//! Signals: from the host's handler to the guest's, and back.
//!
//! In: what the host's handler caught ([`host_signal`]), faults of the guest ([`force_signal`]). Out: a guest
//! frame and handler entered, or a [`Delivery`] for the runtime to carry out.
//!
//! The host's mask follows the guest's, except that the synchronous faults stay open on the host; the host's
//! SIG_IGN and SIG_DFL follow the guest's, so default actions are the kernel's own. Once the host's handler has
//! noted a signal, the thread runs with everything blocked until [`deliver`] has taken it: what comes meanwhile
//! queues in the kernel, which keeps order, merging and the choice of another thread right.

use crate::arch;
use crate::call::Restart;
use crate::errno::Errno;
use crate::host::{self, KernelSigaction};
use crate::proc;
use crate::task::Task;
use crate::uaccess::Plain;
use philae_ir::CpuState;
use philae_ir::state::aarch64;
use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// The highest signal number.
pub const SIGNALS: i32 = 64;
/// SIG_DFL of `sigaction(2)`.
pub const SIG_DFL: u64 = 0;
/// SIG_IGN of `sigaction(2)`.
pub const SIG_IGN: u64 = 1;

/// Flags of `sigaction(2)`, the same on both guests.
pub mod sa {
    /// SA_NOCLDSTOP: children that stop send no SIGCHLD.
    pub const NOCLDSTOP: u64 = 1;
    /// SA_NOCLDWAIT: children that end leave no zombie.
    pub const NOCLDWAIT: u64 = 2;
    /// SA_SIGINFO: the handler takes three arguments.
    pub const SIGINFO: u64 = 4;
    /// SA_RESTORER: the action says where the handler returns to.
    pub const RESTORER: u64 = 0x0400_0000;
    /// SA_ONSTACK: the handler runs on the alternate stack.
    pub const ONSTACK: u64 = 0x0800_0000;
    /// SA_RESTART: interrupted calls are made again.
    pub const RESTART: u64 = 0x1000_0000;
    /// SA_NODEFER: the signal is not blocked while its handler runs.
    pub const NODEFER: u64 = 0x4000_0000;
    /// SA_RESETHAND: the action becomes SIG_DFL when the handler is entered.
    pub const RESETHAND: u64 = 0x8000_0000;
    /// What the kernel keeps of the flags it is given.
    pub(crate) const KNOWN: u64 = NOCLDSTOP | NOCLDWAIT | SIGINFO | RESTORER | ONSTACK | RESTART | NODEFER | RESETHAND;
}

/// The bit of `signal` in a signal mask.
pub const fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

/// Signals that translated code and [`crate::uaccess`] may cause on the host: never blocked there.
pub(crate) const FAULTS: u64 =
    bit(libc::SIGSEGV) | bit(libc::SIGBUS) | bit(libc::SIGFPE) | bit(libc::SIGILL) | bit(libc::SIGTRAP);
/// Signals that cannot be blocked, caught or ignored.
pub(crate) const UNTOUCHABLE: u64 = bit(libc::SIGKILL) | bit(libc::SIGSTOP);

/// `siginfo_t` as the kernel lays it out, 128 bytes; the same on both guests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct SigInfo {
    words: [u64; 16],
}

// SAFETY: an array of words.
unsafe impl Plain for SigInfo {}

impl SigInfo {
    /// A fault at `address` (`si_addr`); `code` is one of the codes of `sigaction(2)` for `signal`.
    pub fn fault(signal: i32, code: i32, address: u64) -> SigInfo {
        let mut words = [0; 16];
        words[0] = signal as u32 as u64;
        words[1] = code as u32 as u64;
        words[2] = address;
        SigInfo { words }
    }

    /// A signal that the kernel sends without detail (SI_KERNEL).
    pub fn kernel(signal: i32) -> SigInfo {
        SigInfo::fault(signal, 0x80, 0)
    }

    /// A struct of which these are the first bytes; the rest is 0.
    pub(crate) fn from_bytes(bytes: &[u8]) -> SigInfo {
        let mut words = [0; 16];
        for (word, bytes) in words.iter_mut().zip(bytes.chunks(8)) {
            let mut padded = [0; 8];
            padded[..bytes.len()].copy_from_slice(bytes);
            *word = u64::from_le_bytes(padded);
        }
        SigInfo { words }
    }

    /// A copy of what a host handler was given.
    ///
    /// # Safety
    /// `info` is the second argument of a running SA_SIGINFO handler.
    pub unsafe fn from_host(info: *const libc::siginfo_t) -> SigInfo {
        // SAFETY: the kernel's siginfo_t is 128 bytes, aligned to 8.
        unsafe { ptr::read(info.cast::<SigInfo>()) }
    }

    /// `si_signo`.
    pub fn signal(&self) -> i32 {
        self.words[0] as i32
    }

    /// `si_code`; positive for faults and other kernel events, else sent by a process.
    pub fn code(&self) -> i32 {
        self.words[1] as i32
    }

    /// `si_addr` of a fault.
    pub fn address(&self) -> u64 {
        self.words[2]
    }
}

/// What the frame tells of a fault beside its [`SigInfo`], in x86 terms; an aarch64 frame translates them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FaultContext {
    /// The address of a page fault (CR2).
    pub address: u64,
    /// The exception's vector: 14 for a page fault, 6 for an undefined instruction, 0 for a divide error…
    pub trap: u64,
    /// The error code of a page fault: bit 0 the page is there, 1 a write, 4 an instruction fetch (SDM volume 3, 4.7).
    pub error: u64,
}

/// `stack_t`: the alternate signal stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct AltStack {
    /// `ss_sp`: its lowest address.
    pub base: u64,
    /// `ss_flags`, padding above it 0.
    pub flags: u64,
    /// `ss_size` in bytes; 0 if there is none.
    pub size: u64,
}

// SAFETY: three words.
unsafe impl Plain for AltStack {}

impl Default for AltStack {
    fn default() -> Self {
        AltStack { base: 0, flags: AltStack::DISABLE, size: 0 }
    }
}

impl AltStack {
    const ONSTACK: u64 = 1;
    const DISABLE: u64 = 2;
    const AUTODISARM: u64 = 1 << 31;

    /// Is the guest running on it? An SS_AUTODISARM stack never counts.
    pub(crate) fn contains(&self, sp: u64) -> bool {
        self.flags & AltStack::AUTODISARM == 0 && self.holds(sp)
    }

    fn holds(&self, sp: u64) -> bool {
        sp > self.base && sp - self.base <= self.size
    }

    /// Where a frame for a handler with these flags starts downward, the guest's stack pointer being `sp`.
    /// EFAULT if the frame's start has left the alternate stack that the guest is on.
    pub(crate) fn frame_start(&self, sp: u64, action_flags: u64) -> u64 {
        if action_flags & sa::ONSTACK != 0 && self.size != 0 && !self.contains(sp) {
            self.base.wrapping_add(self.size)
        } else {
            sp
        }
    }

    /// Has a frame at `frame` run over the end of this stack, on which it was to be?
    pub(crate) fn overflowed(&self, sp: u64, action_flags: u64, frame: u64) -> bool {
        let on_it = self.size != 0 && (self.contains(sp) || action_flags & sa::ONSTACK != 0);
        on_it && !self.holds(frame)
    }

    /// `sigaltstack(2)`'s report, the guest's stack pointer being `sp`.
    pub(crate) fn report(&self, sp: u64) -> AltStack {
        let state = match (self.size, self.contains(sp)) {
            (0, _) => AltStack::DISABLE,
            (_, true) => AltStack::ONSTACK,
            (_, false) => 0,
        };
        AltStack { flags: state | self.flags & AltStack::AUTODISARM, ..*self }
    }

    /// `sigaltstack(2)`'s change: EPERM on the stack itself, EINVAL for unknown flags, ENOMEM if too small.
    pub(crate) fn change(&mut self, new: AltStack, sp: u64, minimum: u64) -> Result<(), Errno> {
        if self.contains(sp) {
            return Err(Errno::EPERM);
        }
        let flags = new.flags & 0xffff_ffff;
        match flags & !AltStack::AUTODISARM {
            AltStack::DISABLE => *self = AltStack { base: 0, flags, size: 0 },
            0 | AltStack::ONSTACK if new.size < minimum => return Err(Errno::ENOMEM),
            0 | AltStack::ONSTACK => *self = AltStack { flags, ..new },
            _ => return Err(Errno::EINVAL),
        }
        Ok(())
    }
}

/// Signals that the host's handler has noted for one thread. The handler, on that thread, is the only writer;
/// [`deliver`], on the same thread, the only reader.
#[derive(Debug)]
pub struct Inbox {
    pending: AtomicU32,
    poll: AtomicPtr<AtomicU32>,
    written: AtomicUsize,
    read: AtomicUsize,
    ring: [Cell<SigInfo>; Inbox::SLOTS],
}

// SAFETY: the cells are written and read on the owning thread only; `written` and `read` order the two.
unsafe impl Sync for Inbox {}
// SAFETY: it holds plain data and a pointer that is only followed while the thread that owns it is attached.
unsafe impl Send for Inbox {}

impl Default for Inbox {
    fn default() -> Self {
        Inbox {
            pending: AtomicU32::new(0),
            poll: AtomicPtr::new(ptr::null_mut()),
            written: AtomicUsize::new(0),
            read: AtomicUsize::new(0),
            ring: [const { Cell::new(SigInfo { words: [0; 16] }) }; Inbox::SLOTS],
        }
    }
}

impl Inbox {
    // One asynchronous signal and each of the five faults, sent by somebody, can wait; twice that is enough.
    const SLOTS: usize = 16;

    /// Not 0 while something is pending: what the interruptible system call stub looks at.
    pub(crate) fn pending_word(&self) -> &AtomicU32 {
        &self.pending
    }

    fn note(&self, info: SigInfo) {
        let written = self.written.load(Ordering::Relaxed);
        if written.wrapping_sub(self.read.load(Ordering::Acquire)) < Inbox::SLOTS {
            self.ring[written % Inbox::SLOTS].set(info);
            self.written.store(written.wrapping_add(1), Ordering::Release);
        }
        self.raise();
    }

    fn raise(&self) {
        self.pending.store(1, Ordering::Release);
        let poll = self.poll.load(Ordering::Acquire);
        if !poll.is_null() {
            // SAFETY: `attach_thread`'s caller keeps the word alive while the thread is attached.
            unsafe { (*poll).store(1, Ordering::Release) };
        }
    }

    fn is_empty(&self) -> bool {
        self.read.load(Ordering::Relaxed) == self.written.load(Ordering::Acquire)
    }

    fn take(&self) -> Option<SigInfo> {
        let read = self.read.load(Ordering::Relaxed);
        if read == self.written.load(Ordering::Acquire) {
            return None;
        }
        let info = self.ring[read % Inbox::SLOTS].get();
        self.read.store(read.wrapping_add(1), Ordering::Release);
        Some(info)
    }
}

thread_local! {
    // What the host's handler finds its thread by. `const` and without a destructor: safe in a handler.
    static INBOX: Cell<*const Inbox> = const { Cell::new(ptr::null()) };
}

/// The signal state of one task.
#[derive(Debug, Default)]
pub struct TaskSignals {
    /// The guest's signal mask.
    pub mask: u64,
    /// The alternate stack.
    pub alt_stack: AltStack,
    /// What the host's handler has noted.
    pub inbox: Arc<Inbox>,
    /// A fault of the guest, delivered before anything else.
    forced: Option<SigInfo>,
    /// Fault signals sent by processes while the guest blocks them; the host cannot.
    held: Vec<SigInfo>,
    /// The last fault, for frames.
    pub fault: FaultContext,
}

impl TaskSignals {
    /// Takes the calling host thread's mask as the guest's, and opens the faults on the host.
    pub(crate) fn inherit_host_mask(&mut self) {
        self.mask = host::mask();
        self.sync_host_mask();
    }

    /// The state of a new thread or process: mask kept, nothing pending.
    pub(crate) fn child(&self, alt_stack: AltStack) -> TaskSignals {
        TaskSignals { mask: self.mask, alt_stack, fault: self.fault, ..TaskSignals::default() }
    }

    /// Signals that the guest blocks and somebody has sent, and that the host cannot keep pending.
    pub(crate) fn held_set(&self) -> u64 {
        self.held.iter().fold(0, |set, info| set | bit(info.signal()))
    }

    /// Forgets what is pending: a new process starts without.
    pub(crate) fn forget_pending(&mut self) {
        self.forced = None;
        self.held.clear();
        while self.inbox.take().is_some() {}
        if self.inbox.pending.load(Ordering::Relaxed) != 0 {
            self.inbox.pending.store(0, Ordering::Release);
        }
    }

    /// Makes the calling host thread's mask follow the guest's.
    pub(crate) fn sync_host_mask(&self) {
        host::set_mask(host_mask(self.mask));
    }
}

pub(crate) fn host_mask(guest: u64) -> u64 {
    guest & !FAULTS & !UNTOUCHABLE
}

/// The signal handlers of a process.
#[derive(Debug)]
pub struct Sighand {
    host_handler: u64,
    handles_faults: AtomicBool,
    actions: Mutex<Actions>,
}

/// The guest's action for each signal; none where the host's is as the process inherited it, and nobody has asked.
type Actions = [Option<KernelSigaction>; SIGNALS as usize + 1];

/// What the process inherited for a signal that it has not changed: ignored or not.
fn inherited(signal: i32) -> KernelSigaction {
    let ignored = host::sigaction(signal, None).is_ok_and(|old| old.handler == SIG_IGN);
    KernelSigaction { handler: if ignored { SIG_IGN } else { SIG_DFL }, ..KernelSigaction::default() }
}

impl Sighand {
    /// The handlers that a program starts with: what the host process inherited as ignored stays ignored.
    /// `host_handler` is the runtime's SA_SIGINFO handler, which is installed for the faults at once.
    pub fn new(host_handler: extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void)) -> Arc<Sighand> {
        host::examine_processor();
        let sighand = Sighand {
            host_handler: host_handler as usize as u64,
            handles_faults: AtomicBool::new(false),
            actions: Mutex::new([None; SIGNALS as usize + 1]),
        };
        for signal in (1..=SIGNALS).filter(|signal| bit(*signal) & FAULTS != 0) {
            if sighand.action(signal).handler == SIG_IGN {
                proc::set_fault_handler(bit(signal), SIG_IGN);
            }
            let _ = host::sigaction(signal, Some(sighand.host_action(signal, KernelSigaction::default())));
        }
        Arc::new(sighand)
    }

    /// The guest's action for `signal`.
    pub fn action(&self, signal: i32) -> KernelSigaction {
        *self.actions()[signal as usize].get_or_insert_with(|| inherited(signal))
    }

    /// Has the guest ever installed a handler for memory faults, in which it sees its registers?
    pub fn handles_faults(&self) -> bool {
        self.handles_faults.load(Ordering::Acquire)
    }

    /// Sets the guest's action and makes the host's follow; returns the old one. EINVAL.
    pub(crate) fn set_action(&self, signal: i32, new: KernelSigaction) -> Result<KernelSigaction, Errno> {
        let action = &mut self.actions()[signal as usize];
        let old = action.unwrap_or_else(|| inherited(signal));
        host::sigaction(signal, Some(self.host_action(signal, new)))?;
        if new.handler > SIG_IGN && matches!(signal, libc::SIGSEGV | libc::SIGBUS) {
            self.handles_faults.store(true, Ordering::Release);
        }
        if bit(signal) & FAULTS != 0 {
            proc::set_fault_handler(bit(signal), new.handler);
        }
        *action = Some(new);
        Ok(old)
    }

    /// Handlers become SIG_DFL, what is ignored stays so: CLONE_CLEAR_SIGHAND of `clone3(2)`.
    pub(crate) fn clear(&self) {
        for signal in 1..=SIGNALS {
            let action = self.actions()[signal as usize];
            if action.is_some_and(|action| action.handler > SIG_IGN) {
                let _ = self.set_action(signal, KernelSigaction::default());
            }
        }
    }

    /// Handlers of its own for a child whose host process has copied the host's.
    pub(crate) fn copy(&self) -> Arc<Sighand> {
        Arc::new(Sighand {
            host_handler: self.host_handler,
            handles_faults: AtomicBool::new(self.handles_faults()),
            actions: Mutex::new(*self.actions()),
        })
    }

    /// Holds the handlers still, for the length of a fork.
    pub(crate) fn freeze(&self) -> impl Sized + '_ {
        self.actions()
    }

    fn host_action(&self, signal: i32, guest: KernelSigaction) -> KernelSigaction {
        let caught = guest.handler > SIG_IGN || bit(signal) & FAULTS != 0;
        KernelSigaction {
            handler: if caught { self.host_handler } else { guest.handler },
            flags: sa::SIGINFO | sa::ONSTACK | sa::RESTART | guest.flags & (sa::NOCLDSTOP | sa::NOCLDWAIT),
            restorer: 0,
            mask: !0,
        }
    }

    fn actions(&self) -> MutexGuard<'_, Actions> {
        self.actions.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Makes the calling host thread the one that runs `task`: host signals go to its inbox and set `cpu`'s poll
/// word. Both must stay where they are until [`detach_thread`]. Opens the thread's host mask to the guest's.
pub fn attach_thread(task: &Task, cpu: &CpuState) {
    task.signals.inbox.poll.store(ptr::from_ref(&cpu.ctl.poll).cast_mut(), Ordering::Release);
    INBOX.set(Arc::as_ptr(&task.signals.inbox));
    task.signals.sync_host_mask();
}

/// What [`attach_thread`] has set for the calling thread.
pub(crate) fn attachment() -> *const Inbox {
    INBOX.get()
}

/// Sets it back after another task has used the thread's data.
pub(crate) fn restore_attachment(attachment: *const Inbox) {
    INBOX.set(attachment);
}

/// The calling host thread runs no task any more; all its signals are blocked.
pub fn detach_thread() {
    host::set_mask(!0);
    INBOX.set(ptr::null());
}

/// Notes a host signal that is not a fault of translated code, and settles an interrupted host call.
/// Async-signal-safe. A thread without a task ignores it (such threads block all signals).
///
/// # Safety
/// The arguments are those of a running SA_SIGINFO handler.
pub unsafe fn host_signal(info: *const libc::siginfo_t, context: *mut libc::ucontext_t) {
    let inbox = INBOX.get();
    if inbox.is_null() {
        return;
    }
    // SAFETY: `attach_thread`'s caller keeps the inbox alive; `info` is the handler's.
    unsafe { (*inbox).note(SigInfo::from_host(info)) };
    // SAFETY: `context` is the handler's. The kernel's signal mask is the first word of `uc_sigmask`.
    unsafe {
        ptr::from_mut(&mut (*context).uc_sigmask).cast::<u64>().write(host_mask(!0));
        host::settle(context);
    }
}

/// Is anything there to deliver?
pub fn pending(task: &Task) -> bool {
    let signals = &task.signals;
    signals.inbox.pending.load(Ordering::Acquire) != 0
        || signals.forced.is_some()
        || signals.held.iter().any(|info| bit(info.signal()) & signals.mask == 0)
}

/// A synchronous signal of the guest (a fault, an undefined instruction…), as the kernel forces it: if it is
/// blocked or ignored, its action becomes SIG_DFL first. `fault` is what the frame will show.
pub fn force_signal(task: &mut Task, info: SigInfo, fault: FaultContext) {
    let signal = info.signal();
    let blocked = task.signals.mask & bit(signal) != 0;
    if blocked || task.sighand.action(signal).handler == SIG_IGN {
        let _ = task.sighand.set_action(signal, KernelSigaction::default());
        task.signals.mask &= !bit(signal);
    }
    task.signals.fault = fault;
    task.signals.forced = Some(info);
}

/// What came of [`deliver`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delivery {
    /// Nothing more is pending; go on at the guest's program counter.
    None,
    /// A guest handler is entered: go on at the guest's program counter.
    Handler,
    /// The signal ends the process: [`die`].
    Kill(i32),
}

/// Delivers the next signal. Also finishes a call that ended in [`Then::Restart`](crate::Then::Restart).
pub fn deliver(task: &mut Task, cpu: &mut CpuState) -> Delivery {
    while let Some(info) = next(task) {
        let signal = info.signal();
        let action = task.sighand.action(signal);
        match (action.handler, default_action(signal)) {
            (SIG_IGN, _) | (SIG_DFL, DefaultAction::Ignore) => {}
            (SIG_DFL, DefaultAction::Stop) => stop(),
            (SIG_DFL, DefaultAction::Kill) => return Delivery::Kill(signal),
            (_, _) => return enter_handler(task, cpu, &info, action),
        }
    }
    if let Some(saved) = task.restart.take() {
        arch::rewind(task.arch, cpu, saved.number, saved.first_arg);
    }
    task.signals.sync_host_mask();
    Delivery::None
}

/// The next signal to act upon; the inbox is emptied of fault signals that the guest blocks.
fn next(task: &mut Task) -> Option<SigInfo> {
    let signals = &mut task.signals;
    if let Some(info) = signals.forced.take() {
        return Some(info);
    }
    if let Some(index) = signals.held.iter().position(|info| bit(info.signal()) & signals.mask == 0) {
        return Some(signals.held.remove(index));
    }
    loop {
        // Cleared first: a signal that is noted from here on sets it again.
        signals.inbox.pending.store(0, Ordering::Release);
        let info = signals.inbox.take()?;
        if !signals.inbox.is_empty() {
            signals.inbox.pending.store(1, Ordering::Release);
        }
        let signal = info.signal();
        if bit(signal) & FAULTS & signals.mask == 0 {
            return Some(info);
        }
        if !signals.held.iter().any(|held| held.signal() == signal) {
            signals.held.push(info);
        }
    }
}

fn enter_handler(task: &mut Task, cpu: &mut CpuState, info: &SigInfo, action: KernelSigaction) -> Delivery {
    let signal = info.signal();
    if let Some(saved) = task.restart.take()
        && (saved.why == Restart::NotStarted || action.flags & sa::RESTART != 0)
    {
        arch::rewind(task.arch, cpu, saved.number, saved.first_arg);
    }
    let frame = Frame {
        info,
        action,
        mask: task.signals.mask,
        alt_stack: task.signals.alt_stack,
        fault: task.signals.fault,
        trampoline: task.mm.sigreturn(),
    };
    if arch::enter_handler(task.arch, cpu, &frame).is_err() {
        return Delivery::Kill(libc::SIGSEGV);
    }
    if task.mm.has_guards() {
        // As if it was called through a register (setup_return of arch/arm64/kernel/signal.c).
        cpu.set(aarch64::BTYPE, aarch64::BTYPE_CALL);
    }
    if task.signals.alt_stack.flags & AltStack::AUTODISARM != 0 {
        task.signals.alt_stack = AltStack::default();
    }
    if action.flags & sa::RESETHAND != 0 {
        let _ = task.sighand.set_action(signal, KernelSigaction { handler: SIG_DFL, ..action });
    }
    let own = if action.flags & sa::NODEFER != 0 { 0 } else { bit(signal) };
    task.signals.mask |= (action.mask | own) & !UNTOUCHABLE;
    task.signals.sync_host_mask();
    Delivery::Handler
}

/// What a signal frame is made of.
pub(crate) struct Frame<'a> {
    pub(crate) info: &'a SigInfo,
    pub(crate) action: KernelSigaction,
    /// The mask to come back to.
    pub(crate) mask: u64,
    pub(crate) alt_stack: AltStack,
    pub(crate) fault: FaultContext,
    /// Where a handler returns to on a machine whose programs need not bring a restorer.
    pub(crate) trampoline: u64,
}

/// What a signal frame gives back beside the registers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Restored {
    pub(crate) mask: u64,
    pub(crate) alt_stack: AltStack,
}

enum DefaultAction {
    Ignore,
    Stop,
    Kill,
}

/// The default action, signal(7). SIGCONT has continued the process before it is seen here.
fn default_action(signal: i32) -> DefaultAction {
    match signal {
        libc::SIGCHLD | libc::SIGCONT | libc::SIGURG | libc::SIGWINCH => DefaultAction::Ignore,
        libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU | libc::SIGSTOP => DefaultAction::Stop,
        _ => DefaultAction::Kill,
    }
}

/// Stops the process as a stop signal's default action does.
fn stop() {
    // SAFETY: SIGSTOP to the own process stops it and nothing else.
    let _ = unsafe { host::raw(libc::SYS_kill, [u64::from(host::getpid()), libc::SIGSTOP as u64, 0, 0, 0, 0]) };
}

/// Ends the process with `signal`, as its own parent would see it of the guest.
pub fn die(signal: i32) -> ! {
    let _ = host::sigaction(signal, Some(KernelSigaction::default()));
    let target = [u64::from(host::getpid()), u64::from(host::gettid()), signal as u64, 0, 0, 0];
    // SAFETY: the signal goes to the calling thread.
    let _ = unsafe { host::raw(libc::SYS_tgkill, target) };
    host::set_mask(!bit(signal));
    // SAFETY: only reached if the signal's default is not to end the process.
    let _ = unsafe { host::raw(libc::SYS_exit_group, [128 + signal as u64, 0, 0, 0, 0, 0]) };
    unreachable!("exit_group returned")
}

/// Sends what a thread has noted and will not live to see to the rest of its process. All signals are blocked.
pub(crate) fn pass_on_pending(task: &mut Task) {
    const SI_TKILL: i32 = -6;
    let pid = u64::from(host::getpid());
    while let Some(info) = task.signals.inbox.take() {
        // What was meant for this thread alone ends with it.
        if info.code() != SI_TKILL {
            let args = [pid, info.signal() as u64, ptr::from_ref(&info) as u64, 0, 0, 0];
            // SAFETY: the siginfo is the kernel's own.
            let _ = unsafe { host::raw(libc::SYS_rt_sigqueueinfo, args) };
        }
    }
}

/// Who takes over the process at execve.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Successor {
    /// Another Philae, which is told the guest's mask ([`Inheritance`](crate::task::Inheritance)).
    Philae,
    /// A program that the host runs.
    Native,
}

/// Gives the host exactly the guest's ignored signals, as the program that replaces this one inherits them. What was
/// noted and not yet delivered goes back to the kernel, which keeps it for the next program; nothing is noted any more
/// if another Philae is to follow, as the calling thread then blocks everything. A native program must find the
/// guest's mask.
pub fn prepare_exec(task: &mut Task, successor: Successor) {
    host::set_mask(!0);
    for signal in ignored_faults(task) {
        let _ = host::sigaction(signal, Some(KernelSigaction { handler: SIG_IGN, ..KernelSigaction::default() }));
    }
    let thread = [u64::from(host::getpid()), u64::from(task.tid)];
    let noted = std::iter::from_fn(|| task.signals.inbox.take());
    for info in noted.chain(task.signals.held.drain(..)) {
        let args = [thread[0], thread[1], info.signal() as u64, ptr::from_ref(&info) as u64, 0, 0];
        // SAFETY: the siginfo is the kernel's own.
        let _ = unsafe { host::raw(libc::SYS_rt_tgsigqueueinfo, args) };
    }
    task.signals.inbox.pending.store(0, Ordering::Release);
    if successor == Successor::Native {
        host::set_mask(task.signals.mask);
    }
}

fn ignored_faults(task: &Task) -> impl Iterator<Item = i32> {
    let faults = (1..=SIGNALS).filter(|signal| bit(*signal) & FAULTS != 0);
    faults.filter(|signal| task.sighand.action(*signal).handler == SIG_IGN)
}

/// Undoes [`prepare_exec`] after an exec that the host refused.
pub fn abandon_exec(task: &Task) {
    task.signals.sync_host_mask();
    for signal in ignored_faults(task) {
        let _ = task.sighand.set_action(signal, task.sighand.action(signal));
    }
}
