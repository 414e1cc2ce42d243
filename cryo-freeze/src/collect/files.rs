//! `FILE`: open files that a path leads to, and those without a name, whose content the image takes along.

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::path::Path;

use cryo_format::section::family::Family;
use cryo_format::section::files::OpenFile;
use cryo_format::section::objects::ObjectKind;
use cryo_format::section::process::Process;
use cryo_tracee::tty::{self, Number};
use cryo_tracee::{fds, magic};

use super::description::{Cx, Description, Fd};
use super::{RefusalKind, ancillary, inodes, refuse, removed};
use crate::Result;
use crate::error::About;

/// /dev/null, zero, full, random and urandom: devices whose opening does nothing, so that an image may do it.
const HARMLESS: [((u32, u32), &[u8]); 5] = [
    ((1, 3), b"/dev/null"),
    ((1, 5), b"/dev/zero"),
    ((1, 7), b"/dev/full"),
    ((1, 8), b"/dev/random"),
    ((1, 9), b"/dev/urandom"),
];

/// Adds the description if it is a file.
pub fn collect<'c>(cx: &mut Cx<'c>, d: &'c Description<'c>) -> Result<bool> {
    let f = d.first();
    let kind = f.meta.file_type();
    let held = f.info.flags() & libc::O_PATH as u64 != 0;
    let device = (rustix::fs::major(f.meta.rdev()), rustix::fs::minor(f.meta.rdev()));
    let harmless = HARMLESS.iter().find(|(number, _)| kind.is_char_device() && *number == device);
    let opened_again = harmless.is_some() || console(cx, d)?;
    if !f.link.starts_with(b"/") || !(kind.is_file() || kind.is_dir() || opened_again || held) {
        return Ok(false);
    }
    if is_pressure(&f.link) && f.open_flags().0 & libc::O_ACCMODE as u64 != libc::O_RDONLY as u64 {
        return refuse(
            RefusalKind::File,
            format!(
                "{} may have a trigger (what was written to it says when poll(2) is to return), which nobody can read: use --fd {}=null|FILE",
                f.name(),
                f.fd
            ),
        );
    }
    let named = named(f, cx.of(f).live_tid);
    let other = if named || f.meta.nlink() == 0 { None } else { other_name(f)? };
    let (path, object) = if let Some(other) = &other {
        (&other[..], 0)
    } else if named {
        (&f.link[..], 0)
    } else if let Some(path) = of_ended_process(cx, f)? {
        (path, 0)
    } else if kind.is_file() && !held {
        unlinked(cx, f)?
    } else if removed::collect(cx, f)? {
        (f.link.strip_suffix(b" (deleted)").unwrap_or(&f.link), 0)
    } else if let Some((_, usual)) = harmless {
        // A device is what its number says, wherever its file was.
        cx.out.note(
            f.name(),
            format!("its name is gone: it is {} instead, the same device", String::from_utf8_lossy(usual)),
        );
        (*usual, 0)
    } else {
        return refuse(RefusalKind::File, format!("{} has no name any more: use --fd {}=null|FILE", f.name(), f.fd));
    };
    if object == 0
        && of_another_member(cx, path)
        && let Some(why) = ancillary::too_late(cx, d, "a file in /proc")
    {
        cx.why = Some(why);
        return Ok(false);
    }
    cx.out.add(
        d.id,
        OpenFile {
            path: path.to_vec().into(),
            open_flags: f.open_flags(),
            offset: f.info.number("pos").unwrap_or(0) as u64,
            dev: f.meta.dev(),
            ino: f.meta.ino(),
            rdev: f.meta.rdev(),
            mode: f.meta.mode(),
            reserved: 0,
            size: if kind.is_file() { f.meta.len() } else { 0 },
            mtime_sec: f.meta.mtime(),
            mtime_nsec: f.meta.mtime_nsec() as u64,
            object,
        },
    );
    Ok(true)
}

/// A file of pressure stall information, of the machine or of a control group (Documentation/accounting/psi.rst).
fn is_pressure(path: &[u8]) -> bool {
    path.starts_with(b"/proc/pressure/") || path.starts_with(b"/sys/fs/cgroup/") && path.ends_with(b".pressure")
}

/// Is it /dev/console or a virtual terminal, held open as a device? Not as the terminal that the process runs on, which becomes the thawer's: its
/// controlling one, or a standard descriptor. (Documentation/admin-guide/devices.txt)
pub fn console(cx: &Cx<'_>, d: &Description<'_>) -> Result<bool> {
    let f = d.first();
    let device = (rustix::fs::major(f.meta.rdev()), rustix::fs::minor(f.meta.rdev()));
    let held = f.info.flags() & libc::O_PATH as u64 != 0;
    if !f.meta.file_type().is_char_device() || !matches!(device, (4, 0..=63) | (5, 1)) || f.fd <= 2 || held {
        return Ok(false);
    }
    let tty = cx.take(f)?;
    let controlling = cx.of(f).stat.field(7)? as u64;
    if f.meta.rdev() == controlling || tty::number(&tty, Number::DEVICE)? == Some(controlling) {
        return Ok(false);
    }
    if tty::is_driven(&tty)? {
        return refuse(
            RefusalKind::Terminal,
            format!(
                "{}: a program draws on this virtual terminal (KDSETMODE) or is asked before it is switched (VT_SETMODE), which is not carried: use \
                 --fd {}=null|FILE",
                f.name(),
                f.fd
            ),
        );
    }
    Ok(true)
}

/// Does its path lead to it? (Not to what has taken its place, and not to what is mounted over it.) For us, or for the process: what we have thawed into a
/// pid namespace has a /proc of its own, in which top keeps files open.
fn named(f: &Fd, tid: i32) -> bool {
    let path = OsStr::from_bytes(&f.link);
    let theirs = [format!("/proc/{tid}/root").as_bytes(), &f.link].concat();
    [path, OsStr::from_bytes(&theirs)].into_iter().any(|path| {
        Path::new(path).symlink_metadata().is_ok_and(|m| (m.dev(), m.ino()) == (f.meta.dev(), f.meta.ino()))
    })
}

/// Where a file is whose name is gone while it has another one: a copy of it would be another file, and whoever has the name would not see what the
/// program writes. Directories count their links in another way.
fn other_name(f: &Fd) -> Result<Option<Vec<u8>>> {
    if f.meta.is_dir() || !f.link.ends_with(b" (deleted)") {
        return Ok(None);
    }
    let same = |m: &Metadata| (m.dev(), m.ino()) == (f.meta.dev(), f.meta.ino());
    match inodes::other_name(&f.link, same) {
        Some(found) => Ok(Some(found)),
        None => refuse(
            RefusalKind::File,
            format!(
                "{}: this name is gone, and the other one that it has is in another directory: give it one beside the old (ln), or use --fd {}=FILE|null",
                f.name(),
                f.fd
            ),
        ),
    }
}

/// Does this path lead into /proc of another member than the first, or of a zombie of theirs? It is opened when that one is born.
fn of_another_member(cx: &Cx<'_>, path: &[u8]) -> bool {
    let Some(rest) = path.strip_prefix(b"/proc/") else { return false };
    let digits = rest.split(|b| *b == b'/').next().unwrap_or_default();
    let Some(pid) = std::str::from_utf8(digits).ok().and_then(|text| text.parse::<u64>().ok()) else { return false };
    let others = || cx.out.sections::<Process>().skip(1).map(|p| p.pid);
    let mut zombies = cx.out.sections::<Family>().flat_map(|f| &f.zombies.0).map(|z| z.pid);
    others().any(|other| other == pid) || zombies.any(|z| z == pid)
}

/// The path of a file in /proc of a process that has ended. What it showed cannot be read any more, which is all that it tells (ESRCH).
fn of_ended_process<'f>(cx: &Cx<'_>, f: &'f Fd) -> Result<Option<&'f [u8]>> {
    let path = f.link.strip_suffix(b" (deleted)").unwrap_or(&f.link);
    let system = rustix::fs::statfs(format!("/proc/{}/fd/{}", cx.of(f).live_tid, f.fd)).map_or(0, |s| s.f_type);
    let of_process = path.strip_prefix(b"/proc/").and_then(<[u8]>::first).is_some_and(u8::is_ascii_digit);
    if system == magic::PROC && of_process {
        return Ok(Some(path));
    }
    if magic::is_made_up(system) {
        return refuse(
            RefusalKind::File,
            format!("{}: what the kernel showed there is gone: use --fd {}=null|FILE", f.name(), f.fd),
        );
    }
    Ok(None)
}

/// The object with the content of a file that no path leads to, and what to call it.
fn unlinked<'f>(cx: &mut Cx<'_>, f: &'f Fd) -> Result<(&'f [u8], u64)> {
    let bare = f.link.strip_suffix(b" (deleted)").unwrap_or(&f.link);
    if bare == b"/secretmem" {
        return refuse(
            RefusalKind::File,
            format!(
                "{} is secret memory (memfd_secret(2)), which nobody but the process itself may read: use --fd {}=null|FILE",
                f.name(),
                f.fd
            ),
        );
    }
    let (kind, name) = match bare.strip_prefix(b"/memfd:") {
        Some(name) => (ObjectKind::MEMFD, name),
        None => (ObjectKind::DELETED, bare),
    };
    let path = format!("/proc/{}/fd/{}", cx.of(f).live_tid, f.fd);
    let own = || copy(&cx.take(f)?.into(), &f.meta).about(|| format!("reading {}", f.name()));
    let file = if cx.machine.noticed.is(Path::new(OsStr::from_bytes(bare)), &f.meta) && is_readable(f) {
        own()?
    } else {
        match opened(&path) {
            // Whoever has it open may read it, whatever its mode says by now (gunicorn's workers tell that they live by changing it).
            Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => own()?,
            opened => opened.about(|| format!("reading the file without a name under {}", f.name()))?,
        }
    };
    // What is read may be a copy, which has none of these.
    let taken = File::from(cx.take(f)?);
    let seals = rustix::fs::fcntl_get_seals(&taken).map_or(0, |s| s.bits());
    if fds::write_hint(&taken) != 0 {
        cx.out.note(f.name(), "how long its content is expected to live (F_SET_RW_HINT) is not carried");
    }
    let object = cx.objects.unlinked(kind, name, &f.meta, file, seals, cx.ids)?;
    Ok((name, object))
}

fn is_readable(f: &Fd) -> bool {
    f.open_flags().0 & libc::O_ACCMODE as u64 != libc::O_WRONLY as u64
}

/// A copy of what the program's own descriptor shows, whose offset stays where it is.
fn copy(from: &File, meta: &Metadata) -> std::io::Result<File> {
    let to = File::from(rustix::fs::memfd_create("copy", rustix::fs::MemfdFlags::CLOEXEC)?);
    to.set_len(meta.len())?;
    let mut room = vec![0; 1 << 20];
    let mut at = 0;
    while at < meta.len() {
        let n = from.read_at(&mut room, at)?;
        if n == 0 {
            break;
        }
        to.write_all_at(&room[..n], at)?;
        at += n as u64;
    }
    Ok(to)
}

/// Opened for reading so that the time of its last access stays, where that is allowed (to its owner).
fn opened(path: &str) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options().read(true).custom_flags(libc::O_NOATIME).open(path).or_else(|_| File::open(path))
}
