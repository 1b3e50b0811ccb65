//! Has what raises the guest's floating-point status flags executed where the guest executes it.
//!
//! For Cranelift an operation on floats does nothing but make its result: it drops what nobody uses, computes a comparison
//! of scalars where that is used, which may be in another block, and makes a load an operand of what uses it, behind
//! operations that raise. In: a region's whole function, the results of operations that raise, the accesses at whose
//! faults the guest sees what has been raised. Out: stores of those results that would not be computed, or not before the
//! next such access. Cranelift must do nothing else to pure instructions (`opt_level` is `none`).

use super::lower::Lower;
use super::outcall::SCRATCH;
use super::places::may_fault;
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::entity::SecondaryMap;
use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::{Block, BlockArg, Function, Inst, InstBuilder, MemFlagsData, Opcode, Value, ValueDef};
use philae_ir::Op;
use rustc_hash::{FxHashMap, FxHashSet};

/// What has to be executed in a function for the flags that it raises.
#[derive(Debug, Default)]
pub(super) struct Raising {
    /// The results of operations that raise, in order.
    results: Vec<Value>,
    /// The last instructions of accesses at whose faults the guest sees what has been raised.
    accesses: FxHashSet<Inst>,
}

impl Lower<'_, '_> {
    /// `result` is of an operation that raises.
    pub(super) fn note_raising(&mut self, result: Value) {
        self.raising.results.push(result);
    }

    /// A comparison of floats is made where its flags are tested; this stands for it where nobody does.
    pub(super) fn compare_for_status(&mut self, a: Value, b: Value) {
        let unordered = self.b.ins().fcmp(FloatCC::Unordered, a, b);
        self.note_raising(unordered);
    }

    /// What has just been emitted is an access. One that is exact is not to be moved behind what follows.
    pub(super) fn note_access(&mut self, inst: &philae_ir::Inst, recovers: bool) {
        if !self.plan.is_exact_access(inst) || !self.region.keeps_status_on_host() {
            return;
        }
        let last = self.b.current_block().and_then(|block| self.b.func.layout.last_inst(block));
        self.raising.accesses.extend(last);
        let movable = matches!(inst.op, Op::Load | Op::LoadZext | Op::LoadSext) && !recovers;
        if movable && self.raises_before_next_access() {
            self.start_block();
        }
    }

    fn raises_before_next_access(&self) -> bool {
        let later = &self.region.block(self.block).insts[self.position + 1..];
        let later = later.iter().map(|&value| self.region.inst(value)).take_while(|inst| !may_fault(inst));
        later.into_iter().any(|inst| self.region.raises(inst))
    }

    /// Goes on in a new CLIF block: Cranelift does not move a load to another.
    pub(super) fn start_block(&mut self) {
        let next = self.b.create_block();
        self.b.ins().jump(next, &[]);
        self.b.seal_block(next);
        self.b.switch_to_block(next);
    }

    /// Has the function, which is complete, execute what raises. `heads` are the CLIF blocks that the region's blocks
    /// start with.
    pub(super) fn execute_raising(&mut self, heads: &FxHashSet<Block>) {
        let Raising { results, accesses } = std::mem::take(&mut self.raising);
        if results.is_empty() {
            return;
        }
        let (func, state) = (&mut *self.b.func, self.state);
        let mut executed = Executed::new(func, heads, &accesses);
        executed.spread();
        // From the last on: what one has executed are its operands, too.
        let (missing, done): (Vec<Value>, Vec<Value>) =
            results.into_iter().rev().partition(|&result| !executed.includes(result));
        let idle = done.into_iter().filter_map(|result| executed.idle_comparison(result)).collect();
        let idle = executed.with_idle_users(idle);
        for result in missing {
            let mut cursor = match func.dfg.value_def(result) {
                ValueDef::Param(block, _) => FuncCursor::new(func).at_first_insertion_point(block),
                made => FuncCursor::new(func).after_inst(made.unwrap_inst()),
            };
            cursor.ins().store(MemFlagsData::trusted(), result, state, SCRATCH);
        }
        // They would count as users of their operands.
        for inst in idle {
            func.layout.remove_inst(inst);
        }
    }
}

/// A comparison: where, of what.
type Comparison = (u32, [Value; 2]);

/// What of a function is executed.
///
/// A *stretch* is the part of a region's block between accesses that may show what has been raised. What is in cold
/// blocks beside it is none of it.
struct Executed<'a> {
    func: &'a Function,
    stretch: SecondaryMap<Inst, u32>,
    /// The jumps and branches to each block.
    ways: FxHashMap<Block, Vec<Inst>>,
    /// Instructions that are executed, and parameters that are used.
    live: SecondaryMap<Inst, bool>,
    params: FxHashSet<Value>,
    /// Comparisons of scalars that are used in their own stretch.
    compared: FxHashSet<Comparison>,
    /// Uses that are not followed yet: what, by whom.
    uses: Vec<(Value, Inst)>,
}

impl<'a> Executed<'a> {
    fn new(func: &'a Function, heads: &FxHashSet<Block>, accesses: &FxHashSet<Inst>) -> Executed<'a> {
        let mut executed = Executed {
            func,
            stretch: SecondaryMap::new(),
            ways: FxHashMap::default(),
            live: SecondaryMap::new(),
            params: FxHashSet::default(),
            compared: FxHashSet::default(),
            uses: Vec::new(),
        };
        let (mut current, mut beside) = (0, u32::MAX);
        for block in func.layout.blocks() {
            current += u32::from(heads.contains(&block));
            let is_beside = func.layout.is_cold(block) && !heads.contains(&block);
            beside -= u32::from(is_beside);
            for inst in func.layout.block_insts(block) {
                executed.stretch[inst] = if is_beside { beside } else { current };
                current += u32::from(accesses.contains(&inst));
                executed.visit(inst);
            }
        }
        executed
    }

    /// Notes where an instruction leads to, and that it is executed if it acts.
    fn visit(&mut self, inst: Inst) {
        let (data, dfg) = (&self.func.dfg.insts[inst], &self.func.dfg);
        for way in data.branch_destination(&dfg.jump_tables, &dfg.exception_tables) {
            self.ways.entry(way.block(&dfg.value_lists)).or_default().push(inst);
        }
        let opcode = data.opcode();
        let touches_memory = opcode.can_load() || opcode.can_store();
        let leaves = opcode.is_terminator() || opcode.is_call() || opcode.can_trap();
        if touches_memory || leaves || opcode.other_side_effects() {
            self.execute(inst);
        }
    }

    fn execute(&mut self, inst: Inst) {
        if !std::mem::replace(&mut self.live[inst], true) {
            self.uses.extend(self.func.dfg.inst_args(inst).iter().map(|&arg| (arg, inst)));
        }
    }

    /// Follows what is used to what makes it.
    fn spread(&mut self) {
        while let Some((value, user)) = self.uses.pop() {
            let value = self.func.dfg.resolve_aliases(value);
            match self.func.dfg.value_def(value) {
                ValueDef::Result(inst, _) => {
                    if self.func.dfg.insts[user].opcode() != Opcode::Uextend {
                        self.compare_here(inst, self.stretch[user]);
                    }
                    self.execute(inst);
                }
                ValueDef::Param(block, index) if self.params.insert(value) => self.use_parameter(block, index),
                ValueDef::Param(..) | ValueDef::Union(..) => (),
            }
        }
    }

    fn use_parameter(&mut self, block: Block, index: usize) {
        let (dfg, ways) = (&self.func.dfg, self.ways.get(&block));
        for &from in ways.into_iter().flatten() {
            let ways = dfg.insts[from].branch_destination(&dfg.jump_tables, &dfg.exception_tables).iter();
            for way in ways.filter(|way| way.block(&dfg.value_lists) == block) {
                if let Some(BlockArg::Value(arg)) = way.args(&dfg.value_lists).nth(index) {
                    self.uses.push((arg, from));
                }
            }
        }
    }

    /// `inst` is used in `stretch`, as the comparison that it may be, or extends.
    fn compare_here(&mut self, mut inst: Inst, stretch: u32) {
        let func = self.func;
        while self.stretch[inst] == stretch {
            if let Some(comparison) = self.comparison(inst) {
                self.compared.insert(comparison);
            }
            match (func.dfg.insts[inst].opcode(), func.dfg.inst_args(inst)) {
                (Opcode::Uextend, &[arg]) => match func.dfg.value_def(func.dfg.resolve_aliases(arg)) {
                    ValueDef::Result(extended, _) => inst = extended,
                    ValueDef::Param(..) | ValueDef::Union(..) => return,
                },
                _ => return,
            }
        }
    }

    /// What `inst` compares, if that are scalars.
    fn comparison(&self, inst: Inst) -> Option<Comparison> {
        let dfg = &self.func.dfg;
        let &[a, b] = dfg.inst_args(inst) else { return None };
        let mut operands = [a, b].map(|operand| dfg.resolve_aliases(operand));
        operands.sort();
        let is_comparison = dfg.insts[inst].opcode() == Opcode::Fcmp && !dfg.value_type(a).is_vector();
        is_comparison.then_some((self.stretch[inst], operands))
    }

    /// Whether what makes `result` is executed; else it is to be from now on.
    fn includes(&mut self, result: Value) -> bool {
        let result = self.func.dfg.resolve_aliases(result);
        match self.func.dfg.value_def(result) {
            ValueDef::Result(inst, _) => {
                let includes = match self.comparison(inst) {
                    Some(comparison) => !self.compared.insert(comparison),
                    None => self.live[inst],
                };
                if !includes {
                    self.execute(inst);
                    self.spread();
                }
                includes
            }
            ValueDef::Param(block, index) => {
                let includes = !self.params.insert(result);
                if !includes {
                    self.use_parameter(block, index);
                    self.spread();
                }
                includes
            }
            ValueDef::Union(..) => true,
        }
    }

    /// What makes `result`, if that is a comparison that nobody uses.
    fn idle_comparison(&self, result: Value) -> Option<Inst> {
        let inst = self.func.dfg.value_def(self.func.dfg.resolve_aliases(result)).inst()?;
        (!self.live[inst] && self.comparison(inst).is_some()).then_some(inst)
    }

    /// These instructions, and those that are not executed either and use them.
    fn with_idle_users(&self, mut idle: FxHashSet<Inst>) -> FxHashSet<Inst> {
        let dfg = &self.func.dfg;
        let mut known = 0;
        while idle.len() > known {
            known = idle.len();
            for inst in self.func.layout.blocks().flat_map(|block| self.func.layout.block_insts(block)) {
                let makers = dfg.inst_args(inst).iter().map(|&arg| dfg.value_def(dfg.resolve_aliases(arg)).inst());
                if !self.live[inst] && makers.flatten().any(|maker| idle.contains(&maker)) {
                    idle.insert(inst);
                }
            }
        }
        idle
    }
}
