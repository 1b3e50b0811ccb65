//! `--perf-map`: which host code came from which function of the guest, for `perf`.
//!
//! In: translations as they are published. Out: lines `start size name` in /tmp/perf-PID.map, where `perf report` looks
//! for the names of code that is in no file; the name is the guest's function, the distance from its start, and who made
//! the code. Names come from the symbol tables of the files that are mapped at the guest's addresses, which are the
//! host's. A child of fork gets a file of its own. What cannot be written or read is left out: the guest goes on.

use crate::cache::Maker;
use crate::host;
use crate::spawn::OWN_DESCRIPTORS;
use goblin::elf::Elf;
use goblin::elf::program_header::PT_LOAD;
use goblin::elf::sym::{STT_FUNC, STT_GNU_IFUNC, Symtab};
use goblin::strtab::Strtab;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};

/// The file of a process and what is known of its symbols.
#[derive(Debug)]
pub struct PerfMap(Mutex<State>);

#[derive(Debug)]
struct State {
    file: File,
    process: u32,
    /// What is mapped where, as far as it was asked for.
    mappings: Vec<Mapping>,
    /// The symbols of files by name; none of a file without.
    files: HashMap<String, Option<Arc<Symbols>>>,
}

/// A line of /proc/self/maps.
#[derive(Debug)]
struct Mapping {
    range: Range<u64>,
    /// Where in its file it starts.
    offset: u64,
    path: String,
}

/// A file's functions by their place in it, ascending.
#[derive(Debug)]
struct Symbols(Vec<(Range<u64>, String)>);

fn path_of(process: u32) -> String {
    format!("/tmp/perf-{process}.map")
}

fn create(process: u32) -> io::Result<File> {
    Ok(host::move_above(File::create(path_of(process))?, OWN_DESCRIPTORS))
}

impl PerfMap {
    /// An empty file for this process.
    pub fn new() -> io::Result<PerfMap> {
        let process = std::process::id();
        let (mappings, files) = (Vec::new(), HashMap::new());
        Ok(PerfMap(Mutex::new(State { file: create(process)?, process, mappings, files })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Holds it still, for the length of a fork.
    pub fn freeze(&self) -> impl Sized + '_ {
        self.lock()
    }

    /// In a child of fork, which has the parent's code: starts a file with the parent's lines.
    pub fn change_process(&self) {
        let mut state = self.lock();
        let parent = std::mem::replace(&mut state.process, std::process::id());
        let Ok(mut file) = create(state.process) else { return };
        if let Ok(lines) = fs::read(path_of(parent)) {
            let _ = file.write_all(&lines);
        }
        state.file = file;
    }

    /// Notes `length` bytes of host code at `code`, which came from the guest's `pc`.
    pub fn note(&self, code: u64, length: usize, pc: u64, maker: Maker) {
        let tier = match maker {
            Maker::Baseline => "baseline",
            Maker::Cranelift | Maker::Watched => "cranelift",
        };
        let mut state = self.lock();
        let name = state.name(pc);
        let _ = state.file.write_all(format!("{code:x} {length:x} {name} [{tier}]\n").as_bytes());
    }
}

impl State {
    /// The guest's function at `pc` and the distance from its start.
    fn name(&mut self, pc: u64) -> String {
        self.symbol(pc).unwrap_or_else(|| format!("guest_{pc:x}"))
    }

    fn symbol(&mut self, pc: u64) -> Option<String> {
        if !self.mappings.iter().any(|mapping| mapping.range.contains(&pc)) {
            self.mappings = fs::read_to_string("/proc/self/maps").ok()?.lines().filter_map(Mapping::parse).collect();
        }
        let mapping = self.mappings.iter().find(|mapping| mapping.range.contains(&pc))?;
        let path = &mapping.path;
        let symbols = self.files.entry(path.clone()).or_insert_with(|| Symbols::read(path).map(Arc::new)).as_ref()?;
        let place = pc - mapping.range.start + mapping.offset;
        let index = symbols.0.partition_point(|(range, _)| range.start <= place).checked_sub(1)?;
        let (range, name) = &symbols.0[index];
        let distance = place - range.start;
        match (range.contains(&place), distance) {
            (false, _) => None,
            (true, 0) => Some(name.clone()),
            (true, _) => Some(format!("{name}+{distance:#x}")),
        }
    }
}

impl Mapping {
    fn parse(line: &str) -> Option<Mapping> {
        let mut words = line.split_ascii_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let number = |text| u64::from_str_radix(text, 16).ok();
        let (range, offset) = (number(start)?..number(end)?, number(words.nth(1)?)?);
        Some(Mapping { range, offset, path: words.nth(2).unwrap_or_default().to_owned() })
    }
}

impl Symbols {
    fn read(path: &str) -> Option<Symbols> {
        let bytes = fs::read(path).ok()?;
        let elf = Elf::parse(&bytes).ok()?;
        let mut all = Vec::new();
        for (table, names) in [(&elf.syms, &elf.strtab), (&elf.dynsyms, &elf.dynstrtab)] {
            add_functions(&elf, table, names, &mut all);
        }
        all.sort_by_key(|(range, _)| range.start);
        all.dedup_by_key(|(range, _)| range.start);
        Some(Symbols(all))
    }
}

/// Adds a symbol table's functions by their place in the file.
fn add_functions(elf: &Elf<'_>, table: &Symtab<'_>, names: &Strtab<'_>, all: &mut Vec<(Range<u64>, String)>) {
    for symbol in table.iter().filter(|symbol| matches!(symbol.st_type(), STT_FUNC | STT_GNU_IFUNC)) {
        let value = symbol.st_value;
        let segment = elf
            .program_headers
            .iter()
            .find(|header| header.p_type == PT_LOAD && value.wrapping_sub(header.p_vaddr) < header.p_filesz);
        if let (Some(segment), Some(name)) = (segment, names.get_at(symbol.st_name)) {
            let start = value - segment.p_vaddr + segment.p_offset;
            all.push((start..start.saturating_add(symbol.st_size.max(1)), name.replace(' ', "_")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_functions_are_found() {
        let process = std::process::id();
        let (file, mappings, files) = (File::open("/dev/null").expect("it"), Vec::new(), HashMap::new());
        let mut state = State { file, process, mappings, files };
        let function = create as *const () as u64;
        let name = state.name(function);
        assert!(name.contains("create"), "{name}");
        assert_eq!(state.name(function + 1), format!("{name}+0x1"));
        assert_eq!(state.name(8), "guest_8");
    }
}
