//! Flags in memory, as regions write and read them; what stands there is described in [`crate::stored_flags`].

use super::lower::Lower;
use super::places::Place;
use crate::callouts;
use crate::stored_flags::{Described, OPERANDS, SLOT, describe, sum_of_words};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{BlockArg, InstBuilder, MemFlagsData, Value as Clif};
use philae_ir::{Op, Value};

/// The places of the flags: the word in their slot, and the operands of a description.
pub(super) fn places() -> [Place; 3] {
    let operand = |index: i32| Place { offset: OPERANDS + 8 * index, ty: I64 };
    [Place { offset: SLOT, ty: I32 }, operand(0), operand(1)]
}

impl Lower<'_, '_> {
    /// What place `part` of the flags holds after `flags` were set; nothing where that does not matter.
    pub(super) fn flags_part(&mut self, flags: Value, part: usize) -> Option<Clif> {
        match (self.describe(flags), part) {
            (Some(described), 0) => Some(self.iconst(I32, u64::from(described.word))),
            (Some(described), _) => described.operands[part - 1].map(|operand| self.value(operand)),
            (None, 0) => Some(self.flag_bits(flags)),
            (None, _) => None,
        }
    }

    /// Whether it matters what place `part` of the flags holds after `flags` were set.
    pub(super) fn matters(&self, flags: Value, part: usize) -> bool {
        part == 0 || self.describe(flags).is_some_and(|described| described.operands[part - 1].is_some())
    }

    fn describe(&self, flags: Value) -> Option<Described> {
        let described = describe(self.region, flags, |value| self.flag_source(value))?;
        let base = self.flag_source(self.region.inst(flags).args[0]);
        let known = self.known_value(flags).is_some();
        let base_known = self.region.inst(flags).op == Op::FlagsWithC && self.known_value(base).is_some();
        (!known && !base_known).then_some(described)
    }

    /// The four bits of flags whose places hold `parts`. A sum's are computed here: loops of long arithmetic pass its
    /// carry on.
    pub(super) fn settled_flags(&mut self, parts: [Clif; 3]) -> Clif {
        let described = self.compare_with(IntCC::UnsignedGreaterThan, parts[0], 15);
        let [known, sum, settle, join] = [(); 4].map(|()| self.b.create_block());
        self.b.set_cold_block(settle);
        let bits = self.b.append_block_param(join, I32);
        self.b.ins().brif(described, known, &[], join, &[BlockArg::Value(parts[0])]);
        self.b.seal_block(known);
        self.b.switch_to_block(known);
        let is_sum = self.compare_with(IntCC::Equal, parts[0], u64::from(sum_of_words()));
        self.b.ins().brif(is_sum, sum, &[], settle, &[]);
        self.b.seal_block(sum);
        self.b.switch_to_block(sum);
        let summed = self.sum_bits(parts[1], parts[2]);
        self.b.ins().jump(join, &[BlockArg::Value(summed)]);
        self.b.seal_block(settle);
        self.b.switch_to_block(settle);
        let (state, flags) = (self.state, MemFlagsData::trusted());
        for (place, part) in places().into_iter().zip(parts) {
            self.b.ins().store(flags, part, state, place.offset);
        }
        let stub = self.address(callouts::settler_address());
        self.b.ins().call_indirect(self.signatures.settle, stub, &[state]);
        let settled = self.b.ins().load(I32, flags, state, SLOT);
        self.b.ins().jump(join, &[BlockArg::Value(settled)]);
        self.b.seal_block(join);
        self.b.switch_to_block(join);
        bits
    }
}
