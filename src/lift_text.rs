//! `--lift-text FILE…`: which instructions of a program's code Philae does not know.
//!
//! In: ELF files of a guest. Out: for each a line with how many instructions its executable sections hold and how many
//! of them do not lift, and a line for each kind of those, by mnemonic, with the first place. What is no instruction to
//! the disassembler either is data between the code, and so is what looks like one in the midst of it.

use crate::loader::LoadError;
use crate::{STATUS_USAGE, disassemble};
use goblin::elf::Elf;
use goblin::elf::header::{EM_AARCH64, EM_X86_64};
use goblin::elf::section_header::{SHF_EXECINSTR, SHT_PROGBITS};
use philae_frontends::{Shape, fetch_from, instruction_length, lift_into};
use philae_ir::{Arch, ExitReason, Region, Terminator};
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fmt::Write;
use std::path::Path;

/// The longest instruction of any guest, in bytes.
const LONGEST: usize = 15;

/// Counts for each file.
pub fn show(files: &[OsString]) -> Result<String, LoadError> {
    let mut text = String::new();
    for file in files {
        let path = Path::new(file);
        let count = std::fs::read(path).map_err(|error| error.to_string()).and_then(|bytes| Count::of(&bytes));
        let count = count.map_err(|error| {
            let message = format!("--lift-text: {}: {error}", path.display());
            LoadError { message, status: STATUS_USAGE }
        })?;
        count.print(path, &mut text);
    }
    Ok(text)
}

/// How many places around one that does not lift are looked at, and how many of them make it data, too.
const AROUND: usize = 8;
const DATA_AROUND: usize = 2;

/// A place that does not lift: its address, its number among all places, whether it is no instruction at all.
struct Place<'a> {
    pc: u64,
    number: usize,
    bytes: &'a [u8],
    mnemonic: Option<String>,
}

/// What one file's code holds.
struct Count {
    instructions: u64,
    data: u64,
    /// By mnemonic: how many, and the first one's place and text.
    unknown: BTreeMap<String, (u64, u64, String)>,
}

impl Count {
    fn of(bytes: &[u8]) -> Result<Count, String> {
        let elf = Elf::parse(bytes).map_err(|error| error.to_string())?;
        let arch = match elf.header.e_machine {
            EM_AARCH64 => Arch::Aarch64,
            EM_X86_64 => Arch::X86_64,
            other => return Err(format!("machine {other} is no guest")),
        };
        let mut count = Count { instructions: 0, data: 0, unknown: BTreeMap::new() };
        let mut lifter = Lifter { region: Region::new(arch, 0), known: HashMap::new() };
        for section in &elf.section_headers {
            let code = section.sh_type == SHT_PROGBITS && section.sh_flags & u64::from(SHF_EXECINSTR) != 0;
            let range = section.file_range().filter(|_| code).and_then(|range| bytes.get(range));
            if let Some(code) = range {
                count.section(&mut lifter, section.sh_addr, code);
            }
        }
        Ok(count)
    }

    fn section(&mut self, lifter: &mut Lifter, mut pc: u64, mut code: &[u8]) {
        let arch = lifter.region.arch;
        let step = if arch == Arch::Aarch64 { 4 } else { 1 };
        let (mut places, mut number) = (Vec::new(), 0);
        while code.len() >= step {
            let bytes = &code[..code.len().min(LONGEST)];
            let length = instruction_length(arch, pc, bytes).map_or(step, usize::from);
            if lifter.lifts(pc, &bytes[..length]) {
                self.instructions += 1;
            } else {
                // UDF, all zeroes, is what fills gaps.
                let mnemonic = disassemble::mnemonic(arch, pc, bytes).filter(|name| name != "udf");
                places.push(Place { pc, number, bytes, mnemonic });
            }
            pc += length as u64;
            code = &code[length..];
            number += 1;
        }
        self.add_unknown(arch, &places);
    }

    fn add_unknown(&mut self, arch: Arch, places: &[Place<'_>]) {
        let data: Vec<usize> =
            places.iter().filter(|place| place.mnemonic.is_none()).map(|place| place.number).collect();
        for place in places {
            let first = data.partition_point(|&number| number + AROUND < place.number);
            let around = data[first..].iter().take_while(|&&number| number <= place.number + AROUND).count();
            match &place.mnemonic {
                Some(mnemonic) if around < DATA_AROUND => {
                    let first = || (0, place.pc, disassemble::instruction(arch, place.pc, place.bytes));
                    self.unknown.entry(mnemonic.clone()).or_insert_with(first).0 += 1;
                    self.instructions += 1;
                }
                _ => self.data += 1,
            }
        }
    }

    fn print(&self, path: &Path, text: &mut String) {
        let unknown: u64 = self.unknown.values().map(|(count, ..)| count).sum();
        let (instructions, data, path) = (self.instructions, self.data, path.display());
        let _ = writeln!(text, "{path}: {instructions} instructions, {unknown} unknown, {data} units of data");
        for (mnemonic, (count, pc, first)) in &self.unknown {
            let _ = writeln!(text, "  {count} × {mnemonic}, first at {pc:#x}: {first}");
        }
    }
}

/// Lifts one instruction after another, each one once.
struct Lifter {
    region: Region,
    known: HashMap<Vec<u8>, bool>,
}

impl Lifter {
    fn lifts(&mut self, pc: u64, bytes: &[u8]) -> bool {
        if let Some(&known) = self.known.get(bytes) {
            return known;
        }
        self.region.reset(pc);
        let mut fetch = |at: u64, buffer: &mut [u8]| fetch_from(bytes, pc, at, buffer);
        lift_into(&mut self.region, Shape::Instruction, &mut fetch);
        let undefined = |end| matches!(end, Terminator::Exit { reason: ExitReason::Undefined, .. });
        let lifts = !self.region.blocks.iter().any(|block| undefined(block.end));
        self.known.insert(bytes.to_vec(), lifts);
        lifts
    }
}
