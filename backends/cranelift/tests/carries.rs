//! Sums of several words, whose carries go from one to the next, against the host's arithmetic.

use super::*;
use philae_ir::state::aarch64::X;
use philae_ir::{Carry, Cond, Ty};

/// Words of a number.
const WORDS: usize = 3;

/// What the region computes of its numbers and its carry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Sum,
    Difference,
}

/// X0 to X2 ± X3 to X5, with the carry in X6, to X8 to X10, and the last carry to X11.
fn sum(kind: Kind, tested: Tested) -> Region {
    region(|b| {
        let last = b.get(Ty::I64, X[6]);
        let mut carry = b.trunc(Ty::I8, last);
        let one = b.iconst(Ty::I8, 1);
        carry = b.and(Ty::I8, carry, one);
        for word in 0..WORDS {
            let (n, m) = (b.get(Ty::I64, X[word]), b.get(Ty::I64, X[WORDS + word]));
            let addend = if kind == Kind::Sum { m } else { b.not(Ty::I64, m) };
            let partial = b.add(Ty::I64, n, addend);
            let wide = b.zext(Ty::I64, carry);
            let result = b.add(Ty::I64, partial, wide);
            let flags = match kind {
                Kind::Sum => b.flags_adc(Ty::I64, n, m, carry),
                Kind::Difference => b.flags_sbc(Ty::I64, Carry::NotBorrow, n, m, carry),
            };
            b.set(Ty::I64, X[8 + word], result);
            if tested == Tested::Next {
                let next = b.new_block();
                b.jump(next);
                b.switch_to(next);
            }
            carry = b.flags_test(flags, Cond::Cs);
        }
        let wide = b.zext(Ty::I64, carry);
        b.set(Ty::I64, X[11], wide);
    })
}

/// Where a carry is tested.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Tested {
    /// In the block that makes it.
    Here,
    /// In the next.
    Next,
}

/// The same on the host, a word at a time.
fn expected(kind: Kind, inputs: [u64; 2 * WORDS], carry: u64) -> [u64; WORDS + 1] {
    let mut out = [0; WORDS + 1];
    let mut carry = carry & 1;
    for word in 0..WORDS {
        let m = inputs[WORDS + word];
        let addend = if kind == Kind::Sum { m } else { !m };
        let sum = u128::from(inputs[word]) + u128::from(addend) + u128::from(carry);
        (out[word], carry) = (sum as u64, (sum >> 64) as u64);
    }
    out[WORDS] = carry;
    out
}

#[test]
fn carries_go_from_word_to_word() {
    const SPECIAL: [u64; 6] = [0, 1, u64::MAX, u64::MAX - 1, 1 << 63, i64::MAX as u64];
    let (mut compiler, mut arena, mut random) = (Compiler::new(), Arena::new(), Random(1));
    for (kind, tested) in [Kind::Sum, Kind::Difference]
        .into_iter()
        .flat_map(|kind| [Tested::Here, Tested::Next].into_iter().map(move |tested| (kind, tested)))
    {
        let code = arena.add(&compile(&mut compiler, &sum(kind, tested)));
        for _ in 0..2000 {
            let inputs: [u64; 2 * WORDS] = std::array::from_fn(|_| match random.below(8) {
                special if special < SPECIAL.len() => SPECIAL[special],
                _ => random.next(),
            });
            let carry = random.next();
            let mut cpu = CpuState::default();
            inputs.iter().zip(X).for_each(|(&input, slot)| cpu.set(slot, input));
            cpu.set(X[6], carry);
            assert_eq!(run(code, &mut cpu), ExitReason::Syscall);
            let results: [u64; WORDS + 1] = std::array::from_fn(|word| cpu.get(X[8 + word]));
            assert_eq!(results, expected(kind, inputs, carry), "{kind:?} {tested:?} {inputs:x?} {carry:x}");
        }
    }
}

#[test]
fn a_word_with_a_carry_is_one_addition() {
    let mut compiler = Compiler::new();
    for kind in [Kind::Sum, Kind::Difference] {
        compile(&mut compiler, &sum(kind, Tested::Here));
        assert_eq!(compiler.clif_text().matches("uadd_overflow").count(), WORDS, "{}", compiler.clif_text());
    }
}
