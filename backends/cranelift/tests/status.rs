//! What raises the guest's status flags is executed where the guest executes it, whatever becomes of its result.

use super::flow::{handle_faults, in_child, run_guarded};
use super::*;
use crate::FloatControl;
use philae_ir::state::aarch64;
use philae_ir::text::parse;

const NOTHING: u32 = 0;
const INVALID: u32 = 1;
const DIVIDED_BY_ZERO: u32 = 2;

/// What a region whose X0 is 0, D0 1, D1 0 and D2 a signalling NaN raises until it leaves.
fn raised(text: &str, exactness: Exactness) -> u32 {
    run(text, exactness).0
}

/// The same, and the state that it leaves.
fn run(text: &str, exactness: Exactness) -> (u32, CpuState) {
    let region = parse(text, &[]).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let mut links = |site: LinkSite| -> *const LinkSlot { panic!("no link expected to {site:?}") };
    let options = Options { exactness, counter: None };
    let mut code = Compiler::new().compile(&region, options, &mut links).expect("it compiles");
    let mut arena = Arena::new();
    let entry = arena.add(&code);
    let mut cpu = CpuState::default();
    let doubles = [1f64.to_bits(), 0, f64::INFINITY.to_bits() | 1];
    doubles.into_iter().zip(aarch64::V).for_each(|(bits, slot)| cpu.set128(slot, bits.into()));
    FloatControl::take_flags();
    run_guarded(entry, &mut code, &mut cpu);
    (FloatControl::take_flags(), cpu)
}

#[test]
fn what_is_overwritten_behind_a_branch_is_executed() {
    let text = "region aarch64 0x400000\nb0:\n  v0 = get.f64 v0\n  v1 = get.f64 v1\n  v2 = fdiv.f64 x86 v0 v1\n  \
        set.f64 v3 v2\n  v3 = get.i8 x0\n  branch v3 b1 b2\nb1:\n  set.f64 v3 v0\n  exit syscall 0x400004\n\
        b2:\n  set.f64 v3 v1\n  exit syscall 0x400004\n";
    assert_eq!(raised(text, Exactness::Relaxed), DIVIDED_BY_ZERO);
}

#[test]
fn a_comparison_is_made_though_its_user_is_not_reached() {
    let text = "region aarch64 0x400000\nb0:\n  v0 = get.f64 v0\n  v1 = get.f64 v2\n  v2 = fcmp.f64 lt v0 v1\n  \
        v3 = get.i8 x0\n  branch v3 b1 b2\nb1:\n  v4 = select.f64 v2 v0 v1\n  set.f64 v3 v4\n  \
        exit syscall 0x400004\nb2:\n  exit syscall 0x400004\n";
    assert_eq!(raised(text, Exactness::Relaxed), INVALID);
}

#[test]
fn a_comparison_is_made_before_an_access_that_faults() {
    in_child(|| {
        handle_faults();
        let text = "region aarch64 0x400000\nb0:\n  v0 = get.f64 v0\n  v1 = get.f64 v2\n  v2 = flags_fcmp.f64 v0 v1 0x3628\n  \
            v3 = get.i64 x0\n  v4 = load.i64 v3 0\n  v5 = flags_test mi v2\n  v6 = select.i64 v5 v3 v4\n  \
            set.i64 x1 v6\n  exit syscall 0x400004\n";
        assert_eq!(raised(text, Exactness::Exact), INVALID);
    });
}

#[test]
fn an_access_that_faults_comes_before_what_follows_it() {
    in_child(|| {
        handle_faults();
        let text = "region aarch64 0x400000\nb0:\n  v0 = get.f64 v0\n  v1 = get.f64 v1\n  v2 = get.i64 x0\n  \
            v3 = load.i8 v2 0\n  set.i8 x1 v3\n  v4 = fdiv.f64 x86 v0 v1\n  set.f64 v3 v4\n  \
            exit syscall 0x400004\n";
        assert_eq!(raised(text, Exactness::Exact), NOTHING);
    });
}

/// A region that compares the sum of D2, a signalling NaN, and `other` with D0, counts in X1 and branches on what it finds.
fn counting(other: u64) -> String {
    format!(
        "region aarch64 0x400000\nb0:\n  v0 = get.f64 v0\n  v1 = get.f64 v2\n  v2 = const.f64 {other:#x}\n  \
            v3 = fadd.f64 arm v2 v1\n  set.f64 v3 v3\n  v4 = flags_fcmp.f64 v3 v0 0x13268\n  v5 = get.i64 x1\n  \
            v6 = const.i64 0x1\n  v7 = add.i64 v5 v6\n  v8 = fcmp.f64 le v3 v0\n  v9 = select.i64 v8 v7 v5\n  \
            set.i64 x1 v9\n  branch v8 b1 b2\nb1:\n  set.i64 x2 v6\n  exit syscall 0x400004\n\
            b2:\n  set.i64 x3 v6\n  exit syscall 0x400004\n"
    )
}

#[test]
fn a_nan_is_the_guests_on_the_edge_where_it_may_be_one() {
    // Of two NaNs the guest takes the one that signals, the host the first.
    let (flags, cpu) = run(&counting(f64::NAN.to_bits() | 7), Exactness::Exact);
    assert_eq!(cpu.get128(aarch64::V[3]), u128::from(f64::NAN.to_bits() | 1));
    assert_eq!((flags, [1, 2, 3].map(|register| cpu.get(aarch64::X[register]))), (INVALID, [0, 0, 1]));
}

#[test]
fn a_quiet_nan_is_an_invalid_operand_of_a_comparison_left_to_an_edge() {
    let text = counting(f64::NAN.to_bits()).replace("get.f64 v2", "get.f64 v1");
    let (flags, cpu) = run(&text, Exactness::Exact);
    assert_eq!((flags, [1, 2, 3].map(|register| cpu.get(aarch64::X[register]))), (INVALID, [0, 0, 1]));
}

#[test]
fn a_number_that_the_host_takes_for_a_nan_goes_the_way_of_numbers() {
    let text = counting(f64::NAN.to_bits()).replace("get.f64 v2", "get.f64 v1").replace("fadd", "fmin_num");
    let (flags, cpu) = run(&text, Exactness::Exact);
    assert_eq!((flags, [1, 2, 3].map(|register| cpu.get(aarch64::X[register]))), (NOTHING, [1, 1, 0]));
}

#[test]
fn a_branch_on_integers_proves_nothing_of_floats() {
    let text = "region aarch64 0x400000\nb0:\n  v0 = get.f64 v0\n  v1 = get.f64 v2\n  v2 = flags_fcmp.f64 v0 v1 0x13268\n  \
        v3 = get.i64 x0\n  v4 = flags_logic.i64 v3\n  v5 = flags_test ge v4\n  branch v5 b1 b2\nb1:\n  \
        exit syscall 0x400004\nb2:\n  exit syscall 0x400008\n";
    assert_eq!(raised(text, Exactness::Exact), INVALID);
}

#[test]
fn numbers_raise_nothing_on_either_edge() {
    for (other, expected) in [(0.5f64, [1, 1, 0]), (1.5, [0, 0, 1])] {
        let text = counting(other.to_bits()).replace("get.f64 v2", "get.f64 v1");
        let (flags, cpu) = run(&text, Exactness::Exact);
        assert_eq!((flags, [1, 2, 3].map(|register| cpu.get(aarch64::X[register]))), (NOTHING, expected));
    }
}
