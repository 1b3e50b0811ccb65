//! Instructions as text, for dumps and messages.

use capstone::prelude::*;
use philae_ir::Arch;
use std::fmt::Write;

/// One line for the instruction at the start of `bytes`: its bytes and its text.
pub fn instruction(arch: Arch, pc: u64, bytes: &[u8]) -> String {
    let Some((length, text)) = engine(arch).and_then(|engine| decode(&engine, pc, bytes)) else {
        return format!("{}  (unknown)", hex(arch, &bytes[..bytes.len().min(4)]));
    };
    format!("{}  {text}", hex(arch, &bytes[..length]))
}

/// The name of the instruction at the start of `bytes`, if there is one.
pub fn mnemonic(arch: Arch, pc: u64, bytes: &[u8]) -> Option<String> {
    let (_, text) = decode(&engine(arch)?, pc, bytes)?;
    text.split(' ').next().map(str::to_owned)
}

/// A listing of code, one line an instruction; what is no instruction is skipped byte by byte (words on AArch64).
pub fn listing(arch: Arch, mut pc: u64, mut bytes: &[u8]) -> String {
    let mut text = String::new();
    let Some(engine) = engine(arch) else { return text };
    while !bytes.is_empty() {
        let step = if arch == Arch::Aarch64 { 4.min(bytes.len()) } else { 1 };
        let (length, line) = decode(&engine, pc, bytes).unwrap_or((step, "(unknown)".to_owned()));
        let _ = writeln!(text, "  {pc:#x}: {:<24} {line}", hex(arch, &bytes[..length]));
        pc += length as u64;
        bytes = &bytes[length..];
    }
    text
}

fn engine(arch: Arch) -> Option<Capstone> {
    let engine = match arch {
        Arch::Aarch64 => Capstone::new().arm64().mode(arch::arm64::ArchMode::Arm).build(),
        Arch::X86_64 => Capstone::new().x86().mode(arch::x86::ArchMode::Mode64).build(),
    };
    engine.ok()
}

fn decode(engine: &Capstone, pc: u64, bytes: &[u8]) -> Option<(usize, String)> {
    let decoded = engine.disasm_count(bytes, pc, 1).ok()?;
    let first = decoded.iter().next()?;
    let text = format!("{} {}", first.mnemonic().unwrap_or("?"), first.op_str().unwrap_or(""));
    Some((first.len(), text.trim_end().to_owned()))
}

/// Bytes as disassemblers print them: AArch64 as words.
fn hex(arch: Arch, bytes: &[u8]) -> String {
    match (arch, <[u8; 4]>::try_from(bytes)) {
        (Arch::Aarch64, Ok(word)) => format!("{:08x}", u32::from_le_bytes(word)),
        _ => bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" "),
    }
}
