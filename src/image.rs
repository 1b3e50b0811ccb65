//! What an ELF file says of itself, checked: the part of loading that maps nothing.

use crate::property;
use goblin::container::{Container, Ctx, Endian};
use goblin::elf::Elf;
use goblin::elf::header::{self, Header};
use goblin::elf::program_header::{self, ProgramHeader};
use philae_ir::Arch;
use std::ffi::OsString;
use std::fs::File;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::FileExt;

/// The size of an ELF64 file header and of an ELF64 program header.
const HEADER_SIZE: usize = 64;
const PROGRAM_HEADER_SIZE: usize = 56;
/// Guest addresses end here: the user half of a 47-bit address space.
const ADDRESS_END: u64 = 1 << 47;
const PAGE: u64 = 4096;

/// Whether a program runs where its file says, or anywhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// ET_EXEC.
    Fixed,
    /// ET_DYN: position-independent programs and interpreters.
    Relocatable,
}

/// A PT_LOAD segment, addresses as in the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Where it starts in memory.
    pub address: u64,
    /// Where it starts in the file.
    pub offset: u64,
    /// Bytes from the file.
    pub file_size: u64,
    /// Bytes in memory.
    pub memory_size: u64,
    /// `PROT_*` bits.
    pub protection: i32,
}

/// A checked ELF image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Image {
    /// The machine it is for.
    pub arch: Arch,
    /// Whether it can be moved.
    pub kind: Kind,
    /// Where it starts.
    pub entry: u64,
    /// The segments, ascending, without overlap; at least one.
    pub segments: Vec<Segment>,
    /// Where the program headers are in memory, 0 if in no segment.
    pub program_headers: u64,
    /// How many program headers there are.
    pub program_header_count: u64,
    /// The interpreter it asks for (PT_INTERP).
    pub interpreter: Option<OsString>,
    /// Whether its code has landing pads for branches to registers (GNU_PROPERTY_AARCH64_FEATURE_1_BTI).
    pub has_landing_pads: bool,
}

impl Image {
    /// Reads and checks the headers of a file; the error says what is wrong with it.
    pub fn read(file: &File) -> Result<Image, String> {
        let header = read_header(file)?;
        let arch = check_machine(&header)?;
        let kind = match header.e_type {
            header::ET_EXEC => Kind::Fixed,
            header::ET_DYN => Kind::Relocatable,
            other => return Err(format!("ELF file of type {}, not a program", header::et_to_str(other))),
        };
        let headers = read_program_headers(file, &header)?;
        let segments = segments(file, &headers)?;
        let inside = |s: &Segment| s.protection & libc::PROT_EXEC != 0 && s.contains(header.e_entry);
        if !segments.iter().any(inside) {
            return Err(format!("entry point {:#x} lies in no executable segment", header.e_entry));
        }
        let table = segments.iter().find(|s| (s.offset..s.offset + s.file_size).contains(&header.e_phoff));
        Ok(Image {
            arch,
            kind,
            entry: header.e_entry,
            program_headers: table.map_or(0, |s| header.e_phoff - s.offset + s.address),
            program_header_count: headers.len() as u64,
            interpreter: interpreter(file, &headers)?,
            has_landing_pads: arch == Arch::Aarch64 && property::has_landing_pads(file, &headers)?,
            segments,
        })
    }
}

impl Segment {
    fn contains(&self, address: u64) -> bool {
        (self.address..self.address + self.memory_size).contains(&address)
    }
}

fn read_header(file: &File) -> Result<Header, String> {
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    if metadata.is_dir() {
        return Err("is a directory".to_owned());
    }
    let mut bytes = [0; HEADER_SIZE];
    let length = read_up_to(file, &mut bytes, 0)?;
    if length == 0 {
        return Err("is an empty file".to_owned());
    }
    if !bytes[..length].starts_with(header::ELFMAG) {
        return Err("not an ELF file".to_owned());
    }
    if length < HEADER_SIZE && bytes[header::EI_CLASS] != header::ELFCLASS32 {
        return Err(format!("truncated: {length} bytes, an ELF header has {HEADER_SIZE}"));
    }
    match bytes[header::EI_CLASS] {
        header::ELFCLASS64 => {}
        header::ELFCLASS32 => return Err("32-bit ELF file; only 64-bit programs run here".to_owned()),
        other => return Err(format!("ELF file of unknown class {other}")),
    }
    if bytes[header::EI_DATA] != header::ELFDATA2LSB {
        return Err("big-endian ELF file; only little-endian programs run here".to_owned());
    }
    Elf::parse_header(&bytes).map_err(|error| format!("malformed ELF header: {error}"))
}

fn check_machine(header: &Header) -> Result<Arch, String> {
    match header.e_machine {
        header::EM_AARCH64 => Ok(Arch::Aarch64),
        header::EM_X86_64 => Ok(Arch::X86_64),
        other => {
            let name = header::machine_to_str(other);
            Err(format!("ELF file for machine {other} ({name}); only aarch64 and x86_64 programs run here"))
        }
    }
}

fn read_program_headers(file: &File, header: &Header) -> Result<Vec<ProgramHeader>, String> {
    if usize::from(header.e_phentsize) != PROGRAM_HEADER_SIZE {
        return Err(format!("program headers of {} bytes instead of {PROGRAM_HEADER_SIZE}", header.e_phentsize));
    }
    let count = usize::from(header.e_phnum);
    let mut bytes = vec![0; count * PROGRAM_HEADER_SIZE];
    let length = read_up_to(file, &mut bytes, header.e_phoff)?;
    if length < bytes.len() {
        return Err(format!("truncated: {count} program headers at {:#x} end beyond the file", header.e_phoff));
    }
    let context = Ctx::new(Container::Big, Endian::Little);
    ProgramHeader::parse(&bytes, 0, count, context).map_err(|error| format!("malformed program headers: {error}"))
}

fn segments(file: &File, headers: &[ProgramHeader]) -> Result<Vec<Segment>, String> {
    let file_length = file.metadata().map_err(|error| error.to_string())?.len();
    let mut segments = Vec::new();
    for header in headers.iter().filter(|h| h.p_type == program_header::PT_LOAD && h.p_memsz > 0) {
        check_segment(header, file_length)?;
        segments.push(Segment {
            address: header.p_vaddr,
            offset: header.p_offset,
            file_size: header.p_filesz,
            memory_size: header.p_memsz,
            protection: protection(header.p_flags),
        });
    }
    if segments.is_empty() {
        return Err("no loadable segment".to_owned());
    }
    let overlap = segments.windows(2).find(|pair| pair[0].address + pair[0].memory_size > pair[1].address);
    match overlap {
        Some(pair) => Err(format!("segments at {:#x} and {:#x} overlap", pair[0].address, pair[1].address)),
        None => Ok(segments),
    }
}

fn check_segment(header: &ProgramHeader, file_length: u64) -> Result<(), String> {
    let at = header.p_vaddr;
    let end = at.checked_add(header.p_memsz).filter(|&end| end <= ADDRESS_END);
    if end.is_none() {
        return Err(format!("segment at {at:#x} of {:#x} bytes ends beyond the address space", header.p_memsz));
    }
    if header.p_filesz > header.p_memsz {
        return Err(format!("segment at {at:#x} is larger in the file than in memory"));
    }
    if header.p_filesz > 0 && !(at ^ header.p_offset).is_multiple_of(PAGE) {
        return Err(format!("segment at {at:#x} does not fit its file offset {:#x}", header.p_offset));
    }
    let file_end = header.p_offset.checked_add(header.p_filesz);
    if header.p_filesz > 0 && file_end.is_none_or(|end| end > file_length) {
        return Err(format!("truncated: the segment at {at:#x} ends beyond the file's {file_length} bytes"));
    }
    Ok(())
}

fn protection(flags: u32) -> i32 {
    let bits = [
        (program_header::PF_R, libc::PROT_READ),
        (program_header::PF_W, libc::PROT_WRITE),
        (program_header::PF_X, libc::PROT_EXEC),
    ];
    bits.iter().filter(|(flag, _)| flags & flag != 0).fold(libc::PROT_NONE, |all, (_, bit)| all | bit)
}

fn interpreter(file: &File, headers: &[ProgramHeader]) -> Result<Option<OsString>, String> {
    let Some(header) = headers.iter().find(|h| h.p_type == program_header::PT_INTERP) else { return Ok(None) };
    if !(2..=4096).contains(&header.p_filesz) {
        return Err(format!("the interpreter's name has {} bytes", header.p_filesz));
    }
    let mut name = vec![0; header.p_filesz as usize];
    let length = read_up_to(file, &mut name, header.p_offset)?;
    if length < name.len() || name.pop() != Some(0) {
        return Err("malformed name of the interpreter".to_owned());
    }
    Ok(Some(OsString::from_vec(name)))
}

/// Reads at `offset` what the buffer holds, or what the file has; gives the length.
pub fn read_up_to(file: &File, buffer: &mut [u8], offset: u64) -> Result<usize, String> {
    let mut done = 0;
    while done < buffer.len() {
        match file.read_at(&mut buffer[done..], offset.saturating_add(done as u64)) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(crate::loader::describe(&error)),
        }
    }
    Ok(done)
}
