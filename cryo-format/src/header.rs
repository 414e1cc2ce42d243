//! The header: the first 64 bytes of every file (spec/04-header.md).

use std::fmt;
use std::io::Cursor;

use binrw::{BinRead, BinWrite, binrw};
use serde::{Deserialize, Serialize};

use crate::compressed::compressed_by;
use crate::limits::{MAX_PAGE_SHIFT, MIN_PAGE_SHIFT};
use crate::prim::Raw;
use crate::rules::{Rule, Violation, ensure};

/// The first nine bytes: one above 0x7f, the name, and CR LF 0x1a LF, so that text transfers and guesses by content fail early.
pub const MAGIC: [u8; 9] = *b"\xc7CRYO\r\n\x1a\n";

/// Length of the header.
pub const HEADER_LEN: usize = 64;

/// Version of the format that is written here, and the only major version that can be read.
pub const MAJOR: u16 = 1;
/// Minor version that is written here. Readers take any.
pub const MINOR: u16 = 0;

/// `incompat` bits that this reader knows: none yet.
pub const KNOWN_INCOMPAT: u64 = 0;

/// ELF's number for x86-64.
pub const EM_X86_64: u16 = 62;
/// ELF's number for i386.
pub const EM_386: u16 = 3;

/// Which of the three files it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Registers and memory.
    Freeze = 1,
    /// The template: ranges and permissions.
    Frore = 2,
    /// What the kernel keeps.
    Frost = 3,
}

impl Profile {
    /// All, in the order in which a set travels on a pipe.
    pub const ALL: [Self; 3] = [Self::Frore, Self::Frost, Self::Freeze];

    /// The file name's extension.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Freeze => "freeze",
            Self::Frore => "frore",
            Self::Frost => "frost",
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.extension())
    }
}

/// The header's fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Header {
    /// Which of the three files.
    pub profile: Profile,
    /// [`EM_X86_64`] or [`EM_386`].
    pub machine: u16,
    /// Page size as a power of two.
    pub page_shift: u8,
    /// Major version.
    pub major: u16,
    /// Minor version.
    pub minor: u16,
    /// Features without which the file cannot be understood.
    pub incompat: u64,
    /// Features that a reader may ignore.
    pub compat: u64,
    /// The set that the file belongs to; of a .frore, the template's own id.
    pub set: Raw<16>,
}

#[binrw]
#[brw(little)]
struct Layout {
    magic: [u8; 9],
    profile: u8,
    machine: u16,
    major: u16,
    minor: u16,
    incompat: u64,
    compat: u64,
    set: Raw<16>,
    page_shift: u8,
    reserved: [u8; 11],
    crc: u32,
}

impl Header {
    /// A header of the version written here.
    pub fn new(profile: Profile, machine: u16, page_shift: u8, set: Raw<16>) -> Self {
        Self { profile, machine, page_shift, major: MAJOR, minor: MINOR, incompat: 0, compat: 0, set }
    }

    /// Bytes in a page.
    pub fn page_size(&self) -> u64 {
        1 << self.page_shift.min(MAX_PAGE_SHIFT)
    }

    /// As it stands in the file.
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let layout = Layout {
            magic: MAGIC,
            profile: self.profile as u8,
            machine: self.machine,
            major: self.major,
            minor: self.minor,
            incompat: self.incompat,
            compat: self.compat,
            set: self.set,
            page_shift: self.page_shift,
            reserved: [0; 11],
            crc: 0,
        };
        let mut bytes = [0; HEADER_LEN];
        // Writing fixed fields into a buffer of their exact length cannot fail.
        let _ = layout.write(&mut Cursor::new(&mut bytes[..]));
        let crc = crc32c::crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// From the first bytes of a file.
    pub fn from_bytes(bytes: &[u8; HEADER_LEN]) -> Result<Self, Violation> {
        let l = Layout::read(&mut Cursor::new(bytes)).map_err(|e| Rule::MAGIC.broken(e.to_string()))?;
        magic(bytes)?;
        ensure(crc32c::crc32c(&bytes[..60]) == l.crc, Rule::HEADER_CHECKSUM, || "the header's checksum is wrong")?;
        ensure(l.major == MAJOR, Rule::MAJOR, || {
            format!("format version {}.{}, and this program reads version {MAJOR}: use a newer Cryo", l.major, l.minor)
        })?;
        let unknown = l.incompat & !KNOWN_INCOMPAT;
        ensure(unknown == 0, Rule::INCOMPAT, || {
            format!("it needs features {unknown:#x} that this program does not know: use a newer Cryo")
        })?;
        let profile = match l.profile {
            1 => Profile::Freeze,
            2 => Profile::Frore,
            3 => Profile::Frost,
            other => return Err(Rule::PROFILE.broken(format!("profile {other} is none of the three"))),
        };
        ensure(l.machine == EM_X86_64 || l.machine == EM_386, Rule::MACHINE, || {
            format!("machine {} is neither x86-64 nor i386", l.machine)
        })?;
        ensure((MIN_PAGE_SHIFT..=MAX_PAGE_SHIFT).contains(&l.page_shift), Rule::PAGE_SHIFT, || {
            format!("page shift {} is not between {MIN_PAGE_SHIFT} and {MAX_PAGE_SHIFT}", l.page_shift)
        })?;
        ensure(l.reserved == [0; 11], Rule::HEADER_RESERVED, || "reserved bytes of the header are not zero")?;
        Ok(Self {
            profile,
            machine: l.machine,
            page_shift: l.page_shift,
            major: l.major,
            minor: l.minor,
            incompat: l.incompat,
            compat: l.compat,
            set: l.set,
        })
    }
}

/// Do these first bytes begin as a file of ours does? `bytes` may be fewer than nine.
pub(crate) fn magic(bytes: &[u8]) -> Result<(), Violation> {
    let n = bytes.len().min(MAGIC.len());
    ensure(bytes[..n] == MAGIC[..n], Rule::MAGIC, || match (bytes, compressed_by(bytes)) {
        (_, Some(program)) => format!("it is compressed by {program}: unpack it first, with {program} -d"),
        ([0xc7, b'C', b'R', b'Y', b'O', ..], _) => {
            "the magic bytes were changed: was the file transferred as text?".to_owned()
        }
        _ => "not a Cryo file: it does not begin with the magic bytes".to_owned(),
    })
}
