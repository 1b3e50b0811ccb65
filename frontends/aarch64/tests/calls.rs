//! Which instructions call a helper under the default FPCR; system registers, of which random words name few, aside. All
//! others are operations that compilers have rules for.

use super::{ROWS, Random, lift};
use philae_ir::Op;
use std::collections::{BTreeMap, BTreeSet};

/// Why rows call helpers, and which.
const EXCEPTIONS: &[(&str, &[&str])] = &[
    (
        "estimates where a lane or its estimate is no normal number; others are computed",
        &[
            "FRECPE",
            "FRECPE (scalar)",
            "FRECPE (scalar, half)",
            "FRECPE (vector, half)",
            "FRSQRTE",
            "FRSQRTE (scalar)",
            "FRSQRTE (scalar, half)",
            "FRSQRTE (vector, half)",
        ],
    ),
    (
        "steps of hashes: hosts' instructions for them have fixed registers or no form of three operands, so that compilers put
         them in, or call stubs that keep all other registers, where the processor has them",
        &["SHA1C", "SHA1M", "SHA1P", "SHA256H", "SHA256H2", "SHA256SU0", "SHA256SU1"],
    ),
    (
        "sums of products that may overflow or be flushed (Arm ARM, BFDotAdd), as no host does it; others are computed",
        &["BFDOT (by element)", "BFDOT (vector)", "BFMMLA"],
    ),
];

/// Draws for each row.
const DRAWS: usize = 200;

#[test]
fn only_exceptions_call_helpers() {
    let mut random = Random(5);
    let mut found: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for row in ROWS {
        for _ in 0..DRAWS {
            let region = lift(&[random.of(row)]);
            for inst in region.insts.iter().filter(|inst| inst.op == Op::Call) {
                found.entry(row.name).or_default().insert(region.helpers[inst.imm as usize].name);
            }
        }
    }
    let excepted: BTreeSet<&str> = EXCEPTIONS.iter().flat_map(|(_, rows)| rows.iter().copied()).collect();
    let calls: Vec<_> = found.iter().filter(|(row, _)| !excepted.contains(*row)).collect();
    assert!(calls.is_empty(), "{calls:#?}");
    let idle: Vec<_> = excepted.iter().filter(|row| !found.contains_key(*row)).collect();
    assert!(idle.is_empty(), "exceptions that call nothing: {idle:?}");
}
