//! Text to regions. Every error names its line.

use super::{aux_name, implied_type};
use crate::helper::Helper;
use crate::ops::{AuxKind, ImmKind, Op, OpInfo};
use crate::region::{Block, BlockId, ExitReason, Inst, Pc, Region, Terminator, Value};
use crate::state::Arch;
use crate::ty::Ty;
use std::fmt::{self, Display, Formatter};

/// What is wrong with a text, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParseError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl Display for ParseError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

/// Reads a region; calls are to `helpers`. The result still has to be verified.
pub fn parse(text: &str, helpers: &[&'static Helper]) -> Result<Region, ParseError> {
    let mut parser = Parser { helpers, region: None, unnamed: Vec::new() };
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if !line.is_empty() {
            parser.line(line).map_err(|message| ParseError { line: number + 1, message })?;
        }
    }
    parser.finish().ok_or_else(|| ParseError { line: 1, message: "no region".into() })
}

struct Parser<'a> {
    helpers: &'a [&'static Helper],
    region: Option<Region>,
    /// Instructions without a name: they are numbered after all others. Block, place in it, instruction.
    unnamed: Vec<(usize, usize, Inst)>,
}

/// The words of a line that are still to be read.
struct Words<'a>(std::str::SplitWhitespace<'a>);

impl<'a> Words<'a> {
    fn next(&mut self) -> Result<&'a str, String> {
        self.0.next().ok_or_else(|| "the line ends early".into())
    }

    fn end(&mut self) -> Result<(), String> {
        self.0.next().map_or(Ok(()), |word| Err(format!("`{word}` is too much")))
    }

    fn number(&mut self) -> Result<u128, String> {
        number(self.next()?)
    }

    fn value(&mut self) -> Result<Value, String> {
        let word = self.next()?;
        value(word).ok_or_else(|| format!("`{word}` is no value"))
    }

    fn block(&mut self) -> Result<BlockId, String> {
        let word = self.next()?;
        block(word).ok_or_else(|| format!("`{word}` is no block"))
    }
}

fn number(word: &str) -> Result<u128, String> {
    let number = match word.strip_prefix("0x") {
        Some(hex) => u128::from_str_radix(hex, 16).ok(),
        None => word.parse::<i128>().ok().map(|number| number as u128),
    };
    number.ok_or_else(|| format!("`{word}` is no number"))
}

// A number so large that no region has it would only fill memory.
fn numbered(word: &str, letter: char) -> Option<u32> {
    word.strip_prefix(letter)?.parse().ok().filter(|&number: &u32| number < 1 << 20)
}

fn value(word: &str) -> Option<Value> {
    numbered(word, 'v').map(Value)
}

fn block(word: &str) -> Option<BlockId> {
    numbered(word, 'b').map(BlockId)
}

impl Parser<'_> {
    fn line(&mut self, line: &str) -> Result<(), String> {
        let mut words = Words(line.split_whitespace());
        let Some(region) = &mut self.region else {
            self.region = Some(header(&mut words)?);
            return Ok(());
        };
        if let Some(label) = line.strip_suffix(':') {
            let expected = BlockId(region.blocks.len() as u32);
            if block(label) != Some(expected) {
                return Err(format!("expected {expected}, found `{label}`"));
            }
            region.blocks.push(Block { insts: Vec::new(), end: Terminator::Open });
            return Ok(());
        }
        let Some(last) = region.blocks.last_mut() else { return Err("expected b0:".into()) };
        if last.end != Terminator::Open {
            return Err("the block has ended".into());
        }
        if let Some(end) = terminator(line)? {
            last.end = end;
            return Ok(());
        }
        self.instruction(&mut words)?;
        words.end()
    }

    fn instruction(&mut self, words: &mut Words<'_>) -> Result<(), String> {
        let region = self.region.as_mut().expect("the header came first");
        let mut word = words.next()?;
        let name = value(word);
        if name.is_some() {
            if words.next()? != "=" {
                return Err("expected `=`".into());
            }
            word = words.next()?;
        }
        let inst = inst(region, self.helpers, word, words)?;
        if name.is_some() != inst.result().is_some() {
            return Err("a value and its name come together".into());
        }
        let block = region.blocks.len() - 1;
        let Some(value) = name else {
            self.unnamed.push((block, region.blocks[block].insts.len(), inst));
            region.blocks[block].insts.push(Value::NONE);
            return Ok(());
        };
        if region.blocks.iter().any(|block| block.insts.contains(&value)) {
            return Err(format!("{value} is there twice"));
        }
        if region.insts.len() <= value.index() {
            region.insts.resize(value.index() + 1, Inst::new(Op::Const, Ty::I8));
        }
        region.insts[value.index()] = inst;
        region.blocks[block].insts.push(value);
        Ok(())
    }

    fn finish(self) -> Option<Region> {
        let mut region = self.region?;
        for (block, place, inst) in self.unnamed {
            region.blocks[block].insts[place] = Value(region.insts.len() as u32);
            region.insts.push(inst);
        }
        Some(region)
    }
}

fn header(words: &mut Words<'_>) -> Result<Region, String> {
    if words.next()? != "region" {
        return Err("expected `region`".into());
    }
    let arch = words.next()?;
    let arch = Arch::parse(arch).ok_or_else(|| format!("`{arch}` is no guest"))?;
    let pc = words.number()? as u64;
    words.end()?;
    Ok(Region::new(arch, pc))
}

fn terminator(line: &str) -> Result<Option<Terminator>, String> {
    let mut words = Words(line.split_whitespace());
    let end = match words.next()? {
        "open" => Terminator::Open,
        "jump" => Terminator::Jump(words.block()?),
        "branch" => Terminator::Branch { cond: words.value()?, then: words.block()?, other: words.block()? },
        "exit" => exit(&mut words)?,
        _ => return Ok(None),
    };
    words.end()?;
    Ok(Some(end))
}

fn exit(words: &mut Words<'_>) -> Result<Terminator, String> {
    let reason = words.next()?;
    let reason = ExitReason::parse(reason).ok_or_else(|| format!("`{reason}` is no reason"))?;
    let pc = words.next()?;
    let pc = match value(pc) {
        Some(value) => Pc::Dynamic(value),
        None => Pc::Const(number(pc)? as u64),
    };
    let argument = if words.0.clone().next().is_some() { words.value()? } else { Value::NONE };
    Ok(Terminator::Exit { reason, pc, argument })
}

fn inst(region: &mut Region, helpers: &[&'static Helper], word: &str, words: &mut Words<'_>) -> Result<Inst, String> {
    let (name, ty) = word.split_once('.').unwrap_or((word, ""));
    let op = Op::parse(name).ok_or_else(|| format!("`{name}` is no operation"))?;
    let row = op.info();
    let ty = match implied_type(row) {
        Some(ty) => ty,
        None => Ty::parse(ty).ok_or_else(|| format!("`{ty}` is no type"))?,
    };
    let mut inst = Inst::new(op, ty);
    inst.aux = aux(row, words)?;
    let mut operands = row.takes.len();
    match row.imm {
        ImmKind::Slot => {
            let name = words.next()?;
            let info = region.arch.slot_named(name).ok_or_else(|| format!("`{name}` is no slot"))?;
            inst.imm = u64::from(info.slot.0);
        }
        ImmKind::Helper => {
            let name = words.next()?;
            let helper = helpers.iter().copied().find(|helper| helper.name == name);
            let helper = helper.ok_or_else(|| format!("`{name}` is no helper"))?;
            operands = usize::from(helper.operands);
            inst.imm = region.intern_helper(helper);
        }
        _ => {}
    }
    for arg in &mut inst.args[..operands] {
        *arg = words.value()?;
    }
    match row.imm {
        ImmKind::None | ImmKind::Slot | ImmKind::Helper => {}
        ImmKind::Const => inst.imm = region.intern_const(words.number()?),
        ImmKind::Bits | ImmKind::Offset | ImmKind::Pc | ImmKind::Lane | ImmKind::Relations => {
            inst.imm = words.number()? as u64;
        }
    }
    if row.aux == AuxKind::Length {
        inst.aux = words.number()? as u8;
    }
    Ok(inst)
}

fn aux(row: &OpInfo, words: &mut Words<'_>) -> Result<u8, String> {
    if matches!(row.aux, AuxKind::None | AuxKind::Length) {
        return Ok(0);
    }
    let word = words.next()?;
    let found = (0..=u8::MAX).find(|&aux| aux_name(row.aux, aux) == Some(word));
    found.ok_or_else(|| format!("`{word}` is no parameter of {}", row.name))
}
