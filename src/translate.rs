//! From a guest address to code: lift, verify, optimise, compile. The only glue between the stages, and the only
//! place that dumps them.

use crate::cache::{SlotPointer, Source};
use crate::options::DumpItem;
use crate::runtime::Runtime;
use crate::{disassemble, tier};
use philae_backends::cranelift::{Code, CompileError, Exactness, LinkSite, Options};
use philae_frontends::{Coverage, Fetch, Shape, lift_region};
use philae_ir::{Arch, Region, opt, verify};
use philae_syscalls::{Mm, uaccess};
use std::time::Instant;

/// Lifts the block at `pc` for the interpreter, which compares its bytes before it runs it if the guest may change
/// them: code that is cold is not worth catching writes to its page.
pub fn block(runtime: &Runtime, mm: &Mm, pc: u64) -> (Region, Source) {
    let start = Instant::now();
    let mut window = Window::new(Changes::Compared);
    let mut bytes = Vec::new();
    let mut fetch = |at: u64, buffer: &mut [u8]| {
        let length = window.fetch(mm, at, buffer);
        bytes.truncate((at - pc) as usize);
        bytes.extend_from_slice(&buffer[..length]);
        length
    };
    let (region, coverage) = lift(runtime, mm, pc, Shape::Block { limit: tier::BLOCK_LIMIT }, &mut fetch);
    bytes.truncate(coverage.ranges.last().map_or(0, |range| range.end - pc) as usize);
    let stats = &runtime.stats;
    stats.blocks.add(1);
    stats.block_instructions.add(coverage.instructions as u64);
    stats.lift_micros.add(start.elapsed().as_micros() as u64);
    (region, Source { ranges: coverage.ranges, bytes: window.changeable.then(|| bytes.into_boxed_slice()) })
}

/// Compiles the region that is worth it at `pc`.
pub fn region(runtime: &Runtime, mm: &Mm, pc: u64) -> Result<(Code, Coverage), CompileError> {
    let mut limit = tier::REGION_LIMIT;
    loop {
        match region_of(runtime, mm, pc, limit) {
            Err(CompileError::TooManyFaults) if limit > 1 => limit /= 2,
            result => return result,
        }
    }
}

fn region_of(runtime: &Runtime, mm: &Mm, pc: u64, limit: usize) -> Result<(Code, Coverage), CompileError> {
    let start = Instant::now();
    let wanted = |target| tier::belongs(runtime, target);
    let mut window = Window::new(Changes::Caught);
    let mut fetch = |at: u64, buffer: &mut [u8]| window.fetch(mm, at, buffer);
    let (mut region, coverage) = lift(runtime, mm, pc, Shape::Graph { limit, wanted: &wanted }, &mut fetch);
    let exactness = runtime.exactness();
    optimise(runtime, &mut region, exactness);
    let lifted = Instant::now();
    let result = compile(runtime, &region, exactness);
    let stats = &runtime.stats;
    stats.lift_micros.add((lifted - start).as_micros() as u64);
    stats.compile_micros.add(lifted.elapsed().as_micros() as u64);
    let code = result?;
    stats.regions.add(1);
    stats.region_instructions.add(coverage.instructions as u64);
    Ok((code, coverage))
}

fn lift(runtime: &Runtime, mm: &Mm, pc: u64, shape: Shape<'_>, fetch: Fetch<'_>) -> (Region, Coverage) {
    let (region, coverage) = lift_region(runtime.arch, pc, shape, fetch);
    debug_assert_eq!(verify::verify(&region), Ok(()), "lifted\n{region}");
    dump_guest(runtime, mm, pc, &coverage);
    dump(runtime, DumpItem::Ir, pc, || region.to_string());
    (region, coverage)
}

fn optimise(runtime: &Runtime, region: &mut Region, exactness: Exactness) {
    opt::optimise(region, exactness);
    dump(runtime, DumpItem::Opt, region.pc, || region.to_string());
}

fn compile(runtime: &Runtime, region: &Region, exactness: Exactness) -> Result<Code, CompileError> {
    let mut compiler = runtime.compiler.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
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
            let length = Window::new(Changes::Compared).fetch(mm, range.start, &mut bytes);
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

/// A stretch of guest code, read once for the instructions in it.
struct Window {
    changes: Changes,
    /// Whether the guest may change, unannounced, what was read.
    changeable: bool,
    start: u64,
    length: usize,
    bytes: [u8; Window::SIZE],
}

impl Window {
    const SIZE: usize = 512;

    fn new(changes: Changes) -> Window {
        Window { changes, changeable: false, start: 0, length: 0, bytes: [0; Window::SIZE] }
    }

    /// Copies code at `pc` into `buffer`; gives the length of what may be executed there.
    fn fetch(&mut self, mm: &Mm, pc: u64, buffer: &mut [u8]) -> usize {
        let mut done = 0;
        while done < buffer.len() {
            let at = pc.wrapping_add(done as u64);
            if at.wrapping_sub(self.start) >= self.length as u64 && !self.fill(mm, at) {
                break;
            }
            let from = (at - self.start) as usize;
            let count = (self.length - from).min(buffer.len() - done);
            buffer[done..done + count].copy_from_slice(&self.bytes[from..from + count]);
            done += count;
        }
        done
    }

    /// Reads the window that starts at `pc`; false if nothing there may be executed.
    fn fill(&mut self, mm: &Mm, pc: u64) -> bool {
        self.start = pc;
        self.length = mm.executable_range(pc).map_or(0, |range| (range.end - pc).min(Window::SIZE as u64) as usize);
        let range = pc..pc + self.length as u64;
        match (mm.arch(), self.changes) {
            (Arch::Aarch64, _) => {}
            (Arch::X86_64, Changes::Caught) => mm.watch_code(&range),
            (Arch::X86_64, Changes::Compared) => self.changeable |= mm.is_changeable(&range),
        }
        if self.length > 0 && uaccess::read_bytes(pc, &mut self.bytes[..self.length]).is_err() {
            self.length = 0;
        }
        self.length > 0
    }
}
