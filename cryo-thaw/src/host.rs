//! Which process becomes the host: the identical original executable, so that /proc/PID/exe is right without any privilege, or a tiny ELF of ours.
//! Neither executes an instruction of its own.
//!
//! An executable that no path led to is in the image, whole. Its pages arrive only later, and nobody may open for writing what is being executed:
//! so the host starts from a memfd with the tiny ELF in it, whose descriptor stays open, and through that the real content replaces it.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use cryo_format::section::mm::Mm;
use cryo_format::section::objects::{Object, ObjectKind, Objects};
use cryo_format::section::process::{Process, ProcessFlags};
use cryo_tracee::host::{Program, Start};
use cryo_tracee::{FsRights, Host};
use object::elf;
use object::write::elf::{FileHeader, ProgramHeader, Writer};
use rustix::fs::{MemfdFlags, Mode, OFlags};

use crate::Result;
use crate::error::{About, RefusalKind, refuse};
use crate::ice::Ice;
use crate::ids::Ids;
use crate::options::Options;
use crate::restore::sessions;
use crate::same_file::{Hashes, same_file};
use crate::unlinked;

/// A host, and what its executable is.
pub struct Started {
    /// The host.
    pub host: Host,
    /// The executable is this object of the image, whose content is still to come, under this descriptor of the host.
    pub executable: Option<(u64, u64)>,
}

/// Starts the host for process `id`.
pub fn start(ice: &Ice, id: u64, ids: Ids, rights: &FsRights, options: &Options) -> Result<Started> {
    let process = ice.need::<Process>(id)?;
    let exe = ice.need::<Mm>(id)?.exe;
    let object = ice.need::<Objects>(0)?.objects.iter().find(|o| o.id == exe);
    let original = object.map_or(Ok(None), |object| executable(object, rights))?;
    let embedded = object.filter(|object| unlinked::is(object));
    let tiny = tiny(embedded.map_or(b"cryo-host", |object| file_name(object)))?;
    // It must be another number than what the host inherits: those below 3 may be closed here.
    let tiny = rustix::io::fcntl_dupfd_cloexec(&tiny, 3).about(|| "making the host's executable".into())?;
    if let Some(object) = embedded {
        // Its mappings are filled before the file is cut to its size.
        let file = File::from(tiny.try_clone().about(|| "making the host's executable".into())?);
        let size = object.size.max(file.metadata().map_or(0, |m| m.len()));
        file.set_len(size).about(|| format!("making {} ({size} bytes)", object.path))?;
    }
    let kept = [tiny.as_raw_fd()];
    if let Some(object) = object.filter(|_| original.is_none() && embedded.is_none()) {
        options.notes.add(format!(
            "its executable {} is not here as it was: what executes /proc/self/exe will not find it",
            object.path
        ));
    }
    let begin = |pid: Option<i32>| {
        let start = |program| Start {
            program,
            pid, // A daemon stays the leader of its own session.
            new_session: options.detach || led_session(process) || sessions::leads(&ice.frost, id).is_some(),
            keep: if embedded.is_some() { &kept } else { &[] },
            personality: process.personality,
        };
        if let Some(file) = &original {
            // Whatever is wrong with it (no permission, noexec), the tiny one does as well.
            match Host::start(&start(Program::Fd(file))) {
                Err(e) if matches!(e.errno(), Some(libc::EACCES | libc::ENOEXEC | libc::ENOENT)) => {}
                other => return other,
            }
        }
        Host::start(&start(Program::Fd(&tiny)))
    };
    let host = match ids {
        Ids::New => begin(None)?,
        Ids::Same | Ids::Namespace(_) => begin(Some(process.pid as i32))?,
    };
    Ok(Started { host, executable: embedded.map(|object| (object.id, kept[0] as u64)) })
}

fn led_session(process: &Process) -> bool {
    process.sid == process.pid && process.flags & ProcessFlags::HAS_TTY == 0
}

/// The original executable, if it stands here unchanged, and the program itself could reach it.
fn executable(object: &Object, rights: &FsRights) -> Result<Option<OwnedFd>> {
    if object.kind != ObjectKind::FILE {
        return Ok(None);
    }
    let _entered = rights.enter()?;
    let Ok(held) = rustix::fs::open(&object.path[..], OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) else {
        return Ok(None);
    };
    let held = File::from(held);
    // A set-user-id program would start as somebody else.
    let plain = |mode: u32| mode & 0o6000 == 0;
    let meta = held.metadata().about(|| format!("looking at {}", object.path))?;
    if !meta.is_file() || !plain(object.mode) || !plain(meta.mode()) {
        return Ok(None);
    }
    // What is held is what is read. It may be there for execution only: then its inode must do.
    let file = File::open(format!("/proc/self/fd/{}", held.as_raw_fd())).or_else(|_| held.try_clone());
    let same = file.is_ok_and(|file| same_file(object, &file, &mut Hashes::default()));
    Ok(same.then(|| held.into()))
}

/// What the executable's memfd is called, which the kernel shows behind `/memfd:`. It takes 249 bytes (memfd_create(2)).
fn file_name(object: &Object) -> &[u8] {
    let name = object.path.rsplit(|b| *b == b'/').next().unwrap_or_default();
    &name[..name.len().min(249)]
}

/// An ELF executable of one page: a header, one segment, no more. It is stopped before its first instruction, which is `hlt`.
fn tiny(name: &[u8]) -> Result<OwnedFd> {
    const BASE: u64 = 0x10000;
    let mut bytes = Vec::new();
    let mut writer = Writer::new(object::Endianness::Little, true, &mut bytes);
    writer.reserve_file_header();
    writer.reserve_program_headers(1);
    let code = writer.reserve(1, 1);
    let len = writer.reserved_len();
    let written = writer.write_file_header(&FileHeader {
        os_abi: elf::ELFOSABI_NONE,
        abi_version: 0,
        e_type: elf::ET_EXEC,
        e_machine: elf::EM_X86_64,
        e_entry: BASE + code,
        e_flags: elf::FileFlags::default(),
    });
    if let Err(e) = written {
        return refuse(RefusalKind::Internal, format!("making the host's executable: {e}"));
    }
    writer.write_program_header(&ProgramHeader {
        p_type: elf::PT_LOAD,
        p_flags: elf::PF_R | elf::PF_X,
        p_offset: 0,
        p_vaddr: BASE,
        p_paddr: BASE,
        p_filesz: len,
        p_memsz: len,
        p_align: 4096,
    });
    writer.write(&[0xf4]);
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Where vm.memfd_noexec is set it must be said that it is to be executed; kernels before 6.3 do not know the word.
    let fd = rustix::fs::memfd_create(name, flags | MemfdFlags::EXEC)
        .or_else(|_| rustix::fs::memfd_create(name, flags))
        .about(|| "making the host's executable".into())?;
    let mut file = File::from(fd);
    file.write_all(&bytes).about(|| "writing the host's executable".into())?;
    Ok(file.into())
}
