//! Random A64 instructions from random states, against the reference emulator.
//!
//! In: the rows of the frontend's table as classes, seeds. What must hold: after each piece of code (one instruction, or a
//! sequence, once or in a loop; tests/random/draw.rs and sequence.rs) all registers, flags, memory and faults are those of qemu-aarch64 11.1.3
//! `-cpu max`, in every engine, and FPSR; under `Floats::Flushing` and `Floats::Modes` its QC alone.
//!
//! Not compared by value: counters, identification registers, codes of pointer authentication, DC ZVA, whose block has
//! the size that DCZID_EL0 says. Not drawn: system calls and indirect branches, which the tests of whole programs have.
//! Where the emulator is no oracle (Arm ARM DDI 0487):
//!
//! * FPSR bits 31 to 28 are AArch32's flags, and RES0 where that does not exist (C5.2.9); it keeps them.
//! * FPCR has bits of FEAT_AFP and FEAT_EBF16 there (C5.2.8), which Philae does not announce: they are masked.
//! * DC CIVAC and its like of an address that is not mapped fault (C5.3); in user mode it makes them no-ops.
//! * With FEAT_LSE2, which it has, what crosses 16 bytes is misaligned (B2.5.2); without, what is not naturally aligned.
//!   Addresses of such accesses are drawn aligned, and no piece has an address that is both misaligned and not mapped.
//! * Fields of ones that are none, bases that are also loaded, registers loaded twice (K1.2, constrained
//!   unpredictable): it picks what is easiest, which is no better than other choices; they are not drawn.
//!
//! * `sample` compares with testdata/random/aarch64, a line for each piece: its words in hexadecimal, `once` or `loop`,
//!   the seed of the state, a bar, and what has changed at the end.
//! * `soak` asks the emulator: `PHILAE_RANDOM=10000000 cargo test --test random -- --ignored soak --nocapture`, which
//!   is what tests/run --soak does. `PHILAE_RANDOM_SEED` starts elsewhere, `PHILAE_RANDOM_CLASS` draws from the
//!   classes whose names start so, `PHILAE_RANDOM_ENGINES` names those to use, `PHILAE_RANDOM_SEQUENCES` is how many of
//!   a hundred pieces are sequences.
//! * `replay` asks about one piece, as a failure shows it: `PHILAE_RANDOM_PIECE='1e622841,1e6228a0 once 4e4a8e3c'`.
//! * tests/random/undefined.rs compares which words are instructions at all.
//! * `write_sample` makes the sample anew: for new classes, or another emulator.

#[path = "random/draw.rs"]
mod draw;
#[path = "random/engines.rs"]
mod engines;
#[path = "support/sandbox.rs"]
mod sandbox;
#[path = "random/sequence.rs"]
mod sequence;
#[path = "random/undefined.rs"]
mod undefined;
#[path = "random/wire.rs"]
mod wire;

use draw::{Form, PLACE, PLACES, Piece, Random, is_compared};
use engines::{Engine, Engines, depends_on_floats, is_defined};
use philae_frontends::aarch64::{Class, class_of, classes};
use philae_ir::Floats;
use philae_ir::state::aarch64::{QC, floats_for};
use sandbox::{CODE, SIZE};
use std::collections::BTreeMap;
use std::env;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;
use wire::{Machine, Oracle, Start};

const ENGINES: [Engine; 6] =
    [Engine::AtOnce, Engine::Interpreter, Engine::Optimised, Engine::Baseline, Engine::Exact, Engine::Relaxed];
/// States for each piece of the soak.
const STATES: usize = 32;
/// Sequences in the sample.
const SAMPLE_SEQUENCES: usize = 400;
/// Instances after which the soak says how far it is.
const PROGRESS: u64 = 1_000_000;
/// Differences of one class that are shown.
const SHOWN: usize = 3;
/// Draws for a piece before its class counts as one that has none.
const TRIES: usize = 1000;

/// A piece and the states to run it from.
struct Question {
    piece: Piece,
    seeds: Vec<u32>,
}

impl Question {
    fn starts(&self, place: u64) -> impl Iterator<Item = Start> {
        let memory = self.piece.touches_memory();
        self.seeds.iter().map(move |&seed| Start { pc: place, memory, machine: self.piece.state(seed) })
    }
}

/// The place of a batch's piece of this number.
fn place(number: usize) -> u64 {
    CODE + PLACE * (number % PLACES) as u64
}

/// The code area of a batch.
fn code_of(batch: &[Question]) -> Vec<u8> {
    let pieces = batch.iter().enumerate().map(|(number, question)| question.piece.code(place(number)));
    let mut code: Vec<u8> = pieces.flatten().flat_map(u32::to_le_bytes).collect();
    code.resize(SIZE, 0);
    code
}

/// What differed, by class.
#[derive(Default)]
struct Report {
    compared: u64,
    differences: BTreeMap<&'static str, u64>,
}

impl Report {
    fn add(&mut self, piece: &Piece, seed: u32, (engine, floats): (Engine, Floats), what: &str) {
        let count = self.differences.entry(piece.class.name).or_default();
        *count += 1;
        if *count <= SHOWN as u64 {
            let (words, form) = (words_of(piece), form_name(piece.form));
            let text: Vec<String> = piece.words().map(text_of).collect();
            let text = text.join("; ");
            println!("FAIL {}: {words} {form} {seed:x}, {engine:?}, {floats:?}: {text}\n{what}", piece.class.name,);
        }
    }

    fn finish(&self) {
        let total: u64 = self.differences.values().sum();
        for (name, count) in &self.differences {
            println!("{count} differences: {name}");
        }
        assert_eq!(total, 0, "differences, of {} comparisons", self.compared);
    }
}

/// The words of a piece in hexadecimal.
fn words_of(piece: &Piece) -> String {
    let words: Vec<String> = piece.words().map(|word| format!("{word:08x}")).collect();
    words.join(",")
}

fn text_of(word: u32) -> String {
    use capstone::prelude::*;
    let capstone = Capstone::new().arm64().mode(arch::arm64::ArchMode::Arm).build().expect("capstone");
    let listing = capstone.disasm_all(&word.to_le_bytes(), 0).expect("a listing");
    let text =
        listing.iter().next().map(|insn| format!("{} {}", insn.mnemonic().unwrap_or(""), insn.op_str().unwrap_or("")));
    text.unwrap_or_else(|| "?".to_owned())
}

/// Where `got` is not what the oracle says; of FPSR the bits in `kept`.
fn differences(start: &Machine, wanted: &Machine, got: &Machine, kept: u64) -> String {
    let mut text = String::new();
    // The names are made for what differs only: ten million instances take their time.
    let fpsr = wanted.fpsr & !kept | got.fpsr & kept;
    if *wanted == (Machine { fpsr, ..got.clone() }) {
        return text;
    }
    let items = start.items().into_iter().zip(wanted.items()).zip(got.items());
    for (((name, before), (_, wanted)), (_, got)) in items {
        if wanted != got && (name != "fpsr" || (wanted ^ got) & u128::from(kept) != 0) {
            let _ = writeln!(text, "     {name}={got:x}, wanted {wanted:x}, before {before:x}");
        }
    }
    if text.is_empty() {
        return text;
    }
    let used = start.items().into_iter().filter(|(name, _)| name.starts_with("fp") || name == "nzcv");
    used.fold(text, |text, (name, value)| format!("{text}     {name}={value:x}"))
}

/// Runs a batch through the engines; `wanted` has the ends of all instances in order.
fn compare(engines: &mut Engines, chosen: &[Engine], batch: &[Question], wanted: &[Machine], report: &mut Report) {
    let code = code_of(batch);
    engines.put_code(&code);
    let mut next = 0;
    for (number, question) in batch.iter().enumerate() {
        let (piece, place) = (&question.piece, place(number));
        let starts: Vec<Start> = question.starts(place).collect();
        let wanted = &wanted[next..next + starts.len()];
        next += starts.len();
        let exact = depends_on_floats(piece, place, &code);
        let all = [Floats::Plain, Floats::Flushing, Floats::Modes, Floats::Exact];
        for floats in all.into_iter().filter(|&floats| exact || floats == Floats::Plain) {
            // With more of the environment, one compiler for each piece.
            let takes_part = |&(index, engine): &(usize, Engine)| {
                floats == Floats::Plain
                    || matches!(engine, Engine::AtOnce | Engine::Interpreter)
                    || index == number % chosen.len()
            };
            for (_, engine) in chosen.iter().copied().enumerate().filter(takes_part) {
                let case = Case { piece, place, code: &code, way: (engine, floats), seeds: &question.seeds };
                case.compare(engines, &starts, wanted, report);
            }
        }
    }
}

/// A piece and a way through Philae.
struct Case<'a> {
    piece: &'a Piece,
    place: u64,
    code: &'a [u8],
    way: (Engine, Floats),
    seeds: &'a [u32],
}

impl Case<'_> {
    /// The bits of FPSR that are compared.
    fn kept(&self) -> u64 {
        match self.way.1 {
            Floats::Flushing | Floats::Modes => QC,
            Floats::Plain | Floats::Exact => u64::MAX,
        }
    }

    fn compare(&self, engines: &mut Engines, starts: &[Start], wanted: &[Machine], report: &mut Report) {
        let (engine, floats) = self.way;
        let prepared = match engines.prepare(self.piece, self.place, self.code, self.way) {
            Ok(prepared) => prepared,
            Err(what) => return report.add(self.piece, 0, self.way, &what),
        };
        for ((start, wanted), &seed) in starts.iter().zip(wanted).zip(self.seeds) {
            let inexact_fault = engine == Engine::Relaxed && wanted.fault != 0;
            if floats < floats_for(start.machine.fpcr) || inexact_fault {
                continue;
            }
            let what = match engines.run(&prepared, self.piece, (self.place, floats), &start.machine) {
                Ok(None) => continue,
                Ok(Some(got)) => differences(&start.machine, wanted, &got, self.kept()),
                Err(what) => what,
            };
            report.compared += 1;
            if !what.is_empty() {
                report.add(self.piece, seed, self.way, &what);
            }
        }
    }
}

/// A piece of a class.
fn draw(class: Class, form: Form, random: &mut Random) -> Option<Piece> {
    let mut drawn = (0..TRIES).filter_map(|_| Piece::draw(class, form, random));
    drawn.find(is_defined)
}

/// A piece of any of these classes; so many of a hundred are sequences.
fn draw_for_soak(classes: &[Class], sequences: u64, random: &mut Random) -> Option<Piece> {
    let form = if random.below(8) == 0 { Form::Loop } else { Form::Once };
    if random.below(100) < sequences {
        let form = if random.below(2) == 0 { Form::Loop } else { form };
        return Some(sequence::draw(classes, form, random, is_defined));
    }
    draw(classes[random.below(classes.len() as u64) as usize], form, random)
}

/// The number in a variable.
fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok()?.parse().ok()
}

fn form_name(form: Form) -> &'static str {
    match form {
        Form::Once => "once",
        Form::Loop => "loop",
    }
}

fn sample_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/random/aarch64")
}

/// One line of the sample: its piece, its seed, what changes.
fn parse(line: &str) -> Option<(Piece, u32, &str)> {
    let (head, changes) = line.split_once(" |")?;
    let words: Vec<&str> = head.split(' ').collect();
    let &[word, form, seed] = words.as_slice() else { return None };
    let form = [Form::Once, Form::Loop].into_iter().find(|&known| form_name(known) == form)?;
    let words: Option<Vec<u32>> = word.split(',').map(|word| u32::from_str_radix(word, 16).ok()).collect();
    let words = words?;
    let mut piece = Piece::one(class_of(words[0])?, words[0], form);
    piece.more[..words.len() - 1].copy_from_slice(&words[1..]);
    Some((piece, u32::from_str_radix(seed, 16).ok()?, changes))
}

/// A state with what a line of the sample says has changed.
fn changed(start: &Machine, changes: &str) -> Machine {
    let mut end = start.clone();
    for item in changes.split_whitespace() {
        let (name, value) = item.split_once('=').expect("name=value");
        let value = u128::from_str_radix(value, 16).expect("hexadecimal");
        let number = || name[1..].parse::<usize>().expect("a register's number");
        match name {
            "sp" => end.sp = value as u64,
            "nzcv" => end.nzcv = (value as u64) << 28,
            "fpcr" => end.fpcr = value as u64,
            "fpsr" => end.fpsr = value as u64,
            "exit" => end.exit = value as u64,
            "fault" => end.fault = value as u64,
            "memory" => end.memory = value as u64,
            _ if name.starts_with('x') => end.x[number()] = value as u64,
            _ => end.v[number()] = value,
        }
    }
    end
}

#[test]
fn sample() {
    let text = fs::read_to_string(sample_path()).expect("testdata/random/aarch64");
    let lines: Vec<_> =
        text.lines().map(|line| parse(line).unwrap_or_else(|| panic!("not understood: {line}"))).collect();
    let (mut engines, mut report) = (Engines::new(), Report::default());
    for lines in lines.chunks(PLACES) {
        let batch: Vec<Question> =
            lines.iter().map(|&(piece, seed, _)| Question { piece, seeds: vec![seed] }).collect();
        let ends = lines.iter().map(|&(piece, seed, changes)| changed(&piece.state(seed), changes));
        let ends: Vec<Machine> = ends.collect();
        compare(&mut engines, &ENGINES, &batch, &ends, &mut report);
    }
    println!("{} lines, {} comparisons", lines.len(), report.compared);
    report.finish();
}

#[test]
#[ignore = "needs the emulator, and as long as PHILAE_RANDOM says"]
fn soak() {
    let wanted = number("PHILAE_RANDOM").unwrap_or(100_000);
    let seed = number("PHILAE_RANDOM_SEED").unwrap_or(1);
    let prefix = env::var("PHILAE_RANDOM_CLASS").unwrap_or_default();
    let named = env::var("PHILAE_RANDOM_ENGINES").unwrap_or_default();
    let chosen: Vec<Engine> =
        ENGINES.into_iter().filter(|engine| named.is_empty() || named.contains(&format!("{engine:?}"))).collect();
    let mut oracle = match Oracle::start() {
        Ok(oracle) => oracle,
        Err(why) => return println!("SKIP random instructions: {why}"),
    };
    let classes: Vec<Class> = classes().filter(|class| is_compared(class) && class.name.starts_with(&prefix)).collect();
    let sequences = number("PHILAE_RANDOM_SEQUENCES").unwrap_or(25);
    let (start, mut random) = (Instant::now(), Random::new(seed));
    let (mut engines, mut report, mut done) = (Engines::new(), Report::default(), 0);
    while done < wanted {
        let mut batch = Vec::new();
        while batch.len() < PLACES {
            let Some(piece) = draw_for_soak(&classes, sequences, &mut random) else { continue };
            batch.push(Question { piece, seeds: (0..STATES).map(|_| random.next() as u32).collect() });
        }
        let starts: Vec<Start> =
            batch.iter().enumerate().flat_map(|(number, question)| question.starts(place(number))).collect();
        let ends = oracle.ask(&code_of(&batch), &starts);
        compare(&mut engines, &chosen, &batch, &ends, &mut report);
        done += starts.len() as u64;
        if done % PROGRESS < starts.len() as u64 {
            println!("{done} instances, {:.0} s", start.elapsed().as_secs_f64());
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "seed {seed}: {done} instances of {} classes, {} comparisons, {seconds:.0} s",
        classes.len(),
        report.compared
    );
    report.finish();
}

/// The one piece that `PHILAE_RANDOM_PIECE` has, in every engine.
#[test]
#[ignore = "needs the emulator, and a piece"]
fn replay() {
    let line = env::var("PHILAE_RANDOM_PIECE").unwrap_or_default() + " |";
    let Some((piece, seed, _)) = parse(&line) else { return println!("SKIP replay: no piece") };
    let mut oracle = Oracle::start().expect("an oracle");
    let batch = [Question { piece, seeds: vec![seed] }];
    let starts: Vec<Start> = batch[0].starts(place(0)).collect();
    let ends = oracle.ask(&code_of(&batch), &starts);
    let mut report = Report::default();
    compare(&mut Engines::new(), &ENGINES, &batch, &ends, &mut report);
    report.finish();
}

#[test]
#[ignore = "needs the emulator, and writes testdata/random"]
fn write_sample() {
    let mut oracle = Oracle::start().expect("an oracle");
    let mut questions = Vec::new();
    for class in classes().filter(is_compared) {
        // The draws of one class do not depend on the others.
        let mut random = Random::new(u64::from(class.mask) << 32 | u64::from(class.value));
        for form in [Form::Once, Form::Once, Form::Loop] {
            let Some(piece) = draw(class, form, &mut random) else { continue };
            let seeds = if form == Form::Once { 4 } else { 1 };
            let one = |seed| Question { piece, seeds: vec![seed] };
            questions.extend((0..seeds).map(|_| one(random.next() as u32)));
        }
    }
    let classes: Vec<Class> = classes().filter(is_compared).collect();
    let mut random = Random::new(SAMPLE_SEQUENCES as u64);
    for number in 0..SAMPLE_SEQUENCES {
        let form = if number % 2 == 0 { Form::Once } else { Form::Loop };
        let piece = sequence::draw(&classes, form, &mut random, is_defined);
        questions.push(Question { piece, seeds: vec![random.next() as u32] });
    }
    let mut text = String::new();
    for batch in questions.chunks(PLACES) {
        let starts: Vec<Start> =
            batch.iter().enumerate().flat_map(|(number, question)| question.starts(place(number))).collect();
        for ((question, start), end) in batch.iter().zip(&starts).zip(oracle.ask(&code_of(batch), &starts)) {
            let (words, form, seed) = (words_of(&question.piece), form_name(question.piece.form), question.seeds[0]);
            let _ = write!(text, "{words} {form} {seed:x} |");
            for ((name, before), (_, after)) in start.machine.items().into_iter().zip(end.items()) {
                if before != after {
                    let _ = write!(text, " {name}={after:x}");
                }
            }
            text.push('\n');
        }
    }
    fs::create_dir_all(sample_path().parent().expect("a folder")).expect("testdata/random");
    fs::write(sample_path(), text).expect("testdata/random/aarch64");
}
