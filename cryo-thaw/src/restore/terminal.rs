//! `TERM`: the thawer's terminal, in the mode that the program had its own in.

use cryo_tracee::Host;

use super::open;
use crate::Result;
use crate::error::Doing;
use crate::foreground::Foreground;

/// ioctl_tty(2).
const TIOCSPGRP: u64 = 0x5410;

/// Gives the terminal to the program, before it goes on: one that led a group of its own (a shell's job, a shell) does so again, in the foreground.
/// `job` is the number of the group that is to be there instead: of what a shell has started.
pub fn restore(host: &mut Host, foreground: Option<&Foreground>, job: Option<u64>) -> Result<()> {
    let Some(foreground) = foreground else { return Ok(()) };
    if foreground.leads() {
        host.call(libc::SYS_setpgid, [0; 6]).doing(|| "giving it a process group of its own".into())?;
    }
    if !foreground.in_front() {
        return Ok(());
    }
    if foreground.leads()
        && let Ok(tty) = open::open(host, b"/dev/tty", libc::O_RDWR | libc::O_CLOEXEC | libc::O_NOCTTY)?
    {
        let group = job.map_or_else(|| host.call(libc::SYS_getpid, [0; 6]), Ok)?;
        let mut batch = host.batch()?;
        let at = batch.put(&(group as u32).to_le_bytes());
        batch.call(libc::SYS_ioctl, &[tty, TIOCSPGRP, at.addr]);
        batch.call(libc::SYS_close, &[tty]);
        host.run(batch)?.all().doing(|| "giving it the terminal".into())?;
    }
    foreground.give();
    Ok(())
}
