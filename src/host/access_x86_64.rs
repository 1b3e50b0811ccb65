//! One access of compiled code to guest memory on an x86_64 host: where it goes, and the same access at another address.
//!
//! In: the bytes of an instruction that the two compilers emit (SDM volume 2, chapter 2). Out: the parts of its memory
//! operand. What must hold: the instruction has a ModRM byte, does not use RSP as anything but a base, and no operand
//! that is neither named by ModRM and VEX nor RAX, RBX, RCX or RDX.

/// The longest instruction.
const LONGEST: usize = 15;
/// `movabs reg, imm64` and `jmp [rip]` with the address behind it.
const WAY_BACK: usize = 10 + 6 + 8;
/// Bytes of an access that was moved, with the way back.
pub const MOVED: usize = LONGEST + WAY_BACK;

/// What precedes the opcode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Encoding {
    /// Nothing, or prefixes without registers.
    Plain,
    /// REX.
    Rex,
    /// Two-byte VEX.
    Vex2,
    /// Three-byte VEX.
    Vex3,
    /// EVEX.
    Evex,
}

/// An instruction with a memory operand.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    bytes: [u8; LONGEST],
    encoding: Encoding,
    /// Where REX, VEX or EVEX is, if there is one.
    prefix: usize,
    locked: bool,
    /// 0 for one-byte opcodes, 1 to 3 for 0F, 0F 38, 0F 3A.
    map: u8,
    opcode: u8,
    /// Where the ModRM byte is.
    modrm: usize,
    base: Option<u8>,
    index: Option<(u8, u8)>,
    displacement: i64,
    /// Where the operand ends and immediates begin.
    immediate: usize,
    length: usize,
}

impl Access {
    /// The access that `bytes` start with; `None` for what is none, or not relative to registers.
    pub fn decode(bytes: &[u8; LONGEST]) -> Option<Access> {
        let mut at = 0;
        let (mut wide, mut locked) = (true, false);
        while let 0x66 | 0xf0 | 0xf2 | 0xf3 = *bytes.get(at)? {
            wide &= bytes[at] != 0x66;
            locked |= bytes[at] == 0xf0;
            at += 1;
        }
        let prefix = at;
        // X and B of REX, one in bit 1 and the other in bit 0.
        let (encoding, map, extension) = match *bytes.get(at..at + 4)? {
            [0xc5, ..] => (Encoding::Vex2, 1, 0),
            [0xc4, second, ..] => (Encoding::Vex3, second & 0x1f, !second >> 5 & 3),
            [0x62, second, ..] => (Encoding::Evex, second & 7, !second >> 5 & 3),
            [rex, ..] if rex & 0xf0 == 0x40 => (Encoding::Rex, 0, rex & 3),
            _ => (Encoding::Plain, 0, 0),
        };
        at += match encoding {
            Encoding::Plain => 0,
            Encoding::Rex => 1,
            Encoding::Vex2 => 2,
            Encoding::Vex3 => 3,
            Encoding::Evex => 4,
        };
        let (mut map, mut opcode) = (map, *bytes.get(at)?);
        if matches!(encoding, Encoding::Plain | Encoding::Rex) && opcode == 0x0f {
            let second = *bytes.get(at + 1)?;
            (map, at) = match second {
                0x38 => (2, at + 2),
                0x3a => (3, at + 2),
                _ => (1, at + 1),
            };
            opcode = *bytes.get(at)?;
        }
        let modrm_at = at + 1;
        let modrm = *bytes.get(modrm_at)?;
        let mode = modrm >> 6;
        if mode == 3 || mode == 0 && modrm & 7 == 5 {
            return None;
        }
        at = modrm_at + 1;
        let (mut base, mut index) = (Some(modrm & 7 | (extension & 1) << 3), None);
        let mut displaced = mode;
        if modrm & 7 == 4 {
            let sib = *bytes.get(at)?;
            at += 1;
            let number = sib >> 3 & 7 | (extension & 2) << 2;
            index = (number != 4).then_some((number, sib >> 6));
            base = Some(sib & 7 | (extension & 1) << 3);
            if sib & 7 == 5 && mode == 0 {
                (base, displaced) = (None, 2);
            }
        }
        let displacement = match displaced {
            0 => 0,
            1 => {
                let byte = i64::from(*bytes.get(at)? as i8);
                at += 1;
                if encoding == Encoding::Evex { byte * evex_unit(bytes[prefix + 3])? } else { byte }
            }
            _ => {
                let four = bytes.get(at..at + 4)?.try_into().expect("four bytes");
                at += 4;
                i64::from(i32::from_le_bytes(four))
            }
        };
        let length = at + immediate_bytes(map, opcode, modrm, wide);
        let bytes = *bytes;
        let access = Access {
            bytes,
            encoding,
            prefix,
            locked,
            map,
            opcode,
            modrm: modrm_at,
            base,
            index,
            displacement,
            immediate: at,
            length,
        };
        (length <= LONGEST).then_some(access)
    }

    /// Where it goes, with these registers (by their number in encodings).
    pub fn address(&self, register: impl Fn(u8) -> u64) -> u64 {
        let index = self.index.map_or(0, |(number, shift)| register(number) << shift);
        self.base.map_or(0, &register).wrapping_add(index).wrapping_add_signed(self.displacement)
    }

    /// Whether it writes to memory.
    pub fn is_write(&self) -> bool {
        let arithmetic = self.opcode < 0x40 && self.opcode & 7 < 2 && self.opcode & 0x38 != 0x38;
        self.locked
            || match (self.map, self.opcode) {
                (0, 0x86..=0x89 | 0xc0 | 0xc1 | 0xc6 | 0xc7 | 0xd0..=0xd3 | 0xfe | 0xff) => true,
                (0, 0x80..=0x83) => self.bytes[self.modrm] >> 3 & 7 != 7,
                (0, _) => arithmetic,
                (1, 0x11 | 0x13 | 0x17 | 0x29 | 0x2b | 0x7e | 0x7f | 0xd6 | 0xe7 | 0xc0 | 0xc1 | 0xb0 | 0xb1) => {
                    self.opcode != 0x7e || !self.bytes[..self.prefix].contains(&0xf3)
                }
                (2, 0xf1) => true,
                (3, 0x14..=0x17 | 0x19 | 0x1d | 0x39) => true,
                _ => false,
            }
    }

    /// A general register that it does not use.
    pub fn spare_register(&self) -> u8 {
        let named = self.bytes[self.modrm] >> 3 & 7;
        let third = match self.encoding {
            Encoding::Plain | Encoding::Rex => named,
            Encoding::Vex2 => !self.bytes[self.prefix + 1] >> 3 & 7,
            Encoding::Vex3 | Encoding::Evex => !self.bytes[self.prefix + 2] >> 3 & 7,
        };
        // RSI, RDI, RBX: two of them at most are taken.
        [6, 7, 3].into_iter().find(|&register| register != named && register != third).unwrap_or(3)
    }

    /// The same access where [`Self::spare_register`] points, and code that gives the register back what it held and
    /// goes on behind the access, which lies at `pc`.
    pub fn moved(&self, pc: u64, held: u64) -> [u8; MOVED] {
        let register = self.spare_register();
        let mut code = [0x90; MOVED];
        let mut end = 0;
        let mut put = |bytes: &[u8]| {
            code[end..end + bytes.len()].copy_from_slice(bytes);
            end += bytes.len();
        };
        let mut head = self.bytes;
        match self.encoding {
            Encoding::Plain | Encoding::Vex2 => {}
            Encoding::Rex => head[self.prefix] &= !3,
            Encoding::Vex3 | Encoding::Evex => head[self.prefix + 1] |= 3 << 5,
        }
        put(&head[..self.modrm]);
        put(&[self.bytes[self.modrm] & 0x38 | register]);
        put(&self.bytes[self.immediate..self.length]);
        put(&[0x48, 0xb8 | register]);
        put(&held.to_le_bytes());
        put(&[0xff, 0x25, 0, 0, 0, 0]);
        put(&(pc + self.length as u64).to_le_bytes());
        code
    }
}

/// What a displacement of one byte counts in EVEX: whole vectors, of the length in the last byte of the prefix. What
/// repeats an element is not among what the compilers emit.
fn evex_unit(last: u8) -> Option<i64> {
    (last & 0x10 == 0).then_some(16 << (last >> 5 & 3))
}

fn immediate_bytes(map: u8, opcode: u8, modrm: u8, wide: bool) -> usize {
    let word = if wide { 4 } else { 2 };
    match (map, opcode) {
        (0, 0x6b | 0x80 | 0x82 | 0x83 | 0xc0 | 0xc1 | 0xc6) => 1,
        (0, 0x69 | 0x81 | 0xc7) => word,
        (0, 0xf6) if modrm >> 3 & 7 < 2 => 1,
        (0, 0xf7) if modrm >> 3 & 7 < 2 => word,
        (1, 0x70..=0x73 | 0xa4 | 0xac | 0xba | 0xc2 | 0xc4..=0xc6) | (3, _) => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(bytes: &[u8]) -> Access {
        let mut all = [0x90; LONGEST];
        all[..bytes.len()].copy_from_slice(bytes);
        let access = Access::decode(&all).unwrap_or_else(|| panic!("{bytes:02x?} is an access"));
        assert_eq!(access.length, bytes.len(), "{bytes:02x?}");
        access
    }

    /// Registers that hold a hundred times their number.
    fn register(number: u8) -> u64 {
        u64::from(number) * 100
    }

    #[test]
    fn addresses_are_those_of_the_operand() {
        let cases: [(&[u8], u64, bool); 10] = [
            (&[0x48, 0x8b, 0x03], 300, false),                              // mov rax, [rbx]
            (&[0x49, 0x8b, 0x44, 0xd4, 0xf8], 1200 + 200 * 8 - 8, false),   // mov rax, [r12 + rdx*8 - 8]
            (&[0x43, 0x88, 0x4c, 0x35, 0x10], 1300 + 1400 + 16, true),      // mov [r13 + r14 + 16], cl
            (&[0x66, 0xc7, 0x86, 0, 1, 0, 0, 0x34, 0x12], 600 + 256, true), // mov word [rsi + 256], 0x1234
            (&[0xf0, 0x48, 0x0f, 0xb1, 0x17], 700, true),                   // lock cmpxchg [rdi], rdx
            (&[0xf3, 0x0f, 0x6f, 0x48, 0x20], 32, false),                   // movdqu xmm1, [rax + 32]
            (&[0xc5, 0xfb, 0x58, 0x42, 0x08], 208, false),                  // vaddsd xmm0, xmm0, [rdx + 8]
            (&[0xc4, 0xc3, 0x79, 0x16, 0x07, 0x01], 1500, true),            // vpextrd [r15], xmm0, 1
            (&[0x62, 0xf1, 0xfd, 0x08, 0x6f, 0x49, 0x02], 100 + 32, false), // vmovdqa64 xmm1, [rcx + 32]
            (&[0x8b, 0x04, 0x4d, 0x04, 0, 0, 0], 204, false),               // mov eax, [rcx*2 + 4]
        ];
        for (bytes, address, writes) in cases {
            let access = access(bytes);
            assert_eq!(access.address(register), address, "{bytes:02x?}");
            assert_eq!(access.is_write(), writes, "{bytes:02x?}");
        }
    }

    #[test]
    fn moved_accesses_use_the_spare_register_alone() {
        // mov [r12 + rdx*8 - 8], r14 becomes mov [rdi], r14: its low three bits are those of RSI.
        let bytes = [0x4d, 0x89, 0x74, 0xd4, 0xf8];
        let moved = access(&bytes).moved(0x1000, 5);
        assert_eq!(moved[..3], [0x4c, 0x89, 0x37]);
        assert_eq!(moved[3..13], [0x48, 0xbf, 5, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(moved[13..27], [0xff, 0x25, 0, 0, 0, 0, 0x05, 0x10, 0, 0, 0, 0, 0, 0]);
        // vpextrd [r15], xmm0, 1 keeps its immediate.
        let moved = access(&[0xc4, 0xc3, 0x79, 0x16, 0x07, 0x01]).moved(0, 0);
        assert_eq!(moved[..6], [0xc4, 0xe3, 0x79, 0x16, 0x06, 0x01]);
    }

    #[test]
    fn what_is_not_relative_to_registers_is_none() {
        let mut bytes = [0x90; LONGEST];
        bytes[..3].copy_from_slice(&[0x48, 0x8b, 0x05]);
        assert!(Access::decode(&bytes).is_none());
        bytes[2] = 0xc3;
        assert!(Access::decode(&bytes).is_none());
    }
}
