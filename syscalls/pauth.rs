//! Keys of pointer authentication, as prctl(2) has them: PR_PAC_RESET_KEYS, PR_PAC_SET_ENABLED_KEYS and
//! PR_PAC_GET_ENABLED_KEYS (arch/arm64/kernel/pointer_auth.c of Linux).
//!
//! In: the calling thread's registers, of which the keys are some. Out: other keys in them. Threads and children begin
//! with their maker's keys, a new program with its own.

use crate::call::{Call, Reply};
use crate::errno::Errno;
use crate::task::{Processor, Task};
use philae_ir::processor::{Feature, Features};
use philae_ir::state::aarch64::KEYS;

/// PR_PAC_APIAKEY to PR_PAC_APDBKEY: the keys for addresses.
const ADDRESS_KEYS: u64 = 15;
/// And PR_PAC_APGAKEY.
const ALL_KEYS: u64 = 31;

fn require(task: &Task) -> Result<(), Errno> {
    match task.process.info.processor {
        Processor::Aarch64(model) if model.features.contain(Features::NONE.with(Feature::Pauth)) => Ok(()),
        Processor::Aarch64(_) | Processor::X86_64 { .. } => Err(Errno::EINVAL),
    }
}

/// Gives the calling thread new keys of these kinds; all if none is named.
pub(crate) fn reset_keys(call: &mut Call<'_>, kinds: u64) -> Reply {
    require(call.task)?;
    if kinds & !ALL_KEYS != 0 {
        return Err(Errno::EINVAL);
    }
    let kinds = if kinds == 0 { ALL_KEYS } else { kinds };
    for (_, slot) in KEYS.into_iter().enumerate().filter(|(kind, _)| kinds >> kind & 1 != 0) {
        let mut key = 0u64;
        call.host(libc::SYS_getrandom, [&raw mut key as u64, size_of_val(&key) as u64, 0, 0, 0, 0])?;
        call.cpu.set(slot, key);
    }
    Ok(0)
}

/// All keys for addresses are enabled.
pub(crate) fn enabled_keys(call: &Call<'_>) -> Reply {
    require(call.task).map(|()| ADDRESS_KEYS)
}

/// They stay so: what would disable one is EINVAL.
pub(crate) fn enable_keys(call: &Call<'_>, kinds: u64, enabled: u64) -> Reply {
    require(call.task)?;
    if kinds & !ADDRESS_KEYS == 0 && enabled == kinds { Ok(0) } else { Err(Errno::EINVAL) }
}
