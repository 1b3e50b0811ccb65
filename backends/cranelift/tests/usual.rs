//! Results that need no test where a few numbers are of usual size: random computations, interpreted as they are and
//! compiled with passes, on numbers of all sizes.

use super::flow::{compare, in_child, run_guarded};
use super::*;
use crate::FloatControl;
use crate::interp::Interpreter;
use philae_ir::opt::optimise;
use philae_ir::state::aarch64;
use philae_ir::{NanRule, Op, Ty};

/// How many values a computation starts with.
const GIVEN: usize = 6;

/// A computation on the scalars of type `ty` in V0 to V5: products, quotients and sums of the given values and of each other.
fn computation(random: &mut Random, ty: Ty) -> Region {
    region(|b| {
        let mut values: Vec<Value> = aarch64::V[..GIVEN].iter().map(|&slot| b.get(ty, slot)).collect();
        for place in 0..24 {
            let pick = |random: &mut Random, values: &[Value]| values[random.below(values.len())];
            // Factors are given ones mostly: what is computed of much soon is infinite.
            let near = if random.below(4) == 0 { values.len() } else { GIVEN };
            let (x, y) = (pick(random, &values[..near]), pick(random, &values[..near]));
            let z = pick(random, &values);
            let x = if random.below(6) == 0 { b.fneg(ty, x) } else { x };
            let z = if random.below(4) == 0 { b.fneg(ty, z) } else { z };
            values.push(match random.below(12) {
                0..4 => b.float2(Op::Fmul, ty, NanRule::Arm, x, y),
                4..8 => b.fmul_add(ty, NanRule::Arm, x, y, z),
                8 => b.float2(Op::Fdiv, ty, NanRule::Arm, x, y),
                9 => b.float2(Op::Fadd, ty, NanRule::Arm, x, z),
                10 => b.float2(Op::Fsub, ty, NanRule::Arm, x, z),
                _ => {
                    let square = b.float2(Op::Fmul, ty, NanRule::Arm, x, x);
                    b.fsqrt(ty, NanRule::Arm, square)
                }
            });
            b.set(ty, aarch64::V[8 + place], values[values.len() - 1]);
        }
    })
}

/// A number of usual size, or rarely any other, NaNs included.
fn number(random: &mut Random, ty: Ty, usual: bool) -> u64 {
    let (fraction, bias, edge) = if ty == Ty::F64 { (52, 1023, 128) } else { (23, 127, 16) };
    let sign = random.below(2) << (ty.bits() - 1);
    let exponent = match random.below(if usual { 1 } else { 8 }) {
        0..3 => bias - 8 + random.below(16),
        3 => 0,
        4 => 2 * bias + 1,
        5 => bias / 2 + random.below(4),
        6 => [bias - edge, bias + edge - 1, bias - edge - 1, bias + edge][random.below(4)],
        _ => random.below(2 * bias + 2),
    };
    let bits = match random.below(3) {
        0 => 0,
        1 => (1 << fraction) - 1 - random.below(3),
        _ => random.below(1 << fraction),
    };
    (sign | exponent << fraction | bits) as u64
}

#[test]
fn numbers_of_all_sizes_are_computed_as_interpreted() {
    in_child(|| {
        let (mut compiler, mut interpreter, mut arena) = (Compiler::new(), Interpreter::default(), Arena::new());
        let mut split = 0;
        for seed in 0..400 {
            let mut random = Random(seed);
            let ty = if seed % 2 == 0 { Ty::F64 } else { Ty::F32 };
            let region = computation(&mut random, ty);
            let mut optimised = region.clone();
            optimise(&mut optimised, Exactness::Relaxed);
            split += usize::from(optimised.blocks.len() > 1);
            let mut code = compile(&mut compiler, &optimised);
            let entry = arena.add(&code);
            for round in 0..200 {
                let mut one = CpuState::default();
                for &slot in &aarch64::V[..GIVEN] {
                    one.set128(slot, number(&mut random, ty, round % 4 == 0).into());
                }
                let mut other = one.fork();
                FloatControl::take_flags();
                interpreter.run(&region, &mut one);
                let raised = FloatControl::take_flags();
                run_guarded(entry, &mut code, &mut other);
                let what = format!("seed {seed} round {round}");
                assert_eq!(raised, FloatControl::take_flags(), "{what}\n{optimised}");
                compare(&optimised, &one, &other, &what);
            }
        }
        assert!(split > 300, "{split} computations have an end that needs no tests");
    });
}
