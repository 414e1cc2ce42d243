//! TCP connections that are to go on elsewhere: the socket is kept quiet (`TCP_REPAIR`, and a filter that drops whatever comes), so that neither
//! its end nor its absence says a word to the peer, which sees a pause.

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::pipe::{PipeFlags, pipe_with};

use crate::error::refuse;
use crate::{Error, RefusalKind, Result, fault, sockets};

/// IPPROTO_TCP.
pub const TCP: u32 = libc::IPPROTO_TCP as u32;
/// Options of linux/tcp.h.
pub const TCP_REPAIR: u32 = 19;
/// Which queue is meant: 1 the receive queue, 2 the send queue.
pub const TCP_REPAIR_QUEUE: u32 = 20;
/// Sequence number behind the last byte of that queue.
pub const TCP_QUEUE_SEQ: u32 = 21;
/// What was negotiated: pairs of a code and a value.
pub const TCP_REPAIR_OPTIONS: u32 = 22;
/// The clock of the timestamps.
pub const TCP_TIMESTAMP: u32 = 24;
/// Five words about the windows.
pub const TCP_REPAIR_WINDOW: u32 = 29;
/// The receive queue.
pub const RECEIVE: u32 = 1;
/// The send queue.
pub const SEND: u32 = 2;

const SOL_SOCKET: u32 = libc::SOL_SOCKET as u32;
const REUSEADDR: u32 = libc::SO_REUSEADDR as u32;
const DETACH_FILTER: u32 = 27;
/// Back to work without a probe of the peer's window.
const OFF: i32 = -1;
/// `return 0`: no packet passes.
const DROP: [u8; 8] = [6, 0, 0, 0, 0, 0, 0, 0];

/// Lets nothing in.
pub fn deafen(fd: &OwnedFd) -> Result<()> {
    sockets::set_filter(fd, &DROP)
}

/// Lets in what the filter of before lets in; it may be empty.
pub fn hear(fd: &OwnedFd, filter: &[u8]) -> Result<()> {
    if filter.is_empty() {
        sockets::set_option(fd, SOL_SOCKET, DETACH_FILTER, &[0; 4])
    } else {
        sockets::set_filter(fd, filter)
    }
}

/// A connection that is quiet. Dropping it lets it go on as if nothing had been.
pub struct Quiet {
    fd: OwnedFd,
    reuse: Vec<u8>,
    filter: Vec<u8>,
    quiet: bool,
}

impl Quiet {
    /// Makes it quiet; it has `filter` (see [`sockets::filter`]) until then.
    pub fn begin(fd: OwnedFd, filter: Vec<u8>) -> Result<Self> {
        fault::point().map_err(|e| Error::sys("keeping a connection quiet", e))?;
        let reuse = sockets::option(&fd, SOL_SOCKET, REUSEADDR)?;
        let mut quiet = Self { fd, reuse, filter, quiet: false };
        // Asked before anything is changed: who may not repair may not keep either.
        sockets::set_option(&quiet.fd, TCP, TCP_REPAIR, &1_i32.to_le_bytes())?;
        quiet.quiet = true;
        deafen(&quiet.fd)?;
        Ok(quiet)
    }

    /// Its socket.
    pub fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// The process that has it ends now, and it stays quiet.
    pub fn stay(mut self) {
        self.quiet = false;
    }

    fn undo(&self) {
        let _ = sockets::set_option(&self.fd, TCP, TCP_REPAIR, &OFF.to_le_bytes());
        // Repair had set and cleared it.
        let _ = sockets::set_option(&self.fd, SOL_SOCKET, REUSEADDR, &self.reuse);
        let _ = hear(&self.fd, &self.filter);
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if self.quiet {
            self.undo();
        }
    }
}

/// A process that keeps connections quiet until somebody knocks at its door, or kills it. Until it is told to stay, our own end makes it undo
/// everything.
pub struct Keeper {
    pid: i32,
    go: OwnedFd,
    stays: bool,
}

impl Keeper {
    /// Starts it. `door` is an abstract unix name.
    pub fn start(quiet: &[Quiet], door: &[u8]) -> Result<Self> {
        let what = || "starting the keeper of connections".to_owned();
        let listener = sockets::socket(libc::AF_UNIX as u32, libc::SOCK_STREAM as u32, 0)?;
        let address = [&(libc::AF_UNIX as u16).to_ne_bytes(), &b"\0"[..], door].concat();
        sockets::bind(&listener, &address)?;
        sockets::listen(&listener, 4)?;
        rustix::fs::fcntl_setfl(&listener, rustix::fs::OFlags::empty()).map_err(|e| Error::sys(what(), e))?;
        let (wait, go) = pipe_with(PipeFlags::CLOEXEC).map_err(|e| Error::sys(what(), e))?;
        let keep: Vec<i32> =
            quiet.iter().map(|q| q.fd.as_raw_fd()).chain([listener.as_raw_fd(), wait.as_raw_fd()]).collect();
        let open = crate::proc::descriptors(std::process::id() as i32)?;
        let close: Vec<i32> = open.into_iter().filter(|fd| !keep.contains(fd)).collect();
        // SAFETY: the child makes only system calls on what is made before, and never returns.
        match unsafe { libc::fork() } {
            -1 => Err(Error::last(what())),
            0 => {
                // SAFETY: numbers, and memory of ours; nothing is allocated. Descriptors that are closed here are not used any more.
                unsafe {
                    libc::setsid();
                    libc::prctl(libc::PR_SET_NAME, c"cryo-tcp-keeper".as_ptr());
                    let mut none: libc::sigset_t = std::mem::zeroed();
                    libc::sigemptyset(&raw mut none);
                    libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
                    for fd in &close {
                        libc::close(*fd);
                    }
                    libc::chdir(c"/".as_ptr());
                    let mut byte = 0_u8;
                    if libc::read(wait.as_raw_fd(), (&raw mut byte).cast(), 1) != 1 {
                        quiet.iter().for_each(Quiet::undo);
                        libc::_exit(0);
                    }
                }
                keep_quiet(quiet, &listener)
            }
            pid => Ok(Self { pid, go, stays: false }),
        }
    }

    /// The original has ended: from here on the keeper keeps. Returns its pid.
    pub fn stay(mut self) -> Result<i32> {
        rustix::io::write(&self.go, b"g").map_err(|e| Error::sys("telling the keeper of connections to stay", e))?;
        self.stays = true;
        Ok(self.pid)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if !self.stays {
            // What is to be undone we undo ourselves, before the program runs.
            // SAFETY: numbers, and no status is asked for.
            unsafe {
                libc::kill(self.pid, libc::SIGKILL);
                libc::waitpid(self.pid, std::ptr::null_mut(), 0);
            }
        }
    }
}

/// Until one of the same user, or root, knocks.
fn keep_quiet(quiet: &[Quiet], listener: &OwnedFd) -> ! {
    loop {
        // SAFETY: system calls on descriptors of ours; `who` has the size that is announced. A descriptor is closed once and not used after.
        unsafe {
            let guest = libc::accept(listener.as_raw_fd(), std::ptr::null_mut(), std::ptr::null_mut());
            let mut who: libc::ucred = std::mem::zeroed();
            let mut len = size_of::<libc::ucred>() as libc::socklen_t;
            let r = libc::getsockopt(guest, libc::SOL_SOCKET, libc::SO_PEERCRED, (&raw mut who).cast(), &raw mut len);
            if guest < 0 || r != 0 || who.uid != 0 && who.uid != libc::geteuid() {
                libc::close(guest);
                continue;
            }
            // In repair they close without a word.
            for q in quiet {
                libc::close(q.fd.as_raw_fd());
            }
            libc::write(guest, c"d".as_ptr().cast(), 1);
            libc::_exit(0);
        }
    }
}

/// Asks the keeper behind `door` to let go of its connections; says whether there is one. It has let go when this returns.
pub fn knock(door: &[u8]) -> Result<bool> {
    let socket = sockets::socket(libc::AF_UNIX as u32, libc::SOCK_STREAM as u32, 0)?;
    let address = [&(libc::AF_UNIX as u16).to_ne_bytes(), &b"\0"[..], door].concat();
    match sockets::connect(&socket, &address) {
        Err(e) if e.errno() == Some(libc::ECONNREFUSED) => return Ok(false),
        other => other?,
    }
    let end = std::time::Instant::now() + crate::LIMIT;
    while std::time::Instant::now() < end {
        let mut byte = [0];
        match rustix::io::read(&socket, &mut byte) {
            Ok(n) => return Ok(n == 1),
            Err(rustix::io::Errno::AGAIN) => std::thread::sleep(std::time::Duration::from_millis(1)),
            Err(e) => return Err(Error::sys("knocking at the keeper of connections", e)),
        }
    }
    refuse(RefusalKind::Busy, "the keeper of the connections does not answer: end it (cryo-tcp-keeper)")
}

/// Sets which queue is meant.
pub fn queue(fd: &OwnedFd, queue: u32) -> Result<()> {
    sockets::set_option(fd, TCP, TCP_REPAIR_QUEUE, &queue.to_le_bytes())
}
