//! What terminals tell only through ioctl(2) (ioctl_tty(2)).

use std::os::fd::{AsRawFd, OwnedFd};

use crate::{Error, Result, fault};

/// A question with a number for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question(libc::Ioctl);

impl Question {
    /// Is the other end locked?
    pub const LOCKED: Self = Self(0x8004_5439u32 as libc::Ioctl);
    /// Is it in packet mode?
    pub const PACKET: Self = Self(0x8004_5438u32 as libc::Ioctl);
    /// Is it exclusive?
    pub const EXCLUSIVE: Self = Self(0x8004_5440u32 as libc::Ioctl);
}

/// Asks a terminal.
pub fn ask(tty: &OwnedFd, question: Question) -> Result<bool> {
    let what = || "asking a terminal".to_owned();
    fault::point().map_err(|e| Error::sys(what(), e))?;
    let mut answer: libc::c_int = 0;
    // SAFETY: each of the questions writes one int.
    if unsafe { libc::ioctl(tty.as_raw_fd(), question.0, &raw mut answer) } < 0 {
        return Err(Error::last(what()));
    }
    Ok(answer != 0)
}

/// A number that a terminal has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number(libc::Ioctl);

impl Number {
    /// TIOCGSID: the session that it controls; of a pseudo-terminal's master that of its other end.
    pub const SESSION: Self = Self(0x5429);
    /// TIOCGPGRP: the process group in its foreground.
    pub const FOREGROUND: Self = Self(0x540f);
    /// TIOCGDEV: its device, as fields of /proc/PID/stat write it; /dev/tty leads to another one.
    pub const DEVICE: Self = Self(0x8004_5432u32 as libc::Ioctl);
}

/// A number of a terminal; none where it has none (it controls no session, it has hung up).
pub fn number(tty: &OwnedFd, number: Number) -> Result<Option<u64>> {
    fault::point().map_err(|e| Error::sys("asking a terminal", e))?;
    let mut answer: libc::c_int = 0;
    // SAFETY: each of these writes one int.
    let done = unsafe { libc::ioctl(tty.as_raw_fd(), number.0, &raw mut answer) };
    Ok((done == 0).then_some(answer as u32 as u64))
}

/// Does somebody draw on this virtual terminal (KD_GRAPHICS), or is asked before it is switched (VT_PROCESS)? No for other terminals. (ioctl_console(2))
pub fn is_driven(tty: &OwnedFd) -> Result<bool> {
    const KDGETMODE: libc::Ioctl = 0x4b3b;
    const VT_GETMODE: libc::Ioctl = 0x5601;
    fault::point().map_err(|e| Error::sys("asking a terminal", e))?;
    let asked = |request| {
        // An int, or struct vt_mode of 8 bytes that begins with the mode, a byte.
        let mut answer = [0_u8; 8];
        // SAFETY: both questions write at most 8 bytes.
        let done = unsafe { libc::ioctl(tty.as_raw_fd(), request, answer.as_mut_ptr()) };
        done == 0 && answer[0] != 0
    };
    Ok(asked(KDGETMODE) || asked(VT_GETMODE))
}

/// We may change a terminal that we are in the background of, from now on: SIGTTOU is ignored.
pub fn ignore_background() {
    // SAFETY: sets one signal's disposition; no code of ours runs in a handler.
    unsafe { libc::signal(libc::SIGTTOU, libc::SIG_IGN) };
}
