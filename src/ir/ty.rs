//! Types of values and shapes of operations.

/// The type of a value, or the shape in which an operation looks at its vector operands.
///
/// All 128-bit vector shapes are one type of value ([`Ty::V128`], see [`Ty::value`]): `add.i32x4` takes what
/// `load.v128` made. 256-bit guests' registers are two such values; no host backend has a wider unit yet.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Ty {
    /// 8 bits; truth values are 0 or 1 of this type.
    I8,
    /// 16 bits.
    I16,
    /// 32 bits.
    I32,
    /// 64 bits; also the type of addresses.
    I64,
    /// 128 bits, as an integer.
    I128,
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary64.
    F64,
    /// Condition flags N, Z, C, V of one producer, not yet computed (see [`crate::Op::FlagsAdd`] and its like).
    Flags,
    /// 128 bits without a shape.
    V128,
    /// Sixteen lanes of 8 bits.
    I8X16,
    /// Eight lanes of 16 bits.
    I16X8,
    /// Four lanes of 32 bits.
    I32X4,
    /// Two lanes of 64 bits.
    I64X2,
    /// Four binary32 lanes.
    F32X4,
    /// Two binary64 lanes.
    F64X2,
}

impl Ty {
    /// Every type with the name that text uses for it.
    pub const NAMES: [(Ty, &'static str); 15] = [
        (Ty::I8, "i8"),
        (Ty::I16, "i16"),
        (Ty::I32, "i32"),
        (Ty::I64, "i64"),
        (Ty::I128, "i128"),
        (Ty::F32, "f32"),
        (Ty::F64, "f64"),
        (Ty::Flags, "flags"),
        (Ty::V128, "v128"),
        (Ty::I8X16, "i8x16"),
        (Ty::I16X8, "i16x8"),
        (Ty::I32X4, "i32x4"),
        (Ty::I64X2, "i64x2"),
        (Ty::F32X4, "f32x4"),
        (Ty::F64X2, "f64x2"),
    ];

    /// The name in text.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize].1
    }

    /// The type with this name.
    pub fn parse(name: &str) -> Option<Ty> {
        Self::NAMES.iter().find(|(_, n)| *n == name).map(|(ty, _)| *ty)
    }

    /// The type with this number, as an instruction's `aux` keeps it. No table is read, which would be one page more for
    /// each child of fork.
    pub fn from_aux(aux: u8) -> Ty {
        match aux {
            0 => Ty::I8,
            1 => Ty::I16,
            2 => Ty::I32,
            3 => Ty::I64,
            4 => Ty::I128,
            5 => Ty::F32,
            6 => Ty::F64,
            7 => Ty::Flags,
            8 => Ty::V128,
            9 => Ty::I8X16,
            10 => Ty::I16X8,
            11 => Ty::I32X4,
            12 => Ty::I64X2,
            13 => Ty::F32X4,
            14 => Ty::F64X2,
            _ => panic!("no type has the number {aux}"),
        }
    }

    /// The integer type of `bits` width (8 to 128).
    pub fn int(bits: u32) -> Ty {
        match bits {
            8 => Ty::I8,
            16 => Ty::I16,
            32 => Ty::I32,
            64 => Ty::I64,
            128 => Ty::I128,
            _ => panic!("no integer type of {bits} bits"),
        }
    }

    /// The 128-bit shape with integer lanes of `bits` width (8 to 64).
    pub fn int_vector(bits: u32) -> Ty {
        match bits {
            8 => Ty::I8X16,
            16 => Ty::I16X8,
            32 => Ty::I32X4,
            64 => Ty::I64X2,
            _ => panic!("no vector shape with lanes of {bits} bits"),
        }
    }

    /// Width in bits; [`Ty::Flags`] counts as the 4 bits it stands for.
    #[inline]
    pub fn bits(self) -> u32 {
        match self {
            Ty::I8 => 8,
            Ty::I16 => 16,
            Ty::I32 | Ty::F32 => 32,
            Ty::I64 | Ty::F64 => 64,
            Ty::Flags => 4,
            _ => 128,
        }
    }

    /// Width in bytes of a value of this type in memory.
    pub fn bytes(self) -> u32 {
        self.bits().div_ceil(8)
    }

    /// A mask of the bits that a value of this type has.
    pub fn mask(self) -> u128 {
        u128::MAX >> (128 - self.bits())
    }

    /// True for every 128-bit vector shape, [`Ty::V128`] included.
    pub fn is_vector(self) -> bool {
        self as u8 >= Ty::V128 as u8
    }

    /// True for the scalar integers.
    pub fn is_int(self) -> bool {
        self as u8 <= Ty::I128 as u8
    }

    /// True for the scalar floating-point types.
    pub fn is_float(self) -> bool {
        matches!(self, Ty::F32 | Ty::F64)
    }

    /// The type of value that an operation of this shape makes: shapes fold into [`Ty::V128`].
    #[inline]
    pub fn value(self) -> Ty {
        if self.is_vector() { Ty::V128 } else { self }
    }

    /// The scalar type of one lane; a scalar is its own lane.
    pub fn lane(self) -> Ty {
        match self {
            Ty::I8X16 => Ty::I8,
            Ty::I16X8 => Ty::I16,
            Ty::I32X4 => Ty::I32,
            Ty::I64X2 => Ty::I64,
            Ty::F32X4 => Ty::F32,
            Ty::F64X2 => Ty::F64,
            scalar => scalar,
        }
    }

    /// How many lanes the shape has; 1 for scalars and for [`Ty::V128`].
    pub fn lanes(self) -> u32 {
        if self.is_vector() { 128 / self.lane().bits() } else { 1 }
    }

    /// The shape with lanes of half the width (`i32x4` → `i16x8`); integers only.
    pub fn narrower(self) -> Ty {
        Ty::int_vector(self.lane().bits() / 2)
    }

    /// The integer shape or type of the same lane width (`f32x4` → `i32x4`, `f64` → `i64`).
    pub fn as_int(self) -> Ty {
        match self {
            Ty::F32 => Ty::I32,
            Ty::F64 => Ty::I64,
            Ty::F32X4 => Ty::I32X4,
            Ty::F64X2 => Ty::I64X2,
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_in_the_same_order() {
        for (number, (ty, _)) in Ty::NAMES.into_iter().enumerate() {
            assert_eq!((ty as usize, Ty::from_aux(number as u8)), (number, ty));
        }
    }
}
