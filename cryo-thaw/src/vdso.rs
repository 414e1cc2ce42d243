//! `[vdso]` and the kernel's own pages beside it (`[vvar]`, `[vvar_vclock]`, whatever comes next).
//!
//! The program keeps pointers to the vDSO's functions, so it must stand where it stood. Where the kernel has the same vDSO (by build-id, and the
//! whole group of the same shape), the group is moved there. Elsewhere this kernel's stays where it is, and the old code, which comes with
//! the image, gets a jump to the new function at each of its entry points, or the system call of that name where this kernel has no such function.

use cryo_format::section::objects::{Object, ObjectKind};
use cryo_format::section::vmas::{Backing, Vma};
use cryo_tracee::elf::build_id;
use cryo_tracee::{Arch, Host, proc};
use object::{Object as _, ObjectSymbol};

use crate::Result;
use crate::error::Doing;

/// An old vDSO whose entry points are to lead to the new one.
pub struct Bridge {
    old: (u64, u64),
    /// `None` where this kernel gives programs no vDSO.
    new: Option<(u64, u64)>,
}

/// A larger one is none of any kernel's: theirs have a few pages.
pub const MAX_VDSO: u64 = 1 << 20;

/// Bytes of the longest thing that is written at an entry point.
const LONGEST: u64 = 22;

/// The system calls that the vDSO's functions stand for, with the same arguments; bytes that are random must not come from a page of the old kernel's.
const CALLS: [(&str, i64); 6] = [
    ("clock_gettime", libc::SYS_clock_gettime),
    ("clock_getres", libc::SYS_clock_getres),
    ("gettimeofday", libc::SYS_gettimeofday),
    ("time", libc::SYS_time),
    ("getcpu", libc::SYS_getcpu),
    ("getrandom", libc::SYS_getrandom),
];

/// The same on i386, where some of them have two kinds of times.
const CALLS_I386: [(&str, u32); 7] = [
    ("clock_gettime", 265),
    ("clock_gettime64", 403),
    ("clock_getres", 266),
    ("clock_getres_time64", 406),
    ("gettimeofday", 78),
    ("time", 13),
    ("getcpu", 318),
];

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
            host.call(libc::SYS_munmap, [m.start, m.end - m.start, 0, 0, 0, 0]).doing(|| without(m))?;
        }
        return Ok(None);
    };
    let old = (theirs.start.0, theirs.end.0);
    let Some(ours) = special.iter().find(|m| m.path == b"[vdso]") else {
        return Ok(Some(Bridge { old, new: None }));
    };
    let id = build_id(&read(host, ours.start, ours.end)?);
    let same_build = objects
        .iter()
        .any(|o| o.id == theirs.object && o.kind == ObjectKind::VDSO && !id.is_empty() && id == o.build_id[..]);
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
    Ok(Some(Bridge { old, new: Some(new) }))
}

fn without(m: &proc::Mapping) -> String {
    format!("removing {}, which the program had not", String::from_utf8_lossy(&m.path))
}

fn moving(from: u64, to: u64) -> String {
    format!("moving the vDSO, or what belongs to it, from {from:#x} to {to:#x}")
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
        host.call(libc::SYS_mremap, [*start, *len, *len, flags, *hop, 0]).doing(|| moving(*start, *hop))?;
    }
    for ((hop, (_, len)), to) in hop.iter().zip(from).zip(to) {
        host.call(libc::SYS_mremap, [*hop, *len, *len, flags, *to, 0]).doing(|| moving(*hop, *to))?;
    }
    Ok(())
}

impl Bridge {
    /// Writes the jumps, when the old code has been filled in.
    pub fn build(&self, host: &Host) -> Result<()> {
        let targets = match self.new {
            Some((start, end)) => functions(&read(host, start, end)?, start),
            None => Vec::new(),
        };
        for (name, entry) in functions(&read(host, self.old.0, self.old.1)?, self.old.0) {
            let target = targets.iter().find(|(n, _)| *n == name);
            if host.arch() == Arch::I386 {
                if let Some(code) = entry_of_i386(&name, entry, target.map(|(_, target)| *target)) {
                    host.memory().write(entry, &code)?;
                }
                continue;
            }
            let call = CALLS.iter().find(|(n, _)| name.strip_prefix("__vdso_").unwrap_or(&name) == *n);
            // rax is free at a function's entry.
            let code = match (target, call) {
                // movabs rax, TARGET; jmp rax
                (Some((_, target)), _) => [&[0x48, 0xb8][..], &target.to_le_bytes(), &[0xff, 0xe0]].concat(),
                // mov eax, NUMBER; syscall; ret
                (None, Some((_, call))) => [&[0xb8][..], &(*call as u32).to_le_bytes(), &[0x0f, 0x05, 0xc3]].concat(),
                (None, None) => continue,
            };
            host.memory().write(entry, &code)?;
        }
        Ok(())
    }
}

/// What is written at an entry point of an i386 vDSO. Of `__kernel_vsyscall` nothing behind its first five bytes is touched: threads wait there, and the
/// `int 0x80` that they go on with is the same in all. Nor are the ends of signal handlers, `__kernel_sigreturn` and its like: they are only that call.
fn entry_of_i386(name: &str, entry: u64, target: Option<u64>) -> Option<Vec<u8>> {
    let call = CALLS_I386.iter().find(|(n, _)| name.strip_prefix("__vdso_") == Some(n));
    let vsyscall = name == "__kernel_vsyscall";
    match (target, call) {
        // jmp TARGET: no register is free in a call.
        (Some(target), _) if vsyscall || call.is_some() => {
            Some([&[0xe9][..], &(target.wrapping_sub(entry + 5) as u32).to_le_bytes()].concat())
        }
        // int 0x80; ret
        (None, _) if vsyscall => Some(vec![0xcd, 0x80, 0xc3]),
        // push ebx; mov ebx, [esp + 8]; mov ecx, [esp + 12]; mov edx, [esp + 16]; mov eax, NUMBER; int 0x80; pop ebx; ret
        (None, Some((_, number))) => {
            let arguments = [0x53, 0x8b, 0x5c, 0x24, 8, 0x8b, 0x4c, 0x24, 12, 0x8b, 0x54, 0x24, 16, 0xb8];
            Some([&arguments[..], &number.to_le_bytes(), &[0xcd, 0x80, 0x5b, 0xc3]].concat())
        }
        _ => None,
    }
}

/// Names and addresses of the functions of the vDSO that stands at `start`.
fn functions(image: &[u8], start: u64) -> Vec<(String, u64)> {
    let Ok(elf) = object::File::parse(image) else { return Vec::new() };
    elf.dynamic_symbols()
        .filter(|s| s.is_definition() && s.kind() == object::SymbolKind::Text)
        .filter(|s| s.address().checked_add(LONGEST).is_some_and(|end| end <= image.len() as u64))
        .filter_map(|s| Some((s.name().ok()?.to_owned(), start + s.address())))
        .collect()
}
