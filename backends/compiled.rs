//! What compilers make: machine code of one region, and what its owner needs to place it and to understand its faults.

use std::fmt;
use std::num::NonZeroU32;

/// An access that may fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FaultSite {
    /// Where the host instruction starts, in bytes from the start of the code.
    pub offset: u32,
    /// Where the code goes on if it faults, in bytes from the start of the code, with all registers as they are, to bring the
    /// guest's registers in memory up to date and leave; none if they are.
    pub recovery: Option<NonZeroU32>,
    /// The guest instruction it belongs to.
    pub pc: u64,
}

/// Machine code of one region.
#[derive(Clone, Default, Debug)]
pub struct Code {
    /// The code, which starts with its memory entry; may be copied to any address, less than 2 GiB from those of the
    /// relocations.
    pub bytes: Vec<u8>,
    /// The accesses that may fault, by rising offset.
    pub faults: Vec<FaultSite>,
    /// What depends on where the bytes are.
    pub relocations: Vec<Relocation>,
    /// The jumps that may go straight to other code.
    pub exits: Vec<ExitSite>,
    /// So many bytes at the end are hardly ever run, and may be placed elsewhere.
    pub far: usize,
    /// Where the distances in front of those bytes are that lead into them, from the start of the code.
    pub far_fields: Vec<u32>,
}

/// A jump that leads through a link slot, by way of some instructions of the same code, and may lead straight to code
/// instead: that of the baseline compiler to a register entry, others to a memory entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExitSite {
    /// Where the distance is, in bytes from the start of the code: 32 bits, from the end of the field, none of them in
    /// another eight bytes than the rest if the code starts at a multiple of eight. So it can be changed while the code
    /// runs.
    pub offset: u32,
    /// The address of the link slot.
    pub slot: u64,
}

impl ExitSite {
    /// How many bytes it takes in front of an offset for such a distance to be behind them.
    pub(crate) fn padding(offset: usize) -> usize {
        let at = offset % 8;
        if at > 4 { 8 - at } else { 0 }
    }
}

/// A field of code that refers to an address by its distance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Relocation {
    /// Where the field is, in bytes from the start of the code: 32 bits, little-endian.
    pub offset: u32,
    /// The address that the distance from the end of the field leads to.
    pub target: u64,
}

impl Code {
    /// The bytes as they are to be at `address`.
    pub fn relocate(&mut self, address: u64) {
        self.relocate_parts(address, address + self.near() as u64);
    }

    /// How many bytes there are in front of what is hardly ever run.
    pub fn near(&self) -> usize {
        self.bytes.len() - self.far
    }

    /// The bytes as they are to be at `address`, and what is hardly ever run at `far`.
    pub fn relocate_parts(&mut self, address: u64, far: u64) {
        let near = self.near();
        let moved = far.wrapping_sub(address + near as u64);
        for relocation in &self.relocations {
            let field = relocation.offset as usize;
            let end = address + u64::from(relocation.offset) + 4;
            let end = if field < near { end } else { end.wrapping_add(moved) };
            let distance = relocation.target.wrapping_sub(end) as i64;
            let distance = i32::try_from(distance).expect("code and what it refers to are in one mapping");
            self.bytes[field..field + 4].copy_from_slice(&distance.to_le_bytes());
        }
        for &field in &self.far_fields {
            let bytes = &mut self.bytes[field as usize..field as usize + 4];
            let distance = i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            bytes.copy_from_slice(&distance.wrapping_add(moved as i32).to_le_bytes());
        }
    }

    /// The access whose host instruction starts at `offset`.
    pub fn fault_site(&self, offset: u32) -> Option<FaultSite> {
        let index = self.faults.binary_search_by_key(&offset, |site| site.offset).ok()?;
        Some(self.faults[index])
    }
}

/// Why a region was not compiled. It has to be executed by other means.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CompileError {
    /// More guest instructions access memory than trap codes can tell apart.
    TooManyFaults,
    /// More values are needed at once than there is room for: a shorter region has fewer.
    TooManyValues,
    /// The machine code does not have the shape that frameless transitions need.
    Frame,
    /// Cranelift refused the function or panicked; its message.
    Cranelift(String),
    /// The region needs what the compiler does not do; what that is.
    Unsupported(&'static str),
}

/// [`CompileError::Unsupported`], as what is asked about each operation wants it: in two registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Refusal(pub(crate) &'static str);

impl From<Refusal> for CompileError {
    fn from(Refusal(what): Refusal) -> CompileError {
        CompileError::Unsupported(what)
    }
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CompileError::TooManyFaults => write!(f, "too many memory accesses for one region"),
            CompileError::TooManyValues => write!(f, "too many values at once for one region"),
            CompileError::Frame => write!(f, "unexpected frame in the machine code"),
            CompileError::Cranelift(message) => write!(f, "Cranelift: {message}"),
            CompileError::Unsupported(what) => write!(f, "not compiled: {what}"),
        }
    }
}

impl std::error::Error for CompileError {}
