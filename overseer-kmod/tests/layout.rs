//! `frore_layout.h`, line by line, against what cryo-format writes.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fmt::Write as _;

use cryo_format::chunk::{CHUNK_HEADER_LEN, ChunkFlags, ChunkHeader};
use cryo_format::header::{EM_386, EM_X86_64, HEADER_LEN, Header, MAGIC};
use cryo_format::index::{End, FOOTER_LEN, FOOTER_MAGIC, Footer, STRUCTURAL_VERSION};
use cryo_format::limits;
use cryo_format::prim::Raw;
use cryo_format::section::objects::ObjectKind;
use cryo_format::section::vmas::{Backing, VmFlags};
use cryo_format::section::{OLD_SECTIONS, SECTIONS};
use cryo_format::{Kind, Profile};

const LAYOUT: &str = include_str!("../frore_layout.h");

/// The numbers that the header defines.
fn defined() -> BTreeMap<&'static str, u64> {
    let lines = LAYOUT.lines().filter_map(|l| l.strip_prefix("#define FRORE_"));
    lines
        .filter_map(|l| {
            let (name, value) = l.split_once(' ')?;
            let value = match value.strip_prefix("0x") {
                Some(digits) => u64::from_str_radix(digits, 16).ok()?,
                None => value.parse().ok()?,
            };
            Some((name, value))
        })
        .collect()
}

/// Where in `bytes` this stands, and nowhere else.
fn place(bytes: &[u8], what: &[u8]) -> u64 {
    let mut places = bytes.windows(what.len()).enumerate().filter(|(_, w)| *w == what).map(|(i, _)| i as u64);
    let first = places.next().unwrap();
    assert_eq!(places.next(), None, "{what:x?} is there twice");
    first
}

#[test]
fn every_number_is_the_format_s() {
    let header = Header {
        profile: Profile::Frore,
        machine: EM_X86_64,
        page_shift: 13,
        major: 0x0a0b,
        minor: 0,
        incompat: 0x1122_3344_5566_7788,
        compat: 0,
        set: Raw([0xee; 16]),
    }
    .to_bytes();
    let chunk = ChunkHeader {
        kind: Kind(*b"KIND"),
        version: 0x0102,
        flags: ChunkFlags(0x0304),
        owner: 0x1112_1314_1516_1718,
        stored: 0x2122_2324_2526_2728,
        raw: 0x3132_3334_3536_3738,
        crc: 0x4142_4344,
    }
    .to_bytes();
    let footer = Footer { index: 0x1122_3344_5566_7788, end: 0x2122_2324_2526_2728 }.to_bytes();
    // END is written by the writer alone; its parts are the root and the count (spec/11-integrity.md).
    let root = 32;
    let crc = |bytes: &[u8]| bytes.len() as u64 - 4;
    let index = place(&footer, &0x1122_3344_5566_7788_u64.to_le_bytes());
    let end = place(&footer, &0x2122_2324_2526_2728_u64.to_le_bytes());
    let is: BTreeMap<&str, u64> = [
        ("HEADER_LEN", HEADER_LEN as u64),
        ("HEADER_PROFILE", MAGIC.len() as u64),
        ("HEADER_MACHINE", place(&header, &EM_X86_64.to_le_bytes())),
        ("HEADER_MAJOR", place(&header, &0x0a0b_u16.to_le_bytes())),
        ("HEADER_INCOMPAT", place(&header, &0x1122_3344_5566_7788_u64.to_le_bytes())),
        ("HEADER_PAGE_SHIFT", place(&header, &[13, 0])),
        ("HEADER_RESERVED", place(&header, &[13, 0]) + 1),
        ("HEADER_CRC", crc(&header)),
        ("MAJOR", cryo_format::header::MAJOR.into()),
        ("PROFILE_FREEZE", Profile::Freeze as u64),
        ("PROFILE_FRORE", Profile::Frore as u64),
        ("PROFILE_FROST", Profile::Frost as u64),
        ("EM_386", EM_386.into()),
        ("EM_X86_64", EM_X86_64.into()),
        ("CHUNK_HEADER_LEN", CHUNK_HEADER_LEN as u64),
        ("CHUNK_KIND", place(&chunk, b"KIND")),
        ("CHUNK_VERSION", place(&chunk, &0x0102_u16.to_le_bytes())),
        ("CHUNK_FLAGS", place(&chunk, &0x0304_u16.to_le_bytes())),
        ("CHUNK_OWNER", place(&chunk, &0x1112_1314_1516_1718_u64.to_le_bytes())),
        ("CHUNK_STORED", place(&chunk, &0x2122_2324_2526_2728_u64.to_le_bytes())),
        ("CHUNK_RAW", place(&chunk, &0x3132_3334_3536_3738_u64.to_le_bytes())),
        ("CHUNK_CRC", place(&chunk, &0x4142_4344_u32.to_le_bytes())),
        ("CHUNK_RESERVED", place(&chunk, &0x4142_4344_u32.to_le_bytes()) + 4),
        ("CHUNK_HEADER_CRC", crc(&chunk)),
        ("CRITICAL", ChunkFlags::CRITICAL.0.into()),
        ("SAFE_TO_COPY", ChunkFlags::SAFE_TO_COPY.0.into()),
        ("CODEC", (0..16).map(|bit| 1 << bit).filter(|bit| ChunkFlags(*bit).codec() != 0).map(u64::from).sum()),
        ("END_LEN", End::LEN as u64),
        ("END_CHUNKS", root),
        ("FOOTER_LEN", FOOTER_LEN as u64),
        ("FOOTER_INDEX", index),
        ("FOOTER_END", end),
        ("FOOTER_RESERVED", end + 8),
        ("FOOTER_CRC", crc(&footer)),
        ("MAX_METADATA", limits::MAX_METADATA),
        ("MAX_DATA", limits::MAX_DATA),
        ("MIN_PAGE_SHIFT", limits::MIN_PAGE_SHIFT.into()),
        ("MAX_PAGE_SHIFT", limits::MAX_PAGE_SHIFT.into()),
        ("CHUNK_ALIGN", limits::CHUNK_ALIGN),
        ("DIGEST_LEN", cryo_format::digest(b"").0.len() as u64),
        ("OBJECT_FILE", ObjectKind::FILE.0.into()),
        ("OBJECT_SHARED_ANONYMOUS", ObjectKind::SHARED_ANONYMOUS.0.into()),
        ("ANONYMOUS", Backing::ANONYMOUS.0.into()),
        ("PRIVATE_FILE", Backing::PRIVATE_FILE.0.into()),
        ("SHARED", Backing::SHARED.0.into()),
        ("SPECIAL", Backing::SPECIAL.0.into()),
        ("VM_GROWSDOWN", VmFlags::GROWSDOWN),
        ("VM_LOCKED", VmFlags::LOCKED),
        ("VM_NORESERVE", VmFlags::NORESERVE),
        ("VM_HUGETLB", VmFlags::HUGETLB),
        ("VM_LOCKONFAULT", VmFlags::LOCKONFAULT),
        ("VM_DROPPABLE", VmFlags::DROPPABLE),
        ("VM_MAYWRITE", VmFlags::MAYWRITE),
    ]
    .into();
    assert_eq!(defined(), is);
    let text = |bytes: &[u8]| format!("\"\\xc7\" \"{}\"", bytes[1..].escape_ascii());
    assert!(LAYOUT.contains(&format!("#define FRORE_MAGIC {}\n", text(&MAGIC))), "{}", text(&MAGIC));
    assert!(LAYOUT.contains(&format!("#define FRORE_FOOTER_MAGIC {}\n", text(&FOOTER_MAGIC))));
}

#[test]
fn every_kind_of_the_registry_is_there() {
    let mut kinds = String::new();
    let mut line = |kind: Kind, version: u16, profile: u8, flags: ChunkFlags| {
        let name = kind.0.escape_ascii();
        if !kinds.is_empty() {
            kinds.push_str(" \\\n");
        }
        write!(kinds, "\tX(\"{name}\", {version}, {profile}, {})", flags.0).unwrap();
    };
    for kind in [Kind::DATA, Kind::END] {
        line(kind, STRUCTURAL_VERSION, 0, ChunkFlags::CRITICAL);
    }
    for kind in [Kind::PAD, Kind::INDX] {
        line(kind, STRUCTURAL_VERSION, 0, ChunkFlags::NONE);
    }
    for info in SECTIONS.iter().chain(OLD_SECTIONS) {
        line(info.kind, info.version, info.profile as u8, info.flags);
    }
    let begin = "#define FRORE_KINDS(X) \\\n";
    let (before, listed) = LAYOUT.split_once(begin).unwrap();
    let listed = listed.split_once("\n\n").unwrap().0;
    if listed != kinds && std::env::var_os("CRYO_BLESS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/frore_layout.h");
        std::fs::write(path, format!("{before}{begin}{kinds}\n\n#endif\n")).unwrap();
        return;
    }
    assert_eq!(listed, kinds, "run `CRYO_BLESS=1 cargo test -p overseer-kmod --test layout`");
}
