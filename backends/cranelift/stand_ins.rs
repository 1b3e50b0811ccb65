//! What the host has instructions for that Cranelift does not know: AES, SHA-256, carry-less products, rotations, shifts by
//! lane, halves.
//!
//! A [`StandIn`] is emitted that Cranelift does know, of the same operands and the same length; [`super::x86_64`] puts the
//! right opcode into the finished bytes. Where instructions of the guest are parts of one of the host's, what is common is
//! remembered within a block: SHA256H and SHA256H2 make the halves of the same four rounds, and the host keeps the words
//! of both in another order from one quadruple to the next.

use super::lower::Lower;
use super::x86_64::StandIn;
use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::types::{F32X4, I8X16, I16X8, I32, I32X4, I64X2};
use cranelift_codegen::ir::{InstBuilder, SourceLoc, Type, Value as Clif};
use philae_ir::{Helper, Inst, Op, Value};
use rustc_hash::FxHashMap;

/// Source locations from here on are stand-ins'; those below are values of the region.
const FIRST: u32 = 1 << 31;

/// What is known of values of the current block.
#[derive(Default)]
pub(super) struct Known {
    /// Vectors of other shapes as bytes.
    bytes: FxHashMap<Clif, Clif>,
    /// Indices of tables, as PSHUFB takes them.
    indices: FxHashMap<Clif, Clif>,
    /// Rounds of AES with a key of zeroes, and what they are of: a round adds its key last.
    keyless: FxHashMap<Clif, (StandIn, Clif)>,
    /// Words a to d and e to h, and the same in the host's order: a, b, e, f and c, d, g, h, from the top.
    ordered: FxHashMap<(Clif, Clif), [Clif; 2]>,
    /// Words before four rounds of SHA-256 and their summands, and the words after.
    rounds: FxHashMap<[Clif; 3], [Clif; 2]>,
}

/// The source location of a load whose value is an operand of the next instruction, and of no other.
pub(super) const OPERAND: u32 = u32::MAX - 1;

/// The stand-in whose source location this is.
pub(super) fn stand_in(stand_ins: &[StandIn], location: SourceLoc) -> Option<StandIn> {
    let index = location.bits().checked_sub(FIRST)?;
    stand_ins.get(index as usize).copied()
}

/// Whether a region with this helper is to be compiled without AVX: its instructions have no form of three operands.
pub(super) fn is_legacy(helper: &Helper) -> bool {
    helper.name.starts_with("a64_sha256")
}

impl Lower<'_, '_> {
    /// The call of a helper that is a few instructions of the host's.
    pub(super) fn host_instructions(&mut self, helper: &Helper, inst: &Inst) -> Option<Clif> {
        if !is_legacy(helper) || !self.features.sha {
            return None;
        }
        let args: Vec<_> = inst.operands().map(|operand| self.bytes(operand)).collect();
        match (helper.name, &args[..]) {
            ("a64_sha256h", &[d, n, m]) => Some(self.sha256_rounds([d, n, m])[0]),
            ("a64_sha256h2", &[d, n, m]) => Some(self.sha256_rounds([n, d, m])[1]),
            ("a64_sha256su0", &[d, n]) => Some(self.put(StandIn::SHA256MSG1, d, n)),
            ("a64_sha256su1", &[d, n, m]) => Some(self.sha256_schedule(d, n, m)),
            _ => None,
        }
    }

    /// A vector as bytes: the same value each time, by which it is known again.
    pub(super) fn bytes(&mut self, operand: Value) -> Clif {
        let value = self.value(operand);
        match self.known.bytes.get(&value) {
            Some(&bytes) => bytes,
            None => {
                let bytes = self.cast(value, I8X16);
                self.known.bytes.insert(value, bytes);
                bytes
            }
        }
    }

    /// Emits what stands for an instruction.
    fn put(&mut self, stand_in: StandIn, a: Clif, b: Clif) -> Clif {
        let (a, b) = (self.in_register(a), self.in_register(b));
        self.mark(stand_in);
        let result = match stand_in {
            StandIn::AESIMC => self.b.ins().iabs(a),
            StandIn::VPROLD | StandIn::VPROLQ => unreachable!("their second operand is a constant"),
            // Any shift whose bits 0 and 4 are clear: these choose the halves.
            StandIn::PCLMULQDQ => self.plain_shuffle(a, b, std::array::from_fn(|index| index as u8 + 2)),
            _ => self.b.ins().x86_pshufb(a, b),
        };
        self.b.set_srcloc(SourceLoc::default());
        result
    }

    /// Four halves as singles, NaNs quieted, if the host does that.
    pub(super) fn halves_to_singles(&mut self, inst: &Inst) -> Option<Clif> {
        let convert = |this: &mut Self, halves| this.b.ins().swiden_low(halves);
        self.convert_halves(inst, (I16X8, StandIn::VCVTPH2PS, F32X4), convert)
    }

    /// [`Op::FdemoteHalf`], if the host does that.
    pub(super) fn demote_to_halves(&mut self, inst: &Inst) -> Option<Clif> {
        let convert = |this: &mut Self, singles| this.b.ins().nearest(singles);
        self.convert_halves(inst, (F32X4, StandIn::VCVTPS2PH, I16X8), convert)
    }

    /// A conversion from or to halves, which what `put` emits stands for.
    fn convert_halves(
        &mut self,
        inst: &Inst,
        (from, stand_in, to): (Type, StandIn, Type),
        put: impl FnOnce(&mut Self, Clif) -> Clif,
    ) -> Option<Clif> {
        let bytes = self.features.f16c.then(|| self.bytes(inst.args[0]))?;
        let bytes = self.in_register(bytes);
        let lanes = self.cast(bytes, from);
        self.mark(stand_in);
        let result = put(self, lanes);
        self.b.set_srcloc(SourceLoc::default());
        Some(self.cast(result, to))
    }

    /// Words or doublewords of `a` shifted by those of `amounts`; doublewords not with their sign.
    pub(super) fn shift_words(&mut self, op: Op, a: Clif, amounts: Clif) -> Clif {
        let ty = self.type_of(a);
        let stand_in = match (op, ty == I64X2) {
            (Op::Vshl, false) => StandIn::VPSLLVD,
            (Op::Vshl, true) => StandIn::VPSLLVQ,
            (Op::Vlshr, true) => StandIn::VPSRLVQ,
            (Op::Vlshr, false) => StandIn::VPSRLVD,
            _ => StandIn::VPSRAVD,
        };
        let [a, amounts] = [a, amounts].map(|value| self.cast(value, I8X16));
        let shifted = self.put(stand_in, a, amounts);
        self.cast(shifted, ty)
    }

    /// Lanes of 32 or 64 bits rotated left by a constant, if the host does that.
    pub(super) fn rotate(&mut self, value: Clif, amount: u64) -> Option<Clif> {
        let stand_in = match self.type_of(value) {
            _ if !self.features.rotations => return None,
            I32X4 => StandIn::VPROLD,
            I64X2 => StandIn::VPROLQ,
            _ => return None,
        };
        let ty = self.type_of(value);
        let lanes = self.cast(value, I64X2);
        let lanes = self.in_register(lanes);
        let amount = self.b.ins().iconst(I32, amount as i64);
        self.mark(stand_in);
        let result = self.b.ins().sshr(lanes, amount);
        self.b.set_srcloc(SourceLoc::default());
        Some(self.cast(result, ty))
    }

    /// PSHUFB's indices for those of a table: 15 stays below 128, and 16 does not.
    pub(super) fn table_indices(&mut self, indices: Clif) -> Clif {
        if let Some(&known) = self.known.indices.get(&indices) {
            return known;
        }
        let more = self.vector_constant(u128::from_le_bytes([0x70; 16]));
        let raised = self.b.ins().uadd_sat(indices, more);
        self.known.indices.insert(indices, raised);
        raised
    }

    /// The same bytes behind casts, through which Cranelift does not look: a constant or a load that became an operand
    /// could bring instructions for its address with it, in front of the one that stands for another.
    fn in_register(&mut self, value: Clif) -> Clif {
        let ty = self.type_of(value);
        let other = self.cast(value, if ty == I64X2 { I8X16 } else { I64X2 });
        self.cast(other, ty)
    }

    /// A comparison of lanes that Cranelift does not have.
    pub(super) fn compare_lanes(&mut self, stand_in: StandIn, a: Clif, b: Clif) -> Clif {
        self.mark(stand_in);
        let result = self.b.ins().fcmp(FloatCC::Unordered, a, b);
        self.b.set_srcloc(SourceLoc::default());
        result
    }

    /// What is emitted next stands for another instruction.
    pub(super) fn mark(&mut self, stand_in: StandIn) {
        self.b.set_srcloc(SourceLoc::new(FIRST + self.stand_ins.len() as u32));
        self.stand_ins.push(stand_in);
    }

    /// [`Op::AesRound`] and its like, if the host has them.
    pub(super) fn aes(&mut self, inst: &Inst) -> Option<Clif> {
        let state = self.features.aes.then(|| self.bytes(inst.args[0]))?;
        let zero = self.zero(I8X16);
        Some(match inst.op {
            Op::AesRound => self.aes_round(StandIn::AESENC, state, zero),
            Op::AesLastRound => self.aes_round(StandIn::AESENCLAST, state, zero),
            Op::AesInverseRound => self.aes_round(StandIn::AESDEC, state, zero),
            Op::AesInverseLastRound => self.aes_round(StandIn::AESDECLAST, state, zero),
            Op::AesInverseMix => self.put(StandIn::AESIMC, state, state),
            _ => {
                // A last round of decryption undoes all of a round but its MixColumns.
                let undone = self.put(StandIn::AESDECLAST, state, zero);
                self.put(StandIn::AESENC, undone, zero)
            }
        })
    }

    /// A round with a key of zeroes.
    fn aes_round(&mut self, round: StandIn, state: Clif, zero: Clif) -> Clif {
        let result = self.put(round, state, zero);
        self.known.keyless.insert(result, (round, state));
        result
    }

    /// The sum of two vectors without carries, if one of them is a round of AES that can add the other itself.
    pub(super) fn with_key(&mut self, a: Clif, b: Clif) -> Option<Clif> {
        let ((round, input), key) = match (self.known.keyless.get(&a), self.known.keyless.get(&b)) {
            (Some(&round), _) => (round, b),
            (None, Some(&round)) => (round, a),
            (None, None) => return None,
        };
        Some(self.put(round, input, key))
    }

    /// Words a to d and e to h after four rounds.
    fn sha256_rounds(&mut self, [abcd, efgh, summands]: [Clif; 3]) -> [Clif; 2] {
        if let Some(&after) = self.known.rounds.get(&[abcd, efgh, summands]) {
            return after;
        }
        let [abef, cdgh] = match self.known.ordered.get(&(abcd, efgh)) {
            Some(&ordered) => ordered,
            None => [self.words(efgh, abcd, [1, 0, 5, 4]), self.words(efgh, abcd, [3, 2, 7, 6])],
        };
        let after_two = self.sha256_two_rounds(cdgh, abef, summands);
        let upper = self.words(summands, summands, [2, 3, 2, 3]);
        let after_four = self.sha256_two_rounds(abef, after_two, upper);
        let (abef, cdgh) = (after_four, after_two);
        let after = [self.words(abef, cdgh, [3, 2, 7, 6]), self.words(abef, cdgh, [1, 0, 5, 4])];
        self.known.rounds.insert([abcd, efgh, summands], after);
        self.known.ordered.insert((after[0], after[1]), [abef, cdgh]);
        after
    }

    /// Words a, b, e, f after two rounds; c, d, g, h are then what a, b, e, f were.
    fn sha256_two_rounds(&mut self, cdgh: Clif, abef: Clif, summands: Clif) -> Clif {
        let [cdgh, abef, summands] = [cdgh, abef, summands].map(|words| self.in_register(words));
        self.mark(StandIn::SHA256RNDS2);
        let result = self.b.ins().blendv(summands, abef, cdgh);
        self.b.set_srcloc(SourceLoc::default());
        result
    }

    /// SHA256SU1.
    fn sha256_schedule(&mut self, d: Clif, n: Clif, m: Clif) -> Clif {
        let middle = self.plain_shuffle(n, m, std::array::from_fn(|index| index as u8 + 4));
        let (d, middle) = (self.cast(d, I32X4), self.cast(middle, I32X4));
        let sum = self.b.ins().iadd(d, middle);
        let sum = self.cast(sum, I8X16);
        self.put(StandIn::SHA256MSG2, sum, m)
    }

    /// Words of a (0 to 3) and b (4 to 7).
    fn words(&mut self, a: Clif, b: Clif, words: [u8; 4]) -> Clif {
        let mask = std::array::from_fn(|index| words[index / 4] * 4 + index as u8 % 4);
        self.plain_shuffle(a, b, mask)
    }

    /// [`philae_ir::Op::ClmulLow`], if the processor makes it.
    pub(super) fn carry_less_product(&mut self, inst: &Inst) -> Option<Clif> {
        let [a, b] = [0, 1].map(|index| self.bytes(inst.args[index]));
        self.features.carry_less.then(|| self.put(StandIn::PCLMULQDQ, a, b))
    }
}
