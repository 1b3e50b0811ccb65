//! Guest memory, touched so that a bad address is an error and never our crash.
//!
//! In: guest addresses (which are host addresses). Out: values, or EFAULT. Every access is made by one of the
//! assembly stubs below; the runtime's SIGSEGV and SIGBUS handler asks [`recovery`] with the faulting program
//! counter and continues where it says.

use crate::errno::Errno;
use crate::tags::Tags;
use philae_ir::state::aarch64::untagged;
use std::arch::global_asm;
use std::cell::Cell;
use std::ffi::CString;
use std::fmt;
use std::marker::PhantomData;
use std::mem::{MaybeUninit, size_of};

global_asm!(
    ".pushsection .text.philae_uaccess, \"ax\", @progbits",
    ".globl philae_copy, philae_copy_access, philae_copy_done",
    ".globl philae_read_window, philae_read_window_access, philae_read_window_done, philae_read_window_fault",
    ".globl philae_exchange, philae_exchange_access, philae_exchange_fault",
    ".hidden philae_copy, philae_copy_access, philae_copy_done",
    ".hidden philae_read_window, philae_read_window_access, philae_read_window_done, philae_read_window_fault",
    ".hidden philae_exchange, philae_exchange_access, philae_exchange_fault",
    // (rdi to, rsi from, rdx bytes) → rax bytes not copied
    "philae_copy:",
    "mov rcx, rdx",
    "philae_copy_access:",
    "rep movsb",
    "philae_copy_done:",
    "mov rax, rcx",
    "ret",
    // (rdi to, rsi from) → rax 0, or -1 if not all 64 bytes can be read
    "philae_read_window:",
    "philae_read_window_access:",
    "movups xmm0, [rsi]",
    "movups xmm1, [rsi + 16]",
    "movups xmm2, [rsi + 32]",
    "movups xmm3, [rsi + 48]",
    "philae_read_window_done:",
    "movups [rdi], xmm0",
    "movups [rdi + 16], xmm1",
    "movups [rdi + 32], xmm2",
    "movups [rdi + 48], xmm3",
    "xor eax, eax",
    "ret",
    "philae_read_window_fault:",
    "mov rax, -1",
    "ret",
    // (rdi address, esi expected, edx new) → rax the 32-bit value seen, or -1
    "philae_exchange:",
    "mov eax, esi",
    "philae_exchange_access:",
    "lock cmpxchg dword ptr [rdi], edx",
    "mov eax, eax",
    "ret",
    "philae_exchange_fault:",
    "mov rax, -1",
    "ret",
    ".popsection",
);

unsafe extern "C" {
    fn philae_copy(to: u64, from: u64, bytes: usize) -> usize;
    fn philae_copy_access();
    fn philae_copy_done();
    fn philae_read_window(to: u64, from: u64) -> u64;
    fn philae_read_window_access();
    fn philae_read_window_done();
    fn philae_read_window_fault();
    fn philae_exchange(address: u64, expected: u32, new: u32) -> u64;
    fn philae_exchange_access();
    fn philae_exchange_fault();
}

/// Where to continue after a fault at the host program counter `pc`, if `pc` is an access of this module.
pub fn recovery(pc: u64) -> Option<u64> {
    // The first access, what follows the last, and where to continue.
    let table: [[unsafe extern "C" fn(); 3]; 3] = [
        [philae_copy_access, philae_copy_done, philae_copy_done],
        [philae_read_window_access, philae_read_window_done, philae_read_window_fault],
        [philae_exchange_access, philae_exchange_fault, philae_exchange_fault],
    ];
    let mut addresses = table.iter().map(|row| row.map(|label| label as *const () as u64));
    addresses.find(|[first, end, _]| (*first..*end).contains(&pc)).map(|[_, _, fixup]| fixup)
}

thread_local! {
    static TAGS: Cell<Tags> = const { Cell::new(Tags::Refused) };
}

/// From now on, the calling thread's accesses ignore tags in addresses, or do not.
pub(crate) fn set_tags(tags: Tags) {
    // What is not written is not copied after fork.
    if TAGS.get() != tags {
        TAGS.set(tags);
    }
}

/// What the kernel accesses for this address.
fn place(address: u64) -> u64 {
    match TAGS.get() {
        Tags::Refused => address,
        Tags::Accepted => untagged(address),
    }
}

/// Copies guest memory at `address` into `to`; EFAULT if any of it cannot be read.
pub fn read_bytes(address: u64, to: &mut [u8]) -> Result<(), Errno> {
    // SAFETY: `to` is writable for its length; a fault on the guest's side ends the copy.
    match unsafe { philae_copy(to.as_mut_ptr() as u64, place(address), to.len()) } {
        0 => Ok(()),
        _ => Err(Errno::EFAULT),
    }
}

/// Bytes of code that are read at once.
pub const WINDOW: usize = 64;

/// As [`read_bytes`], of so many bytes: a string instruction takes longer to start than this takes.
pub fn read_window(address: u64, to: &mut [u8; WINDOW]) -> Result<(), Errno> {
    // SAFETY: as for `read_bytes`; the stub writes these 64 bytes, or none.
    match unsafe { philae_read_window(to.as_mut_ptr() as u64, place(address)) } {
        0 => Ok(()),
        _ => Err(Errno::EFAULT),
    }
}

/// Copies `from` into guest memory at `address`; EFAULT if any of it cannot be written.
pub fn write_bytes(address: u64, from: &[u8]) -> Result<(), Errno> {
    // SAFETY: `from` is readable for its length; the guest owns what it points the call at.
    match unsafe { philae_copy(place(address), from.as_ptr() as u64, from.len()) } {
        0 => Ok(()),
        _ => Err(Errno::EFAULT),
    }
}

/// Compare-and-swap of an aligned 32-bit word of the guest; returns the value seen.
pub fn compare_exchange(address: u64, expected: u32, new: u32) -> Result<u32, Errno> {
    if !address.is_multiple_of(4) {
        return Err(Errno::EINVAL);
    }
    // SAFETY: a fault is caught; the word is the guest's.
    match unsafe { philae_exchange(place(address), expected, new) } {
        u64::MAX => Err(Errno::EFAULT),
        seen => Ok(seen as u32),
    }
}

/// A NUL-terminated string of at most `limit` bytes, NUL included; ENAMETOOLONG if it is longer.
pub fn read_string(address: u64, limit: usize) -> Result<CString, Errno> {
    let mut bytes = Vec::new();
    while bytes.len() < limit {
        let at = address.wrapping_add(bytes.len() as u64);
        // Never past the page: the string may end right before memory that is not there.
        let chunk = (4096 - (at % 4096) as usize).min(256).min(limit - bytes.len());
        let start = bytes.len();
        bytes.resize(start + chunk, 0);
        read_bytes(at, &mut bytes[start..])?;
        if let Some(end) = bytes[start..].iter().position(|byte| *byte == 0) {
            bytes.truncate(start + end);
            return CString::new(bytes).map_err(|_| Errno::EINVAL);
        }
    }
    Err(Errno::ENAMETOOLONG)
}

/// Types that are plain bytes in guest memory: any bit pattern is a value and there is no padding.
///
/// # Safety
/// The type is `repr(C)` or primitive, has no padding, no invalid bit patterns and no pointers of ours.
pub unsafe trait Plain: Copy {}

// SAFETY: integers have no padding and no invalid values.
unsafe impl Plain for u8 {}
// SAFETY: as above.
unsafe impl Plain for u16 {}
// SAFETY: as above.
unsafe impl Plain for u32 {}
// SAFETY: as above.
unsafe impl Plain for i32 {}
// SAFETY: as above.
unsafe impl Plain for u64 {}
// SAFETY: as above.
unsafe impl Plain for i64 {}
// SAFETY: arrays of plain values have no padding of their own.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}

/// The bytes of a plain value.
pub fn bytes_of<T: Plain>(value: &T) -> &[u8] {
    // SAFETY: a plain type has no padding, so all its bytes are initialised.
    unsafe { std::slice::from_raw_parts((value as *const T).cast(), size_of::<T>()) }
}

/// A typed address in guest memory.
pub struct GuestPtr<T> {
    /// The address; 0 is NULL.
    pub address: u64,
    pointee: PhantomData<fn() -> T>,
}

impl<T> Clone for GuestPtr<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for GuestPtr<T> {}

impl<T> fmt::Debug for GuestPtr<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.address)
    }
}

impl<T> GuestPtr<T> {
    /// The pointer with this address.
    pub fn new(address: u64) -> Self {
        GuestPtr { address, pointee: PhantomData }
    }

    /// Is it NULL?
    pub fn is_null(self) -> bool {
        self.address == 0
    }

    /// None if it is NULL, as for arguments that may be left out.
    pub fn optional(self) -> Option<Self> {
        (!self.is_null()).then_some(self)
    }

    /// The pointer to element `index` of the array that this points to.
    pub fn at(self, index: usize) -> Self {
        GuestPtr::new(self.address.wrapping_add((index * size_of::<T>()) as u64))
    }
}

impl<T: Plain> GuestPtr<T> {
    /// Reads the value; EFAULT.
    pub fn read(self) -> Result<T, Errno> {
        let mut value = MaybeUninit::<T>::zeroed();
        // SAFETY: the slice covers the value, zeroed and exclusively ours.
        let bytes = unsafe { std::slice::from_raw_parts_mut(value.as_mut_ptr().cast(), size_of::<T>()) };
        read_bytes(self.address, bytes)?;
        // SAFETY: every bit pattern of a plain type is a value.
        Ok(unsafe { value.assume_init() })
    }

    /// Writes the value; EFAULT.
    pub fn write(self, value: &T) -> Result<(), Errno> {
        write_bytes(self.address, bytes_of(value))
    }

    /// Reads `count` elements; EFAULT.
    pub fn read_array(self, count: usize) -> Result<Vec<T>, Errno> {
        (0..count).map(|index| self.at(index).read()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::catch_faults;

    #[test]
    fn bad_addresses_are_efault() {
        catch_faults();
        assert_eq!(GuestPtr::<u64>::new(16).read(), Err(Errno::EFAULT));
        assert_eq!(GuestPtr::<u64>::new(1 << 63).write(&1), Err(Errno::EFAULT));
        assert_eq!(compare_exchange(64, 0, 1), Err(Errno::EFAULT));
        assert_eq!(read_string(8, 100).unwrap_err(), Errno::EFAULT);
    }

    #[test]
    fn values_and_strings_come_across() {
        catch_faults();
        let mut word = 5u64;
        let pointer = GuestPtr::<u64>::new(&mut word as *mut u64 as u64);
        pointer.write(&77).unwrap();
        assert_eq!(pointer.read(), Ok(77));
        let text = c"hello";
        assert_eq!(read_string(text.as_ptr() as u64, 4096).unwrap().as_c_str(), text);
        assert_eq!(read_string(text.as_ptr() as u64, 4).unwrap_err(), Errno::ENAMETOOLONG);
    }

    #[test]
    fn compare_and_swap_reports_what_it_saw() {
        catch_faults();
        let mut word = 5u32;
        let address = &mut word as *mut u32 as u64;
        assert_eq!(compare_exchange(address, 4, 9), Ok(5));
        assert_eq!(compare_exchange(address, 5, 9), Ok(5));
        assert_eq!(GuestPtr::<u32>::new(address).read(), Ok(9));
        assert_eq!(compare_exchange(address + 1, 0, 0), Err(Errno::EINVAL));
    }
}
