//! `PIPE`, `PEND`: pipes and FIFOs with what is in them.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;

use cryo_format::section::pipes::{Pipe, PipeEnd};
use cryo_tracee::Host;

use super::open::{self, set_flags};
use super::paths;
use super::table::Table;
use crate::Result;
use crate::error::{About, RefusalKind, refuse};
use crate::identity::Frozen;
use crate::notes::Notes;

/// What ends share, in the table under the pipe's id: the two that pipe2(2) made, until their descriptions are due; an end that is at its number
/// already; an opening of a FIFO for both directions.
const READ: u8 = 0;
const WRITE: u8 = 1;
const ANY: u8 = 2;
const FIFO: u8 = 3;

const O_RDWR_NOW: i32 = libc::O_RDWR | libc::O_NONBLOCK | libc::O_CLOEXEC;

/// Makes one end, and the pipe with its first end.
pub fn restore(host: &mut Host, table: &mut Table<'_>, fd: u32, id: u64) -> Result<Option<u64>> {
    let Some(end) = table.section::<PipeEnd>(id) else { return Ok(None) };
    let Some(pipe) = table.section::<Pipe>(end.pipe) else {
        return refuse(
            RefusalKind::Image,
            format!("fd {fd}: it is an end of pipe {}, which is not in the image", end.pipe),
        );
    };
    let mode = end.open_flags.0 as i32 & libc::O_ACCMODE;
    if table.parked(end.pipe, ANY).is_none() {
        if pipe.path.is_empty() {
            new(host, table, fd, end.pipe, pipe)?;
        } else {
            fifo(host, table, fd, end.pipe, pipe)?;
        }
    }
    let role = if mode == libc::O_WRONLY { WRITE } else { READ };
    let claimed = if mode == libc::O_RDWR { None } else { table.claim(host, end.pipe, role)? };
    let made = match (claimed, table.parked(end.pipe, FIFO).or(table.parked(end.pipe, ANY))) {
        (Some(made), _) => made,
        // Further openings of one pipe come from /proc, as the program's own did.
        (None, Some(from)) => open::reopen(host, from, mode | libc::O_NONBLOCK | libc::O_CLOEXEC)?,
        (None, None) => return refuse(RefusalKind::Descriptor, format!("fd {fd}: its pipe is gone")),
    };
    set_flags(host, made, end.open_flags.0)?;
    // Of a family all ends are made in the root, where the number is another descriptor's.
    let (made, at) = if table.processes.len() > 1 {
        let parked = table.park(host, made)?;
        (parked, parked)
    } else {
        (made, fd.into())
    };
    table.remember(end.pipe, ANY, at);
    Ok(Some(made))
}

/// A pipe, with what is in it.
fn new(host: &mut Host, table: &mut Table<'_>, fd: u32, id: u64, pipe: &Pipe) -> Result<()> {
    let mut batch = host.batch()?;
    let two = batch.space(8);
    batch.call(libc::SYS_pipe2, &[two.addr, libc::O_CLOEXEC as u64]);
    let done = host.run(batch)?;
    done.all()?;
    let ends = done.word(two, 0);
    let (read, write) = (ends & u64::from(u32::MAX), ends >> 32);
    let ours = table.take(write)?;
    resize(&table.options.notes, &ours, fd, pipe)?;
    if !pipe.content.is_empty() {
        // Not through an end of the program's: what it is set to is its own.
        let path = format!("/proc/{}/fd/{write}", host.pid());
        let mut both = File::options();
        both.read(true).write(true).custom_flags(libc::O_NONBLOCK);
        let ours = both.open(&path).about(|| format!("opening {path}"))?;
        pour(&ours, fd, pipe)?;
    }
    table.keep(host, id, WRITE, write)?;
    let read = table.keep(host, id, READ, read)?;
    table.remember(id, ANY, read);
    Ok(())
}

/// The FIFO of that name. For both directions it opens at once, whoever is at its other end.
fn fifo(host: &mut Host, table: &mut Table<'_>, fd: u32, id: u64, pipe: &Pipe) -> Result<()> {
    let found = paths::find(host, table, fd, &pipe.path)?;
    found.must_be(libc::S_IFIFO, 0)?;
    found.must_be_file(Frozen::place(pipe.dev, pipe.ino, libc::S_IFIFO), table)?;
    let both = found.open(host, table, O_RDWR_NOW)?;
    let both = table.keep(host, id, FIFO, both)?;
    let ours = table.take(both)?;
    resize(&table.options.notes, &ours, fd, pipe)?;
    pour(&ours.into(), fd, pipe)
}

fn resize(notes: &Notes, ours: &OwnedFd, fd: u32, pipe: &Pipe) -> Result<()> {
    let now = rustix::pipe::fcntl_getpipe_size(ours).about(|| format!("fd {fd}: asking for the size of its pipe"))?;
    if now != pipe.capacity as usize
        && let Err(e) = rustix::pipe::fcntl_setpipe_size(ours, pipe.capacity as usize)
    {
        notes.add(format!("fd {fd}: its pipe could hold {} bytes, and can hold {now} here: {e}", pipe.capacity));
    }
    Ok(())
}

/// The bytes back into the pipe, without waiting for room that is not there.
fn pour(ours: &File, fd: u32, pipe: &Pipe) -> Result<()> {
    let about = || format!("fd {fd}: filling its pipe");
    if pipe.packets != 0 {
        rustix::fs::fcntl_setfl(ours, rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::DIRECT).about(about)?;
    }
    for bytes in &pipe.content {
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let written = rustix::io::write(ours, rest).about(about)?;
            rest = &rest[written..];
        }
    }
    Ok(())
}
