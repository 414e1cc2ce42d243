//! `PIPE`, `PEND`: pipes and FIFOs whose ends are all inside, with the bytes in them.

use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use cryo_format::prim::{Addr, Blob};
use cryo_format::section::pipes::{Pipe, PipeEnd};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::pipe::{PipeFlags, SpliceFlags};

use super::description::{Cx, Description};
use super::{RefusalKind, refuse};
use crate::Result;
use crate::error::About;

/// Adds an end, and with the first end of a pipe the pipe itself.
pub fn collect<'c>(cx: &mut Cx<'c>, d: &'c Description<'c>) -> Result<bool> {
    let f = d.first();
    if !f.meta.file_type().is_fifo() || f.info.flags() & libc::O_PATH as u64 != 0 {
        return Ok(false);
    }
    let key = (f.meta.dev(), f.meta.ino());
    let pipe = match cx.seen.get(&key) {
        Some(pipe) => *pipe,
        None => {
            let pipe = inside(cx, d)?;
            cx.seen.insert(key, pipe);
            pipe
        }
    };
    if let Some(pipe) = pipe {
        cx.out.add(d.id, PipeEnd { pipe, open_flags: Addr(f.info.flags() & !(libc::O_CLOEXEC as u64)) });
    }
    Ok(pipe.is_some())
}

fn reads(d: &Description<'_>) -> bool {
    d.first().info.flags() & libc::O_ACCMODE as u64 != libc::O_WRONLY as u64
}

fn writes(d: &Description<'_>) -> bool {
    d.first().info.flags() & libc::O_ACCMODE as u64 != libc::O_RDONLY as u64
}

/// Adds the pipe and returns its id, if no other process has an end of it.
fn inside<'c>(cx: &mut Cx<'c>, d: &'c Description<'c>) -> Result<Option<u64>> {
    let f = d.first();
    let ends: Vec<_> = cx.with_inode(f.meta.dev(), f.meta.ino()).collect();
    let both = ends.iter().any(|e| reads(e)) && ends.iter().any(|e| writes(e));
    let named = f.link.starts_with(b"/");
    if !both {
        // Standard descriptors lead outside by their nature, also when nobody is there any more. Those of a child are what its parent made of them.
        let standard = ends.iter().flat_map(|e| &e.fds).any(|f| f.holder == 0 && f.fd <= 2);
        // A FIFO that nobody has come to yet does not say that its other end is closed.
        if standard || !(named || closed(&cx.take(f)?)?) {
            return Ok(None);
        }
    }
    if (both || named)
        && let Some(other) = cx.machine.others.holder(&f.link)
    {
        cx.why = Some(format!("{other} has an end of it, too"));
        return Ok(None);
    }
    let reader = ends.iter().find(|e| reads(e));
    let packet_mode = ends.iter().any(|e| writes(e) && e.first().info.flags() & libc::O_DIRECT as u64 != 0);
    let taken = cx.take(reader.unwrap_or(&d).first())?;
    let capacity = rustix::pipe::fcntl_getpipe_size(&taken).about(|| format!("asking for the size of {}", f.name()))?;
    let content = match reader {
        Some(_) => content(&taken, capacity, &f.name())?,
        None => Vec::new(),
    };
    // Its writer may have left packet mode since, or be gone.
    let packets = match &content[..] {
        [] => packet_mode,
        [_] => is_packet(&taken, capacity, &f.name())?,
        _ => true,
    };
    let mut pipe =
        Pipe { capacity: capacity as u32, packets: packets.into(), content: content.into(), ..Pipe::default() };
    if named && f.meta.nlink() > 0 {
        (pipe.path, pipe.dev, pipe.ino) = (f.link.clone().into(), f.meta.dev(), f.meta.ino());
    }
    let id = cx.ids.fresh();
    cx.out.add(id, pipe);
    Ok(Some(id))
}

/// Is the other end closed everywhere?
fn closed(end: &OwnedFd) -> Result<bool> {
    let mut fds = [PollFd::new(end, PollFlags::empty())];
    rustix::event::poll(&mut fds, Some(&Timespec::default())).about(|| "looking at a pipe".into())?;
    Ok(fds[0].revents().intersects(PollFlags::HUP | PollFlags::ERR))
}

/// All bytes in a pipe, in one piece.
pub fn waiting(from: &OwnedFd, name: &str) -> Result<Vec<u8>> {
    let capacity = rustix::pipe::fcntl_getpipe_size(from).about(|| format!("asking for the size of {name}"))?;
    Ok(content(from, capacity, name)?.iter().flat_map(|piece| piece.iter().copied()).collect())
}

/// Is the first piece in a pipe a packet? What is not read of one is lost.
fn is_packet(from: &OwnedFd, capacity: usize, name: &str) -> Result<bool> {
    let about = || format!("reading what is in {name}");
    let (out, waiting) = copied(from, capacity, name)?;
    rustix::io::read(&out, &mut [0; 1]).about(about)?;
    Ok((rustix::io::ioctl_fionread(&out).about(about)? as usize) + 1 < waiting)
}

/// The bytes in a pipe, one entry for each read(2). tee(2) leaves them where they are.
fn content(from: &OwnedFd, capacity: usize, name: &str) -> Result<Vec<Blob>> {
    let (out, waiting) = copied(from, capacity, name)?;
    let mut all = Vec::new();
    if waiting == 0 {
        return Ok(all);
    }
    let mut buf = vec![0; waiting];
    loop {
        match rustix::io::read(&out, &mut buf[..]).about(|| format!("reading what is in {name}"))? {
            0 => return Ok(all),
            n => all.push(buf[..n].to_vec().into()),
        }
    }
}

/// What is in a pipe, in one of ours that nobody writes to, and how many bytes that is.
fn copied(from: &OwnedFd, capacity: usize, name: &str) -> Result<(OwnedFd, usize)> {
    let about = || format!("reading what is in {name}");
    let waiting = rustix::io::ioctl_fionread(from).about(about)? as usize;
    let (out, into) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).about(about)?;
    if waiting == 0 {
        return Ok((out, 0));
    }
    // As many places as it has itself. Where that is forbidden, fewer may do.
    let _ = rustix::pipe::fcntl_setpipe_size(&into, capacity);
    let copied = rustix::pipe::tee(from, &into, capacity, SpliceFlags::NONBLOCK).about(about)?;
    if copied < waiting {
        return refuse(
            RefusalKind::Limits,
            format!(
                "{name} holds {waiting} bytes, of which {copied} could be copied: raise /proc/sys/fs/pipe-user-pages-soft or pipe-max-size"
            ),
        );
    }
    Ok((out, waiting))
}
