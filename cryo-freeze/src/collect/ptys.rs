//! `PTTY`, `PTYE`: pseudo-terminals whose master is inside.

use std::os::unix::fs::{FileTypeExt, MetadataExt};

use cryo_format::section::ptys::{Pty, PtyEnd, PtyFlags};
use cryo_tracee::tty::{self, Question};
use rustix::event::{PollFd, PollFlags, Timespec};

use super::description::{Cx, Description, Fd};
use super::termios::settings;
use crate::Result;
use crate::error::About;

/// Which end of which pseudo-terminal it is.
fn end(f: &Fd) -> Option<(bool, u64)> {
    let (major, minor) = (rustix::fs::major(f.meta.rdev()), rustix::fs::minor(f.meta.rdev()));
    match (f.meta.file_type().is_char_device(), major) {
        (true, 5) => Some((true, f.info.number("tty-index")? as u64)),
        (true, 136..=143) => Some((false, u64::from(major - 136) * 256 + u64::from(minor))),
        _ => None,
    }
}

/// Does the process have the master of it?
pub fn inside(cx: &Cx<'_>, f: &Fd) -> bool {
    end(f).is_some_and(|(_, index)| master(cx, index).is_some())
}

fn master<'c>(cx: &Cx<'c>, index: u64) -> Option<&'c Description<'c>> {
    cx.all.iter().find(|d| end(d.first()) == Some((true, index)))
}

/// Adds an end, and with the first end of a pseudo-terminal that itself.
pub fn collect<'c>(cx: &mut Cx<'c>, d: &'c Description<'c>) -> Result<bool> {
    let f = d.first();
    let Some((is_master, index)) = end(f) else { return Ok(false) };
    // No file has this device.
    let key = (u64::MAX, index);
    let pty = match cx.seen.get(&key) {
        Some(pty) => *pty,
        None => {
            let pty = match master(cx, index) {
                Some(master) => add(cx, master, index)?,
                None => None,
            };
            // One that is refused is refused at each end, with the reason.
            if pty.is_some() {
                cx.seen.insert(key, pty);
            }
            pty
        }
    };
    let Some(pty) = pty else { return Ok(false) };
    let waiting = rustix::io::ioctl_fionread(cx.take(f)?).unwrap_or(0);
    if waiting > 0 {
        cx.out.note(f.name(), format!("{waiting} bytes that it had not read yet are not in the image"));
    }
    cx.out.add(d.id, PtyEnd { pty, open_flags: f.open_flags(), master: is_master.into(), reserved: 0 });
    Ok(true)
}

/// Adds the pseudo-terminal, if no other process has its other end.
fn add<'c>(cx: &mut Cx<'c>, master: &'c Description<'c>, number: u64) -> Result<Option<u64>> {
    let f = master.first();
    // Field 7 is the controlling terminal (proc_pid_stat(5)); of pseudo-terminals 256 have one major number.
    let device = rustix::fs::makedev(136 + (number / 256) as u32, (number % 256) as u32);
    if cx.scene.stat.field(7)? as u64 == device {
        cx.why = Some("it is the program's own controlling terminal, which is not carried".into());
        return Ok(None);
    }
    if let Some(other) = cx.scene.machine.others.holder(format!("/dev/pts/{number}").as_bytes()) {
        cx.why = Some(format!("{other} has its other end open"));
        return Ok(None);
    }
    let taken = cx.take(f)?;
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
