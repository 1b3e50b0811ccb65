//! Random guest states and memory of a seed: what real programs have, and the edges.
//!
//! Several general registers, and words of memory, are addresses inside the window; the stack pointer always is one.

use crate::sandbox::{CODE, SIZE, WINDOW};
use philae_ir::state::{Life, SlotInfo, aarch64, x86_64};
use philae_ir::{Arch, CpuState, Slot, Ty};

/// A xorshift generator.
pub(crate) struct Random(u64);

impl Random {
    /// The generator of a seed.
    pub(crate) fn new(seed: u64) -> Random {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x2545_f491_4f6c_dd1d);
        random.0 += u64::from(random.0 == 0);
        for _ in 0..4 {
            random.next();
        }
        random
    }

    /// 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `limit`, which is not 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        ((self.next() >> 32) as usize * limit) >> 32
    }

    /// True once in `n` times.
    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// One of several.
    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// An integer; those at the edges more often than chance has it.
    fn integer(&mut self) -> u64 {
        let edges = [0, 1, 2, 7, 8, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];
        match self.below(6) {
            0 => self.pick(&edges),
            1 => self.pick(&[u64::MAX, 1 << 63, u64::MAX >> 1, 1 << 32, u64::MAX << 31]),
            2 => self.below(70) as u64,
            3 => self.next() >> self.below(64),
            4 => !(self.next() >> self.below(64)),
            _ => self.next(),
        }
    }

    /// An address in the window, seldom at its edges.
    fn pointer(&mut self) -> u64 {
        let offset = match self.below(16) {
            0 => self.pick(&[0, 1, 8, 16, SIZE - 1, SIZE - 8, SIZE - 16, SIZE - 33]),
            1..6 => self.below(SIZE),
            _ => self.below(SIZE) & !15,
        };
        WINDOW + offset as u64
    }

    /// What a general register may hold.
    fn word(&mut self) -> u64 {
        match self.below(8) {
            0..4 => self.pointer(),
            4 if self.one_in(8) => CODE + self.below(64) as u64,
            _ => self.integer(),
        }
    }

    /// The bits of a double.
    fn double(&mut self) -> u64 {
        let edges = [0.0, 1.0, 0.5, 1.5, 2.0, 3.0, 1e9, 4294967295.5, 9.3e18, 1.9e19, f64::INFINITY, f64::MIN_POSITIVE];
        let sign = self.next() & 1 << 63;
        match self.below(6) {
            0 => self.pick(&edges).to_bits() | sign,
            1 => self.pick(&[0x7ff8 << 48, 0x7ff8 << 48 | 1, 0x7ff4 << 48, 0x7ff0_0000_0000_0001, 1, 0xf << 48]) | sign,
            2 => (self.integer() as i64 as f64).to_bits(),
            3 => self.next(),
            _ => (1023 - 4 + self.below(9) as u64) << 52 | self.next() >> 12 | sign,
        }
    }

    /// The bits of a float.
    fn single(&mut self) -> u32 {
        let sign = self.next() as u32 & 1 << 31;
        match self.below(6) {
            0 => self.pick(&[0x7fc0_0000, 0x7fc0_0001, 0x7fa0_0000, 0x7f80_0001, 0x7f80_0000, 1, 0x7f_ffff]) | sign,
            1 => self.next() as u32,
            _ => (f64::from_bits(self.double()) as f32).to_bits(),
        }
    }

    /// A vector register: doubles, floats, or bytes.
    fn vector(&mut self) -> u128 {
        match self.below(4) {
            0 => u128::from(self.double()) | u128::from(self.double()) << 64,
            1 => (0..4).fold(0, |vector, _| vector << 32 | u128::from(self.single())),
            2 => (0..16).fold(0, |vector, _| vector << 8 | u128::from(self.integer() as u8)),
            _ => u128::from(self.word()) | u128::from(self.integer()) << 64,
        }
    }

    /// An x87 register: 64 bits of significand, 15 of exponent, the sign.
    fn extended(&mut self) -> u128 {
        let sign = u128::from(self.next() & 1) << 79;
        let exponent = match self.below(4) {
            0 => self.pick(&[0, 1, 0x7fff, 0x7ffe, 0x3fff]),
            1 => self.next() & 0x7fff,
            _ => 0x3fff - 8 + self.below(80) as u64,
        };
        let integer = if exponent == 0 || self.one_in(16) { 0 } else { 1 << 63 };
        let fraction = self.pick(&[0, 0, 1, 1 << 62, u64::MAX, self.0, self.0, self.0]) & u64::MAX >> 1;
        sign | u128::from(exponent) << 64 | u128::from(integer | fraction)
    }
}

/// The slots that outlive a region.
pub(crate) fn guest_slots(arch: Arch) -> impl Iterator<Item = &'static SlotInfo> {
    arch.slots().iter().filter(|info| info.life == Life::Guest)
}

/// A random state of the guest, about to execute what lies at [`CODE`].
pub(crate) fn random_state(random: &mut Random, arch: Arch) -> CpuState {
    let mut cpu = CpuState::default();
    for info in guest_slots(arch) {
        match info.ty {
            Ty::V128 if info.name.starts_with("st_") => cpu.set128(info.slot, random.extended()),
            Ty::V128 | Ty::I128 => cpu.set128(info.slot, random.vector()),
            Ty::Flags => cpu.set(info.slot, random.next() & 15),
            Ty::I64 => cpu.set(info.slot, random.word()),
            _ => cpu.set(info.slot, random.next() & info.ty.mask() as u64),
        }
    }
    match arch {
        Arch::Aarch64 => aarch64_control(random, &mut cpu),
        Arch::X86_64 => x86_64_control(random, &mut cpu),
    }
    cpu.set_pc(CODE);
    cpu
}

/// A stack pointer, aligned unless once in a while.
fn set_stack(random: &mut Random, cpu: &mut CpuState, slot: Slot) {
    let odd = if random.one_in(32) { 8 } else { 0 };
    cpu.set(slot, WINDOW + 0x1000 + (random.below(SIZE - 0x2000) as u64 & !15) + odd);
}

fn aarch64_control(random: &mut Random, cpu: &mut CpuState) {
    set_stack(random, cpu, aarch64::SP);
    // FPCR: AHP, DN, RMode (Arm ARM C5.2.8); most programs leave it 0. Not FZ, which is the host's as far as it goes.
    let control = if random.one_in(4) { random.next() & 0x06c0_0000 } else { 0 };
    cpu.set(aarch64::FPCR, control);
    cpu.set(aarch64::FPSR, 0);
    let size = random.pick(&[0, 1, 2, 4, 8, 16]);
    cpu.set(aarch64::EXCLUSIVE_SIZE, size);
    let value = cpu.get128(aarch64::EXCLUSIVE_VALUE);
    cpu.set128(aarch64::EXCLUSIVE_VALUE, value & ((1u128 << (8 * size).min(127)) - 1));
}

fn x86_64_control(random: &mut Random, cpu: &mut CpuState) {
    set_stack(random, cpu, x86_64::GPR[4]);
    cpu.set(x86_64::DF, u64::from(random.one_in(4)));
    // All exceptions masked, rounding as it comes (SDM volume 1, 10.2.3). Not FTZ and DAZ, which are the host's as far
    // as it goes.
    let changes = if random.one_in(4) { random.next() & 0x6000 } else { 0 };
    cpu.set(x86_64::MXCSR, 0x1f80 | changes);
    let changes = if random.one_in(4) { random.next() & 0x0f00 } else { 0x300 };
    cpu.set(x86_64::X87_CONTROL, 0x7f | changes);
    // Without ES and B, which stand for unmasked exceptions.
    let status = cpu.get(x86_64::X87_STATUS) & 0x7f7f;
    cpu.set(x86_64::X87_STATUS, status);
    let others = random.next() & (1 << 18 | 1 << 21);
    cpu.set(x86_64::RFLAGS_OTHER, others);
}

/// What the window holds.
pub(crate) fn random_memory(random: &mut Random) -> Vec<u8> {
    let words = (0..SIZE / 8).map(|_| match random.below(8) {
        0 => random.word(),
        1 => random.double(),
        2 => u64::from(random.single()) << 32 | u64::from(random.single()),
        3 => random.integer(),
        _ => random.next(),
    });
    words.flat_map(u64::to_le_bytes).collect()
}
