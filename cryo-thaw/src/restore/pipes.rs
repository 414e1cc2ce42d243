//! `PIPE`, `PEND`: pipes and FIFOs with what is in them.

use cryo_format::section::pipes::{Pipe, PipeEnd};
use cryo_tracee::Host;

use super::descriptors::{Table, set_flags};
use super::paths;
use crate::Result;
use crate::error::{About, refuse, say};

/// What several ends share, in the table under the pipe's id: an opening for both directions, and the two that pipe2(2) made.
const BOTH: u8 = 0;
const READ: u8 = 1;
const WRITE: u8 = 2;

const O_RDWR_NOW: i32 = libc::O_RDWR | libc::O_NONBLOCK | libc::O_CLOEXEC;

/// Makes one end, and the pipe with its first end.
pub fn restore(host: &mut Host, table: &mut Table<'_>, fd: u32, id: u64) -> Result<Option<u64>> {
    let Some(end) = table.section::<PipeEnd>(id) else { return Ok(None) };
    let Some(pipe) = table.section::<Pipe>(end.pipe) else {
        return refuse(format!("fd {fd}: it is an end of pipe {}, which is not in the image", end.pipe));
    };
    let both = match table.kept(end.pipe, BOTH) {
        Some(both) => both,
        None => make(host, table, fd, end.pipe, pipe)?,
    };
    let flags = end.open_flags.0 as i32;
    let mode = flags & libc::O_ACCMODE;
    let made = match mode {
        libc::O_RDONLY => table.claim(end.pipe, READ),
        libc::O_WRONLY => table.claim(end.pipe, WRITE),
        _ => None,
    };
    // Further openings of one pipe come from /proc, as the program's own did.
    let made = match made {
        Some(fd) => fd,
        None => paths::reopen(host, both, mode | libc::O_NONBLOCK | libc::O_CLOEXEC)?,
    };
    set_flags(host, made, end.open_flags.0)?;
    Ok(Some(made))
}

fn make(host: &mut Host, table: &mut Table<'_>, fd: u32, id: u64, pipe: &Pipe) -> Result<u64> {
    let both = if pipe.path.is_empty() {
        let mut batch = host.batch()?;
        let two = batch.space(8);
        batch.call(libc::SYS_pipe2, &[two.addr, libc::O_CLOEXEC as u64]);
        let done = host.run(batch)?;
        done.all()?;
        let ends = done.word(two, 0);
        let (read, write) = (ends & u64::from(u32::MAX), ends >> 32);
        let both = paths::reopen(host, read, O_RDWR_NOW)?;
        table.keep(host, id, READ, read)?;
        table.keep(host, id, WRITE, write)?;
        both
    } else {
        let found = paths::find(host, table, fd, &pipe.path)?;
        found.must_be(libc::S_IFIFO, 0)?;
        // For both directions it opens at once, whoever is at the other end.
        found.open(host, O_RDWR_NOW)?
    };
    let both = table.keep(host, id, BOTH, both)?;
    let ours = table.take(both)?;
    let about = || format!("fd {fd}: filling the pipe");
    if rustix::pipe::fcntl_getpipe_size(&ours).about(about)? != pipe.capacity as usize
        && let Err(e) = rustix::pipe::fcntl_setpipe_size(&ours, pipe.capacity as usize)
    {
        say(&format!("fd {fd}: its pipe could hold {} bytes, and cannot here: {e}", pipe.capacity));
    }
    if pipe.packets != 0 {
        host.call(libc::SYS_fcntl, [both, libc::F_SETFL as u64, (O_RDWR_NOW | libc::O_DIRECT) as u64, 0, 0, 0])?;
    }
    for bytes in &pipe.content {
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let written = rustix::io::write(&ours, rest).about(about)?;
            rest = &rest[written..];
        }
    }
    Ok(both)
}
