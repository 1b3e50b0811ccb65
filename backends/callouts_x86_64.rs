//! The stubs of x86_64 hosts that call out of translated code and keep every register.

use super::{call_helper, evaluate_scratch, settle_state};
use crate::stored_flags;
use philae_ir::state::StateAddress;
use philae_ir::{Helper, Ty};
use std::arch::naked_asm;

/// The address of the stub that calls the evaluator, see [`evaluate_scratch`].
pub(crate) fn evaluator_address() -> u64 {
    evaluator as *const () as u64
}

/// The address of the stub that settles the flags in memory.
pub(crate) fn settler_address() -> u64 {
    settler as *const () as u64
}

/// A stub that calls a C function with its own arguments and saves what the C convention does not. Nine pushes after
/// the return address leave the stack aligned.
macro_rules! preserving_stub {
    ($(#[$doc:meta])* $visibility:vis $name:ident($($parameter:ident: $ty:ty),*) calls $function:path) => {
        $(#[$doc])*
        #[unsafe(naked)]
        $visibility unsafe extern "sysv64" fn $name($($parameter: $ty),*) {
            naked_asm!(
                "push rax", "push rcx", "push rdx", "push rsi", "push rdi",
                "push r8", "push r9", "push r10", "push r11",
                "sub rsp, 256",
                "movups [rsp], xmm0", "movups [rsp + 16], xmm1",
                "movups [rsp + 32], xmm2", "movups [rsp + 48], xmm3",
                "movups [rsp + 64], xmm4", "movups [rsp + 80], xmm5",
                "movups [rsp + 96], xmm6", "movups [rsp + 112], xmm7",
                "movups [rsp + 128], xmm8", "movups [rsp + 144], xmm9",
                "movups [rsp + 160], xmm10", "movups [rsp + 176], xmm11",
                "movups [rsp + 192], xmm12", "movups [rsp + 208], xmm13",
                "movups [rsp + 224], xmm14", "movups [rsp + 240], xmm15",
                "call {function}",
                "movups xmm0, [rsp]", "movups xmm1, [rsp + 16]",
                "movups xmm2, [rsp + 32]", "movups xmm3, [rsp + 48]",
                "movups xmm4, [rsp + 64]", "movups xmm5, [rsp + 80]",
                "movups xmm6, [rsp + 96]", "movups xmm7, [rsp + 112]",
                "movups xmm8, [rsp + 128]", "movups xmm9, [rsp + 144]",
                "movups xmm10, [rsp + 160]", "movups xmm11, [rsp + 176]",
                "movups xmm12, [rsp + 192]", "movups xmm13, [rsp + 208]",
                "movups xmm14, [rsp + 224]", "movups xmm15, [rsp + 240]",
                "add rsp, 256",
                "pop r11", "pop r10", "pop r9", "pop r8",
                "pop rdi", "pop rsi", "pop rdx", "pop rcx", "pop rax",
                "ret",
                function = sym $function,
            )
        }
    };
}

preserving_stub! {
    /// Calls [`evaluate_scratch`].
    evaluator(state: StateAddress, packed: u64) calls evaluate_scratch
}

/// Settles the flags in memory. Where they come from a comparison of an AArch64 guest, as nearly always, that costs a tenth
/// of the call.
#[unsafe(naked)]
unsafe extern "sysv64" fn settler(state: StateAddress) {
    naked_asm!(
        "push rax",
        "push rcx",
        "mov eax, [rdi + {slot}]",
        "cmp eax, {words}",
        "jne 2f",
        "mov rax, [rdi + {first}]",
        "cmp rax, [rdi + {second}]",
        // NZCV: SF and ZF are bits 7 and 6 of AH, C is that nothing was borrowed.
        "3: lahf",
        "seto al",
        "setae cl",
        "movzx ecx, cl",
        "add ecx, ecx",
        "or cl, al",
        "movzx eax, ax",
        "shr eax, 12",
        "and eax, 12",
        "or eax, ecx",
        "mov [rdi + {slot}], rax",
        "pop rcx",
        "pop rax",
        "ret",
        "2: cmp eax, {halves}",
        "jne 4f",
        "mov eax, [rdi + {first}]",
        "cmp eax, [rdi + {second}]",
        "jmp 3b",
        "4: mov ecx, eax",
        "shr ecx, 16",
        "movzx eax, ax",
        "cmp eax, {words_constant}",
        "jne 5f",
        "mov rax, [rdi + {first}]",
        "cmp rax, rcx",
        "jmp 3b",
        "5: cmp eax, {halves_constant}",
        "jne 6f",
        "mov eax, [rdi + {first}]",
        "cmp eax, ecx",
        "jmp 3b",
        "6: pop rcx",
        "pop rax",
        "jmp {any}",
        slot = const stored_flags::SLOT,
        first = const stored_flags::OPERANDS,
        second = const stored_flags::OPERANDS + size_of::<u64>() as i32,
        words = const stored_flags::comparison(Ty::I64),
        halves = const stored_flags::comparison(Ty::I32),
        words_constant = const stored_flags::comparison_with_constant(Ty::I64),
        halves_constant = const stored_flags::comparison_with_constant(Ty::I32),
        any = sym settler_of_any,
    )
}

preserving_stub! {
    /// Calls [`settle_state`].
    settler_of_any(state: StateAddress) calls settle_state
}

preserving_stub! {
    /// Calls [`call_helper`].
    pub(crate) helper(state: StateAddress, helper: *const Helper) calls call_helper
}

#[cfg(test)]
mod tests {
    use super::*;
    use philae_ir::CpuState;
    use philae_ir::state::NZCV;

    #[test]
    fn comparisons_are_settled_as_described() {
        let edges =
            [0, 1, u64::MAX, 1 << 63, i64::MAX as u64, 1 << 31, i32::MAX as u64, u32::MAX.into(), 0x1234_5678_9abc];
        for (first, second) in edges.iter().flat_map(|&first| edges.map(|second| (first, second))) {
            let constant = u32::from(second as u16) << 16;
            let words = [Ty::I32, Ty::I64]
                .map(|ty| [stored_flags::comparison(ty), stored_flags::comparison_with_constant(ty) | constant]);
            for word in words.into_iter().flatten() {
                let [mut described, mut settled] = [(); 2].map(|()| {
                    let mut cpu = CpuState::default();
                    cpu.set(NZCV, word.into());
                    cpu.ctl.flag_operands = [first, second];
                    cpu
                });
                stored_flags::settle(&mut settled);
                // SAFETY: the stub reads and writes the state, which is a test's own.
                unsafe { settler(StateAddress::of(&mut described)) };
                assert_eq!(described.get(NZCV), settled.get(NZCV), "{first:#x} {second:#x} {word:#x}");
            }
        }
    }
}
