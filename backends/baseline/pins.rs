//! Which guest registers live in which host registers while baseline code runs, and the stubs that carry them over.
//!
//! Code that other compilers made, and everything outside, finds the guest's registers in [`CpuState`]: the *memory
//! contract*. Baseline code goes to baseline code with the pinned ones in R8 to R15: the *register contract*. The
//! stubs change from one to the other.

use crate::callouts;
use crate::link::LinkSlot;
use philae_ir::state::{PC, STUBS, StateAddress, WORDS, aarch64, displacement, x86_64};
use philae_ir::{Arch, CpuState, Helper, Slot};
use std::arch::naked_asm;
use std::mem::{offset_of, size_of};

use super::assembler::{Gpr, Mem};
use super::registers::STATE;

/// The number of the first pinned host register.
pub(super) const FIRST: usize = 8;
/// How many there are.
pub(super) const PINNED: usize = 8;

/// Whether guest registers live in this host register.
pub(super) fn is_pinned(gpr: Gpr) -> bool {
    gpr.index() >= FIRST
}

/// The pinned registers of a guest.
#[derive(Debug)]
pub(super) struct Pins {
    /// The slots in R8 to R15.
    pub(super) slots: [Slot; PINNED],
    /// For each slot the number of its register, or 255.
    pub(super) registers: [u8; WORDS],
    /// The slots whose type is a byte.
    pub(super) bytes: &'static [Slot],
}

impl Pins {
    const fn new(slots: [Slot; PINNED], bytes: &'static [Slot]) -> Pins {
        let mut registers = [u8::MAX; WORDS];
        let mut i = 0;
        while i < PINNED {
            registers[slots[i].0 as usize] = (FIRST + i) as u8;
            i += 1;
        }
        Pins { slots, registers, bytes }
    }

    /// Those of a guest.
    pub(super) fn of(arch: Arch) -> &'static Pins {
        match arch {
            Arch::Aarch64 => &AARCH64,
            Arch::X86_64 => &X86_64,
        }
    }
}

/// The registers that code of Debian's programs names most.
static AARCH64: Pins = {
    use aarch64::{SP, X};
    Pins::new([X[0], X[1], X[2], X[3], X[19], X[20], X[30], SP], &[])
};

/// RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI.
static X86_64: Pins = {
    let [a, c, d, b, sp, bp, si, di, ..] = x86_64::GPR;
    Pins::new([a, c, d, b, sp, bp, si, di], &[x86_64::ADJUST, x86_64::DF])
};

/// Copies the host registers at a fault in baseline code, as the fault exit noted them, to the guest's.
pub fn store_pinned(arch: Arch, cpu: &mut CpuState) {
    for (slot, value) in Pins::of(arch).slots.into_iter().zip(cpu.ctl.pinned) {
        cpu.set(slot, value);
    }
}

/// The stubs that units call and jump to, by their places in [`philae_ir::state::Control::stubs`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stub {
    Evaluate,
    Settle,
    Helper,
    StateHelper,
    Leave,
    LeaveFor,
    Load,
}

impl Stub {
    const ALL: [Stub; STUBS] =
        [Stub::Evaluate, Stub::Settle, Stub::Helper, Stub::StateHelper, Stub::Leave, Stub::LeaveFor, Stub::Load];

    /// Where its address is.
    pub(super) const fn mem(self) -> Mem {
        Mem::At(STATE, displacement(offset_of!(CpuState, ctl.stubs) + self as usize * size_of::<u64>()))
    }
}

/// The stubs of a guest, as [`philae_ir::state::Control::stubs`] holds them.
pub(super) fn stubs(arch: Arch) -> [u64; STUBS] {
    let own = Stubs::of(arch);
    Stub::ALL.map(|stub| match stub {
        Stub::Load => own.load,
        Stub::Leave => own.leave,
        Stub::LeaveFor => own.leave_for,
        Stub::Evaluate => callouts::evaluator_address(),
        Stub::Settle => callouts::settler_address(),
        Stub::Helper => callouts::helper as *const () as u64,
        Stub::StateHelper => own.state_helper,
    })
}

/// Where a link slot's `register_target` leads as long as there is no register entry: to its `target`.
pub fn spill_address(arch: Arch) -> u64 {
    Stubs::of(arch).spill
}

/// Addresses of the stubs that know which registers are pinned.
#[derive(Clone, Copy, Debug)]
struct Stubs {
    /// Called at a unit's memory entry: loads the pinned registers and returns.
    load: u64,
    /// Stores the pinned registers and leaves.
    leave: u64,
    /// Stores the pinned registers and goes on through the memory entry of the link slot in RSI.
    spill: u64,
    /// Calls a helper that sees the guest's registers.
    state_helper: u64,
    /// Leaves for the pc of the link slot in RSI; EAX is the reason.
    leave_for: u64,
}

impl Stubs {
    fn of(arch: Arch) -> Stubs {
        match arch {
            Arch::Aarch64 => aarch64_stubs(),
            Arch::X86_64 => x86_64_stubs(),
        }
    }
}

const HOST_STACK: i32 = displacement(offset_of!(CpuState, ctl.host_stack));
const TARGET: usize = offset_of!(LinkSlot, target);
const LINK_PC: usize = offset_of!(LinkSlot, pc);
const EXIT_REASON: i32 = displacement(offset_of!(CpuState, ctl.exit_reason));

macro_rules! stubs {
    ($name:ident $arch:ident) => {
        fn $name() -> Stubs {
            const SLOTS: [i32; PINNED] = {
                let mut displacements = [0; PINNED];
                let mut i = 0;
                while i < PINNED {
                    displacements[i] = CpuState::displacement($arch.slots[i]);
                    i += 1;
                }
                displacements
            };

            #[unsafe(naked)]
            unsafe extern "sysv64" fn load(state: StateAddress) {
                naked_asm!(
                    "mov r8, [rdi + {s0}]",
                    "mov r9, [rdi + {s1}]",
                    "mov r10, [rdi + {s2}]",
                    "mov r11, [rdi + {s3}]",
                    "mov r12, [rdi + {s4}]",
                    "mov r13, [rdi + {s5}]",
                    "mov r14, [rdi + {s6}]",
                    "mov r15, [rdi + {s7}]",
                    "ret",
                    s0 = const SLOTS[0], s1 = const SLOTS[1], s2 = const SLOTS[2], s3 = const SLOTS[3],
                    s4 = const SLOTS[4], s5 = const SLOTS[5], s6 = const SLOTS[6], s7 = const SLOTS[7],
                )
            }

            #[unsafe(naked)]
            unsafe extern "sysv64" fn store(state: StateAddress) {
                naked_asm!(
                    "mov [rdi + {s0}], r8",
                    "mov [rdi + {s1}], r9",
                    "mov [rdi + {s2}], r10",
                    "mov [rdi + {s3}], r11",
                    "mov [rdi + {s4}], r12",
                    "mov [rdi + {s5}], r13",
                    "mov [rdi + {s6}], r14",
                    "mov [rdi + {s7}], r15",
                    "ret",
                    s0 = const SLOTS[0], s1 = const SLOTS[1], s2 = const SLOTS[2], s3 = const SLOTS[3],
                    s4 = const SLOTS[4], s5 = const SLOTS[5], s6 = const SLOTS[6], s7 = const SLOTS[7],
                )
            }

            #[unsafe(naked)]
            unsafe extern "sysv64" fn leave(state: StateAddress) {
                naked_asm!("call {store}", "jmp {leave}", store = sym store, leave = sym crate::link::leave)
            }

            #[unsafe(naked)]
            unsafe extern "sysv64" fn leave_for(state: StateAddress, link: *const LinkSlot) {
                naked_asm!(
                    "mov [rdi + {reason}], eax",
                    "mov rax, [rsi + {link_pc}]",
                    "mov [rdi + {pc}], rax",
                    "jmp {leave}",
                    reason = const EXIT_REASON,
                    link_pc = const LINK_PC,
                    pc = const CpuState::displacement(PC),
                    leave = sym leave,
                )
            }

            #[unsafe(naked)]
            unsafe extern "sysv64" fn spill(state: StateAddress, link: *const LinkSlot) {
                naked_asm!(
                    "call {store}",
                    "mov rbp, [rdi + {host_stack}]",
                    "jmp qword ptr [rsi + {target}]",
                    store = sym store,
                    host_stack = const HOST_STACK,
                    target = const TARGET,
                )
            }

            #[unsafe(naked)]
            unsafe extern "sysv64" fn state_helper(state: StateAddress, helper: *const Helper) {
                naked_asm!(
                    "call {store}",
                    // The stub for helpers wants the alignment of a call from a unit.
                    "sub rsp, 8",
                    "call {helper}",
                    "add rsp, 8",
                    "jmp {load}",
                    store = sym store,
                    helper = sym callouts::helper,
                    load = sym load,
                )
            }

            Stubs {
                load: load as *const () as u64,
                leave: leave as *const () as u64,
                spill: spill as *const () as u64,
                state_helper: state_helper as *const () as u64,
                leave_for: leave_for as *const () as u64,
            }
        }
    };
}

stubs!(aarch64_stubs AARCH64);
stubs!(x86_64_stubs X86_64);
