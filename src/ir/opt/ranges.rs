//! How large floating-point values are.
//!
//! In: a region. Out: bounds for the magnitudes of scalars that are computed from values of usual size, the *roots*; and
//! on which operations all machines agree ([`NanRule::Agreed`]) if their roots are of usual size.

use crate::ops::{NanRule, Op};
use crate::region::{Inst, Region, Value};
use crate::tiny;
use crate::ty::Ty;
use std::collections::HashMap;

/// A set of roots, by their numbers.
pub(super) type Roots = u64;

/// What a format of scalars can hold, in powers of two.
#[derive(Clone, Copy, Debug)]
pub(super) struct Format {
    pub(super) ty: Ty,
    /// That of the smallest normal number.
    smallest: i32,
    /// That of the largest power of two.
    largest: i32,
    /// How many bits a fraction has.
    pub(super) fraction: i32,
    /// That below which the magnitudes of usual numbers are, and its negative one that they do not go below. The product of
    /// a few of them is a normal number.
    usual: i32,
}

impl Format {
    /// The formats in which much is computed.
    pub(super) const ALL: [Format; 2] = [
        Format { ty: Ty::F64, smallest: -1022, largest: 1023, fraction: 52, usual: 128 },
        Format { ty: Ty::F32, smallest: -126, largest: 127, fraction: 23, usual: 16 },
    ];

    /// The bits of the smallest usual number without the sign, shifted left by one.
    pub(super) fn usual_doubled(&self) -> u64 {
        ((self.largest - self.usual) as u64) << (self.fraction + 1)
    }

    /// By how much less than this the bits of usual numbers, shifted in this way, are above those.
    pub(super) fn usual_span(&self) -> u64 {
        (2 * self.usual as u64) << (self.fraction + 1)
    }

    /// The bounds of this number, if it is a normal one.
    fn of_bits(&self, bits: u128) -> Option<Bounds> {
        let field = (bits >> self.fraction) as i32 & (2 * self.largest + 1);
        let power = field - self.largest;
        (self.smallest..=self.largest).contains(&power).then_some(Bounds { low: power, high: power + 1 })
    }
}

/// A magnitude from 2 to the power of `low` up to 2 to the power of `high`.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    low: i32,
    high: i32,
}

/// Bounds that hold if all of `roots` are of usual size.
#[derive(Clone, Copy, Debug)]
struct Known {
    bounds: Bounds,
    roots: Roots,
}

/// What is known of the scalars of one format.
pub(super) struct Ranges<'a> {
    region: &'a Region,
    format: Format,
    /// The values that are taken to be of usual size.
    pub(super) roots: Vec<Value>,
    known: HashMap<Value, Known>,
}

impl<'a> Ranges<'a> {
    pub(super) fn new(region: &'a Region, format: Format) -> Ranges<'a> {
        Ranges { region, format, roots: Vec::new(), known: HashMap::new() }
    }

    /// Makes the factors of a product or a fused sum roots, or what they are computed of, where nothing is known of them.
    pub(super) fn add_roots(&mut self, inst: &Inst) {
        if inst.ty == self.format.ty {
            inst.args[..2].iter().for_each(|&factor| _ = self.known_by_roots(factor));
        }
    }

    /// The roots that make machines agree on `inst`, if some do.
    pub(super) fn agreement(&self, inst: &Inst) -> Option<Roots> {
        let [a, b, _] = inst.args;
        let roots = match inst.op {
            _ if inst.ty != self.format.ty => None,
            Op::Fadd | Op::Fsub => self.known(a).or(self.known(b)).map(|known| known.roots),
            Op::Fsqrt => self.known(a).filter(|_| self.is_positive(a)).map(|known| known.roots),
            Op::Fmul | Op::Fdiv | Op::FmulAdd => self.agreement_by(inst, self.known(a)?, self.known(b)?),
            _ => None,
        };
        roots.filter(|_| NanRule::from_aux(inst.aux) == NanRule::Arm)
    }

    /// The same for an operation with these factors.
    fn agreement_by(&self, inst: &Inst, a: Known, b: Known) -> Option<Roots> {
        let (lowest, roots) = (a.bounds.low + b.bounds.low, a.roots | b.roots);
        match inst.op {
            Op::Fmul => (lowest >= self.format.smallest).then_some(roots),
            Op::Fdiv => Some(roots),
            // All bits of the product count for no less than the smallest number does: a tiny sum is exact.
            Op::FmulAdd if lowest >= self.format.smallest + self.format.fraction => {
                let added = self.region.inst(inst.args[2]);
                // A NaN that is added is the result on any host, but one whose sign is to be changed first.
                let changed = if added.op == Op::Fneg { self.known(added.args[0])?.roots } else { 0 };
                Some(roots | changed)
            }
            _ => None,
        }
    }

    fn is_positive(&self, value: Value) -> bool {
        tiny::is_positive(self.region, self.region.inst(value))
    }

    fn known(&self, value: Value) -> Option<Known> {
        self.known.get(&value).copied().or_else(|| {
            let bounds = self.known_at_once(value)?;
            Some(Known { bounds, roots: 0 })
        })
    }

    /// Bounds of a constant.
    fn known_at_once(&self, value: Value) -> Option<Bounds> {
        let bits = self.region.constant(value).filter(|_| self.region.ty(value) == self.format.ty)?;
        self.format.of_bits(bits)
    }

    /// What is known of `value`, which becomes a root if nothing is; nothing if there are too many.
    fn known_by_roots(&mut self, value: Value) -> Option<Known> {
        if let Some(known) = self.known(value) {
            return Some(known);
        }
        let known = match self.computed(value) {
            Some(known) => known,
            None if self.roots.len() < Roots::BITS as usize => {
                self.roots.push(value);
                let usual = self.format.usual;
                Known { bounds: Bounds { low: -usual, high: usual }, roots: 1 << (self.roots.len() - 1) }
            }
            None => return None,
        };
        self.known.insert(value, known);
        Some(known)
    }

    /// What is known of a normal number because of what it is computed of.
    fn computed(&mut self, value: Value) -> Option<Known> {
        let inst = *self.region.inst(value);
        let [a, b, _] = inst.args;
        if inst.ty != self.format.ty {
            return None;
        }
        let known = match inst.op {
            Op::Fneg | Op::Fabs => return self.known_by_roots(a),
            Op::Fsqrt if self.is_positive(a) => {
                let a = self.known_by_roots(a)?;
                let bounds = Bounds { low: a.bounds.low.div_euclid(2), high: (a.bounds.high + 1).div_euclid(2) };
                return Some(Known { bounds, ..a });
            }
            Op::Fmul | Op::Fdiv => {
                let (a, b) = (self.known_by_roots(a)?, self.known_by_roots(b)?);
                let low = a.bounds.low + if inst.op == Op::Fmul { b.bounds.low } else { -b.bounds.high };
                let high = a.bounds.high + if inst.op == Op::Fmul { b.bounds.high } else { -b.bounds.low };
                Known { bounds: Bounds { low, high }, roots: a.roots | b.roots }
            }
            _ => return None,
        };
        let is_normal = known.bounds.low >= self.format.smallest && known.bounds.high <= self.format.largest;
        is_normal.then_some(known)
    }
}
