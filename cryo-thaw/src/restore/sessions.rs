//! `SESS`, `CTTY`: sessions whose controlling terminal is a pseudo-terminal of the image, and /dev/tty there.

use cryo_format::model::FileModel;
use cryo_format::section::process::Process;
use cryo_format::section::sessions::{DevTty, Session, Sessions};
use cryo_tracee::Host;

use super::open::{self, set_flags};
use super::ptys;
use super::table::Table;
use crate::Result;
use crate::error::{Doing, RefusalKind, reason, refuse};

/// ioctl_tty(2).
const TIOCSCTTY: u64 = 0x540e;

/// The session that process `id` leads on a pseudo-terminal of the image. Its host starts as the leader of a session.
pub fn leads(frost: &FileModel, id: u64) -> Option<&Session> {
    let process = frost.get::<Process>(id)?;
    let led = |s: &&Session| s.sid == process.pid && s.sid == process.sid;
    frost.get::<Sessions>(0)?.sessions.iter().find(led)
}

/// Makes the terminal under `slave`, an open descriptor of the leader's host, the controlling terminal of its session, with its own group in the
/// foreground. It loses it when nobody has that end open any more.
pub fn restore(host: &mut Host, slave: u64) -> Result<()> {
    host.call(libc::SYS_ioctl, [slave, TIOCSCTTY, 0, 0, 0, 0])
        .doing(|| "making a pseudo-terminal of its own its controlling terminal".into())
        .map(drop)
}

/// Opens /dev/tty.
pub fn dev_tty(host: &mut Host, table: &mut Table<'_>, fd: u32, id: u64) -> Result<Option<u64>> {
    let Some(tty) = table.section::<DevTty>(id) else { return Ok(None) };
    ptys::master(host, table, fd, tty.pty)?;
    let flags = tty.open_flags.0 as i32 & libc::O_ACCMODE | libc::O_NOCTTY | libc::O_CLOEXEC;
    match open::open(host, b"/dev/tty", flags)? {
        Ok(opened) => {
            set_flags(host, opened, tty.open_flags.0)?;
            Ok(Some(opened))
        }
        Err(e) => {
            refuse(RefusalKind::Terminal, format!("fd {fd} (/dev/tty): {e}: use --fd {fd}=FILE|null", e = reason(&e)))
        }
    }
}
