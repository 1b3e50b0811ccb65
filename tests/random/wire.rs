//! What the batch guest of tests/random/guest.c reads and writes, and the emulator that runs it.
//!
//! In: a code area and, for each instance, where it starts and from which state. Out: the states at their ends.

use crate::draw::{FPCR, FPSR};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

/// Words of a [`Machine`].
const WORDS: usize = 38 + 64;

/// The registers of an A64 thread, and how a piece of code ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Machine {
    /// X0 to X30.
    pub(crate) x: [u64; 31],
    /// SP.
    pub(crate) sp: u64,
    /// N, Z, C, V in bits 31 to 28.
    pub(crate) nzcv: u64,
    /// FPCR.
    pub(crate) fpcr: u64,
    /// FPSR.
    pub(crate) fpsr: u64,
    /// By which of its two exits the code left.
    pub(crate) exit: u64,
    /// The signal that ended it, or 0.
    pub(crate) fault: u64,
    /// A hash of the memory that is compared, 0 where the code does not touch memory.
    pub(crate) memory: u64,
    /// V0 to V31.
    pub(crate) v: [u128; 32],
}

impl Machine {
    /// All zeroes.
    pub(crate) fn new() -> Machine {
        let v = [0; 32];
        Machine { x: [0; 31], sp: 0, nzcv: 0, fpcr: 0, fpsr: 0, exit: 0, fault: 0, memory: 0, v }
    }

    fn words(&self) -> impl Iterator<Item = u64> {
        let control = [self.sp, self.nzcv, self.fpcr, self.fpsr, self.exit, self.fault, self.memory];
        self.x.into_iter().chain(control).chain(self.v.into_iter().flat_map(|v| [v as u64, (v >> 64) as u64]))
    }

    fn of_bytes(bytes: &[u8]) -> Machine {
        let word = |n: usize| u64::from_le_bytes(bytes[8 * n..8 * n + 8].try_into().expect("eight bytes"));
        let v = |n: usize| u128::from(word(38 + 2 * n)) | u128::from(word(39 + 2 * n)) << 64;
        Machine {
            x: std::array::from_fn(word),
            sp: word(31),
            nzcv: word(32),
            fpcr: word(33) & FPCR,
            fpsr: word(34) & FPSR,
            exit: word(35),
            fault: word(36),
            memory: word(37),
            v: std::array::from_fn(v),
        }
    }

    /// Name and value of everything that is compared.
    pub(crate) fn items(&self) -> Vec<(String, u128)> {
        let general = self.x.iter().enumerate().map(|(n, &x)| (format!("x{n}"), u128::from(x)));
        let control = [
            ("sp", self.sp),
            ("nzcv", self.nzcv >> 28),
            ("fpcr", self.fpcr),
            ("fpsr", self.fpsr),
            ("exit", self.exit),
            ("fault", self.fault),
            ("memory", self.memory),
        ];
        let control = control.map(|(name, value)| (name.to_owned(), u128::from(value)));
        general.chain(control).chain(self.v.iter().enumerate().map(|(n, &v)| (format!("v{n}"), v))).collect()
    }
}

/// One piece of code from one state.
pub(crate) struct Start {
    /// Where it is entered: at the `mrs x30, tpidr_el0` before it.
    pub(crate) pc: u64,
    /// Whether memory is filled before and hashed after.
    pub(crate) memory: bool,
    /// The state.
    pub(crate) machine: Machine,
}

/// The emulator, running the batch guest.
pub(crate) struct Oracle(Child);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The emulator: `QEMU_AARCH64`, or where tests/oracle/fetch-qemu puts it.
fn emulator() -> PathBuf {
    std::env::var_os("QEMU_AARCH64").map_or_else(|| root().join("target/oracle/qemu-aarch64"), PathBuf::from)
}

impl Oracle {
    /// Builds the guest and starts it, or says why that cannot be.
    pub(crate) fn start() -> Result<Oracle, String> {
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("random-guest");
        let source = root().join("tests/random/guest.c");
        let flags = ["-O1", "-static", "-fno-stack-protector", "-o"];
        let built = Command::new("aarch64-linux-gnu-gcc").args(flags).arg(&program).arg(source).status();
        if !built.is_ok_and(|status| status.success()) {
            return Err("aarch64-linux-gnu-gcc does not build tests/random/guest.c".to_owned());
        }
        let emulator = emulator();
        // Without SVE: with it the emulator takes the vectors of a signal frame from elsewhere.
        let child = Command::new(&emulator)
            .args(["-cpu", "max,sve=off,sme=off"])
            .arg(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error} (tests/oracle/fetch-qemu puts it there)", emulator.display()))?;
        Ok(Oracle(child))
    }

    /// The states in which the instances end.
    pub(crate) fn ask(&mut self, code: &[u8], starts: &[Start]) -> Vec<Machine> {
        let mut bytes = Vec::with_capacity(16 + code.len() + starts.len() * 8 * (WORDS + 2));
        bytes.extend_from_slice(&(starts.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(code);
        for start in starts {
            let words = [start.pc, u64::from(start.memory)].into_iter().chain(start.machine.words());
            words.for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
        }
        let mut answer = vec![0; starts.len() * 8 * WORDS];
        let (input, output) = (self.0.stdin.as_mut().expect("a pipe"), self.0.stdout.as_mut().expect("a pipe"));
        thread::scope(|scope| {
            scope.spawn(|| input.write_all(&bytes).expect("the oracle reads"));
            output.read_exact(&mut answer).expect("the oracle answers");
        });
        answer.chunks_exact(8 * WORDS).map(Machine::of_bytes).collect()
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
