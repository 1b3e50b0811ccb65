//! From a guest address to code: lift, verify, optimise, compile. The only glue between the stages, and the only
//! place that dumps them.

use crate::cache::{Added, Maker, SlotPointer};
use crate::check::Reference;
use crate::options::DumpItem;
use crate::runtime::Runtime;
use crate::{disassemble, tier};
use philae_backends::compiled::{Code, CompileError};
use philae_backends::cranelift::{Compiler, Exactness, Options};
use philae_backends::interp::{Interpreter, Steps};
use philae_backends::link::LinkSite;
use philae_backends::{Exit, baseline};
use philae_frontends::{Changes, Coverage, Fetch, Run, Shape, execute_block, lift_block, lift_into};
use philae_ir::now::Outcome;
use philae_ir::went::Went;
use philae_ir::{Arch, CpuState, ExitReason, Pc, Region, RuntimePage, Terminator, opt, verify};
use philae_syscalls::{Mm, uaccess, vdso};
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

/// Bytes of the longest instruction of a guest.
const LONGEST_INSTRUCTION: u64 = 15;

/// What becomes of a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It is compiled, or kept in another form.
    Kept,
    /// It is executed at once, and not kept.
    Executed,
}

/// Where a thread translates blocks; it keeps its memory from one to the next.
#[derive(Debug)]
pub struct Workshop {
    region: Region,
    baseline: baseline::Compiler,
    /// What the guest may execute around the last block, as long as nothing was invalidated since: whoever takes a
    /// permission away invalidates what comes from there.
    executable: Range<u64>,
    /// The cache's generation before that was found out.
    generation: u64,
}

impl Workshop {
    /// A place for blocks of this guest.
    pub fn new(arch: Arch) -> Workshop {
        Workshop {
            region: Region::new(arch, 0),
            baseline: baseline::Compiler::new(arch),
            executable: 0..0,
            generation: 0,
        }
    }

    /// The block that was lifted last.
    pub fn block(&self) -> &Region {
        &self.region
    }

    /// Whether the block that was lifted last ends with a call.
    pub fn ends_with_call(&self) -> bool {
        let calls = |end| matches!(end, Terminator::Exit { reason: ExitReason::Call, .. });
        self.block().blocks.iter().any(|block| calls(block.end))
    }

    /// Where the block that was lifted last goes, if there is one such place and it is known.
    pub fn only_way(&self) -> Option<u64> {
        let mut ways = self.block().blocks.iter().filter_map(|block| match block.end {
            Terminator::Exit { reason, pc, .. } if reason.is_jump() => Some(pc),
            _ => None,
        });
        match (ways.next(), ways.next()) {
            (Some(Pc::Const(pc)), None) => Some(pc),
            _ => None,
        }
    }

    /// The block that was lifted last, for who interprets it again and again.
    pub fn steps(&self) -> Steps {
        Steps::new(self.block())
    }
}

/// A block that was lifted, as far as it is not in the [`Workshop`].
#[derive(Debug)]
pub struct Lifted {
    /// The guest bytes that it comes from.
    pub range: Range<u64>,
    /// How many instructions.
    pub instructions: usize,
    /// How the guest may change them.
    pub changes: Changes,
    /// The cache's generation before its bytes were read.
    pub generation: u64,
    /// Whether it ends where the guest may not execute: it is another one when that changes, which nobody announces.
    pub is_cut: bool,
}

/// Lifts the block at `pc`, of `limit` instructions at most.
pub fn block(runtime: &Runtime, mm: &Mm, pc: u64, limit: usize, fate: Fate, workshop: &mut Workshop) -> Lifted {
    let start = runtime.options.stats.then(Instant::now);
    let changes = changes(mm, pc, fate);
    let (generation, run) =
        at_block(runtime, mm, pc, workshop, |region, fetch| lift_block(region, limit, changes, fetch));
    let (Run { instructions, range }, region) = (run, workshop.block());
    lifted(runtime, mm, region, std::slice::from_ref(&range));
    // Counting together costs the processor what some instructions cost to lift: it waits for all stores before.
    if let Some(start) = start {
        let stats = &runtime.stats;
        stats.blocks.add(1);
        stats.block_instructions.add(instructions as u64);
        stats.lift_nanos.add(start.elapsed().as_nanos() as u64);
    }
    Lifted { range, instructions, changes, generation, is_cut: is_cut(region) }
}

/// Executes the block at the pc, of `limit` instructions at most, without lifting it. The cpu's flags are settled.
pub fn execute(
    runtime: &Runtime,
    mm: &Mm,
    cpu: &mut CpuState,
    limit: usize,
    workshop: &mut Workshop,
    interpreter: &mut Interpreter,
) -> Exit {
    let pc = cpu.pc();
    let changes = changes(mm, pc, Fate::Executed);
    let (_, (_, Outcome { reason, pc, argument })) = at_block(runtime, mm, pc, workshop, |region, fetch| {
        execute_block(interpreter.now(region, cpu), limit, changes, fetch)
    });
    cpu.set_pc(pc);
    Exit { reason, argument }
}

/// Has `f` do something with the code at `pc` and an empty region for it; gives the cache's generation before, too.
fn at_block<T>(
    runtime: &Runtime,
    mm: &Mm,
    pc: u64,
    workshop: &mut Workshop,
    f: impl FnOnce(&mut Region, Fetch<'_>) -> T,
) -> (u64, T) {
    let generation = runtime.cache.generation();
    let Workshop { region, executable, .. } = workshop;
    region.reset(pc);
    prepare(runtime, mm, region);
    let mut reader = Reader::new(mm, Watch::Off);
    if generation == workshop.generation {
        reader.executable = executable.clone();
    }
    let result = f(region, &mut |at, buffer| reader.fetch(at, buffer));
    (workshop.executable, workshop.generation) = (reader.executable, generation);
    (generation, result)
}

/// How the guest may change the block at `pc`: unannounced where instruction fetch is coherent and any page that the
/// block may reach can be written.
fn changes(mm: &Mm, pc: u64, fate: Fate) -> Changes {
    let longest = tier::BLOCK_LIMIT as u64 * LONGEST_INSTRUCTION;
    match (mm.arch(), fate) {
        (Arch::Aarch64, _) => Changes::Announced,
        (Arch::X86_64, _) if !mm.is_changeable(&(pc..pc.saturating_add(longest))) => Changes::Announced,
        (Arch::X86_64, Fate::Kept) => Changes::Unannounced,
        (Arch::X86_64, Fate::Executed) => Changes::AtOnce,
    }
}

/// Says how the region is to be lifted.
fn prepare(runtime: &Runtime, mm: &Mm, region: &mut Region) {
    region.floats = runtime.floats();
    region.tags = runtime.tags();
    region.guards = mm.guards();
    region.runtime_page = runtime_page(mm);
    region.processor = runtime.options.model;
}

/// Whether a region ends somewhere for want of more code.
fn is_cut(region: &Region) -> bool {
    let cut = |end| matches!(end, Terminator::Exit { reason: ExitReason::FetchFault, .. });
    region.blocks.iter().any(|block| cut(block.end))
}

/// Compiles the block that was lifted last, and publishes its code.
pub fn unit(runtime: &Runtime, workshop: &mut Workshop, lifted: &Lifted) -> Result<Added, CompileError> {
    let start = runtime.options.stats.then(Instant::now);
    let Workshop { region, baseline, .. } = workshop;
    let reference = runtime.options.check.then(|| Arc::new(Reference::new(region, Exactness::Exact)));
    let (mut listing, mut length) = (None, 0);
    let bytes = (&lifted.range, lifted.generation);
    let added = runtime.cache.add_unit(region.pc, bytes, reference, |own, links| {
        let code = baseline.compile(region, Exactness::Exact, links, own.as_ptr(), own.count_address())?;
        let dumped = runtime.options.dump.wants(DumpItem::Code, region.pc);
        length = code.near();
        listing = dumped.then(|| disassemble::listing(crate::host::ARCH, 0, &code.bytes));
        Ok(code)
    });
    if let (Some(map), Ok(Added::Code(slot))) = (&runtime.perf_map, &added) {
        map.note(slot.code().unwrap_or(0), length, region.pc, Maker::Baseline);
    }
    if let Some(listing) = listing {
        dump(runtime, DumpItem::Code, region.pc, || listing);
    }
    if let Some(start) = start {
        runtime.stats.baseline_nanos.add(start.elapsed().as_nanos() as u64);
    }
    added
}

/// How often an address was worth compiling.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Round {
    /// It has no compiled region yet.
    First,
    /// What it has runs so often that what jumps and calls reach from there belongs into one.
    Again,
}

/// A region that was lifted and waits to be compiled.
#[derive(Debug)]
pub struct Job {
    /// The guest address it starts at.
    pub pc: u64,
    /// What it took in.
    pub coverage: Coverage,
    /// The cache's generation before its bytes were read.
    pub generation: u64,
    /// Whether it ends where the guest may not execute.
    pub is_cut: bool,
    /// As whose its code counts.
    pub maker: Maker,
    /// Whether there is a compiled region already.
    pub round: Round,
    /// With `--check`: what its code has to do.
    pub reference: Option<Arc<Reference>>,
    region: Region,
}

/// Publishes the code of a region; `None` if what it came from has changed, or there is no room.
pub fn publish(runtime: &Runtime, code: Code, job: Job) -> Option<SlotPointer> {
    let (pc, length, maker) = (job.pc, code.bytes.len(), job.maker);
    let heat = tier::compiled_heat(runtime.options.tier, job.round);
    let slot = runtime.cache.insert_code(code, job, heat)?;
    if let (Some(map), Some(start)) = (&runtime.perf_map, slot.code()) {
        map.note(start, length, pc, maker);
    }
    Some(slot)
}

/// Lifts the region that is worth compiling at `pc`, of `limit` instructions at most. `went` has where computed jumps led the
/// thread that asks.
pub fn region(runtime: &Runtime, mm: &Mm, pc: u64, limit: usize, went: &Went) -> Job {
    let start = Instant::now();
    let generation = runtime.cache.generation();
    let round = if runtime.cache.is_compiled(pc) { Round::Again } else { Round::First };
    let wanted = |target| tier::belongs(runtime, pc, target, round);
    let called = |target| tier::is_worth_inlining(runtime, pc, target, round);
    let ends = |at, room| tier::ends(runtime, pc, at, room, round);
    let pointer = |at| pointer(mm, at);
    let went = |at| went.from(at);
    let mut reader = Reader::new(mm, Watch::On);
    let mut fetch = |at: u64, buffer: &mut [u8]| reader.fetch(at, buffer);
    let mut region = Region::new(runtime.arch, pc);
    prepare(runtime, mm, &mut region);
    let shape = Shape::Graph { limit, wanted: &wanted, called: &called, ends: &ends, pointer: &pointer, went: &went };
    let coverage = lift_into(&mut region, shape, &mut fetch);
    lifted(runtime, mm, &region, &coverage.ranges);
    runtime.stats.lift_nanos.add(start.elapsed().as_nanos() as u64);
    let maker = if reader.watched { Maker::Watched } else { Maker::Cranelift };
    Job { pc, coverage, generation, is_cut: is_cut(&region), maker, round, reference: None, region }
}

/// The pointer that the guest has at `at`, if it is one to code.
fn pointer(mm: &Mm, at: u64) -> Option<u64> {
    let mut bytes = [0; 8];
    uaccess::read_bytes(at, &mut bytes).ok()?;
    Some(u64::from_le_bytes(bytes)).filter(|&target| mm.executable_range(target).is_some())
}

/// Compiles a region, whose instructions are not the same afterwards.
pub fn compile(runtime: &Runtime, compiler: &mut Compiler, job: &mut Job) -> Result<Code, CompileError> {
    let start = Instant::now();
    let exactness = match job.maker {
        Maker::Watched => Exactness::Exact,
        Maker::Baseline | Maker::Cranelift => runtime.exactness(),
    };
    job.reference = runtime.options.check.then(|| Arc::new(Reference::new(&job.region, exactness)));
    optimise(runtime, &mut job.region, exactness);
    let optimised = Instant::now();
    let counts = tier::counts_entries(runtime.options.tier, job.round);
    let counter = if counts { runtime.cache.counting_slot(job.pc) } else { None };
    let options = Options { exactness, counter: counter.map(SlotPointer::count_address) };
    let result = generate(runtime, compiler, &job.region, options);
    let stats = &runtime.stats;
    stats.lift_nanos.add((optimised - start).as_nanos() as u64);
    stats.compile_nanos.add(optimised.elapsed().as_nanos() as u64);
    let code = result?;
    stats.regions.add(1);
    stats.region_instructions.add(job.coverage.instructions as u64);
    Ok(code)
}

fn runtime_page(mm: &Mm) -> Option<RuntimePage> {
    mm.vdso().map(|range| RuntimePage { range, call: &vdso::QUESTION })
}

/// Verifies a region that was lifted from these bytes, and shows it to who asks for it.
fn lifted(runtime: &Runtime, mm: &Mm, region: &Region, ranges: &[Range<u64>]) {
    debug_assert_eq!(verify::verify(region), Ok(()), "lifted\n{region}");
    dump_guest(runtime, mm, region.pc, ranges);
    dump(runtime, DumpItem::Ir, region.pc, || region.to_string());
}

fn optimise(runtime: &Runtime, region: &mut Region, exactness: Exactness) {
    opt::optimise(region, exactness);
    dump(runtime, DumpItem::Opt, region.pc, || region.to_string());
}

fn generate(
    runtime: &Runtime,
    compiler: &mut Compiler,
    region: &Region,
    options: Options,
) -> Result<Code, CompileError> {
    let mut full = false;
    let mut link = |site: LinkSite| {
        let slot = runtime.cache.link_slot(site.pc);
        full |= slot.is_none();
        slot.map_or(std::ptr::null(), SlotPointer::as_ptr)
    };
    let code = compiler.compile(region, options, &mut link)?;
    if full {
        return Err(CompileError::Cranelift("the code cache is full".to_owned()));
    }
    dump(runtime, DumpItem::Clif, region.pc, || compiler.clif_text());
    dump(runtime, DumpItem::Code, region.pc, || disassemble::listing(crate::host::ARCH, 0, &code.bytes));
    Ok(code)
}

fn dump(runtime: &Runtime, item: DumpItem, pc: u64, text: impl FnOnce() -> String) {
    if runtime.options.dump.wants(item, pc) {
        runtime.log.write(&format!("-- {item:?} of {pc:#x}\n{}", text()));
    }
}

fn dump_guest(runtime: &Runtime, mm: &Mm, pc: u64, ranges: &[Range<u64>]) {
    dump(runtime, DumpItem::Guest, pc, || {
        let mut text = String::new();
        for range in ranges {
            let mut bytes = vec![0; (range.end - range.start) as usize];
            let length = Reader::new(mm, Watch::Off).fetch(range.start, &mut bytes);
            text += &disassemble::listing(runtime.arch, range.start, &bytes[..length]);
        }
        text
    });
}

/// Whether the host is to catch writes to what is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Watch {
    On,
    Off,
}

/// Reads guest code.
struct Reader<'a> {
    mm: &'a Mm,
    watch: Watch,
    /// Whether writes to anything of what was read are caught.
    watched: bool,
    /// The last range that was found to be executable.
    executable: Range<u64>,
}

impl<'a> Reader<'a> {
    fn new(mm: &'a Mm, watch: Watch) -> Reader<'a> {
        Reader { mm, watch, watched: false, executable: 0..0 }
    }

    /// Copies code at `pc` into `buffer`; gives the length of what may be executed there.
    fn fetch(&mut self, pc: u64, buffer: &mut [u8]) -> usize {
        let mut done = 0;
        while done < buffer.len() {
            let at = pc.wrapping_add(done as u64);
            if !self.executable.contains(&at) {
                let Some(executable) = self.mm.executable_range(at) else { break };
                self.executable = executable;
            }
            let length = (self.executable.end - at).min((buffer.len() - done) as u64) as usize;
            if self.watch == Watch::On && self.mm.arch() == Arch::X86_64 {
                self.watched |= self.mm.watch_code(&(at..at + length as u64));
            }
            let part = &mut buffer[done..done + length];
            let read = match part.try_into() {
                Ok(window) => uaccess::read_window(at, window),
                Err(_) => uaccess::read_bytes(at, part),
            };
            if read.is_err() {
                break;
            }
            done += length;
        }
        done
    }
}
