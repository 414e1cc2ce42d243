//! Which process becomes the host: the identical original executable, so that /proc/PID/exe is right without any privilege, or a tiny ELF of ours.
//! Neither executes an instruction of its own.

use std::ffi::CString;
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;

use cryo_format::section::mm::Mm;
use cryo_format::section::objects::{Object, Objects};
use cryo_format::section::process::{Process, ProcessFlags};
use cryo_tracee::Host;
use cryo_tracee::host::{Program, Start};
use object::elf;
use object::write::elf::{FileHeader, ProgramHeader, Writer};

use crate::Result;
use crate::error::{About, refuse};
use crate::ice::Ice;
use crate::ids::Ids;
use crate::options::Options;
use crate::same_file::{Hashes, same_file};

/// Starts the host for process `id`.
pub fn start(ice: &Ice, id: u64, ids: Ids, options: &Options) -> Result<Host> {
    let process = ice.need::<Process>(id)?;
    let original = executable(ice, id)?;
    let tiny = tiny()?;
    let begin = |pid: Option<i32>| {
        let start = |program| Start {
            program,
            pid, // A daemon stays the leader of its own session.
            new_session: options.detach || led_session(process),
            keep: &[],
            personality: process.personality,
        };
        if let Some(path) = &original {
            // Whatever is wrong with it (no permission, noexec), the tiny one does as well.
            match Host::start(&start(Program::Path(path))) {
                Err(e) if matches!(e.errno(), Some(libc::EACCES | libc::ENOEXEC | libc::ENOENT)) => {}
                other => return other,
            }
        }
        Host::start(&start(Program::Fd(&tiny)))
    };
    match ids {
        Ids::New => Ok(begin(None)?),
        Ids::Same | Ids::Namespace(_) => Ok(begin(Some(process.pid as i32))?),
    }
}

fn led_session(process: &Process) -> bool {
    process.sid == process.pid && process.flags & ProcessFlags::HAS_TTY == 0
}

/// The original executable, if it stands here unchanged.
fn executable(ice: &Ice, id: u64) -> Result<Option<CString>> {
    let exe = ice.need::<Mm>(id)?.exe;
    let objects = ice.need::<Objects>(0)?;
    let Some(object) = objects.objects.iter().find(|o| o.id == exe) else { return Ok(None) };
    // A set-user-id program would start as somebody else.
    let plain = |o: &Object| o.mode & 0o6000 == 0 && same_file(o, &mut Hashes::default()).is_some();
    Ok(plain(object).then(|| CString::new(object.path.0.clone()).ok()).flatten())
}

/// An ELF executable of one page: a header, one segment, no more. It is stopped before its first instruction, which is `hlt`.
fn tiny() -> Result<OwnedFd> {
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
        return refuse(format!("making the host's executable: {e}"));
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
    let flags = rustix::fs::MemfdFlags::CLOEXEC;
    let fd = rustix::fs::memfd_create("cryo-host", flags).about(|| "making the host's executable".into())?;
    let mut file = File::from(fd);
    file.write_all(&bytes).about(|| "writing the host's executable".into())?;
    Ok(file.into())
}
