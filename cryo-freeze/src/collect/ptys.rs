//! `PTTY`, `PTYE`: pseudo-terminals whose master is inside.

use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use cryo_format::section::ptys::{Pty, PtyEnd, PtyFlags};
use cryo_format::section::sessions::DevTty;
use cryo_tracee::tty::{self, Number, Question};
use rustix::event::{PollFd, PollFlags, Timespec};

use super::Scene;
use super::description::{Cx, Description, Fd};
use super::termios::settings;
use crate::Result;
use crate::error::About;

/// What a descriptor is of a pseudo-terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Master,
    Slave,
    /// The slave by the name of /dev/tty.
    DevTty,
}

/// Which end of which pseudo-terminal it is.
fn end(cx: &Cx<'_>, f: &Fd) -> Option<(End, u64)> {
    if !f.meta.file_type().is_char_device() {
        return None;
    }
    match (rustix::fs::major(f.meta.rdev()), rustix::fs::minor(f.meta.rdev())) {
        (5, 0) => {
            let device = tty::number(&cx.take(f).ok()?, Number::DEVICE).ok()??;
            Some((End::DevTty, index(device)?))
        }
        (5, 2) => Some((End::Master, f.info.number("tty-index")? as u64)),
        _ => Some((End::Slave, index(f.meta.rdev())?)),
    }
}

/// N of /dev/pts/N. Of pseudo-terminals 256 have one major number (Documentation/admin-guide/devices.txt).
pub fn index(device: u64) -> Option<u64> {
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    matches!(major, 136..=143).then(|| u64::from(major - 136) * 256 + u64::from(minor))
}

/// N of the /dev/pts/N that is the controlling terminal of a process (field 7 of proc_pid_stat(5)), if it is one.
pub fn controlling(scene: &Scene<'_>) -> Result<Option<u64>> {
    Ok(index(scene.stat.field(7)? as u64))
}

/// Why a pseudo-terminal is not the image's, if it controls a session whose leader is another process.
fn stranger(cx: &Cx<'_>, master: &OwnedFd) -> Result<Option<String>> {
    let session = tty::number(master, Number::SESSION)?;
    let leader = session.filter(|session| cx.scenes.iter().all(|s| *session != s.pid as u64));
    Ok(leader.map(|leader| {
        format!(
            "it is the controlling terminal of session {leader}, whose leader, process {leader}, is outside the image"
        )
    }))
}

/// Does one of the processes have the master of it?
pub fn inside(cx: &Cx<'_>, f: &Fd) -> bool {
    end(cx, f).is_some_and(|(_, index)| master(cx, index).is_some())
}

fn master<'c>(cx: &Cx<'c>, index: u64) -> Option<&'c Description<'c>> {
    cx.all.iter().find(|d| is_master(d.first(), index))
}

fn is_master(f: &Fd, index: u64) -> bool {
    // /dev/ptmx, and the ptmx of each devpts.
    f.meta.file_type().is_char_device()
        && f.meta.rdev() == rustix::fs::makedev(5, 2)
        && f.info.number("tty-index") == Some(index as i64)
}

/// The local id of pseudo-terminal /dev/pts/`index`, if it is in the image.
pub fn id(cx: &Cx<'_>, index: u64) -> Option<u64> {
    cx.seen.get(&key(index)).copied().flatten()
}

/// No file has this device.
fn key(index: u64) -> (u64, u64) {
    (u64::MAX, index)
}

/// Adds an end, and with the first end of a pseudo-terminal that itself.
pub fn collect<'c>(cx: &mut Cx<'c>, d: &'c Description<'c>) -> Result<bool> {
    let f = d.first();
    let Some((end, index)) = end(cx, f) else { return Ok(false) };
    let pty = match id(cx, index) {
        Some(pty) => Some(pty),
        None => {
            let pty = match master(cx, index) {
                Some(master) => add(cx, master, index)?,
                None => None,
            };
            // One that is refused is refused at each end, with the reason.
            if pty.is_some() {
                cx.seen.insert(key(index), pty);
            }
            pty
        }
    };
    let Some(pty) = pty else { return Ok(false) };
    let waiting = rustix::io::ioctl_fionread(cx.take(f)?).unwrap_or(0);
    if waiting > 0 {
        cx.out.note(f.name(), format!("{waiting} bytes that it had not read yet are not in the image"));
    }
    let open_flags = f.open_flags();
    let exclusive = end != End::Master && tty::ask(&cx.take(f)?, Question::EXCLUSIVE)?;
    if end == End::DevTty && controlling(cx.of(f))? == Some(index) {
        let by_name = |d: &Description<'_>| self::end(cx, d.first()) == Some((End::Slave, index));
        if exclusive && !cx.all.iter().any(by_name) {
            cx.out.note(
                f.name(),
                format!(
                    "exclusive use of /dev/pts/{index} (TIOCEXCL) is not carried where it is open as /dev/tty only"
                ),
            );
        }
        cx.out.add(d.id, DevTty { pty, open_flags });
        return Ok(true);
    }
    if end == End::DevTty {
        cx.out.note(
            f.name(),
            format!("its terminal /dev/pts/{index} controls this session no more: it will be called so"),
        );
    }
    cx.out.add(d.id, PtyEnd { pty, open_flags, master: u32::from(end == End::Master), exclusive: exclusive.into() });
    Ok(true)
}

/// Adds the pseudo-terminal, if no other process has its other end.
fn add<'c>(cx: &mut Cx<'c>, master: &'c Description<'c>, number: u64) -> Result<Option<u64>> {
    let f = master.first();
    let taken = cx.take(f)?;
    if let Some(why) = stranger(cx, &taken)? {
        cx.why = Some(why);
        return Ok(None);
    }
    if let Some(other) = cx.machine.others.holder(format!("/dev/pts/{number}").as_bytes()) {
        cx.why = Some(format!("{other} has its other end open"));
        return Ok(None);
    }
    let settings = settings(&taken).about(|| format!("asking {} for its settings", f.name()))?;
    let mut flags = 0;
    let mut flag = |bit, set| flags |= if set { bit } else { 0 };
    flag(PtyFlags::LOCKED, tty::ask(&taken, Question::LOCKED)?);
    flag(PtyFlags::PACKET, tty::ask(&taken, Question::PACKET)?);
    flag(PtyFlags::EXCLUSIVE, tty::ask(&taken, Question::EXCLUSIVE)?);
    let mut fds = [PollFd::new(&taken, PollFlags::empty())];
    rustix::event::poll(&mut fds, Some(&Timespec::default())).about(|| format!("looking at {}", f.name()))?;
    flag(PtyFlags::HUNG_UP, fds[0].revents().contains(PollFlags::HUP));
    let id = cx.ids.fresh();
    cx.out.add(id, Pty { number: number as u32, flags, settings });
    Ok(Some(id))
}
