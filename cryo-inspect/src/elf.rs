//! What is the same in ELF files of both classes, 32 and 64 bits, and in the crate `object` is asked of each by itself.

use object::elf::{FileHeader32, FileHeader64, NT_GNU_BUILD_ID, ProgramType};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, ReadRef};

/// One program header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// What it is.
    pub kind: ProgramType,
    /// Offset in the file.
    pub offset: u64,
    /// Bytes in the file.
    pub size: u64,
    /// Its address by the file.
    pub vaddr: u64,
    /// What may be done with it: PF_R, PF_W, PF_X.
    pub flags: u32,
}

impl Segment {
    /// Its bytes.
    pub fn data<'a>(&self, file: &'a [u8]) -> Option<&'a [u8]> {
        let start = usize::try_from(self.offset).ok()?;
        file.get(start..start.checked_add(usize::try_from(self.size).ok()?)?)
    }
}

/// All program headers of a file; none if it is no ELF file, or a broken one.
pub fn segments<'d>(file: impl ReadRef<'d>) -> Option<Vec<Segment>> {
    fn of<'d, H: FileHeader<Endian = Endianness>>(file: impl ReadRef<'d>) -> Option<Vec<Segment>> {
        let header = H::parse(file).ok()?;
        let endian = header.endian().ok()?;
        let all = header.program_headers(endian, file).ok()?.iter();
        let one = |p: &H::ProgramHeader| Segment {
            kind: p.p_type(endian),
            offset: p.p_offset(endian).into(),
            size: p.p_filesz(endian).into(),
            vaddr: p.p_vaddr(endian).into(),
            flags: p.p_flags(endian).0,
        };
        Some(all.map(one).collect())
    }
    of::<FileHeader64<Endianness>>(file).or_else(|| of::<FileHeader32<Endianness>>(file))
}

/// The build-id of a file of which the heads are there, if it has one.
pub fn build_id<'d>(file: impl ReadRef<'d>) -> Option<Vec<u8>> {
    fn of<'d, H: FileHeader<Endian = Endianness>>(file: impl ReadRef<'d>) -> Option<Vec<u8>> {
        let header = H::parse(file).ok()?;
        let endian = header.endian().ok()?;
        for p in header.program_headers(endian, file).ok()? {
            let Ok(Some(mut notes)) = p.notes(endian, file) else { continue };
            while let Ok(Some(note)) = notes.next() {
                if note.name() == b"GNU" && note.n_type(endian).0 == NT_GNU_BUILD_ID.0 {
                    return Some(note.desc().to_vec());
                }
            }
        }
        None
    }
    of::<FileHeader64<Endianness>>(file).or_else(|| of::<FileHeader32<Endianness>>(file))
}

/// Takes the table of sections out of the header, if it begins at or behind the end of what there is of the file.
pub fn without_sections(file: &mut [u8]) {
    /// Does it begin there?
    fn of<H: FileHeader<Endian = Endianness>>(file: &[u8]) -> bool {
        let Ok(header) = H::parse(file) else { return false };
        let at: Option<u64> = header.endian().ok().map(|endian| header.e_shoff(endian).into());
        at.is_some_and(|at| at >= file.len() as u64)
    }
    // e_shoff; e_shnum and e_shstrndx.
    if of::<FileHeader64<Endianness>>(file) {
        file[40..48].fill(0);
        file[60..64].fill(0);
    } else if of::<FileHeader32<Endianness>>(file) {
        file[32..36].fill(0);
        file[48..52].fill(0);
    }
}
