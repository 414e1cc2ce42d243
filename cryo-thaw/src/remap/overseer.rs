//! The road through /dev/overseer (overseer-kmod): all mappings that its module can make, in one write. What it cannot make is made by the other road, before or
//! after: overseer-kmod/README.md says where the line runs.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;

use cryo_format::Profile;
use cryo_format::header::Header;
use cryo_format::limits::MIN_PAGE_SHIFT;
use cryo_format::prim::{Addr, Raw};
use cryo_format::section::objects::{Object, ObjectKind, Objects};
use cryo_format::section::vmas::{Backing, VmFlags, Vma, Vmas};
use cryo_format::write::Writer;
use cryo_tracee::remote::SCRATCH;
use cryo_tracee::{Arch, Host, fds};

use super::mapping::{MAP_DROPPABLE, Mapping, Source};
use crate::Result;
use crate::error::{About, Doing, reason};
use crate::restore::open;

const DEVICE: &[u8] = b"/dev/overseer";
// overseer-kmod/overseer.h
const INTERFACE: u64 = 1;
const MAX: usize = 32 << 20;
const VERSION: u64 = 0x8010_6f01;
const KEEP: u64 = 0x4010_6f02;

/// Can the module make it?
pub(super) fn takes(m: &Mapping) -> bool {
    let source = matches!(m.source, Source::Nothing | Source::Shared | Source::File { .. });
    source && m.huge.is_none() && m.flags & libc::MAP_TYPE != MAP_DROPPABLE
}

/// Makes all that it can make. The inner error says why nothing was done.
pub(super) fn remap(
    host: &mut Host,
    base: u64,
    list: &[&Mapping],
    pidfd: &OwnedFd,
) -> Result<std::result::Result<(), String>> {
    let fd = match open::open(host, DEVICE, libc::O_WRONLY | libc::O_CLOEXEC)? {
        Ok(fd) => fd,
        Err(e) => return Ok(Err(reason(&e))),
    };
    let done = through(host, base, list, pidfd, fd)?;
    host.call(libc::SYS_close, [fd, 0, 0, 0, 0, 0])?;
    Ok(done)
}

fn through(
    host: &mut Host,
    base: u64,
    list: &[&Mapping],
    pidfd: &OwnedFd,
    fd: u64,
) -> Result<std::result::Result<(), String>> {
    let mut batch = host.batch()?;
    let version = batch.space(16);
    let keep = batch.put(&[base.to_le_bytes(), SCRATCH.to_le_bytes()].concat());
    batch.call(libc::SYS_ioctl, &[fd, VERSION, version.addr]);
    batch.call(libc::SYS_ioctl, &[fd, KEEP, keep.addr]);
    let done = host.run(batch)?;
    if let Err(e) = done.all() {
        return Ok(Err(reason(&e)));
    }
    // The interface's number and the format's.
    if done.word(version, 0) & 0xffff_ffff != INTERFACE {
        return Ok(Err("another version of the module".into()));
    }
    let bytes = template(host.arch(), list, pidfd)?;
    if bytes.len() > MAX {
        return Ok(Err(format!("a template of {} bytes", bytes.len())));
    }
    let len = bytes.len().next_multiple_of(4096) as u64;
    let prot = (libc::PROT_READ | libc::PROT_WRITE) as u64;
    let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | host.arch().anywhere()) as u64;
    let at = host.call(libc::SYS_mmap, [0, len, prot, flags, u64::MAX, 0]).doing(|| "writing its template".into())?;
    host.memory().write(at, &bytes)?;
    match host.call(libc::SYS_write, [fd, at, bytes.len() as u64, 0, 0, 0]) {
        // The buffer is gone with all else.
        Ok(_) => Ok(Ok(())),
        Err(e) if e.errno().is_some() => {
            host.call(libc::SYS_munmap, [at, len, 0, 0, 0, 0]).doing(|| "taking its template away".into())?;
            Ok(Err(reason(&e)))
        }
        Err(e) => Err(e.into()),
    }
}

/// The list as a .frore, in which each file is the one that the host has open.
fn template(arch: Arch, list: &[&Mapping], pidfd: &OwnedFd) -> Result<Vec<u8>> {
    let mut objects: Vec<Object> = Vec::new();
    let mut files: HashMap<u64, u64> = HashMap::new();
    let mut vmas = Vec::with_capacity(list.len());
    for m in list {
        let next = objects.len() as u64 + 1;
        let (object, write) = match m.source {
            Source::File { fd, write } => {
                let id = *files.entry(fd).or_insert(next);
                if id == next {
                    objects.push(file(id, fd, pidfd)?);
                }
                (id, write)
            }
            Source::Shared => {
                objects.push(Object { id: next, kind: ObjectKind::SHARED_ANONYMOUS, size: m.len, ..Object::default() });
                (next, true)
            }
            _ => (0, false),
        };
        let flag = |is: bool, bit: u64| if is { bit } else { 0 };
        let shared = m.flags & libc::MAP_TYPE == libc::MAP_SHARED;
        let flags = flag(m.flags & libc::MAP_GROWSDOWN != 0, VmFlags::GROWSDOWN)
            | flag(m.flags & libc::MAP_NORESERVE != 0, VmFlags::NORESERVE)
            | flag(shared && write, VmFlags::MAYWRITE);
        vmas.push(Vma {
            start: Addr(m.start),
            end: Addr(m.start + m.len),
            prot: m.prot,
            backing: match object {
                0 => Backing::ANONYMOUS,
                _ if shared => Backing::SHARED,
                _ => Backing::PRIVATE_FILE,
            },
            flags: VmFlags(flags),
            object,
            offset: if matches!(m.source, Source::File { .. }) { m.offset } else { 0 },
            ..Vma::default()
        });
    }
    let header = Header::new(Profile::Frore, arch.elf(), MIN_PAGE_SHIFT, Raw([0; 16]));
    let mut writer = Writer::new(Vec::new(), &header)?;
    writer.section(0, &Objects { objects: objects.into() })?;
    writer.section(1, &Vmas { vmas: vmas.into() })?;
    Ok(writer.finish()?.0)
}

fn file(id: u64, fd: u64, pidfd: &OwnedFd) -> Result<Object> {
    let meta = File::from(fds::take(pidfd, fd as i32)?).metadata().about(|| "looking at a file to be mapped".into())?;
    Ok(Object {
        id,
        kind: ObjectKind::FILE,
        path: format!("/proc/thread-self/fd/{fd}").into_bytes().into(),
        dev: meta.dev(),
        ino: meta.ino(),
        mode: meta.mode(),
        size: meta.len(),
        mtime_sec: meta.mtime(),
        mtime_nsec: meta.mtime_nsec() as u64,
        ..Object::default()
    })
}
