//! Guest memory on an x86_64 host, touched so that a bad address is a value and never our crash.
//!
//! In: guest addresses (which are host addresses). Out: what was there, or the address that failed. Each access is
//! one instruction of the stubs below. The runtime's SIGSEGV and SIGBUS handler asks [`recovery`] with the program
//! counter that faulted, puts the failing address into RAX and continues where it says.

use philae_ir::Ty;
use philae_ir::execute::Failed;
use std::arch::global_asm;

global_asm!(
    ".pushsection .text.philae_access, \"ax\", @progbits",
    ".globl philae_access_begin, philae_access_cas16, philae_access_end",
    ".hidden philae_access_begin, philae_access_cas16, philae_access_end",
    ".globl philae_access_fault, philae_access_cas16_fault",
    ".hidden philae_access_fault, philae_access_cas16_fault",
    ".globl philae_access_load1, philae_access_load2, philae_access_load4, philae_access_load8, philae_access_load16",
    ".hidden philae_access_load1, philae_access_load2, philae_access_load4, philae_access_load8, philae_access_load16",
    ".globl philae_access_store1, philae_access_store2, philae_access_store4, philae_access_store8, philae_access_store16",
    ".hidden philae_access_store1, philae_access_store2, philae_access_store4, philae_access_store8, philae_access_store16",
    ".globl philae_access_cas1, philae_access_cas2, philae_access_cas4, philae_access_cas8",
    ".hidden philae_access_cas1, philae_access_cas2, philae_access_cas4, philae_access_cas8",
    "philae_access_begin:",
    // (rdi address) → rax value, rdx 0
    "philae_access_load1:",
    "movzx eax, byte ptr [rdi]",
    "xor edx, edx",
    "ret",
    "philae_access_load2:",
    "movzx eax, word ptr [rdi]",
    "xor edx, edx",
    "ret",
    "philae_access_load4:",
    "mov eax, dword ptr [rdi]",
    "xor edx, edx",
    "ret",
    "philae_access_load8:",
    "mov rax, qword ptr [rdi]",
    "xor edx, edx",
    "ret",
    // (rdi address, rsi where to) → rdx 0
    "philae_access_load16:",
    "movups xmm0, xmmword ptr [rdi]",
    "movups xmmword ptr [rsi], xmm0",
    "xor edx, edx",
    "ret",
    // (rdi address, rsi value) → rdx 0
    "philae_access_store1:",
    "mov byte ptr [rdi], sil",
    "xor edx, edx",
    "ret",
    "philae_access_store2:",
    "mov word ptr [rdi], si",
    "xor edx, edx",
    "ret",
    "philae_access_store4:",
    "mov dword ptr [rdi], esi",
    "xor edx, edx",
    "ret",
    "philae_access_store8:",
    "mov qword ptr [rdi], rsi",
    "xor edx, edx",
    "ret",
    // (rdi address, rsi what) → rdx 0
    "philae_access_store16:",
    "movups xmm0, xmmword ptr [rsi]",
    "movups xmmword ptr [rdi], xmm0",
    "xor edx, edx",
    "ret",
    // (rdi address, rsi expected, rdx new) → rax value seen, rdx 0
    "philae_access_cas1:",
    "mov eax, esi",
    "lock cmpxchg byte ptr [rdi], dl",
    "movzx eax, al",
    "xor edx, edx",
    "ret",
    "philae_access_cas2:",
    "mov eax, esi",
    "lock cmpxchg word ptr [rdi], dx",
    "movzx eax, ax",
    "xor edx, edx",
    "ret",
    "philae_access_cas4:",
    "mov eax, esi",
    "lock cmpxchg dword ptr [rdi], edx",
    "mov eax, eax",
    "xor edx, edx",
    "ret",
    "philae_access_cas8:",
    "mov rax, rsi",
    "lock cmpxchg qword ptr [rdi], rdx",
    "xor edx, edx",
    "ret",
    // (rdi address, rsi expected, replaced by the value seen, rdx new) → rdx 0
    "philae_access_cas16:",
    "mov r8, rbx",
    "mov rbx, [rdx]",
    "mov rcx, [rdx + 8]",
    "mov rax, [rsi]",
    "mov rdx, [rsi + 8]",
    "lock cmpxchg16b xmmword ptr [rdi]",
    "mov rbx, r8",
    "mov [rsi], rax",
    "mov [rsi + 8], rdx",
    "xor edx, edx",
    "ret",
    "philae_access_end:",
    "philae_access_cas16_fault:",
    "mov rbx, r8",
    // → rax the failing address, rdx 1
    "philae_access_fault:",
    "mov edx, 1",
    "ret",
    ".popsection",
);

/// What a stub returns: in RAX and RDX.
#[repr(C)]
struct Seen {
    value: u64,
    failed: u64,
}

unsafe extern "C" {
    fn philae_access_begin();
    fn philae_access_end();
    fn philae_access_fault();
    fn philae_access_cas16_fault();
    fn philae_access_load1(address: u64) -> Seen;
    fn philae_access_load2(address: u64) -> Seen;
    fn philae_access_load4(address: u64) -> Seen;
    fn philae_access_load8(address: u64) -> Seen;
    fn philae_access_load16(address: u64, to: *mut [u64; 2]) -> Seen;
    fn philae_access_store1(address: u64, value: u64) -> Seen;
    fn philae_access_store2(address: u64, value: u64) -> Seen;
    fn philae_access_store4(address: u64, value: u64) -> Seen;
    fn philae_access_store8(address: u64, value: u64) -> Seen;
    fn philae_access_store16(address: u64, from: *const [u64; 2]) -> Seen;
    fn philae_access_cas1(address: u64, expected: u64, new: u64) -> Seen;
    fn philae_access_cas2(address: u64, expected: u64, new: u64) -> Seen;
    fn philae_access_cas4(address: u64, expected: u64, new: u64) -> Seen;
    fn philae_access_cas8(address: u64, expected: u64, new: u64) -> Seen;
    fn philae_access_cas16(address: u64, seen: *mut [u64; 2], new: *const [u64; 2]) -> Seen;
}

/// Where to continue after a fault at the host program counter `pc`, if `pc` is an access of the interpreter.
/// Whoever continues there puts the address that failed (`si_addr`) into RAX.
pub fn recovery(pc: u64) -> Option<u64> {
    let place = |symbol: unsafe extern "C" fn()| symbol as *const () as u64;
    let cas16 = philae_access_cas16 as *const () as u64;
    if !(place(philae_access_begin)..place(philae_access_end)).contains(&pc) {
        return None;
    }
    Some(if pc < cas16 { place(philae_access_fault) } else { place(philae_access_cas16_fault) })
}

/// Reads a value of type `ty`.
pub(super) fn load(ty: Ty, address: u64) -> Result<u128, Failed> {
    // SAFETY: the stubs survive any address; what the guest maps is the guest's to read.
    let seen = unsafe {
        match ty.bytes() {
            1 => philae_access_load1(address),
            2 => philae_access_load2(address),
            4 => philae_access_load4(address),
            8 => philae_access_load8(address),
            _ => {
                let mut value = [0; 2];
                let seen = philae_access_load16(address, &raw mut value);
                return outcome(seen, ty, address).map(|_| join(value));
            }
        }
    };
    outcome(seen, ty, address).map(u128::from)
}

/// Writes a value of type `ty`.
pub(super) fn store(ty: Ty, address: u64, value: u128) -> Result<(), Failed> {
    let (low, both) = (value as u64, split(value));
    // SAFETY: the stubs survive any address; Philae's own memory is where no guest address points.
    let seen = unsafe {
        match ty.bytes() {
            1 => philae_access_store1(address, low),
            2 => philae_access_store2(address, low),
            4 => philae_access_store4(address, low),
            8 => philae_access_store8(address, low),
            _ => philae_access_store16(address, &raw const both),
        }
    };
    outcome(seen, ty, address).map(|_| ())
}

/// If the integer at `address` equals `expected`, replaces it by `new`; the value seen. A locked operation.
pub(super) fn compare_and_swap(ty: Ty, address: u64, expected: u128, new: u128) -> Result<u128, Failed> {
    let (old, low, both) = (expected as u64, new as u64, split(new));
    // SAFETY: as for `store`.
    let seen = unsafe {
        match ty.bytes() {
            1 => philae_access_cas1(address, old, low),
            2 => philae_access_cas2(address, old, low),
            4 => philae_access_cas4(address, old, low),
            8 => philae_access_cas8(address, old, low),
            _ => {
                let mut value = split(expected);
                let seen = philae_access_cas16(address, &raw mut value, &raw const both);
                return outcome(seen, ty, address).map(|_| join(value));
            }
        }
    };
    outcome(seen, ty, address).map(u128::from)
}

/// A handler that does not know which byte failed (a non-canonical address has none) is answered by the first.
fn outcome(seen: Seen, ty: Ty, address: u64) -> Result<u64, Failed> {
    if seen.failed == 0 {
        return Ok(seen.value);
    }
    let inside = seen.value.wrapping_sub(address) < u64::from(ty.bytes());
    Err(Failed(if inside { seen.value } else { address }))
}

fn split(value: u128) -> [u64; 2] {
    [value as u64, (value >> 64) as u64]
}

fn join([low, high]: [u64; 2]) -> u128 {
    u128::from(low) | u128::from(high) << 64
}
