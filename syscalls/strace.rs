//! The text of system calls for `--strace`.
//!
//! In: a call's number, arguments and result. Out: `openat(-100,"/etc/passwd",0x80000,0)` and ` = 3`.

use crate::errno::Errno;
use crate::{table, uaccess};
use philae_ir::Arch;
use std::fmt::Write;

/// Bytes of a string that are shown.
const SHOWN: usize = 256;

/// The call as text: its name and arguments, strings where they can be read.
pub fn describe(arch: Arch, number: u64, args: [u64; 6]) -> String {
    let Some(row) = table::find(arch, number) else {
        return format!(
            "syscall_{number}({:#x},{:#x},{:#x},{:#x},{:#x},{:#x})",
            args[0], args[1], args[2], args[3], args[4], args[5]
        );
    };
    let mut text = format!("{}(", row.name);
    for (index, letter) in row.args.bytes().enumerate() {
        if index > 0 {
            text.push(',');
        }
        argument(&mut text, letter, args[index]);
    }
    text.push(')');
    text
}

fn argument(text: &mut String, letter: u8, word: u64) {
    // Writing to a String cannot fail.
    let _ = match letter {
        _ if word == 0 => write!(text, "0"),
        b'd' => write!(text, "{}", signed(word)),
        b'u' => write!(text, "{word}"),
        b'o' => write!(text, "0{:o}", word as u32),
        b'p' | b's' => match uaccess::read_string(word, SHOWN) {
            Ok(string) => write!(text, "\"{}\"", string.as_bytes().escape_ascii()),
            Err(_) => write!(text, "{word:#x}"),
        },
        _ => write!(text, "{word:#x}"),
    };
}

/// Most signed arguments are C `int`s, whose upper half means nothing.
fn signed(word: u64) -> i64 {
    if word >> 32 == 0 { i64::from(word as i32) } else { word as i64 }
}

/// The result as text: ` = value`, or ` = -1 ENOENT (No such file or directory)`.
pub fn result(value: u64) -> String {
    match Errno::check(value) {
        Ok(small) if small < 10 => format!(" = {small}"),
        Ok(value) if value < 1 << 31 => format!(" = {value}"),
        Ok(value) => format!(" = {value:#x}"),
        Err(error) => format!(" = -1 {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::catch_faults;

    #[test]
    fn calls_and_results_read_like_source() {
        catch_faults();
        let path = c"/etc/\"x\"".as_ptr() as u64;
        assert_eq!(
            describe(Arch::Aarch64, 56, [0xffff_ff9c, path, 0x80000, 0o644, 0, 0]),
            r#"openat(-100,"/etc/\"x\"",0x80000,0644)"#
        );
        assert_eq!(describe(Arch::X86_64, 39, [0; 6]), "getpid()");
        assert_eq!(describe(Arch::X86_64, 999, [0; 6]), "syscall_999(0x0,0x0,0x0,0x0,0x0,0x0)");
        assert_eq!(describe(Arch::X86_64, 2, [8, 0, 0, 0, 0, 0]), "open(0x8,0,0)");
        assert_eq!(result(3), " = 3");
        assert_eq!(result(Errno::ENOENT.as_result()), " = -1 ENOENT (No such file or directory)");
        assert_eq!(result(0x7fff_0000_0000), " = 0x7fff00000000");
    }
}
