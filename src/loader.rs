//! From a file to a program ready to run: the ELF image and its interpreter mapped, the stack filled, the first
//! registers set.
//!
//! In: an open file, what it is called, arguments and environment. Out: a [`Program`] in the guest's address space,
//! or a [`LoadError`] that is one line for the user. Nothing is mapped before the headers have been checked.

use crate::image::{Image, Kind, Segment};
use philae_ir::processor::{Feature, Features, Model};
use philae_ir::state::{aarch64, x86_64};
use philae_ir::{Arch, CpuState};
use philae_syscalls::Mm;
use philae_syscalls::arch as abi;
use philae_syscalls::errno::Errno;
use philae_syscalls::mm::PROT_BTI;
use philae_syscalls::task::Layout;
use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The size of a guest page, which is that of a host page.
const PAGE: u64 = 4096;
/// Where position-independent programs are put if it is free: far below the mappings, with room above for the heap.
/// Unless Philae has a fixed address, the host kernel puts its heap less than a gigabyte above 0x5555_5555_4000, the place
/// for such programs.
const RELOCATABLE_BASE: u64 = 0x5515_5555_4000;
/// The stack when the soft limit is unlimited, and the most that the limit may ask for.
const STACK_LIMITS: [u64; 2] = [8 << 20, 1 << 30];

/// Why a program cannot be started: one line and Philae's exit status.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LoadError {
    /// What is wrong, with the file's name.
    pub message: String,
    /// 126 for a file that cannot run here, 127 for one that is not there.
    pub status: i32,
}

impl LoadError {
    /// The file is there and cannot run here.
    pub fn not_runnable(path: &Path, why: impl std::fmt::Display) -> LoadError {
        LoadError { message: format!("{}: {why}", path.display()), status: 126 }
    }

    /// The file cannot be opened.
    pub fn open(path: &Path, error: &io::Error) -> LoadError {
        let status = if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 };
        LoadError { message: format!("{}: {}", path.display(), describe(error)), status }
    }
}

/// An error of the host without the number that Rust appends.
pub fn describe(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

fn host_error(error: Errno) -> io::Error {
    io::Error::from_raw_os_error(error.0)
}

/// Opens the file of an interpreter and says where it was.
pub type FindInterpreter<'a> = dyn Fn(&OsStr) -> Result<(File, PathBuf), LoadError> + 'a;

/// What to load, and what the program is to see.
pub struct Start<'a> {
    /// The program's file.
    pub file: &'a File,
    /// Its name on the host, for messages.
    pub path: &'a Path,
    /// Its checked headers.
    pub image: &'a Image,
    /// What AT_EXECFN points to: the name the program was started by.
    pub execfn: &'a CStr,
    /// The arguments, argv\[0\] first.
    pub argv: &'a [CString],
    /// The environment.
    pub envp: &'a [CString],
    /// Finds the file of an interpreter: opened, or the places where it was looked for.
    pub find_interpreter: &'a FindInterpreter<'a>,
    /// The processor, for an aarch64 guest.
    pub model: &'a Model,
    /// The stack's size in bytes, if the soft limit does not decide.
    pub stack_size: Option<u64>,
    /// Whether the program is told of its vdso.
    pub vdso: Vdso,
}

/// Whether a program is told of its vdso.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Vdso {
    /// It reads clocks without system calls.
    Announced,
    /// It makes system calls for them, which somebody wants to see.
    Hidden,
}

/// `getauxval(3)`, AT_SYSINFO_EHDR: where the vdso is. The libc crate does not have it.
const AT_SYSINFO_EHDR: u64 = 33;

/// A program in memory.
pub struct Program {
    /// The registers it starts with.
    pub cpu: CpuState,
    /// The auxiliary vector as `/proc/self/auxv` shows it.
    pub auxv: Vec<u8>,
    /// Where its parts are.
    pub layout: Layout,
}

/// Where an image was mapped.
struct Mapped {
    /// What was added to the addresses in the file.
    bias: u64,
    entry: u64,
    /// The end of the highest segment.
    end: u64,
}

/// Maps a program and its interpreter, builds its stack and sets its registers.
pub fn load(mm: &Mm, start: &Start<'_>) -> Result<Program, LoadError> {
    let arch = start.image.arch;
    let interpreter = open_interpreter(start)?;
    let failed = |error: io::Error| LoadError::not_runnable(start.path, format!("cannot map: {}", describe(&error)));
    let guards = |image: &Image| {
        let has = start.model.features.contain(Features::NONE.with(Feature::Bti)) && image.has_landing_pads;
        if has { PROT_BTI as i32 } else { 0 }
    };
    // The pages of a program with an interpreter are up to that (arch_elf_adjust_prot of arch/arm64/kernel/process.c).
    let own_guards = if interpreter.is_none() { guards(start.image) } else { 0 };
    let program = map_image(mm, start.file, start.image, own_guards).map_err(failed)?;
    let mut pc = program.entry;
    let mut base = 0;
    if let Some((file, path, image)) = &interpreter {
        let mapped = map_image(mm, file, image, guards(image))
            .map_err(|error| LoadError::not_runnable(path, format!("cannot map: {}", describe(&error))))?;
        pc = mapped.entry;
        base = mapped.bias;
    }
    mm.set_brk(program.end);
    let vdso = mm.map_vdso().map_err(|error| failed(host_error(error)))?;
    let (stack_bottom, stack_top) = map_stack(mm, start.stack_size).map_err(failed)?;
    let mut stack = Stack { bytes: Vec::new(), top: stack_top };
    let Filled { sp, auxv, arguments, environment } = fill_stack(&mut stack, start, &program, base, vdso);
    if stack.bytes.len() as u64 > (stack_top - stack_bottom) / 2 {
        return Err(LoadError::not_runnable(start.path, "arguments and environment do not fit the stack"));
    }
    stack.write();
    let [code, data] = code_and_data(start.image, program.bias);
    let layout = Layout { code, data, stack: sp, arguments, environment };
    Ok(Program { cpu: first_registers(arch, pc, sp), auxv, layout })
}

/// What the kernel's load_elf_binary() calls code and data: the executable segments, and the last one.
fn code_and_data(image: &Image, bias: u64) -> [Range<u64>; 2] {
    let range = |s: &Segment| s.address.wrapping_add(bias)..s.address.wrapping_add(bias).wrapping_add(s.file_size);
    let executable = image.segments.iter().filter(|s| s.protection & libc::PROT_EXEC != 0).map(range);
    let code = executable.reduce(|all, next| all.start.min(next.start)..all.end.max(next.end));
    let data = image.segments.last().map(range);
    [code.unwrap_or_default(), data.unwrap_or_default()]
}

fn open_interpreter(start: &Start<'_>) -> Result<Option<(File, PathBuf, Image)>, LoadError> {
    let Some(name) = &start.image.interpreter else { return Ok(None) };
    let (file, path) = (start.find_interpreter)(name)?;
    let image = Image::read(&file).map_err(|why| LoadError::not_runnable(&path, why))?;
    if image.arch != start.image.arch {
        let why =
            format!("is an interpreter for {}, the program is for {}", image.arch.name(), start.image.arch.name());
        return Err(LoadError::not_runnable(&path, why));
    }
    Ok(Some((file, path, image)))
}

/// Maps the segments of an image where it wants them, or at an address of the kernel's choice; `guards` is what the
/// protection of executable ones has besides.
fn map_image(mm: &Mm, file: &File, image: &Image, guards: i32) -> io::Result<Mapped> {
    let start = image.segments[0].address & !(PAGE - 1);
    let end = image.segments.iter().map(|s| s.address + s.memory_size).max().unwrap_or(start);
    let length = end.next_multiple_of(PAGE) - start;
    let reserve = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let bias = match image.kind {
        Kind::Fixed => {
            map(mm, start, length, libc::PROT_NONE, reserve | libc::MAP_FIXED_NOREPLACE, None)?;
            0
        }
        Kind::Relocatable => map(mm, RELOCATABLE_BASE, length, libc::PROT_NONE, reserve, None)?.wrapping_sub(start),
    };
    let mut mapped_to = start.wrapping_add(bias);
    for segment in &image.segments {
        let more = if segment.protection & libc::PROT_EXEC != 0 { guards } else { 0 };
        map_segment(mm, file, &Segment { protection: segment.protection | more, ..*segment }, bias)?;
        // What lies between segments was reserved with them and belongs to nobody.
        let address = segment.address.wrapping_add(bias);
        let gap = (address & !(PAGE - 1)).saturating_sub(mapped_to);
        if gap > 0 {
            mm.unmap(mapped_to, gap).map_err(host_error)?;
        }
        mapped_to = (address + segment.memory_size).next_multiple_of(PAGE);
    }
    Ok(Mapped { bias, entry: image.entry.wrapping_add(bias), end: end.wrapping_add(bias) })
}

/// Maps a segment's pages from the file, zeroes what follows on its last one, and adds anonymous pages behind.
fn map_segment(mm: &Mm, file: &File, segment: &Segment, bias: u64) -> io::Result<()> {
    let address = segment.address.wrapping_add(bias);
    let first_page = address & !(PAGE - 1);
    let file_end = address + segment.file_size;
    let memory_end = (address + segment.memory_size).next_multiple_of(PAGE);
    let mut anonymous = first_page;
    if segment.file_size > 0 {
        let flags = libc::MAP_PRIVATE | libc::MAP_FIXED;
        let offset = segment.offset - (address - first_page);
        let needs_zeroes = !file_end.is_multiple_of(PAGE) && segment.memory_size > segment.file_size;
        let writable = segment.protection | if needs_zeroes { libc::PROT_WRITE } else { 0 };
        map(mm, first_page, file_end - first_page, writable, flags, Some((file, offset)))?;
        anonymous = file_end.next_multiple_of(PAGE);
        if needs_zeroes {
            let zeroes = (anonymous - file_end) as usize;
            // SAFETY: the page was just mapped writable and nothing else knows it yet.
            unsafe { std::ptr::write_bytes(file_end as *mut u8, 0, zeroes) };
            if writable != segment.protection {
                let result = mm.protect(first_page, anonymous - first_page, segment.protection as u32);
                result.map_err(host_error)?;
            }
        }
    }
    if memory_end > anonymous {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
        map(mm, anonymous, memory_end - anonymous, segment.protection, flags, None)?;
    }
    Ok(())
}

/// `mmap` in the guest's address space: anonymous, or of a file from an offset on.
fn map(mm: &Mm, at: u64, length: u64, protection: i32, flags: i32, file: Option<(&File, u64)>) -> io::Result<u64> {
    let (fd, offset) = file.map_or((-1, 0), |(file, offset)| (file.as_raw_fd(), offset));
    let result = mm.map(at, length, protection as u32, flags as u32, fd, offset);
    result.map_err(host_error)
}

/// Maps the stack: its lowest address and its top.
fn map_stack(mm: &Mm, size: Option<u64>) -> io::Result<(u64, u64)> {
    let size = size.unwrap_or_else(stack_limit).clamp(16 * PAGE, STACK_LIMITS[1]).next_multiple_of(PAGE);
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK;
    let bottom = map(mm, 0, size, libc::PROT_READ | libc::PROT_WRITE, flags, None)?;
    mm.set_name(bottom..bottom + size, "[stack]");
    Ok((bottom, bottom + size))
}

fn stack_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the struct is ours to be written.
    let result = unsafe { libc::getrlimit(libc::RLIMIT_STACK, &mut limit) };
    if result != 0 || limit.rlim_cur == libc::RLIM_INFINITY { STACK_LIMITS[0] } else { limit.rlim_cur }
}

/// A stack that is filled from its top down, here first and then in guest memory.
struct Stack {
    /// Highest address last.
    bytes: Vec<u8>,
    top: u64,
}

impl Stack {
    /// Puts bytes below what is there and gives their address.
    fn push(&mut self, bytes: &[u8]) -> u64 {
        self.bytes.extend(bytes.iter().rev());
        self.top - self.bytes.len() as u64
    }

    fn push_string(&mut self, string: &CStr) -> u64 {
        self.push(string.to_bytes_with_nul())
    }

    /// Pads so that after `more` bytes the address is a multiple of 16.
    fn align(&mut self, more: usize) {
        while !(self.top - (self.bytes.len() + more) as u64).is_multiple_of(16) {
            self.bytes.push(0);
        }
    }

    fn write(mut self) {
        self.bytes.reverse();
        let start = self.top - self.bytes.len() as u64;
        // SAFETY: the caller has mapped these bytes below `top`, writable, for this purpose.
        unsafe { std::ptr::copy_nonoverlapping(self.bytes.as_ptr(), start as *mut u8, self.bytes.len()) };
    }
}

/// What a new program's stack holds, and where.
struct Filled {
    sp: u64,
    auxv: Vec<u8>,
    arguments: Range<u64>,
    environment: Range<u64>,
}

/// The stack of a new program (System V ABI): strings, then the auxiliary vector, envp, argv and argc.
fn fill_stack(stack: &mut Stack, start: &Start<'_>, program: &Mapped, base: u64, vdso: u64) -> Filled {
    let arch = start.image.arch;
    stack.push(&[0; 8]);
    let execfn = stack.push_string(start.execfn);
    let envp: Vec<u64> = start.envp.iter().rev().map(|s| stack.push_string(s)).collect();
    let arguments_end = envp.last().copied().unwrap_or(execfn);
    let argv: Vec<u64> = start.argv.iter().rev().map(|s| stack.push_string(s)).collect();
    let arguments_start = argv.last().copied().unwrap_or(arguments_end);
    let platform = stack.push_string(abi::platform(arch));
    let random = stack.push(&random_bytes());
    stack.align(0);
    let [hwcap, hwcap2] = abi::hwcaps(arch, start.model);
    // SAFETY: these calls only report.
    let [uid, euid, gid, egid] = unsafe { [libc::getuid(), libc::geteuid(), libc::getgid(), libc::getegid()] };
    let vdso_key = if start.vdso == Vdso::Announced { AT_SYSINFO_EHDR } else { libc::AT_IGNORE };
    let auxv = [
        (vdso_key, vdso),
        (libc::AT_HWCAP, hwcap),
        (libc::AT_PAGESZ, PAGE),
        (libc::AT_CLKTCK, 100),
        (libc::AT_PHDR, start.image.program_headers.wrapping_add(program.bias)),
        (libc::AT_PHENT, 56),
        (libc::AT_PHNUM, start.image.program_header_count),
        (libc::AT_BASE, base),
        (libc::AT_FLAGS, 0),
        (libc::AT_ENTRY, program.entry),
        (libc::AT_UID, u64::from(uid)),
        (libc::AT_EUID, u64::from(euid)),
        (libc::AT_GID, u64::from(gid)),
        (libc::AT_EGID, u64::from(egid)),
        (libc::AT_SECURE, 0),
        (libc::AT_RANDOM, random),
        (libc::AT_HWCAP2, hwcap2),
        (libc::AT_EXECFN, execfn),
        (libc::AT_PLATFORM, platform),
        (libc::AT_MINSIGSTKSZ, abi::min_signal_stack(arch)),
        (libc::AT_NULL, 0),
    ];
    let auxv: Vec<u8> = auxv.iter().flat_map(|&(key, value)| [key, value]).flat_map(u64::to_le_bytes).collect();
    let pointers = 8 * (1 + argv.len() + 1 + envp.len() + 1);
    stack.align(pointers + auxv.len());
    stack.push(&auxv);
    push_pointers(stack, &envp);
    push_pointers(stack, &argv);
    let sp = stack.push(&(argv.len() as u64).to_le_bytes());
    Filled { sp, auxv, arguments: arguments_start..arguments_end, environment: arguments_end..execfn }
}

/// A null-terminated array, given last element first.
fn push_pointers(stack: &mut Stack, reversed: &[u64]) {
    stack.push(&[0; 8]);
    for pointer in reversed {
        stack.push(&pointer.to_le_bytes());
    }
}

fn random_bytes() -> [u8; 16] {
    let mut bytes = [0; 16];
    // SAFETY: the buffer is ours; AT_RANDOM of zeroes, should the call fail, is still a valid pointer.
    unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    bytes
}

/// The registers of a new program (System V ABI of each machine).
fn first_registers(arch: Arch, pc: u64, sp: u64) -> CpuState {
    let mut cpu = CpuState::default();
    cpu.set_pc(pc);
    match arch {
        Arch::Aarch64 => {
            cpu.set(aarch64::SP, sp);
            cpu.set(aarch64::PSTATE, aarch64::SSBS);
        }
        Arch::X86_64 => {
            cpu.set(x86_64::GPR[4], sp);
            cpu.set(x86_64::MXCSR, 0x1f80);
            cpu.set(x86_64::X87_CONTROL, 0x37f);
        }
    }
    cpu
}

/// The file name as a C string; a path from the command line has no zero byte.
pub fn c_string(text: &OsStr) -> CString {
    CString::new(text.as_bytes()).unwrap_or_default()
}
