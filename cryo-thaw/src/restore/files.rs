//! `FILE`: open files that a path leads to, and deleted ones whose content the image has.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;

use cryo_format::section::files::OpenFile;
use cryo_format::section::objects::{Object, ObjectKind};
use cryo_tracee::{Batch, Host};

use super::attributes;
use super::history;
use super::open::{self, set_flags};
use super::paths::{self, Found};
use super::table::Table;
use crate::Result;
use crate::error::{Doing, RefusalKind, reason, refuse};
use crate::notes::Notes;
use crate::unlinked;

const S_IFMT: u32 = libc::S_IFMT;
const S_IFREG: u32 = libc::S_IFREG;
const S_IFDIR: u32 = libc::S_IFDIR;
const S_IFCHR: u32 = libc::S_IFCHR;
const S_IFBLK: u32 = libc::S_IFBLK;

/// /dev/null, zero, full, random and urandom: devices whose opening does nothing.
const HARMLESS: [u64; 5] = [0x103, 0x105, 0x107, 0x108, 0x109];

/// /dev/console, /dev/tty0 to tty63: opened with the rights of the program, and never as its controlling terminal.
fn is_console(rdev: u64) -> bool {
    matches!((rustix::fs::major(rdev), rustix::fs::minor(rdev)), (4, 0..=63) | (5, 1))
}

/// What an O_PATH descriptor remembers of its flags.
const PATH_FLAGS: i32 = libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW;

/// Flags of an open file that open(2) and fcntl(F_SETFL) bring back. Never O_CREAT, O_TRUNC, O_EXCL: an image must not make or empty a file.
const FLAGS: i32 = libc::O_ACCMODE
    | libc::O_APPEND
    | libc::O_NONBLOCK
    | libc::O_DIRECT
    | libc::O_NOATIME
    | libc::O_DIRECTORY
    | libc::O_SYNC
    | libc::O_DSYNC;

/// O_TMPFILE without the O_DIRECTORY that it includes.
const TMPFILE: i32 = libc::O_TMPFILE & !libc::O_DIRECTORY;

/// Opens it in the host.
pub fn restore(host: &mut Host, table: &mut Table<'_>, fd: u32, id: u64) -> Result<Option<u64>> {
    let Some(file) = table.section::<OpenFile>(id) else { return Ok(None) };
    let opened = if file.object != 0 {
        from_image(host, fd, file, table)?
    } else if let Some(like) = paths::of_ended_process(host, table, &file.path)? {
        of_ended_process(host, fd, file, &like)?
    } else {
        by_path(host, table, fd, file)?
    };
    seek(host, file, opened)?;
    Ok(Some(opened))
}

/// Is it in /proc of another process than the root, and opened when all are born?
pub fn is_late(table: &Table<'_>, id: u64) -> bool {
    table.section::<OpenFile>(id).is_some_and(|file| file.object == 0 && paths::of_member(table, &file.path).is_some())
}

/// Opens one that is late. None if it is something else.
pub fn now(host: &mut Host, table: &Table<'_>, fd: u32, id: u64) -> Result<Option<u64>> {
    let Some(file) = table.section::<OpenFile>(id) else { return Ok(None) };
    let member = paths::of_member(table, &file.path).and_then(|(pid, rest)| Some((table.pids.get(&pid)?, rest)));
    let Some((pid, rest)) = member else { return Ok(None) };
    let path = [format!("/proc/{pid}").as_bytes(), rest].concat();
    match open::open(host, &path, file.open_flags.0 as i32 & (FLAGS | PATH_FLAGS) | libc::O_CLOEXEC)? {
        Ok(opened) => {
            seek(host, file, opened)?;
            Ok(Some(opened))
        }
        Err(e) => refuse(RefusalKind::File, format!("fd {fd} ({}): {e}: use --fd {fd}=FILE|null", file.path)),
    }
}

fn seek(host: &mut Host, file: &OpenFile, opened: u64) -> Result<()> {
    let mut batch = host.batch()?;
    add_seek(&mut batch, file, opened);
    if batch.is_empty() {
        return Ok(());
    }
    match host.run(batch)?.all() {
        // Its process has ended, which is all that who reads it is told, wherever it stands.
        Err(e) if e.errno() == Some(libc::ESRCH) && paths::in_proc(&file.path).is_some() => Ok(()),
        done => done.doing(|| format!("bringing back the offset of {}", file.path)),
    }
}

/// Adds the call that brings its offset back, if it takes one.
pub fn add_seek(batch: &mut Batch, file: &OpenFile, opened: u64) {
    if file.offset != 0
        && file.open_flags.0 as i32 & libc::O_PATH == 0
        && matches!(file.mode & S_IFMT, S_IFREG | S_IFDIR)
    {
        batch.call(libc::SYS_lseek, &[opened, file.offset, libc::SEEK_SET as u64]);
    }
}

/// Is it a file, a directory or a harmless device that its own path leads to, so that no more is to be known for opening it? See `files_at_once.rs`.
pub fn is_plain(table: &Table<'_>, file: &OpenFile) -> bool {
    let opened = match file.mode & S_IFMT {
        S_IFREG | S_IFDIR => true,
        S_IFCHR => HARMLESS.contains(&file.rdev),
        _ => false,
    };
    opened
        && file.object == 0
        && file.open_flags.0 as i32 & libc::O_PATH == 0
        && file.path.len() < libc::PATH_MAX as usize
        && !file.path.starts_with(b"/proc/")
        && paths::is_the_kernels(&file.path)
        && table.options.mapped(&file.path).is_none()
        && table.removed(file.dev, file.ino).is_none()
}

/// With which flags one that is not held by O_PATH is opened.
pub fn flags(file: &OpenFile) -> i32 {
    file.open_flags.0 as i32 & FLAGS | libc::O_CLOEXEC | libc::O_NOCTTY
}

fn by_path(host: &mut Host, table: &Table<'_>, fd: u32, file: &OpenFile) -> Result<u64> {
    let found = frozen_file_at(host, table, fd, file, &file.path)
        .or_else(|e| under_other_name(host, table, fd, file).ok_or(e))?;
    let flags = file.open_flags.0 as i32;
    if flags & libc::O_PATH != 0 {
        // Never opened, only held: as what was found is, but for the flag by which it was found.
        return if flags & libc::O_NOFOLLOW != 0 {
            Ok(found.handle)
        } else {
            found.open(host, table, flags & PATH_FLAGS | libc::O_CLOEXEC)
        };
    }
    match file.mode & S_IFMT {
        S_IFREG => changed(&table.options.notes, fd, file, &found, table.paths.same_machine),
        S_IFDIR => {}
        S_IFCHR if HARMLESS.contains(&file.rdev) || is_console(file.rdev) => {}
        _ => {
            return refuse(
                RefusalKind::File,
                format!("fd {fd} ({}): devices are not opened for an image: use --fd {fd}=FILE|null", found.path),
            );
        }
    }
    found.open(host, table, self::flags(file))
}

/// What is at this path, if it is what was frozen.
fn frozen_file_at(host: &mut Host, table: &Table<'_>, fd: u32, file: &OpenFile, path: &[u8]) -> Result<Found> {
    let found = paths::find(host, table, fd, path)?;
    match must_be_frozen(&found, file, table) {
        Ok(()) => Ok(found),
        Err(e) => {
            host.call(libc::SYS_close, [found.handle, 0, 0, 0, 0, 0])?;
            Err(e)
        }
    }
}

/// Refuses what is not what was frozen.
pub fn must_be_frozen(found: &Found, file: &OpenFile, table: &Table<'_>) -> Result<()> {
    found.must_be(file.mode, file.rdev)?;
    // A device is what its number says, wherever its file is.
    let device = matches!(file.mode & S_IFMT, S_IFCHR | S_IFBLK);
    if device { Ok(()) } else { found.must_be_file(file.into(), table) }
}

/// The frozen file, under another name that an overseer has seen.
fn under_other_name(host: &mut Host, table: &Table<'_>, fd: u32, file: &OpenFile) -> Option<Found> {
    history::names(table, fd, &file.path).into_iter().find_map(|name| {
        let found = frozen_file_at(host, table, fd, file, name).ok()?;
        table.options.notes.add(format!(
            "fd {fd} ({}): not there; it is {}, a name that the overseer has seen",
            file.path, found.path
        ));
        Some(found)
    })
}

/// A file in /proc of a process that has ended says so to who reads it (ESRCH), as one of a process of ours does that opens it and ends. top(1) has such
/// files open for a moment, of one process after another.
fn of_ended_process(host: &mut Host, fd: u32, file: &OpenFile, like: &[u8]) -> Result<u64> {
    let flags = file.open_flags.0 as i32 & (FLAGS | PATH_FLAGS) | libc::O_CLOEXEC;
    let opened = host.aside(None, |child| open::open(child, like, flags))?;
    opened.or_else(|e| {
        refuse(
            RefusalKind::File,
            format!("fd {fd} ({}): the process has ended, and {e}: use --fd {fd}=FILE|null", file.path),
        )
    })
}

/// A file that was written since is a note: one that has grown or shrunk, or, where it is the very inode, one with another time of modification.
pub fn changed(notes: &Notes, fd: u32, file: &OpenFile, found: &Found, same_machine: bool) {
    if found.mapped {
        return;
    }
    let goes_on = if file.open_flags.0 as i32 & libc::O_APPEND != 0 {
        "the program writes at its end".into()
    } else {
        format!("the program goes on at byte {}", file.offset)
    };
    let mtime = (found.meta.mtime(), found.meta.mtime_nsec() as u64);
    if found.meta.len() != file.size {
        notes.add(format!(
            "fd {fd} ({}): {} bytes now, {} when it was frozen: {goes_on}",
            file.path,
            found.meta.len(),
            file.size
        ));
    } else if same_machine && !found.made_up && mtime != (file.mtime_sec, file.mtime_nsec) {
        notes.add(format!(
            "fd {fd} ({}): it was written since it was frozen, and has the same size: {goes_on}, in what stands there now",
            file.path
        ));
    }
}

/// A file without a name: one for all descriptions of it.
fn from_image(host: &mut Host, fd: u32, file: &OpenFile, table: &mut Table<'_>) -> Result<u64> {
    let flags = file.open_flags.0 as i32;
    let parked = match table.parked(file.object, 0) {
        Some(parked) => parked,
        None => {
            let Some(object) = table.objects.iter().find(|o| o.id == file.object).filter(|o| unlinked::is(o)) else {
                return refuse(
                    RefusalKind::Image,
                    format!("fd {fd} ({}): its content, object {}, is not in the image", file.path, file.object),
                );
            };
            let made = unlinked::make(host, object)?;
            let parked = table.keep(host, file.object, 0, made)?;
            table.fill_through(file.object, unlinked::open(host, parked)?);
            parked
        }
    };
    if flags & TMPFILE != 0 && flags & libc::O_ACCMODE == libc::O_RDWR {
        // It never had a name: so it was made here, too.
        let made = table.duplicate(host, parked)?;
        set_flags(host, made, file.open_flags.0)?;
        return Ok(made);
    }
    // Opened anew, for a description of its own with its own mode and offset.
    open::reopen(host, parked, flags & FLAGS & !libc::O_DIRECTORY | libc::O_CLOEXEC)
}

/// Owner, mode, times of files without a name, and the seals of memfds, which may forbid what filling them took.
pub fn late(host: &mut Host, table: &Table<'_>) -> Result<()> {
    let mut done = HashSet::new();
    for (id, file) in table.all::<OpenFile>() {
        let object = table.objects.iter().find(|o| o.id == file.object && file.object != 0);
        let (Some(object), Some(fd)) = (object, table.number(id)) else { continue };
        if done.insert(object.id) {
            let wanted = table.attributes.iter().find(|i| i.object == object.id);
            attributes::restore(&table.options.notes, fd, &table.take(fd.into())?, object, wanted)?;
            if object.kind == ObjectKind::MEMFD {
                seal(host, fd, object)?;
            }
        }
    }
    Ok(())
}

/// Only a description that may write can add seals: if the program has none, another one is opened for it.
fn seal(host: &mut Host, fd: u32, object: &Object) -> Result<()> {
    let through = open::reopen(host, fd.into(), libc::O_RDWR | libc::O_CLOEXEC)?;
    let sealed = host.call(libc::SYS_fcntl, [through, libc::F_ADD_SEALS as u64, object.seals.into(), 0, 0, 0]);
    host.call(libc::SYS_close, [through, 0, 0, 0, 0, 0])?;
    if let Err(e) = sealed {
        return refuse(RefusalKind::File, format!("fd {fd} (memfd {}): sealing it: {}", object.path, reason(&e)));
    }
    Ok(())
}
