//! Guest operations too rare or too large for operations of their own, as functions of their operands.
//!
//! Vector helpers take 128-bit operands and, last, the width of a lane in bits; they look at all lanes of 128 bits.

use philae_ir::CpuState;
use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Ticks of CNTVCT_EL0 in a second, as CNTFRQ_EL0 says.
pub(super) const COUNTER_HZ: u64 = 1_000_000_000;

/// Declares helpers: name, name in text, operands, result, effect, function.
macro_rules! helpers {
    ($($(#[$doc:meta])* $name:ident $text:literal ($operands:literal) -> $result:ident, $effect:ident, $function:expr;)*) => { $(
        $(#[$doc])*
        pub(super) static $name: philae_ir::Helper = philae_ir::Helper {
            name: $text,
            operands: $operands,
            result: philae_ir::Ty::$result,
            effect: philae_ir::HelperEffect::$effect,
            function: $function,
        };
    )* };
}
pub(super) use helpers;

helpers! {
    /// The virtual counter.
    VIRTUAL_COUNT "a64_virtual_count" (0) -> I64, State, virtual_count;
}

/// Nanoseconds that grow steadily within the process and agree between processes as well as their clocks do.
fn virtual_count(_state: &mut CpuState, _operands: [u128; 3]) -> u128 {
    static START: OnceLock<(Instant, u128)> = OnceLock::new();
    let (start, base) = START.get_or_init(|| {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        (Instant::now(), since_epoch.as_nanos())
    });
    (base + start.elapsed().as_nanos()) & u128::from(u64::MAX)
}

/// Arm ARM, RecipEstimate: 256 to 511 in, 256 to 511 out.
pub(super) fn recip_table(a: u64) -> u64 {
    let b = (1 << 19) / (a * 2 + 1);
    b.div_ceil(2)
}

/// Arm ARM, RecipSqrtEstimate: 128 to 511 in, 256 to 511 out.
pub(super) fn rsqrt_table(a: u64) -> u64 {
    u64::from(RSQRT_ESTIMATES[a as usize - 128])
}

static RSQRT_ESTIMATES: [u16; 384] = {
    let mut table = [0; 384];
    let mut a = 128;
    while a < 512 {
        table[a as usize - 128] = root_estimate(a) as u16;
        a += 1;
    }
    table
};

const fn root_estimate(a: u64) -> u64 {
    let a = if a < 256 { a * 2 + 1 } else { ((a >> 1 << 1) + 1) * 2 };
    let mut b = 512u64;
    while a * (b + 1) * (b + 1) < 1 << 28 {
        b += 1;
    }
    b.div_ceil(2)
}
