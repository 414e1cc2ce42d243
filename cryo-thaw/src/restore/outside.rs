//! `OUTS`: ends that were outside: the thawer's own descriptors and terminal take their place.

use std::fs::File;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use cryo_format::section::outside::{Outside, Policy};
use cryo_format::section::unread::Unread;
use cryo_tracee::Host;

use super::open::open;
use super::table::Table;
use crate::Result;
use crate::error::{About, RefusalKind, refuse};

/// /dev/null.
const NULL: u64 = 0x103;

/// Finds the end in the host.
pub fn restore(host: &mut Host, table: &mut Table<'_>, fd: u32, id: u64) -> Result<Option<u64>> {
    match table.section::<Outside>(id) {
        Some(outside) => {
            let waited = table.section::<Unread>(id).map_or(&[][..], |u| &u.content);
            if !waited.is_empty() && outside.policy == Policy::INHERIT {
                return in_front(host, table, fd, outside, waited).map(Some);
            }
            end(host, table, fd, outside).map(Some)
        }
        None => Ok(None),
    }
}

/// The thawer's own descriptor, and what waited for the program where it was frozen. Where the thawer has nothing to say (/dev/null), that is a pipe
/// with these bytes and then the end; elsewhere nothing can be put in front of what comes.
fn in_front(host: &mut Host, table: &Table<'_>, fd: u32, outside: &Outside, waited: &[u8]) -> Result<u64> {
    let own = end(host, table, fd, outside)?;
    let meta = File::from(table.take(own)?).metadata().about(|| format!("looking at fd {fd}"))?;
    if !meta.file_type().is_char_device() || meta.rdev() != NULL {
        table.options.notes.add(format!(
            "fd {fd} ({}): {} bytes that the program had not read are in the image, and cannot be put in front of what is there now \
             (they are where stdin is /dev/null)",
            outside.what,
            waited.len()
        ));
        return Ok(own);
    }
    host.call(libc::SYS_close, [own, 0, 0, 0, 0, 0])?;
    let mut batch = host.batch()?;
    let ends = batch.space(8);
    batch.call(libc::SYS_pipe2, &[ends.addr, libc::O_CLOEXEC as u64]);
    let done = host.run(batch)?;
    done.all()?;
    let both = done.word(ends, 0);
    let (read, write) = (both & u64::from(u32::MAX), both >> 32);
    let ours = table.take(write)?;
    if rustix::pipe::fcntl_getpipe_size(&ours).is_ok_and(|size| size < waited.len()) {
        let grown = rustix::pipe::fcntl_setpipe_size(&ours, waited.len());
        grown.about(|| format!("fd {fd}: a pipe for the {} bytes that waited in it", waited.len()))?;
    }
    let mut rest = waited;
    while !rest.is_empty() {
        rest = &rest[rustix::io::write(&ours, rest).about(|| format!("fd {fd}: filling its pipe"))?..];
    }
    host.call(libc::SYS_close, [write, 0, 0, 0, 0, 0])?;
    Ok(read)
}

fn end(host: &mut Host, table: &Table<'_>, fd: u32, outside: &Outside) -> Result<u64> {
    let flags = outside.open_flags.0 as i32 & (libc::O_ACCMODE | libc::O_APPEND | libc::O_NONBLOCK) | libc::O_CLOEXEC;
    match outside.policy {
        Policy::INHERIT if table.options.detach && reads_our_output(outside.inherit) => {
            table.options.notes.add(format!(
                "fd {fd} ({}): it is /dev/null now, and not the pipe that this command prints its pid into: use --fd {fd}=inherit|FILE",
                outside.what
            ));
            path(host, fd, b"/dev/null", flags)
        }
        Policy::INHERIT => match table.inherited(outside.inherit) {
            Some(parked) => table.duplicate(host, parked),
            None => refuse(
                RefusalKind::Descriptor,
                format!(
                    "fd {fd} ({}): cryo-thaw itself has no descriptor {}: open it, or use --fd {fd}=null|FILE",
                    outside.what, outside.inherit
                ),
            ),
        },
        Policy::NULL => path(host, fd, b"/dev/null", flags),
        Policy::PATH => path(host, fd, &outside.path, flags),
        Policy::TERMINAL => match table.terminal(host)? {
            Some(opened) => Ok(opened),
            None => refuse(
                RefusalKind::Terminal,
                format!(
                    "fd {fd} ({}): it was a terminal, and cryo-thaw has none: use --fd {fd}=null|FILE",
                    outside.what
                ),
            ),
        },
        other => refuse(
            RefusalKind::Image,
            format!("fd {fd} ({}): policy {} is unknown to this release", outside.what, other.0),
        ),
    }
}

/// Is our descriptor `fd` the pipe that our standard output goes into? Who reads it, as the shell in `pid=$(cryo-thaw --detach ...)`, waits for its end,
/// which would not come before the program's.
fn reads_our_output(fd: u32) -> bool {
    let file = |fd: u32| std::fs::metadata(format!("/proc/self/fd/{fd}")).ok();
    let (Some(output), Some(this)) = (file(1), file(fd)) else { return false };
    let kind = output.file_type();
    (kind.is_fifo() || kind.is_socket()) && (output.dev(), output.ino()) == (this.dev(), this.ino())
}

/// A file named by the image or by the person. A FIFO is not waited for.
pub fn path(host: &mut Host, fd: u32, path: &[u8], flags: i32) -> Result<u64> {
    let opened = match open(host, path, flags | libc::O_NOCTTY | libc::O_NONBLOCK)? {
        Ok(opened) => opened,
        Err(e) => return refuse(RefusalKind::Descriptor, format!("fd {fd}: {e}")),
    };
    host.call(
        libc::SYS_fcntl,
        [opened, libc::F_SETFL as u64, (flags & (libc::O_NONBLOCK | libc::O_APPEND)) as u64, 0, 0, 0],
    )?;
    Ok(opened)
}
