//! Which process becomes the host: the identical original executable, so that /proc/PID/exe is right without any privilege, or a tiny ELF of ours.
//! Neither executes an instruction of its own.
//!
//! An executable that no path led to is in the image, whole. Its pages arrive only later, and nobody may open for writing what is being executed:
//! so the host starts from a memfd with the tiny ELF in it, whose descriptor stays open, and through that the real content replaces it.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt;

use cryo_format::section::mm::Mm;
use cryo_format::section::objects::{Object, ObjectKind, Objects};
use cryo_format::section::process::{Process, ProcessFlags};
use cryo_format::section::sessions::Sessions;
use cryo_tracee::host::{Program, Start};
use cryo_tracee::{Arch, FsRights, Host};
use object::elf;
use object::write::elf::{FileHeader, ProgramHeader, Writer};
use rustix::fs::{MemfdFlags, Mode, OFlags};

use crate::Result;
use crate::error::{About, RefusalKind, refuse};
use crate::ice::Ice;
use crate::ids::Ids;
use crate::options::Options;
use crate::personality;
use crate::same_file::{Hashes, same_file};
use crate::unlinked;

/// What a member of the family executes.
pub struct Executable {
    /// Local id of its object; 0 if the image has none.
    pub object: u64,
    /// The original, if it stands here unchanged.
    original: Option<OwnedFd>,
    /// A tiny one of ours.
    tiny: OwnedFd,
    /// Its content is in the image, and comes into the tiny one's file.
    embedded: bool,
}

impl Executable {
    /// That of process `id`, which reaches files with these rights.
    pub fn of(ice: &Ice, id: u64, rights: &FsRights, options: &Options) -> Result<Self> {
        let exe = ice.need::<Mm>(id)?.exe;
        let object = ice.need::<Objects>(0)?.objects.iter().find(|o| o.id == exe);
        let original = object.map_or(Ok(None), |object| executable(object, rights))?;
        let embedded = object.filter(|object| unlinked::is(object));
        let tiny = tiny(embedded.map_or(b"cryo-host", |object| file_name(object)), ice.arch(id))?;
        // They must be other numbers than what the host inherits: those below 3 may be closed here.
        let above =
            |fd: OwnedFd| rustix::io::fcntl_dupfd_cloexec(&fd, 3).about(|| "making the host's executable".into());
        let (tiny, original) = (above(tiny)?, original.map(above).transpose()?);
        if let Some(object) = embedded {
            // Its mappings are filled before the file is cut to its size.
            let file = File::from(tiny.try_clone().about(|| "making the host's executable".into())?);
            let size = object.size.max(file.metadata().map_or(0, |m| m.len()));
            file.set_len(size).about(|| format!("making {} ({size} bytes)", object.path))?;
        }
        if let Some(object) = object.filter(|_| original.is_none() && embedded.is_none()) {
            options.notes.add(format!(
                "its executable {} is not here as it was: what executes /proc/self/exe will not find it",
                object.path
            ));
        }
        Ok(Self { object: exe, original, tiny, embedded: embedded.is_some() })
    }

    /// Our descriptors for it, the best one first.
    pub fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        self.original.iter().chain([&self.tiny]).map(AsRawFd::as_raw_fd)
    }

    /// The object of the image that it is, and our descriptor for that: the content is still to come.
    pub fn embedded(&self) -> Option<(u64, u64)> {
        self.embedded.then(|| (self.object, self.tiny.as_raw_fd() as u64))
    }
}

/// Starts the host for the root, process `id`. What its descendants will execute is `handed_down`: it stays open in it under our own numbers.
pub fn start(
    ice: &Ice,
    id: u64,
    ids: Ids,
    own: &Executable,
    handed_down: &[Executable],
    options: &Options,
) -> Result<Host> {
    let (process, arch) = (ice.need::<Process>(id)?, ice.arch(id));
    let mut keep: Vec<RawFd> = handed_down.iter().flat_map(Executable::descriptors).collect();
    keep.extend(own.embedded().map(|(_, fd)| fd as RawFd));
    let pid = if ids == Ids::New { None } else { Some(process.pid as i32) };
    let start = |program| Start {
        program,
        pid, // A daemon stays the leader of its own session.
        new_session: options.detach
            || led_session(process)
            || ice.get::<Sessions>(0).is_some_and(|s| s.led_by(process).is_some()),
        sibling: options.watch.is_some(),
        keep: &keep,
        personality: personality::of_a_host(process),
    };
    if let Some(file) = &own.original {
        // Whatever is wrong with it (no permission, noexec), the tiny one does as well.
        match Host::start(&start(Program::Fd(file))) {
            Err(e) if cannot_be_executed(&e) => {}
            other => return of_its_machine(other?, arch),
        }
    }
    match Host::start(&start(Program::Fd(&own.tiny))) {
        Err(e) if e.errno() == Some(libc::ENOEXEC) => no_such_programs(arch),
        other => of_its_machine(other?, arch),
    }
}

fn of_its_machine(host: Host, arch: Arch) -> Result<Host> {
    if host.arch() != arch {
        let (program, image) = (host.arch().name(), arch.name());
        return refuse(
            RefusalKind::Image,
            format!("its executable is a program of {program}, its registers are of {image}"),
        );
    }
    Ok(host)
}

fn no_such_programs<T>(arch: Arch) -> Result<T> {
    let name = arch.name();
    refuse(
        RefusalKind::Machine,
        format!("this kernel executes no programs of {name} (CONFIG_IA32_EMULATION): start it with ia32_emulation=on"),
    )
}

/// Executes it in a host that has our descriptors for it at other numbers, which `at` tells.
pub fn exec(host: &mut Host, (executable, arch): (&Executable, Arch), at: impl Fn(u32) -> Option<u64>) -> Result<()> {
    let mut failed = None;
    for fd in executable.descriptors().filter_map(|fd| at(fd as u32)) {
        match host.exec(fd, &[c"cryo-host"]) {
            Err(e) if cannot_be_executed(&e) => failed = Some(e),
            Ok(()) if host.arch() != arch => {
                return refuse(
                    RefusalKind::Image,
                    format!("an executable is none of {}, as registers are", arch.name()),
                );
            }
            other => return Ok(other?),
        }
    }
    failed.map_or_else(|| refuse(RefusalKind::Internal, "its executable was not handed down"), |e| Err(e.into()))
}

fn cannot_be_executed(e: &cryo_tracee::Error) -> bool {
    matches!(e.errno(), Some(libc::EACCES | libc::ENOEXEC | libc::ENOENT))
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
fn tiny(name: &[u8], arch: Arch) -> Result<OwnedFd> {
    const BASE: u64 = 0x10000;
    let mut bytes = Vec::new();
    let mut writer = Writer::new(object::Endianness::Little, arch == Arch::X86_64, &mut bytes);
    writer.reserve_file_header();
    writer.reserve_program_headers(1);
    let code = writer.reserve(1, 1);
    let len = writer.reserved_len();
    let written = writer.write_file_header(&FileHeader {
        os_abi: elf::ELFOSABI_NONE,
        abi_version: 0,
        e_type: elf::ET_EXEC,
        e_machine: elf::Machine(arch.elf()),
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
