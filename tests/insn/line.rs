//! Lines of .insn files and the machine states they speak of.
//!
//! In: text in the format that tests/insn.rs describes. Out: the state before, what must hold after, and a
//! comparison that names the first difference. The default values are those of tests/oracle/run.c.

use crate::sandbox::{CODE, SIZE, WINDOW};
use philae_ir::Arch;
use std::fmt::Write;

/// One register or flag of a guest: its name, width in bits, and the bits that are compared.
struct Register {
    name: String,
    width: u32,
    mask: u128,
}

/// The registers of a guest, in the order of the default values.
fn registers(arch: Arch) -> Vec<Register> {
    let mut all = Vec::new();
    let mut add = |name: String, width| all.push(Register { name, width, mask: u128::MAX });
    match arch {
        Arch::Aarch64 => {
            (0..31).for_each(|n| add(format!("x{n}"), 64));
            add("sp".to_owned(), 64);
            ["n", "z", "c", "v"].iter().for_each(|name| add((*name).to_owned(), 1));
            (0..32).for_each(|n| add(format!("v{n}"), 128));
            ["fpcr", "fpsr"].iter().for_each(|name| add((*name).to_owned(), 32));
            add("pc".to_owned(), 64);
        }
        Arch::X86_64 => {
            let gpr = "rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15";
            gpr.split(' ').for_each(|name| add(name.to_owned(), 64));
            ["cf", "pf", "af", "zf", "sf", "of", "df"].iter().for_each(|name| add((*name).to_owned(), 1));
            (0..16).for_each(|n| add(format!("xmm{n}"), 128));
            add("mxcsr".to_owned(), 32);
            (0..8).for_each(|n| add(format!("st_{n}"), 80));
            ["x87_control", "x87_status", "x87_tags"].iter().for_each(|name| add((*name).to_owned(), 16));
            add("rip".to_owned(), 64);
        }
    }
    for register in &mut all {
        register.mask = match register.name.as_str() {
            "fpsr" => 0,            // nothing but cumulative flags
            "mxcsr" => 0xffc0,      // without the cumulative flags
            "x87_status" => 0x7d00, // TOP, C3, C2, C0
            _ => u128::MAX,
        };
    }
    all
}

/// The name of a guest's program counter.
fn pc_name(arch: Arch) -> &'static str {
    match arch {
        Arch::Aarch64 => "pc",
        Arch::X86_64 => "rip",
    }
}

/// A guest machine as lines see it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct State {
    values: Vec<(String, u128)>,
    /// The window's bytes.
    pub(crate) memory: Vec<u8>,
    /// The signal that ended the line, such as `sigsegv`.
    pub(crate) fault: Option<String>,
}

impl State {
    /// What a line starts from where it says nothing else.
    pub(crate) fn default_of(arch: Arch) -> State {
        let mut word = 0u64;
        let mut next = || {
            word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
            u128::from(word)
        };
        let values = registers(arch).into_iter().map(|register| {
            let low = next();
            let high = if register.width == 128 { next() } else { 0 };
            let value = match register.name.as_str() {
                "sp" | "rsp" => u128::from(WINDOW) + 0xf000,
                "pc" | "rip" => u128::from(CODE),
                "mxcsr" => 0x1f80,
                "x87_control" => 0x37f,
                _ if register.width < 64 || register.width == 80 => 0,
                _ => low | high << 64,
            };
            (register.name, value)
        });
        let memory = (0..SIZE).map(|i| (i.wrapping_mul(157) ^ i >> 7) as u8).collect();
        State { values: values.collect(), memory, fault: None }
    }

    /// A register's value; panics if the guest has no such register.
    pub(crate) fn get(&self, name: &str) -> u128 {
        self.find(name).map_or_else(|| panic!("no register {name}"), |index| self.values[index].1)
    }

    /// Sets a register; panics if the guest has no such register.
    pub(crate) fn set(&mut self, name: &str, value: u128) {
        let index = self.find(name).unwrap_or_else(|| panic!("no register {name}"));
        self.values[index].1 = value;
    }

    /// Every register with its value.
    pub(crate) fn registers(&self) -> impl Iterator<Item = (&str, u128)> {
        self.values.iter().map(|(name, value)| (name.as_str(), *value))
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.values.iter().position(|(known, _)| known == name)
    }

    fn apply(&mut self, item: &Item) -> Result<(), String> {
        match item {
            Item::Register(name, value) => {
                let index = self.find(name).ok_or_else(|| format!("no register {name}"))?;
                self.values[index].1 = *value;
            }
            Item::Memory(address, bytes) => {
                let start = address.wrapping_sub(WINDOW) as usize;
                let place = self.memory.get_mut(start..start.saturating_add(bytes.len()));
                place.ok_or_else(|| format!("{address:x} is outside the window"))?.copy_from_slice(bytes);
            }
            Item::Undefined(name) => {
                self.find(name).ok_or_else(|| format!("no register {name}"))?;
            }
            Item::Fault(signal) => self.fault = Some(signal.clone()),
        }
        Ok(())
    }
}

/// One word of `before` or `after`.
enum Item {
    Register(String, u128),
    Memory(u64, Vec<u8>),
    Undefined(String),
    Fault(String),
}

impl Item {
    fn parse(word: &str) -> Result<Item, String> {
        let (name, value) = word.split_once('=').ok_or_else(|| format!("no item: {word}"))?;
        let number = |text: &str| u128::from_str_radix(text, 16).map_err(|_| format!("no number: {text}"));
        if let Some(address) = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            return Ok(Item::Memory(number(address)? as u64, hex_bytes(value)?));
        }
        Ok(match (name, value) {
            ("fault", signal) => Item::Fault(signal.to_owned()),
            (name, "?") => Item::Undefined(name.to_owned()),
            (name, value) => Item::Register(name.to_owned(), number(value)?),
        })
    }
}

fn hex_bytes(text: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<char> = text.chars().filter(|c| *c != ' ').collect();
    if digits.len() % 2 == 1 {
        return Err(format!("half a byte: {text}"));
    }
    let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16);
    digits.chunks(2).map(|pair| byte(pair).map_err(|_| format!("no bytes: {text}"))).collect()
}

/// One test.
pub(crate) struct Line {
    /// The guest.
    pub(crate) arch: Arch,
    /// File and line, for messages.
    pub(crate) place: String,
    /// The whole line.
    pub(crate) source: String,
    /// The instruction's bytes.
    pub(crate) bytes: Vec<u8>,
    /// The machine before.
    pub(crate) before: State,
    after: Vec<Item>,
}

impl Line {
    /// Reads one line.
    pub(crate) fn parse(arch: Arch, place: &str, source: &str) -> Result<Line, String> {
        let (head, items) = source.split_once('|').ok_or("no bar")?;
        let (before, after) = items.split_once('|').ok_or("one bar")?;
        let (bytes, _) = head.strip_prefix('[').and_then(|rest| rest.split_once(']')).ok_or("no bytes")?;
        let parse = |text: &str| text.split_whitespace().map(Item::parse).collect::<Result<Vec<Item>, String>>();
        let mut line = Line {
            arch,
            place: place.to_owned(),
            source: source.to_owned(),
            bytes: hex_bytes(bytes)?,
            before: State::default_of(arch),
            after: parse(after)?,
        };
        for item in parse(before)? {
            line.before.apply(&item)?;
        }
        let mut check = line.before.clone();
        line.after.iter().try_for_each(|item| check.apply(item))?;
        Ok(line)
    }

    /// Whether this is the first word of the text, or the name (with `=`) of an item before or after.
    pub(crate) fn mentions(&self, word: &str) -> bool {
        let (head, items) = self.source.split_once('|').expect("a bar");
        let text = head.split_once(']').map_or("", |(_, text)| text);
        let names = |item: &str| item.starts_with(word) && word.ends_with('=');
        text.split_whitespace().next() == Some(word) || items.split_whitespace().any(names)
    }

    /// The machine that `after` describes; undefined items keep their values.
    pub(crate) fn after_state(&self) -> State {
        let mut state = self.before.clone();
        let ends_here = self.after.iter().any(|item| matches!(item, Item::Fault(_)));
        if !ends_here {
            state.set(pc_name(self.arch), u128::from(CODE) + self.bytes.len() as u128);
        }
        for item in &self.after {
            state.apply(item).expect("checked when it was read");
        }
        state
    }

    /// Whether `got` is what the line demands; if not, each difference.
    pub(crate) fn compare(&self, got: &State) -> Result<(), String> {
        let wanted = self.after_state();
        let mut text = String::new();
        if got.fault != wanted.fault {
            let show = |fault: &Option<String>| fault.clone().unwrap_or("no fault".to_owned());
            write!(text, " {}, wanted {};", show(&got.fault), show(&wanted.fault)).expect("a string");
        }
        let undefined = |name: &str| self.after.iter().any(|item| matches!(item, Item::Undefined(n) if n == name));
        for register in registers(self.arch).iter().filter(|register| !undefined(&register.name)) {
            let (got, wanted) = (got.get(&register.name) & register.mask, wanted.get(&register.name) & register.mask);
            if got != wanted {
                write!(text, " {}={got:x}, wanted {wanted:x};", register.name).expect("a string");
            }
        }
        if let Some(at) = (0..SIZE).find(|&at| got.memory[at] != wanted.memory[at]) {
            let end = (at + 16).min(SIZE);
            let show = |memory: &[u8]| memory[at..end].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            let address = WINDOW + at as u64;
            let (got, wanted) = (show(&got.memory), show(&wanted.memory));
            write!(text, " [{address:x}]={got}, wanted {wanted};").expect("a string");
        }
        if text.is_empty() { Ok(()) } else { Err(text) }
    }

    /// The line without what must hold after, for an oracle.
    pub(crate) fn question(&self) -> &str {
        let end = self.source.rfind('|').expect("two bars");
        self.source[..end].trim_end()
    }
}
