//! `[vdso]` and the kernel's own pages beside it (`[vvar]`, `[vvar_vclock]`, whatever comes next).
//!
//! The program keeps pointers to the vDSO's functions, so it must stand where it stood. Where the kernel has the same vDSO (by build-id, and the
//! whole group of the same shape), the group is moved there. Elsewhere this kernel's stays where it is, and the old code, which comes with
//! the image, gets a jump to the new function at each of its entry points.

use cryo_format::section::objects::{Object, ObjectKind};
use cryo_format::section::vmas::{Backing, Vma};
use cryo_tracee::{Host, proc};
use object::read::elf::ElfFile64;
use object::{Endianness, Object as _, ObjectSymbol};

use crate::Result;
use crate::error::refuse;

/// An old vDSO whose entry points are to lead to the new one.
pub struct Bridge {
    old: (u64, u64),
    new: (u64, u64),
}

/// The build-id of a vDSO's bytes.
fn build_id(image: &[u8]) -> Option<Vec<u8>> {
    let elf = ElfFile64::<Endianness>::parse(image).ok()?;
    elf.build_id().ok()?.map(<[u8]>::to_vec)
}

fn read(host: &Host, start: u64, end: u64) -> Result<Vec<u8>> {
    let mut bytes = vec![0; (end - start) as usize];
    host.memory().read(start, &mut bytes)?;
    Ok(bytes)
}

/// Moves the kernel's group to where the image has it, or says how the old one must be bridged. `base` is the scratch mapping: below it is room.
pub fn place(
    host: &mut Host,
    vmas: &[Vma],
    objects: &[Object],
    special: &[proc::Mapping],
    base: u64,
) -> Result<Option<Bridge>> {
    let special: Vec<&proc::Mapping> = special.iter().filter(|m| m.path != b"[vsyscall]").collect();
    let wanted: Vec<&Vma> = vmas.iter().filter(|v| v.backing == Backing::SPECIAL).collect();
    let Some(theirs) = wanted.iter().find(|v| v.name.0 == b"[vdso]") else {
        // A program without (vdso=0, or it unmapped it): then the host has none either.
        for m in special {
            host.call(libc::SYS_munmap, [m.start, m.end - m.start, 0, 0, 0, 0])?;
        }
        return Ok(None);
    };
    let Some(ours) = special.iter().find(|m| m.path == b"[vdso]") else {
        return refuse("this kernel gives programs no vDSO, and the frozen one has pointers into its own");
    };
    let id = build_id(&read(host, ours.start, ours.end)?);
    let same_build = objects
        .iter()
        .any(|o| o.id == theirs.object && o.kind == ObjectKind::VDSO && id.as_deref() == Some(&o.build_id[..]));
    let same_shape = wanted.len() == special.len()
        && wanted.iter().zip(&special).all(|(v, m)| v.name.0 == m.path && v.end.0 - v.start.0 == m.end - m.start);
    if same_build && same_shape {
        let from: Vec<(u64, u64)> = special.iter().map(|m| (m.start, m.end - m.start)).collect();
        let to: Vec<u64> = wanted.iter().map(|v| v.start.0).collect();
        move_all(host, &from, &to, base)?;
        return Ok(None);
    }
    // It must not be in the way of the image's own mappings.
    let group = (special.first().map_or(0, |m| m.start), special.last().map_or(0, |m| m.end));
    let (mut new, overlaps) = ((ours.start, ours.end), vmas.iter().any(|v| v.start.0 < group.1 && group.0 < v.end.0));
    if overlaps {
        let shift = base - (group.1 - group.0) - (1 << 16);
        let from: Vec<(u64, u64)> = special.iter().map(|m| (m.start, m.end - m.start)).collect();
        let to: Vec<u64> = special.iter().map(|m| shift + (m.start - group.0)).collect();
        move_all(host, &from, &to, base)?;
        new = (shift + (ours.start - group.0), shift + (ours.end - group.0));
    }
    Ok(Some(Bridge { old: (theirs.start.0, theirs.end.0), new }))
}

/// Moves each range; by way of free room where a destination overlaps a source that is still in use.
fn move_all(host: &mut Host, from: &[(u64, u64)], to: &[u64], base: u64) -> Result<()> {
    if from.iter().map(|f| f.0).eq(to.iter().copied()) {
        return Ok(());
    }
    let flags = (libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED) as u64;
    let mut room = base - from.iter().map(|f| f.1).sum::<u64>() - (1 << 16);
    let hop: Vec<u64> = from
        .iter()
        .map(|f| {
            room += f.1;
            room - f.1
        })
        .collect();
    for ((start, len), hop) in from.iter().zip(&hop) {
        host.call(libc::SYS_mremap, [*start, *len, *len, flags, *hop, 0])?;
    }
    for ((hop, (_, len)), to) in hop.iter().zip(from).zip(to) {
        host.call(libc::SYS_mremap, [*hop, *len, *len, flags, *to, 0])?;
    }
    Ok(())
}

impl Bridge {
    /// Writes the jumps, when the old code has been filled in.
    pub fn build(&self, host: &Host) -> Result<()> {
        let (old, new) = (read(host, self.old.0, self.old.1)?, read(host, self.new.0, self.new.1)?);
        let targets = functions(&new);
        for (name, offset) in functions(&old) {
            let Some((_, target)) = targets.iter().find(|(n, _)| *n == name) else { continue };
            // movabs rax, TARGET; jmp rax: rax is free at a function's entry.
            let mut jump = vec![0x48, 0xb8];
            jump.extend_from_slice(&(self.new.0 + target).to_le_bytes());
            jump.extend_from_slice(&[0xff, 0xe0]);
            host.memory().write(self.old.0 + offset, &jump)?;
        }
        Ok(())
    }
}

/// Names and offsets of a vDSO's functions.
fn functions(image: &[u8]) -> Vec<(String, u64)> {
    let Ok(elf) = ElfFile64::<Endianness>::parse(image) else { return Vec::new() };
    elf.dynamic_symbols()
        .filter(|s| s.is_definition() && s.kind() == object::SymbolKind::Text)
        .filter_map(|s| Some((s.name().ok()?.to_owned(), s.address())))
        .filter(|(_, offset)| *offset + 12 <= image.len() as u64)
        .collect()
}
