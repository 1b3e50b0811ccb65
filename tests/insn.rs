//! One line, one instruction test: each line of testdata/insn through the interpreter, with and without
//! optimisation, through Cranelift, and on the processor itself where it is the guest's.
//!
//! A line is `[bytes] text | before | after`, for example
//! `[48 01 d8] add rax, rbx | rax=1 rbx=2 | rax=3 pf=1`. The bytes lie at 0x20000000, the start of a page of
//! breakpoints; the line ends when the pc leaves them. The text is for the reader. `before` and `after` are items:
//!
//! * `name=hex`: a register by the name of its slot, or a flag (`n z c v`; `cf pf af zf sf of df`). What `before`
//!   does not mention has the value that [`line::State::default_of`] says; what `after` does not mention has not changed.
//! * `[address]=bytes`: memory in the window, 64 KiB at 0x10000000, which holds a fixed pattern to start with.
//! * `name=?` in `after`: undefined by the manual, and not compared.
//! * `fault=sigsegv|sigbus|sigill|sigfpe` in `after`: how the instruction ends if it does not complete.
//! * the pc (`pc`, `rip`) in `after` if it is not that of the next instruction, or of this one after a fault.
//!
//! Not compared: cumulative floating-point flags (FPSR, the low bits of MXCSR, the x87 exception bits and C1).
//! The lines come from `tests/oracle/generate.py`: hardware for x86_64, an emulator for aarch64; never from Philae.
//! `testdata/insn/gaps` names what Philae does not do yet, and every word of it must still be needed.

#[path = "insn/engine.rs"]
mod engine;
#[path = "insn/line.rs"]
mod line;
#[path = "insn/native.rs"]
mod native;
#[path = "support/sandbox.rs"]
mod sandbox;

use engine::{Engine, Runner};
use line::{Line, State};
use philae_ir::Arch;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Failures shown for one engine; the others are counted.
const SHOWN: usize = 25;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/insn")
}

/// Every line of one guest.
fn lines(arch: Arch) -> Vec<Line> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder().join(arch.name()))
        .expect("testdata/insn")
        .map(|entry| entry.expect("testdata/insn").path())
        .collect();
    files.sort();
    let mut lines = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("an .insn file");
        let name = file.file_name().expect("a name").to_string_lossy().into_owned();
        for (index, line) in text.lines().enumerate() {
            let place = format!("{}/{name}:{}", arch.name(), index + 1);
            lines.push(Line::parse(arch, &place, line).unwrap_or_else(|error| panic!("{place}: {error}: {line}")));
        }
    }
    lines
}

/// What Philae does not do yet: the words of testdata/insn/gaps.
struct Gaps(Vec<String>);

impl Gaps {
    fn read(arch: Arch) -> Gaps {
        let text = fs::read_to_string(folder().join("gaps")).expect("testdata/insn/gaps");
        let rows = text.lines().filter_map(|line| line.strip_prefix(arch.name()));
        Gaps(rows.flat_map(str::split_whitespace).map(str::to_owned).collect())
    }

    fn of(&self, line: &Line) -> Option<&str> {
        self.0.iter().map(String::as_str).find(|word| line.mentions(word))
    }
}

/// Runs all lines of a guest through one engine. A gap's lines may fail, but not all of them may pass everywhere.
fn check(arch: Arch, engine: Engine) {
    let gaps = Gaps::read(arch);
    let mut runner = Runner::new();
    let (mut failed, mut total) = (0, 0);
    let mut in_gaps: BTreeMap<String, [usize; 2]> = BTreeMap::new();
    for line in lines(arch) {
        let result = runner.run_line(&line, engine).and_then(|after| line.compare(&after));
        if let Some(gap) = gaps.of(&line) {
            in_gaps.entry(gap.to_owned()).or_default()[usize::from(result.is_ok())] += 1;
            continue;
        }
        total += 1;
        if let Err(error) = result {
            failed += 1;
            if failed <= SHOWN {
                println!("FAIL {} {engine:?}: {}\n     {error}", line.place, line.source);
            }
        }
    }
    for (gap, [failing, passing]) in &in_gaps {
        println!("GAP {} {gap}, {engine:?}: {failing} lines fail, {passing} pass", arch.name());
        assert!(*failing > 0 || engine != Engine::Interpreter, "{gap} is no gap any more: remove it from the file");
    }
    assert_eq!(failed, 0, "of {total} lines, {engine:?}, {}", arch.name());
    println!("{} regions refused, {engine:?}, {}", runner.refused(), arch.name());
    assert!(runner.refused() * 50 < total, "{engine:?} leaves too much to the interpreter");
}

#[test]
fn aarch64_at_once() {
    check(Arch::Aarch64, Engine::AtOnce);
}

#[test]
fn aarch64_interpreter() {
    check(Arch::Aarch64, Engine::Interpreter);
}

#[test]
fn aarch64_optimised() {
    check(Arch::Aarch64, Engine::Optimised);
}

#[test]
fn aarch64_baseline() {
    check(Arch::Aarch64, Engine::Baseline);
}

#[test]
fn aarch64_cranelift() {
    check(Arch::Aarch64, Engine::Cranelift);
}

#[test]
fn aarch64_cranelift_relaxed() {
    check(Arch::Aarch64, Engine::CraneliftRelaxed);
}

#[test]
fn x86_64_at_once() {
    check(Arch::X86_64, Engine::AtOnce);
}

#[test]
fn x86_64_interpreter() {
    check(Arch::X86_64, Engine::Interpreter);
}

#[test]
fn x86_64_optimised() {
    check(Arch::X86_64, Engine::Optimised);
}

#[test]
fn x86_64_baseline() {
    check(Arch::X86_64, Engine::Baseline);
}

#[test]
fn x86_64_cranelift() {
    check(Arch::X86_64, Engine::Cranelift);
}

#[test]
fn x86_64_cranelift_relaxed() {
    check(Arch::X86_64, Engine::CraneliftRelaxed);
}

/// The processor agrees with the lines of its own machine.
#[test]
fn native() {
    let lines = lines(Arch::X86_64);
    let answers = match native::run(&lines) {
        Ok(answers) => answers,
        Err(why) => return println!("SKIP instruction tests on the processor: {why}"),
    };
    assert_eq!(answers.len(), lines.len());
    let mut failed = 0;
    for (line, answer) in lines.iter().zip(answers) {
        let answer = Line::parse(Arch::X86_64, &line.place, &answer).expect("a line");
        if let Err(error) = line.compare(&answer.after_state()) {
            failed += 1;
            if failed <= SHOWN {
                println!("FAIL {}: {}\n     {error}", line.place, line.source);
            }
        }
    }
    assert_eq!(failed, 0, "of {} lines on this processor", lines.len());
}

/// What the parser reads, the state model can tell apart.
#[test]
fn a_wrong_line_fails() {
    let wrong = [
        "[48 01 d8] add rax, rbx | rax=1 rbx=2 | rax=4 pf=1",
        "[48 01 d8] add rax, rbx | rax=1 rbx=2 | rax=3",
        "[48 89 07] mov [rdi], rax | rax=1 rdi=10000100 | [10000100]=0200000000000000",
        "[0f 0b] ud2 | | fault=sigsegv",
        "[90] nop | | rip=20000002",
    ];
    let mut runner = Runner::new();
    for text in wrong {
        let line = Line::parse(Arch::X86_64, "here", text).expect("a line");
        let after = runner.run_line(&line, Engine::Interpreter).expect("a state");
        assert!(line.compare(&after).is_err(), "{text}");
    }
    for text in ["no bytes", "[90] nop | rax=g |", "[90] nop | unknown=1 |", "[9] nop | |"] {
        assert!(Line::parse(Arch::X86_64, "here", text).is_err(), "{text}");
    }
    assert_eq!(State::default_of(Arch::X86_64).get("rsp"), 0x1000_f000);
}
