//! The notes of a core, in the kernel's order (fs/binfmt_elf.c): structures with words of the process's own size.

use anyhow::ensure;
use cryo_format::section::credentials::Credentials;
use cryo_format::section::mm::Mm;
use cryo_format::section::pending::Pending;
use cryo_format::section::process::Process;
use cryo_format::section::thread::Thread;
use cryo_format::section::tls::Tls;
use cryo_format::section::xstate::Xstate;
use object::elf;

use crate::arch::{Arch, CoreNote, Registers};
use crate::print::Cx;
use crate::space::Space;

/// All notes of a process with these threads.
pub fn notes(cx: &Cx<'_>, arch: Arch, threads: &[u64], space: &Space<'_>) -> anyhow::Result<Vec<u8>> {
    let mut out = Vec::new();
    for (i, id) in threads.iter().enumerate() {
        let Some(regs) = Registers::of(cx.ice, *id).filter(|regs| regs.arch == arch) else { continue };
        note(&mut out, (b"CORE", elf::NT_PRSTATUS.0, prstatus(cx, *id, &regs)))?;
        if i == 0 {
            note(&mut out, (b"CORE", elf::NT_PRPSINFO.0, prpsinfo(cx, arch)))?;
            let first = cx.ice.get::<Pending>(*id).and_then(|p| p.signals.first()?.as_array());
            note(&mut out, (b"CORE", elf::NT_SIGINFO.0, arch.siginfo(first.unwrap_or(&[0; 128])).to_vec()))?;
            if let Some(mm) = cx.ice.get::<Mm>(cx.owner) {
                let auxv = mm.auxv.iter().flat_map(|word| arch.word_of(word.0)).collect();
                note(&mut out, (b"CORE", elf::NT_AUXV.0, auxv))?;
            }
            note(&mut out, (b"CORE", elf::NT_FILE.0, files(cx, arch, space)))?;
        }
        if let Some(x) = cx.ice.get::<Xstate>(*id) {
            for made in x.area.first_chunk().map(|legacy| arch.float_notes(legacy, &regs)).unwrap_or_default() {
                note(&mut out, made)?;
            }
            if let Some(area) = xsave(x) {
                note(&mut out, (b"LINUX", elf::NT_X86_XSTATE.0, area))?;
            }
        }
        for made in cx.ice.get::<Tls>(*id).map(|tls| arch.segment_notes(tls)).unwrap_or_default() {
            note(&mut out, made)?;
        }
    }
    ensure!(!out.is_empty(), "there are no registers in these files: they are in the .freeze");
    Ok(out)
}

/// Components and where Intel's processors have them: debuggers know this layout, and not all know another's.
const COMPONENTS: [(u32, usize, usize); 7] =
    [(2, 576, 256), (3, 960, 64), (4, 1024, 64), (5, 1088, 64), (6, 1152, 512), (7, 1664, 1024), (9, 2688, 8)];

/// The XSAVE area in that layout; none if there is no more than what FXSAVE has.
fn xsave(x: &Xstate) -> Option<Vec<u8>> {
    let header = x.area.get(512..576)?;
    let known = COMPONENTS.iter().filter(|(n, ..)| x.xcr0.0 >> n & 1 != 0);
    let (mut mask, mut len) = (3u64, 576);
    for (n, at, size) in known.clone() {
        mask |= 1 << n;
        len = at + size;
    }
    let mut area = vec![0; len];
    area[..512].copy_from_slice(x.area.get(..512)?);
    // Debuggers read here which components the area has, as the kernel writes it.
    area[464..472].copy_from_slice(&(x.xcr0.0 & mask).to_le_bytes());
    let used = header.first_chunk().map_or(0, |b| u64::from_le_bytes(*b)) & mask;
    area[512..520].copy_from_slice(&used.to_le_bytes());
    for (n, at, size) in known {
        let component = x.layout.iter().find(|c| c.number == *n)?;
        let from = component.offset as usize;
        let size = (*size).min(component.size as usize);
        area[*at..at + size].copy_from_slice(x.area.get(from..from.checked_add(size)?)?);
    }
    Some(area)
}

fn note(out: &mut Vec<u8>, (name, kind, data): CoreNote) -> anyhow::Result<()> {
    for word in [name.len() as u32 + 1, u32::try_from(data.len())?, kind] {
        out.extend(word.to_le_bytes());
    }
    out.extend(name);
    out.push(0);
    out.resize(out.len().next_multiple_of(4), 0);
    out.extend(&data);
    out.resize(out.len().next_multiple_of(4), 0);
    Ok(())
}

/// struct elf_prstatus.
fn prstatus(cx: &Cx<'_>, id: u64, regs: &Registers) -> Vec<u8> {
    let (arch, at) = (regs.arch, regs.arch.procfs());
    let mut out = vec![0; at.status];
    let process = cx.process.and_then(|p| cx.ice.get::<Process>(p));
    let thread = cx.ice.get::<Thread>(id);
    put(&mut out, at.mask, &arch.word_of(thread.map_or(0, |t| t.sigmask.0)));
    let ids = [thread.map(|t| t.tid), process.map(|p| p.ppid), process.map(|p| p.pgid), process.map(|p| p.sid)];
    for (i, n) in ids.iter().enumerate() {
        put(&mut out, at.ids + 4 * i, &(n.unwrap_or(0) as u32).to_le_bytes());
    }
    for (i, (_, value)) in regs.values.iter().enumerate() {
        put(&mut out, at.registers + arch.word() * i, &arch.word_of(*value));
    }
    put(&mut out, at.fpvalid, &1u32.to_le_bytes());
    out
}

/// struct elf_prpsinfo.
fn prpsinfo(cx: &Cx<'_>, arch: Arch) -> Vec<u8> {
    /// What stands for an owner that two bytes have no room for (overflowuid).
    const OVERFLOW: u32 = 65534;
    let at = arch.procfs();
    let mut out = vec![0; at.info];
    let Some(p) = cx.process.and_then(|p| cx.ice.get::<Process>(p)) else { return out };
    let credentials = cx.process.and_then(|p| cx.ice.get::<Credentials>(p));
    put(&mut out, 1, b"S");
    let uid = credentials.map_or(p.uid[0], |c| c.uid[0]);
    let gid = credentials.map_or(p.gid[0], |c| c.gid[0]);
    for (i, owner) in [uid, gid].into_iter().enumerate() {
        let fits = at.owner == 4 || u16::try_from(owner).is_ok();
        let owner = if fits { owner } else { OVERFLOW };
        put(&mut out, at.owners + at.owner * i, &owner.to_le_bytes()[..at.owner]);
    }
    for (i, n) in [p.pid, p.ppid, p.pgid, p.sid].into_iter().enumerate() {
        put(&mut out, at.info_ids + 4 * i, &(n as u32).to_le_bytes());
    }
    let name = p.exe.rsplit(|b| *b == b'/').next().unwrap_or_default();
    put(&mut out, at.name, &name[..name.len().min(15)]);
    let arguments: Vec<u8> = p.cmdline.iter().take(79).map(|b| if *b == 0 { b' ' } else { *b }).collect();
    put(&mut out, at.arguments, &arguments);
    out
}

fn put(out: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(part) = out.get_mut(at..at + bytes.len()) {
        part.copy_from_slice(bytes);
    }
}

/// Which files are mapped where.
fn files(cx: &Cx<'_>, arch: Arch, space: &Space<'_>) -> Vec<u8> {
    let mapped: Vec<_> = space
        .vmas
        .iter()
        .filter_map(|v| Some((v, cx.object(v.object).filter(|o| o.path.first() == Some(&b'/'))?)))
        .collect();
    let mut words = vec![mapped.len() as u64, 4096];
    for (v, _) in &mapped {
        words.extend([v.start.0, v.end.0, v.offset / 4096]);
    }
    let mut out: Vec<u8> = words.into_iter().flat_map(|word| arch.word_of(word)).collect();
    for (_, o) in &mapped {
        out.extend(o.path.iter().copied().filter(|b| *b != 0));
        out.push(0);
    }
    out
}
