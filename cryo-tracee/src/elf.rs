//! What an ELF file says of itself (elf(5)).

use std::fs::File;

use object::Endianness;
use object::elf::{ELF_NOTE_GNU, FileHeader32, FileHeader64, NT_GNU_BUILD_ID};
use object::read::elf::{FileHeader, ProgramHeader};
use object::read::{ReadCache, ReadRef};

/// The build-id (`ld --build-id`) of an ELF image in memory; empty if it has none, or is none.
pub fn build_id(image: &[u8]) -> Vec<u8> {
    of_segments(image).unwrap_or_default()
}

/// The build-id of a file.
pub fn build_id_of(file: &File) -> Vec<u8> {
    of_segments(&ReadCache::new(file)).unwrap_or_default()
}

/// By the program headers alone: a process stands still meanwhile, and the symbols of a large library are megabytes.
fn of_segments<'d>(image: impl ReadRef<'d>) -> Option<Vec<u8>> {
    of_class::<FileHeader64<Endianness>>(image).or_else(|| of_class::<FileHeader32<Endianness>>(image))
}

fn of_class<'d, Elf: FileHeader<Endian = Endianness>>(image: impl ReadRef<'d>) -> Option<Vec<u8>> {
    let header = Elf::parse(image).ok()?;
    let endian = header.endian().ok()?;
    for segment in header.program_headers(endian, image).ok()? {
        let Ok(Some(mut notes)) = segment.notes(endian, image) else { continue };
        while let Ok(Some(note)) = notes.next() {
            if note.name() == ELF_NOTE_GNU && note.n_type(endian) == NT_GNU_BUILD_ID {
                return Some(note.desc().to_vec());
            }
        }
    }
    None
}
