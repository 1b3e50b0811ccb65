//! The GNU properties of an aarch64 ELF file: what it tells the kernel of its code.
//!
//! In: a file and its program headers. Out: whether its code has landing pads, or what is wrong with the note, as Linux
//! refuses it (parse_elf_properties of fs/binfmt_elf.c). The format is that of "Linux Extensions to gABI", 2.1.7.

use crate::image::read_up_to;
use goblin::elf::program_header::{PT_GNU_PROPERTY, ProgramHeader};
use std::fs::File;

/// The most that a note may have, its header included.
const LONGEST: u64 = 1024;
/// Type, name and alignment of the note.
const NT_GNU_PROPERTY_TYPE_0: u32 = 5;
const NAME: &[u8] = b"GNU\0";
const ALIGNMENT: usize = 8;
/// The property of bits that all object files of a program have set, and the one that says that they have landing pads.
const FEATURE_1_AND: u32 = 0xc000_0000;
const FEATURE_1_BTI: u32 = 1;

/// Whether the code has landing pads.
pub fn has_landing_pads(file: &File, headers: &[ProgramHeader]) -> Result<bool, String> {
    let Some(header) = headers.iter().rfind(|header| header.p_type == PT_GNU_PROPERTY) else { return Ok(false) };
    let mut note = vec![0; header.p_filesz.min(LONGEST + 1) as usize];
    let length = read_up_to(file, &mut note, header.p_offset)?;
    let malformed = || "malformed GNU properties".to_owned();
    if header.p_filesz > LONGEST {
        return Err(malformed());
    }
    features(&note[..length]).ok_or_else(malformed).map(|features| features & FEATURE_1_BTI != 0)
}

/// The bits of FEATURE_1_AND, 0 if the note has none.
fn features(note: &[u8]) -> Option<u32> {
    let (name_size, size, kind) = (word(note, 0)? as usize, word(note, 4)? as usize, word(note, 8)?);
    if kind != NT_GNU_PROPERTY_TYPE_0 || name_size != NAME.len() || note.get(12..16)? != NAME {
        return None;
    }
    let mut rest = note.get(16..)?.get(..size)?;
    let (mut last, mut features) = (None, 0);
    while !rest.is_empty() {
        let (property, size) = (word(rest, 0)?, word(rest, 4)? as usize);
        let data = rest.get(8..)?;
        // They are sorted, and none is there twice.
        if last.is_some_and(|last| property <= last) || size > data.len() {
            return None;
        }
        if property == FEATURE_1_AND {
            features = word(data, 0).filter(|_| size == 4)?;
        }
        last = Some(property);
        rest = data.get(size.next_multiple_of(ALIGNMENT)..)?;
    }
    Some(features)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|&word| u32::from_le_bytes(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(words: &[u32]) -> Vec<u8> {
        let head = [4, 4 * words.len() as u32, NT_GNU_PROPERTY_TYPE_0, u32::from_le_bytes(*b"GNU\0")];
        head.iter().chain(words).flat_map(|word| word.to_le_bytes()).collect()
    }

    #[test]
    fn properties_are_read_as_linux_does() {
        assert_eq!(features(&note(&[FEATURE_1_AND, 4, 3, 0])), Some(3));
        assert_eq!(features(&note(&[1, 8, 0, 1, FEATURE_1_AND, 4, 1, 0])), Some(1));
        assert_eq!(features(&note(&[])), Some(0));
        for malformed in [
            &[FEATURE_1_AND, 8, 3, 0][..],
            &[FEATURE_1_AND, 4, 3],
            &[FEATURE_1_AND, 4, 3, 0, 1, 4, 0, 0],
            &[FEATURE_1_AND, 4, 3, 0, FEATURE_1_AND, 4, 3, 0],
            &[1, 16, 0, 0],
            &[1],
        ] {
            assert_eq!(features(&note(malformed)), None, "{malformed:x?}");
        }
        assert_eq!(features(&note(&[FEATURE_1_AND, 4, 3, 0])[..28]), None);
    }
}
