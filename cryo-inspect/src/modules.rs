//! The programs and libraries in a process: their ELF files, from this machine where they are the same, else as far as the image has them.

use std::cell::OnceCell;
use std::os::unix::fs::FileExt;

use cryo_format::Result;
use cryo_format::section::objects::{ObjectKind, Objects};
use object::elf::{PT_LOAD, ProgramType};
use object::{Object as _, ObjectSection, ObjectSymbol, SymbolKind};

use crate::elf;
use crate::print::{Cx, short_name};
use crate::space::{Place, Run, Space};
use crate::text::clipped;

/// All files of a process together: what is more is not looked into.
const LARGEST: u64 = 512 << 20;
/// As many symbols of one file are kept.
const MOST: usize = 2_000_000;

/// A function or a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Its address in the process.
    pub addr: u64,
    /// Its size; 0 if the file does not say.
    pub size: u64,
    /// Its name, demangled, and fit for a terminal.
    pub name: String,
    /// Its name as it stands in the file.
    pub raw: Vec<u8>,
    /// Is it code?
    pub code: bool,
}

/// One ELF file in the process.
pub struct Module {
    /// Its path, or `[vdso]`; fit for a terminal.
    pub name: String,
    /// Its path, as it is.
    pub path: Vec<u8>,
    /// The object's local id.
    pub object: u64,
    /// What is added to the file's addresses.
    pub bias: u64,
    /// The first address that is mapped.
    pub start: u64,
    /// The first address behind all that is mapped.
    pub end: u64,
    /// Is the whole file at hand, with what is not mapped?
    pub whole: bool,
    /// Its build-id; empty if it has none.
    pub build_id: Vec<u8>,
    bytes: Vec<u8>,
    symbols: OnceCell<Vec<Symbol>>,
}

/// All of them, by address.
pub struct Modules(pub Vec<Module>);

impl Modules {
    /// Those of a process.
    pub fn of(cx: &Cx<'_>, space: &mut Space<'_>) -> Result<Self> {
        let mut found = Vec::new();
        let mut left = LARGEST;
        let objects = cx.ice.get::<Objects>(0).map_or(&[][..], |o| &o.objects[..]);
        for o in objects.iter().filter(|o| matches!(o.kind, ObjectKind::FILE | ObjectKind::DELETED | ObjectKind::VDSO))
        {
            let vmas: Vec<_> = space.vmas.iter().filter(|v| v.object == o.id).collect();
            let Some(code) = vmas.iter().find(|v| v.prot & 4 != 0) else { continue };
            let (whole, bytes) = match space.file(o.id).filter(|_| o.size <= left) {
                Some(file) => {
                    let mut bytes = vec![0; o.size as usize];
                    (file.read_exact_at(&mut bytes, 0).is_ok(), bytes)
                }
                None => (false, mapped(&vmas, space, left)?),
            };
            left = left.saturating_sub(bytes.len() as u64);
            let Some(bias) = bias(&bytes, code.start.0, code.offset) else { continue };
            found.push(Module {
                name: short_name(o),
                path: o.path.to_vec(),
                object: o.id,
                bias,
                start: vmas.iter().map(|v| v.start.0).min().unwrap_or_default(),
                end: vmas.iter().map(|v| v.end.0).max().unwrap_or_default(),
                whole,
                build_id: o.build_id.to_vec(),
                bytes,
                symbols: OnceCell::new(),
            });
        }
        found.sort_by_key(|m| m.start);
        Ok(Self(found))
    }

    /// The one at an address.
    pub fn at(&self, addr: u64) -> Option<&Module> {
        self.0.iter().find(|m| (m.start..m.end).contains(&addr))
    }

    /// The symbol at an address: one that contains it, or the last one before it.
    pub fn symbol(&self, addr: u64) -> Option<(&Module, &Symbol)> {
        let module = self.at(addr)?;
        let all = module.symbols();
        let n = all.partition_point(|s| s.addr <= addr);
        let inside = |s: &&Symbol| s.size == 0 || addr - s.addr < s.size;
        // Symbols of one address stand beside each other.
        all[..n].iter().rev().take(16).find(inside).map(|s| (module, s))
    }

    /// `main+0x12`, `libc.so.6+0x2a1d0`; none for what is in no file.
    pub fn name(&self, addr: u64) -> Option<String> {
        if let Some((_, s)) = self.symbol(addr) {
            return Some(if addr == s.addr { s.name.clone() } else { format!("{}+{:#x}", s.name, addr - s.addr) });
        }
        self.at(addr).map(|m| format!("{}+{:#x}", m.name, addr.wrapping_sub(m.bias)))
    }

    /// The symbols of that name, demangled or not.
    pub fn named(&self, name: &str) -> Vec<(&Module, &Symbol)> {
        let same = |s: &&Symbol| s.name == name || s.raw == name.as_bytes();
        self.0.iter().flat_map(|m| m.symbols().iter().filter(same).map(move |s| (m, s))).collect()
    }
}

impl Module {
    /// The file, if it can be understood.
    pub fn elf(&self) -> Option<object::File<'_>> {
        object::File::parse(&self.bytes[..]).ok()
    }

    /// The bytes of the file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// A section's content.
    pub fn section(&self, name: &str) -> Option<Vec<u8>> {
        let elf = self.elf()?;
        let section = elf.section_by_name(name)?;
        if section.size() > LARGEST {
            return None;
        }
        section.uncompressed_data().ok().map(std::borrow::Cow::into_owned)
    }

    /// Addresses (as the process has them) and file offsets of what is loaded with such a program header.
    pub fn header(&self, kind: ProgramType) -> Option<(u64, &[u8])> {
        let found = elf::segments(&self.bytes[..])?.into_iter().find(|s| s.kind == kind)?;
        Some((found.vaddr.wrapping_add(self.bias), found.data(&self.bytes)?))
    }

    /// Its symbols, by address.
    pub fn symbols(&self) -> &[Symbol] {
        self.symbols.get_or_init(|| {
            let Some(elf) = self.elf() else { return Vec::new() };
            let mut found: Vec<Symbol> = elf
                .symbols()
                .chain(elf.dynamic_symbols())
                .filter(|s| s.is_definition() && matches!(s.kind(), SymbolKind::Text | SymbolKind::Data))
                .take(MOST)
                .filter_map(|s| {
                    let raw = s.name_bytes().ok().filter(|n| !n.is_empty())?;
                    Some(Symbol {
                        addr: s.address().wrapping_add(self.bias),
                        size: s.size(),
                        name: demangled(raw),
                        raw: raw.to_vec(),
                        code: s.kind() == SymbolKind::Text,
                    })
                })
                .collect();
            found.sort_by(|a, b| (a.addr, a.size, &a.raw).cmp(&(b.addr, b.size, &b.raw)));
            found.dedup_by(|a, b| a.addr == b.addr && a.raw == b.raw);
            found
        })
    }
}

fn demangled(raw: &[u8]) -> String {
    // What is longer is no name, and demangling is not linear.
    let Some(text) = std::str::from_utf8(raw).ok().filter(|t| t.len() < 4096) else { return clipped(raw, 200) };
    clipped(addr2line::demangle_auto(text.into(), None).as_bytes(), 400)
}

/// As much of a file as is mapped and in the image, at its offsets.
fn mapped(vmas: &[&cryo_format::section::vmas::Vma], space: &mut Space<'_>, most: u64) -> Result<Vec<u8>> {
    let end = vmas.iter().map(|v| v.offset.saturating_add(v.end.0 - v.start.0)).max().unwrap_or(0);
    // What an image says to be large has to hold something.
    let held: u64 = vmas
        .iter()
        .flat_map(|v| space.within(v.start.0, v.end.0))
        .filter(|r| !matches!(r.place, Place::Zero | Place::Absent))
        .map(|r| r.end - r.start)
        .sum();
    if end > most || end > held.saturating_mul(16).saturating_add(1 << 20) {
        return Ok(Vec::new());
    }
    let mut bytes = vec![0; end as usize];
    for v in vmas {
        let runs: Vec<Run> = space.within(v.start.0, v.end.0).collect();
        for run in runs.iter().filter(|r| !matches!(r.place, Place::Zero | Place::Absent)) {
            let at = (v.offset + (run.start - v.start.0)) as usize;
            let part = &mut bytes[at..at + (run.end - run.start) as usize];
            space.read(run.start, part)?;
        }
    }
    // The table of sections is not loaded: what stands at its place is something else.
    elf::without_sections(&mut bytes);
    Ok(bytes)
}

/// The difference between the process's addresses and the file's, from one of its mappings.
fn bias(bytes: &[u8], start: u64, offset: u64) -> Option<u64> {
    let all = elf::segments(bytes)?;
    let loaded = all.iter().filter(|s| s.kind == PT_LOAD && (s.offset & !0xfff) <= offset);
    loaded
        .filter_map(|s| {
            let end = s.offset.checked_add(s.size)?;
            (offset < end).then(|| start.wrapping_sub(offset).wrapping_add(s.offset).wrapping_sub(s.vaddr))
        })
        .next_back()
}
