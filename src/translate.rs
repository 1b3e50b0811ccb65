//! From a guest address to code: lift, verify, optimise, compile. The only glue between the stages, and the only
//! place that dumps them.

use crate::cache::{SlotPointer, Source};
use crate::options::DumpItem;
use crate::runtime::Runtime;
use crate::{disassemble, tier};
use philae_backends::cranelift::{Code, CompileError, Compiler, Exactness, Options};
use philae_backends::interp::Steps;
use philae_backends::link::LinkSite;
use philae_frontends::{Coverage, Fetch, Shape, lift_into};
use philae_ir::{Arch, Region, opt, verify};
use philae_syscalls::{Mm, uaccess};
use std::time::Instant;

/// Lifts the block at `pc` for the interpreter, which compares its bytes before it runs it if the guest may change
/// them: code that is cold is not worth catching writes to its page. `region` is where it is lifted.
pub fn block(runtime: &Runtime, mm: &Mm, pc: u64, region: &mut Region) -> (Steps, Source) {
    let start = runtime.options.stats.then(Instant::now);
    region.reset(pc);
    let mut reader = Reader::new(mm, Changes::Compared);
    let mut bytes = Vec::new();
    let mut fetch = |at: u64, buffer: &mut [u8]| {
        let length = reader.fetch(at, buffer);
        bytes.truncate((at - pc) as usize);
        bytes.extend_from_slice(&buffer[..length]);
        length
    };
    let coverage = lift(runtime, mm, region, Shape::Block { limit: tier::BLOCK_LIMIT }, &mut fetch);
    let steps = Steps::new(region);
    bytes.truncate(coverage.ranges.last().map_or(0, |range| range.end - pc) as usize);
    let stats = &runtime.stats;
    stats.blocks.add(1);
    stats.block_instructions.add(coverage.instructions as u64);
    stats.lift_nanos.add(start.map_or(0, |start| start.elapsed().as_nanos() as u64));
    (steps, Source { ranges: coverage.ranges, bytes: reader.changeable.then(|| bytes.into_boxed_slice()) })
}

/// A region that was lifted and waits to be compiled.
#[derive(Debug)]
pub struct Lifted {
    /// The guest address it starts at.
    pub pc: u64,
    /// What it took in.
    pub coverage: Coverage,
    /// The cache's generation before its bytes were read.
    pub generation: u64,
    region: Region,
}

/// Lifts the region that is worth compiling at `pc`, of `limit` instructions at most.
pub fn region(runtime: &Runtime, mm: &Mm, pc: u64, limit: usize) -> Lifted {
    let start = Instant::now();
    let generation = runtime.cache.generation();
    let wanted = |target| tier::belongs(runtime, pc, target);
    let mut reader = Reader::new(mm, Changes::Caught);
    let mut fetch = |at: u64, buffer: &mut [u8]| reader.fetch(at, buffer);
    let mut region = Region::new(runtime.arch, pc);
    let coverage = lift(runtime, mm, &mut region, Shape::Graph { limit, wanted: &wanted }, &mut fetch);
    runtime.stats.lift_nanos.add(start.elapsed().as_nanos() as u64);
    Lifted { pc, coverage, generation, region }
}

/// Compiles a region, whose instructions are not the same afterwards.
pub fn compile(runtime: &Runtime, compiler: &mut Compiler, lifted: &mut Lifted) -> Result<Code, CompileError> {
    let start = Instant::now();
    let exactness = runtime.exactness();
    optimise(runtime, &mut lifted.region, exactness);
    let optimised = Instant::now();
    let result = generate(runtime, compiler, &lifted.region, exactness);
    let stats = &runtime.stats;
    stats.lift_nanos.add((optimised - start).as_nanos() as u64);
    stats.compile_nanos.add(optimised.elapsed().as_nanos() as u64);
    let code = result?;
    stats.regions.add(1);
    stats.region_instructions.add(lifted.coverage.instructions as u64);
    Ok(code)
}

fn lift(runtime: &Runtime, mm: &Mm, region: &mut Region, shape: Shape<'_>, fetch: Fetch<'_>) -> Coverage {
    let coverage = lift_into(region, shape, fetch);
    debug_assert_eq!(verify::verify(region), Ok(()), "lifted\n{region}");
    dump_guest(runtime, mm, region.pc, &coverage);
    dump(runtime, DumpItem::Ir, region.pc, || region.to_string());
    coverage
}

fn optimise(runtime: &Runtime, region: &mut Region, exactness: Exactness) {
    opt::optimise(region, exactness);
    dump(runtime, DumpItem::Opt, region.pc, || region.to_string());
}

fn generate(
    runtime: &Runtime,
    compiler: &mut Compiler,
    region: &Region,
    exactness: Exactness,
) -> Result<Code, CompileError> {
    let mut full = false;
    let mut link = |site: LinkSite| {
        let slot = runtime.cache.link_slot(site.pc);
        full |= slot.is_none();
        slot.map_or(std::ptr::null(), SlotPointer::as_ptr)
    };
    let code = compiler.compile(region, Options { exactness }, &mut link)?;
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

fn dump_guest(runtime: &Runtime, mm: &Mm, pc: u64, coverage: &Coverage) {
    dump(runtime, DumpItem::Guest, pc, || {
        let mut text = String::new();
        for range in &coverage.ranges {
            let mut bytes = vec![0; (range.end - range.start) as usize];
            let length = Reader::new(mm, Changes::Compared).fetch(range.start, &mut bytes);
            text += &disassemble::listing(runtime.arch, range.start, &bytes[..length]);
        }
        text
    });
}

/// What is done about a guest that changes code without announcing it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Changes {
    /// The host catches writes to the page.
    Caught,
    /// The bytes are compared before the code runs.
    Compared,
}

/// Reads guest code.
struct Reader<'a> {
    mm: &'a Mm,
    changes: Changes,
    /// Whether the guest may change, unannounced, anything of what was read.
    changeable: bool,
}

impl<'a> Reader<'a> {
    fn new(mm: &'a Mm, changes: Changes) -> Reader<'a> {
        Reader { mm, changes, changeable: false }
    }

    /// Copies code at `pc` into `buffer`; gives the length of what may be executed there.
    fn fetch(&mut self, pc: u64, buffer: &mut [u8]) -> usize {
        let mut done = 0;
        while done < buffer.len() {
            let at = pc.wrapping_add(done as u64);
            let Some(executable) = self.mm.executable_range(at) else { break };
            let length = (executable.end - at).min((buffer.len() - done) as u64) as usize;
            let range = at..at + length as u64;
            match (self.mm.arch(), self.changes) {
                (Arch::Aarch64, _) => {}
                (Arch::X86_64, Changes::Caught) => self.mm.watch_code(&range),
                (Arch::X86_64, Changes::Compared) => self.changeable |= self.mm.is_changeable(&range),
            }
            if uaccess::read_bytes(at, &mut buffer[done..done + length]).is_err() {
                break;
            }
            done += length;
        }
        done
    }
}
