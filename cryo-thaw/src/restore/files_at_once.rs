//! Many plain files ([`files`]), opened at once: most of what one costs is that the host is started and stopped for each of its calls, and some programs have
//! thousands. Whatever is in the way of one is left to [`files`], which meets it again in its turn and has the words.

use std::collections::HashSet;

use cryo_format::section::descriptors::Descriptor;
use cryo_format::section::files::OpenFile;
use cryo_tracee::Host;

use super::files;
use super::paths::Found;
use super::table::Table;
use crate::Result;
use crate::error::Doing;

/// Fewer than these are as well opened one by one.
const FEW: usize = 4;
/// Each takes one number more until it is open.
const MANY: usize = 256;

/// One to be opened.
struct Plain<'a> {
    fd: u32,
    cloexec: bool,
    description: u64,
    file: &'a OpenFile,
}

/// Opens those of these descriptions that are plain files and not made yet, and puts each at the number of its first descriptor, or parks it.
pub fn open(host: &mut Host, table: &mut Table<'_>, descriptors: &[&Descriptor], park: bool) -> Result<()> {
    let mut seen: HashSet<u64> = descriptors.iter().filter(|d| table.ruled(d.fd)).map(|d| d.description).collect();
    let mut all = Vec::new();
    for d in descriptors {
        let Some(file) = table.section::<OpenFile>(d.description) else { continue };
        if files::is_plain(table, file) && table.at(d.description).is_none() && seen.insert(d.description) {
            all.push(Plain { fd: d.fd, cloexec: d.flags & 1 != 0, description: d.description, file });
        }
    }
    let mut left = &all[..];
    while left.len() >= FEW {
        let done = some(host, table, left, park)?;
        left = &left[done..];
    }
    Ok(())
}

/// The first of them, as many as have room; says how many they were.
///
/// Files are opened at the lowest numbers that are free. One more handle before theirs leaves room for the first, and each handle for the next: so none gets a
/// number above the one that it is to have, as those lie in the same order; and from the last to the first each can go to its own.
fn some(host: &mut Host, table: &mut Table<'_>, files: &[Plain<'_>], park: bool) -> Result<usize> {
    let mut batch = host.batch()?.continue_at_error();
    let mut look = |path: &[u8]| {
        let path = [path, b"\0"].concat();
        let flags = libc::O_PATH | libc::O_NOFOLLOW | libc::O_CLOEXEC;
        batch.has_room(path.len()).then(|| {
            let at = batch.put(&path);
            batch.call(libc::SYS_openat, &[libc::AT_FDCWD as u64, at.addr, flags as u64, 0])
        })
    };
    let room = look(b"/");
    let looks: Vec<usize> = files.iter().take(MANY).map_while(|plain| look(&plain.file.path)).collect();
    let (files, looked) = (&files[..looks.len()], host.run(batch)?);
    let mut batch = host.batch()?.continue_at_error();
    if let Some(call) = room {
        batch.call(libc::SYS_close, &[looked.result(call).doing(|| "making room for files".into())?]);
    }
    let mut opens = Vec::new();
    for (plain, look) in files.iter().zip(looks) {
        let Some(handle) = there(looked.result(look), plain)? else { continue };
        let found = Found::at(table, plain.fd, &plain.file.path, handle)?;
        if files::must_be_frozen(&found, plain.file, table).is_ok() {
            let path = batch.put(format!("/proc/thread-self/fd/{handle}\0").as_bytes());
            let flags = files::flags(plain.file) as u64;
            opens.push((plain, found, batch.call(libc::SYS_openat, &[libc::AT_FDCWD as u64, path.addr, flags, 0])));
        }
        batch.call(libc::SYS_close, &[handle]);
    }
    let done = host.run(batch)?;
    let mut opened = Vec::new();
    for (plain, found, call) in opens {
        if let Some(at) = there(done.result(call), plain)? {
            if plain.file.mode & libc::S_IFMT == libc::S_IFREG {
                files::changed(&table.options.notes, plain.fd, plain.file, &found, table.paths.same_machine);
            }
            opened.push((plain, at));
        }
    }
    to_their_numbers(host, table, &opened, park)?;
    Ok(files.len())
}

/// What a path led to; `None` if there is nothing, or nothing that may be opened.
fn there(result: cryo_tracee::Result<u64>, plain: &Plain<'_>) -> Result<Option<u64>> {
    match result {
        Err(e)
            if matches!(e.errno(), Some(libc::ENOENT | libc::ENOTDIR | libc::ELOOP | libc::EACCES | libc::EPERM)) =>
        {
            Ok(None)
        }
        other => Ok(Some(other.doing(|| format!("opening {}", plain.file.path))?)),
    }
}

/// Puts each at its number, with its offset; or parks them, where that is wanted or a number is in the way of another.
fn to_their_numbers(host: &mut Host, table: &mut Table<'_>, opened: &[(&Plain<'_>, u64)], park: bool) -> Result<()> {
    let mut batch = host.batch()?;
    let park = park || opened.iter().any(|(plain, at)| *at > plain.fd.into());
    let mut parked = Vec::new();
    for (plain, at) in opened.iter().rev() {
        let fd = u64::from(plain.fd);
        files::add_seek(&mut batch, plain.file, *at);
        if !park && *at == fd {
            if !plain.cloexec {
                batch.call(libc::SYS_fcntl, &[fd, libc::F_SETFD as u64, 0]);
            }
            continue;
        }
        if park {
            parked.push((plain, batch.call(libc::SYS_fcntl, &[*at, libc::F_DUPFD_CLOEXEC as u64, table.base])));
        } else {
            batch.call(libc::SYS_dup3, &[*at, fd, if plain.cloexec { libc::O_CLOEXEC as u64 } else { 0 }]);
        }
        batch.call(libc::SYS_close, &[*at]);
    }
    let done = host.run(batch)?;
    let doing = || "giving opened files their numbers".into();
    done.all().doing(doing)?;
    if park {
        for (plain, call) in parked {
            table.made.insert(plain.description, done.result(call).doing(doing)?);
        }
    } else {
        table.made.extend(opened.iter().map(|(plain, _)| (plain.description, plain.fd.into())));
    }
    Ok(())
}
