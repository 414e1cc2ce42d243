//! `SESS`, `CTTY`: sessions whose controlling terminal is a pseudo-terminal of the image, and /dev/tty there.

use cryo_format::section::sessions::{DevTty, Session};
use cryo_tracee::Host;

use super::open::{self, set_flags};
use super::ptys;
use super::table::Table;
use crate::Result;
use crate::error::{Doing, RefusalKind, reason, refuse};

/// ioctl_tty(2).
const TIOCSCTTY: u64 = 0x540e;
const TIOCSPGRP: u64 = 0x5410;

/// Gives process `id`, which `host` is and which has just begun its session, the controlling terminal of that. Its children are born with it.
pub fn begin(host: &mut Host, table: &mut Table<'_>, id: u64) -> Result<()> {
    let Some(session) = table.led_session(id) else { return Ok(()) };
    // No end of it was wanted (--fd).
    let Some(master) = table.parked(session.pty, 0) else { return Ok(()) };
    // Open until all descriptors are there: see spec/sections/sessions.md.
    let slave = ptys::peer(host, master, libc::O_RDWR as u64)?;
    let slave = table.keep(host, session.pty, 1, slave)?;
    control(host, slave)
}

/// Puts process group `group` into the foreground of the session that process `id` leads.
pub fn foreground(host: &mut Host, table: &Table<'_>, session: &Session, group: u64) -> Result<()> {
    let Some(slave) = table.parked(session.pty, 1) else { return Ok(()) };
    let mut batch = host.batch()?;
    let group = batch.put(&(group as u32).to_le_bytes());
    batch.call(libc::SYS_ioctl, &[slave, TIOCSPGRP, group.addr]);
    let done = host.run(batch)?;
    done.all().doing(|| format!("putting process group {} into the foreground", session.foreground))
}

/// Makes the terminal under `slave` the controlling one of the session that the host leads, with the host's group in the foreground.
fn control(host: &mut Host, slave: u64) -> Result<()> {
    host.call(libc::SYS_ioctl, [slave, TIOCSCTTY, 0, 0, 0, 0])
        .doing(|| "making a pseudo-terminal of the image its controlling terminal".into())
        .map(drop)
}

/// Opens /dev/tty: in a session that is made for that, because who has it need not be the first that is born, nor be in the session still.
pub fn dev_tty(host: &mut Host, table: &mut Table<'_>, fd: u32, id: u64) -> Result<Option<u64>> {
    let Some(tty) = table.section::<DevTty>(id) else { return Ok(None) };
    let master = ptys::master(host, table, fd, tty.pty)?;
    let slave = ptys::peer(host, master, libc::O_RDWR as u64)?;
    let flags = tty.open_flags.0 as i32 & libc::O_ACCMODE | libc::O_NOCTTY | libc::O_CLOEXEC;
    let opened = host.aside(None, |leader| {
        leader.call(libc::SYS_setsid, [0; 6])?;
        control(leader, slave)?;
        open::open(leader, b"/dev/tty", flags)
    })?;
    host.call(libc::SYS_close, [slave, 0, 0, 0, 0, 0])?;
    match opened {
        Ok(opened) => {
            set_flags(host, opened, tty.open_flags.0)?;
            Ok(Some(opened))
        }
        Err(e) => {
            refuse(RefusalKind::Terminal, format!("fd {fd} (/dev/tty): {e}: use --fd {fd}=FILE|null", e = reason(&e)))
        }
    }
}
