//! An assembler for the few x86-64 instructions that the baseline compiler emits (Intel SDM volume 2).
//!
//! In: registers, memory operands, immediates. Out: bytes at the end of a buffer. It knows encodings, not meanings:
//! the caller sees to what an instruction needs and destroys.

use crate::compiled::ExitSite;

/// A general register by its number in the encoding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Gpr(pub(super) u8);

impl Gpr {
    pub(super) const RAX: Gpr = Gpr(0);
    pub(super) const RCX: Gpr = Gpr(1);
    pub(super) const RDX: Gpr = Gpr(2);
    pub(super) const RBX: Gpr = Gpr(3);
    pub(super) const RSP: Gpr = Gpr(4);
    pub(super) const RBP: Gpr = Gpr(5);
    pub(super) const RSI: Gpr = Gpr(6);
    pub(super) const RDI: Gpr = Gpr(7);

    /// Its place in arrays of registers, of which there are 16.
    pub(super) fn index(self) -> usize {
        usize::from(self.0 & 15)
    }
}

/// A vector register by its number in the encoding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Xmm(pub(super) u8);

impl Xmm {
    /// Its place in arrays of registers, of which there are 16.
    pub(super) fn index(self) -> usize {
        usize::from(self.0 & 15)
    }
}

/// The width of an integer operation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Debug)]
pub(super) enum Width {
    B,
    W,
    D,
    Q,
}

/// Arithmetic of two operands, by the number in its opcodes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Alu {
    Add = 0,
    Or = 1,
    Adc = 2,
    Sbb = 3,
    And = 4,
    Sub = 5,
    Xor = 6,
    Cmp = 7,
}

/// Shifts and rotations, by the number in their opcodes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Shift {
    Ror = 1,
    Shl = 4,
    Shr = 5,
    Sar = 7,
}

/// Operations on RDX:RAX, by the number in their opcode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Wide {
    Mul = 4,
    Imul = 5,
    Div = 6,
    Idiv = 7,
}

/// Conditions, by the number in their opcodes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Cc {
    O = 0,
    No = 1,
    B = 2,
    Ae = 3,
    E = 4,
    Ne = 5,
    Be = 6,
    A = 7,
    S = 8,
    Ns = 9,
    P = 10,
    Np = 11,
    L = 12,
    Ge = 13,
    Le = 14,
    G = 15,
}

impl Cc {
    const ALL: [Cc; 16] = [
        Cc::O,
        Cc::No,
        Cc::B,
        Cc::Ae,
        Cc::E,
        Cc::Ne,
        Cc::Be,
        Cc::A,
        Cc::S,
        Cc::Ns,
        Cc::P,
        Cc::Np,
        Cc::L,
        Cc::Ge,
        Cc::Le,
        Cc::G,
    ];

    /// What holds where this does not.
    pub(super) fn inverted(self) -> Cc {
        Cc::ALL[self as usize ^ 1]
    }
}

/// A place in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mem {
    /// At a register plus a displacement.
    At(Gpr, i32),
    /// At the sum of two registers, the second not RSP.
    Sum(Gpr, Gpr),
    /// At a register plus eight times another, which is not RSP, plus a displacement.
    Eightfold(Gpr, Gpr, i8),
    /// In or near the code: the displacement is filled in later.
    Rip,
}

/// The opcode tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Map {
    One,
    /// 0F.
    Two,
    /// 0F 38.
    Three8,
    /// 0F 3A.
    Three3a,
}

/// What of an encoding does not depend on the operands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Encoding {
    /// 0x66, 0xf2, 0xf3, or 0 for none.
    pub(super) prefix: u8,
    pub(super) map: Map,
    pub(super) opcode: u8,
    /// REX.W.
    pub(super) wide: bool,
}

/// The register or memory operand of an encoding.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rm {
    Gpr(Gpr),
    Xmm(Xmm),
    Mem(Mem),
}

/// One instruction under construction, in the spare room of a buffer.
struct Bytes {
    at: *mut u8,
}

impl Bytes {
    /// Pushes the low `length` bytes of a number. All four are written, whatever the length: where it depends on the
    /// operands, the processor would not guess a branch.
    #[inline(always)]
    fn put(&mut self, value: u32, length: u8) {
        // SAFETY: `Assembler::begin` made room for the longest instruction and three bytes more, and no more is pushed
        // in one; the address need not be aligned.
        unsafe {
            self.at.cast::<u32>().write_unaligned(value);
            self.at = self.at.add(usize::from(length));
        }
    }

    #[inline(always)]
    fn push(&mut self, byte: u8) {
        self.put(u32::from(byte), 1);
    }

    /// Pushes a byte that some instructions of a kind have and others have not.
    #[inline(always)]
    fn push_if(&mut self, wanted: bool, byte: u8) {
        self.put(u32::from(byte), u8::from(wanted));
    }

    #[inline(always)]
    fn push_i32(&mut self, value: i32) {
        self.put(value as u32, 4);
    }
}

/// Bytes of the longest instruction, and of what is written behind it.
const LONGEST: usize = 24;

/// A buffer of code.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    pub(super) bytes: Vec<u8>,
}

impl Assembler {
    /// How many bytes there are.
    pub(super) fn position(&self) -> usize {
        self.bytes.len()
    }

    /// Fills in the displacement at `field`, which ends an instruction, so that it leads to the end of the buffer.
    pub(super) fn patch_here(&mut self, field: usize) {
        self.patch(field, self.position());
    }

    /// Fills in the displacement at `field`, which ends an instruction, so that it leads to `target`.
    pub(super) fn patch(&mut self, field: usize, target: usize) {
        let distance = target as i32 - (field + 4) as i32;
        self.bytes[field..field + 4].copy_from_slice(&distance.to_le_bytes());
    }

    /// Appends what does nothing, so that a field of four bytes which follows so many bytes later is in one of the rows of
    /// eight bytes.
    pub(super) fn align_field(&mut self, ahead: usize) {
        match ExitSite::padding(self.position() + ahead) {
            3 => self.bytes.extend_from_slice(&[0x0f, 0x1f, 0x00]),
            2 => self.bytes.extend_from_slice(&[0x66, 0x90]),
            1 => self.bytes.push(0x90),
            _ => {}
        }
    }

    /// Room for one instruction at the end.
    #[inline(always)]
    fn begin(&mut self) -> Bytes {
        self.bytes.reserve(LONGEST);
        let length = self.bytes.len();
        // SAFETY: the length is within the capacity.
        Bytes { at: unsafe { self.bytes.as_mut_ptr().add(length) } }
    }

    /// Appends the instruction that was begun last.
    #[inline(always)]
    fn finish(&mut self, bytes: &Bytes) {
        let length = bytes.at as usize - self.bytes.as_ptr() as usize;
        // SAFETY: everything up to there has been written, within the room that `begin` made.
        unsafe { self.bytes.set_len(length) };
    }

    /// Prefixes, opcode, operands. `byte_register` is the number of a byte register that needs a REX prefix from
    /// SPL on, or 0.
    #[inline]
    fn start(&mut self, encoding: Encoding, reg: u8, rm: Rm, byte_register: u8) -> Bytes {
        let mut out = self.begin();
        out.push_if(encoding.prefix != 0, encoding.prefix);
        let (index, base) = match rm {
            Rm::Gpr(Gpr(number)) | Rm::Xmm(Xmm(number)) | Rm::Mem(Mem::At(Gpr(number), _)) => (0, number),
            Rm::Mem(Mem::Sum(base, index) | Mem::Eightfold(base, index, _)) => (index.0, base.0),
            Rm::Mem(Mem::Rip) => (0, 0),
        };
        let rex = u8::from(encoding.wide) << 3 | reg >> 3 << 2 | index >> 3 << 1 | base >> 3;
        out.push_if((rex != 0) | (byte_register >= 4), 0x40 | rex);
        match encoding.map {
            Map::One => {}
            Map::Two => out.push(0x0f),
            Map::Three8 => {
                out.push(0x0f);
                out.push(0x38);
            }
            Map::Three3a => {
                out.push(0x0f);
                out.push(0x3a);
            }
        }
        out.push(encoding.opcode);
        operand(&mut out, reg & 7, rm);
        out
    }

    /// An instruction without an immediate.
    pub(super) fn plain(&mut self, encoding: Encoding, reg: u8, rm: Rm) {
        let bytes = self.start(encoding, reg, rm, 0);
        self.finish(&bytes);
    }

    /// An instruction with an immediate of 8 bits.
    pub(super) fn with_imm8(&mut self, encoding: Encoding, reg: u8, rm: Rm, imm: u8) {
        let mut bytes = self.start(encoding, reg, rm, 0);
        bytes.push(imm);
        self.finish(&bytes);
    }

    /// An instruction with one opcode of two registers, of 32 or 64 bits.
    #[inline(always)]
    fn of_registers(&mut self, opcode: u8, width: Width, reg: u8, rm: Gpr) -> Bytes {
        let mut out = self.begin();
        let rex = u8::from(width == Width::Q) << 3 | reg >> 3 << 2 | rm.0 >> 3;
        out.push_if(rex != 0, 0x40 | rex);
        let modrm = 0xc0 | (reg & 7) << 3 | rm.0 & 7;
        out.put(u32::from(opcode) | u32::from(modrm) << 8, 2);
        out
    }

    /// An instruction with one opcode of a register and memory at a register, of 32 or 64 bits.
    #[inline(always)]
    fn of_memory(&mut self, opcode: u8, width: Width, reg: u8, base: Gpr, displacement: i32) -> Bytes {
        let mut out = self.begin();
        let rex = u8::from(width == Width::Q) << 3 | reg >> 3 << 2 | base.0 >> 3;
        out.push_if(rex != 0, 0x40 | rex);
        let place = Place::of(base, displacement);
        let modrm = place.mode << 6 | (reg & 7) << 3 | base.0 & 7;
        out.put(u32::from(opcode) | u32::from(modrm) << 8 | 0x24 << 16, 2 + place.sib);
        out.put(displacement as u32, place.bytes);
        out
    }

    /// An integer instruction whose opcode is `byte_opcode` for bytes and the next one for all other widths.
    fn integer(&mut self, width: Width, map: Map, byte_opcode: u8, reg: u8, rm: Rm, imm: &[u8]) {
        let opcode = byte_opcode + u8::from(width != Width::B);
        let prefix = if width == Width::W { 0x66 } else { 0 };
        let encoding = Encoding { prefix, map, opcode, wide: width == Width::Q };
        let byte_register = match rm {
            _ if width != Width::B => 0,
            Rm::Gpr(Gpr(number)) => number.max(reg),
            Rm::Xmm(_) | Rm::Mem(_) => reg,
        };
        let mut bytes = self.start(encoding, reg, rm, byte_register);
        imm.iter().for_each(|&byte| bytes.push(byte));
        self.finish(&bytes);
    }

    /// [`Assembler::integer`] of two registers with one opcode and no immediate: the commonest.
    fn of_two(&mut self, width: Width, byte_opcode: u8, reg: Gpr, rm: Gpr) {
        if width < Width::D {
            return self.integer(width, Map::One, byte_opcode, reg.0, Rm::Gpr(rm), &[]);
        }
        let bytes = self.of_registers(byte_opcode + 1, width, reg.0, rm);
        self.finish(&bytes);
    }

    /// The same of a register and memory.
    fn of_place(&mut self, width: Width, byte_opcode: u8, reg: Gpr, place: Mem) {
        match place {
            Mem::At(base, displacement) if width >= Width::D => {
                let bytes = self.of_memory(byte_opcode + 1, width, reg.0, base, displacement);
                self.finish(&bytes);
            }
            _ => self.integer(width, Map::One, byte_opcode, reg.0, Rm::Mem(place), &[]),
        }
    }

    /// `op to, from`.
    pub(super) fn alu(&mut self, width: Width, op: Alu, to: Gpr, from: Gpr) {
        self.of_two(width, (op as u8) << 3, from, to);
    }

    /// `op to, [from]`.
    pub(super) fn alu_mem(&mut self, width: Width, op: Alu, to: Gpr, from: Mem) {
        self.of_place(width, (op as u8) << 3 | 2, to, from);
    }

    /// `op to, imm`: the immediate is sign-extended to the width.
    pub(super) fn alu_imm(&mut self, width: Width, op: Alu, to: Rm, imm: i32) {
        if let (Rm::Gpr(to), Width::D | Width::Q) = (to, width) {
            let long = imm != i32::from(imm as i8);
            let mut bytes = self.of_registers(if long { 0x81 } else { 0x83 }, width, op as u8, to);
            bytes.put(imm as u32, if long { 4 } else { 1 });
            return self.finish(&bytes);
        }
        let prefix = if width == Width::W { 0x66 } else { 0 };
        let encoding = |opcode| Encoding { prefix, map: Map::One, opcode, wide: width == Width::Q };
        let number = if let (Rm::Gpr(to), Width::B) = (to, width) { to.0 } else { 0 };
        let short = i8::try_from(imm).is_ok();
        let opcode = match width {
            Width::B => 0x80,
            _ if short => 0x83,
            _ => 0x81,
        };
        let mut bytes = self.start(encoding(opcode), op as u8, to, number);
        match width {
            Width::B => bytes.push(imm as u8),
            _ if short => bytes.push(imm as u8),
            Width::W => {
                bytes.push(imm as u8);
                bytes.push((imm >> 8) as u8);
            }
            Width::D | Width::Q => bytes.push_i32(imm),
        }
        self.finish(&bytes);
    }

    /// `test a, b`.
    pub(super) fn test(&mut self, width: Width, a: Gpr, b: Gpr) {
        self.of_two(width, 0x84, b, a);
    }

    /// `mov to, from`; for widths below 32 bits the other bits of `to` stay.
    pub(super) fn mov(&mut self, width: Width, to: Gpr, from: Gpr) {
        self.of_two(width, 0x88, from, to);
    }

    /// `mov to, [from]`, zero-extended.
    pub(super) fn load(&mut self, width: Width, to: Gpr, from: Mem) {
        match width {
            Width::B | Width::W => self.movzx(width, to, Rm::Mem(from)),
            Width::D | Width::Q => self.of_place(width, 0x8a, to, from),
        }
    }

    /// `mov [to], from`.
    pub(super) fn store(&mut self, width: Width, to: Mem, from: Gpr) {
        self.of_place(width, 0x88, from, to);
    }

    /// `mov [to], imm`: the low bits of the immediate, sign-extended to 64.
    pub(super) fn store_imm(&mut self, width: Width, to: Mem, imm: i32) {
        if let (Mem::At(base, displacement), Width::D | Width::Q) = (to, width) {
            let mut bytes = self.of_memory(0xc7, width, 0, base, displacement);
            bytes.push_i32(imm);
            return self.finish(&bytes);
        }
        let imm = imm.to_le_bytes();
        let length = match width {
            Width::B => 1,
            Width::W => 2,
            Width::D | Width::Q => 4,
        };
        self.integer(width, Map::One, 0xc6, 0, Rm::Mem(to), &imm[..length]);
    }

    /// Puts a constant into a register; the flags stay.
    pub(super) fn mov_imm(&mut self, to: Gpr, value: u64) {
        if let Ok(value) = u32::try_from(value) {
            let mut out = self.begin();
            out.push_if(to.0 >= 8, 0x41);
            out.push(0xb8 | to.0 & 7);
            out.push_i32(value as i32);
            self.finish(&out);
        } else if let Ok(value) = i32::try_from(value as i64) {
            let mut bytes = self.of_registers(0xc7, Width::Q, 0, to);
            bytes.push_i32(value);
            self.finish(&bytes);
        } else {
            let mut out = self.begin();
            out.push(0x48 | to.0 >> 3);
            out.push(0xb8 | to.0 & 7);
            out.push_i32(value as i32);
            out.push_i32((value >> 32) as i32);
            self.finish(&out);
        }
    }

    /// `movzx to, from` of 8 or 16 bits.
    pub(super) fn movzx(&mut self, from_width: Width, to: Gpr, from: Rm) {
        self.extend(0xb6, from_width, false, to, from);
    }

    /// `movsx to, from` of 8, 16 or 32 bits to 64.
    pub(super) fn movsx(&mut self, from_width: Width, to: Gpr, from: Rm) {
        if from_width == Width::D {
            self.plain(Encoding { prefix: 0, map: Map::One, opcode: 0x63, wide: true }, to.0, from);
        } else {
            self.extend(0xbe, from_width, true, to, from);
        }
    }

    fn extend(&mut self, opcode: u8, from_width: Width, wide: bool, to: Gpr, from: Rm) {
        let opcode = opcode + u8::from(from_width == Width::W);
        let number = if let (Rm::Gpr(from), Width::B) = (from, from_width) { from.0 } else { 0 };
        let bytes = self.start(Encoding { prefix: 0, map: Map::Two, opcode, wide }, to.0, from, number);
        self.finish(&bytes);
    }

    /// `lea to, [from]`, of 32 or 64 bits.
    pub(super) fn lea(&mut self, width: Width, to: Gpr, from: Mem) {
        self.of_place(width, 0x8c, to, from);
    }

    /// A shift by a constant.
    pub(super) fn shift_imm(&mut self, width: Width, op: Shift, to: Gpr, amount: u8) {
        if width < Width::D {
            return self.integer(width, Map::One, 0xc0, op as u8, Rm::Gpr(to), &[amount]);
        }
        let mut bytes = self.of_registers(0xc1, width, op as u8, to);
        bytes.push(amount);
        self.finish(&bytes);
    }

    /// A shift by CL.
    pub(super) fn shift_cl(&mut self, width: Width, op: Shift, to: Gpr) {
        self.integer(width, Map::One, 0xd2, op as u8, Rm::Gpr(to), &[]);
    }

    /// `not to`.
    pub(super) fn not(&mut self, width: Width, to: Gpr) {
        self.integer(width, Map::One, 0xf6, 2, Rm::Gpr(to), &[]);
    }

    /// `neg to`.
    pub(super) fn neg(&mut self, width: Width, to: Gpr) {
        self.integer(width, Map::One, 0xf6, 3, Rm::Gpr(to), &[]);
    }

    /// `op by`: RDX:RAX is what it works on and makes.
    pub(super) fn wide(&mut self, width: Width, op: Wide, by: Gpr) {
        self.integer(width, Map::One, 0xf6, op as u8, Rm::Gpr(by), &[]);
    }

    /// `cdq` or `cqo`: the sign of RAX into RDX.
    pub(super) fn sign_into_rdx(&mut self, width: Width) {
        if width == Width::Q {
            self.bytes.push(0x48);
        }
        self.bytes.push(0x99);
    }

    /// Instructions as they stand, of at most 16 bytes, which units have by the dozen.
    #[inline(always)]
    pub(super) fn fixed<const N: usize>(&mut self, instructions: [u8; N]) {
        self.bytes.extend_from_slice(&instructions);
    }

    /// `imul to, by`.
    pub(super) fn imul(&mut self, width: Width, to: Gpr, by: Gpr) {
        self.of_gpr(width, 0xaf, to, by);
    }

    /// `imul to, from, imm`.
    pub(super) fn imul_imm(&mut self, width: Width, to: Gpr, from: Gpr, imm: i32) {
        let encoding = Encoding { prefix: 0, map: Map::One, opcode: 0x69, wide: width == Width::Q };
        let mut bytes = self.start(encoding, to.0, Rm::Gpr(from), 0);
        bytes.push_i32(imm);
        self.finish(&bytes);
    }

    /// A 0F opcode of two registers, of 32 or 64 bits.
    pub(super) fn of_gpr(&mut self, width: Width, opcode: u8, to: Gpr, from: Gpr) {
        self.plain(Encoding { prefix: 0, map: Map::Two, opcode, wide: width == Width::Q }, to.0, Rm::Gpr(from));
    }

    /// `lzcnt`, `tzcnt` or `popcnt`: F3 0F opcodes of two registers, of 32 or 64 bits.
    pub(super) fn count(&mut self, width: Width, opcode: u8, to: Gpr, from: Gpr) {
        self.plain(Encoding { prefix: 0xf3, map: Map::Two, opcode, wide: width == Width::Q }, to.0, Rm::Gpr(from));
    }

    /// `prefetcht0 [from]`.
    pub(super) fn prefetch(&mut self, from: Mem) {
        self.plain(Encoding { prefix: 0, map: Map::Two, opcode: 0x18, wide: false }, 1, Rm::Mem(from));
    }

    /// `bswap to`, of 32 or 64 bits.
    pub(super) fn bswap(&mut self, width: Width, to: Gpr) {
        let mut out = self.begin();
        let rex = u8::from(width == Width::Q) << 3 | to.0 >> 3;
        if rex != 0 {
            out.push(0x40 | rex);
        }
        out.push(0x0f);
        out.push(0xc8 | to.0 & 7);
        self.finish(&out);
    }

    /// `bt bits, index`: the bit into CF.
    pub(super) fn bt(&mut self, bits: Gpr, index: Gpr) {
        self.of_gpr(Width::D, 0xa3, index, bits);
    }

    /// `bt bits, index` with a constant index, up to 63.
    pub(super) fn bt_imm(&mut self, bits: Gpr, index: u8) {
        let wide = index >= 32;
        self.with_imm8(Encoding { prefix: 0, map: Map::Two, opcode: 0xba, wide }, 4, Rm::Gpr(bits), index);
    }

    /// `test bits, mask`, of 32 bits.
    pub(super) fn test_imm(&mut self, bits: Gpr, mask: u32) {
        self.integer(Width::D, Map::One, 0xf6, 0, Rm::Gpr(bits), &mask.to_le_bytes());
    }

    /// `setcc to`: the low byte; the other bits stay.
    pub(super) fn set(&mut self, cc: Cc, to: Gpr) {
        let encoding = Encoding { prefix: 0, map: Map::Two, opcode: 0x90 | cc as u8, wide: false };
        let bytes = self.start(encoding, 0, Rm::Gpr(to), to.0);
        self.finish(&bytes);
    }

    /// `cmovcc to, from`, of 32 or 64 bits.
    pub(super) fn cmov(&mut self, width: Width, cc: Cc, to: Gpr, from: Gpr) {
        self.of_gpr(width, 0x40 | cc as u8, to, from);
    }

    /// `jcc`; returns the field of its displacement.
    pub(super) fn jcc(&mut self, cc: Cc) -> usize {
        self.bytes.extend_from_slice(&[0x0f, 0x80 | cc as u8, 0, 0, 0, 0]);
        self.position() - 4
    }

    /// `jmp`; returns the field of its displacement.
    pub(super) fn jmp(&mut self) -> usize {
        self.bytes.extend_from_slice(&[0xe9, 0, 0, 0, 0]);
        self.position() - 4
    }

    /// `jmp [to]`.
    pub(super) fn jmp_mem(&mut self, to: Mem) {
        self.of_place(Width::D, 0xfe, Gpr(4), to);
    }

    /// `call [to]`.
    pub(super) fn call_mem(&mut self, to: Mem) {
        self.of_place(Width::D, 0xfe, Gpr(2), to);
    }

    /// `call` of an address in a register.
    pub(super) fn call(&mut self, to: Gpr) {
        self.plain(Encoding { prefix: 0, map: Map::One, opcode: 0xff, wide: false }, 2, Rm::Gpr(to));
    }

    /// `xchg [with], register`, which is locked.
    pub(super) fn xchg(&mut self, width: Width, with: Mem, register: Gpr) {
        self.integer(width, Map::One, 0x86, register.0, Rm::Mem(with), &[]);
    }

    /// `lock xadd [to], register`.
    pub(super) fn lock_xadd(&mut self, width: Width, to: Mem, register: Gpr) {
        self.bytes.push(0xf0);
        self.integer(width, Map::Two, 0xc0, register.0, Rm::Mem(to), &[]);
    }

    /// `lock cmpxchg [to], register`: compares with RAX.
    pub(super) fn lock_cmpxchg(&mut self, width: Width, to: Mem, register: Gpr) {
        self.bytes.push(0xf0);
        self.integer(width, Map::Two, 0xb0, register.0, Rm::Mem(to), &[]);
    }

    /// `mfence`.
    pub(super) fn mfence(&mut self) {
        self.bytes.extend_from_slice(&[0x0f, 0xae, 0xf0]);
    }

    /// `lahf`.
    pub(super) fn lahf(&mut self) {
        self.bytes.push(0x9f);
    }

    /// `cmc`.
    pub(super) fn complement_carry(&mut self) {
        self.bytes.push(0xf5);
    }

    /// `pext to, from, mask` (BMI2), of 32 bits: VEX.LZ.F3.0F38.W0 F5.
    pub(super) fn pext(&mut self, to: Gpr, from: Gpr, mask: Gpr) {
        self.vex(2, (2, 0xf5), Width::D, to.0, from.0, mask.0);
    }

    /// `vfmadd213` scalar (`0xa9`) or packed (`0xa8`): `to` := `to` × `by` + `plus` (VEX.66.0F38).
    pub(super) fn fused(&mut self, opcode: u8, width: Width, to: Xmm, by: Xmm, plus: Xmm) {
        self.vex(1, (2, opcode), width, to.0, by.0, plus.0);
    }

    /// `vcvtph2ps to, from`: VEX.128.66.0F38.W0 13.
    pub(super) fn half_to_single(&mut self, to: Xmm, from: Xmm) {
        self.vex(1, (2, 0x13), Width::D, to.0, 0, from.0);
    }

    /// `vcvtps2ph to, from, 4`, rounded as MXCSR says: VEX.128.66.0F3A.W0 1D.
    pub(super) fn single_to_half(&mut self, to: Xmm, from: Xmm) {
        self.vex(1, (3, 0x1d), Width::D, from.0, 0, to.0);
        self.bytes.push(4);
    }

    /// `vpsllv` and its like: the lanes of `from` shifted by those of `by`.
    pub(super) fn shift_lanes(&mut self, opcode: u8, width: Width, to: Xmm, from: Xmm, by: Xmm) {
        self.vex(1, (2, opcode), width, to.0, from.0, by.0);
    }

    /// An instruction of registers, of 128 bits or less; `prefix` is its number: 1 for 66, 2 for F3; the map is 2 for
    /// 0F 38 and 3 for 0F 3A. W is set for a width of 64 bits. Where there is no second operand, it is 0.
    fn vex(&mut self, prefix: u8, (map, opcode): (u8, u8), width: Width, reg: u8, second: u8, rm: u8) {
        let (r, b) = (!reg >> 3 & 1, !rm >> 3 & 1);
        let third = u8::from(width == Width::Q) << 7 | (!second & 15) << 3 | prefix;
        let modrm = 0xc0 | (reg & 7) << 3 | rm & 7;
        self.bytes.extend_from_slice(&[0xc4, r << 7 | 1 << 6 | b << 5 | map, third, opcode, modrm]);
    }

    /// An SSE instruction with a memory or register operand.
    pub(super) fn sse(&mut self, prefix: u8, opcode: u8, reg: Xmm, rm: Rm) {
        self.plain(Encoding { prefix, map: Map::Two, opcode, wide: false }, reg.0, rm);
    }

    /// `movaps to, from`.
    pub(super) fn movaps(&mut self, to: Xmm, from: Xmm) {
        self.sse(0, 0x28, to, Rm::Xmm(from));
    }

    /// `movd` or `movq` to a vector register, zeroes above.
    pub(super) fn gpr_to_xmm(&mut self, width: Width, to: Xmm, from: Gpr) {
        let encoding = Encoding { prefix: 0x66, map: Map::Two, opcode: 0x6e, wide: width == Width::Q };
        self.plain(encoding, to.0, Rm::Gpr(from));
    }

    /// `movd` or `movq` from a vector register.
    pub(super) fn xmm_to_gpr(&mut self, width: Width, to: Gpr, from: Xmm) {
        let encoding = Encoding { prefix: 0x66, map: Map::Two, opcode: 0x7e, wide: width == Width::Q };
        self.plain(encoding, from.0, Rm::Gpr(to));
    }
}

/// How memory at a register is encoded.
struct Place {
    mode: u8,
    /// Bytes of the SIB, which RSP and R12 need.
    sib: u8,
    /// Bytes of the displacement.
    bytes: u8,
}

impl Place {
    #[inline(always)]
    fn of(base: Gpr, displacement: i32) -> Place {
        let long = displacement != i32::from(displacement as i8);
        // RBP and R13 have no form without a displacement.
        let some = (displacement != 0) | (base.0 & 7 == 5);
        let (some, long) = (u8::from(some), u8::from(long));
        Place { mode: some + long, sib: u8::from(base.0 & 7 == 4), bytes: some + 3 * long }
    }
}

/// ModRM, SIB and displacement; `reg` is its low three bits.
#[inline]
fn operand(out: &mut Bytes, reg: u8, rm: Rm) {
    let reg = reg << 3;
    match rm {
        Rm::Gpr(Gpr(number)) | Rm::Xmm(Xmm(number)) => out.push(0xc0 | reg | number & 7),
        Rm::Mem(Mem::Rip) => {
            out.push(reg | 5);
            out.push_i32(0);
        }
        Rm::Mem(Mem::Sum(base, index)) => {
            // Mode 1: RBP and R13 have no form without a displacement.
            out.push(0x44 | reg);
            out.push((index.0 & 7) << 3 | base.0 & 7);
            out.push(0);
        }
        Rm::Mem(Mem::Eightfold(base, index, displacement)) => {
            out.push(0x44 | reg);
            out.push(3 << 6 | (index.0 & 7) << 3 | base.0 & 7);
            out.push(displacement as u8);
        }
        Rm::Mem(Mem::At(base, displacement)) => {
            let place = Place::of(base, displacement);
            out.push(place.mode << 6 | reg | base.0 & 7);
            out.put(0x24, place.sib);
            out.put(displacement as u32, place.bytes);
        }
    }
}
