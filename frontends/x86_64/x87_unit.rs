//! The x87 unit as helpers: its register stack, status, control and tags, which no operation of a region names.
//!
//! Operands and results are integers: register numbers, bits of values, or one of the enums here by its number.
//! Exceptions set the status word and are answered as masked ones, whatever the control word says.

use super::extended::{
    Class, Context, Extended, INDEFINITE, INVALID, QuietNan, Quotient, QuotientRule, Relation, Remainder, Round,
};
use super::transcendental::Angle;
use philae_ir::state::x86_64::{X87, X87_CONTROL, X87_STATUS, X87_TAGS};
use philae_ir::{CpuState, Helper, HelperEffect, Ty};

const STACK_FAULT: u16 = 1 << 6;
const ERROR_SUMMARY: u16 = 1 << 7;
const C0: u16 = 1 << 8;
const C1: u16 = 1 << 9;
const C2: u16 = 1 << 10;
const C3: u16 = 1 << 14;
const BUSY: u16 = 1 << 15;
const TOP: u16 = 7 << 11;
/// The exceptions, the stack fault, and what sums them up.
const EXCEPTIONS: u16 = 0x3f | STACK_FAULT | ERROR_SUMMARY | BUSY;
/// The control word after FNINIT: all masked, 64 bits, to nearest.
const INITIAL_CONTROL: u16 = 0x37f;

macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(super) enum $name { $($(#[$vdoc])* $variant),* }

        impl $name {
            const ALL: &'static [$name] = &[$($name::$variant),*];

            fn from_number(number: u128) -> $name {
                $name::ALL[number as usize]
            }
        }
    };
}

numbered! {
    /// How an operand is encoded.
    Kind {
        /// The number of a stack register.
        Stack,
        /// binary32.
        Single,
        /// binary64.
        Double,
        /// The ten bytes themselves.
        Extended,
        /// A signed integer of 16 bits, in 64 as an operand.
        Int16,
        /// Of 32 bits.
        Int32,
        /// Of 64 bits.
        Int64,
        /// As `Int16`, truncated when stored, whatever the control word says.
        Truncated16,
        /// Of 32 bits.
        Truncated32,
        /// Of 64 bits.
        Truncated64,
        /// Eighteen decimal digits and a sign in ten bytes.
        Decimal,
    }
}

numbered! {
    /// Arithmetic of two operands.
    Arithmetic {
        Add,
        Sub,
        /// Source minus destination.
        SubReverse,
        Mul,
        Div,
        /// Source by destination.
        DivReverse,
    }
}

numbered! {
    /// Operations on the top of the stack.
    Unary {
        ChangeSign,
        Absolute,
        SquareRoot,
        RoundToInteger,
        /// By the register below.
        Scale,
        /// By the register below.
        Remainder,
        /// By the register below, its quotient to nearest.
        RemainderNearest,
        /// Replaced by its exponent, with the significand pushed.
        Extract,
        Examine,
        Test,
        /// 2^x − 1.
        Exp2MinusOne,
        Sine,
        Cosine,
        /// Replaced by its sine, with the cosine pushed.
        SineAndCosine,
        /// Replaced by its tangent, with 1 pushed.
        Tangent,
        /// Of the register below by the top; popped.
        ArcTangent,
        /// The register below times the logarithm to base 2 of the top; popped.
        YLog2X,
        /// The register below times the logarithm to base 2 of the top plus 1; popped.
        YLog2XPlusOne,
        /// TOP − 1.
        DecrementTop,
        /// TOP + 1.
        IncrementTop,
    }
}

numbered! {
    /// What FLD1 and its like push.
    Constant {
        One,
        Log2Of10,
        Log2OfE,
        Pi,
        Log10Of2,
        LnOf2,
        Zero,
    }
}

const fn helper(
    name: &'static str,
    operands: u8,
    result: Ty,
    function: fn(&mut CpuState, [u128; 3]) -> u128,
) -> Helper {
    Helper { name, operands, result, effect: HelperEffect::State, function }
}

/// Pushes an operand: kind, bits.
pub(super) static LOAD: Helper = helper("x87_load", 2, Ty::I64, |cpu, [kind, bits, _]| {
    let mut unit = Unit::new(cpu);
    let value = match Kind::from_number(kind) {
        kind @ (Kind::Single | Kind::Double) => {
            let value = unit.decode(kind, bits);
            unit.context.loaded(value)
        }
        kind => unit.decode(kind, bits),
    };
    unit.push(value);
    unit.commit()
});

/// Pushes a constant.
pub(super) static LOAD_CONSTANT: Helper = helper("x87_load_constant", 1, Ty::I64, |cpu, [which, ..]| {
    let mut unit = Unit::new(cpu);
    let value = constant(Constant::from_number(which), unit.context.round);
    unit.push(value);
    unit.commit()
});

/// The top of the stack as an operand of a kind; nothing changes.
pub(super) static CONVERT: Helper = helper("x87_convert", 1, Ty::I128, |cpu, [kind, ..]| {
    let mut unit = Unit::new(cpu);
    unit.encode(Kind::from_number(kind))
});

/// The top of the stack has been stored as an operand of a kind: raises what that raises.
pub(super) static CONVERTED: Helper = helper("x87_converted", 1, Ty::I64, |cpu, [kind, ..]| {
    let mut unit = Unit::new(cpu);
    unit.encode(Kind::from_number(kind));
    unit.commit()
});

/// Copies the top of the stack to a register.
pub(super) static STORE: Helper = helper("x87_store", 1, Ty::I64, |cpu, [to, ..]| {
    let mut unit = Unit::new(cpu);
    let value = unit.read(0);
    unit.write(to as u16, value);
    unit.commit()
});

/// Drops the top of the stack.
pub(super) static POP: Helper = helper("x87_pop", 0, Ty::I64, |cpu, _| {
    Unit::new(cpu).pop();
    0
});

/// The top of the stack op an operand: operation, kind, bits.
pub(super) static ARITHMETIC: Helper = helper("x87_arithmetic", 3, Ty::I64, |cpu, [op, kind, bits]| {
    let mut unit = Unit::new(cpu);
    let (a, b) = unit.operands(Kind::from_number(kind), bits);
    let value = unit.arithmetic(Arithmetic::from_number(op), a, b);
    unit.write(0, value);
    unit.commit()
});

/// A register op the top of the stack: operation, register.
pub(super) static ARITHMETIC_TO: Helper = helper("x87_arithmetic_to", 2, Ty::I64, |cpu, [op, to, _]| {
    let mut unit = Unit::new(cpu);
    let (b, a) = unit.operands(Kind::Stack, to);
    let value = unit.arithmetic(Arithmetic::from_number(op), a, b);
    unit.write(to as u16, value);
    unit.commit()
});

/// Compares the top of the stack with an operand into C3, C2, C0; a quiet NaN is invalid: kind, bits.
pub(super) static COMPARE: Helper = helper("x87_compare", 2, Ty::I64, |cpu, [kind, bits, _]| {
    compare_to_status(cpu, Kind::from_number(kind), bits, QuietNan::Raises)
});

/// As [`COMPARE`], where quiet NaNs pass.
pub(super) static COMPARE_QUIET: Helper = helper("x87_compare_quiet", 2, Ty::I64, |cpu, [kind, bits, _]| {
    compare_to_status(cpu, Kind::from_number(kind), bits, QuietNan::Passes)
});

/// Compares the top of the stack with a register; makes ZF, PF, CF in bits 2, 1, 0.
pub(super) static COMPARE_FLAGS: Helper =
    helper("x87_compare_flags", 1, Ty::I32, |cpu, [with, ..]| compare_to_flags(cpu, with, QuietNan::Raises));

/// As [`COMPARE_FLAGS`], where quiet NaNs pass.
pub(super) static COMPARE_FLAGS_QUIET: Helper =
    helper("x87_compare_flags_quiet", 1, Ty::I32, |cpu, [with, ..]| compare_to_flags(cpu, with, QuietNan::Passes));

/// One of [`Unary`].
pub(super) static UNARY: Helper = helper("x87_unary", 1, Ty::I64, |cpu, [op, ..]| {
    let mut unit = Unit::new(cpu);
    unit.unary(Unary::from_number(op));
    unit.commit()
});

/// Exchanges the top of the stack with a register.
pub(super) static EXCHANGE: Helper = helper("x87_exchange", 1, Ty::I64, |cpu, [with, ..]| {
    let mut unit = Unit::new(cpu);
    let (a, b) = (unit.read(0), unit.read(with as u16));
    unit.replace(0, b);
    unit.replace(with as u16, a);
    unit.commit()
});

/// Copies a register to the top of the stack if a truth value is 1: value, register.
pub(super) static MOVE_IF: Helper = helper("x87_move_if", 2, Ty::I64, |cpu, [condition, from, _]| {
    let mut unit = Unit::new(cpu);
    let (old, new) = (unit.read(0), unit.read(from as u16));
    unit.write(0, if condition == 1 { new } else { old });
    unit.commit_keeping_c1()
});

/// Marks a register as empty.
pub(super) static FREE: Helper = helper("x87_free", 1, Ty::I64, |cpu, [which, ..]| {
    let unit = Unit::new(cpu);
    let tags = unit.cpu.get(X87_TAGS) & !(1 << unit.physical(which as u16));
    unit.cpu.set(X87_TAGS, tags);
    unit.commit()
});

/// The control word.
pub(super) static CONTROL: Helper = helper("x87_control", 0, Ty::I16, |cpu, _| u128::from(cpu.get(X87_CONTROL) as u16));

/// Sets the control word; bit 6 always reads 1.
pub(super) static SET_CONTROL: Helper = helper("x87_set_control", 1, Ty::I64, |cpu, [control, ..]| {
    set_control(cpu, control as u16);
    0
});

/// The status word.
pub(super) static STATUS: Helper = helper("x87_status", 0, Ty::I16, |cpu, _| u128::from(status(cpu)));

/// Clears the exceptions.
pub(super) static CLEAR: Helper = helper("x87_clear", 0, Ty::I64, |cpu, _| {
    let status = status(cpu) & !EXCEPTIONS;
    set_status(cpu, status);
    0
});

/// FNINIT.
pub(super) static INITIALISE: Helper = helper("x87_initialise", 0, Ty::I64, |cpu, _| {
    set_control(cpu, INITIAL_CONTROL);
    set_status(cpu, 0);
    cpu.set(X87_TAGS, 0);
    0
});

/// The tag word of FNSTENV: two bits for each register.
pub(super) static TAG_WORD: Helper = helper("x87_tag_word", 0, Ty::I16, |cpu, _| u128::from(tag_word(cpu)));

/// Control, status and tag word of FLDENV.
pub(super) static SET_ENVIRONMENT: Helper =
    helper("x87_set_environment", 3, Ty::I64, |cpu, [control, status, tags]| {
        set_control(cpu, control as u16);
        set_status(cpu, status as u16);
        let in_use = (0..8).filter(|i| tags >> (2 * i) & 3 != 3).fold(0, |all, i| all | 1 << i);
        cpu.set(X87_TAGS, in_use);
        0
    });

/// The first eight bytes of an FXSAVE area: control, status, abridged tags.
pub(super) static HEADER: Helper = helper("x87_header", 0, Ty::I64, |cpu, _| {
    u128::from(cpu.get(X87_CONTROL) & 0xffff | u64::from(status(cpu)) << 16 | (cpu.get(X87_TAGS) & 0xff) << 32)
});

/// Sets what [`HEADER`] reads.
pub(super) static SET_HEADER: Helper = helper("x87_set_header", 1, Ty::I64, |cpu, [header, ..]| {
    set_control(cpu, header as u16);
    set_status(cpu, (header >> 16) as u16);
    cpu.set(X87_TAGS, (header >> 32) as u64 & 0xff);
    0
});

/// The ten bytes of a stack register, empty or not, zero-extended.
pub(super) static REGISTER: Helper = helper("x87_register", 1, Ty::I128, |cpu, [which, ..]| {
    let slot = X87[Unit::new(cpu).physical(which as u16)];
    Extended::from_bits(cpu.get128(slot)).to_bits()
});

/// Sets what [`REGISTER`] reads.
pub(super) static SET_REGISTER: Helper = helper("x87_set_register", 2, Ty::I64, |cpu, [which, bits, _]| {
    let slot = X87[Unit::new(cpu).physical(which as u16)];
    cpu.set128(slot, Extended::from_bits(bits).to_bits());
    0
});

/// An MMX register.
pub(super) static MM: Helper = helper("mmx_register", 1, Ty::I64, |cpu, [which, ..]| {
    enter_mmx(cpu);
    u128::from(cpu.get(X87[which as usize]))
});

/// Sets an MMX register; as an x87 value that is a NaN or an infinity.
pub(super) static SET_MM: Helper = helper("mmx_set_register", 2, Ty::I64, |cpu, [which, value, _]| {
    enter_mmx(cpu);
    cpu.set128(X87[which as usize], Extended { mantissa: value as u64, head: 0xffff }.to_bits());
    0
});

/// Marks all registers as empty (EMMS).
pub(super) static LEAVE_MMX: Helper = helper("mmx_leave", 0, Ty::I64, |cpu, _| {
    enter_mmx(cpu);
    cpu.set(X87_TAGS, 0);
    0
});

/// MMX instructions put all registers in use and TOP to 0.
fn enter_mmx(cpu: &mut CpuState) {
    let status = status(cpu) & !TOP;
    set_status(cpu, status);
    cpu.set(X87_TAGS, 0xff);
}

fn status(cpu: &CpuState) -> u16 {
    cpu.get(X87_STATUS) as u16
}

/// Sets the status word; the summary bits say whether an unmasked exception is among the others.
fn set_status(cpu: &mut CpuState, status: u16) {
    let unmasked = status & !(cpu.get(X87_CONTROL) as u16) & 0x3f != 0;
    let summary = if unmasked { ERROR_SUMMARY | BUSY } else { 0 };
    cpu.set(X87_STATUS, u64::from(status & !(ERROR_SUMMARY | BUSY) | summary));
}

fn set_control(cpu: &mut CpuState, control: u16) {
    cpu.set(X87_CONTROL, u64::from(control & 0x1f7f | 0x40));
    let status = status(cpu);
    set_status(cpu, status);
}

fn tag_word(cpu: &CpuState) -> u16 {
    let tag = |i: usize| {
        if cpu.get(X87_TAGS) >> i & 1 == 0 {
            return 3;
        }
        match Extended::from_bits(cpu.get128(X87[i])).class() {
            Class::Normal => 0,
            Class::Zero => 1,
            Class::Unsupported | Class::Nan | Class::Infinity | Class::Denormal => 2,
        }
    };
    (0..8).fold(0, |word, i| word | tag(i) << (2 * i))
}

/// The constant for a rounding mode: exact, or the nearest value below it and the one above.
fn constant(which: Constant, round: Round) -> Extended {
    let (head, below, nearest_is_above) = match which {
        Constant::One => return Extended { mantissa: 1 << 63, head: 0x3fff },
        Constant::Zero => return Extended::zero(false),
        Constant::Log2Of10 => (0x4000, 0xd49a_784b_cd1b_8afe, false),
        Constant::Log2OfE => (0x3fff, 0xb8aa_3b29_5c17_f0bb, true),
        Constant::Pi => (0x4000, 0xc90f_daa2_2168_c234, true),
        Constant::Log10Of2 => (0x3ffd, 0x9a20_9a84_fbcf_f798, true),
        Constant::LnOf2 => (0x3ffe, 0xb172_17f7_d1cf_79ab, true),
    };
    let above = match round {
        Round::Nearest => nearest_is_above,
        Round::Up => true,
        Round::Down | Round::Zero => false,
    };
    Extended { mantissa: below + u64::from(above), head }
}

/// The unit during one instruction: what it raises is collected, then committed to the status word.
struct Unit<'a> {
    cpu: &'a mut CpuState,
    context: Context,
    /// Condition bits that the instruction sets, C1 apart.
    conditions: u16,
    /// C2, C3 and C0 stay unless the instruction sets them.
    sets_conditions: bool,
    stack_fault: bool,
}

impl<'a> Unit<'a> {
    fn new(cpu: &'a mut CpuState) -> Unit<'a> {
        let context = Context::new(cpu.get(X87_CONTROL) as u16);
        Unit { cpu, context, conditions: 0, sets_conditions: false, stack_fault: false }
    }

    /// The physical register of a stack register.
    fn physical(&self, which: u16) -> usize {
        usize::from((status(self.cpu) >> 11).wrapping_add(which) & 7)
    }

    fn in_use(&self, which: u16) -> bool {
        self.cpu.get(X87_TAGS) >> self.physical(which) & 1 == 1
    }

    /// Reads a stack register; an empty one is a stack underflow.
    fn read(&mut self, which: u16) -> Extended {
        if !self.in_use(which) {
            self.stack_fault = true;
            self.context.up = false;
            return INDEFINITE;
        }
        Extended::from_bits(self.cpu.get128(X87[self.physical(which)]))
    }

    /// Writes a result: after a stack fault, the indefinite value.
    fn write(&mut self, which: u16, value: Extended) {
        self.replace(which, if self.stack_fault { INDEFINITE } else { value });
    }

    fn replace(&mut self, which: u16, value: Extended) {
        let register = self.physical(which);
        self.cpu.set128(X87[register], value.to_bits());
        let tags = self.cpu.get(X87_TAGS) | 1 << register;
        self.cpu.set(X87_TAGS, tags);
    }

    fn move_top(&mut self, by: u16) {
        let status = status(self.cpu);
        let top = status.wrapping_add(by << 11) & TOP;
        self.cpu.set(X87_STATUS, u64::from(status & !TOP | top));
    }

    /// A push onto a register in use is a stack overflow.
    fn check_room(&mut self) {
        if self.in_use(7) && !self.stack_fault {
            self.stack_fault = true;
            self.context.up = true;
        }
    }

    fn push(&mut self, value: Extended) {
        self.check_room();
        self.move_top(7);
        self.write(0, value);
    }

    fn pop(&mut self) {
        let tags = self.cpu.get(X87_TAGS) & !(1 << self.physical(0));
        self.cpu.set(X87_TAGS, tags);
        self.move_top(1);
    }

    /// Writes the collected exceptions and conditions to the status word.
    fn commit(mut self) -> u128 {
        if self.stack_fault || self.context.raised & INVALID != 0 {
            // An invalid operation is answered before its operands are looked at further.
            self.context.raised = INVALID;
        }
        let mut status = status(self.cpu) & !C1;
        if self.sets_conditions {
            status = status & !(C0 | C2 | C3) | self.conditions & (C0 | C2 | C3);
        }
        status |= self.context.raised | self.conditions;
        if self.stack_fault {
            status |= STACK_FAULT;
        }
        if self.context.up {
            status |= C1;
        }
        set_status(self.cpu, status);
        0
    }

    /// As [`Unit::commit`]; C1 changes only on a stack fault.
    fn commit_keeping_c1(mut self) -> u128 {
        if !self.stack_fault {
            self.context.up = status(self.cpu) & C1 != 0;
        }
        self.commit()
    }

    /// An operand of a kind from its bits.
    fn decode(&mut self, kind: Kind, bits: u128) -> Extended {
        match kind {
            Kind::Stack => self.read(bits as u16),
            Kind::Single => self.context.load_single(bits as u32),
            Kind::Double => self.context.load_double(bits as u64),
            Kind::Extended => Extended::from_bits(bits),
            Kind::Int16 | Kind::Int32 | Kind::Int64 | Kind::Truncated16 | Kind::Truncated32 | Kind::Truncated64 => {
                Extended::from_integer(bits as i64)
            }
            Kind::Decimal => {
                let digit = |i: u32| (bits >> (4 * i)) as u64 & 15;
                let magnitude = (0..18).rev().fold(0u64, |sum, i| sum * 10 + digit(i));
                let value = Extended::from_integer(magnitude as i64);
                if bits >> 79 & 1 == 1 { value.negated() } else { value }
            }
        }
    }

    /// The top of the stack as the bits of a kind.
    fn encode(&mut self, kind: Kind) -> u128 {
        let value = self.read(0);
        let integer = |context: &mut Context, bits: u32| context.store_integer(value, bits) as u128;
        match kind {
            Kind::Stack | Kind::Extended => value.to_bits(),
            Kind::Single => u128::from(self.context.store_single(value)),
            Kind::Double => u128::from(self.context.store_double(value)),
            Kind::Int16 => integer(&mut self.context, 16),
            Kind::Int32 => integer(&mut self.context, 32),
            Kind::Int64 => integer(&mut self.context, 64),
            Kind::Truncated16 | Kind::Truncated32 | Kind::Truncated64 => {
                self.context.round = Round::Zero;
                let bits = match kind {
                    Kind::Truncated16 => 16,
                    Kind::Truncated32 => 32,
                    _ => 64,
                };
                integer(&mut self.context, bits)
            }
            Kind::Decimal => self.decimal_of(value),
        }
    }

    /// Packed decimal; what has more than 18 digits is indefinite.
    fn decimal_of(&mut self, value: Extended) -> u128 {
        const INDEFINITE_DECIMAL: u128 = 0xffff_c000_0000_0000_0000;
        let before = self.context;
        let integer = self.context.store_integer(value, 64);
        if integer.unsigned_abs() >= 1_000_000_000_000_000_000 {
            self.context = before;
            self.context.raised |= INVALID;
            return INDEFINITE_DECIMAL;
        }
        let mut rest = integer.unsigned_abs();
        let mut bits = 0;
        for i in 0..18 {
            bits |= u128::from(rest % 10) << (4 * i);
            rest /= 10;
        }
        bits | u128::from(value.is_negative()) << 79
    }

    /// The top of the stack and an operand.
    fn operands(&mut self, kind: Kind, bits: u128) -> (Extended, Extended) {
        let a = self.read(0);
        // A denormal in memory raises its exception as the operand that it is, once converted.
        let b = self.decode(kind, bits);
        (a, b)
    }

    fn arithmetic(&mut self, op: Arithmetic, a: Extended, b: Extended) -> Extended {
        if self.stack_fault {
            return INDEFINITE;
        }
        let context = &mut self.context;
        match op {
            Arithmetic::Add => context.add(a, b),
            Arithmetic::Sub => context.sub(a, b),
            Arithmetic::SubReverse => context.sub(b, a),
            Arithmetic::Mul => context.mul(a, b),
            Arithmetic::Div => context.div(a, b),
            Arithmetic::DivReverse => context.div(b, a),
        }
    }

    fn relation(&mut self, kind: Kind, bits: u128, quiet: QuietNan) -> Relation {
        let (a, b) = self.operands(kind, bits);
        if self.stack_fault {
            return Relation::Unordered;
        }
        self.context.compare(a, b, quiet)
    }

    fn set_conditions(&mut self, conditions: u16) {
        self.sets_conditions = true;
        self.conditions = conditions;
    }

    fn set_relation(&mut self, relation: Relation) {
        self.set_conditions(match relation {
            Relation::Greater => 0,
            Relation::Less => C0,
            Relation::Equal => C3,
            Relation::Unordered => C0 | C2 | C3,
        });
    }

    fn unary(&mut self, op: Unary) {
        match op {
            Unary::DecrementTop => return self.move_top(7),
            Unary::IncrementTop => return self.move_top(1),
            Unary::Examine => return self.examine(),
            _ => {}
        }
        let a = self.read(0);
        let value = match op {
            Unary::ChangeSign => a.negated(),
            Unary::Absolute => a.magnitude(),
            Unary::SquareRoot => self.context.sqrt(a),
            Unary::RoundToInteger => self.context.round_to_integral(a),
            Unary::Scale => {
                let b = self.read(1);
                self.context.scale(a, b)
            }
            Unary::Remainder => self.remainder(a, QuotientRule::Truncated),
            Unary::RemainderNearest => self.remainder(a, QuotientRule::Nearest),
            Unary::Extract => return self.extract(a),
            Unary::Exp2MinusOne => self.context.exp2_minus_1(a),
            Unary::Sine | Unary::Cosine | Unary::SineAndCosine | Unary::Tangent => return self.angle(op, a),
            Unary::ArcTangent => return self.replace_below(a, Context::arc_tangent),
            Unary::YLog2X => return self.replace_below(a, Context::y_log2_x),
            Unary::YLog2XPlusOne => return self.replace_below(a, Context::y_log2_x_plus_1),
            Unary::Test => {
                let relation = if self.stack_fault {
                    Relation::Unordered
                } else {
                    self.context.compare(a, Extended::zero(false), QuietNan::Raises)
                };
                return self.set_relation(relation);
            }
            Unary::Examine | Unary::DecrementTop | Unary::IncrementTop => a,
        };
        if self.stack_fault {
            self.context.up = false;
        }
        self.write(0, value);
    }

    fn remainder(&mut self, a: Extended, rule: QuotientRule) -> Extended {
        let b = self.read(1);
        let Remainder { value, quotient } = self.context.remainder(a, b, rule);
        match quotient {
            // The reduction is complete; there is no quotient to tell of.
            Quotient::None => self.set_conditions(status(self.cpu) & (C0 | C3)),
            Quotient::Partial => self.set_conditions(C2),
            Quotient::Whole(quotient) => {
                let bit = |n: u32, condition: u16| if quotient >> n & 1 == 1 { condition } else { 0 };
                self.set_conditions(bit(2, C0) | bit(1, C3));
                self.context.up = quotient & 1 == 1;
            }
        }
        value
    }

    fn extract(&mut self, a: Extended) {
        let (exponent, significand) = self.context.extract(a);
        self.replace_and_push(exponent, significand);
    }

    /// Replaces the top of the stack and pushes; without room for that both become indefinite.
    fn replace_and_push(&mut self, value: Extended, pushed: Extended) {
        self.check_room();
        self.write(0, value);
        self.push(pushed);
    }

    /// Replaces the register below by `op`(top, it), and pops.
    fn replace_below(&mut self, a: Extended, op: impl FnOnce(&mut Context, Extended, Extended) -> Extended) {
        let b = self.read(1);
        let value = op(&mut self.context, a, b);
        self.write(1, value);
        self.pop();
    }

    fn angle(&mut self, op: Unary, a: Extended) {
        let pushes = matches!(op, Unary::SineAndCosine | Unary::Tangent);
        if pushes {
            self.check_room();
        }
        self.set_conditions(status(self.cpu) & (C0 | C3));
        let angle = if self.stack_fault { Angle::None(INDEFINITE) } else { self.context.angle(a) };
        let context = &mut self.context;
        let (value, pushed) = match (angle, op) {
            (Angle::TooLarge, _) => return self.set_conditions(status(self.cpu) & (C0 | C3) | C2),
            (Angle::None(value), _) => (value, value),
            (Angle::Known(angle), Unary::Sine) => (context.sine(angle), a),
            (Angle::Known(angle), Unary::Cosine) => (context.cosine(angle), a),
            (Angle::Known(angle), Unary::SineAndCosine) => (context.sine(angle), context.cosine(angle)),
            (Angle::Known(angle), _) => (context.tangent(angle), Extended::from_integer(1)),
        };
        if pushes { self.replace_and_push(value, pushed) } else { self.write(0, value) }
    }

    fn examine(&mut self) {
        let value = Extended::from_bits(self.cpu.get128(X87[self.physical(0)]));
        let class = match value.class() {
            _ if !self.in_use(0) => C3 | C0,
            Class::Unsupported => 0,
            Class::Nan => C0,
            Class::Normal => C2,
            Class::Infinity => C2 | C0,
            Class::Zero => C3,
            Class::Denormal => C3 | C2,
        };
        self.set_conditions(class);
        self.context.up = value.is_negative();
    }
}

fn compare_to_status(cpu: &mut CpuState, kind: Kind, bits: u128, quiet: QuietNan) -> u128 {
    let mut unit = Unit::new(cpu);
    let relation = unit.relation(kind, bits, quiet);
    unit.set_relation(relation);
    unit.commit()
}

fn compare_to_flags(cpu: &mut CpuState, with: u128, quiet: QuietNan) -> u128 {
    let mut unit = Unit::new(cpu);
    let relation = unit.relation(Kind::Stack, with, quiet);
    unit.commit_keeping_c1();
    match relation {
        Relation::Greater => 0,
        Relation::Less => 0b001,
        Relation::Equal => 0b100,
        Relation::Unordered => 0b111,
    }
}
